/* The ten classes of garments, numbered and named as in Fashion-MNIST. */
#ifndef WARDROBE_H
#define WARDROBE_H

#include "canvas.h"

enum { GARMENTS = 10 };

/* Draws garment `label` (0..9) on a black canvas of size x size pixels (28 or 32): a new one for each state of `random`. */
void draw_garment(Canvas *canvas, int label, int size, Random *random);
const char *garment_name(int label);

#endif

/* The matrix products of a model's training steps, from the compiler's own graphs, to be run alone.
 *
 * They are the yardstick of a step: what a BLAS takes for the contractions that the step cannot do without, on arrays that are warm,
 * with nothing between them. A convolution is its matrix product on columns that lie there already, image by image or for the whole
 * batch at once, whichever is faster. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include <stddef.h>

typedef struct Products Products;

/* Of stage number `stage` of the model at `path`, with the model's own batch. NULL, with a message, where it does not compile or memory
 * is short. Free with products_free. */
Products *products_create(const char *path, size_t stage);
void products_run(const Products *products);
int products_count(const Products *products);
double products_flops(const Products *products); /* 2 m n k of each */
void products_print(const Products *products);   /* a line for each */
void products_free(Products *products);

#endif

/* A small painter of grey pictures: closed outlines with curved sides are filled and stroked, anti-aliased, in design
 * coordinates: the picture spans -1..1 both ways, y points down, and a transform tilts, scales and shifts all of it. */
#ifndef CANVAS_H
#define CANVAS_H

#include <stdint.h>

enum { CANVAS_MAX = 32, PATH_POINTS = 256 };

/* ── Random numbers: a stream is a function of its seed ───────────────────────────────────── */

typedef struct Random { uint64_t state; } Random;

Random random_stream(uint64_t seed, uint64_t set, uint64_t index);
float between(Random *random, float low, float high);
int pick(Random *random, int count);          /* 0..count-1 */
int chance(Random *random, float probability);

/* ── Outlines ─────────────────────────────────────────────────────────────────────────────── */

typedef struct Point { float x, y; } Point;

/* A polygon; curves are cut into short sides as they are added. Points beyond PATH_POINTS are left out. */
typedef struct Path { Point point[PATH_POINTS]; int count; } Path;

void path_start(Path *path, float x, float y);
void path_line(Path *path, float x, float y);
void path_curve(Path *path, float control_x, float control_y, float x, float y); /* a quadratic Bezier curve */
void path_mirror(Path *path);                 /* appends the outline's mirror image at x = 0, backwards: the other half */
Path path_flipped(const Path *path);          /* the whole outline on the other side of x = 0 */

/* ── Painting ─────────────────────────────────────────────────────────────────────────────── */

/* Cloth, leather: a brightness in 0..1, changed by a pattern and by light. */
typedef struct Paint {
    float tone;              /* brightness */
    float (*pattern)(const struct Paint *paint, float x, float y); /* factor of the tone; NULL: plain */
    float contrast;          /* of the pattern, 0..1 */
    float period;            /* of the pattern, in design units */
    float phase;
    float edge;              /* how much darker the rim is than the middle, 0..1 */
    float fold;              /* strength of the soft folds, 0..1 */
    Point fold_wave;         /* their direction and density */
    float grain;             /* noise of single pixels, 0..1 */
} Paint;

float pattern_stripes(const Paint *paint, float x, float y);  /* across */
float pattern_pinstripes(const Paint *paint, float x, float y); /* along */
float pattern_checks(const Paint *paint, float x, float y);
float pattern_dots(const Paint *paint, float x, float y);
float pattern_knit(const Paint *paint, float x, float y);
float pattern_gradient(const Paint *paint, float x, float y); /* lighter to the top, or to the bottom if contrast < 0 */
float pattern_block(const Paint *paint, float x, float y);    /* a yoke of another colour */

typedef struct Canvas {
    int size;                /* pixels on each side, up to CANVAS_MAX */
    float xx, xy, yx, yy;    /* design → pixels, and the pixel of the design's centre */
    Point centre;
    Random *random;          /* of the grain */
    float pixel[CANVAS_MAX * CANVAS_MAX];
} Canvas;

/* Black; the design's -1..1 spans `span` pixels, tilted by `tilt` radians and slanted by `slant`. */
void canvas_clear(Canvas *canvas, int size, float span, float tilt, float slant, Random *random);
void fill(Canvas *canvas, const Path *path, const Paint *paint);
/* A line along the path, `width` design units wide, mixed with `opacity` over what is there; open: not closed to its start. */
void stroke(Canvas *canvas, const Path *path, float width, float tone, float opacity);
void dot(Canvas *canvas, float x, float y, float radius, float tone, float opacity);

#endif

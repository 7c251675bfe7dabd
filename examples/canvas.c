/* canvas.c: outlines, coverage, light and patterns. A shape is filled by adding up the exact horizontal coverage of four scan
 * lines in each row; its blurred coverage tells how far inside a pixel lies, which is all that the light needs. */
#include "canvas.h"

#include <math.h>
#include <string.h>

/* ── Random numbers (SplitMix64) ──────────────────────────────────────────────────────────── */

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t next(Random *random) { return mix(random->state += 0x9e3779b97f4a7c15u); }

Random random_stream(uint64_t seed, uint64_t set, uint64_t index) {
    return (Random){ mix(mix(mix(seed + 1) + set + 1) + index + 1) };
}

float between(Random *random, float low, float high) {
    return low + (high - low) * (float)(next(random) >> 40) * 0x1p-24f;
}

int pick(Random *random, int count) { return (int)((next(random) >> 32) * (uint64_t)count >> 32); }

int chance(Random *random, float probability) { return between(random, 0, 1) < probability; }

/* ── Outlines ─────────────────────────────────────────────────────────────────────────────── */

void path_start(Path *path, float x, float y) {
    path->count = 0;
    path_line(path, x, y);
}

void path_line(Path *path, float x, float y) {
    if (path->count < PATH_POINTS) path->point[path->count++] = (Point){ x, y };
}

void path_curve(Path *path, float control_x, float control_y, float x, float y) {
    enum { SIDES = 6 };
    Point from = path->point[path->count - 1];
    for (int i = 1; i <= SIDES; i++) {
        float t = (float)i / SIDES, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
        path_line(path, a * from.x + b * control_x + c * x, a * from.y + b * control_y + c * y);
    }
}

void path_mirror(Path *path) {
    for (int i = path->count - 1; i >= 0; i--) path_line(path, -path->point[i].x, path->point[i].y);
}

Path path_flipped(const Path *path) {
    Path flipped = *path;
    for (int i = 0; i < flipped.count; i++) flipped.point[i].x = -flipped.point[i].x;
    return flipped;
}

/* ── Patterns ─────────────────────────────────────────────────────────────────────────────── */

static float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* A wave of period 1 between -1 and 1 with flat tops. */
static float square_wave(float x) { return clamp(3 * sinf(6.2831853f * x), -1, 1); }

float pattern_stripes(const Paint *p, float x, float y) {
    (void)x;
    return 1 + p->contrast * square_wave(y / p->period + p->phase);
}

float pattern_pinstripes(const Paint *p, float x, float y) {
    (void)y;
    return 1 + p->contrast * square_wave(x / p->period + p->phase);
}

float pattern_checks(const Paint *p, float x, float y) {
    return 1 + 0.5f * p->contrast * (square_wave(x / p->period + p->phase) + square_wave(y / p->period + p->phase));
}

float pattern_dots(const Paint *p, float x, float y) {
    float wave = sinf(6.2831853f * (x / p->period + p->phase)) * sinf(6.2831853f * y / p->period);
    return 1 + p->contrast * clamp(3 * wave - 1, -1, 1);
}

float pattern_knit(const Paint *p, float x, float y) {
    float rib = sinf(6.2831853f * x / p->period), stitch = sinf(6.2831853f * (2 * y / p->period + fabsf(rib)));
    return 1 + 0.5f * p->contrast * (rib + 0.6f * stitch);
}

float pattern_gradient(const Paint *p, float x, float y) {
    (void)x;
    return 1 - p->contrast * y;
}

float pattern_block(const Paint *p, float x, float y) {
    (void)x;
    return 1 + p->contrast * clamp(8 * (y - p->phase + 0.5f), -1, 1);
}

/* ── Coverage ─────────────────────────────────────────────────────────────────────────────── */

typedef struct Mask { float cover[CANVAS_MAX * CANVAS_MAX]; int top, bottom; } Mask; /* rows top..bottom-1 hold anything */

static Point to_pixels(const Canvas *c, Point p) {
    return (Point){ c->centre.x + c->xx * p.x + c->xy * p.y, c->centre.y + c->yx * p.x + c->yy * p.y };
}

static Point to_design(const Canvas *c, float x, float y) {
    float scale = 1 / (c->xx * c->yy - c->xy * c->yx), dx = x - c->centre.x, dy = y - c->centre.y;
    return (Point){ scale * (c->yy * dx - c->xy * dy), scale * (c->xx * dy - c->yx * dx) };
}

static Path path_to_pixels(const Canvas *c, const Path *path) {
    Path out = { .count = path->count };
    for (int i = 0; i < path->count; i++) out.point[i] = to_pixels(c, path->point[i]);
    return out;
}

/* Where the polygon's sides cross the height y, in ascending order. */
static int crossings(const Path *path, float y, float *x) {
    int count = 0;
    for (int i = 0, j = path->count - 1; i < path->count; j = i++) {
        Point a = path->point[j], b = path->point[i];
        if ((a.y <= y) == (b.y <= y)) continue;
        float at = a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y);
        int k = count++;
        for (; k > 0 && x[k - 1] > at; k--) x[k] = x[k - 1];
        x[k] = at;
    }
    return count;
}

/* Adds `weight` to the pixels of a row between two places, partly at the ends. */
static void cover_span(float *row, int size, float from, float to, float weight) {
    from = clamp(from, 0, (float)size);
    to = clamp(to, 0, (float)size);
    for (int x = (int)from; x < size && (float)x < to; x++)
        row[x] += weight * (fminf(to, (float)x + 1) - fmaxf(from, (float)x));
}

static void cover(const Canvas *c, const Path *path, Mask *mask) {
    enum { LINES = 4 };
    float top = (float)c->size, bottom = 0, x[PATH_POINTS];
    for (int i = 0; i < path->count; i++) {
        top = fminf(top, path->point[i].y);
        bottom = fmaxf(bottom, path->point[i].y);
    }
    mask->top = (int)clamp(floorf(top), 0, (float)c->size);
    mask->bottom = (int)clamp(ceilf(bottom), 0, (float)c->size);
    memset(mask->cover, 0, sizeof mask->cover);
    for (int line = mask->top * LINES; line < mask->bottom * LINES; line++) {
        int count = crossings(path, ((float)line + 0.5f) / LINES, x);
        for (int i = 0; i + 1 < count; i += 2)
            cover_span(mask->cover + line / LINES * CANVAS_MAX, c->size, x[i], x[i + 1], 1.0f / LINES);
    }
}

/* Each value becomes the mean of three neighbours along x (step 1) or y (step CANVAS_MAX). */
static void blur_line(float *values, int count, int step) {
    float before = 0;
    for (int i = 0; i < count; i++) {
        float here = values[i * step], after = i + 1 < count ? values[(i + 1) * step] : 0;
        values[i * step] = (before + here + after) / 3;
        before = here;
    }
}

static void blur(const Canvas *c, Mask *mask) {
    for (int y = 0; y < c->size; y++) blur_line(mask->cover + y * CANVAS_MAX, c->size, 1);
    for (int x = 0; x < c->size; x++) blur_line(mask->cover + x, c->size, CANVAS_MAX);
}

/* ── Painting ─────────────────────────────────────────────────────────────────────────────── */

void canvas_clear(Canvas *canvas, int size, float span, float tilt, float slant, Random *random) {
    float half = span / 2, cosine = half * cosf(tilt), sine = half * sinf(tilt);
    *canvas = (Canvas){ .size = size, .random = random, .centre = { (float)size / 2, (float)size / 2 },
                        .xx = cosine, .xy = slant * cosine - sine, .yx = sine, .yy = slant * sine + cosine };
}

/* The brightness of the paint at a place; depth is 0 at the rim and 1 well inside. */
static float brightness(const Canvas *c, const Paint *paint, Point at, float depth) {
    float folds = sinf(paint->fold_wave.x * at.x + paint->fold_wave.y * at.y + 6 * paint->phase)
                + 0.5f * sinf(2.3f * paint->fold_wave.x * at.x - 1.7f * paint->fold_wave.y * at.y);
    float light = (1 - paint->edge * (1 - depth)) * (1 + paint->fold * folds) * (1 - 0.06f * at.x)
                + between(c->random, -paint->grain, paint->grain);
    return clamp(paint->tone * light * (paint->pattern ? paint->pattern(paint, at.x, at.y) : 1), 0.02f, 1);
}

static void blend(float *pixel, float value, float opacity) { *pixel += opacity * (value - *pixel); }

void fill(Canvas *canvas, const Path *path, const Paint *paint) {
    Path outline = path_to_pixels(canvas, path);
    Mask mask, soft;
    cover(canvas, &outline, &mask);
    soft = mask;
    blur(canvas, &soft);
    for (int y = mask.top; y < mask.bottom; y++)
        for (int x = 0; x < canvas->size; x++) {
            int i = y * CANVAS_MAX + x;
            if (mask.cover[i] <= 0) continue;
            float depth = clamp(2 * soft.cover[i] - 0.8f, 0, 1);
            Point at = to_design(canvas, (float)x + 0.5f, (float)y + 0.5f);
            blend(&canvas->pixel[i], brightness(canvas, paint, at, depth), fminf(mask.cover[i], 1));
        }
}

static float distance_to_side(Point p, Point a, Point b) {
    float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    float t = length > 0 ? clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0, 1) : 0;
    return hypotf(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/* Brings near[], each pixel's distance to a line, up to date with one more side of it; only within `reach` of the side. */
static void near_side(const Canvas *c, Point a, Point b, float reach, float *near) {
    float limit = (float)c->size;
    int left = (int)clamp(fminf(a.x, b.x) - reach, 0, limit), right = (int)clamp(fmaxf(a.x, b.x) + reach + 1, 0, limit);
    int top = (int)clamp(fminf(a.y, b.y) - reach, 0, limit), bottom = (int)clamp(fmaxf(a.y, b.y) + reach + 1, 0, limit);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            float *d = &near[y * CANVAS_MAX + x];
            *d = fminf(*d, distance_to_side((Point){ (float)x + 0.5f, (float)y + 0.5f }, a, b));
        }
}

void stroke(Canvas *canvas, const Path *path, float width, float tone, float opacity) {
    Path line = path_to_pixels(canvas, path);
    float half = width / 2 * sqrtf(fabsf(canvas->xx * canvas->yy - canvas->xy * canvas->yx));
    float near[CANVAS_MAX * CANVAS_MAX], faint = fminf(2 * half, 1); /* a line thinner than a pixel is fainter */
    for (int i = 0; i < CANVAS_MAX * CANVAS_MAX; i++) near[i] = 2 * CANVAS_MAX;
    for (int i = 0; i < line.count; i++) /* the last side is a point: so a single point is a dot */
        near_side(canvas, line.point[i], line.point[i + 1 < line.count ? i + 1 : i], half + 1, near);
    for (int i = 0; i < canvas->size * CANVAS_MAX; i++)
        blend(&canvas->pixel[i], tone, opacity * faint * clamp(fmaxf(half, 0.5f) + 0.5f - near[i], 0, 1));
}

void dot(Canvas *canvas, float x, float y, float radius, float tone, float opacity) {
    Path point;
    path_start(&point, x, y);
    stroke(canvas, &point, 2 * radius, tone, opacity);
}

/* Sizes of axes. A size is a constant, or linear in one run-time number (the batch, or a `dim` of the model), which is
 * all that the primitives can make of them: slices and pads of a run-time axis, concatenations of whole batches. */
#include "gdlc.h"

#include <assert.h>
#include <string.h>

Dim dim_const(int64_t size) { return (Dim){ .base = size }; }

Dim dim_batch(int64_t scale) { return (Dim){ .scale = scale, .symbol = SYMBOL_BATCH }; }

Dim dim_add(Dim a, Dim b) {
    assert(!a.scale || !b.scale || a.symbol == b.symbol);
    Dim sum = { a.base + b.base, a.scale + b.scale, a.scale ? a.symbol : b.symbol };
    if (!sum.scale) sum.symbol = 0;
    return sum;
}

Dim dim_scale(Dim a, int64_t by) {
    Dim scaled = { a.base * by, a.scale * by, a.symbol };
    if (!scaled.scale) scaled.symbol = 0;
    return scaled;
}

bool dim_equal(Dim a, Dim b) { return a.base == b.base && a.scale == b.scale && a.symbol == b.symbol; }

bool dim_is_const(Dim a) { return a.scale == 0; }

int64_t dim_value(Dim a, const int64_t *symbols) { return a.base + (a.scale ? a.scale * symbols[a.symbol] : 0); }

bool shape_equal(const Shape *a, const Shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (!dim_equal(a->dim[i], b->dim[i])) return false;
    return true;
}

/* Sizes are compared as polynomials: the constant factors multiply, and each run-time axis of one shape must have its equal,
 * up to a constant factor, in the other. */
static int64_t split_factors(const Shape *shape, Dim *symbolic, int *count) {
    int64_t factor = 1;
    *count = 0;
    for (int i = 0; i < shape->rank; i++) {
        Dim d = shape->dim[i];
        if (dim_is_const(d)) {
            factor *= d.base;
        } else if (d.base == 0) {
            factor *= d.scale;
            symbolic[(*count)++] = (Dim){ 0, 1, d.symbol };
        } else {
            symbolic[(*count)++] = d;
        }
    }
    return factor;
}

bool shape_same_size(const Shape *a, const Shape *b) {
    Dim in_a[MAX_RANK], in_b[MAX_RANK];
    int count_a, count_b;
    if (split_factors(a, in_a, &count_a) != split_factors(b, in_b, &count_b) || count_a != count_b) return false;
    for (int i = 0; i < count_a; i++) {
        int j = i;
        while (j < count_b && !dim_equal(in_a[i], in_b[j])) j++;
        if (j == count_b) return false;
        in_b[j] = in_b[i];
    }
    return true;
}

int64_t shape_size(const Shape *shape, const int64_t *symbols) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++) size *= dim_value(shape->dim[i], symbols);
    return size;
}

Shape shape_without(const Shape *shape, uint32_t axes) {
    Shape rest = { 0 };
    for (int i = 0; i < shape->rank; i++)
        if (!(axes >> i & 1)) rest.dim[rest.rank++] = shape->dim[i];
    return rest;
}

static void dim_print(Text *text, Dim d) {
    static const char letters[] = "ntuvwxyz";
    if (dim_is_const(d)) {
        text_add(text, "%lld", (long long)d.base);
        return;
    }
    if (d.scale != 1) text_add(text, "%lld", (long long)d.scale);
    text_add(text, "%c", letters[d.symbol & 7]);
    if (d.base) text_add(text, "%+lld", (long long)d.base);
}

const char *shape_text(Arena *arena, const Shape *shape) {
    Text text = { .arena = arena };
    text_add(&text, "[");
    for (int i = 0; i < shape->rank; i++) {
        if (i) text_add(&text, ", ");
        dim_print(&text, shape->dim[i]);
    }
    text_add(&text, "]");
    return text.bytes;
}

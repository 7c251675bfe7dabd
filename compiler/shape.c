/* Sizes of axes. A size is a constant, or linear in one run-time number (the batch, or a `dim` of the model), which is
 * all that the primitives can make of them: slices and pads of a run-time axis, concatenations of whole batches. */
#include "gdlc.h"

#include <assert.h>
#include <string.h>

Dim dim_const(int64_t size) { return (Dim){ .base = size }; }

Dim dim_batch(int64_t scale) { return (Dim){ .scale = scale, .symbol = SYMBOL_BATCH }; }

bool dim_can_add(Dim a, Dim b) { return !a.scale || !b.scale || a.symbol == b.symbol; }

Dim dim_add(Dim a, Dim b) {
    assert(dim_can_add(a, b));
    Dim sum = { a.base + b.base, a.scale + b.scale, a.scale ? a.symbol : b.symbol };
    if (!sum.scale) sum.symbol = 0;
    return sum;
}

Dim dim_scale(Dim a, int64_t by) {
    Dim scaled = { a.base * by, a.scale * by, a.symbol };
    if (!scaled.scale) scaled.symbol = 0;
    return scaled;
}

bool dim_mul(Dim a, Dim b, Dim *product) {
    if (a.scale && b.scale) return false;
    *product = a.scale ? dim_scale(a, b.base) : dim_scale(b, a.base);
    return true;
}

bool dim_divide(Dim a, int64_t by, Dim *quotient) {
    if (a.base % by || a.scale % by) return false;
    *quotient = (Dim){ a.base / by, a.scale / by, a.symbol };
    return true;
}

bool dim_equal(Dim a, Dim b) { return a.base == b.base && a.scale == b.scale && a.symbol == b.symbol; }

bool dim_is_const(Dim a) { return a.scale == 0; }

int64_t dim_value(Dim a, const int64_t *symbols) { return a.base + (a.scale ? a.scale * symbols[a.symbol] : 0); }

/* A symbol that nothing is known of may be as large as any. */
static int64_t at_bound(Dim a, const SymbolList *symbols, bool high) {
    const bool known = symbols && a.symbol < symbols->count;
    const int64_t least = known ? symbols->items[a.symbol].low : 1;
    const int64_t most = known && a.symbol != SYMBOL_BATCH ? symbols->items[a.symbol].high : INT64_C(1) << 20;
    return a.base + a.scale * (high == (a.scale > 0) ? most : least);
}

int64_t dim_low(Dim a, const SymbolList *symbols) { return at_bound(a, symbols, false); }

int64_t dim_high(Dim a, const SymbolList *symbols) { return at_bound(a, symbols, true); }

void symbols_high(const SymbolList *symbols, int64_t values[MAX_SYMBOLS]) {
    for (int s = 0; s < MAX_SYMBOLS; s++) values[s] = s < symbols->count ? symbols->items[s].high : 1;
}

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

/* The symbolic axes of `part` are taken out of those of `whole`; one may be left, times a constant. */
bool shape_rest(const Shape *whole, const Shape *part, Dim *rest) {
    Dim left[MAX_RANK], taken[MAX_RANK];
    int count_left, count_taken;
    const int64_t factor = split_factors(whole, left, &count_left), divisor = split_factors(part, taken, &count_taken);
    for (int i = 0; i < count_taken; i++) {
        int j = 0;
        while (j < count_left && !dim_equal(taken[i], left[j])) j++;
        if (j == count_left) return false;
        left[j] = left[--count_left];
    }
    if (count_left > 1 || divisor == 0 || factor % divisor) return false;
    *rest = dim_scale(count_left ? left[0] : dim_const(1), factor / divisor);
    return true;
}

int64_t shape_size(const Shape *shape, const int64_t *symbols) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++) size *= dim_value(shape->dim[i], symbols);
    return size;
}

Shape shape_behind(Dim first, const Shape *shape) {
    assert(shape->rank < MAX_RANK);
    Shape full = { .rank = shape->rank + 1, .dim = { first } };
    memcpy(full.dim + 1, shape->dim, sizeof *shape->dim * (size_t)shape->rank);
    return full;
}

int64_t shape_known_size(const Shape *shape) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++)
        if (dim_is_const(shape->dim[i])) size *= shape->dim[i].base;
    return size;
}

Shape shape_without(const Shape *shape, uint32_t axes) {
    Shape rest = { 0 };
    for (int i = 0; i < shape->rank; i++)
        if (!(axes >> i & 1)) rest.dim[rest.rank++] = shape->dim[i];
    return rest;
}

static void dim_print(Text *text, const SymbolList *symbols, Dim d) {
    static const char letters[] = "ntuvwxyz";
    if (dim_is_const(d)) {
        text_add(text, "%lld", (long long)d.base);
        return;
    }
    const bool named = symbols && d.symbol < symbols->count && symbols->items[d.symbol].name[1];
    if (!named) {
        if (d.scale != 1) text_add(text, "%lld", (long long)d.scale);
        if (symbols && d.symbol < symbols->count) text_add(text, "%s", symbols->items[d.symbol].name);
        else text_add(text, "%c", letters[d.symbol & 7]);
        if (d.base) text_add(text, "%+lld", (long long)d.base);
        return;
    }
    if (d.scale != 1) text_add(text, "%lld * ", (long long)d.scale);
    text_add(text, "%s", symbols->items[d.symbol].name);
    if (d.base) text_add(text, d.base > 0 ? " + %lld" : " - %lld", (long long)(d.base > 0 ? d.base : -d.base));
}

const char *size_text(Arena *arena, const SymbolList *symbols, Dim d) {
    Text text = { .arena = arena };
    dim_print(&text, symbols, d);
    return text.bytes;
}

const char *shape_text(Arena *arena, const SymbolList *symbols, const Shape *shape) {
    Text text = { .arena = arena };
    text_add(&text, "[");
    for (int i = 0; i < shape->rank; i++) {
        if (i) text_add(&text, ", ");
        dim_print(&text, symbols, shape->dim[i]);
    }
    text_add(&text, "]");
    return text.bytes;
}

/* Polynomials in the run-time sizes of a model: sizes of arrays and distances in them.
 *
 * A size is nearly always a constant or a constant times the batch, but a reshape multiplies sizes, a slice adds
 * them and a transposed batch axis is a distance: polynomials are closed under all of these, and comparing them is
 * exact. They are never changed once made. */
#include "../gdlc.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

static Poly *poly_room(Arena *arena, int terms) {
    return arena_alloc(arena, sizeof(Poly) + (size_t)terms * sizeof(Monomial));
}

/* Adds a monomial to a polynomial that has room for it, keeping the terms sorted by their powers. */
static void poly_insert(Poly *poly, const Monomial *monomial) {
    int at = 0, order = 1;
    while (at < poly->count &&
           (order = memcmp(poly->term[at].power, monomial->power, sizeof monomial->power)) > 0)
        at++;
    if (at < poly->count && order == 0) {
        poly->term[at].factor += monomial->factor;
        if (poly->term[at].factor == 0)
            memmove(poly->term + at, poly->term + at + 1, (size_t)(--poly->count - at) * sizeof(Monomial));
    } else if (monomial->factor != 0) {
        memmove(poly->term + at + 1, poly->term + at, (size_t)(poly->count++ - at) * sizeof(Monomial));
        poly->term[at] = *monomial;
    }
}

const Poly *poly_const(Arena *arena, int64_t value) {
    static const Poly zero = {.count = 0};
    if (value == 0) return &zero;
    Poly *poly = poly_room(arena, 1);
    poly_insert(poly, &(Monomial){.factor = value});
    return poly;
}

const Poly *poly_dim(Arena *arena, Dim dim) {
    Poly *poly = poly_room(arena, 2);
    Monomial variable = {.factor = dim.scale};
    assert(dim.symbol < MAX_SYMBOLS);
    variable.power[dim.symbol] = 1;
    poly_insert(poly, &variable);
    poly_insert(poly, &(Monomial){.factor = dim.base});
    return poly;
}

const Poly *poly_shape(Arena *arena, const Shape *shape) {
    const Poly *size = poly_const(arena, 1);
    for (int axis = 0; axis < shape->rank; axis++) size = poly_mul(arena, size, poly_dim(arena, shape->dim[axis]));
    return size;
}

const Poly *poly_add(Arena *arena, const Poly *a, const Poly *b) {
    if (a->count == 0 || b->count == 0) return a->count == 0 ? b : a;
    Poly *sum = poly_room(arena, a->count + b->count);
    for (int i = 0; i < a->count; i++) poly_insert(sum, &a->term[i]);
    for (int i = 0; i < b->count; i++) poly_insert(sum, &b->term[i]);
    return sum;
}

static Monomial monomial_mul(const Monomial *a, const Monomial *b) {
    Monomial product = {.factor = a->factor * b->factor};
    for (int s = 0; s < MAX_SYMBOLS; s++) product.power[s] = (uint8_t)(a->power[s] + b->power[s]);
    return product;
}

const Poly *poly_mul(Arena *arena, const Poly *a, const Poly *b) {
    if (poly_is(a, 1) || poly_is(b, 1)) return poly_is(a, 1) ? b : a;
    Poly *product = poly_room(arena, a->count * b->count + 1);
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++) {
            const Monomial term = monomial_mul(&a->term[i], &b->term[j]);
            poly_insert(product, &term);
        }
    return product;
}

const Poly *poly_scale(Arena *arena, const Poly *a, int64_t by) {
    return by == 1 ? a : poly_mul(arena, a, poly_const(arena, by));
}

static bool monomial_divide(const Monomial *a, const Monomial *b, Monomial *quotient) {
    if (a->factor % b->factor != 0) return false;
    *quotient = (Monomial){.factor = a->factor / b->factor};
    for (int s = 0; s < MAX_SYMBOLS; s++) {
        if (a->power[s] < b->power[s]) return false;
        quotient->power[s] = (uint8_t)(a->power[s] - b->power[s]);
    }
    return true;
}

/* Long division: the leading terms decide each term of the quotient. */
const Poly *poly_divide(Arena *arena, const Poly *a, const Poly *b) {
    const Poly *rest = a, *quotient = poly_const(arena, 0);
    assert(b->count > 0);
    while (rest->count > 0) {
        Poly *term = poly_room(arena, 1);
        term->count = 1;
        if (!monomial_divide(&rest->term[0], &b->term[0], &term->term[0])) return NULL;
        quotient = poly_add(arena, quotient, term);
        rest = poly_add(arena, rest, poly_scale(arena, poly_mul(arena, term, b), -1));
    }
    return quotient;
}

bool poly_equal(const Poly *a, const Poly *b) {
    return a->count == b->count && memcmp(a->term, b->term, (size_t)a->count * sizeof(Monomial)) == 0;
}

bool poly_constant(const Poly *a, int64_t *value) {
    static const uint8_t none[MAX_SYMBOLS];
    *value = a->count ? a->term[0].factor : 0;
    return a->count == 0 || (a->count == 1 && memcmp(a->term[0].power, none, sizeof none) == 0);
}

bool poly_is(const Poly *a, int64_t value) {
    int64_t found;
    return poly_constant(a, &found) && found == value;
}

static int64_t poly_value(const Poly *a, const int64_t *symbols) {
    int64_t sum = 0;
    for (int i = 0; i < a->count; i++) {
        int64_t product = a->term[i].factor;
        for (int s = 0; s < MAX_SYMBOLS; s++)
            for (int p = 0; p < a->term[i].power[s]; p++) product *= symbols[s];
        sum += product;
    }
    return sum;
}

int64_t poly_high(const Module *module, const Poly *a) {
    int64_t symbols[MAX_SYMBOLS];
    symbols_high(&module->symbols, symbols);
    return poly_value(a, symbols);
}

/* The same polynomial in `symbol - 1` instead of `symbol`: (1 + t)^p is multiplied out. */
static const Poly *poly_shift(Arena *arena, const Poly *a, int symbol) {
    const Poly *one_more = poly_dim(arena, (Dim){.base = 1, .scale = 1, .symbol = symbol});
    const Poly *shifted = poly_const(arena, 0);
    for (int i = 0; i < a->count; i++) {
        Poly *term = poly_room(arena, 1);
        term->count = 1;
        term->term[0] = a->term[i];
        term->term[0].power[symbol] = 0;
        const Poly *product = term;
        for (int p = 0; p < a->term[i].power[symbol]; p++) product = poly_mul(arena, product, one_more);
        shifted = poly_add(arena, shifted, product);
    }
    return shifted;
}

static bool all_positive(const Poly *a) {
    for (int i = 0; i < a->count; i++)
        if (a->term[i].factor < 0) return false;
    return true;
}

/* Sizes are at least 1: written in (size - 1), a polynomial without negative factors is nowhere negative. */
bool poly_nonnegative(Arena *arena, const Poly *a) {
    int64_t value;
    if (all_positive(a)) return true;
    if (poly_constant(a, &value)) return false;
    for (int s = 0; s < MAX_SYMBOLS; s++) a = poly_shift(arena, a, s);
    return all_positive(a);
}

static void monomial_print(Text *to, const Module *module, const Monomial *monomial, int64_t factor) {
    const char *between = "";
    bool alone = true;
    for (int s = 0; s < MAX_SYMBOLS; s++) alone = alone && monomial->power[s] == 0;
    if (factor != 1 || alone) {
        text_add(to, "%" PRId64, factor);
        between = " * ";
    }
    for (int s = 0; s < MAX_SYMBOLS; s++)
        for (int p = 0; p < monomial->power[s]; p++, between = " * ")
            text_add(to, "%s%s", between, module->symbols.items[s].variable);
}

void poly_print(Text *to, const Module *module, const Poly *a) {
    if (a->count == 0) text_add(to, "0");
    for (int i = 0; i < a->count; i++) {
        const int64_t factor = a->term[i].factor;
        if (i > 0) text_add(to, factor < 0 ? " - " : " + ");
        monomial_print(to, module, &a->term[i], i > 0 && factor < 0 ? -factor : factor);
    }
}

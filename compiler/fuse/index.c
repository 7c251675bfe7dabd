/* Index arithmetic: sums of loop variables with constant factors, as long as the model allows it.
 *
 * Reshapes and slices and transpositions all become arithmetic on such sums, so that they cost nothing but the
 * addresses of the loads. Divisions remain only where a reshape cuts across axes; a division and the remainder beside
 * it melt back together when the parts are put together again. */
#include "fuse.h"

#include <assert.h>

static Index *index_room(Arena *arena, int terms) {
    return arena_alloc(arena, sizeof(Index) + (size_t)terms * sizeof(IndexTerm));
}

const Index *index_const(Arena *arena, const Poly *value) {
    Index *index = index_room(arena, 0);
    index->constant = value;
    return index;
}

static const Index *index_of_atom(Arena *arena, Atom atom) {
    Atom *kept = NEW(arena, Atom);
    *kept = atom;
    Index *index = index_room(arena, 1);
    index->constant = poly_const(arena, 0);
    index->count = 1;
    index->term[0] = (IndexTerm){poly_const(arena, 1), kept};
    return index;
}

/* A loop with a single turn has no variable: its index is 0. */
const Index *index_loop(Arena *arena, int depth, const Poly *extent) {
    if (poly_is(extent, 1)) return index_const(arena, poly_const(arena, 0));
    return index_of_atom(arena, (Atom){.kind = ATOM_LOOP, .depth = depth, .limit = extent});
}

const Index *index_value(Arena *arena, const Scalar *value, const Poly *limit) {
    return index_of_atom(arena, (Atom){.kind = ATOM_VALUE, .depth = value->depth, .limit = limit, .value = value});
}

static bool atom_equal(const Atom *a, const Atom *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->depth != b->depth) return false;
    switch (a->kind) {
    case ATOM_LOOP: return true;
    case ATOM_VALUE: return a->value == b->value && poly_equal(a->limit, b->limit);
    default: return poly_equal(a->by, b->by) && index_equal(a->index, b->index);
    }
}

/* Terms are kept in the order of atom_before, so that equal sums are equal term by term. */
static bool atom_before(const Atom *a, const Atom *b) {
    if (a->depth != b->depth) return a->depth < b->depth;
    return a->kind < b->kind;
}

static int index_find(const Index *a, const Atom *atom) {
    for (int i = 0; i < a->count; i++)
        if (atom_equal(a->term[i].atom, atom)) return i;
    return -1;
}

static void index_insert(Arena *arena, Index *index, const Poly *factor, const Atom *atom) {
    const int found = index_find(index, atom);
    if (found >= 0) {
        index->term[found].factor = poly_add(arena, index->term[found].factor, factor);
        if (!poly_is(index->term[found].factor, 0)) return;
        index->count--;
        for (int i = found; i < index->count; i++) index->term[i] = index->term[i + 1];
        return;
    }
    if (poly_is(factor, 0)) return;
    int at = index->count++;
    for (; at > 0 && atom_before(atom, index->term[at - 1].atom); at--) index->term[at] = index->term[at - 1];
    index->term[at] = (IndexTerm){factor, atom};
}

static const Index *index_without(Arena *arena, const Index *a, int one, int other) {
    Index *rest = index_room(arena, a->count);
    rest->constant = a->constant;
    for (int i = 0; i < a->count; i++)
        if (i != one && i != other) rest->term[rest->count++] = a->term[i];
    return rest;
}

/* by * (x / by) + x % by is x again. */
static const Index *index_melt(Arena *arena, const Index *a) {
    for (int i = 0; i < a->count; i++) {
        const Atom *mod = a->term[i].atom;
        if (mod->kind != ATOM_MOD) continue;
        Atom div = *mod;
        div.kind = ATOM_DIV;
        const int j = index_find(a, &div);
        if (j < 0 || !poly_equal(a->term[j].factor, poly_mul(arena, a->term[i].factor, mod->by))) continue;
        return index_add(arena, index_without(arena, a, i, j), index_mul(arena, mod->index, a->term[i].factor));
    }
    return a;
}

static bool is_zero(const Index *a) { return a->count == 0 && a->constant->count == 0; }

const Index *index_add(Arena *arena, const Index *a, const Index *b) {
    if (is_zero(a) || is_zero(b)) return is_zero(a) ? b : a;
    Index *sum = index_room(arena, a->count + b->count);
    sum->constant = poly_add(arena, a->constant, b->constant);
    for (int i = 0; i < a->count; i++) index_insert(arena, sum, a->term[i].factor, a->term[i].atom);
    for (int i = 0; i < b->count; i++) index_insert(arena, sum, b->term[i].factor, b->term[i].atom);
    return index_melt(arena, sum);
}

const Index *index_mul(Arena *arena, const Index *a, const Poly *by) {
    if (poly_is(by, 1)) return a;
    Index *product = index_room(arena, a->count);
    product->constant = poly_mul(arena, a->constant, by);
    for (int i = 0; i < a->count; i++)
        index_insert(arena, product, poly_mul(arena, a->term[i].factor, by), a->term[i].atom);
    return product;
}

/* Bounds of an index, both inclusive; false where a factor has no known sign. */
static bool index_range(Arena *arena, const Index *a, const Poly **low, const Poly **high) {
    *low = *high = a->constant;
    for (int i = 0; i < a->count; i++) {
        const Poly *last = poly_add(arena, a->term[i].atom->limit, poly_const(arena, -1));
        const Poly *reach = poly_mul(arena, a->term[i].factor, last);
        if (poly_nonnegative(arena, a->term[i].factor)) *high = poly_add(arena, *high, reach);
        else if (poly_nonnegative(arena, poly_scale(arena, a->term[i].factor, -1))) *low = poly_add(arena, *low, reach);
        else return false;
    }
    return true;
}

static bool index_within(Arena *arena, const Index *a, const Poly *limit) {
    const Poly *low, *high;
    if (!index_range(arena, a, &low, &high)) return false;
    const Poly *room = poly_add(arena, poly_add(arena, limit, poly_const(arena, -1)), poly_scale(arena, high, -1));
    return poly_nonnegative(arena, low) && poly_nonnegative(arena, room);
}

/* a = by * whole + rest, with the terms that `by` divides evenly in `whole`. */
static void index_part(Arena *arena, const Index *a, const Poly *by, Index **whole, Index **rest) {
    const Poly *zero = poly_const(arena, 0), *part = poly_divide(arena, a->constant, by);
    *whole = index_room(arena, a->count);
    *rest = index_room(arena, a->count);
    (*whole)->constant = part ? part : zero;
    (*rest)->constant = part ? zero : a->constant;
    for (int i = 0; i < a->count; i++) {
        part = poly_divide(arena, a->term[i].factor, by);
        if (part) index_insert(arena, *whole, part, a->term[i].atom);
        else index_insert(arena, *rest, a->term[i].factor, a->term[i].atom);
    }
}

const Index *index_div(Arena *arena, const Index *a, const Poly *by, const Poly *limit) {
    Index *whole, *rest;
    if (poly_is(by, 1)) return a;
    index_part(arena, a, by, &whole, &rest);
    if (index_within(arena, rest, by)) return whole;
    return index_of_atom(arena,
                         (Atom){.kind = ATOM_DIV, .depth = index_depth(a), .limit = limit, .index = a, .by = by});
}

const Index *index_mod(Arena *arena, const Index *a, const Poly *by) {
    Index *whole, *rest;
    if (poly_is(by, 1)) return index_const(arena, poly_const(arena, 0));
    index_part(arena, a, by, &whole, &rest);
    if (index_within(arena, rest, by)) return rest;
    return index_of_atom(arena, (Atom){.kind = ATOM_MOD, .depth = index_depth(a), .limit = by, .index = a, .by = by});
}

bool index_equal(const Index *a, const Index *b) {
    if (a == b) return true;
    if (a->count != b->count || !poly_equal(a->constant, b->constant)) return false;
    for (int i = 0; i < a->count; i++) {
        const int j = index_find(b, a->term[i].atom);
        if (j < 0 || !poly_equal(a->term[i].factor, b->term[j].factor)) return false;
    }
    return true;
}

int index_depth(const Index *a) {
    int depth = -1;
    for (int i = 0; i < a->count; i++)
        if (a->term[i].atom->depth > depth) depth = a->term[i].atom->depth;
    return depth;
}

bool index_affine(const Index *a) {
    for (int i = 0; i < a->count; i++)
        if (a->term[i].atom->kind != ATOM_LOOP) return false;
    return true;
}

const Poly *index_factor(Arena *arena, const Index *a, int depth) {
    for (int i = 0; i < a->count; i++)
        if (a->term[i].atom->kind == ATOM_LOOP && a->term[i].atom->depth == depth) return a->term[i].factor;
    return poly_const(arena, 0);
}

/* The index without the loops from the outermost to `depth`. */
static const Index *index_inside(Arena *arena, const Index *a, int depth) {
    Index *inside = index_room(arena, a->count);
    inside->constant = a->constant;
    for (int i = 0; i < a->count; i++)
        if (a->term[i].atom->depth > depth) inside->term[inside->count++] = a->term[i];
    return inside;
}

static const Poly *minus(Arena *arena, const Poly *a, const Poly *b) { return poly_add(arena, a, poly_scale(arena, b, -1)); }

/* One covers nothing that the other does, in all turns of the loops from `depth` inwards: the parts of a concatenation. */
static bool index_disjoint(Arena *arena, const Index *a, const Index *b, int depth) {
    const Poly *low_a, *high_a, *low_b, *high_b, *one = poly_const(arena, 1);
    if (!index_range(arena, index_inside(arena, a, depth - 1), &low_a, &high_a) ||
        !index_range(arena, index_inside(arena, b, depth - 1), &low_b, &high_b))
        return false;
    return poly_nonnegative(arena, minus(arena, minus(arena, low_b, high_a), one)) ||
           poly_nonnegative(arena, minus(arena, minus(arena, low_a, high_b), one));
}

/* Outer loops are in the same turn for both, so they must move both alike. */
static bool outer_alike(Arena *arena, const Index *a, const Index *b, int depth) {
    if (!index_affine(a) || !index_affine(b)) return false;
    for (int outer = 0; outer < depth; outer++)
        if (!poly_equal(index_factor(arena, a, outer), index_factor(arena, b, outer))) return false;
    return true;
}

/* Both move by the same distance in a turn, and what the inner loops add stays below that distance. */
bool index_abreast(Arena *arena, const Index *a, const Index *b, int depth) {
    if (!outer_alike(arena, a, b, depth)) return false;
    const Poly *turn = index_factor(arena, a, depth);
    return poly_equal(turn, index_factor(arena, b, depth)) && !poly_is(turn, 0) &&
           index_within(arena, index_inside(arena, a, depth), turn) &&
           index_within(arena, index_inside(arena, b, depth), turn);
}

bool index_apart(Arena *arena, const Index *a, const Index *b, int depth) {
    return index_abreast(arena, a, b, depth) || (outer_alike(arena, a, b, depth) && index_disjoint(arena, a, b, depth));
}

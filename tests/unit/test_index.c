/* Sizes and indices: what fusion knows about where elements lie, beside evaluating the same for numbers. */
#include "fuse/fuse.h"

#include <criterion/criterion.h>

static Arena *arena;

static void setup(void) { arena = arena_create(); }
static void teardown(void) { arena_destroy(arena); }

TestSuite(poly, .init = setup, .fini = teardown);
TestSuite(index, .init = setup, .fini = teardown);

static const Poly *number(int64_t value) { return poly_const(arena, value); }
static const Poly *batch(int64_t scale) { return poly_dim(arena, dim_batch(scale)); }

static int64_t poly_at(const Poly *poly, int64_t n) {
    int64_t sum = 0;
    for (int i = 0; i < poly->count; i++) {
        int64_t term = poly->term[i].factor;
        for (int p = 0; p < poly->term[i].power[SYMBOL_BATCH]; p++) term *= n;
        sum += term;
    }
    return sum;
}

/* ── sizes ────────────────────────────────────────────────────────────────────────────────── */

Test(poly, equal_polynomials_have_equal_terms) {
    const Poly *square = poly_mul(arena, poly_add(arena, batch(1), number(1)), poly_add(arena, batch(1), number(-1)));
    cr_expect(poly_equal(square, poly_add(arena, number(-1), poly_mul(arena, batch(1), batch(1)))));
    cr_expect(poly_is(poly_add(arena, batch(3), batch(-3)), 0));
    cr_expect_eq(poly_at(square, 7), 48);
}

Test(poly, division_goes_evenly_or_not_at_all) {
    const Poly *product = poly_mul(arena, poly_add(arena, batch(2), number(3)), poly_add(arena, batch(1), number(5)));
    cr_expect(poly_equal(poly_divide(arena, product, poly_add(arena, batch(1), number(5))), poly_add(arena, batch(2), number(3))));
    cr_expect_null(poly_divide(arena, product, number(2)));
    cr_expect_null(poly_divide(arena, batch(3), number(2)));
    cr_expect_null(poly_divide(arena, number(4), batch(1)));
}

Test(poly, signs_hold_for_all_sizes_from_one) {
    cr_expect(poly_nonnegative(arena, poly_add(arena, batch(1), number(-1))));
    cr_expect_not(poly_nonnegative(arena, poly_add(arena, batch(1), number(-2))));
    cr_expect(poly_nonnegative(arena, poly_add(arena, poly_mul(arena, batch(1), batch(1)), batch(-1))));
    cr_expect_not(poly_nonnegative(arena, number(-1)));
}

/* ── indices ──────────────────────────────────────────────────────────────────────────────── */

static int64_t index_at(const Index *index, const int64_t *loops, int64_t n) {
    int64_t sum = poly_at(index->constant, n);
    for (int i = 0; i < index->count; i++) {
        const Atom *atom = index->term[i].atom;
        int64_t value = 0;
        if (atom->kind == ATOM_LOOP) value = loops[atom->depth];
        if (atom->kind == ATOM_DIV) value = index_at(atom->index, loops, n) / poly_at(atom->by, n);
        if (atom->kind == ATOM_MOD) value = index_at(atom->index, loops, n) % poly_at(atom->by, n);
        sum += poly_at(index->term[i].factor, n) * value;
    }
    return sum;
}

static Shape shape3(int64_t a, int64_t b, int64_t c) { return (Shape){.rank = 3, .dim = {dim_const(a), dim_const(b), dim_const(c)}}; }

Test(index, an_address_split_and_put_together_is_the_loops_again) {
    const Shape shape = shape3(4, 5, 6);
    const Poly *extent[] = {number(4), number(5), number(6)};
    const Index *at[3], *split[3];
    for (int i = 0; i < 3; i++) at[i] = index_loop(arena, i, extent[i]);
    const Index *address = index_address(arena, &shape, at);
    index_split(arena, address, 3, extent, split);
    for (int i = 0; i < 3; i++) cr_expect(index_equal(split[i], at[i]), "axis %d", i);
}

/* One loop over 120 elements read as [4, 5, 6] and as [10, 12]: divisions appear, and melt away in the address. */
Test(index, divisions_melt) {
    const Poly *extent[] = {number(4), number(5), number(6)};
    const Shape shape = shape3(4, 5, 6);
    const Index *flat = index_loop(arena, 0, number(120)), *at[3];
    index_split(arena, flat, 3, extent, at);
    cr_expect_not(index_affine(at[1]));
    cr_expect(index_equal(index_address(arena, &shape, at), flat));
    for (int64_t i = 0; i < 120; i++) {
        cr_expect_eq(index_at(at[0], &i, 1), i / 30);
        cr_expect_eq(index_at(at[1], &i, 1), i / 6 % 5);
        cr_expect_eq(index_at(at[2], &i, 1), i % 6);
    }
}

Test(index, what_divides_evenly_leaves_no_division) {
    const Index *rows = index_mul(arena, index_loop(arena, 0, batch(1)), number(784)), *column = index_loop(arena, 1, number(784));
    const Index *address = index_add(arena, rows, column);
    cr_expect(index_equal(index_div(arena, address, number(784), batch(1)), index_loop(arena, 0, batch(1))));
    cr_expect(index_equal(index_mod(arena, address, number(784)), column));
    cr_expect_not(index_affine(index_mod(arena, address, number(100))));
}

Test(index, a_loop_of_one_turn_is_zero) { cr_expect_eq(index_loop(arena, 0, number(1))->count, 0); }

Test(index, turns_are_apart_where_inner_loops_stay_within) {
    const Index *i = index_loop(arena, 0, batch(1)), *j = index_loop(arena, 1, number(8));
    const Index *row = index_add(arena, index_mul(arena, i, number(8)), j);
    const Index *wide = index_add(arena, index_mul(arena, i, number(4)), j);
    const Index *turned = index_add(arena, index_mul(arena, j, batch(1)), i);
    cr_expect(index_apart(arena, row, row, 0));
    cr_expect(index_apart(arena, row, row, 1));
    cr_expect_not(index_apart(arena, wide, wide, 0), "rows that overlap");
    cr_expect_not(index_apart(arena, row, turned, 0), "rows and columns");
    cr_expect_not(index_apart(arena, j, j, 0), "the same element in every turn");
}

/* The parts of a concatenation: never the same elements, though no turn of one meets a turn of the other. */
Test(index, parts_of_a_concatenation_are_apart_and_not_abreast) {
    const Index *i = index_loop(arena, 0, number(4)), *j = index_loop(arena, 1, number(3)), *rows = index_mul(arena, i, number(3));
    const Index *first = index_add(arena, rows, j), *behind = index_add(arena, first, index_const(arena, number(12)));
    const Index *touching = index_add(arena, first, index_const(arena, number(11)));
    cr_expect(index_apart(arena, first, behind, 0));
    cr_expect(index_apart(arena, behind, first, 0));
    cr_expect_not(index_abreast(arena, first, behind, 0), "elements of other rows");
    cr_expect_not(index_apart(arena, first, touching, 0), "the last element of one is the first of the other");
}

/* In a loop over time, all steps before are in the same turn: what a step writes into a sequence lies beside what it reads. */
Test(index, turns_inside_a_turn_of_time) {
    const Index *time = index_loop(arena, 0, number(5)), *i = index_loop(arena, 1, batch(1)), *j = index_loop(arena, 2, number(2));
    const Index *step = index_add(arena, index_mul(arena, i, number(2)), j);
    const Index *now = index_add(arena, step, index_mul(arena, time, batch(2)));
    cr_expect(index_abreast(arena, now, now, 1));
    cr_expect(index_apart(arena, now, now, 1));
    cr_expect_not(index_apart(arena, now, step, 1), "another step's elements");
}

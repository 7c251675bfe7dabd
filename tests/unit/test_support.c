/* The fragments that gdlc copies into its output: mathematical functions beside the library's in double precision, random
 * numbers beside the published ones. (Matrix products, convolutions: support/.) */
#include "../../compiler/support/random.c"

#include <criterion/criterion.h>
#include <float.h>
#include <stdio.h>

/* ── mathematical functions ───────────────────────────────────────────────────────────────── */

/* How far apart, in units in the last place of the right value. */
static double units(float got, double right) {
    int exponent;
    if (isnan(right) || isnan(got)) return isnan(right) && isnan(got) ? 0 : INFINITY;
    if (got == (float)right) return 0;
    if (isinf(got) || isinf((float)right)) return INFINITY;
    frexp(right, &exponent);
    const double unit = ldexp(1, exponent - FLT_MANT_DIG), least = ldexp(1, FLT_MIN_EXP - FLT_MANT_DIG);
    return fabs((double)got - right) / (unit > least ? unit : least);
}

static void check(const char *name, float (*function)(float), double (*right)(double), double low, double high, double most) {
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MIN, -FLT_MIN, 1e-45f, FLT_MAX, -FLT_MAX, 1.0f, -1.0f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const float x = special[i];
        if (!isnan(x) && !((double)x >= low && (double)x <= high)) continue;
        cr_expect_leq(units(function(x), right((double)x)), most, "%s(%g) is %.9g, not %.9g", name, (double)x, (double)function(x), right((double)x));
    }
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 1999) { /* a prime: every exponent, and mantissas of all kinds */
        const float x = support_from_bits((uint32_t)bits);
        if (!((double)x >= low && (double)x <= high)) continue;
        const double off = units(function(x), right((double)x));
        cr_assert_leq(off, most, "%s(%.9g) is %.9g, not %.9g: %.1f units", name, (double)x, (double)function(x), right((double)x), off);
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

Test(math, exp) { check("exp", support_exp, exp, -INFINITY, INFINITY, 1.5); }
Test(math, log) { check("log", support_log, log, -INFINITY, INFINITY, 1.5); }
Test(math, log1p) { check("log1p", support_log1p, log1p, 0, 1, 2); }
Test(math, sqrt) { check("sqrt", support_sqrt, sqrt, -INFINITY, INFINITY, 1); }
Test(math, tanh) { check("tanh", support_tanh, tanh, -INFINITY, INFINITY, 2); }
Test(math, sigmoid) { check("sigmoid", support_sigmoid, sigmoid, -INFINITY, INFINITY, 3); }
Test(math, softplus) { check("softplus", support_softplus, softplus, -INFINITY, INFINITY, 3); }
Test(math, erf) { check("erf", support_erf, erf, -INFINITY, INFINITY, 2); }
Test(math, sin) { check("sin", support_sin, sin, -1e6, 1e6, 3); }
Test(math, cos) { check("cos", support_cos, cos, -1e6, 1e6, 3); }

Test(math, select_takes_what_the_condition_says) {
    cr_expect_eq(support_select(1, 2.0f, NAN), 2.0f);
    cr_expect_eq(support_select(0, NAN, 3.0f), 3.0f);
}

Test(math, rows_are_taken_to_the_nearest) {
    cr_expect_eq(support_row(-3.0f, 5), 0);
    cr_expect_eq(support_row(NAN, 5), 0);
    cr_expect_eq(support_row(2.9f, 5), 2);
    cr_expect_eq(support_row(INFINITY, 5), 4);
}

Test(math, lanes_are_folded) {
    float lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = (float)(i * 7 % 16) - 20.0f;
    cr_expect_eq(support_fold_sum(lanes), 120.0f - 320.0f);
    cr_expect_eq(support_fold_max(lanes), -5.0f);
}

/* ── random numbers ───────────────────────────────────────────────────────────────────────── */

/* The known answers of Random123 for Philox 4x32-10. */
Test(random, philox_as_published) {
    static const struct { uint32_t counter[4], key[2], answer[4]; } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t word[4][16];
        const uint32_t *c = known[i].counter, *k = known[i].key;
        support_philox((uint64_t)k[1] << 32 | k[0], (uint64_t)c[2] << 32 | c[1], c[3], c[0] / 16, word);
        for (int w = 0; w < 4; w++) cr_expect_eq(word[w][c[0] % 16], known[i].answer[w]);
    }
}

/* A number depends on its position, not on the call that asked for it. */
Test(random, pieces_are_the_whole) {
    enum { COUNT = 333 };
    float whole[COUNT], piece[COUNT];
    support_normal(5, 6, 7, 11, COUNT, whole);
    for (size_t size = 1; size < 100; size += 7)
        for (size_t first = 0; first + size <= COUNT; first += size) {
            support_normal(5, 6, 7, 11 + first, size, piece);
            cr_assert_arr_eq(piece, whole + first, size * sizeof(float));
        }
}

static void moments(const float *values, size_t count, double *mean, double *variance) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i];
    *mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) square += ((double)values[i] - *mean) * ((double)values[i] - *mean);
    *variance = square / (double)count;
}

Test(random, uniform_and_normal_are_so) {
    enum { COUNT = 200000 };
    static float values[COUNT];
    double mean, variance;
    support_uniform(1, 2, 3, 0, COUNT, values);
    moments(values, COUNT, &mean, &variance);
    for (int i = 0; i < COUNT; i++) cr_assert(values[i] > 0.0f && values[i] < 1.0f);
    cr_expect_float_eq(mean, 0.5, 0.003);
    cr_expect_float_eq(variance, 1.0 / 12, 0.001);
    support_normal(1, 2, 3, 0, COUNT, values);
    moments(values, COUNT, &mean, &variance);
    cr_expect_float_eq(mean, 0, 0.01);
    cr_expect_float_eq(variance, 1, 0.02);
}

static void check_orthogonal(size_t rows, size_t columns) {
    float matrix[64];
    const size_t vectors = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    const size_t along = rows < columns ? 1 : columns, across = rows < columns ? columns : 1;
    support_orthogonal(9, 0, 1, rows, columns, matrix);
    for (size_t u = 0; u < vectors; u++)
        for (size_t v = 0; v < vectors; v++) {
            double dot = 0;
            for (size_t i = 0; i < length; i++) dot += (double)matrix[u * across + i * along] * (double)matrix[v * across + i * along];
            cr_expect_float_eq(dot, u == v, 1e-6);
        }
}

Test(random, orthogonal_matrices_are_so) {
    check_orthogonal(8, 8);
    check_orthogonal(9, 4);
    check_orthogonal(4, 9);
    check_orthogonal(1, 5);
    check_orthogonal(5, 1);
}

/* The fragments that gdlc copies into its output: mathematical functions beside the library's in double precision, random
 * numbers beside the published ones. (Matrix products, convolutions: support/.) */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef NO_VECTORS /* as with a compiler that knows none */
#undef __GNUC__
#endif
#include "../../compiler/support/random.c"

#ifndef STRIDE
#define STRIDE 1999 /* a prime: every exponent, and mantissas of all kinds */
#endif

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

/* Of a vector whose other lanes hold other numbers. */
static float lane_of(support_vector (*function)(support_vector), float x) {
    float lane[SUPPORT_LANES];
    for (int i = 0; i < SUPPORT_LANES; i++) lane[i] = (float)i - 3.5f;
    lane[SUPPORT_LANES / 2] = x;
    support_vector_store(lane, function(support_vector_load(lane)));
    return lane[SUPPORT_LANES / 2];
}

static float number(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void check(const char *name, support_vector (*function)(support_vector), double (*right)(double), double low, double high, double most) {
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, FLT_MIN, -FLT_MIN, 1e-45f, FLT_MAX, -FLT_MAX, 1.0f, -1.0f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const float x = special[i];
        if (!isnan(x) && !((double)x >= low && (double)x <= high)) continue;
        cr_expect_leq(units(lane_of(function, x), right((double)x)), most, "%s(%g) is %.9g, not %.9g", name, (double)x, (double)lane_of(function, x), right((double)x));
    }
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STRIDE) {
        const float x = number((uint32_t)bits);
        if (!((double)x >= low && (double)x <= high)) continue;
        const double off = units(lane_of(function, x), right((double)x));
        cr_assert_leq(off, most, "%s(%.9g) is %.9g, not %.9g: %.1f units", name, (double)x, (double)lane_of(function, x), right((double)x), off);
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

static support_vector from(const float *numbers) { return support_vector_load_part(numbers, SUPPORT_LANES); }

static void expect_lanes(support_vector got, const float *right) {
    float lane[SUPPORT_LANES];
    support_vector_store(lane, got);
    for (int i = 0; i < SUPPORT_LANES; i++) cr_expect(lane[i] == right[i] || (isnan(lane[i]) && isnan(right[i])), "lane %d: %g, not %g", i, (double)lane[i], (double)right[i]);
}

static const float left[16] = {1, -2, NAN, 0, INFINITY, -0.0f, 5, 6, 2.5f, -2.5f, 3.5f, -7, 8, 1e9f, -1e9f, 0.5f};
static const float right[16] = {1, 2, 3, NAN, INFINITY, 0.0f, 4, 7, 2.5f, -3, 4, -8, 9, 1e8f, 1e8f, -0.5f};

Test(math, comparisons_lane_by_lane) {
    float less[16], at_most[16], equal[16], larger[16], smaller[16], picked[16];
    for (int i = 0; i < 16; i++) {
        less[i] = left[i] < right[i], at_most[i] = left[i] <= right[i], equal[i] = left[i] == right[i];
        larger[i] = left[i] > right[i] ? left[i] : right[i], smaller[i] = left[i] < right[i] ? left[i] : right[i];
        picked[i] = left[i] < right[i] ? 100.0f : left[i];
    }
    expect_lanes(support_indicator(support_less(from(left), from(right))), less);
    expect_lanes(support_indicator(support_at_most(from(left), from(right))), at_most);
    expect_lanes(support_indicator(support_equal(from(left), from(right))), equal);
    expect_lanes(support_max(from(left), from(right)), larger);
    expect_lanes(support_min(from(left), from(right)), smaller);
    expect_lanes(support_select(support_less(from(left), from(right)), support_vector_spread(100.0f), from(left)), picked);
}

Test(math, rounding_lane_by_lane) {
    float down[16], nearest[16], sign[16], absolute[16], power[16];
    for (int i = 0; i < 16; i++) {
        down[i] = floorf(left[i]), nearest[i] = nearbyintf(left[i]), absolute[i] = fabsf(left[i]);
        sign[i] = (float)(left[i] > 0) - (float)(left[i] < 0), power[i] = powf(left[i], right[i]);
    }
    expect_lanes(support_floor(from(left)), down);
    expect_lanes(support_round(from(left)), nearest);
    expect_lanes(support_abs(from(left)), absolute);
    expect_lanes(support_sign(from(left)), sign);
    expect_lanes(support_pow(from(left), from(right)), power);
}

Test(math, parts_of_vectors) {
    for (ptrdiff_t count = 1; count <= 2 * SUPPORT_LANES; count++) {
        float part[16], first[16], every[16], stored[16], numbers[48], scattered[48];
        for (int i = 0; i < 48; i++) numbers[i] = (float)i;
        for (int i = 0; i < 16; i++) {
            part[i] = i < count ? numbers[i] : 0.0f, first[i] = i < count ? numbers[i] : -1.0f, every[i] = i < count ? numbers[3 * i] : 0.0f;
            stored[i] = -1.0f;
        }
        expect_lanes(support_vector_load_part(numbers, count), part);
        expect_lanes(support_first(support_vector_load(numbers), count, support_vector_spread(-1.0f)), first);
        expect_lanes(support_vector_load_every(numbers, 3, count), every);
        for (int i = 0; i < 48; i++) scattered[i] = numbers[i], numbers[i] *= 2.0f;
        support_vector_store_every(scattered, support_vector_load(numbers), 3, count);
        for (int i = 0; i < 48; i++) cr_expect_eq(scattered[i], i % 3 == 0 && i / 3 < count && i / 3 < SUPPORT_LANES ? (float)(2 * (i / 3)) : (float)i);
        for (int i = 0; i < 48; i++) numbers[i] = (float)i;
        support_vector_store_part(stored, support_vector_load(numbers), count);
        for (int i = 0; i < SUPPORT_LANES; i++) cr_expect_eq(stored[i], first[i]);
    }
}

Test(math, rows_are_taken_to_the_nearest) {
    cr_expect_eq(support_row(-3.0f, 5), 0);
    cr_expect_eq(support_row(NAN, 5), 0);
    cr_expect_eq(support_row(2.9f, 5), 2);
    cr_expect_eq(support_row(INFINITY, 5), 4);
}

Test(math, lanes_are_folded) {
    float lanes[16], sum = 0.0f, largest = -INFINITY;
    for (int i = 0; i < SUPPORT_LANES; i++) {
        lanes[i] = (float)(i * 7 % 16) - 20.0f;
        sum += lanes[i];
        largest = fmaxf(largest, lanes[i]);
    }
    cr_expect_eq(support_vector_sum(support_vector_load(lanes)), sum);
    cr_expect_eq(support_vector_largest(support_vector_load(lanes)), largest);
    cr_expect_eq(support_lane(support_vector_load(lanes)), lanes[0]);
}

/* The largest of lanes is not lost, and neither is what is not a number. */
Test(math, nans_are_kept) {
    float larger[16], lanes[16];
    for (int i = 0; i < 16; i++) larger[i] = isnan(left[i]) || isnan(right[i]) ? NAN : left[i] > right[i] ? left[i] : right[i];
    expect_lanes(support_largest(from(left), from(right)), larger);
    expect_lanes(support_largest(from(right), from(left)), larger);
    for (int i = 0; i < SUPPORT_LANES; i++) {
        for (int k = 0; k < SUPPORT_LANES; k++) lanes[k] = k == i ? NAN : (float)(k % 3);
        cr_expect(isnan(support_vector_largest(support_vector_load(lanes))));
    }
}

/* Where values are equal, the first place counts. */
Test(math, places_of_the_largest) {
    float values[16], places[16];
    for (int i = 0; i < SUPPORT_LANES; i++) values[i] = (float)(i % 4 == 3), places[i] = (float)(100 - i);
    const int last = SUPPORT_LANES / 4 * 4 - 1;
    cr_expect_eq(support_vector_place(support_vector_load(values), support_vector_load(places)), SUPPORT_LANES < 4 ? 100.0f : (float)(100 - last));
    support_vector_store(values, support_vector_count(7.0f));
    for (int i = 0; i < SUPPORT_LANES; i++) cr_expect_eq(values[i], (float)(7 + i));
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

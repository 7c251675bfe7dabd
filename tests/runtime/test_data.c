/* test_data.c: arrays bound to inputs: what fits, what is refused, how values are converted; samples; orders. */
#include "gdl.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t image_shape[] = {2, 2};
static const gdl_port ports[] = {{"x", 2, image_shape, 4, 0, NULL}, {"label", 0, NULL, 1, 3, NULL}};

static uint8_t pixels[6][4] = {{0, 51, 102, 255}, {1}, {2}, {3}, {4}, {5}};
static int64_t kinds[6] = {0, 1, 2, 1, 0, 1};
static char path_x[] = "x.npy", path_label[] = "labels.npy";

static gdl_array pixel_array(void) { return (gdl_array){path_x, GDL_U8, 3, {6, 2, 2}, 24, pixels}; }
static gdl_array kind_array(void) { return (gdl_array){path_label, GDL_I64, 1, {6}, 6, kinds}; }

static void expect_refused(const gdl_array *x, const gdl_array *label, const char *phrase) {
    gdl_data data;
    gdl_error error = {""};
    const gdl_array *arrays[] = {x, label};
    cr_assert_eq(gdl_data_bind(&data, ports, 2, arrays, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
    cr_expect_null(data.array);
}

static gdl_data bind(const gdl_array *x, const gdl_array *label) {
    gdl_data data;
    gdl_error error = {""};
    const gdl_array *arrays[] = {x, label};
    cr_assert_eq(gdl_data_bind(&data, ports, 2, arrays, &error), 0, "%s", error.text);
    return data;
}

Test(data, gathers_and_converts) {
    gdl_array x = pixel_array(), label = kind_array();
    gdl_data data = bind(&x, &label);
    const size_t index[] = {5, 0};
    float image[2][4];
    int32_t kind[2];
    void *to[] = {image, kind};
    gdl_gather(&data, index, 2, to);
    const float expected[2][4] = {{5 / 255.0f, 0, 0, 0}, {0, 0.2f, 0.4f, 1}};
    cr_expect_arr_eq(image, expected, sizeof expected);
    cr_expect_eq(kind[0], 1);
    cr_expect_eq(kind[1], 0);
    gdl_data_free(&data);
}

/* ── Sizes that are known only at run time ── */

static const gdl_size lengths[] = {{"time", 0, 2, 9}};
static const size_t largest_x[] = {9, 2}, largest_y[] = {19};
static const gdl_extent extent_x[] = {{&lengths[0], 1, 0}, {NULL, 0, 2}}, extent_y[] = {{&lengths[0], 2, 1}};
static const gdl_port sequences[] = {{"x", 2, largest_x, 18, 0, extent_x}, {"y", 1, largest_y, 19, 0, extent_y}};
static uint8_t steps[200];
static char path_steps[] = "steps.npy";

static gdl_array step_array(size_t rank, size_t time, size_t width) {
    return (gdl_array){path_steps, GDL_U8, rank, {4, time, width}, rank == 3 ? 4 * time * width : 4 * time, steps};
}

static void expect_sequence_refused(gdl_array x, gdl_array y, const char *phrase) {
    gdl_data data;
    gdl_error error = {""};
    const gdl_array *arrays[] = {&x, &y};
    cr_expect_eq(gdl_data_bind(&data, sequences, 2, arrays, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
}

Test(data, sizes_follow_from_the_arrays) {
    gdl_data data;
    gdl_error error = {""};
    gdl_array x = step_array(3, 5, 2), y = step_array(2, 11, 1);
    const gdl_array *arrays[] = {&x, &y};
    cr_assert_eq(gdl_data_bind(&data, sequences, 2, arrays, &error), 0, "%s", error.text);
    cr_expect_eq(data.size[0], 5);
    cr_expect_eq(data.port[0].size, 10);
    cr_expect_eq(data.port[0].shape[0], 5);
    cr_expect_eq(data.port[1].size, 11);
    gdl_data_free(&data);
}

Test(data, sizes_must_fit) {
    expect_sequence_refused(step_array(3, 5, 2), step_array(2, 9, 1), "time is 4 for input y, but 5 for an input before it");
    expect_sequence_refused(step_array(3, 5, 2), step_array(2, 10, 1), "input y expects examples of shape [2 * time + 1], time from 2 to 9");
    expect_sequence_refused(step_array(3, 10, 2), step_array(2, 21, 1), "input x expects examples of shape [time, 2], time from 2 to 9");
    expect_sequence_refused(step_array(3, 1, 2), step_array(2, 3, 1), "but the file holds 4 examples of shape [1, 2]");
    expect_sequence_refused(step_array(3, 5, 3), step_array(2, 11, 1), "but the file holds 4 examples of shape [5, 3]");
    expect_sequence_refused(step_array(2, 10, 1), step_array(2, 11, 1), "but the file holds 4 examples of shape [10]");
}

Test(data, every_byte_is_divided_exactly) {
    uint8_t bytes[256];
    float unit[256];
    static const size_t shape[] = {1}; /* of one example */
    static const gdl_port port = {"x", 1, shape, 1, 0, NULL};
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    gdl_array array = {path_x, GDL_U8, 1, {256}, 256, bytes};
    const gdl_array *arrays[] = {&array};
    gdl_data data;
    cr_assert_eq(gdl_data_bind(&data, &port, 1, arrays, NULL), 0);
    for (size_t i = 0; i < 256; i++) {
        void *to[] = {&unit[i]};
        gdl_gather(&data, &i, 1, to);
        cr_expect_eq(unit[i], (float)i / 255.0f);
    }
    gdl_data_free(&data);
}

Test(data, shapes_need_as_many_values) {
    gdl_array x = pixel_array(), label = kind_array();
    x.rank = 2;
    x.shape[1] = 4; /* [6, 4] is as good as [6, 2, 2] */
    gdl_data data = bind(&x, &label);
    gdl_data_free(&data);
    x.shape[0] = 8, x.shape[1] = 3;
    expect_refused(&x, &label, "x.npy: input x expects examples of shape [2, 2], 4 values each, but the file holds 8 examples of shape [3]");
}

Test(data, counts_must_agree) {
    gdl_array x = pixel_array(), label = kind_array();
    label.shape[0] = label.size = 5;
    expect_refused(&x, &label, "labels.npy has 5 examples");
    expect_refused(&x, &label, "they must be as many: cut the longer, as by array[:5] in NumPy");
}

Test(data, labels_in_range) {
    gdl_array x = pixel_array(), label = kind_array();
    kinds[4] = 3;
    expect_refused(&x, &label, "labels.npy: input label expects labels from 0 to 2, but example 4 (counted from 0) has the label 3");
    kinds[4] = -1;
    expect_refused(&x, &label, "the label -1");
    kinds[4] = INT64_C(1) << 32; /* 0, if it were cut to 32 bits */
    expect_refused(&x, &label, "the label 4294967296");
    static float real[6];
    label = (gdl_array){path_label, GDL_F32, 1, {6}, 6, real};
    expect_refused(&x, &label, "whole numbers");
}

Test(data, values_are_finite) {
    static float values[6][4];
    static double wide[6][4];
    gdl_array label = kind_array(), x = {path_x, GDL_F32, 3, {6, 2, 2}, 24, values};
    values[3][1] = NAN;
    expect_refused(&x, &label, "example 3 (counted from 0)");
    values[3][1] = 0;
    values[5][3] = -INFINITY;
    expect_refused(&x, &label, "example 5 (counted from 0)");
    x = (gdl_array){path_x, GDL_F64, 3, {6, 2, 2}, 24, wide};
    wide[2][2] = 1e39; /* infinite as a float */
    expect_refused(&x, &label, "example 2 (counted from 0)");
}

/* ── Samples ── */

static void expect_sample(const gdl_sample *sample, size_t count, const size_t *index) {
    cr_assert_eq(sample->count, count, "%zu examples rather than %zu", sample->count, count);
    cr_expect_arr_eq(sample->index, index, count * sizeof *index);
}

Test(sample, first_few) {
    gdl_array x = pixel_array(), label = kind_array();
    gdl_data data = bind(&x, &label);
    gdl_sample sample;
    cr_assert_eq(gdl_sample_range(&sample, &data, 2, 4, NULL), 0);
    expect_sample(&sample, 4, (const size_t[]){2, 3, 4, 5});
    gdl_sample_limit(&sample, 3, 0, NULL);
    expect_sample(&sample, 3, (const size_t[]){2, 3, 4});
    gdl_sample_limit(&sample, 100, 0, NULL);
    expect_sample(&sample, 3, (const size_t[]){2, 3, 4});
    gdl_sample_free(&sample);
    gdl_data_free(&data);
}

Test(sample, balanced) {
    gdl_array x = pixel_array(), label = kind_array();
    gdl_data data = bind(&x, &label); /* 0 1 2 1 0 1 */
    gdl_sample sample;
    gdl_error error = {""};
    cr_assert_eq(gdl_sample_range(&sample, &data, 0, 6, NULL), 0);
    cr_assert_eq(gdl_sample_limit(&sample, 5, 1, &error), 0, "%s", error.text);
    expect_sample(&sample, 5, (const size_t[]){0, 1, 2, 3, 4});
    cr_assert_eq(gdl_sample_limit(&sample, 3, 1, &error), 0, "%s", error.text);
    expect_sample(&sample, 3, (const size_t[]){0, 1, 2});
    gdl_sample_free(&sample);
    cr_assert_eq(gdl_sample_range(&sample, &data, 0, 6, NULL), 0);
    cr_assert_eq(gdl_sample_limit(&sample, 6, 1, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "1 more examples of class 2"), "%s", error.text);
    gdl_sample_free(&sample);
    gdl_data_free(&data);
}

Test(sample, balanced_needs_labels) {
    gdl_array x = pixel_array();
    const gdl_array *arrays[] = {&x};
    gdl_data data;
    gdl_sample sample;
    cr_assert_eq(gdl_data_bind(&data, ports, 1, arrays, NULL), 0);
    cr_assert_eq(gdl_sample_range(&sample, &data, 0, 6, NULL), 0);
    cr_expect_eq(gdl_sample_limit(&sample, 3, 1, NULL), GDL_FAILED);
    gdl_sample_free(&sample);
    gdl_data_free(&data);
}

/* ── Random numbers ── */

/* The known answers that come with Random123. */
Test(random, philox_known_answers) {
    static const struct { uint64_t key; uint32_t counter[4], words[4]; } cases[] = {
        {0, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint32_t words[4];
        gdl_philox(cases[c].key, cases[c].counter, words);
        cr_expect_arr_eq(words, cases[c].words, sizeof words, "case %zu", c);
    }
}

enum { ORDER = 1000 };

static void shuffled(size_t *order, uint64_t seed, uint32_t stream, uint64_t epoch) {
    for (size_t i = 0; i < ORDER; i++) order[i] = i;
    gdl_shuffle(order, ORDER, seed, stream, epoch);
}

Test(random, orders_are_permutations_and_pure) {
    size_t a[ORDER], b[ORDER], seen[ORDER] = {0};
    shuffled(a, 42, 0, 3);
    shuffled(b, 42, 0, 3);
    cr_expect_arr_eq(a, b, sizeof a);
    for (size_t i = 0; i < ORDER; i++) seen[a[i]]++;
    for (size_t i = 0; i < ORDER; i++) cr_expect_eq(seen[i], 1);
    shuffled(b, 42, 0, 4);
    cr_expect_arr_neq(a, b, sizeof a, "another epoch, another order");
    shuffled(b, 42, 1, 3);
    cr_expect_arr_neq(a, b, sizeof a, "another stage, another order");
    shuffled(b, 43, 0, 3);
    cr_expect_arr_neq(a, b, sizeof a, "another seed, another order");
}

/* Over many epochs each example comes first equally often: chi square with 9 degrees of freedom. */
Test(random, orders_are_uniform) {
    double chi = 0;
    size_t first[10] = {0};
    for (uint64_t epoch = 0; epoch < 10000; epoch++) {
        size_t order[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        gdl_shuffle(order, 10, 7, 0, epoch);
        first[order[0]]++;
    }
    for (int i = 0; i < 10; i++) chi += ((double)first[i] - 1000) * ((double)first[i] - 1000) / 1000;
    cr_expect_lt(chi, 27.9, "chi square %g is beyond the quantile of 0.999", chi);
}

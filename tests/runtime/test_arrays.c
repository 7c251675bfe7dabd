/* test_arrays.c: IDX and .npy files, whole and broken, plain and compressed. */
#include "gdl.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(arrays, .init = scratch_enter, .fini = scratch_leave);

static const uint8_t six[] = {0, 1, 2, 127, 128, 255};

static size_t small_idx(unsigned char *bytes) {
    const uint32_t shape[] = {2, 3};
    return idx_bytes(bytes, 2, shape, six);
}

static void expect_error(const char *path, const char *phrase) {
    gdl_array array;
    gdl_error error;
    cr_assert_eq(gdl_array_read(&array, path, &error), GDL_FAILED, "%s should not be readable", path);
    cr_assert_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
    cr_assert_not_null(strstr(error.text, path), "expected the file's name in: %s", error.text);
    cr_assert_null(array.values);
}

static void expect_six(const char *path) {
    gdl_array array;
    gdl_error error = {""};
    cr_assert_eq(gdl_array_read(&array, path, &error), 0, "%s", error.text);
    cr_expect_eq(array.type, GDL_U8);
    cr_expect_eq(array.rank, 2);
    cr_expect_eq(array.shape[0], 2);
    cr_expect_eq(array.shape[1], 3);
    cr_expect_eq(array.size, 6);
    cr_expect_arr_eq(array.values, six, sizeof six);
    gdl_array_free(&array);
}

Test(arrays, idx_plain_and_compressed) {
    unsigned char bytes[64];
    size_t size = small_idx(bytes);
    write_file("a.idx", bytes, size);
    write_gzip("a.idx.gz", bytes, size);
    expect_six("a.idx");
    expect_six("a.idx.gz");
}

Test(arrays, idx_big_endian_types) {
    static const unsigned char ints[] = {0, 0, 0x0C, 1, 0, 0, 0, 2, 0, 0, 1, 2, 0xFF, 0xFF, 0xFF, 0xFE};
    static const unsigned char floats[] = {0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3F, 0xC0, 0, 0};
    gdl_array array;
    write_file("i.idx", ints, sizeof ints);
    cr_assert_eq(gdl_array_read(&array, "i.idx", NULL), 0);
    cr_expect_eq(array.type, GDL_I32);
    cr_expect_eq(((int32_t *)array.values)[0], 258);
    cr_expect_eq(((int32_t *)array.values)[1], -2);
    gdl_array_free(&array);
    write_file("f.idx", floats, sizeof floats);
    cr_assert_eq(gdl_array_read(&array, "f.idx", NULL), 0);
    cr_expect_eq(array.type, GDL_F32);
    cr_expect_eq(((float *)array.values)[0], 1.5f);
    gdl_array_free(&array);
}

/* Every file that ends too early, and one that goes on, is an error that does not crash. */
Test(arrays, idx_cut_at_every_byte) {
    unsigned char bytes[64];
    size_t size = small_idx(bytes);
    for (size_t length = 0; length < size; length++) {
        write_file("cut.idx", bytes, length);
        expect_error("cut.idx", length < 12 ? "header" : "promises");
    }
    bytes[size] = 0;
    write_file("long.idx", bytes, size + 1);
    expect_error("long.idx", "goes on");
}

Test(arrays, gzip_cut_at_every_byte) {
    unsigned char bytes[64];
    size_t size = small_idx(bytes), compressed;
    write_gzip("a.gz", bytes, size);
    char *whole = read_file("a.gz", &compressed);
    for (size_t length = 0; length < compressed; length++) {
        write_file("cut.gz", whole, length);
        expect_error("cut.gz", "cut.gz");
    }
    whole[compressed - 6] ^= 1; /* the sum of the data */
    write_file("cut.gz", whole, compressed);
    expect_error("cut.gz", "cut.gz cannot be read: incorrect data check");
    free(whole);
}

/* A header that promises terabytes costs an error, not memory. */
Test(arrays, huge_promises) {
    static const unsigned char huge[] = {0, 0, 8, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0, 0, 0, 1, 0, 1, 2, 3};
    static const unsigned char beyond[] = {0, 0, 0x0E, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    write_file("huge.idx", huge, sizeof huge);
    expect_error("huge.idx", "ends after 3");
    write_file("beyond.idx", beyond, sizeof beyond);
    expect_error("beyond.idx", "too large");
}

Test(arrays, idx_bad_headers) {
    static const unsigned char type[] = {0, 0, 0x0A, 1, 0, 0, 0, 1, 7}, rank[] = {0, 0, 8, 9, 0, 0, 0, 1};
    static const unsigned char none[] = {0, 0, 8, 0}, empty[] = {0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3};
    write_file("type", type, sizeof type);
    expect_error("type", "0A");
    write_file("rank", rank, sizeof rank);
    expect_error("rank", "axes");
    write_file("none", none, sizeof none);
    expect_error("none", "axes");
    write_file("empty", empty, sizeof empty);
    expect_error("empty", "[0, 3]");
    write_file("png", "\x89PNG\r\n", 6);
    expect_error("png", "neither IDX nor .npy");
    expect_error("absent", "No such file");
    expect_error(".", "directory");
}

/* ── .npy ── */

static size_t npy_bytes(char *to, const char *dictionary, const void *values, size_t size) {
    size_t length = strlen(dictionary);
    memcpy(to, "\x93NUMPY\x01\x00", 8);
    to[8] = (char)length;
    to[9] = 0;
    memcpy(to + 10, dictionary, length);
    memcpy(to + 10 + length, values, size);
    return 10 + length + size;
}

static void write_npy(const char *path, const char *dictionary, const void *values, size_t size) {
    char bytes[512];
    write_file(path, bytes, npy_bytes(bytes, dictionary, values, size));
}

Test(arrays, npy_types) {
    static const struct { const char *descr; gdl_type type; unsigned char value[8]; size_t width; double expected; } kinds[] = {
        {"|u1", GDL_U8, {200}, 1, 200},
        {"|i1", GDL_I8, {0xFF}, 1, -1},
        {"<i2", GDL_I16, {2, 1}, 2, 258},
        {">i2", GDL_I16, {1, 2}, 2, 258},
        {"<i4", GDL_I32, {0xFE, 0xFF, 0xFF, 0xFF}, 4, -2},
        {"<i8", GDL_I64, {0, 0, 0, 0, 1}, 8, 4294967296.0},
        {"<f4", GDL_F32, {0, 0, 0xC0, 0x3F}, 4, 1.5},
        {">f8", GDL_F64, {0x3F, 0xF8}, 8, 1.5},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char dictionary[128];
        gdl_array array;
        gdl_error error = {""};
        static const size_t shape[] = {1}; /* of one example */
        const gdl_port port = {"x", 1, shape, 1, 0, NULL};
        snprintf(dictionary, sizeof dictionary, "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n", kinds[k].descr);
        write_npy("a.npy", dictionary, kinds[k].value, kinds[k].width);
        cr_assert_eq(gdl_array_read(&array, "a.npy", &error), 0, "%s", error.text);
        cr_expect_eq(array.type, kinds[k].type);
        gdl_data data;
        const gdl_array *arrays[] = {&array};
        const size_t index[] = {0};
        float value;
        void *to[] = {&value};
        cr_assert_eq(gdl_data_bind(&data, &port, 1, arrays, &error), 0, "%s", error.text);
        gdl_gather(&data, index, 1, to);
        cr_expect_float_eq(value, kinds[k].type == GDL_U8 ? kinds[k].expected / 255 : kinds[k].expected, 1e-6, "%s", kinds[k].descr);
        gdl_data_free(&data);
        gdl_array_free(&array);
    }
}

Test(arrays, npy_that_cannot_be) {
    static const struct { const char *dictionary, *phrase; } cases[] = {
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "astype"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "astype"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", "ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "axes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "axes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 8), }", "too large"},
        {"{'descr': '<f4', 'fortran_order': False, }", "no shape"},
        {"{'shape': (1,), }", "none"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        write_npy("bad.npy", cases[c].dictionary, "\0\0\0\0", 4);
        expect_error("bad.npy", cases[c].phrase);
    }
    write_file("bad.npy", "\x93NUMPY\x09\x00", 8);
    expect_error("bad.npy", "version");
    write_file("bad.npy", "\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12);
    expect_error("bad.npy", "claims");
}

Test(arrays, npy_written_and_read_again) {
    static const float values[] = {0.0f, -1.5f, 3e38f, 1e-45f, 0.1f, INFINITY};
    static const size_t shape[] = {2, 3};
    gdl_array array;
    gdl_error error = {""};
    size_t size;
    cr_assert_eq(gdl_npy_write("a.npy", 2, shape, values, &error), 0, "%s", error.text);
    char *bytes = read_file("a.npy", &size);
    cr_expect_eq((size - sizeof values) % 64, 0, "the values should be aligned to 64");
    cr_assert_eq(gdl_array_read(&array, "a.npy", &error), 0, "%s", error.text);
    cr_expect_eq(array.type, GDL_F32);
    cr_expect_eq(array.rank, 2);
    cr_expect_eq(array.shape[1], 3);
    cr_expect_arr_eq(array.values, values, sizeof values);
    gdl_array_free(&array);
    for (size_t length = 0; length < size; length++) {
        write_file("cut.npy", bytes, length);
        expect_error("cut.npy", "cut.npy");
    }
    free(bytes);
}

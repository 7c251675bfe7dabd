/* scratch.c: files for the tests of the runtime. */
#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include "scratch.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

void scratch_enter(void) {
    char path[] = "/tmp/gdl-test-XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(chdir(path), 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

void scratch_leave(void) {
    char path[4096];
    if (getcwd(path, sizeof path) && strncmp(path, "/tmp/gdl-test-", 14) == 0 && chdir("/") == 0)
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

void write_gzip(const char *path, const void *bytes, size_t size) {
    gzFile file = gzopen(path, "wb");
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    cr_assert_eq(gzclose(file), Z_OK);
}

char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = calloc(1, *size + 1);
    cr_assert_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

bool same_files(const char *a, const char *b) {
    size_t size_a, size_b;
    char *bytes_a = read_file(a, &size_a), *bytes_b = read_file(b, &size_b);
    bool same = bytes_a && bytes_b && size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
    free(bytes_a);
    free(bytes_b);
    return same;
}

size_t idx_bytes(unsigned char *to, size_t rank, const uint32_t *shape, const uint8_t *values) {
    size_t size = 1, at = 4;
    to[0] = to[1] = 0;
    to[2] = 8;
    to[3] = (unsigned char)rank;
    for (size_t i = 0; i < rank; i++) {
        for (int shift = 24; shift >= 0; shift -= 8) to[at++] = (unsigned char)(shape[i] >> shift);
        size *= shape[i];
    }
    memcpy(to + at, values, size);
    return at + size;
}

static uint8_t picture_value(size_t i, size_t row, size_t column) {
    size_t lit = i / 3 % 4, kind = i % 3;
    bool on = kind == 0 ? row == lit : kind == 1 ? column == lit : true;
    return (uint8_t)(on ? 200 + i % 50 : i % 20);
}

void write_pictures(size_t n) {
    const uint32_t image_shape[] = {(uint32_t)n, 4, 4}, label_shape[] = {(uint32_t)n};
    uint8_t *values = malloc(16 * n), *labels = malloc(n), *bytes = malloc(16 * n + 64);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (uint8_t)(i % 3);
        for (size_t p = 0; p < 16; p++) values[16 * i + p] = picture_value(i, p / 4, p % 4);
    }
    write_file("images.idx", bytes, idx_bytes(bytes, 3, image_shape, values));
    write_file("labels.idx", bytes, idx_bytes(bytes, 1, label_shape, labels));
    free(values);
    free(labels);
    free(bytes);
}

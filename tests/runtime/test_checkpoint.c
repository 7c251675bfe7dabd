/* test_checkpoint.c: models in safetensors files: what comes back, what others wrote, what is broken, full disks. */
#define _XOPEN_SOURCE 700
#include "fake_model.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(checkpoint, .init = scratch_enter, .fini = scratch_leave);

static const gdl_tensor *tensor(const char *name) {
    const gdl_model *model = fake_describe();
    for (size_t t = 0; t < model->tensors; t++)
        if (strcmp(model->tensor[t].name, name) == 0) return &model->tensor[t];
    return NULL;
}

static void expect_same_tensors(void *a, void *b) {
    const gdl_model *model = fake_describe();
    for (size_t t = 0; t < model->tensors; t++)
        if (model->tensor[t].role != GDL_OPTIMIZER)
            cr_expect_arr_eq(gdl_values(&model->tensor[t], a), gdl_values(&model->tensor[t], b), model->tensor[t].size * sizeof(float));
}

/* A safetensors file from its parts. */
static void write_parts(const char *path, uint64_t claimed, const char *header, size_t zeros) {
    unsigned char bytes[8192] = {0};
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(claimed >> (8 * i));
    memcpy(bytes + 8, header, strlen(header));
    write_file(path, bytes, 8 + strlen(header) + zeros);
}

static void expect_not_loaded(const char *path, const char *phrase) {
    void *instance = gdl_create(fake_describe(), 0, 1), *before = gdl_create(fake_describe(), 0, 1);
    gdl_error error = {""};
    cr_assert_eq(gdl_load(fake_describe(), instance, path, &error), GDL_FAILED, "%s should not load", path);
    cr_expect_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
    expect_same_tensors(instance, before);
    gdl_destroy(fake_describe(), instance);
    gdl_destroy(fake_describe(), before);
}

Test(checkpoint, saved_and_loaded) {
    void *a = gdl_create(fake_describe(), 0, 1), *b = gdl_create(fake_describe(), 0, 2);
    gdl_error error = {""};
    gdl_values(tensor("head.seen"), a)[0] = 17;
    cr_assert_eq(gdl_save(fake_describe(), a, NULL, "a.safetensors", &error), 0, "%s", error.text);
    cr_assert_eq(gdl_load(fake_describe(), b, "a.safetensors", &error), 0, "%s", error.text);
    expect_same_tensors(a, b);
    cr_expect_eq(gdl_values(tensor("head.seen"), b)[0], 17);
    gdl_destroy(fake_describe(), a);
    gdl_destroy(fake_describe(), b);
}

/* The header is padded so that the values are aligned, and says what the format's readers expect. */
Test(checkpoint, layout) {
    size_t size, length = 0;
    void *instance = gdl_create(fake_describe(), 0, 1);
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "a.safetensors", NULL), 0);
    char *bytes = read_file("a.safetensors", &size);
    for (int i = 7; i >= 0; i--) length = length << 8 | (unsigned char)bytes[i];
    cr_expect_eq(length % 8, 0);
    cr_expect_eq(size, 8 + length + (32 + 32 + 48 + 1) * sizeof(float));
    cr_expect_not_null(strstr(bytes + 8, "\"decoder.kernel\":{\"dtype\":\"F32\",\"shape\":[2,16],\"data_offsets\":[128,256]}"));
    cr_expect_not_null(strstr(bytes + 8, "\"__metadata__\":{\"format\":\"gdl 1\",\"model\":\"fake\",\"seed\":\"1\""));
    cr_expect_arr_eq(bytes + 8 + length, gdl_values(tensor("encoder.kernel"), instance), 128);
    free(bytes);
    gdl_destroy(fake_describe(), instance);
}

Test(checkpoint, cut_at_every_byte) {
    size_t size;
    void *instance = gdl_create(fake_describe(), 0, 1), *other = gdl_create(fake_describe(), 0, 2), *same = gdl_create(fake_describe(), 0, 2);
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "a.safetensors", NULL), 0);
    char *bytes = read_file("a.safetensors", &size);
    for (size_t cut = 0; cut < size; cut++) {
        gdl_error error = {""};
        write_file("cut.safetensors", bytes, cut);
        cr_assert_eq(gdl_load(fake_describe(), other, "cut.safetensors", &error), GDL_FAILED, "cut at %zu", cut);
        cr_assert_not_null(strstr(error.text, "not a whole safetensors file"), "%s", error.text);
    }
    expect_same_tensors(other, same);
    free(bytes);
    gdl_destroy(fake_describe(), instance);
    gdl_destroy(fake_describe(), other);
    gdl_destroy(fake_describe(), same);
}

/* No byte of the header, whatever it becomes, makes the reader crash or read outside the file. */
Test(checkpoint, every_byte_of_the_header_changed) {
    size_t size;
    void *instance = gdl_create(fake_describe(), 0, 1);
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "a.safetensors", NULL), 0);
    char *bytes = read_file("a.safetensors", &size);
    for (size_t i = 0; i + 4 * 113 < size; i++) {
        static const char changes[] = {0, '"', '9', '}', '\xff'};
        char kept = bytes[i];
        bytes[i] = changes[i % sizeof changes];
        write_file("changed.safetensors", bytes, size);
        gdl_error error = {""};
        int result = gdl_load(fake_describe(), instance, "changed.safetensors", &error);
        cr_expect(result == 0 || error.text[0], "a failure should have a message");
        bytes[i] = kept;
    }
    free(bytes);
    gdl_destroy(fake_describe(), instance);
}

Test(checkpoint, headers_that_cannot_be) {
    static const struct { const char *header, *phrase; } cases[] = {
        {"[]", "not a JSON object"},
        {"{", "not a JSON object"},
        {"{\"a\": 1}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 0]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [1000, 1004]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [0.5], \"data_offsets\": [0, 2]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296, 4], \"data_offsets\": [0, 0]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": [1e300], \"data_offsets\": [0, 4]}}", "tensor a"},
        {"{\"a\": {\"dtype\": \"F32\", \"shape\": {}, \"data_offsets\": [0, 4]}}", "tensor a"},
        {"{}", "no tensor encoder.kernel"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        write_parts("bad.safetensors", strlen(cases[c].header), cases[c].header, 4);
        expect_not_loaded("bad.safetensors", cases[c].phrase);
    }
    write_parts("huge.safetensors", UINT64_MAX, "{}", 0);
    expect_not_loaded("huge.safetensors", "claims 18446744073709551615 bytes, but only 2 follow");
    write_file("text.safetensors", "This is a text, and no model.", 29);
    expect_not_loaded("text.safetensors", "not a whole safetensors file");
    expect_not_loaded("absent.safetensors", "No such file");
    expect_not_loaded(".", "regular file");
    char deep[4000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    write_parts("deep.safetensors", strlen(deep), deep, 0);
    expect_not_loaded("deep.safetensors", "not a JSON object");
}

/* Files of others: double precision, other types beside it, other tensors. */
static const char foreign[] = "{\"encoder.kernel\": {\"dtype\": \"F64\", \"shape\": [16, 2], \"data_offsets\": [0, 256]},"
                              " \"decoder.kernel\": {\"dtype\": \"F32\", \"shape\": [16, 2], \"data_offsets\": [256, 384]},"
                              " \"half\": {\"dtype\": \"F16\", \"shape\": [1], \"data_offsets\": [384, 386]}}";

Test(checkpoint, matching_tensors_of_another_file) {
    void *instance = gdl_create(fake_describe(), 0, 1);
    gdl_match match[6];
    gdl_error error = {""};
    write_parts("foreign.safetensors", strlen(foreign), foreign, 386);
    float kept = gdl_values(tensor("decoder.kernel"), instance)[3];
    cr_assert_eq(gdl_load_matching(fake_describe(), instance, "foreign.safetensors", match, &error), 0, "%s", error.text);
    cr_expect_eq(match[0], GDL_TAKEN);
    cr_expect_eq(match[1], GDL_MISFIT);
    cr_expect_eq(match[2], GDL_LEFT);
    for (int i = 0; i < 32; i++) cr_expect_eq(gdl_values(tensor("encoder.kernel"), instance)[i], 0);
    cr_expect_eq(gdl_values(tensor("decoder.kernel"), instance)[3], kept);
    gdl_destroy(fake_describe(), instance);
    expect_not_loaded("foreign.safetensors", "tensor decoder.kernel is expected to have shape [2, 16], but has [16, 2] there");
}

/* ── Disks ── */

/* No file may grow beyond this: as good as a full disk. */
static void fill_disk(size_t bytes) {
    const struct rlimit limit = {bytes, bytes};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(checkpoint, full_disk_keeps_the_old_file) {
    void *instance = gdl_create(fake_describe(), 0, 1);
    gdl_error error = {""};
    write_file("a.safetensors", "old", 3);
    fill_disk(300);
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "a.safetensors", &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "a.safetensors could not be written: File too large"), "%s", error.text);
    cr_expect_not_null(strstr(error.text, "unchanged"), "%s", error.text);
    size_t size;
    char *bytes = read_file("a.safetensors", &size);
    cr_expect_str_eq(bytes, "old");
    free(bytes);
    cr_expect_eq(system("test $(ls | wc -l) -eq 1"), 0, "the temporary file should be gone");
    gdl_destroy(fake_describe(), instance);
}

/* Also where the disk is full before the end, and the stream has nothing left to flush then. */
Test(checkpoint, full_disk_is_called_so) {
    enum { HEADER = 128, BUFFER = 4096, COUNT = (6 * BUFFER - HEADER) / sizeof(float) };
    const size_t shape[] = {COUNT};
    static float values[COUNT];
    gdl_error error = {""};
    for (size_t bytes = BUFFER / 2; bytes < 6 * BUFFER; bytes += BUFFER) {
        fill_disk(6 * BUFFER - bytes);
        cr_assert_eq(gdl_npy_write("a.npy", 1, shape, values, &error), GDL_FAILED);
        cr_expect_not_null(strstr(error.text, "a.npy could not be written: File too large"), "%zu: %s", bytes, error.text);
    }
}

Test(checkpoint, devices_are_not_replaced) {
    const size_t shape[] = {4096};
    float values[4096] = {0};
    gdl_error error = {""};
    cr_assert_eq(gdl_npy_write("/dev/full", 1, shape, values, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "No space left"), "%s", error.text);
    cr_assert_eq(gdl_npy_write("/dev/null", 1, shape, values, &error), 0, "%s", error.text);
    cr_expect_eq(system("test -c /dev/null && test -c /dev/full"), 0);
}

Test(checkpoint, links_stay_links) {
    void *instance = gdl_create(fake_describe(), 0, 1);
    write_file("real.safetensors", "old", 3);
    cr_assert_eq(symlink("real.safetensors", "link.safetensors"), 0);
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "link.safetensors", NULL), 0);
    cr_expect_eq(system("test -h link.safetensors && test ! -h real.safetensors && test $(wc -c < real.safetensors) -gt 400"), 0);
    gdl_destroy(fake_describe(), instance);
}

Test(checkpoint, no_such_folder) {
    void *instance = gdl_create(fake_describe(), 0, 1);
    gdl_error error = {""};
    cr_assert_eq(gdl_save(fake_describe(), instance, NULL, "nowhere/a.safetensors", &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "No such file"), "%s", error.text);
    gdl_destroy(fake_describe(), instance);
}

/* npy.c: NumPy's array files, whose header is a Python dictionary:
 *
 *     \x93NUMPY, version, length, {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), } */
#include "runtime.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_HEADER = 1 << 16, ALIGNMENT = 64 };

static const struct {
    const char *text;
    gdl_type type;
} kinds[] = {
    {"u1", GDL_U8}, {"i1", GDL_I8}, {"i2", GDL_I16}, {"i4", GDL_I32}, {"i8", GDL_I64}, {"f4", GDL_F32}, {"f8", GDL_F64},
};

/* What follows the key in the dictionary, or NULL. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':')
        at++;
    return at;
}

/* '<f4': a byte order, a kind and a width. */
static int parse_type(const char *path, const char *header, gdl_array *array, bool *big, gdl_error *error) {
    const char *at = value_of(header, "'descr'");
    if (at && at[0] == '\'' && at[1] && strchr("<>|=", at[1])) {
        const uint16_t one = 1;
        *big = at[1] == '>' || (at[1] == '=' && *(const unsigned char *)&one == 0);
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (strncmp(at + 2, kinds[k].text, 2) == 0 && at[4] == '\'') {
                array->type = kinds[k].type;
                return 0;
            }
    }
    return gdl_fail(
        error,
        "%s: values of type u1, i1, i2, i4, i8, f4 or f8 are expected, but this file holds %.20s; try array.astype('f4')",
        path, at ? at : "none");
}

/* (60000, 28, 28) or (3,). */
static int parse_shape(const char *path, const char *header, gdl_array *array, gdl_error *error) {
    const char *at = value_of(header, "'shape'");
    if (!at || *at++ != '(')
        return gdl_fail(error, "%s is damaged: its .npy header has no shape", path);
    while (isdigit((unsigned char)*at) && array->rank < GDL_MAX_RANK) {
        char *end;
        array->shape[array->rank++] = (size_t)strtoull(at, &end, 10);
        at = end + strspn(end, ", ");
    }
    if (*at == ')' && array->rank > 0)
        return 0;
    return gdl_fail(error, "%s: an array of 1 to %d axes is expected, but the shape in this .npy file is %.60s", path,
                    GDL_MAX_RANK, value_of(header, "'shape'"));
}

static int parse_header(const char *path, const char *header, gdl_array *array, bool *big, gdl_error *error) {
    if (parse_type(path, header, array, big, error) || parse_shape(path, header, array, error))
        return GDL_FAILED;
    const char *order = value_of(header, "'fortran_order'");
    if (order && strncmp(order, "False", 5) == 0)
        return 0;
    return gdl_fail(
        error,
        "%s: rows are expected one after the other, but this array is stored by columns; try numpy.ascontiguousarray",
        path);
}

/* The length of the dictionary takes two bytes in version 1, four later. */
static int header_length(gdl_reader *reader, uint32_t *length, gdl_error *error) {
    unsigned char rest[4], size[4] = {0}; /* after "\x93NUM": "PY", major and minor version */
    if (gdl_reader_bytes(reader, rest, sizeof rest, error))
        return GDL_FAILED;
    if (memcmp(rest, "PY", 2) != 0 || rest[2] < 1 || rest[2] > 3)
        return gdl_fail(error, "%s: an .npy file of version 1, 2 or 3 is expected", gdl_reader_path(reader));
    if (gdl_reader_bytes(reader, size, rest[2] == 1 ? 2 : 4, error))
        return GDL_FAILED;
    *length = size[0] | (uint32_t)size[1] << 8 | (uint32_t)size[2] << 16 | (uint32_t)size[3] << 24;
    if (*length > LONGEST_HEADER)
        return gdl_fail(error, "%s is damaged: its .npy header claims %lu bytes", gdl_reader_path(reader),
                        (unsigned long)*length);
    return 0;
}

int gdl_npy_header(gdl_reader *reader, gdl_array *array, bool *big, gdl_error *error) {
    uint32_t length = 0;
    if (header_length(reader, &length, error))
        return GDL_FAILED;
    char *header = calloc(1, length + 1);
    if (!header)
        return gdl_fail(error, "%s: no memory for its header", gdl_reader_path(reader));
    int result = gdl_reader_bytes(reader, header, length, error);
    if (!result)
        result = parse_header(gdl_reader_path(reader), header, array, big, error);
    free(header);
    return result;
}

/* The dictionary for this shape, without its padding. Returns its length. */
static size_t write_dictionary(char *text, size_t room, size_t rank, const size_t *shape) {
    size_t length = (size_t)snprintf(text, room, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (size_t i = 0; i < rank; i++)
        length += (size_t)snprintf(text + length, room - length, "%zu, ", shape[i]);
    return length + (size_t)snprintf(text + length, room - length, "), }");
}

static void write_header(FILE *file, size_t rank, const size_t *shape) {
    enum { PREFIX = 10 };
    char text[512];
    size_t length = write_dictionary(text, sizeof text - ALIGNMENT, rank, shape);
    while ((PREFIX + length + 1) % ALIGNMENT)
        text[length++] = ' ';
    text[length++] = '\n';
    const char prefix[PREFIX] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, (char)(length & 0xff), (char)(length >> 8)};
    fwrite(prefix, 1, PREFIX, file);
    fwrite(text, 1, length, file);
}

int gdl_npy_write(const char *path, size_t rank, const size_t *shape, const float *values, gdl_error *error) {
    gdl_output output;
    size_t size = 1;
    if (rank > GDL_MAX_RANK)
        return gdl_fail(error, "%s: an array of %zu axes has too many for a file; %d are possible", path, rank,
                        GDL_MAX_RANK);
    if (gdl_output_open(&output, path, error))
        return GDL_FAILED;
    for (size_t i = 0; i < rank; i++)
        size *= shape[i];
    write_header(output.file, rank, shape);
    gdl_write_floats(output.file, values, size);
    return gdl_output_commit(&output, error);
}

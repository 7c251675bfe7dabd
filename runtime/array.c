/* array.c: arrays from IDX and .npy files, plain or gzip-compressed.
 *
 * zlib reads both kinds alike, so everything here is a stream. Headers are not believed: memory grows with what is really
 * there, so that a damaged size costs an error and not the machine. */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { FIRST_CHUNK = 1 << 20, READ_AT_MOST = 1 << 30 };

struct gdl_reader {
    gzFile file;
    const char *path;
};

/* What each gdl_type is in an IDX file. IDX has no 64-bit integers. */
static const struct {
    size_t width;
    unsigned char idx;
    bool integer;
} types[] = {
    [GDL_U8] = {1, 0x08, true}, [GDL_I8] = {1, 0x09, true},   [GDL_I16] = {2, 0x0B, true},  [GDL_I32] = {4, 0x0C, true},
    [GDL_I64] = {8, 0, true},   [GDL_F32] = {4, 0x0D, false}, [GDL_F64] = {8, 0x0E, false},
};

size_t gdl_type_width(gdl_type type) { return types[type].width; }
bool gdl_type_is_integer(gdl_type type) { return types[type].integer; }
const char *gdl_reader_path(const gdl_reader *reader) { return reader->path; }

int64_t gdl_array_integer(const gdl_array *array, size_t i) {
    switch (array->type) {
    case GDL_U8: return ((const uint8_t *)array->values)[i];
    case GDL_I8: return ((const int8_t *)array->values)[i];
    case GDL_I16: return ((const int16_t *)array->values)[i];
    case GDL_I32: return ((const int32_t *)array->values)[i];
    case GDL_I64: return ((const int64_t *)array->values)[i];
    default: return 0;
    }
}

/* Bytes read; fewer than `size` at the end of the file and on errors. */
static size_t read_some(gdl_reader *reader, void *to, size_t size) {
    size_t done = 0;
    while (done < size) {
        size_t part = size - done < READ_AT_MOST ? size - done : READ_AT_MOST;
        int got = gzread(reader->file, (char *)to + done, (unsigned)part);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* What a read that came too short means: the file ends, or zlib or the system found a fault. NULL: it just ends. */
static const char *fault(gdl_reader *reader) {
    int code = Z_OK;
    const char *text = gzerror(reader->file, &code);
    if (code == Z_ERRNO)
        return strerror(errno);
    if (code == Z_BUF_ERROR)
        return "its compressed data end too early";
    if (code == Z_OK || code == Z_STREAM_END)
        return NULL;
    size_t length = strlen(reader->path); /* zlib's message begins with the path, as ours do */
    return strncmp(text, reader->path, length) == 0 ? text + length + strspn(text + length, ": ") : text;
}

int gdl_reader_bytes(gdl_reader *reader, void *to, size_t size, gdl_error *error) {
    if (read_some(reader, to, size) == size)
        return 0;
    const char *reason = fault(reader);
    if (reason)
        return gdl_fail(error, "%s cannot be read: %s", reader->path, reason);
    return gdl_fail(error, "%s ends within its header: expected an IDX or .npy file", reader->path);
}

static int idx_shape(gdl_reader *reader, gdl_array *array, gdl_error *error) {
    for (size_t i = 0; i < array->rank; i++) {
        uint32_t extent;
        if (gdl_reader_bytes(reader, &extent, sizeof extent, error))
            return GDL_FAILED;
        gdl_big_endian(&extent, 1, sizeof extent);
        array->shape[i] = extent;
    }
    return 0;
}

/* IDX: two zero bytes, the type, the rank, then the shape as big-endian 32-bit numbers. */
static int idx_header(gdl_reader *reader, const unsigned char magic[4], gdl_array *array, gdl_error *error) {
    array->rank = magic[3];
    if (array->rank < 1 || array->rank > GDL_MAX_RANK)
        return gdl_fail(error, "%s: an IDX file has 1 to %d axes, but this one has %zu", reader->path, GDL_MAX_RANK,
                        array->rank);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        if (types[t].idx && types[t].idx == magic[2]) {
            array->type = (gdl_type)t;
            return idx_shape(reader, array, error);
        }
    return gdl_fail(error, "%s: IDX files hold values of type 08, 09, 0B, 0C, 0D or 0E, but this one says %02X",
                    reader->path, magic[2]);
}

static int read_header(gdl_reader *reader, gdl_array *array, bool *big, gdl_error *error) {
    unsigned char magic[4];
    if (gdl_reader_bytes(reader, magic, sizeof magic, error))
        return GDL_FAILED;
    *big = true;
    if (magic[0] == 0 && magic[1] == 0)
        return idx_header(reader, magic, array, error);
    if (memcmp(magic, "\x93NUM", 4) == 0)
        return gdl_npy_header(reader, array, big, error);
    return gdl_fail(error, "%s is neither IDX nor .npy: it begins with %02X %02X %02X %02X", reader->path, magic[0],
                    magic[1], magic[2], magic[3]);
}

/* *bytes: how many the values take. */
static int check_size(const gdl_reader *reader, gdl_array *array, size_t *bytes, gdl_error *error) {
    char shape[160];
    gdl_shape_text(shape, sizeof shape, array->rank, array->shape);
    array->size = 1;
    *bytes = types[array->type].width;
    for (size_t i = 0; i < array->rank; i++)
        if (!gdl_multiply(&array->size, array->shape[i]) || !gdl_multiply(bytes, array->shape[i]))
            return gdl_fail(error, "%s: its header promises an array of shape %s, which is too large", reader->path,
                            shape);
    if (array->size == 0)
        return gdl_fail(error, "%s holds no values: its shape is %s", reader->path, shape);
    return 0;
}

static int read_values(gdl_reader *reader, gdl_array *array, size_t bytes, gdl_error *error) {
    size_t have = 0, room = 0;
    while (have < bytes) {
        room = room ? room * 2 : FIRST_CHUNK;
        if (room > bytes || room < have)
            room = bytes;
        void *more = realloc(array->values, room);
        if (!more)
            return gdl_fail(error, "%s: no memory for its %zu bytes", reader->path, bytes);
        array->values = more;
        have += read_some(reader, (char *)more + have, room - have);
        if (have < room) {
            const char *reason = fault(reader);
            return gdl_fail(error, "%s is damaged: its header promises %zu bytes of values, but it ends after %zu%s%s",
                            reader->path, bytes, have, reason ? "; " : "", reason ? reason : "");
        }
    }
    return 0;
}

/* Reads on to the end: only there does zlib check its sum. */
static int expect_end(gdl_reader *reader, gdl_error *error) {
    char byte;
    if (read_some(reader, &byte, 1) == 1)
        return gdl_fail(error, "%s is damaged: it goes on after the values that its header promises", reader->path);
    const char *reason = fault(reader);
    return reason ? gdl_fail(error, "%s is damaged: %s", reader->path, reason) : 0;
}

static int read_all(gdl_reader *reader, gdl_array *array, gdl_error *error) {
    bool big;
    size_t bytes;
    if (read_header(reader, array, &big, error) || check_size(reader, array, &bytes, error) ||
        read_values(reader, array, bytes, error) || expect_end(reader, error))
        return GDL_FAILED;
    (big ? gdl_big_endian : gdl_little_endian)(array->values, array->size, types[array->type].width);
    return 0;
}

int gdl_array_read(gdl_array *array, const char *path, gdl_error *error) {
    *array = (gdl_array){.path = strdup(path)};
    errno = 0;
    gdl_reader reader = {.file = gzopen(path, "rb"), .path = path};
    if (!reader.file || !array->path) {
        int reason = errno ? errno : ENOMEM;
        if (reader.file)
            gzclose(reader.file);
        gdl_array_free(array);
        return gdl_fail(error, "%s cannot be opened: %s", path, strerror(reason));
    }
    gzbuffer(reader.file, 1 << 17);
    int result = read_all(&reader, array, error);
    gzclose(reader.file);
    if (result)
        gdl_array_free(array);
    return result;
}

void gdl_array_free(gdl_array *array) {
    free(array->path);
    free(array->values);
    *array = (gdl_array){0};
}

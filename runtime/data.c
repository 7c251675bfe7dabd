/* data.c: arrays as examples of a model's inputs: checked once when they are bound, converted batch by batch.
 *
 * Arrays stay as they are in the file: images of bytes take a quarter of the memory that floats would. */
#include "runtime.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int check_shape(const gdl_port *port, const gdl_array *array, gdl_error *error) {
    char expected[160], found[160];
    if (array->size / array->shape[0] == port->size)
        return 0;
    gdl_shape_text(expected, sizeof expected, port->rank, port->shape);
    gdl_shape_text(found, sizeof found, array->rank - 1, array->shape + 1);
    return gdl_fail(
        error,
        "%s: input %s expects examples of shape %s, %zu values each, but the file holds %zu examples of shape %s, %zu values each",
        array->path, port->name, expected, port->size, array->shape[0], found, array->size / array->shape[0]);
}

static int check_labels(const gdl_port *port, const gdl_array *array, gdl_error *error) {
    if (!gdl_type_is_integer(array->type))
        return gdl_fail(
            error,
            "%s: input %s expects class labels, which are whole numbers, but the file holds real ones; try array.astype('i4')",
            array->path, port->name);
    for (size_t i = 0; i < array->size; i++) {
        int64_t label = gdl_array_integer(array, i);
        if (label < 0 || (uint64_t)label >= port->classes)
            return gdl_fail(
                error, "%s: input %s expects labels from 0 to %zu, but example %zu (counted from 0) has the label %lld",
                array->path, port->name, port->classes - 1, i / port->size, (long long)label);
    }
    return 0;
}

static int check_finite(const gdl_port *port, const gdl_array *array, gdl_error *error) {
    if (gdl_type_is_integer(array->type))
        return 0;
    for (size_t i = 0; i < array->size; i++) {
        double value =
            array->type == GDL_F32 ? (double)((const float *)array->values)[i] : ((const double *)array->values)[i];
        if (!isfinite(value) || fabs(value) > (double)FLT_MAX)
            return gdl_fail(
                error, "%s: input %s expects finite numbers, but example %zu (counted from 0) has a value that is %g",
                array->path, port->name, i / port->size, value);
    }
    return 0;
}

static int check_count(const gdl_data *data, size_t i, gdl_error *error) {
    size_t count = data->array[i]->shape[0];
    if (count == data->count)
        return 0;
    return gdl_fail(error, "%s has %zu examples for input %s, but %s has %zu for input %s; they must be as many: cut the longer, as by array[:%zu] in NumPy",
                    data->array[i]->path, count, data->port[i].name, data->array[0]->path, data->count,
                    data->port[0].name, count < data->count ? count : data->count);
}

static int check_input(const gdl_data *data, size_t i, gdl_error *error) {
    const gdl_port *port = &data->port[i];
    const gdl_array *array = data->array[i];
    if (check_shape(port, array, error) || check_count(data, i, error))
        return GDL_FAILED;
    return port->classes ? check_labels(port, array, error) : check_finite(port, array, error);
}

int gdl_data_bind(gdl_data *data, const gdl_port *port, size_t inputs, const gdl_array *const *array,
                  gdl_error *error) {
    *data = (gdl_data){.inputs = inputs, .array = calloc(inputs ? inputs : 1, sizeof *data->array)};
    if (gdl_sizes_find(data, port, array, error)) {
        gdl_data_free(data);
        return GDL_FAILED;
    }
    data->port = gdl_ports_at(port, inputs, data->size);
    if (!data->array || !data->port) {
        gdl_data_free(data);
        return gdl_fail(error, "no memory for a data set of %zu inputs", inputs);
    }
    if (inputs)
        memcpy(data->array, array, inputs * sizeof *array);
    data->count = inputs ? array[0]->shape[0] : 0;
    for (size_t i = 0; i < inputs; i++)
        if (check_input(data, i, error)) {
            gdl_data_free(data);
            return GDL_FAILED;
        }
    return 0;
}

void gdl_data_free(gdl_data *data) {
    free(data->array);
    free(data->port);
    *data = (gdl_data){0};
}

/* ── Gathering: one loop for each type in files and each type in models ── */

typedef void Gather(const void *from, const size_t *index, size_t n, size_t width, void *to);

#define GATHER(name, From, To)                                                                                         \
    static void name(const void *from, const size_t *index, size_t n, size_t width, void *to) {                        \
        To *out = to;                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const From *example = (const From *)from + index[i] * width;                                               \
            for (size_t j = 0; j < width; j++)                                                                         \
                *out++ = (To)example[j];                                                                               \
        }                                                                                                              \
    }

GATHER(i8_to_float, int8_t, float)
GATHER(i16_to_float, int16_t, float)
GATHER(i32_to_float, int32_t, float)
GATHER(i64_to_float, int64_t, float)
GATHER(f32_to_float, float, float)
GATHER(f64_to_float, double, float)
GATHER(u8_to_label, uint8_t, int32_t)
GATHER(i8_to_label, int8_t, int32_t)
GATHER(i16_to_label, int16_t, int32_t)
GATHER(i32_to_label, int32_t, int32_t)
GATHER(i64_to_label, int64_t, int32_t)

/* Bytes become 0..1. A table is as exact as the division, and several times as fast. */
static void u8_to_float(const void *from, const size_t *index, size_t n, size_t width, void *to) {
    float unit[256], *out = to;
    for (int byte = 0; byte < 256; byte++)
        unit[byte] = (float)byte / 255.0f;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *example = (const uint8_t *)from + index[i] * width;
        for (size_t j = 0; j < width; j++)
            *out++ = unit[example[j]];
    }
}

static Gather *const to_float[] = {
    [GDL_U8] = u8_to_float,   [GDL_I8] = i8_to_float,   [GDL_I16] = i16_to_float, [GDL_I32] = i32_to_float,
    [GDL_I64] = i64_to_float, [GDL_F32] = f32_to_float, [GDL_F64] = f64_to_float,
};
static Gather *const to_label[] = {
    [GDL_U8] = u8_to_label,   [GDL_I8] = i8_to_label,   [GDL_I16] = i16_to_label,
    [GDL_I32] = i32_to_label, [GDL_I64] = i64_to_label,
};

void gdl_gather(const gdl_data *data, const size_t *index, size_t n, void *const *to) {
    for (size_t i = 0; i < data->inputs; i++) {
        const gdl_array *array = data->array[i];
        Gather *gather = data->port[i].classes ? to_label[array->type] : to_float[array->type];
        gather(array->values, index, n, data->port[i].size, to[i]);
    }
}

void **gdl_buffers_create(const gdl_port *port, size_t ports, size_t n) {
    void **buffers = calloc(ports ? ports : 1, sizeof *buffers);
    for (size_t i = 0; buffers && i < ports; i++) {
        size_t bytes = sizeof(float); /* int32_t has the same size */
        if (gdl_multiply(&bytes, port[i].size) && gdl_multiply(&bytes, n))
            buffers[i] = malloc(bytes ? bytes : 1);
        if (!buffers[i]) {
            gdl_buffers_free(buffers, ports);
            return NULL;
        }
    }
    return buffers;
}

void gdl_buffers_free(void **buffers, size_t ports) {
    for (size_t i = 0; buffers && i < ports; i++)
        free(buffers[i]);
    free(buffers);
}

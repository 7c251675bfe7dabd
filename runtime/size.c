/* size.c: sizes that are known only at run time. They follow from the shapes of the arrays that a function is given, and then all shapes
 * follow from them. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

/* ── Text ── */

static void extent_text(char *text, size_t room, const gdl_extent *extent) {
    char times[32] = "", plus[32] = "";
    if (extent->scale != 1)
        snprintf(times, sizeof times, "%ld * ", extent->scale);
    if (extent->base)
        snprintf(plus, sizeof plus, extent->base > 0 ? " + %ld" : " - %ld", labs(extent->base));
    if (extent->size)
        snprintf(text, room, "%s%s%s", times, extent->size->name, plus);
    else
        snprintf(text, room, "%ld", extent->base);
}

const char *gdl_port_text(char *text, size_t room, const gdl_port *port) {
    if (!port->extent)
        return gdl_shape_text(text, room, port->rank, port->shape);
    size_t length = 0;
    for (size_t i = 0; i < port->rank && length < room; i++) {
        char axis[160];
        extent_text(axis, sizeof axis, &port->extent[i]);
        length += (size_t)snprintf(text + length, room - length, "%s%s%s", i ? ", " : "[", axis, i + 1 < port->rank ? "" : "]");
    }
    return text;
}

/* ── From sizes to shapes ── */

size_t gdl_extent_at(const gdl_extent *extent, const size_t *size) {
    long value = extent->size ? (long)size[extent->size->index] : 0;
    return (size_t)(extent->scale * value + extent->base);
}

/* The ports and their shapes are one block. */
gdl_port *gdl_ports_at(const gdl_port *port, size_t count, const size_t *size) {
    gdl_port *at = malloc(count * (sizeof *at + GDL_MAX_RANK * sizeof(size_t)) + 1);
    size_t *shapes = (size_t *)(void *)(at + count);
    for (size_t i = 0; at && i < count; i++) {
        at[i] = port[i];
        if (!port[i].extent)
            continue;
        size_t *shape = shapes + i * GDL_MAX_RANK;
        at[i].size = 1;
        for (size_t axis = 0; axis < port[i].rank; axis++)
            at[i].size *= shape[axis] = gdl_extent_at(&port[i].extent[axis], size);
        at[i].shape = shape;
        at[i].extent = NULL;
    }
    return at;
}

void gdl_sizes_complete(const gdl_model *model, const size_t *known, size_t *size) {
    for (size_t i = 0; i < model->sizes; i++)
        size[i] = known && known[i] ? known[i] : model->size[i].high;
}

/* ── From shapes to sizes ── */

static int misfit(const gdl_port *port, const gdl_array *array, gdl_error *error) {
    char expected[160], found[160], bounds[160] = "";
    size_t length = 0;
    gdl_port_text(expected, sizeof expected, port);
    gdl_shape_text(found, sizeof found, array->rank - 1, array->shape + 1);
    for (size_t i = 0; i < port->rank && length < sizeof bounds; i++) {
        const gdl_size *size = port->extent[i].size;
        if (size)
            length += (size_t)snprintf(bounds + length, sizeof bounds - length, ", %s from %zu to %zu", size->name, size->low, size->high);
    }
    return gdl_fail(error, "%s: input %s expects examples of shape %s%s, but the file holds %zu examples of shape %s", array->path,
                    port->name, expected, bounds, array->shape[0], found);
}

/* The value of the size for which the axis has this length; 0 where there is none within its bounds. */
static size_t solve(const gdl_extent *extent, size_t length) {
    long rest = (long)length - extent->base, value = rest / extent->scale;
    bool within = value * extent->scale == rest && value >= (long)extent->size->low && value <= (long)extent->size->high;
    return within ? (size_t)value : 0;
}

static int find_port_sizes(gdl_data *data, const gdl_port *port, const gdl_array *array, gdl_error *error) {
    if (array->rank != port->rank + 1)
        return misfit(port, array, error);
    for (size_t axis = 0; axis < port->rank; axis++) {
        const gdl_extent *extent = &port->extent[axis];
        const size_t length = array->shape[axis + 1];
        if (!extent->size) {
            if (length != port->shape[axis])
                return misfit(port, array, error);
            continue;
        }
        const size_t value = solve(extent, length), index = extent->size->index;
        if (value == 0)
            return misfit(port, array, error);
        if (data->size[index] && data->size[index] != value)
            return gdl_fail(error, "%s: %s is %zu for input %s, but %zu for an input before it; all inputs of a call have one %s",
                            array->path, extent->size->name, value, port->name, data->size[index], extent->size->name);
        data->size[index] = value;
    }
    return 0;
}

int gdl_sizes_find(gdl_data *data, const gdl_port *port, const gdl_array *const *array, gdl_error *error) {
    for (size_t i = 0; i < data->inputs; i++)
        if (port[i].extent && find_port_sizes(data, &port[i], array[i], error))
            return GDL_FAILED;
    return 0;
}

/* Built-ins over spatial axes: the convolution primitive, and the windows that pooling reduces. Paddings of the layers are
 * worked out by the prelude; here they are numbers. */
#include "elaborate.h"

#include <string.h>

/* One whole number for each spatial axis: a list of them, or one number for all. */
static bool spatial_argument(Elaborator *e, const Call *call, int index, const char *what, int spatial, int64_t low,
                             int64_t usual, int64_t *amounts) {
    Value value = force(e, call->values[index]);
    if (value.kind == VALUE_POISON) return false;
    if (value.kind == VALUE_NONE) value = number_value((double)usual);
    if (value.kind == VALUE_LIST && value.count != spatial) {
        fail(e, call->spans[index], "%s: one number for each of the %d spatial axes is expected, but this is %s", what, spatial,
             value_text(e, value));
        return false;
    }
    for (int i = 0; i < spatial; i++)
        if (!to_integer(e, value.kind == VALUE_LIST ? value.items[i] : value, call->spans[index], what, low, &amounts[i]))
            return false;
    return true;
}

/* Without a batch there is one example. */
static Node *with_example_axis(Graph *g, Value x) {
    if (x.batched) return x.node;
    const Shape shape = shape_behind(dim_const(1), &x.node->shape);
    return graph_reshape(g, x.node, &shape);
}

static Value from_example_axis(Graph *g, Node *node, bool batched) {
    Shape shape = shape_without(&node->shape, batched ? 0 : 1);
    return tensor_value(graph_reshape(g, node, &shape), batched);
}

/* Kernels and the places that they are put to are worked out by the compiler. */
static bool has_constant_sizes(Elaborator *e, const Call *call, const Shape *shape) {
    for (int i = 0; i < shape->rank; i++) {
        if (dim_is_const(shape->dim[i])) continue;
        fail(e, call->span, "convolution and pooling need sizes that are the same in every run, but here %s; pad to a constant size",
             sizes_text(e, shape));
        return false;
    }
    return true;
}

static bool fits_kernel(Elaborator *e, const Call *call, const Shape *in, const Shape *k, bool batched) {
    const int spatial = in->rank - 1;
    if (!has_constant_sizes(e, call, in) || !has_constant_sizes(e, call, k)) return false;
    if (spatial < 1 || spatial > MAX_SPATIAL || batched || k->rank != in->rank + 1)
        fail(e, call->span,
             "a convolution takes [space..., channels] and a kernel [space..., channels, filters], but here %s and %s",
             sizes_text(e, in), sizes_text(e, k));
    else if (!dim_equal(k->dim[spatial], in->dim[spatial]))
        fail(e, call->span, "the kernel %s expects %lld channels, but the input %s has %lld", sizes_text(e, k),
             (long long)k->dim[spatial].base, sizes_text(e, in), (long long)in->dim[spatial].base);
    else return true;
    return false;
}

/* conv(x, kernel, strides, low, high, spread, dilation): [s..., i] and [k..., i, o] to [s'..., o]. */
Value run_conv(Elaborator *e, Call *call) {
    Value x, kernel;
    ConvAxes axes;
    memset(&axes, 0, sizeof axes);
    if (!to_tensor(e, call->values[0], call->spans[0], &x) || !to_tensor(e, call->values[1], call->spans[1], &kernel))
        return poison();
    Shape in = example_shape(x), k = kernel.node->shape;
    int spatial = axes.spatial = in.rank - 1;
    if (!fits_kernel(e, call, &in, &k, kernel.batched)) return poison();
    const int64_t any = -1000000;
    if (!spatial_argument(e, call, 2, "a stride", spatial, 1, 1, axes.stride) ||
        !spatial_argument(e, call, 3, "a padding", spatial, any, 0, axes.low) ||
        !spatial_argument(e, call, 4, "a padding", spatial, any, 0, axes.high) ||
        !spatial_argument(e, call, 5, "a spread (the stride of a transposed convolution)", spatial, 1, 1, axes.spread) ||
        !spatial_argument(e, call, 6, "a dilation", spatial, 1, 1, axes.dilation))
        return poison();
    for (int i = 0; i < spatial; i++)
        if (conv_size(&axes, i, in.dim[i].base, k.dim[i].base) < 1) {
            fail(
                e, call->span,
                "the kernel does not fit: along axis %d it reaches over %lld positions, but the input with its padding has %lld; "
                "a smaller kernel would, or `padding = same`",
                i, (long long)((k.dim[i].base - 1) * axes.dilation[i] + 1),
                (long long)((in.dim[i].base - 1) * axes.spread[i] + 1 + axes.low[i] + axes.high[i]));
            return poison();
        }
    locate(e, call->span);
    Node *product = graph_conv(graph_of(e), with_example_axis(graph_of(e), x), kernel.node, &axes);
    return from_example_axis(graph_of(e), product, x.batched);
}

/* ── windows ──────────────────────────────────────────────────────────────────────────────── */

typedef struct Windows {
    int64_t size[2], stride[2], low[2], high[2];
} Windows;

/* The elements at one position of every window: [h, w, c] to [h', w', 1, c]. */
static Node *window_position(Graph *g, Node *x, const Windows *windows, const int64_t *out, int row, int column) {
    Dim start[MAX_RANK] = { { 0 } }, size[MAX_RANK];
    int64_t step[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < x->shape.rank; i++) size[i] = x->shape.dim[i];
    for (int i = 0; i < 2; i++) {
        start[i + 1] = dim_const(i == 0 ? row : column);
        size[i + 1] = dim_const(out[i]);
        step[i + 1] = windows->stride[i];
    }
    Node *part = graph_slice(g, x, start, size, step);
    Shape shape = { .rank = 5,
                    .dim = { part->shape.dim[0], part->shape.dim[1], part->shape.dim[2], dim_const(1), part->shape.dim[3] } };
    return graph_reshape(g, part, &shape);
}

static Node *overlapping_windows(Elaborator *e, Node *x, const Windows *windows, const int64_t *out) {
    Node **parts = arena_alloc(e->arena, sizeof *parts * (size_t)(windows->size[0] * windows->size[1]));
    int count = 0;
    for (int row = 0; row < windows->size[0]; row++)
        for (int column = 0; column < windows->size[1]; column++)
            parts[count++] = window_position(graph_of(e), x, windows, out, row, column);
    return graph_concat(graph_of(e), parts, count, 3);
}

/* Windows side by side are only another way to count the same elements. */
static Node *tiled_windows(Graph *g, Node *x, const Windows *windows, const int64_t *out) {
    Dim start[MAX_RANK] = { { 0 } };
    const int64_t step[] = { 1, 1, 1, 1 }, *size = windows->size;
    Dim batch = x->shape.dim[0], channels = x->shape.dim[3];
    const Dim covered[] = { batch, dim_const(out[0] * size[0]), dim_const(out[1] * size[1]), channels };
    const Shape split = { 6, { batch, dim_const(out[0]), dim_const(size[0]), dim_const(out[1]), dim_const(size[1]), channels } };
    const Shape joined = { 5, { batch, dim_const(out[0]), dim_const(out[1]), dim_const(size[0] * size[1]), channels } };
    const uint8_t order[MAX_RANK] = { 0, 1, 3, 2, 4, 5 };
    Node *tiles = graph_reshape(g, graph_slice(g, x, start, covered, step), &split);
    return graph_reshape(g, graph_permute(g, tiles, order), &joined);
}

/* windows(x, size, strides, low, high): [h, w, c] to [h', w', size, c], each window's elements in a row; zeros in the padding. */
Value run_windows(Elaborator *e, Call *call) {
    Value x;
    Windows windows;
    if (!to_tensor(e, call->values[0], call->spans[0], &x)) return poison();
    Shape in = example_shape(x);
    if (in.rank != 3) {
        fail(e, call->spans[0], "windows are taken from [height, width, channels], but this is %s", sizes_text(e, &in));
        return poison();
    }
    if (!has_constant_sizes(e, call, &in)) return poison();
    if (!spatial_argument(e, call, 1, "a window size", 2, 1, 1, windows.size) ||
        !spatial_argument(e, call, 2, "a stride", 2, 1, 1, windows.stride) ||
        !spatial_argument(e, call, 3, "a padding", 2, 0, 0, windows.low) ||
        !spatial_argument(e, call, 4, "a padding", 2, 0, 0, windows.high))
        return poison();
    int64_t out[2];
    Dim low[MAX_RANK] = { { 0 } }, high[MAX_RANK] = { { 0 } };
    for (int i = 0; i < 2; i++) {
        int64_t size = in.dim[i].base + windows.low[i] + windows.high[i];
        low[i + 1] = dim_const(windows.low[i]), high[i + 1] = dim_const(windows.high[i]);
        out[i] = (size - windows.size[i]) / windows.stride[i] + 1;
        if (size >= windows.size[i] && windows.size[0] * windows.size[1] <= 1024) continue;
        fail(e, call->span, "a window of %lld by %lld does not fit into %s; a smaller one would, or `padding = same`",
             (long long)windows.size[0], (long long)windows.size[1], sizes_text(e, &in));
        return poison();
    }
    locate(e, call->span);
    Graph *g = graph_of(e);
    Node *padded = graph_pad(g, with_example_axis(g, x), low, high);
    bool tiled = windows.stride[0] == windows.size[0] && windows.stride[1] == windows.size[1];
    Node *all = tiled ? tiled_windows(g, padded, &windows, out) : overlapping_windows(e, padded, &windows, out);
    return from_example_axis(g, all, x.batched);
}

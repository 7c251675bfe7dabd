/* Convolutions → steps that read images, kernels and gradients where they lie.
 *
 * Whatever a convolution is in the model, forward or backward, strided or transposed, it is one of two things here: images
 * times a kernel, or the gradient of a kernel. Taps that meet only zeros, of a transposition or the padding, are left out by
 * the code that is emitted. Here it is decided what the lanes of its vectors are (see ConvForm). */
#include "fuse.h"

/* The tensor that a convolution's operand is read from: a kernel may be turned around and transposed on the way. */
const Node *conv_operand(const Node *node) {
    while (node->op == OP_PERMUTE || node->op == OP_RESHAPE || node->op == OP_FLIP || node->op == OP_STOP)
        node = node->in[0];
    return node;
}

static bool is_kernel_gradient(const Node *conv) {
    return !dim_is_const(conv->in[0]->shape.dim[conv->attr.conv.spatial + 1]);
}

static int count_users(const Fuse *fuse, const Node *node) {
    int users = 0;
    for (int i = node->id + 1; i < fuse->entry->graph->nodes.count; i++)
        for (int k = 0; fuse->live[i] && k < fuse->entry->graph->nodes.items[i]->arity; k++)
            users += fuse->entry->graph->nodes.items[i]->in[k] == node;
    for (int i = 0; i < fuse->entry->roots.count; i++) users += fuse->entry->roots.items[i].value == node;
    return users;
}

const Node *conv_transposed(const Fuse *fuse, const Node *node) {
    const Node *conv = node->op == OP_PERMUTE ? node->in[0] : NULL;
    if (!conv || conv->op != OP_CONV || !is_kernel_gradient(conv) || count_users(fuse, conv) != 1) return NULL;
    const int spatial = conv->attr.conv.spatial;
    for (int i = 0; i < spatial; i++)
        if (node->attr.order[i] != i + 1) return NULL;
    return node->attr.order[spatial] == 0 ? conv : NULL;
}

bool conv_packs(const Conv *conv) { return conv->form == CONV_PACK_FILTERS || conv->form == CONV_PACK_CHANNELS; }

Buffer *conv_result(const Conv *conv) {
    if (conv_packs(conv)) return conv->packed;
    return conv->form == CONV_GRADIENT ? conv->kernel.buffer : conv->out.buffer;
}

/* ── operands ─────────────────────────────────────────────────────────────────────────────── */

/* A tensor in memory: how far apart neighbours along each axis of a node lie, in elements. */
typedef struct View {
    Buffer *buffer;
    int64_t start, distance[MAX_RANK];
} View;

/* False where the distances are not constant. */
static bool view_of(Fuse *fuse, const Node *node, View *view) {
    const Index *at[MAX_RANK];
    for (int axis = 0; axis < node->shape.rank; axis++)
        at[axis] = index_loop(fuse->arena, fuse->around.depth + axis, poly_dim(fuse->arena, node->shape.dim[axis]));
    const Scalar *value = scalar_at(fuse, node, at);
    if (value->kind != SCALAR_LOAD || !index_affine(value->load.at)) return false;
    if (value->load.buffer->kind == BUFFER_INPUT && value->load.buffer->port->classes > 0) return false; /* integers */
    view->buffer = value->load.buffer;
    if (!poly_constant(value->load.at->constant, &view->start)) return false;
    for (int depth = 0; depth < fuse->around.depth; depth++) /* in a loop over time: the same in every step */
        if (!poly_is(index_factor(fuse->arena, value->load.at, depth), 0)) return false;
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (!poly_constant(index_factor(fuse->arena, value->load.at, fuse->around.depth + axis), &view->distance[axis]))
            return false;
    return true;
}

/* Of a buffer in which the axes of `shape` lie in this order; how long the first one is does not matter. */
static View packed_view(Buffer *buffer, const Shape *shape, const uint8_t *order) {
    View view = {.buffer = buffer};
    int64_t distance = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        view.distance[order[i]] = distance;
        distance *= shape->dim[order[i]].base;
    }
    return view;
}

/* In place where the distances are constant and, if `lanes`, neighbours along the last axis of the order lie side by side; else
 * in a new buffer, in that order. */
static View read_view(Fuse *fuse, const Node *node, const uint8_t *order, bool lanes, int part) {
    const int last = order[node->shape.rank - 1];
    View view = {0};
    if (view_of(fuse, node, &view) && (!lanes || view.distance[last] == 1 || node->shape.dim[last].base == 1)) return view;
    return packed_view(lower_packed(fuse, node, order, part), &node->shape, order);
}

/* ── geometry ─────────────────────────────────────────────────────────────────────────────── */

/* The axes of a convolution's tensors as their nodes have them. Those of x and of the result are [image, space..., channel],
 * of a kernel [space..., channel, filter]. For the gradient of a kernel, the images of the node are the channels of x and its
 * channels the images: its kernel is the gradient of the result, and its result the kernel. */
typedef struct Axes {
    uint8_t x[MAX_RANK], kernel[MAX_RANK], out[MAX_RANK]; /* in those orders */
    const Node *x_node, *kernel_node, *out_node;
} Axes;

static void count_up(uint8_t *order, int rank) {
    for (int axis = 0; axis < rank; axis++) order[axis] = (uint8_t)axis;
}

static Axes axes_of(const Node *node, const Node *result) {
    const int spatial = node->attr.conv.spatial, rank = spatial + 2;
    Axes axes = {.x_node = node->in[0], .kernel_node = node->in[1], .out_node = result};
    count_up(axes.x, rank);
    count_up(axes.kernel, rank);
    count_up(axes.out, rank);
    if (!is_kernel_gradient(node)) return axes;
    axes.kernel_node = result;
    axes.out_node = node->in[1];
    axes.x[0] = (uint8_t)(spatial + 1), axes.x[spatial + 1] = 0;
    axes.out[0] = (uint8_t)spatial;
    for (int i = 0; i < spatial; i++) axes.out[i + 1] = (uint8_t)i;
    if (result != node) return axes; /* it is transposed to the order of kernels */
    for (int i = 0; i < spatial; i++) axes.kernel[i] = (uint8_t)(i + 1);
    axes.kernel[spatial] = 0;
    return axes;
}

static int64_t common_divisor(int64_t a, int64_t b) { return b == 0 ? a : common_divisor(b, a % b); }

static ConvAxis axis_of(const Node *node, const Axes *axes, int i) {
    const ConvAxes *of = &node->attr.conv;
    const bool gradient = is_kernel_gradient(node);
    ConvAxis axis = {.size = axes->x_node->shape.dim[axes->x[i + 1]].base,
                     .positions = axes->out_node->shape.dim[axes->out[i + 1]].base,
                     .taps = axes->kernel_node->shape.dim[axes->kernel[i]].base,
                     .stride = gradient ? of->dilation[i] : of->stride[i],
                     .dilation = gradient ? of->stride[i] : of->dilation[i],
                     .low = of->low[i],
                     .spread = of->spread[i]};
    const int64_t by_tap = common_divisor(axis.spread, axis.dilation),
                  by_position = common_divisor(axis.spread, axis.stride);
    axis.next_tap = axis.spread / by_tap, axis.tap_moves = axis.dilation / by_tap;
    axis.next_position = axis.spread / by_position, axis.moves = axis.stride / by_position;
    return axis;
}

static Conv geometry_of(const Node *node, const Axes *axes) {
    static const ConvAxis single = {.size = 1,
                                    .positions = 1,
                                    .taps = 1,
                                    .stride = 1,
                                    .dilation = 1,
                                    .spread = 1,
                                    .next_tap = 1,
                                    .tap_moves = 1,
                                    .next_position = 1,
                                    .moves = 1};
    const int spatial = node->attr.conv.spatial;
    return (Conv){.row = spatial == 1 ? single : axis_of(node, axes, 0),
                  .column = axis_of(node, axes, spatial - 1),
                  .images = axes->x_node->shape.dim[axes->x[0]],
                  .channels = axes->x_node->shape.dim[axes->x[spatial + 1]].base,
                  .filters = axes->out_node->shape.dim[axes->out[spatial + 1]].base,
                  .node = node};
}

static void place_x(Conv *conv, const View *view, const uint8_t *order, int spatial) {
    conv->x = (ConvOperand){view->buffer, view->start};
    conv->image = view->distance[order[0]];
    conv->column.image = view->distance[order[spatial]];
    if (spatial > 1) conv->row.image = view->distance[order[1]];
    /* A single channel is as far from the next tap's as several are from each other: they are read in one loop. */
    conv->channel = conv->channels == 1 ? conv->column.tap_moves * conv->column.image : view->distance[order[spatial + 1]];
}

static void place_kernel(Conv *conv, const View *view, const uint8_t *order, int spatial) {
    conv->kernel = (ConvOperand){view->buffer, view->start};
    conv->kernel_channel = view->distance[order[spatial]];
    conv->kernel_filter = view->distance[order[spatial + 1]];
    conv->column.kernel = view->distance[order[spatial - 1]];
    if (spatial > 1) conv->row.kernel = view->distance[order[0]];
}

static void place_out(Conv *conv, const View *view, const uint8_t *order, int spatial) {
    conv->out = (ConvOperand){view->buffer, view->start};
    conv->out_image = view->distance[order[0]];
    conv->column.out = view->distance[order[spatial]];
    if (spatial > 1) conv->row.out = view->distance[order[1]];
}

/* ── how it is computed ───────────────────────────────────────────────────────────────────── */

enum { LANES = 16 }; /* the widest vectors there are: buffers are filled up to them, and costs are estimated with them */

static int64_t round_up(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

/* What a result costs in vector operations. Of a spread image, a position meets only some of the taps. Filters that are no whole
 * vector leave lanes unused, and so do channels, whose sums have to be added up in the end besides. */
static ConvForm choose_form(const Conv *conv) {
    const int64_t add_up = 6;
    const int64_t met = round_up(conv->row.taps, conv->row.next_tap) / conv->row.next_tap *
                        round_up(conv->column.taps, conv->column.next_tap) / conv->column.next_tap;
    const int64_t by_filters = met * conv->channels * round_up(conv->filters, LANES) / LANES;
    const int64_t by_channels = conv->filters * (met * round_up(conv->channels, LANES) / LANES + add_up);
    return by_channels < by_filters ? CONV_CHANNELS : CONV_FILTERS;
}

/* Room for the kernel in either order, whatever the vectors are (see conv_pack_filters and conv_pack_channels). */
static Buffer *packed_buffer(Fuse *fuse, const Conv *conv) {
    const int64_t taps = conv->row.taps * round_up(conv->column.taps, conv->column.next_tap);
    const Shape shape =
        conv->form == CONV_FILTERS
            ? (Shape){3, {dim_const(taps), dim_const(conv->channels), dim_const(round_up(conv->filters, LANES))}}
            : (Shape){3, {dim_const(conv->filters), dim_const(taps), dim_const(round_up(conv->channels, LANES))}};
    return buffer_new(fuse, BUFFER_TEMPORARY, "packed", &shape);
}

/* As many images as stay in the second cache with the gradients of their results. */
static int64_t images_at_once(const Conv *conv) {
    const int64_t floats = 64 << 10;
    const int64_t size =
        conv->row.size * conv->column.size * conv->channels + conv->row.positions * conv->column.positions * conv->filters;
    return size < floats ? floats / size : 1;
}

static void append_conv(Fuse *fuse, const Conv *conv, int part) {
    Step *step = NEW(fuse->arena, Step);
    *step = (Step){.kind = STEP_CONV, .conv = *conv};
    append_step(fuse, steps_of(fuse, part), step);
}

/* The kernel is packed once for all images. */
static void pack_kernel(Fuse *fuse, Conv *conv, int part) {
    conv->packed = packed_buffer(fuse, conv);
    Conv pack = *conv;
    pack.form = conv->form == CONV_FILTERS ? CONV_PACK_FILTERS : CONV_PACK_CHANNELS;
    append_conv(fuse, &pack, part);
}

void lower_conv(Fuse *fuse, const Node *node, const Node *result, int part) {
    const int spatial = node->attr.conv.spatial;
    const bool gradient = is_kernel_gradient(node);
    const Axes axes = axes_of(node, result);
    Conv conv = geometry_of(node, &axes);
    conv.form = gradient ? CONV_GRADIENT : choose_form(&conv);
    uint8_t order[MAX_RANK] = {0};
    count_up(order, result->shape.rank);
    const View stored = packed_view(fuse->stored[result->id], &result->shape, order);
    const View x = read_view(fuse, axes.x_node, axes.x, conv.form == CONV_CHANNELS, part);
    const View other = gradient ? read_view(fuse, axes.out_node, axes.out, true, part)
                                : read_view(fuse, axes.kernel_node, axes.kernel, false, part);
    place_x(&conv, &x, axes.x, spatial);
    place_kernel(&conv, gradient ? &stored : &other, axes.kernel, spatial);
    place_out(&conv, gradient ? &other : &stored, axes.out, spatial);
    if (gradient) conv.block = images_at_once(&conv);
    else pack_kernel(fuse, &conv, part);
    conv.depth = fuse->around.depth;
    conv.turns = gradient ? poly_const(fuse->arena, conv.row.taps * conv.column.taps) : poly_dim(fuse->arena, conv.images);
    append_conv(fuse, &conv, part);
}

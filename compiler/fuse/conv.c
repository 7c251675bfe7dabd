/* Convolutions → steps that go image by image.
 *
 * Each form is a matrix product of one image with the kernel, and a rearrangement of that image, in memory for one image
 * only: positions times what the kernel covers, called columns. Which form it is, the convolution's place in the model
 * decides (see ConvForm): none multiplies by the zeros that a stride or a transposition puts in. */
#include "fuse.h"

#include <assert.h>

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

static ConvForm form_of(const Node *node, const Node *result) {
    const ConvAxes *axes = &node->attr.conv;
    if (is_kernel_gradient(node)) return node == result ? CONV_KERNEL : CONV_WEIGHTS;
    for (int i = 0; i < axes->spatial; i++)
        if (axes->spread[i] > 1) return CONV_SCATTER;
    return CONV_GATHER;
}

/* The distances between neighbours along each axis of a view, and where it starts; false where they are not constant. */
static bool view_of(Fuse *fuse, const Node *node, ConvOperand *operand) {
    const Index *at[MAX_RANK];
    for (int axis = 0; axis < node->shape.rank; axis++)
        at[axis] = index_loop(fuse->arena, axis, poly_dim(fuse->arena, node->shape.dim[axis]));
    const Scalar *value = scalar_at(fuse, node, at);
    if (value->kind != SCALAR_LOAD || !index_affine(value->load.at)) return false;
    if (value->load.buffer->kind == BUFFER_INPUT && value->load.buffer->port->classes > 0) return false; /* integers */
    operand->buffer = value->load.buffer;
    if (!poly_constant(value->load.at->constant, &operand->start)) return false;
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (!poly_constant(index_factor(fuse->arena, value->load.at, axis), &operand->distance[axis])) return false;
    return true;
}

static ConvOperand read_view(Fuse *fuse, const Node *node, const uint8_t *order, int part) {
    ConvOperand operand = { .buffer = lower_packed(fuse, node, order, part) };
    int64_t distance = 1;
    for (int i = node->shape.rank - 1; i >= 0; i--) {
        operand.distance[order[i]] = distance;
        distance *= node->shape.dim[order[i]].base;
    }
    return operand;
}

/* In place where the distances are constant and `fits`, else packed in the order given. */
static ConvOperand read_operand(Fuse *fuse, const Node *node, const uint8_t *order,
                                bool (*fits)(const Node *, const ConvOperand *), int part) {
    ConvOperand operand = { 0 };
    if (view_of(fuse, node, &operand) && fits(node, &operand)) return operand;
    return read_view(fuse, node, order, part);
}

/* The axes first..last-1 lie as one, `distance` apart. */
static bool lie_as_one(const Node *node, const ConvOperand *operand, int first, int last, int64_t distance) {
    for (int axis = last - 1; axis >= first; axis--) {
        if (node->shape.dim[axis].base != 1 && operand->distance[axis] != distance) return false;
        distance *= node->shape.dim[axis].base;
    }
    return true;
}

static bool fits_always(const Node *node, const ConvOperand *operand) { return node && operand; }

/* [space, channels] of one image as a packed matrix. */
static bool fits_image(const Node *node, const ConvOperand *operand) {
    return lie_as_one(node, operand, 1, node->shape.rank, 1);
}

/* [k..., in] by [out], packed. */
static bool fits_kernel(const Node *node, const ConvOperand *operand) {
    return lie_as_one(node, operand, 0, node->shape.rank, 1);
}

/* Of one example (the channels of the node): [positions] by [out], packed. */
static bool fits_gradient(const Node *node, const ConvOperand *operand) {
    const int channels = node->shape.rank - 2;
    return lie_as_one(node, operand, channels + 1, channels + 2, 1) &&
           lie_as_one(node, operand, 0, channels, node->shape.dim[channels + 1].base);
}

static int64_t positions(const Shape *shape, int first, int count) {
    int64_t product = 1;
    for (int i = first; i < first + count; i++) product *= shape->dim[i].base;
    return product;
}

static Buffer *columns_buffer(Fuse *fuse, const Node *node, ConvForm form) {
    const int spatial = node->attr.conv.spatial;
    const Shape *x = &node->in[0]->shape, *kernel = &node->in[1]->shape, *out = &node->shape;
    int64_t rows = positions(out, 1, spatial), columns = positions(kernel, 0, spatial + 1);
    if (form == CONV_SCATTER)
        rows = positions(x, 1, spatial), columns = positions(kernel, 0, spatial) * out->dim[spatial + 1].base;
    if (form >= CONV_KERNEL)
        rows = positions(kernel, 0, spatial), columns = x->dim[0].base * positions(out, 1, spatial);
    const Shape shape = { 2, { dim_const(rows), dim_const(columns) } };
    return buffer_new(fuse, BUFFER_TEMPORARY, "columns", &shape);
}

void lower_conv(Fuse *fuse, const Node *node, const Node *result, int part) {
    const Node *x = node->in[0], *kernel = node->in[1];
    const int spatial = node->attr.conv.spatial;
    const ConvForm form = form_of(node, result);
    uint8_t x_order[MAX_RANK], kernel_order[MAX_RANK];
    for (int axis = 0; axis < node->shape.rank; axis++) x_order[axis] = kernel_order[axis] = (uint8_t)axis;
    if (form == CONV_SCATTER) { /* [in, k..., out] */
        kernel_order[0] = (uint8_t)spatial;
        for (int i = 0; i < spatial; i++) kernel_order[i + 1] = (uint8_t)i;
    }
    if (form >= CONV_KERNEL) { /* by example: [n, s..., in], and [n, s..., out] */
        x_order[0] = (uint8_t)(spatial + 1), x_order[spatial + 1] = 0;
        kernel_order[0] = (uint8_t)spatial;
        for (int i = 0; i < spatial; i++) kernel_order[i + 1] = (uint8_t)i;
    }
    Step *step = NEW(fuse->arena, Step);
    step->kind = STEP_CONV;
    step->conv = (Conv){ .form = form, .node = node, .out = fuse->stored[result->id] };
    step->conv.x = read_operand(fuse, x, x_order, form == CONV_SCATTER ? fits_image : fits_always, part);
    step->conv.kernel = form == CONV_SCATTER ? read_view(fuse, kernel, kernel_order, part)
                                             : read_operand(fuse, kernel, kernel_order,
                                                            form >= CONV_KERNEL ? fits_gradient : fits_kernel, part);
    step->conv.columns = columns_buffer(fuse, node, form);
    append_step(fuse, &fuse->program->part[part], step);
}

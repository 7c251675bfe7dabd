/* Convolutions: a loop over images, each rearranged into columns by a piece of support/conv.c and multiplied. */
#include "emit.h"

#include <inttypes.h>

/* The two axes that the pieces go along; of a convolution over one axis the rows are one. */
typedef struct Plane { int64_t row, column; } Plane;

static Plane plane(int spatial, const int64_t *values, int64_t single) {
    return spatial == 1 ? (Plane){single, values[0]} : (Plane){values[0], values[1]};
}

static Plane sizes(const Shape *shape, int first, int spatial) {
    int64_t values[MAX_SPATIAL] = {0};
    for (int i = 0; i < spatial; i++) values[i] = shape->dim[first + i].base;
    return plane(spatial, values, 1);
}

static int64_t area(Plane p) { return p.row * p.column; }

/* The axis of the node along which the images lie: for the gradient of a kernel, the channels. */
static int image_axis(const Conv *conv) { return conv->form >= CONV_KERNEL ? conv->node->attr.conv.spatial + 1 : 0; }

static void exchange(Plane *a, Plane *b) {
    const Plane kept = *a;
    *a = *b;
    *b = kept;
}

static void emit_geometry(Emit *emit, Text *to, const Conv *conv) {
    const ConvAxes *axes = &conv->node->attr.conv;
    const int spatial = axes->spatial, channel_axis = spatial + 1 - image_axis(conv);
    const Shape *x = &conv->node->in[0]->shape;
    const Plane in = sizes(x, 1, spatial);
    Plane out = sizes(&conv->node->shape, 1, spatial), kernel = sizes(&conv->node->in[1]->shape, 0, spatial);
    const Plane distance = plane(spatial, conv->x.distance + 1, 0);
    Plane stride = plane(spatial, axes->stride, 1), dilation = plane(spatial, axes->dilation, 1);
    const Plane low = plane(spatial, axes->low, 0), spread = plane(spatial, axes->spread, 1);
    if (conv->form == CONV_WEIGHTS) { /* gathered by the elements of its kernel, which lies over the positions of its result */
        exchange(&out, &kernel);
        exchange(&stride, &dilation);
    }
    const int64_t channels =
        conv->form == CONV_SCATTER ? conv->node->shape.dim[spatial + 1].base : x->dim[channel_axis].base;
    text_add(to, "        static const %s geometry = {\n", piece(emit, "geometry"));
    text_add(to, "            .rows = %" PRId64 ", .columns = %" PRId64 ", .channels = %" PRId64 ",\n", in.row,
             in.column, channels);
    text_add(to, "            .row = %" PRId64 ", .column = %" PRId64 ", .channel = %" PRId64 ",\n", distance.row,
             distance.column, conv->x.distance[channel_axis]);
    text_add(to,
             "            .out_rows = %" PRId64 ", .out_columns = %" PRId64 ", .kernel_rows = %" PRId64
             ", .kernel_columns = %" PRId64 ",\n",
             out.row, out.column, kernel.row, kernel.column);
    text_add(to,
             "            .row_stride = %" PRId64 ", .row_low = %" PRId64 ", .row_spread = %" PRId64
             ", .row_dilation = %" PRId64 ",\n",
             stride.row, low.row, spread.row, dilation.row);
    text_add(to,
             "            .column_stride = %" PRId64 ", .column_low = %" PRId64 ", .column_spread = %" PRId64
             ", .column_dilation = %" PRId64 "};\n",
             stride.column, low.column, spread.column, dilation.column);
}

static const char *image_of(Emit *emit, const ConvOperand *operand, int axis) {
    const char *start = operand->start
                            ? arena_printf(emit->arena, "%s + %" PRId64, operand->buffer->name, operand->start)
                            : operand->buffer->name;
    return arena_printf(emit->arena, "%s + %" PRId64 " * i", start, operand->distance[axis]);
}

/* The product of one image, packed on all sides: c[m][n] = a[m][k] b[k][n], or with `a` transposed. */
static Gemm image_product(Emit *emit, int64_t m, int64_t n, int64_t k, bool transposed) {
    Arena *arena = emit->arena;
    return (Gemm){.m = poly_const(arena, m), .n = poly_const(arena, n), .k = poly_const(arena, k),
                  .a_m = poly_const(arena, transposed ? 1 : k), .a_k = poly_const(arena, transposed ? m : 1),
                  .b_k = poly_const(arena, n), .b_n = poly_const(arena, 1), .add = transposed};
}

static void emit_gather(Emit *emit, Text *to, const Conv *conv) {
    const int spatial = conv->node->attr.conv.spatial;
    const Shape *kernel = &conv->node->in[1]->shape, *out = &conv->node->shape;
    const int64_t rows = area(sizes(out, 1, spatial)), filters = out->dim[spatial + 1].base;
    const Gemm product =
        image_product(emit, rows, filters, area(sizes(kernel, 0, spatial)) * kernel->dim[spatial].base, false);
    const char *weights =
        conv->kernel.start ? arena_printf(emit->arena, "%s + %" PRId64, conv->kernel.buffer->name, conv->kernel.start)
                           : conv->kernel.buffer->name;
    text_add(to, "            %s(&geometry, %s, %s);\n", piece(emit, "conv_gather"), image_of(emit, &conv->x, 0),
             conv->columns->name);
    add_statement(to, 12,
                  gemm_call(emit, &product, NULL, conv->columns->name, weights,
                            arena_printf(emit->arena, "%s + %" PRId64 " * i", conv->out->name, rows * filters)));
}

static void emit_scatter(Emit *emit, Text *to, const Conv *conv) {
    const int spatial = conv->node->attr.conv.spatial;
    const Shape *x = &conv->node->in[0]->shape, *kernel = &conv->node->in[1]->shape, *out = &conv->node->shape;
    const int64_t filters = out->dim[spatial + 1].base;
    const Gemm product = image_product(emit, area(sizes(x, 1, spatial)), area(sizes(kernel, 0, spatial)) * filters,
                                       kernel->dim[spatial].base, false);
    add_statement(
        to, 12, gemm_call(emit, &product, NULL, image_of(emit, &conv->x, 0), conv->kernel.buffer->name, conv->columns->name));
    text_add(to, "            %s(&geometry, %s, %s + %" PRId64 " * i);\n", piece(emit, "conv_scatter"),
             conv->columns->name, conv->out->name, area(sizes(out, 1, spatial)) * filters);
}

static void emit_kernel_gradient(Emit *emit, Text *to, const Conv *conv) {
    const int spatial = conv->node->attr.conv.spatial;
    const Shape *x = &conv->node->in[0]->shape, *kernel = &conv->node->in[1]->shape, *out = &conv->node->shape;
    const int64_t rows = x->dim[0].base * area(sizes(out, 1, spatial)), filters = out->dim[spatial + 1].base;
    const Gemm product = image_product(emit, rows, filters, area(sizes(kernel, 0, spatial)), true);
    text_add(to, "            %s(&geometry, %s, %s);\n",
             piece(emit, conv->form == CONV_WEIGHTS ? "conv_gather" : "conv_kernel"),
             image_of(emit, &conv->x, spatial + 1), conv->columns->name);
    add_statement(
        to, 12,
        gemm_call(emit, &product, NULL, conv->columns->name, image_of(emit, &conv->kernel, spatial), conv->out->name));
}

void emit_conv(Emit *emit, Text *to, const Conv *conv) {
    static void (*const forms[])(Emit *, Text *, const Conv *) = {emit_gather, emit_scatter, emit_kernel_gradient,
                                                                  emit_kernel_gradient};
    const Dim images = conv->node->in[0]->shape.dim[image_axis(conv)];
    text_add(to, "    /* %s = %s * %s%s */\n", value_comment(emit, conv->out), value_comment(emit, conv->x.buffer),
             value_comment(emit, conv->kernel.buffer), place_comment(emit, conv->node));
    if (conv->form >= CONV_KERNEL)
        text_add(to, "    for (size_t e = 0; e < %s; e++) %s[e] = 0.0f;\n", poly_text(emit, conv->out->size),
                 conv->out->name);
    text_add(to, "    {\n");
    emit_geometry(emit, to, conv);
    text_add(to, "        for (size_t i = 0; i < %s; i++) {\n", poly_text(emit, poly_dim(emit->arena, images)));
    forms[conv->form](emit, to, conv);
    text_add(to, "        }\n    }\n");
}

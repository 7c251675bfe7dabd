/* Convolutions: for each geometry a function, which expands a piece of support/conv.c with constant sizes. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

static void emit_axis(Text *to, const char *name, const ConvAxis *axis) {
    text_add(to, "        .%s = {.size = %" PRId64 ", .positions = %" PRId64 ", .taps = %" PRId64 ",\n", name, axis->size,
             axis->positions, axis->taps);
    text_add(to, "            .stride = %" PRId64 ", .dilation = %" PRId64 ", .low = %" PRId64 ", .spread = %" PRId64 ",\n",
             axis->stride, axis->dilation, axis->low, axis->spread);
    text_add(to, "            .next_tap = %" PRId64 ", .tap_moves = %" PRId64 ", .next_position = %" PRId64 ", .moves = %" PRId64 ",\n",
             axis->next_tap, axis->tap_moves, axis->next_position, axis->moves);
    text_add(to, "            .image = %" PRId64 ", .kernel = %" PRId64 ", .out = %" PRId64 "},\n", axis->image, axis->kernel,
             axis->out);
}

static void emit_geometry(Emit *emit, Text *to, const Conv *conv) {
    text_add(to, "    static const %s geometry = {\n", piece(emit, "geometry"));
    emit_axis(to, "row", &conv->row);
    emit_axis(to, "column", &conv->column);
    text_add(to, "        .channels = %" PRId64 ", .filters = %" PRId64 ",\n", conv->channels, conv->filters);
    text_add(to, "        .image = %" PRId64 ", .channel = %" PRId64 ", .out_image = %" PRId64 ",\n", conv->image, conv->channel,
             conv->out_image);
    text_add(to, "        .kernel_channel = %" PRId64 ", .kernel_filter = %" PRId64 ", .block = %" PRId64 "};\n",
             conv->kernel_channel, conv->kernel_filter, conv->block);
}

/* A function's parameters and body; its name comes before. */
static const char *function_text(Emit *emit, const Conv *conv) {
    static const char *const pieces[] = {"conv_filters", "conv_channels", "conv_gradient"};
    const bool gradient = conv->form == CONV_GRADIENT;
    Text text = {.arena = emit->arena};
    text_add(&text, "(size_t n, const float *x, %s) {\n",
             gradient ? "const float *out, float *kernel" : "const float *kernel, float *packed, float *out");
    emit_geometry(emit, &text, conv);
    text_add(&text, "    %s(&geometry, n, x, %s);\n}\n\n", piece(emit, pieces[conv->form]),
             gradient ? "out, kernel" : "kernel, packed, out");
    return text.bytes;
}

static void comment_function(Text *to, const Conv *conv) {
    const ConvAxis *row = &conv->row, *column = &conv->column;
    text_add(to, "/* [%" PRId64 "][%" PRId64 "][%" PRId64 "] by %" PRId64 " x %" PRId64 " to [%" PRId64 "][%" PRId64 "][%" PRId64 "]%s. */\n",
             row->size, column->size, conv->channels, row->taps, column->taps, row->positions, column->positions, conv->filters,
             conv->form == CONV_GRADIENT ? ": the gradient of the kernel" : "");
}

/* The name of the function for a geometry; one that is new is appended to `functions`. */
static const char *function_name(Emit *emit, Text *functions, const Conv *conv) {
    const char *text = function_text(emit, conv);
    int known = 0;
    while (known < emit->convolutions.count && strcmp(emit->convolutions.items[known], text) != 0) known++;
    const char *name = arena_printf(emit->arena, "convolve_%d", known + 1);
    if (known < emit->convolutions.count) return name;
    LIST_PUSH(emit->arena, &emit->convolutions, text);
    comment_function(functions, conv);
    text_add(functions, "static void %s%s", name, text);
    return name;
}

static const char *operand_text(Emit *emit, const ConvOperand *operand) {
    return operand->start ? arena_printf(emit->arena, "%s + %" PRId64, operand->buffer->name, operand->start)
                          : operand->buffer->name;
}

void emit_conv(Emit *emit, Text *functions, Text *to, const Conv *conv) {
    const ConvOperand *result = conv_result(conv), *factor = conv_factor(conv);
    const char *packed = conv->packed ? arena_printf(emit->arena, "%s, ", conv->packed->name) : "";
    add_comment(to, 4, arena_printf(emit->arena, "%s = %s * %s%s", value_comment(emit, result->buffer),
                                    value_comment(emit, conv->x.buffer), value_comment(emit, factor->buffer),
                                    place_comment(emit, conv->node)));
    add_statement(to, 4,
                  arena_printf(emit->arena, "%s(%s, %s, %s, %s%s);", function_name(emit, functions, conv),
                               poly_text(emit, poly_dim(emit->arena, conv->images)), operand_text(emit, &conv->x),
                               operand_text(emit, factor), packed, operand_text(emit, result)));
}

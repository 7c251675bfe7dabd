/* Convolutions: for each geometry a function, which expands a piece of support/conv.c with constant sizes. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

static void emit_axis(Text *to, const char *name, const ConvAxis *axis) {
    text_add(to, "        .%s = {.size = %" PRId64 ", .positions = %" PRId64 ", .taps = %" PRId64 ",\n", name, axis->size,
             axis->positions, axis->taps);
    text_add(to, "            .stride = %" PRId64 ", .dilation = %" PRId64 ", .low = %" PRId64 ", .spread = %" PRId64 ",\n",
             axis->stride, axis->dilation, axis->low, axis->spread);
    text_add(to,
             "            .next_tap = %" PRId64 ", .tap_moves = %" PRId64 ", .next_position = %" PRId64
             ", .moves = %" PRId64 ",\n",
             axis->next_tap, axis->tap_moves, axis->next_position, axis->moves);
    text_add(to, "            .image = %" PRId64 ", .kernel = %" PRId64 ", .out = %" PRId64 "},\n", axis->image,
             axis->kernel, axis->out);
}

static void emit_geometry(Emit *emit, Text *to, const Conv *conv) {
    text_add(to, "    static const %s geometry = {\n", piece(emit, "geometry"));
    emit_axis(to, "row", &conv->row);
    emit_axis(to, "column", &conv->column);
    text_add(to, "        .channels = %" PRId64 ", .filters = %" PRId64 ",\n", conv->channels, conv->filters);
    text_add(to, "        .image = %" PRId64 ", .channel = %" PRId64 ", .out_image = %" PRId64 ",\n", conv->image,
             conv->channel, conv->out_image);
    text_add(to, "        .kernel_channel = %" PRId64 ", .kernel_filter = %" PRId64 ", .block = %" PRId64 "};\n",
             conv->kernel_channel, conv->kernel_filter, conv->block);
}

/* A function's parameters and body; its name comes before. */
static const char *function_text(Emit *emit, const Conv *conv) {
    static const struct {
        const char *piece, *parameters, *arguments;
    } forms[] = {{"conv_filters", "size_t n, const float *x, const float *packed, float *out", "n, x, packed, out"},
                 {"conv_channels", "size_t n, const float *x, const float *packed, float *out", "n, x, packed, out"},
                 {"conv_pack_filters", "const float *kernel, float *packed", "kernel, packed"},
                 {"conv_pack_channels", "const float *kernel, float *packed", "kernel, packed"},
                 {"conv_gradient", "size_t first, size_t end, size_t n, const float *x, const float *out, float *kernel",
                  "first, end, n, x, out, kernel"}};
    Text text = {.arena = emit->arena};
    text_add(&text, "(%s) {\n", forms[conv->form].parameters);
    emit_geometry(emit, &text, conv);
    text_add(&text, "    %s(&geometry, %s);\n}\n\n", piece(emit, forms[conv->form].piece), forms[conv->form].arguments);
    return text.bytes;
}

static void comment_function(Text *to, const Conv *conv) {
    static const char *const what[] = {"", ": lanes of channels", ": the kernel packed",
                                       ": the kernel packed for lanes of channels",
                                       ": taps `first` to `end` of the gradient of the kernel"};
    const ConvAxis *row = &conv->row, *column = &conv->column;
    text_add(to,
             "/* [%" PRId64 "][%" PRId64 "][%" PRId64 "] by %" PRId64 " x %" PRId64 " to [%" PRId64 "][%" PRId64
             "][%" PRId64 "]%s. */\n",
             row->size, column->size, conv->channels, row->taps, column->taps, row->positions, column->positions,
             conv->filters, what[conv->form]);
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
    text_add(functions, "%s void %s%s", piece(emit, "separate"), name, text);
    return name;
}

/* A pointer to what the first turn of the range touches; `turn` floats lie between turns. */
static const char *place(Emit *emit, const Buffer *buffer, int64_t start, int64_t turn, const Range *range) {
    const char *text = start ? arena_printf(emit->arena, "%s + %" PRId64, buffer->name, start) : buffer->name;
    return range ? arena_printf(emit->arena, "%s + %" PRId64 " * %s", text, turn, range->begin) : text;
}

static const char *arguments(Emit *emit, const Conv *conv, const Range *range) {
    const char *images = poly_text(emit, poly_dim(emit->arena, conv->images));
    const char *kernel = place(emit, conv->kernel.buffer, conv->kernel.start, 0, NULL);
    if (conv_packs(conv)) return arena_printf(emit->arena, "%s, %s", kernel, conv->packed->name);
    if (conv->form == CONV_GRADIENT)
        return arena_printf(emit->arena, "%s, %s, %s, %s, %s, %s", range ? range->begin : "0",
                            range ? range->end : poly_text(emit, conv->turns), images,
                            place(emit, conv->x.buffer, conv->x.start, 0, NULL),
                            place(emit, conv->out.buffer, conv->out.start, 0, NULL), kernel);
    return arena_printf(emit->arena, "%s, %s, %s, %s", range ? range->count : images,
                        place(emit, conv->x.buffer, conv->x.start, conv->image, range), conv->packed->name,
                        place(emit, conv->out.buffer, conv->out.start, conv->out_image, range));
}

const char *conv_comment(Emit *emit, const Conv *conv) {
    const Buffer *kernel = conv->form == CONV_GRADIENT ? conv->out.buffer : conv->kernel.buffer;
    if (conv_packs(conv)) return arena_printf(emit->arena, "%s, packed", value_comment(emit, kernel));
    return arena_printf(emit->arena, "conv %s, %s", value_comment(emit, conv->x.buffer), value_comment(emit, kernel));
}

void emit_conv(Emit *emit, Text *functions, Text *to, const Conv *conv, const Range *range, int margin) {
    add_comment(to, margin,
                arena_printf(emit->arena, "%s = %s%s", value_comment(emit, conv_result(conv)), conv_comment(emit, conv),
                             place_comment(emit, conv->node)));
    add_statement(to, margin,
                  arena_printf(emit->arena, "%s(%s);", function_name(emit, functions, conv), arguments(emit, conv, range)));
}

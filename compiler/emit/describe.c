/* The description of a model for the runtime: constant tables, and functions that take the arguments as arrays. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* "static const size_t shape_3[] = {28, 28};", and what to write for it; an empty shape has no array. */
static const char *emit_shape(Emit *emit, Text *to, const Shape *shape, const char *name) {
    if (shape->rank == 0) return "NULL";
    text_add(to, "static const size_t %s[] = {", name);
    for (int axis = 0; axis < shape->rank; axis++) text_add(to, "%s%" PRId64, axis ? ", " : "", shape->dim[axis].base);
    text_add(to, "};\n");
    return arena_printf(emit->arena, "%s", name);
}

static void emit_tensors(Emit *emit, Text *to) {
    static const char *const roles[] = {"GDL_PARAM", "GDL_STATE", "GDL_OPTIMIZER"};
    Text table = {.arena = emit->arena};
    for (int i = 0; i < emit->module->tensors.count; i++) {
        const Tensor *tensor = emit->module->tensors.items[i];
        const char *shape = emit_shape(emit, to, &tensor->shape, arena_printf(emit->arena, "tensor_%d_shape", i));
        text_add(&table, "    {\"%s\", %s, %d, %d, %s, %" PRId64 ", %" PRId64 "},\n", tensor->name, roles[tensor->role],
                 tensor->stage, tensor->shape.rank, shape, shape_size(&tensor->shape, NULL),
                 header_bytes(emit) + emit->plan->tensor[i] * (int64_t)sizeof(float));
    }
    if (table.length > 0) text_add(to, "\nstatic const gdl_tensor tensors[] = {\n%s};\n\n", table.bytes);
}

/* The sizes that are known only at run time; they have the symbols' order, without the batch. */
static void emit_sizes(Emit *emit, Text *to) {
    const SymbolList *symbols = &emit->module->symbols;
    if (symbols->count == 1) return;
    text_add(to, "\nstatic const gdl_size sizes[] = {\n");
    for (int s = 1; s < symbols->count; s++)
        text_add(to, "    {\"%s\", %d, %" PRId64 ", %" PRId64 "},\n", symbols->items[s].name, s - 1, symbols->items[s].low,
                 symbols->items[s].high);
    text_add(to, "};\n");
}

static bool all_constant(const Shape *shape) {
    bool constant = true;
    for (int axis = 0; axis < shape->rank; axis++) constant = constant && dim_is_const(shape->dim[axis]);
    return constant;
}

/* How each axis follows from the run-time sizes, and what to write for it; NULL where none does. */
static const char *emit_extents(Emit *emit, Text *to, const Shape *shape, const char *name) {
    if (all_constant(shape)) return "NULL";
    text_add(to, "static const gdl_extent %s[] = {", name);
    for (int axis = 0; axis < shape->rank; axis++) {
        const Dim dim = shape->dim[axis];
        const char *size =
            dim_is_const(dim) ? "NULL" : arena_printf(emit->arena, "&sizes[%" PRId64 "]", dim.symbol - 1);
        text_add(to, "%s{%s, %" PRId64 ", %" PRId64 "}", axis ? ", " : "", size, dim.scale, dim.base);
    }
    text_add(to, "};\n");
    return name;
}

static Shape largest_shape(Emit *emit, const Shape *shape) {
    Shape largest = *shape;
    for (int axis = 0; axis < shape->rank; axis++)
        largest.dim[axis] = dim_const(dim_high(shape->dim[axis], &emit->module->symbols));
    return largest;
}

static void add_port_row(Emit *emit, Text *shapes, Text *rows, const Port *port, const char *name, int index) {
    const Shape example = shape_without(&port->shape, 1), largest = largest_shape(emit, &example);
    const char *shape = emit_shape(emit, shapes, &largest, arena_printf(emit->arena, "%s_%d_shape", name, index));
    const char *extents = emit_extents(emit, shapes, &example, arena_printf(emit->arena, "%s_%d_extent", name, index));
    text_add(rows, "    {\"%s\", %d, %s, %" PRId64 ", %" PRId64 ", %s},\n", port->name, example.rank, shape,
             shape_size(&largest, NULL), port->classes, extents);
}

static const char *finish_ports(Text *to, const Text *rows, const char *name) {
    if (rows->length == 0) return "NULL";
    text_add(to, "static const gdl_port %s[] = {\n%s};\n", name, rows->bytes);
    return name;
}

static const char *emit_inputs(Emit *emit, Text *to, Port *const *ports, int count, const char *name) {
    Text rows = {.arena = emit->arena};
    for (int i = 0; i < count; i++) add_port_row(emit, to, &rows, ports[i], name, i);
    return finish_ports(to, &rows, name);
}

static const char *emit_outputs(Emit *emit, Text *to, const Entry *entry, const char *name, int *count) {
    Text rows = {.arena = emit->arena};
    *count = 0;
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_OUTPUT)
            add_port_row(emit, to, &rows, entry->roots.items[i].port, name, (*count)++);
    return finish_ports(to, &rows, name);
}

/* The call up to its inputs. */
static void add_sizes(Emit *emit, Text *to, const Entry *entry, const char *before, const char *function) {
    const uint32_t symbols = size_symbols(emit, entry);
    if (symbols == 0) text_add(to, "    (void)size;\n");
    text_add(to, "    %s%s(model, n", before, function);
    for (int s = 1; s < emit->module->symbols.count; s++)
        if (symbols >> s & 1) text_add(to, ", size[%d]", s - 1);
}

static void emit_function_row(Emit *emit, Text *to, Text *table, const Entry *entry) {
    int outputs;
    const char *in = emit_inputs(emit, to, entry->inputs.items, entry->inputs.count,
                                 arena_printf(emit->arena, "%s_input", entry->name));
    const char *out = emit_outputs(emit, to, entry, arena_printf(emit->arena, "%s_output", entry->name), &outputs);
    text_add(to,
             "\nstatic int call_%s(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {\n",
             entry->name);
    if (entry->inputs.count == 0) text_add(to, "    (void)input;\n");
    add_sizes(emit, to, entry, "return ", arena_printf(emit->arena, "%s_%s", emit->name, entry->name));
    for (int i = 0; i < entry->inputs.count; i++) text_add(to, ", input[%d]", i);
    for (int i = 0; i < outputs; i++) text_add(to, ", output[%d]", i);
    text_add(to, ");\n}\n\n");
    text_add(table, "    {\"%s\", %d, %d, %s, %d, %s, call_%s},\n", entry->name, entry->net, entry->inputs.count, in,
             outputs, out, entry->name);
}

static void emit_stage_call(Emit *emit, Text *to, const Stage *stage, const char *what, const ReportNameList *reports) {
    text_add(to,
             "\nstatic int call_%s_%s(void *model, size_t n, const size_t *size, const void *const *input, float *report) {\n",
             stage->name, what);
    if (stage->inputs.count == 0) text_add(to, "    (void)input;\n");
    text_add(to, "    %s_%s_report r;\n", emit->name, stage->name);
    add_sizes(emit, to, stage->evaluate, "const int code = ",
              arena_printf(emit->arena, "%s_%s_%s", emit->name, stage->name, what));
    for (int i = 0; i < stage->inputs.count; i++) text_add(to, ", input[%d]", i);
    text_add(to, ", &r);\n    if (code != GDL_OK) return code;\n");
    for (int i = 0; i < reports->count; i++)
        text_add(to, "    report[%d] = r.%s;\n", i, port_name(emit, reports->items[i].name));
    text_add(to, "    return GDL_OK;\n}\n");
}

static void emit_stage_row(Emit *emit, Text *to, Text *table, const Stage *stage) {
    const ReportNameList reports = stage_reports(emit, stage);
    const char *in = emit_inputs(emit, to, stage->inputs.items, stage->inputs.count,
                                 arena_printf(emit->arena, "%s_stage_input", stage->name));
    text_add(to, "static const gdl_report %s_reports[] = {\n", stage->name);
    for (int i = 0; i < reports.count; i++)
        text_add(to, "    {\"%s\", %d},\n", reports.items[i].name, reports.items[i].loss);
    text_add(to, "};\n");
    emit_stage_call(emit, to, stage, "step", &reports);
    emit_stage_call(emit, to, stage, "evaluate", &reports);
    text_add(to, "\nstatic void call_%s_begin(void *model) { %s_%s_begin(model); }\n\n", stage->name, emit->name,
             stage->name);
    text_add(table,
             "    {\"%s\", %" PRId64 ", %" PRId64
             ", %d, %s, %d, %d, %s_reports, call_%s_step, call_%s_evaluate, call_%s_begin},\n",
             stage->name, stage->batch, stage->epochs, stage->inputs.count, in, stage_batches(stage), reports.count,
             stage->name, stage->name, stage->name, stage->name);
}

static void emit_model(Emit *emit, Text *to) {
    const Module *module = emit->module;
    const char *name = emit->name;
    text_add(to,
             "static void *call_init(void *memory, size_t size, size_t batch, uint64_t seed) { return "
             "%s_init_batch(memory, size, batch, seed); }\n\n",
             name);
    text_add(to, "static gdl_clock *call_clock(void *model) { return %s_get_clock(model); }\n\n", name);
    if (emit->options->profile)
        text_add(to, "static const gdl_kernel *call_profile(const void *model) { return %s_get_profile(model); }\n\n", name);
    text_add(to, "static int call_threads(void *model, int count) { return %s_threads(model, count); }\n\n", name);
    text_add(to, "const gdl_model *%s_describe(void) {\n    static const gdl_model model = {\n", name);
    text_add(to,
             "        .name = \"%s\",\n        .source = \"%s\",\n        .version = \"%s\",\n        .batch = "
             "%s_BATCH_SIZE,\n",
             name, base_name(emit->options->input), GDLC_VERSION, emit->upper);
    text_add(to, "        .tensors = %d,\n        .tensor = %s,\n", module->tensors.count,
             module->tensors.count ? "tensors" : "NULL");
    if (module->symbols.count > 1)
        text_add(to, "        .sizes = %d,\n        .size = sizes,\n", module->symbols.count - 1);
    text_add(to, "        .functions = %d,\n        .function = %s,\n", module->functions.count,
             module->functions.count ? "functions" : "NULL");
    text_add(to, "        .stages = %d,\n        .stage = %s,\n", module->stages.count,
             module->stages.count ? "stages" : "NULL");
    text_add(to,
             "        .memory = %s_memory,\n        .init = call_init,\n        .clock = call_clock,\n        .threads = call_threads,\n%s    };\n    "
             "return &model;\n}\n",
             name, emit->options->profile ? "        .profile = call_profile,\n" : "");
}

void emit_describe(Emit *emit, Text *to) {
    const Module *module = emit->module;
    Text functions = {.arena = emit->arena}, stages = {.arena = emit->arena};
    text_add(to, "/* ---- the description ---- */\n\n");
    emit_tensors(emit, to);
    emit_sizes(emit, to);
    for (int i = 0; i < module->functions.count; i++)
        emit_function_row(emit, to, &functions, module->functions.items[i]);
    if (functions.length > 0) text_add(to, "static const gdl_function functions[] = {\n%s};\n\n", functions.bytes);
    for (int i = 0; i < module->stages.count; i++) emit_stage_row(emit, to, &stages, module->stages.items[i]);
    if (stages.length > 0) text_add(to, "static const gdl_stage stages[] = {\n%s};\n\n", stages.bytes);
    emit_model(emit, to);
}

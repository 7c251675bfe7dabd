/* The header of an emitted model: C, and readable by C++. Every function says in its comment the shapes, the units and what its
 * result means. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

static void add_call(Emit *emit, Text *to, const char *type, const char *name, const char *parameters) {
    text_add(to, "%s%s_%s(", type, emit->name, name);
    add_wrapped(to, parameters, (int)(strlen(type) + strlen(emit->name) + strlen(name)) + 2, 110);
    text_add(to, ");\n");
}

static const char *example_text(Emit *emit, const Port *port) {
    const Shape example = shape_without(&port->shape, 1);
    if (port->classes > 0) return arena_printf(emit->arena, "class[%" PRId64 "]", port->classes);
    return shape_text(emit->arena, &emit->module->symbols, &example);
}

static const char *ports_text(Emit *emit, const Entry *entry, bool outputs) {
    Text text = {.arena = emit->arena};
    for (int i = 0; !outputs && i < entry->inputs.count; i++)
        text_add(&text, "%s%s %s", text.length ? ", " : "", entry->inputs.items[i]->name,
                 example_text(emit, entry->inputs.items[i]));
    for (int i = 0; outputs && i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_OUTPUT)
            text_add(&text, "%s%s %s", text.length ? ", " : "", entry->roots.items[i].port->name,
                     example_text(emit, entry->roots.items[i].port));
    return text.length ? text.bytes : NULL;
}

/* " All examples have one time, from 1 to 64; GDL_SIZE, and nothing is computed, where that is not so." */
static const char *sizes_sentence(Emit *emit, const Entry *entry) {
    const uint32_t symbols = size_symbols(emit, entry);
    Text text = {.arena = emit->arena};
    for (int s = 0; s < emit->module->symbols.count; s++) {
        const Symbol *symbol = &emit->module->symbols.items[s];
        if (symbols >> s & 1)
            text_add(&text, "%s one %s, from %" PRId64 " to %" PRId64, text.length ? " and" : " All examples have",
                     symbol->variable, symbol->low, symbol->high);
    }
    return text.length ? arena_printf(emit->arena, "%s; %s_SIZE, and nothing is computed, outside of that.", text.bytes, emit->code)
                       : "";
}

static bool has_labels(Port *const *ports, int count) {
    for (int i = 0; i < count; i++)
        if (ports[i]->classes > 0) return true;
    return false;
}

static void declare_threads(Emit *emit, Text *to) {
    add_comment(to, 0,
                "Computes with `count` threads from now on, the caller's included: results are the same to the bit. Returns how many "
                "there are: 1 for a smaller count, 32 for a larger one, fewer where the system starts no more, and 1 where nothing in "
                "this model is worth more. Before the memory of a model that is not freed is used for something else: count 1.");
    add_call(emit, to, "int ", "threads", arena_printf(emit->arena, "%s *m, int count", emit->name));
    text_add(to, "\n");
}

static void declare_model(Emit *emit, Text *to) {
    const char *name = emit->name, *upper = emit->upper;
    const int64_t batch = emit->module->symbols.items[SYMBOL_BATCH].high;
    text_add(to, "typedef struct %s %s;\n\n", name, name);
    text_add(to,
             "enum { %s_BATCH_SIZE = %" PRId64
             " }; /* examples that a model is made for, unless it is told otherwise: its capacity */\n",
             upper, batch);
    text_add(to, "#define %s_MEMORY ((size_t)%" PRId64 ") /* bytes that a model with that capacity needs */\n\n", upper,
             header_bytes(emit) + plan_bytes(emit->plan, batch));
    text_add(to, "/* A new model, its parameters at their first values, drawn from the seed; NULL when memory is "
                 "short. Nothing is allocated later. */\n");
    add_call(emit, to, arena_printf(emit->arena, "%s *", name), "create", "uint64_t seed");
    text_add(to, "/* The same for up to `batch` examples at once. */\n");
    add_call(emit, to, arena_printf(emit->arena, "%s *", name), "create_batch", "size_t batch, uint64_t seed");
    text_add(to, "void %s_free(%s *m); /* of a created model; NULL is nothing */\n\n", name, name);
    declare_threads(emit, to);
    text_add(to,
             "/* In the caller's memory: `size` bytes, aligned to 64, %s_MEMORY or %s_memory(batch) of them at least; "
             "else NULL. */\n",
             upper, name);
    add_call(emit, to, arena_printf(emit->arena, "%s *", name), "init", "void *memory, size_t size, uint64_t seed");
    add_call(emit, to, arena_printf(emit->arena, "%s *", name), "init_batch",
             "void *memory, size_t size, size_t batch, uint64_t seed");
    add_call(emit, to, "size_t ", "memory", "size_t batch");
    text_add(to, "\n/* What the model counts and what its random numbers depend on. */\n");
    add_call(emit, to, arena_printf(emit->arena, "%s_clock *", emit->options->standalone ? name : "gdl"), "get_clock",
             arena_printf(emit->arena, "%s *m", name));
    text_add(to, "/* The %" PRId64 " floats of all tensors, at the places that the table in %s.c lists. */\n",
             emit->plan->tensors, name);
    add_call(emit, to, "float *", "get_tensors", arena_printf(emit->arena, "%s *m", name));
}

static void declare_profile(Emit *emit, Text *to) {
    if (!emit->options->profile) return;
    text_add(to, "/* What each kernel has done since the model was made; a list that ends where `function` is NULL. */\n");
    add_call(emit, to, arena_printf(emit->arena, "const %s_kernel *", emit->options->standalone ? emit->name : "gdl"), "get_profile",
             arena_printf(emit->arena, "const %s *m", emit->name));
}

static void declare_function(Emit *emit, Text *to, const Entry *entry) {
    const char *inputs = ports_text(emit, entry, false), *outputs = ports_text(emit, entry, true);
    const char *limit =
        entry->crosses_batch
            ? arena_printf(emit->arena, "The examples depend on each other: %s_BATCH for more than the capacity.",
                           emit->code)
            : "Any n.";
    const char *labels =
        has_labels(entry->inputs.items, entry->inputs.count)
            ? arena_printf(emit->arena, " %s_LABEL, and nothing is computed, where a label is none.", emit->code)
            : "";
    text_add(to, "\n");
    add_comment(to, 0,
                arena_printf(emit->arena,
                             "%s %s: %s%s%s, for each of n examples, packed. The arrays must not overlap. %s%s%s",
                             entry->net ? "Net" : "Export", entry->name, inputs ? inputs : "", inputs ? " -> " : "",
                             outputs ? outputs : "", limit, sizes_sentence(emit, entry), labels));
    add_call(emit, to, "int ", entry->name, parameter_list(emit, entry));
}

static void declare_parts(Emit *emit, Text *to, const Stage *stage, const Phase *phase) {
    const char *name = phase_name(emit, stage, phase);
    int64_t gradients = 0;
    for (int i = 0; i < phase->entry->gradients.count; i++)
        gradients += shape_size(&phase->entry->gradients.items[i]->shape, NULL);
    const char *phase_text =
        stage->phases.count == 1 ? "" : arena_printf(emit->arena, ", phase %s,", phase->entry->name);
    text_add(to, "\n");
    add_comment(
        to, 0,
        arena_printf(
            emit->arena,
            "The same%s in two parts, for training on several machines: the second reads the gradients that the "
            "first leaves, %" PRId64 " floats in the order of the parameters, and nothing else of the model may be "
            "called between them. `n` is the same for both%s; `report` takes the reports of the phase.",
            phase_text, gradients, *size_arguments(emit, phase->entry) ? ", and so are the sizes" : ""));
    add_call(emit, to, "int ", arena_printf(emit->arena, "%s_backward", name),
             arena_printf(emit->arena, "%s, float *report", parameter_list(emit, phase->entry)));
    add_call(emit, to, "float *", arena_printf(emit->arena, "%s_gradients", name),
             arena_printf(emit->arena, "%s *m", emit->name));
    add_call(emit, to, "void ", arena_printf(emit->arena, "%s_update", name),
             arena_printf(emit->arena, "%s *m, size_t n%s", emit->name, size_parameters(emit, phase->entry)));
}

static void declare_phase(Emit *emit, Text *to, const Stage *stage, const Phase *phase) {
    text_add(to, "\n");
    add_comment(to, 0,
                arena_printf(emit->arena,
                             "One run of the phase %s alone, on n examples; `report` takes its reports. The step is not counted. "
                             "Results are those of %s_step.",
                             phase->entry->name, stage->name));
    add_call(emit, to, "int ", arena_printf(emit->arena, "%s_run", phase_name(emit, stage, phase)),
             arena_printf(emit->arena, "%s, float *report", parameter_list(emit, phase->entry)));
}

static void declare_stage(Emit *emit, Text *to, const Stage *stage) {
    const ReportNameList names = stage_reports(emit, stage);
    const char *parameters =
        arena_printf(emit->arena, "%s, %s_%s_report *r", stage_parameters(emit, stage), emit->name, stage->name);
    text_add(to, "\n/* Means over the examples of an iteration of `train %s`. */\ntypedef struct %s_%s_report {\n",
             stage->name, emit->name, stage->name);
    for (int i = 0; i < names.count; i++)
        text_add(to, "    float %s;%s\n", port_name(emit, names.items[i].name),
                 names.items[i].loss ? " /* minimized */" : "");
    text_add(to, "} %s_%s_report;\n\n", emit->name, stage->name);
    const int batches = stage_batches(stage);
    const char *examples = batches == 1
                               ? "n examples"
                               : arena_printf(emit->arena, "%d * n examples, n for each run that reads them", batches);
    const char *labels = has_labels(stage->inputs.items, stage->inputs.count)
                             ? arena_printf(emit->arena, ", %s_LABEL where a label is none", emit->code)
                             : "";
    add_comment(
        to, 0,
        arena_printf(
            emit->arena,
            "One iteration of `train %s`: all its phases, forward, backward and update, on %s. %s_BATCH where n "
            "is 0 or more than the capacity%s; nothing is computed then.%s",
            stage->name, examples, emit->code, labels, sizes_sentence(emit, stage->evaluate)));
    add_call(emit, to, "int ", arena_printf(emit->arena, "%s_step", stage->name), parameters);
    text_add(to, "/* The same reports in inference form, for n examples; no tensor changes. */\n");
    add_call(emit, to, "int ", arena_printf(emit->arena, "%s_evaluate", stage->name), parameters);
    text_add(to, "/* Sets the state of the stage's optimizer to its first values; a new model needs no call. */\n");
    add_call(emit, to, "void ", arena_printf(emit->arena, "%s_begin", stage->name),
             arena_printf(emit->arena, "%s *m", emit->name));
    for (int i = 0; i < stage->phases.count; i++)
        (emit->options->parts ? declare_parts : declare_phase)(emit, to, stage, &stage->phases.items[i]);
}

/* What gdl.h says, for a model that does without it. */
static void declare_standalone(Emit *emit, Text *to) {
    text_add(to, "enum {\n    %s_OK = 0,\n    %s_BATCH = 1, /* more examples than the model was created for */\n"
                 "    %s_LABEL = 2, /* a class label outside 0..classes-1 */\n"
                 "    %s_SIZE = 3   /* a run-time size outside of its bounds */\n};\n\n",
             emit->upper, emit->upper, emit->upper, emit->upper);
    text_add(to, "typedef struct %s_clock {\n"
                 "    uint64_t seed;  /* key of all random numbers */\n"
                 "    uint64_t tick;  /* phases run in training */\n"
                 "    uint64_t draw;  /* calls of nets, exports and evaluations */\n"
                 "    uint64_t step;  /* iterations of the running stage */\n"
                 "    uint64_t epoch; /* epochs of the running stage: for the caller to count */\n"
                 "    float lr_scale; /* every learning rate is multiplied by it; 1 */\n"
                 "} %s_clock;\n\n",
             emit->name, emit->name);
    if (!emit->options->profile) return;
    text_add(to, "typedef struct %s_kernel {\n"
                 "    const char *function; /* of the C: \"%s_backward\", say; NULL ends a list */\n"
                 "    const char *name;     /* what it computes */\n"
                 "    const char *place;    /* where the model says so, or \"\" */\n"
                 "    uint64_t calls;\n"
                 "    double seconds;\n"
                 "    double flops;         /* operations on floating-point numbers; a function such as exp counts as one */\n"
                 "    double bytes;         /* read and written: each element once in each call */\n"
                 "} %s_kernel;\n\n",
             emit->name, emit->name, emit->name);
}

void emit_header(Emit *emit, Text *to) {
    const Module *module = emit->module;
    text_add(to, "#ifndef %s_H\n#define %s_H\n\n", emit->upper, emit->upper);
    text_add(to, "%s\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
             emit->options->standalone ? "#include <stddef.h>\n#include <stdint.h>\n"
                                       : "#include <gdl.h>\n\n#include <stddef.h>\n#include <stdint.h>\n");
    if (emit->options->standalone) declare_standalone(emit, to);
    declare_model(emit, to);
    declare_profile(emit, to);
    for (int i = 0; i < module->functions.count; i++) declare_function(emit, to, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) declare_stage(emit, to, module->stages.items[i]);
    if (!emit->options->standalone)
        text_add(to,
                 "\n/* What the runtime works from: tensors, entry points, defaults. */\nconst gdl_model "
                 "*%s_describe(void);\n",
                 emit->name);
    text_add(to, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

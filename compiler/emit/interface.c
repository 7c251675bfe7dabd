/* The functions that a user of the model calls: making it, its nets and exports, its training steps. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* Values in one example, as a factor: "784", "(time + 1)" */
static const char *example_size(Emit *emit, const Port *port) {
    const Shape example = shape_without(&port->shape, 1);
    const Poly *size = poly_shape(emit->arena, &example);
    return arena_printf(emit->arena, size->count > 1 ? "(%s)" : "%s", poly_text(emit, size));
}

/* ── run-time sizes ───────────────────────────────────────────────────────────────────────── */

static uint32_t stage_symbols(Emit *emit, const Stage *stage) {
    uint32_t symbols = entry_symbols(emit->arena, stage->evaluate);
    for (int i = 0; i < stage->phases.count; i++) symbols |= entry_symbols(emit->arena, stage->phases.items[i].entry);
    return symbols;
}

static bool is_of_stage(const Stage *stage, const Entry *entry) {
    bool found = stage->evaluate == entry;
    for (int i = 0; i < stage->phases.count; i++) found = found || stage->phases.items[i].entry == entry;
    return found;
}

uint32_t size_symbols(Emit *emit, const Entry *entry) {
    const uint32_t batch = 1u << SYMBOL_BATCH;
    if (emit->module->symbols.count == 1) return 0;
    for (int i = 0; i < emit->module->stages.count; i++)
        if (is_of_stage(emit->module->stages.items[i], entry))
            return stage_symbols(emit, emit->module->stages.items[i]) & ~batch;
    return entry_symbols(emit->arena, entry) & ~batch;
}

static const char *list_sizes(Emit *emit, const Entry *entry, const char *format) {
    const uint32_t symbols = size_symbols(emit, entry);
    Text text = {.arena = emit->arena};
    for (int s = 0; s < emit->module->symbols.count; s++)
        if (symbols >> s & 1) text_add(&text, "%s%s", format, emit->module->symbols.items[s].variable);
    return text.length ? text.bytes : "";
}

const char *size_parameters(Emit *emit, const Entry *entry) { return list_sizes(emit, entry, ", size_t "); }

const char *size_arguments(Emit *emit, const Entry *entry) { return list_sizes(emit, entry, ", "); }

static void check_sizes(Emit *emit, Text *to, const Entry *entry) {
    const uint32_t symbols = size_symbols(emit, entry);
    for (int s = 0; s < emit->module->symbols.count; s++) {
        const Symbol *symbol = &emit->module->symbols.items[s];
        if (symbols >> s & 1)
            text_add(to, "    if (%s < %" PRId64 " || %s > %" PRId64 ") return %s_SIZE;\n", symbol->variable, symbol->low,
                     symbol->variable, symbol->high, emit->code);
    }
}

/* ── parameters and arguments ─────────────────────────────────────────────────────────────── */

static const char *port_type(const Port *port) { return port->classes > 0 ? "int32_t" : "float"; }

static void add_port(Emit *emit, Text *text, const Port *port, bool output) {
    text_add(text, ", %s%s *%s", output ? "" : "const ", port_type(port), port_name(emit, port->name));
}

const char *parameter_list(Emit *emit, const Entry *entry) {
    Text text = {.arena = emit->arena};
    text_add(&text, "%s *m, size_t n%s", emit->name, size_parameters(emit, entry));
    for (int i = 0; i < entry->inputs.count; i++) add_port(emit, &text, entry->inputs.items[i], false);
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_OUTPUT) add_port(emit, &text, entry->roots.items[i].port, true);
    return text.bytes;
}

const char *stage_parameters(Emit *emit, const Stage *stage) {
    Text text = {.arena = emit->arena};
    text_add(&text, "%s *m, size_t n%s", emit->name, size_parameters(emit, stage->evaluate));
    for (int i = 0; i < stage->inputs.count; i++) add_port(emit, &text, stage->inputs.items[i], false);
    return text.bytes;
}

int stage_batches(const Stage *stage) {
    int64_t batches = 0;
    for (int i = 0; i < stage->phases.count; i++)
        if (stage->phases.items[i].reads) batches += stage->phases.items[i].repeat;
    return batches > 0 ? (int)batches : 1;
}

ReportNameList stage_reports(Emit *emit, const Stage *stage) {
    ReportNameList names = {0};
    for (int i = 0; i < stage->phases.count; i++) {
        const Entry *entry = stage->phases.items[i].entry;
        for (int k = 0; k < entry->roots.count; k++) {
            const Root *root = &entry->roots.items[k];
            if (root->kind != ROOT_REPORT) continue;
            const bool alone = stage->phases.count == 1 || strchr(root->name, '.');
            const char *name = alone ? root->name : arena_printf(emit->arena, "%s.%s", entry->name, root->name);
            LIST_PUSH(emit->arena, &names, ((ReportName){name, root->loss}));
        }
    }
    return names;
}

/* ── making a model ───────────────────────────────────────────────────────────────────────── */

static const char *power_text(Emit *emit, int degree) {
    return degree == 0   ? "1"
           : degree == 1 ? "batch"
           : degree == 2 ? "batch * batch"
                         : arena_printf(emit->arena, "batch * batch * batch");
}

/* Bytes for a capacity; 0 for one that is impossible. */
static void emit_memory(Emit *emit, Text *to) {
    const Plan *plan = emit->plan;
    text_add(to, "size_t %s_memory(size_t batch) {\n", emit->name);
    text_add(to, "    if (batch == 0 || batch > 1048576) return 0;\n    const uint64_t floats = UINT64_C(%" PRId64 ")",
             plan->tensors);
    for (int d = 0; d <= MAX_DEGREE; d++)
        if (plan->region[d] > 0)
            text_add(to, " + UINT64_C(%" PRId64 ")%s%s", plan->region[d], d ? " * " : "", d ? power_text(emit, d) : "");
    text_add(to, ";\n    const uint64_t bytes = %d + floats * sizeof(float);\n", header_bytes(emit));
    text_add(to, "    return (size_t)bytes == bytes ? (size_t)bytes : 0;\n}\n\n");
}

/* The runs of the init program and of each stage's first optimizer state. */
static void emit_regions(Emit *emit, Text *to) {
    const char *before = "m->tensors";
    text_add(to, "    m->tensors = (float *)(void *)((char *)memory + %d);\n", header_bytes(emit));
    int64_t size = emit->plan->tensors;
    const char *power = "";
    for (int d = 0; d <= MAX_DEGREE; d++) {
        text_add(to, "    m->region_%d = %s + %" PRId64 "%s;\n", d, before, size, power);
        before = arena_printf(emit->arena, "m->region_%d", d);
        size = emit->plan->region[d];
        power = d == 0 ? "" : arena_printf(emit->arena, " * %s", power_text(emit, d));
    }
}

static bool uses_threads(const Emit *emit) {
    for (int i = 0; i < emit->programs->count; i++)
        for (int part = 0; part < PART_COUNT; part++)
            if (emit->programs->items[i]->tasks[part].count > 0) return true;
    return false;
}

static void emit_threads(Emit *emit, Text *to) {
    text_add(to, "int %s_threads(%s *m, int count) {\n", emit->name, emit->name);
    if (uses_threads(emit)) {
        piece(emit, "threads");
        text_add(to, "    support_dismiss(m->team);\n    m->team = support_assemble(count);\n"
                     "    return m->team ? (int)m->team->count : 1;\n}\n\n");
    } else text_add(to, "    (void)m;\n    (void)count;\n    return 1;\n}\n\n");
}

static void emit_init(Emit *emit, Text *to) {
    const char *name = emit->name;
    text_add(to, "%s *%s_init_batch(void *memory, size_t size, size_t batch, uint64_t seed) {\n", name, name);
    text_add(to, "    const size_t needed = %s_memory(batch);\n", name);
    text_add(to,
             "    if (memory == NULL || needed == 0 || size < needed || (uintptr_t)memory %% 64 != 0) return NULL;\n");
    text_add(to, "    %s *const m = memory;\n    memset(m, 0, sizeof *m);\n", name);
    text_add(to, "    m->clock.seed = seed;\n    m->clock.lr_scale = 1.0f;\n    m->capacity = batch;\n");
    if (emit->options->profile) text_add(to, "    memcpy(m->kernel, kernels, sizeof kernels);\n");
    emit_regions(emit, to);
    text_add(to, "    memset(m->tensors, 0, sizeof(float) * %" PRId64 ");\n",
             emit->plan->tensors > 0 ? emit->plan->tensors : 0);
    text_add(to, "    run_init(m, 1, 0, 0, NULL);\n");
    for (int i = 0; i < emit->module->stages.count; i++)
        text_add(to, "    %s_%s_begin(m);\n", name, emit->module->stages.items[i]->name);
    text_add(to, "    return m;\n}\n\n");
    text_add(to, "%s *%s_init(void *memory, size_t size, uint64_t seed) {\n", name, name);
    text_add(to, "    return %s_init_batch(memory, size, %s_BATCH_SIZE, seed);\n}\n\n", name, emit->upper);
    text_add(to, "%s *%s_create_batch(size_t batch, uint64_t seed) {\n", name, name);
    text_add(to, "    const size_t size = (%s_memory(batch) + 63) / 64 * 64;\n", name);
    text_add(to, "    return size > 0 ? %s_init_batch(aligned_alloc(64, size), size, batch, seed) : NULL;\n}\n\n",
             name);
    text_add(to, "%s *%s_create(uint64_t seed) { return %s_create_batch(%s_BATCH_SIZE, seed); }\n\n", name, name, name,
             emit->upper);
    emit_threads(emit, to);
    text_add(to, "void %s_free(%s *m) {\n    if (m != NULL) %s_threads(m, 1);\n    free(m);\n}\n\n", name, name, name);
    text_add(to, "%s_clock *%s_get_clock(%s *m) { return &m->clock; }\n\n", emit->options->standalone ? name : "gdl",
             name, name);
    text_add(to, "float *%s_get_tensors(%s *m) { return m->tensors; }\n\n", name, name);
}

/* ── checks of arguments ──────────────────────────────────────────────────────────────────── */

static void emit_label_check(Emit *emit, Text *to) {
    bool any = false;
    for (int i = 0; i < emit->module->functions.count; i++)
        for (int k = 0; k < emit->module->functions.items[i]->inputs.count; k++)
            any = any || emit->module->functions.items[i]->inputs.items[k]->classes > 0;
    for (int i = 0; i < emit->module->stages.count; i++)
        for (int k = 0; k < emit->module->stages.items[i]->inputs.count; k++)
            any = any || emit->module->stages.items[i]->inputs.items[k]->classes > 0;
    if (!any) return;
    text_add(to, "/* Whether all labels are in 0..limit-1. */\n");
    text_add(to, "static int valid_labels(const int32_t *input, size_t count, int32_t limit) {\n");
    text_add(to, "    int valid = 1;\n    for (size_t i = 0; i < count; i++) valid &= input[i] >= 0 && input[i] < "
                 "limit;\n    return valid;\n}\n\n");
}

static void check_labels(Emit *emit, Text *to, Port *const *ports, int count, const char *examples) {
    for (int i = 0; i < count; i++) {
        const Port *port = ports[i];
        if (port->classes == 0) continue;
        text_add(to, "    if (!valid_labels(%s, %s * %s, %" PRId64 ")) return %s_LABEL;\n", port_name(emit, port->name),
                 example_size(emit, port), examples, port->classes, emit->code);
    }
}

/* ── nets and exports ─────────────────────────────────────────────────────────────────────── */

static void add_arguments(Emit *emit, Text *to, const Entry *entry, const char *first) {
    for (int i = 0; i < entry->inputs.count; i++)
        text_add(to, ", %s + %s * %s", port_name(emit, entry->inputs.items[i]->name), first,
                 example_size(emit, entry->inputs.items[i]));
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_OUTPUT)
            text_add(to, ", %s + %s * %s", port_name(emit, entry->roots.items[i].port->name), first,
                     example_size(emit, entry->roots.items[i].port));
}

static void emit_function(Emit *emit, Text *to, const Entry *entry) {
    text_add(to, "int %s_%s(", emit->name, entry->name);
    add_wrapped(to, parameter_list(emit, entry), (int)(strlen(emit->name) + strlen(entry->name)) + 6, 110);
    text_add(to, ") {\n");
    check_sizes(emit, to, entry);
    check_labels(emit, to, entry->inputs.items, entry->inputs.count, "n");
    if (entry->crosses_batch) text_add(to, "    if (n > m->capacity) return %s_BATCH;\n", emit->code);
    text_add(to, "    const uint64_t tick = m->clock.draw++;\n");
    text_add(to, "    for (size_t first = 0; first < n; first += m->capacity) {\n");
    text_add(to, "        const size_t count = n - first < m->capacity ? n - first : m->capacity;\n");
    text_add(to, "        run_%s(m, count%s, first, tick", entry->name, size_arguments(emit, entry));
    add_arguments(emit, to, entry, "first");
    text_add(to, ", NULL);\n    }\n    return %s_OK;\n}\n\n", emit->code);
}

/* ── stages ───────────────────────────────────────────────────────────────────────────────── */

static int report_count(const Entry *entry) {
    int count = 0;
    for (int i = 0; i < entry->roots.count; i++) count += entry->roots.items[i].kind == ROOT_REPORT;
    return count;
}

static void add_inputs(Emit *emit, Text *to, const Entry *entry, const char *offset) {
    for (int i = 0; i < entry->inputs.count; i++) {
        const Port *port = entry->inputs.items[i];
        text_add(to, ", %s", port_name(emit, port->name));
        if (strcmp(offset, "0") != 0) text_add(to, " + %s * n * %s", offset, example_size(emit, port));
    }
}

static const char *offset_text(Emit *emit, const Phase *phase, int64_t before, const char *turn) {
    if (!phase->reads) return "0";
    if (phase->repeat == 1) return arena_printf(emit->arena, "%" PRId64, before);
    return before ? arena_printf(emit->arena, "(%" PRId64 " + %s)", before, turn) : turn;
}

/* Runs a phase `repeat` times; its reports are the means over the runs. */
static void emit_phase_runs(Emit *emit, Text *to, const Stage *stage, const Phase *phase, int64_t before, int report) {
    const char *name = phase_name(emit, stage, phase), *margin = phase->repeat > 1 ? "        " : "    ";
    const int count = report_count(phase->entry);
    const char *place = phase->repeat > 1 ? "part"
                        : report          ? arena_printf(emit->arena, "report + %d", report)
                                          : "report";
    if (phase->repeat > 1) {
        text_add(to, "    for (size_t turn = 0; turn < %" PRId64 "; turn++) {\n        float part[%d] = {0.0f};\n",
                 phase->repeat, count);
    }
    const char *sizes = size_arguments(emit, phase->entry);
    text_add(to, "%srun_%s_%s(m, n%s, 0, m->clock.tick", margin, name, emit->options->parts ? "backward" : "run", sizes);
    add_inputs(emit, to, phase->entry, offset_text(emit, phase, before, "turn"));
    text_add(to, ", %s);\n", place);
    if (emit->options->parts) text_add(to, "%srun_%s_update(m, n%s, 0, m->clock.tick);\n", margin, name, sizes);
    text_add(to, "%sm->clock.tick++;\n", margin);
    if (phase->repeat > 1)
        text_add(to, "        for (size_t k = 0; k < %d; k++) report[%d + k] += part[k] / %" PRId64 ".0f;\n    }\n",
                 count, report, phase->repeat);
}

static void emit_report_copy(Emit *emit, Text *to, const Stage *stage) {
    const ReportNameList names = stage_reports(emit, stage);
    for (int i = 0; i < names.count; i++)
        text_add(to, "    r->%s = report[%d];\n", port_name(emit, names.items[i].name), i);
}

static void open_stage_function(Emit *emit, Text *to, const Stage *stage, const char *what) {
    text_add(to, "int %s_%s_%s(", emit->name, stage->name, what);
    add_wrapped(
        to, arena_printf(emit->arena, "%s, %s_%s_report *r", stage_parameters(emit, stage), emit->name, stage->name),
        (int)(strlen(emit->name) + strlen(stage->name) + strlen(what)) + 7, 110);
    text_add(to, ") {\n    if (n == 0 || n > m->capacity) return %s_BATCH;\n", emit->code);
    check_sizes(emit, to, stage->evaluate);
}

static void emit_step_function(Emit *emit, Text *to, const Stage *stage) {
    int64_t before = 0;
    int report = 0;
    open_stage_function(emit, to, stage, "step");
    check_labels(emit, to, stage->inputs.items, stage->inputs.count,
                 arena_printf(emit->arena, "%d * n", stage_batches(stage)));
    text_add(to, "    float report[%d] = {0.0f};\n", stage_reports(emit, stage).count);
    for (int i = 0; i < stage->phases.count; i++) {
        const Phase *phase = &stage->phases.items[i];
        emit_phase_runs(emit, to, stage, phase, before, report);
        if (phase->reads) before += phase->repeat;
        report += report_count(phase->entry);
    }
    text_add(to, "    m->clock.step++;\n");
    emit_report_copy(emit, to, stage);
    text_add(to, "    return %s_OK;\n}\n\n", emit->code);
}

static void emit_evaluate(Emit *emit, Text *to, const Stage *stage) {
    open_stage_function(emit, to, stage, "evaluate");
    check_labels(emit, to, stage->inputs.items, stage->inputs.count, "n");
    text_add(to, "    float report[%d] = {0.0f};\n", stage_reports(emit, stage).count);
    text_add(to, "    run_%s_evaluate(m, n%s, 0, m->clock.draw++", stage->name, size_arguments(emit, stage->evaluate));
    add_inputs(emit, to, stage->evaluate, "0");
    text_add(to, ", report);\n");
    emit_report_copy(emit, to, stage);
    text_add(to, "    return %s_OK;\n}\n\n", emit->code);
}

static const Program *program_of(const Emit *emit, const Entry *entry) {
    for (int i = 0; i < emit->programs->count; i++)
        if (emit->programs->items[i]->entry == entry) return emit->programs->items[i];
    return NULL;
}

/* A phase alone, or its first part. */
static void emit_phase(Emit *emit, Text *to, const Stage *stage, const Phase *phase) {
    const char *name = phase_name(emit, stage, phase), *what = emit->options->parts ? "backward" : "run";
    text_add(to, "int %s_%s_%s(", emit->name, name, what);
    add_wrapped(to, arena_printf(emit->arena, "%s, float *report", parameter_list(emit, phase->entry)),
                (int)(strlen(emit->name) + strlen(name) + strlen(what)) + 7, 110);
    text_add(to, ") {\n    if (n == 0 || n > m->capacity) return %s_BATCH;\n", emit->code);
    check_sizes(emit, to, phase->entry);
    check_labels(emit, to, phase->entry->inputs.items, phase->entry->inputs.count, "n");
    text_add(to, "    run_%s_%s(m, n%s, 0, m->clock.tick", name, what, size_arguments(emit, phase->entry));
    add_inputs(emit, to, phase->entry, "0");
    text_add(to, ", report);\n");
    if (!emit->options->parts) text_add(to, "    m->clock.tick++;\n");
    text_add(to, "    return %s_OK;\n}\n\n", emit->code);
}

/* The second part of a phase, for training on several machines: what lies between them is the caller's. */
static void emit_update(Emit *emit, Text *to, const Stage *stage, const Phase *phase) {
    const Program *program = program_of(emit, phase->entry);
    const char *name = phase_name(emit, stage, phase);
    text_add(to, "float *%s_%s_gradients(%s *m) { return m->region_0 + %" PRId64 "; }\n\n", emit->name, name,
             emit->name, program->gradients_offset);
    text_add(to, "void %s_%s_update(%s *m, size_t n%s) {\n    run_%s_update(m, n%s, 0, m->clock.tick);\n    m->clock.tick++;\n}\n\n",
             emit->name, name, emit->name, size_parameters(emit, phase->entry), name, size_arguments(emit, phase->entry));
}

static void emit_begin(Emit *emit, Text *to, const Stage *stage) {
    text_add(to, "void %s_%s_begin(%s *m) { run_%s_begin(m, 1, 0, 0, NULL); }\n\n", emit->name, stage->name, emit->name,
             stage->name);
}

void emit_interface(Emit *emit, Text *to) {
    const Module *module = emit->module;
    emit_label_check(emit, to);
    for (int i = 0; i < module->stages.count; i++) emit_begin(emit, to, module->stages.items[i]);
    emit_memory(emit, to);
    emit_init(emit, to);
    for (int i = 0; i < module->functions.count; i++) emit_function(emit, to, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) {
        const Stage *stage = module->stages.items[i];
        for (int k = 0; k < stage->phases.count; k++) emit_phase(emit, to, stage, &stage->phases.items[k]);
        for (int k = 0; emit->options->parts && k < stage->phases.count; k++)
            emit_update(emit, to, stage, &stage->phases.items[k]);
        emit_step_function(emit, to, stage);
        emit_evaluate(emit, to, stage);
    }
}

/* --profile: each step of a program adds its time, operations and bytes to a counter that the model carries. Without the option
 * nothing of this is emitted. Of several threads the first one counts: what it does, and the time that it takes. */
#include "emit.h"

#include <string.h>

/* ── what a counter is called ─────────────────────────────────────────────────────────────── */

/* Each result once, however many statements write to it. */
static void add_written(Emit *emit, Text *text, const Buffer *buffer) {
    const char *name = value_comment(emit, buffer);
    if (text->length && strstr(text->bytes, name)) return;
    const bool first = text->length == 0 || text->bytes[text->length - 1] == ' ';
    text_add(text, "%s%s", first ? "" : ", ", name);
}

/* "h[n][100], loss = x[n][784] @ kernel[784][100]"; `node` gets what says the model's line. */
static void add_title(Emit *emit, Text *text, const Step *step, const Node **node) {
    const Node *own = NULL;
    if (step->kind == STEP_SCAN) text_add(text, "over time: ");
    for (int i = 0; i < step_body(step)->count; i++) add_title(emit, text, step_body(step)->items[i], node);
    switch (step->kind) {
    case STEP_LOOP: case STEP_BLOCK: break;
    case STEP_SCAN: own = step->scan.node; break;
    case STEP_STATEMENT:
        if (step->statement->stored) add_written(emit, text, step->statement->buffer);
        own = step->statement->node;
        break;
    case STEP_GEMM:
        add_written(emit, text, step->gemm.c);
        text_add(text, " = %s @ %s", value_comment(emit, step->gemm.a), value_comment(emit, step->gemm.b));
        own = step->gemm.node;
        break;
    case STEP_CONV:
        add_written(emit, text, conv_result(&step->conv));
        text_add(text, " = %s", conv_comment(emit, &step->conv));
        own = step->conv.node;
        break;
    case STEP_DRAW:
        add_written(emit, text, step->draw.buffer);
        text_add(text, " = draw");
        own = step->draw.node;
        break;
    }
    if (*node == NULL) *node = own;
}

/* ── code ─────────────────────────────────────────────────────────────────────────────────── */

void profile_begin(Emit *emit, Text *to) {
    if (emit->options->profile) text_add(to, "    uint64_t support_time = %s();\n", piece(emit, "profile_time"));
}

static const char *real_text(Emit *emit, const Poly *poly) {
    int64_t value;
    return arena_printf(emit->arena, poly_constant(poly, &value) ? "%s" : "(double)(%s)", poly_text(emit, poly));
}

/* What a thread does of so many operations or bytes. */
static const char *share_text(Emit *emit, const Poly *poly, const Task *task) {
    const char *text = real_text(emit, poly);
    if (!task || task->chunks == 1) return text;
    return arena_printf(emit->arena, "%s * (double)(claim.end - claim.begin) / %d", text, (int)task->chunks);
}

/* Of a loop over time, its steps are counted one by one. */
void profile_step(Emit *emit, Text *to, int margin, const char *function, const Step *step, const Task *task) {
    if (!emit->options->profile || step->kind == STEP_SCAN) return;
    Text title = {.arena = emit->arena};
    const Node *node = NULL;
    const Cost cost = step_cost(emit->arena, step);
    add_title(emit, &title, step, &node);
    const char *place = place_comment(emit, node);
    while (*place == ' ') place++;
    add_statement(to, margin, arena_printf(emit->arena, "%ssupport_time = %s(&m->kernel[%d], support_time, %s, %s);",
                                           task ? "if (claim.member == 0) " : "", piece(emit, "profile"), emit->kernels.count,
                                           share_text(emit, cost.flops, task), share_text(emit, cost.bytes, task)));
    LIST_PUSH(emit->arena, &emit->kernels, arena_printf(emit->arena, "\"%s\", \"%s\", \"%s\"", function, title.bytes, place));
}

void emit_profile_types(Emit *emit, Text *to) {
    if (!emit->options->profile) return;
    text_add(to, "typedef %s_kernel support_kernel;\n\n", emit->options->standalone ? emit->name : "gdl");
}

/* The counters of a new model, and the function that gives them away. */
void emit_profile_table(Emit *emit, Text *to) {
    if (!emit->options->profile) return;
    text_add(to, "/* What a new model's counters start from; the last has no name. */\nstatic const support_kernel kernels[] = {\n");
    for (int i = 0; i < emit->kernels.count; i++) text_add(to, "    {%s, 0, 0.0, 0.0, 0.0},\n", emit->kernels.items[i]);
    text_add(to, "    {NULL, NULL, NULL, 0, 0.0, 0.0, 0.0}};\n\n");
    text_add(to, "const %s_kernel *%s_get_profile(const %s *m) { return m->kernel; }\n\n", emit->options->standalone ? emit->name : "gdl",
             emit->name, emit->name);
}

/* Before a model's tensors: the struct, with a counter for each kernel and one for the end. */
int header_bytes(const Emit *emit) {
    const int counter = 3 * 8 + 8 + 3 * 8, counters = emit->options->profile ? (emit->kernels.count + 1) * counter : 0;
    return HEADER_BYTES + (counters + 63) / 64 * 64;
}

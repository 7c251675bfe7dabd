/* Programs that several threads share: a function for each task, which is given the chunks to do, and one that has the team go through
 * them all. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* ── parts ────────────────────────────────────────────────────────────────────────────────── */

const char *part_name(const Step *step) {
    if (step->share.turns == NULL) return NULL;
    return step->share.apart ? "pieces" : "part";
}

static const char *piece_start(Emit *emit, const Share *share, const char *piece) {
    return arena_printf(emit->arena, "%s / %" PRId64, times_text(emit, share->turns, piece), share->pieces);
}

/* What the claimed chunks are in turns, in pieces, or in both, as far as the lines use them. */
static void declare_parts(Emit *emit, Text *to, const Task *task, const char *lines) {
    const Share *share = &task->share;
    const bool rows = mentions(lines, "part"), pieces = share->pieces > 0 && (rows || mentions(lines, "pieces"));
    if (!rows && !pieces) return;
    const char *turns = pieces ? arena_printf(emit->arena, "%" PRId64, share->pieces) : poly_text(emit, share->turns);
    text_add(to, "    const %s %s = support_part_of(claim, %" PRId64 ", %s, %" PRId64 ");\n", piece(emit, "part"), pieces ? "pieces" : "part",
             task->chunks, turns, pieces ? 1 : share->grain);
    if (rows && pieces)
        text_add(to, "    const support_part part = {%s, %s};\n", piece_start(emit, share, "pieces.begin"),
                 piece_start(emit, share, "pieces.end"));
}

const char *piece_offset(Emit *emit, const Buffer *parts) {
    return times_text(emit, poly_dim(emit->arena, parts->shape.dim[1]), "piece");
}

static void clear_sums(Emit *emit, Text *to, int margin, const Step *step) {
    for (int i = 0; i < step_body(step)->count; i++) clear_sums(emit, to, margin, step_body(step)->items[i]);
    if (step->kind != STEP_STATEMENT || step->statement->buffer->pieces == 0) return;
    const Buffer *parts = step->statement->buffer;
    const char *zero = step->statement->kind == STATEMENT_MAX ? "-INFINITY" : "0.0f";
    const int64_t size = parts->shape.dim[1].base;
    if (size == 1) text_add(to, "%*s%s[piece] = %s;\n", margin, "", parts->name, zero);
    else text_add(to, "%*sfor (size_t e = 0; e < %" PRId64 "; e++) %s[%s + e] = %s;\n", margin, "", size, parts->name,
                  piece_offset(emit, parts), zero);
}

void open_pieces(Emit *emit, Text *to, int margin, const Step *step) {
    text_add(to, "%*sfor (size_t piece = pieces.begin; piece < pieces.end; piece++) {\n", margin, "");
    text_add(to, "%*sconst size_t begin = %s, end = %s;\n", margin + 4, "", piece_start(emit, &step->share, "piece"),
             piece_start(emit, &step->share, "piece + 1"));
    clear_sums(emit, to, margin + 4, step);
}

/* ── functions ────────────────────────────────────────────────────────────────────────────── */

/* The name of a parameter that ends at `end`. */
static const char *name_before(const char *end) {
    while (end[-1] != ' ' && end[-1] != '*') end--;
    return end;
}

/* Each parameter as a member of a struct; as a constant that is read from it, where the lines use it; as a value. */
typedef struct Parameters { Text members, constants, values; } Parameters;

static Parameters convert_parameters(Emit *emit, const char *parameters, const char *lines) {
    Parameters all = {{.arena = emit->arena}, {.arena = emit->arena}, {.arena = emit->arena}};
    for (const char *start = parameters; *start;) {
        const char *end = start + strcspn(start, ",)"), *at = name_before(end);
        const char *name = arena_copy(emit->arena, at, (size_t)(end - at));
        text_add(&all.members, "    %.*s;\n", (int)(end - start), start);
        text_add(&all.values, "%s%s", all.values.length ? ", " : "", name);
        if (mentions(lines, name))
            text_add(&all.constants, at[-1] == '*' ? "    %.*sconst %s = call->%s;\n" : "    const %.*s%s = call->%s;\n",
                     (int)(at - start), start, name, name);
        start = end + 1 + strspn(end + 1, " ");
    }
    return all;
}

void emit_arguments(Emit *emit, Text *to, const char *name, const char *parameters) {
    text_add(to, "struct %s {\n%s};\n\n", name, convert_parameters(emit, parameters, "").members.bytes);
}

const char *task_name(Emit *emit, const char *program, int number) {
    return arena_printf(emit->arena, "task_%s_%d", program + strlen("run_"), number);
}

void emit_task_function(Emit *emit, Text *to, const char *program, const char *name, const Task *task, const char *parameters,
                        const char *pointers, const char *lines) {
    Text body = {.arena = emit->arena};
    text_bytes(&body, pointers, strlen(pointers));
    declare_parts(emit, &body, task, lines);
    text_add(&body, "\n");
    text_bytes(&body, lines, strlen(lines));
    const Parameters all = convert_parameters(emit, parameters, body.bytes);
    if (task->chunks > 1)
        text_add(to, "/* Phase %d: %s turns in %" PRId64 " chunks. */\n", task->phase, poly_text(emit, task->share.turns), task->chunks);
    else text_add(to, "/* Phase %d: a single chunk. */\n", task->phase);
    text_add(to, "static void %s(const void *arguments, %s claim) {\n", name, piece(emit, "claim"));
    if (all.constants.length) text_add(to, "    const struct %s *const call = arguments;\n%s", program, all.constants.bytes);
    else text_add(to, "    (void)arguments;\n");
    if (!mentions(body.bytes, "claim")) text_add(to, "    (void)claim;\n");
    text_bytes(to, body.bytes, body.length);
    text_add(to, "}\n\n");
}

void emit_team_function(Emit *emit, Text *to, const char *name, const char *parameters, const TaskList *tasks) {
    const Parameters all = convert_parameters(emit, parameters, "");
    const char *run = piece(emit, "run");
    text_add(to, "static void %s(", name);
    add_wrapped(to, parameters, (int)strlen(name) + 13, LINE_WIDTH);
    text_add(to, " {\n    static const support_task tasks[] = { /* phase, chunks */\n");
    for (int i = 0; i < tasks->count; i++)
        text_add(to, "        {%d, %" PRId64 ", %s}%s\n", tasks->items[i]->phase, tasks->items[i]->chunks, task_name(emit, name, i + 1),
                 i + 1 < tasks->count ? "," : "};");
    text_add(to, "    const struct %s call = {", name);
    add_wrapped(to, all.values.bytes, (int)strlen(name) + 25, LINE_WIDTH);
    text_add(to, "};\n    %s(m->team, tasks, sizeof tasks / sizeof *tasks, &call);\n}\n\n", run);
}

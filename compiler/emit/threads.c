/* Programs that several threads share: the same steps for all of them, with each one's part of those that are cut, what the first
 * one does alone, and the places where they wait for each other. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* ── parts ────────────────────────────────────────────────────────────────────────────────── */

const char *part_name(Emit *emit, const Step *step) {
    if (step->share.turns == NULL) return NULL;
    return arena_printf(emit->arena, step->share.apart ? "pieces_%d" : "part_%d", step->share.part);
}

static const char *piece_start(Emit *emit, const Share *share, const char *piece) {
    return arena_printf(emit->arena, "%s / %" PRId64, times_text(emit, share->turns, piece), share->pieces);
}

static void declare_part(Emit *emit, Text *to, const Share *share, bool whole) {
    const char *type = piece(emit, "part"), *pieces = arena_printf(emit->arena, "pieces_%d", share->part);
    if (share->pieces == 0)
        text_add(to, "    const %s part_%d = support_part_of(self, %s, %" PRId64 ");\n", type, share->part, poly_text(emit, share->turns),
                 share->grain);
    else text_add(to, "    const %s %s = support_part_of(self, %" PRId64 ", 1);\n", type, pieces, share->pieces);
    if (share->pieces > 0 && whole)
        text_add(to, "    const %s part_%d = {%s, %s};\n", type, share->part,
                 piece_start(emit, share, arena_printf(emit->arena, "%s.begin", pieces)),
                 piece_start(emit, share, arena_printf(emit->arena, "%s.end", pieces)));
}

void emit_step_parts(Emit *emit, Text *to, const StepList *steps) {
    for (int i = 0, declared = 0; i < steps->count; i++) {
        const Share *share = &steps->items[i]->share;
        bool whole = false; /* some step computes all its pieces at once */
        if (!share->turns || share->part <= declared) continue;
        declared = share->part;
        for (int k = i; k < steps->count; k++)
            whole = whole || (steps->items[k]->share.part == declared && !steps->items[k]->share.apart);
        declare_part(emit, to, share, whole);
    }
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
    const char *pieces = part_name(emit, step);
    text_add(to, "%*sfor (size_t piece = %s.begin; piece < %s.end; piece++) {\n", margin, "", pieces, pieces);
    text_add(to, "%*sconst size_t begin = %s, end = %s;\n", margin + 4, "", piece_start(emit, &step->share, "piece"),
             piece_start(emit, &step->share, "piece + 1"));
    clear_sums(emit, to, margin + 4, step);
}

/* ── steps ────────────────────────────────────────────────────────────────────────────────── */

void emit_shared_step(Emit *emit, Text *to, const Step *step, const char *text, bool *alone) {
    const bool joins = *alone && !step->share.turns && !step->share.meet;
    if (*alone && !joins) text_add(to, "    }\n");
    if (step->share.meet) text_add(to, "    %s(self);\n", piece(emit, "wait"));
    if (!step->share.turns && !joins) text_add(to, "    if (self->index == 0) {\n");
    add_indented(to, text, step->share.turns ? 0 : 4);
    *alone = !step->share.turns;
}

/* ── the function ─────────────────────────────────────────────────────────────────────────── */

/* The name of a parameter that ends at `end`. */
static const char *name_before(const char *end) {
    while (end[-1] != ' ' && end[-1] != '*') end--;
    return end;
}

/* The parameters as members of a struct, as constants that are read from it, and as a list of their values. */
static void convert_parameters(Emit *emit, const char *parameters, const char *body, Text *members, Text *constants,
                               Text *values) {
    for (const char *start = parameters; *start;) {
        const char *end = start + strcspn(start, ",)"), *at = name_before(end);
        const char *name = arena_copy(emit->arena, at, (size_t)(end - at));
        text_add(members, "    %.*s;\n", (int)(end - start), start);
        text_add(values, "%s%s", values->length ? ", " : "", name);
        if (mentions(body, name))
            text_add(constants, at[-1] == '*' ? "    %.*sconst %s = call->%s;\n" : "    const %.*s%s = call->%s;\n", (int)(at - start), start,
                     name, name);
        start = end + 1 + strspn(end + 1, " ");
    }
}

void emit_team_function(Emit *emit, Text *to, const char *name, const char *parameters, const char *body) {
    Text members = {.arena = emit->arena}, constants = {.arena = emit->arena}, values = {.arena = emit->arena};
    const char *run = piece(emit, "run");
    convert_parameters(emit, parameters, body, &members, &constants, &values);
    text_add(to, "struct %s {\n%s};\n\n", name, members.bytes);
    text_add(to, "static void team_%s(const support_member *self, const void *arguments) {\n", name + strlen("run_"));
    text_add(to, "    const struct %s *const call = arguments;\n%s%s}\n\n", name, constants.bytes, body);
    text_add(to, "static void %s(", name);
    add_wrapped(to, parameters, (int)strlen(name) + 13, LINE_WIDTH);
    text_add(to, " {\n    const struct %s call = {", name);
    add_wrapped(to, values.bytes, (int)strlen(name) + 25, LINE_WIDTH);
    text_add(to, "};\n    %s(m->team, team_%s, &call);\n}\n\n", run, name + strlen("run_"));
}

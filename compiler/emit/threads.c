/* Programs that several threads share: the same steps for all of them, with each one's part of those that are cut, what the first
 * one does alone, and the places where they wait for each other. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* ── parts ────────────────────────────────────────────────────────────────────────────────── */

const char *part_name(Emit *emit, const Step *step) {
    return step->share.turns ? arena_printf(emit->arena, "part_%d", step->share.part) : NULL;
}

void emit_step_parts(Emit *emit, Text *to, const StepList *steps) {
    int emitted = 0;
    for (int i = 0; i < steps->count; i++) {
        const Share *share = &steps->items[i]->share;
        if (!share->turns || share->part <= emitted) continue;
        emitted = share->part;
        text_add(to, "    const %s %s = support_part_of(self, %s, %" PRId64 ");\n", piece(emit, "part"), part_name(emit, steps->items[i]),
                 poly_text(emit, share->turns), share->grain);
    }
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

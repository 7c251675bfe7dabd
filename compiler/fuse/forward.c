/* Values that stay in registers: a load of what a statement of the same loops has just computed becomes that result, and
 * a store that nobody reads any more is left out. */
#include "fuse.h"

typedef LIST(Statement *) StatementList;

/* The innermost loops of the statement's that it reduces, as a first depth: a register holds the result while they run. */
int statement_register(const Statement *statement) {
    int depth = statement->depth;
    if (statement->kind == STATEMENT_SCATTER) return depth;
    while (depth > 0 && statement->reduced >> (depth - 1) & 1) depth--;
    return depth;
}

/* Whether the whole result is in a register after the loops from statement_register on. */
bool statement_in_register(const Statement *statement) {
    const int first = statement_register(statement);
    return statement->kind != STATEMENT_SCATTER && (statement->reduced & ((1u << first) - 1)) == 0;
}

/* What is loaded, from the register where one of the statements has it. */
static const Scalar *forward_load(Fuse *fuse, const Scalar *load, const void *context) {
    const StatementList *known = context;
    for (int i = 0; i < known->count; i++) {
        Statement *from = known->items[i];
        if (from->buffer != load->load.buffer || !index_equal(from->at, load->load.at)) continue;
        from->reused = true;
        return scalar_unique(fuse, &(Scalar){.kind = SCALAR_RESULT, .node = load->node, .result = from});
    }
    return load;
}

/* What is known of a loop's statements after it: the reductions that it completes. */
static void known_after(Arena *arena, const Step *step, int depth, StatementList *known) {
    if (step->kind == STEP_LOOP)
        for (int i = 0; i < step->loop.body.count; i++) known_after(arena, step->loop.body.items[i], depth, known);
    else if (step->kind == STEP_STATEMENT && statement_in_register(step->statement) &&
             statement_register(step->statement) == depth)
        LIST_PUSH(arena, known, step->statement);
}

static void forward_body(Fuse *fuse, const StepList *body, const StatementList *outside) {
    StatementList known = {0};
    for (int i = 0; i < outside->count; i++) LIST_PUSH(fuse->arena, &known, outside->items[i]);
    for (int i = 0; i < body->count; i++) {
        Step *step = body->items[i];
        if (step->kind == STEP_LOOP) {
            forward_body(fuse, &step->loop.body, &known);
            known_after(fuse->arena, step, step->loop.depth, &known);
        } else {
            step->statement->value = scalar_replace(fuse, step->statement->value, forward_load, &known);
            if (step->statement->kind == STATEMENT_STORE) LIST_PUSH(fuse->arena, &known, step->statement);
        }
    }
}

/* ── stores that nobody reads ─────────────────────────────────────────────────────────────── */

static void mark_used(Fuse *fuse, const StepList *steps, bool writes) {
    AccessList accesses = {0};
    for (int i = 0; i < steps->count; i++) step_accesses(fuse->arena, steps->items[i], &accesses);
    for (int i = 0; i < accesses.count; i++)
        if (accesses.items[i].writes == writes) accesses.items[i].buffer->used = true;
}

/* Whether a step still does something: statements whose result is neither in memory nor in a register have lost their reader. */
static bool is_alive(const Step *step) {
    if (step->kind == STEP_LOOP) return step->loop.body.count > 0;
    if (step->kind == STEP_SCAN) return step->scan.body.count > 0;
    return step->kind != STEP_STATEMENT || step->statement->stored || step->statement->reused;
}

static void drop_stores(StepList *steps) {
    int kept = 0;
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        if (step->kind == STEP_LOOP) drop_stores(&step->loop.body);
        if (step->kind == STEP_SCAN) drop_stores(&step->scan.body);
        if (step->kind == STEP_STATEMENT && step->statement->buffer->kind == BUFFER_TEMPORARY &&
            !step->statement->buffer->used)
            step->statement->stored = false;
        if (is_alive(step)) steps->items[kept++] = step;
    }
    steps->count = kept;
}

static void forward_steps(Fuse *fuse, const StepList *steps) {
    const StatementList none = {0};
    for (int i = 0; i < steps->count; i++) {
        const Step *step = steps->items[i];
        if (step->kind == STEP_LOOP) forward_body(fuse, &step->loop.body, &none);
        if (step->kind == STEP_SCAN) forward_steps(fuse, &step->scan.body);
    }
}

void forward_values(Fuse *fuse) {
    Program *program = fuse->program;
    for (int part = 0; part < PART_COUNT; part++) forward_steps(fuse, &program->part[part]);
    for (int part = 0; part < PART_COUNT; part++) mark_used(fuse, &program->part[part], false);
    for (int part = 0; part < PART_COUNT; part++) drop_stores(&program->part[part]);
    for (int part = 0; part < PART_COUNT; part++) mark_used(fuse, &program->part[part], true);
}

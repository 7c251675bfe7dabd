/* Loop fusion: statements that go over the same elements share their loops.
 *
 * A new statement climbs past earlier steps that it has nothing to do with, to the last loop with as many turns and common
 * data, and goes in there, loop by loop, as long as no turn needs what another turn computes. So chains, siblings, an
 * optimizer's several updates, a loss with its derivative and the sum over a batch beside the value summed all come to
 * be single loops by the same rule. */
#include "fuse.h"

static bool conflict(const Access *a, const Access *b) { return a->buffer == b->buffer && (a->writes || b->writes); }

bool accesses_conflict(const AccessList *a, const AccessList *b) {
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++)
            if (conflict(&a->items[i], &b->items[j])) return true;
    return false;
}

bool can_share_turns(Arena *arena, const AccessList *loop, const AccessList *added, int depth) {
    for (int i = 0; i < loop->count; i++)
        for (int j = 0; j < added->count; j++) {
            const Access *a = &loop->items[i], *b = &added->items[j];
            if (conflict(a, b) && !(a->at && b->at && index_apart(arena, a->at, b->at, depth))) return false;
        }
    return true;
}

bool turns_meet(Arena *arena, const AccessList *loop, const AccessList *added, int depth) {
    for (int i = 0; i < loop->count; i++)
        for (int j = 0; j < added->count; j++) {
            const Access *a = &loop->items[i], *b = &added->items[j];
            if (a->buffer == b->buffer && a->at && b->at && index_abreast(arena, a->at, b->at, depth)) return true;
        }
    return false;
}

void add_accesses(Arena *arena, Step *step, const AccessList *added) {
    for (int i = 0; i < added->count; i++) LIST_PUSH(arena, &step->accesses, added->items[i]);
}

static Step *nest(Arena *arena, Statement *statement, const Domain *domain, const AccessList *added, int depth) {
    Step *step = NEW(arena, Step);
    *step = depth == domain->depth
                ? (Step){.kind = STEP_STATEMENT, .statement = statement}
                : (Step){.kind = STEP_LOOP, .loop = {.depth = depth, .extent = domain->extent[depth]}};
    add_accesses(arena, step, added);
    if (step->kind == STEP_LOOP) LIST_PUSH(arena, &step->loop.body, nest(arena, statement, domain, added, depth + 1));
    return step;
}

static void insert_step(Arena *arena, StepList *steps, int at, Step *step) {
    LIST_PUSH(arena, steps, step);
    for (int i = steps->count - 1; i > at; i--) steps->items[i] = steps->items[i - 1];
    steps->items[at] = step;
}

/* A number goes as early as it can, so that it stands between no loops that could share their turns. */
static void merge_at(Fuse *fuse, StepList *steps, Statement *statement, const Domain *domain, const AccessList *added,
                     int depth) {
    int at = steps->count;
    for (int i = steps->count - 1; i >= 0 && (depth == fuse->around.depth || depth < domain->depth); i--) {
        Step *step = steps->items[i];
        if (step->kind == STEP_LOOP && depth < domain->depth && poly_equal(step->loop.extent, domain->extent[depth]) &&
            can_share_turns(fuse->arena, &step->accesses, added, depth) &&
            (fuse->scan || turns_meet(fuse->arena, &step->accesses, added, depth))) {
            add_accesses(fuse->arena, step, added);
            merge_at(fuse, &step->loop.body, statement, domain, added, depth + 1);
            return;
        }
        if (accesses_conflict(&step->accesses, added)) break;
        if (domain->depth == fuse->around.depth) at = i;
    }
    insert_step(fuse->arena, steps, at, nest(fuse->arena, statement, domain, added, depth));
}

void merge_statement(Fuse *fuse, StepList *steps, Statement *statement, const Domain *domain) {
    AccessList added = {0};
    statement_accesses(fuse->arena, statement, &added);
    merge_at(fuse, steps, statement, domain, &added, fuse->around.depth);
}

void append_step(Fuse *fuse, StepList *steps, Step *step) {
    step_accesses(fuse->arena, step, &step->accesses);
    LIST_PUSH(fuse->arena, steps, step);
}

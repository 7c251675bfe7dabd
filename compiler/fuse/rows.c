/* Steps by rows: equal parts of the turns of their outermost loops, into which they can be cut. */
#include "fuse.h"

/* The place with `turns` * row + turn for the loop `depth`: rows take its place, turns of a row come one deeper, and so do all loops
 * inside it. NULL where it is no sum of loops. */
static const Index *place_by_rows(Arena *arena, const Index *at, int depth, const Poly *rows, const Poly *turns) {
    if (!at || !index_affine(at)) return NULL;
    const Index *place = index_const(arena, at->constant);
    for (int i = 0; i < at->count; i++) {
        const Atom *loop = at->term[i].atom;
        const bool cut = loop->depth == depth, inside = loop->depth >= depth;
        const Index *inner = index_loop(arena, loop->depth + inside, cut ? turns : loop->limit);
        if (cut) inner = index_add(arena, inner, index_mul(arena, index_loop(arena, depth, rows), turns));
        place = index_add(arena, place, index_mul(arena, inner, at->term[i].factor));
    }
    return place;
}

/* Of a step whose outermost loop is `depth`, which is rows then. */
static void accesses_by_rows(Arena *arena, const Step *step, int depth, const Poly *rows, const AccessList *accesses, AccessList *list) {
    const Poly *turns = poly_divide(arena, step_turns(step), rows);
    for (int i = 0; i < accesses->count; i++) {
        Access access = accesses->items[i];
        access.at = place_by_rows(arena, access.at, depth, rows, turns);
        LIST_PUSH(arena, list, access);
    }
}

/* ── loops over time ──────────────────────────────────────────────────────────────────────── */

/* Loop 0 is time, and loop 1 rows. */
static void scan_accesses(Arena *arena, const Step *scan, const Poly *rows, AccessList *list) {
    for (int i = 0; i < scan->scan.body.count; i++) {
        AccessList accesses = {0};
        step_accesses(arena, scan->scan.body.items[i], &accesses);
        accesses_by_rows(arena, scan->scan.body.items[i], scan->scan.depth + 1, rows, &accesses, list);
    }
}

/* Whether different rows never meet, in whichever turns of the loop over time. */
static bool rows_apart(Arena *arena, const Access *a, const Access *b) {
    if (!(a->writes || b->writes) || storage(a->buffer) != storage(b->buffer)) return true;
    if (!a->at || !b->at || !index_apart(arena, a->at, b->at, 1)) return false;
    const bool stay = poly_is(index_factor(arena, a->at, 0), 0) && poly_is(index_factor(arena, b->at, 0), 0);
    return stay || index_abreast(arena, a->at, b->at, 0);
}

/* The rows of all steps in the loop; NULL where they differ, or one of them has none. */
static const Poly *common_rows(const Step *scan) {
    const StepList *body = &scan->scan.body;
    const Poly *rows = body->count > 0 ? step_turns(body->items[0]) : NULL;
    for (int i = 1; rows && i < body->count; i++) {
        const Poly *turns = step_turns(body->items[i]);
        if (!turns || !poly_equal(turns, rows)) return NULL;
    }
    return rows;
}

const Poly *scan_rows(Arena *arena, const Step *scan) {
    const Poly *rows = common_rows(scan);
    AccessList list = {0};
    if (!rows || scan->scan.depth > 0) return NULL;
    scan_accesses(arena, scan, rows, &list);
    for (int i = 0; i < list.count; i++)
        for (int k = 0; k <= i; k++)
            if (!rows_apart(arena, &list.items[i], &list.items[k])) return NULL;
    return rows;
}

/* The index without the loop over time, which it does not depend on: all others are one less deep. */
static const Index *without_time(Arena *arena, const Index *at) {
    const Index *place = at ? index_const(arena, at->constant) : NULL;
    if (!at || !poly_is(index_factor(arena, at, 0), 0)) return NULL;
    for (int i = 0; i < at->count; i++) {
        const Index *loop = index_loop(arena, at->term[i].atom->depth - 1, at->term[i].atom->limit);
        place = index_add(arena, place, index_mul(arena, loop, at->term[i].factor));
    }
    return place;
}

/* ── accesses ─────────────────────────────────────────────────────────────────────────────── */

void row_accesses(Arena *arena, const Step *step, const Poly *rows, AccessList *list) {
    const int first = list->count;
    if (step->kind == STEP_SCAN) {
        scan_accesses(arena, step, rows, list);
        for (int i = first; i < list->count; i++) list->items[i].at = without_time(arena, list->items[i].at);
    } else if (step->kind == STEP_BLOCK)
        for (int i = 0; i < step->block.body.count; i++) row_accesses(arena, step->block.body.items[i], rows, list);
    else accesses_by_rows(arena, step, 0, rows, &step->accesses, list);
}

/* How the threads of a model share the steps of a program.
 *
 * All of them go through the program together. A step is cut along the turns of its outermost loop, where each turn computes
 * elements of its own: rows of a product, examples of a loop nest, positions of a draw. Nothing is summed across a cut, so that
 * every element is computed in the same order whatever the number of threads. What is not cut, the first thread does alone.
 *
 * Before a step all wait for each other where one of them may need, or overwrite, what another has touched since they last did.
 * Steps along the same turns that touch only what belongs to their own turns go on without: a product, its activation and the
 * next product of the same examples. For this, steps of one extent are cut at the same places: the grain belongs to the extent. */
#include "fuse/fuse.h"

#include <math.h>

/* What is worth a meeting, in nanoseconds by the estimate below; where cuts of loops that become vector code may lie; rows of a tile;
 * and of products by BLAS, whose results may depend on where they are cut, the most pieces and the fewest rows of one. */
static const double worth = 3000;
enum { LANES = 64, ROWS = 8, BLAS_PIECES = 4, BLAS_ROWS = 16 };

typedef struct Divider { Arena *arena; const Module *module; const Options *options; } Divider;

/* ── estimates ────────────────────────────────────────────────────────────────────────────── */

/* At the sizes that the model is made for. */
static double value_of(const Module *module, const Poly *poly) { return (double)poly_high(module, poly); }

/* Nanoseconds of a core with vectors of 512 bits: half of what it can do at most in products, and memory that is in its caches. */
static double work_of(Arena *arena, const Module *module, const Step *step) {
    double work = 0;
    if (step->kind == STEP_BLOCK) {
        for (int i = 0; i < step->block.body.count; i++) work += work_of(arena, module, step->block.body.items[i]);
        return work;
    }
    const Cost cost = step_cost(arena, step);
    const double flops = value_of(module, cost.flops), bytes = value_of(module, cost.bytes);
    if (step->kind == STEP_GEMM || step->kind == STEP_CONV) return flops / 64;
    return step->kind == STEP_DRAW ? bytes / 4 : flops * 0.3 + bytes * 0.05;
}

static bool pays(Arena *arena, const Module *module, const Step *step) { return work_of(arena, module, step) >= 2 * worth; }

/* ── what can be cut ──────────────────────────────────────────────────────────────────────── */

/* Whether each turn of the outermost loop computes elements that no other does, or sums into its piece's own. */
static bool turns_apart(const Step *step) {
    if (step->kind == STEP_STATEMENT)
        return step->statement->kind != STATEMENT_SCATTER && (!(step->statement->reduced & 1) || step->statement->buffer->pieces > 0);
    for (int i = 0; i < step_body(step)->count; i++)
        if (!turns_apart(step_body(step)->items[i])) return false;
    return true;
}

/* One loop that becomes vector code, or a draw. */
static bool is_flat(const Step *step) {
    for (int i = 0; step->kind == STEP_LOOP && i < step->loop.body.count; i++)
        if (step->loop.body.items[i]->kind == STEP_LOOP) return false;
    return step->kind == STEP_LOOP || step->kind == STEP_DRAW;
}

static bool by_blas(const Divider *divider, const Step *step) {
    for (int i = 0; i < step_body(step)->count; i++)
        if (by_blas(divider, step_body(step)->items[i])) return true;
    return step->kind == STEP_GEMM && step->gemm.loops == 0 && gemm_by_blas(divider->module, divider->options, &step->gemm);
}

/* The turns along which a step can be cut; NULL where it cannot. */
static const Poly *turns_of(const Step *step) {
    if (step->kind == STEP_DRAW)
        return step->draw.node->attr.rand.distribution != DRAW_ORTHOGONAL ? step->draw.buffer->size : NULL;
    return step_turns(step) && turns_apart(step) ? step_turns(step) : NULL;
}

/* ── where it is cut ──────────────────────────────────────────────────────────────────────── */

static int64_t round_up(double value, int64_t to) { return (int64_t)ceil(value / (double)to) * to; }

/* As it is best for the step alone. */
static Share own_share(const Divider *divider, const Step *step) {
    Share share = {.turns = turns_of(step), .pieces = step->share.pieces, .apart = step->share.pieces > 0};
    if (!share.turns || share.apart) return share;
    const double count = value_of(divider->module, share.turns), work = work_of(divider->arena, divider->module, step);
    if (work < 2 * worth || count < 2) return share;
    const bool taps = step->kind == STEP_CONV && step->conv.form == CONV_GRADIENT; /* there are few, and each is much work */
    share.grain = round_up(worth * count / work, is_flat(step) ? LANES : taps ? 1 : ROWS);
    if (by_blas(divider, step)) share.pieces = (int64_t)fmin(count / fmax((double)share.grain, BLAS_ROWS), BLAS_PIECES);
    if (share.pieces > 0 || (double)share.grain >= count) share.grain = 0;
    return share;
}

/* All steps along the same turns are cut alike: into the pieces of their sums, or else of products, or else at the smallest grain. */
static Share agreed_share(const Share *own, int count, const Poly *turns) {
    Share share = {.turns = turns};
    int64_t sums = 0;
    for (int i = 0; turns && i < count; i++) {
        if (!own[i].turns || !poly_equal(own[i].turns, turns)) continue;
        if (own[i].apart) sums = own[i].pieces;
        if (own[i].pieces > share.pieces) share.pieces = own[i].pieces;
        if (own[i].grain > 0 && (share.grain == 0 || own[i].grain < share.grain)) share.grain = own[i].grain;
    }
    if (sums > 0) share.pieces = sums;
    if (share.pieces > 0) share.grain = 0;
    return share.grain > 0 || share.pieces > 1 ? share : (Share){0};
}

static void number_parts(const StepList *steps) {
    int parts = 0;
    for (int i = 0; i < steps->count; i++) {
        Share *share = &steps->items[i]->share;
        for (int k = 0; share->turns && share->part == 0 && k < i; k++) {
            const Share *before = &steps->items[k]->share;
            if (before->turns && poly_equal(before->turns, share->turns)) share->part = before->part;
        }
        if (share->turns && share->part == 0) share->part = ++parts;
    }
}

static void cut_steps(const Divider *divider, const StepList *steps) {
    Share *own = arena_alloc(divider->arena, (size_t)(steps->count + 1) * sizeof *own);
    for (int i = 0; i < steps->count; i++) own[i] = own_share(divider, steps->items[i]);
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        step->share = agreed_share(own, steps->count, own[i].turns);
        if (is_flat(step) && step->share.grain % LANES != 0) step->share = (Share){0};
        step->share.slight = step->share.turns && own[i].grain == 0 && own[i].pieces == 0;
        step->share.apart = step->share.pieces > 0 && (own[i].apart || is_flat(step) || by_blas(divider, step));
    }
}

/* ── where threads meet ───────────────────────────────────────────────────────────────────── */

/* One use of memory, and how the step that makes it is cut. */
typedef struct Touch { Access access; const Share *share; } Touch;
typedef LIST(Touch) TouchList;

static bool need_meeting(const Divider *divider, const Touch *a, const Touch *b) {
    if (!(a->access.writes || b->access.writes) || !buffers_overlap(divider->module, a->access.buffer, b->access.buffer)) return false;
    if (a->share->turns == NULL && b->share->turns == NULL) return false;
    const bool alike = a->share->turns && b->share->turns && poly_equal(a->share->turns, b->share->turns) &&
                       storage(a->access.buffer) == storage(b->access.buffer);
    return !alike || !a->access.at || !b->access.at || !index_apart(divider->arena, a->access.at, b->access.at, 0);
}

static bool any_meeting(const Divider *divider, const TouchList *earlier, const TouchList *later) {
    for (int i = 0; i < earlier->count; i++)
        for (int k = 0; k < later->count; k++)
            if (need_meeting(divider, &earlier->items[i], &later->items[k])) return true;
    return false;
}

static TouchList touches_of(const Divider *divider, const Step *step) {
    AccessList accesses = {0};
    TouchList touches = {0};
    if (step->share.turns && step->kind != STEP_DRAW) row_accesses(divider->arena, step, step->share.turns, &accesses);
    else step_accesses(divider->arena, step, &accesses);
    for (int k = 0; k < accesses.count; k++) LIST_PUSH(divider->arena, &touches, ((Touch){accesses.items[k], &step->share}));
    return touches;
}

static void place_meetings(const Divider *divider, const StepList *steps) {
    TouchList since = {0};
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        TouchList touches = touches_of(divider, step);
        if (step->share.slight && any_meeting(divider, &since, &touches)) {
            step->share = (Share){0};
            touches = touches_of(divider, step);
        }
        step->share.meet = any_meeting(divider, &since, &touches);
        if (step->share.meet) since.count = 0;
        for (int k = 0; k < touches.count; k++) LIST_PUSH(divider->arena, &since, touches.items[k]);
    }
}

bool steps_are_shared(const StepList *steps) {
    for (int i = 0; i < steps->count; i++)
        if (steps->items[i]->share.turns) return true;
    return false;
}

static bool can_share(const Options *options, const Program *program) {
    return options->threads == THREADS_POSIX && program->entry->kind != ENTRY_INIT;
}

void divide_sums(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    for (int i = 0; i < programs->count; i++)
        for (int part = 0; can_share(options, programs->items[i]) && part < PART_COUNT; part++)
            split_sums_of(context->arena, module, programs->items[i], part, pays);
}

void divide_steps(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    const Divider divider = {context->arena, module, options};
    for (int i = 0; i < programs->count; i++)
        for (int part = 0; can_share(options, programs->items[i]) && part < PART_COUNT; part++) {
            const StepList *steps = &programs->items[i]->part[part];
            cut_steps(&divider, steps);
            place_meetings(&divider, steps);
            number_parts(steps);
        }
}

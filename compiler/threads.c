/* How the threads of a model share the steps of a program.
 *
 * All of them go through the program together. A step is cut along the turns of its outermost loop, where each turn computes
 * elements of its own: rows of a product, examples of a loop nest, positions of a draw. Nothing is summed across a cut, so that
 * every element is computed in the same order whatever the number of threads. What is not cut, the first thread does alone.
 *
 * Before a step all wait for each other where one of them may need, or overwrite, what another has touched since they last did.
 * Steps along the same turns that touch only what belongs to their own turns go on without: a product, its activation and the
 * next product of the same examples. For this, steps of one extent are cut at the same places: the grain belongs to the extent. */
#include "gdlc.h"

#include <math.h>

/* What is worth a meeting, in nanoseconds by the estimates below; and where cuts of loops that become vector code may lie. */
static const double worth = 3000;
enum { ROWS = 8, LANES = 64, PIECES = 4, PIECE_ROWS = 16 /* of a product by BLAS: most pieces, least rows */ };

typedef struct Divider { Arena *arena; const Module *module; const Options *options; Program *program; } Divider;

/* ── estimates ────────────────────────────────────────────────────────────────────────────── */

/* At the sizes that the model is made for. */
static double value_of(const Divider *divider, const Poly *poly) { return (double)poly_high(divider->module, poly); }

/* Nanoseconds of a core with vectors of 512 bits: half of what it can do at most in products, and memory that is in its caches. */
static double work_of(const Divider *divider, const Step *step) {
    double work = 0;
    if (step->kind == STEP_BLOCK) {
        for (int i = 0; i < step->block.body.count; i++) work += work_of(divider, step->block.body.items[i]);
        return work;
    }
    const Cost cost = step_cost(divider->arena, step);
    const double flops = value_of(divider, cost.flops), bytes = value_of(divider, cost.bytes);
    if (step->kind == STEP_GEMM || step->kind == STEP_CONV) return flops / 64;
    return step->kind == STEP_DRAW ? bytes / 4 : flops * 0.3 + bytes * 0.05;
}

/* ── what can be cut ──────────────────────────────────────────────────────────────────────── */

/* Whether each turn of the outermost loop computes elements that no other does. */
static bool turns_apart(const Step *step) {
    if (step->kind == STEP_STATEMENT) return !(step->statement->reduced & 1) && step->statement->kind != STATEMENT_SCATTER;
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

bool divided_in_pieces(const Options *options, const Step *step) {
    return step->kind == STEP_GEMM && step->gemm.loops == 0 && !options->plain;
}

static bool has_pieces(const Options *options, const Step *step) {
    for (int i = 0; i < step_body(step)->count; i++)
        if (has_pieces(options, step_body(step)->items[i])) return true;
    return divided_in_pieces(options, step);
}

/* The turns along which a step can be cut; NULL where it cannot. */
static const Poly *turns_of(const Step *step) {
    if (step->kind == STEP_DRAW)
        return step->draw.node->attr.rand.distribution != DRAW_ORTHOGONAL ? step->draw.buffer->size : NULL;
    return step_turns(step) && turns_apart(step) ? step_turns(step) : NULL;
}

static int64_t round_up(double value, int64_t to) { return (int64_t)ceil(value / (double)to) * to; }

/* The fewest turns of the step that are worth a meeting; 0 where a half of it is not. A product by BLAS is computed in pieces of that
 * size always, for its results may depend on where it is cut: of few pieces, for each costs. */
static int64_t own_grain(const Divider *divider, const Step *step, const Poly *turns) {
    const double count = value_of(divider, turns), work = work_of(divider, step);
    if (work < 2 * worth || count < 2) return 0;
    const bool taps = step->kind == STEP_CONV && step->conv.form == CONV_GRADIENT; /* there are few, and each is much work */
    int64_t grain = round_up(worth * count / work, is_flat(step) ? LANES : taps ? 1 : ROWS);
    if (has_pieces(divider->options, step)) grain = round_up(fmax((double)grain, count / PIECES), PIECE_ROWS);
    return (double)grain < count ? grain : 0;
}

/* Of all steps of the part along so many turns: the smallest, but whole pieces of the products; 0 where none is worth it. */
static int64_t grain_of(const Divider *divider, const StepList *steps, const Poly *turns) {
    int64_t smallest = 0, piece = 0;
    for (int i = 0; i < steps->count; i++) {
        const Poly *own = turns_of(steps->items[i]);
        const int64_t grain = own && poly_equal(own, turns) ? own_grain(divider, steps->items[i], own) : 0;
        if (grain > 0 && has_pieces(divider->options, steps->items[i]) && grain > piece) piece = grain;
        if (grain > 0 && (smallest == 0 || grain < smallest)) smallest = grain;
    }
    return piece > smallest ? piece : smallest;
}

/* Pieces of BLAS lie in the blocks: a grain is of whole blocks. */
static void fit_blocks(const Divider *divider, Step *step) {
    if (step->kind != STEP_BLOCK || !has_pieces(divider->options, step)) return;
    if (step->block.rows > step->share.grain) step->block.rows = step->share.grain;
    while (step->share.grain % step->block.rows != 0) step->block.rows--;
}

static void cut_step(const Divider *divider, const StepList *steps, Step *step) {
    const Poly *turns = turns_of(step);
    const int64_t grain = turns ? grain_of(divider, steps, turns) : 0;
    if (grain > 0 && (grain % LANES == 0 || !is_flat(step))) step->share = (Share){.turns = turns, .grain = grain};
    if (step->share.turns) fit_blocks(divider, step);
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

static void place_meetings(const Divider *divider, const StepList *steps) {
    TouchList since = {0};
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        AccessList accesses = {0};
        TouchList touches = {0};
        if (step->share.turns && step->kind != STEP_DRAW) row_accesses(divider->arena, step, step->share.turns, &accesses);
        else step_accesses(divider->arena, step, &accesses);
        for (int k = 0; k < accesses.count; k++)
            LIST_PUSH(divider->arena, &touches, ((Touch){accesses.items[k], &step->share}));
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

void divide_steps(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    for (int i = 0; i < programs->count; i++) {
        const Divider divider = {context->arena, module, options, programs->items[i]};
        const EntryKind kind = divider.program->entry->kind;
        for (int part = 0; options->threads == THREADS_POSIX && kind != ENTRY_INIT && part < PART_COUNT; part++) {
            const StepList *steps = &divider.program->part[part];
            for (int k = 0; k < steps->count; k++) cut_step(&divider, steps, steps->items[k]);
            number_parts(steps);
            if (steps_are_shared(steps)) place_meetings(&divider, steps);
        }
    }
}

/* How the threads of a model share a program: its steps as tasks, in phases.
 *
 * A step is cut along the turns of its outermost loop, where each turn computes elements of its own: rows of a product, examples of a
 * loop nest, positions of a draw. A loop over time is cut along the rows that it carries, where they do not need each other: each
 * thread goes through all of the time with its own. Nothing is summed across a cut, so that every element is computed in the same
 * order whatever the number of threads. What is not cut, one thread does.
 *
 * A step belongs to a later phase than another where it may need, or overwrite, what any chunk of that one has touched; to the first
 * phase that this allows, and that has room for its task, whatever its place in the program. Steps along the same turns that
 * touch only what belongs to their own turns make one task: a product, its activation and the next product of the same examples.
 * For this, steps of one extent are cut at the same places: the grain belongs to the extent. */
#include "fuse/fuse.h"

#include <math.h>

/* What is worth a chunk, in nanoseconds by the estimate below; where cuts of loops that become vector code may lie; rows of a tile, and of a
 * chunk that goes through all of the time; of products by BLAS, whose results may depend on where they are cut, the most pieces and
 * the fewest rows of one; the most pieces of a sum, and the fewest rows of one, with products and without; and the most chunks of a task. */
static const double worth = 3000;
enum { LANES = 64, ROWS = 8, SCAN_ROWS = 16, BLAS_PIECES = 4, BLAS_ROWS = 16, MOST_PIECES = 8, PRODUCT_ROWS = 16,
       FEWEST_ROWS = 8, TASK_CHUNKS = 16 };

typedef struct Divider { Arena *arena; const Module *module; const Options *options; } Divider;

/* ── estimates ────────────────────────────────────────────────────────────────────────────── */

/* At the sizes that the model is made for. */
static double value_of(const Module *module, const Poly *poly) { return (double)poly_high(module, poly); }

/* Nanoseconds of a core with vectors of 512 bits: half of what it can do at most in products, and memory that is in its caches. */
static double work_of(Arena *arena, const Module *module, const Step *step) {
    double work = 0;
    if (step->kind == STEP_BLOCK || step->kind == STEP_SCAN) {
        for (int i = 0; i < step_body(step)->count; i++) work += work_of(arena, module, step_body(step)->items[i]);
        return step->kind == STEP_SCAN ? work * value_of(module, step->scan.turns) : work;
    }
    const Cost cost = step_cost(arena, step);
    const double flops = value_of(module, cost.flops), bytes = value_of(module, cost.bytes);
    if (step->kind == STEP_GEMM || step->kind == STEP_CONV) return flops / 64;
    return step->kind == STEP_DRAW ? bytes / 4 : flops * 0.3 + bytes * 0.05;
}

/* Of all steps with these turns; or of those that are, or have, matrix products. */
static double work_along(Arena *arena, const Module *module, const StepList *steps, const Poly *turns, bool products) {
    double work = 0;
    for (int i = 0; i < steps->count; i++) {
        const Step *step = steps->items[i];
        const Poly *rows = step->kind == STEP_SCAN ? step->scan.rows : step_turns(step);
        if (products && !step_has(step, STEP_GEMM)) continue;
        if (rows && poly_equal(rows, turns)) work += work_of(arena, module, step);
    }
    return work;
}

/* A product reads its second operand anew for each piece, which must be worth it. */
static int64_t pieces_of(Arena *arena, const Module *module, const StepList *steps, const Step *step) {
    const Poly *turns = step_turns(step);
    if (work_of(arena, module, step) < 2 * worth) return 0;
    const bool products = 2 * work_along(arena, module, steps, turns, true) > work_along(arena, module, steps, turns, false);
    return (int64_t)fmin(value_of(module, turns) / (products ? PRODUCT_ROWS : FEWEST_ROWS), MOST_PIECES);
}

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
    if (step->kind == STEP_SCAN) return step->scan.rows;
    return step_turns(step) && turns_apart(step) ? step_turns(step) : NULL;
}

/* ── where it is cut ──────────────────────────────────────────────────────────────────────── */

static int64_t round_up(double value, int64_t to) { return (int64_t)ceil(value / (double)to) * to; }

/* What the turns of a step are best cut at multiples of. */
static int64_t unit_of(const Step *step, double count) {
    if (is_flat(step)) return LANES;
    if (step->kind == STEP_SCAN) return SCAN_ROWS;
    if (step->kind == STEP_CONV && step->conv.form == CONV_GRADIENT) /* taps: there are few, and each is much work with many channels */
        return step->conv.channels < ROWS ? step->conv.column.taps : 1;
    return step->kind == STEP_BLOCK && (double)(4 * step->block.rows) <= count ? step->block.rows : ROWS;
}

/* As it is best for the step alone. */
static Share own_share(const Divider *divider, const Step *step, double work) {
    Share share = {.turns = turns_of(step), .pieces = step->share.pieces, .apart = step->share.pieces > 0};
    if (!share.turns || share.apart) return share;
    const double count = value_of(divider->module, share.turns);
    if (work < 2 * worth || count < 2) return share;
    share.grain = round_up(worth * count / work, unit_of(step, count));
    if (by_blas(divider, step)) share.pieces = (int64_t)fmin(count / fmax((double)share.grain, BLAS_ROWS), BLAS_PIECES);
    if (share.pieces > 0 || (double)share.grain >= count) share.grain = 0;
    return share;
}

/* All steps along the same turns are cut alike: into the pieces of their sums, or else of products, or else as the one with the most
 * work would be. */
static Share agreed_share(const Share *own, const double *work, int count, const Poly *turns) {
    Share share = {.turns = turns};
    int64_t sums = 0;
    double most = 0;
    for (int i = 0; turns && i < count; i++) {
        if (!own[i].turns || !poly_equal(own[i].turns, turns)) continue;
        if (own[i].apart) sums = own[i].pieces;
        if (own[i].pieces > share.pieces) share.pieces = own[i].pieces;
        if (own[i].grain == 0 || work[i] <= most) continue;
        share.grain = own[i].grain;
        most = work[i];
    }
    if (sums > 0) share.pieces = sums;
    if (share.pieces > 0) share.grain = 0;
    return share.grain > 0 || share.pieces > 1 ? share : (Share){0};
}

static void cut_steps(const Divider *divider, const StepList *steps) {
    Share *own = arena_alloc(divider->arena, (size_t)(steps->count + 1) * sizeof *own);
    double *work = arena_alloc(divider->arena, (size_t)(steps->count + 1) * sizeof *work);
    for (int i = 0; i < steps->count; i++) {
        work[i] = work_of(divider->arena, divider->module, steps->items[i]);
        own[i] = own_share(divider, steps->items[i], work[i]);
    }
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        step->share = agreed_share(own, work, steps->count, own[i].turns);
        if (is_flat(step) && step->share.grain % LANES != 0) step->share = (Share){0};
        step->share.slight = step->share.turns && own[i].grain == 0 && own[i].pieces == 0;
        step->share.apart = step->share.pieces > 0 && (own[i].apart || is_flat(step) || by_blas(divider, step));
    }
}

/* ── phases ───────────────────────────────────────────────────────────────────────────────── */

/* What a step uses, when it is cut so, and its phase. */
typedef struct Touched { AccessList accesses; Share share; int phase; } Touched;

static AccessList touches_of(const Divider *divider, const Step *step, const Share *share) {
    AccessList accesses = {0};
    if (share->turns) row_accesses(divider->arena, step, share->turns, &accesses);
    else step_accesses(divider->arena, step, &accesses);
    return accesses;
}

static bool same_turns(const Share *a, const Share *b) {
    return a->turns && b->turns ? poly_equal(a->turns, b->turns) : a->turns == b->turns;
}

/* How many phases later the second must be than the first, which comes before it in the program: 1, or 0 where it can be of the same
 * task; -1 where it need not be later at all. */
static int distance(const Divider *divider, const Touched *first, const Touched *second) {
    const bool alike = same_turns(&first->share, &second->share);
    int phases = -1;
    for (int i = 0; i < first->accesses.count; i++)
        for (int k = 0; k < second->accesses.count; k++) {
            const Access *a = &first->accesses.items[i], *b = &second->accesses.items[k];
            if (!(a->writes || b->writes) || !buffers_overlap(divider->module, a->buffer, b->buffer)) continue;
            const bool apart = alike && storage(a->buffer) == storage(b->buffer) && a->at && b->at &&
                               index_apart(divider->arena, a->at, b->at, 0);
            if (!(alike && !first->share.turns) && !apart) return 1;
            phases = 0;
        }
    return phases;
}

static Touched place_step(const Divider *divider, const Step *step, Share share, const Touched *before, int count) {
    Touched touched = {touches_of(divider, step, &share), share, 0};
    for (int i = 0; i < count; i++) {
        const int phases = distance(divider, &before[i], &touched);
        if (phases >= 0 && before[i].phase + phases > touched.phase) touched.phase = before[i].phase + phases;
    }
    return touched;
}

/* ── tasks ────────────────────────────────────────────────────────────────────────────────── */

static int64_t chunks_of(const Divider *divider, const Share *share) {
    if (!share->turns) return 1;
    const double chunks = share->pieces > 0 ? (double)share->pieces : ceil(value_of(divider->module, share->turns) / (double)share->grain);
    return (int64_t)fmin(chunks, TASK_CHUNKS);
}

/* The task of the phase with the same turns; NULL where none of its `count` tasks has them. */
static Task *find_task(const TaskList *tasks, const Touched *touched, int *count) {
    *count = 0;
    for (int i = 0; i < tasks->count; i++) {
        if (tasks->items[i]->phase != touched->phase) continue;
        if (same_turns(&tasks->items[i]->share, &touched->share)) return tasks->items[i];
        ++*count;
    }
    return NULL;
}

/* Each task needs a chunk: behind a phase that has as many as there can be, the step goes to a later one. */
static Task *task_for(const Divider *divider, TaskList *tasks, Touched *touched) {
    int count;
    Task *task = find_task(tasks, touched, &count);
    for (; !task && count == MOST_CHUNKS; task = find_task(tasks, touched, &count)) touched->phase++;
    if (task) return task;
    task = NEW(divider->arena, Task);
    *task = (Task){.phase = touched->phase, .chunks = chunks_of(divider, &touched->share), .share = touched->share};
    LIST_PUSH(divider->arena, tasks, task);
    for (int i = tasks->count - 1; i > 0 && tasks->items[i - 1]->phase > task->phase; i--) {
        tasks->items[i] = tasks->items[i - 1];
        tasks->items[i - 1] = task;
    }
    return task;
}

/* The tasks with the most chunks get fewer, until those of each phase can all be told apart. */
static void limit_chunks(const TaskList *tasks) {
    for (int first = 0; first < tasks->count;) {
        int64_t sum = 0;
        Task *largest = tasks->items[first];
        int i = first;
        for (; i < tasks->count && tasks->items[i]->phase == tasks->items[first]->phase; i++) {
            sum += tasks->items[i]->chunks;
            if (tasks->items[i]->chunks > largest->chunks) largest = tasks->items[i];
        }
        if (sum > MOST_CHUNKS) largest->chunks--;
        else first = i;
    }
}

static TaskList place_steps(const Divider *divider, const StepList *steps) {
    Touched *touched = arena_alloc(divider->arena, (size_t)(steps->count + 1) * sizeof *touched);
    TaskList tasks = {0};
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        touched[i] = place_step(divider, step, step->share, touched, i);
        if (step->share.slight) {
            const Touched whole = place_step(divider, step, (Share){0}, touched, i);
            if (whole.phase <= touched[i].phase) touched[i] = whole;
        }
        step->share = touched[i].share;
        LIST_PUSH(divider->arena, &task_for(divider, &tasks, &touched[i])->steps, step);
    }
    limit_chunks(&tasks);
    return tasks;
}

static bool is_shared(const TaskList *tasks) {
    for (int i = 0; i < tasks->count; i++)
        if (tasks->items[i]->share.turns) return true;
    return false;
}

/* ── the whole ────────────────────────────────────────────────────────────────────────────── */

static bool can_share(const Options *options, const Program *program) {
    return options->threads == THREADS_POSIX && program->entry->kind != ENTRY_INIT;
}

/* Kernels are packed while the convolution before them is computed: ahead of it. */
static void raise_packs(const StepList *steps) {
    for (int i = 1; i < steps->count; i++) {
        Step *step = steps->items[i];
        bool passed = false;
        if (step->kind != STEP_CONV || !conv_packs(&step->conv)) continue;
        for (int k = i; k > 0 && !passed && !accesses_conflict(&steps->items[k - 1]->accesses, &step->accesses); k--) {
            passed = steps->items[k - 1]->kind == STEP_CONV && !conv_packs(&steps->items[k - 1]->conv);
            steps->items[k] = steps->items[k - 1];
            steps->items[k - 1] = step;
        }
    }
}

/* Before the plan, and again after it: rows may meet in a place that one buffer has taken over from another. */
static void find_rows(Arena *arena, const StepList *steps) {
    for (int i = 0; i < steps->count; i++)
        if (steps->items[i]->kind == STEP_SCAN) steps->items[i]->scan.rows = scan_rows(arena, steps->items[i]);
}

void divide_sums(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    for (int i = 0; i < programs->count; i++)
        for (int part = 0; can_share(options, programs->items[i]) && part < PART_COUNT; part++) {
            raise_packs(&programs->items[i]->part[part]);
            find_rows(context->arena, &programs->items[i]->part[part]);
            split_sums_of(context->arena, module, programs->items[i], part, pieces_of);
        }
}

void divide_steps(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    const Divider divider = {context->arena, module, options};
    for (int i = 0; i < programs->count; i++)
        for (int part = 0; can_share(options, programs->items[i]) && part < PART_COUNT; part++) {
            const StepList *steps = &programs->items[i]->part[part];
            find_rows(context->arena, steps);
            cut_steps(&divider, steps);
            const TaskList tasks = place_steps(&divider, steps);
            if (is_shared(&tasks)) programs->items[i]->tasks[part] = tasks;
        }
}

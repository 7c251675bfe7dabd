/* Blocks of rows: a matrix product and the loops beside it take turns on blocks of rows that stay in the cache.
 *
 * Loops that compute a product's operand, and loops that use its result, become its prologue and epilogue where they go over the
 * same rows: a bias and an activation, a loss with its derivative and its sums, the update of a parameter after the product
 * that is its gradient. A step joins an earlier one when no row needs what another row computes; where other steps lie
 * between the two, either the later one climbs past them or the earlier one sinks. */
#include "fuse.h"

/* Bytes of an operand that is soon read again; and of one, or of what is drawn, that does not stay in the second-level cache. */
enum { SMALL_OPERAND = 16 << 10, LARGE_OPERAND = 512 << 10, LARGE_DRAW = LARGE_OPERAND };

/* The bytes of rows that a block may touch, and how many rows it has. Our own kernels read their operands where they lie; each block
 * would read a large one from memory again, and BLAS packs them at each call: that must be worth it. Draws and loops alone read nothing
 * twice. */
typedef struct BlockSize { int64_t bytes, fewest, most; } BlockSize;
static const BlockSize of_kernels = {32 << 10, 16, 512}, of_large = {32 << 10, 128, 512}, of_blas = {512 << 10, 128, 512},
                       of_draws = {32 << 10, 1, 4096};

/* ── rows ─────────────────────────────────────────────────────────────────────────────────── */

/* The number of rows that the outermost loops of both steps can be cut into; NULL where there is none but 1. */
static const Poly *shared_rows(Arena *arena, const Step *a, const Step *b) {
    const Poly *of_a = step_turns(a), *of_b = step_turns(b);
    if (!of_a || !of_b) return NULL;
    const Poly *rows = poly_divide(arena, of_a, of_b) ? of_b : poly_divide(arena, of_b, of_a) ? of_a : NULL;
    return rows && !poly_is(rows, 1) ? rows : NULL;
}

/* ── what pays ────────────────────────────────────────────────────────────────────────────── */

static bool has_product(const Step *step) { return step_has(step, STEP_GEMM); }

static int64_t bytes_of(const Module *module, const Poly *floats) {
    return (int64_t)sizeof(float) * poly_high(module, floats);
}

/* The first index of a largest value goes through a register: such a loop runs in one piece. So does a draw that stays in the cache. */
static bool can_be_cut(const Module *module, const Step *step) {
    if (step->kind == STEP_STATEMENT)
        return step->statement->kind != STATEMENT_ARGMAX || !(step->statement->reduced & 1);
    if (step->kind == STEP_DRAW) return bytes_of(module, step->draw.turns) > LARGE_DRAW;
    for (int i = 0; i < step_body(step)->count; i++)
        if (!can_be_cut(module, step_body(step)->items[i])) return false;
    return true;
}

/* Loop nests alone are merged statement by statement; and a convolution, which reads all of its kernel for each image, goes with a product
 * only. */
static bool worth_a_block(const Step *a, const Step *b) {
    if (has_product(a) || has_product(b)) return true;
    return (step_has(a, STEP_DRAW) || step_has(b, STEP_DRAW)) && !step_has(a, STEP_CONV) && !step_has(b, STEP_CONV);
}

/* Whether the product may follow others in their blocks: what it reads for each block is soon read again. */
static bool reads_little(const Module *module, Arena *arena, const Step *step) {
    if (step->kind != STEP_GEMM) return true;
    return step->gemm.loops > 0 || bytes_of(module, poly_mul(arena, step->gemm.k, step->gemm.n)) <= SMALL_OPERAND;
}

/* The buffer for which one of the two must be done before the other begins; NULL where they can share their rows. */
static const Buffer *buffer_between(Arena *arena, const AccessList *first, const AccessList *second) {
    for (int i = 0; i < second->count; i++) {
        const AccessList one = {.items = &second->items[i], .count = 1};
        if (!can_share_turns(arena, first, &one, 0)) return second->items[i].buffer;
    }
    return NULL;
}

bool has_rows(const Module *module, const Step *step) { return step_turns(step) && can_be_cut(module, step); }

Obstacle obstacle_between(Arena *arena, const Module *module, const Step *step, const Step *added) {
    if (!has_rows(module, step) || !has_rows(module, added)) return (Obstacle){OBSTACLE_KIND, NULL};
    const Poly *rows = shared_rows(arena, step, added);
    if (!rows) return (Obstacle){OBSTACLE_ROWS, NULL};
    AccessList first = {0}, second = {0};
    row_accesses(arena, step, rows, &first);
    row_accesses(arena, added, rows, &second);
    const Buffer *between = buffer_between(arena, &first, &second);
    if (between) return (Obstacle){OBSTACLE_BUFFER, between};
    if (!turns_meet(arena, &first, &second, 0)) return (Obstacle){OBSTACLE_NOTHING_SHARED, NULL};
    if (!worth_a_block(step, added)) return (Obstacle){OBSTACLE_NO_PRODUCT, NULL};
    if (has_product(step) && !reads_little(module, arena, added)) return (Obstacle){OBSTACLE_OPERAND, added->gemm.b};
    return (Obstacle){OBSTACLE_NONE, NULL};
}

static bool may_join(const Fuse *fuse, const Step *step, const Step *added) {
    return added->kind != STEP_BLOCK && worth_a_block(step, added) &&
           obstacle_between(fuse->arena, fuse->module, step, added).kind == OBSTACLE_NONE;
}

/* ── how many rows ────────────────────────────────────────────────────────────────────────── */

/* Bytes of all buffers between one row and the next. */
static int64_t row_bytes(const Fuse *fuse, const AccessList *accesses) {
    int64_t bytes = 0;
    for (int i = 0; i < accesses->count; i++) {
        bool counted = accesses->items[i].at == NULL;
        for (int k = 0; k < i; k++) counted = counted || accesses->items[k].buffer == accesses->items[i].buffer;
        if (!counted) bytes += bytes_of(fuse->module, index_factor(fuse->arena, accesses->items[i].at, 0));
    }
    return bytes > 0 ? bytes : 1;
}

static bool calls_blas(const Fuse *fuse, const Step *step) {
    for (int i = 0; i < step_body(step)->count; i++)
        if (calls_blas(fuse, step_body(step)->items[i])) return true;
    return step->kind == STEP_GEMM && gemm_by_blas(fuse->module, fuse->options, &step->gemm);
}

static bool reads_large(const Fuse *fuse, const Step *step) {
    for (int i = 0; i < step_body(step)->count; i++)
        if (reads_large(fuse, step_body(step)->items[i])) return true;
    return step->kind == STEP_GEMM && step->gemm.loops == 0 &&
           bytes_of(fuse->module, poly_mul(fuse->arena, step->gemm.k, step->gemm.n)) > LARGE_OPERAND;
}

static BlockSize size_of_block(const Fuse *fuse, const Step *step) {
    if (!has_product(step)) return of_draws;
    return calls_blas(fuse, step) ? of_blas : reads_large(fuse, step) ? of_large : of_kernels;
}

/* As many rows as the cache holds; equal blocks, where a size not much smaller makes them equal. */
int64_t rows_of_block(const Fuse *fuse, const Step *step) {
    AccessList accesses = {0};
    row_accesses(fuse->arena, step, step->block.extent, &accesses);
    const BlockSize size = size_of_block(fuse, step);
    int64_t extent, rows = size.bytes / row_bytes(fuse, &accesses) / size.fewest * size.fewest;
    rows = rows < size.fewest ? size.fewest : rows > size.most ? size.most : rows;
    if (!poly_constant(step->block.extent, &extent)) return rows;
    if (rows > extent) return extent;
    for (int64_t less = rows; 4 * less > 3 * rows; less--)
        if (extent % less == 0) return less;
    return rows;
}

/* ── joining ──────────────────────────────────────────────────────────────────────────────── */

void join_rows(Fuse *fuse, Step **step, Step *added) {
    Step *block = *step;
    const Poly *rows = shared_rows(fuse->arena, *step, added);
    if (block->kind != STEP_BLOCK) {
        block = NEW(fuse->arena, Step);
        block->kind = STEP_BLOCK;
        LIST_PUSH(fuse->arena, &block->block.body, *step);
        add_accesses(fuse->arena, block, &(*step)->accesses);
    }
    block->block.extent = rows;
    LIST_PUSH(fuse->arena, &block->block.body, added);
    add_accesses(fuse->arena, block, &added->accesses);
    *step = block;
}

/* Whether both touch some buffer at all, which most do not: asked before what is costly to find out. */
static bool share_buffer(const Step *a, const Step *b) {
    for (int i = 0; i < a->accesses.count; i++)
        for (int j = 0; j < b->accesses.count; j++)
            if (a->accesses.items[i].buffer == b->accesses.items[j].buffer) return true;
    return false;
}

static bool conflicts_after(const StepList *steps, int at, const Step *step) {
    for (int i = at + 1; i < steps->count; i++)
        if (accesses_conflict(&steps->items[i]->accesses, &step->accesses)) return true;
    return false;
}

static void move_step(StepList *steps, int from, int to) {
    Step *step = steps->items[from];
    for (int i = from; i < to; i++) steps->items[i] = steps->items[i + 1];
    for (int i = from; i > to; i--) steps->items[i] = steps->items[i - 1];
    steps->items[to] = step;
}

static void add_step(Fuse *fuse, StepList *steps, Step *step) {
    for (int i = steps->count - 1; i >= 0; i--) {
        if (!share_buffer(steps->items[i], step) || !may_join(fuse, steps->items[i], step)) continue;
        const bool climbs = !conflicts_after(steps, i, step);
        if (!climbs && conflicts_after(steps, i, steps->items[i])) continue;
        if (!climbs) move_step(steps, i, steps->count - 1);
        join_rows(fuse, &steps->items[climbs ? i : steps->count - 1], step);
        return;
    }
    LIST_PUSH(fuse->arena, steps, step);
}

static bool is_update(const Step *step) {
    for (int i = 0; i < step->accesses.count; i++)
        if (step->accesses.items[i].writes && step->accesses.items[i].buffer->kind == BUFFER_TENSOR)
            return step->kind == STEP_BLOCK;
    return false;
}

/* A product with the update that it is for goes as early as it can, behind others of its kind: what it reads is needed no longer. */
static void raise_updates(StepList *steps) {
    for (int i = 0; i < steps->count; i++) {
        const Step *step = steps->items[i];
        int at = i;
        if (!is_update(step)) continue;
        while (at > 0 && !accesses_conflict(&steps->items[at - 1]->accesses, &step->accesses)) at--;
        while (at < i && is_update(steps->items[at])) at++;
        move_step(steps, i, at);
    }
}

static StepList block_steps(Fuse *fuse, const StepList *steps) {
    StepList blocked = {0};
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        step->accesses = (AccessList){0};
        step_accesses(fuse->arena, step, &step->accesses);
        add_step(fuse, &blocked, step);
    }
    redraw(fuse, &blocked);
    for (int i = 0; i < blocked.count; i++) {
        Step *step = blocked.items[i];
        if (step->kind == STEP_BLOCK) step->block.rows = rows_of_block(fuse, step);
    }
    return blocked;
}

void block_rows(Fuse *fuse) {
    for (int part = 0; part < PART_COUNT; part++) {
        StepList *steps = &fuse->program->part[part];
        *steps = block_steps(fuse, steps);
        raise_updates(steps);
    }
}

/* What a step costs, by its shapes alone: operations on floating-point numbers, and the memory that it touches. */
#include "fuse.h"

enum { MAX_DEPTH = 3 * MAX_RANK };

/* The loops around what is being counted, from the outermost; operations in one turn of each of them, on numbers; and those that
 * were counted in the present nest. */
typedef struct Counter {
    Arena *arena;
    const Poly *extent[MAX_DEPTH];
    int64_t turn[MAX_DEPTH + 1]; /* in one turn of the loops outside of this depth */
    int around, depth;           /* loops around the whole; around what is being counted */
    LIST(const Scalar *) counted;
    const Poly *flops;
} Counter;

/* ── operations ───────────────────────────────────────────────────────────────────────────── */

/* Adds operations that are done in each turn of the outermost `depth` loops. */
static void add_flops(Counter *counter, int depth, const Poly *flops) {
    for (int i = 0; i < depth; i++) flops = poly_mul(counter->arena, flops, counter->extent[i]);
    counter->flops = poly_add(counter->arena, counter->flops, flops);
}

static void open_loop(Counter *counter, const Poly *extent) {
    counter->extent[counter->depth++] = extent;
    counter->turn[counter->depth] = 0;
}

static void close_loop(Counter *counter) {
    const int64_t turn = counter->turn[counter->depth];
    if (turn > 0) add_flops(counter, counter->depth, poly_const(counter->arena, turn));
    if (--counter->depth == counter->around) counter->counted.count = 0;
}

static bool first_time(Counter *counter, const Scalar *scalar) {
    for (int i = 0; i < counter->counted.count; i++)
        if (counter->counted.items[i] == scalar) return false;
    LIST_PUSH(counter->arena, &counter->counted, scalar);
    return true;
}

/* A value is computed once in each turn of the deepest loop it depends on. */
static void count_scalar(Counter *counter, const Scalar *scalar) {
    if (scalar->kind == SCALAR_GUARD) {
        count_scalar(counter, scalar->guard.yes);
        count_scalar(counter, scalar->guard.no);
    }
    if (scalar->kind != SCALAR_OP || !first_time(counter, scalar)) return;
    counter->turn[scalar->depth + 1]++;
    for (int i = 0; i < scalar->op.arity; i++) count_scalar(counter, scalar->op.in[i]);
}

static void count_statement(Counter *counter, const Statement *statement) {
    count_scalar(counter, statement->value);
    if (statement->kind != STATEMENT_STORE) counter->turn[statement->depth]++;
}

static void count_gemm(Counter *counter, const Gemm *gemm) {
    const Poly *flops = poly_scale(counter->arena, poly_mul(counter->arena, gemm->m, poly_mul(counter->arena, gemm->n, gemm->k)), 2);
    for (int i = 0; i < gemm->loops; i++) flops = poly_mul(counter->arena, flops, gemm->extent[i]);
    add_flops(counter, counter->depth, flops);
}

/* How often a tap meets an element, over all positions along an axis. */
static int64_t meetings(const ConvAxis *axis) {
    int64_t count = 0;
    for (int64_t position = 0; position < axis->positions; position++)
        for (int64_t tap = 0; tap < axis->taps; tap++) {
            const int64_t place = position * axis->stride + tap * axis->dilation - axis->low;
            count += place >= 0 && place % axis->spread == 0 && place / axis->spread < axis->size;
        }
    return count;
}

static void count_conv(Counter *counter, const Conv *conv) {
    if (conv_packs(conv)) return;
    const int64_t products = meetings(&conv->row) * meetings(&conv->column) * conv->channels * conv->filters;
    add_flops(counter, counter->depth, poly_scale(counter->arena, poly_dim(counter->arena, conv->images), 2 * products));
}

static void count_step(Counter *counter, const Step *step) {
    switch (step->kind) {
    case STEP_LOOP:
        open_loop(counter, step->loop.extent);
        for (int i = 0; i < step->loop.body.count; i++) count_step(counter, step->loop.body.items[i]);
        close_loop(counter);
        break;
    case STEP_BLOCK:
        for (int i = 0; i < step->block.body.count; i++) count_step(counter, step->block.body.items[i]);
        break;
    case STEP_SCAN:
        open_loop(counter, step->scan.turns);
        for (int i = 0; i < step->scan.body.count; i++) count_step(counter, step->scan.body.items[i]);
        close_loop(counter);
        break;
    case STEP_STATEMENT: count_statement(counter, step->statement); break;
    case STEP_GEMM: count_gemm(counter, &step->gemm); break;
    case STEP_CONV: count_conv(counter, &step->conv); break;
    case STEP_DRAW: break;
    }
}

/* ── memory ───────────────────────────────────────────────────────────────────────────────── */

/* The smaller of two numbers of elements, as far as that is known; else the first. */
static const Poly *smaller(Arena *arena, const Poly *a, const Poly *b) {
    return poly_equal(a, b) || poly_nonnegative(arena, poly_add(arena, a, poly_scale(arena, b, -1))) ? b : a;
}

/* Of the loops from depth `around` on. */
static const Poly *elements(Arena *arena, const Access *access, int around) {
    const Poly *count = poly_const(arena, 1);
    for (int i = 0; access->at && i < access->at->count; i++) {
        const Atom *atom = access->at->term[i].atom;
        if (atom->kind != ATOM_LOOP || atom->depth >= around) count = poly_mul(arena, count, atom->limit);
    }
    if (access->at && access->buffer->of_block) return count;
    return access->at ? smaller(arena, count, access->buffer->size) : access->buffer->size;
}

static bool same_kind(const Access *a, const Access *b) { return a->buffer == b->buffer && a->writes == b->writes; }

static bool same_place(const Access *a, const Access *b) {
    return same_kind(a, b) && (a->at == b->at || (a->at && b->at && index_equal(a->at, b->at)));
}

/* Elements that all accesses of the kind of `list[first]` touch: not more than there are. */
static const Poly *touched(Arena *arena, const AccessList *list, int first, int around) {
    const Poly *sum = poly_const(arena, 0);
    for (int i = first; i < list->count; i++) {
        bool known = !same_kind(&list->items[first], &list->items[i]);
        for (int k = first; k < i; k++) known = known || same_place(&list->items[k], &list->items[i]);
        if (!known) sum = poly_add(arena, sum, elements(arena, &list->items[i], around));
    }
    const Buffer *buffer = list->items[first].buffer;
    return buffer->of_block ? sum : smaller(arena, sum, buffer->size);
}

/* What stays in the cache: a step's own work space, and reading what it has just written. */
static bool is_near(const AccessList *list, const Access *access) {
    if (access->buffer->of_block) return true;
    for (int i = 0; i < list->count; i++)
        if (list->items[i].buffer == access->buffer && list->items[i].writes)
            return !access->writes && access->buffer->kind == BUFFER_TEMPORARY;
    return false;
}

/* `whole`: what stays in the cache counts too. */
static const Poly *bytes_of_list(Arena *arena, const AccessList *list, int around, bool whole) {
    const Poly *sum = poly_const(arena, 0);
    for (int i = 0; i < list->count; i++) {
        bool first = whole || !is_near(list, &list->items[i]);
        for (int k = 0; k < i; k++) first = first && !same_kind(&list->items[k], &list->items[i]);
        if (first) sum = poly_add(arena, sum, touched(arena, list, i, around));
    }
    return poly_scale(arena, sum, (int64_t)sizeof(float));
}

static const Poly *bytes_touched(Arena *arena, const Step *step, int around) {
    AccessList list = {0};
    step_accesses(arena, step, &list);
    return bytes_of_list(arena, &list, around, false);
}

static int depth_of(const Step *step) {
    switch (step->kind) {
    case STEP_LOOP: return step->loop.depth;
    case STEP_SCAN: return step->scan.depth;
    case STEP_STATEMENT: return step->statement->depth;
    case STEP_GEMM: return step->gemm.depth;
    case STEP_BLOCK: return depth_of(step->block.body.items[0]);
    default: return 0;
    }
}

Cost step_cost(Arena *arena, const Step *step) {
    Counter counter = {.arena = arena, .around = depth_of(step), .flops = poly_const(arena, 0)};
    while (counter.depth < counter.around) counter.extent[counter.depth++] = poly_const(arena, 1);
    count_step(&counter, step);
    int64_t outside = 0;
    for (int i = 0; i <= counter.around; i++) outside += counter.turn[i];
    add_flops(&counter, 0, poly_const(arena, outside));
    return (Cost){.flops = counter.flops, .bytes = bytes_touched(arena, step, counter.around)};
}

/* ── a program, as it is and as it would be ───────────────────────────────────────────────── */

Traffic fused_traffic(Arena *arena, const StepList *steps) {
    Traffic traffic = {.kernels = steps->count, .bytes = poly_const(arena, 0)};
    for (int i = 0; i < steps->count; i++) traffic.bytes = poly_add(arena, traffic.bytes, bytes_touched(arena, steps->items[i], 0));
    return traffic;
}

/* What comes in a register would have to be read. */
static void add_results(Arena *arena, const Scalar *scalar, AccessList *list) {
    if (scalar->kind == SCALAR_RESULT)
        LIST_PUSH(arena, list, ((Access){.buffer = scalar->result->buffer, .at = scalar->result->at}));
    for (int i = 0; scalar->kind == SCALAR_OP && i < scalar->op.arity; i++) add_results(arena, scalar->op.in[i], list);
    if (scalar->kind != SCALAR_GUARD) return;
    add_results(arena, scalar->guard.yes, list);
    add_results(arena, scalar->guard.no, list);
}

static void add_pass(Arena *arena, const Step *step, Traffic *traffic) {
    AccessList list = {0};
    for (int i = 0; i < step_body(step)->count; i++) add_pass(arena, step_body(step)->items[i], traffic);
    if (step_body(step)->count > 0) return;
    step_accesses(arena, step, &list);
    if (step->kind == STEP_STATEMENT) {
        const Statement *statement = step->statement;
        add_results(arena, statement->value, &list);
        if (!statement->stored) LIST_PUSH(arena, &list, ((Access){.buffer = statement->buffer, .at = statement->at, .writes = true}));
    }
    traffic->kernels++;
    traffic->bytes = poly_add(arena, traffic->bytes, bytes_of_list(arena, &list, 0, true));
}

Traffic unfused_traffic(Arena *arena, const StepList *steps) {
    Traffic traffic = {.bytes = poly_const(arena, 0)};
    for (int i = 0; i < steps->count; i++) add_pass(arena, steps->items[i], &traffic);
    return traffic;
}

/* ── BLAS or not ──────────────────────────────────────────────────────────────────────────── */

/* BLAS packs its operands first, to be as fast with any; our kernels read them where they lie. That wins, by a third for the products
 * of usual layers, until the operand that is gone through again and again, or the result, drops out of the caches: from there
 * on (measured against OpenBLAS with AVX-512, AVX2 and SSE) what packing costs does not matter any more. A product of few rows,
 * which meets each element of a right operand with packed rows only once, bears more. */
bool gemm_by_blas(const Module *module, const Options *options, const Gemm *gemm) {
    const double m = (double)poly_high(module, gemm->m), n = (double)poly_high(module, gemm->n), k = (double)poly_high(module, gemm->k);
    const bool once = (poly_is(gemm->b_n, 1) || poly_is(gemm->b_n, 0)) && m <= n && m <= 256;
    if (options->blas != BLAS_CHOSEN) return options->blas == BLAS_ALL;
    return m * n * k > (once ? 0x1p27 : 0x1p25);
}

/* The memory plan: every buffer of every program gets its place in one arena, by lifetime.
 *
 * A buffer's size is a polynomial in the batch. The arena has a region for each degree, which grows with that power of the
 * capacity chosen when a model is created; within its region a buffer has a fixed place. Programs never run at the same time
 * and keep nothing between calls, so they share the regions.
 *
 * Buffers are placed one after the other, each in the smallest gap between those that live at the same time: from the largest to the
 * smallest, or in another order where that takes less memory.
 * An elementwise result takes the place of an operand that nobody needs afterwards. */
#include "gdlc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { ALIGNMENT = 16 /* floats: a cache line */ };

/* A place in a region: of one buffer and those that take it over, or of the gradients of a phase (buffer is NULL). */
typedef struct Block { Buffer *buffer; int degree; int64_t size, offset; int first, last; } Block;
typedef LIST(Block) BlockList;

typedef struct Planner { Arena *arena; const Module *module; Program *program; BlockList blocks; } Planner;

static int64_t largest(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t round_up(int64_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* An upper bound of the size as `units` * batch^degree, with the other run-time sizes at their largest. */
static void measure(const Module *module, const Poly *size, int *degree, int64_t *units) {
    *degree = 0;
    *units = 0;
    for (int i = 0; i < size->count; i++) {
        const Monomial *term = &size->term[i];
        int64_t factor = term->factor;
        for (int s = 1; s < MAX_SYMBOLS; s++)
            for (int p = 0; p < term->power[s]; p++) factor *= module->symbols.items[s].high;
        if (factor > 0) *units += factor;
        if (term->power[SYMBOL_BATCH] > *degree) *degree = term->power[SYMBOL_BATCH];
    }
    *units = round_up(*units);
}

/* ── lifetimes: in steps of the program, both parts counted through ───────────────────────── */

static void touch(Buffer *buffer, int time) {
    if (buffer->first < 0) buffer->first = time;
    buffer->last = time;
}

static void find_lifetimes(Planner *planner) {
    int time = 0;
    for (int part = 0; part < PART_COUNT; part++) {
        const StepList *steps = &planner->program->part[part];
        for (int i = 0; i < steps->count; i++, time++) {
            const AccessList *accesses = &steps->items[i]->accesses;
            for (int k = 0; k < accesses->count; k++) touch(accesses->items[k].buffer, time);
        }
    }
}

static const Step *step_at(const Program *program, int time) {
    const StepList *first = &program->part[0];
    return time < first->count ? first->items[time] : program->part[1].items[time - first->count];
}

/* ── results in the place of operands ─────────────────────────────────────────────────────── */

/* The statements of the innermost loop that writes the buffer; NULL where it is not written by one. */
static const StepList *writer_of(const StepList *body, const Buffer *buffer, const Statement **writer) {
    for (int i = 0; i < body->count; i++) {
        const Step *step = body->items[i];
        const StepList *inner = writer_of(step_body(step), buffer, writer);
        if (inner) return inner;
        if (step->kind == STEP_STATEMENT && step->statement->buffer == buffer && step->statement->stored) {
            *writer = step->statement;
            return body;
        }
    }
    return NULL;
}

static bool only_reads_at(const AccessList *accesses, const Buffer *buffer, const Index *at, int *count) {
    for (int i = 0; i < accesses->count; i++) {
        if (accesses->items[i].buffer != buffer) continue;
        if (accesses->items[i].writes || !accesses->items[i].at || !index_equal(accesses->items[i].at, at))
            return false;
        ++*count;
    }
    return true;
}

static bool touches(const Step *step, const Buffer *buffer, bool *writes) {
    bool found = false;
    for (int i = 0; i < step->accesses.count; i++) {
        if (step->accesses.items[i].buffer != buffer) continue;
        found = true;
        *writes = *writes || step->accesses.items[i].writes;
    }
    return found;
}

/* The loop nest that writes `to`: the step, or one of its block. There, `from` may have been written earlier in the block, which
 * then touches it row by row; nobody else in the block may touch it. NULL where there is none. */
static const Step *nest_of(const Step *step, const Buffer *from, const Buffer *to) {
    const Step *nest = NULL;
    bool written = false, touched = false;
    if (step->kind != STEP_BLOCK) return step->kind == STEP_LOOP ? step : NULL;
    for (int i = 0; i < step->block.body.count; i++) {
        const Step *member = step->block.body.items[i];
        bool writes_to = false, writes_from = false;
        const bool touches_from = touches(member, from, &writes_from);
        if (nest && touches_from) return NULL;
        touches(member, to, &writes_to);
        if (!nest && writes_to) nest = member->kind == STEP_LOOP ? member : NULL;
        else touched = touched || touches_from;
        if (writes_to && !nest) return NULL;
        written = written || writes_from;
    }
    return written || !touched ? nest : NULL;
}

/* Whether the step reads `from` only where it writes `to`, in the same turn of the same loops, before or when it does. */
static bool may_take_over(Planner *planner, const Step *step, const Buffer *from, const Buffer *to) {
    const Statement *writer = NULL;
    AccessList near = {0};
    int reads = 0, reads_near = 0;
    step = nest_of(step, from, to);
    if (step == NULL) return false;
    const StepList *body = writer_of(&step->loop.body, to, &writer);
    if (!body || writer->kind != STATEMENT_STORE) return false;
    for (int i = 0; i < body->count && body->items[i]->kind == STEP_STATEMENT; i++) {
        statement_accesses(planner->arena, body->items[i]->statement, &near);
        if (body->items[i]->statement == writer) break;
    }
    return only_reads_at(&step->accesses, from, writer->at, &reads) && only_reads_at(&near, from, writer->at, &reads_near) &&
           reads == reads_near;
}

static Buffer *find_operand(Planner *planner, const Buffer *to) {
    const Step *step = step_at(planner->program, to->first);
    for (int i = 0; i < planner->program->buffers.count; i++) {
        Buffer *from = planner->program->buffers.items[i];
        if (from->kind == BUFFER_TEMPORARY && from->used && from != to && from->last == to->first &&
            from->first <= to->first && poly_equal(from->size, to->size) && !from->taken &&
            may_take_over(planner, step, from, to))
            return from;
    }
    return NULL;
}

static Buffer *root_of(Buffer *buffer) {
    while (buffer->over) buffer = buffer->over;
    return buffer;
}

static void take_over(Planner *planner) {
    for (int i = 0; i < planner->program->buffers.count; i++) {
        Buffer *to = planner->program->buffers.items[i];
        if (to->kind != BUFFER_TEMPORARY || !to->used) continue;
        to->over = find_operand(planner, to);
        if (to->over) to->over->taken = true;
    }
}

/* ── places ───────────────────────────────────────────────────────────────────────────────── */

static void add_block(Planner *planner, Buffer *buffer, int degree, int64_t size, int first, int last) {
    for (int i = 0; buffer && i < planner->blocks.count; i++) {
        Block *block = &planner->blocks.items[i];
        if (block->buffer != root_of(buffer)) continue;
        if (first < block->first) block->first = first;
        if (last > block->last) block->last = last;
        return;
    }
    LIST_PUSH(
        planner->arena, &planner->blocks,
        ((Block){
            .buffer = buffer ? root_of(buffer) : NULL, .degree = degree, .size = size, .first = first, .last = last}));
}

/* The gradients stay until the update part has begun at least: between the parts they belong to the caller. */
static void add_gradients(Planner *planner) {
    const Program *program = planner->program;
    int first = program->part[0].count, last = program->part[0].count;
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->kind != BUFFER_GRADIENT) continue;
        if (buffer->first < first) first = buffer->first;
        if (buffer->last > last) last = buffer->last;
    }
    if (program->gradients > 0) add_block(planner, NULL, 0, round_up(program->gradients), first, last);
}

static void add_blocks(Planner *planner) {
    planner->blocks.count = 0;
    add_gradients(planner);
    for (int i = 0; i < planner->program->buffers.count; i++) {
        Buffer *buffer = planner->program->buffers.items[i];
        int64_t units;
        if (buffer->kind != BUFFER_TEMPORARY || !buffer->used) continue;
        measure(planner->module, buffer->size, &buffer->degree, &units);
        assert(buffer->degree <= MAX_DEGREE);
        add_block(planner, buffer, buffer->degree, units, buffer->first, buffer->last);
    }
}

/* ── rows of a block ──────────────────────────────────────────────────────────────────────── */

/* A product with loops of its own, or a convolution, finds its rows by where they lie in the whole buffer. */
static bool needs_whole(const Step *step, const Buffer *buffer) {
    const Gemm *g = &step->gemm;
    bool writes = false;
    return step->kind == STEP_GEMM ? g->loops > 0 && (g->a == buffer || g->b == buffer || g->c == buffer)
                                   : step->kind == STEP_CONV && touches(step, buffer, &writes);
}

/* Elements of a row of a buffer that one step alone, which is cut into blocks, works with row by row; 0 where it is none. */
static int64_t row_in_block(Planner *planner, const Buffer *buffer, const Step *step) {
    int64_t row;
    if (step->kind != STEP_BLOCK) return 0;
    const Poly *elements = poly_divide(planner->arena, buffer->size, step->block.extent);
    if (!elements || !poly_constant(elements, &row)) return 0;
    for (int i = 0; i < step->block.body.count; i++)
        if (needs_whole(step->block.body.items[i], buffer)) return 0;
    return row;
}

static void keep_rows(Planner *planner, Buffer *buffer, int64_t rows, int64_t row, bool local) {
    buffer->of_block = true;
    buffer->local = local;
    buffer->shape = (Shape){.rank = 2, .dim = {dim_const(rows), dim_const(row)}};
    buffer->size = poly_const(planner->arena, rows * row);
    buffer->degree = 0;
}

/* The buffers that share a place. */
static bool is_in(const Block *block, Buffer *buffer) {
    return buffer->kind == BUFFER_TEMPORARY && buffer->used && block->buffer && root_of(buffer) == block->buffer;
}

/* Elements of a row of a place; 0 where it must hold all rows. */
static int64_t row_of_place(Planner *planner, const Block *block) {
    int64_t row = 0;
    if (block->first != block->last) return 0;
    for (int i = 0; i < planner->program->buffers.count; i++) {
        Buffer *buffer = planner->program->buffers.items[i];
        if (!is_in(block, buffer)) continue;
        row = row_in_block(planner, buffer, step_at(planner->program, block->first));
        if (row == 0) return 0;
    }
    return row;
}

/* What lives in a single step needs room for the rows of a block only: the next block finds its own in the same place. Threads
 * need one each: small ones become arrays of the code that computes the block, and no part of the plan. */
static void shrink_blocks(Planner *planner, bool threads) {
    int kept = 0;
    for (int i = 0; i < planner->blocks.count; i++) {
        Block block = planner->blocks.items[i];
        const int64_t row = row_of_place(planner, &block), rows = row > 0 ? step_at(planner->program, block.first)->block.rows : 0;
        const bool small = rows * row <= MOST_LOCAL, shrinks = row > 0 && (small || (!threads && block.degree == 0));
        for (int k = 0; shrinks && k < planner->program->buffers.count; k++)
            if (is_in(&block, planner->program->buffers.items[k])) keep_rows(planner, planner->program->buffers.items[k], rows, row, threads);
        if (shrinks) block.size = round_up(rows * row), block.degree = 0;
        if (!shrinks || !threads) planner->blocks.items[kept++] = block;
    }
    planner->blocks.count = kept;
}

/* ── the order of placing ─────────────────────────────────────────────────────────────────── */

static int compare(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare_starts(const void *left, const void *right) {
    const Block *a = left, *b = right;
    const int order = compare(a->first, b->first);
    return order ? order : compare(a->buffer ? a->buffer->index : -1, b->buffer ? b->buffer->index : -1);
}

static int compare_sizes(const void *left, const void *right) {
    const Block *a = left, *b = right;
    const int order = compare(b->size, a->size);
    return order ? order : compare_starts(left, right);
}

static int compare_lives(const void *left, const void *right) {
    const Block *a = left, *b = right;
    const int order = compare(b->last - b->first, a->last - a->first);
    return order ? order : compare_sizes(left, right);
}

/* What a block takes over its life. */
static int compare_areas(const void *left, const void *right) {
    const Block *a = left, *b = right;
    const int order = compare(b->size * (b->last - b->first + 1), a->size * (a->last - a->first + 1));
    return order ? order : compare_sizes(left, right);
}

static bool meet(const Block *a, const Block *b) {
    return a->degree == b->degree && a->first <= b->last && b->first <= a->last;
}

/* The placed blocks that live with this one, by their offsets. */
static int neighbours(const Planner *planner, int index, const Block **found) {
    int count = 0;
    for (int i = 0; i < index; i++) {
        const Block *other = &planner->blocks.items[i];
        int at = count;
        if (!meet(other, &planner->blocks.items[index])) continue;
        for (; at > 0 && found[at - 1]->offset > other->offset; at--) found[at] = found[at - 1];
        found[at] = other;
        count++;
    }
    return count;
}

/* Into the smallest gap between its neighbours that it fits; else behind them. */
static void place(Planner *planner, int index, const Block **scratch) {
    Block *block = &planner->blocks.items[index];
    const int count = neighbours(planner, index, scratch);
    int64_t best = INT64_MAX, end = 0;
    for (int i = 0; i < count; i++) {
        const int64_t gap = scratch[i]->offset - end;
        if (gap >= block->size && gap < best) {
            best = gap;
            block->offset = end;
        }
        if (scratch[i]->offset + scratch[i]->size > end) end = scratch[i]->offset + scratch[i]->size;
    }
    if (best == INT64_MAX) block->offset = end;
}

/* Places all blocks in an order; returns what that takes with the batch that the model is made for, in floats. */
static int64_t place_all(Planner *planner, int (*order)(const void *, const void *), const Block **scratch) {
    const int64_t batch = planner->module->symbols.items[SYMBOL_BATCH].high;
    int64_t end[MAX_DEGREE + 1] = {0}, floats = 0;
    if (planner->blocks.count > 0) qsort(planner->blocks.items, (size_t)planner->blocks.count, sizeof(Block), order);
    for (int i = 0; i < planner->blocks.count; i++) {
        const Block *block = &planner->blocks.items[i];
        place(planner, i, scratch);
        end[block->degree] = largest(end[block->degree], block->offset + block->size);
    }
    for (int d = MAX_DEGREE; d >= 0; d--) floats = floats * batch + end[d];
    return floats;
}

/* The first of the orders that takes the least. */
static void place_blocks(Planner *planner) {
    static int (*const orders[])(const void *, const void *) = {compare_sizes, compare_areas, compare_lives, compare_starts};
    const Block **scratch = arena_alloc(planner->arena, (size_t)planner->blocks.count * sizeof *scratch);
    int64_t least = INT64_MAX;
    int best = 0;
    for (int i = 0; i < (int)(sizeof orders / sizeof *orders); i++) {
        const int64_t floats = place_all(planner, orders[i], scratch);
        if (floats < least) least = floats, best = i;
    }
    place_all(planner, orders[best], scratch);
}

static void keep_places(Planner *planner) {
    for (int i = 0; i < planner->blocks.count; i++) {
        const Block *block = &planner->blocks.items[i];
        if (block->buffer) block->buffer->offset = block->offset;
        else planner->program->gradients_offset = block->offset;
    }
    for (int i = 0; i < planner->program->buffers.count; i++) {
        Buffer *buffer = planner->program->buffers.items[i];
        if (buffer->kind == BUFFER_TEMPORARY) buffer->offset = root_of(buffer)->offset;
        if (buffer->kind == BUFFER_GRADIENT) buffer->offset = planner->program->gradients_offset + buffer->place;
    }
}

const Buffer *storage(const Buffer *buffer) {
    while (buffer->over) buffer = buffer->over;
    return buffer;
}

/* Where a buffer ends. Gradients lie one behind the other, without room between them. */
static int64_t end_of(const Module *module, const Buffer *buffer) {
    int degree;
    int64_t units;
    if (buffer->kind != BUFFER_GRADIENT || !poly_constant(buffer->size, &units)) measure(module, buffer->size, &degree, &units);
    return buffer->offset + units;
}

bool buffers_overlap(const Module *module, const Buffer *a, const Buffer *b) {
    if (storage(a) == storage(b)) return true;
    if (a->local || b->local || a->kind < BUFFER_GRADIENT || b->kind < BUFFER_GRADIENT || a->degree != b->degree) return false;
    return a->offset <= b->offset ? b->offset < end_of(module, a) : a->offset < end_of(module, b);
}

/* ── the whole ────────────────────────────────────────────────────────────────────────────── */

/* How much the blocks fill, and how much must be live at one time at least. */
static void grow_regions(const Planner *planner, Plan *plan) {
    const int steps = planner->program->part[0].count + planner->program->part[1].count;
    for (int i = 0; i < planner->blocks.count; i++) {
        const Block *block = &planner->blocks.items[i];
        plan->region[block->degree] = largest(plan->region[block->degree], block->offset + block->size);
    }
    for (int time = 0; time <= steps; time++) {
        int64_t live[MAX_DEGREE + 1] = {0};
        for (int i = 0; i < planner->blocks.count; i++) {
            const Block *block = &planner->blocks.items[i];
            if (block->first <= time && time <= block->last) live[block->degree] += block->size;
        }
        for (int d = 0; d <= MAX_DEGREE; d++) plan->bound[d] = largest(plan->bound[d], live[d]);
    }
}

static void place_tensors(Context *context, const Module *module, Plan *plan) {
    plan->tensor = arena_alloc(context->arena, (size_t)(module->tensors.count + 1) * sizeof *plan->tensor);
    for (int i = 0; i < module->tensors.count; i++)
        plan->tensor[i + 1] = plan->tensor[i] + round_up(shape_size(&module->tensors.items[i]->shape, NULL));
    plan->tensors = plan->tensor[module->tensors.count];
}

Plan *plan(Context *context, const Module *module, const Options *options, const ProgramList *programs) {
    Plan *plan = NEW(context->arena, Plan);
    place_tensors(context, module, plan);
    for (int i = 0; i < programs->count; i++) {
        Planner planner = {.arena = context->arena, .module = module, .program = programs->items[i]};
        find_lifetimes(&planner);
        take_over(&planner);
        add_blocks(&planner);
        shrink_blocks(&planner, options->threads == THREADS_POSIX);
        place_blocks(&planner);
        keep_places(&planner);
        grow_regions(&planner, plan);
    }
    return plan;
}

/* ── printing ─────────────────────────────────────────────────────────────────────────────── */

static void program_plan_print(Text *to, const Module *module, const Program *program) {
    text_add(to, "%s\n", program->name);
    if (program->gradients > 0)
        text_add(to, "  %8" PRId64 "              gradients [%" PRId64 "]\n", program->gradients_offset,
                 program->gradients);
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->kind != BUFFER_TEMPORARY || !buffer->used || buffer->local) continue;
        text_add(to, "  %8" PRId64 "%s  %3d..%-3d   %s [", buffer->offset,
                 buffer->degree == 0   ? "    "
                 : buffer->degree == 1 ? " n  "
                 : buffer->degree == 2 ? " n^2"
                                       : " n^3",
                 buffer->first, buffer->last, buffer->name);
        poly_print(to, module, buffer->size);
        text_add(to, "]%s%s\n", buffer->over ? " in the place of " : "", buffer->over ? buffer->over->name : "");
    }
}

void plan_print(Text *to, const Module *module, const ProgramList *programs, const Plan *plan) {
    text_add(to, "tensors: %" PRId64 " floats\n", plan->tensors);
    for (int d = 0; d <= MAX_DEGREE; d++)
        if (plan->region[d] > 0)
            text_add(to, "arena, times n^%d: %" PRId64 " floats (lower bound %" PRId64 ")\n", d, plan->region[d],
                     plan->bound[d]);
    for (int i = 0; i < programs->count; i++) program_plan_print(to, module, programs->items[i]);
}

int64_t plan_bytes(const Plan *plan, int64_t batch) {
    int64_t floats = plan->tensors, power = 1;
    for (int d = 0; d <= MAX_DEGREE; d++, power *= batch) floats += plan->region[d] * power;
    return floats * (int64_t)sizeof(float);
}

static void role_print(Text *to, const Module *module, TensorRole role, const char *name) {
    int64_t floats = 0;
    for (int i = 0; i < module->tensors.count; i++)
        if (module->tensors.items[i]->role == role) floats += shape_size(&module->tensors.items[i]->shape, NULL);
    if (floats > 0) text_add(to, "%-24s %12" PRId64 "\n", name, floats * (int64_t)sizeof(float));
}

void memory_print(Text *to, const Module *module, const Plan *plan) {
    static const char *const regions[] = {"arena", "arena, by example", "arena, by pair", "arena, by three"};
    const int64_t batch = module->symbols.items[SYMBOL_BATCH].high;
    int64_t least = plan->tensors, power = 1;
    text_add(to, "%-24s %12s %12s\n", "", "bytes", "at least");
    role_print(to, module, TENSOR_PARAM, "parameters");
    role_print(to, module, TENSOR_STATE, "states");
    role_print(to, module, TENSOR_OPTIMIZER, "optimizers");
    for (int d = 0; d <= MAX_DEGREE; d++, power *= batch) {
        least += plan->bound[d] * power;
        if (plan->region[d] > 0)
            text_add(to, "%-24s %12" PRId64 " %12" PRId64 "\n", regions[d], plan->region[d] * (int64_t)sizeof(float),
                     plan->bound[d] * (int64_t)sizeof(float));
    }
    text_add(to, "all, at a batch of %-5" PRId64 " %12" PRId64 " %12" PRId64 "\n", batch, plan_bytes(plan, batch),
             least * (int64_t)sizeof(float));
    for (int s = 1; s < module->symbols.count; s++)
        text_add(to, "%s %s of %" PRId64 "%s", s == 1 ? "with" : " and", module->symbols.items[s].name, module->symbols.items[s].high,
                 s + 1 == module->symbols.count ? "\n" : "");
}

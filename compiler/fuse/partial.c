/* Sums over the rows of a step, such as a loss or the gradient of a bias, in parts that threads can share.
 *
 * The rows come in a few equal pieces, as many as the compiler says; each piece has sums of its own, and a step that is
 * added behind sums those up, in their order. So results depend on the number of pieces, but not on who computes them. */
#include "fuse.h"

#include <string.h>

enum { MOST_FLOATS = 1 << 14 /* of a sum */ };

typedef struct Splitter { Arena *arena; const Module *module; Program *program; StepList *steps; int64_t pieces; } Splitter;

typedef LIST(Statement *) StatementList;

/* The statements that sum over the outermost loop of their nest; false where one of them cannot be split. */
static bool find_sums(const Step *step, StatementList *sums, Arena *arena) {
    int64_t floats;
    for (int i = 0; i < step_body(step)->count; i++)
        if (!find_sums(step_body(step)->items[i], sums, arena)) return false;
    if (step->kind != STEP_STATEMENT) return step->kind != STEP_SCAN;
    if (!(step->statement->reduced & 1)) return step->statement->kind != STATEMENT_SCATTER;
    LIST_PUSH(arena, sums, step->statement);
    return (step->statement->kind == STATEMENT_SUM || step->statement->kind == STATEMENT_MAX) && step->statement->stored &&
           !step->statement->reused && poly_constant(step->statement->buffer->size, &floats) && floats <= MOST_FLOATS;
}

/* "d_bias_parts", or with a number where that is taken. */
static const char *parts_name(const Splitter *splitter, const Buffer *whole) {
    const char *name = arena_printf(splitter->arena, "%s_parts", whole->name);
    for (int i = 0, number = 2; i < splitter->program->buffers.count; i++)
        if (strcmp(splitter->program->buffers.items[i]->name, name) == 0) {
            name = arena_printf(splitter->arena, "%s_parts_%d", whole->name, number++);
            i = -1;
        }
    return name;
}

static Buffer *parts_buffer(Splitter *splitter, const Buffer *whole) {
    int64_t floats;
    Buffer *parts = NEW(splitter->arena, Buffer);
    poly_constant(whole->size, &floats);
    *parts = (Buffer){.kind = BUFFER_TEMPORARY, .index = splitter->program->buffers.count, .name = parts_name(splitter, whole),
                      .shape = {2, {dim_const(splitter->pieces), dim_const(floats)}}, .node = whole->node, .used = true,
                      .pieces = splitter->pieces, .first = -1, .last = -1};
    parts->size = poly_shape(splitter->arena, &parts->shape);
    LIST_PUSH(splitter->arena, &splitter->program->buffers, parts);
    return parts;
}

static Step *loop_around(Splitter *splitter, int depth, const Poly *extent, Step *body) {
    Step *loop = NEW(splitter->arena, Step);
    *loop = (Step){.kind = STEP_LOOP, .loop = {.depth = depth, .extent = extent}};
    LIST_PUSH(splitter->arena, &loop->loop.body, body);
    return loop;
}

/* whole[e] = the sum (or the largest) of parts[piece][e]. */
static Step *gather_parts(Splitter *splitter, const Statement *sum, Buffer *whole, Buffer *parts) {
    Arena *arena = splitter->arena;
    const int inner = poly_is(whole->size, 1) ? 0 : 1;
    const Poly *pieces = poly_const(arena, splitter->pieces);
    const Index *element = inner ? index_loop(arena, 0, whole->size) : index_const(arena, poly_const(arena, 0));
    Scalar *part = NEW(arena, Scalar);
    Statement *statement = NEW(arena, Statement);
    Step *step = NEW(arena, Step);
    *part = (Scalar){.kind = SCALAR_LOAD, .depth = inner, .node = sum->node,
                     .load = {parts, index_add(arena, element, index_mul(arena, index_loop(arena, inner, pieces), whole->size))}};
    *statement = (Statement){.kind = sum->kind, .depth = inner + 1, .reduced = 1u << inner, .buffer = whole, .at = element, .value = part,
                             .node = sum->node, .stored = true};
    *step = (Step){.kind = STEP_STATEMENT, .statement = statement};
    step = loop_around(splitter, inner, pieces, step);
    return inner ? loop_around(splitter, 0, whole->size, step) : step;
}

static void split_sums(Splitter *splitter, Step *step, const StatementList *sums) {
    for (int i = 0; i < sums->count; i++) {
        Statement *sum = sums->items[i];
        Buffer *whole = sum->buffer;
        sum->buffer = parts_buffer(splitter, whole);
        Step *gather = gather_parts(splitter, sum, whole, sum->buffer);
        list_accesses(splitter->arena, gather);
        LIST_PUSH(splitter->arena, splitter->steps, gather);
    }
    step->share.pieces = splitter->pieces;
    list_accesses(splitter->arena, step);
}

static bool reads_pieces(const Step *step) {
    for (int i = 0; i < step->accesses.count; i++)
        if (step->accesses.items[i].buffer->pieces > 0 && !step->accesses.items[i].writes) return true;
    return false;
}

/* What is made of sums belongs to a later phase than they: it goes behind the steps that have nothing to do with it. */
static void sink_numbers(StepList *steps) {
    for (int i = steps->count - 1; i >= 0; i--) {
        Step *step = steps->items[i];
        if (step->kind != STEP_STATEMENT && !reads_pieces(step)) continue;
        for (int k = i; k + 1 < steps->count && !accesses_conflict(&step->accesses, &steps->items[k + 1]->accesses); k++) {
            steps->items[k] = steps->items[k + 1];
            steps->items[k + 1] = step;
        }
    }
}

void split_sums_of(Arena *arena, const Module *module, Program *program, int part, PiecesOf *pieces_of) {
    StepList *steps = &program->part[part], split = {0};
    bool any = false;
    for (int i = 0; i < steps->count; i++) {
        Step *step = steps->items[i];
        StatementList sums = {0};
        LIST_PUSH(arena, &split, step);
        if ((step->kind != STEP_LOOP && step->kind != STEP_BLOCK) || !find_sums(step, &sums, arena) || sums.count == 0) continue;
        Splitter splitter = {arena, module, program, &split, pieces_of(arena, module, steps, step)};
        if (splitter.pieces < 2) continue;
        split_sums(&splitter, step, &sums);
        any = true;
    }
    if (any) sink_numbers(&split);
    *steps = split;
}

/* Random numbers that are drawn again: the mask of a dropout is read by the forward pass and, much later, by the backward pass.
 *
 * What is too large to stay in the cache meanwhile would take memory for the whole time, and come back from there. A draw is a function
 * of positions, so each step that reads it draws it for itself instead, a few rows at a time, into an array of its block. */
#include "fuse.h"

static int loads_of(const Scalar *scalar, const Buffer *buffer) {
    int loads = scalar->kind == SCALAR_LOAD && scalar->load.buffer == buffer;
    for (int i = 0; scalar->kind == SCALAR_OP && i < scalar->op.arity; i++) loads += loads_of(scalar->op.in[i], buffer);
    if (scalar->kind == SCALAR_GUARD) loads += loads_of(scalar->guard.yes, buffer) + loads_of(scalar->guard.no, buffer);
    return loads;
}

static int loads_in(const Step *step, const Buffer *buffer) {
    int loads = step->kind == STEP_STATEMENT ? loads_of(step->statement->value, buffer) : 0;
    for (int i = 0; i < step_body(step)->count; i++) loads += loads_in(step_body(step)->items[i], buffer);
    return loads;
}

static int touches(const Step *step, const Buffer *buffer) {
    int count = 0;
    for (int i = 0; i < step->accesses.count; i++) count += step->accesses.items[i].buffer == buffer;
    return count;
}

typedef struct Redirection { const Buffer *from; Buffer *to; } Redirection;

static const Scalar *redirect_load(Fuse *fuse, const Scalar *load, const void *context) {
    const Redirection *redirection = context;
    Scalar copy = *load;
    if (load->load.buffer != redirection->from) return load;
    copy.load.buffer = redirection->to;
    return scalar_unique(fuse, &copy);
}

static void redirect(Fuse *fuse, Step *step, const Redirection *redirection) {
    if (step->kind == STEP_STATEMENT)
        step->statement->value = scalar_replace(fuse, step->statement->value, redirect_load, redirection);
    for (int i = 0; i < step_body(step)->count; i++) redirect(fuse, step_body(step)->items[i], redirection);
}

/* The block of a draw and of the step, or the steps of the block, behind it. */
static Step *block_behind(Fuse *fuse, Step *draw, Step *step) {
    Step *block = draw;
    join_rows(fuse, &block, step); /* whose steps alone may have no rows in common with the draw */
    if (step->kind == STEP_BLOCK) {
        block->block.body.count = 1;
        for (int i = 0; i < step->block.body.count; i++) LIST_PUSH(fuse->arena, &block->block.body, step->block.body.items[i]);
    }
    block->block.rows = rows_of_block(fuse, block);
    return block;
}

/* Whether the step reads what is drawn only as operands, row by row, and few at a time. */
static bool may_draw(Fuse *fuse, Step *draw, Step *step) {
    int64_t row;
    if (obstacle_between(fuse->arena, fuse->module, draw, step).kind != OBSTACLE_NONE) return false;
    if (loads_in(step, draw->draw.buffer) != touches(step, draw->draw.buffer)) return false;
    const Step *block = block_behind(fuse, draw, step);
    const Poly *elements = poly_divide(fuse->arena, draw->draw.turns, block->block.extent);
    return elements && poly_constant(elements, &row) && block->block.rows * row <= MOST_LOCAL;
}

static Step *draw_behind(Fuse *fuse, const Step *draw, Step *step) {
    Step *again = NEW(fuse->arena, Step);
    *again = *draw;
    again->draw.buffer = buffer_of_node(fuse, BUFFER_TEMPORARY, draw->draw.node);
    again->draw.buffer->used = true;
    redirect(fuse, step, &(Redirection){draw->draw.buffer, again->draw.buffer});
    list_accesses(fuse->arena, again);
    list_accesses(fuse->arena, step);
    return block_behind(fuse, again, step);
}

/* In every step behind `at` that reads it, or in none. */
static void draw_again(Fuse *fuse, StepList *steps, int at, Step *draw) {
    for (int i = at + 1; i < steps->count; i++)
        if (touches(steps->items[i], draw->draw.buffer) && !may_draw(fuse, draw, steps->items[i])) return;
    for (int i = at + 1; i < steps->count; i++)
        if (touches(steps->items[i], draw->draw.buffer)) steps->items[i] = draw_behind(fuse, draw, steps->items[i]);
}

void redraw(Fuse *fuse, StepList *steps) {
    for (int i = 0; i < steps->count; i++) {
        const StepList *body = step_body(steps->items[i]);
        for (int k = 0; steps->items[i]->kind == STEP_BLOCK && k < body->count; k++)
            if (body->items[k]->kind == STEP_DRAW) draw_again(fuse, steps, i, body->items[k]);
    }
}

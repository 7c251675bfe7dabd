/* Stored nodes → statements in loops.
 *
 * The loops of a statement are the axes of what it computes, as few and as long as its addresses allow: neighbouring axes
 * become one loop where that needs no division. The batch stays a loop of its own, so that statements about whole
 * examples and about their elements can meet in it. */
#include "fuse.h"

#include <string.h>

/* What to compute into a buffer: `source` over all its axes. */
typedef struct Lowering {
    StatementKind kind;
    const Node *source;
    bool compute;               /* even if the source itself is stored */
    Buffer *buffer;
    const Index *start;         /* where in the buffer; NULL: at its beginning */
    const Shape *shape;         /* of what is computed: of the buffer, or a part of it */
    const Node *node;           /* what the statement is named after */
    uint8_t order[MAX_RANK];    /* the axes of the source from the outermost loop to the innermost */
    uint32_t reduced;           /* axes of the source that the buffer does not have */
    uint8_t target[MAX_RANK];   /* the axis of the source that each axis of the buffer follows */
    int shifted;                /* an axis of the buffer that starts at `shift`, or -1 */
    const Poly *shift;
    const Node *row;            /* SCATTER: what says the place along the first axis of the buffer */
} Lowering;

/* A way of looping: bit k of `joined` makes the loops order[k] and order[k + 1] one. */
typedef struct Loops { Domain domain; uint32_t reduced; const Index *at[MAX_RANK]; } Loops;

static const Poly *source_extent(const Fuse *fuse, const Lowering *task, int k) {
    return poly_dim(fuse->arena, task->source->shape.dim[task->order[k]]);
}

static Loops make_loops(const Fuse *fuse, const Lowering *task, uint32_t joined) {
    Arena *arena = fuse->arena;
    Loops loops = {.domain = fuse->around};
    for (int k = 0, end; k < task->source->shape.rank; k = end) {
        const Poly *extent[MAX_RANK], *total = poly_const(arena, 1);
        const Index *at[MAX_RANK];
        for (end = k; end == k || joined >> (end - 1) & 1; end++) {
            extent[end - k] = source_extent(fuse, task, end);
            total = poly_mul(arena, total, extent[end - k]);
        }
        index_split(arena, index_loop(arena, loops.domain.depth, total), end - k, extent, at);
        for (int i = k; i < end; i++) loops.at[task->order[i]] = at[i - k];
        if (poly_is(total, 1)) continue;
        if (task->reduced >> task->order[k] & 1) loops.reduced |= 1u << loops.domain.depth;
        loops.domain.extent[loops.domain.depth++] = total;
    }
    return loops;
}

static const Index *target_address(Fuse *fuse, const Lowering *task, const Index *const *at) {
    Arena *arena = fuse->arena;
    const Shape *shape = task->shape;
    const Index *target[MAX_RANK];
    for (int axis = 0; axis < shape->rank; axis++) target[axis] = at[task->target[axis]];
    if (task->shifted >= 0)
        target[task->shifted] = index_add(arena, target[task->shifted], index_const(arena, task->shift));
    if (task->row) target[0] = index_value(arena, scalar_at(fuse, task->row, at), poly_dim(arena, shape->dim[0]));
    const Index *address = index_address(arena, shape, target);
    return task->start ? index_add(arena, task->start, address) : address;
}

static const Scalar *task_value(Fuse *fuse, const Lowering *task, const Index *const *at) {
    if (task->kind == STATEMENT_ARGMAX || !task->compute) return scalar_at(fuse, task->source, at);
    return scalar_compute(fuse, task->source, at);
}

static int count_divisions(Fuse *fuse, const Lowering *task, uint32_t joined) {
    const Loops loops = make_loops(fuse, task, joined);
    const Scalar *address =
        scalar_unique(fuse, &(Scalar){.kind = SCALAR_INDEX, .index = target_address(fuse, task, loops.at)});
    return scalar_divisions(task_value(fuse, task, loops.at)) + scalar_divisions(address);
}

/* Whether the loop k and the one after it, with what that is joined with, are of one kind: both reduced or not, both of run-time
 * or both of constant length. A single turn joins any. */
static bool may_join(const Fuse *fuse, const Lowering *task, int k, uint32_t joined) {
    int64_t value;
    const Poly *a = source_extent(fuse, task, k), *b = source_extent(fuse, task, k + 1);
    for (int i = k + 1; joined >> i & 1; i++) b = poly_mul(fuse->arena, b, source_extent(fuse, task, i + 1));
    if ((task->reduced >> task->order[k] & 1) != (task->reduced >> task->order[k + 1] & 1)) return false;
    return poly_is(a, 1) || poly_is(b, 1) || poly_constant(a, &value) == poly_constant(b, &value);
}

static Loops choose_loops(Fuse *fuse, const Lowering *task) {
    uint32_t joined = 0;
    const int divisions = count_divisions(fuse, task, joined);
    for (int k = task->source->shape.rank - 2; k >= 0; k--)
        if (may_join(fuse, task, k, joined) && count_divisions(fuse, task, joined | 1u << k) <= divisions)
            joined |= 1u << k;
    return make_loops(fuse, task, joined);
}

static void lower(Fuse *fuse, const Lowering *task, int part) {
    const Loops loops = choose_loops(fuse, task);
    Statement *statement = NEW(fuse->arena, Statement);
    *statement = (Statement){.kind = task->kind,
                             .depth = loops.domain.depth,
                             .reduced = loops.reduced,
                             .buffer = task->buffer,
                             .node = task->node,
                             .stored = true};
    if (task->kind == STATEMENT_SCATTER) statement->reduced = (1u << loops.domain.depth) - (1u << fuse->around.depth);
    else if (loops.reduced == 0) statement->kind = STATEMENT_STORE;
    statement->at = target_address(fuse, task, loops.at);
    statement->value = task->kind == STATEMENT_ARGMAX && loops.reduced == 0
                           ? scalar_unique(fuse, &(Scalar){.kind = SCALAR_NUMBER})
                           : task_value(fuse, task, loops.at);
    merge_statement(fuse, steps_of(fuse, part), statement, &loops.domain);
}

static Lowering task_for(const Node *source, Buffer *buffer) {
    Lowering task = {.kind = STATEMENT_STORE, .source = source, .buffer = buffer, .shape = &buffer->shape, .node = source, .shifted = -1};
    for (int axis = 0; axis < source->shape.rank; axis++) task.order[axis] = task.target[axis] = (uint8_t)axis;
    return task;
}

/* Into the place where `node` is stored. */
static Lowering task_into(const Fuse *fuse, const Node *source, const Node *node) {
    Lowering task = task_for(source, fuse->stored[node->id]);
    task.start = fuse->start[node->id];
    task.shape = &node->shape;
    task.node = node;
    return task;
}

void lower_copy(Fuse *fuse, Buffer *buffer, const Node *node, int part) {
    const Lowering task = task_for(node, buffer);
    lower(fuse, &task, part);
}

void lower_element(Fuse *fuse, Buffer *sequence, const Index *start, const Node *node, int part) {
    Lowering task = task_for(node, sequence);
    task.start = start;
    task.shape = &node->shape;
    lower(fuse, &task, part);
}

static Buffer *known_packed(const Fuse *fuse, const Node *node, const uint8_t *order) {
    for (int i = 0; i < fuse->packed.count; i++)
        if (fuse->packed.items[i].node == node && memcmp(fuse->packed.items[i].order, order, (size_t)node->shape.rank) == 0)
            return fuse->packed.items[i].buffer;
    return NULL;
}

Buffer *lower_packed(Fuse *fuse, const Node *node, const uint8_t *wanted, int part) {
    Shape shape = {.rank = node->shape.rank};
    uint8_t order[MAX_RANK];
    memcpy(order, wanted, (size_t)shape.rank);
    for (; node->op == OP_PERMUTE && !fuse->stored[node->id]; node = node->in[0])
        for (int axis = 0; axis < shape.rank; axis++) order[axis] = node->attr.order[order[axis]];
    Packed packed = {.node = node, .buffer = known_packed(fuse, node, order)};
    if (packed.buffer) return packed.buffer;
    for (int axis = 0; axis < shape.rank; axis++) shape.dim[axis] = node->shape.dim[order[axis]];
    packed.buffer = buffer_new(fuse, BUFFER_TEMPORARY, "packed", &shape);
    Lowering task = task_for(node, packed.buffer);
    for (int axis = 0; axis < shape.rank; axis++) task.order[axis] = task.target[axis] = order[axis];
    lower(fuse, &task, part);
    memcpy(packed.order, order, (size_t)shape.rank);
    LIST_PUSH(fuse->arena, &fuse->packed, packed);
    return packed.buffer;
}

static void lower_reduction(Fuse *fuse, const Node *node, int part) {
    const Node *in = node->in[0];
    Lowering task = task_into(fuse, in, node);
    int kept = 0, loops = 0;
    task.kind = node->op == OP_SUM ? STATEMENT_SUM : node->op == OP_MAX ? STATEMENT_MAX : STATEMENT_ARGMAX;
    task.reduced = node->op == OP_ARGMAX ? 1u << node->attr.axis : node->attr.axes;
    for (int axis = 0; axis < in->shape.rank; axis++)
        if (!(task.reduced >> axis & 1)) task.target[kept++] = (uint8_t)axis;
    if (node->op == OP_ARGMAX) { /* its loop is the innermost: the best value so far stays in a register */
        for (; loops < kept; loops++) task.order[loops] = task.target[loops];
        task.order[loops] = (uint8_t)node->attr.axis;
    }
    lower(fuse, &task, part);
}

static void lower_scatter(Fuse *fuse, const Node *node, int part) {
    const Node *index = node->in[0], *updates = node->in[1];
    Lowering task = task_into(fuse, updates, node);
    task.kind = STATEMENT_SCATTER;
    task.row = index;
    task.target[0] = 0;
    for (int axis = 1; axis < node->shape.rank; axis++) task.target[axis] = (uint8_t)(index->shape.rank + axis - 1);
    lower(fuse, &task, part);
}

/* Each part of a concatenation goes straight to its place. */
static void lower_concat(Fuse *fuse, const Node *node, int part) {
    const Poly *start = poly_const(fuse->arena, 0);
    for (int i = 0; i < node->arity; i++) {
        Lowering task = task_into(fuse, node->in[i], node);
        task.shifted = node->attr.axis;
        task.shift = start;
        lower(fuse, &task, part);
        start = poly_add(fuse->arena, start, poly_dim(fuse->arena, node->in[i]->shape.dim[node->attr.axis]));
    }
}

static void lower_draw(Fuse *fuse, const Node *node, int part) {
    Step *step = NEW(fuse->arena, Step);
    Buffer *buffer = fuse->stored[node->id];
    const Poly *turns = node->attr.rand.distribution == DRAW_ORTHOGONAL ? NULL : buffer->size;
    *step = (Step){.kind = STEP_DRAW, .draw = {.buffer = buffer, .turns = turns, .node = node}};
    append_step(fuse, steps_of(fuse, part), step);
}

void lower_node(Fuse *fuse, const Node *node, int part) {
    switch (node->op) {
    case OP_DOT: lower_gemm(fuse, node, part); return;
    case OP_CONV: lower_conv(fuse, node, node, part); return;
    case OP_PERMUTE:
        if (!conv_transposed(fuse, node)) break;
        lower_conv(fuse, node->in[0], node, part);
        return;
    case OP_RAND: lower_draw(fuse, node, part); return;
    case OP_SUM: case OP_MAX: case OP_ARGMAX: lower_reduction(fuse, node, part); return;
    case OP_SCATTER_ADD: lower_scatter(fuse, node, part); return;
    case OP_CONCAT: lower_concat(fuse, node, part); return;
    case OP_SCAN: lower_scan(fuse, node, part); return;
    case OP_SLOT: case OP_PART: return; /* the loop writes them */
    default: break;
    }
    Lowering task = task_into(fuse, node, node);
    task.compute = true;
    lower(fuse, &task, part);
}

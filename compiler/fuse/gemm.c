/* Contractions → matrix products.
 *
 * An operand is read in place where its axes are apart by fixed distances: transposed, sliced and reshaped tensors go to the
 * product as they are. What cannot be read so is packed first, axes in the order of the product. */
#include "fuse.h"

#include <assert.h>

enum { SIDE_A, SIDE_B };

/* The loops of a product, numbered by depth: batch axes, rows (free axes of a), columns (free axes of b), contracted axes. */
typedef struct Axes {
    const Poly *extent[4 * MAX_RANK];
    int rows, columns, contracted, count; /* where each kind starts; batch at 0 */
    int loop_of[2][MAX_RANK];             /* by operand and axis */
} Axes;

const Node *gemm_operand(const Node *node) {
    while (node->op == OP_PERMUTE || node->op == OP_RESHAPE || node->op == OP_SLICE || node->op == OP_STOP)
        node = node->in[0];
    return node;
}

static int add_loop(Fuse *fuse, Axes *axes, Dim dim) {
    axes->extent[axes->count] = poly_dim(fuse->arena, dim);
    return axes->count++;
}

static void add_free(Fuse *fuse, Axes *axes, const Node *operand, int side) {
    for (int axis = 0; axis < operand->shape.rank; axis++)
        if (axes->loop_of[side][axis] < 0) axes->loop_of[side][axis] = add_loop(fuse, axes, operand->shape.dim[axis]);
}

/* The contracted axes in the order in which the larger operand has them: so that it is read in place. Both have the
 * contracted ones, so that sizes of run time hardly matter. */
static DotAxes ordered(const Node *node) {
    DotAxes dot = node->attr.dot;
    const bool left = shape_known_size(&node->in[0]->shape) > shape_known_size(&node->in[1]->shape);
    uint8_t *by = left ? dot.a_contract : dot.b_contract;
    for (int i = 1; i < dot.contract; i++)
        for (int k = i; k > 0 && by[k] < by[k - 1]; k--) {
            const uint8_t a = dot.a_contract[k], b = dot.b_contract[k];
            dot.a_contract[k] = dot.a_contract[k - 1], dot.b_contract[k] = dot.b_contract[k - 1];
            dot.a_contract[k - 1] = a, dot.b_contract[k - 1] = b;
        }
    return dot;
}

static Axes gemm_axes(Fuse *fuse, const Node *node) {
    const DotAxes axes_of = ordered(node), *dot = &axes_of;
    const Node *a = node->in[0], *b = node->in[1];
    Axes axes = {0};
    for (int axis = 0; axis < MAX_RANK; axis++) axes.loop_of[SIDE_A][axis] = axes.loop_of[SIDE_B][axis] = -1;
    for (int i = 0; i < dot->batch; i++)
        axes.loop_of[SIDE_A][dot->a_batch[i]] = axes.loop_of[SIDE_B][dot->b_batch[i]] =
            add_loop(fuse, &axes, a->shape.dim[dot->a_batch[i]]);
    for (int i = 0; i < dot->contract; i++)
        axes.loop_of[SIDE_A][dot->a_contract[i]] = axes.loop_of[SIDE_B][dot->b_contract[i]] = MAX_RANK;
    axes.rows = axes.count;
    add_free(fuse, &axes, a, SIDE_A);
    axes.columns = axes.count;
    add_free(fuse, &axes, b, SIDE_B);
    axes.contracted = axes.count;
    for (int i = 0; i < dot->contract; i++)
        axes.loop_of[SIDE_A][dot->a_contract[i]] = axes.loop_of[SIDE_B][dot->b_contract[i]] =
            add_loop(fuse, &axes, a->shape.dim[dot->a_contract[i]]);
    return axes;
}

/* The distance between neighbours along the loops first..last-1 taken as one; NULL where they are not evenly apart.
 * A loop with one turn has no distance; if all are such, the distance is 0. */
static const Poly *distance(Fuse *fuse, const Axes *axes, const Index *at, int first, int last) {
    const Poly *outer = NULL, *result = poly_const(fuse->arena, 0);
    for (int loop = last - 1; loop >= first; loop--) {
        if (poly_is(axes->extent[loop], 1)) continue;
        const Poly *factor = index_factor(fuse->arena, at, fuse->around.depth + loop);
        if (outer == NULL) result = factor;
        else if (!poly_equal(factor, outer)) return NULL;
        outer = poly_mul(fuse->arena, factor, axes->extent[loop]);
    }
    return result;
}

static const Poly *extent_of(Fuse *fuse, const Axes *axes, int first, int last) {
    const Poly *extent = poly_const(fuse->arena, 1);
    for (int loop = first; loop < last; loop++) extent = poly_mul(fuse->arena, extent, axes->extent[loop]);
    return extent;
}

/* An operand as the product reads it. */
typedef struct Operand { Buffer *buffer; const Index *at; const Poly *free, *contracted; } Operand;

static bool is_unit(const Poly *distance) { return poly_is(distance, 1) || poly_is(distance, 0); }

/* A matrix has rows or columns whose elements are neighbours; a vector may be spread. */
static bool readable(const Operand *operand, bool vector) {
    if (operand->free == NULL || operand->contracted == NULL) return false;
    return vector || is_unit(operand->free) || is_unit(operand->contracted);
}

static bool in_place(Fuse *fuse, const Axes *axes, const Node *node, int side, Operand *operand) {
    const Index *at[MAX_RANK];
    const int first = side == SIDE_A ? axes->rows : axes->columns,
              last = side == SIDE_A ? axes->columns : axes->contracted;
    for (int axis = 0; axis < node->shape.rank; axis++) {
        const int loop = axes->loop_of[side][axis];
        at[axis] = index_loop(fuse->arena, fuse->around.depth + loop, axes->extent[loop]);
    }
    const Scalar *value = scalar_at(fuse, node, at);
    if (value->kind != SCALAR_LOAD || !index_affine(value->load.at)) return false;
    if (value->load.buffer->kind == BUFFER_INPUT && value->load.buffer->port->classes > 0) return false; /* integers */
    *operand = (Operand){.buffer = value->load.buffer, .at = value->load.at,
                         .free = distance(fuse, axes, value->load.at, first, last),
                         .contracted = distance(fuse, axes, value->load.at, axes->contracted, axes->count)};
    return readable(operand, poly_is(extent_of(fuse, axes, first, last), 1));
}

static int add_axes(const Axes *axes, const Node *node, int side, int first, int last, uint8_t *order) {
    int count = 0;
    for (int loop = first; loop < last; loop++)
        for (int axis = 0; axis < node->shape.rank; axis++)
            if (axes->loop_of[side][axis] == loop) order[count++] = (uint8_t)axis;
    return count;
}

/* Batch axes, then the free and the contracted ones, each evenly apart; last are those of which the innermost axis is one, so that
 * neighbours stay neighbours. */
static Operand packed(Fuse *fuse, const Axes *axes, const Node *node, int side, int part) {
    uint8_t order[MAX_RANK];
    const bool free_last = axes->loop_of[side][node->shape.rank - 1] < axes->contracted;
    int count = add_axes(axes, node, side, 0, axes->rows, order);
    if (free_last) count += add_axes(axes, node, side, axes->contracted, axes->count, order + count);
    count += add_axes(axes, node, side, axes->rows, axes->contracted, order + count);
    if (!free_last) count += add_axes(axes, node, side, axes->contracted, axes->count, order + count);
    Buffer *buffer = lower_packed(fuse, node, order, part);
    const Index *at[MAX_RANK];
    for (int i = 0; i < count; i++) {
        const int loop = axes->loop_of[side][order[i]];
        at[i] = index_loop(fuse->arena, fuse->around.depth + loop, axes->extent[loop]);
    }
    const Index *address = index_address(fuse->arena, &buffer->shape, at);
    const int first = side == SIDE_A ? axes->rows : axes->columns,
              last = side == SIDE_A ? axes->columns : axes->contracted;
    return (Operand){.buffer = buffer, .at = address, .free = distance(fuse, axes, address, first, last),
                     .contracted = distance(fuse, axes, address, axes->contracted, axes->count)};
}

static Operand operand(Fuse *fuse, const Axes *axes, const Node *node, int side, int part) {
    Operand found;
    if (!in_place(fuse, axes, node, side, &found)) found = packed(fuse, axes, node, side, part);
    assert(found.free && found.contracted);
    return found;
}

/* Where an operand starts: its place without the loops inside the product. */
static const Index *start_of(Fuse *fuse, const Axes *axes, const Index *at) {
    const Index *start = index_const(fuse->arena, at->constant);
    for (int depth = 0; depth < fuse->around.depth + axes->rows; depth++) {
        const int loop = depth - fuse->around.depth;
        const Index *turn = index_loop(fuse->arena, depth, loop < 0 ? fuse->around.extent[depth] : axes->extent[loop]);
        start = index_add(fuse->arena, start, index_mul(fuse->arena, turn, index_factor(fuse->arena, at, depth)));
    }
    return start;
}

/* The same for the result, which is packed. */
static const Index *result_start(Fuse *fuse, const Axes *axes, const Index *start) {
    const Poly *size = extent_of(fuse, axes, axes->rows, axes->contracted);
    if (start == NULL) start = index_const(fuse->arena, poly_const(fuse->arena, 0));
    for (int loop = axes->rows - 1; loop >= 0; loop--) {
        const Index *turn = index_loop(fuse->arena, fuse->around.depth + loop, axes->extent[loop]);
        start = index_add(fuse->arena, start, index_mul(fuse->arena, turn, size));
        size = poly_mul(fuse->arena, size, axes->extent[loop]);
    }
    return start;
}

void lower_gemm(Fuse *fuse, const Node *node, int part) {
    const Axes axes = gemm_axes(fuse, node);
    const Operand a = operand(fuse, &axes, node->in[0], SIDE_A, part),
                  b = operand(fuse, &axes, node->in[1], SIDE_B, part);
    Step *step = NEW(fuse->arena, Step);
    step->kind = STEP_GEMM;
    step->gemm = (Gemm){.a = a.buffer,
                        .b = b.buffer,
                        .c = fuse->stored[node->id],
                        .a_at = start_of(fuse, &axes, a.at),
                        .b_at = start_of(fuse, &axes, b.at),
                        .c_at = result_start(fuse, &axes, fuse->start[node->id]),
                        .m = extent_of(fuse, &axes, axes.rows, axes.columns),
                        .n = extent_of(fuse, &axes, axes.columns, axes.contracted),
                        .k = extent_of(fuse, &axes, axes.contracted, axes.count),
                        .a_m = a.free,
                        .a_k = a.contracted,
                        .b_k = b.contracted,
                        .b_n = b.free,
                        .depth = fuse->around.depth,
                        .loops = axes.rows,
                        .node = node};
    for (int loop = 0; loop < axes.rows; loop++) step->gemm.extent[loop] = axes.extent[loop];
    append_step(fuse, steps_of(fuse, part), step);
}

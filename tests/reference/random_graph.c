/* random_graph.c: a generator of valid graphs. Starting from inputs and tensors, it appends random operations on random
 * earlier nodes. It keeps a bound of the size of each value, so that nothing overflows, and gives roots and logarithms
 * only what they are defined for. */
#include "random_graph.h"

#include <math.h>

enum { LARGEST_SIZE = 96 };

/* ── Choice ───────────────────────────────────────────────────────────────────────────────── */

int choose(Maker *m, int choices) {
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((m->random >> 33) % (uint64_t)choices);
}

double size_of(const Maker *m, const Node *node) {
    if (node->op == OP_EXPAND)
        node = node->in[0];
    for (int i = 0; i < m->count; i++)
        if (m->node[i] == node)
            return m->size[i];
    return 1;
}

Node *keep(Maker *m, Node *node, double size) {
    for (int i = 0; i < m->count; i++)
        if (m->node[i] == node)
            return node;
    if (m->count < POOL) {
        m->node[m->count] = node;
        m->size[m->count++] = size;
    }
    return node;
}

Node *any_node(Maker *m) {
    int a = choose(m, m->count), b = choose(m, m->count);
    return choose(m, 2) ? m->node[a > b ? a : b] : m->node[m->leaves - 1 - choose(m, m->leaves) * choose(m, m->leaves) / m->leaves];
}

Dim random_time(int64_t base) { return (Dim){.base = base, .scale = 1, .symbol = RANDOM_TIME}; }

static const int64_t largest[MAX_SYMBOLS] = {[SYMBOL_BATCH] = RANDOM_CAPACITY, [RANDOM_TIME] = LONGEST};

static bool is_batch(Dim d) { return !dim_is_const(d) && d.symbol == SYMBOL_BATCH; }

bool has_batch(const Node *node) {
    for (int i = 0; i < node->shape.rank; i++)
        if (is_batch(node->shape.dim[i]))
            return true;
    return false;
}

/* The axes that an operation may touch. */
static uint32_t free_axes(const Maker *m, const Node *node) {
    uint32_t all = (UINT32_C(1) << node->shape.rank) - 1;
    return m->per_example && has_batch(node) ? all & ~UINT32_C(1) : all;
}

static uint32_t some_axes(Maker *m, uint32_t of) {
    uint32_t axes = of & (uint32_t)choose(m, 1 << MAX_RANK);
    return axes ? axes : of;
}

static int one_axis(Maker *m, uint32_t of) {
    int axis = choose(m, MAX_RANK);
    while (!(of >> axis & 1))
        axis = (axis + 1) % MAX_RANK;
    return axis;
}

bool small(const Shape *shape) {
    return shape->rank <= LARGEST_RANK && shape_size(shape, largest) <= LARGEST_SIZE * RANDOM_CAPACITY;
}

/* ── Values that fit ──────────────────────────────────────────────────────────────────────── */

/* Brings a value that may have grown too large back to the neighbourhood of 1. */
Node *tamed(Maker *m, Node *x, double limit) {
    static const Op ops[] = {OP_TANH, OP_SIN, OP_SIGMOID, OP_COS, OP_ERF};
    if (size_of(m, x) <= limit)
        return x;
    return keep(m, graph_unary(m->graph, ops[choose(m, 5)], x), 1);
}

static Node *leaf(Maker *m, const Shape *shape) {
    bool iota = shape->rank > 0 && !(m->per_example && is_batch(shape->dim[0])) && choose(m, 3) == 0;
    if (iota)
        return keep(m, graph_iota(m->graph, shape, choose(m, shape->rank)), 60);
    if (choose(m, 2))
        return keep(m, graph_rand(m->graph, shape, choose(m, 2) ? DRAW_NORMAL : DRAW_UNIFORM, m->streams++), 6);
    return keep(m, graph_fill(m->graph, (choose(m, 17) - 8) / 4.0, shape), 2);
}

/* A node whose shape is the end of the given one, repeated to fill it; NULL where there is none. */
static Node *broadcast(Maker *m, const Shape *shape) {
    Node *node = any_node(m);
    int missing = shape->rank - node->shape.rank;
    for (int i = 0; i < node->shape.rank; i++)
        if (missing < 1 || !dim_equal(node->shape.dim[i], shape->dim[missing + i]))
            return NULL;
    return missing > 0 ? graph_expand(m->graph, node, shape, (UINT32_C(1) << missing) - 1) : NULL;
}

Node *of_shape(Maker *m, const Shape *shape, const Node *other) {
    for (int tries = 0; tries < 5; tries++) {
        Node *node = choose(m, 2) ? any_node(m) : broadcast(m, shape);
        if (node && node != other && shape_equal(&node->shape, shape))
            return node;
    }
    return leaf(m, shape);
}

/* Whole numbers from -1 to 4, about as many as there are rows to choose from. */
static Node *indices(Maker *m, const Shape *shape) {
    Node *x = tamed(m, of_shape(m, shape, NULL), 2);
    Node *doubled = graph_binary(m->graph, OP_MUL, x, graph_fill(m->graph, 2, shape));
    return graph_unary(m->graph, OP_FLOOR, graph_binary(m->graph, OP_ADD, doubled, graph_fill(m->graph, 1.3, shape)));
}

/* ── Elementwise operations ───────────────────────────────────────────────────────────────── */

/* x^2 + 0.5, on which roots, powers and logarithms are tame. */
static Node *above_zero(Maker *m, Node *x) {
    Node *square = graph_binary(m->graph, OP_MUL, x, x);
    return graph_binary(m->graph, OP_ADD, square, graph_fill(m->graph, 0.5, &x->shape));
}

static void add_unary(Maker *m, Op op) {
    Node *x = tamed(m, any_node(m), op == OP_EXP ? 2 : 8);
    double size = size_of(m, x);
    switch (op) {
    case OP_NEG:
    case OP_ABS:
    case OP_ROUND:
    case OP_SOFTPLUS: size += 1; break;
    case OP_FLOOR: size += 1; break;
    case OP_EXP: size = exp(size); break;
    case OP_SQRT:
    case OP_LOG: size += 1, x = above_zero(m, x); break;
    case OP_RECIP: size = 2, x = above_zero(m, x); break;
    default: size = 1;
    }
    keep(m, graph_unary(m->graph, op, x), size);
}

static void add_binary(Maker *m, Op op) {
    Node *a = tamed(m, any_node(m), 8), *b = tamed(m, of_shape(m, &a->shape, a), op == OP_POW ? 2 : 8);
    double size_a = size_of(m, a), size_b = size_of(m, b), size = 1;
    if (op == OP_ADD)
        size = size_a + size_b;
    else if (op == OP_MUL)
        size = size_a * size_b;
    else if (op == OP_POW)
        size = pow(size_a * size_a + 2, size_b), a = above_zero(m, a);
    keep(m, graph_binary(m->graph, op, a, b), size);
}

static void add_select(Maker *m) {
    Node *yes = any_node(m), *no = of_shape(m, &yes->shape, yes), *condition = of_shape(m, &yes->shape, no);
    if (choose(m, 2))
        condition = graph_binary(m->graph, OP_LT, condition, graph_fill(m->graph, 0.25, &yes->shape));
    keep(m, graph_select(m->graph, condition, yes, no), fmax(size_of(m, yes), size_of(m, no)));
}

/* ── Reductions ───────────────────────────────────────────────────────────────────────────── */

static void add_reduction(Maker *m, Op op) {
    Node *x = tamed(m, any_node(m), 8);
    uint32_t axes = free_axes(m, x);
    if (!axes)
        return;
    if (op == OP_SUM)
        keep(m, graph_sum(m->graph, x, some_axes(m, axes)), size_of(m, x) * (double)shape_size(&x->shape, largest));
    else if (op == OP_MAX)
        keep(m, graph_max(m->graph, x, some_axes(m, axes)), size_of(m, x));
    else
        keep(m, graph_argmax(m->graph, x, one_axis(m, axes)), 20);
}

/* ── Movement ─────────────────────────────────────────────────────────────────────────────── */

/* Joins two neighbours, splits an even axis in halves, or adds an axis of one. */
static void add_reshape(Maker *m) {
    Node *x = any_node(m);
    uint32_t axes = free_axes(m, x);
    Shape to = x->shape;
    int axis = axes ? one_axis(m, axes) : to.rank;
    bool joins = axis + 1 < to.rank && (dim_is_const(to.dim[axis]) || dim_is_const(to.dim[axis + 1]));
    if (joins && choose(m, 2)) {
        Dim a = to.dim[axis], b = to.dim[axis + 1];
        to.dim[axis] = dim_is_const(a) ? dim_scale(b, a.base) : dim_scale(a, b.base);
        for (int i = axis + 1; i + 1 < to.rank; i++)
            to.dim[i] = to.dim[i + 1];
        to.dim[--to.rank] = (Dim){0};
    } else {
        bool even = axis < to.rank && to.dim[axis].base % 2 == 0 && to.dim[axis].scale % 2 == 0;
        for (int i = to.rank++; i > axis; i--)
            to.dim[i] = to.dim[i - 1];
        if (even)
            to.dim[axis] = (Dim){to.dim[axis].base / 2, to.dim[axis].scale / 2, to.dim[axis].symbol};
        if (even && axis + 1 < to.rank)
            to.dim[axis + 1] = dim_const(2);
        else
            to.dim[axis] = dim_const(1);
    }
    if (small(&to) && shape_same_size(&x->shape, &to))
        keep(m, graph_reshape(m->graph, x, &to), size_of(m, x));
}

static void add_permute(Maker *m) {
    Node *x = any_node(m);
    int first = free_axes(m, x) & 1 ? 0 : 1;
    uint8_t order[MAX_RANK];
    for (int i = 0; i < x->shape.rank; i++)
        order[i] = (uint8_t)i;
    for (int i = x->shape.rank - 1; i > first; i--) {
        int j = first + choose(m, i - first + 1);
        uint8_t moved = order[i];
        order[i] = order[j];
        order[j] = moved;
    }
    keep(m, graph_permute(m->graph, x, order), size_of(m, x));
}

static void add_expand(Maker *m) {
    Node *x = any_node(m);
    Shape to = x->shape;
    bool batch = !has_batch(x) && choose(m, 2);
    int axis = batch ? 0 : m->per_example && has_batch(x) ? 1 + choose(m, to.rank) : choose(m, to.rank + 1);
    for (int i = to.rank++; i > axis; i--)
        to.dim[i] = to.dim[i - 1];
    to.dim[axis] = batch ? dim_batch(1) : choose(m, 5) ? dim_const(1 + choose(m, 3)) : random_time(0);
    if (small(&to))
        keep(m, graph_expand(m->graph, x, &to, UINT32_C(1) << axis), size_of(m, x));
}

/* A part of a constant axis, all but one end of a run-time one, or the second half of an axis of two batches. */
static void slice_axis(Maker *m, Dim *start, Dim *size, int64_t *step) {
    if (dim_is_const(*size)) {
        int length = (int)size->base;
        int from = choose(m, length), steps = 1 + choose(m, 2);
        *start = dim_const(from);
        *step = steps;
        *size = dim_const(1 + choose(m, (length - from + steps - 1) / steps));
    } else if (!is_batch(*size)) {
        if (size->base + size->scale * SHORTEST < 2)
            return;
        *start = dim_const(choose(m, 2));
        *size = dim_add(*size, dim_const(-1));
    } else if (size->scale == 2 && size->base >= 0) {
        *start = *size = dim_batch(1);
    }
}

static void add_slice(Maker *m) {
    Node *x = any_node(m);
    uint32_t axes = free_axes(m, x);
    Dim start[MAX_RANK], size[MAX_RANK];
    int64_t step[MAX_RANK];
    for (int i = 0; i < x->shape.rank; i++) {
        start[i] = dim_const(0);
        size[i] = x->shape.dim[i];
        step[i] = 1;
        if (axes >> i & 1 && choose(m, 2))
            slice_axis(m, &start[i], &size[i], &step[i]);
    }
    keep(m, graph_slice(m->graph, x, start, size, step), size_of(m, x));
}

static void add_pad(Maker *m) {
    Node *x = any_node(m);
    uint32_t axes = free_axes(m, x);
    Dim low[MAX_RANK], high[MAX_RANK];
    Shape to = x->shape;
    for (int i = 0; i < to.rank; i++) {
        bool wider = axes >> i & 1 && choose(m, 2);
        low[i] = dim_const(wider ? choose(m, 3) : 0);
        high[i] = wider && is_batch(to.dim[i]) ? dim_batch(choose(m, 2))
                                                                                        : dim_const(wider ? choose(m, 3) : 0);
        to.dim[i] = dim_add(dim_add(low[i], to.dim[i]), high[i]);
    }
    if (small(&to))
        keep(m, graph_pad(m->graph, x, low, high), size_of(m, x));
}

static void add_flip(Maker *m) {
    Node *x = any_node(m);
    uint32_t axes = free_axes(m, x);
    if (axes)
        keep(m, graph_flip(m->graph, x, some_axes(m, axes)), size_of(m, x));
}

static void add_concat(Maker *m) {
    Node *x = any_node(m), *y = of_shape(m, &x->shape, x), *parts[] = {x, y, x};
    uint32_t axes = free_axes(m, x);
    int count = 2 + choose(m, 2), axis = axes ? one_axis(m, axes) : 0;
    Shape to = x->shape;
    if (!axes)
        return;
    to.dim[axis] = dim_scale(to.dim[axis], count);
    if (small(&to))
        keep(m, graph_concat(m->graph, parts, count, axis), fmax(size_of(m, x), size_of(m, y)));
}

/* ── Contraction and indexing ─────────────────────────────────────────────────────────────── */

/* Pairs axes of equal size: to contract, or as axes of the batch of products. */
static DotAxes pair_axes(Maker *m, const Node *a, const Node *b) {
    DotAxes axes = {0};
    uint32_t used = 0;
    for (int i = 0; i < a->shape.rank; i++)
        for (int j = 0; j < b->shape.rank; j++) {
            bool examples = m->per_example && is_batch(a->shape.dim[i]);
            bool batch = examples || (axes.contract == 0 && choose(m, 3) == 0 && !(m->per_example && has_batch(a)));
            if (used >> j & 1 || !dim_equal(a->shape.dim[i], b->shape.dim[j]) || (!examples && choose(m, 4) == 0))
                continue;
            used |= UINT32_C(1) << j;
            uint8_t *to_a = batch ? &axes.a_batch[axes.batch] : &axes.a_contract[axes.contract];
            uint8_t *to_b = batch ? &axes.b_batch[axes.batch] : &axes.b_contract[axes.contract];
            *to_a = (uint8_t)i;
            *to_b = (uint8_t)j;
            batch ? axes.batch++ : axes.contract++;
            break;
        }
    return axes;
}

static void add_dot(Maker *m) {
    Node *a = tamed(m, any_node(m), 4), *b = tamed(m, any_node(m), 4);
    if (m->per_example && !has_batch(a) && has_batch(b)) {
        Node *swapped = a;
        a = b;
        b = swapped;
    }
    DotAxes axes = pair_axes(m, a, b);
    if (a->shape.rank + b->shape.rank - axes.batch - 2 * axes.contract > LARGEST_RANK)
        return;
    Node *product = graph_dot(m->graph, a, b, &axes);
    double terms = (double)shape_size(&a->shape, largest);
    if (small(&product->shape))
        keep(m, product, size_of(m, a) * size_of(m, b) * terms);
}

/* Whether the node can be the input of a convolution: [batch, spatial..., channels]. */
static bool is_image(const Maker *m, const Node *x) {
    bool constant = x->shape.rank >= 3 && !(m->per_example && has_batch(x) && dim_is_const(x->shape.dim[0]));
    for (int i = 1; i < x->shape.rank; i++)
        constant = constant && dim_is_const(x->shape.dim[i]);
    return constant;
}

static ConvAxes random_conv(Maker *m, int spatial) {
    ConvAxes axes = {.spatial = spatial};
    for (int i = 0; i < spatial; i++) {
        axes.stride[i] = 1 + choose(m, 2);
        axes.spread[i] = 1 + choose(m, 2);
        axes.dilation[i] = 1 + choose(m, 2);
        axes.low[i] = choose(m, 4) - 1;
        axes.high[i] = choose(m, 4) - 1;
    }
    return axes;
}

static void add_conv(Maker *m) {
    Node *x = any_node(m);
    for (int tries = 0; tries < 4 && !is_image(m, x); tries++)
        x = any_node(m);
    if (!is_image(m, x))
        return;
    x = tamed(m, x, 4);
    int spatial = x->shape.rank - 2;
    ConvAxes axes = random_conv(m, spatial);
    Shape kernel = {.rank = spatial + 2};
    double terms = (double)x->shape.dim[spatial + 1].base;
    for (int i = 0; i < spatial; i++) {
        kernel.dim[i] = dim_const(1 + choose(m, 3));
        terms *= (double)kernel.dim[i].base;
        if (conv_size(&axes, i, x->shape.dim[i + 1].base, kernel.dim[i].base) < 1)
            return;
    }
    kernel.dim[spatial] = x->shape.dim[spatial + 1];
    kernel.dim[spatial + 1] = dim_const(1 + choose(m, 3));
    Node *weights = tamed(m, of_shape(m, &kernel, x), 4), *result = graph_conv(m->graph, x, weights, &axes);
    if (small(&result->shape))
        keep(m, result, size_of(m, x) * size_of(m, weights) * terms);
}

static void add_gather(Maker *m) {
    Node *table = any_node(m), *like = any_node(m);
    if (table->shape.rank == 0 || (m->per_example && has_batch(table)) || table->shape.rank - 1 + like->shape.rank > LARGEST_RANK)
        return;
    Node *rows = graph_gather(m->graph, table, indices(m, &like->shape));
    if (small(&rows->shape))
        keep(m, rows, size_of(m, table));
}

static void add_scatter_add(Maker *m) {
    Node *updates = tamed(m, any_node(m), 8);
    if (m->per_example && has_batch(updates))
        return;
    Shape rows = updates->shape;
    int outer = choose(m, rows.rank + 1);
    for (int i = outer; i < rows.rank; i++)
        rows.dim[i] = (Dim){0};
    rows.rank = outer;
    double count = (double)shape_size(&rows, largest);
    Node *index = indices(m, &rows);
    Node *sums = graph_scatter_add(m->graph, index, updates, dim_const(1 + choose(m, 4)));
    if (small(&sums->shape))
        keep(m, sums, size_of(m, updates) * count);
}

/* ── Graphs ───────────────────────────────────────────────────────────────────────────────── */

static void add_stop(Maker *m) {
    Node *x = any_node(m);
    keep(m, graph_stop(m->graph, x), size_of(m, x));
}

/* The derivative of a sum of one node by another: through loops, and of derivatives. */
static void add_derivative(Maker *m) {
    Node *y = tamed(m, any_node(m), 8), *x = any_node(m), *derivative;
    if (m->per_example && !has_batch(x))
        return;
    differentiate(m->graph, graph_sum(m->graph, y, (UINT32_C(1) << y->shape.rank) - 1), &x, 1, &derivative);
    keep(m, graph_unary(m->graph, OP_TANH, derivative), 1);
}

static void add_structured(Maker *m, Op op) {
    switch (op) {
    case OP_SELECT: add_select(m); break;
    case OP_SUM:
    case OP_MAX:
    case OP_ARGMAX: add_reduction(m, op); break;
    case OP_RESHAPE: add_reshape(m); break;
    case OP_PERMUTE: add_permute(m); break;
    case OP_EXPAND: add_expand(m); break;
    case OP_SLICE: add_slice(m); break;
    case OP_PAD: add_pad(m); break;
    case OP_FLIP: add_flip(m); break;
    case OP_CONCAT: add_concat(m); break;
    case OP_DOT: add_dot(m); break;
    case OP_CONV: add_conv(m); break;
    case OP_GATHER: add_gather(m); break;
    case OP_SCATTER_ADD: add_scatter_add(m); break;
    case OP_STOP: add_stop(m); break;
    case OP_SCAN:
    case OP_PART: add_loop(m); break;
    default: break; /* leaves: there already, or made where a shape wants one */
    }
}

/* Elementwise operations and the others take turns, as there are more of the former. */
static void add_operation(Maker *m, bool elementwise) {
    Op op = (Op)choose(m, OP_COUNT);
    while (op_info[op].class == CLASS_LEAF || (op_info[op].class == CLASS_ELEMENTWISE) != elementwise)
        op = (Op)choose(m, OP_COUNT);
    if (elementwise && op_info[op].arity == 1)
        add_unary(m, op);
    else if (elementwise && op_info[op].arity == 2)
        add_binary(m, op);
    else if (choose(m, 12) == 0)
        add_derivative(m);
    else
        add_structured(m, op);
}

void add_operations(Maker *m, int count) {
    for (int i = 0; i < count; i++)
        for (int before = m->count, tries = 0; m->count == before && tries < 4; tries++)
            add_operation(m, i % 2); /* which adds nothing where it finds no operand that fits */
}

void maker_begin(Maker *m, Arena *arena, uint64_t seed, bool per_example) {
    *m = (Maker){.graph = graph_create(arena), .random = seed, .per_example = per_example};
    for (int i = 0; i < 8; i++)
        choose(m, 2); /* neighbouring seeds part ways */
}

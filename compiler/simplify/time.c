/* What a step of a loop computes, for all steps at once: the same operation on sequences, whose first axis is the time. It may
 * stand wherever nothing is carried from step to step: one large product in the place of many small ones. */
#include "rules.h"

#include <string.h>

bool over_time_exists(const Node *node) {
    if (node->shape.rank == MAX_RANK) return false;
    for (int i = 0; i < node->arity; i++)
        if (node->in[i]->shape.rank == MAX_RANK) return false;
    switch (op_info[node->op].class) {
    case CLASS_ELEMENTWISE: case CLASS_REDUCTION: case CLASS_MOVEMENT: return true;
    default: return node->op == OP_DOT;
    }
}

/* The operand's sequence; one that is the same in every step is repeated. */
static Node *repeated(Simplifier *s, Node *x, Dim turns, Node *const *sequence) {
    if (sequence[x->id]) return sequence[x->id];
    Shape shape = shape_behind(turns, &x->shape);
    return simple_expand(s, x, &shape, 1);
}

/* An axis of the result that is not where it belongs goes to the front. */
static Node *to_front(Simplifier *s, Node *x, int axis) {
    uint8_t order[MAX_RANK] = { (uint8_t)axis };
    for (int i = 1; i < x->shape.rank; i++) order[i] = (uint8_t)(i <= axis ? i - 1 : i);
    return simple_permute(s, x, order);
}

/* The time is one more axis that both operands share, or a free one of the operand that changes. */
static Node *dot_over_time(Simplifier *s, const Node *node, Node *const *sequence) {
    const DotAxes *axes = &node->attr.dot;
    Node *a = sequence[node->in[0]->id], *b = sequence[node->in[1]->id];
    const int both = a && b, in_a = a != NULL, in_b = b != NULL;
    const int a_free = node->in[0]->shape.rank - axes->batch - axes->contract;
    DotAxes full;
    memset(&full, 0, sizeof full); /* axis 0 is the time wherever it is a batch axis */
    full.batch = axes->batch + both, full.contract = axes->contract;
    for (int i = 0; i < axes->batch; i++) {
        full.a_batch[i + both] = (uint8_t)(axes->a_batch[i] + in_a);
        full.b_batch[i + both] = (uint8_t)(axes->b_batch[i] + in_b);
    }
    for (int i = 0; i < axes->contract; i++) {
        full.a_contract[i] = (uint8_t)(axes->a_contract[i] + in_a);
        full.b_contract[i] = (uint8_t)(axes->b_contract[i] + in_b);
    }
    Node *product = simple_dot(s, a ? a : node->in[0], b ? b : node->in[1], &full);
    return to_front(s, product, both ? 0 : in_a ? axes->batch : axes->batch + a_free);
}

static Node *slice_over_time(Simplifier *s, const Node *node, Node *x, const Shape *shape) {
    Dim start[MAX_RANK] = { { 0 } };
    int64_t step[MAX_RANK] = { 1 };
    for (int i = 0; i < node->shape.rank; i++) {
        start[i + 1] = node->attr.slice.start[i];
        step[i + 1] = node->attr.slice.step[i];
    }
    return simple_slice(s, x, start, shape->dim, step);
}

static Node *movement_over_time(Simplifier *s, const Node *node, Node *x, const Shape *shape) {
    Dim low[MAX_RANK] = { { 0 } }, high[MAX_RANK] = { { 0 } };
    uint8_t order[MAX_RANK] = { 0 };
    switch (node->op) {
    case OP_RESHAPE: return simple_reshape(s, x, shape);
    case OP_EXPAND: return simple_expand(s, x, shape, node->attr.axes << 1);
    case OP_FLIP: return simple_flip(s, x, node->attr.axes << 1);
    case OP_SLICE: return slice_over_time(s, node, x, shape);
    case OP_PERMUTE:
        for (int i = 0; i < node->shape.rank; i++) order[i + 1] = (uint8_t)(node->attr.order[i] + 1);
        return simple_permute(s, x, order);
    default:
        memcpy(low + 1, node->attr.pad.low, sizeof *low * (size_t)node->shape.rank);
        memcpy(high + 1, node->attr.pad.high, sizeof *high * (size_t)node->shape.rank);
        return simple_pad(s, x, low, high);
    }
}

Node *over_time(Simplifier *s, const Node *node, Dim turns, Node *const *sequence) {
    if (node->op == OP_DOT) return dot_over_time(s, node, sequence);
    Node **in = arena_alloc(s->graph->arena, sizeof *in * (size_t)node->arity);
    for (int i = 0; i < node->arity; i++) in[i] = repeated(s, node->in[i], turns, sequence);
    const Shape shape = shape_behind(turns, &node->shape);
    switch (node->op) {
    case OP_SUM: return simple_sum(s, in[0], node->attr.axes << 1);
    case OP_MAX: return simple_max(s, in[0], node->attr.axes << 1);
    case OP_ARGMAX: return graph_argmax(s->graph, in[0], node->attr.axis + 1);
    case OP_CONCAT: return simple_concat(s, in, node->arity, node->attr.axis + 1);
    default: break;
    }
    if (op_info[node->op].class == CLASS_MOVEMENT) return movement_over_time(s, node, in[0], &shape);
    return simple_elementwise(s, node->op, in);
}

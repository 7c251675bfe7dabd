/* Simplification of movements: they compose, cancel, and a repeated value is repeated last. */
#include "rules.h"

#include <string.h>

/* ── reshape ──────────────────────────────────────────────────────────────────────────────── */

int reshape_groups(const Shape *from, const Shape *to, AxisGroup *groups) {
    int i = 0, j = 0, count = 0;
    while (i < from->rank || j < to->rank) {
        AxisGroup group = { i, i, j, j };
        bool symbolic = (i < from->rank && !dim_is_const(from->dim[i])) || (j < to->rank && !dim_is_const(to->dim[j]));
        if (symbolic) {
            if (i == from->rank || j == to->rank || !dim_equal(from->dim[i], to->dim[j])) return 0;
            i++, j++;
        } else {
            int64_t a = 1, b = 1;
            if (i < from->rank) a = from->dim[i++].base;
            if (j < to->rank) b = to->dim[j++].base;
            while (a != b) {
                if (a < b && i < from->rank && dim_is_const(from->dim[i])) a *= from->dim[i++].base;
                else if (b < a && j < to->rank && dim_is_const(to->dim[j])) b *= to->dim[j++].base;
                else return 0;
            }
        }
        group.from_end = i, group.to_end = j;
        if (count == MAX_RANK) return 0;
        groups[count++] = group;
    }
    return count;
}

/* A group whose axes on the `from` side lie all in the mask, or all outside; the mask on the `to` side is added to. */
static bool group_mask(const AxisGroup *group, uint32_t from_mask, uint32_t *to_mask) {
    int inside = 0, total = group->from_end - group->from_start;
    for (int i = group->from_start; i < group->from_end; i++) inside += from_mask >> i & 1;
    if (inside && inside < total) return false;
    if (inside)
        for (int j = group->to_start; j < group->to_end; j++) *to_mask |= 1u << j;
    return true;
}

/* reshape(expand(x)) is expand(reshape(x)) where new and old axes do not mix. */
static Node *reshape_of_expand(Simplifier *s, Node *x, const Shape *shape) {
    AxisGroup groups[MAX_RANK];
    int count = reshape_groups(&x->shape, shape, groups);
    uint32_t axes = 0;
    for (int i = 0; i < count; i++)
        if (!group_mask(&groups[i], x->attr.axes, &axes)) return NULL;
    if (!count || !axes) return NULL;
    Shape inner = shape_without(shape, axes);
    if (!shape_same_size(&inner, &x->in[0]->shape)) return NULL;
    return simple_expand(s, simple_reshape(s, x->in[0], &inner), shape, axes);
}

Node *simple_reshape(Simplifier *s, Node *x, const Shape *shape) {
    double value;
    if (is_uniform(x, &value)) return graph_fill(s->graph, value, shape);
    if (is(x, OP_RESHAPE)) return simple_reshape(s, x->in[0], shape);
    if (is(x, OP_EXPAND)) {
        Node *expanded = reshape_of_expand(s, x, shape);
        if (expanded) return expanded;
    }
    return graph_reshape(s->graph, x, shape);
}

/* ── permute ──────────────────────────────────────────────────────────────────────────────── */

static Node *permute_of_expand(Simplifier *s, Node *x, const uint8_t *order) {
    Shape shape = { .rank = x->shape.rank };
    uint32_t axes = 0;
    int old_position[MAX_RANK], old_count = 0; /* of each old axis among the operand's */
    for (int i = 0; i < shape.rank; i++) old_position[i] = x->attr.axes >> i & 1 ? -1 : old_count++;
    uint8_t inner[MAX_RANK] = { 0 };
    int inner_count = 0;
    for (int i = 0; i < shape.rank; i++) {
        shape.dim[i] = x->shape.dim[order[i]];
        if (old_position[order[i]] < 0) axes |= 1u << i;
        else inner[inner_count++] = (uint8_t)old_position[order[i]];
    }
    return simple_expand(s, simple_permute(s, x->in[0], inner), &shape, axes);
}

/* A product with its operands' free axes exchanged is the product of the exchanged operands. */
static Node *permute_of_dot(Simplifier *s, Node *x, const uint8_t *order) {
    const DotAxes *dot = &x->attr.dot;
    Node *a = x->in[0], *b = x->in[1];
    int a_free = a->shape.rank - dot->batch - dot->contract, b_free = b->shape.rank - dot->batch - dot->contract;
    for (int i = 0; i < x->shape.rank; i++) {
        int expected = i < dot->batch ? i : i < dot->batch + b_free ? i + a_free : i - b_free;
        if (order[i] != expected) return NULL;
    }
    DotAxes swapped;
    memset(&swapped, 0, sizeof swapped);
    swapped.batch = dot->batch, swapped.contract = dot->contract;
    memcpy(swapped.a_batch, dot->b_batch, MAX_RANK), memcpy(swapped.b_batch, dot->a_batch, MAX_RANK);
    memcpy(swapped.a_contract, dot->b_contract, MAX_RANK), memcpy(swapped.b_contract, dot->a_contract, MAX_RANK);
    return simple_dot(s, b, a, &swapped);
}

Node *simple_permute(Simplifier *s, Node *x, const uint8_t *order) {
    if (is(x, OP_PERMUTE)) {
        uint8_t both[MAX_RANK] = { 0 };
        for (int i = 0; i < x->shape.rank; i++) both[i] = x->attr.order[order[i]];
        return simple_permute(s, x->in[0], both);
    }
    if (is(x, OP_EXPAND)) return permute_of_expand(s, x, order);
    if (is(x, OP_DOT)) {
        Node *product = permute_of_dot(s, x, order);
        if (product) return product;
    }
    return graph_permute(s->graph, x, order);
}

/* ── expand ───────────────────────────────────────────────────────────────────────────────── */

Node *simple_expand(Simplifier *s, Node *x, const Shape *shape, uint32_t axes) {
    if (!is(x, OP_EXPAND)) return graph_expand(s->graph, x, shape, axes);
    uint32_t all = axes;
    for (int i = 0, inner = 0; i < shape->rank; i++) {
        if (axes >> i & 1) continue;
        if (x->attr.axes >> inner & 1) all |= 1u << i;
        inner++;
    }
    return simple_expand(s, x->in[0], shape, all);
}

/* ── slice, pad, flip ─────────────────────────────────────────────────────────────────────── */

static Node *slice_of_slice(Simplifier *s, Node *x, const Dim *start, const Dim *size, const int64_t *step) {
    Dim from[MAX_RANK] = { { 0 } };
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x->shape.rank; i++) {
        from[i] = dim_add(x->attr.slice.start[i], dim_scale(start[i], x->attr.slice.step[i]));
        steps[i] = step[i] * x->attr.slice.step[i];
    }
    return simple_slice(s, x->in[0], from, size, steps);
}

static Node *slice_of_expand(Simplifier *s, Node *x, const Dim *start, const Dim *size, const int64_t *step) {
    Dim inner_start[MAX_RANK], inner_size[MAX_RANK];
    int64_t inner_step[MAX_RANK];
    Shape shape = { .rank = x->shape.rank };
    for (int i = 0, inner = 0; i < shape.rank; i++) {
        shape.dim[i] = size[i];
        if (x->attr.axes >> i & 1) continue;
        inner_start[inner] = start[i], inner_size[inner] = size[i], inner_step[inner++] = step[i];
    }
    return simple_expand(s, simple_slice(s, x->in[0], inner_start, inner_size, inner_step), &shape, x->attr.axes);
}

static bool is_whole(const Shape *shape, const Dim *size, int except) {
    for (int i = 0; i < shape->rank; i++)
        if (i != except && !dim_equal(shape->dim[i], size[i])) return false;
    return true;
}

/* The part of a concatenation that a slice takes exactly, or NULL. */
static Node *slice_of_concat(Node *x, const Dim *start, const Dim *size, const int64_t *step) {
    int axis = x->attr.axis;
    if (step[axis] != 1 || !is_whole(&x->shape, size, axis)) return NULL;
    Dim at = { 0 };
    for (int i = 0; i < x->arity; i++) {
        Dim length = x->in[i]->shape.dim[axis];
        if (dim_equal(at, start[axis]) && dim_equal(length, size[axis])) return x->in[i];
        at = dim_add(at, length);
    }
    return NULL;
}

Node *simple_slice(Simplifier *s, Node *x, const Dim *start, const Dim *size, const int64_t *step) {
    if (is(x, OP_SLICE)) return slice_of_slice(s, x, start, size, step);
    if (is(x, OP_EXPAND)) return slice_of_expand(s, x, start, size, step);
    if (is(x, OP_CONCAT)) {
        Node *part = slice_of_concat(x, start, size, step);
        if (part) return part;
    }
    return graph_slice(s->graph, x, start, size, step);
}

Node *simple_pad(Simplifier *s, Node *x, const Dim *low, const Dim *high) {
    Node *padded = graph_pad(s->graph, x, low, high);
    if (is_value(x, 0)) return fill_like(s, 0, padded);
    if (padded == x || !is(x, OP_PAD)) return padded;
    Dim lows[MAX_RANK] = { { 0 } }, highs[MAX_RANK] = { { 0 } };
    for (int i = 0; i < x->shape.rank; i++) {
        lows[i] = dim_add(low[i], x->attr.pad.low[i]);
        highs[i] = dim_add(high[i], x->attr.pad.high[i]);
    }
    return simple_pad(s, x->in[0], lows, highs);
}

Node *simple_flip(Simplifier *s, Node *x, uint32_t axes) {
    double value;
    if (is_uniform(x, &value)) return x;
    if (is(x, OP_FLIP)) return graph_flip(s->graph, x->in[0], axes ^ x->attr.axes);
    if (is(x, OP_PERMUTE) && x->in[0]->op != OP_CONV) { /* turned around before it is transposed, so that two turns meet */
        uint32_t inner = 0;
        for (int i = 0; i < x->shape.rank; i++) inner |= (axes >> i & 1) << x->attr.order[i];
        return simple_permute(s, simple_flip(s, x->in[0], inner), x->attr.order);
    }
    return graph_flip(s->graph, x, axes);
}

/* ── concat ───────────────────────────────────────────────────────────────────────────────── */

Node *simple_concat(Simplifier *s, Node **parts, int count, int axis) {
    Node *whole = graph_concat(s->graph, parts, count, axis);
    double first, value;
    if (!is_uniform(parts[0], &first)) return whole;
    for (int i = 1; i < count; i++)
        if (!is_uniform(parts[i], &value) || value != first) return whole;
    return fill_like(s, first, whole);
}

/* ── any ──────────────────────────────────────────────────────────────────────────────────── */

Node *simple_movement_like(Simplifier *s, const Node *movement, Node *x) {
    switch (movement->op) {
    case OP_RESHAPE: return simple_reshape(s, x, &movement->shape);
    case OP_PERMUTE: return simple_permute(s, x, movement->attr.order);
    case OP_EXPAND: return simple_expand(s, x, &movement->shape, movement->attr.axes);
    case OP_SLICE: return simple_slice(s, x, movement->attr.slice.start, movement->shape.dim, movement->attr.slice.step);
    case OP_PAD: return simple_pad(s, x, movement->attr.pad.low, movement->attr.pad.high);
    default: return simple_flip(s, x, movement->attr.axes);
    }
}

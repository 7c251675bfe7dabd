/* Simplification of reductions and contractions: what is the same along an axis is taken out of a sum over it, and
 * transpositions melt into the axes of a product. */
#include "rules.h"

#include <string.h>

/* The mask over the axes of shape_without(shape, removed) that corresponds to `mask` over the axes of the shape. */
static uint32_t mask_without(uint32_t mask, uint32_t removed, int rank) {
    uint32_t rest = 0;
    for (int i = 0, kept = 0; i < rank; i++) {
        if (removed >> i & 1) continue;
        rest |= (mask >> i & 1) << kept++;
    }
    return rest;
}

/* The inverse: the mask over the full axes of one over the axes left by `removed`. */
static uint32_t mask_with(uint32_t rest, uint32_t removed, int rank) {
    uint32_t mask = 0;
    for (int i = 0, kept = 0; i < rank; i++) {
        if (removed >> i & 1) continue;
        mask |= (rest >> kept++ & 1) << i;
    }
    return mask;
}

/* ── sums ─────────────────────────────────────────────────────────────────────────────────── */

/* The number of elements along the axes, as a value. */
static Node *extent(Simplifier *s, const Shape *shape, uint32_t axes) {
    Node *size = graph_const(s->graph, 1);
    for (int i = 0; i < shape->rank; i++)
        if (axes >> i & 1) size = simple_binary(s, OP_MUL, size, graph_size(s->graph, shape->dim[i]));
    return size;
}

static Node *scale_by(Simplifier *s, Node *x, Node *scalar) {
    Node *scale = simple_expand(s, scalar, &x->shape, (1u << x->shape.rank) - 1);
    return simple_binary(s, OP_MUL, scale, x);
}

/* Along new axes of an expand, a sum is a multiplication by their length. */
static Node *sum_of_expand(Simplifier *s, Node *x, uint32_t axes) {
    uint32_t fresh = x->attr.axes, both = fresh & axes;
    if (!both) {
        Node *inner = simple_sum(s, x->in[0], mask_without(axes, fresh, x->shape.rank));
        Shape shape = shape_without(&x->shape, axes);
        return simple_expand(s, inner, &shape, mask_without(fresh, axes, x->shape.rank));
    }
    Shape shape = shape_without(&x->shape, both);
    Node *rest = simple_expand(s, x->in[0], &shape, mask_without(fresh, both, x->shape.rank));
    Node *sum = simple_sum(s, rest, mask_without(axes, both, x->shape.rank));
    return scale_by(s, sum, extent(s, &x->shape, both));
}

static Node *sum_of_permute(Simplifier *s, Node *x, uint32_t axes) {
    uint32_t inner = 0;
    uint8_t order[MAX_RANK] = { 0 };
    int rank = 0;
    for (int i = 0; i < x->shape.rank; i++)
        if (axes >> i & 1) inner |= 1u << x->attr.order[i];
    for (int i = 0; i < x->shape.rank; i++) {
        if (axes >> i & 1) continue;
        int before = 0;
        for (int j = 0; j < x->attr.order[i]; j++) before += !(inner >> j & 1);
        order[rank++] = (uint8_t)before;
    }
    return simple_permute(s, simple_sum(s, x->in[0], inner), order);
}

typedef Node *Reduction(Simplifier *s, Node *x, uint32_t axes); /* simple_sum or simple_max */

/* Axes of one element: a reduction over them changes nothing. */
static uint32_t single_axes(const Shape *shape, uint32_t axes) {
    uint32_t single = 0;
    for (int i = 0; i < shape->rank; i++)
        if ((axes >> i & 1) && dim_equal(shape->dim[i], dim_const(1))) single |= 1u << i;
    return single;
}

/* A sum or maximum of a reshape is one of what was reshaped, where reduced and other axes do not mix. */
static Node *reduction_of_reshape(Simplifier *s, Reduction *reduce, Node *x, uint32_t axes) {
    AxisGroup groups[MAX_RANK];
    int count = reshape_groups(&x->shape, &x->in[0]->shape, groups);
    const uint32_t single = single_axes(&x->shape, axes);
    uint32_t inner = 0;
    if (single) {
        Shape rest = shape_without(&x->shape, single);
        return reduce(s, simple_reshape(s, x->in[0], &rest), mask_without(axes, single, x->shape.rank));
    }
    for (int g = 0; g < count; g++) {
        int reduced = 0, total = groups[g].from_end - groups[g].from_start;
        for (int i = groups[g].from_start; i < groups[g].from_end; i++) reduced += axes >> i & 1;
        if (reduced && reduced < total) return NULL;
        for (int j = groups[g].to_start; reduced && j < groups[g].to_end; j++) inner |= 1u << j;
    }
    if (!count || !inner) return NULL;
    Shape shape = shape_without(&x->shape, axes);
    Node *result = reduce(s, x->in[0], inner);
    return shape_same_size(&result->shape, &shape) ? simple_reshape(s, result, &shape) : NULL;
}

/* sum(expand(r) * y) is r * sum(y) where r is the same along the summed axes. */
static Node *sum_of_product(Simplifier *s, Node *x, uint32_t axes) {
    for (int i = 0; i < 2; i++) {
        Node *factor = x->in[i];
        if (!is(factor, OP_EXPAND) || (factor->attr.axes & axes) != axes) continue;
        Shape shape = shape_without(&x->shape, axes);
        Node *outer = simple_expand(s, factor->in[0], &shape, mask_without(factor->attr.axes, axes, x->shape.rank));
        return simple_binary(s, OP_MUL, outer, simple_sum(s, x->in[1 - i], axes));
    }
    return NULL;
}

static Node *sum_of_pad(Simplifier *s, Node *x, uint32_t axes) {
    for (int i = 0; i < x->shape.rank; i++)
        if (!(axes >> i & 1) && !dim_equal(x->shape.dim[i], x->in[0]->shape.dim[i])) return NULL;
    return simple_sum(s, x->in[0], axes);
}

static uint32_t mask_of(const uint8_t *axes, int count) {
    uint32_t mask = 0;
    for (int i = 0; i < count; i++) mask |= 1u << axes[i];
    return mask;
}

/* The axis of an operand, of which the others in `bound` are not, that is its free axis number `free`. */
static int free_axis(uint32_t bound, int free) {
    int axis = 0;
    while ((bound >> axis & 1) || free--) axis++;
    return axis;
}

/* An operand without one of its free axes, over which it is summed first. */
static Node *sum_of_free_axis(Simplifier *s, Node *x, int axis, bool first) {
    DotAxes inner = x->attr.dot;
    Node *operand = x->in[first ? 0 : 1];
    uint8_t *batch = first ? inner.a_batch : inner.b_batch, *contract = first ? inner.a_contract : inner.b_contract;
    for (int i = 0; i < inner.batch; i++) batch[i] = (uint8_t)(batch[i] - (batch[i] > axis));
    for (int i = 0; i < inner.contract; i++) contract[i] = (uint8_t)(contract[i] - (contract[i] > axis));
    Node *sum = simple_sum(s, operand, 1u << axis);
    return simple_dot(s, first ? sum : x->in[0], first ? x->in[1] : sum, &inner);
}

/* An axis that both operands share and that is summed over is one to contract. */
static Node *sum_of_batch_axis(Simplifier *s, Node *x, int axis) {
    DotAxes inner = x->attr.dot;
    inner.a_contract[inner.contract] = inner.a_batch[axis], inner.b_contract[inner.contract++] = inner.b_batch[axis];
    inner.batch--;
    for (int i = axis; i < inner.batch; i++) inner.a_batch[i] = inner.a_batch[i + 1], inner.b_batch[i] = inner.b_batch[i + 1];
    inner.a_batch[inner.batch] = inner.b_batch[inner.batch] = 0;
    return simple_dot(s, x->in[0], x->in[1], &inner);
}

static bool over_batch(const Shape *shape, uint32_t axes) {
    for (int i = 0; i < shape->rank; i++)
        if ((axes >> i & 1) && shape->dim[i].scale && shape->dim[i].symbol == SYMBOL_BATCH) return true;
    return false;
}

/* The sum over the last of the axes, and then over the others. Not over the batch: what is summed over it is the gradient of
 * a bias, and the product is there anyway for that of the kernel. */
static Node *sum_of_dot(Simplifier *s, Node *x, uint32_t axes) {
    if (over_batch(&x->shape, axes)) return NULL;
    const DotAxes *dot = &x->attr.dot;
    const uint32_t in_a = mask_of(dot->a_batch, dot->batch) | mask_of(dot->a_contract, dot->contract);
    const uint32_t in_b = mask_of(dot->b_batch, dot->batch) | mask_of(dot->b_contract, dot->contract);
    const int a_free = x->in[0]->shape.rank - dot->batch - dot->contract;
    int axis = x->shape.rank - 1;
    while (!(axes >> axis & 1)) axis--;
    const int free = axis - dot->batch;
    Node *sum = free < 0        ? sum_of_batch_axis(s, x, axis)
                : free < a_free ? sum_of_free_axis(s, x, free_axis(in_a, free), true)
                                : sum_of_free_axis(s, x, free_axis(in_b, free - a_free), false);
    return simple_sum(s, sum, axes & ~(1u << axis));
}

static Node *sum_rule(Simplifier *s, Node *x, uint32_t axes) {
    if (!is(x, x->op)) return NULL;
    switch (x->op) {
    case OP_EXPAND: return sum_of_expand(s, x, axes);
    case OP_PERMUTE: return sum_of_permute(s, x, axes);
    case OP_RESHAPE: return reduction_of_reshape(s, simple_sum, x, axes);
    case OP_PAD: return sum_of_pad(s, x, axes);
    case OP_MUL: return sum_of_product(s, x, axes);
    case OP_NEG: return simple_unary(s, OP_NEG, simple_sum(s, x->in[0], axes));
    case OP_DOT: return sum_of_dot(s, x, axes);
    case OP_SUM: return simple_sum(s, x->in[0], x->attr.axes | mask_with(axes, x->attr.axes, x->in[0]->shape.rank));
    default: return NULL;
    }
}

Node *simple_sum(Simplifier *s, Node *x, uint32_t axes) {
    if (!axes) return x;
    if (is_value(x, 0)) {
        Shape shape = shape_without(&x->shape, axes);
        return graph_fill(s->graph, 0, &shape);
    }
    Node *simple = sum_rule(s, x, axes);
    return simple ? simple : graph_sum(s->graph, x, axes);
}

Node *simple_max(Simplifier *s, Node *x, uint32_t axes) {
    if (!axes) return x;
    if (is(x, OP_EXPAND) && (x->attr.axes & axes) == axes) {
        Shape shape = shape_without(&x->shape, axes);
        return simple_expand(s, x->in[0], &shape, mask_without(x->attr.axes, axes, x->shape.rank));
    }
    Node *simple = is(x, OP_RESHAPE) ? reduction_of_reshape(s, simple_max, x, axes) : NULL;
    return simple ? simple : graph_max(s->graph, x, axes);
}

/* ── contractions ─────────────────────────────────────────────────────────────────────────── */

typedef struct Operand {
    Node *node;
    uint8_t *batch, *contract;
} Operand;

/* A transposed operand, of which the free axes keep their order, is read as it lies. */
static bool absorb_permute(Operand *operand, int batch, int contract) {
    Node *x = operand->node;
    if (!is(x, OP_PERMUTE)) return false;
    uint32_t bound = mask_of(operand->batch, batch) | mask_of(operand->contract, contract);
    int last = -1;
    for (int i = 0; i < x->shape.rank; i++) {
        if (bound >> i & 1) continue;
        if (x->attr.order[i] < last) return false;
        last = x->attr.order[i];
    }
    for (int i = 0; i < batch; i++) operand->batch[i] = x->attr.order[operand->batch[i]];
    for (int i = 0; i < contract; i++) operand->contract[i] = x->attr.order[operand->contract[i]];
    operand->node = x->in[0];
    return true;
}

/* An operand that repeats along free axes: the product repeats along them. */
static Node *dot_of_expand(Simplifier *s, Node *a, Node *b, const DotAxes *axes, bool first) {
    Node *x = first ? a : b;
    const uint8_t *batch = first ? axes->a_batch : axes->b_batch, *contract = first ? axes->a_contract : axes->b_contract;
    uint32_t bound = mask_of(batch, axes->batch) | mask_of(contract, axes->contract);
    if (!is(x, OP_EXPAND) || (x->attr.axes & bound)) return NULL;
    DotAxes inner = *axes;
    uint8_t *to_batch = first ? inner.a_batch : inner.b_batch, *to_contract = first ? inner.a_contract : inner.b_contract;
    int place[MAX_RANK], position = axes->batch + (first ? 0 : a->shape.rank - axes->batch - axes->contract);
    uint32_t fresh = 0;
    for (int i = 0, old = 0; i < x->shape.rank; i++) {
        place[i] = old;
        old += !(x->attr.axes >> i & 1);
        if (bound >> i & 1) continue;
        if (x->attr.axes >> i & 1) fresh |= 1u << position;
        position++;
    }
    for (int i = 0; i < axes->batch; i++) to_batch[i] = (uint8_t)place[batch[i]];
    for (int i = 0; i < axes->contract; i++) to_contract[i] = (uint8_t)place[contract[i]];
    Node *whole = graph_dot(s->graph, a, b, axes);
    Node *product = simple_dot(s, first ? x->in[0] : a, first ? b : x->in[0], &inner);
    return simple_expand(s, product, &whole->shape, fresh);
}

/* A transposed operand whose free axes change their order: where the product is smaller, that is transposed in its place. */
static Node *dot_of_permute(Simplifier *s, Node *a, Node *b, const DotAxes *axes, bool first) {
    Node *x = first ? a : b, *whole = graph_dot(s->graph, a, b, axes);
    if (!is(x, OP_PERMUTE) || shape_known_size(&whole->shape) >= shape_known_size(&x->shape)) return NULL;
    DotAxes inner = *axes;
    uint8_t *batch = first ? inner.a_batch : inner.b_batch, *contract = first ? inner.a_contract : inner.b_contract;
    const uint32_t bound = mask_of(batch, axes->batch) | mask_of(contract, axes->contract);
    const int free = axes->batch + (first ? 0 : a->shape.rank - axes->batch - axes->contract);
    uint8_t order[MAX_RANK] = { 0 };
    int place = free;
    for (int i = 0; i < whole->shape.rank; i++) order[i] = (uint8_t)i;
    for (int i = 0; i < x->shape.rank; i++) { /* free axes of the operand come in the order of what it transposes */
        if (bound >> i & 1) continue;
        int before = 0;
        for (int j = 0; j < x->shape.rank; j++)
            before += !(bound >> j & 1) && x->attr.order[j] < x->attr.order[i];
        order[place++] = (uint8_t)(free + before);
    }
    for (int i = 0; i < axes->batch; i++) batch[i] = x->attr.order[batch[i]];
    for (int i = 0; i < axes->contract; i++) contract[i] = x->attr.order[contract[i]];
    return simple_permute(s, simple_dot(s, first ? x->in[0] : a, first ? b : x->in[0], &inner), order);
}

/* One operand of a product without sums, as a factor of each element of the result, along whose axes in `other` it repeats. */
static Node *factor_of(Simplifier *s, const Operand *operand, const DotAxes *axes, const Shape *result, uint32_t other) {
    Node *x = operand->node;
    const uint32_t batch = mask_of(operand->batch, axes->batch);
    const Shape shape = shape_without(result, other); /* without the contracted axes, of one element each */
    uint8_t order[MAX_RANK] = { 0 };
    int rank = 0;
    for (int i = 0; i < axes->batch; i++) order[rank++] = operand->batch[i];
    for (int i = 0; i < x->shape.rank; i++)
        if (!(batch >> i & 1)) order[rank++] = (uint8_t)i;
    return simple_expand(s, simple_reshape(s, simple_permute(s, x, order), &shape), result, other);
}

/* A product whose sums have one term each, as behind a layer of one unit, is elementwise. Before differentiation it stays what it
 * is: the gradients of a product are products. */
static Node *dot_of_one_term(Simplifier *s, const Operand *a, const Operand *b, const DotAxes *axes) {
    const uint32_t summed = mask_of(a->contract, axes->contract);
    if (!s->final || single_axes(&a->node->shape, summed) != summed) return NULL;
    const Shape result = graph_dot(s->graph, a->node, b->node, axes)->shape;
    const int free_b = a->node->shape.rank - axes->contract; /* where b's free axes begin */
    const uint32_t of_b = ((1u << result.rank) - 1) & ~((1u << free_b) - 1), of_a = ((1u << free_b) - 1) & ~((1u << axes->batch) - 1);
    return simple_binary(s, OP_MUL, factor_of(s, a, axes, &result, of_b), factor_of(s, b, axes, &result, of_a));
}

Node *simple_dot(Simplifier *s, Node *a, Node *b, const DotAxes *axes) {
    DotAxes simple = *axes;
    Operand left = { a, simple.a_batch, simple.a_contract }, right = { b, simple.b_batch, simple.b_contract };
    while (absorb_permute(&left, simple.batch, simple.contract)) {}
    while (absorb_permute(&right, simple.batch, simple.contract)) {}
    a = left.node, b = right.node;
    if (is_value(a, 0) || is_value(b, 0)) {
        Node *product = graph_dot(s->graph, a, b, &simple);
        return fill_like(s, 0, product);
    }
    Node *product = dot_of_one_term(s, &left, &right, &simple);
    if (product) return product;
    Node *repeated = dot_of_expand(s, a, b, &simple, true);
    if (!repeated) repeated = dot_of_expand(s, a, b, &simple, false);
    if (!repeated) repeated = dot_of_permute(s, a, b, &simple, true);
    if (!repeated) repeated = dot_of_permute(s, a, b, &simple, false);
    return repeated ? repeated : graph_dot(s->graph, a, b, &simple);
}

/* ── convolutions ─────────────────────────────────────────────────────────────────────────── */

/* The gradient of the kernel of a transposed convolution: its input is spread out by zeros, and nothing is to be multiplied
 * by them. Every product is one of an element x[s] and an element d[q] with s spread + low - p stride = q dilation, so
 * that input and kernel may change places: the result is then turned around, and its channels exchanged. */
static Node *exchanged_conv(Simplifier *s, Node *x, Node *kernel, const ConvAxes *axes) {
    const int spatial = axes->spatial, last = spatial + 1;
    Node *whole = graph_conv(s->graph, x, kernel, axes);
    ConvAxes exchanged = { .spatial = spatial };
    uint8_t to_image[MAX_RANK] = { 0 }, to_kernel[MAX_RANK] = { 0 }, back[MAX_RANK] = { 0 };
    for (int i = 0; i < spatial; i++) {
        const int64_t size = whole->shape.dim[i + 1].base, image = (kernel->shape.dim[i].base - 1) * axes->dilation[i] + 1;
        const int64_t reach = (x->shape.dim[i + 1].base - 1) * axes->spread[i] + 1;
        exchanged.stride[i] = axes->stride[i];
        exchanged.dilation[i] = axes->spread[i];
        exchanged.spread[i] = axes->dilation[i];
        exchanged.low[i] = (size - 1) * axes->stride[i] - axes->low[i];
        exchanged.high[i] = (size - 1) * axes->stride[i] + reach - image - exchanged.low[i];
        to_image[i + 1] = (uint8_t)i;
        to_kernel[i] = back[i + 1] = (uint8_t)(i + 1);
    }
    to_image[0] = (uint8_t)last, to_image[last] = (uint8_t)spatial; /* [q..., n, o] to [o, q..., n] */
    to_kernel[spatial] = (uint8_t)last, to_kernel[last] = 0;        /* [i, s..., n] to [s..., n, i] */
    back[0] = (uint8_t)last, back[last] = 0;                        /* [o, k..., i] to [i, k..., o] */
    Node *product = graph_conv(s->graph, simple_permute(s, kernel, to_image), simple_permute(s, x, to_kernel), &exchanged);
    return simple_permute(s, simple_flip(s, product, ((1u << spatial) - 1) << 1), back);
}

Node *simple_conv(Simplifier *s, Node *x, Node *kernel, const ConvAxes *axes) {
    bool spread = false, dilated = false;
    for (int i = 0; i < axes->spatial; i++) spread |= axes->spread[i] > 1, dilated |= axes->dilation[i] > 1;
    const bool kernel_gradient = !dim_is_const(x->shape.dim[axes->spatial + 1]);
    if (kernel_gradient && spread && !dilated) return exchanged_conv(s, x, kernel, axes);
    return graph_conv(s->graph, x, kernel, axes);
}

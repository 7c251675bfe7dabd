/* Reverse-mode differentiation, graph to graph. One rule for each primitive, written in the primitives, so the set is
 * closed and derivatives can be differentiated again. Rules only append nodes; nothing is changed.
 *
 * The walk goes from y back over the nodes between y and the variables, each after all its users, so that its adjoint
 * (the derivative of y by it) is complete when its rule runs. */
#include "adjoints.h"

#include <assert.h>
#include <string.h>

/* ── short names for what rules are written in ────────────────────────────────────────────── */

static Node *add(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_ADD, a, b); }
static Node *mul(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_MUL, a, b); }
static Node *neg(Graph *g, Node *a) { return graph_unary(g, OP_NEG, a); }
static Node *like(Graph *g, double value, const Node *x) { return graph_fill(g, value, &x->shape); }
static Node *scaled(Graph *g, double by, Node *x) { return mul(g, like(g, by, x), x); }

void contribute(Adjoints *adjoints, Node *node, Node *d) {
    if (!adjoints->wanted[node->id]) return;
    assert(shape_equal(&node->shape, &d->shape));
    Node *sum = adjoints->of[node->id];
    adjoints->of[node->id] = sum ? add(adjoints->graph, sum, d) : d;
}

bool wants(const Adjoints *adjoints, const Node *node) { return adjoints->wanted[node->id]; }

/* ── rules: `d` is the adjoint of the node ────────────────────────────────────────────────── */

/* f(x): the adjoint of x is d times the derivative f'(x), given as an expression in g, x and the node y. */
#define UNARY_RULE(name, derivative)                                                     \
    RULE(name) {                                                                         \
        Graph *g = adjoints->graph;                                                      \
        Node *x = node->in[0], *y = node;                                                \
        (void)x, (void)y;                                                                \
        contribute(adjoints, node->in[0], mul(g, d, derivative));                        \
    }

RULE(zero) { (void)adjoints, (void)node, (void)d; }

RULE(neg) { contribute(adjoints, node->in[0], neg(adjoints->graph, d)); }

UNARY_RULE(recip, neg(g, mul(g, y, y)))
UNARY_RULE(sqrt, graph_unary(g, OP_RECIP, scaled(g, 2, y)))
UNARY_RULE(exp, y)
UNARY_RULE(log, graph_unary(g, OP_RECIP, x))
UNARY_RULE(tanh, add(g, like(g, 1, x), neg(g, mul(g, y, y))))
UNARY_RULE(sigmoid, mul(g, y, add(g, like(g, 1, x), neg(g, y))))
UNARY_RULE(softplus, graph_unary(g, OP_SIGMOID, x))
UNARY_RULE(erf, scaled(g, 1.1283791670955126, graph_unary(g, OP_EXP, neg(g, mul(g, x, x))))) /* 2/sqrt(pi) exp(-x^2) */
UNARY_RULE(sin, graph_unary(g, OP_COS, x))
UNARY_RULE(cos, neg(g, graph_unary(g, OP_SIN, x)))
UNARY_RULE(abs, graph_unary(g, OP_SIGN, x))

RULE(add) {
    contribute(adjoints, node->in[0], d);
    contribute(adjoints, node->in[1], d);
}

RULE(mul) {
    contribute(adjoints, node->in[0], mul(adjoints->graph, d, node->in[1]));
    contribute(adjoints, node->in[1], mul(adjoints->graph, d, node->in[0]));
}

/* x^p: p x^(p-1) and x^p log x, the latter 0 where x is 0 (0^p is flat there for p > 0, and log 0 would make a NaN). */
RULE(pow) {
    Graph *g = adjoints->graph;
    Node *x = node->in[0], *p = node->in[1];
    if (wants(adjoints, x)) {
        Node *lower = graph_binary(g, OP_POW, x, add(g, p, like(g, -1, p)));
        contribute(adjoints, x, mul(g, d, mul(g, p, lower)));
    }
    if (wants(adjoints, p)) {
        Node *zero = like(g, 0, x), *is_zero = graph_binary(g, OP_EQ, x, zero);
        Node *log = graph_unary(g, OP_LOG, graph_select(g, is_zero, like(g, 1, x), x));
        contribute(adjoints, p, mul(g, d, mul(g, node, log)));
    }
}

RULE(select) {
    Graph *g = adjoints->graph;
    Node *zero = like(g, 0, d);
    contribute(adjoints, node->in[1], graph_select(g, node->in[0], d, zero));
    contribute(adjoints, node->in[2], graph_select(g, node->in[0], zero, d));
}

RULE(sum) {
    Node *x = node->in[0];
    contribute(adjoints, x, graph_expand(adjoints->graph, d, &x->shape, node->attr.axes));
}

RULE(max) {
    Graph *g = adjoints->graph;
    Node *x = node->in[0];
    uint32_t axes = node->attr.axes;
    Node *largest = graph_binary(g, OP_EQ, x, graph_expand(g, node, &x->shape, axes));
    Node *share = mul(g, d, graph_unary(g, OP_RECIP, graph_sum(g, largest, axes)));
    contribute(adjoints, x, mul(g, largest, graph_expand(g, share, &x->shape, axes)));
}

RULE(reshape) { contribute(adjoints, node->in[0], graph_reshape(adjoints->graph, d, &node->in[0]->shape)); }

RULE(permute) {
    uint8_t inverse[MAX_RANK] = { 0 };
    for (int i = 0; i < node->shape.rank; i++) inverse[node->attr.order[i]] = (uint8_t)i;
    contribute(adjoints, node->in[0], graph_permute(adjoints->graph, d, inverse));
}

RULE(expand) { contribute(adjoints, node->in[0], graph_sum(adjoints->graph, d, node->attr.axes)); }

/* The adjoint of a slice is zero outside of it. Steps are undone by a trailing axis of `step` of which only the first
 * element is not zero: pad [m] → [m, step], then reshape to [m * step], then cut or pad to the size of the input. */
static Node *unstep(Graph *g, Node *d, int axis, int64_t step) {
    if (step == 1) return d;
    assert(dim_is_const(d->shape.dim[axis]));
    Shape split = d->shape;
    assert(split.rank < MAX_RANK);
    for (int i = split.rank++; i > axis + 1; i--) split.dim[i] = split.dim[i - 1];
    split.dim[axis + 1] = dim_const(1);
    Dim low[MAX_RANK] = { { 0 } }, high[MAX_RANK] = { { 0 } };
    high[axis + 1] = dim_const(step - 1);
    Node *spread = graph_pad(g, graph_reshape(g, d, &split), low, high);
    Shape joined = d->shape;
    joined.dim[axis] = dim_scale(joined.dim[axis], step);
    return graph_reshape(g, spread, &joined);
}

RULE(slice) {
    Graph *g = adjoints->graph;
    const Shape *to = &node->in[0]->shape;
    Dim low[MAX_RANK] = { { 0 } }, high[MAX_RANK] = { { 0 } };
    for (int i = 0; i < to->rank; i++) {
        int64_t step = node->attr.slice.step[i];
        d = unstep(g, d, i, step);
        low[i] = node->attr.slice.start[i];
        high[i] = dim_add(to->dim[i], dim_scale(dim_add(low[i], d->shape.dim[i]), -1));
        if (dim_is_const(high[i]) && high[i].base < 0) { /* the zeros after the last element reach over the end: cut them */
            Dim start[MAX_RANK] = { { 0 } };
            int64_t steps[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
            Shape cut = d->shape;
            cut.dim[i] = dim_add(cut.dim[i], high[i]);
            d = graph_slice(g, d, start, cut.dim, steps);
            high[i] = dim_const(0);
        }
    }
    contribute(adjoints, node->in[0], graph_pad(g, d, low, high));
}

RULE(pad) {
    int64_t step[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    Node *x = node->in[0];
    contribute(adjoints, x, graph_slice(adjoints->graph, d, node->attr.pad.low, x->shape.dim, step));
}

RULE(flip) { contribute(adjoints, node->in[0], graph_flip(adjoints->graph, d, node->attr.axes)); }

RULE(concat) {
    int axis = node->attr.axis;
    Dim start[MAX_RANK] = { { 0 } };
    int64_t step[MAX_RANK] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < node->arity; i++) {
        Node *part = node->in[i];
        contribute(adjoints, part, graph_slice(adjoints->graph, d, start, part->shape.dim, step));
        start[axis] = dim_add(start[axis], part->shape.dim[axis]);
    }
}

/* ── the contraction ──────────────────────────────────────────────────────────────────────── */

typedef struct FreeAxes { int count; uint8_t axis[MAX_RANK]; } FreeAxes;

static FreeAxes free_axes(int rank, const uint8_t *batch, int batches, const uint8_t *contract, int contracts) {
    uint32_t used = 0;
    for (int i = 0; i < batches; i++) used |= 1u << batch[i];
    for (int i = 0; i < contracts; i++) used |= 1u << contract[i];
    FreeAxes rest = { 0 };
    for (int i = 0; i < rank; i++)
        if (!(used >> i & 1)) rest.axis[rest.count++] = (uint8_t)i;
    return rest;
}

/* The adjoint of one operand `x`: d contracted with the `other` operand over the other's free axes. The axes of d are
 * batch, x's free, other's free (or other's before x's: `d_free`, `d_other` say where each begins). */
static Node *dot_adjoint(Graph *g, Node *d, Node *x, Node *other, int batches, int contracts, const uint8_t *x_batch,
                         const uint8_t *other_batch, const uint8_t *x_contract, const uint8_t *other_contract, bool x_first) {
    FreeAxes x_free = free_axes(x->shape.rank, x_batch, batches, x_contract, contracts);
    FreeAxes other_free = free_axes(other->shape.rank, other_batch, batches, other_contract, contracts);
    int d_other = batches + (x_first ? x_free.count : 0);
    DotAxes axes = { .batch = batches, .contract = other_free.count };
    for (int i = 0; i < batches; i++) axes.a_batch[i] = (uint8_t)i, axes.b_batch[i] = other_batch[i];
    for (int i = 0; i < other_free.count; i++) axes.a_contract[i] = (uint8_t)(d_other + i), axes.b_contract[i] = other_free.axis[i];
    Node *product = graph_dot(g, d, other, &axes); /* axes: batch, x's free, then x's contracted in the order of other's axes */
    uint8_t order[MAX_RANK] = { 0 };
    for (int i = 0; i < batches; i++) order[x_batch[i]] = (uint8_t)i;
    for (int i = 0; i < x_free.count; i++) order[x_free.axis[i]] = (uint8_t)(batches + i);
    for (int i = 0; i < contracts; i++) {
        int before = 0; /* contracted axes of `other` that come before this one */
        for (int j = 0; j < contracts; j++) before += other_contract[j] < other_contract[i];
        order[x_contract[i]] = (uint8_t)(batches + x_free.count + before);
    }
    return graph_permute(g, product, order);
}

RULE(dot) {
    Node *a = node->in[0], *b = node->in[1];
    const DotAxes *x = &node->attr.dot;
    if (wants(adjoints, a))
        contribute(adjoints, a, dot_adjoint(adjoints->graph, d, a, b, x->batch, x->contract, x->a_batch, x->b_batch,
                                            x->a_contract, x->b_contract, true));
    if (wants(adjoints, b))
        contribute(adjoints, b, dot_adjoint(adjoints->graph, d, b, a, x->batch, x->contract, x->b_batch, x->a_batch,
                                            x->b_contract, x->a_contract, false));
}

/* ── the convolution ──────────────────────────────────────────────────────────────────────── */

/* The adjoint of the input: d, spread by the stride, convolved with the kernel turned around and its channels exchanged. */
static Node *conv_input_adjoint(Graph *g, const Node *node, Node *d) {
    const ConvAxes *axes = &node->attr.conv;
    const Shape *in = &node->in[0]->shape, *out = &node->shape;
    Node *kernel = node->in[1];
    ConvAxes back = { .spatial = axes->spatial };
    uint8_t order[MAX_RANK] = { 0 };
    for (int i = 0; i < axes->spatial; i++) {
        int64_t reach = (kernel->shape.dim[i].base - 1) * axes->dilation[i];
        back.stride[i] = axes->spread[i];
        back.spread[i] = axes->stride[i];
        back.dilation[i] = axes->dilation[i];
        back.low[i] = reach - axes->low[i];
        back.high[i] = (in->dim[i + 1].base - 1) * axes->spread[i] - (out->dim[i + 1].base - 1) * axes->stride[i] + axes->low[i];
        order[i] = (uint8_t)i;
    }
    order[axes->spatial] = (uint8_t)(axes->spatial + 1);
    order[axes->spatial + 1] = (uint8_t)axes->spatial;
    Node *turned = graph_flip(g, kernel, (1u << axes->spatial) - 1);
    return graph_conv(g, d, graph_permute(g, turned, order), &back);
}

/* The adjoint of the kernel: the input convolved with d over the batch; stride and dilation change places. */
static Node *conv_kernel_adjoint(Graph *g, const Node *node, Node *d) {
    const ConvAxes *axes = &node->attr.conv;
    const Shape *in = &node->in[0]->shape, *kernel = &node->in[1]->shape;
    int last = axes->spatial + 1;
    ConvAxes across = { .spatial = axes->spatial };
    uint8_t to_batch[MAX_RANK] = { 0 }, to_kernel[MAX_RANK] = { 0 };
    for (int i = 0; i < axes->spatial; i++) {
        int64_t spread = (in->dim[i + 1].base - 1) * axes->spread[i] + 1, reach = (d->shape.dim[i + 1].base - 1) * axes->stride[i] + 1;
        across.stride[i] = axes->dilation[i];
        across.dilation[i] = axes->stride[i];
        across.spread[i] = axes->spread[i];
        across.low[i] = axes->low[i];
        across.high[i] = (kernel->dim[i].base - 1) * axes->dilation[i] + reach - spread - axes->low[i];
        to_batch[i + 1] = to_kernel[i] = (uint8_t)(i + 1);
    }
    to_batch[0] = (uint8_t)last;                       /* [b, s..., i] → [i, s..., b] */
    to_kernel[last - 1] = 0, to_kernel[last] = (uint8_t)last; /* [b, s..., o] → [s..., b, o]; and [i, k..., o] → [k..., i, o] */
    Node *product = graph_conv(g, graph_permute(g, node->in[0], to_batch), graph_permute(g, d, to_kernel), &across);
    return graph_permute(g, product, to_kernel);
}

RULE(conv) {
    if (wants(adjoints, node->in[0])) contribute(adjoints, node->in[0], conv_input_adjoint(adjoints->graph, node, d));
    if (wants(adjoints, node->in[1])) contribute(adjoints, node->in[1], conv_kernel_adjoint(adjoints->graph, node, d));
}

/* ── indexing ─────────────────────────────────────────────────────────────────────────────── */

RULE(gather) {
    Node *table = node->in[0], *index = node->in[1];
    contribute(adjoints, table, graph_scatter_add(adjoints->graph, index, d, table->shape.dim[0]));
}

RULE(scatter_add) { contribute(adjoints, node->in[1], graph_gather(adjoints->graph, d, node->in[0])); }

/* ── the walk ─────────────────────────────────────────────────────────────────────────────── */

/* Marks the nodes up to `last` that depend on a variable through operations that have a gradient. */
static void mark_wanted(Adjoints *adjoints, Node *const *by, int count) {
    for (int i = 0; i < count; i++)
        if (by[i]->id < adjoints->count) adjoints->wanted[by[i]->id] = true;
    for (int id = 0; id < adjoints->count; id++) {
        const Node *node = adjoints->graph->nodes.items[id];
        if (!op_has_gradient(node->op)) continue;
        for (int i = 0; i < node->arity; i++) adjoints->wanted[id] |= adjoints->wanted[node->in[i]->id];
    }
}

Adjoints adjoints_create(Graph *graph, int count) {
    Adjoints adjoints = { .graph = graph, .count = count };
    adjoints.of = arena_alloc(graph->arena, sizeof *adjoints.of * (size_t)count);
    adjoints.wanted = arena_alloc(graph->arena, sizeof *adjoints.wanted * (size_t)count);
    return adjoints;
}

void differentiate(Graph *graph, Node *y, Node *const *by, int count, Node **derivatives) {
    assert(y->shape.rank == 0);
    Adjoints adjoints = adjoints_create(graph, y->id + 1);
    mark_wanted(&adjoints, by, count);
    contribute(&adjoints, y, graph_const(graph, 1));
    for (int id = y->id; id >= 0; id--) {
        Node *node = graph->nodes.items[id];
        if (adjoints.of[id]) op_info[node->op].differentiate(&adjoints, node, adjoints.of[id]);
    }
    for (int i = 0; i < count; i++) {
        Node *d = by[i]->id < adjoints.count ? adjoints.of[by[i]->id] : NULL;
        derivatives[i] = d ? d : graph_fill(graph, 0, &by[i]->shape);
    }
}

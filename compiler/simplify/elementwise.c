/* Simplification of elementwise operations: folding, algebra, stable logarithms, and movements taken out of chains so
 * that a chain reads its operands in one shape. */
#include "rules.h"

#include <math.h>

static Node *neg(Simplifier *s, Node *x) { return simple_unary(s, OP_NEG, x); }
static Node *add(Simplifier *s, Node *a, Node *b) { return simple_binary(s, OP_ADD, a, b); }
static Node *mul(Simplifier *s, Node *a, Node *b) { return simple_binary(s, OP_MUL, a, b); }

/* ── movements out of a chain ─────────────────────────────────────────────────────────────── */

/* A leaf is reshaped where it is read, so that a reshape comes out only of what is computed. */
static bool comes_out(const Node *x) {
    if (x->op == OP_RESHAPE) return is(x, OP_RESHAPE) && x->in[0]->arity > 0;
    if (x->op == OP_PERMUTE && x->in[0]->op == OP_CONV) return false; /* the gradient of a kernel, computed in this order */
    return (x->op == OP_PERMUTE || x->op == OP_EXPAND || x->op == OP_FLIP) && is(x, x->op);
}

/* The same movement: a node equal to `movement` but for its operand. */
static bool moves_alike(const Node *node, const Node *movement) {
    if (!is(node, movement->op) || !shape_equal(&node->in[0]->shape, &movement->in[0]->shape)) return false;
    if (movement->op == OP_EXPAND || movement->op == OP_FLIP) return node->attr.axes == movement->attr.axes;
    for (int i = 0; movement->op == OP_PERMUTE && i < node->shape.rank; i++)
        if (node->attr.order[i] != movement->attr.order[i]) return false;
    return true;
}

/* op(move(a), move(b), constant) is move(op(a, b, constant)). */
static Node *move_out(Simplifier *s, Op op, Node **in, int arity) {
    const Node *movement = NULL;
    Node *inner[3];
    double value;
    for (int i = 0; i < arity && !movement; i++)
        if (!is_uniform(in[i], &value) && comes_out(in[i])) movement = in[i];
    if (!movement) return NULL;
    for (int i = 0; i < arity; i++) {
        if (is_uniform(in[i], &value)) inner[i] = graph_fill(s->graph, value, &movement->in[0]->shape);
        else if (moves_alike(in[i], movement)) inner[i] = in[i]->in[0];
        else return NULL;
    }
    return simple_movement_like(s, movement, simple_elementwise(s, op, inner));
}

enum { SINK_DEPTH = 6 };

/* A short chain that begins at leaves, computed in another shape from the start: the reshape goes down to the leaves,
 * where it costs nothing. NULL where something computed would have to be read through a reshape. */
static Node *sink_reshape(Simplifier *s, Node *x, const Shape *shape, int depth) {
    double value;
    if (shape_equal(&x->shape, shape)) return x;
    if (is_uniform(x, &value)) return graph_fill(s->graph, value, shape);
    if (is(x, OP_RESHAPE)) return sink_reshape(s, x->in[0], shape, depth);
    if (is(x, OP_EXPAND)) {
        Node *expanded = simple_reshape(s, x, shape);
        return is(expanded, OP_EXPAND) ? expanded : NULL;
    }
    if (op_info[x->op].class == CLASS_LEAF && is(x, x->op)) return simple_reshape(s, x, shape);
    if (op_info[x->op].class != CLASS_ELEMENTWISE || !is(x, x->op) || depth == 0) return NULL;
    Node *in[3];
    for (int i = 0; i < x->arity; i++)
        if (!(in[i] = sink_reshape(s, x->in[i], shape, depth - 1))) return NULL;
    return simple_elementwise(s, x->op, in);
}

/* op(reshape(a), b) is reshape(op(a, b')), with b in a's shape: the chain goes on in the shape in which `a` was computed. */
static Node *reshape_out(Simplifier *s, Op op, Node **in, int arity) {
    const Node *reshape = NULL;
    for (int i = 0; i < arity && !reshape; i++)
        if (is(in[i], OP_RESHAPE) && in[i]->in[0]->arity > 0) reshape = in[i];
    if (!reshape) return NULL;
    Node *inner[3];
    for (int i = 0; i < arity; i++)
        if (!(inner[i] = sink_reshape(s, in[i], &reshape->in[0]->shape, SINK_DEPTH))) return NULL;
    return simple_reshape(s, simple_elementwise(s, op, inner), &reshape->shape);
}

static Node *hoist(Simplifier *s, Op op, Node **in, int arity) {
    Node *moved = move_out(s, op, in, arity);
    return moved ? moved : reshape_out(s, op, in, arity);
}

/* ── what is known of a value ─────────────────────────────────────────────────────────────── */

static bool is_positive(const Node *x) {
    double value;
    if (is_uniform(x, &value)) return value > 0;
    if (!is(x, x->op)) return false;
    switch (x->op) {
    case OP_EXP:
    case OP_SIGMOID:
    case OP_SOFTPLUS:
    case OP_SIZE: return true;
    case OP_SUM:
    case OP_MAX:
    case OP_RESHAPE:
    case OP_PERMUTE:
    case OP_EXPAND:
    case OP_RECIP:
    case OP_SQRT: return is_positive(x->in[0]);
    case OP_ADD:
    case OP_MUL: return is_positive(x->in[0]) && is_positive(x->in[1]);
    default: return false;
    }
}

/* a or b is the negation of the other. */
static bool are_opposite(const Node *a, const Node *b) {
    return (is(a, OP_NEG) && a->in[0] == b) || (is(b, OP_NEG) && b->in[0] == a);
}

/* 1 - x: the x, or NULL. */
static Node *one_minus(const Node *node) {
    if (!is(node, OP_ADD)) return NULL;
    for (int i = 0; i < 2; i++)
        if (is_value(node->in[i], 1) && is(node->in[1 - i], OP_NEG)) return node->in[1 - i]->in[0];
    return NULL;
}

/* ── logarithms ───────────────────────────────────────────────────────────────────────────── */

/* clamp(x, low, high) as the language builds it: select(x < low, low, select(high < x, high, x)). Its x, or NULL. */
static Node *clamped(const Node *node) {
    double value;
    if (!is(node, OP_SELECT) || !is(node->in[0], OP_LT) || !is_uniform(node->in[1], &value)) return NULL;
    const Node *upper = node->in[2];
    if (!is(upper, OP_SELECT) || !is(upper->in[0], OP_LT) || !is_uniform(upper->in[1], &value)) return NULL;
    Node *x = upper->in[2];
    return node->in[0]->in[0] == x && upper->in[0]->in[1] == x ? x : NULL;
}

static bool is_softmax(const Node *x) {
    if (!is(x, OP_MUL)) return false;
    for (int i = 0; i < 2; i++) {
        const Node *scale = x->in[1 - i];
        if (is(scale, OP_EXPAND)) scale = scale->in[0];
        if (is(x->in[i], OP_EXP) && is(scale, OP_RECIP) && is(scale->in[0], OP_SUM)) return true;
    }
    return false;
}

/* The logarithm of a probability needs no clamp once it is taken from the logits: like Keras, which goes back to the
 * logits of a sigmoid or softmax, this drops the clamp, and so the flat ends that the clamp would have. */
static Node *log_of_clamped(Simplifier *s, const Node *x) {
    Node *inner = clamped(x), *rest = one_minus(x);
    if (inner && (is(inner, OP_SIGMOID) || is_softmax(inner))) return simple_unary(s, OP_LOG, inner);
    inner = rest ? clamped(rest) : NULL;
    if (!inner || !is(inner, OP_SIGMOID)) return NULL;
    return neg(s, simple_unary(s, OP_SOFTPLUS, inner->in[0]));
}

static Node *log_of(Simplifier *s, Node *x) {
    if (is(x, OP_EXP)) return x->in[0];
    if (is(x, OP_SIGMOID)) return neg(s, simple_unary(s, OP_SOFTPLUS, neg(s, x->in[0])));
    if (is(x, OP_RECIP) && is_positive(x->in[0])) return neg(s, simple_unary(s, OP_LOG, x->in[0]));
    if (is(x, OP_MUL) && is_positive(x)) return add(s, simple_unary(s, OP_LOG, x->in[0]), simple_unary(s, OP_LOG, x->in[1]));
    Node *rest = one_minus(x);
    if (rest && is(rest, OP_SIGMOID)) return neg(s, simple_unary(s, OP_SOFTPLUS, rest->in[0]));
    return log_of_clamped(s, x);
}

/* ── unary ────────────────────────────────────────────────────────────────────────────────── */

static Node *neg_of(Simplifier *s, Node *x) {
    double value;
    if (is(x, OP_NEG)) return x->in[0];
    for (int i = 0; is(x, OP_MUL) && i < 2; i++)
        if (is_uniform(x->in[i], &value)) return mul(s, fill_like(s, -value, x), x->in[1 - i]);
    if (is(x, OP_SELECT) && (is_value(x->in[1], 0) || is_value(x->in[2], 0)))
        return simple_select(s, x->in[0], neg(s, x->in[1]), neg(s, x->in[2]));
    return NULL;
}

static Node *recip_of(Simplifier *s, Node *x) {
    if (is(x, OP_RECIP)) return x->in[0];
    if (is(x, OP_EXP)) return simple_unary(s, OP_EXP, neg(s, x->in[0]));
    if (is(x, OP_NEG)) return neg(s, simple_unary(s, OP_RECIP, x->in[0]));
    return NULL;
}

static Node *unary_rule(Simplifier *s, Op op, Node *x) {
    switch (op) {
    case OP_NEG: return neg_of(s, x);
    case OP_RECIP: return recip_of(s, x);
    case OP_LOG: return log_of(s, x);
    case OP_ABS: return is(x, OP_NEG) ? simple_unary(s, OP_ABS, x->in[0]) : is(x, OP_ABS) || is_positive(x) ? x : NULL;
    case OP_COS: return is(x, OP_NEG) ? simple_unary(s, OP_COS, x->in[0]) : NULL;
    default: return NULL;
    }
}

Node *simple_unary(Simplifier *s, Op op, Node *x) {
    double value;
    if (is_uniform(x, &value)) return fill_like(s, op_info[op].evaluate(value, 0, 0), x);
    Node *simple = hoist(s, op, &x, 1);
    if (!simple) simple = unary_rule(s, op, x);
    return simple ? simple : graph_unary(s->graph, op, x);
}

/* ── sums ─────────────────────────────────────────────────────────────────────────────────── */

/* select(c, a, 0) + select(c, 0, b) is select(c, a, b): how the two sides of a select's gradient meet. */
static Node *add_selects(Simplifier *s, Node *a, Node *b) {
    if (!is(a, OP_SELECT) || !is(b, OP_SELECT) || a->in[0] != b->in[0]) return NULL;
    if (is_value(a->in[2], 0) && is_value(b->in[1], 0)) return simple_select(s, a->in[0], a->in[1], b->in[2]);
    if (is_value(a->in[1], 0) && is_value(b->in[2], 0)) return simple_select(s, a->in[0], b->in[1], a->in[2]);
    return NULL;
}

/* t softplus(-x) + (1 - t) softplus(x) is softplus(x) - t x: binary cross-entropy from logits. */
static Node *add_cross_entropy(Simplifier *s, Node *a, Node *b) {
    if (!is(a, OP_MUL) || !is(b, OP_MUL)) return NULL;
    for (int i = 0; i < 4; i++) {
        Node *t = a->in[i & 1], *at_t = a->in[1 - (i & 1)], *rest = b->in[i >> 1], *at_rest = b->in[1 - (i >> 1)];
        if (one_minus(rest) != t || !is(at_t, OP_SOFTPLUS) || !is(at_rest, OP_SOFTPLUS)) continue;
        Node *x = at_rest->in[0], *minus_x = at_t->in[0];
        if (!are_opposite(x, minus_x)) continue;
        if (is(x, OP_NEG)) return add(s, at_rest, mul(s, t, minus_x));
        return add(s, at_rest, neg(s, mul(s, t, x)));
    }
    return NULL;
}

static Node *add_rule(Simplifier *s, Node *a, Node *b) {
    double constant, inner;
    if (is_value(a, 0)) return b;
    if (a == b) return mul(s, fill_like(s, 2, a), a);
    if (are_opposite(a, b)) return fill_like(s, 0, a);
    if (is(a, OP_NEG) && is(b, OP_NEG)) return neg(s, add(s, a->in[0], b->in[0]));
    for (int i = 0; is_uniform(a, &constant) && is(b, OP_ADD) && i < 2; i++)
        if (is_uniform(b->in[i], &inner)) return add(s, fill_like(s, constant + inner, b), b->in[1 - i]);
    Node *simple = add_selects(s, a, b);
    if (!simple) simple = add_pieces(s, a, b);
    if (!simple) simple = add_cross_entropy(s, a, b);
    return simple ? simple : add_cross_entropy(s, b, a);
}

/* ── products ─────────────────────────────────────────────────────────────────────────────── */

/* A factor goes into the arm of a select whose other arm is 0, so that what the untaken arm would multiply to, be it
 * infinite, never comes to be. */
static Node *mul_select(Simplifier *s, Node *select, Node *factor) {
    if (!is(select, OP_SELECT)) return NULL;
    Node *condition = select->in[0], *yes = select->in[1], *no = select->in[2];
    if (is_value(no, 0)) return simple_select(s, condition, mul(s, yes, factor), no);
    if (is_value(yes, 0)) return simple_select(s, condition, yes, mul(s, no, factor));
    return NULL;
}

static Node *mul_constant(Simplifier *s, double constant, Node *x) {
    double inner;
    if (constant == 0) return fill_like(s, 0, x);
    if (constant == 1) return x;
    if (constant == -1) return neg(s, x);
    if (is(x, OP_NEG)) return mul(s, fill_like(s, -constant, x), x->in[0]);
    for (int i = 0; is(x, OP_MUL) && i < 2; i++)
        if (is_uniform(x->in[i], &inner)) return mul(s, fill_like(s, constant * inner, x), x->in[1 - i]);
    if (is(x, OP_SELECT) && is_uniform(x->in[1], &inner) && is_uniform(x->in[2], &inner))
        return simple_select(s, x->in[0], mul(s, fill_like(s, constant, x), x->in[1]),
                             mul(s, fill_like(s, constant, x), x->in[2]));
    return NULL;
}

/* The same number for every element, known now or at run time. */
static bool is_scalar(const Node *x) { return x->shape.rank > 0 && is(x, OP_EXPAND) && x->in[0]->shape.rank == 0; }

/* Numbers that multiply a tensor are multiplied with each other first. */
static Node *mul_scalars(Simplifier *s, Node *scalar, Node *x) {
    for (int i = 0; is_scalar(scalar) && !is_scalar(x) && is(x, OP_MUL) && i < 2; i++)
        if (is_scalar(x->in[i])) return mul(s, mul(s, scalar, x->in[i]), x->in[1 - i]);
    return NULL;
}

static bool is_reciprocal(const Node *a, const Node *b) { return is(b, OP_RECIP) && b->in[0] == a; }

static Node *mul_rule(Simplifier *s, Node *a, Node *b) {
    double constant;
    if (is_uniform(a, &constant)) {
        Node *simple = mul_constant(s, constant, b);
        if (simple) return simple;
    }
    if (is(a, OP_NEG)) return neg(s, mul(s, a->in[0], b));
    if (is(b, OP_NEG)) return neg(s, mul(s, a, b->in[0]));
    if (is_reciprocal(a, b) && is_positive(a)) return fill_like(s, 1, a);
    if (is_reciprocal(b, a) && is_positive(b)) return fill_like(s, 1, a);
    if (a == b && is(a, OP_SQRT) && is_positive(a->in[0])) return a->in[0];
    Node *simple = mul_scalars(s, a, b);
    if (!simple) simple = mul_scalars(s, b, a);
    if (!simple) simple = mul_select(s, a, b);
    return simple ? simple : mul_select(s, b, a);
}

/* ── powers, comparisons ──────────────────────────────────────────────────────────────────── */

static Node *pow_rule(Simplifier *s, Node *x, Node *exponent) {
    double p, base;
    if (is_uniform(x, &base) && base > 0) return simple_unary(s, OP_EXP, mul(s, fill_like(s, log(base), x), exponent));
    if (!is_uniform(exponent, &p)) return NULL;
    if (p == 0) return fill_like(s, 1, x);
    if (p == 1) return x;
    if (p == 0.5) return simple_unary(s, OP_SQRT, x);
    if (p < 0 && (p == floor(p) || p == -0.5)) return simple_unary(s, OP_RECIP, simple_binary(s, OP_POW, x, fill_like(s, -p, x)));
    if (p != floor(p) || p > 8) return NULL;
    Node *half = simple_binary(s, OP_POW, x, fill_like(s, floor(p / 2), x)), *square = mul(s, half, half);
    return fmod(p, 2) == 0 ? square : mul(s, square, x);
}

static Node *binary_rule(Simplifier *s, Op op, Node *a, Node *b) {
    double constant;
    if ((op == OP_ADD || op == OP_MUL) && is_uniform(b, &constant)) {
        Node *swap = a;
        a = b;
        b = swap;
    }
    switch (op) {
    case OP_ADD: return add_rule(s, a, b);
    case OP_MUL: return mul_rule(s, a, b);
    case OP_POW: return pow_rule(s, a, b);
    default: return NULL;
    }
}

Node *simple_binary(Simplifier *s, Op op, Node *a, Node *b) {
    double x, y;
    if (is_uniform(a, &x) && is_uniform(b, &y)) return fill_like(s, op_info[op].evaluate(x, y, 0), a);
    Node *in[] = { a, b };
    Node *simple = hoist(s, op, in, 2);
    if (!simple) simple = binary_rule(s, op, a, b);
    return simple ? simple : graph_binary(s->graph, op, a, b);
}

/* ── select ───────────────────────────────────────────────────────────────────────────────── */

Node *simple_select(Simplifier *s, Node *condition, Node *yes, Node *no) {
    double value;
    if (is_uniform(condition, &value)) return value != 0 ? yes : no;
    if (yes == no) return yes;
    if (is(yes, OP_SELECT) && yes->in[0] == condition) return simple_select(s, condition, yes->in[1], no);
    if (is(no, OP_SELECT) && no->in[0] == condition) return simple_select(s, condition, yes, no->in[2]);
    Node *in[] = { condition, yes, no };
    Node *simple = hoist(s, OP_SELECT, in, 3);
    return simple ? simple : graph_select(s->graph, condition, yes, no);
}

Node *simple_elementwise(Simplifier *s, Op op, Node **in) {
    switch (op_info[op].arity) {
    case 1: return simple_unary(s, op, in[0]);
    case 2: return simple_binary(s, op, in[0], in[1]);
    default: return simple_select(s, in[0], in[1], in[2]);
    }
}

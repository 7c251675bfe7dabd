/* Operations on tensors as the language means them, for each example, in nodes of the graph, where the batch is an axis
 * like any other: a value that differs between examples has it first. */
#include "elaborate.h"

#include <string.h>

static uint32_t all_axes(int rank) { return (1u << rank) - 1; }

Shape example_shape(Value tensor) { return tensor.batched ? shape_without(&tensor.node->shape, 1) : tensor.node->shape; }

Dim batch_of(Value tensor) { return tensor.batched ? tensor.node->shape.dim[0] : dim_batch(1); }

const char *sizes_text(Elaborator *e, const Shape *shape) { return shape_text(e->arena, &e->module->symbols, shape); }

const char *tensor_text(Elaborator *e, Value tensor) {
    Shape shape = example_shape(tensor);
    return sizes_text(e, &shape);
}

/* ── broadcasting ─────────────────────────────────────────────────────────────────────────── */

Value tensor_broadcast(Elaborator *e, Value x, const Shape *shape, bool batched, Dim batch) {
    Shape from = example_shape(x), full = batched ? shape_behind(batch, shape) : *shape;
    int lead = batched, added = shape->rank - from.rank;
    uint32_t fresh = batched && !x.batched ? 1u : 0, stretched = 0;
    for (int i = 0; i < added; i++) fresh |= 1u << (lead + i);
    for (int i = 0; i < from.rank; i++)
        if (!dim_equal(from.dim[i], shape->dim[added + i])) stretched |= 1u << (lead + added + i);
    Node *node = x.node;
    if (stretched) {
        Shape squeezed = shape_without(&full, fresh | stretched);
        node = graph_reshape(graph_of(e), node, &squeezed);
    }
    Value result = tensor_value(graph_expand(graph_of(e), node, &full, fresh | stretched), batched);
    if (result.node == x.node) result.classes = x.classes;
    return result;
}

/* The shape that both broadcast to. */
static bool common_shape(Elaborator *e, const char *what, const Value *items, int count, Span span, Shape *shape) {
    *shape = example_shape(items[0]);
    for (int i = 1; i < count; i++) {
        Shape other = example_shape(items[i]);
        int rank = other.rank > shape->rank ? other.rank : shape->rank;
        Shape common = { .rank = rank };
        for (int axis = 1; axis <= rank; axis++) {
            Dim a = axis <= shape->rank ? shape->dim[shape->rank - axis] : dim_const(1);
            Dim b = axis <= other.rank ? other.dim[other.rank - axis] : dim_const(1);
            if (!dim_equal(a, b) && !dim_equal(a, dim_const(1)) && !dim_equal(b, dim_const(1))) {
                fail(e, span, "%s cannot combine %s and %s", what, sizes_text(e, shape), sizes_text(e, &other));
                return false;
            }
            common.dim[rank - axis] = dim_equal(a, dim_const(1)) ? b : a;
        }
        *shape = common;
    }
    return true;
}

static bool common_batch(Elaborator *e, const char *what, const Value *items, int count, Span span, bool *batched, Dim *batch) {
    *batched = false;
    *batch = dim_batch(1);
    for (int i = 0; i < count; i++) {
        if (!items[i].batched) continue;
        if (*batched && !dim_equal(*batch, batch_of(items[i]))) {
            fail(e, span, "%s cannot combine batches of different sizes, %lld and %lld times the batch", what,
                 (long long)batch->scale, (long long)batch_of(items[i]).scale);
            return false;
        }
        *batched = true;
        *batch = batch_of(items[i]);
    }
    return true;
}

/* Broadcasts all items to one shape. */
static bool unify(Elaborator *e, const char *what, Value *items, int count, Span span) {
    Shape shape;
    bool batched;
    Dim batch;
    if (!common_batch(e, what, items, count, span, &batched, &batch) || !common_shape(e, what, items, count, span, &shape))
        return false;
    for (int i = 0; i < count; i++) items[i] = tensor_broadcast(e, items[i], &shape, batched, batch);
    return true;
}

/* ── elementwise ──────────────────────────────────────────────────────────────────────────── */

Value tensor_unary(Elaborator *e, Op op, Value x) { return tensor_value(graph_unary(graph_of(e), op, x.node), x.batched); }

static Node *negated(Graph *g, Node *x) {
    return graph_binary(g, OP_ADD, graph_fill(g, 1, &x->shape), graph_unary(g, OP_NEG, x));
}

static Node *binary_node(Graph *g, Operator op, Node *a, Node *b) {
    switch (op) {
    case OPERATOR_ADD: return graph_binary(g, OP_ADD, a, b);
    case OPERATOR_SUB: return graph_binary(g, OP_ADD, a, graph_unary(g, OP_NEG, b));
    case OPERATOR_MUL: return graph_binary(g, OP_MUL, a, b);
    case OPERATOR_DIV: return graph_binary(g, OP_MUL, a, graph_unary(g, OP_RECIP, b));
    case OPERATOR_POW: return graph_binary(g, OP_POW, a, b);
    case OPERATOR_EQ: return graph_binary(g, OP_EQ, a, b);
    case OPERATOR_NE: return negated(g, graph_binary(g, OP_EQ, a, b));
    case OPERATOR_LT: return graph_binary(g, OP_LT, a, b);
    case OPERATOR_LE: return graph_binary(g, OP_LE, a, b);
    case OPERATOR_GT: return graph_binary(g, OP_LT, b, a);
    default: return graph_binary(g, OP_LE, b, a);
    }
}

Value tensor_binary(Elaborator *e, Operator op, Value a, Value b, Span span) {
    Value items[] = { a, b };
    if (!unify(e, arena_printf(e->arena, "`%s`", operator_text(op)), items, 2, span)) return poison();
    return tensor_value(binary_node(graph_of(e), op, items[0].node, items[1].node), items[0].batched);
}

Value tensor_select(Elaborator *e, Value condition, Value yes, Value no, Span span) {
    Value items[] = { condition, yes, no };
    if (!unify(e, "`? :`", items, 3, span)) return poison();
    return tensor_value(graph_select(graph_of(e), items[0].node, items[1].node, items[2].node), items[0].batched);
}

/* ── products ─────────────────────────────────────────────────────────────────────────────── */

static bool product_fits(const Shape *a, const Shape *b, int lead) {
    if (a->rank == 0 || b->rank == 0) return false;
    for (int i = 0; i < lead; i++)
        if (!dim_equal(a->dim[i], b->dim[i])) return false;
    return dim_equal(a->dim[a->rank - 1], b->dim[b->rank > 1 ? b->rank - 2 : 0]);
}

/* From the order of a dot (shared axes, free axes of a, free axes of b) to batch first. A batch axis that only b has
 * comes among b's free axes, as the first of them. */
static Node *batch_first(Graph *g, Node *product, int position) {
    uint8_t order[MAX_RANK] = { (uint8_t)position };
    for (int i = 1; i < product->shape.rank; i++) order[i] = (uint8_t)(i <= position ? i - 1 : i);
    return graph_permute(g, product, order);
}

Value tensor_matmul(Elaborator *e, Value a, Value b, Span span) {
    Shape left = example_shape(a), right = example_shape(b);
    int lead = left.rank > 2 && right.rank > 2 ? right.rank - 2 : 0; /* stacks of matrices, multiplied one by one */
    bool both = a.batched && b.batched;
    if (!product_fits(&left, &right, lead) || (lead && left.rank != right.rank) ||
        (both && !dim_equal(batch_of(a), batch_of(b)))) {
        fail(e, span, "`@` multiplies [..., k] by [k, ...], but here %s by %s", sizes_text(e, &left),
             sizes_text(e, &right));
        return poison();
    }
    DotAxes axes;
    memset(&axes, 0, sizeof axes);
    for (int i = both ? -1 : 0; i < lead; i++) {
        axes.a_batch[axes.batch] = (uint8_t)(i + a.batched);
        axes.b_batch[axes.batch++] = (uint8_t)(i + b.batched);
    }
    axes.contract = 1;
    axes.a_contract[0] = (uint8_t)(a.node->shape.rank - 1);
    axes.b_contract[0] = (uint8_t)(b.node->shape.rank - (right.rank > 1 ? 2 : 1));
    Node *product = graph_dot(graph_of(e), a.node, b.node, &axes);
    int position = both ? 0 : a.batched ? lead : lead + (left.rank - lead - 1); /* of the batch axis in the product */
    if (a.batched || b.batched) product = batch_first(graph_of(e), product, position);
    return tensor_value(product, a.batched || b.batched);
}

/* ── reductions ───────────────────────────────────────────────────────────────────────────── */

bool resolve_axis(Elaborator *e, Value axis, const Shape *shape, Span span, int *resolved) {
    double number;
    if (!to_number(e, axis, span, "an axis", &number)) return false;
    int index = (int)number;
    if (number != index || index < -shape->rank || index >= shape->rank) {
        fail(e, span, "%s has no axis %g", sizes_text(e, shape), number);
        return false;
    }
    *resolved = index < 0 ? index + shape->rank : index;
    return true;
}

/* Axes of the node, from an axis, `batch`, a list of them, or all axes of the example. */
static bool resolve_axes(Elaborator *e, Value x, Value axis, Span span, uint32_t *axes) {
    Shape shape = example_shape(x);
    axis = force(e, axis);
    if (axis.kind == VALUE_POISON) return false;
    *axes = 0;
    if (axis.kind == VALUE_NONE || axis.kind == VALUE_ALL) {
        *axes = all_axes(shape.rank) << x.batched;
        return true;
    }
    const Value *items = axis.kind == VALUE_LIST ? axis.items : &axis;
    for (int i = 0; i < (axis.kind == VALUE_LIST ? axis.count : 1); i++) {
        int index;
        if (items[i].kind == VALUE_BATCH) {
            if (x.batched) *axes |= 1;
        } else {
            if (!resolve_axis(e, items[i], &shape, span, &index)) return false;
            *axes |= 1u << (index + x.batched);
        }
    }
    return true;
}

static Node *reduced(Graph *g, Op op, Node *x, uint32_t axes) {
    if (op == OP_SUM) return graph_sum(g, x, axes);
    if (op == OP_MAX) return graph_max(g, x, axes);
    int first = 0; /* of the axes of an argmax, which are all of the example's, or one */
    while (!(axes >> first & 1)) first++;
    Shape flat = { 0 };
    Dim size = dim_const(1);
    for (int i = 0; i < x->shape.rank; i++)
        if (axes >> i & 1) dim_mul(size, x->shape.dim[i], &size);
    for (int i = 0; i < x->shape.rank; i++)
        if (!(axes >> i & 1) || i == first) flat.dim[flat.rank++] = i == first ? size : x->shape.dim[i];
    return graph_argmax(g, graph_reshape(g, x, &flat), first);
}

/* An argmax counts along one axis, which the axes that it is taken over must make. */
static bool make_one_axis(Elaborator *e, const Shape *shape, uint32_t axes, Span span) {
    int symbolic = 0;
    for (int i = 0; i < shape->rank; i++) symbolic += axes >> i & 1 && !dim_is_const(shape->dim[i]);
    if (symbolic < 2) return true;
    fail(e, span, "`argmax` over two axes of run-time sizes at once: take it over one of them by `axis =`");
    return false;
}

Value tensor_reduce(Elaborator *e, Op op, Value x, Value axis, bool keep, Span span) {
    uint32_t axes;
    if (!resolve_axes(e, x, axis, span, &axes)) return poison();
    const bool over_batch = x.batched && (axes & 1);
    if (op == OP_ARGMAX && !make_one_axis(e, &x.node->shape, axes, span)) return poison();
    if (op == OP_ARGMAX && axes == 0) return tensor_value(graph_fill(graph_of(e), 0, &x.node->shape), x.batched);
    Node *node = axes ? reduced(graph_of(e), op, x.node, axes) : x.node;
    if (keep) {
        Shape shape = x.node->shape;
        for (int i = x.batched; i < shape.rank; i++)
            if (axes >> i & 1) shape.dim[i] = dim_const(1);
        if (over_batch) shape = shape_without(&shape, 1);
        node = graph_reshape(graph_of(e), node, &shape);
    }
    return tensor_value(over_batch ? crossing(e, node) : node, x.batched && !over_batch);
}

Value tensor_size(Elaborator *e, Value x, Value axis, Span span) {
    uint32_t axes;
    if (!resolve_axes(e, x, axis, span, &axes)) return poison();
    Dim known = dim_const(1);
    Node *size = NULL;
    for (int i = 0; i < x.node->shape.rank; i++) {
        if (!(axes >> i & 1)) continue;
        Dim d = x.node->shape.dim[i];
        const bool batch = !dim_is_const(d) && d.symbol == SYMBOL_BATCH;
        if (!batch && dim_mul(known, d, &known)) continue;
        size = size ? graph_binary(graph_of(e), OP_MUL, size, graph_size(graph_of(e), d)) : graph_size(graph_of(e), d);
    }
    if (!size) return size_value(known);
    return tensor_value(graph_binary(graph_of(e), OP_MUL, size, graph_size(graph_of(e), known)), false);
}

/* ── shape ────────────────────────────────────────────────────────────────────────────────── */

Value tensor_reshape(Elaborator *e, Value x, const Shape *shape, Span span) {
    Shape from = example_shape(x);
    if (!shape_same_size(&from, shape)) {
        fail(e, span, "%s cannot be reshaped to %s: the numbers of values differ", sizes_text(e, &from),
             sizes_text(e, shape));
        return poison();
    }
    Shape full = x.batched ? shape_behind(batch_of(x), shape) : *shape;
    return tensor_value(graph_reshape(graph_of(e), x.node, &full), x.batched);
}

static Value concat_batch(Elaborator *e, Value *parts, int count, Span span) {
    Node *nodes[MAX_ARGUMENTS];
    Shape shape;
    if (!common_shape(e, "`concat` along the batch", parts, count, span, &shape)) return poison();
    for (int i = 0; i < count; i++) nodes[i] = tensor_broadcast(e, parts[i], &shape, true, batch_of(parts[i])).node;
    return tensor_value(crossing(e, graph_concat(graph_of(e), nodes, count, 0)), true);
}

Value tensor_concat(Elaborator *e, Value *parts, const Span *spans, int count, Value axis, Span span) {
    if (axis.kind == VALUE_BATCH) return concat_batch(e, parts, count, span);
    bool batched;
    Dim batch, total = dim_const(0);
    int index;
    Shape first = example_shape(parts[0]);
    Node *nodes[MAX_ARGUMENTS];
    if (!common_batch(e, "`concat`", parts, count, span, &batched, &batch)) return poison();
    if (!resolve_axis(e, axis.kind == VALUE_NONE ? number_value(-1) : axis, &first, span, &index)) return poison();
    for (int i = 0; i < count; i++) {
        Shape shape = example_shape(parts[i]), expected = first;
        if (shape.rank == first.rank) expected.dim[index] = shape.dim[index];
        if (!shape_equal(&shape, &expected)) {
            fail(e, spans[i], "`concat` along axis %d expects the other axes to agree, but this is %s", index,
                 sizes_text(e, &shape));
            fail_note(e, spans[0], "the first is %s", sizes_text(e, &first));
            return poison();
        }
        if (!dim_can_add(total, shape.dim[index])) {
            fail(e, spans[i], "`concat` along axis %d cannot add up sizes of two `dim`s, here %s and %s", index,
                 size_text(e->arena, &e->module->symbols, total), size_text(e->arena, &e->module->symbols, shape.dim[index]));
            return poison();
        }
        total = dim_add(total, shape.dim[index]);
        nodes[i] = tensor_broadcast(e, parts[i], &shape, batched, batch).node;
    }
    return tensor_value(graph_concat(graph_of(e), nodes, count, index + batched), batched);
}

/* ── slices ───────────────────────────────────────────────────────────────────────────────── */

typedef struct Cut {
    Dim start[MAX_RANK], size[MAX_RANK];
    int64_t step[MAX_RANK];
    uint32_t dropped, flipped;
} Cut;

static bool index_bound(Elaborator *e, Scope *scope, Expr *expr, Dim size, Dim otherwise, Dim *bound) {
    *bound = otherwise;
    return !expr || to_position(e, evaluate(e, scope, expr, no_name), expr->span, size, bound);
}

/* How many steps there are in `taken`, rounded up; a run-time size must be a multiple of the step but for a constant. */
static bool count_steps(Dim taken, int64_t step, Dim *count) {
    const int64_t last = taken.base + step - 1;
    *count = (Dim){ last / step - (last % step < 0), taken.scale / step, taken.symbol };
    return taken.scale % step == 0;
}

static bool cut_axis(Elaborator *e, Scope *scope, const Slice *slice, Span span, int axis, Cut *cut) {
    const Dim size = cut->size[axis];
    Dim start, stop;
    int64_t step = 1;
    double given_step = 1;
    if (slice->step && !to_number(e, evaluate(e, scope, slice->step, no_name), slice->step->span, "a step", &given_step))
        return false;
    if (given_step == -1 && !slice->start && !slice->stop) {
        cut->flipped |= 1u << axis;
        return true;
    }
    step = (int64_t)given_step;
    if (given_step != (double)step || step < 1) {
        fail(e, slice->step->span, "a step is a whole number above 0, or -1 to turn a whole axis around");
        return false;
    }
    if (!index_bound(e, scope, slice->start, size, dim_const(0), &start) || !index_bound(e, scope, slice->stop, size, size, &stop))
        return false;
    if (slice->single) stop = dim_add(start, dim_const(1)), cut->dropped |= 1u << axis;
    const Dim taken = dim_can_add(start, stop) ? dim_add(stop, dim_scale(start, -1)) : dim_const(0);
    const Dim left = dim_add(size, dim_scale(stop, -1));
    if (dim_low(taken, &e->module->symbols) < 1 || dim_low(left, &e->module->symbols) < 0) {
        const char *may = dim_is_const(taken) ? "takes" : "may take";
        fail(e, span, "this %s nothing from an axis of the size %s%s", may, size_text(e->arena, &e->module->symbols, size),
             range_text(e, dim_is_const(size) ? taken : size));
        return false;
    }
    if (!count_steps(taken, step, &cut->size[axis])) {
        const char *name = e->module->symbols.items[taken.symbol].name;
        fail(e, span, "a step of %lld through %s elements takes a number of them that is none of the sizes that `%s` makes; declare "
             "the axis as %lld * %s",
             (long long)step, size_text(e->arena, &e->module->symbols, taken), name, (long long)step, name);
        return false;
    }
    cut->start[axis] = start;
    cut->step[axis] = step;
    return true;
}

static int ellipsis_of(const SliceList *slices) {
    for (int i = 0; i < slices->count; i++)
        if (slices->items[i].ellipsis) return i;
    return -1;
}

Value tensor_index(Elaborator *e, Scope *scope, Value x, const SliceList *slices, Span span) {
    Shape shape = example_shape(x);
    int ellipsis = ellipsis_of(slices), named = slices->count - (ellipsis >= 0);
    if (named > shape.rank) {
        fail(e, span, "%s has %d ax%s, but %d are indexed", sizes_text(e, &shape), shape.rank,
             shape.rank == 1 ? "is" : "es", named);
        return poison();
    }
    Cut cut = { .dropped = 0 };
    for (int i = 0; i < x.node->shape.rank; i++) cut.size[i] = x.node->shape.dim[i], cut.step[i] = 1;
    for (int i = 0; i < slices->count; i++) {
        if (i == ellipsis) continue;
        int axis = ellipsis >= 0 && i > ellipsis ? shape.rank - (slices->count - i) : i;
        if (!cut_axis(e, scope, &slices->items[i], span, axis + x.batched, &cut)) return poison();
    }
    Node *node = graph_flip(graph_of(e), x.node, cut.flipped);
    node = graph_slice(graph_of(e), node, cut.start, cut.size, cut.step);
    Shape rest = shape_without(&node->shape, cut.dropped);
    return tensor_value(graph_reshape(graph_of(e), node, &rest), x.batched);
}

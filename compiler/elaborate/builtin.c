/* The built-in functions: what the prelude cannot say, because it is a primitive or asks about shapes. Each takes its
 * bound arguments and gives a value; the table at the end says how each is called. */
#include "elaborate.h"

#include <string.h>

static bool given(const Call *call, int index) { return call->values[index].kind != VALUE_NONE; }

static bool tensor_argument(Elaborator *e, const Call *call, int index, Value *tensor) {
    bool good = to_tensor(e, call->values[index], call->spans[index], tensor);
    locate(e, call->span);
    return good;
}

static bool shape_argument(Elaborator *e, const Call *call, int index, Shape *shape) {
    return to_shape(e, call->values[index], call->spans[index], shape);
}

/* An optional boolean, false where it is not given. */
static bool flag_argument(Elaborator *e, const Call *call, int index) {
    double number = 0;
    return given(call, index) && to_number(e, call->values[index], call->spans[index], "a flag", &number) && number != 0;
}

static bool axis_argument(Elaborator *e, const Call *call, int index, const Shape *shape, int otherwise, int *axis) {
    Value value = given(call, index) ? call->values[index] : number_value(otherwise);
    return resolve_axis(e, value, shape, given(call, index) ? call->spans[index] : call->span, axis);
}

/* ── elementwise ──────────────────────────────────────────────────────────────────────────── */

static Value run_elementwise(Elaborator *e, Call *call) {
    Value x = force(e, call->values[0]);
    Op op = call->callable->builtin->op;
    if (x.kind == VALUE_NUMBER) return number_value(op_info[op].evaluate(x.number, 0, 0));
    return tensor_argument(e, call, 0, &x) ? tensor_unary(e, op, x) : poison();
}

/* The larger or smaller of two: a select of one of them, so that derivatives are those of one branch, also at ties, where it is a.
 * `worse` is what b asks of a to be the result. A number of the model is a number: where either may be none, their sum is the result then. */
static Value pick(Elaborator *e, Call *call, Operator worse, Operator prefer) {
    Value a = force(e, call->values[0]), b = force(e, call->values[1]);
    const bool first_given = a.kind == VALUE_NUMBER, second_given = b.kind == VALUE_NUMBER;
    if (first_given && second_given)
        return number_value((prefer == OPERATOR_GE ? a.number >= b.number : a.number <= b.number) ? a.number : b.number);
    if (!tensor_argument(e, call, 0, &a) || !tensor_argument(e, call, 1, &b)) return poison();
    Value second = tensor_binary(e, worse, a, b, call->span), first = tensor_binary(e, prefer, a, b, call->span);
    if (first.kind == VALUE_POISON) return first;
    if (second_given) return tensor_select(e, second, b, a, call->span);
    if (!first_given) b = tensor_select(e, second, b, tensor_binary(e, OPERATOR_ADD, a, b, call->span), call->span);
    return tensor_select(e, first, a, b, call->span);
}

static Value run_max(Elaborator *e, Call *call) {
    Value x;
    if (given(call, 1)) return pick(e, call, OPERATOR_LT, OPERATOR_GE);
    return tensor_argument(e, call, 0, &x) ? tensor_reduce(e, OP_MAX, x, call->values[2], flag_argument(e, call, 3), call->span)
                                           : poison();
}

static Value run_min(Elaborator *e, Call *call) {
    Value x;
    if (given(call, 1)) return pick(e, call, OPERATOR_GT, OPERATOR_LE);
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Value largest = tensor_reduce(e, OP_MAX, tensor_unary(e, OP_NEG, x), call->values[2], flag_argument(e, call, 3), call->span);
    return largest.kind == VALUE_POISON ? largest : tensor_unary(e, OP_NEG, largest);
}

static Value run_clamp(Elaborator *e, Call *call) {
    Value x, low, high;
    if (!tensor_argument(e, call, 0, &x) || !tensor_argument(e, call, 1, &low) || !tensor_argument(e, call, 2, &high))
        return poison();
    Value above = tensor_binary(e, OPERATOR_GT, x, high, call->span), below = tensor_binary(e, OPERATOR_LT, x, low, call->span);
    if (above.kind == VALUE_POISON || below.kind == VALUE_POISON) return poison();
    return tensor_select(e, below, low, tensor_select(e, above, high, x, call->span), call->span);
}

static Value run_stop(Elaborator *e, Call *call) {
    Value x;
    if (!tensor_argument(e, call, 0, &x)) return poison();
    return tensor_value(graph_stop(graph_of(e), x.node), x.batched);
}

/* ── reductions ───────────────────────────────────────────────────────────────────────────── */

static Value run_sum(Elaborator *e, Call *call) {
    Value x;
    return tensor_argument(e, call, 0, &x) ? tensor_reduce(e, OP_SUM, x, call->values[1], flag_argument(e, call, 2), call->span)
                                           : poison();
}

static Value run_argmax(Elaborator *e, Call *call) {
    Value x;
    return tensor_argument(e, call, 0, &x) ? tensor_reduce(e, OP_ARGMAX, x, call->values[1], false, call->span) : poison();
}

static Value run_size(Elaborator *e, Call *call) {
    Value x;
    return tensor_argument(e, call, 0, &x) ? tensor_size(e, x, call->values[1], call->span) : poison();
}

/* ── shapes ───────────────────────────────────────────────────────────────────────────────── */

static Value run_shape(Elaborator *e, Call *call) {
    Value x, items[MAX_RANK];
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Shape shape = example_shape(x);
    for (int i = 0; i < shape.rank; i++) items[i] = size_value(shape.dim[i]);
    Value list = list_value(e, items, shape.rank);
    list.batch_scale = x.batched ? batch_of(x).scale : 0;
    return list;
}

static Value run_rank(Elaborator *e, Call *call) {
    Value x = force(e, call->values[0]);
    if (x.kind == VALUE_LIST || x.kind == VALUE_NUMBER) return number_value(x.kind == VALUE_LIST ? x.count : 0);
    return tensor_argument(e, call, 0, &x) ? number_value(example_shape(x).rank) : poison();
}

static Value run_product(Elaborator *e, Call *call) {
    Value list = force(e, call->values[0]);
    Dim product = dim_const(1), size;
    if (list.kind != VALUE_LIST) {
        if (list.kind != VALUE_POISON)
            fail(e, call->spans[0], "`product` takes a list of numbers, but this is %s", value_text(e, list));
        return poison();
    }
    for (int i = 0; i < list.count; i++) {
        if (!to_size(e, list.items[i], call->spans[0], "an item", 0, &size)) return poison();
        if (dim_mul(product, size, &product)) continue;
        fail(e, call->spans[0], "the product of two run-time sizes is no size of an axis; keep them as axes of their own");
        return poison();
    }
    return size_value(product);
}

/* Sizes given one by one or as one list; a size of -1 is what is left for it. */
static bool reshape_sizes(Elaborator *e, Call *call, const Shape *from, Shape *shape) {
    Value list = call->count == 2 ? force(e, call->values[1]) : poison();
    if (list.kind != VALUE_LIST) list = list_value(e, call->values + 1, call->count - 1);
    int open = -1;
    *shape = (Shape){ .rank = list.count };
    if (list.count >= MAX_RANK) {
        fail(e, call->span, "a shape has at most %d axes", MAX_RANK - 1);
        return false;
    }
    for (int i = 0; i < list.count; i++) {
        Span span = call->spans[list.count == call->count - 1 ? i + 1 : 1];
        const Value size = force(e, list.items[i]);
        shape->dim[i] = dim_const(1);
        if (size.kind == VALUE_NUMBER && size.number == -1 && open < 0) open = i;
        else if (!to_size(e, size, span, "a size", 1, &shape->dim[i])) return false;
    }
    if (open >= 0 && !shape_rest(from, shape, &shape->dim[open])) shape->dim[open] = dim_const(1); /* which tensor_reshape refuses */
    return true;
}

static Value run_reshape(Elaborator *e, Call *call) {
    Value x;
    Shape shape;
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Shape from = example_shape(x);
    return reshape_sizes(e, call, &from, &shape) ? tensor_reshape(e, x, &shape, call->span) : poison();
}

static Value run_transpose(Elaborator *e, Call *call) {
    Value x;
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Shape shape = example_shape(x);
    uint8_t order[MAX_RANK] = { 0 };
    uint32_t seen = 0;
    Value list = given(call, 1) ? force(e, call->values[1]) : (Value){ .kind = VALUE_NONE };
    for (int i = 0; i < shape.rank; i++) {
        int axis = shape.rank - 1 - i;
        if (list.kind == VALUE_LIST && list.count == shape.rank && !resolve_axis(e, list.items[i], &shape, call->spans[1], &axis))
            return poison();
        order[i + x.batched] = (uint8_t)(axis + x.batched);
        seen |= 1u << axis;
    }
    if (seen == (1u << shape.rank) - 1 && (list.kind == VALUE_NONE || (list.kind == VALUE_LIST && list.count == shape.rank)))
        return tensor_value(graph_permute(graph_of(e), x.node, order), x.batched);
    fail(e, call->spans[1], "the order must name each of the %d axes once, as in [1, 0, 2]", shape.rank);
    return poison();
}

static Value run_concat(Elaborator *e, Call *call) {
    int count = call->count - 1;
    if (count < 1) {
        fail(e, call->span, "`concat` needs at least one value");
        return poison();
    }
    for (int i = 0; i < count; i++)
        if (!tensor_argument(e, call, i + 1, &call->values[i + 1])) return poison();
    return tensor_concat(e, call->values + 1, call->spans + 1, count, force(e, call->values[0]), call->span);
}

static Value part_of(Elaborator *e, Value x, int axis, Dim start, Dim size) {
    Dim starts[MAX_RANK] = { { 0 } }, sizes[MAX_RANK];
    int64_t steps[MAX_RANK];
    for (int i = 0; i < x.node->shape.rank; i++) sizes[i] = x.node->shape.dim[i], steps[i] = 1;
    starts[axis + x.batched] = start;
    sizes[axis + x.batched] = size;
    return tensor_value(graph_slice(graph_of(e), x.node, starts, sizes, steps), x.batched);
}

static Value run_split(Elaborator *e, Call *call) {
    Value x;
    int64_t count;
    Dim size;
    int axis;
    if (!tensor_argument(e, call, 0, &x) || !to_integer(e, call->values[1], call->spans[1], "a number of parts", 1, &count))
        return poison();
    Shape shape = example_shape(x);
    if (!axis_argument(e, call, 2, &shape, -1, &axis)) return poison();
    if (!dim_divide(shape.dim[axis], count, &size) || count > 256) {
        fail(e, call->span, "an axis of the size %s cannot be split into %lld equal parts",
             size_text(e->arena, &e->module->symbols, shape.dim[axis]), (long long)count);
        return poison();
    }
    Value *items = arena_alloc(e->arena, sizeof *items * (size_t)count);
    for (int64_t i = 0; i < count; i++) items[i] = part_of(e, x, axis, dim_scale(size, i), size);
    return count == 1 ? items[0] : (Value){ .kind = VALUE_TUPLE, .items = items, .count = (int)count };
}

static bool pad_amounts(Elaborator *e, const Call *call, int index, const Shape *shape, Dim *amounts) {
    const int rank = shape->rank;
    Value value = force(e, call->values[index]);
    if (value.kind == VALUE_LIST && value.count != rank) {
        fail(e, call->spans[index], "one amount for each of the %d axes is expected, but this is %s", rank, value_text(e, value));
        return false;
    }
    for (int i = 0; i < rank; i++) {
        Value amount = value.kind == VALUE_LIST ? value.items[i] : value;
        if (!to_size(e, amount, call->spans[index], "an amount of padding", 0, &amounts[i])) return false;
        if (dim_can_add(amounts[i], shape->dim[i])) continue;
        fail(e, call->spans[index], "an axis of the size %s cannot be padded by %s: sizes of two `dim`s do not add up to one",
             size_text(e->arena, &e->module->symbols, shape->dim[i]), size_text(e->arena, &e->module->symbols, amounts[i]));
        return false;
    }
    return true;
}

static Value run_pad(Elaborator *e, Call *call) {
    Value x;
    Dim low[MAX_RANK] = { { 0 } }, high[MAX_RANK] = { { 0 } };
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Shape shape = example_shape(x);
    if (!pad_amounts(e, call, 1, &shape, low + x.batched)) return poison();
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = dim_add(shape.dim[i], low[i + x.batched]);
    if (!pad_amounts(e, call, 2, &shape, high + x.batched)) return poison();
    return tensor_value(graph_pad(graph_of(e), x.node, low, high), x.batched);
}

static Value run_broadcast(Elaborator *e, Call *call) {
    Value x;
    Shape shape;
    if (!tensor_argument(e, call, 0, &x) || !shape_argument(e, call, 1, &shape)) return poison();
    Shape from = example_shape(x);
    bool fits = from.rank <= shape.rank;
    for (int i = 1; fits && i <= from.rank; i++) {
        Dim have = from.dim[from.rank - i], want = shape.dim[shape.rank - i];
        fits = dim_equal(have, want) || dim_equal(have, dim_const(1));
    }
    if (fits) return tensor_broadcast(e, x, &shape, x.batched, batch_of(x));
    fail(e, call->span, "%s cannot be broadcast to %s", sizes_text(e, &from), sizes_text(e, &shape));
    return poison();
}

static Value run_fill(Elaborator *e, Call *call) {
    Shape shape;
    double value;
    if (!shape_argument(e, call, 0, &shape) || !to_number(e, call->values[1], call->spans[1], "the value", &value))
        return poison();
    return tensor_value(graph_fill(graph_of(e), value, &shape), false);
}

static Value run_iota(Elaborator *e, Call *call) {
    Shape shape = { .rank = 1 };
    if (!to_size(e, call->values[0], call->spans[0], "a size", 1, &shape.dim[0])) return poison();
    return tensor_value(graph_iota(graph_of(e), &shape, 0), false);
}

/* ── labels ───────────────────────────────────────────────────────────────────────────────── */

static Value run_classes(Elaborator *e, Call *call) {
    Value label;
    if (!tensor_argument(e, call, 0, &label)) return poison();
    if (label.classes) return number_value((double)label.classes);
    fail(e, call->spans[0], "this is no class label, so its number of classes is not known; give it");
    return poison();
}

static Value run_gather(Elaborator *e, Call *call) {
    Value table, index;
    if (!tensor_argument(e, call, 0, &table) || !tensor_argument(e, call, 1, &index)) return poison();
    if (!table.batched && table.node->shape.rank > 0)
        return tensor_value(graph_gather(graph_of(e), table.node, index.node), index.batched);
    fail(e, call->spans[0], "a table is one for all examples and has at least one axis, but this is %s%s", value_text(e, table),
         table.batched ? " for each example" : "");
    return poison();
}

/* Sums the rows that the examples of the batch (and the axes of an example) give for each index: the adjoint of gather. */
static Value run_scatter(Elaborator *e, Call *call) {
    Value index, values;
    Dim rows;
    if (!tensor_argument(e, call, 0, &index) || !tensor_argument(e, call, 1, &values)) return poison();
    if (!to_size(e, call->values[2], call->spans[2], "a number of rows", 1, &rows)) return poison();
    bool fits = index.node->shape.rank <= values.node->shape.rank && index.batched == values.batched;
    for (int i = 0; fits && i < index.node->shape.rank; i++)
        fits = dim_equal(index.node->shape.dim[i], values.node->shape.dim[i]);
    if (!fits) {
        fail(e, call->span, "the values begin with the axes of the indexes, but here %s and %s", tensor_text(e, values),
             tensor_text(e, index));
        return poison();
    }
    return tensor_value(crossing(e, graph_scatter_add(graph_of(e), index.node, values.node, rows)), false);
}

/* All examples of the batch as one value for all of them, with the batch as its first axis. */
static Value run_examples(Elaborator *e, Call *call) {
    Value x;
    if (!tensor_argument(e, call, 0, &x)) return poison();
    if (!x.batched || x.node->shape.rank + 1 > MAX_RANK) {
        fail(e, call->spans[0], "`examples` takes a value that differs between examples");
        return poison();
    }
    return tensor_value(crossing(e, x.node), false);
}

/* The position of each example in the batch, from 0. */
static Value run_example_index(Elaborator *e, Call *call) {
    Value x;
    if (!tensor_argument(e, call, 0, &x)) return poison();
    Shape shape = { .rank = 1, .dim = { batch_of(x) } };
    return tensor_value(graph_iota(graph_of(e), &shape, 0), true);
}

/* ── draws ────────────────────────────────────────────────────────────────────────────────── */

/* One draw an example; for the shape of a value that holds several batches, one for each of its examples. */
static Value draw(Elaborator *e, Call *call, Distribution distribution) {
    Shape shape;
    Value list = force(e, call->values[0]);
    if (!to_shape(e, list, call->spans[0], &shape)) return poison();
    bool batched = !e->building->initial;
    Shape full = shape;
    if (batched) {
        full.rank++;
        memcpy(full.dim + 1, shape.dim, sizeof *shape.dim * (size_t)shape.rank);
        full.dim[0] = dim_batch(list.batch_scale ? list.batch_scale : 1);
    }
    return tensor_value(draw_in_scan(e, &full, distribution), batched);
}

static Value run_random_uniform(Elaborator *e, Call *call) { return draw(e, call, DRAW_UNIFORM); }

static Value run_random_normal(Elaborator *e, Call *call) { return draw(e, call, DRAW_NORMAL); }

static Value run_random_orthogonal(Elaborator *e, Call *call) {
    Value list = force(e, call->values[0]);
    if (e->building->initial && (list.kind != VALUE_LIST || list.count >= 2)) return draw(e, call, DRAW_ORTHOGONAL);
    fail(e, call->span, "an orthogonal matrix is drawn only as the initial value of a parameter with two axes or more");
    return poison();
}

/* ── parameters, gradients ────────────────────────────────────────────────────────────────── */

static Value run_param(Elaborator *e, Call *call) {
    Shape shape;
    if (!shape_argument(e, call, 0, &shape)) return poison();
    if (!call->hint.text) {
        fail(e, call->span, "a parameter needs a name: `name = param(...)`");
        return poison();
    }
    if (!e->activation || !place_is_of_net(e->activation->place)) {
        fail(e, call->span,
             "a parameter belongs to a net, and this is called outside of one; put it into a `net`, or declare a top-level "
             "`param`");
        return poison();
    }
    Tensor *tensor = place_tensor(e, e->activation->place, TENSOR_PARAM, call->hint, &shape, call->values[1], call->span);
    return tensor ? tensor_value(latest(e, tensor), false) : poison();
}

/* The net, to be called with the running averages that an `average` statement keeps of its parameters. */
static Value run_averaged(Elaborator *e, Call *call) {
    Value net = call->values[0];
    TensorList tensors = { 0 };
    bool kept = false;
    if (net.kind != VALUE_FUNCTION || !net.callable->decl || net.callable->decl->kind != DECL_NET) {
        fail(e, call->spans[0], "`averaged` takes a net, but this is %s", value_text(e, net));
        return poison();
    }
    place_collect(e, place_net(e, net.callable), &tensors);
    for (int i = 0; i < tensors.count; i++) kept |= average_of(e, tensors.items[i]) != NULL;
    if (!kept) {
        fail(e, call->span, "no average of `%s` is kept; add `average %s using 0.999` to a train", net.callable->name,
             net.callable->name);
        return poison();
    }
    Callable *callable = NEW(e->arena, Callable);
    *callable = *net.callable;
    callable->averaged = true;
    return (Value){ .kind = VALUE_FUNCTION, .callable = callable };
}

/* d sum(y) / dx, the sum over the batch. */
static Value run_grad(Elaborator *e, Call *call) {
    Value y, x;
    if (!tensor_argument(e, call, 0, &y) || !tensor_argument(e, call, 1, &x)) return poison();
    Shape shape = example_shape(y);
    if (shape.rank) {
        fail(e, call->spans[0], "`grad` takes a scalar for each example, but this is %s; take its `sum`",
             sizes_text(e, &shape));
        return poison();
    }
    Node *simple = simplify_node(graph_of(e), y.node, &x.node, 1), *derivative;
    differentiate(graph_of(e), graph_sum(graph_of(e), simple, y.batched), &x.node, 1, &derivative);
    double zero;
    if (node_is_uniform(derivative, &zero) && x.node != y.node)
        warning_at(e->context, call->span,
                   "this gradient is constant: the value does not depend on what it is differentiated by");
    return tensor_value(derivative, x.batched);
}

/* ── the table ────────────────────────────────────────────────────────────────────────────── */

#define ELEMENTWISE(text, op)                                                                                                    \
    { text, "x", run_elementwise, op }
#define FUNCTION(text, formals, run)                                                                                             \
    { text, formals, run, OP_CONST }

const Builtin builtins[] = {
    ELEMENTWISE("exp", OP_EXP),
    ELEMENTWISE("log", OP_LOG),
    ELEMENTWISE("sqrt", OP_SQRT),
    ELEMENTWISE("tanh", OP_TANH),
    ELEMENTWISE("sigmoid", OP_SIGMOID),
    ELEMENTWISE("softplus", OP_SOFTPLUS),
    ELEMENTWISE("erf", OP_ERF),
    ELEMENTWISE("sin", OP_SIN),
    ELEMENTWISE("cos", OP_COS),
    ELEMENTWISE("abs", OP_ABS),
    ELEMENTWISE("sign", OP_SIGN),
    ELEMENTWISE("floor", OP_FLOOR),
    ELEMENTWISE("round", OP_ROUND),
    FUNCTION("max", "a, b?, axis?, keep?", run_max),
    FUNCTION("min", "a, b?, axis?, keep?", run_min),
    FUNCTION("clamp", "x, low, high", run_clamp),
    FUNCTION("stop", "x", run_stop),
    FUNCTION("sum", "x, axis?, keep?", run_sum),
    FUNCTION("argmax", "x, axis?", run_argmax),
    FUNCTION("size", "x, axis?", run_size),
    FUNCTION("shape", "x", run_shape),
    FUNCTION("rank", "x", run_rank),
    FUNCTION("product", "list", run_product),
    FUNCTION("reshape", "x, ...", run_reshape),
    FUNCTION("transpose", "x, order?", run_transpose),
    FUNCTION("concat", "..., axis?", run_concat),
    FUNCTION("split", "x, count, axis?", run_split),
    FUNCTION("pad", "x, low, high", run_pad),
    FUNCTION("broadcast", "x, shape", run_broadcast),
    FUNCTION("fill", "shape, value", run_fill),
    FUNCTION("iota", "size", run_iota),
    FUNCTION("classes", "label", run_classes),
    FUNCTION("gather", "table, index", run_gather),
    FUNCTION("conv", "x, kernel, strides?, low?, high?, spread?, dilation?", run_conv),
    FUNCTION("windows", "x, size, strides?, low?, high?", run_windows),
    FUNCTION("scatter", "index, values, rows", run_scatter),
    FUNCTION("examples", "x", run_examples),
    FUNCTION("example_index", "x", run_example_index),
    FUNCTION("random_uniform", "shape", run_random_uniform),
    FUNCTION("random_normal", "shape", run_random_normal),
    FUNCTION("random_orthogonal", "shape", run_random_orthogonal),
    FUNCTION("param", "shape, initial", run_param),
    FUNCTION("averaged", "net", run_averaged),
    FUNCTION("grad", "y, x", run_grad),
};

const int builtin_count = sizeof builtins / sizeof *builtins;

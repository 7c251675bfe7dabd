/* Expressions. Numbers are computed here; tensors become nodes of the graph being built. */
#include "elaborate.h"

#include <math.h>
#include <string.h>

/* ── values ───────────────────────────────────────────────────────────────────────────────── */

Value poison(void) { return (Value){ .kind = VALUE_POISON }; }

Value number_value(double number) {
    return (Value){ .kind = VALUE_NUMBER, .number = number, .integer = number == floor(number) && fabs(number) < 9e15 };
}

Value tensor_value(Node *node, bool batched) { return (Value){ .kind = VALUE_TENSOR, .node = node, .batched = batched }; }

Value list_value(Elaborator *e, const Value *items, int count) {
    Value *copy = arena_alloc(e->arena, sizeof *copy * (size_t)(count ? count : 1));
    if (count) memcpy(copy, items, sizeof *copy * (size_t)count);
    return (Value){ .kind = VALUE_LIST, .items = copy, .count = count };
}

static const char *list_text(Elaborator *e, Value list) {
    Text text = { .arena = e->arena };
    text_add(&text, "the list [");
    for (int i = 0; i < list.count; i++) text_add(&text, "%s%s", i ? ", " : "", value_text(e, list.items[i]));
    text_add(&text, "]");
    return text.bytes;
}

const char *value_text(Elaborator *e, Value value) {
    switch (value.kind) {
    case VALUE_NUMBER: return arena_printf(e->arena, "%.10g", value.number);
    case VALUE_SIZE: return size_text(e->arena, &e->module->symbols, value.dim);
    case VALUE_TENSOR: return tensor_text(e, value);
    case VALUE_STATE: return sizes_text(e, &value.tensor->shape);
    case VALUE_LIST: return list_text(e, value);
    case VALUE_TUPLE: return arena_printf(e->arena, "%d values", value.count);
    case VALUE_FUNCTION: return arena_printf(e->arena, "the function `%s`", value.callable->name);
    case VALUE_PLACE: return arena_printf(e->arena, "the layer `%s`", value.place->path);
    case VALUE_BATCH: return "the batch axis";
    case VALUE_ALL: return "the word `all`";
    case VALUE_THUNK: return value_text(e, force(e, value));
    default: return "nothing";
    }
}

Value force(Elaborator *e, Value value) {
    if (value.kind == VALUE_STATE) return tensor_value(latest(e, value.tensor), false);
    if (value.kind != VALUE_THUNK) return value;
    Thunk *thunk = value.thunk;
    if (thunk->value) return force(e, *thunk->value);
    const Expr *callee = thunk->expr->kind == EXPR_CALL ? thunk->expr->call.callee : NULL;
    bool makes_tensor = callee && callee->kind == EXPR_NAME && strcmp(callee->name, "param") == 0;
    Activation *outer = e->activation;
    if (!makes_tensor) e->activation = thunk->activation;
    Value result = evaluate(e, thunk->scope, thunk->expr, makes_tensor ? thunk->hint : no_name);
    e->activation = outer;
    thunk->value = NEW(e->arena, Value);
    *thunk->value = result;
    return result;
}

bool to_number(Elaborator *e, Value value, Span span, const char *what, double *number) {
    value = force(e, value);
    if (value.kind == VALUE_NUMBER) {
        *number = value.number;
        return true;
    }
    if (value.kind != VALUE_POISON)
        fail(e, span, "%s must be a number known at compile time, but this is %s%s", what, value_text(e, value),
             value.kind == VALUE_SIZE ? ", which is known only at run time" : "");
    return false;
}

bool to_integer(Elaborator *e, Value value, Span span, const char *what, int64_t low, int64_t *number) {
    double real;
    if (!to_number(e, value, span, what, &real)) return false;
    if (real == floor(real) && real >= (double)low && real <= 2147483647) {
        *number = (int64_t)real;
        return true;
    }
    fail(e, span, "%s must be a whole number from %lld to 2147483647, but this is %.10g", what, (long long)low, real);
    return false;
}

bool to_tensor(Elaborator *e, Value value, Span span, Value *tensor) {
    value = force(e, value);
    *tensor = value;
    if (value.kind == VALUE_TENSOR) return true;
    if (value.kind == VALUE_NUMBER) {
        *tensor = tensor_value(graph_const(graph_of(e), value.number), false);
        return true;
    }
    if (value.kind == VALUE_SIZE) {
        *tensor = tensor_value(graph_size(graph_of(e), value.dim), false);
        return true;
    }
    if (value.kind == VALUE_FUNCTION)
        fail(e, span, "`%s` is a function; call it: `%s(...)`", value.callable->name, value.callable->name);
    else if (value.kind == VALUE_TUPLE)
        fail(e, span, "this is %d values, where one is expected; name them: `a, b = ...`", value.count);
    else if (value.kind != VALUE_POISON) fail(e, span, "a tensor or number is expected, but this is %s", value_text(e, value));
    return false;
}

bool to_shape(Elaborator *e, Value list, Span span, Shape *shape) {
    list = force(e, list);
    *shape = (Shape){ 0 };
    if (list.kind == VALUE_POISON) return false;
    if (list.kind != VALUE_LIST) {
        fail(e, span, "a shape is a list such as [28, 28], but this is %s", value_text(e, list));
        return false;
    }
    if (list.count >= MAX_RANK) {
        fail(e, span, "a shape has at most %d axes, but this has %d", MAX_RANK - 1, list.count);
        return false;
    }
    for (int i = 0; i < list.count; i++) {
        if (!to_size(e, list.items[i], span, "a size", 1, &shape->dim[shape->rank++])) return false;
    }
    return true;
}

/* ── names and paths ──────────────────────────────────────────────────────────────────────── */

static Place *place_of_name(Elaborator *e, Scope *scope, Expr *object) {
    Value value = object->kind == EXPR_NAME ? lookup(e, scope, object->name, object->span) : evaluate_callee(e, scope, object);
    if (value.kind == VALUE_PLACE) return value.place;
    if (value.kind == VALUE_FUNCTION && value.callable->decl && value.callable->decl->kind == DECL_NET)
        return place_net(e, value.callable);
    if (object->kind == EXPR_NAME && e->activation && value.kind == VALUE_TENSOR)
        for (int i = 0; i < e->activation->place->places.count; i++)
            if (strcmp(e->activation->place->places.items[i]->name, object->name) == 0)
                return e->activation->place->places.items[i];
    if (value.kind != VALUE_POISON)
        fail(e, object->span, "only a net or a layer in it has named parts, but this is %s", value_text(e, force(e, value)));
    return NULL;
}

static Value evaluate_member(Elaborator *e, Scope *scope, Expr *expr) {
    Place *place = place_of_name(e, scope, expr->member.object);
    if (!place) return poison();
    if (place->broken) return poison();
    return place_member(e, place, expr->member.name);
}

/* What is called is a function: a local value that is none, such as `mean` of `mean, log_var = encoder(x)`, does not hide
 * the function of its name. */
static Value lookup_function(Elaborator *e, Scope *scope, const char *name, Span span) {
    Binding *binding = scope_find(scope, name);
    if (!binding || binding->value.kind == VALUE_FUNCTION || binding->value.kind == VALUE_THUNK)
        return lookup(e, scope, name, span);
    Scope *outermost = scope;
    while (outermost->outer) outermost = outermost->outer;
    Global *global = globals_find(outermost->globals, name);
    return global ? lookup(e, outermost, name, span) : lookup(e, scope, name, span);
}

Value evaluate_callee(Elaborator *e, Scope *scope, Expr *expr) {
    if (expr->kind == EXPR_NAME) return lookup_function(e, scope, expr->name, expr->span);
    if (expr->kind == EXPR_MEMBER) return evaluate_member(e, scope, expr);
    return evaluate(e, scope, expr, no_name);
}

Value evaluate_argument(Elaborator *e, Scope *scope, Expr *expr, Name hint) {
    if (expr->kind == EXPR_NAME) {
        Value value = lookup(e, scope, expr->name, expr->span);
        return value.kind == VALUE_STATE ? force(e, value) : value;
    }
    if (expr->kind != EXPR_CALL) return evaluate(e, scope, expr, hint);
    Thunk *thunk = NEW(e->arena, Thunk);
    *thunk = (Thunk){ .expr = expr, .scope = scope, .activation = e->activation, .hint = hint };
    return (Value){ .kind = VALUE_THUNK, .thunk = thunk };
}

Value evaluate_later(Elaborator *e, Scope *scope, Expr *expr) {
    Thunk *thunk = NEW(e->arena, Thunk);
    *thunk = (Thunk){ .expr = expr, .scope = scope, .activation = e->activation, .is_value = true };
    return (Value){ .kind = VALUE_THUNK, .thunk = thunk };
}

/* ── pipes ────────────────────────────────────────────────────────────────────────────────── */

static Value evaluate_stage(Elaborator *e, Scope *scope, Expr *stage, Value left, Span left_span, Name hint);

static Value evaluate_repeat(Elaborator *e, Scope *scope, Expr *repeat, Value left, Span left_span) {
    int64_t count;
    if (!to_integer(e, evaluate(e, scope, repeat->repeat.count, no_name), repeat->repeat.count->span, "a number of repetitions",
                    0, &count))
        return poison();
    if (count > 1000) {
        fail(e, repeat->repeat.count->span, "more than 1000 repetitions");
        return poison();
    }
    for (int64_t i = 0; i < count && left.kind != VALUE_POISON; i++)
        left = evaluate_stage(e, scope, repeat->repeat.stage, left, left_span, no_name);
    return left;
}

/* The name for a layer, where it is new in its scope; where it is not, evaluate_named complains. */
static Name fresh_name(const Scope *scope, Name name) { return scope_find_here(scope, name.text) ? no_name : name; }

static Value evaluate_named(Elaborator *e, Scope *scope, Name name, Value value) {
    label(e, value, name);
    scope_bind(e, scope, name, value);
    return value;
}

/* A stage that is not reached because of an earlier mistake: its names are looked up all the same. */
static Value check_names(Elaborator *e, Scope *scope, Expr *stage) {
    if (stage->kind != EXPR_CALL && stage->kind != EXPR_NAME) return poison();
    evaluate_callee(e, scope, stage->kind == EXPR_CALL ? stage->call.callee : stage);
    for (int i = 0; stage->kind == EXPR_CALL && i < stage->call.arguments.count; i++)
        check_names(e, scope, stage->call.arguments.items[i].value);
    return poison();
}

/* `left |> stage`. What is piped in may itself be a pipe in parentheses: `(a |> b)` as a stage is both in turn. */
static Value evaluate_stage(Elaborator *e, Scope *scope, Expr *stage, Value left, Span left_span, Name hint) {
    Given given = { .first = &left, .first_span = left_span };
    switch (stage->kind) {
    case EXPR_NAMED:
        return evaluate_named(
            e, scope, stage->named.name,
            evaluate_stage(e, scope, stage->named.stage, left, left_span, fresh_name(scope, stage->named.name)));
    case EXPR_REPEAT: return evaluate_repeat(e, scope, stage, left, left_span);
    case EXPR_PIPE:
        left = evaluate_stage(e, scope, stage->pipe.left, left, left_span, no_name);
        return evaluate_stage(e, scope, stage->pipe.right, left, stage->pipe.left->span, hint);
    case EXPR_CALL:
        given.items = stage->call.arguments.items, given.count = stage->call.arguments.count;
        if (left.kind == VALUE_POISON) return check_names(e, scope, stage);
        return apply(e, evaluate_callee(e, scope, stage->call.callee), scope, given, stage->span, hint);
    case EXPR_NAME:
    case EXPR_MEMBER:
        if (left.kind == VALUE_POISON) return check_names(e, scope, stage);
        return apply(e, evaluate_callee(e, scope, stage), scope, given, stage->span, hint);
    default:
        if (stage->kind != EXPR_ERROR) fail(e, stage->span, "a value is piped into a function or layer, and this is none");
        return poison();
    }
}

/* ── operators ────────────────────────────────────────────────────────────────────────────── */

static Value number_binary(Operator op, double a, double b) {
    switch (op) {
    case OPERATOR_ADD: return number_value(a + b);
    case OPERATOR_SUB: return number_value(a - b);
    case OPERATOR_MUL: return number_value(a * b);
    case OPERATOR_DIV: return number_value(a / b);
    case OPERATOR_POW: return number_value(pow(a, b));
    case OPERATOR_EQ: return number_value(a == b);
    case OPERATOR_NE: return number_value(a != b);
    case OPERATOR_LT: return number_value(a < b);
    case OPERATOR_LE: return number_value(a <= b);
    case OPERATOR_GT: return number_value(a > b);
    default: return number_value(a >= b);
    }
}

/* Lists are joined by `+`: shape(x)[0:-1] + [1]. */
static Value join_lists(Elaborator *e, Value a, Value b) {
    Value *items = arena_alloc(e->arena, sizeof *items * (size_t)(a.count + b.count + 1));
    if (a.count) memcpy(items, a.items, sizeof *items * (size_t)a.count);
    if (b.count) memcpy(items + a.count, b.items, sizeof *items * (size_t)b.count);
    return (Value){ .kind = VALUE_LIST, .items = items, .count = a.count + b.count, .batch_scale = a.batch_scale };
}

static Value evaluate_binary(Elaborator *e, Scope *scope, Expr *expr) {
    Expr *left = expr->binary.left, *right = expr->binary.right;
    Value a = evaluate(e, scope, left, no_name), b = evaluate(e, scope, right, no_name), result;
    if (a.kind == VALUE_POISON || b.kind == VALUE_POISON) return poison();
    bool numbers = a.kind == VALUE_NUMBER && b.kind == VALUE_NUMBER;
    if (expr->binary.op == OPERATOR_ADD && a.kind == VALUE_LIST && b.kind == VALUE_LIST) return join_lists(e, a, b);
    if (numbers && expr->binary.op == OPERATOR_DIV && b.number == 0) {
        fail(e, expr->span, "division by zero");
        return poison();
    }
    if (numbers && expr->binary.op != OPERATOR_MATMUL) return number_binary(expr->binary.op, a.number, b.number);
    if (size_binary(e, expr->binary.op, a, b, &result)) return result;
    if (!to_tensor(e, a, left->span, &a) || !to_tensor(e, b, right->span, &b)) return poison();
    locate(e, expr->span);
    if (expr->binary.op == OPERATOR_MATMUL) return tensor_matmul(e, a, b, expr->span);
    return tensor_binary(e, expr->binary.op, a, b, expr->span);
}

static Value evaluate_unary(Elaborator *e, Scope *scope, Expr *expr) {
    bool negate = expr->binary.op == OPERATOR_NEGATE;
    Value x = evaluate(e, scope, expr->binary.left, no_name);
    if (x.kind == VALUE_NUMBER) return number_value(negate ? -x.number : x.number == 0);
    if (x.kind == VALUE_SIZE && negate) return size_value(dim_scale(x.dim, -1));
    if (!to_tensor(e, x, expr->binary.left->span, &x)) return poison();
    locate(e, expr->span);
    if (negate) return tensor_unary(e, OP_NEG, x);
    return tensor_binary(e, OPERATOR_EQ, x, tensor_value(graph_const(graph_of(e), 0), false), expr->span);
}

/* A condition that is known now keeps one arm, and the other is not looked at. */
static Value evaluate_conditional(Elaborator *e, Scope *scope, Expr *expr, Name hint) {
    Value condition = evaluate(e, scope, expr->conditional.condition, no_name), yes, no;
    if (condition.kind == VALUE_POISON) return poison();
    if (condition.kind == VALUE_NUMBER)
        return evaluate(e, scope, condition.number != 0 ? expr->conditional.yes : expr->conditional.no, hint);
    if (!to_tensor(e, condition, expr->conditional.condition->span, &condition)) return poison();
    if (!to_tensor(e, evaluate(e, scope, expr->conditional.yes, no_name), expr->conditional.yes->span, &yes)) return poison();
    if (!to_tensor(e, evaluate(e, scope, expr->conditional.no, no_name), expr->conditional.no->span, &no)) return poison();
    locate(e, expr->span);
    return tensor_select(e, condition, yes, no, expr->span);
}

/* ── lists and indexes ────────────────────────────────────────────────────────────────────── */

static Value evaluate_list(Elaborator *e, Scope *scope, Expr *expr) {
    Value *items = arena_alloc(e->arena, sizeof *items * (size_t)(expr->list.count + 1));
    for (int i = 0; i < expr->list.count; i++) {
        if (expr->list.items[i]->kind == EXPR_ELLIPSIS) {
            fail(e, expr->list.items[i]->span, "`...` stands only in the declared shape of an argument and in an index");
            return poison();
        }
        items[i] = evaluate(e, scope, expr->list.items[i], no_name);
        if (items[i].kind == VALUE_POISON) return poison();
    }
    return (Value){ .kind = VALUE_LIST, .items = items, .count = expr->list.count };
}

static bool list_bound(Elaborator *e, Scope *scope, Expr *expr, int count, int64_t otherwise, int64_t *bound) {
    double number;
    *bound = otherwise;
    if (!expr) return true;
    if (!to_number(e, evaluate(e, scope, expr, no_name), expr->span, "an index", &number)) return false;
    *bound = (int64_t)number < 0 ? (int64_t)number + count : (int64_t)number;
    return true;
}

static Value index_list(Elaborator *e, Scope *scope, Value list, const SliceList *slices, Span span) {
    int64_t start, stop;
    if (slices->count != 1 || slices->items[0].ellipsis || slices->items[0].step) {
        fail(e, span, "a list is indexed by one number, or by start:stop");
        return poison();
    }
    const Slice *slice = &slices->items[0];
    if (!list_bound(e, scope, slice->start, list.count, 0, &start) ||
        !list_bound(e, scope, slice->stop, list.count, list.count, &stop))
        return poison();
    if (slice->single && start >= 0 && start < list.count) return list.items[start];
    if (slice->single) {
        fail(e, span, "the list has %d items, and no item %lld", list.count, (long long)start);
        return poison();
    }
    start = start < 0 ? 0 : start > list.count ? list.count : start;
    stop = stop < start ? start : stop > list.count ? list.count : stop;
    Value part = list_value(e, list.items + start, (int)(stop - start));
    part.batch_scale = list.batch_scale;
    return part;
}

static Value evaluate_index(Elaborator *e, Scope *scope, Expr *expr) {
    Value object = evaluate(e, scope, expr->index.object, no_name);
    if (object.kind == VALUE_LIST) return index_list(e, scope, object, &expr->index.slices, expr->span);
    if (!to_tensor(e, object, expr->index.object->span, &object)) return poison();
    locate(e, expr->span);
    return tensor_index(e, scope, object, &expr->index.slices, expr->span);
}

/* ── all of them ──────────────────────────────────────────────────────────────────────────── */

Value evaluate(Elaborator *e, Scope *scope, Expr *expr, Name hint) {
    switch (expr->kind) {
    case EXPR_NUMBER: return number_value(expr->number.value);
    case EXPR_NAME: return force(e, lookup(e, scope, expr->name, expr->span));
    case EXPR_MEMBER: return force(e, evaluate_member(e, scope, expr));
    case EXPR_CALL: {
        Given given = { .items = expr->call.arguments.items, .count = expr->call.arguments.count };
        return apply(e, evaluate_callee(e, scope, expr->call.callee), scope, given, expr->span, hint);
    }
    case EXPR_INDEX: return evaluate_index(e, scope, expr);
    case EXPR_UNARY: return evaluate_unary(e, scope, expr);
    case EXPR_BINARY: return evaluate_binary(e, scope, expr);
    case EXPR_CONDITIONAL: return evaluate_conditional(e, scope, expr, hint);
    case EXPR_LIST: return evaluate_list(e, scope, expr);
    case EXPR_PIPE: {
        Value left = evaluate(e, scope, expr->pipe.left, no_name);
        return evaluate_stage(e, scope, expr->pipe.right, left, expr->pipe.left->span, hint);
    }
    case EXPR_NAMED:
        return evaluate_named(e, scope, expr->named.name,
                              evaluate(e, scope, expr->named.stage, fresh_name(scope, expr->named.name)));
    case EXPR_ELLIPSIS:
    case EXPR_REPEAT:
        fail(e, expr->span, expr->kind == EXPR_REPEAT ? "`repeat` stands after `|>`" : "`...` stands only in shapes and indexes");
        return poison();
    default: return poison();
    }
}

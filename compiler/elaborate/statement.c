/* Statements of the bodies of functions, layers, nets and optimizers, and those that a `train` shares with them. */
#include "elaborate.h"

void label(Elaborator *e, Value value, Name name) {
    if (value.kind != VALUE_TENSOR || value.node->arity == 0) return;
    if (!value.node->label || !in_prelude(e, name.span)) value.node->label = name.text;
}

static bool run_bind(Elaborator *e, Scope *scope, const Stmt *stmt) {
    const NameList *names = &stmt->names;
    bool fresh = names->count == 1 && !scope_find_here(scope, names->items[0].text); /* else scope_bind complains */
    Value value = evaluate(e, scope, stmt->values.items[0], fresh ? names->items[0] : no_name);
    int count = value.kind == VALUE_TUPLE ? value.count : 1;
    if (value.kind != VALUE_POISON && count != names->count) {
        if (names->count == 1) fail(e, stmt->values.items[0]->span, "this is %d values; name them all: `a, b = ...`", count);
        else fail(e, names->items[0].span, "%d names for %d value%s", names->count, count, count == 1 ? "" : "s");
        value = poison();
    }
    for (int i = 0; i < names->count; i++) {
        Value item = value.kind == VALUE_TUPLE ? value.items[i] : value;
        label(e, item, names->items[i]);
        scope_bind(e, scope, names->items[i], item);
    }
    return false;
}

/* The tensor that `name <- ...` writes: a state in scope. */
static Tensor *target_of(Elaborator *e, Scope *scope, Name name) {
    Binding *binding = scope_find(scope, name.text);
    if (binding && binding->value.kind == VALUE_STATE) return binding->value.tensor;
    if (binding && binding->value.kind == VALUE_POISON) return NULL;
    if (e->building->scan)
        fail(e, name.span, "`<-` gives a new value to what a scan carries, and `%s` is not carried; add it: `with %s = ...`", name.text,
             name.text);
    else fail(e, name.span, "`<-` updates a state, and `%s` is none; declare it with `state %s: [...] = 0`", name.text, name.text);
    return NULL;
}

static void run_assign(Elaborator *e, Scope *scope, const Stmt *stmt) {
    if (assign_carried(e, scope, stmt->names.items[0], stmt->values.items[0])) return;
    Tensor *target = target_of(e, scope, stmt->names.items[0]);
    if (!target || !outside_scan(e, stmt->span, "a state is updated") || (!e->building->training && target->role == TENSOR_STATE)) return;
    Span span = stmt->values.items[0]->span;
    Value value;
    if (!to_tensor(e, evaluate(e, scope, stmt->values.items[0], no_name), span, &value)) return;
    Shape shape = example_shape(value);
    if (value.batched) {
        fail(e, span, "`%s` is one for all examples, but this has a value for each; take a `batch_mean` or `batch_sum`",
             stmt->names.items[0].text);
    } else if (shape.rank && !shape_equal(&shape, &target->shape)) {
        fail(e, span, "`%s` has shape %s, but this is %s", stmt->names.items[0].text, sizes_text(e, &target->shape),
             sizes_text(e, &shape));
    } else {
        assign(e, target, tensor_broadcast(e, value, &target->shape, false, dim_batch(1)).node, stmt->span);
    }
}

static void run_state(Elaborator *e, Scope *scope, const Stmt *stmt) {
    Name name = stmt->names.items[0];
    Shape shape = { 0 };
    Tensor *tensor = NULL;
    if (!e->activation) fail(e, stmt->span, "a state belongs to a net; this is called outside of one");
    else if (!stmt->shape) fail(e, name.span, "the state `%s` needs a shape: `state %s: [...] = 0`", name.text, name.text);
    else if (to_shape(e, evaluate(e, scope, stmt->shape, no_name), stmt->shape->span, &shape))
        tensor = place_tensor(e, e->activation->place, TENSOR_STATE, name, &shape,
                              evaluate_later(e, scope, stmt->values.items[0]), name.span);
    scope_bind(e, scope, name, tensor ? (Value){ .kind = VALUE_STATE, .tensor = tensor } : poison());
}

static bool run_return(Elaborator *e, Scope *scope, const Stmt *stmt, Value *result) {
    int count = stmt->values.count;
    Value *items = arena_alloc(e->arena, sizeof *items * (size_t)count);
    *result = poison();
    bool good = true;
    for (int i = 0; i < count; i++) {
        items[i] = evaluate(e, scope, stmt->values.items[i], no_name);
        good &= items[i].kind != VALUE_POISON;
    }
    if (good && count == 1) *result = items[0];
    else if (good) *result = (Value){ .kind = VALUE_TUPLE, .items = items, .count = count };
    return true;
}

static void run_add_loss(Elaborator *e, Scope *scope, const Stmt *stmt) {
    if (!outside_scan(e, stmt->span, "losses are added")) return;
    if (!e->building->training) return;
    Value value;
    Span span = stmt->values.items[0]->span;
    if (!to_tensor(e, evaluate(e, scope, stmt->values.items[0], no_name), span, &value)) return;
    Shape shape = example_shape(value);
    if (shape.rank) {
        fail(e, span, "a loss is a scalar for each example, but this is %s; take its `sum` or `mean`",
             sizes_text(e, &shape));
        return;
    }
    LIST_PUSH(e->arena, &e->building->losses, ((AddedLoss){ .value = value.node, .span = stmt->span }));
}

bool run_statement(Elaborator *e, Scope *scope, const Stmt *stmt, Value *result) {
    switch (stmt->kind) {
    case STMT_BIND: return run_bind(e, scope, stmt);
    case STMT_ASSIGN: run_assign(e, scope, stmt); return false;
    case STMT_STATE: run_state(e, scope, stmt); return false;
    case STMT_RETURN: return run_return(e, scope, stmt, result);
    case STMT_ADD_LOSS: run_add_loss(e, scope, stmt); return false;
    case STMT_SCAN: run_scan(e, scope, stmt, result); return false;
    case STMT_COLLECT: run_collect(e, scope, stmt); return false;
    default:
        fail(e, stmt->span, is_scan_body(e, scope) ? "this belongs to a `train`, behind its scans" : "this statement belongs in a `train`");
        return false;
    }
}

/* A body that ends with a scan whose sequences have no names has them as its result; but not the body of another scan. */
static bool gives_sequences(Elaborator *e, const Scope *scope, const StmtList *body, int i, const Value *result) {
    const bool last = i + 1 == body->count && body->items[i]->kind == STMT_SCAN && !body->items[i]->names.count;
    return last && result->kind != VALUE_POISON && !is_scan_body(e, scope);
}

bool run_statements(Elaborator *e, Scope *scope, const StmtList *body, Value *result) {
    for (int i = 0; i < body->count; i++) {
        if (!run_statement(e, scope, body->items[i], result) && !gives_sequences(e, scope, body, i, result)) continue;
        if (i + 1 < body->count) fail(e, body->items[i + 1]->span, "nothing after `return` is ever reached");
        return true;
    }
    return false;
}

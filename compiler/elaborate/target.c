/* What statements name whose parameters they change; and `clip` and `average`, which follow the updates of a phase. */
#include "elaborate.h"

bool collect_target(Elaborator *e, Scope *scope, Expr *target, TensorList *tensors) {
    Value value = evaluate_callee(e, scope, target);
    int before = tensors->count;
    if (value.kind == VALUE_POISON) return false;
    if (value.kind == VALUE_STATE && value.tensor->role == TENSOR_PARAM) LIST_PUSH(e->arena, tensors, value.tensor);
    else if (value.kind == VALUE_PLACE) place_collect(e, value.place, tensors);
    else if (value.kind == VALUE_FUNCTION && value.callable->decl && value.callable->decl->kind == DECL_NET)
        place_collect(e, place_net(e, value.callable), tensors);
    else {
        fail(e, target->span, "a net, a layer of a net or a parameter is expected here, but this is %s", value_text(e, value));
        return false;
    }
    if (tensors->count == before) fail(e, target->span, "this has no parameters of its own; a `param` declared outside is named by itself");
    return tensors->count > before;
}

void run_clip(Elaborator *e, Scope *scope, const Stmt *stmt) {
    double low, high;
    if (!to_number(e, evaluate(e, scope, stmt->low, no_name), stmt->low->span, "a bound", &low)) return;
    if (!to_number(e, evaluate(e, scope, stmt->high, no_name), stmt->high->span, "a bound", &high)) return;
    if (low >= high) fail(e, stmt->low->span, "the lower bound %g is not below the upper, %g", low, high);
    for (int t = 0; t < stmt->values.count; t++) {
        TensorList tensors = { 0 };
        if (!collect_target(e, scope, stmt->values.items[t], &tensors)) continue;
        for (int i = 0; i < tensors.count; i++) {
            Graph *g = graph_of(e);
            Node *x = latest(e, tensors.items[i]), *lows = graph_fill(g, low, &x->shape), *highs = graph_fill(g, high, &x->shape);
            Node *upper = graph_select(g, graph_binary(g, OP_LT, highs, x), highs, x);
            assign(e, tensors.items[i], graph_select(g, graph_binary(g, OP_LT, x, lows), lows, upper), stmt->span);
        }
    }
}

/* average <- decay * average + (1 - decay) * value, for each parameter. */
static void average_tensor(Elaborator *e, const char *stage, Tensor *tensor, Value decay, Value rest, Span span) {
    Tensor *average = place_follower(e, arena_printf(e->arena, "%s.average/%s", stage, tensor->name), tensor, span);
    Value old = tensor_binary(e, OPERATOR_MUL, decay, tensor_value(latest(e, average), false), span);
    Value new = tensor_binary(e, OPERATOR_MUL, rest, tensor_value(latest(e, tensor), false), span);
    assign(e, average, tensor_binary(e, OPERATOR_ADD, old, new, span).node, span);
    if (!average_of(e, tensor)) LIST_PUSH(e->arena, &e->averages, ((Average){ tensor, average }));
}

/* A decay is a number from 0 to below 1, or is computed from the clock: one for the whole batch. Gives it and what is left to 1. */
static bool evaluate_decay(Elaborator *e, Scope *scope, Expr *expr, Value *decay, Value *rest) {
    Value value = force(e, evaluate(e, scope, expr, no_name));
    const bool number = value.kind == VALUE_NUMBER;
    if (value.kind == VALUE_POISON || !to_tensor(e, value, expr->span, decay)) return false;
    if ((number && (value.number < 0 || value.number >= 1)) || decay->batched || decay->node->shape.rank > 0) {
        fail(e, expr->span, "a decay is a number from 0 to below 1, such as 0.999, and may depend on `step` and `epoch`, but this is %s",
             number ? arena_printf(e->arena, "%g", value.number) : value_text(e, value));
        return false;
    }
    *rest = tensor_value(graph_fill(graph_of(e), number ? 1 - value.number : 1, &decay->node->shape), false);
    if (!number) *rest = tensor_binary(e, OPERATOR_SUB, *rest, *decay, expr->span);
    return true;
}

void run_average(Elaborator *e, Scope *scope, const char *stage, const Stmt *stmt) {
    Value decay, rest;
    if (!evaluate_decay(e, scope, stmt->decay, &decay, &rest)) /* a poor one, but `averaged` is not to complain too */
        decay = rest = tensor_value(graph_fill(graph_of(e), 0, &(Shape){ 0 }), false);
    for (int t = 0; t < stmt->values.count; t++) {
        TensorList tensors = { 0 };
        if (!collect_target(e, scope, stmt->values.items[t], &tensors)) continue;
        for (int i = 0; i < tensors.count; i++) average_tensor(e, stage, tensors.items[i], decay, rest, stmt->span);
    }
}

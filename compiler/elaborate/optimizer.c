/* Update rules: the body of an `optimizer` is run once for each tensor, with its value and gradient, in the graph of the
 * phase. A state without a shape has that of the tensor; one with a shape of its own exists once for the whole rule. */
#include "elaborate.h"

#include <string.h>

typedef struct SharedState {
    const char *name;
    Tensor *tensor;
    Node *update;
} SharedState;

typedef struct Rule {
    const Callable *callable;
    Scope *scope;       /* of its arguments */
    const char *prefix; /* "vae.rmsprop" */
    int stage;
    LIST(SharedState) shared;
} Rule;

/* ── states ───────────────────────────────────────────────────────────────────────────────── */

static Tensor *make_state(Elaborator *e, const Rule *rule, Scope *scope, const Stmt *stmt, const Shape *shape, const char *path) {
    Name name = { path, stmt->names.items[0].span };
    Tensor *state =
        place_tensor(e, NULL, TENSOR_OPTIMIZER, name, shape, evaluate_later(e, scope, stmt->values.items[0]), name.span);
    if (state) state->stage = rule->stage;
    return state;
}

static Tensor *shared_state(Elaborator *e, Rule *rule, Scope *scope, const Stmt *stmt) {
    const char *name = stmt->names.items[0].text;
    for (int i = 0; i < rule->shared.count; i++)
        if (strcmp(rule->shared.items[i].name, name) == 0) return rule->shared.items[i].tensor;
    Shape shape;
    if (!to_shape(e, evaluate(e, scope, stmt->shape, no_name), stmt->shape->span, &shape)) return NULL;
    Tensor *state = make_state(e, rule, scope, stmt, &shape, arena_printf(e->arena, "%s.%s", rule->prefix, name));
    LIST_PUSH(e->arena, &rule->shared, ((SharedState){ name, state, NULL }));
    return state;
}

static void declare_state(Elaborator *e, Rule *rule, Scope *scope, const Stmt *stmt, const Tensor *weight) {
    Name name = stmt->names.items[0];
    Tensor *state = stmt->shape ? shared_state(e, rule, scope, stmt)
                                : make_state(e, rule, scope, stmt, &weight->shape,
                                             arena_printf(e->arena, "%s.%s/%s", rule->prefix, name.text, weight->name));
    scope_bind(e, scope, name, state ? (Value){ .kind = VALUE_STATE, .tensor = state } : poison());
}

/* Takes a shared state's new value back, so that the body for the next tensor starts from the old one. */
static Node *take_back(Elaborator *e, const Tensor *tensor) {
    Building *b = e->building;
    for (int i = 0; i < b->assigned.count; i++) {
        if (b->assigned.items[i].tensor != tensor) continue;
        Node *value = b->assigned.items[i].value;
        b->assigned.items[i] = b->assigned.items[--b->assigned.count];
        return value;
    }
    return NULL;
}

static void check_shared(Elaborator *e, Rule *rule) {
    for (int i = 0; i < rule->shared.count; i++) {
        SharedState *state = &rule->shared.items[i];
        Node *update = state->tensor ? take_back(e, state->tensor) : NULL;
        if (state->update && update != state->update)
            fail(e, rule->callable->decl->name.span,
                 "the state `%s` has a shape of its own, so it exists once for all tensors; its new value may not depend on `%s` "
                 "or `%s`",
                 state->name, rule->callable->decl->weight.text, rule->callable->decl->gradient.text);
        state->update = update;
    }
}

/* ── the rule ─────────────────────────────────────────────────────────────────────────────── */

static void update_tensor(Elaborator *e, Rule *rule, Tensor *weight, Node *gradient) {
    const Decl *decl = rule->callable->decl;
    Scope *scope = scope_create(e, rule->scope);
    scope_bind(e, scope, decl->weight, (Value){ .kind = VALUE_STATE, .tensor = weight });
    scope_bind(e, scope, decl->gradient, tensor_value(gradient, false));
    for (int i = 0; i < decl->body.count; i++) {
        const Stmt *stmt = decl->body.items[i];
        Value result;
        if (stmt->kind == STMT_STATE) declare_state(e, rule, scope, stmt, weight);
        else if (stmt->kind == STMT_BIND || stmt->kind == STMT_ASSIGN) run_statement(e, scope, stmt, &result);
        else fail(e, stmt->span, "an optimizer has states, values and updates `<-`, and nothing else");
    }
    check_shared(e, rule);
}

/* The learning rate of every rule, its argument `lr`, is scaled by what the training run was started with. */
static void scale_learning_rate(Elaborator *e, Scope *scope) {
    Binding *lr = scope_find(scope, "lr");
    Value value;
    if (!lr || !to_tensor(e, lr->value, lr->span, &value)) return;
    Value scale = tensor_value(graph_clock(graph_of(e), CLOCK_LR_SCALE), false);
    lr->value = tensor_binary(e, OPERATOR_MUL, value, scale, lr->span);
}

static Call *bind_optimizer(Elaborator *e, Scope *scope, Expr *optimizer) {
    bool call = optimizer->kind == EXPR_CALL;
    Value function = evaluate_callee(e, scope, call ? optimizer->call.callee : optimizer);
    if (function.kind == VALUE_POISON) return NULL;
    if (function.kind != VALUE_FUNCTION || !function.callable->decl || function.callable->decl->kind != DECL_OPTIMIZER) {
        fail(e, optimizer->span, "an optimizer is expected after `using`, as in `using adam(lr = 0.001)`, but this is %s",
             value_text(e, function));
        return NULL;
    }
    Given given = { 0 };
    if (call) given = (Given){ .items = optimizer->call.arguments.items, .count = optimizer->call.arguments.count };
    return bind_call(e, function.callable, scope, given, optimizer->span, no_name);
}

void run_optimizer(Elaborator *e, Scope *scope, Expr *optimizer, const TensorList *tensors, Node *const *gradients,
                   const char *prefix, int stage) {
    Call *call = bind_optimizer(e, scope, optimizer);
    if (!call) return;
    CallSite site = { call->callable, optimizer->span, e->calls, 0 };
    Rule rule = { .callable = call->callable, .stage = stage, .scope = scope_create(e, call->callable->scope) };
    rule.prefix = arena_printf(e->arena, "%s.%s", prefix, call->callable->name);
    e->calls = &site;
    if (bind_formals(e, rule.scope, call)) {
        scale_learning_rate(e, rule.scope);
        for (int i = 0; i < tensors->count; i++) update_tensor(e, &rule, tensors->items[i], gradients[i]);
        for (int i = 0; i < rule.shared.count; i++)
            if (rule.shared.items[i].update) assign(e, rule.shared.items[i].tensor, rule.shared.items[i].update, optimizer->span);
    }
    e->calls = site.outer;
}

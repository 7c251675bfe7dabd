/* Calls: arguments are bound to formals by position and by name, defaults fill the rest, and the body runs. Built-ins,
 * functions, layers and nets are called alike; what is piped in is the first argument. */
#include "elaborate.h"

#include <string.h>

enum { MAX_DEPTH = 200 }; /* calls within calls, before they are taken to have no end */

/* ── formals ──────────────────────────────────────────────────────────────────────────────── */

typedef struct Signature {
    int count;
    const char *names[MAX_ARGUMENTS];
    bool optional[MAX_ARGUMENTS];
    bool variadic;
    bool by_name; /* "..." came first: the formals are given by name, all that is positional follows them */
} Signature;

static void builtin_signature(Elaborator *e, const char *formals, Signature *signature) {
    for (const char *at = formals; *at;) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ",");
        if (strncmp(at, "...", 3) == 0) {
            signature->variadic = true;
            signature->by_name = signature->count == 0;
        } else if (length) {
            bool optional = at[length - 1] == '?';
            signature->optional[signature->count] = optional;
            signature->names[signature->count++] = arena_copy(e->arena, at, length - optional);
        }
        at += length;
    }
}

static Signature signature_of(Elaborator *e, const Callable *callable) {
    Signature signature = { 0 };
    if (callable->builtin) {
        builtin_signature(e, callable->builtin->formals, &signature);
        return signature;
    }
    const FormalList *formals = &callable->decl->formals;
    for (int i = 0; i < formals->count && i < MAX_ARGUMENTS; i++) {
        signature.names[signature.count] = formals->items[i].name.text;
        signature.optional[signature.count++] = formals->items[i].standard != NULL;
    }
    return signature;
}

static const char *signature_text(Elaborator *e, const Callable *callable, const Signature *signature) {
    Text text = { .arena = e->arena };
    text_add(&text, "%s(", callable->name);
    if (signature->by_name) text_add(&text, "...%s", signature->count ? ", " : "");
    for (int i = 0; i < signature->count; i++)
        text_add(&text, "%s%s%s", i ? ", " : "", signature->names[i], signature->optional[i] ? "?" : "");
    text_add(&text, "%s)", signature->variadic && !signature->by_name ? ", ..." : "");
    return text.bytes;
}

/* ── binding ──────────────────────────────────────────────────────────────────────────────── */

static void note_declaration(Elaborator *e, const Callable *callable) {
    if (callable->decl) fail_note(e, callable->decl->name.span, "`%s` is declared here", callable->name);
}

static int find_formal(Elaborator *e, const Call *call, const Signature *signature, Name name) {
    for (int i = 0; i < signature->count; i++)
        if (strcmp(signature->names[i], name.text) == 0) return i;
    const char *near = nearest_name(name.text, signature->names, signature->count);
    if (near) fail(e, name.span, "`%s` has no argument `%s`; did you mean `%s`?", call->callable->name, name.text, near);
    else
        fail(e, name.span, "`%s` has no argument `%s`: %s", call->callable->name, name.text,
             signature_text(e, call->callable, signature));
    return -1;
}

static bool set_argument(Elaborator *e, Call *call, const Signature *signature, int index, Value value, Span span) {
    if (index >= signature->count && !signature->variadic) {
        fail(e, span, "`%s` takes %d argument%s, but this is one more: %s", call->callable->name, signature->count,
             signature->count == 1 ? "" : "s", signature_text(e, call->callable, signature));
        note_declaration(e, call->callable);
        return false;
    }
    if (index >= MAX_ARGUMENTS) {
        fail(e, span, "`%s` is given more than %d arguments", call->callable->name, MAX_ARGUMENTS);
        return false;
    }
    if (call->values[index].kind != VALUE_NONE) {
        fail(e, span, "`%s` is given `%s` twice", call->callable->name, signature->names[index]);
        return false;
    }
    call->values[index] = value;
    call->spans[index] = span;
    if (index >= call->count) call->count = index + 1;
    return true;
}

/* A tensor argument is evaluated before the call is entered, so that layers within it are numbered first. */
static Value given_value(Elaborator *e, const Callable *callable, int index, Scope *scope, Argument *given, Name hint) {
    bool tensor = callable->decl && index < callable->decl->formals.count && callable->decl->formals.items[index].shape;
    return tensor ? evaluate(e, scope, given->value, no_name) : evaluate_argument(e, scope, given->value, hint);
}

static Name formal_name(const Callable *callable, int index) {
    if (callable->decl && index < callable->decl->formals.count) return callable->decl->formals.items[index].name;
    return no_name;
}

static bool bind_item(Elaborator *e, Call *call, const Signature *signature, Scope *scope, Argument *item, int *position) {
    int index = item->name.text ? find_formal(e, call, signature, item->name) : (*position)++;
    if (index < 0) return false;
    Value value = given_value(e, call->callable, index, scope, item, formal_name(call->callable, index));
    return set_argument(e, call, signature, index, value, item->value->span);
}

static bool bind_given(Elaborator *e, Call *call, const Signature *signature, Scope *scope, Given given) {
    bool good = true;
    int position = signature->by_name ? signature->count : 0;
    if (given.first) good = set_argument(e, call, signature, position++, *given.first, given.first_span);
    for (int i = 0; i < given.count; i++) good &= bind_item(e, call, signature, scope, &given.items[i], &position);
    for (const Added *added = given.added; added; added = added->next)
        for (int i = 0; i < added->count; i++) good &= bind_item(e, call, signature, added->scope, &added->items[i], &position);
    return good;
}

static bool check_missing(Elaborator *e, const Call *call, const Signature *signature) {
    for (int i = 0; i < signature->count; i++) {
        if (call->values[i].kind != VALUE_NONE || signature->optional[i]) continue;
        fail(e, call->span, "`%s` needs `%s`: %s", call->callable->name, signature->names[i],
             signature_text(e, call->callable, signature));
        note_declaration(e, call->callable);
        return false;
    }
    return true;
}

static bool any_poison(const Call *call) {
    for (int i = 0; i < call->count; i++)
        if (call->values[i].kind == VALUE_POISON) return true;
    return false;
}

/* ── the body ─────────────────────────────────────────────────────────────────────────────── */

/* `param(...)` given for a formal makes its tensor when the call is entered: it belongs to the layer called. */
static bool is_param_call(Value value) {
    if (value.kind != VALUE_THUNK || value.thunk->expr->kind != EXPR_CALL) return false;
    const Expr *callee = value.thunk->expr->call.callee;
    return callee->kind == EXPR_NAME && strcmp(callee->name, "param") == 0;
}

bool bind_formals(Elaborator *e, Scope *scope, const Call *call) {
    const FormalList *formals = &call->callable->decl->formals;
    for (int i = 0; i < formals->count; i++) {
        const Formal *formal = &formals->items[i];
        Value value = call->values[i];
        if (value.kind == VALUE_NONE) value = evaluate_argument(e, scope, formal->standard, formal->name);
        if ((formal->shape || formal->classes) && !match_shape(e, scope, call->callable, formal, force(e, value), call->spans[i]))
            return false;
        Binding *binding = scope_bind(e, scope, formal->name, value);
        if (is_param_call(value)) binding->value = force(e, value);
    }
    return true;
}

static Value run_body(Elaborator *e, Scope *scope, const Callable *callable, Name hint) {
    const Decl *decl = callable->decl;
    Value result = poison();
    if (decl->value) return evaluate(e, scope, decl->value, decl->kind == DECL_FN ? hint : no_name);
    int errors = error_count(e->context);
    if (!run_statements(e, scope, &decl->body, &result) && errors == error_count(e->context)) {
        fail(e, decl->name.span, "`%s` returns nothing; end it with `return`", decl->name.text);
        return poison();
    }
    return result;
}

/* Losses added in a body count wherever the body's result does. */
static void witness_losses(Elaborator *e, int first, Value result) {
    Value value = result.kind == VALUE_TUPLE && result.count ? result.items[0] : result;
    for (int i = first; i < e->building->losses.count; i++) {
        AddedLoss *loss = &e->building->losses.items[i];
        if (!loss->witness && value.kind == VALUE_TENSOR) loss->witness = value.node;
    }
}

Value call_body(Elaborator *e, const Callable *callable, Call *call) {
    CallSite site = { callable, call->span, e->calls, e->calls ? e->calls->depth + 1 : 0 };
    if (site.depth > MAX_DEPTH) {
        fail(e, call->span, "`%s` calls itself without end", callable->name);
        return poison();
    }
    Span span = graph_of(e)->span;
    e->calls = &site;
    Scope *scope = scope_create(e, callable->scope);
    int losses = e->building->losses.count;
    Value result = bind_formals(e, scope, call) ? run_body(e, scope, callable, call->hint) : poison();
    witness_losses(e, losses, result);
    e->calls = site.outer;
    graph_of(e)->span = span;
    return result;
}

static Value call_in_place(Elaborator *e, const Callable *callable, Call *call, Place *place) {
    Activation activation = { .place = place, .outer = e->activation };
    Activation *outer = e->activation;
    bool owned = place->owner || callable->decl->kind == DECL_NET; /* else: a layer outside of nets and stages */
    e->activation = owned ? &activation : NULL;
    Value result = call_body(e, callable, call);
    e->activation = outer;
    return result;
}

static Value call_net(Elaborator *e, const Callable *callable, Call *call) {
    Place *place = place_net(e, callable);
    if (place->broken) return poison();
    if (place->open) {
        fail(e, call->span, "the net `%s` calls itself", callable->name);
        note_declaration(e, callable);
        place->broken = true;
        return poison();
    }
    bool outer = e->averaging;
    e->averaging |= callable->averaged;
    Value result = call_in_place(e, callable, call, place);
    e->averaging = outer;
    return result;
}

static Value call_declared(Elaborator *e, const Callable *callable, Call *call) {
    switch (callable->decl->kind) {
    case DECL_FN: return call_body(e, callable, call);
    case DECL_NET: return call_net(e, callable, call);
    case DECL_LAYER: {
        Place *place = place_enter_layer(e, callable, call->hint, call->span);
        return place ? call_in_place(e, callable, call, place) : poison();
    }
    default:
        fail(e, call->span, "`%s` cannot be called here: it is %s", callable->name,
             callable->decl->kind == DECL_OPTIMIZER ? "an optimizer, which stands after `using`"
                                                    : "an entry point of the generated code");
        return poison();
    }
}

/* ── application ──────────────────────────────────────────────────────────────────────────── */

Call *bind_call(Elaborator *e, const Callable *callable, Scope *scope, Given given, Span span, Name hint) {
    Call *call = NEW(e->arena, Call);
    for (int i = 0; i < MAX_ARGUMENTS; i++) call->values[i].kind = VALUE_NONE;
    call->callable = callable, call->span = span, call->hint = hint;
    Signature signature = signature_of(e, callable);
    if (!bind_given(e, call, &signature, scope, given) || any_poison(call)) return NULL;
    return check_missing(e, call, &signature) ? call : NULL;
}

static Value call_callable(Elaborator *e, const Callable *callable, Scope *scope, Given given, Span span, Name hint) {
    Call *call = bind_call(e, callable, scope, given, span, hint);
    if (!call) return poison();
    locate(e, span);
    return callable->builtin ? callable->builtin->run(e, call) : call_declared(e, callable, call);
}

/* A function that waits for its first argument, as `leaky_relu(0.2)`, gets it in front of those it has, and more by name. */
static Value apply_thunk(Elaborator *e, Thunk *thunk, Scope *scope, Given given, Span span, Name hint) {
    Value first;
    if (!given.first && given.count && !given.items[0].name.text) {
        first = evaluate(e, scope, given.items[0].value, no_name);
        given.first = &first, given.first_span = given.items[0].value->span;
        given.items++, given.count--;
    }
    for (int i = 0; i < given.count; i++) {
        if (given.items[i].name.text) continue;
        fail(e, given.items[i].value->span,
             "a function that waits for its first argument takes just one more; others are given by name");
        return poison();
    }
    const Expr *expr = thunk->expr;
    Value function = evaluate_callee(e, thunk->scope, expr->call.callee);
    Added added = { given.items, given.count, scope, given.added };
    Given all = { expr->call.arguments.items, expr->call.arguments.count, given.first, given.first_span, &added };
    return apply(e, function, thunk->scope, all, span, hint);
}

Value apply(Elaborator *e, Value function, Scope *scope, Given given, Span span, Name hint) {
    switch (function.kind) {
    case VALUE_POISON: return poison();
    case VALUE_FUNCTION: return call_callable(e, function.callable, scope, given, span, hint);
    case VALUE_THUNK:
        if (!function.thunk->value) return apply_thunk(e, function.thunk, scope, given, span, hint);
        function = *function.thunk->value;
        break;
    default: break;
    }
    if (function.kind != VALUE_POISON) fail(e, span, "this is %s, which cannot be called", value_text(e, function));
    return poison();
}

Value apply_to(Elaborator *e, Value function, Value argument, Span span) {
    Given given = { .first = &argument, .first_span = span };
    return apply(e, function, NULL, given, span, no_name);
}

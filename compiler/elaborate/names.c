/* Names: local scopes, the global declarations of the user's files and of the prelude, the built-ins. A name is looked up
 * from the inside out; a user's declaration may take the place of one of the prelude. */
#include "elaborate.h"

#include <string.h>

Scope *scope_create(Elaborator *e, Scope *outer) {
    Scope *scope = NEW(e->arena, Scope);
    scope->outer = outer;
    return scope;
}

Binding *scope_find_here(const Scope *scope, const char *name) {
    for (int i = 0; i < scope->bindings.count; i++)
        if (strcmp(scope->bindings.items[i]->name, name) == 0) return scope->bindings.items[i];
    return NULL;
}

Binding *scope_find(const Scope *scope, const char *name) {
    Binding *binding = NULL;
    for (; scope && !binding; scope = scope->outer) binding = scope_find_here(scope, name);
    return binding;
}

Binding *scope_bind(Elaborator *e, Scope *scope, Name name, Value value) {
    Binding *known = scope_find_here(scope, name.text);
    if (known) {
        fail(e, name.span, "`%s` already has a value here; choose another name", name.text);
        fail_note(e, known->span, "it got one here");
        return known;
    }
    Binding *binding = NEW(e->arena, Binding);
    *binding = (Binding){ .name = name.text, .span = name.span, .value = value };
    LIST_PUSH(e->arena, &scope->bindings, binding);
    return binding;
}

/* ── globals ──────────────────────────────────────────────────────────────────────────────── */

static Global *find_here(Globals *globals, const char *name) {
    for (int i = 0; i < globals->items.count; i++)
        if (strcmp(globals->items.items[i]->decl->name.text, name) == 0) return globals->items.items[i];
    return NULL;
}

Global *globals_find(Globals *globals, const char *name) {
    for (; globals; globals = globals->outer) {
        Global *global = find_here(globals, name);
        if (global) return global;
    }
    return NULL;
}

void globals_declare(Elaborator *e, Globals *globals, const Decl *decl) {
    Global *known = find_here(globals, decl->name.text);
    if (known) {
        error_at(e->context, decl->name.span, "`%s` is declared twice", decl->name.text);
        note_at(e->context, known->decl->name.span, "the first `%s` is here", decl->name.text);
        return;
    }
    Global *global = NEW(e->arena, Global);
    global->decl = decl;
    LIST_PUSH(e->arena, &globals->items, global);
}

/* ── names that do not exist ──────────────────────────────────────────────────────────────── */

typedef LIST(const char *) Names;

static void known_names(Elaborator *e, Scope *scope, Names *names) {
    Globals *globals = e->user;
    for (; scope; scope = scope->outer) {
        for (int i = 0; i < scope->bindings.count; i++) LIST_PUSH(e->arena, names, scope->bindings.items[i]->name);
        if (scope->globals) globals = scope->globals;
    }
    for (; globals; globals = globals->outer)
        for (int i = 0; i < globals->items.count; i++) LIST_PUSH(e->arena, names, globals->items.items[i]->decl->name.text);
    for (int i = 0; i < builtin_count; i++) LIST_PUSH(e->arena, names, builtins[i].name);
    for (int i = 0; constant_words[i]; i++) LIST_PUSH(e->arena, names, constant_words[i]);
}

static void unknown_name(Elaborator *e, Scope *scope, const char *name, Span span) {
    Names names = { 0 };
    known_names(e, scope, &names);
    const char *near = nearest_name(name, names.items, names.count);
    if (near) fail(e, span, "there is no `%s`; did you mean `%s`?", name, near);
    else fail(e, span, "there is no `%s`", name);
}

/* ── lookup ───────────────────────────────────────────────────────────────────────────────── */

static Value callable_value(Elaborator *e, const char *name, const Decl *decl, const Builtin *builtin, Scope *scope) {
    Callable *callable = NEW(e->arena, Callable);
    *callable = (Callable){ .name = name, .decl = decl, .builtin = builtin, .scope = scope };
    return (Value){ .kind = VALUE_FUNCTION, .callable = callable };
}

/* The value of a `let` or `dim`, computed when it is first needed, so that the order of declarations does not matter. */
static Value run_constant(Elaborator *e, Global *global, Scope *scope, Span span) {
    if (global->state == GLOBAL_RUNNING) {
        fail(e, span, "`%s` is defined by itself", global->decl->name.text);
        fail_note(e, global->decl->name.span, "it is declared here");
        return poison();
    }
    global->state = GLOBAL_RUNNING;
    global->value = global->decl->kind == DECL_DIM ? declare_dim(e, scope, global->decl)
                                                   : evaluate(e, scope, global->decl->value, no_name);
    global->state = GLOBAL_DONE;
    return global->value;
}

static Value parameter_value(Elaborator *e, Global *global, Scope *scope) {
    const Decl *decl = global->decl;
    Shape shape;
    global->state = GLOBAL_DONE;
    global->value = poison();
    if (!to_shape(e, evaluate(e, scope, decl->shape, no_name), decl->shape->span, &shape)) return global->value;
    Value initial = evaluate_argument(e, scope, decl->value, no_name);
    Tensor *tensor = place_tensor(e, NULL, TENSOR_PARAM, decl->name, &shape, initial, decl->name.span);
    if (tensor) global->value = (Value){ .kind = VALUE_STATE, .tensor = tensor };
    return global->value;
}

static Value global_value(Elaborator *e, Global *global, Globals *globals, Span span) {
    Scope *scope = globals->scope;
    for (Globals *outer = globals; outer; outer = outer->outer)
        if (find_here(outer, global->decl->name.text) == global) scope = outer->scope;
    if (global->state == GLOBAL_DONE) return global->value;
    if (global->decl->kind == DECL_PARAM) return parameter_value(e, global, scope);
    if (global->decl->kind == DECL_LET || global->decl->kind == DECL_DIM) return run_constant(e, global, scope, span);
    global->value = callable_value(e, global->decl->name.text, global->decl, NULL, scope);
    global->state = GLOBAL_DONE;
    return global->value;
}

static const Builtin *find_builtin(const char *name) {
    for (int i = 0; i < builtin_count; i++)
        if (strcmp(builtins[i].name, name) == 0) return &builtins[i];
    return NULL;
}

Value lookup(Elaborator *e, Scope *scope, const char *name, Span span) {
    Binding *binding = scope_find(scope, name);
    if (binding) return binding->value;
    while (scope->outer) scope = scope->outer;
    Global *global = globals_find(scope->globals, name);
    if (global) return global_value(e, global, scope->globals, span);
    bool found;
    Value word = constant_word(e, name, &found);
    if (found) return word;
    const Builtin *builtin = find_builtin(name);
    if (builtin) return callable_value(e, builtin->name, NULL, builtin, NULL);
    unknown_name(e, scope, name, span);
    return poison();
}

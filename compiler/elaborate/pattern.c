/* Declared shapes of arguments: `x: [..., n]`. A size that is an unknown name is bound to what the argument has there, and so is
 * the name of a `dim`, for this call, if it is within its bounds; everything else must be equal. `...` stands for any number of
 * axes. */
#include "elaborate.h"

static bool is_outer_name(const Scope *scope, const Expr *size, const Global **global) {
    if (size->kind != EXPR_NAME || scope_find(scope, size->name)) return false;
    while (scope->outer) scope = scope->outer;
    *global = globals_find(scope->globals, size->name);
    return true;
}

/* What a net, layer or function is called may be the name of a size too: it cannot be meant here. */
static bool is_free_name(const Scope *scope, const Expr *size) {
    const Global *global;
    if (!is_outer_name(scope, size, &global)) return false;
    return !global || (global->decl->kind != DECL_LET && global->decl->kind != DECL_DIM);
}

/* The name of a `dim` that nothing in the call has bound yet. */
static bool is_dim_name(const Scope *scope, const Expr *size) {
    const Global *global;
    return is_outer_name(scope, size, &global) && global && global->decl->kind == DECL_DIM;
}

/* The pattern with the values of the sizes that are known, for messages. */
static const char *pattern_text(Elaborator *e, Scope *scope, const Expr *pattern) {
    Text text = { .arena = e->arena };
    text_add(&text, "[");
    for (int i = 0; i < pattern->list.count; i++) {
        Expr *size = pattern->list.items[i];
        text_add(&text, "%s", i ? ", " : "");
        if (size->kind == EXPR_ELLIPSIS) text_add(&text, "...");
        else if (is_free_name(scope, size)) text_add(&text, "%s", size->name);
        else text_add(&text, "%s", value_text(e, evaluate(e, scope, size, no_name)));
    }
    text_add(&text, "]");
    return text.bytes;
}

static bool match_size(Elaborator *e, Scope *scope, Expr *size, Dim found) {
    if (is_free_name(scope, size)) {
        scope_bind(e, scope, (Name){ size->name, size->span }, size_value(found));
        return true;
    }
    const bool binds = is_dim_name(scope, size);
    Dim expected;
    Value value = evaluate(e, scope, size, no_name);
    if (value.kind == VALUE_POISON || !to_size(e, value, size->span, "a size", 1, &expected)) return false;
    if (!binds) return dim_equal(found, expected);
    const SymbolList *symbols = &e->module->symbols;
    if (dim_low(found, symbols) < dim_low(expected, symbols) || dim_high(found, symbols) > dim_high(expected, symbols)) return false;
    scope_bind(e, scope, (Name){ size->name, size->span }, size_value(found));
    return true;
}

static bool match_sizes(Elaborator *e, Scope *scope, const Expr *pattern, const Shape *shape) {
    int ellipsis = -1, count = pattern->list.count;
    for (int i = 0; i < count; i++)
        if (pattern->list.items[i]->kind == EXPR_ELLIPSIS) ellipsis = i;
    if (ellipsis < 0 ? shape->rank != count : shape->rank < count - 1) return false;
    for (int i = 0; i < count; i++) {
        if (i == ellipsis) continue;
        int axis = ellipsis >= 0 && i > ellipsis ? shape->rank - (count - i) : i;
        if (!match_size(e, scope, pattern->list.items[i], shape->dim[axis])) return false;
    }
    return true;
}

static bool match_classes(Elaborator *e, Scope *scope, const Callable *callable, const Formal *formal, Value value, Span span) {
    int64_t classes;
    Value expected = evaluate(e, scope, formal->classes, no_name);
    if (!to_integer(e, expected, formal->classes->span, "a number of classes", 1, &classes)) return false;
    if (value.kind == VALUE_TENSOR && example_shape(value).rank == 0 && (!value.classes || value.classes == classes)) return true;
    fail(e, span, "`%s` expects a class[%lld] for `%s`, but this is %s", callable->name, (long long)classes, formal->name.text,
         value_text(e, value));
    fail_note(e, formal->name.span, "`%s` is declared here", formal->name.text);
    return false;
}

/* What to try where an argument lacks the last axis of the pattern, as a grey image lacks its channel. */
static const char *missing_axis_text(Elaborator *e, const Expr *pattern, const Shape *shape) {
    if (shape->rank < 1 || shape->rank != pattern->list.count - 1) return "";
    for (int i = 0; i < pattern->list.count; i++)
        if (pattern->list.items[i]->kind == EXPR_ELLIPSIS) return "";
    Text text = { .arena = e->arena };
    text_add(&text, "; reshape(");
    for (int i = 0; i < shape->rank; i++) text_add(&text, "%s, ", size_text(e->arena, &e->module->symbols, shape->dim[i]));
    text_add(&text, "1) gives it one more axis");
    return text.bytes;
}

/* The bounds of the sizes that are known only at run time. */
static const char *bounds_text(Elaborator *e, Scope *scope, const Expr *pattern) {
    Text text = { .arena = e->arena };
    for (int i = 0; i < pattern->list.count; i++) {
        if (pattern->list.items[i]->kind == EXPR_ELLIPSIS || is_free_name(scope, pattern->list.items[i])) continue;
        Value size = evaluate(e, scope, pattern->list.items[i], no_name);
        if (size.kind == VALUE_SIZE) text_add(&text, "%s", range_text(e, size.dim));
    }
    return text.length ? text.bytes : "";
}

bool match_shape(Elaborator *e, Scope *scope, const Callable *callable, const Formal *formal, Value value, Span span) {
    Value tensor;
    if (value.kind == VALUE_POISON) return false;
    if (formal->classes) return match_classes(e, scope, callable, formal, value, span);
    if (value.kind == VALUE_TUPLE) {
        fail(e, span, "`%s` expects one value for `%s`, but this is %s", callable->name, formal->name.text, value_text(e, value));
        return false;
    }
    if (!to_tensor(e, value, span, &tensor)) return false;
    Shape shape = example_shape(tensor);
    const char *expected = arena_printf(e->arena, "%s%s", pattern_text(e, scope, formal->shape), bounds_text(e, scope, formal->shape));
    int errors = error_count(e->context);
    if (match_sizes(e, scope, formal->shape, &shape)) return true;
    if (errors != error_count(e->context)) return false;
    fail(e, span, "%s expects %s, but this is %s%s", callable->name, expected, sizes_text(e, &shape),
         missing_axis_text(e, formal->shape, &shape));
    fail_note(e, formal->name.span, "%s's input is declared here", callable->name);
    return false;
}

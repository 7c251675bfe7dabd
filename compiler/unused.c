/* Warnings about what is named and never used: values and inputs of a body, and constants of the model's own file.
 *
 * This looks at the syntax tree alone, for a name that one entry point does not need another may. A name that starts with an
 * underscore says that it is not used. */
#include "gdlc.h"

#include <string.h>

typedef LIST(const char *) Uses;

/* ── names that are used ──────────────────────────────────────────────────────────────────── */

static void use_expr(Arena *arena, Uses *uses, const Expr *expr);

static void use_list(Arena *arena, Uses *uses, const ExprList *list) {
    for (int i = 0; i < list->count; i++) use_expr(arena, uses, list->items[i]);
}

static void use_call(Arena *arena, Uses *uses, const Expr *expr) {
    use_expr(arena, uses, expr->call.callee);
    for (int i = 0; i < expr->call.arguments.count; i++) use_expr(arena, uses, expr->call.arguments.items[i].value);
}

static void use_index(Arena *arena, Uses *uses, const Expr *expr) {
    use_expr(arena, uses, expr->index.object);
    for (int i = 0; i < expr->index.slices.count; i++) {
        const Slice *slice = &expr->index.slices.items[i];
        use_expr(arena, uses, slice->start);
        use_expr(arena, uses, slice->stop);
        use_expr(arena, uses, slice->step);
    }
}

static void use_expr(Arena *arena, Uses *uses, const Expr *expr) {
    if (!expr) return;
    switch (expr->kind) {
    case EXPR_NAME: LIST_PUSH(arena, uses, expr->name); break;
    case EXPR_MEMBER: /* a layer is named after the value that it makes */
        LIST_PUSH(arena, uses, expr->member.name.text);
        use_expr(arena, uses, expr->member.object);
        break;
    case EXPR_CALL: use_call(arena, uses, expr); break;
    case EXPR_INDEX: use_index(arena, uses, expr); break;
    case EXPR_UNARY: use_expr(arena, uses, expr->binary.left); break;
    case EXPR_BINARY:
        use_expr(arena, uses, expr->binary.left);
        use_expr(arena, uses, expr->binary.right);
        break;
    case EXPR_CONDITIONAL:
        use_expr(arena, uses, expr->conditional.condition);
        use_expr(arena, uses, expr->conditional.yes);
        use_expr(arena, uses, expr->conditional.no);
        break;
    case EXPR_LIST: use_list(arena, uses, &expr->list); break;
    case EXPR_PIPE:
        use_expr(arena, uses, expr->pipe.left);
        use_expr(arena, uses, expr->pipe.right);
        break;
    case EXPR_NAMED: use_expr(arena, uses, expr->named.stage); break;
    case EXPR_REPEAT:
        use_expr(arena, uses, expr->repeat.count);
        use_expr(arena, uses, expr->repeat.stage);
        break;
    default: break;
    }
}

static void use_body(Arena *arena, Uses *uses, const StmtList *body) {
    for (int i = 0; i < body->count; i++) {
        const Stmt *stmt = body->items[i];
        const Expr *others[] = { stmt->shape, stmt->optimizer, stmt->low, stmt->high, stmt->decay, stmt->repeat };
        use_list(arena, uses, &stmt->values);
        for (size_t k = 0; k < sizeof others / sizeof *others; k++) use_expr(arena, uses, others[k]);
        for (int k = 0; k < stmt->carried.count; k++) use_expr(arena, uses, stmt->carried.items[k].initial);
        if (stmt->kind == STMT_ASSIGN) LIST_PUSH(arena, uses, stmt->names.items[0].text);
        use_body(arena, uses, &stmt->body);
    }
}

static void use_decl(Arena *arena, Uses *uses, const Decl *decl) {
    for (int i = 0; i < decl->formals.count; i++) {
        use_expr(arena, uses, decl->formals.items[i].shape);
        use_expr(arena, uses, decl->formals.items[i].classes);
        use_expr(arena, uses, decl->formals.items[i].standard);
    }
    use_expr(arena, uses, decl->value);
    use_expr(arena, uses, decl->shape);
    use_body(arena, uses, &decl->body);
}

/* ── names that are not ───────────────────────────────────────────────────────────────────── */

static bool is_used(const Uses *uses, Name name) {
    for (int i = 0; i < uses->count; i++)
        if (strcmp(uses->items[i], name.text) == 0) return true;
    return name.text[0] == '_';
}

static void check(Context *context, const Uses *uses, Name name, const char *what) {
    if (!is_used(uses, name)) warning_at(context, name.span, "the %s `%s` is not used", what, name.text);
}

/* Of several results one may be all that is wanted. */
static void check_names(Context *context, const Uses *uses, const NameList *names, const char *what) {
    for (int i = 0; names->count > 1 && i < names->count; i++)
        if (is_used(uses, names->items[i])) return;
    for (int i = 0; i < names->count; i++) check(context, uses, names->items[i], what);
}

static void check_body(Context *context, const Uses *uses, const StmtList *body) {
    for (int i = 0; i < body->count; i++) {
        const Stmt *stmt = body->items[i];
        if (stmt->kind == STMT_BIND || stmt->kind == STMT_SCAN) check_names(context, uses, &stmt->names, "value");
        if (stmt->kind == STMT_STATE) check_names(context, uses, &stmt->names, "state");
        check_body(context, uses, &stmt->body);
    }
}

void warn_unused(Context *context, const DeclList *declarations) {
    Uses all = { 0 };
    for (int i = 0; i < declarations->count; i++) use_decl(context->arena, &all, declarations->items[i]);
    for (int i = 0; i < declarations->count; i++) {
        const Decl *decl = declarations->items[i];
        Uses uses = { 0 };
        if (context->sources.items[decl->span.file].prelude) continue;
        if (decl->kind == DECL_LET) check(context, &all, decl->name, "constant");
        for (int k = 0; k < all.count && decl->kind == DECL_NET; k++)
            LIST_PUSH(context->arena, &uses, all.items[k]); /* paths into it */
        use_decl(context->arena, &uses, decl);
        for (int k = 0; k < decl->formals.count && decl->kind != DECL_OPTIMIZER; k++)
            check(context, &uses, decl->formals.items[k].name, "input");
        check_body(context, &uses, &decl->body);
    }
}

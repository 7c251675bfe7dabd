/* Syntax trees as fully bracketed text, so that tests can compare them. Independent of ast_print. */
#include "sexpr.h"

static void add_exprs(Text *to, const ExprList *list)
{
    for (int i = 0; i < list->count; i++) {
        text_add(to, " ");
        sexpr(to, list->items[i]);
    }
}

static void add_arguments(Text *to, const ArgumentList *list)
{
    for (int i = 0; i < list->count; i++) {
        text_add(to, " ");
        if (list->items[i].name.text != NULL)
            text_add(to, "%s=", list->items[i].name.text);
        sexpr(to, list->items[i].value);
    }
}

static void add_slices(Text *to, const SliceList *list)
{
    for (int i = 0; i < list->count; i++) {
        const Slice *slice = &list->items[i];
        text_add(to, slice->ellipsis ? " (..." : slice->single ? " (at " : " (from ");
        if (!slice->ellipsis) {
            sexpr(to, slice->start);
            text_add(to, " ");
            sexpr(to, slice->stop);
            text_add(to, " ");
            sexpr(to, slice->step);
        }
        text_add(to, ")");
    }
}

static void add_three(Text *to, const char *head, const Expr *a, const Expr *b, const Expr *c)
{
    const Expr *parts[] = {a, b, c};
    text_add(to, "(%s", head);
    for (int i = 0; i < 3 && parts[i] != NULL; i++) {
        text_add(to, " ");
        sexpr(to, parts[i]);
    }
    text_add(to, ")");
}

void sexpr(Text *to, const Expr *e)
{
    if (e == NULL) {
        text_add(to, "~");
        return;
    }
    switch (e->kind) {
    case EXPR_NUMBER: text_add(to, e->number.integer ? "%.17g" : "%.17gf", e->number.value); break;
    case EXPR_NAME: text_add(to, "%s", e->name); break;
    case EXPR_ELLIPSIS: text_add(to, "..."); break;
    case EXPR_ERROR: text_add(to, "ERROR"); break;
    case EXPR_UNARY: case EXPR_BINARY:
        add_three(to, operator_text(e->binary.op), e->binary.left, e->binary.right, NULL);
        break;
    case EXPR_CONDITIONAL: add_three(to, "?", e->conditional.condition, e->conditional.yes, e->conditional.no); break;
    case EXPR_PIPE: add_three(to, "|>", e->pipe.left, e->pipe.right, NULL); break;
    case EXPR_REPEAT: add_three(to, "repeat", e->repeat.count, e->repeat.stage, NULL); break;
    case EXPR_MEMBER:
        text_add(to, "(. ");
        sexpr(to, e->member.object);
        text_add(to, " %s)", e->member.name.text);
        break;
    case EXPR_NAMED:
        text_add(to, "(as %s ", e->named.name.text);
        sexpr(to, e->named.stage);
        text_add(to, ")");
        break;
    case EXPR_LIST:
        text_add(to, "(list");
        add_exprs(to, &e->list);
        text_add(to, ")");
        break;
    case EXPR_CALL:
        text_add(to, "(call ");
        sexpr(to, e->call.callee);
        add_arguments(to, &e->call.arguments);
        text_add(to, ")");
        break;
    case EXPR_INDEX:
        text_add(to, "(index ");
        sexpr(to, e->index.object);
        add_slices(to, &e->index.slices);
        text_add(to, ")");
        break;
    }
}

static void add_names(Text *to, const char *head, const NameList *names)
{
    text_add(to, " (%s", head);
    for (int i = 0; i < names->count; i++)
        text_add(to, " %s", names->items[i].text);
    text_add(to, ")");
}

static void add_stmts(Text *to, const StmtList *body);

static void add_field(Text *to, const Expr *expr)
{
    text_add(to, " ");
    sexpr(to, expr);
}

static void add_stmt(Text *to, const Stmt *s)
{
    text_add(to, "(stmt %d%s", (int)s->kind, s->reverse ? " reverse" : "");
    add_names(to, "names", &s->names);
    add_names(to, "scanned", &s->scanned);
    text_add(to, " (values");
    add_exprs(to, &s->values);
    text_add(to, ")");
    for (int i = 0; i < s->carried.count; i++) {
        text_add(to, " %s=", s->carried.items[i].name.text);
        sexpr(to, s->carried.items[i].initial);
    }
    add_field(to, s->shape);
    add_field(to, s->optimizer);
    add_field(to, s->low);
    add_field(to, s->high);
    add_field(to, s->repeat);
    add_stmts(to, &s->body);
    text_add(to, ")");
}

static void add_stmts(Text *to, const StmtList *body)
{
    for (int i = 0; i < body->count; i++) {
        text_add(to, "\n  ");
        add_stmt(to, body->items[i]);
    }
}

static void add_decl(Text *to, const Decl *d)
{
    text_add(to, "(decl %d %s", (int)d->kind, d->name.text);
    for (int i = 0; i < d->formals.count; i++) {
        const Formal *formal = &d->formals.items[i];
        text_add(to, " (formal %s", formal->name.text);
        add_field(to, formal->shape);
        add_field(to, formal->classes);
        add_field(to, formal->standard);
        text_add(to, ")");
    }
    if (d->weight.text != NULL)
        text_add(to, " for %s %s", d->weight.text, d->gradient.text);
    add_field(to, d->value);
    add_field(to, d->shape);
    add_field(to, d->low);
    add_field(to, d->high);
    add_stmts(to, &d->body);
    text_add(to, ")\n");
}

void sexpr_declarations(Text *to, const DeclList *declarations)
{
    for (int i = 0; i < declarations->count; i++)
        add_decl(to, declarations->items[i]);
}

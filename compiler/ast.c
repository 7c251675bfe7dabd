/* Constructors of the syntax tree. The grammar's actions are calls of these. */
#include "syntax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const Context *context, Span span)
{
    return context->sources.items[span.file].text + span.start;
}

Name name_at(Context *context, Span span)
{
    return (Name){arena_copy(context->arena, text_at(context, span), (size_t)(span.end - span.start)), span};
}

Name path_at(Context *context, Span span)
{
    return name_at(context, (Span){span.file, span.start + 1, span.end - 1});
}

/* ── Expressions ──────────────────────────────────────────────────────────────────────────── */

/* An error is deeper than anything allowed: what contains it becomes an error too, without a further message. */
static int error_depth(void)
{
    return MAX_NESTING + 1;
}

static int deeper(int depth, const Expr *child)
{
    return child != NULL && child->depth > depth ? child->depth : depth;
}

/* `below`: the depth of the deepest child. */
static Expr *expr_new(Context *context, int below, Expr expr)
{
    Expr *result = NEW(context->arena, Expr);
    expr.depth = below + 1;
    if (below == MAX_NESTING)
        error_at(context, expr.span, "this is nested too deeply: %d levels at most; name its parts, as in `part = ...`", MAX_NESTING);
    if (below >= MAX_NESTING)
        expr = (Expr){.kind = EXPR_ERROR, .span = expr.span, .depth = error_depth()};
    *result = expr;
    return result;
}

Expr *expr_number(Context *context, Span span)
{
    const char *digits = name_at(context, span).text;
    double value = strtod(digits, NULL);
    bool integer = strpbrk(digits, ".eE") == NULL;
    if (isinf(value))
        error_at(context, span, "this number is too large: the largest is about 1.8e308");
    else if (integer && value > 9007199254740992.0)
        error_at(context, span, "this integer is too large to be exact: the largest is 2^53 = 9007199254740992");
    return expr_new(context, 0, (Expr){.kind = EXPR_NUMBER, .span = span, .number = {value, integer}});
}

Expr *expr_name(Context *context, Name name)
{
    return expr_new(context, 0, (Expr){.kind = EXPR_NAME, .span = name.span, .name = name.text});
}

Expr *expr_ellipsis(Context *context, Span span)
{
    return expr_new(context, 0, (Expr){.kind = EXPR_ELLIPSIS, .span = span});
}

Expr *expr_member(Context *context, Span span, Expr *object, Name name)
{
    return expr_new(context, object->depth, (Expr){.kind = EXPR_MEMBER, .span = span, .member = {object, name}});
}

Expr *expr_call(Context *context, Span span, Expr *callee, ArgumentList arguments)
{
    int below = callee->depth;
    for (int i = 0; i < arguments.count; i++)
        below = deeper(below, arguments.items[i].value);
    return expr_new(context, below, (Expr){.kind = EXPR_CALL, .span = span, .call = {callee, arguments}});
}

Expr *expr_index(Context *context, Span span, Expr *object, SliceList slices)
{
    int below = object->depth;
    for (int i = 0; i < slices.count; i++) {
        const Slice *slice = &slices.items[i];
        below = deeper(deeper(deeper(below, slice->start), slice->stop), slice->step);
    }
    return expr_new(context, below, (Expr){.kind = EXPR_INDEX, .span = span, .index = {object, slices}});
}

Expr *expr_unary(Context *context, Span span, Operator op, Expr *operand, Span op_span)
{
    return expr_new(context, operand->depth, (Expr){.kind = EXPR_UNARY, .span = span, .binary = {op, operand, NULL, op_span}});
}

Expr *expr_binary(Context *context, Span span, Operator op, Expr *left, Expr *right, Span op_span)
{
    return expr_new(context, deeper(left->depth, right),
                    (Expr){.kind = EXPR_BINARY, .span = span, .binary = {op, left, right, op_span}});
}

Expr *expr_conditional(Context *context, Span span, Expr *condition, Expr *yes, Expr *no)
{
    return expr_new(context, deeper(deeper(condition->depth, yes), no),
                    (Expr){.kind = EXPR_CONDITIONAL, .span = span, .conditional = {condition, yes, no}});
}

Expr *expr_list(Context *context, Span span, ExprList items)
{
    int below = 0;
    for (int i = 0; i < items.count; i++)
        below = deeper(below, items.items[i]);
    return expr_new(context, below, (Expr){.kind = EXPR_LIST, .span = span, .list = items});
}

Expr *expr_pipe(Context *context, Span span, Expr *left, Expr *right)
{
    return expr_new(context, deeper(left->depth, right), (Expr){.kind = EXPR_PIPE, .span = span, .pipe = {left, right}});
}

Expr *expr_named(Context *context, Span span, Expr *stage, Name name)
{
    return expr_new(context, stage->depth, (Expr){.kind = EXPR_NAMED, .span = span, .named = {stage, name}});
}

Expr *expr_repeat(Context *context, Span span, Expr *count, Expr *stage)
{
    return expr_new(context, deeper(count->depth, stage), (Expr){.kind = EXPR_REPEAT, .span = span, .repeat = {count, stage}});
}

Expr *expr_group(Expr *inner, Span span)
{
    inner->span = span;
    return inner;
}

const char *operator_text(Operator op)
{
    static const char *const texts[] = {
        [OPERATOR_ADD] = "+", [OPERATOR_SUB] = "-", [OPERATOR_MUL] = "*", [OPERATOR_DIV] = "/", [OPERATOR_POW] = "^",
        [OPERATOR_MATMUL] = "@", [OPERATOR_EQ] = "==", [OPERATOR_NE] = "!=", [OPERATOR_LT] = "<", [OPERATOR_LE] = "<=",
        [OPERATOR_GT] = ">", [OPERATOR_GE] = ">=", [OPERATOR_NEGATE] = "-", [OPERATOR_NOT] = "!"};
    return texts[op];
}

/* ── Statements and declarations ──────────────────────────────────────────────────────────── */

static Stmt *stmt_new(Context *context, Stmt statement)
{
    Stmt *result = NEW(context->arena, Stmt);
    *result = statement;
    return result;
}

Stmt *stmt_values(Context *context, StmtKind kind, Span span, ExprList values)
{
    return stmt_new(context, (Stmt){.kind = kind, .span = span, .values = values});
}

Stmt *stmt_binding(Context *context, StmtKind kind, Span span, NameList names, Expr *value)
{
    return stmt_new(context, (Stmt){.kind = kind, .span = span, .names = names, .values = one_expr(context, value)});
}

Stmt *stmt_phase(Context *context, Span span, Name name, Expr *repeat, StmtList body)
{
    return stmt_new(context, (Stmt){.kind = STMT_PHASE, .span = span, .names = one_name(context, name), .repeat = repeat, .body = body});
}

/* `reverse` is a word only here, and a name elsewhere: the grammar hands over the name that stands in its place, or NULL. */
Stmt *stmt_scan(Context *context, Span span, Name *direction, NameList names, ExprList sequences, CarriedList carried, StmtList body)
{
    if (direction != NULL && strcmp(direction->text, "reverse") != 0)
        error_at(context, names.items[0].span, "expected `,` or `in` after `%s`, found `%s`; backwards is `scan reverse xt in x`",
                 direction->text, names.items[0].text);
    return stmt_new(context, (Stmt){.kind = STMT_SCAN, .span = span, .reverse = direction != NULL, .scanned = names,
                                    .values = sequences, .carried = carried, .body = body});
}

static Decl *decl_new(Context *context, Decl declaration)
{
    Decl *result = NEW(context->arena, Decl);
    *result = declaration;
    return result;
}

Decl *decl_import(Context *context, Span span, Name path)
{
    return decl_new(context, (Decl){.kind = DECL_IMPORT, .span = span, .name = path});
}

Decl *decl_let(Context *context, Span span, Name name, Expr *value)
{
    return decl_new(context, (Decl){.kind = DECL_LET, .span = span, .name = name, .value = value});
}

Decl *decl_param(Context *context, Span span, Name name, Expr *shape, Expr *initialiser)
{
    return decl_new(context, (Decl){.kind = DECL_PARAM, .span = span, .name = name, .shape = shape, .value = initialiser});
}

Decl *decl_dim(Context *context, Span span, Name name, Expr *low, Expr *high)
{
    return decl_new(context, (Decl){.kind = DECL_DIM, .span = span, .name = name, .low = low, .high = high});
}

Decl *decl_template(Context *context, DeclKind kind, Span span, Name name, FormalList formals, Definition definition)
{
    return decl_new(context, (Decl){.kind = kind, .span = span, .name = name, .formals = formals,
                                    .value = definition.value, .body = definition.body});
}

Decl *decl_optimizer(Context *context, Span span, Name name, FormalList formals, Name weight, Name gradient, StmtList body)
{
    return decl_new(context, (Decl){.kind = DECL_OPTIMIZER, .span = span, .name = name, .formals = formals,
                                    .weight = weight, .gradient = gradient, .body = body});
}

/* A sequential net is a net of one input, named x, whose result is the chain that starts with it. */
Decl *decl_sequence(Context *context, Span span, Name name, Formal input, Expr *stage)
{
    input.name.text = "x";
    Expr *start = expr_name(context, input.name);
    return decl_new(context, (Decl){.kind = DECL_NET, .span = span, .name = name,
                                    .formals = formals_add(context, (FormalList){0}, input),
                                    .value = expr_pipe(context, span_join(start->span, stage->span), start, stage)});
}

Decl *decl_extend(Context *context, Span span, Decl *sequence, Expr *stage)
{
    sequence->value = expr_pipe(context, span_join(sequence->value->span, stage->span), sequence->value, stage);
    sequence->span = span;
    return sequence;
}

/* ── Lists ────────────────────────────────────────────────────────────────────────────────── */

ExprList one_expr(Context *context, Expr *item)
{
    return exprs_add(context, (ExprList){0}, item);
}

NameList one_name(Context *context, Name item)
{
    return names_add(context, (NameList){0}, item);
}

ExprList exprs_add(Context *context, ExprList list, Expr *item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

StmtList stmts_add(Context *context, StmtList list, Stmt *item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

NameList names_add(Context *context, NameList list, Name item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

ArgumentList arguments_add(Context *context, ArgumentList list, Argument item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

SliceList slices_add(Context *context, SliceList list, Slice item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

FormalList formals_add(Context *context, FormalList list, Formal item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

CarriedList carried_add(Context *context, CarriedList list, Carried item)
{
    LIST_PUSH(context->arena, &list, item);
    return list;
}

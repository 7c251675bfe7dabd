/* The syntax tree as GDL again: one form for each tree, which parses back to the same tree. */
#include "syntax.h"

#include <stdlib.h>
#include <string.h>

/* How tightly expressions bind: one is put in parentheses where something tighter is needed. */
typedef enum Level {
    LEVEL_EXPR, LEVEL_CONDITIONAL, LEVEL_COMPARISON, LEVEL_SUM, LEVEL_TERM, LEVEL_UNARY, LEVEL_POWER, LEVEL_POSTFIX
} Level;

static void print_expr(Text *to, const Expr *expr, Level needed);

static Level binary_level(Operator op)
{
    switch (op) {
    case OPERATOR_ADD: case OPERATOR_SUB:
        return LEVEL_SUM;
    case OPERATOR_MUL: case OPERATOR_DIV: case OPERATOR_MATMUL:
        return LEVEL_TERM;
    case OPERATOR_POW:
        return LEVEL_POWER;
    default:
        return LEVEL_COMPARISON;
    }
}

static Level level_of(const Expr *expr)
{
    switch (expr->kind) {
    case EXPR_PIPE: case EXPR_NAMED: case EXPR_REPEAT:
        return LEVEL_EXPR;
    case EXPR_CONDITIONAL:
        return LEVEL_CONDITIONAL;
    case EXPR_BINARY:
        return binary_level(expr->binary.op);
    case EXPR_UNARY:
        return LEVEL_UNARY;
    default:
        return LEVEL_POSTFIX;
    }
}

/* ── Expressions ──────────────────────────────────────────────────────────────────────────── */

/* The shortest digits that read back as the same number; with a point or exponent where it was no integer. */
static void print_number(Text *to, double value, bool integer)
{
    char digits[40];
    int precision = 0;
    do {
        snprintf(digits, sizeof digits, "%.*g", ++precision, value);
    } while (strtod(digits, NULL) != value);
    if (integer)
        text_add(to, "%.0f", value);
    else
        text_add(to, "%s%s", digits, strpbrk(digits, ".e") == NULL ? ".0" : "");
}

static void print_exprs(Text *to, const ExprList *list)
{
    for (int i = 0; i < list->count; i++) {
        text_add(to, i == 0 ? "" : ", ");
        print_expr(to, list->items[i], LEVEL_EXPR);
    }
}

static void print_call(Text *to, const Expr *expr)
{
    print_expr(to, expr->call.callee, LEVEL_POSTFIX);
    text_add(to, "(");
    for (int i = 0; i < expr->call.arguments.count; i++) {
        const Argument *argument = &expr->call.arguments.items[i];
        text_add(to, i == 0 ? "" : ", ");
        if (argument->name.text != NULL)
            text_add(to, "%s = ", argument->name.text);
        print_expr(to, argument->value, LEVEL_EXPR);
    }
    text_add(to, ")");
}

static void print_maybe(Text *to, const char *before, const Expr *expr)
{
    if (expr == NULL)
        return;
    text_add(to, "%s", before);
    print_expr(to, expr, LEVEL_EXPR);
}

static void print_slice(Text *to, const Slice *slice)
{
    if (slice->ellipsis) {
        text_add(to, "...");
        return;
    }
    print_maybe(to, "", slice->start);
    text_add(to, slice->single ? "" : ":");
    print_maybe(to, "", slice->stop);
    print_maybe(to, ":", slice->step);
}

static void print_index(Text *to, const Expr *expr)
{
    print_expr(to, expr->index.object, LEVEL_POSTFIX);
    text_add(to, "[");
    for (int i = 0; i < expr->index.slices.count; i++) {
        text_add(to, i == 0 ? "" : ", ");
        print_slice(to, &expr->index.slices.items[i]);
    }
    text_add(to, "]");
}

/* Comparisons do not chain; the others group to the left, and a power to the right. */
static void print_binary(Text *to, const Expr *expr)
{
    Level level = binary_level(expr->binary.op);
    bool power = level == LEVEL_POWER;
    print_expr(to, expr->binary.left, power || level == LEVEL_COMPARISON ? level + 1 : level);
    text_add(to, power ? "%s" : " %s ", operator_text(expr->binary.op));
    print_expr(to, expr->binary.right, power ? LEVEL_UNARY : level + 1);
}

static void print_unary(Text *to, const Expr *expr)
{
    text_add(to, "%s", operator_text(expr->binary.op));
    print_expr(to, expr->binary.left, LEVEL_UNARY);
}

static void print_conditional(Text *to, const Expr *expr)
{
    print_expr(to, expr->conditional.condition, LEVEL_COMPARISON);
    text_add(to, " ? ");
    print_expr(to, expr->conditional.yes, LEVEL_EXPR);
    text_add(to, " : ");
    print_expr(to, expr->conditional.no, LEVEL_CONDITIONAL);
}

static bool is_plain_name(const Expr *expr)
{
    return expr->kind == EXPR_NAME && keyword_kind(expr->name, strlen(expr->name)) == 0;
}

static void print_repeat(Text *to, const Expr *expr)
{
    bool simple = expr->repeat.count->kind == EXPR_NUMBER || is_plain_name(expr->repeat.count);
    text_add(to, simple ? "repeat " : "repeat (");
    print_expr(to, expr->repeat.count, LEVEL_EXPR);
    text_add(to, simple ? " (" : ") (");
    print_expr(to, expr->repeat.stage, LEVEL_EXPR);
    text_add(to, ")");
}

/* What may stand after `|>`: a call or repeat, with a name or without. */
static void print_stage(Text *to, const Expr *expr)
{
    const Expr *stage = expr->kind == EXPR_NAMED ? expr->named.stage : expr;
    print_expr(to, stage, stage->kind == EXPR_REPEAT ? LEVEL_EXPR : LEVEL_POSTFIX);
    if (expr->kind == EXPR_NAMED)
        text_add(to, " as %s", expr->named.name.text);
}

static void print_pipe(Text *to, const Expr *expr)
{
    print_expr(to, expr->pipe.left, LEVEL_EXPR);
    text_add(to, " |> ");
    print_stage(to, expr->pipe.right);
}

static void print_plain(Text *to, const Expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER: print_number(to, expr->number.value, expr->number.integer); break;
    case EXPR_NAME: text_add(to, "%s", expr->name); break;
    case EXPR_MEMBER:
        print_expr(to, expr->member.object, LEVEL_POSTFIX);
        text_add(to, ".%s", expr->member.name.text);
        break;
    case EXPR_CALL: print_call(to, expr); break;
    case EXPR_INDEX: print_index(to, expr); break;
    case EXPR_UNARY: print_unary(to, expr); break;
    case EXPR_BINARY: print_binary(to, expr); break;
    case EXPR_CONDITIONAL: print_conditional(to, expr); break;
    case EXPR_LIST:
        text_add(to, "[");
        print_exprs(to, &expr->list);
        text_add(to, "]");
        break;
    case EXPR_ELLIPSIS: text_add(to, "..."); break;
    case EXPR_PIPE: print_pipe(to, expr); break;
    case EXPR_NAMED: print_stage(to, expr); break;
    case EXPR_REPEAT: print_repeat(to, expr); break;
    case EXPR_ERROR: text_add(to, "<error>"); break;
    }
}

static void print_expr(Text *to, const Expr *expr, Level needed)
{
    bool grouped = level_of(expr) < needed;
    text_add(to, grouped ? "(" : "");
    print_plain(to, expr);
    text_add(to, grouped ? ")" : "");
}

/* ── Statements ───────────────────────────────────────────────────────────────────────────── */

static void print_body(Text *to, const StmtList *body, int indent);

static void print_names(Text *to, const NameList *names)
{
    for (int i = 0; i < names->count; i++)
        text_add(to, "%s%s", i == 0 ? "" : ", ", names->items[i].text);
}

static void print_scan(Text *to, const Stmt *stmt, int indent)
{
    if (stmt->names.count > 0) {
        print_names(to, &stmt->names);
        text_add(to, " = ");
    }
    text_add(to, stmt->reverse ? "scan reverse " : "scan ");
    print_names(to, &stmt->scanned);
    text_add(to, " in ");
    print_exprs(to, &stmt->values);
    for (int i = 0; i < stmt->carried.count; i++) {
        text_add(to, "%s%s = ", i == 0 ? " with " : ", ", stmt->carried.items[i].name.text);
        print_expr(to, stmt->carried.items[i].initial, LEVEL_EXPR);
    }
    print_body(to, &stmt->body, indent);
}

/* Statements of the form `keyword names: shape = values`. */
static void print_binding(Text *to, const Stmt *stmt, const char *keyword, const char *sign)
{
    text_add(to, "%s", keyword);
    print_names(to, &stmt->names);
    print_maybe(to, ": ", stmt->shape);
    text_add(to, " %s ", sign);
    print_exprs(to, &stmt->values);
}

static void print_values(Text *to, const Stmt *stmt, const char *keyword)
{
    text_add(to, "%s ", keyword);
    print_exprs(to, &stmt->values);
}

static void print_phase(Text *to, const Stmt *stmt, int indent)
{
    text_add(to, "phase %s", stmt->names.items[0].text);
    print_maybe(to, " repeat ", stmt->repeat);
    print_body(to, &stmt->body, indent);
}

static void print_stmt(Text *to, const Stmt *stmt, int indent)
{
    text_add(to, "%*s", 4 * indent, "");
    switch (stmt->kind) {
    case STMT_BIND: print_binding(to, stmt, "", "="); break;
    case STMT_ASSIGN: print_binding(to, stmt, "", "<-"); break;
    case STMT_STATE: print_binding(to, stmt, "state ", "="); break;
    case STMT_METRIC: print_binding(to, stmt, "metric ", "="); break;
    case STMT_RETURN: print_values(to, stmt, "return"); break;
    case STMT_ADD_LOSS: print_values(to, stmt, "add_loss"); break;
    case STMT_COLLECT: print_values(to, stmt, "collect"); break;
    case STMT_BATCH: print_values(to, stmt, "batch"); break;
    case STMT_EPOCHS: print_values(to, stmt, "epochs"); break;
    case STMT_MINIMIZE: print_values(to, stmt, "minimize"); break;
    case STMT_UPDATE:
        print_values(to, stmt, "update");
        print_maybe(to, " using ", stmt->optimizer);
        break;
    case STMT_CLIP:
        print_values(to, stmt, "clip");
        print_maybe(to, " to ", stmt->low);
        print_maybe(to, ", ", stmt->high);
        break;
    case STMT_AVERAGE:
        print_values(to, stmt, "average");
        print_maybe(to, " using ", stmt->decay);
        break;
    case STMT_SCAN: print_scan(to, stmt, indent); break;
    case STMT_PHASE: print_phase(to, stmt, indent); break;
    }
    text_add(to, "\n");
}

static void print_body(Text *to, const StmtList *body, int indent)
{
    text_add(to, " {\n");
    for (int i = 0; i < body->count; i++)
        print_stmt(to, body->items[i], indent + 1);
    text_add(to, "%*s}", 4 * indent, "");
}

/* ── Declarations ─────────────────────────────────────────────────────────────────────────── */

static void print_formal(Text *to, const Formal *formal)
{
    text_add(to, "%s", formal->name.text);
    print_maybe(to, ": ", formal->shape);
    print_maybe(to, ": class[", formal->classes);
    text_add(to, formal->classes != NULL ? "]" : "");
    print_maybe(to, " = ", formal->standard);
}

static void print_formals(Text *to, const FormalList *formals)
{
    text_add(to, "(");
    for (int i = 0; i < formals->count; i++) {
        text_add(to, i == 0 ? "" : ", ");
        print_formal(to, &formals->items[i]);
    }
    text_add(to, ")");
}

static void print_template(Text *to, const Decl *decl)
{
    print_formals(to, &decl->formals);
    if (decl->kind == DECL_OPTIMIZER)
        text_add(to, " for %s, %s", decl->weight.text, decl->gradient.text);
    print_maybe(to, " = ", decl->value);
    if (decl->value == NULL)
        print_body(to, &decl->body, 0);
}

static void print_decl(Text *to, const Decl *decl)
{
    static const char *const keywords[] = {
        [DECL_IMPORT] = "import", [DECL_LET] = "let", [DECL_PARAM] = "param", [DECL_DIM] = "dim", [DECL_FN] = "fn",
        [DECL_LAYER] = "layer", [DECL_NET] = "net", [DECL_TRAIN] = "train", [DECL_EXPORT] = "export", [DECL_OPTIMIZER] = "optimizer"};
    const char *quote = decl->kind == DECL_IMPORT ? "\"" : "";
    text_add(to, "%s %s%s%s", keywords[decl->kind], quote, decl->name.text, quote);
    switch (decl->kind) {
    case DECL_IMPORT: break;
    case DECL_LET: print_maybe(to, " = ", decl->value); break;
    case DECL_PARAM:
        print_maybe(to, ": ", decl->shape);
        print_maybe(to, " ~ ", decl->value);
        break;
    case DECL_DIM:
        print_maybe(to, " = ", decl->low);
        print_maybe(to, "..", decl->high);
        break;
    default: print_template(to, decl); break;
    }
    text_add(to, "\n");
}

void ast_print(Text *to, const DeclList *declarations)
{
    for (int i = 0; i < declarations->count; i++)
        print_decl(to, declarations->items[i]);
}

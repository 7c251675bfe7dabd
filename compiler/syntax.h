/* Private to the front end: the state of one parse, the tokens, and the constructors of the syntax tree. */
#ifndef SYNTAX_H
#define SYNTAX_H

#include "gdlc.h"

/* ── parse.c: the tokens that the parser reads, and recovery after an error ───────────────── */

/* A token is its kind (parser.h) and its place; what it says is read from the source there. */
typedef struct Token { int kind; Span span; } Token;

typedef struct Parser {
    Context *context;
    int file;
    const char *text;        /* of the file, zero-terminated */
    void *scanner;           /* Flex's */
    DeclList *declarations;
    Token previous, current; /* the last two tokens given to the parser */
    Span open[MAX_NESTING];  /* the brackets ( [ { that stand open before the current token */
    int depth;               /* how many */
    bool recovering;         /* the current token was wrong */
    int closing;             /* `}` still to be given after a recovery */
    Token held;              /* given after them */
    int resumed;             /* offset of the token where the last recovery ended */
    int error_limit;         /* error_count at which the file is given up */
    bool stopped;            /* nothing more is read or reported */
} Parser;

typedef enum Role { ROLE_DECLARATION = 1, ROLE_STATEMENT = 2 } Role; /* what a keyword begins */

int keyword_kind(const char *word, size_t length); /* 0 where it is no keyword */
unsigned keyword_roles(int kind);                  /* Roles; 0 for what is no keyword */
bool is_keyword(int kind);
const char *keyword_text(int kind);
bool is_first_on_line(const Parser *parser, Token token);
bool used_as_name(const Parser *parser, Token token); /* `=`, `<-` or `,` follows it */

/* ── lexer.l ──────────────────────────────────────────────────────────────────────────────── */

void scanner_open(Parser *parser);
void scanner_close(Parser *parser);
int scan_token(Parser *parser, Span *span, void *scanner); /* a token's kind, 0 at the end; errors are reported and give YYerror */

/* ── syntax_error.c ───────────────────────────────────────────────────────────────────────── */

/* Reports that the parser's current token is none of `expected`, which is indexed by token kind. */
void syntax_error(Parser *parser, bool *expected);

/* ── ast.c: constructors ──────────────────────────────────────────────────────────────────── */

/* Expressions too deep for MAX_NESTING are reported once and become EXPR_ERROR. */
Name name_at(Context *context, Span span);
Name path_at(Context *context, Span span); /* without the quotes */
Expr *expr_number(Context *context, Span span);
Expr *expr_name(Context *context, Name name);
Expr *expr_member(Context *context, Span span, Expr *object, Name name);
Expr *expr_call(Context *context, Span span, Expr *callee, ArgumentList arguments);
Expr *expr_index(Context *context, Span span, Expr *object, SliceList slices);
Expr *expr_unary(Context *context, Span span, Operator op, Expr *operand, Span op_span);
Expr *expr_binary(Context *context, Span span, Operator op, Expr *left, Expr *right, Span op_span);
Expr *expr_conditional(Context *context, Span span, Expr *condition, Expr *yes, Expr *no);
Expr *expr_list(Context *context, Span span, ExprList items);
Expr *expr_ellipsis(Context *context, Span span);
Expr *expr_pipe(Context *context, Span span, Expr *left, Expr *right);
Expr *expr_named(Context *context, Span span, Expr *stage, Name name);
Expr *expr_repeat(Context *context, Span span, Expr *count, Expr *stage);
Expr *expr_group(Expr *inner, Span span); /* (inner): the same, with the brackets in its span */

typedef struct Definition { Expr *value; StmtList body; } Definition; /* `= value` or `{ body }` */

Stmt *stmt_values(Context *context, StmtKind kind, Span span, ExprList values);
Stmt *stmt_binding(Context *context, StmtKind kind, Span span, NameList names, Expr *value);
Stmt *stmt_phase(Context *context, Span span, Name name, Expr *repeat, StmtList body);
Stmt *stmt_scan(Context *context, Span span, Name *direction, NameList names, ExprList sequences, CarriedList carried, StmtList body);

Decl *decl_import(Context *context, Span span, Name path);
Decl *decl_let(Context *context, Span span, Name name, Expr *value);
Decl *decl_param(Context *context, Span span, Name name, Expr *shape, Expr *initialiser);
Decl *decl_dim(Context *context, Span span, Name name, Expr *low, Expr *high);
Decl *decl_template(Context *context, DeclKind kind, Span span, Name name, FormalList formals, Definition definition);
Decl *decl_optimizer(Context *context, Span span, Name name, FormalList formals, Name weight, Name gradient, StmtList body);
Decl *decl_sequence(Context *context, Span span, Name name, Formal input, Expr *stage); /* net name: input |> stage */
Decl *decl_extend(Context *context, Span span, Decl *sequence, Expr *stage);            /* ... |> stage */

/* Lists are built from left to right: each returns the list with one item more. */
ExprList one_expr(Context *context, Expr *item);
NameList one_name(Context *context, Name item);
ExprList exprs_add(Context *context, ExprList list, Expr *item);
StmtList stmts_add(Context *context, StmtList list, Stmt *item);
NameList names_add(Context *context, NameList list, Name item);
ArgumentList arguments_add(Context *context, ArgumentList list, Argument item);
SliceList slices_add(Context *context, SliceList list, Slice item);
FormalList formals_add(Context *context, FormalList list, Formal item);
CarriedList carried_add(Context *context, CarriedList list, Carried item);

#endif

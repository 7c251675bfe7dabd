/* The grammar. Actions only construct (ast.c); errors are worded in syntax_error.c, recovery is in parse.c. */
%require "3.8"
%expect 0
%define api.pure full
%define api.value.type union
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%parse-param {Context *context} {Parser *parser}
%lex-param {Parser *parser}

%code requires {
#include "syntax.h"
}

%code {
#define YYLLOC_DEFAULT(Current, Rhs, N)                                                                                \
    ((Current) = (N) > 0 ? span_join(YYRHSLOC(Rhs, 1), YYRHSLOC(Rhs, N))                                               \
                         : (Span){YYRHSLOC(Rhs, 0).file, YYRHSLOC(Rhs, 0).end, YYRHSLOC(Rhs, 0).end})

static void yyerror(const Span *span, Context *context, Parser *parser, const char *message);
int yylex(YYSTYPE *value, Span *span, Parser *parser);
}

%initial-action { @$ = (Span){parser->file, 0, 0}; }

%token NUMBER NAME STRING
%token PIPE ASSIGN EQ NE LE GE ELLIPSIS DOTDOT
%token IMPORT LET PARAM DIM FN LAYER NET TRAIN EXPORT OPTIMIZER FOR RETURN STATE ADD_LOSS MINIMIZE METRIC UPDATE USING
%token BATCH EPOCHS PHASE REPEAT CLIP AVERAGE TO AS SCAN IN WITH COLLECT CLASS
%token RESYNC /* given after an error, before the token at which a statement or declaration starts again */

%type <Name> name word
%type <NameList> names
%type <Expr *> expr head conditional comparison sum term unary power postfix primary stage stage_base repeat count list entry
%type <Expr *> maybe_expr maybe_repeat
%type <ExprList> exprs entries items
%type <Operator> comparator adder multiplier sign
%type <Argument> argument
%type <ArgumentList> arguments some_arguments
%type <Slice> slice
%type <SliceList> slices
%type <Formal> formal type
%type <FormalList> formals some_formals
%type <Carried> carried
%type <CarriedList> with some_carried
%type <Stmt *> statement scan
%type <StmtList> body statements
%type <Definition> definition
%type <Decl *> declaration sequence

%%

file
    : %empty
    | file declaration                          { LIST_PUSH(context->arena, parser->declarations, $2); }
    | file error RESYNC                         { yyerrok; }
    ;

/* ── Declarations ── */

declaration
    : IMPORT STRING                             { $$ = decl_import(context, @$, path_at(context, @2)); }
    | LET name '=' expr                         { $$ = decl_let(context, @$, $2, $4); }
    | PARAM name ':' list '~' expr              { $$ = decl_param(context, @$, $2, $4, $6); }
    | DIM name '=' expr DOTDOT expr             { $$ = decl_dim(context, @$, $2, $4, $6); }
    | FN name formals definition                { $$ = decl_template(context, DECL_FN, @$, $2, $3, $4); }
    | LAYER name formals body                   { $$ = decl_template(context, DECL_LAYER, @$, $2, $3, (Definition){.body = $4}); }
    | NET name formals definition               { $$ = decl_template(context, DECL_NET, @$, $2, $3, $4); }
    | sequence
    | TRAIN name formals body                   { $$ = decl_template(context, DECL_TRAIN, @$, $2, $3, (Definition){.body = $4}); }
    | EXPORT name formals definition            { $$ = decl_template(context, DECL_EXPORT, @$, $2, $3, $4); }
    | OPTIMIZER name formals FOR name ',' name body
                                                { $$ = decl_optimizer(context, @$, $2, $3, $5, $7, $8); }
    ;

sequence
    : NET name ':' type PIPE stage              { $$ = decl_sequence(context, @$, $2, $4, $6); }
    | sequence PIPE stage                       { $$ = decl_extend(context, @$, $1, $3); }
    ;

definition
    : '=' expr                                  { $$ = (Definition){.value = $2}; }
    | body                                      { $$ = (Definition){.body = $1}; }
    ;

formals
    : '(' ')'                                   { $$ = (FormalList){0}; }
    | '(' some_formals ')'                      { $$ = $2; }
    | '(' some_formals ',' ')'                  { $$ = $2; }
    ;

some_formals
    : formal                                    { $$ = formals_add(context, (FormalList){0}, $1); }
    | some_formals ',' formal                   { $$ = formals_add(context, $1, $3); }
    ;

formal
    : name                                      { $$ = (Formal){.name = $1}; }
    | name '=' expr                             { $$ = (Formal){.name = $1, .standard = $3}; }
    | name ':' type                             { $$ = $3; $$.name = $1; }
    | name ':' type '=' expr                    { $$ = $3; $$.name = $1; $$.standard = $5; }
    ;

/* A formal without its name yet; the name's place is the type's until then. */
type
    : list                                      { $$ = (Formal){.name.span = @1, .shape = $1}; }
    | CLASS '[' expr ']'                        { $$ = (Formal){.name.span = @$, .classes = $3}; }
    ;

/* ── Statements ── */

body
    : '{' statements '}'                        { $$ = $2; }
    ;

statements
    : %empty                                    { $$ = (StmtList){0}; }
    | statements statement                      { $$ = stmts_add(context, $1, $2); }
    | statements error RESYNC                   { $$ = $1; yyerrok; }
    ;

statement
    : names '=' expr                            { $$ = stmt_binding(context, STMT_BIND, @$, $1, $3); }
    | name ASSIGN expr                          { $$ = stmt_binding(context, STMT_ASSIGN, @$, one_name(context, $1), $3); }
    | STATE name '=' expr                       { $$ = stmt_binding(context, STMT_STATE, @$, one_name(context, $2), $4); }
    | STATE name ':' expr '=' expr              { $$ = stmt_binding(context, STMT_STATE, @$, one_name(context, $2), $6);
                                                  $$->shape = $4; }
    | RETURN exprs                              { $$ = stmt_values(context, STMT_RETURN, @$, $2); }
    | ADD_LOSS expr                             { $$ = stmt_values(context, STMT_ADD_LOSS, @$, one_expr(context, $2)); }
    | scan
    | names '=' scan                            { $$ = $3;
                                                  $$->names = $1; }
    | COLLECT exprs                             { $$ = stmt_values(context, STMT_COLLECT, @$, $2); }
    | BATCH expr                                { $$ = stmt_values(context, STMT_BATCH, @$, one_expr(context, $2)); }
    | EPOCHS expr                               { $$ = stmt_values(context, STMT_EPOCHS, @$, one_expr(context, $2)); }
    | MINIMIZE expr                             { $$ = stmt_values(context, STMT_MINIMIZE, @$, one_expr(context, $2)); }
    | METRIC name '=' expr                      { $$ = stmt_binding(context, STMT_METRIC, @$, one_name(context, $2), $4); }
    | UPDATE exprs USING expr                   { $$ = stmt_values(context, STMT_UPDATE, @$, $2);
                                                  $$->optimizer = $4; }
    | CLIP exprs TO expr ',' expr               { $$ = stmt_values(context, STMT_CLIP, @$, $2);
                                                  $$->low = $4;
                                                  $$->high = $6; }
    | AVERAGE exprs USING expr                  { $$ = stmt_values(context, STMT_AVERAGE, @$, $2);
                                                  $$->decay = $4; }
    | PHASE name maybe_repeat body              { $$ = stmt_phase(context, @$, $2, $3, $4); }
    ;

scan
    : SCAN names IN exprs with body             { $$ = stmt_scan(context, @$, NULL, $2, $4, $5, $6); }
    | SCAN name names IN exprs with body        { $$ = stmt_scan(context, @$, &$2, $3, $5, $6, $7); }
    ;

maybe_repeat
    : %empty                                    { $$ = NULL; }
    | REPEAT expr                               { $$ = $2; }
    ;

with
    : %empty                                    { $$ = (CarriedList){0}; }
    | WITH some_carried                         { $$ = $2; }
    ;

some_carried
    : carried                                   { $$ = carried_add(context, (CarriedList){0}, $1); }
    | some_carried ',' carried                  { $$ = carried_add(context, $1, $3); }
    ;

carried
    : name '=' expr                             { $$ = (Carried){$1, $3}; }
    ;

/* ── Expressions, from the loosest to the tightest ── */

exprs
    : expr                                      { $$ = one_expr(context, $1); }
    | exprs ',' expr                            { $$ = exprs_add(context, $1, $3); }
    ;

expr
    : head
    | expr PIPE stage                           { $$ = expr_pipe(context, @$, $1, $3); }
    ;

head
    : conditional
    | postfix AS name                           { $$ = expr_named(context, @$, $1, $3); }
    | repeat
    | repeat AS name                            { $$ = expr_named(context, @$, $1, $3); }
    ;

stage
    : stage_base
    | stage_base AS name                        { $$ = expr_named(context, @$, $1, $3); }
    ;

stage_base
    : postfix
    | repeat
    ;

repeat
    : REPEAT count '(' expr ')'                 { $$ = expr_repeat(context, @$, $2, $4); }
    ;

/* No call, so that the parenthesis after it is the stage's. */
count
    : NUMBER                                    { $$ = expr_number(context, @1); }
    | name                                      { $$ = expr_name(context, $1); }
    | '(' expr ')'                              { $$ = expr_group($2, @$); }
    ;

conditional
    : comparison
    | comparison '?' expr ':' conditional       { $$ = expr_conditional(context, @$, $1, $3, $5); }
    ;

comparison
    : sum
    | sum comparator sum                        { $$ = expr_binary(context, @$, $2, $1, $3, @2); }
    ;

comparator
    : EQ                                        { $$ = OPERATOR_EQ; }
    | NE                                        { $$ = OPERATOR_NE; }
    | '<'                                       { $$ = OPERATOR_LT; }
    | LE                                        { $$ = OPERATOR_LE; }
    | '>'                                       { $$ = OPERATOR_GT; }
    | GE                                        { $$ = OPERATOR_GE; }
    ;

sum
    : term
    | sum adder term                            { $$ = expr_binary(context, @$, $2, $1, $3, @2); }
    ;

adder
    : '+'                                       { $$ = OPERATOR_ADD; }
    | '-'                                       { $$ = OPERATOR_SUB; }
    ;

term
    : unary
    | term multiplier unary                     { $$ = expr_binary(context, @$, $2, $1, $3, @2); }
    ;

multiplier
    : '*'                                       { $$ = OPERATOR_MUL; }
    | '/'                                       { $$ = OPERATOR_DIV; }
    | '@'                                       { $$ = OPERATOR_MATMUL; }
    ;

unary
    : power
    | sign unary                                { $$ = expr_unary(context, @$, $1, $2, @1); }
    ;

sign
    : '-'                                       { $$ = OPERATOR_NEGATE; }
    | '!'                                       { $$ = OPERATOR_NOT; }
    ;

power
    : postfix
    | postfix '^' unary                         { $$ = expr_binary(context, @$, OPERATOR_POW, $1, $3, @2); }
    ;

postfix
    : primary
    | postfix '.' word                          { $$ = expr_member(context, @$, $1, $3); }
    | postfix '(' arguments ')'                 { $$ = expr_call(context, @$, $1, $3); }
    | postfix '[' slices ']'                    { $$ = expr_index(context, @$, $1, $3); }
    ;

primary
    : NUMBER                                    { $$ = expr_number(context, @1); }
    | name                                      { $$ = expr_name(context, $1); }
    | PARAM                                     { $$ = expr_name(context, name_at(context, @1)); }
    | BATCH                                     { $$ = expr_name(context, name_at(context, @1)); }
    | list
    | '(' expr ')'                              { $$ = expr_group($2, @$); }
    ;

list
    : '[' items ']'                             { $$ = expr_list(context, @$, $2); }
    ;

items
    : %empty                                    { $$ = (ExprList){0}; }
    | entries
    | entries ','
    ;

entries
    : entry                                     { $$ = one_expr(context, $1); }
    | entries ',' entry                         { $$ = exprs_add(context, $1, $3); }
    ;

entry
    : expr
    | ELLIPSIS                                  { $$ = expr_ellipsis(context, @1); }
    ;

arguments
    : %empty                                    { $$ = (ArgumentList){0}; }
    | some_arguments
    | some_arguments ','
    ;

some_arguments
    : argument                                  { $$ = arguments_add(context, (ArgumentList){0}, $1); }
    | some_arguments ',' argument               { $$ = arguments_add(context, $1, $3); }
    ;

argument
    : expr                                      { $$ = (Argument){.value = $1}; }
    | name '=' expr                             { $$ = (Argument){.name = $1, .value = $3}; }
    ;

slices
    : slice                                     { $$ = slices_add(context, (SliceList){0}, $1); }
    | slices ',' slice                          { $$ = slices_add(context, $1, $3); }
    ;

slice
    : expr                                      { $$ = (Slice){.start = $1, .single = true}; }
    | maybe_expr ':' maybe_expr                 { $$ = (Slice){.start = $1, .stop = $3}; }
    | maybe_expr ':' maybe_expr ':' maybe_expr  { $$ = (Slice){.start = $1, .stop = $3, .step = $5}; }
    | ELLIPSIS                                  { $$ = (Slice){.ellipsis = true}; }
    ;

maybe_expr
    : %empty                                    { $$ = NULL; }
    | expr
    ;

/* ── Names ── */

names
    : name                                      { $$ = one_name(context, $1); }
    | names ',' name                            { $$ = names_add(context, $1, $3); }
    ;

name
    : NAME                                      { $$ = name_at(context, @1); }
    ;

/* After a point a keyword is a name like any other. */
word
    : name
    | keyword                                   { $$ = name_at(context, @1); }
    ;

keyword
    : IMPORT | LET | PARAM | DIM | FN | LAYER | NET | TRAIN | EXPORT | OPTIMIZER | FOR | RETURN | STATE | ADD_LOSS | MINIMIZE
    | METRIC | UPDATE | USING | BATCH | EPOCHS | PHASE | REPEAT | CLIP | AVERAGE | TO | AS | SCAN | IN | WITH | COLLECT | CLASS
    ;

%%

/* Turns the parser's symbols into token kinds, which the rest of the front end knows. */
static int yyreport_syntax_error(const yypcontext_t *where, Context *context, Parser *parser)
{
    yysymbol_kind_t symbols[YYNTOKENS];
    bool accepted[YYNTOKENS] = {false}, expected[YYMAXUTOK + 1] = {false};
    int count = yypcontext_expected_tokens(where, symbols, YYNTOKENS);
    (void)context;
    for (int i = 0; i < count; i++)
        accepted[symbols[i]] = true;
    for (int kind = 0; kind <= YYMAXUTOK; kind++)
        expected[kind] = accepted[YYTRANSLATE(kind)];
    syntax_error(parser, expected);
    parser->recovering = true;
    return 0;
}

/* Called only when the parser's stack is full. */
static void yyerror(const Span *span, Context *context, Parser *parser, const char *message)
{
    (void)message;
    parser->stopped = true;
    error_at(context, *span, "this is nested too deeply");
}

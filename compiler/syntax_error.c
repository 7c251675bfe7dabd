/* The wording of syntax errors: what was expected and what was found, in the language's own words; and for the
 * mistakes that people make most, what to write instead. */
#include "parser.h"
#include "syntax.h"

#include <string.h>

enum { MAX_PHRASES = 4, LONGEST_QUOTE = 40, END_OF_FILE = 0 };

static const int expression_starts[] = {NUMBER, NAME, PARAM, BATCH, REPEAT, '(', '[', '-', '!', 0};
static const int expression_goes_on[] = {PIPE, AS, '?', EQ, NE, '<', LE, '>', GE, '+', '-', '*', '/', '@', '^', '.', '(', '[', 0};
static const int comparators[] = {EQ, NE, '<', LE, '>', GE, 0};
static const int operators[] = {'?', EQ, NE, '<', LE, '>', GE, '+', '-', '*', '/', '@', '^', 0};

static bool is_in(const int *kinds, int kind)
{
    while (*kinds != 0 && *kinds != kind)
        kinds++;
    return *kinds != 0;
}

static void forget(bool *expected, const int *kinds)
{
    for (; *kinds != 0; kinds++)
        expected[*kinds] = false;
}

static void forget_keywords(bool *expected, unsigned roles)
{
    for (int kind = NUMBER; kind <= RESYNC; kind++)
        if (is_keyword(kind) && (roles == 0 || (keyword_roles(kind) & roles) != 0))
            expected[kind] = false;
}

/* ── Quoting the source ───────────────────────────────────────────────────────────────────── */

static const char *quote(Parser *parser, Token token)
{
    int length = token.span.end - token.span.start;
    if (token.kind == END_OF_FILE)
        return "the end of the file";
    return arena_printf(parser->context->arena, "`%.*s%s`", length < LONGEST_QUOTE ? length : LONGEST_QUOTE,
                        parser->text + token.span.start, length > LONGEST_QUOTE ? "..." : "");
}

/* " after `as`": nothing at the start of a file and behind another error. */
static const char *after(Parser *parser)
{
    Token token = parser->previous;
    if (token.kind == YYUNDEF || token.kind == RESYNC || token.span.start == token.span.end)
        return "";
    return arena_printf(parser->context->arena, " after %s", quote(parser, token));
}

/* Something is missing at the end of a line: better shown there than at the start of a later one. */
static bool is_missing_before(const Parser *parser, const bool *expected)
{
    bool started = parser->previous.kind != YYUNDEF && parser->previous.kind != RESYNC;
    bool between = expected[RETURN] || expected[LET];
    return parser->current.kind == END_OF_FILE || (started && !between && is_first_on_line(parser, parser->current));
}

static Span place(const Parser *parser, const bool *expected)
{
    int end = parser->previous.span.end;
    return is_missing_before(parser, expected) ? (Span){parser->file, end, end} : parser->current.span;
}

static const char *found(Parser *parser, const bool *expected)
{
    Token token = parser->current;
    const char *text = quote(parser, token);
    if (token.kind == END_OF_FILE || !is_missing_before(parser, expected))
        return text;
    int line = source_position(parser->context, parser->file, token.span.start).line;
    return arena_printf(parser->context->arena, "%s on line %d", text, line);
}

/* ── What was expected ────────────────────────────────────────────────────────────────────── */

typedef struct Phrases { const char *text[MAX_PHRASES]; int count; } Phrases;

static void add_phrase(Phrases *phrases, const char *text)
{
    if (phrases->count < MAX_PHRASES)
        phrases->text[phrases->count++] = text;
}

static const char *kind_text(Context *context, int kind)
{
    static const struct { int kind; const char *text; } texts[] = {
        {END_OF_FILE, "the end of the file"}, {NAME, "a name"}, {STRING, "a path in double quotes"}, {PIPE, "`|>`"},
        {ASSIGN, "`<-`"}, {ELLIPSIS, "`...`"}, {DOTDOT, "`..`"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].kind == kind)
            return texts[i].text;
    return kind < 256 ? arena_printf(context->arena, "`%c`", kind) : arena_printf(context->arena, "`%s`", keyword_text(kind));
}

/* An expression that has just ended could always go on: that is worth a word only where nothing else is possible. */
static void forget_going_on(bool *expected)
{
    bool others = false;
    for (int kind = 0; kind < RESYNC; kind++)
        others |= expected[kind] && !is_in(expression_goes_on, kind);
    if (others && expected[PIPE])
        forget(expected, expression_goes_on);
}

/* Sets of tokens that have a name of their own. */
static void name_sets(bool *expected, Phrases *phrases)
{
    if (expected[NUMBER]) {
        add_phrase(phrases, "an expression");
        forget(expected, expression_starts);
    }
    if (expected[CLASS] && expected[LET]) /* any word, after a point */
        forget_keywords(expected, 0);
    if (expected[CLASS] && expected['[']) {
        add_phrase(phrases, "a shape such as `[28, 28]`");
        expected[CLASS] = expected['['] = false;
    }
    if (expected[LET]) {
        add_phrase(phrases, "a declaration");
        forget_keywords(expected, ROLE_DECLARATION);
        expected[END_OF_FILE] = false;
    }
    if (expected[RETURN]) {
        add_phrase(phrases, "a statement");
        forget_keywords(expected, ROLE_STATEMENT);
        expected[NAME] = false;
    }
}

static const char *join(Arena *arena, const Phrases *phrases)
{
    Text text = {.arena = arena};
    for (int i = 0; i < phrases->count; i++)
        text_add(&text, "%s%s", i == 0 ? "" : i + 1 == phrases->count ? " or " : ", ", phrases->text[i]);
    return text.bytes;
}

/* Clears what it has described in `expected`. */
static const char *describe(Context *context, bool *expected)
{
    Phrases phrases = {.count = 0};
    forget_going_on(expected);
    name_sets(expected, &phrases);
    if (expected[NAME])
        add_phrase(&phrases, "a name");
    expected[NAME] = false;
    for (int kind = RESYNC - 1; kind >= 0; kind--)
        if (expected[kind])
            add_phrase(&phrases, kind_text(context, kind));
    return join(context->arena, &phrases);
}

/* ── Mistakes that people make ────────────────────────────────────────────────────────────── */

/* Each looks for one mistake, and reports it where it is that. */
typedef bool (*Suspicion)(Parser *parser, const bool *expected);

static bool ends_expression(const bool *expected)
{
    return expected[PIPE] && (expected['('] || expected[AS] || expected['+']);
}

/* The keyword of this role that a name may have been meant for, as a question; else "". */
static const char *did_you_mean(Parser *parser, Token token, Role role)
{
    const char *words[RESYNC];
    int count = 0;
    for (int kind = NUMBER; kind <= RESYNC; kind++)
        if ((keyword_roles(kind) & role) != 0)
            words[count++] = keyword_text(kind);
    const char *name = arena_copy(parser->context->arena, parser->text + token.span.start, (size_t)(token.span.end - token.span.start));
    const char *near = token.kind == NAME ? nearest_name(name, words, count) : NULL;
    return near == NULL ? "" : arena_printf(parser->context->arena, "; did you mean `%s`?", near);
}

/* batch = 32 */
static const char *statement_text(Parser *parser, Token keyword)
{
    bool value = keyword.kind == BATCH || keyword.kind == EPOCHS || keyword.kind == MINIMIZE;
    return value ? arena_printf(parser->context->arena, "; its statement has no `=`: `%s ...`", keyword_text(keyword.kind)) : "";
}

static bool keyword_as_name(Parser *parser, const bool *expected)
{
    Token found = parser->current, before = parser->previous;
    bool here = is_keyword(found.kind) && expected[NAME] &&
                (used_as_name(parser, found) || !(expected[NUMBER] || expected[RETURN]));
    bool before_it = is_keyword(before.kind) && (found.kind == '=' || found.kind == ASSIGN);
    if (here || before_it)
        error_at(parser->context, here ? found.span : before.span, "%s is a keyword and cannot be a name%s",
                 quote(parser, here ? found : before), here ? "" : statement_text(parser, before));
    return here || before_it;
}

static bool quoted_name(Parser *parser, const bool *expected)
{
    Token token = parser->current;
    if (token.kind != STRING || !expected[NUMBER])
        return false;
    error_at(parser->context, token.span, "names stand without quotes: write `%.*s`", token.span.end - token.span.start - 2,
             parser->text + token.span.start + 1);
    return true;
}

/* (3, 3), where brackets group one expression. */
static bool list_in_parentheses(Parser *parser, const bool *expected)
{
    if (parser->current.kind != ',' || !expected[')'] || !ends_expression(expected))
        return false;
    error_at(parser->context, parser->current.span, "expected `)`, found `,`: a list stands in square brackets, as `[3, 3]`");
    return true;
}

/* layer twice(x) = 2 * x */
static bool value_for_body(Parser *parser, const bool *expected)
{
    if (parser->current.kind != '=' || !expected['{'] || expected['='])
        return false;
    error_at(parser->context, parser->current.span, "expected `{` after %s, found `=`: a layer or train has a body in braces",
             quote(parser, parser->previous));
    return true;
}

static bool arrow_as_comparison(Parser *parser, const bool *expected)
{
    if (parser->current.kind != ASSIGN || !ends_expression(expected))
        return false;
    error_at(parser->context, parser->current.span,
             "`<-` updates a state; to compare with a negative number write `< -` with a space between");
    return true;
}

static bool equals_as_comparison(Parser *parser, const bool *expected)
{
    if (parser->current.kind != '=' || !ends_expression(expected))
        return false;
    error_at(parser->context, parser->current.span, "`=` names a value; a comparison is written `==`");
    return true;
}

static bool chained_comparison(Parser *parser, const bool *expected)
{
    if (!is_in(comparators, parser->current.kind) || !expected['?'])
        return false;
    error_at(parser->context, parser->current.span, "comparisons do not chain: write `(a < b) * (b < c)`");
    return true;
}

static bool operator_after_stage(Parser *parser, const bool *expected)
{
    if (!is_in(operators, parser->current.kind) || !expected[PIPE] || expected['?'])
        return false;
    error_at(parser->context, parser->current.span,
             "%s cannot follow a stage of a chain: put the chain in parentheses, as in `(x |> f) + y`", quote(parser, parser->current));
    return true;
}

static bool expression_as_statement(Parser *parser, const bool *expected)
{
    if (!expected['='] || !expected[ASSIGN] || parser->previous.kind != NAME)
        return false;
    error_at(parser->context, parser->previous.span,
             "a statement starts with a keyword or names its result: expected `=`, `<-` or `,` after %s, found %s%s",
             quote(parser, parser->previous), quote(parser, parser->current), did_you_mean(parser, parser->previous, ROLE_STATEMENT));
    return true;
}

static bool statement_outside(Parser *parser, const bool *expected)
{
    Token token = parser->current;
    bool statement = (keyword_roles(token.kind) & ROLE_STATEMENT) != 0 || (token.kind == NAME && used_as_name(parser, token));
    if (!statement || !expected[LET])
        return false;
    error_at(parser->context, token.span,
             "expected a declaration, found %s: statements stand in the { body } of a net, layer or train; a constant is `let name = ...`",
             quote(parser, token));
    return true;
}

static bool is_known_mistake(Parser *parser, const bool *expected)
{
    static const Suspicion suspicions[] = {keyword_as_name, quoted_name, list_in_parentheses, value_for_body, arrow_as_comparison, equals_as_comparison,
                                           chained_comparison, operator_after_stage, expression_as_statement,
                                           statement_outside};
    for (size_t i = 0; i < sizeof suspicions / sizeof *suspicions; i++)
        if (suspicions[i](parser, expected))
            return true;
    return false;
}

/* ── The entry ────────────────────────────────────────────────────────────────────────────── */

static bool is_on_line_of(const Parser *parser, Span a, Span b)
{
    return memchr(parser->text + a.start, '\n', (size_t)(b.start - a.start)) == NULL;
}

/* A bracket that was to be closed long before is best shown where it opens. A body may go on for long: its brace is
 * to blame only where something follows that can be in no body. */
static void note_open_bracket(Parser *parser, bool closer_expected)
{
    if (parser->depth == 0 || !closer_expected)
        return;
    Span open = parser->open[parser->depth - 1];
    Token found = parser->current;
    bool outside = found.kind == END_OF_FILE || (keyword_roles(found.kind) & ROLE_DECLARATION) != 0;
    bool brace = parser->text[open.start] == '{';
    if (brace ? outside : !is_on_line_of(parser, open, found.span))
        note_at(parser->context, open, "`%c` is opened here", parser->text[open.start]);
}

void syntax_error(Parser *parser, bool *expected)
{
    if (parser->stopped || is_known_mistake(parser, expected))
        return;
    bool closer_expected = expected[')'] || expected[']'] || expected['}'];
    Span span = place(parser, expected);
    const char *instead = found(parser, expected);
    const char *meant = expected[LET] ? did_you_mean(parser, parser->current, ROLE_DECLARATION) : "";
    error_at(parser->context, span, "expected %s%s, found %s%s", describe(parser->context, expected), after(parser), instead, meant);
    note_open_bracket(parser, closer_expected);
}

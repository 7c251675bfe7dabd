/* Parsing one source: the entry, and the stream of tokens that the generated parser reads.
 *
 * After a syntax error the parser accepts nothing but RESYNC. The stream then skips to where a statement or a
 * declaration seems to start, gives RESYNC there and goes on: so that each mistake gives one message. Line breaks,
 * which mean nothing in the language, are what it goes by. */
#include "parser.h"
#include "syntax.h"

#include <string.h>

enum { END_OF_FILE = 0, MAX_ERRORS = 50 /* of one file: more, and it is no text in this language */ };

int yylex(YYSTYPE *value, Span *span, Parser *parser);

/* ── Keywords ─────────────────────────────────────────────────────────────────────────────── */

typedef struct Keyword { const char *text; int kind; unsigned roles; } Keyword;

static const Keyword keywords[] = {
    {"import", IMPORT, ROLE_DECLARATION}, {"let", LET, ROLE_DECLARATION}, {"param", PARAM, ROLE_DECLARATION},
    {"dim", DIM, ROLE_DECLARATION}, {"fn", FN, ROLE_DECLARATION}, {"layer", LAYER, ROLE_DECLARATION},
    {"net", NET, ROLE_DECLARATION}, {"train", TRAIN, ROLE_DECLARATION}, {"export", EXPORT, ROLE_DECLARATION},
    {"optimizer", OPTIMIZER, ROLE_DECLARATION}, {"return", RETURN, ROLE_STATEMENT}, {"state", STATE, ROLE_STATEMENT},
    {"add_loss", ADD_LOSS, ROLE_STATEMENT}, {"minimize", MINIMIZE, ROLE_STATEMENT}, {"metric", METRIC, ROLE_STATEMENT},
    {"update", UPDATE, ROLE_STATEMENT}, {"batch", BATCH, ROLE_STATEMENT}, {"epochs", EPOCHS, ROLE_STATEMENT},
    {"phase", PHASE, ROLE_STATEMENT}, {"clip", CLIP, ROLE_STATEMENT}, {"average", AVERAGE, ROLE_STATEMENT}, {"scan", SCAN, ROLE_STATEMENT},
    {"collect", COLLECT, ROLE_STATEMENT}, {"for", FOR, 0}, {"using", USING, 0}, {"repeat", REPEAT, 0}, {"to", TO, 0},
    {"as", AS, 0}, {"in", IN, 0}, {"with", WITH, 0}, {"class", CLASS, 0}};

enum { KEYWORDS = sizeof keywords / sizeof *keywords };

int keyword_kind(const char *word, size_t length)
{
    for (int i = 0; i < KEYWORDS; i++)
        if (strlen(keywords[i].text) == length && memcmp(keywords[i].text, word, length) == 0)
            return keywords[i].kind;
    return 0;
}

static const Keyword *keyword_of(int kind)
{
    for (int i = 0; i < KEYWORDS; i++)
        if (keywords[i].kind == kind)
            return &keywords[i];
    return NULL;
}

bool is_keyword(int kind)
{
    return keyword_of(kind) != NULL;
}

const char *keyword_text(int kind)
{
    const Keyword *keyword = keyword_of(kind);
    return keyword == NULL ? "" : keyword->text;
}

unsigned keyword_roles(int kind)
{
    const Keyword *keyword = keyword_of(kind);
    return keyword == NULL ? 0 : keyword->roles;
}

/* ── Looking at the text around a token ───────────────────────────────────────────────────── */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

static bool is_assignment(const char *text)
{
    return (text[0] == '=' && text[1] != '=') || strncmp(text, "<-", 2) == 0;
}

bool used_as_name(const Parser *parser, Token token)
{
    const char *next = skip_blanks(parser->text + token.span.end);
    return is_assignment(next) || *next == ',';
}

bool is_first_on_line(const Parser *parser, Token token)
{
    int i = token.span.start;
    while (i > 0 && (parser->text[i - 1] == ' ' || parser->text[i - 1] == '\t'))
        i--;
    return i == 0 || parser->text[i - 1] == '\n';
}

/* The line from the token on closes what it opens and ends without a comma: it is not a part of an argument list. */
static bool is_whole_line(const Parser *parser, Token token)
{
    int depth = 0;
    char last = ' ';
    for (const char *c = parser->text + token.span.start; *c != '\0' && *c != '\n' && *c != '#'; c++) {
        depth += (*c == '(' || *c == '[') - (*c == ')' || *c == ']');
        if (*c != ' ' && *c != '\t' && *c != '\r')
            last = *c;
    }
    return depth == 0 && last != ',';
}

/* ── Brackets ─────────────────────────────────────────────────────────────────────────────── */

static bool is_brace(const Parser *parser, int level)
{
    return parser->text[parser->open[level].start] == '{';
}

static int open_braces(const Parser *parser)
{
    int count = 0;
    for (int i = 0; i < parser->depth; i++)
        count += is_brace(parser, i);
    return count;
}

static void stop(Parser *parser)
{
    parser->stopped = true;
    parser->held = (Token){END_OF_FILE, parser->current.span};
}

/* Called when the parser has taken a token and asks for the next: a wrong one never counts. */
static void count_bracket(Parser *parser, Token token)
{
    bool opens = token.kind == '(' || token.kind == '[' || token.kind == '{';
    bool closes = token.kind == ')' || token.kind == ']' || token.kind == '}';
    if (closes)
        parser->depth--;
    if (opens && parser->depth == MAX_NESTING) {
        error_at(parser->context, token.span, "this is nested too deeply: brackets go %d levels deep at most", MAX_NESTING);
        stop(parser);
    } else if (opens) {
        parser->open[parser->depth++] = token.span;
    }
}

/* ── Recovery ─────────────────────────────────────────────────────────────────────────────── */

static Token next_token(Parser *parser)
{
    Token token = {.span = parser->current.span};
    token.kind = scan_token(parser, &token.span, parser->scanner);
    return token;
}

/* Within a body only a keyword that is not indented says that the body's end was forgotten. */
static bool starts_declaration(const Parser *parser, Token token)
{
    bool indented = token.span.start > 0 && parser->text[token.span.start - 1] != '\n';
    return (keyword_roles(token.kind) & ROLE_DECLARATION) != 0 && is_first_on_line(parser, token) &&
           !(indented && parser->depth > 0) && *skip_blanks(parser->text + token.span.end) != '(' && !used_as_name(parser, token);
}

/* `inside` brackets, a line such as `units = 3` is an argument. A keyword in a name's place is an error of its own. */
static bool starts_statement(const Parser *parser, Token token, bool inside)
{
    bool named = used_as_name(parser, token);
    if (!is_first_on_line(parser, token) || (inside && named))
        return false;
    return (keyword_roles(token.kind) & ROLE_STATEMENT) != 0 || (named && (token.kind == NAME || is_keyword(token.kind)));
}

/* Where an error is met at the start of a line, an open bracket before it may just as well have been forgotten. */
static bool starts_after_forgotten_bracket(const Parser *parser, Token token)
{
    return starts_statement(parser, token, false) && is_whole_line(parser, token) &&
           is_assignment(skip_blanks(parser->text + token.span.end));
}

typedef struct Skipped { int brackets, braces; } Skipped; /* open, of those that were skipped over */

static void skip(Skipped *skipped, int kind)
{
    skipped->brackets += (kind == '(' || kind == '[') - (kind == ')' || kind == ']');
    skipped->braces += (kind == '{') - (kind == '}');
}

static bool resumes_body(const Parser *parser, Token token, const Skipped *skipped, bool first)
{
    if (skipped->braces > 0)
        return false;
    return token.kind == '}' || starts_statement(parser, token, skipped->brackets > 0) ||
           (first && starts_after_forgotten_bracket(parser, token));
}

/* Drops the brackets inside the innermost open brace. Returns how many. */
static int drop_brackets(Parser *parser)
{
    int dropped = 0;
    for (; parser->depth > 0 && !is_brace(parser, parser->depth - 1); parser->depth--)
        dropped++;
    return dropped;
}

/* Skips to the token where the parser can go on, and keeps it in `held`. A token that was resumed at and is wrong again is
 * passed over, so that every recovery gets further. */
static void resynchronise(Parser *parser)
{
    Skipped skipped = {.brackets = drop_brackets(parser)};
    bool in_body = parser->depth > 0, first = true;
    Token token = parser->current;
    if (token.kind != END_OF_FILE && token.span.start == parser->resumed)
        token = next_token(parser);
    for (; token.kind != END_OF_FILE && !starts_declaration(parser, token); first = false) {
        if (in_body && resumes_body(parser, token, &skipped, first))
            break;
        skip(&skipped, token.kind);
        parser->current = token;
        token = next_token(parser);
    }
    if (token.kind == END_OF_FILE || starts_declaration(parser, token))
        parser->closing = open_braces(parser);
    parser->held = token;
    parser->resumed = token.span.start;
    parser->recovering = false;
}

/* ── The stream ───────────────────────────────────────────────────────────────────────────── */

static Token take_token(Parser *parser)
{
    Token token = parser->held;
    if (parser->stopped)
        return token;
    if (parser->closing > 0) {
        parser->closing--;
        return (Token){'}', {parser->file, token.span.start, token.span.start}};
    }
    parser->held.kind = YYUNDEF;
    return token.kind == YYUNDEF ? next_token(parser) : token;
}

int yylex(YYSTYPE *value, Span *span, Parser *parser)
{
    (void)value; /* tokens have none */
    if (error_count(parser->context) >= parser->error_limit)
        stop(parser);
    if (parser->recovering && !parser->stopped) {
        resynchronise(parser);
        parser->current.kind = RESYNC;
    } else {
        count_bracket(parser, parser->current);
        parser->previous = parser->current;
        parser->current = take_token(parser);
        parser->recovering = parser->current.kind == YYerror;
    }
    *span = parser->current.span;
    return parser->current.kind;
}

/* ── The entry ────────────────────────────────────────────────────────────────────────────── */

static bool is_text(Context *context, int file)
{
    const Source *source = &context->sources.items[file];
    const char *zero = memchr(source->text, '\0', source->length);
    if (zero == NULL)
        return true;
    int offset = (int)(zero - source->text);
    error_at(context, (Span){file, offset, offset + 1}, "this is not a text file: it holds a zero byte");
    return false;
}

/* Parses one source and appends its declarations; those with a mistake are left out. */
void parse(Context *context, int file, DeclList *declarations)
{
    int errors = error_count(context), count = declarations->count;
    Token start = {YYUNDEF, {file, 0, 0}};
    Parser parser = {.context = context, .file = file, .text = context->sources.items[file].text,
                     .declarations = declarations, .previous = start, .current = start, .held = start, .resumed = -1,
                     .error_limit = errors + MAX_ERRORS};
    if (!is_text(context, file))
        return;
    scanner_open(&parser);
    yyparse(context, &parser);
    scanner_close(&parser);
    if (declarations->count == count && error_count(context) == errors)
        error_at(context, start.span, "the file holds no declarations: a model has at least a `net` and a `train`");
}

/* Errors, warnings and notes: collected while a compilation goes on, sorted and printed with excerpts at its end. */
#include "gdlc.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_PRINTED = 20,  /* errors; more help nobody */
    MAX_STORED = 1000, /* messages; further ones are only counted */
    EXCERPT_BEFORE = 60, EXCERPT_AFTER = 60 /* characters shown of a long line, left and right of the caret */
};

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE } Severity;

typedef struct Message { Severity severity; Span span; const char *text; } Message;

typedef struct Diagnostic {
    Message message;
    LIST(Message) notes;
    int order; /* of arrival, where places are equal */
} Diagnostic;

struct Diagnostics {
    LIST(Diagnostic) list;
    int errors;
    bool dropping; /* the last one was a duplicate or too many: so are its notes */
};

/* ── Collecting ───────────────────────────────────────────────────────────────────────────── */

static char *format_text(Arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

static bool same_message(const Message *a, const Message *b)
{
    return a->span.file == b->span.file && a->span.start == b->span.start && strcmp(a->text, b->text) == 0;
}

static bool is_known(const struct Diagnostics *all, const Message *message)
{
    for (int i = 0; i < all->list.count; i++)
        if (same_message(&all->list.items[i].message, message))
            return true;
    return false;
}

static struct Diagnostics *diagnostics_of(Context *context)
{
    if (context->diagnostics == NULL)
        context->diagnostics = NEW(context->arena, struct Diagnostics);
    return context->diagnostics;
}

static void report(Context *context, Message message)
{
    struct Diagnostics *all = diagnostics_of(context);
    bool full = all->list.count >= MAX_STORED;
    all->dropping = full || is_known(all, &message);
    if (message.severity == SEVERITY_ERROR && (full || !all->dropping))
        all->errors++;
    if (!all->dropping) {
        Diagnostic diagnostic = {.message = message, .order = all->list.count};
        LIST_PUSH(context->arena, &all->list, diagnostic);
    }
}

void error_at(Context *context, Span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(context, (Message){SEVERITY_ERROR, span, format_text(context->arena, format, arguments)});
    va_end(arguments);
}

void warning_at(Context *context, Span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(context, (Message){SEVERITY_WARNING, span, format_text(context->arena, format, arguments)});
    va_end(arguments);
}

void note_at(Context *context, Span span, const char *format, ...)
{
    struct Diagnostics *all = diagnostics_of(context);
    if (all->dropping || all->list.count == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    Message note = {SEVERITY_NOTE, span, format_text(context->arena, format, arguments)};
    LIST_PUSH(context->arena, &all->list.items[all->list.count - 1].notes, note);
    va_end(arguments);
}

int error_count(const Context *context)
{
    return context->diagnostics == NULL ? 0 : context->diagnostics->errors;
}

/* ── Printing ─────────────────────────────────────────────────────────────────────────────── */

typedef struct Style { const char *place, *kind[3], *end; } Style;

static const Style plain = {"", {"", "", ""}, ""};
static const Style coloured = {"\033[1m", {"\033[1;31m", "\033[1;35m", "\033[1;36m"}, "\033[0m"};

static const Style *style_for(FILE *to)
{
    const char *refused = getenv("NO_COLOR");
    return isatty(fileno(to)) && (refused == NULL || *refused == '\0') ? &coloured : &plain;
}

/* The bytes of the character at `text`: 1 for what is no valid UTF-8. */
static int character_length(const char *text, int rest)
{
    unsigned char first = (unsigned char)*text;
    int length = first >= 0xF0 && first < 0xF8 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 1;
    if (length > rest || first >= 0xF8)
        return 1;
    for (int i = 1; i < length; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            return 1;
    return length;
}

static void print_character(FILE *to, const char *text, int length)
{
    unsigned char byte = (unsigned char)*text;
    bool odd = length == 1 && byte != '\t' && (byte < 32 || byte >= 127);
    if (odd)
        fputc('?', to);
    else
        fwrite(text, 1, (size_t)length, to);
}

/* The part of a line that is shown: all, or what lies around the caret. In bytes from the line's start. */
typedef struct Window { int start, end; } Window;

static bool continues(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static Window window_around(const char *line, int length, int caret)
{
    Window window = {0, length};
    if (length <= EXCERPT_BEFORE + EXCERPT_AFTER)
        return window;
    if (caret > EXCERPT_BEFORE)
        window.start = caret - EXCERPT_BEFORE;
    if (length - caret > EXCERPT_AFTER)
        window.end = caret + EXCERPT_AFTER;
    while (window.start > 0 && window.start < caret && continues(line[window.start]))
        window.start++;
    while (window.end < length && continues(line[window.end]))
        window.end++;
    return window;
}

static void print_line(FILE *to, const char *line, int length, int number, Window window)
{
    fprintf(to, "%5d |%s%s", number, window.end > 0 ? " " : "", window.start > 0 ? "..." : "");
    for (int i = window.start, step; i < window.end; i += step) {
        step = character_length(line + i, window.end - i);
        print_character(to, line + i, step);
    }
    fprintf(to, "%s\n", window.end < length ? "..." : "");
}

/* Tabs are copied, so that the caret stands right whatever their width on the screen. */
static void print_caret(FILE *to, const char *line, Window window, int caret, int end)
{
    fprintf(to, "      | %s", window.start > 0 ? "   " : "");
    for (int i = window.start; i < caret; i += character_length(line + i, window.end - i))
        fputc(line[i] == '\t' ? '\t' : ' ', to);
    fputc('^', to);
    if (end > window.end)
        end = window.end;
    for (int i = caret + (caret < end ? character_length(line + caret, end - caret) : 0); i < end;
         i += character_length(line + i, end - i))
        fputc('~', to);
}

static void print_message(const Context *context, FILE *to, const Message *message)
{
    static const char *const kinds[] = {"error", "warning", "note"};
    const Style *style = style_for(to);
    Span span = message->span;
    Position position = source_position(context, span.file, span.start);
    int length;
    const char *line = source_line(context, span.file, position.line, &length);
    int offset = (int)(line - context->sources.items[span.file].text);
    int caret = span.start - offset < length ? span.start - offset : length;
    Window window = window_around(line, length, caret);

    fprintf(to, "%s%s:%d:%d:%s %s%s:%s %s\n", style->place, context->sources.items[span.file].path, position.line,
            position.column, style->end, style->kind[message->severity], kinds[message->severity], style->end, message->text);
    print_line(to, line, length, position.line, window);
    fputs(style->kind[message->severity], to);
    print_caret(to, line, window, caret, span.end - offset);
    fprintf(to, "%s\n", style->end);
}

static int compare_places(const void *left, const void *right)
{
    const Diagnostic *a = left, *b = right;
    if (a->message.span.file != b->message.span.file)
        return a->message.span.file < b->message.span.file ? -1 : 1;
    if (a->message.span.start != b->message.span.start)
        return a->message.span.start < b->message.span.start ? -1 : 1;
    return a->order - b->order;
}

void diagnostics_print(const Context *context, FILE *to)
{
    struct Diagnostics *all = context->diagnostics;
    if (all == NULL)
        return;
    int errors = 0;
    qsort(all->list.items, (size_t)all->list.count, sizeof *all->list.items, compare_places);
    for (int i = 0; i < all->list.count && errors <= MAX_PRINTED; i++) {
        const Diagnostic *diagnostic = &all->list.items[i];
        if (diagnostic->message.severity == SEVERITY_ERROR && ++errors > MAX_PRINTED)
            break;
        print_message(context, to, &diagnostic->message);
        for (int k = 0; k < diagnostic->notes.count; k++)
            print_message(context, to, &diagnostic->notes.items[k]);
    }
    if (all->errors > MAX_PRINTED)
        fprintf(to, "gdlc: too many errors: %d; the first %d are shown\n", all->errors, MAX_PRINTED);
}

/* Source files, and the places in them. */
#include "gdlc.h"

#include <string.h>

int source_add(Context *context, const char *path, const char *text, size_t length, bool prelude)
{
    Source source = {.path = arena_copy(context->arena, path, strlen(path)),
                     .text = arena_copy(context->arena, text, length),
                     .length = length,
                     .prelude = prelude};
    LIST_PUSH(context->arena, &context->sources, source);
    return context->sources.count - 1;
}

int source_read(Context *context, const char *path)
{
    static const char mark[] = "\xEF\xBB\xBF"; /* some editors begin UTF-8 files with it */
    size_t length, skipped;
    const char *text = file_read(context->arena, path, &length);
    if (text == NULL)
        return -1;
    skipped = length >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    return source_add(context, path, text + skipped, length - skipped, false);
}

/* In UTF-8 every byte but the continuations 10xxxxxx starts a character. */
static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

Position source_position(const Context *context, int file, int offset)
{
    const char *text = context->sources.items[file].text;
    Position position = {1, 1};
    for (int i = 0; i < offset; i++) {
        if (text[i] == '\n')
            position = (Position){position.line + 1, 1};
        else if (starts_character(text[i]))
            position.column++;
    }
    return position;
}

/* The line without its end, which may be "\r\n". */
const char *source_line(const Context *context, int file, int line, int *length)
{
    const Source *source = &context->sources.items[file];
    const char *start = source->text, *end = source->text + source->length, *stop;
    for (; line > 1 && (stop = memchr(start, '\n', (size_t)(end - start))) != NULL; line--)
        start = stop + 1;
    stop = memchr(start, '\n', (size_t)(end - start));
    if (stop == NULL)
        stop = end;
    if (stop > start && stop[-1] == '\r')
        stop--;
    *length = (int)(stop - start);
    return start;
}

Span span_join(Span first, Span last)
{
    return (Span){first.file, first.start, last.end};
}

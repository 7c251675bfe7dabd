/* Text that grows in an arena. It is always followed by a zero, so that `bytes` is a C string once anything was added. */
#include "gdlc.h"

#include <stdarg.h>
#include <string.h>

static void reserve(Text *text, size_t more)
{
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return;
    size_t capacity = text->capacity == 0 ? 128 : text->capacity;
    while (capacity < needed)
        capacity *= 2;
    char *bytes = arena_alloc(text->arena, capacity);
    if (text->length > 0)
        memcpy(bytes, text->bytes, text->length);
    text->bytes = bytes;
    text->capacity = capacity;
}

/* Most pieces fit into the room that is left, and are printed once. (Long ones are for text_bytes: the C library goes through what does not
 * fit a character at a time.) */
void text_add(Text *text, const char *format, ...)
{
    va_list arguments, again;
    reserve(text, 0);
    va_start(arguments, format);
    va_copy(again, arguments);
    const size_t room = text->capacity - text->length;
    const size_t length = (size_t)vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length >= room) {
        reserve(text, length);
        vsnprintf(text->bytes + text->length, length + 1, format, again);
    }
    va_end(again);
    text->length += length;
}

void text_bytes(Text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    if (length > 0)
        memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

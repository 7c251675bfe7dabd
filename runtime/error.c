/* error.c: messages for people, made where something goes wrong and printed by whoever asked for it. */
#include "runtime.h"

#include <stdarg.h>
#include <string.h>

int gdl_fail(gdl_error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return GDL_FAILED;
}

/* Appends to a text of limited room; what does not fit is cut off. */
static void append(char *text, size_t room, const char *more) {
    size_t length = strlen(text);
    snprintf(text + length, room - length, "%s", more);
}

const char *gdl_shape_text(char *text, size_t room, size_t rank, const size_t *shape) {
    snprintf(text, room, "[");
    for (size_t i = 0; i < rank; i++) {
        char number[32];
        snprintf(number, sizeof number, "%s%zu", i ? ", " : "", shape[i]);
        append(text, room, number);
    }
    append(text, room, "]");
    return text;
}

const char *gdl_names_text(char *text, size_t room, const void *first, size_t stride, size_t count) {
    snprintf(text, room, "%s", count ? "" : "(none)");
    for (size_t i = 0; i < count; i++) {
        const char *const *name = (const void *)((const char *)first + i * stride);
        append(text, room, i ? ", " : "");
        append(text, room, *name);
    }
    return text;
}

/* Feeds any bytes to the front end: lexer, parser, printing of the syntax tree and of diagnostics. `make fuzz` runs it under libFuzzer,
 * starting from the models and the golden errors. What it checks: no crash, no hang, and a text that was accepted prints to one
 * that is accepted too and prints the same. */
#include "gdlc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parses the text and returns its tree printed, or NULL after errors. */
static char *reprint(Context *context, const char *bytes, size_t length) {
    DeclList declarations = { 0 };
    Text text = { .arena = context->arena };
    parse(context, source_add(context, "fuzz.gdl", bytes, length, false), &declarations);
    ast_print(&text, &declarations);
    return error_count(context) ? NULL : arena_copy(context->arena, text.bytes, text.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Context context = { .arena = arena_create() };
    FILE *nowhere = fopen("/dev/null", "w");
    char *once = reprint(&context, (const char *)data, size);
    if (once) {
        char *twice = reprint(&context, once, strlen(once));
        if (!twice || strcmp(once, twice) != 0) abort();
    }
    if (nowhere) {
        diagnostics_print(&context, nowhere);
        fclose(nowhere);
    }
    arena_destroy(context.arena);
    return 0;
}

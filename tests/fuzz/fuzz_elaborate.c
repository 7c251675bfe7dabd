/* Feeds models to the compiler up to its graphs: what parses is elaborated and simplified, and every graph must be valid. Most changed
 * bytes end in a syntax error, so this does best from a corpus of models: `make fuzz` starts it from models/ and the golden errors. */
#include "gdlc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const char prelude_text[];
extern const size_t prelude_length;

static void check_entry(Context *context, Entry *entry) {
    for (int pass = 0; pass < 2; pass++) {
        const char *wrong = verify(context->arena, entry);
        if (wrong) {
            fprintf(stderr, "%s is not valid %s simplification: %s\n", entry->name, pass ? "after" : "before", wrong);
            abort();
        }
        if (pass == 0) simplify(context, entry);
    }
}

static void check_module(Context *context, const Module *module) {
    check_entry(context, module->init);
    for (int i = 0; i < module->functions.count; i++) check_entry(context, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) {
        Stage *stage = module->stages.items[i];
        for (int p = 0; p < stage->phases.count; p++) check_entry(context, stage->phases.items[p].entry);
        check_entry(context, stage->evaluate);
    }
}

/* Imports would read files, of any name. */
static bool imports(const DeclList *declarations) {
    for (int i = 0; i < declarations->count; i++)
        if (declarations->items[i]->kind == DECL_IMPORT) return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Context context = { .arena = arena_create(), .name = "fuzz" };
    DeclList declarations = { 0 };
    parse(&context, source_add(&context, "<prelude>", prelude_text, prelude_length, true), &declarations);
    parse(&context, source_add(&context, "fuzz.gdl", (const char *)data, size, false), &declarations);
    if (error_count(&context) == 0 && !imports(&declarations)) {
        Module *module = elaborate(&context, &declarations);
        if (module) check_module(&context, module);
        else if (error_count(&context) == 0) abort(); /* refused without a word */
    }
    arena_destroy(context.arena);
    return 0;
}

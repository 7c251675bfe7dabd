/* Modules of graphs within the process, for tests that look at graphs. */
#ifndef TESTS_MODULE_H
#define TESTS_MODULE_H

#include "gdlc.h"

extern const char prelude_text[];
extern const size_t prelude_length;

/* The module of a source that was added to the context, not yet simplified. NULL after errors, which are printed. */
static inline Module *module_of(Context *context, int file) {
    DeclList declarations = {0};
    Module *module = NULL;
    parse(context, source_add(context, "<prelude>", prelude_text, prelude_length, true), &declarations);
    parse(context, file, &declarations);
    if (error_count(context) == 0)
        module = elaborate(context, &declarations);
    diagnostics_print(context, stdout);
    return module;
}

/* Simplifies and verifies an entry; false, with a message, where it is not valid, before or after. */
static inline bool simplify_entry(Context *context, Entry *entry) {
    const char *before = verify(context->arena, entry), *after = NULL;
    if (!before) {
        simplify(context, entry);
        after = verify(context->arena, entry);
    }
    if (before || after)
        printf("%s is not valid %s simplification: %s\n", entry->name, before ? "before" : "after", before ? before : after);
    return !before && !after;
}

/* All entries of the module. */
static inline bool simplify_entries(Context *context, Module *module) {
    bool valid = simplify_entry(context, module->init);
    for (int i = 0; i < module->functions.count; i++)
        valid = simplify_entry(context, module->functions.items[i]) && valid;
    for (int i = 0; i < module->stages.count; i++) {
        const Stage *stage = module->stages.items[i];
        for (int p = 0; p < stage->phases.count; p++)
            valid = simplify_entry(context, stage->phases.items[p].entry) && valid;
        valid = simplify_entry(context, stage->evaluate) && valid;
    }
    return valid;
}

#endif

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

static inline void simplify_entries(Context *context, Module *module) {
    simplify(context, module->init);
    for (int i = 0; i < module->functions.count; i++)
        simplify(context, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) {
        const Stage *stage = module->stages.items[i];
        for (int p = 0; p < stage->phases.count; p++)
            simplify(context, stage->phases.items[p].entry);
        simplify(context, stage->evaluate);
    }
}

#endif

/* An emitted model beside the interpreter, from the same text.
 *
 *     test_models MODEL.gdl LIBRARY NAME [BATCH]     the library holds the model, emitted with that name
 *
 * With a reduced batch unless one is given: the interpreter is slow. */
#include "../library.h"
#include "../module.h"
#include "compare.h"

#include <stdlib.h>

enum { BATCH = 3 };

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: test_models MODEL.gdl LIBRARY NAME [BATCH]\n");
        return 2;
    }
    Context context = {.arena = arena_create(), .name = argv[3]};
    int file = source_read(&context, argv[1]);
    Module *module = file < 0 ? NULL : module_of(&context, file);
    void *library = library_open(argv[2]);
    const gdl_model *model = library ? library_model(library, argv[3]) : NULL;
    Comparison comparison = {.arena = context.arena, .module = module, .library = library, .model = model, .random = 1, .high = 1,
                             .batch = argc == 5 ? (size_t)atoi(argv[4]) : BATCH};
    if (!module || !model) {
        printf("%s: cannot be %s\n", argv[1], module ? "loaded" : "compiled");
        return 1;
    }
    simplify_entries(&context, module) ? comparison.passed++ : comparison.failed++;
    compare_model(&comparison);
    bool strict = comparison.loose * 20 <= comparison.values;
    if (!strict)
        printf("%s: the bounds of %lld of %lld values are too wide to say much\n", argv[1], (long long)comparison.loose,
               (long long)comparison.values);
    strict ? comparison.passed++ : comparison.failed++;
    printf("%d passed, %d failed\n", comparison.passed, comparison.failed);
    arena_destroy(context.arena);
    return comparison.failed > 0;
}

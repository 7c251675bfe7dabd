/* Emitted code of random graphs beside the interpreter.
 *
 *     test_random emit FOLDER FIRST COUNT     writes the C of COUNT random modules, with the seeds FIRST and up
 *     test_random check LIBRARY FIRST COUNT   compares the library made of it
 *
 * run.sh compiles between the two. Modules with an odd seed use BLAS, the others plain C. */
#include "../library.h"
#include "../module.h"
#include "compare.h"
#include "random_graph.h"
#include "random_module.h"

#include <stdlib.h>
#include <string.h>

enum { FUNCTIONS = 8, STAGES = 2 };

static Module *make_module(Context *context, int seed) {
    context->name = arena_printf(context->arena, "m%d", seed);
    Module *module = random_module(context->arena, context->name, (uint64_t)seed, FUNCTIONS, STAGES);
    return simplify_entries(context, module) ? module : NULL;
}

static bool emit_module(const char *folder, int seed) {
    Context context = {.arena = arena_create()};
    Module *module = make_module(&context, seed);
    if (!module)
        return false;
    const char *header = arena_printf(context.arena, "m%d.h", seed);
    Options options = {.product = PRODUCT_C, .input = "random.gdl", .output = header, .blas = (Blas)(seed % 3), .parts = seed % 2 == 0, .command = "test_random"};
    Text source = {.arena = context.arena}, declarations = {.arena = context.arena};
    ProgramList programs = fuse(&context, module, &options);
    emit(&context, module, &options, &programs, plan(&context, module, &options, &programs), header, &source, &declarations);
    bool written = file_write(arena_printf(context.arena, "%s/m%d.c", folder, seed), source.bytes, source.length) &&
                   file_write(arena_printf(context.arena, "%s/m%d.h", folder, seed), declarations.bytes, declarations.length);
    arena_destroy(context.arena);
    return written;
}

static int check_module(void *library, int seed, int *failed) {
    Context context = {.arena = arena_create()};
    Comparison comparison = {.arena = context.arena, .batch = RANDOM_CAPACITY, .low = -2, .high = 2, .random = (unsigned)seed,
                             .library = library};
    comparison.module = make_module(&context, seed);
    comparison.model = library_model(library, context.name);
    if (comparison.module && comparison.model)
        compare_model(&comparison);
    else
        comparison.failed = 1;
    *failed += comparison.failed;
    int passed = comparison.passed;
    arena_destroy(context.arena);
    return passed;
}

int main(int argc, char **argv) {
    if (argc != 5 || (strcmp(argv[1], "emit") && strcmp(argv[1], "check"))) {
        fprintf(stderr, "usage: test_random emit FOLDER FIRST COUNT | check LIBRARY FIRST COUNT\n");
        return 2;
    }
    bool emits = strcmp(argv[1], "emit") == 0;
    int first = atoi(argv[3]), count = atoi(argv[4]), passed = 0, failed = 0;
    void *library = emits ? NULL : library_open(argv[2]);
    if (!emits && !library)
        return 1;
    for (int seed = first; seed < first + count; seed++) {
        if (!emits)
            passed += check_module(library, seed, &failed);
        else if (!emit_module(argv[2], seed))
            return 1;
    }
    if (!emits)
        printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

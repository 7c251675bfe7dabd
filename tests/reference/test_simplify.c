/* Simplification changes no value: random graphs, in double precision, before and after. Each is verified, too. */
#include "random_module.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 8, RESULTS = 32 };

typedef struct Run {
    Arena *arena;
    const double *inputs[INPUTS];
    double *tensors[RESULTS];
    Values values;
} Run;

/* Quarters, which single precision holds exactly; labels are 0 to 3. */
static double *random_data(Arena *arena, const Shape *shape, const int64_t *symbols, bool labels, unsigned *seed) {
    int64_t size = shape_size(shape, symbols);
    double *data = arena_alloc(arena, (size_t)(size + 1) * sizeof *data);
    for (int64_t i = 0; i < size; i++) {
        *seed = *seed * 1664525 + 1013904223;
        data[i] = labels ? *seed >> 30 : (double)(*seed >> 28) / 4 - 2;
    }
    return data;
}

static void prepare(Run *run, const Module *module, const Entry *entry, unsigned seed) {
    run->values = (Values){.symbols = {3, 4}, .step = 2, .lr_scale = 1, .seed = seed, .tick = 5};
    for (int i = 0; i < entry->inputs.count; i++) {
        const Port *port = entry->inputs.items[i];
        run->inputs[i] = random_data(run->arena, &port->shape, run->values.symbols, port->classes > 0, &seed);
    }
    for (int i = 0; i < module->tensors.count; i++)
        run->tensors[i] = random_data(run->arena, &module->tensors.items[i]->shape, run->values.symbols, false, &seed);
    run->values.inputs = run->inputs;
    run->values.tensors = run->tensors;
}

static bool same_value(double a, double b) { return a == b || fabs(a - b) <= 1e-8 * (1 + fabs(a)) || (isnan(a) && isnan(b)); }

static bool same_results(const Entry *entry, double **before, double **after, const int64_t *symbols) {
    for (int i = 0; i < entry->roots.count; i++)
        for (int64_t k = 0, size = shape_size(&entry->roots.items[i].value->shape, symbols); k < size; k++)
            if (!same_value(before[i][k], after[i][k])) {
                printf("root %d, element %d: %.12g became %.12g\n", i, (int)k, before[i][k], after[i][k]);
                return false;
            }
    return true;
}

static const char *printed(Arena *arena, const Entry *entry) {
    Text text = {.arena = arena};
    graph_print(&text, NULL, entry);
    return text.bytes;
}

static bool simplify_keeps(Context *context, const Module *module, Entry *entry, unsigned seed) {
    Run run = {.arena = context->arena};
    double *before[RESULTS], *after[RESULTS];
    const char *original = printed(context->arena, entry);
    prepare(&run, module, entry, seed);
    const char *fault = verify(context->arena, entry);
    if (!fault) {
        interpret(entry, &run.values, before);
        simplify(context, entry);
        fault = verify(context->arena, entry);
    }
    if (fault) {
        printf("seed %u, %s: %s\n", seed, entry->name, fault);
        return false;
    }
    prepare(&run, module, entry, seed);
    interpret(entry, &run.values, after);
    bool same = same_results(entry, before, after, run.values.symbols);
    for (int i = 0; i < entry->roots.count; i++) {
        free(before[i]);
        free(after[i]);
    }
    if (!same)
        printf("seed %u: before\n%safter\n%s", seed, original, printed(context->arena, entry));
    return same;
}

int main(int argc, char **argv) {
    int modules = argc > 1 ? atoi(argv[1]) : 100, failed = 0, passed = 0;
    for (unsigned seed = 1; seed <= (unsigned)modules; seed++) {
        Context context = {.arena = arena_create()};
        Module *module = random_module(context.arena, "m", seed, 2, 1);
        Stage *stage = module->stages.items[0];
        Entry *entries[] = {module->functions.items[0], module->functions.items[1], stage->phases.items[0].entry, stage->evaluate};
        for (int i = 0; i < 4; i++)
            simplify_keeps(&context, module, entries[i], seed) ? passed++ : failed++;
        arena_destroy(context.arena);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

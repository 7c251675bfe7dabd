/* Derivatives of random graphs with loops and derivatives in them beside central differences, in double precision. Where the
 * differences to both sides disagree, the value has a kink or a jump and nothing is said. */
#include "random_module.h"

#include <math.h>
#include <stdlib.h>

enum { LEAVES = 32 };

static const double width = 1e-5;

typedef struct Point {
    Arena *arena;
    const Entry *entry;      /* whose roots are the loss, then its derivatives */
    Values values;
    double *inputs[LEAVES], *tensors[LEAVES], *by[LEAVES]; /* by: what the derivatives are by, inputs and tensors */
    int passed, failed, kinks;
} Point;

static double *random_data(Arena *arena, const Shape *shape, const int64_t *symbols, unsigned *seed) {
    const int64_t size = shape_size(shape, symbols);
    double *data = arena_alloc(arena, (size_t)(size + 1) * sizeof *data);
    for (int64_t i = 0; i < size; i++) {
        *seed = *seed * 1664525 + 1013904223;
        data[i] = (double)(*seed >> 8) / (1 << 22) - 2;
    }
    return data;
}

static void choose_point(Point *point, const Module *module, const Entry *phase, unsigned seed) {
    point->values = (Values){.symbols = {3, 4}, .step = 2, .lr_scale = 1, .seed = seed, .tick = 5};
    for (int i = 0; i < phase->inputs.count; i++)
        point->inputs[i] = random_data(point->arena, &phase->inputs.items[i]->shape, point->values.symbols, &seed);
    for (int i = 0; i < module->tensors.count; i++)
        point->tensors[i] = random_data(point->arena, &module->tensors.items[i]->shape, NULL, &seed);
    point->values.inputs = (const double *const *)point->inputs;
    point->values.tensors = point->tensors;
}

/* The loss of the phase, and its derivatives by all inputs and tensors that are in its graph. */
static void differentiate_loss(Point *point, const Entry *phase) {
    Entry *entry = NEW(point->arena, Entry);
    Node *by[LEAVES], *derivatives[LEAVES];
    int count = 0;
    *entry = (Entry){.kind = ENTRY_FUNCTION, .graph = phase->graph};
    for (int i = 0; i < phase->graph->nodes.count && count < LEAVES; i++) {
        Node *node = phase->graph->nodes.items[i];
        if (node->op != OP_INPUT && node->op != OP_TENSOR)
            continue;
        point->by[count] = node->op == OP_INPUT ? point->inputs[node->attr.port->index] : point->tensors[node->attr.tensor->index];
        by[count++] = node;
    }
    differentiate(entry->graph, phase->roots.items[0].value, by, count, derivatives);
    LIST_PUSH(point->arena, &entry->roots, phase->roots.items[0]);
    for (int i = 0; i < count; i++)
        LIST_PUSH(point->arena, &entry->roots, ((Root){.kind = ROOT_OUTPUT, .value = derivatives[i]}));
    point->entry = entry;
}

/* Where something stops gradients, differences show other derivatives. */
static bool stops(Arena *arena, const Graph *graph, const NodeList *roots) {
    const bool *needed = graph_needs(arena, graph, roots);
    for (int i = 0; i < graph->nodes.count; i++) {
        const Node *node = graph->nodes.items[i];
        const Body *body = node->op == OP_SCAN ? node->attr.scan.body : NULL;
        if (needed[i] && node->op == OP_STOP)
            return true;
        if (needed[i] && body && (stops(arena, body->graph, &body->next) || stops(arena, body->graph, &body->collected)))
            return true;
    }
    return false;
}

static double loss_at(Point *point, double *element, double value) {
    double *results[LEAVES], before = *element;
    Entry loss = *point->entry;
    loss.roots.count = 1;
    *element = value;
    interpret(&loss, &point->values, results);
    *element = before;
    const double result = results[0][0];
    free(results[0]);
    return result;
}

/* The slopes to both sides must agree with each other to say something. */
static void check(Point *point, double *element, double derivative, double loss) {
    const double right = (loss_at(point, element, *element + width) - loss) / width;
    const double left = (loss - loss_at(point, element, *element - width)) / width;
    const double found = (left + right) / 2, size = 1 + fabs(found);
    if (!(fabs(right - left) < 1e-2 * size))
        point->kinks++;
    else if (fabs(found - derivative) <= 1e-4 * size)
        point->passed++;
    else if (point->failed++ == 0)
        printf("the derivative is %.9g, the differences say %.9g\n", derivative, found);
}

static bool check_phase(Arena *arena, const Module *module, const Entry *phase, unsigned seed) {
    Point point = {.arena = arena};
    double *results[LEAVES + 1];
    choose_point(&point, module, phase, seed);
    differentiate_loss(&point, phase);
    interpret(point.entry, &point.values, results);
    for (int i = 1; i < point.entry->roots.count; i++)
        for (int64_t k = 0; k < shape_size(&point.entry->roots.items[i].value->shape, point.values.symbols); k++)
            check(&point, &point.by[i - 1][k], results[i][k], results[0][0]);
    for (int i = 0; i < point.entry->roots.count; i++)
        free(results[i]);
    if (point.failed)
        printf("seed %u: %d right, %d wrong, %d at kinks\n", seed, point.passed, point.failed, point.kinks);
    return point.failed == 0;
}

int main(int argc, char **argv) {
    const int modules = argc > 1 ? atoi(argv[1]) : 200;
    int passed = 0, failed = 0;
    for (unsigned seed = 1; seed <= (unsigned)modules; seed++) {
        Arena *arena = arena_create();
        const Module *module = random_module(arena, "m", seed, 0, 1);
        const Entry *phase = module->stages.items[0]->phases.items[0].entry;
        NodeList loss = {0};
        LIST_PUSH(arena, &loss, phase->roots.items[0].value);
        stops(arena, phase->graph, &loss) || check_phase(arena, module, phase, seed) ? passed++ : failed++;
        arena_destroy(arena);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

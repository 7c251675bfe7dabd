/* compare.c: runs an emitted model through its description and the interpreter through the module's graphs, and holds the
 * results of the one against those of the other, within the bounds of single precision.
 *
 * Tensors are copied from the model before every call, so that errors do not add up over steps. */
#include "session.h"
#include "bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 7 };

/* ── Comparing arrays ─────────────────────────────────────────────────────────────────────── */

static bool within(double found, double expected, double bound) {
    if (isnan(expected) || isinf(expected))
        return (isnan(expected) && isnan(found)) || found == expected || !(bound < INFINITY);
    return fabs(found - expected) <= 2 * bound + 1e-30 || !(bound < INFINITY);
}

void compare_values(Comparison *c, const char *call, const char *name, const float *found, const double *expected, const double *bounds,
                    int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        c->values++;
        c->loose += !(bounds[i] < 0.01 * (1 + fabs(expected[i])));
        if (within(found[i], expected[i], bounds[i]))
            continue;
        printf("%s: %s: %s, element %lld of %lld: emitted code gives %.9g, the interpreter %.12g, at most %.3g apart\n", c->model->name, call,
               name, (long long)i, (long long)size, found[i], expected[i], 2 * bounds[i]);
        c->failed++;
        return;
    }
    c->passed++;
}

void expect_equal(Comparison *c, const char *what, uint64_t found, uint64_t expected) {
    if (found != expected)
        printf("%s: %s is %llu, expected %llu\n", c->model->name, what, (unsigned long long)found, (unsigned long long)expected);
    found == expected ? c->passed++ : c->failed++;
}

/* ── Values ───────────────────────────────────────────────────────────────────────────────── */

const int64_t *symbols_of(Comparison *c, int64_t n) {
    c->symbols[SYMBOL_BATCH] = n;
    return c->symbols;
}

const size_t *sizes_of(Comparison *c) {
    size_t *sizes = arena_alloc(c->arena, MAX_SYMBOLS * sizeof *sizes);
    for (int s = 1; s < MAX_SYMBOLS; s++)
        sizes[s - 1] = (size_t)c->symbols[s];
    return sizes;
}

unsigned draw_number(Comparison *c) { return (c->random = c->random * 1664525 + 1013904223) >> 16; }

/* Sixteenths of the range, so that equal values and whole numbers occur. */
static void add_input(Comparison *c, Inputs *inputs, const Port *port, int64_t n, int64_t batches) {
    int64_t size = shape_size(&port->shape, symbols_of(c, n));
    double *exact = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *exact);
    float *reals = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *reals);
    int32_t *labels = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *labels);
    for (int64_t i = 0; i < size * batches; i++) {
        labels[i] = port->classes ? (int32_t)(draw_number(c) % (unsigned)port->classes) : 0;
        reals[i] = (float)(c->low + (c->high - c->low) * (draw_number(c) % 16) / 16);
        exact[i] = port->classes ? labels[i] : reals[i];
    }
    inputs->given[port->index] = port->classes ? (const void *)labels : reals;
    inputs->exact[port->index] = exact;
    inputs->size[port->index] = size;
}

Inputs make_inputs(Comparison *c, Port *const *ports, int count, int64_t n, int64_t batches) {
    Inputs inputs = {0};
    if (count > PORTS)
        abort();
    for (int i = 0; i < count; i++)
        add_input(c, &inputs, ports[i], n, batches);
    return inputs;
}

void load_tensors(Session *s) {
    int count = s->comparison->module->tensors.count;
    for (int i = 0; i < count; i++) {
        const gdl_tensor *t = s->described[i];
        for (size_t k = 0; k < t->size; k++) {
            s->tensors[i][k] = gdl_values(t, s->model)[k];
            s->tensors[count + i][k] = 0;
        }
    }
}

void compare_tensor(Session *s, const char *call, int i) {
    const gdl_tensor *t = s->described[i];
    int count = s->comparison->module->tensors.count;
    compare_values(s->comparison, call, t->name, gdl_values(t, s->model), s->tensors[i], s->tensors[count + i], (int64_t)t->size);
}

/* ── Interpreting ─────────────────────────────────────────────────────────────────────────── */

Values values_for(Session *s, const Inputs *inputs, int64_t n, uint64_t tick) {
    Values values = {.inputs = (const double *const *)inputs->exact, .tensors = s->tensors, .step = (double)s->clock->step,
                     .epoch = (double)s->clock->epoch, .lr_scale = s->clock->lr_scale, .seed = s->clock->seed, .tick = tick};
    memcpy(values.symbols, symbols_of(s->comparison, n), sizeof values.symbols);
    return values;
}

double **interpret_bounded(Session *s, const Entry *entry, Values values) {
    if (2 * entry->roots.count > ROOTS)
        abort();
    Arena *arena = s->comparison->arena;
    double **results = arena_alloc(arena, (size_t)(2 * entry->roots.count + 1) * sizeof *results);
    interpret(bounds_entry(arena, entry, s->errors), &values, results);
    return results;
}

void free_results(const Entry *entry, double **results) {
    for (int i = 0; i < 2 * entry->roots.count; i++)
        free(results[i]);
}

/* ── First values ─────────────────────────────────────────────────────────────────────────── */

static void compare_first_values(Session *s) {
    const Module *module = s->comparison->module;
    const Inputs none = {0};
    double **results = interpret_bounded(s, module->init, values_for(s, &none, 1, 0));
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        if (tensor->stage >= 0)
            s->comparison->model->stage[tensor->stage].begin(s->model);
        compare_tensor(s, "first values", i);
    }
    free_results(module->init, results);
}

/* ── Functions ────────────────────────────────────────────────────────────────────────────── */

static void compare_function(Session *s, int number, size_t n) {
    Comparison *c = s->comparison;
    const Entry *entry = c->module->functions.items[number];
    const int64_t *symbols = symbols_of(c, (int64_t)n);
    Inputs inputs = make_inputs(c, entry->inputs.items, entry->inputs.count, (int64_t)n, 1);
    float *outputs[PORTS];
    for (int i = 0; i < entry->roots.count; i++)
        outputs[i] = arena_alloc(c->arena, (size_t)(shape_size(&entry->roots.items[i].value->shape, symbols) + 1) * sizeof(float));
    load_tensors(s);
    double **results = interpret_bounded(s, entry, values_for(s, &inputs, (int64_t)n, s->clock->draw));
    const char *call = arena_printf(c->arena, "%s(%d examples, size %d)", entry->name, (int)n, (int)symbols[1]);
    expect_equal(c, call, (uint64_t)c->model->function[number].run(s->model, n, sizes_of(c), inputs.given, outputs), GDL_OK);
    for (int i = 0; i < entry->roots.count; i++)
        compare_values(c, call, entry->roots.items[i].port->name, outputs[i], results[i], results[entry->roots.count + i],
                       shape_size(&entry->roots.items[i].value->shape, symbols));
    free_results(entry, results);
}

/* ── A model ──────────────────────────────────────────────────────────────────────────────── */

static const gdl_tensor *find_tensor(const gdl_model *model, const char *name) {
    for (size_t i = 0; i < model->tensors; i++)
        if (strcmp(model->tensor[i].name, name) == 0)
            return &model->tensor[i];
    return NULL;
}

static bool describe_tensors(Session *s) {
    Comparison *c = s->comparison;
    int count = c->module->tensors.count;
    s->errors = bounds_tensors(c->arena, c->module);
    s->tensors = arena_alloc(c->arena, (size_t)(2 * count + 1) * sizeof *s->tensors);
    s->described = arena_alloc(c->arena, (size_t)(count + 1) * sizeof *s->described);
    expect_equal(c, "number of tensors", c->model->tensors, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        const Tensor *tensor = c->module->tensors.items[i];
        size_t size = (size_t)shape_size(&tensor->shape, (const int64_t[MAX_SYMBOLS]){1});
        s->described[i] = find_tensor(c->model, tensor->name);
        if (!s->described[i] || s->described[i]->size != size) {
            printf("%s: %s is not described, or with another shape\n", c->model->name, tensor->name);
            c->failed++;
            return false;
        }
        s->tensors[i] = arena_alloc(c->arena, (size + 1) * sizeof(double));
        s->tensors[count + i] = arena_alloc(c->arena, (size + 1) * sizeof(double));
    }
    return true;
}

static void compare_all(Session *s) {
    Comparison *c = s->comparison;
    s->clock->step = 5; /* functions that take one for the other are found out */
    s->clock->epoch = 2;
    for (int i = 0; i < c->module->functions.count; i++) {
        bool cut = !c->module->functions.items[i]->crosses_batch; /* more examples than there is room for are done in turns */
        compare_function(s, i, 1);
        compare_function(s, i, cut ? 2 * c->batch + 1 : c->batch);
    }
    for (int i = 0; i < c->module->stages.count; i++)
        compare_stage(s, i);
}

/* Gives each size its k-th value within its bounds; false where they are those that they had. */
static bool change_sizes(Comparison *c, size_t k) {
    static const int64_t sizes[] = {1, 7, 28, 64};
    const SymbolList *symbols = &c->module->symbols;
    bool changed = false;
    for (int i = 1; i < symbols->count; i++) {
        const Symbol *symbol = &symbols->items[i];
        int64_t size = sizes[(k + (size_t)i - 1) % (sizeof sizes / sizeof *sizes)];
        size = size < symbol->low ? symbol->low : size > symbol->high ? symbol->high : size;
        changed = changed || size != c->symbols[i];
        c->symbols[i] = size;
    }
    return changed;
}

static void compare_sizes(Session *s) {
    for (size_t k = 0; k < 4; k++)
        if (change_sizes(s->comparison, k) || k == 0)
            compare_all(s);
}

void compare_model(Comparison *c) {
    Session session = {.comparison = c};
    size_t size = (c->model->memory(c->batch) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    if (!memory)
        abort();
    memset(memory, 0xff, size); /* numbers that are not: nothing may be read before it is written */
    session.model = c->model->init(memory, size, c->batch, SEED);
    expect_equal(c, "creation", session.model != NULL, 1);
    if (session.model && describe_tensors(&session)) {
        session.clock = c->model->clock(session.model);
        compare_first_values(&session);
        compare_sizes(&session);
    }
    free(memory);
}

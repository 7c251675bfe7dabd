/* compare.c: runs an emitted model through its description and the interpreter through the module's graphs, and holds the
 * results of the one against those of the other, within the bounds of single precision.
 *
 * Tensors are copied from the model before every call, so that errors do not add up over steps. */
#include "compare.h"
#include "bounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 32, ROOTS = 1024, SEED = 7, STEPS = 3 };

typedef struct Session {
    Comparison *comparison;
    void *model;
    gdl_clock *clock;
    Tensor **errors;             /* see bounds.h */
    double **tensors;            /* by index: values, then errors */
    const gdl_tensor **described;/* by index */
} Session;

/* Data for one call, in the three types that are wanted. */
typedef struct Inputs {
    const void *given[PORTS];    /* to the emitted function: float or int32_t */
    double *exact[PORTS];        /* to the interpreter */
    int64_t size[PORTS];         /* of one batch */
} Inputs;

/* ── Comparing arrays ─────────────────────────────────────────────────────────────────────── */

static bool within(double found, double expected, double bound) {
    if (isnan(expected) || isinf(expected))
        return (isnan(expected) && isnan(found)) || found == expected || !(bound < INFINITY);
    return fabs(found - expected) <= 2 * bound + 1e-30 || !(bound < INFINITY);
}

static void compare_values(Comparison *c, const char *call, const char *name, const float *found, const double *expected,
                           const double *bounds, int64_t size) {
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

static void expect_equal(Comparison *c, const char *what, uint64_t found, uint64_t expected) {
    if (found != expected)
        printf("%s: %s is %llu, expected %llu\n", c->model->name, what, (unsigned long long)found, (unsigned long long)expected);
    found == expected ? c->passed++ : c->failed++;
}

/* ── Values ───────────────────────────────────────────────────────────────────────────────── */

static unsigned draw(Comparison *c) { return (c->random = c->random * 1664525 + 1013904223) >> 16; }

/* Sixteenths of the range, so that equal values and whole numbers occur. */
static void add_input(Comparison *c, Inputs *inputs, const Port *port, int64_t n, int64_t batches) {
    const int64_t symbols[MAX_SYMBOLS] = {n};
    int64_t size = shape_size(&port->shape, symbols);
    double *exact = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *exact);
    float *reals = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *reals);
    int32_t *labels = arena_alloc(c->arena, (size_t)(size * batches + 1) * sizeof *labels);
    for (int64_t i = 0; i < size * batches; i++) {
        labels[i] = port->classes ? (int32_t)(draw(c) % (unsigned)port->classes) : 0;
        reals[i] = (float)(c->low + (c->high - c->low) * (draw(c) % 16) / 16);
        exact[i] = port->classes ? labels[i] : reals[i];
    }
    inputs->given[port->index] = port->classes ? (const void *)labels : reals;
    inputs->exact[port->index] = exact;
    inputs->size[port->index] = size;
}

static Inputs make_inputs(Comparison *c, Port *const *ports, int count, int64_t n, int64_t batches) {
    Inputs inputs = {0};
    if (count > PORTS)
        abort();
    for (int i = 0; i < count; i++)
        add_input(c, &inputs, ports[i], n, batches);
    return inputs;
}

static void load_tensors(Session *s) {
    int count = s->comparison->module->tensors.count;
    for (int i = 0; i < count; i++) {
        const gdl_tensor *t = s->described[i];
        for (size_t k = 0; k < t->size; k++) {
            s->tensors[i][k] = gdl_values(t, s->model)[k];
            s->tensors[count + i][k] = 0;
        }
    }
}

static void compare_tensor(Session *s, const char *call, int i) {
    const gdl_tensor *t = s->described[i];
    int count = s->comparison->module->tensors.count;
    compare_values(s->comparison, call, t->name, gdl_values(t, s->model), s->tensors[i], s->tensors[count + i], (int64_t)t->size);
}

/* ── Interpreting ─────────────────────────────────────────────────────────────────────────── */

static Values values_for(Session *s, const Inputs *inputs, int64_t n, uint64_t tick) {
    return (Values){.symbols = {n}, .inputs = (const double *const *)inputs->exact, .tensors = s->tensors,
                    .step = (double)s->clock->step, .epoch = (double)s->clock->epoch, .lr_scale = s->clock->lr_scale,
                    .seed = s->clock->seed, .tick = tick};
}

/* results[i] and, behind those of all roots, its bound. */
static double **interpret_bounded(Session *s, const Entry *entry, Values values) {
    if (2 * entry->roots.count > ROOTS)
        abort();
    Arena *arena = s->comparison->arena;
    double **results = arena_alloc(arena, (size_t)(2 * entry->roots.count + 1) * sizeof *results);
    interpret(bounds_entry(arena, entry, s->errors), &values, results);
    return results;
}

static void free_results(const Entry *entry, double **results) {
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
    const int64_t symbols[MAX_SYMBOLS] = {(int64_t)n};
    Inputs inputs = make_inputs(c, entry->inputs.items, entry->inputs.count, (int64_t)n, 1);
    float *outputs[PORTS];
    for (int i = 0; i < entry->roots.count; i++)
        outputs[i] = arena_alloc(c->arena, (size_t)(shape_size(&entry->roots.items[i].value->shape, symbols) + 1) * sizeof(float));
    load_tensors(s);
    double **results = interpret_bounded(s, entry, values_for(s, &inputs, (int64_t)n, s->clock->draw));
    const char *call = arena_printf(c->arena, "%s(%d examples)", entry->name, (int)n);
    expect_equal(c, call, (uint64_t)c->model->function[number].run(s->model, n, inputs.given, outputs), GDL_OK);
    for (int i = 0; i < entry->roots.count; i++)
        compare_values(c, call, entry->roots.items[i].port->name, outputs[i], results[i], results[entry->roots.count + i],
                       shape_size(&entry->roots.items[i].value->shape, symbols));
    free_results(entry, results);
}

/* ── Stages ───────────────────────────────────────────────────────────────────────────────── */

typedef struct Reports {
    double value[PORTS], bound[PORTS];
    int count;
} Reports;

/* Adds the reports of an entry, from the given place on, each as one of so many runs of which the mean is reported. */
static int add_reports(Reports *reports, int place, const Entry *entry, double **results, int64_t runs) {
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_REPORT && place < PORTS) {
            reports->value[place] += *results[i] / (double)runs;
            reports->bound[place++] += *results[entry->roots.count + i] / (double)runs;
        }
    reports->count = place;
    return place;
}

static void compare_reports(Comparison *c, const char *call, const gdl_stage *stage, const float *found, const Reports *reports) {
    expect_equal(c, "number of reports", stage->reports, (uint64_t)reports->count);
    for (int i = 0; i < reports->count; i++)
        compare_values(c, call, stage->report[i].name, &found[i], &reports->value[i], &reports->bound[i], 1);
}

static int64_t batches_of(const Stage *stage) {
    int64_t batches = 0;
    for (int i = 0; i < stage->phases.count; i++)
        batches += stage->phases.items[i].reads ? stage->phases.items[i].repeat : 0;
    return batches > 0 ? batches : 1;
}

/* All phases of one iteration; each run of one that reads takes the next batch. */
static Reports interpret_step(Session *s, const Stage *stage, Inputs inputs, int64_t n) {
    Reports reports = {.count = 0};
    uint64_t tick = s->clock->tick;
    for (int i = 0; i < stage->phases.count; i++) {
        const Phase *phase = &stage->phases.items[i];
        int place = reports.count;
        for (int64_t run = 0; run < phase->repeat; run++) {
            double **results = interpret_bounded(s, phase->entry, values_for(s, &inputs, n, tick++));
            add_reports(&reports, place, phase->entry, results, phase->repeat);
            free_results(phase->entry, results);
            for (int p = 0; phase->reads && p < stage->inputs.count; p++)
                inputs.exact[p] += inputs.size[p];
        }
    }
    return reports;
}

static void compare_step(Session *s, int number, size_t n) {
    Comparison *c = s->comparison;
    const Stage *stage = c->module->stages.items[number];
    const gdl_stage *described = &c->model->stage[number];
    const char *call = arena_printf(c->arena, "%s_step(%d examples)", stage->name, (int)n);
    Inputs inputs = make_inputs(c, stage->inputs.items, stage->inputs.count, (int64_t)n, batches_of(stage));
    float found[PORTS];
    load_tensors(s);
    Reports reports = interpret_step(s, stage, inputs, (int64_t)n);
    expect_equal(c, call, (uint64_t)described->step(s->model, n, inputs.given, found), GDL_OK);
    compare_reports(c, call, described, found, &reports);
    for (int i = 0; i < c->module->tensors.count; i++)
        compare_tensor(s, call, i);
}

static void compare_evaluate(Session *s, int number, size_t n) {
    Comparison *c = s->comparison;
    const Stage *stage = c->module->stages.items[number];
    const gdl_stage *described = &c->model->stage[number];
    const char *call = arena_printf(c->arena, "%s_evaluate(%d examples)", stage->name, (int)n);
    Inputs inputs = make_inputs(c, stage->inputs.items, stage->inputs.count, (int64_t)n, 1);
    Reports reports = {.count = 0};
    float found[PORTS];
    load_tensors(s);
    double **results = interpret_bounded(s, stage->evaluate, values_for(s, &inputs, (int64_t)n, s->clock->draw));
    add_reports(&reports, 0, stage->evaluate, results, 1);
    expect_equal(c, call, (uint64_t)described->evaluate(s->model, n, inputs.given, found), GDL_OK);
    compare_reports(c, call, described, found, &reports);
    for (int i = 0; i < c->module->tensors.count; i++)
        compare_tensor(s, call, i); /* nothing has changed */
    free_results(stage->evaluate, results);
}

/* Some state for the stage's optimizers, as if it had run for a while: from their first values, where all squares are 0, the
 * sign of a gradient that is nearly 0 would decide on a whole step. */
static void warm_up(Session *s, int number) {
    const Module *module = s->comparison->module;
    for (int i = 0; i < module->tensors.count; i++)
        for (size_t k = 0; module->tensors.items[i]->stage == number && k < s->described[i]->size; k++)
            gdl_values(s->described[i], s->model)[k] = 0.5f + (float)(draw(s->comparison) % 16) / 32;
}

static void compare_stage(Session *s, int number) {
    Comparison *c = s->comparison;
    const gdl_stage *described = &c->model->stage[number];
    expect_equal(c, "number of batches", described->batches, (uint64_t)batches_of(c->module->stages.items[number]));
    warm_up(s, number);
    for (size_t step = 0; step < STEPS; step++)
        compare_step(s, number, step < c->batch ? c->batch - step : 1);
    compare_evaluate(s, number, c->batch);
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
    compare_first_values(s);
    for (int i = 0; i < c->module->functions.count; i++) {
        compare_function(s, i, 1);
        compare_function(s, i, c->batch);
        if (!c->module->functions.items[i]->crosses_batch)
            compare_function(s, i, 2 * c->batch + 1);
    }
    for (int i = 0; i < c->module->stages.count; i++)
        compare_stage(s, i);
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
        compare_all(&session);
    }
    free(memory);
}

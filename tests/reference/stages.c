/* stages.c: training. Every phase is run alone, or in its parts, backward and update, and compared with the interpreter each time,
 * so that the errors of one phase do not reach the next; then the whole step must do the same to the bit. */
#include "session.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static int64_t batches_of(const Stage *stage) {
    int64_t batches = 0;
    for (int i = 0; i < stage->phases.count; i++)
        batches += stage->phases.items[i].reads ? stage->phases.items[i].repeat : 0;
    return batches > 0 ? batches : 1;
}

/* ── A phase alone ─────────────────────────────────────────────────────────────────── */

/* NAME_STAGE_PART, or NAME_STAGE_PHASE_PART where there are several phases; NULL where the library has none. */
static void *part_of(const Comparison *c, const Stage *stage, const Entry *phase, const char *part) {
    bool alone = stage->phases.count == 1;
    const char *name = arena_printf(c->arena, "%s_%s%s%s_%s", c->model->name, stage->name, alone ? "" : "_", alone ? "" : phase->name, part);
    return dlsym(c->library, name);
}

/* The inputs of a stage differ in number and type, which C cannot say of one pointer; as they are passed, all are alike. */
static int call_phase(void *address, void *model, size_t n, size_t size, const void *const *in, size_t inputs, float *report) {
    union {
        void *address;
        int (*none)(void *, size_t, float *);
        int (*one)(void *, size_t, const void *, float *);
        int (*two)(void *, size_t, const void *, const void *, float *);
        int (*three)(void *, size_t, const void *, const void *, const void *, float *);
        int (*size_one)(void *, size_t, size_t, const void *, float *);
        int (*size_two)(void *, size_t, size_t, const void *, const void *, float *);
    } call = {address};
    if (size)
        return inputs == 1 ? call.size_one(model, n, size, in[0], report) : call.size_two(model, n, size, in[0], in[1], report);
    switch (inputs) {
    case 0: return call.none(model, n, report);
    case 1: return call.one(model, n, in[0], report);
    case 2: return call.two(model, n, in[0], in[1], report);
    case 3: return call.three(model, n, in[0], in[1], in[2], report);
    default: abort();
    }
}

static void call_update(void *address, void *model, size_t n, size_t size) {
    union {
        void *address;
        void (*function)(void *, size_t);
        void (*with_size)(void *, size_t, size_t);
    } call = {address};
    size ? call.with_size(model, n, size) : call.function(model, n);
}

/* The one run-time size that the functions of the stage take; 0 where they take none. */
static size_t size_of_stage(const Session *s, const Stage *stage) {
    uint32_t symbols = entry_symbols(s->comparison->arena, stage->evaluate);
    for (int i = 0; i < stage->phases.count; i++)
        symbols |= entry_symbols(s->comparison->arena, stage->phases.items[i].entry);
    int found = 0, count = 0;
    for (int i = 1; i < MAX_SYMBOLS; i++)
        if (symbols >> i & 1)
            found = i, count++;
    if (count > 1 || (count && (stage->inputs.count < 1 || stage->inputs.count > 2)))
        abort();
    return count ? (size_t)s->comparison->symbols[found] : 0;
}

static void run_phase(Session *s, const Stage *stage, const Entry *phase, const Inputs *inputs, size_t n, float *found) {
    void *run = part_of(s->comparison, stage, phase, "run"), *backward = part_of(s->comparison, stage, phase, "backward"),
         *update = part_of(s->comparison, stage, phase, "update");
    expect_equal(s->comparison, "functions of the phase", run ? !backward && !update : backward && update, 1);
    if (!run && (!backward || !update))
        return;
    size_t size = size_of_stage(s, stage);
    int result = call_phase(run ? run : backward, s->model, n, size, inputs->given, (size_t)stage->inputs.count, found);
    expect_equal(s->comparison, "result of the phase", (uint64_t)result, GDL_OK);
    if (update)
        call_update(update, s->model, n, size);
}

/* ── Phases ───────────────────────────────────────────────────────────────────────────────── */

/* Compares the reports of an entry with `found`; returns how many there are. */
static int compare_reports(Comparison *c, const char *call, const Entry *entry, double **results, const float *found) {
    int reports = 0;
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_REPORT)
            compare_values(c, call, entry->roots.items[i].name, &found[reports++], results[i], results[entry->roots.count + i], 1);
    return reports;
}

/* One run of a phase, and the interpreter beside it. Returns the reports, which the emitted code writes to `found`. */
static int compare_phase(Session *s, const Stage *stage, const Phase *phase, const Inputs *inputs, size_t n, float *found) {
    Comparison *c = s->comparison;
    const Entry *entry = phase->entry;
    const char *call = arena_printf(c->arena, "%s, %s(%d examples)", stage->name, entry->name, (int)n);
    load_tensors(s);
    double **results = interpret_bounded(s, entry, values_for(s, inputs, (int64_t)n, s->clock->tick));
    run_phase(s, stage, entry, inputs, n, found);
    int reports = compare_reports(c, call, entry, results, found);
    for (int i = 0; i < c->module->tensors.count; i++)
        compare_tensor(s, call, i);
    free_results(entry, results);
    return reports;
}

/* The runs of a phase; each takes the next batch if the phase reads inputs. The interpreter follows the first and the last.
 * The mean of their reports goes to `means`; returns how many. */
static int compare_runs(Session *s, const Stage *stage, const Phase *phase, Inputs *inputs, size_t n, float *means) {
    int reports = 0;
    for (int64_t run = 0; run < phase->repeat; run++) {
        float found[PORTS] = {0};
        if (run == 0 || run + 1 == phase->repeat)
            reports = compare_phase(s, stage, phase, inputs, n, found);
        else
            run_phase(s, stage, phase->entry, inputs, n, found);
        for (int i = 0; i < reports; i++)
            means[i] += found[i] / (float)phase->repeat;
        for (int p = 0; phase->reads && p < stage->inputs.count; p++) {
            inputs->exact[p] += inputs->size[p];
            inputs->given[p] = (const float *)inputs->given[p] + inputs->size[p]; /* labels are as wide */
        }
    }
    return reports;
}

/* ── Steps ────────────────────────────────────────────────────────────────────────────────── */

static float *copy_tensors(Session *s) {
    size_t size = 0;
    for (int i = 0; i < s->comparison->module->tensors.count; i++)
        size += s->described[i]->size;
    float *copy = arena_alloc(s->comparison->arena, (size + 1) * sizeof *copy), *to = copy;
    for (int i = 0; i < s->comparison->module->tensors.count; to += s->described[i++]->size)
        memcpy(to, gdl_values(s->described[i], s->model), s->described[i]->size * sizeof *to);
    return copy;
}

static void restore_tensors(Session *s, const float *from) {
    for (int i = 0; i < s->comparison->module->tensors.count; from += s->described[i++]->size)
        memcpy(gdl_values(s->described[i], s->model), from, s->described[i]->size * sizeof *from);
}

static bool same_tensors(Session *s, const float *expected) {
    for (int i = 0; i < s->comparison->module->tensors.count; expected += s->described[i++]->size)
        if (memcmp(gdl_values(s->described[i], s->model), expected, s->described[i]->size * sizeof *expected)) {
            printf("%s: %s differs between a step and its parts\n", s->comparison->model->name, s->described[i]->name);
            return false;
        }
    return true;
}

static void compare_step(Session *s, int number, size_t n) {
    Comparison *c = s->comparison;
    const Stage *stage = c->module->stages.items[number];
    const gdl_stage *described = &c->model->stage[number];
    Inputs inputs = make_inputs(c, stage->inputs.items, stage->inputs.count, (int64_t)n, batches_of(stage)), first = inputs;
    float parts[PORTS] = {0}, whole[PORTS] = {0}, *before = copy_tensors(s);
    gdl_clock clock = *s->clock;
    int reports = 0;
    for (int i = 0; i < stage->phases.count; i++)
        reports += compare_runs(s, stage, &stage->phases.items[i], &inputs, n, parts + reports);
    const float *after = copy_tensors(s);
    uint64_t tick = s->clock->tick;
    restore_tensors(s, before);
    *s->clock = clock;
    expect_equal(c, "result of the step", (uint64_t)described->step(s->model, n, sizes_of(c), first.given, whole), GDL_OK);
    expect_equal(c, "tick after the step", s->clock->tick, tick);
    expect_equal(c, "steps", s->clock->step, clock.step + 1);
    expect_equal(c, "number of reports", described->reports, (uint64_t)reports);
    expect_equal(c, "step and its parts alike", same_tensors(s, after) && memcmp(parts, whole, sizeof parts) == 0, 1);
}

static void compare_evaluate(Session *s, int number, size_t n) {
    Comparison *c = s->comparison;
    const Stage *stage = c->module->stages.items[number];
    const char *call = arena_printf(c->arena, "%s_evaluate(%d examples)", stage->name, (int)n);
    Inputs inputs = make_inputs(c, stage->inputs.items, stage->inputs.count, (int64_t)n, 1);
    float found[PORTS], *before = copy_tensors(s);
    load_tensors(s);
    double **results = interpret_bounded(s, stage->evaluate, values_for(s, &inputs, (int64_t)n, s->clock->draw));
    expect_equal(c, call, (uint64_t)c->model->stage[number].evaluate(s->model, n, sizes_of(c), inputs.given, found), GDL_OK);
    expect_equal(c, "number of reports", (uint64_t)compare_reports(c, call, stage->evaluate, results, found), c->model->stage[number].reports);
    expect_equal(c, "tensors unchanged", same_tensors(s, before), 1);
    free_results(stage->evaluate, results);
}

/* Some state for the stage's optimizers, as if it had run for a while: from their first values, where all squares are 0, the
 * sign of a gradient that is nearly 0 would decide on a whole step. */
static void warm_up(Session *s, int number) {
    const Module *module = s->comparison->module;
    for (int i = 0; i < module->tensors.count; i++)
        for (size_t k = 0; module->tensors.items[i]->stage == number && k < s->described[i]->size; k++)
            gdl_values(s->described[i], s->model)[k] = 0.5f + (float)(draw_number(s->comparison) % 16) / 32;
}

void compare_stage(Session *s, int number) {
    Comparison *c = s->comparison;
    expect_equal(c, "number of batches", c->model->stage[number].batches, (uint64_t)batches_of(c->module->stages.items[number]));
    warm_up(s, number);
    s->clock->lr_scale = 0.25f;
    s->clock->epoch = 3;
    compare_step(s, number, c->batch);
    compare_step(s, number, 1);
    compare_evaluate(s, number, c->batch);
}

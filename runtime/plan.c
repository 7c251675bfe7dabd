/* plan.c: the stages that are trained, each with its epochs and batch: what the command line says, else what the run that is resumed was
 * started with, else what the model says.
 *
 * A checkpoint keeps the plan as a text, so that a run that stopped in one stage goes through those after it as it would have. */
#include "trainer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const gdl_stage *stage_of(const gdl_model *model, const Planned *planned) { return &model->stage[planned->stage]; }

static int find_stage(const gdl_model *model, const char *name, size_t length, size_t *stage, gdl_error *error) {
    char names[512];
    for (*stage = 0; *stage < model->stages; ++*stage)
        if (strlen(model->stage[*stage].name) == length && strncmp(model->stage[*stage].name, name, length) == 0)
            return 0;
    gdl_names_text(names, sizeof names, model->stage, sizeof *model->stage, model->stages);
    return gdl_fail(error, "%s has no stage %.*s; its stages are: %s", model->name, (int)length, name, names);
}

static bool is_planned(const Plan *plan, size_t stage) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->items[i].stage == stage)
            return true;
    return false;
}

static void add_stage(Plan *plan, const gdl_model *model, size_t stage) {
    plan->items[plan->count++] = (Planned){stage, model->stage[stage].epochs, model->stage[stage].batch};
}

/* ── The plan of a checkpoint ── */

/* ":10" -> 10; NULL where there is no such number. Returns what follows. */
static const char *read_number(const char *text, size_t *number) {
    char *end;
    if (!text || text[0] != ':' || text[1] < '0' || text[1] > '9')
        return NULL;
    *number = (size_t)strtoull(text + 1, &end, 10);
    return end;
}

/* One entry, "head_only:20:32". Returns what follows it and its comma; NULL, with an error, where it is none. */
static const char *read_entry(const char *text, const gdl_model *model, const char *path, Planned *planned, gdl_error *error) {
    size_t length = strcspn(text, ":,");
    if (find_stage(model, text, length, &planned->stage, error))
        return NULL;
    const char *rest = read_number(read_number(text + length, &planned->epochs), &planned->batch);
    if (rest && planned->batch > 0 && (*rest == ',' || *rest == '\0'))
        return rest + (*rest == ',');
    gdl_fail(error, "%s: \"plan\" in its metadata is expected to give the epochs and batch of each stage, as \"%.*s:10:32\"; found \"%.40s\"",
             path, (int)length, text, text);
    return NULL;
}

/* The stages of the run that is resumed. A run without a plan, of a program of the user's own, had the one stage. */
static int read_plan(Plan *saved, const gdl_saved_run *run, const TrainOptions *options, gdl_error *error) {
    const char *text = run->plan;
    saved->items = calloc(strlen(text) + 1, sizeof *saved->items);
    if (!saved->items)
        return gdl_fail(error, "no memory for the stages");
    if (!*text)
        saved->items[saved->count++] = (Planned){run->stage, run->epochs, run->batch};
    while (text && *text)
        text = read_entry(text, options->model, options->resume, &saved->items[saved->count++], error);
    return text ? 0 : GDL_FAILED;
}

/* ── The plan of this run ── */

static int add_asked(Plan *plan, const TrainOptions *options, gdl_error *error) {
    for (size_t i = 0; i < options->stages.count; i++) {
        size_t stage;
        const char *name = options->stages.items[i];
        if (find_stage(options->model, name, strlen(name), &stage, error))
            return GDL_FAILED;
        if (is_planned(plan, stage))
            return gdl_fail(error, "stage %s is named twice, but each is trained once; for longer, use --epochs", name);
        add_stage(plan, options->model, stage);
    }
    return 0;
}

static int choose_stages(Plan *plan, const Plan *saved, const TrainOptions *options, gdl_error *error) {
    plan->items = calloc(options->stages.count + options->model->stages + saved->count + 1, sizeof *plan->items);
    if (!plan->items)
        return gdl_fail(error, "no memory for the stages");
    if (add_asked(plan, options, error))
        return GDL_FAILED;
    bool asked = options->stages.count > 0;
    for (size_t i = 0; i < saved->count && !asked; i++)
        add_stage(plan, options->model, saved->items[i].stage);
    for (size_t s = 0; s < options->model->stages && !asked && !saved->count; s++)
        add_stage(plan, options->model, s);
    return plan->count ? 0 : gdl_fail(error, "%s has no train block: there is nothing to train", options->model->name);
}

static void choose_lengths(Plan *plan, const Plan *saved, const TrainOptions *options) {
    for (Planned *p = plan->items; p < plan->items + plan->count; p++) {
        for (const Planned *s = saved->items; s < saved->items + saved->count; s++)
            if (s->stage == p->stage)
                *p = *s;
        if (options->epochs_given)
            p->epochs = options->epochs;
        if (options->batch)
            p->batch = options->batch;
    }
}

static int write_text(Plan *plan, const gdl_model *model, gdl_error *error) {
    size_t size;
    FILE *to = open_memstream(&plan->text, &size);
    for (const Planned *p = plan->items; to && p < plan->items + plan->count; p++)
        fprintf(to, "%s%s:%zu:%zu", p > plan->items ? "," : "", stage_of(model, p)->name, p->epochs, p->batch);
    return to && fclose(to) == 0 ? 0 : gdl_fail(error, "no memory for the names of the stages");
}

static int make(Plan *plan, const Plan *saved, const TrainOptions *options, gdl_error *error) {
    if (choose_stages(plan, saved, options, error))
        return GDL_FAILED;
    choose_lengths(plan, saved, options);
    return write_text(plan, options->model, error);
}

/* ── Resuming ── */

static int check_option(const char *path, const char *option, uint64_t given, uint64_t then, gdl_error *error) {
    if (given == then)
        return 0;
    return gdl_fail(error,
                    "%s cannot be resumed with %s %" PRIu64 ": its run has %" PRIu64
                    "; leave the option out, or start anew with --init",
                    path, option, given, then);
}

static int find_first(Plan *plan, const gdl_saved_run *run, const TrainOptions *options, gdl_error *error) {
    for (plan->first = 0; plan->first < plan->count; plan->first++)
        if (plan->items[plan->first].stage == run->stage)
            return 0;
    return gdl_fail(error, "%s was saved in stage %s, which is not among the stages to train", options->resume,
                    options->model->stage[run->stage].name);
}

static int resume(Plan *plan, const gdl_saved_run *run, const TrainOptions *options, gdl_error *error) {
    Plan saved = {0};
    if (options->seed_given && check_option(options->resume, "--seed", options->seed, run->seed, error))
        return GDL_FAILED;
    if (options->batch && check_option(options->resume, "--batch", options->batch, run->batch, error))
        return GDL_FAILED;
    int result = read_plan(&saved, run, options, error) || make(plan, &saved, options, error) || find_first(plan, run, options, error);
    free(saved.items);
    plan->seed = run->seed;
    plan->patience = options->patience ? options->patience : run->patience;
    return result ? GDL_FAILED : 0;
}

int plan_make(Plan *plan, const TrainOptions *options, gdl_error *error) {
    gdl_saved_run run;
    *plan = (Plan){.seed = options->seed, .patience = options->patience};
    if (!options->resume)
        return make(plan, &(Plan){0}, options, error);
    if (gdl_saved_run_read(&run, options->model, options->resume, error))
        return GDL_FAILED;
    int result = resume(plan, &run, options, error);
    free(run.plan);
    return result;
}

void plan_free(Plan *plan) {
    free(plan->items);
    free(plan->text);
    *plan = (Plan){0};
}

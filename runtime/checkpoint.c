/* checkpoint.c: models and training runs in safetensors files.
 *
 * The tensors are the file's tensors, under their own names. The clock and the position of a run are texts in the metadata:
 * decimal integers, and floats in hexadecimal, which keeps every bit. */
#include "runtime.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether a tensor is in a checkpoint: always, but for the optimizers of the stages that are not running. */
static bool belongs(const gdl_tensor *tensor, const gdl_run *run) {
    return tensor->role != GDL_OPTIMIZER || (run && (size_t)tensor->stage == run->stage);
}

/* ── Saving ── */

static void note_integer(cJSON *metadata, const char *key, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddStringToObject(metadata, key, text);
}

static void note_real(cJSON *metadata, const char *key, double value) {
    char text[48];
    snprintf(text, sizeof text, "%a", value);
    cJSON_AddStringToObject(metadata, key, text);
}

static void note_clock(cJSON *metadata, const gdl_clock *clock) {
    note_integer(metadata, "seed", clock->seed);
    note_integer(metadata, "tick", clock->tick);
    note_integer(metadata, "draw", clock->draw);
    note_integer(metadata, "step", clock->step);
    note_integer(metadata, "epoch", clock->epoch);
    note_real(metadata, "lr_scale", (double)clock->lr_scale);
}

/* The key of a report's sum. */
static const char *sum_key(char *key, size_t room, const gdl_report *report) {
    snprintf(key, room, "sum.%s", report->name);
    return key;
}

static void note_run(cJSON *metadata, const gdl_run *run) {
    const gdl_stage *stage = &run->model->stage[run->stage];
    char key[160];
    cJSON_AddStringToObject(metadata, "stage", stage->name);
    cJSON_AddStringToObject(metadata, "plan", run->plan ? run->plan : "");
    note_integer(metadata, "batch", run->batch);
    note_integer(metadata, "epochs", run->epochs);
    note_integer(metadata, "patience", run->patience);
    note_integer(metadata, "train_examples", run->train->count);
    note_integer(metadata, "valid_examples", run->valid ? run->valid->count : 0);
    note_integer(metadata, "iteration", run->iteration);
    note_integer(metadata, "examples", run->examples);
    note_integer(metadata, "stale", run->stale);
    note_real(metadata, "best", run->best);
    for (size_t r = 0; r < stage->reports; r++)
        note_real(metadata, sum_key(key, sizeof key, &stage->report[r]), run->sum[r]);
}

static cJSON *describe(const gdl_model *model, void *instance, const gdl_run *run) {
    cJSON *metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(metadata, "format", "gdl 1");
    cJSON_AddStringToObject(metadata, "model", model->name);
    note_clock(metadata, model->clock(instance));
    if (run)
        note_run(metadata, run);
    return metadata;
}

int gdl_save(const gdl_model *model, void *instance, const gdl_run *run, const char *path, gdl_error *error) {
    size_t count = 0;
    gdl_named *tensors = calloc(model->tensors ? model->tensors : 1, sizeof *tensors);
    if (!tensors)
        return gdl_fail(error, "%s cannot be written: no memory", path);
    for (const gdl_tensor *t = model->tensor; t < model->tensor + model->tensors; t++)
        if (belongs(t, run))
            tensors[count++] = (gdl_named){t->name, t->rank, t->shape, t->size, gdl_values(t, instance)};
    cJSON *metadata = describe(model, instance, run);
    int result = gdl_safetensors_write(path, tensors, count, metadata, error);
    cJSON_Delete(metadata);
    free(tensors);
    return result;
}

/* ── Loading tensors ── */

/* What the file has for a tensor of the model. */
static gdl_match find(const gdl_safetensors *file, const gdl_tensor *tensor, gdl_record *record) {
    if (!gdl_safetensors_find(file, tensor->name, record))
        return GDL_LEFT;
    bool fits = record->rank == tensor->rank;
    for (size_t i = 0; fits && i < tensor->rank; i++)
        fits = record->shape[i] == tensor->shape[i];
    return fits ? GDL_TAKEN : GDL_MISFIT;
}

static int require(const gdl_safetensors *file, const gdl_tensor *tensor, gdl_error *error) {
    char expected[160], found[160];
    gdl_record record;
    gdl_match match = find(file, tensor, &record);
    if (match == GDL_TAKEN)
        return 0;
    gdl_shape_text(expected, sizeof expected, tensor->rank, tensor->shape);
    if (match == GDL_LEFT)
        return gdl_fail(error, "%s has no tensor %s of shape %s and type F32 or F64; is it of another model?",
                        file->path, tensor->name, expected);
    gdl_shape_text(found, sizeof found, record.rank, record.shape);
    return gdl_fail(error, "%s: tensor %s is expected to have shape %s, but has %s there", file->path, tensor->name,
                    expected, found);
}

/* All tensors that belong, or none: everything is checked before the first is read. */
static int load_all(const gdl_safetensors *file, const gdl_model *model, void *instance, const gdl_run *run,
                    gdl_error *error) {
    const gdl_tensor *end = model->tensor + model->tensors;
    for (const gdl_tensor *t = model->tensor; t < end; t++)
        if (belongs(t, run) && require(file, t, error))
            return GDL_FAILED;
    for (const gdl_tensor *t = model->tensor; t < end; t++) {
        gdl_record record;
        if (belongs(t, run) && find(file, t, &record) == GDL_TAKEN &&
            gdl_safetensors_read(file, &record, gdl_values(t, instance), error))
            return GDL_FAILED;
    }
    return 0;
}

int gdl_load(const gdl_model *model, void *instance, const char *path, gdl_error *error) {
    gdl_safetensors file;
    if (gdl_safetensors_open(&file, path, error))
        return GDL_FAILED;
    int result = load_all(&file, model, instance, NULL, error);
    gdl_safetensors_close(&file);
    return result;
}

int gdl_load_matching(const gdl_model *model, void *instance, const char *path, gdl_match *match, gdl_error *error) {
    gdl_safetensors file;
    int result = gdl_safetensors_open(&file, path, error);
    if (result)
        return result;
    for (size_t t = 0; t < model->tensors && !result; t++) {
        gdl_record record;
        const gdl_tensor *tensor = &model->tensor[t];
        match[t] = tensor->role == GDL_OPTIMIZER ? GDL_LEFT : find(&file, tensor, &record);
        if (match[t] == GDL_TAKEN)
            result = gdl_safetensors_read(&file, &record, gdl_values(tensor, instance), error);
    }
    gdl_safetensors_close(&file);
    return result;
}

/* ── Resuming ── */

/* A note that the checkpoint of a run must have. */
static int require_note(const gdl_safetensors *file, const char *key, const char **text, gdl_error *error) {
    *text = gdl_safetensors_note(file, key);
    if (*text)
        return 0;
    return gdl_fail(
        error,
        "%s holds no position of a training run (its metadata have no \"%s\"); to start from its parameters, use --init",
        file->path, key);
}

static int read_integer(const gdl_safetensors *file, const char *key, uint64_t *value, gdl_error *error) {
    const char *text;
    char *end;
    if (require_note(file, key, &text, error))
        return GDL_FAILED;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return gdl_fail(error, "%s: \"%s\" in its metadata is expected to be a whole number, but is \"%.40s\"",
                        file->path, key, text);
    return 0;
}

static int read_count(const gdl_safetensors *file, const char *key, size_t *value, gdl_error *error) {
    uint64_t wide;
    int result = read_integer(file, key, &wide, error);
    *value = result ? 0 : (size_t)wide;
    return result;
}

static int read_real(const gdl_safetensors *file, const char *key, double *value, gdl_error *error) {
    const char *text;
    char *end;
    if (require_note(file, key, &text, error))
        return GDL_FAILED;
    *value = strtod(text, &end);
    if (end == text || *end || isnan(*value))
        return gdl_fail(error, "%s: \"%s\" in its metadata is expected to be a number, but is \"%.40s\"", file->path,
                        key, text);
    return 0;
}

static int read_clock(const gdl_safetensors *file, gdl_clock *clock, gdl_error *error) {
    double scale = 1;
    if (read_integer(file, "seed", &clock->seed, error) || read_integer(file, "tick", &clock->tick, error) ||
        read_integer(file, "draw", &clock->draw, error) || read_integer(file, "step", &clock->step, error) ||
        read_integer(file, "epoch", &clock->epoch, error) || read_real(file, "lr_scale", &scale, error))
        return GDL_FAILED;
    clock->lr_scale = (float)scale;
    return 0;
}

/* What the run was started with must be what it goes on with. */
static int expect_equal(const gdl_safetensors *file, const char *key, uint64_t now, gdl_error *error) {
    uint64_t then;
    if (read_integer(file, key, &then, error))
        return GDL_FAILED;
    if (then == now)
        return 0;
    return gdl_fail(error,
                    "%s cannot be resumed: its run had %s %" PRIu64 ", but now it is %" PRIu64
                    "; resume with what it was started with, or start anew with --init",
                    file->path, key, then, now);
}

static int check_same_run(const gdl_safetensors *file, const gdl_run *run, gdl_error *error) {
    const char *name = run->model->stage[run->stage].name, *stage;
    if (require_note(file, "stage", &stage, error))
        return GDL_FAILED;
    if (strcmp(stage, name) != 0)
        return gdl_fail(error, "%s cannot be resumed here: it was saved in stage %.60s, but this is %s", file->path,
                        stage, name);
    if (expect_equal(file, "batch", run->batch, error) ||
        expect_equal(file, "seed", run->model->clock(run->instance)->seed, error) ||
        expect_equal(file, "train_examples", run->train->count, error))
        return GDL_FAILED;
    return expect_equal(file, "valid_examples", run->valid ? run->valid->count : 0, error);
}

static int read_position(const gdl_safetensors *file, gdl_run *run, gdl_error *error) {
    const gdl_stage *stage = &run->model->stage[run->stage];
    if (read_count(file, "iteration", &run->iteration, error) || read_count(file, "examples", &run->examples, error) ||
        read_count(file, "stale", &run->stale, error) || read_real(file, "best", &run->best, error))
        return GDL_FAILED;
    for (size_t r = 0; r < stage->reports; r++) {
        char key[160];
        if (read_real(file, sum_key(key, sizeof key, &stage->report[r]), &run->sum[r], error))
            return GDL_FAILED;
    }
    if (run->iteration > run->iterations)
        return gdl_fail(error, "%s: it stands at iteration %zu of an epoch that has %zu", file->path, run->iteration,
                        run->iterations);
    return 0;
}

static int resume(gdl_run *run, const gdl_safetensors *file, gdl_error *error) {
    gdl_clock clock = {0};
    if (check_same_run(file, run, error) || read_clock(file, &clock, error) || read_position(file, run, error) ||
        load_all(file, run->model, run->instance, run, error))
        return GDL_FAILED;
    *run->model->clock(run->instance) = clock;
    return 0;
}

int gdl_run_resume(gdl_run *run, const char *path, gdl_error *error) {
    gdl_safetensors file;
    if (gdl_safetensors_open(&file, path, error))
        return GDL_FAILED;
    int result = resume(run, &file, error);
    gdl_safetensors_close(&file);
    return result;
}

/* ── What a trainer needs to know before it can resume ── */

static int find_stage(const gdl_safetensors *file, const gdl_model *model, size_t *stage, gdl_error *error) {
    const char *name;
    if (require_note(file, "stage", &name, error))
        return GDL_FAILED;
    for (*stage = 0; *stage < model->stages; ++*stage)
        if (strcmp(model->stage[*stage].name, name) == 0)
            return 0;
    return gdl_fail(error, "%s was saved in stage %.60s, which %s does not have", file->path, name, model->name);
}

static int read_saved(const gdl_safetensors *file, gdl_saved_run *saved, const gdl_model *model, gdl_error *error) {
    const char *plan;
    if (find_stage(file, model, &saved->stage, error) || read_integer(file, "seed", &saved->seed, error) ||
        read_count(file, "batch", &saved->batch, error) || read_count(file, "epochs", &saved->epochs, error) ||
        read_count(file, "patience", &saved->patience, error) || require_note(file, "plan", &plan, error))
        return GDL_FAILED;
    saved->plan = strdup(plan);
    return saved->plan ? 0 : gdl_fail(error, "%s cannot be resumed: no memory", file->path);
}

int gdl_saved_run_read(gdl_saved_run *saved, const gdl_model *model, const char *path, gdl_error *error) {
    gdl_safetensors file;
    *saved = (gdl_saved_run){0};
    if (gdl_safetensors_open(&file, path, error))
        return GDL_FAILED;
    int result = read_saved(&file, saved, model, error);
    gdl_safetensors_close(&file);
    return result;
}

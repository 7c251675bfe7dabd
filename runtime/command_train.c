/* command_train.c: `train`: data, model, stages one after the other, and what is written on the way. */
#include "trainer.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The data of one stage. */
typedef struct StageData {
    gdl_data train_data, valid_data;
    gdl_sample train, valid;
} StageData;

typedef struct Training {
    const TrainOptions *options;
    const gdl_model *model;
    gdl_saved_run resumed; /* with --resume */
    size_t *stage;         /* the stages to train, in order */
    size_t stages;
    size_t first; /* where in `stage` to begin */
    Sources train, valid;
    StageData *data; /* of each stage */
    void *instance;
    char *plan; /* names of the stages, for the checkpoint */
    const char *save;
    char *best; /* path of the best parameters, or NULL */
    bool saved; /* the present state is in the file */
    Progress progress;
    History history;
} Training;

/* Set by a signal and read after each iteration: what a handler can reach must be static. */
static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

/* The first signal asks, the second ends the process as usual. What the parent chose to ignore stays ignored. */
static void catch_signal(int signal) {
    struct sigaction old, action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(signal, &action, NULL);
}

/* ── Which stages ── */

static int add_stage(Training *training, const char *name, size_t length, gdl_error *error) {
    char names[512];
    const gdl_model *model = training->model;
    for (size_t s = 0; s < model->stages; s++)
        if (strlen(model->stage[s].name) == length && strncmp(model->stage[s].name, name, length) == 0) {
            training->stage[training->stages++] = s;
            return 0;
        }
    gdl_names_text(names, sizeof names, model->stage, sizeof *model->stage, model->stages);
    return gdl_fail(error, "%s has no stage %.*s; its stages are: %s", model->name, (int)length, name, names);
}

/* The stages named on the command line; else those of the run that is resumed; else all. */
static int choose_stages(Training *training, gdl_error *error) {
    const Texts *asked = &training->options->stages;
    const char *plan = asked->count ? NULL : training->resumed.plan;
    training->stage =
        calloc(asked->count + training->model->stages + (plan ? strlen(plan) : 0) + 1, sizeof *training->stage);
    if (!training->stage)
        return gdl_fail(error, "no memory for the stages");
    for (size_t i = 0; i < asked->count; i++)
        if (add_stage(training, asked->items[i], strlen(asked->items[i]), error))
            return GDL_FAILED;
    for (; plan && *plan; plan += strcspn(plan, ","), plan += *plan == ',')
        if (add_stage(training, plan, strcspn(plan, ","), error))
            return GDL_FAILED;
    for (size_t s = 0; training->stages == 0 && s < training->model->stages; s++)
        training->stage[s] = s;
    if (training->stages == 0)
        training->stages = training->model->stages;
    return training->stages
               ? 0
               : gdl_fail(error, "%s has no train block: there is nothing to train", training->model->name);
}

static int write_plan(Training *training, gdl_error *error) {
    size_t size;
    FILE *to = open_memstream(&training->plan, &size);
    for (size_t i = 0; to && i < training->stages; i++)
        fprintf(to, "%s%s", i ? "," : "", training->model->stage[training->stage[i]].name);
    return to && fclose(to) == 0 ? 0 : gdl_fail(error, "no memory for the names of the stages");
}

/* ── What it goes on from ── */

static int check_option(const char *path, const char *option, uint64_t given, uint64_t then, gdl_error *error) {
    if (given == then)
        return 0;
    return gdl_fail(error,
                    "%s cannot be resumed with %s %" PRIu64 ": its run has %" PRIu64
                    "; leave the option out, or start anew with --init",
                    path, option, given, then);
}

static int read_resumed(Training *training, gdl_error *error) {
    const TrainOptions *options = training->options;
    if (!options->resume)
        return 0;
    if (gdl_saved_run_read(&training->resumed, training->model, options->resume, error))
        return GDL_FAILED;
    if (options->seed_given && check_option(options->resume, "--seed", options->seed, training->resumed.seed, error))
        return GDL_FAILED;
    return options->batch ? check_option(options->resume, "--batch", options->batch, training->resumed.batch, error)
                          : 0;
}

static int find_first(Training *training, gdl_error *error) {
    if (!training->options->resume)
        return 0;
    for (size_t i = 0; i < training->stages; i++)
        if (training->stage[i] == training->resumed.stage) {
            training->first = i;
            return 0;
        }
    return gdl_fail(error, "%s was saved in stage %s, which is not among the stages to train",
                    training->options->resume, training->model->stage[training->resumed.stage].name);
}

/* What was overridden when the run began stays so: the checkpoint's number where it is not the stage's own. */
static size_t epochs_of(const Training *training, const gdl_stage *stage) {
    const gdl_saved_run *resumed = &training->resumed;
    if (training->options->epochs_given)
        return training->options->epochs;
    bool overridden = resumed->plan && resumed->epochs != training->model->stage[resumed->stage].epochs;
    return overridden ? resumed->epochs : stage->epochs;
}

static size_t batch_of(const Training *training, const gdl_stage *stage) {
    const gdl_saved_run *resumed = &training->resumed;
    if (training->options->batch)
        return training->options->batch;
    bool overridden = resumed->plan && resumed->batch != training->model->stage[resumed->stage].batch;
    return overridden ? resumed->batch : stage->batch;
}

/* ── Data ── */

static size_t split_count(double split, size_t count) {
    double wanted = split < 1 ? split * (double)count : split;
    return wanted < (double)count ? (size_t)lround(wanted) : count;
}

static int split_samples(const Training *training, StageData *data, gdl_error *error) {
    size_t count = data->train_data.count, kept = split_count(training->options->split, count);
    if (kept >= count && count)
        return gdl_fail(error, "--validation-split %g leaves nothing of %zu examples to train on",
                        training->options->split, count);
    if (gdl_sample_range(&data->train, &data->train_data, 0, count - kept, error))
        return GDL_FAILED;
    const gdl_data *valid = training->valid.count ? &data->valid_data : &data->train_data;
    size_t first = training->valid.count ? 0 : count - kept;
    return gdl_sample_range(&data->valid, valid, first, training->valid.count ? valid->count : kept, error);
}

/* A stage without inputs makes its own examples; an epoch of it is as long as --limit says. */
static int count_generated(const Training *training, const gdl_stage *stage, StageData *data, gdl_error *error) {
    data->train_data.count = training->options->limit;
    return data->train_data.count
               ? 0
               : gdl_fail(error, "stage %s reads no inputs: say with --limit N how many examples make an epoch",
                          stage->name);
}

static int prepare_stage(Training *training, const gdl_stage *stage, StageData *data, gdl_error *error) {
    char whose[160];
    snprintf(whose, sizeof whose, "stage %s", stage->name);
    if (sources_bind(&training->train, whose, stage->input, stage->inputs, &data->train_data, error))
        return GDL_FAILED;
    if (!stage->inputs && count_generated(training, stage, data, error))
        return GDL_FAILED;
    if (training->valid.count &&
        sources_bind(&training->valid, whose, stage->input, stage->inputs, &data->valid_data, error))
        return GDL_FAILED;
    if (split_samples(training, data, error))
        return GDL_FAILED;
    size_t limit = training->options->limit;
    return limit ? gdl_sample_limit(&data->train, limit, training->options->balanced, error) : 0;
}

/* All inputs of the stages that are trained, for a message. */
static int check_names(const Training *training, gdl_error *error) {
    char names[512] = "";
    for (size_t i = 0; i < training->stages; i++) {
        const gdl_stage *stage = &training->model->stage[training->stage[i]];
        char own[256];
        gdl_names_text(own, sizeof own, stage->input, sizeof *stage->input, stage->inputs);
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s (stage %s)", i ? "; " : "", own, stage->name);
    }
    return sources_check_used(&training->train, names, error) || sources_check_used(&training->valid, names, error)
               ? GDL_FAILED
               : 0;
}

static int prepare_data(Training *training, gdl_error *error) {
    training->data = calloc(training->stages, sizeof *training->data);
    if (!training->data)
        return gdl_fail(error, "no memory for the data of %zu stages", training->stages);
    if (sources_read(&training->train, "--data", &training->options->data, error) ||
        sources_read(&training->valid, "--valid", &training->options->valid, error))
        return GDL_FAILED;
    for (size_t i = 0; i < training->stages; i++)
        if (prepare_stage(training, &training->model->stage[training->stage[i]], &training->data[i], error))
            return GDL_FAILED;
    return check_names(training, error);
}

/* ── The model ── */

static void print_match(const gdl_model *model, const gdl_match *match, const char *path, FILE *to) {
    static const char *const words[] = {
        [GDL_LEFT] = "not in the file", [GDL_TAKEN] = "taken", [GDL_MISFIT] = "has another shape there"};
    size_t taken = 0, all = 0;
    for (size_t t = 0; t < model->tensors; t++)
        if (model->tensor[t].role != GDL_OPTIMIZER) {
            char shape[160];
            const gdl_tensor *tensor = &model->tensor[t];
            fprintf(to, "  %-40s %-18s %s\n", tensor->name,
                    gdl_shape_text(shape, sizeof shape, tensor->rank, tensor->shape), words[match[t]]);
            taken += match[t] == GDL_TAKEN;
            all++;
        }
    fprintf(to, "%zu of %zu tensors taken from %s\n", taken, all, path);
}

static int take_matching(const Training *training, gdl_error *error) {
    const char *path = training->options->init;
    const gdl_model *model = training->model;
    gdl_match *match = path ? calloc(model->tensors + 1, sizeof *match) : NULL;
    if (!path)
        return 0;
    int result = match ? gdl_load_matching(model, training->instance, path, match, error)
                       : gdl_fail(error, "%s: no memory", path);
    if (!result)
        print_match(model, match, path, stderr);
    free(match);
    return result;
}

static int create_model(Training *training, gdl_error *error) {
    size_t capacity = 1;
    for (size_t i = 0; i < training->stages; i++) {
        size_t batch = batch_of(training, &training->model->stage[training->stage[i]]);
        capacity = batch > capacity ? batch : capacity;
    }
    uint64_t seed = training->options->resume ? training->resumed.seed : training->options->seed;
    training->instance = gdl_create(training->model, capacity, seed);
    if (!training->instance)
        return gdl_fail(error, "no memory for %s with batches of %zu: %zu bytes", training->model->name, capacity,
                        training->model->memory(capacity));
    return take_matching(training, error);
}

/* ── What is written on the way ── */

/* vae.safetensors -> vae.best.safetensors */
static int choose_files(Training *training, gdl_error *error) {
    const TrainOptions *options = training->options;
    training->save = options->save ? options->save : options->resume;
    if (!options->keep_best)
        return 0;
    const char *slash = strrchr(training->save, '/'), *dot = strrchr(training->save, '.');
    size_t stem = dot && (!slash || dot > slash + 1) ? (size_t)(dot - training->save) : strlen(training->save);
    size_t room = strlen(training->save) + sizeof ".best";
    training->best = malloc(room);
    if (!training->best)
        return gdl_fail(error, "no memory for the name of a file");
    snprintf(training->best, room, "%.*s.best%s", (int)stem, training->save, training->save + stem);
    return 0;
}

static int save(Training *training, const gdl_run *run, gdl_error *error) {
    int result = training->save ? gdl_save(training->model, training->instance, run, training->save, error) : 0;
    training->saved = !result;
    return result;
}

static bool save_is_due(const Training *training, const gdl_run *run, gdl_event event) {
    size_t every = training->options->save_every;
    return event == GDL_EPOCH || interrupted || (every && training->model->clock(run->instance)->step % every == 0);
}

/* The checkpoint comes last: what it says was done is then in the other files too. */
static int watch(void *context, const gdl_run *run, gdl_event event, gdl_error *error) {
    Training *training = context;
    training->saved = false;
    progress_show(&training->progress, run, event);
    if (event == GDL_EPOCH) {
        if (history_add(&training->history, run, error))
            return GDL_FAILED;
        if (training->best && run->stale == 0 &&
            gdl_save(training->model, training->instance, NULL, training->best, error))
            return GDL_FAILED;
    }
    if (save_is_due(training, run, event) && save(training, run, error))
        return GDL_FAILED;
    return interrupted ? GDL_STOPPED : 0;
}

/* ── The stages ── */

static int open_history(Training *training, const gdl_run *resumed, gdl_error *error) {
    if (!training->options->history || training->history.file)
        return 0;
    training->history = (History){.path = training->options->history,
                                  .model = training->model,
                                  .stage = training->stage,
                                  .stages = training->stages,
                                  .validated = training->data[0].valid.count > 0};
    return history_open(&training->history, resumed, error);
}

/* The clock of a run that is resumed is the checkpoint's; what the command line says of the learning rate goes before it. */
static int start_run(Training *training, gdl_run *run, bool resumed, gdl_error *error) {
    const TrainOptions *options = training->options;
    if (gdl_run_begin(run, error))
        return GDL_FAILED;
    if (resumed && gdl_run_resume(run, options->resume, error))
        return GDL_FAILED;
    if (options->lr_scale > 0)
        training->model->clock(training->instance)->lr_scale = options->lr_scale;
    return open_history(training, resumed ? run : NULL, error);
}

static int finish_run(Training *training, gdl_run *run, gdl_error *error) {
    int result = gdl_run_train(run, error);
    progress_end(&training->progress);
    return result || training->saved ? result : save(training, run, error);
}

static int train_stage(Training *training, size_t i, gdl_error *error) {
    const gdl_stage *stage = &training->model->stage[training->stage[i]];
    const TrainOptions *options = training->options;
    gdl_run run = {.model = training->model,
                   .instance = training->instance,
                   .stage = training->stage[i],
                   .train = &training->data[i].train,
                   .valid = training->data[i].valid.count ? &training->data[i].valid : NULL,
                   .batch = batch_of(training, stage),
                   .epochs = epochs_of(training, stage),
                   .patience = options->patience ? options->patience : training->resumed.patience,
                   .plan = training->plan,
                   .watch = watch,
                   .context = training};
    int result = start_run(training, &run, options->resume && i == training->first, error);
    if (!result) {
        progress_begin(&training->progress, stderr, &run);
        result = finish_run(training, &run, error);
    }
    gdl_run_end(&run);
    return result;
}

static int prepare(Training *training, gdl_error *error) {
    return read_resumed(training, error) || choose_stages(training, error) || find_first(training, error) ||
                   write_plan(training, error) || choose_files(training, error) || prepare_data(training, error) ||
                   create_model(training, error)
               ? GDL_FAILED
               : 0;
}

static int train_stages(Training *training, gdl_error *error) {
    int result = 0;
    interrupted = 0;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    for (size_t i = training->first; i < training->stages && !result; i++) {
        training->saved = false;
        result = train_stage(training, i, error);
    }
    if (result == GDL_STOPPED)
        fprintf(stderr, "interrupted; %s%s\n",
                training->save ? "go on with --resume " : "nothing is saved without --save",
                training->save ? training->save : "");
    else if (!result && training->save)
        fprintf(stderr, "saved %s\n", training->save);
    return result;
}

static void release(Training *training) {
    for (size_t i = 0; training->data && i < training->stages; i++) {
        gdl_sample_free(&training->data[i].train);
        gdl_sample_free(&training->data[i].valid);
        gdl_data_free(&training->data[i].train_data);
        gdl_data_free(&training->data[i].valid_data);
    }
    sources_free(&training->train);
    sources_free(&training->valid);
    gdl_destroy(training->instance);
    free(training->data);
    free(training->stage);
    free(training->plan);
    free(training->best);
    free(training->resumed.plan);
}

int command_train(const TrainOptions *options, gdl_error *error) {
    Training training = {.options = options, .model = options->model};
    int result = prepare(&training, error);
    if (!result)
        result = train_stages(&training, error);
    if (history_close(&training.history, result ? NULL : error) && !result)
        result = GDL_FAILED;
    release(&training);
    return result;
}

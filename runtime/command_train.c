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
    Plan plan;
    Sources train, valid;
    StageData *data; /* of each stage of the plan */
    void *instance;
    const char *save;
    char *best; /* path of the best parameters, or NULL */
    bool saved; /* the present state is in the file */
    Progress progress;
    History history;
    Snapshots snapshots;
    Collapse collapse;
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

static const gdl_stage *stage_of(const Training *training, size_t i) {
    return &training->model->stage[training->plan.items[i].stage];
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
    bool balanced = training->options->balanced && gdl_has_labels(&data->train_data);
    return limit ? gdl_sample_limit(&data->train, limit, balanced, error) : 0;
}

/* Of several stages, --balanced is about those that have labels; where none has, it is a mistake. */
static int check_balanced(const Training *training, gdl_error *error) {
    bool labels = !training->options->balanced;
    for (size_t i = 0; i < training->plan.count; i++)
        labels |= gdl_has_labels(&training->data[i].train_data);
    return labels ? 0 : gdl_fail(error, "--balanced needs an input of class labels, but no stage that is trained here has one");
}

/* All inputs of the stages that are trained, for a message. */
static int check_names(const Training *training, gdl_error *error) {
    char names[512] = "";
    for (size_t i = 0; i < training->plan.count; i++) {
        const gdl_stage *stage = stage_of(training, i);
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
    training->data = calloc(training->plan.count, sizeof *training->data);
    if (!training->data)
        return gdl_fail(error, "no memory for the data of %zu stages", training->plan.count);
    if (sources_read(&training->train, "--data", &training->options->data, error) ||
        sources_read(&training->valid, "--valid", &training->options->valid, error))
        return GDL_FAILED;
    for (size_t i = 0; i < training->plan.count; i++)
        if (prepare_stage(training, stage_of(training, i), &training->data[i], error))
            return GDL_FAILED;
    return check_balanced(training, error) || check_names(training, error) ? GDL_FAILED : 0;
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
    for (size_t i = 0; i < training->plan.count; i++)
        capacity = training->plan.items[i].batch > capacity ? training->plan.items[i].batch : capacity;
    training->instance = create_instance(training->model, capacity, training->plan.seed, training->options->threads, error);
    return training->instance ? take_matching(training, error) : GDL_FAILED;
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

/* What cannot be written is better known before the first epoch than after it. */
static int check_files(const Training *training, gdl_error *error) {
    const char *const path[] = {training->save, training->best, training->options->profile};
    for (size_t i = 0; i < sizeof path / sizeof *path; i++)
        if (path[i] && gdl_output_check(path[i], error))
            return GDL_FAILED;
    if (!training->save)
        fprintf(stderr, "note: without --save FILE nothing is kept of what is trained\n");
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

static int end_epoch(Training *training, const gdl_run *run, gdl_error *error) {
    if (history_add(&training->history, run, error) || snapshots_add(&training->snapshots, run, error))
        return GDL_FAILED;
    if (!training->best || run->stale > 0)
        return 0;
    return gdl_save(training->model, training->instance, NULL, training->best, error);
}

/* The checkpoint comes last: what it says was done is then in the other files too. */
static int watch(void *context, const gdl_run *run, gdl_event event, gdl_error *error) {
    Training *training = context;
    training->saved = false;
    progress_show(&training->progress, run, event);
    if (collapse_watch(&training->collapse, event, error))
        return GDL_FAILED;
    if (event == GDL_EPOCH && end_epoch(training, run, error))
        return GDL_FAILED;
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
                                  .plan = &training->plan,
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

static int open_watchers(Training *training, const gdl_run *run, gdl_error *error) {
    const SnapshotOptions *options = &training->options->snapshot;
    const char *stage = training->plan.count > 1 ? training->model->stage[run->stage].name : NULL;
    if (collapse_open(&training->collapse, run, stderr, error))
        return GDL_FAILED;
    return options->every ? snapshots_open(&training->snapshots, options, run, stage, &training->train, error) : 0;
}

static int finish_run(Training *training, gdl_run *run, gdl_error *error) {
    progress_begin(&training->progress, stderr, run);
    int result = gdl_run_train(run, error);
    progress_end(&training->progress);
    if (!result && !training->saved)
        result = save(training, run, error);
    return result ? result : snapshots_strip(&training->snapshots, run, error);
}

static int train_stage(Training *training, size_t i, gdl_error *error) {
    const Planned *planned = &training->plan.items[i];
    gdl_run run = {.model = training->model,
                   .instance = training->instance,
                   .stage = planned->stage,
                   .train = &training->data[i].train,
                   .valid = training->data[i].valid.count ? &training->data[i].valid : NULL,
                   .batch = planned->batch,
                   .epochs = planned->epochs,
                   .patience = training->plan.patience,
                   .plan = training->plan.text,
                   .watch = watch,
                   .context = training};
    bool resumed = training->options->resume && i == training->plan.first;
    int result = start_run(training, &run, resumed, error) || open_watchers(training, &run, error)
                     ? GDL_FAILED
                     : finish_run(training, &run, error);
    snapshots_close(&training->snapshots);
    collapse_close(&training->collapse);
    gdl_run_end(&run);
    return result;
}

static int prepare(Training *training, gdl_error *error) {
    return plan_make(&training->plan, training->options, error) || choose_files(training, error) ||
                   prepare_data(training, error) || create_model(training, error) || check_files(training, error)
               ? GDL_FAILED
               : 0;
}

/* What a model that was compiled with --profile has counted, however the training ended. */
static int report_profile(const Training *training, gdl_error *error) {
    if (!training->model->profile)
        return 0;
    return training->options->profile ? gdl_profile_write(training->model, training->instance, training->options->profile, error)
                                      : gdl_profile_print(training->model, training->instance, stderr, error);
}

static int train_stages(Training *training, gdl_error *error) {
    int result = 0;
    interrupted = 0;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    for (size_t i = training->plan.first; i < training->plan.count && !result; i++) {
        training->saved = false;
        result = train_stage(training, i, error);
    }
    if (result == GDL_STOPPED)
        fprintf(stderr, "interrupted; %s%s\n",
                training->save ? "go on with --resume " : "nothing is saved without --save",
                training->save ? training->save : "");
    else if (!result && training->save)
        fprintf(stderr, "saved %s\n", training->save);
    return report_profile(training, result ? NULL : error) && !result ? GDL_FAILED : result;
}

static void release(Training *training) {
    for (size_t i = 0; training->data && i < training->plan.count; i++) {
        gdl_sample_free(&training->data[i].train);
        gdl_sample_free(&training->data[i].valid);
        gdl_data_free(&training->data[i].train_data);
        gdl_data_free(&training->data[i].valid_data);
    }
    sources_free(&training->train);
    sources_free(&training->valid);
    gdl_destroy(training->model, training->instance);
    free(training->data);
    free(training->best);
    plan_free(&training->plan);
}

int command_train(int argc, char **argv, const gdl_model *model, gdl_error *error) {
    TrainOptions options;
    Training training = {.options = &options, .model = model};
    if (train_options_parse(&options, model, argc, argv, error))
        return GDL_FAILED;
    int result = prepare(&training, error);
    if (!result)
        result = train_stages(&training, error);
    if (history_close(&training.history, result ? NULL : error) && !result)
        result = GDL_FAILED;
    release(&training);
    train_options_free(&options);
    return result;
}

/* options_train.c: the command line of `train`. */
#define _DEFAULT_SOURCE /* argp */
#include "trainer.h"

#include <argp.h>
#include <math.h>
#include <stdlib.h>

enum {
    KEY_DATA = 256,
    KEY_VALID,
    KEY_SPLIT,
    KEY_LIMIT,
    KEY_BALANCED,
    KEY_EPOCHS,
    KEY_BATCH,
    KEY_LR_SCALE,
    KEY_SEED,
    KEY_PATIENCE,
    KEY_THREADS,
    KEY_SAVE,
    KEY_SAVE_EVERY,
    KEY_KEEP_BEST,
    KEY_INIT,
    KEY_RESUME,
    KEY_HISTORY,
    KEY_PROFILE,
    KEY_SNAPSHOT_EVERY,
    KEY_SNAPSHOT,
    KEY_SNAPSHOT_TO,
    KEY_SNAPSHOT_RANGE
};

static const struct argp_option train_table[] = {
    {NULL, 0, NULL, 0, "Data (IDX or .npy, plain or .gz, or a folder of PNG pictures; bytes become 0..1):", 1},
    {"data", KEY_DATA, "[INPUT=]FILE", 0,
     "Examples of an input; once for each input. The name may be left out where there is only one", 0},
    {"valid", KEY_VALID, "[INPUT=]FILE", 0, "Examples to validate with after each epoch", 0},
    {"validation-split", KEY_SPLIT, "F", 0,
     "Validate with the last part F of the data, 0 < F < 1, or with so many examples, F >= 1", 0},
    {"limit", KEY_LIMIT, "N", 0, "Train on the first N examples only (after the split)", 0},
    {"balanced", KEY_BALANCED, NULL, 0, "With --limit: on equally many of each class, in the stages that have labels", 0},
    {NULL, 0, NULL, 0, "Training:", 2},
    {"epochs", KEY_EPOCHS, "N", 0, "Instead of the model's", 0},
    {"batch", KEY_BATCH, "N", 0, "Examples in a batch, instead of the model's", 0},
    {"lr-scale", KEY_LR_SCALE, "F", 0, "Multiply every learning rate by F", 0},
    {"seed", KEY_SEED, "N", 0, "Of first values, order and noise (42)", 0},
    {"patience", KEY_PATIENCE, "N", 0,
     "End a stage after N epochs without a lower loss (of validation where there is one)", 0},
    {"threads", KEY_THREADS, "N", 0, "Compute with N threads (1); results do not depend on it", 0},
    {NULL, 0, NULL, 0, "Files:", 3},
    {"save", KEY_SAVE, "FILE", 0, "Write a checkpoint (safetensors) after each epoch", 0},
    {"save-every", KEY_SAVE_EVERY, "N", 0, "And after every N iterations", 0},
    {"keep-best", KEY_KEEP_BEST, NULL, 0,
     "Also keep the parameters of the epoch with the lowest loss: with --save vae.safetensors in vae.best.safetensors",
     0},
    {"init", KEY_INIT, "FILE", 0, "Start from the tensors of FILE whose names and shapes match, and say which", 0},
    {"resume", KEY_RESUME, "FILE", 0,
     "Go on where the run that wrote FILE stood, to the same result; seed, batch, epochs and stages are taken from it, and it is saved to again unless --save says otherwise",
     0},
    {"history", KEY_HISTORY, "FILE", 0, "Write losses and metrics as CSV, a row for each epoch", 0},
    {"profile-out", KEY_PROFILE, "FILE", 0,
     "Write the time of each kernel as CSV, in place of the table at the end; of a model compiled with gdlc --profile", 0},
    {NULL, 0, NULL, 0, "Watching:", 4},
    {"snapshot-every", KEY_SNAPSHOT_EVERY, "N", 0,
     "Every N epochs make a picture, PREFIX-0005.png, with the same draws or examples each time; at the end PREFIX-strip.png with a row for each",
     0},
    {"snapshot", KEY_SNAPSHOT, "FUNCTION", 0,
     "Of this net or export (the first export without inputs that makes images; else the first that makes them from the data)", 0},
    {"snapshot-to", KEY_SNAPSHOT_TO, "PREFIX", 0, "Names of the pictures begin so (\"snapshot\")", 0},
    {"snapshot-range", KEY_SNAPSHOT_RANGE, "LOW,HIGH", 0, "Values of black and white there (0,1)", 0},
    {0},
};

static error_t train_data_option(int key, char *text, struct argp_state *state) {
    TrainOptions *options = state->input;
    switch (key) {
    case KEY_DATA: texts_add(&options->data, text); break;
    case KEY_VALID: texts_add(&options->valid, text); break;
    case KEY_SPLIT: options->split = parse_positive(state, "--validation-split", text); break;
    case KEY_LIMIT: options->limit = parse_count(state, "--limit", text, 1); break;
    case KEY_BALANCED: options->balanced = true; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t train_watch_option(int key, char *text, struct argp_state *state) {
    SnapshotOptions *options = &((TrainOptions *)state->input)->snapshot;
    switch (key) {
    case KEY_SNAPSHOT_EVERY: options->every = parse_count(state, "--snapshot-every", text, 1); break;
    case KEY_SNAPSHOT: options->function = text; break;
    case KEY_SNAPSHOT_TO: options->prefix = text; break;
    case KEY_SNAPSHOT_RANGE: parse_pair(state, "--snapshot-range", text, &options->low, &options->high); break;
    default: return train_data_option(key, text, state);
    }
    return 0;
}

static error_t train_file_option(int key, char *text, struct argp_state *state) {
    TrainOptions *options = state->input;
    switch (key) {
    case KEY_SAVE: options->save = text; break;
    case KEY_SAVE_EVERY: options->save_every = parse_count(state, "--save-every", text, 1); break;
    case KEY_KEEP_BEST: options->keep_best = true; break;
    case KEY_INIT: options->init = text; break;
    case KEY_RESUME: options->resume = text; break;
    case KEY_HISTORY: options->history = text; break;
    case KEY_PROFILE: options->profile = text; break;
    default: return train_watch_option(key, text, state);
    }
    return 0;
}

static void train_check(const TrainOptions *options, struct argp_state *state) {
    if (options->valid.count && options->split > 0)
        argp_error(state, "--valid and --validation-split exclude each other");
    if (options->split > 1 && options->split != floor(options->split))
        argp_error(state, "--validation-split expects a part of the data below 1 or a whole number of examples, but found '%g'", options->split);
    if (options->profile && !options->model->profile)
        argp_error(state, "--profile-out: this model counts no times; compile %s with gdlc --profile", options->model->source);
    if (options->balanced && !options->limit)
        argp_error(state, "--balanced needs --limit N");
    if (options->snapshot.function && !options->snapshot.every)
        argp_error(state, "--snapshot needs --snapshot-every N");
    if (options->init && options->resume)
        argp_error(state, "--init starts anew and --resume goes on: they exclude each other");
    if ((options->keep_best || options->save_every) && !options->save && !options->resume)
        argp_error(state, "--keep-best and --save-every need --save FILE");
}

static error_t train_option(int key, char *text, struct argp_state *state) {
    TrainOptions *options = state->input;
    switch (key) {
    case KEY_EPOCHS:
        options->epochs = parse_count(state, "--epochs", text, 0);
        options->epochs_given = true;
        break;
    case KEY_SEED:
        options->seed = parse_seed(state, text);
        options->seed_given = true;
        break;
    case KEY_BATCH: options->batch = parse_count(state, "--batch", text, 1); break;
    case KEY_LR_SCALE: options->lr_scale = (float)parse_positive(state, "--lr-scale", text); break;
    case KEY_PATIENCE: options->patience = parse_count(state, "--patience", text, 1); break;
    case KEY_THREADS: options->threads = parse_count(state, "--threads", text, 1); break;
    case ARGP_KEY_ARG: texts_add(&options->stages, text); break;
    case ARGP_KEY_END: train_check(options, state); break;
    default: return train_file_option(key, text, state);
    }
    return 0;
}

static char *train_help(int key, const char *text, void *input) {
    return describe(key, text, ((const TrainOptions *)input)->model, gdl_print_stages);
}

int train_options_parse(TrainOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error) {
    static const struct argp argp = {.options = train_table,
                                     .parser = train_option,
                                     .args_doc = "[STAGE...]",
                                     .doc = "Trains the stages that are named, or all of them, in order.\v",
                                     .help_filter = train_help};
    *options = (TrainOptions){.model = model, .seed = DEFAULT_SEED, .snapshot = {.prefix = "snapshot", .low = 0, .high = 1}};
    if (!texts_create(&options->stages, argc) || !texts_create(&options->data, argc) ||
        !texts_create(&options->valid, argc)) {
        train_options_free(options);
        return gdl_fail(error, "no memory for the command line");
    }
    argp_parse(&argp, argc, argv, 0, NULL, options);
    return 0;
}

void train_options_free(TrainOptions *options) {
    free(options->stages.items);
    free(options->data.items);
    free(options->valid.items);
}

/* options.c: the command lines of `train` and `run`, with their help. */
#define _DEFAULT_SOURCE /* argp */
#include "trainer.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ── Values of options ── */

static size_t parse_count(struct argp_state *state, const char *option, const char *text, size_t least) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > SIZE_MAX)
        argp_error(state, "%s expects a whole number of at least %zu, but found '%s'", option, least, text);
    return (size_t)value;
}

static uint64_t parse_seed(struct argp_state *state, const char *text) {
    return (uint64_t)parse_count(state, "--seed", text, 0);
}

static double parse_positive(struct argp_state *state, const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1e30))
        argp_error(state, "%s expects a number above 0, but found '%s'", option, text);
    return value;
}

static void parse_range(struct argp_state *state, const char *text, float *low, float *high) {
    char *comma, *end;
    *low = strtof(text, &comma);
    *high = *comma == ',' ? strtof(comma + 1, &end) : *low;
    if (*comma != ',' || end == comma + 1 || *end || !(*low < *high))
        argp_error(state, "--range expects the values of black and white, such as -1,1, but found '%s'", text);
}

static bool texts_create(Texts *texts, int room) {
    *texts = (Texts){.items = calloc((size_t)room + 1, sizeof *texts->items)};
    return texts->items != NULL;
}

static void texts_add(Texts *texts, const char *text) { texts->items[texts->count++] = text; }

size_t option_name(const char *text, const char **rest) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    if (text[length] != '=' || isdigit((unsigned char)*text))
        length = 0;
    *rest = length ? text + length + 1 : text;
    return length;
}

/* ── train ── */

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
    KEY_SAVE,
    KEY_SAVE_EVERY,
    KEY_KEEP_BEST,
    KEY_INIT,
    KEY_RESUME,
    KEY_HISTORY,
    KEY_LOAD,
    KEY_COUNT,
    KEY_OUT,
    KEY_COLUMNS,
    KEY_ZOOM,
    KEY_RANGE,
    KEY_NO_INPUTS
};

static const struct argp_option train_table[] = {
    {NULL, 0, NULL, 0, "Data (IDX or .npy, plain or .gz; bytes become 0..1):", 1},
    {"data", KEY_DATA, "[INPUT=]FILE", 0,
     "Examples of an input; once for each input. The name may be left out where there is only one", 0},
    {"valid", KEY_VALID, "[INPUT=]FILE", 0, "Examples to validate with after each epoch", 0},
    {"validation-split", KEY_SPLIT, "F", 0,
     "Validate with the last part F of the data, 0 < F < 1, or with so many examples, F >= 1", 0},
    {"limit", KEY_LIMIT, "N", 0, "Train on the first N examples only (after the split)", 0},
    {"balanced", KEY_BALANCED, NULL, 0, "With --limit: on equally many of each class", 0},
    {NULL, 0, NULL, 0, "Training:", 2},
    {"epochs", KEY_EPOCHS, "N", 0, "Instead of the model's", 0},
    {"batch", KEY_BATCH, "N", 0, "Examples in a batch, instead of the model's", 0},
    {"lr-scale", KEY_LR_SCALE, "F", 0, "Multiply every learning rate by F", 0},
    {"seed", KEY_SEED, "N", 0, "Of first values, order and noise (42)", 0},
    {"patience", KEY_PATIENCE, "N", 0,
     "End a stage after N epochs without a lower loss (of validation where there is one)", 0},
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

static error_t train_file_option(int key, char *text, struct argp_state *state) {
    TrainOptions *options = state->input;
    switch (key) {
    case KEY_SAVE: options->save = text; break;
    case KEY_SAVE_EVERY: options->save_every = parse_count(state, "--save-every", text, 1); break;
    case KEY_KEEP_BEST: options->keep_best = true; break;
    case KEY_INIT: options->init = text; break;
    case KEY_RESUME: options->resume = text; break;
    case KEY_HISTORY: options->history = text; break;
    default: return train_data_option(key, text, state);
    }
    return 0;
}

static void train_check(const TrainOptions *options, struct argp_state *state) {
    if (options->valid.count && options->split > 0)
        argp_error(state, "--valid and --validation-split exclude each other");
    if (options->balanced && !options->limit)
        argp_error(state, "--balanced needs --limit N");
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
    case ARGP_KEY_ARG: texts_add(&options->stages, text); break;
    case ARGP_KEY_END: train_check(options, state); break;
    default: return train_file_option(key, text, state);
    }
    return 0;
}

/* Ends the help with what this model has. `text` is what argp would print in its place. */
static char *describe(int key, const char *text, const gdl_model *model,
                      void (*print)(const gdl_model *model, FILE *to)) {
    char *described = NULL;
    size_t size = 0;
    FILE *to = key == ARGP_KEY_HELP_POST_DOC ? open_memstream(&described, &size) : NULL;
    if (!to)
        return (char *)text; /* unchanged; argp's interface has it so */
    fprintf(to, "In %s:\n", model->name);
    print(model, to);
    fclose(to);
    return described;
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
    *options = (TrainOptions){.model = model, .seed = DEFAULT_SEED};
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

/* ── run ── */

static const struct argp_option run_table[] = {
    {"load", KEY_LOAD, "FILE", 0, "Parameters and states, from a checkpoint", 0},
    {"data", KEY_DATA, "[INPUT=]FILE", 0,
     "Examples of an input; once for each input. The name may be left out where there is only one", 0},
    {"count", KEY_COUNT, "N", 0,
     "Use the first N examples; make N, where the function has no inputs (all; 24 for pictures and for functions without inputs)",
     0},
    {"seed", KEY_SEED, "N", 0, "Of the draws (42)", 0},
    {"batch", KEY_BATCH, "N", 0, "Examples computed at a time, instead of the model's", 0},
    {"out", KEY_OUT, "[OUTPUT=]FILE", 0,
     "Where a result goes: .png, .npy or .csv by its ending; may be repeated. The name may be left out where there is only one output",
     0},
    {NULL, 0, NULL, 0, "Pictures:", 1},
    {"columns", KEY_COLUMNS, "N", 0, "Images in a row (about square)", 0},
    {"zoom", KEY_ZOOM, "N", 0, "Pixels for each value, in both directions (2)", 0},
    {"range", KEY_RANGE, "LOW,HIGH", 0, "Values of black and white (0,1)", 0},
    {"no-inputs", KEY_NO_INPUTS, NULL, 0, "Do not show the inputs above the results", 0},
    {0},
};

static error_t run_picture_option(int key, char *text, struct argp_state *state) {
    RunOptions *options = state->input;
    switch (key) {
    case KEY_COLUMNS: options->columns = parse_count(state, "--columns", text, 1); break;
    case KEY_ZOOM: options->zoom = parse_count(state, "--zoom", text, 1); break;
    case KEY_RANGE: parse_range(state, text, &options->low, &options->high); break;
    case KEY_NO_INPUTS: options->no_inputs = true; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static error_t run_option(int key, char *text, struct argp_state *state) {
    RunOptions *options = state->input;
    switch (key) {
    case KEY_LOAD: options->load = text; break;
    case KEY_DATA: texts_add(&options->data, text); break;
    case KEY_COUNT: options->count = parse_count(state, "--count", text, 1); break;
    case KEY_SEED: options->seed = parse_seed(state, text); break;
    case KEY_BATCH: options->batch = parse_count(state, "--batch", text, 1); break;
    case KEY_OUT: texts_add(&options->out, text); break;
    case ARGP_KEY_ARG:
        if (options->function)
            argp_error(state, "one function is expected, but found '%s' after '%s'", text, options->function);
        options->function = text;
        break;
    case ARGP_KEY_NO_ARGS: argp_error(state, "the name of a net or export is expected"); break;
    case ARGP_KEY_END:
        if (!options->out.count)
            argp_error(state, "--out FILE is expected: where the result goes");
        break;
    default: return run_picture_option(key, text, state);
    }
    return 0;
}

static char *run_help(int key, const char *text, void *input) {
    return describe(key, text, ((const RunOptions *)input)->model, gdl_print_functions);
}

int run_options_parse(RunOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error) {
    static const struct argp argp = {.options = run_table,
                                     .parser = run_option,
                                     .args_doc = "FUNCTION",
                                     .doc = "Runs a net or export of the model, and writes what it gives.\v",
                                     .help_filter = run_help};
    *options = (RunOptions){.model = model, .seed = DEFAULT_SEED, .zoom = DEFAULT_ZOOM, .low = 0, .high = 1};
    if (!texts_create(&options->data, argc) || !texts_create(&options->out, argc)) {
        run_options_free(options);
        return gdl_fail(error, "no memory for the command line");
    }
    argp_parse(&argp, argc, argv, 0, NULL, options);
    return 0;
}

void run_options_free(RunOptions *options) {
    free(options->data.items);
    free(options->out.items);
}

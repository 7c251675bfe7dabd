/* options_call.c: the command lines of `run`, `inspect` and `confusion`, which all call a net or an export.
 *
 * What they share is parsed by argp's children: parsers of their own for a part of the options. */
#define _DEFAULT_SOURCE /* argp */
#include "trainer.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_LOAD = 256,
    KEY_DATA,
    KEY_COUNT,
    KEY_SEED,
    KEY_BATCH,
    KEY_THREADS,
    KEY_SIZE,
    KEY_ZOOM,
    KEY_RANGE,
    KEY_OUT,
    KEY_COLUMNS,
    KEY_NO_INPUTS,
    KEY_OUTPUT,
    KEY_THRESHOLD,
    KEY_BETWEEN,
    KEY_CSV,
    KEY_TOP
};

/* ── What they share ── */

static const struct argp_option call_table[] = {
    {"load", KEY_LOAD, "FILE", 0, "Parameters and states, from a checkpoint", 0},
    {"data", KEY_DATA, "[INPUT=]FILE", 0,
     "Examples of an input; once for each input. The name may be left out where there is only one", 0},
    {"count", KEY_COUNT, "N", 0,
     "Use the first N examples; make N, where the function has no inputs (all; run: 24 in pictures and without inputs; inspect: 1000 without inputs)",
     0},
    {"limit", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"seed", KEY_SEED, "N", 0, "Of the draws (42)", 0},
    {"size", KEY_SIZE, "NAME=N", 0, "A size of the run that the data do not say (the largest)", 0},
    {"batch", KEY_BATCH, "N", 0, "Examples computed at a time, instead of the model's (or of all, where they depend on each other)", 0},
    {"threads", KEY_THREADS, "N", 0, "Compute with N threads (1); results do not depend on it", 0},
    {0},
};

/* "time=28" */
static void read_size(CallOptions *options, const char *text, struct argp_state *state) {
    const char *number;
    char names[512];
    const gdl_model *model = options->model;
    size_t length = option_name(text, &number);
    for (size_t i = 0; i < model->sizes; i++) {
        const gdl_size *size = &model->size[i];
        if (strlen(size->name) != length || strncmp(size->name, text, length) != 0)
            continue;
        options->size[i] = parse_count(state, "--size", number, size->low);
        if (options->size[i] > size->high)
            argp_error(state, "--size %s: %s is from %zu to %zu", text, size->name, size->low, size->high);
        return;
    }
    argp_error(state, "--size %s: NAME=N is expected; the sizes of this model that are known only at run time are: %s", text,
               gdl_names_text(names, sizeof names, model->size, sizeof *model->size, model->sizes));
}

static error_t call_option(int key, char *text, struct argp_state *state) {
    CallOptions *options = state->input;
    switch (key) {
    case KEY_LOAD: options->load = text; break;
    case KEY_DATA: texts_add(&options->data, text); break;
    case KEY_COUNT: options->count = parse_count(state, "--count", text, 1); break;
    case KEY_SEED: options->seed = parse_seed(state, text); break;
    case KEY_SIZE: read_size(options, text, state); break;
    case KEY_BATCH: options->batch = parse_count(state, "--batch", text, 1); break;
    case KEY_THREADS: options->threads = parse_count(state, "--threads", text, 1); break;
    case ARGP_KEY_ARG:
        if (options->function)
            argp_error(state, "one function is expected, but found '%s' after '%s'", text, options->function);
        options->function = text;
        break;
    case ARGP_KEY_NO_ARGS: argp_error(state, "the name of a net or export is expected"); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The input is the whole command's, which begins with its CallOptions. */
static char *call_help(int key, const char *text, void *input) {
    return describe(key, text, ((const CallOptions *)input)->model, gdl_print_functions);
}

static const struct argp call_argp = {.options = call_table, .parser = call_option};

static const struct argp_option tile_table[] = {
    {"zoom", KEY_ZOOM, "N", 0, "Pixels for each value, in both directions (2)", 0},
    {"range", KEY_RANGE, "LOW,HIGH", 0, "Values of black and white (0,1)", 0},
    {0},
};

static error_t tile_option(int key, char *text, struct argp_state *state) {
    TileOptions *options = state->input;
    switch (key) {
    case KEY_ZOOM: options->zoom = parse_count(state, "--zoom", text, 1); break;
    case KEY_RANGE: parse_pair(state, "--range", text, &options->low, &options->high); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp tile_argp = {.options = tile_table, .parser = tile_option};
static const struct argp_child call_and_tile[] = {{&call_argp, 0, NULL, 0}, {&tile_argp, 0, "Pictures:", 1}, {0}};
static const struct argp_child call_only[] = {{&call_argp, 0, NULL, 0}, {0}};

static const TileOptions default_tile = {.zoom = DEFAULT_ZOOM, .low = 0, .high = 1};

static int call_options_create(CallOptions *options, const gdl_model *model, int argc, gdl_error *error) {
    *options = (CallOptions){.model = model, .seed = DEFAULT_SEED};
    return texts_create(&options->data, argc) ? 0 : gdl_fail(error, "no memory for the command line");
}

/* ── run ── */

static const struct argp_option run_table[] = {
    {"out", KEY_OUT, "[OUTPUT=]FILE", 0,
     "Where a result goes: .png, .npy or .csv by its ending; may be repeated. The name may be left out where there is only one output",
     0},
    {"columns", KEY_COLUMNS, "N", 0, "Images in a row of a picture (about square)", 0},
    {"no-inputs", KEY_NO_INPUTS, NULL, 0, "Do not show the inputs above the results", 0},
    {0},
};

static error_t run_option(int key, char *text, struct argp_state *state) {
    RunOptions *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->call;
        state->child_inputs[1] = &options->tile;
        break;
    case KEY_OUT: texts_add(&options->out, text); break;
    case KEY_COLUMNS: options->columns = parse_count(state, "--columns", text, 1); break;
    case KEY_NO_INPUTS: options->no_inputs = true; break;
    case ARGP_KEY_END:
        if (!options->out.count)
            argp_error(state, "--out FILE is expected: where the result goes");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int run_options_parse(RunOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error) {
    static const struct argp argp = {.options = run_table,
                                     .parser = run_option,
                                     .args_doc = "FUNCTION",
                                     .doc = "Runs a net or export of the model, and writes what it gives.\v",
                                     .children = call_and_tile,
                                     .help_filter = call_help};
    *options = (RunOptions){.tile = default_tile};
    if (call_options_create(&options->call, model, argc, error))
        return GDL_FAILED;
    if (!texts_create(&options->out, argc)) {
        run_options_free(options);
        return gdl_fail(error, "no memory for the command line");
    }
    argp_parse(&argp, argc, argv, 0, NULL, options);
    return 0;
}

void run_options_free(RunOptions *options) {
    free(options->call.data.items);
    free(options->out.items);
}

/* ── inspect ── */

static const struct argp_option inspect_table[] = {
    {"output", KEY_OUTPUT, "NAME", 0, "The output to look at, where the function has several", 0},
    {"threshold", KEY_THRESHOLD, "T", 0, "Give the share of the examples in which a unit is below T (0.05)", 0},
    {"between", KEY_BETWEEN, "LOW,HIGH", 0, "Count the units whose mean is there (0.05,0.2)", 0},
    {"csv", KEY_CSV, "FILE", 0, "Also write the table as CSV", 0},
    {"top", KEY_TOP, "K", 0, "With --out: a picture with the K inputs that activate each unit most, a row for each unit", 0},
    {"out", KEY_OUT, "FILE", 0, "Where that picture goes (PNG)", 0},
    {0},
};

static error_t inspect_option(int key, char *text, struct argp_state *state) {
    InspectOptions *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->call;
        state->child_inputs[1] = &options->tile;
        break;
    case KEY_OUTPUT: options->output = text; break;
    case KEY_THRESHOLD: options->threshold = parse_number(state, "--threshold", text); break;
    case KEY_BETWEEN: parse_pair(state, "--between", text, &options->least, &options->most); break;
    case KEY_CSV: options->csv = text; break;
    case KEY_TOP: options->top = parse_count(state, "--top", text, 1); break;
    case KEY_OUT: options->out = text; break;
    case ARGP_KEY_END:
        if (!options->top != !options->out)
            argp_error(state, "--top K and --out FILE belong together");
        break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int inspect_options_parse(InspectOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error) {
    static const struct argp argp = {.options = inspect_table,
                                     .parser = inspect_option,
                                     .args_doc = "FUNCTION",
                                     .doc = "Shows how the units of a net's or export's output are used: mean, standard deviation, "
                                            "range and histogram of each over the examples.\v",
                                     .children = call_and_tile,
                                     .help_filter = call_help};
    *options = (InspectOptions){.tile = default_tile, .threshold = 0.05, .least = 0.05f, .most = 0.2f};
    if (call_options_create(&options->call, model, argc, error))
        return GDL_FAILED;
    argp_parse(&argp, argc, argv, 0, NULL, options);
    return 0;
}

void inspect_options_free(InspectOptions *options) { free(options->call.data.items); }

/* ── confusion ── */

static const struct argp_option confusion_table[] = {
    {"csv", KEY_CSV, "FILE", 0, "Also write the table as CSV", 0},
    {0},
};

static error_t confusion_option(int key, char *text, struct argp_state *state) {
    ConfusionOptions *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->call; break;
    case KEY_CSV: options->csv = text; break;
    default: return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int confusion_options_parse(ConfusionOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error) {
    static const struct argp argp = {.options = confusion_table,
                                     .parser = confusion_option,
                                     .args_doc = "FUNCTION",
                                     .doc = "Compares the classes that a net or export predicts, by the largest value of its output, "
                                            "with the true ones, which are given as --data label=FILE.\v",
                                     .children = call_only,
                                     .help_filter = call_help};
    *options = (ConfusionOptions){0};
    if (call_options_create(&options->call, model, argc, error))
        return GDL_FAILED;
    argp_parse(&argp, argc, argv, 0, NULL, options);
    return 0;
}

void confusion_options_free(ConfusionOptions *options) { free(options->call.data.items); }

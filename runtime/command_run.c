/* command_run.c: `run`: a net or an export over the examples of files, and its results as pictures, arrays or tables. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_COUNT = 24 };

typedef enum Form { FORM_PNG, FORM_NPY, FORM_CSV } Form;

/* One --out. */
typedef struct Target {
    size_t output;
    const char *path;
    Form form;
} Target;

typedef struct Job {
    const RunOptions *options;
    const gdl_function *function;
    Target *targets;
    size_t n; /* examples */
    Sources sources;
    gdl_data data;
    gdl_sample sample;
    void *instance;
    void **input, **output; /* n examples of each port */
} Job;

/* ── What is asked for ── */

static int find_function(Job *job, gdl_error *error) {
    char names[512];
    const gdl_model *model = job->options->model;
    for (size_t f = 0; f < model->functions; f++)
        if (strcmp(model->function[f].name, job->options->function) == 0) {
            job->function = &model->function[f];
            return 0;
        }
    gdl_names_text(names, sizeof names, model->function, sizeof *model->function, model->functions);
    return gdl_fail(error, "%s has no net or export %s; it has: %s", model->name, job->options->function, names);
}

static int find_form(const char *path, Form *form, gdl_error *error) {
    static const char *const endings[] = {[FORM_PNG] = ".png", [FORM_NPY] = ".npy", [FORM_CSV] = ".csv"};
    const char *dot = strrchr(path, '.');
    for (int f = FORM_PNG; f <= FORM_CSV; f++)
        if (dot && strcmp(dot, endings[f]) == 0) {
            *form = (Form)f;
            return 0;
        }
    return gdl_fail(error, "--out %s: a name that ends in .png, .npy or .csv is expected", path);
}

static int find_output(const Job *job, const char *argument, Target *target, gdl_error *error) {
    char names[512];
    const gdl_function *function = job->function;
    size_t length = option_name(argument, &target->path);
    for (target->output = 0; target->output < function->outputs; target->output++) {
        const char *name = function->output[target->output].name;
        if (length ? strlen(name) == length && strncmp(name, argument, length) == 0 : function->outputs == 1)
            return 0;
    }
    gdl_names_text(names, sizeof names, function->output, sizeof *function->output, function->outputs);
    return gdl_fail(error, "--out %s: %s; the outputs of %s are: %s", argument,
                    length ? "there is no such output" : "say of which output, as in --out NAME=FILE", function->name,
                    names);
}

/* That an output cannot be written in a form is said before anything is computed. */
static int check_target(const Job *job, const Target *target, gdl_error *error) {
    size_t height, width, channels;
    char shape[160];
    const gdl_port *port = &job->function->output[target->output];
    gdl_shape_text(shape, sizeof shape, port->rank, port->shape);
    if (target->form == FORM_PNG && !gdl_image_size(port, &height, &width, &channels))
        return gdl_fail(
            error, "%s: a picture shows [h, w], [h, w, 1], [h, w, 3] or a flat square, but %s has shape %s; try .npy",
            target->path, port->name, shape);
    if (target->form == FORM_CSV && port->rank > 1)
        return gdl_fail(error, "%s: a table has one row for each example, but %s has shape %s; try .npy", target->path,
                        port->name, shape);
    return 0;
}

static int find_targets(Job *job, gdl_error *error) {
    const Texts *out = &job->options->out;
    job->targets = calloc(out->count, sizeof *job->targets);
    if (!job->targets)
        return gdl_fail(error, "no memory for %zu outputs", out->count);
    for (size_t i = 0; i < out->count; i++) {
        Target *target = &job->targets[i];
        if (find_output(job, out->items[i], target, error) || find_form(target->path, &target->form, error) ||
            check_target(job, target, error))
            return GDL_FAILED;
    }
    return 0;
}

/* ── Computing ── */

static bool only_pictures(const Job *job) {
    for (size_t i = 0; i < job->options->out.count; i++)
        if (job->targets[i].form != FORM_PNG)
            return false;
    return true;
}

static size_t choose_count(const Job *job) {
    size_t asked = job->options->count, there = job->data.count;
    if (job->function->inputs == 0)
        return asked ? asked : DEFAULT_COUNT;
    if (!asked)
        asked = only_pictures(job) ? DEFAULT_COUNT : there;
    return asked < there ? asked : there;
}

static int read_data(Job *job, gdl_error *error) {
    char names[512];
    const gdl_function *function = job->function;
    gdl_names_text(names, sizeof names, function->input, sizeof *function->input, function->inputs);
    if (sources_read(&job->sources, "--data", &job->options->data, error) ||
        sources_bind(&job->sources, function->name, function->input, function->inputs, &job->data, error) ||
        sources_check_used(&job->sources, names, error))
        return GDL_FAILED;
    job->n = choose_count(job);
    return gdl_sample_range(&job->sample, &job->data, 0, job->n, error);
}

static int create_model(Job *job, gdl_error *error) {
    const RunOptions *options = job->options;
    job->instance = gdl_create(options->model, options->batch, options->seed);
    if (!job->instance)
        return gdl_fail(error, "no memory for %s", options->model->name);
    if (!options->load)
        fprintf(stderr, "note: without --load FILE the parameters are those of an untrained model\n");
    return options->load ? gdl_load(options->model, job->instance, options->load, error) : 0;
}

static int compute(Job *job, gdl_error *error) {
    const gdl_function *function = job->function;
    job->input = gdl_buffers_create(function->input, function->inputs, job->n);
    job->output = gdl_buffers_create(function->output, function->outputs, job->n);
    float **output = calloc(function->outputs + 1, sizeof *output);
    if (!job->input || !job->output || !output) {
        free(output);
        return gdl_fail(error, "no memory for %zu examples; try --count", job->n);
    }
    for (size_t i = 0; i < function->outputs; i++)
        output[i] = job->output[i];
    gdl_gather(&job->data, job->sample.index, job->n, job->input);
    int code = function->run(job->instance, job->n, (const void *const *)job->input, output);
    free(output);
    if (code == GDL_BATCH)
        return gdl_fail(
            error,
            "the examples that %s computes depend on each other, so it needs room for all %zu at once: try --batch %zu",
            function->name, job->n, job->n);
    return code ? gdl_fail(error, "%s ended with code %d", function->name, code) : 0;
}

/* ── Writing ── */

/* The input to show above an output: the first that is an image of the same size. NULL: none. */
static const float *input_image(const Job *job, const gdl_grid *grid) {
    for (size_t i = 0; i < job->function->inputs && !job->options->no_inputs; i++) {
        size_t height, width, channels;
        if (gdl_image_size(&job->function->input[i], &height, &width, &channels) && height == grid->height &&
            width == grid->width && channels == grid->channels)
            return job->input[i];
    }
    return NULL;
}

static int write_picture(const Job *job, const Target *target, gdl_error *error) {
    const RunOptions *options = job->options;
    const float *set[2];
    size_t most = options->count ? job->n : DEFAULT_COUNT;
    gdl_grid grid = {.count = job->n < most ? job->n : most,
                     .set = set,
                     .columns = options->columns,
                     .zoom = options->zoom,
                     .low = options->low,
                     .high = options->high};
    gdl_image_size(&job->function->output[target->output], &grid.height, &grid.width, &grid.channels);
    const float *above = input_image(job, &grid);
    if (above)
        set[grid.sets++] = above;
    set[grid.sets++] = job->output[target->output];
    return gdl_grid_write(&grid, target->path, error);
}

static int write_array(const Job *job, const Target *target, gdl_error *error) {
    const gdl_port *port = &job->function->output[target->output];
    size_t shape[GDL_MAX_RANK] = {job->n};
    if (port->rank >= GDL_MAX_RANK)
        return gdl_fail(error, "%s: %s has too many axes for a file", target->path, port->name);
    memcpy(shape + 1, port->shape, port->rank * sizeof *shape);
    return gdl_npy_write(target->path, port->rank + 1, shape, job->output[target->output], error);
}

static int write_table(const Job *job, const Target *target, gdl_error *error) {
    gdl_output file;
    const gdl_port *port = &job->function->output[target->output];
    const float *value = job->output[target->output];
    if (gdl_output_open(&file, target->path, error))
        return GDL_FAILED;
    for (size_t j = 0; j < port->size; j++)
        fprintf(file.file, port->size > 1 ? "%s%s_%zu" : "%s%s", j ? "," : "", port->name, j);
    fprintf(file.file, "\n");
    for (size_t i = 0; i < job->n; i++)
        for (size_t j = 0; j < port->size; j++)
            fprintf(file.file, "%.9g%c", (double)*value++, j + 1 < port->size ? ',' : '\n');
    return gdl_output_commit(&file, error);
}

static int write_results(const Job *job, gdl_error *error) {
    static int (*const write[])(const Job *, const Target *, gdl_error *) = {
        [FORM_PNG] = write_picture, [FORM_NPY] = write_array, [FORM_CSV] = write_table};
    for (size_t i = 0; i < job->options->out.count; i++)
        if (write[job->targets[i].form](job, &job->targets[i], error))
            return GDL_FAILED;
    return 0;
}

static void release(Job *job) {
    if (job->function) {
        gdl_buffers_free(job->input, job->function->inputs);
        gdl_buffers_free(job->output, job->function->outputs);
    }
    gdl_destroy(job->instance);
    gdl_sample_free(&job->sample);
    gdl_data_free(&job->data);
    sources_free(&job->sources);
    free(job->targets);
}

int command_run(const RunOptions *options, gdl_error *error) {
    Job job = {.options = options};
    bool failed = find_function(&job, error) || find_targets(&job, error) || read_data(&job, error) ||
                  create_model(&job, error) || compute(&job, error) || write_results(&job, error);
    release(&job);
    return failed ? GDL_FAILED : 0;
}

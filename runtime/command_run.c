/* command_run.c: `run`: a net or an export over the examples of files, and its results as pictures, arrays or tables. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

typedef enum Form { FORM_PNG, FORM_NPY, FORM_CSV } Form;

/* One --out. */
typedef struct Target {
    size_t output;
    const char *path;
    Form form;
} Target;

typedef struct Job {
    const RunOptions *options;
    Call call;
    Target *targets;
} Job;

/* ── What is asked for ── */

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
    size_t length = option_name(argument, &target->path);
    return call_find_output(&job->call, "--out", argument, length, &target->output, error);
}

/* That an output cannot be written in a form is said before anything is computed. */
static int check_target(const Job *job, const Target *target, gdl_error *error) {
    size_t height, width, channels;
    char shape[160];
    const gdl_port *port = &job->call.function->output[target->output];
    gdl_port_text(shape, sizeof shape, port);
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

static bool only_pictures(const Job *job) {
    for (size_t i = 0; i < job->options->out.count; i++)
        if (job->targets[i].form != FORM_PNG)
            return false;
    return true;
}

static size_t choose_count(const Job *job) {
    const Call *call = &job->call;
    size_t asked = call->options->count, there = call->data.count;
    if (call->function->inputs == 0)
        return asked ? asked : DEFAULT_COUNT;
    if (!asked)
        asked = only_pictures(job) ? DEFAULT_COUNT : there;
    return asked < there ? asked : there;
}

/* ── Writing ── */

/* The input to show above an output: the first that is an image of the same size. NULL: none. */
static const float *input_image(const Job *job, const gdl_grid *grid) {
    for (size_t i = 0; i < job->call.function->inputs && !job->options->no_inputs; i++) {
        size_t height, width, channels;
        if (gdl_image_size(&job->call.data.port[i], &height, &width, &channels) && height == grid->height &&
            width == grid->width && channels == grid->channels)
            return job->call.input[i];
    }
    return NULL;
}

static int write_picture(const Job *job, const Target *target, gdl_error *error) {
    const RunOptions *options = job->options;
    const float *set[2];
    size_t most = options->call.count ? job->call.n : DEFAULT_COUNT;
    gdl_grid grid = {.count = job->call.n < most ? job->call.n : most,
                     .set = set,
                     .columns = options->columns,
                     .zoom = options->tile.zoom,
                     .low = options->tile.low,
                     .high = options->tile.high};
    gdl_image_size(&job->call.output_port[target->output], &grid.height, &grid.width, &grid.channels);
    const float *above = input_image(job, &grid);
    if (above)
        set[grid.sets++] = above;
    set[grid.sets++] = job->call.output[target->output];
    return gdl_grid_write(&grid, target->path, error);
}

static int write_array(const Job *job, const Target *target, gdl_error *error) {
    const gdl_port *port = &job->call.output_port[target->output];
    size_t shape[GDL_MAX_RANK] = {job->call.n};
    if (port->rank >= GDL_MAX_RANK)
        return gdl_fail(error, "%s: %s has too many axes for a file", target->path, port->name);
    memcpy(shape + 1, port->shape, port->rank * sizeof *shape);
    return gdl_npy_write(target->path, port->rank + 1, shape, job->call.output[target->output], error);
}

static int write_table(const Job *job, const Target *target, gdl_error *error) {
    gdl_output file;
    const gdl_port *port = &job->call.output_port[target->output];
    const float *value = job->call.output[target->output];
    if (gdl_output_open(&file, target->path, error))
        return GDL_FAILED;
    for (size_t j = 0; j < port->size; j++)
        fprintf(file.file, port->size > 1 ? "%s%s_%zu" : "%s%s", j ? "," : "", port->name, j);
    fprintf(file.file, "\n");
    for (size_t i = 0; i < job->call.n; i++)
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

int command_run(int argc, char **argv, const gdl_model *model, gdl_error *error) {
    RunOptions options;
    Job job = {.options = &options};
    if (run_options_parse(&options, model, argc, argv, error))
        return GDL_FAILED;
    bool failed = call_open(&job.call, &options.call, error) || find_targets(&job, error) || call_read(&job.call, NULL, error) ||
                  call_compute(&job.call, choose_count(&job), error) || write_results(&job, error);
    call_close(&job.call);
    free(job.targets);
    run_options_free(&options);
    return failed ? GDL_FAILED : 0;
}

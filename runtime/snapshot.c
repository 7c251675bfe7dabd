/* snapshot.c: pictures every few epochs of a training run, always of the same draws or the same examples, so that they compare.
 *
 * The last picture, the strip, is put together from the others as they are in their files: a run that was resumed has them all. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { TILES = 16, STRIP_ROWS = 100, STRIP_PIXELS = 30000, SMALL = 128, PATH_ROOM = 4096, NAME_ROOM = 256 };

/* ── What is shown ── */

/* The first output that is an image, its size in the grid; false where there is none. */
static bool find_image(Snapshots *snapshots, const gdl_function *function) {
    gdl_grid *grid = &snapshots->grid;
    for (snapshots->image = 0; snapshots->image < function->outputs; snapshots->image++)
        if (gdl_image_size(&function->output[snapshots->image], &grid->height, &grid->width, &grid->channels))
            return true;
    return false;
}

static bool has_data(Snapshots *snapshots, const gdl_function *function, Sources *sources, gdl_error *error) {
    return sources_bind(sources, function->name, function->input, function->inputs, &snapshots->data, error) == 0;
}

/* An export that makes images: of nothing, if there is one; else of the data. */
static int search_function(Snapshots *snapshots, const gdl_model *model, Sources *sources, gdl_error *error) {
    const gdl_function *end = model->function + model->functions;
    for (int with_inputs = 0; with_inputs < 2; with_inputs++)
        for (const gdl_function *f = model->function; f < end; f++)
            if (!f->net && (f->inputs > 0) == with_inputs && find_image(snapshots, f) && has_data(snapshots, f, sources, NULL)) {
                snapshots->function = f;
                return 0;
            }
    return gdl_fail(error, "--snapshot-every: no export of %s makes images of nothing or of the data that are given; name a function with "
                           "--snapshot FUNCTION, and give what it reads with --data INPUT=FILE", model->name);
}

static int take_function(Snapshots *snapshots, const gdl_model *model, Sources *sources, gdl_error *error) {
    const char *name = snapshots->options->function;
    snapshots->function = find_function(model, name, error);
    if (!snapshots->function)
        return GDL_FAILED;
    if (!find_image(snapshots, snapshots->function))
        return gdl_fail(error, "--snapshot %s: no output of it is an image: [h, w], [h, w, 1], [h, w, 3] or a flat square", name);
    return has_data(snapshots, snapshots->function, sources, error) ? 0 : GDL_FAILED;
}

/* ── Opening ── */

static int gather_inputs(Snapshots *snapshots, gdl_error *error) {
    gdl_sample sample;
    const gdl_function *function = snapshots->function;
    size_t n = function->inputs && snapshots->data.count < TILES ? snapshots->data.count : TILES;
    snapshots->grid.count = n;
    gdl_port *output = gdl_ports_at(function->output, function->outputs, snapshots->size);
    if (!output)
        return gdl_fail(error, "no memory for pictures during the training");
    gdl_image_size(&output[snapshots->image], &snapshots->grid.height, &snapshots->grid.width, &snapshots->grid.channels);
    free(output);
    snapshots->grid.zoom = snapshots->grid.width > SMALL ? 1 : DEFAULT_ZOOM;
    snapshots->input = gdl_buffers_create(function->input, function->inputs, n);
    snapshots->output = gdl_buffers_create(function->output, function->outputs, n);
    if (!snapshots->input || !snapshots->output)
        return gdl_fail(error, "no memory for pictures during the training");
    if (gdl_sample_range(&sample, &snapshots->data, 0, n, error))
        return GDL_FAILED;
    gdl_gather(&snapshots->data, sample.index, n, snapshots->input);
    gdl_sample_free(&sample);
    return 0;
}

/* "snapshot-gan-0005.png", "snapshot-0005.png" where one stage is trained. */
static void name_picture(const Snapshots *snapshots, size_t epoch, char path[PATH_ROOM]) {
    const char *stage = snapshots->stage;
    snprintf(path, PATH_ROOM, "%s%s%s-%04zu.png", snapshots->options->prefix, stage ? "-" : "", stage ? stage : "", epoch);
}

/* What cannot be written is better known before the first epoch. */
static int check_name(const Snapshots *snapshots, gdl_error *error) {
    char path[PATH_ROOM];
    name_picture(snapshots, snapshots->options->every, path);
    return gdl_output_check(path, error);
}

int snapshots_open(Snapshots *snapshots, const SnapshotOptions *options, const gdl_run *run, const char *stage, Sources *sources,
                   gdl_error *error) {
    *snapshots = (Snapshots){.options = options, .stage = stage,
                             .grid = {.sets = 1, .low = options->low, .high = options->high}};
    if (strlen(options->prefix) + NAME_ROOM > PATH_ROOM)
        return gdl_fail(error, "--snapshot-to: a prefix of at most %d bytes is expected", PATH_ROOM - NAME_ROOM);
    int result = options->function ? take_function(snapshots, run->model, sources, error)
                                   : search_function(snapshots, run->model, sources, error);
    gdl_sizes_complete(run->model, snapshots->data.size, snapshots->size);
    return result || check_name(snapshots, error) ? GDL_FAILED : gather_inputs(snapshots, error);
}

void snapshots_close(Snapshots *snapshots) {
    if (snapshots->function) {
        gdl_buffers_free(snapshots->input, snapshots->function->inputs);
        gdl_buffers_free(snapshots->output, snapshots->function->outputs);
    }
    gdl_data_free(&snapshots->data);
    *snapshots = (Snapshots){0};
}

/* ── One picture ── */

int snapshots_add(Snapshots *snapshots, const gdl_run *run, gdl_error *error) {
    char path[PATH_ROOM];
    size_t epoch = (size_t)run->model->clock(run->instance)->epoch;
    if (!snapshots->options || epoch % snapshots->options->every != 0)
        return 0;
    if (function_call_aside(snapshots->function, run->model, run->instance, snapshots->grid.count, snapshots->size,
                            snapshots->input, snapshots->output, error))
        return GDL_FAILED;
    const float *const set[] = {snapshots->output[snapshots->image]};
    snapshots->grid.set = set;
    name_picture(snapshots, epoch, path);
    int result = gdl_grid_write(&snapshots->grid, path, error);
    snapshots->grid.set = NULL;
    return result;
}

/* ── The strip ── */

/* Reads the pictures that are there, at most `rows` of `made`, at even distances, with the last. Returns how many. */
static size_t read_pictures(const Snapshots *snapshots, size_t made, size_t rows, float *values) {
    const gdl_grid *grid = &snapshots->grid;
    size_t found = 0, row_size = grid->count * grid->height * grid->width * grid->channels;
    for (size_t r = 1; r <= rows; r++) {
        char path[PATH_ROOM];
        name_picture(snapshots, r * made / rows * snapshots->options->every, path);
        found += gdl_grid_read(grid, path, values + found * row_size, NULL) == 0;
    }
    return found;
}

static int write_strip(const Snapshots *snapshots, size_t rows, const float *values, gdl_error *error) {
    char path[PATH_ROOM];
    const char *stage = snapshots->stage;
    const float *const set[] = {values};
    gdl_grid grid = snapshots->grid;
    grid.columns = grid.count;
    grid.count *= rows;
    grid.set = set;
    snprintf(path, sizeof path, "%s%s%s-strip.png", snapshots->options->prefix, stage ? "-" : "", stage ? stage : "");
    if (gdl_grid_write(&grid, path, error))
        return GDL_FAILED;
    fprintf(stderr, "saved %s, a row for each of %zu pictures\n", path, rows);
    return 0;
}

int snapshots_strip(const Snapshots *snapshots, const gdl_run *run, gdl_error *error) {
    if (!snapshots->options)
        return 0;
    const gdl_grid *grid = &snapshots->grid;
    size_t made = (size_t)run->model->clock(run->instance)->epoch / snapshots->options->every;
    size_t fitting = STRIP_PIXELS / (grid->height * grid->zoom), most = fitting < STRIP_ROWS ? fitting : STRIP_ROWS;
    size_t rows = made < most ? made : most;
    float *values = calloc(rows + 1, grid->count * grid->height * grid->width * grid->channels * sizeof *values);
    if (!values)
        return gdl_fail(error, "no memory for a picture with %zu rows", rows);
    size_t found = read_pictures(snapshots, made, rows, values);
    int result = found ? write_strip(snapshots, found, values, error) : 0;
    free(values);
    return result;
}

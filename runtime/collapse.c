/* collapse.c: warnings of what goes wrong where nets are trained against each other: a stage with several phases.
 *
 * Two things are looked at after each epoch. Whether an export that makes examples of nothing still makes different ones: how much its
 * outputs differ is compared with how much the training data do. And whether a phase's loss has come to nothing: a loss that was never
 * below 0 and is next to 0 is, where it is a cross-entropy, that of a net that has won. Both are said, not acted upon. */
#include "trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUTS = 64, EXAMPLES = 256, FIRST_STEPS = 100 };
static const double LEAST_SPREAD = 0.1; /* of the data's */
static const double LEAST_LOSS = 1e-3;

static const gdl_stage *stage_of(const gdl_run *run) { return &run->model->stage[run->stage]; }

/* ── How much examples differ ── */

static double deviation(const float *value, size_t n, size_t stride) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)value[i * stride];
    for (size_t i = 0; i < n; i++) {
        double from_mean = (double)value[i * stride] - sum / (double)n;
        squares += from_mean * from_mean;
    }
    return sqrt(squares / (double)n);
}

/* The mean over the values of an example of their standard deviations over the examples. */
static double spread_of(const float *value, size_t n, size_t size) {
    double sum = 0;
    for (size_t j = 0; j < size; j++)
        sum += deviation(value + j, n, size);
    return sum / (double)size;
}

/* Examples at even distances: files may be sorted by class. */
static void gather_spaced(const gdl_sample *sample, size_t n, void *const *to) {
    size_t index[EXAMPLES];
    for (size_t i = 0; i < n; i++)
        index[i] = sample->index[i * sample->count / n];
    gdl_gather(sample->data, index, n, to);
}

static int measure_data(Collapse *collapse, gdl_error *error) {
    const gdl_sample *sample = collapse->run->train;
    const gdl_stage *stage = stage_of(collapse->run);
    size_t n = sample->count < EXAMPLES ? sample->count : EXAMPLES;
    void **input = gdl_buffers_create(stage->input, stage->inputs, n);
    if (!input)
        return gdl_fail(error, "stage %s: no memory for %zu examples", stage->name, n);
    gather_spaced(sample, n, input);
    const gdl_port *port = sample->data->port;
    for (size_t i = 0; i < stage->inputs; i++)
        collapse->spread[i] = port[i].classes ? 0 : spread_of(input[i], n, port[i].size);
    gdl_buffers_free(input, stage->inputs);
    return 0;
}

/* ── Opening ── */

static size_t count_losses(const gdl_stage *stage) {
    size_t losses = 0;
    for (size_t r = 0; r < stage->reports; r++)
        losses += stage->report[r].loss != 0;
    return losses;
}

int collapse_open(Collapse *collapse, const gdl_run *run, FILE *to, gdl_error *error) {
    const gdl_stage *stage = stage_of(run);
    *collapse = (Collapse){0};
    if (count_losses(stage) < 2)
        return 0;
    *collapse = (Collapse){.run = run,
                           .to = to,
                           .spread = calloc(stage->inputs + 1, sizeof *collapse->spread),
                           .warned = calloc(run->model->functions + 1, sizeof *collapse->warned),
                           .sum = calloc(stage->reports, sizeof *collapse->sum),
                           .quiet = calloc(stage->reports, sizeof *collapse->quiet)};
    if (!collapse->spread || !collapse->warned || !collapse->sum || !collapse->quiet)
        return gdl_fail(error, "stage %s: no memory", stage->name);
    for (size_t r = 0; r < stage->reports; r++) {
        collapse->sum[r] = run->sum[r];
        collapse->quiet[r] = !stage->report[r].loss;
    }
    return measure_data(collapse, error);
}

void collapse_close(Collapse *collapse) {
    free(collapse->spread);
    free(collapse->warned);
    free(collapse->sum);
    free(collapse->quiet);
    *collapse = (Collapse){0};
}

/* ── Outputs that hardly differ ── */

static bool same_shape(const gdl_port *a, const gdl_port *b) {
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
}

/* How much the data differ that this output is like; 0 where there are none. */
static double spread_of_like(const Collapse *collapse, const gdl_port *output) {
    const gdl_data *data = collapse->run->train->data;
    for (size_t i = 0; i < data->inputs; i++)
        if (!data->port[i].classes && same_shape(&data->port[i], output))
            return collapse->spread[i];
    return 0;
}

static uint64_t epochs_done(const gdl_run *run) { return run->model->clock(run->instance)->epoch; }

/* What a net makes before it has learnt anything may hardly differ, and means nothing. */
static bool has_just_begun(const gdl_run *run) { return run->model->clock(run->instance)->step < FIRST_STEPS; }

static void warn_of_spread(const Collapse *collapse, const gdl_function *function, double spread, double like) {
    fprintf(collapse->to,
            "warning: stage %s, epoch %" PRIu64 ": what %s makes hardly differs: the standard deviation over %d outputs, in the mean over "
            "their values, is %.3g, but that of the training data is %.3g; this may be a collapse to few outputs: look at a picture; try a "
            "smaller learning rate, batch_norm, replay, or a statistic over the batch for the other net\n",
            stage_of(collapse->run)->name, epochs_done(collapse->run), function->name, OUTPUTS, spread, like);
}

/* True where a warning was given. An export that cannot compute so many at once, as they depend on each other, is let be. */
static bool check_outputs(const Collapse *collapse, const gdl_function *function, const size_t *size, const gdl_port *port,
                          void *const *output) {
    const gdl_run *run = collapse->run;
    if (function_call_aside(function, run->model, run->instance, OUTPUTS, size, NULL, output, NULL))
        return false;
    for (size_t j = 0; j < function->outputs; j++) {
        double like = spread_of_like(collapse, &port[j]), spread = spread_of(output[j], OUTPUTS, port[j].size);
        if (like > 0 && spread < LEAST_SPREAD * like) {
            warn_of_spread(collapse, function, spread, like);
            return true;
        }
    }
    return false;
}

static int check_function(Collapse *collapse, size_t f, gdl_error *error) {
    const gdl_function *function = &collapse->run->model->function[f];
    if (function->net || function->inputs || collapse->warned[f])
        return 0;
    size_t size[GDL_MAX_SIZES];
    gdl_sizes_complete(collapse->run->model, collapse->run->train->data->size, size);
    gdl_port *port = gdl_ports_at(function->output, function->outputs, size);
    void **output = gdl_buffers_create(function->output, function->outputs, OUTPUTS);
    if (port && output)
        collapse->warned[f] = check_outputs(collapse, function, size, port, output);
    bool failed = !port || !output;
    free(port);
    gdl_buffers_free(output, function->outputs);
    return failed ? gdl_fail(error, "no memory for %d outputs of %s", OUTPUTS, function->name) : 0;
}

/* ── Losses that have come to nothing ── */

/* A loss that is ever negative is no cross-entropy, and what is near 0 of it means nothing. */
static void note_negative(Collapse *collapse) {
    const gdl_run *run = collapse->run;
    for (size_t r = 0; r < stage_of(run)->reports; r++) {
        collapse->quiet[r] |= run->sum[r] < collapse->sum[r];
        collapse->sum[r] = run->sum[r];
    }
}

static void check_losses(Collapse *collapse) {
    const gdl_run *run = collapse->run;
    const gdl_stage *stage = stage_of(run);
    for (size_t r = 0; r < stage->reports; r++) {
        collapse->sum[r] = 0;
        if (collapse->quiet[r] || run->trained[r] >= LEAST_LOSS)
            continue;
        collapse->quiet[r] = true;
        fprintf(collapse->to,
                "warning: stage %s, epoch %" PRIu64 ": %s is %.3g in the mean; if this is a cross-entropy, the net of this phase is sure of "
                "everything, and what trains against it hardly learns from it; try a smaller learning rate or dropout in that net, or "
                "smoothed labels\n",
                stage->name, epochs_done(run), stage->report[r].name, run->trained[r]);
    }
}

int collapse_watch(Collapse *collapse, gdl_event event, gdl_error *error) {
    if (!collapse->run)
        return 0;
    if (event == GDL_ITERATION) {
        note_negative(collapse);
        return 0;
    }
    check_losses(collapse);
    for (size_t f = 0; f < collapse->run->model->functions && !has_just_begun(collapse->run); f++)
        if (check_function(collapse, f, error))
            return GDL_FAILED;
    return 0;
}

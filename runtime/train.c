/* train.c: the training loop of one stage.
 *
 * Everything that happens is a function of the run's position, the clock and the tensors: an epoch's order depends on seed,
 * stage and epoch alone. So a run that is resumed from a checkpoint gives the same bits as one that was never stopped. */
#include "runtime.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Validation draws from here on in every epoch: the same noise, so that epochs can be compared, and nothing of training's. */
static const uint64_t validation_draw = UINT64_C(1) << 63;

/* What the loop needs besides the run. */
typedef struct Loop {
    gdl_run *run;
    const gdl_stage *stage;
    gdl_clock *clock;
    size_t *order; /* of the examples of the running epoch */
    void **input;  /* `batches` batches of each input */
    float *report; /* of one iteration */
    size_t size[GDL_MAX_SIZES], valid_size[GDL_MAX_SIZES]; /* of the run: of the training data, and of the validation */
} Loop;

/* ── The run ── */

static const gdl_stage *stage_of(const gdl_run *run) { return &run->model->stage[run->stage]; }

/* Full iterations take batches * batch examples. What is left makes a smaller one, if there is one for each of its batches. */
static size_t count_iterations(const gdl_run *run) {
    size_t take = stage_of(run)->batches * run->batch;
    return run->train->count / take + (run->train->count % take >= stage_of(run)->batches);
}

static int check_run(const gdl_run *run, gdl_error *error) {
    if (run->stage >= run->model->stages)
        return gdl_fail(error, "%s has %zu stages, but stage %zu is asked for", run->model->name, run->model->stages,
                        run->stage + 1);
    const gdl_stage *stage = stage_of(run);
    if (run->train->data->inputs != stage->inputs || (run->valid && run->valid->data->inputs != stage->inputs))
        return gdl_fail(error, "stage %s reads %zu inputs, but its data are bound to %zu", stage->name, stage->inputs,
                        run->train->data->inputs);
    if (run->batch == 0)
        return gdl_fail(error, "stage %s: a batch of 0 examples cannot be trained on", stage->name);
    if (run->train->count < stage->batches || (run->train->count == 0 && stage->inputs))
        return gdl_fail(error, "stage %s reads %zu batches in each iteration, but there are only %zu examples",
                        stage->name, stage->batches, run->train->count);
    return 0;
}

int gdl_run_begin(gdl_run *run, gdl_error *error) {
    if (check_run(run, error))
        return GDL_FAILED;
    const gdl_stage *stage = stage_of(run);
    gdl_clock *clock = run->model->clock(run->instance);
    double *numbers = calloc(3 * stage->reports + 1, sizeof *numbers);
    if (!numbers)
        return gdl_fail(error, "no memory for the reports of stage %s", stage->name);
    run->sum = numbers;
    run->trained = numbers + stage->reports;
    run->validated = numbers + 2 * stage->reports;
    run->iterations = count_iterations(run);
    run->iteration = run->examples = run->stale = 0;
    run->best = INFINITY;
    clock->step = clock->epoch = 0;
    stage->begin(run->instance);
    return 0;
}

void gdl_run_end(gdl_run *run) {
    free(run->sum);
    run->sum = run->trained = run->validated = NULL;
}

double gdl_run_loss(const gdl_run *run) {
    const gdl_stage *stage = stage_of(run);
    const double *means = run->valid ? run->validated : run->trained;
    for (size_t r = 0; r < stage->reports; r++)
        if (stage->report[r].loss)
            return means[r];
    return INFINITY;
}

/* ── One iteration ── */

/* What a number that is not finite is called; a NaN's sign says nothing. */
static const char *name_of(float value) { return isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"; }

static int check_losses(const Loop *loop, gdl_error *error) {
    for (size_t r = 0; r < loop->stage->reports; r++)
        if (loop->stage->report[r].loss && !isfinite(loop->report[r]))
            return gdl_fail(error,
                            "stage %s: %s is %s in epoch %" PRIu64
                            ", iteration %zu of %zu; training stops here; try a smaller learning rate",
                            loop->stage->name, loop->stage->report[r].name, name_of(loop->report[r]),
                            loop->clock->epoch + 1, loop->run->iteration, loop->run->iterations);
    return 0;
}

static int check_result(const Loop *loop, int code, gdl_error *error) {
    if (code == GDL_OK)
        return 0;
    return gdl_fail(error, "stage %s: %s", loop->stage->name,
                    code == GDL_BATCH   ? "the model was created for smaller batches than it is trained with"
                    : code == GDL_LABEL ? "a class label is out of range"
                                        : "a size of the data is out of its bounds");
}

static void add_reports(double *sum, const float *report, size_t reports, size_t n) {
    for (size_t r = 0; r < reports; r++)
        sum[r] += (double)report[r] * (double)n;
}

static int iterate(Loop *loop, gdl_error *error) {
    gdl_run *run = loop->run;
    size_t batches = loop->stage->batches, first = run->iteration * batches * run->batch;
    size_t rest = (run->train->count - first) / batches;
    size_t n = rest < run->batch ? rest : run->batch;
    uint64_t step = loop->clock->step;
    gdl_gather(run->train->data, loop->order + first, batches * n, loop->input);
    int code = loop->stage->step(run->instance, n, loop->size, (const void *const *)loop->input, loop->report);
    loop->clock->step = step + 1;
    run->iteration++;
    if (check_result(loop, code, error) || check_losses(loop, error))
        return GDL_FAILED;
    add_reports(run->sum, loop->report, loop->stage->reports, n);
    run->examples += n;
    return 0;
}

/* ── One epoch ── */

static int notify(const Loop *loop, gdl_event event, gdl_error *error) {
    return loop->run->watch ? loop->run->watch(loop->run->context, loop->run, event, error) : 0;
}

static int evaluate_all(Loop *loop, gdl_error *error) {
    const gdl_run *run = loop->run;
    for (size_t done = 0, n; done < run->valid->count; done += n) {
        n = run->valid->count - done < run->batch ? run->valid->count - done : run->batch;
        gdl_gather(run->valid->data, run->valid->index + done, n, loop->input);
        int code = loop->stage->evaluate(run->instance, n, loop->valid_size, (const void *const *)loop->input, loop->report);
        if (check_result(loop, code, error))
            return GDL_FAILED;
        add_reports(run->validated, loop->report, loop->stage->reports, n);
    }
    return 0;
}

static int validate(Loop *loop, gdl_error *error) {
    gdl_run *run = loop->run;
    if (!run->valid)
        return 0;
    uint64_t draw = loop->clock->draw;
    memset(run->validated, 0, loop->stage->reports * sizeof *run->validated);
    loop->clock->draw = validation_draw;
    int result = evaluate_all(loop, error);
    loop->clock->draw = draw;
    for (size_t r = 0; r < loop->stage->reports; r++)
        run->validated[r] /= (double)run->valid->count;
    return result;
}

static void keep_best(gdl_run *run) {
    double loss = gdl_run_loss(run);
    run->stale = loss < run->best ? 0 : run->stale + 1;
    if (loss < run->best)
        run->best = loss;
}

/* Means, validation, and on to the next epoch. */
static int end_epoch(Loop *loop, gdl_error *error) {
    gdl_run *run = loop->run;
    for (size_t r = 0; r < loop->stage->reports; r++) {
        run->trained[r] = run->sum[r] / (double)run->examples;
        run->sum[r] = 0;
    }
    if (validate(loop, error))
        return GDL_FAILED;
    keep_best(run);
    run->iteration = run->examples = 0;
    loop->clock->epoch++;
    return notify(loop, GDL_EPOCH, error);
}

static int train_epoch(Loop *loop, gdl_error *error) {
    gdl_run *run = loop->run;
    memcpy(loop->order, run->train->index, run->train->count * sizeof *loop->order);
    gdl_shuffle(loop->order, run->train->count, loop->clock->seed, (uint32_t)run->stage, loop->clock->epoch);
    while (run->iteration < run->iterations) {
        int result = iterate(loop, error);
        if (!result)
            result = notify(loop, GDL_ITERATION, error);
        if (result)
            return result;
    }
    return end_epoch(loop, error);
}

/* ── The loop ── */

static void loop_close(Loop *loop) {
    free(loop->order);
    free(loop->report);
    gdl_buffers_free(loop->input, loop->stage->inputs);
}

static int loop_open(Loop *loop, gdl_run *run, gdl_error *error) {
    const gdl_stage *stage = stage_of(run);
    *loop = (Loop){.run = run, .stage = stage, .clock = run->model->clock(run->instance)};
    gdl_sizes_complete(run->model, run->train->data->size, loop->size);
    if (run->valid)
        gdl_sizes_complete(run->model, run->valid->data->size, loop->valid_size);
    loop->order = calloc(run->train->count + 1, sizeof *loop->order);
    loop->report = calloc(stage->reports + 1, sizeof *loop->report);
    loop->input = gdl_buffers_create(stage->input, stage->inputs, stage->batches * run->batch);
    if (loop->order && loop->report && loop->input)
        return 0;
    loop_close(loop);
    return gdl_fail(error, "stage %s: no memory for batches of %zu examples", stage->name, run->batch);
}

int gdl_run_train(gdl_run *run, gdl_error *error) {
    Loop loop;
    if (loop_open(&loop, run, error))
        return GDL_FAILED;
    int result = 0;
    while (!result && loop.clock->epoch < run->epochs && !(run->patience && run->stale >= run->patience))
        result = train_epoch(&loop, error);
    loop_close(&loop);
    return result;
}

/* Emitted models against what PyTorch computed, as truth.py left it in truth.safetensors.
 *
 *     test_torch TRUTH LIBRARY NAME     the library holds the model, emitted with that name
 *
 * Every stage of the model that the file knows is run for its steps (10 to 50) from the weights and batches of truth.py's formulas,
 * and every net and export that it knows is called once. */
#include "../library.h"
#include "runtime.h"

#include <math.h>
#include <stdlib.h>

enum { EXAMPLES = 4, PORTS = 4, REPORTS = 16, PIXELS = 784, LARGEST = 1 << 16 };

/* A size that is known only at run time is the number of an image's rows. */
static const size_t sizes[GDL_MAX_SIZES] = {28, 28, 28, 28, 28, 28, 28};

typedef struct Trial {
    gdl_safetensors truth;
    const gdl_model *model;
    const char *name;
    void *instance;
    float *inputs[PORTS];
    int passed, failed;
} Trial;

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory)
        abort();
    return memory;
}

/* ── The formulas of truth.py ─────────────────────────────────────────────────────────────── */

static uint32_t start_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint32_t)(unsigned char)*name) * 16777619u;
    return hash;
}

/* A number in [0, 1) for each place of a named sequence. */
static double unit(const char *name, size_t place) {
    uint32_t hash = start_of(name) + (uint32_t)place;
    hash = (hash ^ hash >> 16) * 0x85EBCA6Bu;
    hash = (hash ^ hash >> 13) * 0xC2B2AE35u;
    hash ^= hash >> 16;
    return (hash >> 8) * 0x1p-24;
}

static void set_weights(const gdl_tensor *tensor, float *values) {
    const size_t *last = tensor->shape + tensor->rank, length = strlen(tensor->name);
    double limit = tensor->rank > 1 ? sqrt(6.0 / ((double)tensor->size / (double)(last[-2] * last[-1]) * (double)(last[-2] + last[-1]))) : 0.05;
    double middle = length > 6 && strcmp(tensor->name + length - 6, ".gamma") == 0;
    for (size_t i = 0; i < tensor->size; i++)
        values[i] = (float)(middle + (2 * unit(tensor->name, i) - 1) * limit);
}

static void set_all_weights(Trial *trial) {
    for (size_t i = 0; i < trial->model->tensors; i++)
        if (trial->model->tensor[i].role == GDL_PARAM)
            set_weights(&trial->model->tensor[i], gdl_values(&trial->model->tensor[i], trial->instance));
}

/* Two blurred discs on each picture. */
static void draw_image(size_t example, float *image) {
    for (int row = 0; row < 28; row++)
        for (int column = 0; column < 28; column++) {
            double discs = 0;
            for (size_t disc = 0; disc < 2; disc++) {
                size_t place = 8 * example + 4 * disc;
                double down = row - 6 - 16 * unit("x", place), across = column - 6 - 16 * unit("x", place + 1);
                discs += exp(-(down * down + across * across) / (8 + 40 * unit("x", place + 2))) * (0.5 + 0.5 * unit("x", place + 3));
            }
            *image++ = (float)fmin(discs, 1);
        }
}

/* One example of an input named x or noise. */
static void set_example(const gdl_port *port, size_t example, float *values) {
    if (port->size == PIXELS) {
        draw_image(example, values);
        return;
    }
    for (size_t i = 0; i < port->size; i++) {
        size_t place = example * port->size + i;
        double sum = 0;
        for (size_t k = 0; k < 4; k++)
            sum += unit("noise", 4 * place + k);
        values[i] = (float)(strcmp(port->name, "noise") == 0 ? (sum - 2) * sqrt(3) : unit("x", place));
    }
}

/* The inputs of values.gdl: x between -3 and 3, p between 0 and 1, t zeros and ones. */
static float value_input(const char *port, size_t place) {
    char name[32];
    snprintf(name, sizeof name, "values.%s", port);
    double u = unit(name, place);
    return (float)(*port == 'x' ? 6 * u - 3 : *port == 'p' ? 0.02 + 0.96 * u : nearbyint(u));
}

/* ── Comparing ────────────────────────────────────────────────────────────────────────────── */

/* The numbers of NAME/CASE/WHAT, from malloc; NULL where the file has none. */
static float *find_truth(Trial *trial, const char *what, const char *part, size_t *count) {
    char name[512];
    gdl_record record;
    gdl_error error = {""};
    snprintf(name, sizeof name, "%s/%s%s%s", trial->name, what, *part ? "/" : "", part);
    if (!gdl_safetensors_find(&trial->truth, name, &record))
        return NULL;
    float *numbers = allocate(record.size, sizeof *numbers);
    *count = record.size;
    if (gdl_safetensors_read(&trial->truth, &record, numbers, &error)) {
        printf("%s\n", error.text);
        abort();
    }
    return numbers;
}

static bool near(Trial *trial, const char *what, const char *part, size_t place, double found, double expected, double tolerance) {
    if (fabs(found - expected) <= tolerance)
        return true;
    printf("%s/%s %s, number %zu: found %.8g, PyTorch has %.8g\n", trial->name, what, part, place, found, expected);
    return false;
}

static void count(Trial *trial, bool good) { good ? trial->passed++ : trial->failed++; }

/* ── Training ─────────────────────────────────────────────────────────────────────────────── */

static void make_inputs(Trial *trial, const gdl_stage *stage, size_t batch, size_t step) {
    const size_t examples = stage->batches * batch;
    gdl_port *ports = gdl_ports_at(stage->input, stage->inputs, sizes);
    if (!ports)
        abort();
    for (size_t p = 0; p < stage->inputs; p++)
        for (size_t i = 0; i < examples; i++)
            set_example(&ports[p], step * examples + i, trial->inputs[p] + i * ports[p].size);
    free(ports);
}

/* How many examples a step has: what the truth says, else what the model says. */
static size_t batch_of(Trial *trial, const gdl_stage *stage) {
    size_t numbers;
    float *batch = find_truth(trial, stage->name, "batch", &numbers);
    size_t examples = batch ? (size_t)*batch : stage->batch;
    free(batch);
    return examples;
}

/* The losses of the phases of all steps. */
static bool run_steps(Trial *trial, const gdl_stage *stage, const float *losses, size_t steps) {
    const size_t batch = batch_of(trial, stage);
    bool good = true;
    for (size_t step = 0; step < steps && good; step++) {
        float report[REPORTS];
        make_inputs(trial, stage, batch, step);
        if (stage->step(trial->instance, batch, sizes, (const void *const *)trial->inputs, report) != GDL_OK)
            return false;
        for (size_t k = 0; k < stage->reports && good; k++)
            if (stage->report[k].loss) {
                good = near(trial, stage->name, stage->report[k].name, step, report[k], *losses, 1e-4 * fabs(*losses));
                losses++;
            }
    }
    return good;
}

static size_t count_losses(const gdl_stage *stage) {
    size_t losses = 0;
    for (size_t k = 0; k < stage->reports; k++)
        losses += stage->report[k].loss != 0;
    return losses;
}

/* The mean of a tensor and the mean of its squares. */
static bool same_weights(Trial *trial, const gdl_stage *stage, const gdl_tensor *tensor) {
    size_t numbers;
    float *expected = find_truth(trial, stage->name, tensor->name, &numbers);
    double mean = 0, square = 0;
    for (size_t i = 0; i < tensor->size; i++) {
        double value = gdl_values(tensor, trial->instance)[i];
        mean += value / (double)tensor->size;
        square += value * value / (double)tensor->size;
    }
    bool good = expected && numbers == 2 && near(trial, stage->name, tensor->name, 0, mean, expected[0], 1e-4 * sqrt(expected[1])) &&
                near(trial, stage->name, tensor->name, 1, square, expected[1], 1e-4 * expected[1]);
    free(expected);
    return good;
}

static void check_stage(Trial *trial, const gdl_stage *stage) {
    size_t numbers, phases = count_losses(stage);
    float *losses = find_truth(trial, stage->name, "losses", &numbers);
    if (!losses)
        return;
    set_all_weights(trial);
    stage->begin(trial->instance);
    count(trial, numbers >= 10 * phases && numbers % phases == 0 && run_steps(trial, stage, losses, numbers / phases));
    for (size_t i = 0; i < trial->model->tensors; i++)
        if (trial->model->tensor[i].role != GDL_OPTIMIZER)
            count(trial, same_weights(trial, stage, &trial->model->tensor[i]));
    free(losses);
}

/* ── Values ───────────────────────────────────────────────────────────────────────────────── */

static void check_function(Trial *trial, const gdl_function *function) {
    size_t numbers;
    float *expected = find_truth(trial, function->name, "", &numbers), *output = allocate(LARGEST, sizeof *output);
    for (size_t p = 0; p < function->inputs; p++)
        for (size_t i = 0; i < EXAMPLES * function->input[p].size; i++)
            trial->inputs[p][i] = value_input(function->input[p].name, i);
    if (expected) {
        bool good = function->run(trial->instance, EXAMPLES, sizes, (const void *const *)trial->inputs, &output) == GDL_OK &&
                    numbers == EXAMPLES * function->output->size;
        for (size_t i = 0; i < numbers && good; i++)
            good = near(trial, function->name, "value", i, output[i], expected[i], 2e-6 * (1 + fabs(expected[i])));
        count(trial, good);
    }
    free(expected);
    free(output);
}

/* ── Initialisers ─────────────────────────────────────────────────────────────────────────── */

/* Keras's definitions for 200 inputs and 300 outputs, or the reverse: the standard deviation, and the largest value as a
 * multiple of it. Normal ones are cut off at two standard deviations of the uncut normal, which are 2.2737 of the cut one. */
typedef struct Initialiser { const char *tensor; double variance, limit; } Initialiser;

static const Initialiser initialisers[] = {
    {"kernels.glorot_uniform.kernel", 2.0 / 500, 1.7321}, {"kernels.glorot_normal.kernel", 2.0 / 500, 2.2737},
    {"kernels.he_uniform.kernel", 2.0 / 200, 1.7321},     {"kernels.he_normal.kernel", 2.0 / 300, 2.2737},
    {"kernels.lecun_uniform.kernel", 1.0 / 200, 1.7321},  {"kernels.lecun_normal.kernel", 1.0 / 300, 2.2737},
    {"kernels.orthogonal.kernel", 1.0 / 300, 6},          {"kernels.orthogonal.bias", 0, 0},
};

/* Of 60,000 draws the variance is known to about 1 %, and the largest lies near its limit, where there is one. */
static bool drawn_right(const float *values, size_t size, const Initialiser *initialiser) {
    double mean = 0, variance = 0, largest = 0, deviation = sqrt(initialiser->variance);
    for (size_t i = 0; i < size; i++) {
        mean += values[i] / (double)size;
        variance += values[i] * values[i] / (double)size;
        largest = fmax(largest, fabs(values[i]));
    }
    bool good = fabs(mean) <= 0.02 * deviation && fabs(variance - initialiser->variance) <= 0.02 * initialiser->variance &&
                largest <= 1.001 * initialiser->limit * deviation && (initialiser->limit > 3 || largest >= 0.99 * initialiser->limit * deviation);
    if (!good)
        printf("%s: mean %g, variance %g (expected %g), largest %g (expected %g)\n", initialiser->tensor, mean, variance,
               initialiser->variance, largest, initialiser->limit * deviation);
    return good;
}

static void check_initialisers(Trial *trial) {
    for (size_t k = 0; k < sizeof initialisers / sizeof *initialisers; k++)
        for (size_t i = 0; i < trial->model->tensors; i++) {
            const gdl_tensor *tensor = &trial->model->tensor[i];
            if (strcmp(tensor->name, initialisers[k].tensor) == 0)
                count(trial, drawn_right(gdl_values(tensor, trial->instance), tensor->size, &initialisers[k]));
        }
}

/* ── A model ──────────────────────────────────────────────────────────────────────────────── */

static void check_model(Trial *trial) {
    const gdl_model *model = trial->model;
    size_t batch = model->batch > EXAMPLES ? model->batch : EXAMPLES, batches = 1;
    for (size_t i = 0; i < model->stages; i++)
        batches = model->stage[i].batches > batches ? model->stage[i].batches : batches;
    trial->instance = gdl_create(model, batch, 1);
    if (!trial->instance)
        abort();
    for (size_t p = 0; p < PORTS; p++)
        trial->inputs[p] = allocate(batches * batch * PIXELS, sizeof(float));
    check_initialisers(trial);
    set_all_weights(trial);
    for (size_t i = 0; i < model->functions; i++)
        check_function(trial, &model->function[i]);
    for (size_t i = 0; i < model->stages; i++)
        check_stage(trial, &model->stage[i]);
    for (size_t p = 0; p < PORTS; p++)
        free(trial->inputs[p]);
    gdl_destroy(trial->model, trial->instance);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: test_torch TRUTH LIBRARY NAME\n");
        return 2;
    }
    gdl_error error = {""};
    void *library = library_open(argv[2]);
    Trial trial = {.model = library ? library_model(library, argv[3]) : NULL, .name = argv[3]};
    if (!trial.model || gdl_safetensors_open(&trial.truth, argv[1], &error)) {
        printf("%s\n", error.text);
        return 1;
    }
    check_model(&trial);
    gdl_safetensors_close(&trial.truth);
    if (trial.passed + trial.failed == 0)
        printf("%s: nothing to compare\n", argv[3]), trial.failed = 1;
    printf("%d passed, %d failed\n", trial.passed, trial.failed);
    return trial.failed > 0;
}

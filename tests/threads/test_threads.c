/* An emitted model computes the same bits with any number of threads.
 *
 *     test_threads LIBRARY NAME [STEPS]
 *
 * Every stage is trained for some steps, and every function is called, by instances with 1, 2, 3 and 32 threads, by one whose
 * threads change between the calls, and by two in host threads of their own. */
#include "../library.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { STEPS = 3, CHANGING = -1 };

typedef struct Trial { const gdl_model *model; int threads; size_t steps; uint64_t digest; } Trial;

static int passed, failed;

static void check(int good, const char *model, const char *what, int threads) {
    good ? passed++ : failed++;
    if (!good)
        printf("%s: %s (%d threads)\n", model, what, threads);
}

/* ── Values and their digest ── */

static void add_bytes(uint64_t *digest, const void *bytes, size_t size) { /* FNV-1a */
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        *digest = (*digest ^ at[i]) * UINT64_C(0x100000001b3);
}

static void fill(const gdl_port *port, size_t count, void *to) {
    static const uint32_t key[2] = {1, 2};
    for (size_t i = 0; i < count; i++) {
        uint32_t words[4], counter[4] = {(uint32_t)i, (uint32_t)port->size, 0, 0};
        gdl_philox(key[0], counter, words);
        if (port->classes)
            ((int32_t *)to)[i] = (int32_t)(words[0] % port->classes);
        else
            ((float *)to)[i] = (float)(words[0] >> 8) * 0x1p-24f;
    }
}

static void **make_inputs(const gdl_port *port, size_t ports, size_t examples) {
    void **inputs = gdl_buffers_create(port, ports, examples);
    for (size_t i = 0; inputs && i < ports; i++)
        fill(&port[i], examples * port[i].size, inputs[i]);
    return inputs;
}

/* ── What is computed ── */

static void change_threads(const Trial *trial, void *instance, size_t turn) {
    if (trial->threads == CHANGING)
        gdl_threads(trial->model, instance, 1 + turn % 4);
}

static void train(Trial *trial, void *instance, const gdl_stage *stage) {
    float reports[64] = {0};
    void **inputs = make_inputs(stage->input, stage->inputs, stage->batches * stage->batch);
    size_t size[GDL_MAX_SIZES];
    gdl_sizes_complete(trial->model, NULL, size);
    stage->begin(instance);
    for (size_t i = 0; i < trial->steps; i++) {
        const size_t n = i == 1 && stage->batch > 2 ? stage->batch - 1 : stage->batch; /* one smaller batch */
        change_threads(trial, instance, i);
        const int code = stage->step(instance, n, size, (const void *const *)inputs, reports);
        add_bytes(&trial->digest, &code, sizeof code);
        add_bytes(&trial->digest, reports, stage->reports * sizeof *reports);
    }
    stage->evaluate(instance, stage->batch, size, (const void *const *)inputs, reports);
    add_bytes(&trial->digest, reports, stage->reports * sizeof *reports);
    gdl_buffers_free(inputs, stage->inputs);
}

static void call(Trial *trial, void *instance, const gdl_function *function, size_t n) {
    float *outputs[64];
    size_t size[GDL_MAX_SIZES];
    gdl_sizes_complete(trial->model, NULL, size);
    void **inputs = make_inputs(function->input, function->inputs, n);
    void **buffers = gdl_buffers_create(function->output, function->outputs, n);
    for (size_t i = 0; i < function->outputs; i++)
        memset(outputs[i] = buffers[i], 0, n * function->output[i].size * sizeof(float));
    change_threads(trial, instance, n);
    function->run(instance, n, size, (const void *const *)inputs, outputs);
    for (size_t i = 0; i < function->outputs; i++)
        add_bytes(&trial->digest, outputs[i], n * function->output[i].size * sizeof(float));
    gdl_buffers_free(inputs, function->inputs);
    gdl_buffers_free(buffers, function->outputs);
}

static void *run_trial(void *argument) {
    Trial *trial = argument;
    const gdl_model *model = trial->model;
    void *instance = gdl_create(model, 0, 5);
    trial->digest = UINT64_C(0xcbf29ce484222325);
    gdl_flush_subnormals();
    if (trial->threads != CHANGING)
        gdl_threads(model, instance, (size_t)trial->threads);
    for (size_t i = 0; i < model->stages; i++)
        train(trial, instance, &model->stage[i]);
    for (size_t i = 0; i < model->functions; i++) {
        call(trial, instance, &model->function[i], 1);
        call(trial, instance, &model->function[i], model->batch);
    }
    for (size_t i = 0; i < model->tensors; i++)
        add_bytes(&trial->digest, gdl_values(&model->tensor[i], instance), model->tensor[i].size * sizeof(float));
    gdl_destroy(model, instance);
    return NULL;
}

/* ── The tests ── */

static void compare_counts(const gdl_model *model, size_t steps, uint64_t expected) {
    static const int counts[] = {2, 3, CHANGING};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        Trial trial = {.model = model, .threads = counts[i], .steps = steps};
        run_trial(&trial);
        check(trial.digest == expected, model->name, "other bits than with one", counts[i]);
    }
}

static void run_two(const gdl_model *model, size_t steps, uint64_t expected) {
    pthread_t host[2];
    Trial trial[2];
    for (int i = 0; i < 2; i++) {
        trial[i] = (Trial){.model = model, .threads = 2, .steps = steps};
        pthread_create(&host[i], NULL, run_trial, &trial[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(host[i], NULL);
        check(trial[i].digest == expected, model->name, "two instances at a time give other bits", 2);
    }
}

static void set_counts(const gdl_model *model) {
    void *instance = gdl_create(model, 0, 5);
    const int shares = model->threads(instance, 2) == 2; /* else nothing in the model is worth it */
    check(model->threads(instance, 0) == 1, model->name, "count 0 is not taken as 1", 0);
    check(model->threads(instance, -7) == 1, model->name, "a negative count is not taken as 1", -7);
    check(model->threads(instance, 1) == 1, model->name, "count 1 is not taken as 1", 1);
    check(model->threads(instance, 3) == (shares ? 3 : 1), model->name, "count 3 is not taken", 3);
    check(model->threads(instance, 1000) == (shares ? 32 : 1), model->name, "count 1000 is not taken as 32", 1000);
    gdl_destroy(model, instance);
}

int main(int argc, char **argv) {
    void *library = argc < 3 ? NULL : library_open(argv[1]);
    const gdl_model *model = library ? library_model(library, argv[2]) : NULL;
    if (!model) {
        fprintf(stderr, "usage: test_threads LIBRARY NAME [STEPS]\n");
        return 2;
    }
    Trial alone = {.model = model, .threads = 1, .steps = argc > 3 ? strtoul(argv[3], NULL, 10) : STEPS};
    run_trial(&alone);
    compare_counts(model, alone.steps, alone.digest);
    run_two(model, alone.steps, alone.digest);
    set_counts(model);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

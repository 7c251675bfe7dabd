/* call.c: a net or an export over the examples of files: what the commands `run`, `inspect` and `confusion` have in common. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

const gdl_function *find_function(const gdl_model *model, const char *name, gdl_error *error) {
    char names[512];
    for (size_t f = 0; f < model->functions; f++)
        if (strcmp(model->function[f].name, name) == 0)
            return &model->function[f];
    gdl_names_text(names, sizeof names, model->function, sizeof *model->function, model->functions);
    gdl_fail(error, "%s has no net or export %s; it has: %s", model->name, name, names);
    return NULL;
}

int call_open(Call *call, const CallOptions *options, gdl_error *error) {
    *call = (Call){.options = options, .function = find_function(options->model, options->function, error)};
    return call->function ? 0 : GDL_FAILED;
}

void call_close(Call *call) {
    if (call->function) {
        gdl_buffers_free(call->input, call->data.inputs);
        gdl_buffers_free(call->output, call->function->outputs);
    }
    gdl_data_free(&call->data);
    sources_free(&call->sources);
    free(call->port);
    free(call->output_port);
}

int call_find_output(const Call *call, const char *option, const char *text, size_t length, size_t *output, gdl_error *error) {
    char names[512];
    const gdl_function *function = call->function;
    for (*output = 0; *output < function->outputs; ++*output) {
        const char *name = function->output[*output].name;
        if (length ? strlen(name) == length && strncmp(name, text, length) == 0 : function->outputs == 1)
            return 0;
    }
    gdl_names_text(names, sizeof names, function->output, sizeof *function->output, function->outputs);
    return gdl_fail(error, "%s%s%s: %s; the outputs of %s are: %s", option, *text ? " " : "", text,
                    length ? "there is no such output" : "say of which output, by its name", function->name, names);
}

/* ── Data ── */

static int choose_ports(Call *call, const gdl_port *label, gdl_error *error) {
    const gdl_function *function = call->function;
    call->port = calloc(function->inputs + 1, sizeof *call->port);
    if (!call->port)
        return gdl_fail(error, "no memory for the inputs of %s", function->name);
    if (function->inputs)
        memcpy(call->port, function->input, function->inputs * sizeof *call->port);
    if (label)
        call->port[function->inputs] = *label;
    return 0;
}

/* The sizes that the data do not say are those of --size, else the largest. */
static int choose_sizes(Call *call, gdl_error *error) {
    const CallOptions *options = call->options;
    size_t known[GDL_MAX_SIZES];
    memcpy(known, call->data.size, sizeof known);
    for (size_t i = 0; i < options->model->sizes; i++) {
        const size_t asked = options->size[i];
        if (asked && known[i] && asked != known[i])
            return gdl_fail(error, "--size %s=%zu: the data have %s %zu", options->model->size[i].name, asked, options->model->size[i].name,
                            known[i]);
        known[i] = asked ? asked : known[i];
    }
    gdl_sizes_complete(options->model, known, call->size);
    call->output_port = gdl_ports_at(call->function->output, call->function->outputs, call->size);
    return call->output_port ? 0 : gdl_fail(error, "no memory for the outputs of %s", call->function->name);
}

int call_read(Call *call, const gdl_port *label, gdl_error *error) {
    char names[512];
    size_t ports = call->function->inputs + (label ? 1 : 0);
    if (choose_ports(call, label, error))
        return GDL_FAILED;
    gdl_names_text(names, sizeof names, call->port, sizeof *call->port, ports);
    return sources_read(&call->sources, "--data", &call->options->data, error) ||
                   sources_bind(&call->sources, call->function->name, call->port, ports, &call->data, error) ||
                   sources_check_used(&call->sources, names, error) || choose_sizes(call, error)
               ? GDL_FAILED
               : 0;
}

/* ── Computing ── */

static void *create_model(const CallOptions *options, size_t batch, gdl_error *error) {
    void *instance = create_instance(options->model, batch, options->seed, options->threads, error);
    if (instance && options->load && gdl_load(options->model, instance, options->load, error)) {
        gdl_destroy(options->model, instance);
        return NULL;
    }
    return instance;
}

static int gather(Call *call, size_t n, gdl_error *error) {
    gdl_sample sample;
    call->n = n;
    call->input = gdl_buffers_create(call->data.port, call->data.inputs, n);
    call->output = gdl_buffers_create(call->output_port, call->function->outputs, n);
    if (!call->input || !call->output)
        return gdl_fail(error, "no memory for %zu examples; try --count", n);
    if (gdl_sample_range(&sample, &call->data, 0, n, error))
        return GDL_FAILED;
    gdl_gather(&call->data, sample.index, n, call->input);
    gdl_sample_free(&sample);
    return 0;
}

/* The function's result code; GDL_FAILED, with an error, where there is no memory. */
static int run_function(const gdl_function *function, void *instance, size_t n, const size_t *size, void *const *input,
                        void *const *output, gdl_error *error) {
    float **to = calloc(function->outputs + 1, sizeof *to);
    if (!to)
        return gdl_fail(error, "no memory for the outputs of %s", function->name);
    for (size_t i = 0; i < function->outputs; i++)
        to[i] = output[i];
    int code = function->run(instance, n, size, (const void *const *)input, to);
    free(to);
    return code;
}

static int explain(const gdl_function *function, size_t n, int code, gdl_error *error) {
    if (code == GDL_OK || code == GDL_FAILED)
        return code;
    if (code == GDL_BATCH)
        return gdl_fail(
            error,
            "the examples that %s computes depend on each other, so it needs room for all %zu at once: try --batch %zu",
            function->name, n, n);
    return gdl_fail(error, "%s ended with code %d", function->name, code);
}

int function_call_aside(const gdl_function *function, const gdl_model *model, void *instance, size_t n, const size_t *size,
                        void *const *input, void *const *output, gdl_error *error) {
    static const uint64_t aside_draw = UINT64_C(1) << 62;
    gdl_clock *clock = model->clock(instance), before = *clock;
    clock->draw = aside_draw;
    int code = run_function(function, instance, n, size, input, output, error);
    *clock = before;
    return explain(function, n, code, error);
}

/* With room for `batch` examples at a time. */
static int compute(Call *call, size_t batch, gdl_error *error) {
    void *instance = create_model(call->options, batch, error);
    if (!instance)
        return GDL_FAILED;
    int code = run_function(call->function, instance, call->n, call->size, call->input, call->output, error);
    gdl_destroy(call->options->model, instance);
    return code;
}

int call_compute(Call *call, size_t n, gdl_error *error) {
    const CallOptions *options = call->options;
    if (!options->load)
        fprintf(stderr, "note: without --load FILE the parameters are those of an untrained model\n");
    if (gather(call, n, error))
        return GDL_FAILED;
    int code = compute(call, options->batch, error);
    if (code == GDL_BATCH && !options->batch)
        code = compute(call, n, error);
    return explain(call->function, n, code, error);
}

/* bench: the time of a model's training step beside the time of its matrix products alone, measured alternately in one run,
 * so that both meet the same state of the machine. `make bench` builds the models and runs it.
 *
 *     bench [--seconds S] [--verbose] MODEL.so...
 *
 * MODEL.so is emitted code in which gemms_call stands for cblas_sgemm (gemms.h). The library is opened, and everything else
 * is learnt from its gdl_model. Each stage of a model is measured. */
#include "gdl.h"
#include "gemms.h"

#include <cblas.h>
#include <dlfcn.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCHES = 8, SAMPLES_MAX = 1 << 20 }; /* several batches, so that the inputs are not always in the cache */

typedef struct Options { double seconds; bool verbose; } Options;

/* A stage about to be measured. */
typedef struct Subject {
    const gdl_stage *stage;
    void *model;
    const void **input;      /* BATCHES sets of stage->inputs pointers */
    float *report;
    int turn;
} Subject;

typedef struct Times { double *step, *gemms; int count; } Times; /* microseconds of each sample */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void *need(void *memory) {
    if (!memory) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    return memory;
}

/* ── Inputs ───────────────────────────────────────────────────────────────────────────────── */

/* `count` values for a port: labels of its range, or numbers of 0..1. */
static void *make_input(const gdl_port *port, size_t count, uint32_t *seed) {
    int32_t *values = need(malloc(count * sizeof *values));
    for (size_t i = 0; i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        float number = (float)(*seed >> 8) * 0x1p-24f;
        if (port->classes) values[i] = (int32_t)(number * (float)port->classes);
        else memcpy(&values[i], &number, sizeof number);
    }
    return values;
}

static Subject subject_create(const gdl_model *model, const gdl_stage *stage) {
    Subject s = { .stage = stage, .model = need(gdl_create(model, stage->batch, 1)) };
    uint32_t seed = 1;
    s.input = need(calloc(BATCHES * stage->inputs + 1, sizeof *s.input));
    s.report = need(calloc(stage->reports + 1, sizeof *s.report));
    for (size_t i = 0; i < BATCHES * stage->inputs; i++) {
        const gdl_port *port = &stage->input[i % stage->inputs];
        s.input[i] = make_input(port, stage->batches * stage->batch * port->size, &seed);
    }
    stage->begin(s.model);
    model->clock(s.model)->lr_scale = 1e-3f; /* the inputs are noise: learn slowly, so that nothing overflows */
    return s;
}

static void subject_free(Subject *s) {
    for (size_t i = 0; i < BATCHES * s->stage->inputs; i++) free((void *)(uintptr_t)s->input[i]);
    free(s->input);
    free(s->report);
    gdl_destroy(s->model);
}

static void step(Subject *s) {
    const void **input = s->input + (size_t)s->turn * s->stage->inputs;
    s->turn = (s->turn + 1) % BATCHES;
    int result = s->stage->step(s->model, s->stage->batch, input, s->report);
    if (result == GDL_OK) return;
    fprintf(stderr, "bench: %s: a step returned %d\n", s->stage->name, result);
    exit(1);
}

/* ── Times ────────────────────────────────────────────────────────────────────────────────── */

/* Steps and products alternately, for some seconds after a short warming up. */
static void measure(Subject *s, const Gemms *gemms, double seconds, Times *times) {
    double start = now(), warm = start + 0.1e6 * seconds, end = start + 1e6 * seconds, a, b, c;
    times->count = 0;
    do {
        a = now();
        step(s);
        b = now();
        gemms_run(gemms);
        c = now();
        if (a < warm && times->count > 0) continue;
        times->step[times->count] = b - a;
        times->gemms[times->count++] = c - b;
    } while (c < end && times->count < SAMPLES_MAX);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples; [0] is then the smallest, [count / 2] the median. */
static double median(double *samples, int count) {
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    return samples[count / 2];
}

static void report(const gdl_model *model, const Subject *s, const Gemms *gemms, Times *t) {
    char name[64];
    double step_median = median(t->step, t->count), gemms_median = median(t->gemms, t->count);
    snprintf(name, sizeof name, model->stages > 1 ? "%s.%s" : "%s", model->name, s->stage->name);
    printf("%-20s %5zu %6d %9.2f %9.1f %9.1f %9.1f %9.1f %6.2f %6.2f\n", name, s->stage->batch, gemms_count(gemms),
           1e-6 * gemms_flops(gemms), step_median, t->step[0], gemms_median, t->gemms[0], step_median / gemms_median,
           t->step[0] / t->gemms[0]);
}

static void bench_stage(const gdl_model *model, const gdl_stage *stage, const Options *options, Times *times) {
    Subject subject = subject_create(model, stage);
    gemms_start();
    step(&subject);
    Gemms *gemms = need(gemms_stop());
    measure(&subject, gemms, options->seconds, times);
    report(model, &subject, gemms, times);
    if (options->verbose) gemms_print(gemms);
    gemms_free(gemms);
    subject_free(&subject);
}

/* ── Models ───────────────────────────────────────────────────────────────────────────────── */

/* The description in FOLDER/NAME.so: what NAME_describe returns. The library stays open. */
static const gdl_model *open_model(const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char symbol[256];
    snprintf(symbol, sizeof symbol, "%.*s_describe", (int)strcspn(base, "."), base);
    void *library = dlopen(path, RTLD_NOW);
    const gdl_model *(*describe)(void) = NULL;
    if (library) *(void **)&describe = dlsym(library, symbol);
    if (describe) return describe();
    fprintf(stderr, "bench: %s\n", dlerror());
    exit(1);
}

static Options parse_options(int argc, char **argv) {
    static const struct option known[] = { { "seconds", required_argument, NULL, 's' }, { "verbose", no_argument, NULL, 'v' }, { 0 } };
    Options options = { .seconds = 5 };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') options.seconds = strtod(optarg, NULL);
        else if (c == 'v') options.verbose = true;
    }
    if (optind < argc && options.seconds > 0) return options;
    fprintf(stderr, "Usage: bench [--seconds S] [--verbose] MODEL.so...\n");
    exit(2);
}

int main(int argc, char **argv) {
    gdl_blas_kernels(argv);
    gdl_flush_subnormals();
    Options options = parse_options(argc, argv);
    Times times = { need(malloc(SAMPLES_MAX * sizeof(double))), need(malloc(SAMPLES_MAX * sizeof(double))), 0 };
    printf("One training step, in microseconds; OpenBLAS %s, threads: %d\n", openblas_get_corename(), openblas_get_num_threads());
    printf("%-20s %5s %6s %9s %19s %19s %13s\n", "", "", "", "", "step", "products alone", "ratio");
    printf("%-20s %5s %6s %9s %9s %9s %9s %9s %6s %6s\n", "model", "batch", "GEMMs", "MFLOP", "median", "min", "median", "min", "med", "min");
    for (; optind < argc; optind++) {
        const gdl_model *model = open_model(argv[optind]);
        for (size_t i = 0; i < model->stages; i++) bench_stage(model, &model->stage[i], &options, &times);
    }
    free(times.step);
    free(times.gemms);
    return 0;
}

/* bench: the time of a model's training step beside two others: its matrix products alone, in the BLAS (products.h), and the same step in
 * PyTorch, where that is installed (peer.h). They take turns of a few hundredths of a second, so that all meet the same state of the
 * machine, and a noisy moment spoils a turn and not a comparison. `make bench` builds the models and runs it.
 *
 *     bench [--seconds S] [--threads LIST] [--verbose] [--peers SCRIPT] MODEL.gdl=MODEL.so...
 *
 * Everything that is needed is learnt from the model's gdl_model. Each stage is measured. */
#include "gdl.h"
#include "peer.h"
#include "products.h"

#include <cblas.h>
#include <dlfcn.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 8 }; /* several, so that the inputs are not always in the cache */

static const double SLICE = 0.04; /* seconds of a turn */

typedef struct Options { double seconds; bool verbose; const char *threads, *peers; } Options;

/* A stage about to be measured. */
typedef struct Subject {
    const gdl_stage *stage;
    void *model;
    const void **input;      /* BATCHES sets of stage->inputs pointers */
    float *report;
    size_t size[GDL_MAX_SIZES]; /* those of the run, at their largest */
    int turn;
} Subject;

typedef struct Times { double *items; size_t count, capacity; } Times; /* microseconds */

typedef struct Measured { Times step, products, peer; } Measured;

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
    gdl_sizes_complete(model, NULL, s.size);
    stage->begin(s.model);
    model->clock(s.model)->lr_scale = 1e-3f; /* the inputs are noise: learn slowly, so that nothing overflows */
    return s;
}

static void subject_free(const gdl_model *model, Subject *s) {
    for (size_t i = 0; i < BATCHES * s->stage->inputs; i++) free((void *)(uintptr_t)s->input[i]);
    free(s->input);
    free(s->report);
    gdl_destroy(model, s->model);
}

static void step(Subject *s) {
    const void **input = s->input + (size_t)s->turn * s->stage->inputs;
    s->turn = (s->turn + 1) % BATCHES;
    int result = s->stage->step(s->model, s->stage->batch, s->size, input, s->report);
    if (result == GDL_OK) return;
    fprintf(stderr, "bench: %s: a step returned %d\n", s->stage->name, result);
    exit(1);
}

/* ── Times ────────────────────────────────────────────────────────────────────────────────── */

static void add_time(void *context, double microseconds) {
    Times *times = context;
    if (times->count == times->capacity) {
        times->capacity = times->capacity ? 2 * times->capacity : 1024;
        times->items = need(realloc(times->items, times->capacity * sizeof *times->items));
    }
    times->items[times->count++] = microseconds;
}

static void run_products(void *products) { products_run(products); }

static void run_step(void *subject) { step(subject); }

/* Runs it for a turn; the first time finds the others' data in the cache, and is not counted. */
static void take_turn(Times *times, void (*run)(void *context), void *context) {
    run(context);
    for (double a = now(), b, end = a + 1e6 * SLICE; a < end; a = b) {
        run(context);
        b = now();
        add_time(times, b - a);
    }
}

/* All in turns, for about so many seconds. */
static void measure(Subject *s, Products *products, const Peer *peer, int threads, double seconds, Measured *measured) {
    for (double end = now() + 1e6 * seconds; now() < end;) {
        openblas_set_num_threads(1); /* in each of the model's own threads */
        take_turn(&measured->step, run_step, s);
        openblas_set_num_threads(threads);
        take_turn(&measured->products, run_products, products);
        peer_steps(peer, threads, SLICE, add_time, &measured->peer);
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the times, prints median and minimum; "-" where there are none. */
static void print_times(Times *times) {
    if (times->count == 0) {
        printf("%10s %9s", "-", "-");
        return;
    }
    qsort(times->items, times->count, sizeof *times->items, ascending);
    printf("%10.1f %9.1f", times->items[times->count / 2], times->items[0]);
}

/* Of medians and of minima. */
static void print_ratio(const Times *a, const Times *b) {
    if (b->count == 0) printf(" %6s %6s", "-", "-");
    else printf(" %6.2f %6.2f", a->items[a->count / 2] / b->items[b->count / 2], a->items[0] / b->items[0]);
}

static void print_head(void) {
    printf("One training step, in microseconds: median and minimum; and its ratios to the products alone, and to PyTorch. OpenBLAS %s\n\n",
           openblas_get_corename());
    printf("%-18s %5s %7s %8s %20s %20s %13s %20s %13s\n", "", "", "", "", "step", "products", "ratio", "PyTorch", "ratio");
    printf("%-18s %5s %7s %8s", "model", "batch", "threads", "MFLOP");
    for (int i = 0; i < 3; i++) printf(i == 0 ? "%10s %9s" : "%10s %9s %6s %6s", "median", "min", "median", "min");
    printf("\n");
}

static void print_row(const gdl_model *model, const Subject *s, const Products *products, int threads, Measured *m) {
    char name[64];
    snprintf(name, sizeof name, model->stages > 1 ? "%s.%s" : "%s", model->name, s->stage->name);
    printf("%-18s %5zu %7d %8.2f", name, s->stage->batch, threads, 1e-6 * products_flops(products));
    print_times(&m->step);
    print_times(&m->products);
    print_ratio(&m->step, &m->products);
    print_times(&m->peer);
    print_ratio(&m->step, &m->peer);
    printf("\n");
    fflush(stdout);
}

static void progress(const char *text, const char *model, int threads) {
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K%s %s, threads: %d", text, model, threads);
}

static void bench_stage(const gdl_model *model, size_t number, const char *path, const Peer *peer, const Options *options) {
    Subject subject = subject_create(model, &model->stage[number]);
    Products *products = products_create(path, number);
    if (!products) exit(1);
    for (const char *list = options->threads; *list; list += strspn(list, ",")) {
        Measured measured = { 0 };
        const int threads = (int)strtol(list, (char **)&list, 10);
        if (threads < 1) break;
        progress("measuring", model->name, threads);
        gdl_threads(model, subject.model, (size_t)threads);
        measure(&subject, products, peer, threads, options->seconds, &measured);
        if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
        print_row(model, &subject, products, threads, &measured);
        free(measured.step.items);
        free(measured.products.items);
        free(measured.peer.items);
    }
    if (options->verbose) products_print(products);
    products_free(products);
    subject_free(model, &subject);
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

/* "models/vae.gdl=build/tests/bench/vae.so" */
static void bench_model(char *argument, const Options *options) {
    char *library = strchr(argument, '=');
    if (!library) {
        fprintf(stderr, "bench: MODEL.gdl=MODEL.so is expected, but found %s\n", argument);
        exit(2);
    }
    *library++ = '\0';
    const gdl_model *model = open_model(library);
    progress("starting PyTorch for", model->name, 1);
    Peer peer = options->peers && model->stages == 1 ? peer_start(options->peers, model->name) : (Peer){ 0 };
    for (size_t i = 0; i < model->stages; i++) bench_stage(model, i, argument, &peer, options);
    peer_stop(&peer);
}

static Options parse_options(int argc, char **argv) {
    static const struct option known[] = { { "seconds", required_argument, NULL, 's' }, { "threads", required_argument, NULL, 't' },
                                           { "peers", required_argument, NULL, 'p' },   { "verbose", no_argument, NULL, 'v' }, { 0 } };
    Options options = { .seconds = 4, .threads = "1,2" };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') options.seconds = strtod(optarg, NULL);
        else if (c == 't') options.threads = optarg;
        else if (c == 'p') options.peers = optarg;
        else if (c == 'v') options.verbose = true;
    }
    if (optind < argc && options.seconds > 0) return options;
    fprintf(stderr, "Usage: bench [--seconds S] [--threads LIST] [--verbose] [--peers SCRIPT] MODEL.gdl=MODEL.so...\n");
    exit(2);
}

int main(int argc, char **argv) {
    gdl_blas_kernels(argv);
    gdl_flush_subnormals();
    const Options options = parse_options(argc, argv);
    print_head();
    for (; optind < argc; optind++) bench_model(argv[optind], &options);
    return 0;
}

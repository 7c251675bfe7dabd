/* The counters of a model made with --profile: who was called, how often, and how much it did. With STANDALONE without gdl.h. */
#include "small.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef STANDALONE
typedef small_kernel gdl_kernel;
#endif

/* Multiplications of one example in the products of a step: each layer forward, its kernel's gradient, and but for the first its
 * input's. */
enum { STEPS = 7, N = 16, LAYERS = 12 * 40 + 40 * 5 + 40 * 5 + 5 * 12, PRODUCTS = 3 * LAYERS - 12 * 40 };

static int passed, failed;

static void check(int holds, const char *what) {
    if (holds) passed++;
    else {
        failed++;
        printf("FAILED %s\n", what);
    }
}
#define CHECK(holds) check((holds) ? 1 : 0, #holds)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* All kernels of a phase's two functions. */
static gdl_kernel sum_of(const gdl_kernel *list, const char *start, uint64_t *least, uint64_t *most) {
    gdl_kernel sum = {NULL, NULL, NULL, 0, 0.0, 0.0, 0.0};
    for (*least = UINT64_MAX, *most = 0; list->function; list++) {
        if (strncmp(list->function, start, strlen(start)) != 0) continue;
        sum.calls += list->calls;
        sum.seconds += list->seconds;
        sum.flops += list->flops;
        sum.bytes += list->bytes;
        *least = list->calls < *least ? list->calls : *least;
        *most = list->calls > *most ? list->calls : *most;
    }
    return sum;
}

int main(void) {
    static float image[N * 12];
    static int32_t label[N];
    small_autoencoder_report report;
    uint64_t least, most;
    small *m = small_create(1), *other = small_create(2);
    sum_of(small_get_profile(m), "autoencoder_", &least, &most);
    CHECK(sum_of(small_get_profile(m), "init", &least, &most).calls > 0 && least == 1 && most == 1);
    const double start = now();
    for (int i = 0; i < STEPS; i++) small_autoencoder_step(m, N, image, label, &report);
    const double seconds = now() - start;
    const gdl_kernel phase = sum_of(small_get_profile(m), "autoencoder_run", &least, &most);
    CHECK(least == STEPS && most == STEPS);
    CHECK(phase.seconds > 0 && phase.seconds <= seconds);
    CHECK(phase.flops >= 2.0 * STEPS * N * PRODUCTS && phase.flops < 8.0 * STEPS * N * PRODUCTS);
    CHECK(phase.bytes > 4.0 * STEPS * N * 12);
    CHECK(sum_of(small_get_profile(other), "autoencoder_run", &least, &most).calls == 0);
    small_free(m);
    small_free(other);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

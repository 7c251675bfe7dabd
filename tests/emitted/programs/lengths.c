/* The functions of tests/emitted/lengths.gdl, at lengths from the smallest to the largest and outside of them: what they give is
 * computed here, too, or by another call. */
#include "lengths.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifdef STANDALONE
enum { OK = LENGTHS_OK, OUTSIDE = LENGTHS_SIZE };
#else
enum { OK = GDL_OK, OUTSIDE = GDL_SIZE };
#endif

enum { N = 3, LONGEST = 64, WIDTH = 4 };
static const size_t times[] = {1, 7, 28, 64};

static int passed, failed;

static void check(int holds, const char *what, size_t time) {
    holds ? passed++ : failed++;
    if (!holds) printf("FAILED at length %zu: %s\n", time, what);
}

static int near(float a, float b) { return fabsf(a - b) <= 1e-5f * (1.0f + fabsf(b)); }

static void fill(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = sinf((float)i * 0.7f);
}

static void check_sums(lengths *m, size_t time, const float *x) {
    float sum[N * WIDTH], mean[N * WIDTH];
    int same = lengths_sums(m, N, time, x, sum, mean) == OK;
    for (size_t n = 0; n < N; n++)
        for (size_t j = 0; j < WIDTH; j++) {
            float total = 0.0f;
            for (size_t t = 0; t < time; t++) total += x[(n * time + t) * WIDTH + j];
            same = same && near(sum[n * WIDTH + j], total) && near(mean[n * WIDTH + j], total / (float)time);
        }
    check(same, "sums and means over time", time);
}

static void check_moved(lengths *m, size_t time, const float *x, const float *y) {
    static float out[N * 2 * LONGEST * WIDTH];
    const size_t row = sizeof(float) * WIDTH;
    int same = lengths_moved(m, N, time, x, y, out) == OK;
    for (size_t n = 0; n < N; n++) {
        const float *from = x + n * time * WIDTH, *rest = y + (2 * n + 1) * time * WIDTH, *to = out + n * 2 * time * WIDTH;
        for (size_t j = 0; j < WIDTH; j++) same = same && to[j] == 0.0f;
        same = same && memcmp(to + WIDTH, from, (time - 1) * row) == 0 && memcmp(to + time * WIDTH, rest, time * row) == 0;
    }
    check(same, "shifts, slices, concatenations", time);
}

/* A sequence that is padded to the longest and masked is as far away as without its padding. */
static void check_mask(lengths *m, size_t time, const float *x) {
    float padded[LONGEST * WIDTH], mask[LONGEST] = {0.0f}, ones[LONGEST], alone, within;
    fill(padded, LONGEST * WIDTH);
    memcpy(padded, x, sizeof(float) * WIDTH * time);
    for (size_t t = 0; t < LONGEST; t++) {
        mask[t] = t < time ? 1.0f : 0.0f;
        ones[t] = 1.0f;
    }
    const int good = lengths_distance(m, 1, time, x, ones, &alone) == OK && lengths_distance(m, 1, LONGEST, padded, mask, &within) == OK;
    check(good && near(alone, within), "padding is left out", time);
}

static void check_training(lengths *m, size_t time, const float *x) {
    static float ones[8 * LONGEST];
    lengths_copy_report before, after;
    for (size_t t = 0; t < 8 * LONGEST; t++) ones[t] = 1.0f;
    int good = lengths_copy_evaluate(m, N, time, x, ones, &before) == OK;
    for (int i = 0; i < 20; i++) good = good && lengths_copy_step(m, N, time, x, ones, &after) == OK;
    good = good && lengths_copy_evaluate(m, N, time, x, ones, &after) == OK;
    check(good && after.loss < before.loss, "training lowers the loss", time);
}

static void check_bounds(lengths *m, const float *x) {
    static float out[N * (LONGEST + 1) * WIDTH];
    lengths_copy_report r;
    check(lengths_steps(m, N, 0, x, out) == OUTSIDE, "nothing is too short", 0);
    check(lengths_steps(m, N, LONGEST + 1, x, out) == OUTSIDE, "one more is too long", LONGEST + 1);
    check(lengths_copy_step(m, N, LONGEST + 1, x, x, &r) == OUTSIDE, "to train on, too", LONGEST + 1);
    check(out[0] == 0.0f, "and nothing is computed", LONGEST + 1);
}

int main(void) {
    static float x[N * LONGEST * WIDTH], y[2 * N * LONGEST * WIDTH];
    lengths *m = lengths_create(5);
    fill(x, N * LONGEST * WIDTH);
    fill(y, 2 * N * LONGEST * WIDTH);
    for (size_t i = 0; m && i < sizeof times / sizeof *times; i++) {
        check_sums(m, times[i], x);
        check_moved(m, times[i], x, y);
        check_mask(m, times[i], x);
        check_training(m, times[i], x);
    }
    if (m) check_bounds(m, x);
    check(m != NULL, "there is a model", 0);
    lengths_free(m);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

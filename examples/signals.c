/* signals: learns to compress time series of different lengths (waves.gdl), and shows what becomes of some that it has not seen.
 *
 *     signals result.png [STEPS]
 *
 * Draws series of 16 to 48 values (sines, squares, saws; of any period, phase and damping) and trains on batches of them, padded
 * to one length, for STEPS iterations (3000). Prints the error by length, and how much the padding matters, which is not at all;
 * the picture shows series above their reconstructions from ten codings. The functions waves_... are those that gdlc emits:
 *
 *     gdlc waves.gdl -o waves.c && cc signals.c waves.c $(pkg-config --cflags --libs gdl) */
#include "canvas.h"
#include "gdl.h"
#include "waves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST = 16, LONGEST = 48, BATCH = 64, TESTS = 768, BIN = 8, BINS = (LONGEST - SHORTEST) / BIN };
enum { SHOWN = 12, COLUMNS = 6, HEIGHT = 48, WIDTH = 2 * LONGEST };

typedef struct Series { float value[LONGEST]; } Series;

typedef struct Work {
    Series train[BATCH], test[TESTS], padded[TESTS], made[TESTS];
    float train_length[BATCH], length[TESTS];
    float error[TESTS], other_error[TESTS];
    float picture[2][SHOWN][HEIGHT][WIDTH];
} Work;

/* ── Series ───────────────────────────────────────────────────────────────────────────────── */

/* Of a period that goes from 0 to 1. */
static float wave(int kind, float at) {
    const float phase = at - floorf(at), sine = sinf(6.2831853F * at);
    return kind == 0 ? sine : kind == 1 ? (sine < 0 ? -0.8F : 0.8F) : 2 * phase - 1;
}

/* The padding holds `padding`. Returns the length. */
static float draw_series(Random *random, Series *series, float padding) {
    const int kind = pick(random, 3), length = SHORTEST + pick(random, LONGEST - SHORTEST + 1);
    const float period = between(random, 8, 24), phase = between(random, 0, 1), height = between(random, 0.5F, 1);
    const float damping = between(random, 0, 0.05F);
    for (int t = 0; t < LONGEST; t++) {
        const float value = height * expf(-damping * (float)t) * wave(kind, (float)t / period + phase);
        series->value[t] = t < length ? value : padding;
    }
    return (float)length;
}

/* ── Training ─────────────────────────────────────────────────────────────────────────────── */

static void train(waves *model, Work *work, long steps) {
    double loss = 0;
    for (long step = 0; step < steps; step++) {
        Random random = random_stream(1, 0, (uint64_t)step);
        waves_autoencoder_report report;
        for (int i = 0; i < BATCH; i++) work->train_length[i] = draw_series(&random, &work->train[i], 0);
        waves_autoencoder_step(model, BATCH, work->train[0].value, work->train_length, &report);
        loss += (double)report.loss;
        if ((step + 1) % 500 != 0) continue;
        fprintf(stderr, "%5ld iterations: mean squared error %.5f\n", step + 1, loss / 500);
        loss = 0;
    }
}

/* ── Results ──────────────────────────────────────────────────────────────────────────────── */

/* Errors of series that were not trained on; and of the same ones with something else in the padding. */
static void test(waves *model, Work *work) {
    for (int i = 0; i < TESTS; i++) {
        Random random = random_stream(2, 0, (uint64_t)i), same = random;
        work->length[i] = draw_series(&random, &work->test[i], 0);
        draw_series(&same, &work->padded[i], 1000);
    }
    waves_error(model, TESTS, work->test[0].value, work->length, work->error);
    waves_error(model, TESTS, work->padded[0].value, work->length, work->other_error);
    waves_reconstruct(model, TESTS, work->test[0].value, work->length, work->made[0].value);
}

static void print_table(const Work *work) {
    double error[BINS] = { 0 };
    int count[BINS] = { 0 }, others = 0;
    for (int i = 0; i < TESTS; i++) {
        int bin = ((int)work->length[i] - SHORTEST) / BIN;
        if (bin == BINS) bin--;
        error[bin] += (double)work->error[i], count[bin]++;
        others += work->error[i] != work->other_error[i];
    }
    printf("length   series   mean squared error\n");
    for (int bin = 0; bin < BINS; bin++) {
        const int first = SHORTEST + BIN * bin, last = bin == BINS - 1 ? LONGEST : first + BIN - 1;
        printf("%d-%d    %4d     %.5f\n", first, last, count[bin], error[bin] / count[bin]);
    }
    printf("%d of %d errors change when the padding holds other numbers\n", others, TESTS);
}

/* A line of height 1 (black is nothing) from value to value, two columns for each; past the end a grey one. */
static void draw_line(const Series *series, int length, float (*pixel)[WIDTH]) {
    for (int column = 0; column < WIDTH; column++) {
        const int t = column / 2, next = t + 1 < length ? t + 1 : length - 1;
        if (t >= length) {
            pixel[HEIGHT / 2][column] = 0.25F;
            continue;
        }
        const float a = series->value[t], b = series->value[next];
        const float from = column % 2 ? (a + b) / 2 : a, to = column % 2 ? b : (a + b) / 2;
        const float top = fmaxf(from, to), bottom = fminf(from, to);
        for (int row = 0; row < HEIGHT; row++) {
            const float value = 1.1F - 2.2F * ((float)row + 0.5F) / HEIGHT, away = fmaxf(value - top, bottom - value);
            pixel[row][column] = fminf(fmaxf(1.5F - away * HEIGHT / 2.2F, 0), 1);
        }
    }
}

static int write_picture(Work *work, const char *path, gdl_error *error) {
    for (int i = 0; i < SHOWN; i++) {
        draw_line(&work->test[i], (int)work->length[i], work->picture[0][i]);
        draw_line(&work->made[i], (int)work->length[i], work->picture[1][i]);
    }
    const float *set[2] = { work->picture[0][0][0], work->picture[1][0][0] };
    gdl_grid grid = { .count = SHOWN, .height = HEIGHT, .width = WIDTH, .channels = 1, .sets = 2, .set = set,
                      .columns = COLUMNS, .low = 0, .high = 1 };
    return gdl_grid_write(&grid, path, error);
}

int main(int argc, char **argv) {
    static Work work;
    gdl_error error = { "" };
    gdl_blas_kernels(argv);
    gdl_flush_subnormals();
    const long steps = argc == 3 ? strtol(argv[2], NULL, 10) : 3000;
    if (argc < 2 || argc > 3 || steps < 1) {
        fprintf(stderr, "Usage: signals result.png [STEPS]\n");
        return 2;
    }
    waves *model = waves_create_batch(BATCH, 1);
    if (!model) {
        fprintf(stderr, "signals: out of memory\n");
        return 1;
    }
    train(model, &work, steps);
    test(model, &work);
    print_table(&work);
    const int result = write_picture(&work, argv[1], &error);
    if (result != 0) fprintf(stderr, "signals: %s\n", error.text);
    waves_free(model);
    return result == 0 ? 0 : 1;
}

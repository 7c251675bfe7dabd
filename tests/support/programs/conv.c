/* Convolutions of support/conv.c beside plain sums in double precision: random geometries, with all that a model can ask for.
 *
 *     conv [CASES] */
#include "../../../compiler/support/conv.c"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t state = 1;

static int draw(int low, int high) {
    state = state * 1664525u + 1013904223u;
    return low + (int)((state >> 8) % (uint32_t)(high - low + 1));
}

/* In a block of its own, so that a sanitizer sees what is read or written beyond it. */
static float *numbers(ptrdiff_t count) {
    float *x = malloc((size_t)count * sizeof *x);
    if (!x) abort();
    for (ptrdiff_t i = 0; i < count; i++) x[i] = (float)draw(-1000, 1000) * 1e-3f;
    return x;
}

static ptrdiff_t divisor(ptrdiff_t a, ptrdiff_t b) { return b == 0 ? a : divisor(b, a % b); }

static support_axis random_axis(int single) {
    support_axis axis = {.size = 1, .positions = 1, .taps = 1, .stride = 1, .dilation = 1, .spread = 1};
    while (!single) {
        axis = (support_axis){.size = draw(1, 9),
                              .taps = draw(1, 5),
                              .stride = draw(1, 3),
                              .dilation = draw(1, 3),
                              .low = draw(-2, 4),
                              .spread = draw(1, 3)};
        const ptrdiff_t length =
            (axis.size - 1) * axis.spread + 1 + axis.low + draw(-2, 4) - (axis.taps - 1) * axis.dilation - 1;
        if (length < 0) continue;
        axis.positions = length / axis.stride + 1;
        break;
    }
    const ptrdiff_t by_tap = divisor(axis.spread, axis.dilation), by_position = divisor(axis.spread, axis.stride);
    axis.next_tap = axis.spread / by_tap, axis.tap_moves = axis.dilation / by_tap;
    axis.next_position = axis.spread / by_position, axis.moves = axis.stride / by_position;
    return axis;
}

/* `apart`: how far channels of the image lie apart. */
static support_geometry random_geometry(int apart) {
    support_geometry g = {.row = random_axis(draw(0, 3) == 0),
                          .column = random_axis(0),
                          .channels = draw(1, draw(0, 1) ? 4 : 40),
                          .filters = draw(1, draw(0, 1) ? 4 : 70),
                          .block = draw(1, 9)};
    g.channel = apart;
    g.column.image = g.channels * apart, g.row.image = g.column.size * g.column.image,
    g.image = g.row.size * g.row.image + draw(0, 3);
    g.kernel_filter = 1, g.kernel_channel = g.filters;
    g.column.kernel = g.channels * g.filters, g.row.kernel = g.column.taps * g.column.kernel;
    g.column.out = g.filters, g.row.out = g.column.positions * g.filters, g.out_image = g.row.positions * g.row.out;
    if (g.channels == 1) g.channel = g.column.tap_moves * g.column.image;
    return g;
}

static ptrdiff_t place(const support_axis *axis, ptrdiff_t position, ptrdiff_t tap) {
    const ptrdiff_t at = position * axis->stride + tap * axis->dilation - axis->low;
    return at < 0 || at % axis->spread != 0 || at / axis->spread >= axis->size ? -1 : at / axis->spread;
}

/* Adds x * kernel to `out`, and x * gradient to `kernel_sum`. */
static void plain(const support_geometry *g, ptrdiff_t images, const float *x, const float *kernel, const float *gradient,
                  double *out, double *kernel_sum) {
    for (ptrdiff_t n = 0; n < images; n++)
        for (ptrdiff_t p = 0; p < g->row.positions; p++)
            for (ptrdiff_t q = 0; q < g->column.positions; q++)
                for (ptrdiff_t k = 0; k < g->row.taps; k++)
                    for (ptrdiff_t l = 0; l < g->column.taps; l++) {
                        const ptrdiff_t r = place(&g->row, p, k), c = place(&g->column, q, l);
                        if (r < 0 || c < 0) continue;
                        for (ptrdiff_t i = 0; i < g->channels; i++)
                            for (ptrdiff_t o = 0; o < g->filters; o++) {
                                const double element =
                                    (double)x[n * g->image + r * g->row.image + c * g->column.image + i * g->channel];
                                const ptrdiff_t weight =
                                    k * g->row.kernel + l * g->column.kernel + i * g->kernel_channel + o;
                                const ptrdiff_t result = n * g->out_image + p * g->row.out + q * g->column.out + o;
                                out[result] += element * (double)kernel[weight];
                                kernel_sum[weight] += element * (double)gradient[result];
                            }
                    }
}

static int same(const char *what, ptrdiff_t count, const float *got, const double *right) {
    for (ptrdiff_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - right[i]) <= 1e-4 + 1e-5 * fabs(right[i]))) {
            printf("%s: %g at %td, not %g\n", what, (double)got[i], i, right[i]);
            return 0;
        }
    return 1;
}

static int try(int apart) {
    const support_geometry g = random_geometry(apart);
    const ptrdiff_t images = draw(1, 20), taps = g.row.taps * g.column.taps, weights = taps * g.channels * g.filters;
    const ptrdiff_t results = images * g.out_image,
                    wide = (g.row.taps * (g.column.taps + g.column.next_tap)) * (g.channels + 16) * (g.filters + 16);
    float *x = numbers((images - 1) * g.image + g.row.size * g.row.image), *kernel = numbers(weights),
          *gradient = numbers(results);
    float *out = numbers(results), *packed = numbers(wide), *sums = numbers(weights);
    double *right = calloc((size_t)results, sizeof *right), *right_sums = calloc((size_t)weights, sizeof *right_sums);
    plain(&g, images, x, kernel, gradient, right, right_sums);
    support_conv_pack_filters(&g, kernel, packed);
    support_conv_filters(&g, (size_t)images, x, packed, out);
    int well = same("lanes of filters", results, out, right);
    if (apart == 1) {
        support_conv_pack_channels(&g, kernel, packed);
        support_conv_channels(&g, (size_t)images, x, packed, out);
        well &= same("lanes of channels", results, out, right);
    }
    const size_t cut = (size_t)draw(0, (int)taps);
    support_conv_gradient(&g, 0, cut, (size_t)images, x, gradient, sums);
    support_conv_gradient(&g, cut, (size_t)taps, (size_t)images, x, gradient, sums);
    well &= same("gradient of the kernel", weights, sums, right_sums);
    free(x), free(kernel), free(gradient), free(out), free(packed), free(sums), free(right), free(right_sums);
    return well;
}

int main(int words, char **word) {
    const int cases = words > 1 ? atoi(word[1]) : 1000;
    int passed = 0;
    for (int i = 0; i < cases; i++) {
        const uint32_t seed = state;
        const int well = try(draw(1, 3) > 1 ? 1 : 2);
        if (!well) printf("... in case %d, seed %u\n", i, seed);
        passed += well;
    }
    printf("%d passed, %d failed\n", passed, cases - passed);
    return passed != cases;
}

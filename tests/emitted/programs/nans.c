/* The functions of tests/emitted/nans.gdl: where what is chosen from has a number that is none, the choice is none, wherever in a vector that
 * lies; and all other results are what they were. */
#include "nans.h"

#include <math.h>
#include <stdio.h>

typedef int Function(nans *m, size_t n, const float *x, float *out);

enum { MOST = 128 };

static int passed, failed;

/* `wrong` of its cases. */
static void check(const char *what, size_t wrong) {
    wrong == 0 ? passed++ : failed++;
    if (wrong > 0) printf("FAILED %s: without a number at %zu places\n", what, wrong);
}

/* Which result element `i` of the operand is for. */
typedef size_t Place(size_t i);
static size_t itself(size_t i) { return i; }
static size_t column(size_t i) { return i % 37; }
static size_t row(size_t i) { return i / 37; }
static size_t triple(size_t i) { return i / 3; }
static size_t all(size_t i) { return 0 * i; }
static size_t window(size_t i) { return i / 5 % 8 / 2 * 5 + i % 5; }

static void fill(float *x) {
    for (size_t i = 0; i < MOST; i++) x[i] = sinf((float)i * 0.7f);
}

static void check_choice(nans *m, const char *what, Function *function, size_t count, size_t results, Place *place) {
    float x[MOST], before[MOST], out[MOST];
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        fill(x);
        function(m, 1, x, before);
        x[i] = NAN;
        function(m, 1, x, out);
        int same = 1;
        for (size_t k = 0; k < results; k++) same = same && (k == place(i) ? isnan(out[k]) : out[k] == before[k]);
        wrong += !same;
    }
    check(what, wrong);
}

/* What is none is never the largest. */
static void check_first(nans *m) {
    float x[MOST], out;
    size_t wrong = 0;
    fill(x);
    for (size_t i = 0; i < 37; i++) {
        size_t largest = i == 0;
        x[i] = NAN;
        for (size_t k = 0; k < 37; k++)
            if (x[k] > x[largest]) largest = k;
        nans_first(m, 1, x, &out);
        wrong += out != (float)largest;
        x[i] = sinf((float)i * 0.7f);
    }
    for (size_t i = 0; i < 37; i++) x[i] = NAN;
    nans_first(m, 1, x, &out);
    check("argmax", wrong + (out != 0.0f));
}

int main(void) {
    nans *m = nans_create(1);
    if (!m) return 1;
    check_choice(m, "relu", nans_rectified, 37, 37, itself);
    check_choice(m, "clamp", nans_bounded, 37, 37, itself);
    check_choice(m, "max(x, 0.1)", nans_above, 37, 37, itself);
    check_choice(m, "min(0.1, x)", nans_below, 37, 37, itself);
    check_choice(m, "max(x, y)", nans_larger, 74, 37, column);
    check_choice(m, "min(x, y)", nans_smaller, 74, 37, column);
    check_choice(m, "max of a row", nans_rows, 111, 3, row);
    check_choice(m, "min of a row", nans_lowest, 111, 3, row);
    check_choice(m, "max of three", nans_few, 111, 37, triple);
    check_choice(m, "max of columns", nans_across, 111, 37, column);
    check_choice(m, "max of all", nans_most, 111, 1, all);
    check_choice(m, "max_pool2d", nans_pooled, 80, 20, window);
    check_first(m);
    nans_free(m);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

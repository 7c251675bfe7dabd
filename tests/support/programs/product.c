/* The matrix products of emitted code beside plain sums, over shapes around the edges of their tiles and blocks. Operands are small
 * whole numbers, so that every order of summation gives the same; arrays end with what a product must not touch. All shapes are tried, whatever number of cases is
 * asked for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef NO_VECTORS /* as with a compiler that knows none */
#undef __GNUC__
#endif
#include "../../../compiler/support/product.c"

enum { BEYOND = 3 }; /* columns of c beyond those of the product */

#ifndef EVERY
#define EVERY 1 /* of so many shapes, one is tried */
#endif

static int passed, failed;

typedef struct Shape { size_t m, n, k; int a_turned, b_turned, add; } Shape;

/* An array of exactly `count` floats, so that a sanitizer sees each access beyond it. */
static float *numbers(size_t count) {
    static unsigned state = 1;
    float *values = malloc(count * sizeof *values);
    if (values == NULL) exit(2);
    for (size_t i = 0; i < count; i++) values[i] = (float)((state = state * 1664525u + 1013904223u) >> 29) - 3.0f;
    return values;
}

typedef struct Arrays { float *a, *b, *c, *right; size_t a_m, a_k, b_k, b_n, c_m; } Arrays;

static Arrays arrays_of(const Shape *s) {
    const size_t c_m = s->n + BEYOND, size = s->m * c_m;
    Arrays x = {.a = numbers(s->m * s->k), .b = numbers(s->k * s->n), .c = numbers(size), .right = numbers(size), .c_m = c_m};
    x.a_m = s->a_turned ? 1 : s->k, x.a_k = s->a_turned ? s->m : 1;
    x.b_k = s->b_turned ? 1 : s->n, x.b_n = s->b_turned ? s->k : 1;
    memcpy(x.right, x.c, size * sizeof *x.c);
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++) {
            double sum = s->add ? (double)x.c[i * c_m + j] : 0;
            for (size_t k = 0; k < s->k; k++) sum += (double)x.a[i * x.a_m + k * x.a_k] * (double)x.b[k * x.b_k + j * x.b_n];
            x.right[i * c_m + j] = (float)sum;
        }
    return x;
}

static void check(const char *kernel, const Shape *s, const Arrays *x) {
    const int same = memcmp(x->c, x->right, s->m * x->c_m * sizeof *x->c) == 0;
    if (same) passed++;
    else failed++;
    if (!same)
        printf("FAILED %s: %zu x %zu over %zu%s%s%s\n", kernel, s->m, s->n, s->k, s->a_turned ? ", a turned" : "",
               s->b_turned ? ", b turned" : "", s->add ? ", added" : "");
}

static void arrays_free(Arrays *x) {
    free(x->a);
    free(x->b);
    free(x->c);
    free(x->right);
}

/* The product as the compiler would call it for these operands. */
static void multiply(const Shape *s, size_t rows, const Arrays *x, const float *a, float *c) {
    if (s->b_turned) support_product_turned(rows, s->n, s->k, a, x->a_m, x->a_k, x->b, x->b_k, x->b_n, c, x->c_m, s->add);
    else support_product(rows, s->n, s->k, a, x->a_m, x->a_k, x->b, x->b_k, c, x->c_m, s->add);
}

static void check_matrices(Shape shape) {
    Arrays x = arrays_of(&shape);
    multiply(&shape, shape.m, &x, x.a, x.c);
    check(shape.b_turned ? "product_turned" : "product", &shape, &x);
    arrays_free(&x);
}

/* The vector is the second operand, and the result packed. */
static void check_vector(size_t m, size_t k, int add) {
    const Shape shape = {.m = 1, .n = m, .k = k, .b_turned = 1, .add = add};
    Arrays x = arrays_of(&shape);
    support_product_vector(m, k, x.b, k, x.a, x.c, add);
    check("product_vector", &shape, &x);
    arrays_free(&x);
}

/* A product in parts has the bits of the whole, also with operands whose sums are rounded. */
static void check_parts(Shape shape, size_t height) {
    Arrays x = arrays_of(&shape);
    for (size_t i = 0; i < shape.m * shape.k; i++) x.a[i] /= 7.0f;
    multiply(&shape, shape.m, &x, x.a, x.right);
    for (size_t row = 0; row < shape.m; row += height)
        multiply(&shape, shape.m - row < height ? shape.m - row : height, &x, x.a + row * x.a_m, x.c + row * x.c_m);
    for (size_t i = 0; i < shape.m; i++) memcpy(x.right + i * x.c_m + shape.n, x.c + i * x.c_m + shape.n, BEYOND * sizeof *x.c);
    check("in parts", &shape, &x);
    arrays_free(&x);
}

/* Neighbours along k so far apart that they are packed. */
static void check_far(size_t n, size_t k, int add) {
    check_matrices((Shape){.m = 523, .n = n, .k = k, .a_turned = 1, .add = add});
    check_parts((Shape){.m = 523, .n = n, .k = k, .a_turned = 1}, 40);
}

int main(void) {
    static const size_t rows[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 260};
    static const size_t columns[] = {1, 2, 3, 4, 7, 8, 9, 12, 13, 15, 16, 17, 30, 31, 47, 48, 49, 100};
    static const size_t depths[] = {1, 2, 15, 16, 17, 32, 127, 128, 129, 256, 257, 300};
    enum { ROWS = sizeof rows / sizeof *rows, COLUMNS = sizeof columns / sizeof *columns, DEPTHS = sizeof depths / sizeof *depths };
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            for (int form = 0; form < 8; form++)
                if ((i + 3 * j + (size_t)form) % EVERY == 0)
                    check_matrices((Shape){.m = rows[i], .n = columns[j], .k = depths[(i + 5 * j + (size_t)form) % DEPTHS],
                                           .a_turned = form & 1, .b_turned = form >> 1 & 1, .add = form >> 2});
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < DEPTHS; k++) check_vector(rows[i], depths[k], (int)(i + k) % 2);
    for (size_t height = 1; height < 40; height += 3)
        for (int form = 0; form < 4; form++) check_parts((Shape){37, 21, 300, form & 1, form >> 1, 0}, height);
    for (int form = 0; form < 4; form++) check_parts((Shape){520, 21, 130, form & 1, form >> 1, 0}, 250); /* some hundred rows at a time */
    for (int add = 0; add < 2; add++) {
        check_far(49, 150, add);
        check_far(100, 310, add);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

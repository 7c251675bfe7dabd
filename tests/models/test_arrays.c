/* test_arrays: makes arrays for the models' tests, and checks what trainers wrote. tests/models/run.sh calls it.
 *
 *     test_arrays draw FILE N D...             N examples of shape D..., uniform in -1..1
 *     test_arrays cloud FILE N                 N points in space near a tilted plane, along an arc
 *     test_arrays finite FILE N D...           whether FILE has that shape, and finite values only
 *     test_arrays nearer IMAGES BEFORE AFTER   whether the mean of AFTER is nearer to that of IMAGES (bytes) than the mean of BEFORE
 *     test_arrays components FILE RESULT       whether RESULT is within 1 % of the two leading principal components of FILE
 *
 * The exit status is 0, or 1 with a line that says what is wrong. */
#include "gdl.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 28 * 28 };

static int fail(const char *path, const char *problem) {
    printf("%s: %s\n", path, problem);
    return 1;
}

/* ── making ───────────────────────────────────────────────────────────────────────────────── */

/* Number `index` of a fixed sequence, uniform in -1..1. */
static double draw(size_t index) {
    const uint32_t counter[4] = { (uint32_t)index };
    uint32_t words[4];
    gdl_philox(42, counter, words);
    return words[0] / 2147483648.0 - 1;
}

static int write_uniform(const char *path, size_t rank, const size_t *shape) {
    gdl_error error;
    size_t size = 1;
    for (size_t i = 0; i < rank; i++) size *= shape[i];
    float *values = malloc(size * sizeof *values);
    if (!values) return fail(path, "out of memory");
    for (size_t i = 0; i < size; i++) values[i] = (float)draw(i);
    int result = gdl_npy_write(path, rank, shape, values, &error) == 0 ? 0 : fail(path, error.text);
    free(values);
    return result;
}

/* An arc in a plane that is tilted against all three axes, and noise of 0.1 around it (Géron, ch. 8). */
static void place(float *point, size_t index) {
    double angle = 2.36 * draw(5 * index) + 1.86;
    double across = 0.5 * draw(5 * index + 1), along = 0.1 * draw(5 * index + 2);
    point[0] = (float)(cos(angle) + sin(angle) / 2 + along);
    point[1] = (float)(0.7 * sin(angle) + 0.1 * across);
    point[2] = (float)(0.1 * point[0] + 0.3 * point[1] + 0.1 * draw(5 * index + 3) + 0.1 * draw(5 * index + 4));
}

static int write_cloud(const char *path, size_t count) {
    gdl_error error;
    const size_t shape[2] = { count, 3 };
    float *points = malloc(3 * count * sizeof *points);
    if (!points) return fail(path, "out of memory");
    for (size_t i = 0; i < count; i++) place(points + 3 * i, i);
    int result = gdl_npy_write(path, 2, shape, points, &error) == 0 ? 0 : fail(path, error.text);
    free(points);
    return result;
}

/* ── principal components ─────────────────────────────────────────────────────────────────── */

static void covariance(const float *points, size_t count, double c[3][3]) {
    double mean[3] = { 0 };
    for (size_t i = 0; i < 3 * count; i++) mean[i % 3] += points[i] / (double)count;
    memset(c, 0, 9 * sizeof(double));
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 3; k++)
                c[j][k] += (points[3 * i + (size_t)j] - mean[j]) * (points[3 * i + (size_t)k] - mean[k]) / (double)count;
}

/* Turns the plane of axes p and q so that a[p][q] becomes 0: a <- R' a R. */
static void rotate(double a[3][3], int p, int q) {
    double angle = 0.5 * atan2(2 * a[p][q], a[q][q] - a[p][p]), s = sin(angle), c = cos(angle);
    for (int k = 0; k < 3; k++) {
        double u = a[k][p], v = a[k][q];
        a[k][p] = c * u - s * v, a[k][q] = s * u + c * v;
    }
    for (int k = 0; k < 3; k++) {
        double u = a[p][k], v = a[q][k];
        a[p][k] = c * u - s * v, a[q][k] = s * u + c * v;
    }
}

/* The smallest eigenvalue of a symmetric matrix, by Jacobi's rotations: the variance that two components leave. */
static double smallest_eigenvalue(double a[3][3]) {
    for (int sweep = 0; sweep < 20; sweep++) rotate(a, 0, 1), rotate(a, 0, 2), rotate(a, 1, 2);
    return fmin(a[0][0], fmin(a[1][1], a[2][2]));
}

static double squared_error(const float *a, const float *b, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum / (double)size;
}

/* ── checks ───────────────────────────────────────────────────────────────────────────────── */

static int read_floats(gdl_array *array, const char *path) {
    gdl_error error;
    if (gdl_array_read(array, path, &error) != 0) return fail(path, error.text);
    if (array->type == GDL_F32) return 0;
    gdl_array_free(array);
    return fail(path, "expected float32");
}

static int check_components(const char *cloud_path, const char *result_path) {
    gdl_array cloud, result;
    double c[3][3];
    if (read_floats(&cloud, cloud_path) != 0) return 1;
    if (read_floats(&result, result_path) != 0) return gdl_array_free(&cloud), 1;
    int status = cloud.size == result.size ? 0 : fail(result_path, "it has another size than the cloud");
    if (status == 0) {
        covariance(cloud.values, cloud.size / 3, c);
        double best = smallest_eigenvalue(c) / 3, reached = squared_error(cloud.values, result.values, cloud.size);
        bool good = reached < 1.01 * best && reached > 0.99 * best; /* below would be as wrong as above */
        if (!good) printf("%s: the squared error is %g, of two principal components %g\n", result_path, reached, best), status = 1;
    }
    gdl_array_free(&cloud);
    gdl_array_free(&result);
    return status;
}

static int check_finite(const char *path, size_t rank, const size_t *shape) {
    gdl_array array;
    if (read_floats(&array, path) != 0) return 1;
    int status = 0;
    const float *values = array.values;
    if (array.rank != rank || memcmp(array.shape, shape, rank * sizeof *shape) != 0) status = fail(path, "it has another shape");
    for (size_t i = 0; status == 0 && i < array.size; i++)
        if (!isfinite(values[i])) status = fail(path, "a value is not finite");
    gdl_array_free(&array);
    return status;
}

/* Adds the mean of a file's images, in 0..1, times `factor`, to `mean`, of 28x28 pixels. */
static int add_mean(const char *path, double factor, double *mean) {
    gdl_array array;
    gdl_error error;
    if (gdl_array_read(&array, path, &error) != 0) return fail(path, error.text);
    double count = (double)array.shape[0];
    bool bytes = array.type == GDL_U8, fits = array.size == array.shape[0] * PIXELS && (bytes || array.type == GDL_F32);
    for (size_t i = 0; fits && i < array.size; i++)
        mean[i % PIXELS] += factor / count * (bytes ? ((const uint8_t *)array.values)[i] / 255.0 : (double)((const float *)array.values)[i]);
    gdl_array_free(&array);
    return fits ? 0 : fail(path, "expected images of 28x28 pixels, in bytes or float32");
}

/* The squared distance of the mean images of two files, or a negative number. */
static double mean_distance(const char *a, const char *b) {
    double difference[PIXELS] = { 0 }, sum = 0;
    if (add_mean(a, 1, difference) != 0 || add_mean(b, -1, difference) != 0) return -1;
    for (int i = 0; i < PIXELS; i++) sum += difference[i] * difference[i];
    return sum;
}

static int check_nearer(const char *images, const char *before, const char *after) {
    double first = mean_distance(images, before), last = mean_distance(images, after);
    if (first < 0 || last < 0) return 1;
    if (last < 0.9 * first) return 0;
    printf("%s: the squared distance of the mean image to the data's went from %g to %g, not below nine tenths\n", after, first, last);
    return 1;
}

int main(int argc, char **argv) {
    size_t shape[GDL_MAX_RANK], rank = 0;
    if (argc < 4 || argc - 3 > GDL_MAX_RANK) return fail("test_arrays", "a command, a file, and its shape or result are expected");
    const char *command = argv[1], *path = argv[2];
    for (int i = 3; i < argc; i++) shape[rank++] = (size_t)strtoull(argv[i], NULL, 10);
    if (strcmp(command, "draw") == 0) return write_uniform(path, rank, shape);
    if (strcmp(command, "cloud") == 0) return write_cloud(path, shape[0]);
    if (strcmp(command, "finite") == 0) return check_finite(path, rank, shape);
    if (strcmp(command, "components") == 0) return check_components(path, argv[3]);
    if (strcmp(command, "nearer") == 0 && argc == 5) return check_nearer(path, argv[3], argv[4]);
    return fail(command, "it is none of the commands");
}

/* arithmetic: vector arithmetic on mean codings, with a trained convolutional autoencoder (models/conv_vae.gdl).
 *
 *     arithmetic conv_vae.safetensors images.gz labels.gz result.png
 *
 * The mean coding of each class says what makes a picture belong to it; what is left of a picture's own coding is how it is drawn.
 * So each row of the result shows a picture, and beside it what  coding - mean of its class + mean of class k  decodes to: every
 * class in the manner of that picture. The functions conv_vae_... are those that gdlc emits:
 *
 *     gdlc conv_vae.gdl -o conv_vae.c && cc arithmetic.c conv_vae.c $(pkg-config --cflags --libs gdl) */
#include "gdl.h"
#include "conv_vae.h"

#include <stdio.h>
#include <string.h>

enum { CLASSES = 10, COLUMNS = CLASSES + 1, CODINGS = 16, PIXELS = 28 * 28, CHUNK = 64 };

/* Some pictures with their classes, and their codings. */
typedef struct Part {
    float image[CHUNK][PIXELS];
    int32_t label[CHUNK];
    float mean[CHUNK][CODINGS], log_var[CHUNK][CODINGS];
} Part;

typedef struct Work {
    Part part;
    size_t count[CLASSES];                      /* pictures of each class */
    float centre[CLASSES][CODINGS];             /* their mean coding */
    size_t first[CLASSES];                      /* the place of the first of them */
    float coding[CLASSES][CLASSES][CODINGS];    /* of the result: row by row */
    float decoded[CLASSES][CLASSES][PIXELS];
    float tile[CLASSES][COLUMNS][PIXELS];
} Work;

/* Gathers and encodes `n` pictures from `start` on. */
static void encode(conv_vae *model, const gdl_data *data, size_t start, size_t n, Part *part) {
    size_t index[CHUNK];
    void *to[2] = { part->image, part->label };
    for (size_t i = 0; i < n; i++) index[i] = start + i;
    gdl_gather(data, index, n, to);
    conv_vae_encoder(model, n, part->image[0], part->mean[0], part->log_var[0]);
}

static void find_centres(conv_vae *model, const gdl_data *data, Work *work) {
    for (size_t start = 0; start < data->count; start += CHUNK) {
        size_t n = data->count - start < CHUNK ? data->count - start : CHUNK;
        encode(model, data, start, n, &work->part);
        for (size_t i = 0; i < n; i++) {
            int32_t label = work->part.label[i];
            if (work->count[label]++ == 0) work->first[label] = start + i;
            for (int k = 0; k < CODINGS; k++) work->centre[label][k] += work->part.mean[i][k];
        }
    }
    for (int label = 0; label < CLASSES; label++)
        for (int k = 0; k < CODINGS; k++) work->centre[label][k] /= (float)work->count[label];
}

/* One row for the first picture of each class. */
static void draw_rows(conv_vae *model, const gdl_data *data, Work *work) {
    for (int row = 0; row < CLASSES; row++) {
        encode(model, data, work->first[row], 1, &work->part);
        memcpy(work->tile[row][0], work->part.image[0], sizeof work->tile[row][0]);
        for (int label = 0; label < CLASSES; label++)
            for (int k = 0; k < CODINGS; k++)
                work->coding[row][label][k] = work->part.mean[0][k] - work->centre[row][k] + work->centre[label][k];
    }
    conv_vae_decoder(model, CLASSES * CLASSES, work->coding[0][0], work->decoded[0][0]);
    for (int row = 0; row < CLASSES; row++) memcpy(work->tile[row][1], work->decoded[row], sizeof work->decoded[row]);
}

static int draw(conv_vae *model, const gdl_data *data, Work *work, const char *path, gdl_error *error) {
    find_centres(model, data, work);
    for (int label = 0; label < CLASSES; label++)
        if (work->count[label] == 0) {
            snprintf(error->text, sizeof error->text, "there is no picture of class %d, but one of each of the %d classes is needed", label, CLASSES);
            return GDL_FAILED;
        }
    draw_rows(model, data, work);
    const float *set[1] = { work->tile[0][0] };
    gdl_grid grid = { .count = CLASSES * COLUMNS, .height = 28, .width = 28, .channels = 1, .sets = 1, .set = set,
                      .columns = COLUMNS, .low = 0, .high = 1 };
    return gdl_grid_write(&grid, path, error);
}

/* Binds the pictures and their labels to each other, and goes on. */
static int run_on(conv_vae *model, const gdl_array *images, const gdl_array *labels, const char *path, gdl_error *error) {
    static const size_t shape[2] = { 28, 28 };
    static const gdl_port port[2] = { { .name = "image", .rank = 2, .shape = shape, .size = PIXELS },
                                      { .name = "label", .size = 1, .classes = CLASSES } };
    static Work work;
    const gdl_array *array[2] = { images, labels };
    gdl_data data;
    if (gdl_data_bind(&data, port, 2, array, error) != 0) return GDL_FAILED;
    int result = draw(model, &data, &work, path, error);
    gdl_data_free(&data);
    return result;
}

static int run(conv_vae *model, char **argv, gdl_error *error) {
    gdl_array images, labels;
    if (gdl_load(conv_vae_describe(), model, argv[1], error) != 0 || gdl_array_read(&images, argv[2], error) != 0) return GDL_FAILED;
    int result = gdl_array_read(&labels, argv[3], error);
    if (result == 0) {
        result = run_on(model, &images, &labels, argv[4], error);
        gdl_array_free(&labels);
    }
    gdl_array_free(&images);
    return result;
}

int main(int argc, char **argv) {
    gdl_error error = { "" };
    gdl_blas_kernels(argv);
    if (argc != 5) {
        fprintf(stderr, "Usage: arithmetic conv_vae.safetensors images.gz labels.gz result.png\n");
        return 2;
    }
    conv_vae *model = conv_vae_create(1);
    if (!model) {
        fprintf(stderr, "arithmetic: out of memory\n");
        return 1;
    }
    int result = run(model, argv, &error);
    if (result != 0) fprintf(stderr, "arithmetic: %s\n", error.text);
    conv_vae_free(model);
    return result == 0 ? 0 : 1;
}

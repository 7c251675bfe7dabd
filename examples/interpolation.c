/* interpolation: semantic interpolation between pictures, with a trained variational autoencoder (models/vae.gdl).
 *
 *     interpolation vae.safetensors images.gz result.png
 *
 * Encodes the first twelve pictures of a file and lays their codings out as a grid of 3x4. Between neighbours come the codings half
 * way, so that the grid grows to 5x7; all of them decoded give the result. The functions vae_... are those that gdlc emits:
 *
 *     gdlc vae.gdl -o vae.c && cc interpolation.c vae.c $(pkg-config --cflags --libs gdl) */
#include "gdl.h"
#include "vae.h"

#include <stdio.h>

enum { ROWS = 3, COLUMNS = 4, FINE_ROWS = 2 * ROWS - 1, FINE_COLUMNS = 2 * COLUMNS - 1, CODINGS = 10, PIXELS = 28 * 28 };

typedef struct Work {
    float image[ROWS * COLUMNS][PIXELS];
    float mean[ROWS * COLUMNS][CODINGS], log_var[ROWS * COLUMNS][CODINGS];
    float fine[FINE_ROWS * FINE_COLUMNS][CODINGS];
    float decoded[FINE_ROWS * FINE_COLUMNS][PIXELS];
} Work;

/* Each place of the fine grid gets the mean of the one, two or four codings around it. */
static void interpolate(const float (*coarse)[CODINGS], float (*fine)[CODINGS]) {
    for (int row = 0; row < FINE_ROWS; row++)
        for (int column = 0; column < FINE_COLUMNS; column++) {
            int top = row / 2, bottom = (row + 1) / 2, left = column / 2, right = (column + 1) / 2;
            for (int i = 0; i < CODINGS; i++)
                fine[row * FINE_COLUMNS + column][i] =
                    (coarse[top * COLUMNS + left][i] + coarse[top * COLUMNS + right][i] +
                     coarse[bottom * COLUMNS + left][i] + coarse[bottom * COLUMNS + right][i]) / 4;
        }
}

/* Reads the first pictures of the file, as numbers in 0..1. */
static int read_images(const char *path, float (*image)[PIXELS], gdl_error *error) {
    static const size_t shape[2] = { 28, 28 };
    const gdl_port port = { .name = "image", .rank = 2, .shape = shape, .size = PIXELS };
    size_t index[ROWS * COLUMNS];
    gdl_array array;
    gdl_data data;
    if (gdl_array_read(&array, path, error) != 0) return GDL_FAILED;
    const gdl_array *arrays[1] = { &array };
    int result = gdl_data_bind(&data, &port, 1, arrays, error);
    if (result == 0 && data.count < ROWS * COLUMNS) {
        snprintf(error->text, sizeof error->text, "%s has %zu pictures; %d are needed", path, data.count, ROWS * COLUMNS);
        result = GDL_FAILED;
    }
    if (result == 0) {
        void *to[1] = { image };
        for (size_t i = 0; i < ROWS * COLUMNS; i++) index[i] = i;
        gdl_gather(&data, index, ROWS * COLUMNS, to);
    }
    gdl_data_free(&data);
    gdl_array_free(&array);
    return result;
}

static int write_grid(const char *path, const float *images, gdl_error *error) {
    const float *set[1] = { images };
    gdl_grid grid = { .count = FINE_ROWS * FINE_COLUMNS, .height = 28, .width = 28, .channels = 1, .sets = 1, .set = set,
                      .columns = FINE_COLUMNS, .zoom = 2, .low = 0, .high = 1 };
    return gdl_grid_write(&grid, path, error);
}

static int run(vae *model, Work *work, char **argv, gdl_error *error) {
    if (gdl_load(vae_describe(), model, argv[1], error) != 0) return GDL_FAILED;
    if (read_images(argv[2], work->image, error) != 0) return GDL_FAILED;
    vae_encoder(model, ROWS * COLUMNS, work->image[0], work->mean[0], work->log_var[0]);
    interpolate((const float (*)[CODINGS])work->mean, work->fine);
    vae_decoder(model, FINE_ROWS * FINE_COLUMNS, work->fine[0], work->decoded[0]);
    return write_grid(argv[3], work->decoded[0], error);
}

int main(int argc, char **argv) {
    static Work work;
    gdl_error error = { "" };
    gdl_blas_kernels(argv);
    if (argc != 4) {
        fprintf(stderr, "Usage: interpolation vae.safetensors images.gz result.png\n");
        return 2;
    }
    vae *model = vae_create(1);
    if (!model) {
        fprintf(stderr, "interpolation: out of memory\n");
        return 1;
    }
    int result = run(model, &work, argv, &error);
    if (result != 0) fprintf(stderr, "interpolation: %s\n", error.text);
    vae_free(model);
    return result == 0 ? 0 : 1;
}

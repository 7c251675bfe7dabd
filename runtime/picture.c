/* picture.c: grids of images as PNG files, written and read back. */
#include "runtime.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 2,          /* pixels between tiles and around them */
    BACKGROUND = 255, /* white */
    LONGEST_SIDE = 1 << 15
};

int gdl_image_size(const gdl_port *port, size_t *height, size_t *width, size_t *channels) {
    const size_t *shape = port->shape;
    size_t side = (size_t)lround(sqrt((double)port->size));
    *channels = 1;
    if (port->classes)
        return 0;
    if (port->rank == 2 || (port->rank == 3 && (shape[2] == 1 || shape[2] == 3))) {
        *height = shape[0];
        *width = shape[1];
        *channels = port->rank == 3 ? shape[2] : 1;
        return 1;
    }
    *height = *width = side;
    return port->rank == 1 && side > 1 && side * side == port->size;
}

/* The picture being drawn. */
typedef struct Canvas {
    size_t columns, zoom;
    size_t tile_height, tile_width; /* in pixels, without the gap */
    size_t height, width, channels;
    png_bytep pixels;
} Canvas;

/* So many columns that the picture comes out about as wide as high; a third more or fewer where that fills the last row. */
static size_t square_columns(const gdl_grid *grid) {
    double tiles = (double)(grid->count * grid->sets);
    size_t square = (size_t)ceil(sqrt(tiles * (double)grid->height / (double)grid->width) - 1e-9);
    square = square < 1 ? 1 : square < grid->count ? square : grid->count;
    for (size_t off = 0; off <= square / 3; off++) {
        if (grid->count % (square + off) == 0)
            return square + off;
        if (grid->count % (square - off) == 0)
            return square - off;
    }
    return square;
}

/* Pixels of so many tiles of so many values, with their gaps. 0 where they are too many for a picture. */
static size_t extent(size_t tiles, size_t values, size_t zoom) {
    size_t pixels = values;
    if (!gdl_multiply(&pixels, zoom) || pixels > LONGEST_SIDE || !gdl_multiply(&tiles, pixels + GAP))
        return 0;
    return tiles + GAP <= LONGEST_SIDE ? tiles + GAP : 0;
}

static int canvas_create(Canvas *canvas, const gdl_grid *grid, gdl_error *error) {
    size_t columns = grid->columns ? grid->columns : square_columns(grid), zoom = grid->zoom ? grid->zoom : 1;
    size_t rows = ((grid->count - 1) / columns + 1) * grid->sets;
    *canvas = (Canvas){.columns = columns,
                       .zoom = zoom,
                       .tile_height = grid->height * zoom,
                       .tile_width = grid->width * zoom,
                       .height = extent(rows, grid->height, zoom),
                       .width = extent(columns, grid->width, zoom),
                       .channels = grid->channels};
    size_t bytes = canvas->channels * canvas->height * canvas->width;
    if (!bytes)
        return gdl_fail(error, "a picture of %zu by %zu tiles, %zu by %zu values each, is too large: a side may have %d pixels", rows,
                        columns, grid->height, grid->width, LONGEST_SIDE);
    canvas->pixels = malloc(bytes);
    if (!canvas->pixels)
        return gdl_fail(error, "no memory for a picture of %zu x %zu pixels", canvas->width, canvas->height);
    memset(canvas->pixels, BACKGROUND, bytes);
    return 0;
}

/* Low is black, high is white, and what is not a number is black. */
static png_byte pixel(const gdl_grid *grid, float value) {
    float unit = (value - grid->low) / (grid->high - grid->low);
    return unit > 0 ? (png_byte)(unit < 1 ? unit * 255.0f + 0.5f : 255.0f) : 0;
}

static void draw_tile(Canvas *canvas, const gdl_grid *grid, const float *image, size_t row, size_t column) {
    size_t top = row * (canvas->tile_height + GAP) + GAP;
    size_t left = column * (canvas->tile_width + GAP) + GAP;
    for (size_t y = 0; y < canvas->tile_height; y++) {
        png_bytep out = canvas->pixels + ((top + y) * canvas->width + left) * canvas->channels;
        const float *line = image + y / canvas->zoom * grid->width * grid->channels;
        for (size_t x = 0; x < canvas->tile_width; x++)
            for (size_t c = 0; c < grid->channels; c++)
                *out++ = pixel(grid, line[x / canvas->zoom * grid->channels + c]);
    }
}

static void draw(Canvas *canvas, const gdl_grid *grid) {
    size_t image_size = grid->height * grid->width * grid->channels;
    for (size_t s = 0; s < grid->sets; s++)
        for (size_t i = 0; i < grid->count; i++)
            draw_tile(canvas, grid, grid->set[s] + i * image_size, i / canvas->columns * grid->sets + s,
                      i % canvas->columns);
}

static int write_png(const Canvas *canvas, const char *path, gdl_error *error) {
    gdl_output output;
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)canvas->width,
                       .height = (png_uint_32)canvas->height,
                       .format = canvas->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    if (gdl_output_open(&output, path, error))
        return GDL_FAILED;
    if (png_image_write_to_stdio(&image, output.file, 0, canvas->pixels, 0, NULL))
        return gdl_output_commit(&output, error);
    gdl_output_abandon(&output);
    return gdl_fail(error, "%s could not be written: %s", path, image.message);
}

int gdl_grid_write(const gdl_grid *grid, const char *path, gdl_error *error) {
    Canvas canvas;
    if (!grid->count || !grid->sets || (grid->channels != 1 && grid->channels != 3))
        return gdl_fail(error, "%s: a picture needs images of 1 or 3 channels, but there are %zu of %zu", path,
                        grid->count, grid->channels);
    if (canvas_create(&canvas, grid, error))
        return GDL_FAILED;
    draw(&canvas, grid);
    int result = write_png(&canvas, path, error);
    free(canvas.pixels);
    return result;
}

/* ── Reading back ── */

static void take_tile(const Canvas *canvas, const gdl_grid *grid, size_t row, size_t column, float *image) {
    size_t top = row * (canvas->tile_height + GAP) + GAP;
    size_t left = column * (canvas->tile_width + GAP) + GAP;
    for (size_t y = 0; y < grid->height; y++)
        for (size_t x = 0; x < grid->width; x++) {
            png_const_bytep from = canvas->pixels + ((top + y * canvas->zoom) * canvas->width + left + x * canvas->zoom) * canvas->channels;
            for (size_t c = 0; c < grid->channels; c++)
                *image++ = grid->low + (float)from[c] / 255.0f * (grid->high - grid->low);
        }
}

static void take(const Canvas *canvas, const gdl_grid *grid, float *values) {
    size_t image_size = grid->height * grid->width * grid->channels;
    for (size_t s = 0; s < grid->sets; s++)
        for (size_t i = 0; i < grid->count; i++, values += image_size)
            take_tile(canvas, grid, i / canvas->columns * grid->sets + s, i % canvas->columns, values);
}

static int read_png(Canvas *canvas, const char *path, gdl_error *error) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path))
        return gdl_fail(error, "%s could not be read: %s", path, image.message);
    if (image.width != canvas->width || image.height != canvas->height) {
        png_image_free(&image);
        return gdl_fail(error, "%s: a picture of %zu x %zu pixels is expected, but it has %u x %u", path, canvas->width, canvas->height,
                        (unsigned)image.width, (unsigned)image.height);
    }
    image.format = canvas->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    return png_image_finish_read(&image, NULL, canvas->pixels, 0, NULL) ? 0 : gdl_fail(error, "%s is damaged: %s", path, image.message);
}

int gdl_grid_read(const gdl_grid *grid, const char *path, float *values, gdl_error *error) {
    Canvas canvas;
    if (canvas_create(&canvas, grid, error))
        return GDL_FAILED;
    int result = read_png(&canvas, path, error);
    if (!result)
        take(&canvas, grid, values);
    free(canvas.pixels);
    return result;
}

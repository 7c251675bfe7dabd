/* test_picture.c: grids of images, read back with libpng. */
#include "gdl.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

TestSuite(picture, .init = scratch_enter, .fini = scratch_leave);

/* A PNG file as bytes of grey or of red, green, blue. */
static png_bytep read_png(const char *path, size_t *height, size_t *width, unsigned format) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    cr_assert(png_image_begin_read_from_file(&image, path), "%s", image.message);
    image.format = format;
    png_bytep pixels = malloc(PNG_IMAGE_SIZE(image));
    cr_assert(png_image_finish_read(&image, NULL, pixels, 0, NULL), "%s", image.message);
    *height = image.height;
    *width = image.width;
    return pixels;
}

/* Tiles of 2 x 3 with gaps of 2: three images in two columns, inputs above outputs. */
Test(picture, places_every_tile) {
    float inputs[3][6], outputs[3][6];
    for (int i = 0; i < 18; i++) {
        inputs[i / 6][i % 6] = (float)i / 255;
        outputs[i / 6][i % 6] = (float)(100 + i) / 255;
    }
    const float *const sets[] = {inputs[0], outputs[0]};
    gdl_grid grid = {.count = 3, .height = 2, .width = 3, .channels = 1, .sets = 2, .set = sets, .columns = 2, .low = 0, .high = 1};
    gdl_error error = {""};
    size_t height, width;
    cr_assert_eq(gdl_grid_write(&grid, "a.png", &error), 0, "%s", error.text);
    png_bytep pixels = read_png("a.png", &height, &width, PNG_FORMAT_GRAY);
    cr_assert_eq(height, 4 * (2 + 2) + 2);
    cr_assert_eq(width, 2 * (3 + 2) + 2);
    for (size_t image = 0; image < 3; image++)
        for (size_t set = 0; set < 2; set++)
            for (size_t p = 0; p < 6; p++) {
                size_t y = 2 + (image / 2 * 2 + set) * 4 + p / 3, x = 2 + image % 2 * 5 + p % 3;
                cr_expect_eq(pixels[y * width + x], set * 100 + image * 6 + p, "image %zu of set %zu, pixel %zu", image, set, p);
            }
    cr_expect_eq(pixels[0], 255, "the gap is white");
    cr_expect_eq(pixels[(2 + 2 * 4) * width + 2 + 5], 255, "the place without an image is white");
    free(pixels);
}

Test(picture, range_zoom_and_what_is_not_a_number) {
    const float values[] = {-1, 0, 1, 2, -7, NAN};
    const float *const sets[] = {values};
    gdl_grid grid = {.count = 1, .height = 2, .width = 3, .channels = 1, .sets = 1, .set = sets, .zoom = 3, .low = -1, .high = 1};
    static const png_byte expected[] = {0, 128, 255, 255, 0, 0};
    size_t height, width;
    cr_assert_eq(gdl_grid_write(&grid, "a.png", NULL), 0);
    png_bytep pixels = read_png("a.png", &height, &width, PNG_FORMAT_GRAY);
    cr_assert_eq(height, 2 * 3 + 4);
    cr_assert_eq(width, 3 * 3 + 4);
    for (size_t y = 0; y < 6; y++)
        for (size_t x = 0; x < 9; x++) cr_expect_eq(pixels[(y + 2) * width + x + 2], expected[y / 3 * 3 + x / 3]);
    free(pixels);
}

Test(picture, colours) {
    const float values[] = {1, 0, 0, 0, 1, 0};
    const float *const sets[] = {values};
    gdl_grid grid = {.count = 1, .height = 1, .width = 2, .channels = 3, .sets = 1, .set = sets, .low = 0, .high = 1};
    size_t height, width;
    cr_assert_eq(gdl_grid_write(&grid, "a.png", NULL), 0);
    png_bytep pixels = read_png("a.png", &height, &width, PNG_FORMAT_RGB);
    cr_expect_arr_eq(pixels + (2 * width + 2) * 3, ((png_byte[]){255, 0, 0, 0, 255, 0}), 6);
    free(pixels);
}

Test(picture, columns_make_it_about_square) {
    static const float blank[12 * 16];
    const float *const sets[] = {blank, blank};
    gdl_grid grid = {.count = 12, .height = 4, .width = 4, .channels = 1, .sets = 1, .set = sets, .low = 0, .high = 1};
    size_t height, width;
    cr_assert_eq(gdl_grid_write(&grid, "a.png", NULL), 0);
    free(read_png("a.png", &height, &width, PNG_FORMAT_GRAY));
    cr_expect_eq(width, 4 * 6 + 2);
    cr_expect_eq(height, 3 * 6 + 2);
    grid.count = 2;
    grid.columns = 7; /* more than there are */
    cr_assert_eq(gdl_grid_write(&grid, "a.png", NULL), 0);
    free(read_png("a.png", &height, &width, PNG_FORMAT_GRAY));
    cr_expect_eq(height, 6 + 2);
}

Test(picture, refusals) {
    static const float blank[16];
    const float *const sets[] = {blank};
    gdl_grid grid = {.count = 1, .height = 4, .width = 2, .channels = 2, .sets = 1, .set = sets, .low = 0, .high = 1};
    gdl_error error = {""};
    cr_expect_eq(gdl_grid_write(&grid, "a.png", &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "channels"), "%s", error.text);
    grid.channels = 1;
    cr_expect_eq(gdl_grid_write(&grid, "nowhere/a.png", &error), GDL_FAILED);
    cr_expect_eq(gdl_grid_write(&grid, "/dev/full", &error), GDL_FAILED);
    grid.zoom = SIZE_MAX / 4;
    cr_expect_eq(gdl_grid_write(&grid, "a.png", &error), GDL_FAILED, "a picture that does not fit in memory");
}

Test(picture, which_ports_are_images) {
    static const size_t flat[] = {784}, odd[] = {10}, rgb[] = {5, 6, 3}, two[] = {5, 6, 2}, grey[] = {5, 6, 1};
    const gdl_port ports[] = {{"flat", 1, flat, 784, 0, NULL}, {"rgb", 3, rgb, 90, 0, NULL}, {"grey", 3, grey, 30, 0, NULL},
                              {"odd", 1, odd, 10, 0, NULL},    {"two", 3, two, 60, 0, NULL}, {"label", 0, NULL, 1, 10, NULL}};
    static const size_t expected[][3] = {{28, 28, 1}, {5, 6, 3}, {5, 6, 1}};
    for (size_t p = 0; p < 6; p++) {
        size_t found[3];
        cr_assert_eq(gdl_image_size(&ports[p], &found[0], &found[1], &found[2]), p < 3, "%s", ports[p].name);
        if (p < 3) cr_expect_arr_eq(found, expected[p], sizeof found);
    }
}

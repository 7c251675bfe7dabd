/* test_folder.c: folders of PNG pictures as data. */
#include "gdl.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void enter(void) {
    scratch_enter();
    cr_assert_eq(mkdir("pictures", 0700), 0);
}

TestSuite(folder, .init = enter, .fini = scratch_leave);

static const size_t grey_shape[] = {2, 3}, colour_shape[] = {2, 3, 3}, flat_shape[] = {7};
static const gdl_port grey = {"x", 2, grey_shape, 6, 0, NULL}, colour = {"x", 3, colour_shape, 18, 0, NULL};

/* Of 2 rows and `width` columns; each value is the one before and 10 more. */
static void write_picture(const char *path, unsigned width, unsigned format, unsigned char first) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = 2, .format = format};
    unsigned char values[64];
    for (size_t i = 0; i < sizeof values; i++)
        values[i] = (unsigned char)(first + 10 * i);
    cr_assert(png_image_write_to_file(&image, path, 0, values, 0, NULL), "%s", image.message);
}

static void expect_error(const char *path, const gdl_port *port, const char *phrase) {
    gdl_array array;
    gdl_error error;
    cr_assert_eq(gdl_folder_read(&array, path, port, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
    cr_expect_null(array.values);
}

static gdl_array expect_read(const char *path, const gdl_port *port) {
    gdl_array array;
    gdl_error error = {""};
    cr_assert_eq(gdl_folder_read(&array, path, port, &error), 0, "%s", error.text);
    cr_expect_eq(array.type, GDL_U8);
    cr_expect_eq(array.rank, 4);
    return array;
}

Test(folder, pictures_come_in_the_order_of_their_names) {
    write_picture("pictures/b.png", 3, PNG_FORMAT_GRAY, 2);
    write_picture("pictures/a.PNG", 3, PNG_FORMAT_GRAY, 1);
    write_picture("pictures/c.png", 3, PNG_FORMAT_GRAY, 3);
    write_file("pictures/readme.txt", "no picture", 10);
    write_file("pictures/.hidden.png", "no picture", 10);
    gdl_array array = expect_read("pictures/", &grey);
    cr_expect_eq(array.shape[0], 3);
    cr_expect_eq(array.size, 18);
    for (size_t i = 0; i < array.size; i++)
        cr_expect_eq(((uint8_t *)array.values)[i], i / 6 + 1 + 10 * (i % 6), "value %zu", i);
    gdl_array_free(&array);
}

Test(folder, grey_or_colour_as_the_port_asks) {
    write_picture("pictures/a.png", 3, PNG_FORMAT_GRAY, 1);
    gdl_array array = expect_read("pictures", &colour);
    for (size_t i = 0; i < array.size; i++)
        cr_expect_eq(((uint8_t *)array.values)[i], 1 + 10 * (i / 3), "value %zu", i);
    gdl_array_free(&array);

    write_picture("pictures/a.png", 3, PNG_FORMAT_RGB, 61);
    array = expect_read("pictures", &colour);
    for (size_t i = 0; i < array.size; i++)
        cr_expect_eq(((uint8_t *)array.values)[i], 61 + 10 * i, "value %zu", i);
    gdl_array_free(&array);

    array = expect_read("pictures", &grey); /* between the darkest and the brightest of its colours */
    for (size_t i = 0; i < array.size; i++)
        cr_expect(((uint8_t *)array.values)[i] > 61 + 30 * i && ((uint8_t *)array.values)[i] < 81 + 30 * i, "value %zu", i);
    gdl_array_free(&array);
}

Test(folder, what_cannot_be_read) {
    const gdl_port flat = {"x", 1, flat_shape, 7, 0, NULL}, label = {"label", 0, NULL, 1, 10, NULL};
    expect_error("absent", &grey, "absent cannot be read: No such file");
    expect_error("pictures", &grey, "pictures holds no pictures");
    expect_error("pictures", &flat, "x takes [7]");
    expect_error("pictures", &label, "label takes class labels");
    write_picture("pictures/a.png", 3, PNG_FORMAT_GRAY, 1);
    write_picture("pictures/b.png", 4, PNG_FORMAT_GRAY, 1);
    expect_error("pictures", &grey, "pictures/b.png: a picture of 3 x 2 pixels is expected (width x height), but it has 4 x 2");
    write_file("pictures/b.png", "no picture", 10);
    expect_error("pictures", &grey, "pictures/b.png cannot be read: ");
}

Test(folder, a_damaged_picture_is_named) {
    size_t size;
    write_picture("pictures/a.png", 3, PNG_FORMAT_GRAY, 1);
    char *bytes = read_file("pictures/a.png", &size);
    write_file("pictures/a.png", bytes, size - 20);
    free(bytes);
    expect_error("pictures", &grey, "pictures/a.png is damaged: ");
}

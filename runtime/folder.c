/* folder.c: a folder of PNG pictures as an array of images. */
#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool gdl_is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int is_picture(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 4 && strcasecmp(entry->d_name + length - 4, ".png") == 0;
}

static void free_entries(struct dirent **entries, int count) {
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

/* What is transparent is black. */
static int read_picture(const char *path, const size_t *shape, uint8_t *values, gdl_error *error) {
    const png_color black = {0, 0, 0};
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path))
        return gdl_fail(error, "%s cannot be read: %s", path, image.message);
    if (image.height != shape[0] || image.width != shape[1]) {
        png_image_free(&image);
        return gdl_fail(error, "%s: a picture of %zu x %zu pixels is expected (width x height), but it has %u x %u", path, shape[1], shape[0],
                        (unsigned)image.width, (unsigned)image.height);
    }
    image.format = shape[2] == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    return png_image_finish_read(&image, &black, values, 0, NULL) ? 0 : gdl_fail(error, "%s is damaged: %s", path, image.message);
}

static int read_entry(const gdl_array *array, const char *name, uint8_t *values, gdl_error *error) {
    size_t length = strlen(array->path), room = length + strlen(name) + 2;
    char *path = malloc(room);
    if (!path)
        return gdl_fail(error, "%s: no memory for the name of %s", array->path, name);
    snprintf(path, room, "%s%s%s", array->path, array->path[length - 1] == '/' ? "" : "/", name);
    int result = read_picture(path, array->shape + 1, values, error);
    free(path);
    return result;
}

/* array: its path, and the shape without the number of pictures. */
static int read_entries(gdl_array *array, struct dirent **entries, size_t count, gdl_error *error) {
    const size_t picture = array->shape[1] * array->shape[2] * array->shape[3];
    array->shape[0] = array->size = count;
    if (!gdl_multiply(&array->size, picture) || !(array->values = malloc(array->size)))
        return gdl_fail(error, "%s: no memory for %zu pictures of %zu bytes", array->path, count, picture);
    for (size_t i = 0; i < count; i++)
        if (read_entry(array, entries[i]->d_name, (uint8_t *)array->values + i * picture, error))
            return GDL_FAILED;
    return 0;
}

static int read_folder(gdl_array *array, const gdl_port *port, gdl_error *error) {
    char shape[160];
    struct dirent **entries;
    if (!gdl_image_size(port, &array->shape[1], &array->shape[2], &array->shape[3]))
        return gdl_fail(error, "%s: a folder of pictures is for images, but %s takes %s", array->path, port->name,
                        port->classes ? "class labels" : gdl_shape_text(shape, sizeof shape, port->rank, port->shape));
    int count = scandir(array->path, &entries, is_picture, alphasort);
    if (count < 0)
        return gdl_fail(error, "%s cannot be read: %s", array->path, strerror(errno));
    int result = count ? read_entries(array, entries, (size_t)count, error)
                       : gdl_fail(error, "%s holds no pictures: files whose names end with .png are expected", array->path);
    free_entries(entries, count);
    return result;
}

int gdl_folder_read(gdl_array *array, const char *path, const gdl_port *port, gdl_error *error) {
    *array = (gdl_array){.path = strdup(path), .type = GDL_U8, .rank = 4};
    int result = array->path ? read_folder(array, port, error) : gdl_fail(error, "%s: no memory for its name", path);
    if (result)
        gdl_array_free(array);
    return result;
}

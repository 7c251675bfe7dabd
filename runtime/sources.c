/* sources.c: the files that --data and --valid name, read once and bound to the inputs of whatever needs them. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

static Source *find_named(const Sources *sources, const char *name, size_t length) {
    for (Source *s = sources->items; s < sources->items + sources->count; s++)
        if (s->length == length && strncmp(s->name, name, length) == 0)
            return s;
    return NULL;
}

static int read_source(const Sources *sources, Source *source, const char *argument, gdl_error *error) {
    const char *path;
    *source = (Source){.name = argument, .length = option_name(argument, &path)};
    if (source->length && find_named(sources, argument, source->length))
        return gdl_fail(error, "%s %s: a file for %.*s was given before; each input has one", sources->option, argument,
                        (int)source->length, argument);
    if (gdl_is_folder(path))
        source->folder = path;
    return source->folder ? 0 : gdl_array_read(&source->array, path, error);
}

int sources_read(Sources *sources, const char *option, const Texts *arguments, gdl_error *error) {
    *sources = (Sources){.option = option, .items = calloc(arguments->count + 1, sizeof *sources->items)};
    if (!sources->items)
        return gdl_fail(error, "no memory for the names of %zu files", arguments->count);
    for (; sources->count < arguments->count; sources->count++)
        if (read_source(sources, &sources->items[sources->count], arguments->items[sources->count], error)) {
            sources_free(sources);
            return GDL_FAILED;
        }
    return 0;
}

void sources_free(Sources *sources) {
    for (size_t i = 0; i < sources->count; i++)
        gdl_array_free(&sources->items[i].array);
    free(sources->items);
    *sources = (Sources){0};
}

/* The file for a port: the one of its name; where there is one port and one file, that file if it has no name. */
static Source *find(const Sources *sources, const gdl_port *port, size_t inputs) {
    bool clear = inputs == 1 && sources->count == 1 && sources->items[0].length == 0;
    return clear ? &sources->items[0] : find_named(sources, port->name, strlen(port->name));
}

static int find_all(Sources *sources, const char *whose, const gdl_port *port, size_t inputs, const gdl_array **array,
                    gdl_error *error) {
    for (size_t i = 0; i < inputs; i++) {
        Source *source = find(sources, &port[i], inputs);
        if (!source)
            return gdl_fail(error, "%s needs examples of its input %s: %s %s=FILE", whose, port[i].name,
                            sources->option, port[i].name);
        source->used = true;
        if (source->folder && !source->array.values && gdl_folder_read(&source->array, source->folder, &port[i], error))
            return GDL_FAILED;
        array[i] = &source->array;
    }
    return 0;
}

int sources_bind(Sources *sources, const char *whose, const gdl_port *port, size_t inputs, gdl_data *data,
                 gdl_error *error) {
    const gdl_array **array = calloc(inputs + 1, sizeof *array);
    if (!array)
        return gdl_fail(error, "no memory for %zu inputs", inputs);
    int result = find_all(sources, whose, port, inputs, array, error);
    if (!result)
        result = gdl_data_bind(data, port, inputs, array, error);
    free(array);
    return result;
}

int sources_check_used(const Sources *sources, const char *names, gdl_error *error) {
    for (const Source *s = sources->items; s < sources->items + sources->count; s++)
        if (!s->used)
            return gdl_fail(error, "%s %s is for no input here; the inputs are: %s", sources->option, s->name, names);
    return 0;
}

/* sample.c: some of the examples of a data set: ranges for splits, the first few, equally many of each class. */
#include "runtime.h"

#include <stdlib.h>

int gdl_sample_range(gdl_sample *sample, const gdl_data *data, size_t first, size_t count, gdl_error *error) {
    *sample = (gdl_sample){.data = data, .count = count, .index = calloc(count ? count : 1, sizeof *sample->index)};
    if (!sample->index)
        return gdl_fail(error, "no memory for the order of %zu examples", count);
    for (size_t i = 0; i < count; i++)
        sample->index[i] = first + i;
    return 0;
}

void gdl_sample_free(gdl_sample *sample) {
    free(sample->index);
    *sample = (gdl_sample){0};
}

/* The first input that is one label for each example; data->inputs where there is none. */
static size_t label_input(const gdl_data *data) {
    size_t i = 0;
    while (i < data->inputs && !(data->port[i].classes && data->port[i].size == 1))
        i++;
    return i;
}

bool gdl_has_labels(const gdl_data *data) { return label_input(data) < data->inputs; }

/* Keeps, in order, the first examples of each class as long as its quota lasts. Returns how many. */
static size_t keep_quotas(gdl_sample *sample, const gdl_array *labels, size_t *quota) {
    size_t kept = 0;
    for (size_t i = 0; i < sample->count; i++) {
        size_t *left = &quota[gdl_array_integer(labels, sample->index[i])];
        if (*left > 0) {
            --*left;
            sample->index[kept++] = sample->index[i];
        }
    }
    return kept;
}

static int limit_balanced(gdl_sample *sample, size_t limit, gdl_error *error) {
    size_t input = label_input(sample->data);
    if (input == sample->data->inputs)
        return gdl_fail(error, "a balanced limit needs an input of class labels, but there is none here; try naming the stages that have one");
    size_t classes = sample->data->port[input].classes;
    size_t *quota = calloc(classes, sizeof *quota);
    if (!quota)
        return gdl_fail(error, "no memory for the counts of %zu classes", classes);
    for (size_t c = 0; c < classes; c++)
        quota[c] = limit / classes + (c < limit % classes);
    const gdl_array *labels = sample->data->array[input];
    sample->count = keep_quotas(sample, labels, quota);
    int result = 0;
    for (size_t c = 0; c < classes && !result; c++)
        if (quota[c])
            result =
                gdl_fail(error, "%s: a balanced limit of %zu asks for %zu more examples of class %zu than there are",
                         labels->path, limit, quota[c], c);
    free(quota);
    return result;
}

int gdl_sample_limit(gdl_sample *sample, size_t limit, int balanced, gdl_error *error) {
    if (balanced)
        return limit_balanced(sample, limit, error);
    if (limit < sample->count)
        sample->count = limit;
    return 0;
}

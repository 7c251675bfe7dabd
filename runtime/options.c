/* options.c: values of options, and what the help of all commands shares. */
#define _DEFAULT_SOURCE /* argp */
#include "trainer.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ── Values of options ── */

size_t parse_count(struct argp_state *state, const char *option, const char *text, size_t least) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > SIZE_MAX)
        argp_error(state, "%s expects a whole number of at least %zu, but found '%s'", option, least, text);
    return (size_t)value;
}

uint64_t parse_seed(struct argp_state *state, const char *text) {
    return (uint64_t)parse_count(state, "--seed", text, 0);
}

double parse_number(struct argp_state *state, const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= -1e30 && value <= 1e30))
        argp_error(state, "%s expects a number, but found '%s'", option, text);
    return value;
}

double parse_positive(struct argp_state *state, const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 1e30))
        argp_error(state, "%s expects a number above 0, but found '%s'", option, text);
    return value;
}

void parse_pair(struct argp_state *state, const char *option, const char *text, float *low, float *high) {
    char *comma, *end;
    *low = strtof(text, &comma);
    *high = *comma == ',' ? strtof(comma + 1, &end) : *low;
    if (*comma != ',' || end == comma + 1 || *end || !(*low < *high))
        argp_error(state, "%s expects two numbers, the lower first, such as -1,1, but found '%s'", option, text);
}

bool texts_create(Texts *texts, int room) {
    *texts = (Texts){.items = calloc((size_t)room + 1, sizeof *texts->items)};
    return texts->items != NULL;
}

void texts_add(Texts *texts, const char *text) { texts->items[texts->count++] = text; }

size_t option_name(const char *text, const char **rest) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    if (text[length] != '=' || isdigit((unsigned char)*text))
        length = 0;
    *rest = length ? text + length + 1 : text;
    return length;
}

char *describe(int key, const char *text, const gdl_model *model, void (*print)(const gdl_model *model, FILE *to)) {
    char *described = NULL;
    size_t size = 0;
    FILE *to = key == ARGP_KEY_HELP_POST_DOC ? open_memstream(&described, &size) : NULL;
    if (!to)
        return (char *)text; /* unchanged; argp's interface has it so */
    fprintf(to, "In %s:\n", model->name);
    print(model, to);
    fclose(to);
    return described;
}

/* ── What they ask for ── */

static void use_threads(const gdl_model *model, void *instance, size_t wanted) {
    const int used = wanted > 1 ? gdl_threads(model, instance, wanted) : 1;
    if (wanted > (size_t)used)
        fprintf(stderr, "note: %s computes with %d thread%s, not %zu\n", model->name, used, used == 1 ? "" : "s", wanted);
}

void *create_instance(const gdl_model *model, size_t batch, uint64_t seed, size_t threads, gdl_error *error) {
    size_t capacity = batch ? batch : model->batch, size = model->memory(capacity);
    void *instance = gdl_create(model, batch, seed);
    if (instance)
        use_threads(model, instance, threads);
    else if (size)
        gdl_fail(error, "no memory for %s with batches of %zu: %zu bytes; try a smaller --batch", model->name, capacity, size);
    else
        gdl_fail(error, "%s cannot be made for batches of %zu; try a smaller --batch", model->name, capacity);
    return instance;
}

/* command_inspect.c: `inspect`: how the units of a net's or export's output are used over many examples, as a table, and the
 * inputs that activate each unit most, as a picture. A unit is one value of the output. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 10, MADE = 1000, NAME = 64 };

/* What a unit does over the examples. */
typedef struct Unit {
    double mean, deviation;     /* the population's standard deviation */
    double low, high;
    double below;               /* share of the examples in which it is below the threshold */
    size_t bin[BINS];           /* examples in each part of the range of all units */
} Unit;

typedef struct Inspection {
    const InspectOptions *options;
    Call call;
    size_t output;              /* that is looked at */
    const gdl_port *port;       /* of it, with the shape that it has for these data */
    const float *value;         /* of it: [n, units] */
    Unit *unit;
    size_t units;
    double low, high;           /* of all units */
    size_t image;               /* the input to show; the number of inputs where there is none */
} Inspection;

/* ── What is asked for ── */

static size_t first_image(const gdl_function *function) {
    size_t i = 0, height, width, channels;
    while (i < function->inputs && !gdl_image_size(&function->input[i], &height, &width, &channels))
        i++;
    return i;
}

static int choose_output(Inspection *inspection, gdl_error *error) {
    const gdl_function *function = inspection->call.function;
    const char *name = inspection->options->output ? inspection->options->output : "";
    if (call_find_output(&inspection->call, "--output", name, strlen(name), &inspection->output, error))
        return GDL_FAILED;
    inspection->image = first_image(function);
    if (inspection->options->out && inspection->image == function->inputs)
        return gdl_fail(error, "--out %s: the inputs that activate a unit are shown as images, but no input of %s is one",
                        inspection->options->out, function->name);
    return 0;
}

static int compute(Inspection *inspection, gdl_error *error) {
    Call *call = &inspection->call;
    size_t asked = call->options->count, there = call->function->inputs ? call->data.count : asked ? asked : MADE;
    size_t n = asked && asked < there ? asked : there;
    if (inspection->options->top > n)
        return gdl_fail(error, "--top %zu asks for more than the %zu examples that there are", inspection->options->top, n);
    if (call_compute(call, n, error))
        return GDL_FAILED;
    inspection->port = &call->output_port[inspection->output];
    inspection->units = inspection->port->size;
    inspection->value = call->output[inspection->output];
    return 0;
}

/* ── Statistics ── */

static void measure_moments(Unit *unit, const float *value, size_t n, size_t stride, double threshold) {
    double sum = 0, squares = 0;
    size_t below = 0;
    unit->low = unit->high = (double)value[0];
    for (size_t i = 0; i < n; i++) {
        double v = (double)value[i * stride];
        sum += v;
        unit->low = v < unit->low ? v : unit->low;
        unit->high = v > unit->high ? v : unit->high;
        below += v < threshold;
    }
    unit->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double from_mean = (double)value[i * stride] - unit->mean;
        squares += from_mean * from_mean;
    }
    unit->deviation = sqrt(squares / (double)n);
    unit->below = (double)below / (double)n;
}

static void fill_bins(Unit *unit, const float *value, size_t n, size_t stride, double low, double high) {
    for (size_t i = 0; i < n; i++) {
        double place = high > low ? ((double)value[i * stride] - low) / (high - low) * BINS : 0;
        ++unit->bin[place < BINS ? (size_t)place : BINS - 1];
    }
}

static int check_finite(const Inspection *inspection, gdl_error *error) {
    size_t values = inspection->call.n * inspection->units;
    for (size_t i = 0; i < values; i++)
        if (!isfinite(inspection->value[i]))
            return gdl_fail(error, "%s: unit %zu of %s is %g for example %zu (both counted from 0): there are no statistics of that",
                            inspection->call.function->name, i % inspection->units, inspection->port->name,
                            (double)inspection->value[i], i / inspection->units);
    return 0;
}

static int measure(Inspection *inspection, gdl_error *error) {
    size_t n = inspection->call.n, units = inspection->units;
    if (check_finite(inspection, error))
        return GDL_FAILED;
    inspection->unit = calloc(units, sizeof *inspection->unit);
    if (!inspection->unit)
        return gdl_fail(error, "no memory for the statistics of %zu units", units);
    for (size_t u = 0; u < units; u++) {
        Unit *unit = &inspection->unit[u];
        measure_moments(unit, inspection->value + u, n, units, inspection->options->threshold);
        inspection->low = u == 0 || unit->low < inspection->low ? unit->low : inspection->low;
        inspection->high = u == 0 || unit->high > inspection->high ? unit->high : inspection->high;
    }
    for (size_t u = 0; u < units; u++)
        fill_bins(&inspection->unit[u], inspection->value + u, n, units, inspection->low, inspection->high);
    return 0;
}

/* ── The table ── */

/* "7", or "3,12" where the output has several axes. */
static const char *unit_name(char name[NAME], const gdl_port *port, size_t unit) {
    size_t length = 0, below = port->size;
    name[0] = '\0';
    for (size_t axis = 0; axis < port->rank && length < NAME; axis++) {
        below /= port->shape[axis];
        length += (size_t)snprintf(name + length, NAME - length, "%s%zu", axis ? "," : "", unit / below % port->shape[axis]);
    }
    return port->rank ? name : "0";
}

/* A bar of eighths for each bin, the fullest of the unit as the highest. A bin that holds anything is seen. */
static void print_bins(const Unit *unit, FILE *to) {
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t most = 0;
    for (size_t b = 0; b < BINS; b++)
        most = unit->bin[b] > most ? unit->bin[b] : most;
    for (size_t b = 0; b < BINS; b++)
        fputs(bars[(size_t)ceil((double)unit->bin[b] / (double)most * 8)], to);
}

static void print_table(const Inspection *inspection, FILE *to) {
    char name[NAME], below[NAME];
    snprintf(below, sizeof below, "<%g", inspection->options->threshold);
    fprintf(to, "%8s %10s %10s %10s %10s %7s  histogram from %g to %g\n", "unit", "mean", "sd", "min", "max", below,
            inspection->low, inspection->high);
    for (size_t u = 0; u < inspection->units; u++) {
        const Unit *unit = &inspection->unit[u];
        fprintf(to, "%8s %10.4g %10.4g %10.4g %10.4g %5.1f %%  |", unit_name(name, inspection->port, u), unit->mean,
                unit->deviation, unit->low, unit->high, 100 * unit->below);
        print_bins(unit, to);
        fprintf(to, "|\n");
    }
}

static void print_summary(const Inspection *inspection, FILE *to) {
    double least = (double)inspection->options->least, most = (double)inspection->options->most, sum = 0;
    size_t units = inspection->units, inside = 0;
    for (size_t u = 0; u < units; u++) {
        double mean = inspection->unit[u].mean;
        sum += mean;
        inside += mean >= least && mean <= most;
    }
    fprintf(to, "\n%zu units, %zu examples, overall mean %.4g\n", units, inspection->call.n, sum / (double)units);
    fprintf(to, "%zu of %zu units (%.1f %%) have a mean activation between %g and %g\n", inside, units,
            100 * (double)inside / (double)units, least, most);
}

static int write_csv(const Inspection *inspection, gdl_error *error) {
    gdl_output output;
    char name[NAME];
    if (gdl_output_open(&output, inspection->options->csv, error))
        return GDL_FAILED;
    fprintf(output.file, "unit,mean,sd,min,max,below");
    for (int b = 0; b < BINS; b++)
        fprintf(output.file, ",bin_%d", b);
    fprintf(output.file, "\n");
    for (size_t u = 0; u < inspection->units; u++) {
        const Unit *unit = &inspection->unit[u];
        fprintf(output.file, inspection->port->rank > 1 ? "\"%s\"" : "%s", unit_name(name, inspection->port, u));
        fprintf(output.file, ",%.9g,%.9g,%.9g,%.9g,%.9g", unit->mean, unit->deviation, unit->low, unit->high, unit->below);
        for (int b = 0; b < BINS; b++)
            fprintf(output.file, ",%zu", unit->bin[b]);
        fprintf(output.file, "\n");
    }
    return gdl_output_commit(&output, error);
}

/* ── The picture ── */

/* The examples with the largest values of a unit, the largest first; of equal ones, the first. */
static void find_top(const float *value, size_t n, size_t stride, size_t *top, size_t count) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        float v = value[i * stride];
        size_t place = found < count ? found++ : count;
        while (place > 0 && v > value[top[place - 1] * stride]) {
            if (place < count)
                top[place] = top[place - 1];
            place--;
        }
        if (place < count)
            top[place] = i;
    }
}

static void gather_top(const Inspection *inspection, const float *images, size_t image_size, size_t *top, float *to) {
    size_t count = inspection->options->top;
    for (size_t u = 0; u < inspection->units; u++) {
        find_top(inspection->value + u, inspection->call.n, inspection->units, top, count);
        for (size_t k = 0; k < count; k++, to += image_size)
            memcpy(to, images + top[k] * image_size, image_size * sizeof *to);
    }
}

static int write_picture(const Inspection *inspection, gdl_error *error) {
    const InspectOptions *options = inspection->options;
    const gdl_port *port = &inspection->call.data.port[inspection->image];
    size_t count = inspection->units * options->top;
    float *images = calloc(count, port->size * sizeof *images);
    size_t *top = calloc(options->top, sizeof *top);
    const float *const set[] = {images};
    gdl_grid grid = {.count = count, .sets = 1, .set = set, .columns = options->top, .zoom = options->tile.zoom,
                     .low = options->tile.low, .high = options->tile.high};
    int result = images && top ? 0 : gdl_fail(error, "%s: no memory for %zu images", options->out, count);
    if (!result) {
        gdl_image_size(port, &grid.height, &grid.width, &grid.channels);
        gather_top(inspection, inspection->call.input[inspection->image], port->size, top, images);
        result = gdl_grid_write(&grid, options->out, error);
    }
    free(images);
    free(top);
    return result;
}

/* ── The command ── */

static int show(const Inspection *inspection, gdl_error *error) {
    print_table(inspection, stdout);
    print_summary(inspection, stdout);
    if (fflush(stdout))
        return gdl_fail(error, "the table could not be written to standard output");
    if (inspection->options->csv && write_csv(inspection, error))
        return GDL_FAILED;
    return inspection->options->out ? write_picture(inspection, error) : 0;
}

int command_inspect(int argc, char **argv, const gdl_model *model, gdl_error *error) {
    InspectOptions options;
    Inspection inspection = {.options = &options};
    if (inspect_options_parse(&options, model, argc, argv, error))
        return GDL_FAILED;
    bool failed = call_open(&inspection.call, &options.call, error) || choose_output(&inspection, error) ||
                  call_read(&inspection.call, NULL, error) || compute(&inspection, error) || measure(&inspection, error) ||
                  show(&inspection, error);
    call_close(&inspection.call);
    free(inspection.unit);
    inspect_options_free(&options);
    return failed ? GDL_FAILED : 0;
}

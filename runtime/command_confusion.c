/* command_confusion.c: `confusion`: the classes that a net or export predicts beside the true ones, as a table.
 *
 * A prediction is the place of the largest value of the output, the first of equal ones. The true classes are data of the command's
 * own, under the name `label`. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>

typedef struct Confusion {
    const ConfusionOptions *options;
    Call call;
    size_t classes;
    size_t *count;              /* [true class, predicted class]: examples */
} Confusion;

/* ── Counting ── */

static int check_function(Confusion *confusion, gdl_error *error) {
    char shape[160];
    const gdl_function *function = confusion->call.function;
    if (function->inputs == 0)
        return gdl_fail(error, "%s makes its examples itself: there are no true classes to compare with", function->name);
    if (function->outputs != 1 || function->output[0].size < 2 || function->output[0].extent)
        return gdl_fail(error, "a function with one output that has a value for each class is expected, but %s gives %s%s", function->name,
                        function->outputs == 1 ? "shape " : "several outputs",
                        function->outputs == 1 ? gdl_port_text(shape, sizeof shape, &function->output[0]) : "");
    confusion->classes = function->output[0].size;
    return 0;
}

static int read_labelled(Confusion *confusion, gdl_error *error) {
    const gdl_port label = {.name = "label", .size = 1, .classes = confusion->classes};
    return call_read(&confusion->call, &label, error);
}

static int compute(Confusion *confusion, gdl_error *error) {
    Call *call = &confusion->call;
    size_t asked = call->options->count;
    return call_compute(call, asked && asked < call->data.count ? asked : call->data.count, error);
}

static int predict(const float *value, size_t classes, size_t *class) {
    *class = 0;
    for (size_t c = 0; c < classes; c++) {
        if (isnan(value[c]))
            return GDL_FAILED;
        *class = value[c] > value[*class] ? c : *class;
    }
    return 0;
}

static int count(Confusion *confusion, gdl_error *error) {
    const Call *call = &confusion->call;
    const float *value = call->output[0];
    const int32_t *label = call->input[call->function->inputs];
    confusion->count = calloc(confusion->classes, confusion->classes * sizeof *confusion->count);
    if (!confusion->count)
        return gdl_fail(error, "no memory for a table of %zu classes", confusion->classes);
    for (size_t i = 0; i < call->n; i++) {
        size_t predicted;
        if (predict(value + i * confusion->classes, confusion->classes, &predicted))
            return gdl_fail(error, "%s gives values that are no numbers for example %zu (counted from 0)", call->function->name, i);
        ++confusion->count[(size_t)label[i] * confusion->classes + predicted];
    }
    return 0;
}

/* ── Showing ── */

static size_t examples_of(const Confusion *confusion, size_t class) {
    size_t sum = 0;
    for (size_t p = 0; p < confusion->classes; p++)
        sum += confusion->count[class * confusion->classes + p];
    return sum;
}

static size_t right_of(const Confusion *confusion, size_t class) { return confusion->count[class * (confusion->classes + 1)]; }

static void print_row(const Confusion *confusion, size_t class, FILE *to) {
    size_t examples = examples_of(confusion, class);
    fprintf(to, "%16zu", class);
    for (size_t p = 0; p < confusion->classes; p++)
        fprintf(to, " %6zu", confusion->count[class * confusion->classes + p]);
    if (examples)
        fprintf(to, "  %6.1f %%\n", 100 * (double)right_of(confusion, class) / (double)examples);
    else
        fprintf(to, "  %8s\n", "-");
}

static int print_table(const Confusion *confusion, FILE *to, gdl_error *error) {
    size_t right = 0, n = confusion->call.n;
    fprintf(to, "true \\ predicted");
    for (size_t p = 0; p < confusion->classes; p++)
        fprintf(to, " %6zu", p);
    fprintf(to, "  %8s\n", "recall");
    for (size_t c = 0; c < confusion->classes; c++) {
        print_row(confusion, c, to);
        right += right_of(confusion, c);
    }
    fprintf(to, "\naccuracy %.2f %%: %zu of %zu\n", 100 * (double)right / (double)n, right, n);
    return fflush(to) ? gdl_fail(error, "the table could not be written to standard output") : 0;
}

/* Recall is empty for a class without examples. */
static int write_csv(const Confusion *confusion, gdl_error *error) {
    gdl_output output;
    if (gdl_output_open(&output, confusion->options->csv, error))
        return GDL_FAILED;
    fprintf(output.file, "true");
    for (size_t p = 0; p < confusion->classes; p++)
        fprintf(output.file, ",predicted_%zu", p);
    fprintf(output.file, ",recall\n");
    for (size_t c = 0; c < confusion->classes; c++) {
        size_t examples = examples_of(confusion, c);
        fprintf(output.file, "%zu", c);
        for (size_t p = 0; p < confusion->classes; p++)
            fprintf(output.file, ",%zu", confusion->count[c * confusion->classes + p]);
        if (examples)
            fprintf(output.file, ",%.9g\n", (double)right_of(confusion, c) / (double)examples);
        else
            fprintf(output.file, ",\n");
    }
    return gdl_output_commit(&output, error);
}

int command_confusion(int argc, char **argv, const gdl_model *model, gdl_error *error) {
    ConfusionOptions options;
    Confusion confusion = {.options = &options};
    if (confusion_options_parse(&options, model, argc, argv, error))
        return GDL_FAILED;
    bool failed = call_open(&confusion.call, &options.call, error) || check_function(&confusion, error) ||
                  read_labelled(&confusion, error) || compute(&confusion, error) || count(&confusion, error) ||
                  print_table(&confusion, stdout, error) || (options.csv && write_csv(&confusion, error));
    call_close(&confusion.call);
    free(confusion.count);
    confusion_options_free(&options);
    return failed ? GDL_FAILED : 0;
}

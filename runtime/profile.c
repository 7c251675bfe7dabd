/* profile.c: where the time went, of a model that was compiled with `gdlc --profile`: a table for people, CSV for programs. */
#include "runtime.h"

#include <inttypes.h>
#include <stdlib.h>

static const double LEAST = 0.001; /* of the time, for a line in the table */

typedef struct Kernels {
    const gdl_kernel **items; /* those that ran, the longest first */
    size_t count;
    double seconds;           /* of all */
} Kernels;

static int longer(const void *a, const void *b) {
    const double x = (*(const gdl_kernel *const *)a)->seconds, y = (*(const gdl_kernel *const *)b)->seconds;
    return (x < y) - (x > y);
}

static int kernels_sorted(Kernels *kernels, const gdl_model *model, const void *instance, gdl_error *error) {
    size_t all = 0;
    *kernels = (Kernels){0};
    if (!model->profile)
        return gdl_fail(error, "%s counts no times: compile %s with gdlc --profile", model->name, model->source);
    const gdl_kernel *list = model->profile(instance);
    while (list[all].function)
        all++;
    kernels->items = malloc((all + 1) * sizeof(gdl_kernel *));
    if (!kernels->items)
        return gdl_fail(error, "no memory for a table of %zu kernels", all);
    for (const gdl_kernel *kernel = list; kernel->function; kernel++)
        if (kernel->calls) {
            kernels->items[kernels->count++] = kernel;
            kernels->seconds += kernel->seconds;
        }
    qsort(kernels->items, kernels->count, sizeof *kernels->items, longer);
    return 0;
}

/* Of a rate in 1e9 a second; "-" where nothing was counted. */
static void print_rate(double amount, double seconds, FILE *to) {
    if (amount > 0 && seconds > 0)
        fprintf(to, " %8.2f", 1e-9 * amount / seconds);
    else
        fprintf(to, " %8s", "-");
}

static void print_kernel(const gdl_kernel *kernel, double total, FILE *to) {
    fprintf(to, "%6.1f %% %10.2f %9" PRIu64 " %10.2f", total > 0 ? 100 * kernel->seconds / total : 0, 1e3 * kernel->seconds,
            kernel->calls, 1e6 * kernel->seconds / (double)kernel->calls);
    print_rate(kernel->flops, kernel->seconds, to);
    print_rate(kernel->bytes, kernel->seconds, to);
    fprintf(to, "  %-18s %-20s %s\n", kernel->place, kernel->function, kernel->name);
}

int gdl_profile_print(const gdl_model *model, const void *instance, FILE *to, gdl_error *error) {
    Kernels kernels;
    if (kernels_sorted(&kernels, model, instance, error))
        return GDL_FAILED;
    fprintf(to, "%8s %10s %9s %10s %8s %8s  %-18s %-20s %s\n", "share", "ms", "calls", "us a call", "GFLOP/s", "GB/s", "line",
            "function", "kernel");
    size_t shown = 0;
    double seconds = 0;
    for (; shown < kernels.count && kernels.items[shown]->seconds >= LEAST * kernels.seconds; shown++) {
        print_kernel(kernels.items[shown], kernels.seconds, to);
        seconds += kernels.items[shown]->seconds;
    }
    if (shown < kernels.count)
        fprintf(to, "%6.1f %% %10.2f in %zu more\n", 100 * (1 - seconds / kernels.seconds), 1e3 * (kernels.seconds - seconds),
                kernels.count - shown);
    fprintf(to, "%6.1f %% %10.2f in all kernels\n", 100.0, 1e3 * kernels.seconds);
    free(kernels.items);
    return 0;
}

int gdl_profile_write(const gdl_model *model, const void *instance, const char *path, gdl_error *error) {
    Kernels kernels;
    gdl_output output;
    if (kernels_sorted(&kernels, model, instance, error))
        return GDL_FAILED;
    int result = gdl_output_open(&output, path, error);
    if (!result) {
        fprintf(output.file, "function,kernel,line,calls,seconds,flops,bytes\n");
        for (size_t i = 0; i < kernels.count; i++) {
            const gdl_kernel *kernel = kernels.items[i];
            fprintf(output.file, "%s,\"%s\",%s,%" PRIu64 ",%.9g,%.17g,%.17g\n", kernel->function, kernel->name, kernel->place,
                    kernel->calls, kernel->seconds, kernel->flops, kernel->bytes);
        }
        result = gdl_output_commit(&output, error);
    }
    free(kernels.items);
    return result;
}

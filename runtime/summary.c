/* summary.c: a model as a table: its tensors by net, their counts, the memory it takes, its stages. */
#include "runtime.h"

#include <string.h>

/* The net that a tensor belongs to is the first part of its name. */
static size_t net_length(const gdl_tensor *tensor) { return strcspn(tensor->name, "."); }

static bool same_net(const gdl_tensor *a, const gdl_tensor *b) {
    return net_length(a) == net_length(b) && strncmp(a->name, b->name, net_length(a)) == 0;
}

static bool is_first_of_net(const gdl_model *model, size_t t) {
    for (size_t i = 0; i < t; i++)
        if (model->tensor[i].role != GDL_OPTIMIZER && same_net(&model->tensor[i], &model->tensor[t]))
            return false;
    return true;
}

static void print_net(const gdl_model *model, const gdl_tensor *first, FILE *to) {
    size_t total = 0;
    for (const gdl_tensor *t = first; t < model->tensor + model->tensors; t++) {
        char shape[160];
        if (t->role == GDL_OPTIMIZER || !same_net(t, first))
            continue;
        gdl_shape_text(shape, sizeof shape, t->rank, t->shape);
        fprintf(to, "  %-40s %-18s %12zu%s\n", t->name, shape, t->size, t->role == GDL_STATE ? "  not trained" : "");
        total += t->role == GDL_PARAM ? t->size : 0;
    }
    fprintf(to, "  %-59s %12zu\n", "", total);
}

static void print_ports(const gdl_port *port, size_t count, FILE *to) {
    char shape[160];
    for (size_t i = 0; i < count; i++) {
        fprintf(to, "%s%s: ", i ? ", " : "", port[i].name);
        if (port[i].classes)
            fprintf(to, "class[%zu]", port[i].classes);
        if (!port[i].classes || port[i].rank)
            fprintf(to, "%s", gdl_port_text(shape, sizeof shape, &port[i]));
    }
}

void gdl_print_stages(const gdl_model *model, FILE *to) {
    for (const gdl_stage *stage = model->stage; stage < model->stage + model->stages; stage++) {
        char reports[256];
        gdl_names_text(reports, sizeof reports, &stage->report[0].name, sizeof *stage->report, stage->reports);
        fprintf(to, "  %s(", stage->name);
        print_ports(stage->input, stage->inputs, to);
        fprintf(to, "), %zu epochs in batches of %zu, reports %s\n", stage->epochs, stage->batch, reports);
    }
}

void gdl_print_functions(const gdl_model *model, FILE *to) {
    for (const gdl_function *function = model->function; function < model->function + model->functions; function++) {
        fprintf(to, "  %s(", function->name);
        print_ports(function->input, function->inputs, to);
        fprintf(to, ") gives ");
        print_ports(function->output, function->outputs, to);
        fprintf(to, "\n");
    }
}

static size_t count_values(const gdl_model *model, gdl_role role) {
    size_t total = 0;
    for (size_t t = 0; t < model->tensors; t++)
        total += model->tensor[t].role == role ? model->tensor[t].size : 0;
    return total;
}

void gdl_summary(const gdl_model *model, FILE *to) {
    fprintf(to, "%s, from %s by gdlc %s\n\nTensors\n", model->name, model->source, model->version);
    for (size_t t = 0; t < model->tensors; t++)
        if (model->tensor[t].role != GDL_OPTIMIZER && is_first_of_net(model, t))
            print_net(model, &model->tensor[t], to);
    fprintf(to, "\n%zu trainable parameters, %zu values of state, %zu values of optimizer state\n",
            count_values(model, GDL_PARAM), count_values(model, GDL_STATE), count_values(model, GDL_OPTIMIZER));
    fprintf(to, "%.2f MB of memory for batches of %zu", (double)model->memory(model->batch) / 1e6, model->batch);
    for (size_t i = 0; i < model->sizes; i++)
        fprintf(to, "%s%s up to %zu", i ? ", " : " with ", model->size[i].name, model->size[i].high);
    fprintf(to, "\n\nStages\n");
    gdl_print_stages(model, to);
    fprintf(to, "\nNets and exports\n");
    gdl_print_functions(model, to);
}

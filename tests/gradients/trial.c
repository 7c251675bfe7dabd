/* trial.c: derivatives of the graph against central differences of the interpreter, in double precision. */
#include "trial.h"

#include <math.h>
#include <stdlib.h>

void trial_begin(Trial *trial) {
    *trial = (Trial){.arena = arena_create(), .random = 1};
    trial->graph = graph_create(trial->arena);
    trial->entry.graph = trial->graph;
    trial->entry.kind = ENTRY_EVALUATE;
    trial->entry.name = "trial";
}

void trial_end(Trial *trial) { arena_destroy(trial->arena); }

/* ── Values ───────────────────────────────────────────────────────────────────────────────── */

/* Knuth's linear congruential generator; the upper bits are random enough for test values. */
static double random_between(Trial *trial, double low, double high) {
    trial->random = trial->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (high - low) * (double)(trial->random >> 40) * 0x1p-24;
}

static Values values_of(Trial *trial) {
    return (Values){.symbols = {TRIAL_BATCH}, .inputs = (const double *const *)trial->data, .lr_scale = 1, .seed = 1};
}

Node *trial_constant(Trial *trial, const Shape *shape, double low, double high) {
    int index = trial->entry.inputs.count;
    if (index == TRIAL_PORTS)
        abort();
    Port *port = NEW(trial->arena, Port);
    *port = (Port){.name = arena_printf(trial->arena, "x%d", index), .shape = *shape, .index = index};
    LIST_PUSH(trial->arena, &trial->entry.inputs, port);
    Values values = values_of(trial);
    int64_t size = shape_size(shape, values.symbols);
    trial->data[index] = arena_alloc(trial->arena, (size_t)size * sizeof(double));
    for (int64_t i = 0; i < size; i++)
        trial->data[index][i] = random_between(trial, low, high);
    return graph_input(trial->graph, port);
}

Node *trial_variable(Trial *trial, const Shape *shape, double low, double high) {
    return trial->variables[trial->variable_count++] = trial_constant(trial, shape, low, high);
}

static Node *weighted_sum(Trial *trial, Node *x) {
    Node *weights = trial_constant(trial, &x->shape, 0.5, 1.5);
    return graph_sum(trial->graph, graph_binary(trial->graph, OP_MUL, x, weights), (UINT32_C(1) << x->shape.rank) - 1);
}

Node *trial_scalar(Trial *trial, Node *x) { return weighted_sum(trial, graph_unary(trial->graph, OP_SIN, x)); }

/* ── Differences ──────────────────────────────────────────────────────────────────────────── */

static double value_at(const Entry *entry, Values *values, double *x, double at) {
    double before = *x, *result;
    *x = at;
    interpret(entry, values, &result);
    *x = before;
    double value = *result;
    free(result);
    return value;
}

/* Four points: the error is of the order of step^4, so that a step which keeps ten digits from rounding is small enough. */
double central_difference(const Entry *entry, Values *values, double *x) {
    Entry first = *entry;
    first.roots.count = 1;
    double at = *x, step = 1e-3;
    double near = value_at(&first, values, x, at + step) - value_at(&first, values, x, at - step);
    double far = value_at(&first, values, x, at + 2 * step) - value_at(&first, values, x, at - 2 * step);
    return (8 * near - far) / (12 * step);
}

bool derivative_close(double found, double expected) {
    return fabs(found - expected) <= 1e-7 * (1 + fabs(expected)); /* false for what is not a number */
}

double *trial_value(Trial *trial, Node *x) {
    double *result;
    Values values = values_of(trial);
    trial->entry.roots.count = 0;
    LIST_PUSH(trial->arena, &trial->entry.roots, ((Root){.kind = ROOT_OUTPUT, .value = x}));
    interpret(&trial->entry, &values, &result);
    return result;
}

/* ── Comparison ───────────────────────────────────────────────────────────────────────────── */

static void compare(Trial *trial, int variable, const double *derivative, int order) {
    Values values = values_of(trial);
    const Node *x = trial->variables[variable];
    double *data = trial->data[x->attr.port->index];
    for (int64_t i = 0, size = shape_size(&x->shape, values.symbols); i < size && !trial->fault; i++) {
        double expected = central_difference(&trial->entry, &values, &data[i]);
        if (!derivative_close(derivative[i], expected))
            trial->fault = arena_printf(trial->arena, "order %d, variable %d, element %d: found %.10g, differences say %.10g", order,
                                        variable, (int)i, derivative[i], expected);
    }
}

static void check_order(Trial *trial, Node *y, Node **derivatives, int order) {
    double *results[1 + TRIAL_PORTS];
    Values values = values_of(trial);
    trial->entry.roots.count = 0;
    LIST_PUSH(trial->arena, &trial->entry.roots, ((Root){.kind = ROOT_REPORT, .name = "y", .value = y}));
    for (int i = 0; i < trial->variable_count; i++) {
        const Node *x = trial->variables[i];
        Root root = {.kind = ROOT_OUTPUT, .name = "dx", .port = trial->entry.inputs.items[x->attr.port->index], .value = derivatives[i]};
        LIST_PUSH(trial->arena, &trial->entry.roots, root);
    }
    trial->fault = verify(trial->arena, &trial->entry);
    if (trial->fault)
        return;
    interpret(&trial->entry, &values, results);
    for (int i = 0; i < trial->variable_count; i++)
        compare(trial, i, results[1 + i], order);
    for (int i = 0; i < trial->entry.roots.count; i++)
        free(results[i]);
}

void trial_check(Trial *trial, Node *y, int orders) {
    for (int order = 1; order <= orders && !trial->fault; order++) {
        Node *derivatives[TRIAL_PORTS];
        differentiate(trial->graph, y, trial->variables, trial->variable_count, derivatives);
        check_order(trial, y, derivatives, order);
        y = weighted_sum(trial, derivatives[0]);
        for (int i = 1; i < trial->variable_count; i++)
            y = graph_binary(trial->graph, OP_ADD, y, weighted_sum(trial, derivatives[i]));
    }
}

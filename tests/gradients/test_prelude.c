/* The derivatives of everything in the prelude, to the second order, as a model uses it: each case is an expression in a
 * small net, whose gradients by its parameters are compared with central differences of its loss. The second order comes
 * from a loss that holds the first, grad(..., x)^2. A function or layer of the prelude that no case reaches fails the test. */
#include "../module.h"
#include "trial.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCE "h |> reshape(3, 2) |> "
#define IMAGE "h |> dense(18, tanh) |> reshape(3, 3, 2) |> "

/* h: [6], any numbers; x: [4], the input of the net; t: [6], numbers between 0 and 1; c: a class of 3. */
static const char *const cases[] = {
    /* activations */
    "linear(h)", "relu(h)", "leaky_relu(h)", "leaky_relu(h, 0.1)", "elu(h)", "elu(h, 0.5)", "selu(h)", "gelu(h)", "swish(h)", "silu(h)",
    "exponential(h)", "softmax(h)", "softplus(h)", "sigmoid(h)", "tanh(h)", "h |> reshape(2, 3) |> softmax(axis = 0)",
    "normalised(exp(h), -1)",
    /* losses */
    "mse(t, h)", "mae(t, h)", "huber(t, h)", "huber(t, 3 * h, 0.5)", "huber_of(abs(h), 0.3)", "bce(t, sigmoid(h))", "bce(1, sigmoid(h))",
    "bce(t, 0.5 + 0.4 * sin(h))", "log_likelihood(t, sigmoid(h))", "cce(softmax(t), softmax(h))", "cce(one_hot(c), softmax(h[0:3]))",
    "cce(softmax(t), 0.5 + 0.4 * sin(h))", "kl_divergence(softmax(t), softmax(h))", "kl_divergence(softmax(h), softmax(2 * t))",
    "divergence(softmax(h), softmax(t))", "hinge(2 * round(t) - 1, h)", "wasserstein(t, h)",
    "mse(t, h, length_mask(1 + c, 6))", "bce(t, sigmoid(h), length_mask(1 + c, 6))", "mae(t, h, 0.5)", "masked_mean(h |> reshape(3, 2), length_mask(c, 3))",
    /* reductions */
    "mean(h)", "mean(h |> reshape(2, 3), axis = 0)", "variance(h)", "stddev(h)", "norm(h)", "sum(h)", "max(h)", "min(h)",
    "max(h |> reshape(2, 3), axis = 1)", "batch_sum(h)", "batch_mean(h)", "batch_variance(h)", "batch_stddev(h)",
    "(h - batch_mean(h)) / sqrt(batch_variance(h) + 0.001)", "h * argmax(h)", "h * argmin(h)",
    /* arithmetic and shape */
    "exp(h)", "log(h^2 + 1)", "sqrt(h^2 + 1)", "erf(h)", "sin(h)", "cos(h)", "abs(h)", "square(h)", "h^3", "(h^2 + 1)^t", "2^h", "1 / (h^2 + 1)",
    "lerp(h, t, 0.3)", "add(h, t)", "multiply(h, t)", "stacked(h, t)", "h * bias_correction(0.9, 1 + t)", "h * ceil(h)", "h * floor(h)", "h * round(h)", "h * sign(h)", "max(h, t)", "min(h, 0)", "clamp(h, -0.4, 0.4)",
    "h > 0.1 ? h^2 : -h", "h * stop(t)", "flatten(h |> reshape(2, 3))", "transpose(h |> reshape(2, 3)) @ (h |> reshape(2, 3))",
    "repeat_vector(h, 2)", "concat(h, t * h)", "concat(h |> reshape(2, 3), h |> reshape(2, 3), axis = 0)", "h[1:5:2]", "h[-1]",
    "pad(h, 1, 2)", "batch_mean(concat(h, h^2, axis = batch))", "broadcast(h, [2, 6])", "one_hot(c) * h[0:3]",
    "zeros([6]) + h", "ones([6]) * h", "constant([6], 3) * h",
    /* draws: factors whose own derivative is zero */
    "h * uniform([6])", "h * uniform([6], 1, 2)", "h * normal([6])", "h * normal(shape(h), 0.5, 1)", "h * bernoulli(sigmoid(h))",
    "h * categorical(h)", "h * truncated_normal([6])", "central_erfinv(0.9 * tanh(h))", "erfinv_series(h)",
    /* initialisers */
    "h |> dense(3, kernel_initializer = glorot_uniform)", "h |> dense(3, kernel_initializer = glorot_normal)",
    "h |> dense(3, kernel_initializer = he_uniform)", "h |> dense(3, kernel_initializer = he_normal)",
    "h |> dense(3, kernel_initializer = lecun_uniform)", "h |> dense(3, kernel_initializer = lecun_normal)",
    "h |> dense(3, kernel_initializer = orthogonal)", "h * fan_in([2, 3]) / fan_out([3, 2])", "h * symmetric_uniform([6], 0.5)",
    "h * scaled_normal([6], 0.5)",
    /* metrics */
    "h[0:3] * accuracy(c, h[0:3])", "h * binary_accuracy(round(t), h)",
    /* layers */
    "h |> dense(3)", "h |> dense(3, tanh) |> dense(2, selu)", "h |> reshape(2, 3) |> dense(2, tanh)", "embedding(c, 6) * h",
    "h |> dropout(0.3)", "h |> gaussian_noise(0.2)", "h |> activity_l1(0.1)", "h |> activity_l2(0.1)", "h |> batch_norm",
    IMAGE "batch_norm", "h |> layer_norm", "h |> minibatch_discrimination(3, 2)", "h |> minibatch_stddev", "h |> replay(8)",
    /* sequences */
    SEQUENCE "simple_rnn(3)", SEQUENCE "simple_rnn(2, return_sequences = true, reverse = true)", SEQUENCE "lstm(2)",
    SEQUENCE "lstm(2, return_sequences = true)", SEQUENCE "lstm(2, mask = length_mask(c, 3))", SEQUENCE "gru(2)",
    SEQUENCE "gru(2, relu, return_sequences = true, reverse = true, mask = length_mask(c, 3))",
    SEQUENCE "lstm(2, dropout = 0.3, recurrent_dropout = 0.3)", SEQUENCE "lstm(3, initial_state = stacked(h[0:3], h[3:6]))",
    SEQUENCE "bidirectional(gru(2, return_sequences = true))", SEQUENCE "bidirectional(lstm(2), add)", SEQUENCE "gru(2, stateful = 2)",
    SEQUENCE "simple_rnn(2, stateful = 4, restart = c > 1)", SEQUENCE "time_distributed(dense(2, tanh))",
    SEQUENCE "time_distributed(dropout(0.3))",
    /* convolutions and images */
    IMAGE "conv2d(2, 2)", IMAGE "conv2d(2, 3, padding = same, activation = tanh)", IMAGE "conv2d(1, [2, 1], strides = [1, 2])",
    IMAGE "conv2d(1, 2, dilation = 2)", "h |> reshape(3, 2) |> conv1d(2, 2)", IMAGE "conv2d_transpose(1, 3, strides = 2)",
    IMAGE "conv2d_transpose(1, 3, strides = 2, padding = same)", IMAGE "max_pool2d(2, strides = 1)", IMAGE "max_pool2d(2, padding = same)",
    IMAGE "average_pool2d(2, strides = 1)", IMAGE "average_pool2d(2, padding = same)", IMAGE "global_average_pool2d", IMAGE "global_max_pool2d",
    IMAGE "upsample2d", IMAGE "upsample2d_bilinear", IMAGE "zero_pad2d", IMAGE "crop2d", IMAGE "instance_norm", IMAGE "spatial_dropout2d(0.3)",
};
enum { CASES = sizeof cases / sizeof *cases };

static const char model[] =
    "net model(x: [4], t: [6], c: class[3]) {\n"
    "    h = x |> dense(6)\n"
    "    return %s\n"
    "}\n"
    "train first(x: [4], t: [6], c: class[3]) {\n"
    "    batch 3\n"
    "    epochs 1\n"
    "    minimize sum(sin(model(x, t, c)))\n"
    "    update model using sgd()\n"
    "}\n"
    "train second(x: [4], t: [6], c: class[3]) {\n"
    "    batch 3\n"
    "    epochs 1\n"
    "    minimize sum(grad(sum(sin(model(x, t, c))), x)^2)\n"
    "    update model using sgd()\n"
    "}\n";

/* ── Values ───────────────────────────────────────────────────────────────────────────────── */

enum { INPUTS = 3 };

typedef struct Point {
    const double *inputs[INPUTS];
    double **tensors;
    Values values;
} Point;

static double *random_values(Arena *arena, const Shape *shape, double low, double high, int64_t classes, uint64_t *random) {
    const int64_t symbols[MAX_SYMBOLS] = {TRIAL_BATCH};
    int64_t size = shape_size(shape, symbols);
    double *values = arena_alloc(arena, (size_t)(size + 1) * sizeof *values);
    for (int64_t i = 0; i < size; i++) {
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        values[i] = low + (high - low) * (double)(*random >> 40) * 0x1p-24;
        if (classes)
            values[i] = (double)((*random >> 40) % (uint64_t)classes);
    }
    return values;
}

static Point make_point(Arena *arena, const Module *module, const Entry *entry) {
    uint64_t random = 3;
    Point point = {.tensors = arena_alloc(arena, sizeof(double *) * (size_t)(module->tensors.count + 1))};
    for (int i = 0; i < entry->inputs.count; i++) {
        const Port *port = entry->inputs.items[i];
        double low = strcmp(port->name, "t") == 0 ? 0.05 : -1;
        point.inputs[port->index] = random_values(arena, &port->shape, low, 0.95, port->classes, &random);
    }
    for (int i = 0; i < module->tensors.count; i++)
        point.tensors[i] = random_values(arena, &module->tensors.items[i]->shape, -0.8, 0.8, 0, &random);
    point.values = (Values){.symbols = {TRIAL_BATCH}, .lr_scale = 1, .seed = 1, .tick = 1};
    return point;
}

/* ── Checks ───────────────────────────────────────────────────────────────────────────────── */

/* The loss, and behind it the gradient of each updated parameter, which is its target. */
static Entry gradient_entry(Arena *arena, const Entry *phase) {
    Entry entry = *phase;
    RootList updates = {0};
    entry.kind = ENTRY_EVALUATE;
    entry.roots = (RootList){0};
    for (int i = 0; i < phase->roots.count; i++) {
        const Root *root = &phase->roots.items[i];
        if (root->kind == ROOT_REPORT && root->loss)
            LIST_PUSH(arena, &entry.roots, *root);
        if (root->kind == ROOT_ASSIGN && root->target->role == TENSOR_PARAM)
            LIST_PUSH(arena, &updates, *root);
    }
    for (int i = 0; i < phase->gradients.count && i < updates.count; i++) {
        Root root = {.kind = ROOT_OUTPUT, .target = updates.items[i].target, .value = phase->gradients.items[i]};
        LIST_PUSH(arena, &entry.roots, root);
    }
    return entry;
}

static bool gradient_right(const Entry *entry, Point *point, int root, const double *found) {
    const Tensor *tensor = entry->roots.items[root].target;
    double *values = point->tensors[tensor->index];
    for (int64_t i = 0, size = shape_size(&tensor->shape, point->values.symbols); i < size; i++) {
        double expected = central_difference(entry, &point->values, &values[i]);
        if (!derivative_close(found[i], expected)) {
            printf("d loss / d %s[%d] of `%s`: found %.10g, differences say %.10g\n", tensor->name, (int)i, entry->name, found[i], expected);
            return false;
        }
    }
    return true;
}

static bool gradients_right(Arena *arena, const Module *module, const Entry *phase) {
    double *results[64];
    Entry entry = gradient_entry(arena, phase);
    Point point = make_point(arena, module, phase);
    point.values.inputs = point.inputs;
    point.values.tensors = point.tensors;
    const char *fault = verify(arena, phase);
    if (fault || entry.roots.count != 1 + phase->gradients.count || phase->gradients.count == 0) {
        printf("%s: %s\n", phase->name, fault ? fault : "a gradient is missing");
        return false;
    }
    interpret(&entry, &point.values, results);
    bool right = true;
    for (int i = 1; i < entry.roots.count; i++)
        right = right && gradient_right(&entry, &point, i, results[i]);
    for (int i = 0; i < entry.roots.count; i++)
        free(results[i]);
    return right;
}

static bool case_passes(const char *expression) {
    Context context = {.arena = arena_create()};
    char *text = arena_printf(context.arena, model, expression);
    Module *module = module_of(&context, source_add(&context, "case.gdl", text, strlen(text), false));
    bool passes = module && !verify(context.arena, module->init);
    for (int i = 0; passes && i < module->stages.count; i++) {
        Entry *phase = module->stages.items[i]->phases.items[0].entry;
        passes = gradients_right(context.arena, module, phase);
        simplify(&context, phase);
        passes = passes && gradients_right(context.arena, module, phase);
    }
    if (!passes)
        printf("failed: %s\n", expression);
    arena_destroy(context.arena);
    return passes;
}

/* ── Coverage ─────────────────────────────────────────────────────────────────────────────── */

static bool part_of_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool names(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if ((at == text || !part_of_word(at[-1])) && !part_of_word(at[length]))
            return true;
    return false;
}

static bool in_a_case(const char *name) {
    for (int i = 0; i < CASES; i++)
        if (names(cases[i], name))
            return true;
    return false;
}

/* Whether some covered declaration other than this one names it. */
static bool in_a_declaration(Arena *arena, const DeclList *declarations, const bool *covered, int which) {
    for (int i = 0; i < declarations->count; i++) {
        Span span = declarations->items[i]->span;
        const char *text = arena_copy(arena, prelude_text + span.start, (size_t)(span.end - span.start));
        if (covered[i] && i != which && names(text, declarations->items[which]->name.text))
            return true;
    }
    return false;
}

/* Marks what a case names, what that names, and so on. */
static bool *mark_covered(Arena *arena, const DeclList *declarations) {
    bool *covered = arena_alloc(arena, (size_t)declarations->count + 1);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < declarations->count; i++) {
            bool found = in_a_case(declarations->items[i]->name.text) || in_a_declaration(arena, declarations, covered, i);
            more = more || (found && !covered[i]);
            covered[i] = covered[i] || found;
        }
    }
    return covered;
}

static int count_uncovered(void) {
    Context context = {.arena = arena_create()};
    DeclList declarations = {0};
    int uncovered = 0;
    parse(&context, source_add(&context, "<prelude>", prelude_text, prelude_length, true), &declarations);
    const bool *covered = mark_covered(context.arena, &declarations);
    for (int i = 0; i < declarations.count; i++) {
        const Decl *decl = declarations.items[i];
        if ((decl->kind != DECL_FN && decl->kind != DECL_LAYER) || covered[i])
            continue;
        printf("`%s` of the prelude has no case\n", decl->name.text);
        uncovered++;
    }
    arena_destroy(context.arena);
    return uncovered;
}

int main(void) {
    int passed = 0, failed = count_uncovered();
    for (int i = 0; i < CASES; i++)
        case_passes(cases[i]) ? passed++ : failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

/* Sequences in the prelude's recurrent layers, by the interpreter: padding that a mask leaves out changes nothing, the directions
 * mirror each other, pieces of a long sequence go on where the last one ended; and with which values layers begin. */
#include "../module.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 6, FEATURES = 2, MOST = 512 };

static Context context;
static Module *module;
static double *tensors[32];

/* Numbers between -1 and 1 that depend on the tensor's name and nothing else, so that models of other lengths have the same weights. */
static double number(const char *name, int64_t place) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) hash = (hash ^ (uint32_t)(unsigned char)*name) * 16777619u;
    hash = (hash + (uint32_t)place) * 2654435761u;
    hash = (hash ^ hash >> 15) * 2246822519u;
    return (double)(hash >> 8) * 0x1p-23 - 1;
}

static void compile(const char *text) {
    context = (Context){.arena = arena_create()};
    module = module_of(&context, source_add(&context, "model.gdl", text, strlen(text), false));
    cr_assert(module && module->tensors.count <= 32, "%s", text);
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        tensors[i] = arena_alloc(context.arena, MOST * sizeof(double));
        for (int64_t k = 0, size = shape_size(&tensor->shape, NULL); k < size && tensor->role == TENSOR_PARAM; k++)
            tensors[i][k] = number(tensor->name, k);
    }
}

static void teardown(void) { arena_destroy(context.arena); }

TestSuite(sequences, .fini = teardown);

/* The only result or report of an entry, which the caller frees; assignments are carried out. */
static double *run(Entry *entry, int64_t examples, const double *const *inputs) {
    double *results[64], *result = NULL;
    Values values = {.symbols = {examples}, .inputs = inputs, .tensors = tensors, .lr_scale = 1, .seed = 1, .tick = 1};
    cr_assert(entry->roots.count <= 64 && simplify_entry(&context, entry));
    interpret(entry, &values, results);
    for (int i = 0; i < entry->roots.count; i++) {
        if (entry->roots.items[i].kind == ROOT_ASSIGN) free(results[i]);
        else result = results[i];
    }
    return result;
}

static Entry *function(const char *name) {
    for (int i = 0; i < module->functions.count; i++)
        if (strcmp(module->functions.items[i]->name, name) == 0) return module->functions.items[i];
    cr_assert_fail("there is no %s", name);
    return NULL;
}

static void fill(double *values, const char *name, int64_t from, int64_t count) {
    for (int64_t i = 0; i < count; i++) values[i] = number(name, from + i);
}

/* ── lengths ──────────────────────────────────────────────────────────────────────────────── */

static const char *const layers[] = {
    "lstm(3, return_sequences = true, mask = mask)", "gru(3, return_sequences = true, mask = mask)",
    "simple_rnn(3, return_sequences = true, mask = mask)", "gru(3, return_sequences = true, reverse = true, mask = mask)",
    "bidirectional(lstm(3, return_sequences = true, mask = mask))",
    "lstm(3, return_sequences = true, mask = mask) |> gru(3, mask = mask) |> repeat_vector(shape(x)[0])"};
static const char *const losses[] = {
    "bce(0.5 + 0.4 * x, y, mask)", "mse(x, y, mask)", "mae(x, y, mask)", "huber(x, y, 0.5, mask)", "cce(softmax(x), softmax(y), mask)",
    "kl_divergence(softmax(x), softmax(y), mask)", "hinge(x, y, mask)", "wasserstein(x, y, mask)"};

/* The loss, and the sum of the squares of its gradients by all of the input. */
static const char model[] = "net model(x: [%d, 2], mask: [%d]) = x |> %s |> dense(2, sigmoid)\n"
                            "export loss(x: [%d, 2], length: []) {\n"
                            "    mask = length_mask(length, %d)\n"
                            "    y = model(x, mask)\n"
                            "    error = %s\n"
                            "    return error + sum(grad(error, x)^2)\n"
                            "}\n";

static double *losses_of(const char *layer, const char *loss, int steps, int64_t examples, const double *x, const double *lengths) {
    const double *inputs[] = {x, lengths};
    Arena *arena = arena_create();
    compile(arena_printf(arena, model, steps, steps, layer, steps, steps, loss));
    arena_destroy(arena);
    return run(function("loss"), examples, inputs);
}

/* Sequences of 1 to STEPS steps, padded with numbers that mean nothing, have the losses that each has by itself. */
static void check_lengths(const char *layer, const char *loss) {
    double x[STEPS * STEPS * FEATURES], lengths[STEPS];
    fill(x, "x", 0, STEPS * STEPS * FEATURES);
    for (int i = 0; i < STEPS; i++) lengths[i] = i + 1;
    double *together = losses_of(layer, loss, STEPS, STEPS, x, lengths);
    for (int i = 0; i < STEPS; i++) {
        arena_destroy(context.arena);
        double *alone = losses_of(layer, loss, i + 1, 1, x + i * STEPS * FEATURES, &lengths[i]);
        cr_expect_float_eq(together[i], *alone, 1e-15, "%s, %s, %d steps: %.17g, alone %.17g", layer, loss, i + 1, together[i], *alone);
        free(alone);
    }
    free(together);
}

Test(sequences, padding_is_left_out_of_states) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        if (i) arena_destroy(context.arena);
        check_lengths(layers[i], losses[0]);
    }
}

Test(sequences, padding_is_left_out_of_losses) {
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        if (i) arena_destroy(context.arena);
        check_lengths(layers[1], losses[i]);
    }
}

Test(sequences, a_sequence_of_padding_has_no_loss) {
    double x[STEPS * FEATURES], none = 0;
    fill(x, "x", 0, STEPS * FEATURES);
    double *loss = losses_of(layers[0], losses[0], STEPS, 1, x, &none);
    cr_expect_eq(*loss, 0);
    free(loss);
}

/* ── directions ───────────────────────────────────────────────────────────────────────────── */

static const char mirror[] =
    "net ahead: [6, 2] |> %s(3, return_sequences = true)\n"
    "net back(x: [6, 2]) = %s(x, 3, return_sequences = true, reverse = true, kernel = ahead.%s_1.kernel,\n"
    "                         recurrent_kernel = ahead.%s_1.recurrent_kernel, bias = ahead.%s_1.bias)\n"
    "export apart(x: [6, 2]) = max(abs(back(x) - ahead(x[::-1])[::-1])) + (mean(abs(back(x) - ahead(x))) < 0.01)\n";

Test(sequences, reverse_mirrors) {
    static const char *const names[] = {"lstm", "gru", "simple_rnn"};
    double x[STEPS * FEATURES];
    const double *inputs[] = {x};
    fill(x, "x", 0, STEPS * FEATURES);
    for (int i = 0; i < 3; i++) {
        Arena *arena = arena_create();
        if (i) arena_destroy(context.arena);
        compile(arena_printf(arena, mirror, names[i], names[i], names[i], names[i], names[i]));
        double *apart = run(function("apart"), 1, inputs);
        cr_expect_eq(*apart, 0, "%s", names[i]);
        free(apart);
        arena_destroy(arena);
    }
}

/* ── first values ─────────────────────────────────────────────────────────────────────────── */

static const double *first_value(const char *name) {
    for (int i = 0; i < module->tensors.count; i++)
        if (strcmp(module->tensors.items[i]->name, name) == 0) return tensors[i];
    cr_assert_fail("there is no %s", name);
    return NULL;
}

/* The forget gate begins open; the rows of the recurrent kernel are at right angles and of length 1. */
Test(sequences, first_values) {
    compile("net m: [6, 2] |> lstm(3, return_sequences = true) |> lstm(3, unit_forget_bias = false)\n");
    free(run(module->init, 1, NULL));
    const double *bias = first_value("m.lstm_1.bias"), *plain = first_value("m.lstm_2.bias");
    const double *kernel = first_value("m.lstm_1.recurrent_kernel");
    for (int i = 0; i < 12; i++) {
        cr_expect_eq(bias[i], i >= 3 && i < 6);
        cr_expect_eq(plain[i], 0);
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            double product = 0;
            for (int j = 0; j < 12; j++) product += kernel[12 * i + j] * kernel[12 * k + j];
            cr_expect_float_eq(product, i == k, 1e-12);
        }
}

/* ── streams ──────────────────────────────────────────────────────────────────────────────── */

/* The learning rate is nothing, so that the pieces are all seen by the same weights. */
static const char streams[] =
    "net pieces(x: [2, 2], first: []) = lstm(x, 3, return_sequences = true, stateful = 2, restart = first)\n"
    "net whole(x: [6, 2]) = lstm(x, 3, return_sequences = true, kernel = pieces.lstm_1.kernel,\n"
    "                            recurrent_kernel = pieces.lstm_1.recurrent_kernel, bias = pieces.lstm_1.bias)\n"
    "export expected(x: [6, 2]) = mean(whole(x)[%d:%d])\n"
    "train piecewise(x: [2, 2], first: []) {\n"
    "    batch 2\n"
    "    epochs 1\n"
    "    minimize mean(pieces(x, first))\n"
    "    update pieces using sgd(lr = 0)\n"
    "}\n";

/* The loss of a training step on steps `at` and `at` + 1 of the two sequences. */
static double piece_loss(Entry *phase, const double *x, int at, double first) {
    double piece[2][2 * FEATURES], begins[] = {first, first};
    const double *inputs[] = {*piece, begins};
    for (int i = 0; i < 2; i++) memcpy(piece[i], x + (i * STEPS + at) * FEATURES, sizeof piece[i]);
    double *result = run(phase, 2, inputs), loss = *result;
    free(result);
    return loss;
}

static double whole_loss(const double *x, int at) {
    const double *inputs[] = {x};
    Arena *arena = arena_create();
    compile(arena_printf(arena, streams, at, at + 2));
    arena_destroy(arena);
    double *each = run(function("expected"), 2, inputs), mean = (each[0] + each[1]) / 2;
    free(each);
    return mean;
}

Test(sequences, streams_go_on_where_they_ended) {
    double x[2 * STEPS * FEATURES], expected[3];
    fill(x, "x", 0, 2 * STEPS * FEATURES);
    for (int i = 2; i >= 0; i--) {
        expected[i] = whole_loss(x, 2 * i);
        if (i) arena_destroy(context.arena);
    }
    Entry *phase = module->stages.items[0]->phases.items[0].entry;
    for (int i = 0; i < 3; i++) {
        const double loss = piece_loss(phase, x, 2 * i, 0);
        cr_expect_float_eq(loss, expected[i], 1e-15, "piece %d", i);
    }
    const double on = piece_loss(phase, x, 0, 0), anew = piece_loss(phase, x, 0, 1);
    cr_expect_float_neq(on, expected[0], 1e-6, "the first piece again, as the fourth");
    cr_expect_float_eq(anew, expected[0], 1e-15, "the first piece of a new sequence");
}

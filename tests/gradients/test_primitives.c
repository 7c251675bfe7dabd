/* The derivatives of every primitive, to the third order. An operation of ops.def without a case here fails the test,
 * whether it has a gradient or says that its gradient is zero. */
#include "trial.h"

#include <stdlib.h>

/* ── Shapes ───────────────────────────────────────────────────────────────────────────────── */

/* A size of -1 is the batch, -2 twice the batch. */
static Dim dim_of(int64_t size) { return size < 0 ? dim_batch(-size) : dim_const(size); }

static Shape shape_of(int rank, const int64_t *sizes) {
    Shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = dim_of(sizes[i]);
    return shape;
}

#define SHAPE(...) shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

static Node *variable(Trial *trial, Shape shape) { return trial_variable(trial, &shape, -2, 2); }

/* ── Elementwise operations: one generic case each, on a domain without kinks ─────────────── */

static Node *unary(Trial *trial, Op op, double low, double high) {
    Shape shape = SHAPE(-1, 4);
    return graph_unary(trial->graph, op, trial_variable(trial, &shape, low, high));
}

static Node *binary(Trial *trial, Op op, double low, double high) {
    Shape shape = SHAPE(-1, 4);
    Node *a = trial_variable(trial, &shape, low, high);
    return graph_binary(trial->graph, op, a, trial_variable(trial, &shape, low, high));
}

static Node *build_pow(Trial *trial) {
    Shape shape = SHAPE(-1, 4);
    Node *a = trial_variable(trial, &shape, 0.5, 2);
    return graph_binary(trial->graph, OP_POW, a, trial_variable(trial, &shape, -2, 2));
}

/* The usual power: a constant exponent, and a base of either sign. */
static Node *build_square(Trial *trial) {
    Node *x = variable(trial, SHAPE(-1, 4));
    return graph_binary(trial->graph, OP_POW, x, graph_fill(trial->graph, 2, &x->shape));
}

static Node *build_select(Trial *trial) {
    Shape shape = SHAPE(-1, 4);
    Node *condition = graph_binary(trial->graph, OP_LT, trial_constant(trial, &shape, -1, 1), graph_fill(trial->graph, 0, &shape));
    Node *yes = variable(trial, shape);
    return graph_select(trial->graph, condition, yes, variable(trial, shape));
}

/* ── Reductions ───────────────────────────────────────────────────────────────────────────── */

static Node *build_sum_batch(Trial *trial) { return graph_sum(trial->graph, variable(trial, SHAPE(-1, 4)), 1); }
static Node *build_sum_inner(Trial *trial) { return graph_sum(trial->graph, variable(trial, SHAPE(-1, 2, 3)), 4); }
static Node *build_sum_two(Trial *trial) { return graph_sum(trial->graph, variable(trial, SHAPE(2, -1, 3)), 5); }
static Node *build_max_inner(Trial *trial) { return graph_max(trial->graph, variable(trial, SHAPE(-1, 2, 3)), 4); }
static Node *build_max_two(Trial *trial) { return graph_max(trial->graph, variable(trial, SHAPE(2, -1, 3)), 5); }

/* ── Movement ─────────────────────────────────────────────────────────────────────────────── */

static Node *build_reshape(Trial *trial) {
    Shape to = SHAPE(-2, 3, 2);
    return graph_reshape(trial->graph, variable(trial, SHAPE(-1, 4, 3)), &to);
}

static Node *build_permute(Trial *trial) {
    return graph_permute(trial->graph, variable(trial, SHAPE(-1, 4, 3)), (uint8_t[]){2, 0, 1});
}

static Node *build_expand(Trial *trial) {
    Shape to = SHAPE(-1, 4, 2);
    return graph_expand(trial->graph, variable(trial, SHAPE(4)), &to, 5);
}

static Node *slice(Trial *trial, Shape from, const int64_t *start, const int64_t *size, const int64_t *step) {
    Shape starts = shape_of(from.rank, start), sizes = shape_of(from.rank, size);
    return graph_slice(trial->graph, variable(trial, from), starts.dim, sizes.dim, step);
}

static Node *build_slice(Trial *trial) {
    return slice(trial, SHAPE(-1, 5, 4), (int64_t[]){0, 1, 2}, (int64_t[]){-1, 3, 1}, (int64_t[]){1, 1, 1});
}

static Node *build_slice_batch(Trial *trial) {
    return slice(trial, SHAPE(-3, 2), (int64_t[]){-1, 0}, (int64_t[]){-2, 2}, (int64_t[]){1, 1});
}

/* Steps that end on the last element, before it, and within the reach of one more. */
static Node *build_slice_step(Trial *trial) {
    return slice(trial, SHAPE(7, 6, 8), (int64_t[]){0, 1, 1}, (int64_t[]){4, 2, 2}, (int64_t[]){2, 2, 3});
}

static Node *build_pad(Trial *trial) {
    Shape low = SHAPE(0, 1, 2), high = SHAPE(0, 2, 0);
    return graph_pad(trial->graph, variable(trial, SHAPE(-1, 2, 3)), low.dim, high.dim);
}

static Node *build_pad_batch(Trial *trial) {
    Shape low = SHAPE(-1, 0), high = SHAPE(-2, 1);
    return graph_pad(trial->graph, variable(trial, SHAPE(-1, 2)), low.dim, high.dim);
}

static Node *build_flip(Trial *trial) { return graph_flip(trial->graph, variable(trial, SHAPE(-1, 4, 3)), 6); }

static Node *build_concat(Trial *trial) {
    Node *parts[] = {variable(trial, SHAPE(-1, 2)), variable(trial, SHAPE(-1, 3)), variable(trial, SHAPE(-1, 1))};
    return graph_concat(trial->graph, parts, 3, 1);
}

static Node *build_concat_batch(Trial *trial) {
    Node *parts[] = {variable(trial, SHAPE(-1, 2)), variable(trial, SHAPE(-2, 2))};
    return graph_concat(trial->graph, parts, 2, 0);
}

static Node *build_concat_same(Trial *trial) {
    Node *x = variable(trial, SHAPE(-1, 2)), *parts[] = {x, x};
    return graph_concat(trial->graph, parts, 2, 1);
}

/* ── Contractions ─────────────────────────────────────────────────────────────────────────── */

static Node *dot(Trial *trial, Shape a, Shape b, DotAxes axes) {
    Node *left = variable(trial, a);
    return graph_dot(trial->graph, left, variable(trial, b), &axes);
}

static Node *build_dot_matmul(Trial *trial) {
    return dot(trial, SHAPE(-1, 4), SHAPE(4, 2), (DotAxes){.contract = 1, .a_contract = {1}, .b_contract = {0}});
}

static Node *build_dot_outer(Trial *trial) { return dot(trial, SHAPE(2), SHAPE(3), (DotAxes){0}); }

static Node *build_dot_over_batch(Trial *trial) {
    return dot(trial, SHAPE(-1, 4), SHAPE(-1, 2), (DotAxes){.contract = 1, .a_contract = {0}, .b_contract = {0}});
}

static Node *build_dot_batched(Trial *trial) {
    DotAxes axes = {.batch = 1, .contract = 1, .a_batch = {0}, .b_batch = {1}, .a_contract = {2}, .b_contract = {0}};
    return dot(trial, SHAPE(-1, 2, 3), SHAPE(3, -1, 2), axes);
}

/* Contracted axes in another order on the right, and free axes on both sides of them. */
static Node *build_dot_crossed(Trial *trial) {
    DotAxes axes = {.batch = 1, .contract = 2, .a_batch = {1}, .b_batch = {2}, .a_contract = {0, 3}, .b_contract = {3, 1}};
    return dot(trial, SHAPE(2, -1, 2, 3), SHAPE(2, 3, -1, 2), axes);
}

static Node *build_dot_self(Trial *trial) {
    Node *x = variable(trial, SHAPE(-1, 3));
    DotAxes axes = {.contract = 1, .a_contract = {1}, .b_contract = {1}};
    return graph_dot(trial->graph, x, x, &axes);
}

static Node *conv(Trial *trial, Shape x, Shape kernel, ConvAxes axes) {
    Node *input = variable(trial, x);
    return graph_conv(trial->graph, input, variable(trial, kernel), &axes);
}

static Node *build_conv_line(Trial *trial) {
    return conv(trial, SHAPE(-1, 5, 2), SHAPE(3, 2, 2), (ConvAxes){.spatial = 1, .stride = {1}, .low = {1}, .high = {1}, .spread = {1}, .dilation = {1}});
}

/* Keras's padding `same` at stride 2 on an even size: nothing before, one after. */
static Node *build_conv_strided(Trial *trial) {
    return conv(trial, SHAPE(-1, 4, 5, 1), SHAPE(3, 2, 1, 2),
                (ConvAxes){.spatial = 2, .stride = {2, 3}, .low = {0, 1}, .high = {1, 0}, .spread = {1, 1}, .dilation = {1, 1}});
}

static Node *build_conv_transposed(Trial *trial) {
    return conv(trial, SHAPE(-1, 3, 1), SHAPE(3, 1, 2), (ConvAxes){.spatial = 1, .stride = {1}, .low = {2}, .high = {1}, .spread = {2}, .dilation = {1}});
}

/* A dilated kernel, an end of the input that no output reads, and an element cut off at the other. */
static Node *build_conv_dilated(Trial *trial) {
    return conv(trial, SHAPE(-1, 9, 1), SHAPE(2, 1, 1), (ConvAxes){.spatial = 1, .stride = {2}, .low = {-1}, .high = {1}, .spread = {1}, .dilation = {3}});
}

/* ── Indexing: rows named twice, never, and out of range ──────────────────────────────────── */

static Node *indices(Trial *trial, Shape shape) {
    Node *x = trial_constant(trial, &shape, -1, 5);
    return graph_unary(trial->graph, OP_FLOOR, x);
}

static Node *build_gather(Trial *trial) {
    Node *table = variable(trial, SHAPE(4, 2));
    return graph_gather(trial->graph, table, indices(trial, SHAPE(-1, 3)));
}

static Node *build_scatter_add(Trial *trial) {
    Node *updates = variable(trial, SHAPE(-1, 3, 2));
    return graph_scatter_add(trial->graph, indices(trial, SHAPE(-1, 3)), updates, dim_const(4));
}

/* A zero gradient, beside a factor that has one. */
static Node *build_argmax(Trial *trial) {
    Node *x = variable(trial, SHAPE(-1, 2, 3));
    return graph_binary(trial->graph, OP_MUL, graph_argmax(trial->graph, x, 2), graph_sum(trial->graph, x, 4));
}

/* ── Loops ────────────────────────────────────────────────────────────────────────────────── */

static Node *times(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_MUL, a, b); }
static Node *plus(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_ADD, a, b); }

static Node *project(Graph *g, Node *x, Node *kernel) {
    const DotAxes axes = {.contract = 1, .a_contract = {1}, .b_contract = {0}};
    return graph_dot(g, x, kernel, &axes);
}

static void carry_on(Trial *trial, Loop *loop, Node *next) { LIST_PUSH(trial->arena, &loop->next, next); }
static void collect(Trial *trial, Loop *loop, Node *value) { LIST_PUSH(trial->arena, &loop->collected, value); }

/* h <- tanh(x_t + h w) h', beside a second carried value that reads the new h; both are collected, and what was carried. */
static Node *recurrence(Trial *trial, bool reverse, bool recompute) {
    Graph *g = trial->graph;
    Node *xs = variable(trial, SHAPE(3, -1, 2)), *w = variable(trial, SHAPE(2, 2));
    Node *first = variable(trial, SHAPE(-1, 2)), *second = variable(trial, SHAPE(-1, 2));
    Loop loop = loop_open(g, dim_const(3), reverse);
    loop.recompute = recompute;
    Node *h = loop_carry(g, &loop, first), *c = loop_carry(g, &loop, second), *x = loop_element(g, &loop, xs);
    Node *next = times(g, graph_unary(g, OP_TANH, plus(g, x, project(g, h, w))), graph_unary(g, OP_SIGMOID, c));
    carry_on(trial, &loop, next);
    carry_on(trial, &loop, plus(g, times(g, c, x), graph_unary(g, OP_SIN, next)));
    collect(trial, &loop, next);
    collect(trial, &loop, times(g, x, c));
    Node *scan = loop_close(g, &loop);
    Node *sequences = plus(g, graph_part(g, scan, 2), graph_part(g, scan, 3));
    Node *last = times(g, graph_part(g, scan, 0), graph_part(g, scan, 1));
    return plus(g, graph_sum(g, sequences, 1), last);
}

static Node *build_scan(Trial *trial) { return recurrence(trial, false, false); }
static Node *build_scan_reverse(Trial *trial) { return recurrence(trial, true, false); }
static Node *build_scan_recompute(Trial *trial) { return recurrence(trial, false, true); }

/* Only the last value is used, and the first is a constant: what is carried is wanted by way of the sequence alone. */
static Node *build_scan_last(Trial *trial) {
    Graph *g = trial->graph;
    Node *xs = variable(trial, SHAPE(4, -1));
    Loop loop = loop_open(g, dim_const(4), false);
    Shape shape = SHAPE(-1);
    Node *h = loop_carry(g, &loop, graph_fill(g, 0.5, &shape)), *x = loop_element(g, &loop, xs);
    carry_on(trial, &loop, graph_unary(g, OP_SIN, plus(g, times(g, h, x), x)));
    return graph_part(g, loop_close(g, &loop), 0);
}

/* A loop in the step of a loop, which reads what both carry and a value from outside; every element of the inner one's
 * sequence is one of the outer's. */
static Node *nested(Trial *trial, bool recompute) {
    Graph *g = trial->graph;
    Node *xs = variable(trial, SHAPE(2, 3, -1)), *w = variable(trial, SHAPE(-1)), *first = variable(trial, SHAPE(-1));
    Loop outer = loop_open(g, dim_const(2), false);
    outer.recompute = recompute;
    Node *h = loop_carry(g, &outer, first), *row = loop_element(g, &outer, xs);
    Loop inner = loop_open(g, dim_const(3), true);
    Node *k = loop_carry(g, &inner, h), *x = loop_element(g, &inner, row);
    Node *next = graph_unary(g, OP_SIN, plus(g, times(g, k, w), times(g, x, h)));
    carry_on(trial, &inner, next);
    collect(trial, &inner, times(g, next, h));
    Node *scan = loop_close(g, &inner);
    carry_on(trial, &outer, graph_part(g, scan, 0));
    collect(trial, &outer, graph_sum(g, graph_part(g, scan, 1), 1));
    Node *all = loop_close(g, &outer);
    return plus(g, graph_part(g, all, 0), graph_sum(g, graph_part(g, all, 1), 1));
}

static Node *build_scan_nested(Trial *trial) { return nested(trial, false); }
static Node *build_scan_nested_recompute(Trial *trial) { return nested(trial, true); }

/* ── The table ────────────────────────────────────────────────────────────────────────────── */

/* Where `build` is NULL the case is op(x) or op(x, y) on values from low to high. */
typedef struct Case {
    Op op;
    Node *(*build)(Trial *trial);
    double low, high;
} Case;

static const Case cases[] = {
    {OP_NEG, NULL, -2, 2},          {OP_RECIP, NULL, 0.5, 2},       {OP_RECIP, NULL, -2, -0.5},     {OP_SQRT, NULL, 0.5, 2},
    {OP_EXP, NULL, -2, 2},          {OP_LOG, NULL, 0.5, 2},         {OP_TANH, NULL, -2, 2},         {OP_SIGMOID, NULL, -4, 4},
    {OP_SOFTPLUS, NULL, -4, 4},     {OP_ERF, NULL, -2, 2},          {OP_SIN, NULL, -2, 2},          {OP_COS, NULL, -2, 2},
    {OP_ABS, NULL, 0.1, 2},         {OP_ABS, NULL, -2, -0.1},       {OP_SIGN, NULL, 0.1, 2},        {OP_FLOOR, NULL, 0.1, 0.9},
    {OP_ROUND, NULL, -0.4, 0.4},    {OP_ADD, NULL, -2, 2},          {OP_MUL, NULL, -2, 2},          {OP_POW, build_pow, 0, 0},
    {OP_POW, build_square, 0, 0},   {OP_LT, NULL, -2, 2},           {OP_LE, NULL, -2, 2},           {OP_EQ, NULL, -2, 2},
    {OP_SELECT, build_select, 0, 0},
    {OP_SUM, build_sum_batch, 0, 0},         {OP_SUM, build_sum_inner, 0, 0},       {OP_SUM, build_sum_two, 0, 0},
    {OP_MAX, build_max_inner, 0, 0},         {OP_MAX, build_max_two, 0, 0},         {OP_ARGMAX, build_argmax, 0, 0},
    {OP_RESHAPE, build_reshape, 0, 0},       {OP_PERMUTE, build_permute, 0, 0},     {OP_EXPAND, build_expand, 0, 0},
    {OP_SLICE, build_slice, 0, 0},           {OP_SLICE, build_slice_batch, 0, 0},   {OP_SLICE, build_slice_step, 0, 0},
    {OP_PAD, build_pad, 0, 0},               {OP_PAD, build_pad_batch, 0, 0},       {OP_FLIP, build_flip, 0, 0},
    {OP_CONCAT, build_concat, 0, 0},         {OP_CONCAT, build_concat_batch, 0, 0}, {OP_CONCAT, build_concat_same, 0, 0},
    {OP_DOT, build_dot_matmul, 0, 0},        {OP_DOT, build_dot_outer, 0, 0},       {OP_DOT, build_dot_over_batch, 0, 0},
    {OP_DOT, build_dot_batched, 0, 0},       {OP_DOT, build_dot_crossed, 0, 0},     {OP_DOT, build_dot_self, 0, 0},
    {OP_CONV, build_conv_line, 0, 0},        {OP_CONV, build_conv_strided, 0, 0},   {OP_CONV, build_conv_transposed, 0, 0},
    {OP_CONV, build_conv_dilated, 0, 0},
    {OP_GATHER, build_gather, 0, 0},         {OP_SCATTER_ADD, build_scatter_add, 0, 0},
    {OP_SCAN, build_scan, 0, 0},             {OP_SCAN, build_scan_reverse, 0, 0},    {OP_SCAN, build_scan_recompute, 0, 0},
    {OP_SCAN, build_scan_last, 0, 0},        {OP_SCAN, build_scan_nested, 0, 0},     {OP_SCAN, build_scan_nested_recompute, 0, 0},
    {OP_PART, build_scan, 0, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static Node *build(Trial *trial, const Case *c) {
    if (c->build)
        return c->build(trial);
    return op_info[c->op].arity == 1 ? unary(trial, c->op, c->low, c->high) : binary(trial, c->op, c->low, c->high);
}

static bool case_passes(const Case *c) {
    Trial trial;
    trial_begin(&trial);
    trial_check(&trial, trial_scalar(&trial, build(&trial, c)), 3);
    if (trial.fault)
        printf("%s (case %d): %s\n", op_info[c->op].name, (int)(c - cases), trial.fault);
    bool passes = !trial.fault;
    trial_end(&trial);
    return passes;
}

/* `stop` is a constant to the derivative, and only to it: that of x * stop(x) is x, where differences would say 2x. */
static bool stop_passes(void) {
    Trial trial;
    trial_begin(&trial);
    Node *x = variable(&trial, SHAPE(-1, 4)), *derivative;
    Node *product = graph_binary(trial.graph, OP_MUL, x, graph_stop(trial.graph, x));
    differentiate(trial.graph, graph_sum(trial.graph, product, 3), &x, 1, &derivative);
    double *result = trial_value(&trial, derivative);
    bool passes = true;
    for (int i = 0; i < TRIAL_BATCH * 4; i++)
        passes = passes && result[i] == trial.data[0][i];
    if (!passes)
        printf("stop: the derivative of x * stop(x) is not x\n");
    free(result);
    trial_end(&trial);
    return passes;
}

static bool has_case(Op op) {
    for (int i = 0; i < CASES; i++)
        if (cases[i].op == op)
            return true;
    return false;
}

int main(void) {
    int passed = 0, failed = 0;
    for (int i = 0; i < CASES; i++)
        case_passes(&cases[i]) ? passed++ : failed++;
    for (int op = 0; op < OP_COUNT; op++)
        if (op_info[op].class != CLASS_LEAF && op != OP_STOP && !has_case((Op)op)) {
            printf("%s has no case\n", op_info[op].name);
            failed++;
        }
    stop_passes() ? passed++ : failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

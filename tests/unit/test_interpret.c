/* The interpreter against values worked out by hand: what every comparison with emitted code rests on. */
#include "gdlc.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static Arena *arena;
static Graph *graph;
static Entry entry;
static const double *inputs[4];

static void setup(void) {
    arena = arena_create();
    graph = graph_create(arena);
    entry = (Entry){.kind = ENTRY_FUNCTION, .name = "f", .graph = graph};
}

static void teardown(void) { arena_destroy(arena); }

TestSuite(interpret, .init = setup, .fini = teardown);

static Shape shape_of(int rank, const int64_t *sizes) {
    Shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = dim_const(sizes[i]);
    return shape;
}

#define SHAPE(...) shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define DATA(...) ((const double[]){__VA_ARGS__})

static Node *input(Shape shape, const double *data) {
    Port *port = NEW(arena, Port);
    *port = (Port){.name = "x", .shape = shape, .index = entry.inputs.count};
    LIST_PUSH(arena, &entry.inputs, port);
    inputs[port->index] = data;
    return graph_input(graph, port);
}

static double *evaluate(Node *node, Values values) {
    double *result;
    values.inputs = inputs;
    entry.roots.count = 0;
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_OUTPUT, .value = node}));
    interpret(&entry, &values, &result);
    return result;
}

static void expect(Node *node, int count, const double *expected) {
    Values values = {.symbols = {3}};
    double *result = evaluate(node, values);
    cr_assert_eq(shape_size(&node->shape, values.symbols), count, "size");
    for (int i = 0; i < count; i++)
        cr_expect_float_eq(result[i], expected[i], 1e-12, "element %d is %g, not %g", i, result[i], expected[i]);
    free(result);
}

#define EXPECT(node, ...) expect(node, (int)(sizeof DATA(__VA_ARGS__) / sizeof(double)), DATA(__VA_ARGS__))

Test(interpret, elementwise) {
    Node *x = input(SHAPE(3), DATA(-1, 0, 4)), *y = input(SHAPE(3), DATA(2, 0, 0.5));
    EXPECT(graph_binary(graph, OP_ADD, x, y), 1, 0, 4.5);
    EXPECT(graph_binary(graph, OP_POW, x, y), 1, 1, 2);
    EXPECT(graph_binary(graph, OP_LE, x, y), 1, 1, 0);
    EXPECT(graph_select(graph, x, y, x), 2, 0, 0.5);
    EXPECT(graph_unary(graph, OP_SIGMOID, x), 1 / (1 + exp(1)), 0.5, 1 / (1 + exp(-4)));
}

Test(interpret, stable_forms) {
    Node *x = input(SHAPE(2), DATA(-800, 800));
    EXPECT(graph_unary(graph, OP_SOFTPLUS, x), 0, 800);
    EXPECT(graph_unary(graph, OP_SIGMOID, x), 0, 1);
}

Test(interpret, reductions) {
    Node *x = input(SHAPE(2, 3), DATA(1, 5, 5, -2, -1, -3));
    EXPECT(graph_sum(graph, x, 1), -1, 4, 2);
    EXPECT(graph_sum(graph, x, 2), 11, -6);
    EXPECT(graph_sum(graph, x, 3), 5);
    EXPECT(graph_max(graph, x, 2), 5, -1);
    EXPECT(graph_argmax(graph, x, 1), 1, 1);
    EXPECT(graph_argmax(graph, x, 0), 0, 0, 0);
}

Test(interpret, movement) {
    Node *x = input(SHAPE(2, 3), DATA(1, 2, 3, 4, 5, 6));
    Dim low[] = {dim_const(1), dim_const(0)}, high[] = {dim_const(0), dim_const(1)};
    Dim start[] = {dim_const(1), dim_const(0)}, size[] = {dim_const(1), dim_const(2)};
    Shape wide = SHAPE(2, 2, 3);
    EXPECT(graph_permute(graph, x, (uint8_t[]){1, 0}), 1, 4, 2, 5, 3, 6);
    EXPECT(graph_flip(graph, x, 2), 3, 2, 1, 6, 5, 4);
    EXPECT(graph_flip(graph, x, 1), 4, 5, 6, 1, 2, 3);
    EXPECT(graph_pad(graph, x, low, high), 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0);
    EXPECT(graph_slice(graph, x, start, size, (int64_t[]){1, 2}), 4, 6);
    EXPECT(graph_expand(graph, x, &wide, 2), 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6);
    EXPECT(graph_concat(graph, (Node *[]){x, x}, 2, 1), 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6);
}

Test(interpret, permutation_of_three_axes) {
    Node *x = input(SHAPE(1, 2, 3), DATA(1, 2, 3, 4, 5, 6));
    Node *y = graph_permute(graph, x, (uint8_t[]){2, 0, 1});
    cr_assert_eq(y->shape.dim[0].base, 3);
    EXPECT(y, 1, 4, 2, 5, 3, 6);
}

Test(interpret, dot) {
    Node *a = input(SHAPE(2, 2), DATA(1, 2, 3, 4)), *b = input(SHAPE(2, 2), DATA(5, 6, 7, 8));
    EXPECT(graph_dot(graph, a, b, &(DotAxes){.contract = 1, .a_contract = {1}, .b_contract = {0}}), 19, 22, 43, 50);
    EXPECT(graph_dot(graph, a, b, &(DotAxes){.contract = 1, .a_contract = {0}, .b_contract = {1}}), 23, 31, 34, 46);
    EXPECT(graph_dot(graph, a, b, &(DotAxes){.batch = 1, .contract = 1, .a_contract = {1}, .b_contract = {1}}), 17, 53);
    EXPECT(graph_dot(graph, a, b, &(DotAxes){.contract = 2, .a_contract = {0, 1}, .b_contract = {1, 0}}), 69);
}

Test(interpret, indexing) {
    Node *table = input(SHAPE(3, 2), DATA(1, 2, 3, 4, 5, 6)), *index = input(SHAPE(4), DATA(2, 0, -1, 7));
    Node *rows = graph_gather(graph, table, index);
    EXPECT(rows, 5, 6, 1, 2, 1, 2, 5, 6);
    EXPECT(graph_scatter_add(graph, index, rows, dim_const(3)), 2, 4, 0, 0, 10, 12);
}

Test(interpret, sizes_follow_the_batch) {
    Shape shape = {.rank = 1, .dim = {dim_batch(2)}};
    EXPECT(graph_iota(graph, &shape, 0), 0, 1, 2, 3, 4, 5);
    EXPECT(graph_size(graph, dim_batch(2)), 6);
}

Test(interpret, clock) {
    Values values = {.symbols = {1}, .step = 7, .epoch = 2, .lr_scale = 0.5};
    Node *sum = graph_binary(graph, OP_MUL, graph_clock(graph, CLOCK_STEP), graph_clock(graph, CLOCK_LR_SCALE));
    double *result = evaluate(graph_binary(graph, OP_ADD, sum, graph_clock(graph, CLOCK_EPOCH)), values);
    cr_expect_eq(*result, 5.5);
    free(result);
}

/* Both tensors change places: each gets its new value after both were read. */
Test(interpret, assignments_come_last) {
    double a = 1, b = 2, *tensors[] = {&a, &b}, *results[2];
    Tensor first = {.name = "a", .index = 0}, second = {.name = "b", .index = 1};
    Root roots[] = {{.kind = ROOT_ASSIGN, .target = &first, .value = graph_tensor(graph, &second)},
                    {.kind = ROOT_ASSIGN, .target = &second, .value = graph_tensor(graph, &first)}};
    for (int i = 0; i < 2; i++)
        LIST_PUSH(arena, &entry.roots, roots[i]);
    interpret(&entry, &(Values){.symbols = {1}, .tensors = tensors}, results);
    cr_expect_eq(a, 2);
    cr_expect_eq(b, 1);
    free(results[0]);
    free(results[1]);
}

/* The words of counter 0 under key 0 are in the known-answer tests of Random123, the authors' library. */
Test(interpret, philox_known_answer) {
    static const uint32_t words[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    Shape shape = SHAPE(64);
    double *result = evaluate(graph_rand(graph, &shape, DRAW_UNIFORM, 0), (Values){.symbols = {1}});
    for (int word = 0; word < 4; word++)
        cr_expect_eq(result[16 * word], ((words[word] >> 9) + 0.5) / 8388608, "word %d", word);
    free(result);
}

Test(interpret, draws_depend_on_all_of_their_key) {
    Shape shape = SHAPE(2);
    Node *draw = graph_rand(graph, &shape, DRAW_UNIFORM, 0);
    double *plain = evaluate(draw, (Values){.symbols = {1}});
    double *others[] = {evaluate(draw, (Values){.symbols = {1}, .seed = UINT64_C(1) << 40}),
                        evaluate(draw, (Values){.symbols = {1}, .tick = UINT64_C(1) << 40}),
                        evaluate(graph_rand(graph, &shape, DRAW_UNIFORM, 1), (Values){.symbols = {1}})};
    for (int i = 0; i < 3; i++) {
        cr_expect_neq(plain[0], others[i][0]);
        free(others[i]);
    }
    cr_expect_neq(plain[0], plain[1]);
    free(plain);
}

Test(interpret, normal_draws_have_mean_0_and_variance_1) {
    enum { COUNT = 100000 };
    Shape shape = SHAPE(COUNT);
    double *draws = evaluate(graph_rand(graph, &shape, DRAW_NORMAL, 3), (Values){.symbols = {1}, .seed = 5});
    double sum = 0, squares = 0, neighbours = 0;
    for (int i = 0; i < COUNT; i++) {
        sum += draws[i];
        squares += draws[i] * draws[i];
        neighbours += draws[i] * draws[(i + 16) % COUNT];
    }
    cr_expect_lt(fabs(sum / COUNT), 0.015);
    cr_expect_lt(fabs(squares / COUNT - 1), 0.02);
    cr_expect_lt(fabs(neighbours / COUNT), 0.015);
    free(draws);
}

static void expect_orthonormal_rows(const double *matrix, int rows, int columns, int row_stride, int column_stride) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            double dot = 0;
            for (int c = 0; c < columns; c++)
                dot += matrix[i * row_stride + c * column_stride] * matrix[j * row_stride + c * column_stride];
            cr_expect_float_eq(dot, i == j, 1e-12);
        }
}

Test(interpret, orthogonal_draws) {
    Shape wide = SHAPE(3, 5), tall = SHAPE(2, 3, 4);
    double *rows = evaluate(graph_rand(graph, &wide, DRAW_ORTHOGONAL, 0), (Values){.symbols = {1}});
    double *columns = evaluate(graph_rand(graph, &tall, DRAW_ORTHOGONAL, 0), (Values){.symbols = {1}});
    expect_orthonormal_rows(rows, 3, 5, 5, 1);
    expect_orthonormal_rows(columns, 4, 6, 1, 4);
    free(rows);
    free(columns);
}

/* Two values that change places, and what one of them was before each step: xs are 1, 2, 3. */
static Node *changing_places(bool reverse) {
    static const double xs[] = {1, 2, 3};
    const Shape none = {0};
    Loop loop = loop_open(graph, dim_const(3), reverse);
    Node *a = loop_carry(graph, &loop, graph_fill(graph, 10, &none)), *b = loop_carry(graph, &loop, graph_fill(graph, 20, &none));
    Node *x = loop_element(graph, &loop, input(SHAPE(3), xs));
    LIST_PUSH(arena, &loop.next, b);
    LIST_PUSH(arena, &loop.next, graph_binary(graph, OP_ADD, a, x));
    LIST_PUSH(arena, &loop.collected, a);
    return loop_close(graph, &loop);
}

Test(interpret, loop) {
    Node *scan = changing_places(false);
    EXPECT(graph_part(graph, scan, 0), 22);
    EXPECT(graph_part(graph, scan, 1), 14);
    EXPECT(graph_part(graph, scan, 2), 10, 20, 11);
}

/* From the last element to the first; what is collected keeps the order of the elements. */
Test(interpret, loop_backwards) {
    Node *scan = changing_places(true);
    EXPECT(graph_part(graph, scan, 0), 22);
    EXPECT(graph_part(graph, scan, 1), 14);
    EXPECT(graph_part(graph, scan, 2), 13, 20, 10);
}

/* s <- s + w * sum of (row * s), which the inner loop takes element by element from what the outer one carries. */
Test(interpret, loop_in_a_loop) {
    Node *w = input(SHAPE(1), DATA(2)), *one = graph_sum(graph, w, 1);
    Loop outer = loop_open(graph, dim_const(2), false);
    Node *s = loop_carry(graph, &outer, graph_const(graph, 1)), *row = loop_element(graph, &outer, input(SHAPE(2, 2), DATA(1, 2, 3, 4)));
    Loop inner = loop_open(graph, dim_const(2), false);
    Node *k = loop_carry(graph, &inner, graph_const(graph, 0)), *x = loop_element(graph, &inner, row);
    LIST_PUSH(arena, &inner.next, graph_binary(graph, OP_ADD, k, graph_binary(graph, OP_MUL, x, s)));
    Node *total = graph_part(graph, loop_close(graph, &inner), 0);
    LIST_PUSH(arena, &outer.next, graph_binary(graph, OP_ADD, s, graph_binary(graph, OP_MUL, one, total)));
    LIST_PUSH(arena, &outer.collected, total);
    Node *scan = loop_close(graph, &outer);
    EXPECT(graph_part(graph, scan, 0), 105);
    EXPECT(graph_part(graph, scan, 1), 3, 49);
}

/* The verifier: a valid graph passes, and each way to break one is found and named. Constructors make no broken nodes, so
 * these tests spoil good ones. */
#include "gdlc.h"

#include <criterion/criterion.h>
#include <string.h>

static Arena *arena;
static Graph *graph;
static Entry entry;
static Tensor kernel;
static Node *x, *w, *product, *total; /* sum(x @ w), x: [n, 3], w: [3, 2] */

static Shape matrix(Dim rows, int64_t columns) { return (Shape){.rank = 2, .dim = {rows, dim_const(columns)}}; }

static void setup(void) {
    arena = arena_create();
    graph = graph_create(arena);
    entry = (Entry){.kind = ENTRY_PHASE, .name = "train", .graph = graph};
    Port *port = NEW(arena, Port);
    *port = (Port){.name = "x", .shape = matrix(dim_batch(1), 3)};
    LIST_PUSH(arena, &entry.inputs, port);
    kernel = (Tensor){.name = "kernel", .role = TENSOR_PARAM, .shape = matrix(dim_const(3), 2), .stage = -1};
    x = graph_input(graph, port);
    w = graph_tensor(graph, &kernel);
    product = graph_dot(graph, x, w, &(DotAxes){.contract = 1, .a_contract = {1}, .b_contract = {0}});
    total = graph_sum(graph, product, 3);
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_REPORT, .name = "loss", .value = total}));
}

static void teardown(void) { arena_destroy(arena); }

TestSuite(verify, .init = setup, .fini = teardown);

static void expect_valid(void) {
    const char *fault = verify(arena, &entry);
    cr_expect_null(fault, "%s", fault);
}

/* The fault must name the node (or whatever `where` says) and the rule. */
static void expect_fault(const char *where, const char *rule) {
    const char *fault = verify(arena, &entry);
    cr_assert_not_null(fault, "a fault was not found: %s", rule);
    cr_expect(strstr(fault, where) && strstr(fault, rule), "\"%s\" does not speak of \"%s\" and \"%s\"", fault, where, rule);
}

Test(verify, valid_graph) { expect_valid(); }

/* ── Structure ── */

Test(verify, operand_after_its_user) {
    total->in[0] = graph_unary(graph, OP_NEG, product);
    expect_fault("(sum)", "comes after its operands");
}

Test(verify, operand_of_another_graph) {
    Graph *other = graph_create(arena);
    total->in[0] = graph_tensor(other, &kernel);
    expect_fault("(sum)", "operands of its own graph");
}

Test(verify, wrong_number_of_operands) {
    product->arity = 1;
    expect_fault("(dot)", "as many operands as its operation takes");
}

Test(verify, wrong_id) {
    product->id = 7;
    expect_fault("node 2", "says that it is node 7");
}

Test(verify, unknown_operation) {
    product->op = OP_COUNT;
    expect_fault("node 2", "operation that does not exist");
}

Test(verify, negative_size) {
    product->shape.dim[1] = dim_const(-1);
    expect_fault("(dot)", "sizes of 0 or more");
}

Test(verify, unknown_symbol) {
    x->shape.dim[0].symbol = 9;
    expect_fault("(input)", "sizes of 0 or more");
}

/* ── Shapes and attributes ── */

Test(verify, input_of_another_shape) {
    x->shape.dim[1] = dim_const(4);
    expect_fault("(input)", "shape of its port");
}

Test(verify, input_of_another_entry) {
    Port *port = NEW(arena, Port);
    *port = *entry.inputs.items[0];
    x->attr.port = port;
    expect_fault("(input)", "names a port of the entry");
}

Test(verify, tensor_of_another_shape) {
    kernel.shape.dim[1] = dim_const(4);
    expect_fault("(tensor)", "shape of its tensor");
}

Test(verify, elementwise_operands_of_different_shapes) {
    Node *sum = graph_binary(graph, OP_ADD, product, graph_unary(graph, OP_EXP, product));
    expect_valid();
    sum->in[1] = w;
    expect_fault("(add)", "operands of its own shape");
}

Test(verify, reduction_of_a_missing_axis) {
    total->attr.axes = 4;
    expect_fault("(sum)", "only axes of its operand");
}

Test(verify, reduction_of_another_axis) {
    Node *sum = graph_sum(graph, product, 1);
    expect_valid();
    sum->attr.axes = 2;
    expect_fault("(sum)", "axes of its operand that are not reduced");
}

Test(verify, argmax_of_a_missing_axis) {
    Node *largest = graph_argmax(graph, product, 1);
    expect_valid();
    largest->attr.axis = 2;
    expect_fault("(argmax)", "an axis of its operand");
}

Test(verify, reshape_to_another_size) {
    Shape flat = {.rank = 1, .dim = {dim_const(6)}};
    Node *y = graph_reshape(graph, w, &flat);
    expect_valid();
    y->shape.dim[0] = dim_const(5);
    expect_fault("(reshape)", "as many elements");
}

Test(verify, permutation_that_repeats_an_axis) {
    Node *y = graph_permute(graph, w, (uint8_t[]){1, 0});
    expect_valid();
    y->attr.order[1] = 1;
    expect_fault("(permute)", "each axis of its operand once");
}

Test(verify, expansion_of_another_axis) {
    Shape wide = {.rank = 3, .dim = {dim_const(3), dim_const(2), dim_const(5)}};
    Node *y = graph_expand(graph, w, &wide, 4);
    expect_valid();
    y->attr.axes = 1;
    expect_fault("(expand)", "axes of its operand beside the new ones");
}

static Node *second_half(void) {
    Shape doubled = matrix(dim_batch(2), 3);
    Node *both = graph_concat(graph, (Node *[]){x, x}, 2, 0);
    cr_assert(shape_equal(&both->shape, &doubled));
    Dim start[] = {dim_batch(1), dim_const(0)}, size[] = {dim_batch(1), dim_const(3)};
    return graph_slice(graph, both, start, size, (int64_t[]){1, 1});
}

Test(verify, slice_of_the_batch) {
    second_half();
    expect_valid();
}

Test(verify, slice_beyond_the_end) {
    second_half()->attr.slice.start[0] = dim_add(dim_batch(1), dim_const(1));
    expect_fault("(slice)", "lies within its operand");
}

Test(verify, slice_with_a_step_beyond_the_end) {
    second_half()->attr.slice.step[0] = 2; /* right for a batch of 1 only */
    expect_fault("(slice)", "lies within its operand");
}

Test(verify, slice_backwards) {
    second_half()->attr.slice.step[1] = 0;
    expect_fault("(slice)", "positive steps");
}

Test(verify, negative_padding) {
    Dim low[] = {dim_const(1), dim_const(0)}, high[] = {dim_const(0), dim_const(0)};
    Node *y = graph_pad(graph, w, low, high);
    expect_valid();
    y->attr.pad.low[0] = dim_const(2);
    y->attr.pad.high[0] = dim_const(-1);
    expect_fault("(pad)", "never pads by less than nothing");
    y->attr.pad.high[0] = dim_const(0);
    expect_fault("(pad)", "as long as its operand and its padding");
}

Test(verify, flip_of_a_missing_axis) {
    graph_flip(graph, w, 2)->attr.axes = 8;
    expect_fault("(flip)", "only axes of its own");
}

Test(verify, concatenation_of_unequal_parts) {
    Node *y = graph_concat(graph, (Node *[]){w, w}, 2, 0);
    expect_valid();
    y->in[1] = x;
    expect_fault("(concat)", "parts of its own");
    y->in[1] = w;
    y->shape.dim[0] = dim_const(7);
    expect_fault("(concat)", "as long as its parts together");
}

Test(verify, dot_of_unequal_axes) {
    product->attr.dot.b_contract[0] = 1;
    expect_fault("(dot)", "contracted axes of equal size");
}

Test(verify, dot_that_names_an_axis_twice) {
    product->attr.dot.contract = 2;
    product->attr.dot.a_contract[1] = 1;
    expect_fault("(dot)", "none twice");
}

Test(verify, gather_of_another_shape) {
    Shape index_shape = {.rank = 1, .dim = {dim_batch(1)}};
    Node *rows = graph_gather(graph, w, graph_iota(graph, &index_shape, 0));
    expect_valid();
    rows->shape = x->shape;
    expect_fault("(gather)", "axes of the index");
}

Test(verify, scatter_of_another_shape) {
    Shape index_shape = {.rank = 1, .dim = {dim_batch(1)}};
    Node *sums = graph_scatter_add(graph, graph_iota(graph, &index_shape, 0), x, dim_const(4));
    expect_valid();
    sums->in[1] = product;
    expect_fault("(scatter_add)", "updates with the axes of the index");
}

Test(verify, constant_with_axes) {
    graph_const(graph, 1)->shape = w->shape;
    expect_fault("(const)", "a single number");
}

Test(verify, iota_along_a_missing_axis) {
    Shape shape = {.rank = 1, .dim = {dim_batch(1)}};
    graph_iota(graph, &shape, 0)->attr.axis = 1;
    expect_fault("(iota)", "along one of its axes");
}

Test(verify, unknown_distribution) {
    graph_rand(graph, &w->shape, DRAW_NORMAL, 0)->attr.rand.distribution = (Distribution)9;
    expect_fault("(rand)", "known distribution");
}

/* ── Roots ── */

static void update_kernel(Node *value, Node *gradient) {
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_ASSIGN, .name = "kernel", .target = &kernel, .value = value}));
    if (gradient)
        LIST_PUSH(arena, &entry.gradients, gradient);
}

Test(verify, update) {
    update_kernel(w, w);
    expect_valid();
}

Test(verify, report_of_a_matrix) {
    entry.roots.items[0].value = product;
    expect_fault("(loss)", "single number");
}

Test(verify, root_outside_of_the_graph) {
    entry.roots.items[0].value = graph_const(graph_create(arena), 1);
    expect_fault("(loss)", "a value in the graph");
}

Test(verify, assignment_of_another_shape) {
    update_kernel(product, w);
    expect_fault("(kernel)", "target of its value's shape");
}

Test(verify, second_assignment) {
    update_kernel(w, w);
    update_kernel(w, NULL);
    expect_fault("(kernel)", "only assignment");
}

Test(verify, assignment_outside_of_training) {
    update_kernel(w, NULL);
    entry.kind = ENTRY_FUNCTION;
    expect_fault("(kernel)", "no tensor outside of training");
}

Test(verify, update_without_a_gradient) {
    update_kernel(w, NULL);
    expect_fault("kernel", "has no gradient");
}

Test(verify, gradient_of_another_shape) {
    update_kernel(w, product);
    expect_fault("gradient 0", "shape of kernel");
}

Test(verify, gradient_too_many) {
    update_kernel(w, w);
    LIST_PUSH(arena, &entry.gradients, w);
    expect_fault("gradient 1", "no parameter that is updated");
}

Test(verify, update_from_an_input) {
    Node *gradient = graph_dot(graph, x, product, &(DotAxes){.contract = 1, .a_contract = {0}, .b_contract = {0}});
    update_kernel(gradient, gradient);
    expect_valid();
    entry.roots.items[1].value = graph_dot(graph, x, graph_unary(graph, OP_NEG, product),
                                           &(DotAxes){.contract = 1, .a_contract = {0}, .b_contract = {0}});
    expect_fault("kernel", "other than by way of a gradient");
}

/* ── Loops ── */

static Loop loop;
static Node *scan, *last; /* h <- h + xs[t], three steps; xs: [3, n, 2] */

static void make_loop(void) {
    const Shape steps = {.rank = 3, .dim = {dim_const(3), dim_batch(1), dim_const(2)}};
    loop = loop_open(graph, dim_const(3), false);
    Node *h = loop_carry(graph, &loop, product), *element = loop_element(graph, &loop, graph_fill(graph, 1, &steps));
    Node *next = graph_binary(graph, OP_ADD, h, element);
    LIST_PUSH(arena, &loop.next, next);
    LIST_PUSH(arena, &loop.collected, next);
    scan = loop_close(graph, &loop);
    last = graph_part(graph, scan, 0);
    graph_part(graph, scan, 1);
}

Test(verify, valid_loop) {
    make_loop();
    expect_valid();
}

Test(verify, slot_without_an_operand) {
    make_loop();
    loop.carried.items[0]->attr.slot.index = -1;
    expect_fault("(slot)", "names an operand of its loop");
}

Test(verify, part_of_no_loop) {
    make_loop();
    last->in[0] = product;
    expect_fault("(part)", "is a result of a loop");
}

Test(verify, part_that_the_loop_has_not) {
    make_loop();
    last->attr.part = 2;
    expect_fault("(part)", "a result that its loop has");
}

Test(verify, part_of_another_shape) {
    make_loop();
    last->attr.part = 1;
    expect_fault("(part)", "shape of what the loop carries");
}

Test(verify, loop_without_a_next_value) {
    make_loop();
    scan->attr.scan.body->next.count = 0;
    expect_fault("(scan)", "an operand and a next value");
}

Test(verify, loop_that_carries_another_shape) {
    make_loop();
    scan->in[0] = total;
    expect_fault("(scan)", "carries values that keep their shape");
}

Test(verify, loop_with_more_turns_than_elements) {
    make_loop();
    scan->attr.scan.turns = dim_const(4);
    expect_fault("(scan)", "as long as it has turns");
}

Test(verify, next_value_of_another_graph) {
    make_loop();
    scan->attr.scan.body->next.items[0] = product;
    expect_fault("(scan)", "next values in its body");
}

Test(verify, collected_value_of_another_graph) {
    make_loop();
    scan->attr.scan.body->collected.items[0] = graph_unary(graph, OP_NEG, last);
    expect_fault("(scan)", "collects values of its body");
}

Test(verify, slot_of_another_shape_than_its_operand) {
    make_loop();
    scan->attr.scan.body->graph->nodes.items[0]->attr.slot.index = 2;
    expect_fault("(scan)", "slots of the shapes of its operands");
}

Test(verify, fault_in_a_body) {
    make_loop();
    Node *next = scan->attr.scan.body->next.items[0];
    next->arity = 1;
    expect_fault("(scan)", "valid body");
    expect_fault("(add)", "as many operands");
}

/* Graphs as text: what is printed of each attribute, and that dead nodes leave no trace. */
#include "gdlc.h"

#include <criterion/criterion.h>

static Arena *arena;
static Graph *graph;
static Entry entry;
static Node *x; /* [n, 4] */

static void setup(void) {
    arena = arena_create();
    graph = graph_create(arena);
    entry = (Entry){.kind = ENTRY_FUNCTION, .name = "f", .net = true, .graph = graph};
    Port *port = NEW(arena, Port);
    *port = (Port){.name = "x", .shape = {.rank = 2, .dim = {dim_batch(1), dim_const(4)}}};
    LIST_PUSH(arena, &entry.inputs, port);
    x = graph_input(graph, port);
}

static void teardown(void) { arena_destroy(arena); }

TestSuite(print, .init = setup, .fini = teardown);

static const char *printed(Node *value) {
    Text text = {.arena = arena};
    Port *port = NEW(arena, Port);
    *port = (Port){.name = "y", .shape = value->shape};
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_OUTPUT, .name = "y", .port = port, .value = value}));
    graph_print(&text, NULL, &entry);
    return text.bytes;
}

Test(print, numbers_skip_dead_nodes) {
    graph_unary(graph, OP_EXP, x);
    Node *half = graph_fill(graph, 0.5, &x->shape);
    Node *y = graph_binary(graph, OP_MUL, x, half);
    y->label = "halves";
    cr_expect_str_eq(printed(y), "net f(x: [n, 4])\n"
                                 "    %0 = input x  [n, 4]\n"
                                 "    %1 = const 0.5  []\n"
                                 "    %2 = expand %1 axes 0, 1  [n, 4]\n"
                                 "    %3 = mul %0 %2  [n, 4]  # halves\n"
                                 "    return y = %3\n");
}

Test(print, attributes_in_words) {
    Dim start[] = {dim_const(0), dim_const(1)}, size[] = {dim_batch(1), dim_const(2)}, none[] = {dim_const(0), dim_const(0)};
    Dim two[] = {dim_const(0), dim_const(2)};
    Node *slice = graph_slice(graph, x, start, size, (int64_t[]){1, 2});
    Node *padded = graph_pad(graph, slice, none, two);
    Node *both = graph_concat(graph, (Node *[]){padded, x}, 2, 0);
    Node *gram = graph_dot(graph, both, both, &(DotAxes){.contract = 1, .a_contract = {0}, .b_contract = {0}});
    Node *turned = graph_permute(graph, graph_flip(graph, gram, 1), (uint8_t[]){1, 0});
    Node *noise = graph_rand(graph, &turned->shape, DRAW_NORMAL, 3);
    cr_expect_str_eq(printed(graph_sum(graph, graph_binary(graph, OP_ADD, turned, noise), 2)),
                     "net f(x: [n, 4])\n"
                     "    %0 = input x  [n, 4]\n"
                     "    %1 = slice %0 from [0, 1] step [1, 2]  [n, 2]\n"
                     "    %2 = pad %1 low [0, 0] high [0, 2]  [n, 4]\n"
                     "    %3 = concat %2 %0 axis 0  [2n, 4]\n"
                     "    %4 = dot %3 %3 contract 0:0  [4, 4]\n"
                     "    %5 = flip %4 axes 0  [4, 4]\n"
                     "    %6 = permute %5 order [1, 0]  [4, 4]\n"
                     "    %7 = rand normal stream 3  [4, 4]\n"
                     "    %8 = add %6 %7  [4, 4]\n"
                     "    %9 = sum %8 axes 1  [4]\n"
                     "    return y = %9\n");
}

Test(print, numbers_are_short_and_exact) {
    cr_expect_str_eq(printed(graph_const(graph, 0.1)), "net f(x: [n, 4])\n    %0 = const 0.1  []\n    return y = %0\n");
}

Test(print, whole_numbers_have_no_exponent) {
    cr_expect_str_eq(printed(graph_const(graph, -50)), "net f(x: [n, 4])\n    %0 = const -50  []\n    return y = %0\n");
}

Test(print, phases_show_reports_gradients_and_updates) {
    Tensor w = {.name = "encoder.kernel", .shape = {.rank = 0}};
    Node *value = graph_tensor(graph, &w);
    entry.kind = ENTRY_PHASE;
    entry.net = false;
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_REPORT, .name = "loss", .value = graph_unary(graph, OP_NEG, value)}));
    LIST_PUSH(arena, &entry.roots, ((Root){.kind = ROOT_ASSIGN, .target = &w, .value = value}));
    LIST_PUSH(arena, &entry.gradients, value);
    Text text = {.arena = arena};
    graph_print(&text, NULL, &entry);
    cr_expect_str_eq(text.bytes, "phase f(x: [n, 4])\n"
                                 "    %0 = tensor encoder.kernel  []\n"
                                 "    %1 = neg %0  []\n"
                                 "    gradient 0 = %0\n"
                                 "    report loss = %1\n"
                                 "    encoder.kernel <- %0\n");
}

Test(print, drawing) {
    Text text = {.arena = arena};
    printed(graph_unary(graph, OP_NEG, x));
    graph_print_dot(&text, &entry);
    cr_expect_str_eq(text.bytes, "digraph \"f\" {\n"
                                 "    node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n"
                                 "    n0 [fillcolor=\"#dbe9d8\", label=\"input x\\n[n, 4]\"];\n"
                                 "    n1 [fillcolor=\"#f4f4f4\", label=\"neg\\n[n, 4]\"];\n"
                                 "    n0 -> n1;\n"
                                 "    r0 [shape=plaintext, fillcolor=white, label=\"y\"];\n"
                                 "    n1 -> r0;\n"
                                 "}\n");
}

Test(print, loops_with_their_bodies) {
    const Shape steps = {.rank = 2, .dim = {dim_const(5), dim_const(4)}}, element = {.rank = 1, .dim = {dim_const(4)}};
    Loop loop = loop_open(graph, dim_const(5), true);
    Node *h = loop_carry(graph, &loop, graph_fill(graph, 0, &element)), *xt = loop_element(graph, &loop, graph_iota(graph, &steps, 0));
    LIST_PUSH(arena, &loop.next, graph_binary(graph, OP_ADD, h, xt));
    LIST_PUSH(arena, &loop.collected, h);
    cr_expect_str_eq(printed(graph_part(graph, loop_close(graph, &loop), 1)), "net f(x: [n, 4])\n"
                                 "    %0 = const 0  []\n"
                                 "    %1 = expand %0 axes 0  [4]\n"
                                 "    %2 = iota axis 0  [5, 4]\n"
                                 "    %3 = scan %1 %2 carried 1 scanned 1 reverse over [5]  []\n"
                                 "        %0 = slot 0  [4]\n"
                                 "        %1 = slot 1  [4]\n"
                                 "        %2 = add %0 %1  [4]\n"
                                 "        next %2\n"
                                 "        collect %0\n"
                                 "    %4 = part %3 1  [5, 4]\n"
                                 "    return y = %4\n");
}

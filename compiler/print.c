/* print.c: a graph as text, one line a node, and as a drawing for Graphviz.
 *
 *     phase train(x: [n, 3])
 *         %0 = input x  [n, 3]
 *         %1 = tensor encoder.kernel  [3, 2]
 *         %2 = dot %0 %1 contract 1:0  [n, 2]  # codings  pca.gdl:7
 *         report loss = %9
 *         encoder.kernel <- %14
 *
 * Nodes that no root needs are left out, and the others numbered anew in the order of the graph, so that the text depends
 * on what is computed and not on what a pass happened to make on the way. */
#include "gdlc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printer {
    Text *to;
    const Context *context;
    const SymbolList *symbols;
    const Graph *graph;
    int *number;             /* by id: the printed number; -1 for dead nodes */
    int margin;
} Printer;

/* ── Numbers of nodes ─────────────────────────────────────────────────────────────────────── */

static int *number_nodes(Arena *arena, const Graph *graph, const bool *needed) {
    int count = graph->nodes.count, next = 0;
    int *number = arena_alloc(arena, ((size_t)count + 1) * sizeof *number);
    for (int i = 0; i < count; i++)
        number[i] = needed[i] ? next++ : -1;
    return number;
}

/* ── Attributes ───────────────────────────────────────────────────────────────────────────── */

/* Whole numbers without an exponent. */
void text_number(Text *to, double value) {
    char digits[40];
    if (value == floor(value) && fabs(value) < 1e9) {
        text_add(to, "%.0f", value);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    text_add(to, "%s", digits);
}

static void print_axes(Text *to, const char *word, uint32_t axes) {
    const char *between = " ";
    text_add(to, " %s", word);
    for (int i = 0; i < MAX_RANK; i++)
        if (axes >> i & 1) {
            text_add(to, "%s%d", between, i);
            between = ", ";
        }
}

static void print_dims(const Printer *printer, const char *word, const Dim *dims, int rank) {
    Shape shape = {.rank = rank};
    memcpy(shape.dim, dims, sizeof *dims * (size_t)rank);
    text_add(printer->to, " %s %s", word, shape_text(printer->to->arena, printer->symbols, &shape));
}

static void print_order(const Printer *printer, const Node *node) {
    Shape shape = {.rank = node->shape.rank};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = dim_const(node->attr.order[i]);
    print_dims(printer, "order", shape.dim, shape.rank);
}

static void print_slice(const Printer *printer, const Node *node) {
    Dim steps[MAX_RANK];
    bool dense = true;
    for (int i = 0; i < node->shape.rank; i++) {
        steps[i] = dim_const(node->attr.slice.step[i]);
        dense = dense && node->attr.slice.step[i] == 1;
    }
    print_dims(printer, "from", node->attr.slice.start, node->shape.rank);
    if (!dense)
        print_dims(printer, "step", steps, node->shape.rank);
}

static void print_pairs(Text *to, const char *word, const uint8_t *a, const uint8_t *b, int count) {
    if (!count)
        return;
    text_add(to, " %s", word);
    for (int i = 0; i < count; i++)
        text_add(to, "%s%d:%d", i ? ", " : " ", a[i], b[i]);
}

static void print_rand(Text *to, const Node *node) {
    static const char *const names[] = {[DRAW_UNIFORM] = "uniform", [DRAW_NORMAL] = "normal", [DRAW_ORTHOGONAL] = "orthogonal"};
    text_add(to, " %s stream %d", names[node->attr.rand.distribution], node->attr.rand.stream);
}

static void print_clock(Text *to, const Node *node) {
    static const char *const names[] = {[CLOCK_STEP] = "step", [CLOCK_EPOCH] = "epoch", [CLOCK_LR_SCALE] = "lr_scale"};
    text_add(to, " %s", names[node->attr.clock]);
}

/* One word for each attribute that is not the usual one, with a number for each spatial axis. */
static void print_spatial(Text *to, const char *word, const int64_t *values, int count, int64_t usual) {
    bool unusual = false;
    for (int i = 0; i < count; i++)
        unusual |= values[i] != usual;
    if (unusual)
        text_add(to, " %s", word);
    for (int i = 0; unusual && i < count; i++)
        text_add(to, "%s %lld", i ? "," : "", (long long)values[i]);
}

static void print_conv(Text *to, const ConvAxes *axes) {
    print_spatial(to, "stride", axes->stride, axes->spatial, 1);
    print_spatial(to, "low", axes->low, axes->spatial, 0);
    print_spatial(to, "high", axes->high, axes->spatial, 0);
    print_spatial(to, "spread", axes->spread, axes->spatial, 1);
    print_spatial(to, "dilation", axes->dilation, axes->spatial, 1);
}

static void print_scan(const Printer *printer, const Node *node) {
    Text *to = printer->to;
    const Body *body = node->attr.scan.body;
    text_add(to, " carried %d scanned %d%s%s", body->carried, body->scanned, node->attr.scan.reverse ? " reverse" : "",
             node->attr.scan.recompute ? " recompute" : "");
    print_dims(printer, "over", &node->attr.scan.turns, 1);
}

static void print_attributes(const Printer *printer, const Node *node) {
    Text *to = printer->to;
    switch (node->op) {
    case OP_CONST: text_add(to, " "); text_number(to, node->attr.value); break;
    case OP_INPUT: text_add(to, " %s", node->attr.port->name); break;
    case OP_TENSOR: text_add(to, " %s", node->attr.tensor->name); break;
    case OP_IOTA:
    case OP_CONCAT:
    case OP_ARGMAX: text_add(to, " axis %d", node->attr.axis); break;
    case OP_RAND: print_rand(to, node); break;
    case OP_SIZE: print_dims(printer, "of", &node->attr.size, 1); break;
    case OP_CLOCK: print_clock(to, node); break;
    case OP_SUM:
    case OP_MAX:
    case OP_EXPAND:
    case OP_FLIP: print_axes(to, "axes", node->attr.axes); break;
    case OP_PERMUTE: print_order(printer, node); break;
    case OP_SLICE: print_slice(printer, node); break;
    case OP_PAD:
        print_dims(printer, "low", node->attr.pad.low, node->shape.rank);
        print_dims(printer, "high", node->attr.pad.high, node->shape.rank);
        break;
    case OP_DOT:
        print_pairs(to, "batch", node->attr.dot.a_batch, node->attr.dot.b_batch, node->attr.dot.batch);
        print_pairs(to, "contract", node->attr.dot.a_contract, node->attr.dot.b_contract, node->attr.dot.contract);
        break;
    case OP_CONV: print_conv(to, &node->attr.conv); break;
    case OP_SLOT: text_add(to, " %d", node->attr.slot.index); break;
    case OP_SCAN: print_scan(printer, node); break;
    case OP_PART: text_add(to, " %d", node->attr.part); break;
    default: break; /* the operation and its operands say all */
    }
}

/* ── Lines ────────────────────────────────────────────────────────────────────────────────── */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The label and the line of the model, both where known. A span that is all zero was never set. */
static void print_origin(const Printer *printer, const Node *node) {
    const Context *context = printer->context;
    bool placed = context && node->span.end > 0 && node->span.file < context->sources.count;
    if (node->label || placed)
        text_add(printer->to, "  # %s", node->label ? node->label : "");
    if (placed)
        text_add(printer->to, "%s%s:%d", node->label ? "  " : "", base_name(context->sources.items[node->span.file].path),
                 source_position(context, node->span.file, node->span.start).line);
}

static void print_body(const Printer *outer, const Body *body);

static void print_node(const Printer *printer, const Node *node) {
    Text *to = printer->to;
    text_add(to, "%*s%%%d = %s", printer->margin, "", printer->number[node->id], op_info[node->op].name);
    for (int i = 0; i < node->arity; i++)
        text_add(to, " %%%d", printer->number[node->in[i]->id]);
    print_attributes(printer, node);
    text_add(to, "  %s", shape_text(to->arena, printer->symbols, &node->shape));
    print_origin(printer, node);
    text_add(to, "\n");
    if (node->op == OP_SCAN)
        print_body(printer, node->attr.scan.body);
}

static void print_nodes(const Printer *printer) {
    for (int i = 0; i < printer->graph->nodes.count; i++)
        if (printer->number[i] >= 0)
            print_node(printer, printer->graph->nodes.items[i]);
}

/* The numbers of a body are its own. */
static void print_body(const Printer *outer, const Body *body) {
    Text *to = outer->to;
    const NodeList roots = body_results(to->arena, body);
    const Printer printer = {to, outer->context, outer->symbols, body->graph,
                             number_nodes(to->arena, body->graph, graph_needs(to->arena, body->graph, &roots)), outer->margin + 4};
    print_nodes(&printer);
    for (int i = 0; i < roots.count; i++)
        text_add(to, "%*s%s %%%d\n", printer.margin, "", i < body->carried ? "next" : "collect", printer.number[roots.items[i]->id]);
}

static void print_root(const Printer *printer, const Root *root) {
    int number = printer->number[root->value->id];
    switch (root->kind) {
    case ROOT_OUTPUT: text_add(printer->to, "    return %s = %%%d\n", root->port->name, number); break;
    case ROOT_REPORT: text_add(printer->to, "    report %s = %%%d\n", root->name, number); break;
    case ROOT_ASSIGN: text_add(printer->to, "    %s <- %%%d\n", root->target->name, number); break;
    }
}

static void print_header(Text *to, const Entry *entry) {
    static const char *const kinds[] = {[ENTRY_INIT] = "init", [ENTRY_FUNCTION] = "export", [ENTRY_PHASE] = "phase",
                                        [ENTRY_EVALUATE] = "evaluate"};
    text_add(to, "%s %s(", entry->net ? "net" : kinds[entry->kind], entry->name ? entry->name : "");
    for (int i = 0; i < entry->inputs.count; i++)
        text_add(to, "%s%s: %s", i ? ", " : "", entry->inputs.items[i]->name,
                 shape_text(to->arena, entry->symbols, &entry->inputs.items[i]->shape));
    text_add(to, ")\n");
}

static Printer printer_of(Text *to, const Context *context, const Entry *entry) {
    return (Printer){to, context, entry->symbols, entry->graph, number_nodes(to->arena, entry->graph, entry_needs(to->arena, entry)), 4};
}

void graph_print(Text *to, const Context *context, const Entry *entry) {
    const Printer printer = printer_of(to, context, entry);
    print_header(to, entry);
    print_nodes(&printer);
    for (int i = 0; i < entry->gradients.count; i++)
        text_add(to, "    gradient %d = %%%d\n", i, printer.number[entry->gradients.items[i]->id]);
    for (int i = 0; i < entry->roots.count; i++)
        print_root(&printer, &entry->roots.items[i]);
}

/* ── Graphviz ─────────────────────────────────────────────────────────────────────────────── */

static const char *dot_colour(const Node *node) {
    static const char *const colours[] = {[CLASS_LEAF] = "#dbe9d8",        [CLASS_ELEMENTWISE] = "#f4f4f4",
                                          [CLASS_REDUCTION] = "#f6e3c5",   [CLASS_MOVEMENT] = "#ffffff",
                                          [CLASS_CONTRACTION] = "#cfe0f5", [CLASS_OTHER] = "#eadcf2"};
    return colours[op_info[node->op].class];
}

/* Names are identifiers, numbers and dots, so nothing needs to be quoted within the quotes. */
static void dot_node(const Printer *printer, const Node *node) {
    Text *to = printer->to;
    text_add(to, "    n%d [fillcolor=\"%s\", label=\"%s", printer->number[node->id], dot_colour(node), op_info[node->op].name);
    print_attributes(printer, node);
    text_add(to, "\\n%s%s%s\"];\n", shape_text(to->arena, printer->symbols, &node->shape), node->label ? "\\n" : "", node->label ? node->label : "");
    for (int i = 0; i < node->arity; i++)
        text_add(to, "    n%d -> n%d;\n", printer->number[node->in[i]->id], printer->number[node->id]);
}

static void dot_root(const Printer *printer, const Root *root, int i) {
    const char *name = root->kind == ROOT_OUTPUT ? root->port->name : root->kind == ROOT_REPORT ? root->name : root->target->name;
    text_add(printer->to, "    r%d [shape=plaintext, fillcolor=white, label=\"%s\"];\n", i, name);
    text_add(printer->to, "    n%d -> r%d;\n", printer->number[root->value->id], i);
}

void graph_print_dot(Text *to, const Entry *entry) {
    const Printer printer = printer_of(to, NULL, entry);
    text_add(to, "digraph \"%s\" {\n    node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n",
             entry->name ? entry->name : "init");
    for (int i = 0; i < entry->graph->nodes.count; i++)
        if (printer.number[i] >= 0)
            dot_node(&printer, entry->graph->nodes.items[i]);
    for (int i = 0; i < entry->roots.count; i++)
        dot_root(&printer, &entry->roots.items[i], i);
    text_add(to, "}\n");
}

/* Simplification: constants folded, algebra, stable forms of logarithms, movements pushed to where they cost nothing,
 * dead code left behind. One walk over what the roots need, in the order of the graph, rebuilding each node by the
 * constructors of rules.h.
 *
 * Requires a valid graph; keeps the value of every root up to rounding. The exception is documented at the rule:
 * the logarithm of a clamped probability. */
#include "rules.h"

#include <string.h>

bool is(const Node *node, Op op) { return node->op == op && !node->closed; }

bool is_uniform(const Node *node, double *value) {
    if (is(node, OP_CONST) || is(node, OP_EXPAND)) return node_is_uniform(node, value);
    return false;
}

bool is_value(const Node *node, double value) {
    double found;
    return is_uniform(node, &found) && found == value;
}

Node *fill_like(Simplifier *s, double value, const Node *like) { return graph_fill(s->graph, value, &like->shape); }

/* ── one node ─────────────────────────────────────────────────────────────────────────────── */

static Node *rebuild_movement(Simplifier *s, const Node *node, Node **in) {
    if (node->op == OP_CONCAT) return simple_concat(s, in, node->arity, node->attr.axis);
    return simple_movement_like(s, node, in[0]);
}

Node *rebuild(Simplifier *s, const Node *node, Node **in) {
    switch (op_info[node->op].class) {
    case CLASS_ELEMENTWISE: return simple_elementwise(s, node->op, in);
    case CLASS_MOVEMENT: return rebuild_movement(s, node, in);
    case CLASS_CONTRACTION:
        return node->op == OP_DOT ? simple_dot(s, in[0], in[1], &node->attr.dot) : simple_conv(s, in[0], in[1], &node->attr.conv);
    default: break;
    }
    if (node->op == OP_SUM) return simple_sum(s, in[0], node->attr.axes);
    if (node->op == OP_MAX) return simple_max(s, in[0], node->attr.axes);
    if (node->op == OP_ARGMAX && dim_equal(in[0]->shape.dim[node->attr.axis], dim_const(1))) return graph_fill(s->graph, 0, &node->shape);
    if (node->op == OP_STOP && s->final) return in[0];
    return graph_copy_node(s->graph, node, in);
}

/* ── the walk ─────────────────────────────────────────────────────────────────────────────── */

Walk walk_over(Simplifier *simplifier, const Graph *from) {
    Walk walk = { .simplifier = simplifier, .from = from };
    size_t count = (size_t)from->nodes.count + 1;
    walk.needed = arena_alloc(from->arena, count * sizeof *walk.needed);
    walk.closes = arena_alloc(from->arena, count * sizeof *walk.closes);
    walk.simple = arena_alloc(from->arena, count * sizeof *walk.simple);
    walk.parts = arena_alloc(from->arena, count * sizeof *walk.parts);
    return walk;
}

/* Inputs come before their users, so one pass from the end marks everything that is needed. */
void walk_need(Walk *walk) {
    for (int id = walk->from->nodes.count - 1; id >= 0; id--) {
        const Node *node = walk->from->nodes.items[id];
        if (!walk->needed[id] || walk->simple[id]) continue;
        for (int i = 0; i < node->arity; i++) walk->needed[node->in[i]->id] = true;
    }
}

/* Loops are taken apart only in the end: before, differentiation may ask them for further results. */
static Node *rebuild_in(Walk *walk, const Node *node, Node **in) {
    const bool final = walk->simplifier->final;
    if (node->op == OP_PART && final) return walk->parts[node->in[0]->id][node->attr.part];
    if (node->op == OP_SCAN && final) walk->parts[node->id] = simple_scan(walk, node, in);
    return node->op == OP_SCAN && final ? graph_const(walk->simplifier->graph, 0) : rebuild(walk->simplifier, node, in);
}

void walk_rebuild(Walk *walk) {
    Simplifier *s = walk->simplifier;
    const int count = walk->from->nodes.count; /* the graph may be growing */
    for (int id = 0; id < count; id++) {
        const Node *node = walk->from->nodes.items[id];
        if (!walk->needed[id] || walk->simple[id]) continue;
        Node **in = arena_alloc(walk->from->arena, sizeof *in * (size_t)(node->arity + 1));
        for (int i = 0; i < node->arity; i++) in[i] = walk->simple[node->in[i]->id];
        s->graph->span = node->span;
        Node *simple = rebuild_in(walk, node, in);
        if (node->label && !simple->label) simple->label = node->label;
        double constant; /* which is the same wherever it is looked at */
        simple->closed |= walk->closes[id] && !node_is_uniform(simple, &constant);
        walk->simple[id] = simple;
    }
}

Node *simplify_node(Graph *graph, Node *root, Node *const *kept, int count) {
    Span span = graph->span;
    Simplifier simplifier = { .graph = graph };
    Walk walk = walk_over(&simplifier, graph);
    for (int i = 0; i < count; i++) {
        kept[i]->closed = true;
        walk.simple[kept[i]->id] = kept[i];
    }
    walk.needed[root->id] = true;
    walk_need(&walk);
    walk_rebuild(&walk);
    for (int i = 0; i < count; i++) kept[i]->closed = false;
    graph->span = span;
    return walk.simple[root->id];
}

/* ── a whole entry ────────────────────────────────────────────────────────────────────────── */

static void simplify_once(Entry *entry) {
    Graph *from = entry->graph;
    Simplifier simplifier = { .graph = graph_create(from->arena), .final = true };
    Walk walk = walk_over(&simplifier, from);
    for (int i = 0; i < entry->roots.count; i++) walk.needed[entry->roots.items[i].value->id] = true;
    for (int i = 0; i < entry->gradients.count; i++) {
        const int id = entry->gradients.items[i]->id;
        walk.needed[id] = walk.closes[id] = true; /* updates read the gradients, not what these were made from */
    }
    walk_need(&walk);
    walk_rebuild(&walk);
    for (int i = 0; i < entry->roots.count; i++) {
        Root *root = &entry->roots.items[i];
        root->value = walk.simple[root->value->id];
    }
    for (int i = 0; i < entry->gradients.count; i++) entry->gradients.items[i] = walk.simple[entry->gradients.items[i]->id];
    entry->graph = simplifier.graph;
}

/* The first walk leaves nodes that its rules made on the way; the second leaves them behind, and finds what the first
 * uncovered. */
void simplify(Context *context, Entry *entry) {
    (void)context;
    simplify_once(entry);
    simplify_once(entry);
}

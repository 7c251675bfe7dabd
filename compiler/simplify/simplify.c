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

static Node *rebuild(Simplifier *s, const Node *node, Node **in) {
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

typedef struct Walk {
    Simplifier *simplifier;
    const Graph *from;
    bool *needed;  /* by id of `from` */
    bool *closes;  /* by id of `from`: it becomes a closed node */
    Node **simple; /* by id of `from`: the node in its simple form */
} Walk;

static Walk walk_over(Simplifier *simplifier, const Graph *from) {
    Walk walk = { .simplifier = simplifier, .from = from };
    size_t count = (size_t)from->nodes.count;
    walk.needed = arena_alloc(from->arena, count * sizeof *walk.needed);
    walk.closes = arena_alloc(from->arena, count * sizeof *walk.closes);
    walk.simple = arena_alloc(from->arena, count * sizeof *walk.simple);
    return walk;
}

/* Inputs come before their users, so one pass from the end marks everything that is needed. */
static void mark_needed(Walk *walk, int last) {
    for (int id = last; id >= 0; id--) {
        const Node *node = walk->from->nodes.items[id];
        if (!walk->needed[id] || walk->simple[id]) continue;
        for (int i = 0; i < node->arity; i++) walk->needed[node->in[i]->id] = true;
    }
}

static void rebuild_needed(Walk *walk, int last) {
    Simplifier *s = walk->simplifier;
    for (int id = 0; id <= last; id++) {
        const Node *node = walk->from->nodes.items[id];
        if (!walk->needed[id] || walk->simple[id]) continue;
        Node **in = arena_alloc(walk->from->arena, sizeof *in * (size_t)(node->arity + 1));
        for (int i = 0; i < node->arity; i++) in[i] = walk->simple[node->in[i]->id];
        s->graph->span = node->span;
        Node *simple = rebuild(s, node, in);
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
    mark_needed(&walk, root->id);
    rebuild_needed(&walk, root->id);
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
    mark_needed(&walk, from->nodes.count - 1);
    rebuild_needed(&walk, from->nodes.count - 1);
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

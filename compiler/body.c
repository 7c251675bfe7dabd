/* Loops in graphs. A loop is written down as nodes of the graph around it, with slots for what differs between its steps, so
 * that whoever writes it (the elaborator, the rule of differentiation, a simplification) uses the ordinary constructors.
 * Closing it takes out exactly what depends on the slots. What does not depend on them stays outside and is computed once. */
#include "gdlc.h"

#include <assert.h>
#include <string.h>

Loop loop_open(Graph *graph, Dim turns, bool reverse) {
    return (Loop){ .number = ++graph->loops, .turns = turns, .reverse = reverse };
}

/* Slots are numbered in the order of the operands only when the loop is closed; until then each just has to differ. */
static Node *fresh_slot(Graph *graph, const Loop *loop, const Shape *shape) {
    return graph_slot(graph, shape, loop->carried.count + loop->elements.count, loop->number);
}

Node *loop_carry(Graph *graph, Loop *loop, Node *initial) {
    Node *slot = fresh_slot(graph, loop, &initial->shape);
    LIST_PUSH(graph->arena, &loop->initial, initial);
    LIST_PUSH(graph->arena, &loop->carried, slot);
    return slot;
}

Node *loop_element(Graph *graph, Loop *loop, Node *sequence) {
    assert(sequence->shape.rank && dim_equal(sequence->shape.dim[0], loop->turns));
    Shape shape = shape_without(&sequence->shape, 1);
    Node *slot = fresh_slot(graph, loop, &shape);
    LIST_PUSH(graph->arena, &loop->sequences, sequence);
    LIST_PUSH(graph->arena, &loop->elements, slot);
    return slot;
}

/* ── closing ──────────────────────────────────────────────────────────────────────────────── */

typedef struct Closing {
    Graph *from;
    Body *body;
    NodeList operands;
    bool *inside;    /* by id: it depends on a slot of the loop */
    Node **copy;     /* by id: the node in the body */
} Closing;

static void mark_inside(Closing *closing, const Loop *loop) {
    for (int id = 0; id < closing->from->nodes.count; id++) {
        const Node *node = closing->from->nodes.items[id];
        closing->inside[id] = node->op == OP_SLOT && node->attr.slot.loop == loop->number;
        for (int i = 0; i < node->arity; i++) closing->inside[id] |= closing->inside[node->in[i]->id];
    }
}

static NodeList joined(Arena *arena, const NodeList *first, const NodeList *second) {
    NodeList all = { 0 };
    for (int i = 0; i < first->count; i++) LIST_PUSH(arena, &all, first->items[i]);
    for (int i = 0; i < second->count; i++) LIST_PUSH(arena, &all, second->items[i]);
    return all;
}

static void add_operand(Closing *closing, Node *operand, Node *slot) {
    Graph *graph = closing->body->graph;
    closing->copy[slot->id] = graph_slot(graph, &slot->shape, closing->operands.count, 0);
    closing->copy[slot->id]->label = slot->label;
    LIST_PUSH(graph->arena, &closing->operands, operand);
}

/* What costs nothing is not passed in but made where it is used. */
static bool is_free(const Node *node) {
    return node->op == OP_CONST || node->op == OP_EXPAND || node->op == OP_IOTA || node->op == OP_SIZE || node->op == OP_CLOCK;
}

static Node *copy_in(Closing *closing, Node *node) {
    if (closing->copy[node->id]) return closing->copy[node->id];
    if (!closing->inside[node->id] && !is_free(node)) {
        add_operand(closing, node, node);
        return closing->copy[node->id];
    }
    Node **in = arena_alloc(closing->from->arena, sizeof *in * (size_t)(node->arity + 1));
    for (int i = 0; i < node->arity; i++) in[i] = copy_in(closing, node->in[i]);
    return closing->copy[node->id] = graph_copy_node(closing->body->graph, node, in);
}

static bool same_results(const NodeList *a, const NodeList *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (a->items[i]->id != b->items[i]->id) return false;
    return true;
}

static bool same_node(const Node *a, const Node *b) {
    if (a->op != b->op || a->arity != b->arity || !shape_equal(&a->shape, &b->shape) || memcmp(&a->attr, &b->attr, sizeof a->attr) != 0)
        return false;
    for (int i = 0; i < a->arity; i++)
        if (a->in[i]->id != b->in[i]->id) return false;
    return true;
}

static bool same_body(const Body *a, const Body *b) {
    if (a->carried != b->carried || a->scanned != b->scanned || a->graph->nodes.count != b->graph->nodes.count) return false;
    for (int id = 0; id < a->graph->nodes.count; id++)
        if (!same_node(a->graph->nodes.items[id], b->graph->nodes.items[id])) return false;
    return same_results(&a->next, &b->next) && same_results(&a->collected, &b->collected);
}

/* Equal bodies are one, so that equal loops are one node. */
static Body *unique_body(Graph *graph, Body *body) {
    for (int i = 0; i < graph->bodies.count; i++)
        if (same_body(graph->bodies.items[i], body)) return graph->bodies.items[i];
    LIST_PUSH(graph->arena, &graph->bodies, body);
    return body;
}

Node *loop_close(Graph *graph, const Loop *loop) {
    const size_t count = (size_t)graph->nodes.count + 1;
    const NodeList results = joined(graph->arena, &loop->next, &loop->collected);
    const bool *needed = graph_needs(graph->arena, graph, &results);
    Closing closing = { .from = graph, .body = NEW(graph->arena, Body) };
    closing.inside = arena_alloc(graph->arena, count * sizeof *closing.inside);
    closing.copy = arena_alloc(graph->arena, count * sizeof *closing.copy);
    *closing.body = (Body){ .graph = graph_create(graph->arena), .carried = loop->carried.count };
    mark_inside(&closing, loop);
    for (int i = 0; i < loop->carried.count; i++) add_operand(&closing, loop->initial.items[i], loop->carried.items[i]);
    for (int i = 0; i < loop->elements.count; i++) {
        if (!needed[loop->elements.items[i]->id]) continue;
        add_operand(&closing, loop->sequences.items[i], loop->elements.items[i]);
        closing.body->scanned++;
    }
    for (int i = 0; i < loop->next.count; i++) LIST_PUSH(graph->arena, &closing.body->next, copy_in(&closing, loop->next.items[i]));
    for (int i = 0; i < loop->collected.count; i++)
        LIST_PUSH(graph->arena, &closing.body->collected, copy_in(&closing, loop->collected.items[i]));
    Node like;
    memset(&like, 0, sizeof like);
    like.attr.scan.turns = loop->turns;
    like.attr.scan.reverse = loop->reverse;
    like.attr.scan.recompute = loop->recompute;
    return graph_scan(graph, &like, unique_body(graph, closing.body), closing.operands.items, closing.operands.count);
}

/* ── results ──────────────────────────────────────────────────────────────────────────────── */

Shape part_shape(const Node *scan, int part) {
    const Body *body = scan->attr.scan.body;
    if (part < body->carried) return body->next.items[part]->shape;
    return shape_behind(scan->attr.scan.turns, &body->collected.items[part - body->carried]->shape);
}

NodeList body_results(Arena *arena, const Body *body) { return joined(arena, &body->next, &body->collected); }

int body_collect(Graph *graph, Node *scan, Node *value) {
    Body *body = scan->attr.scan.body;
    for (int i = 0; i < body->collected.count; i++)
        if (body->collected.items[i] == value) return body->carried + i;
    LIST_PUSH(graph->arena, &body->collected, value);
    return body->carried + body->collected.count - 1;
}

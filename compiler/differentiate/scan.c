/* The derivative of a loop is a loop in the other direction. Its step is the walk back over the forward step, by the same
 * rules as everywhere; what that reads of the forward step is collected there, or computed anew where memory is to be spared.
 *
 * The forward step is written down once more in the graph around it, with slots of its own. The walk back over it makes
 * adjoints that read it in places; cutting replaces these places by what the backward loop has in every turn. */
#include "adjoints.h"

#include <assert.h>

typedef struct Backward {
    Graph *graph;
    Node *scan;
    Body *body;
    Node **forward;      /* by id in the body: the same in the graph around */
    Node **original;     /* by id in the graph: the node of the body that it repeats, or NULL */
    bool *varies;        /* by id in the graph: it depends on a slot of the forward step */
    Adjoints step;       /* the walk back over the forward step */
    Loop loop;
    Node **cut;          /* by id in the graph: what stands for it in the backward step */
    NodeList operands;   /* of the forward loop: slots, or values from outside */
} Backward;

/* ── the forward step, written down again ─────────────────────────────────────────────────── */

static void write_forward(Backward *b) {
    Graph *graph = b->graph, *step = b->body->graph;
    const Loop slots = loop_open(graph, b->scan->attr.scan.turns, false);
    const int changing = b->body->carried + b->body->scanned;
    b->forward = arena_alloc(graph->arena, sizeof *b->forward * (size_t)(step->nodes.count + 1));
    for (int i = 0; i < b->scan->arity; i++) {
        Node *in = b->scan->in[i];
        const Shape element = i >= b->body->carried && i < changing ? shape_without(&in->shape, 1) : in->shape;
        LIST_PUSH(graph->arena, &b->operands, i < changing ? graph_slot(graph, &element, i, slots.number) : in);
    }
    for (int id = 0; id < step->nodes.count; id++) {
        const Node *node = step->nodes.items[id];
        Node **in = arena_alloc(graph->arena, sizeof *in * (size_t)(node->arity + 1));
        for (int i = 0; i < node->arity; i++) in[i] = b->forward[node->in[i]->id];
        b->forward[id] = node->op == OP_SLOT ? b->operands.items[node->attr.slot.index] : graph_copy_node(graph, node, in);
    }
}

/* Operands first: a node of the step may turn out to be one. */
static void index_forward(Backward *b, const NodeList *nodes) {
    b->original = arena_alloc(b->graph->arena, sizeof *b->original * (size_t)b->graph->nodes.count);
    for (int slots = 1; slots >= 0; slots--)
        for (int id = 0; id < nodes->count; id++)
            if ((nodes->items[id]->op == OP_SLOT) == slots && !b->original[b->forward[id]->id])
                b->original[b->forward[id]->id] = nodes->items[id];
}

/* What depends on what changes from step to step, of all nodes that there are by now. */
static void mark_varying(Backward *b) {
    const int changing = b->body->carried + b->body->scanned;
    b->varies = arena_alloc(b->graph->arena, sizeof *b->varies * (size_t)b->graph->nodes.count);
    for (int i = 0; i < changing; i++) b->varies[b->operands.items[i]->id] = true;
    for (int id = 0; id < b->graph->nodes.count; id++) {
        const Node *node = b->graph->nodes.items[id];
        for (int i = 0; i < node->arity; i++) b->varies[id] |= b->varies[node->in[i]->id];
    }
}

/* ── the walk back over it ────────────────────────────────────────────────────────────────── */

/* A node of the forward step, not one of its operands. */
static bool in_step(const Backward *b, int id) {
    return b->original[id] && b->original[id]->op != OP_SLOT;
}

static void mark_step(Backward *b) {
    for (int id = 0; id < b->step.count; id++) {
        const Node *node = b->graph->nodes.items[id];
        if (!in_step(b, id) || !op_has_gradient(node->op)) continue;
        for (int i = 0; i < node->arity; i++) b->step.wanted[id] |= b->step.wanted[node->in[i]->id];
    }
}

/* A carried value is wanted where its first value is, or where one step makes it depend on something wanted. */
static void mark_wanted(Backward *b, const Adjoints *outer) {
    for (int i = 0; i < b->scan->arity; i++) b->step.wanted[b->operands.items[i]->id] = outer->wanted[b->scan->in[i]->id];
    for (bool changed = true; changed;) {
        changed = false;
        mark_step(b);
        for (int i = 0; i < b->body->carried; i++) {
            bool *carried = &b->step.wanted[b->operands.items[i]->id];
            if (*carried || !b->step.wanted[b->forward[b->body->next.items[i]->id]->id]) continue;
            *carried = changed = true;
        }
    }
}

/* The adjoint of a result of the loop, or NULL for zero. */
static Node *part_adjoint(const Adjoints *outer, Node *scan, int part) {
    for (int id = scan->id + 1; id < outer->count; id++) {
        const Node *node = outer->graph->nodes.items[id];
        if (node->op == OP_PART && node->in[0] == scan && node->attr.part == part) return outer->of[id];
    }
    return NULL;
}

/* The backward loop carries the adjoint of each carried value, and takes in those of the sequences that were collected. */
static void seed(Backward *b, const Adjoints *outer, int collected) {
    for (int i = 0; i < b->body->carried; i++) {
        Node *slot = b->operands.items[i], *last = part_adjoint(outer, b->scan, i);
        if (!wants(&b->step, slot)) continue;
        Node *d = loop_carry(b->graph, &b->loop, last ? last : graph_fill(b->graph, 0, &slot->shape));
        contribute(&b->step, b->forward[b->body->next.items[i]->id], d);
    }
    for (int i = 0; i < collected; i++) {
        Node *d = part_adjoint(outer, b->scan, b->body->carried + i), *value = b->forward[b->body->collected.items[i]->id];
        if (d && wants(&b->step, value)) contribute(&b->step, value, loop_element(b->graph, &b->loop, d));
    }
}

static void walk_back(Backward *b) {
    for (int id = b->step.count - 1; id >= 0; id--) {
        Node *node = b->graph->nodes.items[id];
        if (in_step(b, id) && b->step.of[id]) op_info[node->op].differentiate(&b->step, node, b->step.of[id]);
    }
}

/* ── what the backward step reads of the forward step ─────────────────────────────────────── */

static Node *cut(Backward *b, Node *node);

static Node *cut_inputs(Backward *b, const Node *node) {
    Node **in = arena_alloc(b->graph->arena, sizeof *in * (size_t)(node->arity + 1));
    for (int i = 0; i < node->arity; i++) in[i] = cut(b, node->in[i]);
    return graph_copy_node(b->graph, node, in);
}

/* Movements cost nothing to repeat. */
static bool is_repeated(const Backward *b, const Node *node) {
    return b->scan->attr.scan.recompute || op_info[node->op].class == CLASS_MOVEMENT;
}

/* The node of the body that `node` repeats, or NULL. The walk may have asked a loop in the step for further results. */
static Node *original_of(Backward *b, const Node *node) {
    if (node->id < b->step.count && b->original[node->id]) return b->original[node->id];
    Node *loop = node->op == OP_PART && node->in[0]->id < b->step.count ? b->original[node->in[0]->id] : NULL;
    return loop ? graph_part(b->body->graph, loop, node->attr.part) : NULL;
}

static Node *cut_forward(Backward *b, Node *node, Node *original) {
    const int index = original->op == OP_SLOT ? original->attr.slot.index : -1;
    if (index >= b->body->carried) return loop_element(b->graph, &b->loop, b->scan->in[index]);
    if (index < 0 && is_repeated(b, node)) return cut_inputs(b, node);
    return loop_element(b->graph, &b->loop, graph_part(b->graph, b->scan, body_collect(b->graph, b->scan, original)));
}

static Node *cut(Backward *b, Node *node) {
    if (!b->varies[node->id]) return node;
    if (b->cut[node->id]) return b->cut[node->id];
    Node *original = original_of(b, node);
    return b->cut[node->id] = original ? cut_forward(b, node, original) : cut_inputs(b, node);
}

static Node *adjoint_or_zero(Backward *b, Node *operand) {
    Node *d = b->step.of[operand->id];
    return d ? cut(b, d) : graph_fill(b->graph, 0, &operand->shape);
}

/* ── the rules ────────────────────────────────────────────────────────────────────────────── */

/* Where the adjoint of an operand comes from: what the backward loop carries, or what it collects. */
typedef enum Result { RESULT_NONE, RESULT_CARRIED, RESULT_ADDED, RESULT_SEQUENCE, RESULT_SUMMED } Result;

/* Of an operand that is the same in every step the adjoints add up: as a sum over a sequence, which a product behind the loop
 * takes in; or in the loop, where memory is to be spared. */
static Result result_of(const Backward *b, int i) {
    const Node *operand = b->operands.items[i];
    if (!wants(&b->step, operand)) return RESULT_NONE;
    if (i < b->body->carried) return RESULT_CARRIED;
    if (!b->step.of[operand->id]) return RESULT_NONE;
    if (i < b->body->carried + b->body->scanned) return RESULT_SEQUENCE;
    return b->scan->attr.scan.recompute ? RESULT_ADDED : RESULT_SUMMED;
}

/* The next value of what adds up: one more that is carried, from zero on. */
static Node *added(Backward *b, Node *operand) {
    Node *sum = loop_carry(b->graph, &b->loop, graph_fill(b->graph, 0, &operand->shape));
    return graph_binary(b->graph, OP_ADD, sum, adjoint_or_zero(b, operand));
}

static void close_backward(Backward *b) {
    for (int i = 0; i < b->scan->arity; i++) {
        const Result result = result_of(b, i);
        Node *operand = b->operands.items[i];
        if (result == RESULT_CARRIED) LIST_PUSH(b->graph->arena, &b->loop.next, adjoint_or_zero(b, operand));
        else if (result == RESULT_ADDED) LIST_PUSH(b->graph->arena, &b->loop.next, added(b, operand));
        else if (result != RESULT_NONE) LIST_PUSH(b->graph->arena, &b->loop.collected, adjoint_or_zero(b, operand));
    }
}

static void contribute_results(Backward *b, Adjoints *outer, Node *backward) {
    int carried = 0, collected = b->loop.next.count;
    for (int i = 0; i < b->scan->arity; i++) {
        const Result result = result_of(b, i);
        if (result == RESULT_NONE) continue;
        const bool sequence = result == RESULT_SEQUENCE || result == RESULT_SUMMED;
        Node *d = graph_part(b->graph, backward, sequence ? collected++ : carried++);
        contribute(outer, b->scan->in[i], result == RESULT_SUMMED ? graph_sum(b->graph, d, 1) : d);
    }
}

RULE(scan) {
    (void)d; /* the adjoints are those of its parts */
    Graph *graph = adjoints->graph;
    Backward b = { .graph = graph, .scan = node, .body = node->attr.scan.body };
    const int collected = b.body->collected.count;
    b.loop = loop_open(graph, node->attr.scan.turns, !node->attr.scan.reverse);
    b.loop.recompute = node->attr.scan.recompute;
    write_forward(&b);
    index_forward(&b, &b.body->graph->nodes);
    b.step = adjoints_create(graph, graph->nodes.count);
    mark_wanted(&b, adjoints);
    seed(&b, adjoints, collected);
    walk_back(&b);
    mark_varying(&b);
    b.cut = arena_alloc(graph->arena, sizeof *b.cut * (size_t)graph->nodes.count);
    close_backward(&b);
    contribute_results(&b, adjoints, loop_close(graph, &b.loop));
}

/* Tells the loop that there is something to do; the loop asks for the adjoint itself. */
RULE(part) {
    (void)d;
    contribute(adjoints, node->in[0], graph_const(adjoints->graph, 0));
}

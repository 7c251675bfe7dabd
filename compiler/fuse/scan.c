/* Loops over time: a step whose body is a list of steps, made of the loop's own graph as a program is made of an entry's.
 *
 * What is carried lies in one buffer, which starts with the first value and ends with the last; as with tensors, all new values
 * are computed before one is written, by temporaries and copies of which merging and forwarding leave nothing where the
 * step is elementwise. What is collected is computed straight into its place in the sequence. */
#include "fuse.h"

#include <string.h>

/* ── operands ─────────────────────────────────────────────────────────────────────────────── */

const Scalar *slot_at(Fuse *fuse, const Node *slot, const Index *const *at) {
    const Body *body = fuse->scan->attr.scan.body;
    const int operand = slot->attr.slot.index, depth = fuse->around.depth - 1;
    const Index *all[MAX_RANK + 1];
    if (operand >= body->carried + body->scanned) return scalar_at(fuse->outer, fuse->scan->in[operand], at);
    all[0] = index_loop(fuse->arena, depth, fuse->around.extent[depth]);
    memcpy(all + 1, at, sizeof *at * (size_t)slot->shape.rank);
    return scalar_at(fuse->outer, fuse->scan->in[operand], all);
}

/* ── results ──────────────────────────────────────────────────────────────────────────────── */

/* NULL where nobody reads the part. */
static Buffer *part_buffer(const Fuse *fuse, const Node *scan, int part) {
    for (int i = scan->id + 1; i < fuse->entry->graph->nodes.count; i++) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (node->op == OP_PART && node->in[0] == scan && node->attr.part == part && fuse->live[i]) return fuse->stored[i];
    }
    return NULL;
}

static Buffer *carried_buffer(Fuse *fuse, const Node *scan, int i) {
    Buffer *buffer = part_buffer(fuse, scan, i);
    return buffer ? buffer : buffer_of_node(fuse, BUFFER_TEMPORARY, scan->attr.scan.body->next.items[i]);
}

/* Where this step's element of a sequence begins. */
static const Index *element_start(Fuse *step, const Node *value) {
    const int depth = step->around.depth - 1;
    const Index *turn = index_loop(step->arena, depth, step->around.extent[depth]);
    return index_mul(step->arena, turn, poly_shape(step->arena, &value->shape));
}

/* ── the step ─────────────────────────────────────────────────────────────────────────────── */

/* What is carried, and what somebody reads of what is collected. */
static NodeList read_results(Fuse *fuse, const Node *scan) {
    const Body *body = scan->attr.scan.body;
    NodeList results = {0};
    for (int i = 0; i < body->next.count; i++) LIST_PUSH(fuse->arena, &results, body->next.items[i]);
    for (int i = 0; i < body->collected.count; i++)
        if (part_buffer(fuse, scan, body->carried + i)) LIST_PUSH(fuse->arena, &results, body->collected.items[i]);
    return results;
}

static Fuse open_step(Fuse *fuse, const Node *scan, Step *to) {
    const Body *body = scan->attr.scan.body;
    const size_t count = (size_t)body->graph->nodes.count;
    const NodeList results = read_results(fuse, scan);
    Entry *entry = NEW(fuse->arena, Entry);
    Fuse step = *fuse;
    *entry = (Entry){.kind = fuse->entry->kind, .graph = body->graph};
    step.entry = entry;
    step.live = graph_needs(fuse->arena, body->graph, &results);
    step.early = NULL;
    step.stored = arena_alloc(fuse->arena, count * sizeof *step.stored);
    step.start = arena_alloc(fuse->arena, count * sizeof *step.start);
    memset(&step.packed, 0, sizeof step.packed);
    step.outer = fuse, step.scan = scan, step.steps = &to->scan.body;
    step.around.extent[step.around.depth++] = to->scan.turns;
    return step;
}

static void store_carried(Fuse *step, Buffer *const *carried) {
    const Graph *graph = step->entry->graph;
    for (int id = 0; id < graph->nodes.count; id++) {
        const Node *node = graph->nodes.items[id];
        if (node->op == OP_SLOT && node->attr.slot.index < step->scan->attr.scan.body->carried)
            step->stored[id] = carried[node->attr.slot.index];
    }
}

/* A value that has no place yet gets that in the sequence; convolutions, scattered sums and loops begin with a buffer only. */
static bool can_go_straight(const Fuse *step, const Node *value) {
    return !step->stored[value->id] && op_info[value->op].class != CLASS_LEAF && value->op != OP_CONV && value->op != OP_PART &&
           value->op != OP_SCATTER_ADD && !(value->op == OP_PERMUTE && value->in[0]->op == OP_CONV);
}

static void store_collected(Fuse *step) {
    const Body *body = step->scan->attr.scan.body;
    for (int i = 0; i < body->collected.count; i++) {
        const Node *value = body->collected.items[i];
        Buffer *sequence = part_buffer(step->outer, step->scan, body->carried + i);
        if (!sequence || !can_go_straight(step, value)) continue;
        step->stored[value->id] = sequence;
        step->start[value->id] = element_start(step, value);
    }
}

static bool is_used(const Fuse *step, const Node *node, int carried) {
    const Body *body = step->scan->attr.scan.body;
    for (int i = 0; i < body->collected.count; i++)
        if (body->collected.items[i] == node) return true;
    for (int i = 0; i < body->next.count; i++)
        if (i != carried && body->next.items[i] == node) return true;
    for (int id = node->id + 1; id < body->graph->nodes.count; id++)
        for (int k = 0; step->live[id] && k < body->graph->nodes.items[id]->arity; k++)
            if (body->graph->nodes.items[id]->in[k] == node) return true;
    return false;
}

/* A product that is only carried goes straight to where the old value lies, as the last thing in a step; unless it reads
 * something carried itself. */
static bool comes_last(const Fuse *step, const Node *next, int carried) {
    if (next->op != OP_DOT || is_used(step, next, carried)) return false;
    for (int i = 0; i < 2; i++) {
        const Node *operand = gemm_operand(next->in[i]);
        if (operand->op == OP_SLOT && operand->attr.slot.index < step->scan->attr.scan.body->carried) return false;
    }
    return true;
}

static void store_next(Fuse *step, Buffer *const *carried) {
    const Body *body = step->scan->attr.scan.body;
    for (int i = 0; i < body->next.count; i++)
        if (comes_last(step, body->next.items[i], i)) step->stored[body->next.items[i]->id] = carried[i];
    for (int i = 0; i < body->next.count; i++)
        if (op_info[body->next.items[i]->op].class != CLASS_LEAF) store_node(step, body->next.items[i]);
}

static void lower_collected(Fuse *step, int part) {
    const Body *body = step->scan->attr.scan.body;
    for (int i = 0; i < body->collected.count; i++) {
        const Node *value = body->collected.items[i];
        Buffer *sequence = part_buffer(step->outer, step->scan, body->carried + i);
        if (sequence && step->stored[value->id] != sequence)
            lower_element(step, sequence, element_start(step, value), value, part);
    }
}

/* The old value of something else that is carried, which may be written before this copy of it: taken aside. */
static void set_aside(Fuse *step, Buffer *const *carried, int part) {
    const Body *body = step->scan->attr.scan.body;
    for (int i = 0; i < body->next.count; i++) {
        const Node *next = body->next.items[i];
        if (next->op != OP_SLOT || next->attr.slot.index == i || next->attr.slot.index >= body->carried) continue;
        if (step->stored[next->id] != carried[next->attr.slot.index]) continue; /* by an earlier one */
        Buffer *aside = buffer_of_node(step, BUFFER_TEMPORARY, next);
        lower_copy(step, aside, next, part);
        step->stored[next->id] = aside;
    }
}

static bool is_carried(const Fuse *step, const Node *node, Buffer *const *carried) {
    for (int i = 0; i < step->scan->attr.scan.body->carried; i++)
        if (step->stored[node->id] == carried[i]) return true;
    return false;
}

/* All nodes but those that come last; or these. */
static void lower_nodes(Fuse *step, Buffer *const *carried, bool last, int part) {
    const Graph *graph = step->entry->graph;
    for (int id = 0; id < graph->nodes.count; id++) {
        const Node *node = graph->nodes.items[id];
        if (!step->live[id] || is_carried(step, node, carried) != last) continue;
        if (step->stored[id] || node->op == OP_SCAN) lower_node(step, node, part);
    }
}

static void lower_step(Fuse *step, Buffer *const *carried, int part) {
    const Body *body = step->scan->attr.scan.body;
    store_carried(step, carried);
    store_collected(step);
    store_next(step, carried);
    choose_stored(step);
    lower_nodes(step, carried, false, part);
    lower_collected(step, part);
    set_aside(step, carried, part);
    lower_nodes(step, carried, true, part);
    for (int i = 0; i < body->next.count; i++)
        if (step->stored[body->next.items[i]->id] != carried[i]) lower_copy(step, carried[i], body->next.items[i], part);
}

void lower_scan(Fuse *fuse, const Node *scan, int part) {
    const Body *body = scan->attr.scan.body;
    Buffer **carried = arena_alloc(fuse->arena, (size_t)(body->carried + 1) * sizeof *carried);
    Step *to = NEW(fuse->arena, Step);
    to->kind = STEP_SCAN;
    to->scan.depth = fuse->around.depth;
    to->scan.turns = poly_dim(fuse->arena, scan->attr.scan.turns);
    to->scan.reverse = scan->attr.scan.reverse;
    to->scan.node = scan;
    for (int i = 0; i < body->carried; i++) {
        carried[i] = carried_buffer(fuse, scan, i);
        lower_copy(fuse, carried[i], scan->in[i], part);
    }
    Fuse step = open_step(fuse, scan, to);
    lower_step(&step, carried, part);
    append_step(fuse, steps_of(fuse, part), to);
}

/* Simplification of loops. The step is written down once more, in its simple form, in the graph around it (body.c); then each
 * part of it goes to where it is cheapest:
 *
 *     what is the same in every step    outside, once (closing a loop leaves it there)
 *     products of what is not carried   ahead of the loop, for all steps at once: x_t @ kernel
 *     products that nothing carried     behind the loop, for all steps at once, from what the loop collects: gradients of
 *     waits for                         kernels and of the sequences
 *     the rest                          in the loop
 *
 * What nobody reads is not carried, and not collected. */
#include "rules.h"

#include <string.h>

typedef struct Rewrite {
    Simplifier *simplifier;
    Graph *graph;
    Arena *arena;
    const Body *body;
    const Node *scan;
    Node **in;           /* operands, in their simple form */
    Loop loop;
    bool *used;          /* by part of the old loop */
    bool *alive;         /* by carried value of the old loop */
    int *place;          /* by carried value of the old loop: which one of the new loop */
    Node **slots;        /* by operand of the old loop: what stands for it in a step */
    Node **next, **collected; /* of the old loop, as nodes of the graph around; NULL where they are not used */
} Rewrite;

static bool is_constant(const Rewrite *r, int carried) {
    const Node *next = r->body->next.items[carried];
    return next->op == OP_SLOT && next->attr.slot.index == carried;
}

/* ── what is used ─────────────────────────────────────────────────────────────────────────── */

static void need_step(Rewrite *r, Walk *step) {
    for (int i = 0; i < r->body->carried; i++)
        if (r->alive[i]) step->needed[r->body->next.items[i]->id] = true;
    for (int i = 0; i < r->body->collected.count; i++)
        if (r->used[r->body->carried + i]) step->needed[r->body->collected.items[i]->id] = true;
    walk_need(step);
}

/* A carried value is alive when its last value is used, or when something alive reads it. */
static void find_alive(Rewrite *r, Walk *step) {
    for (int i = 0; i < r->body->carried; i++) r->alive[i] = r->used[i];
    for (bool changed = true; changed;) {
        changed = false;
        need_step(r, step);
        for (int id = 0; id < r->body->graph->nodes.count; id++) {
            const Node *node = r->body->graph->nodes.items[id];
            if (node->op != OP_SLOT || !step->needed[id] || node->attr.slot.index >= r->body->carried) continue;
            if (r->alive[node->attr.slot.index]) continue;
            r->alive[node->attr.slot.index] = changed = true;
        }
    }
}

/* Of all loops with this body: they may turn out to be one. */
static void find_used(Rewrite *r, const Walk *walk) {
    for (int id = 0; id < walk->from->nodes.count; id++) {
        const Node *node = walk->from->nodes.items[id];
        if (node->op == OP_PART && node->in[0]->attr.scan.body == r->body && walk->needed[id]) r->used[node->attr.part] = true;
    }
}

/* ── the step, simple ─────────────────────────────────────────────────────────────────────── */

/* The element of a sequence that repeats one value is that value. */
static Node *element_of(Rewrite *r, Node *sequence) {
    if (!is(sequence, OP_EXPAND) || !(sequence->attr.axes & 1)) return loop_element(r->graph, &r->loop, sequence);
    const Shape shape = shape_without(&sequence->shape, 1);
    return simple_expand(r->simplifier, sequence->in[0], &shape, sequence->attr.axes >> 1);
}

static void open_slots(Rewrite *r) {
    for (int i = 0; i < r->scan->arity; i++) {
        const bool carried = i < r->body->carried, scanned = !carried && i < r->body->carried + r->body->scanned;
        r->slots[i] = r->in[i];
        if (scanned) r->slots[i] = element_of(r, r->in[i]);
        else if (carried && r->alive[i] && !is_constant(r, i)) {
            r->place[i] = r->loop.carried.count;
            r->slots[i] = loop_carry(r->graph, &r->loop, r->in[i]);
        }
    }
}

static void write_step(Rewrite *r, Walk *step) {
    for (int id = 0; id < r->body->graph->nodes.count; id++) {
        const Node *node = r->body->graph->nodes.items[id];
        if (node->op == OP_SLOT) step->simple[id] = r->slots[node->attr.slot.index];
    }
    walk_rebuild(step);
    for (int i = 0; i < r->body->carried; i++)
        if (r->alive[i]) r->next[i] = step->simple[r->body->next.items[i]->id];
    for (int i = 0; i < r->body->collected.count; i++)
        if (r->used[r->body->carried + i]) r->collected[i] = step->simple[r->body->collected.items[i]->id];
}

/* ── ahead of the loop ────────────────────────────────────────────────────────────────────── */

/* By id, of all nodes that there are by now. */
typedef struct Marks {
    int count;
    bool recompute;         /* memory is to be spared: everything stays in the loop */
    bool *varies, *recurs;  /* depends on a slot of the loop; on a carried one */
    bool *waited;           /* a carried value waits for it */
    signed char *leads, *follows; /* answers of can_lead and follows: 1 or -1; 0 where nobody asked */
    Node **sequence;        /* for all steps at once */
} Marks;

static Marks marks_of(const Rewrite *r) {
    Marks marks = { .count = r->graph->nodes.count, .recompute = r->loop.recompute };
    const size_t count = (size_t)marks.count;
    marks.varies = arena_alloc(r->arena, count * sizeof *marks.varies);
    marks.recurs = arena_alloc(r->arena, count * sizeof *marks.recurs);
    marks.waited = arena_alloc(r->arena, count * sizeof *marks.waited);
    marks.leads = arena_alloc(r->arena, count);
    marks.follows = arena_alloc(r->arena, count);
    marks.sequence = arena_alloc(r->arena, count * sizeof *marks.sequence);
    for (int i = 0; i < r->loop.carried.count; i++) marks.recurs[r->loop.carried.items[i]->id] = true;
    for (int i = 0; i < r->loop.elements.count; i++) marks.varies[r->loop.elements.items[i]->id] = true;
    for (int id = 0; id < marks.count; id++) {
        const Node *node = r->graph->nodes.items[id];
        for (int i = 0; i < node->arity; i++) {
            marks.varies[id] |= marks.varies[node->in[i]->id];
            marks.recurs[id] |= marks.recurs[node->in[i]->id];
        }
        marks.varies[id] |= marks.recurs[id];
    }
    for (int i = 0; i < r->body->carried; i++)
        if (r->next[i]) marks.waited[r->next[i]->id] = true;
    for (int id = marks.count - 1; id >= 0; id--) {
        const Node *node = r->graph->nodes.items[id];
        for (int i = 0; marks.waited[id] && i < node->arity; i++) marks.waited[node->in[i]->id] = true;
    }
    return marks;
}

/* It depends on nothing carried, and can be computed for all steps at once. */
static bool can_lead(Marks *marks, const Node *node) {
    if (!marks->varies[node->id] || marks->leads[node->id]) return marks->leads[node->id] >= 0;
    bool leads = !marks->recurs[node->id] && (node->op == OP_SLOT || over_time_exists(node));
    for (int i = 0; i < node->arity && leads; i++) leads = can_lead(marks, node->in[i]);
    marks->leads[node->id] = leads ? 1 : -1;
    return leads;
}

/* The value for all steps: of what is not carried, from the sequences; behind the loop, from what was collected too. */
static void make_sequence(Rewrite *r, Marks *marks, const Node *node) {
    if (!marks->varies[node->id] || marks->sequence[node->id]) return;
    for (int i = 0; i < node->arity; i++) make_sequence(r, marks, node->in[i]);
    marks->sequence[node->id] = over_time(r->simplifier, node, r->loop.turns, marks->sequence);
}

static void know_sequences(const Rewrite *r, Marks *marks, int elements) {
    for (int i = 0; i < elements; i++) marks->sequence[r->loop.elements.items[i]->id] = r->loop.sequences.items[i];
}

/* The nodes of a step once some have been replaced, by id of the old ones. */
static Node *replaced(Rewrite *r, Node **by, const Marks *marks, Node *node) {
    if (!node || node->id >= marks->count || !marks->varies[node->id]) return node;
    if (by[node->id]) return by[node->id];
    if (!node->arity) return by[node->id] = node;
    Node **in = arena_alloc(r->arena, sizeof *in * (size_t)node->arity);
    for (int i = 0; i < node->arity; i++) in[i] = replaced(r, by, marks, node->in[i]);
    Node *simple = rebuild(r->simplifier, node, in);
    if (!simple->label) simple->label = node->label;
    return by[node->id] = simple;
}

static void lead_with_products(Rewrite *r) {
    Marks marks = marks_of(r);
    Node **by = arena_alloc(r->arena, sizeof *by * (size_t)marks.count);
    know_sequences(r, &marks, r->loop.elements.count);
    for (int id = 0; id < marks.count; id++) {
        const Node *node = r->graph->nodes.items[id];
        if (node->op != OP_DOT || !marks.varies[id] || !can_lead(&marks, node)) continue;
        r->graph->span = node->span;
        make_sequence(r, &marks, node);
        by[id] = loop_element(r->graph, &r->loop, marks.sequence[id]);
    }
    for (int i = 0; i < r->body->carried; i++) r->next[i] = replaced(r, by, &marks, r->next[i]);
    for (int i = 0; i < r->body->collected.count; i++) r->collected[i] = replaced(r, by, &marks, r->collected[i]);
}

/* ── behind the loop ──────────────────────────────────────────────────────────────────────── */

/* Products and sums over the batch that no carried value waits for, and what is made of them. */
static bool follows(Marks *marks, const Node *node) {
    if (marks->recompute) return false;
    if (!marks->varies[node->id] || marks->waited[node->id] || !over_time_exists(node)) return false;
    if (marks->follows[node->id]) return marks->follows[node->id] > 0;
    bool follows_one = node->op == OP_DOT || node->op == OP_SUM;
    for (int i = 0; i < node->arity && !follows_one; i++) follows_one = follows(marks, node->in[i]);
    marks->follows[node->id] = follows_one ? 1 : -1;
    return follows_one;
}

/* What the loop has to collect so that `node` can be computed behind it. */
static void collect_for(Rewrite *r, Marks *marks, Node *node) {
    if (!marks->varies[node->id] || marks->sequence[node->id]) return;
    if (follows(marks, node)) {
        for (int i = 0; i < node->arity; i++) collect_for(r, marks, node->in[i]);
        return;
    }
    for (int i = 0; i < r->loop.collected.count; i++)
        if (r->loop.collected.items[i] == node) return;
    LIST_PUSH(r->arena, &r->loop.collected, node);
}

static void know_collected(Rewrite *r, Marks *marks, Node *scan) {
    for (int i = 0; i < r->loop.collected.count; i++)
        marks->sequence[r->loop.collected.items[i]->id] = graph_part(r->graph, scan, r->loop.carried.count + i);
}

/* ── closing ──────────────────────────────────────────────────────────────────────────────── */

/* A value that is the same in every step makes a sequence that repeats it. */
static Node *collected_result(Rewrite *r, Marks *marks, const Node *scan, int i) {
    const Shape shape = part_shape(scan, r->body->carried + i);
    Node *value = r->collected[i];
    if (!marks->varies[value->id]) return simple_expand(r->simplifier, value, &shape, 1);
    make_sequence(r, marks, value);
    return marks->sequence[value->id];
}

static Node **close_step(Rewrite *r) {
    const int carried = r->body->carried, collected = r->body->collected.count;
    Node **parts = arena_alloc(r->arena, sizeof *parts * (size_t)(carried + collected + 1));
    Marks marks = marks_of(r);
    know_sequences(r, &marks, r->loop.elements.count);
    for (int i = 0; i < collected; i++)
        if (r->collected[i] && marks.varies[r->collected[i]->id]) collect_for(r, &marks, r->collected[i]);
    for (int i = 0; i < carried; i++)
        if (r->place[i] >= 0) LIST_PUSH(r->arena, &r->loop.next, r->next[i]);
    Node *scan = r->loop.carried.count || r->loop.collected.count ? loop_close(r->graph, &r->loop) : NULL;
    if (scan) know_collected(r, &marks, scan);
    for (int i = 0; i < carried; i++)
        if (r->used[i]) parts[i] = r->place[i] >= 0 ? graph_part(r->graph, scan, r->place[i]) : r->in[i];
    for (int i = 0; i < collected; i++)
        if (r->used[carried + i]) parts[carried + i] = collected_result(r, &marks, r->scan, i);
    return parts;
}

static Rewrite rewrite_of(const Walk *walk, const Node *node, Node **in) {
    Rewrite r = { .simplifier = walk->simplifier, .graph = walk->simplifier->graph, .arena = walk->from->arena,
                  .body = node->attr.scan.body, .scan = node, .in = in };
    const size_t carried = (size_t)r.body->carried, collected = (size_t)r.body->collected.count;
    r.used = arena_alloc(r.arena, (carried + collected + 1) * sizeof *r.used);
    r.alive = arena_alloc(r.arena, (carried + 1) * sizeof *r.alive);
    r.place = arena_alloc(r.arena, (carried + 1) * sizeof *r.place);
    r.slots = arena_alloc(r.arena, (size_t)(node->arity + 1) * sizeof *r.slots);
    r.next = arena_alloc(r.arena, (carried + 1) * sizeof *r.next);
    r.collected = arena_alloc(r.arena, (collected + 1) * sizeof *r.collected);
    for (size_t i = 0; i < carried; i++) r.place[i] = -1;
    r.loop = loop_open(r.graph, node->attr.scan.turns, node->attr.scan.reverse);
    r.loop.recompute = node->attr.scan.recompute;
    return r;
}

static Node **known_parts(const Simplifier *s, const Node *node, Node **in) {
    for (int i = 0; i < s->scans.count; i++)
        if (s->scans.items[i].body == node->attr.scan.body && memcmp(s->scans.items[i].in, in, (size_t)node->arity * sizeof *in) == 0)
            return s->scans.items[i].parts;
    return NULL;
}

Node **simple_scan(const Walk *walk, const Node *node, Node **in) {
    Node **known = known_parts(walk->simplifier, node, in);
    if (known) return known;
    Rewrite r = rewrite_of(walk, node, in);
    Walk step = walk_over(walk->simplifier, r.body->graph);
    find_used(&r, walk);
    find_alive(&r, &step);
    open_slots(&r);
    write_step(&r, &step);
    if (!r.loop.recompute) lead_with_products(&r);
    Node **parts = close_step(&r);
    LIST_PUSH(r.arena, &walk->simplifier->scans, ((SimpleScan){ r.body, in, parts }));
    return parts;
}

/* random_loop.c: random loops over time. A step is made by the same generator, from what is carried, elements of sequences, and
 * values from outside. Carried values may keep still, change places, or be read by nobody; loops may stand in loops. */
#include "random_graph.h"

enum { LOOPS = 2, STEP_OPERATIONS = 8, MOST_CARRIED = 3, MOST_OTHERS = 3 };

/* ── Sequences ────────────────────────────────────────────────────────────────────────────── */

/* In graphs that keep examples apart, the time of a sequence of examples comes second; for a loop, it goes to the front. */
static bool time_second(const Maker *m, const Node *element) { return m->per_example && has_batch(element); }

static Node *exchange_time(Maker *m, Node *x, bool exchanged) {
    static const uint8_t order[MAX_RANK] = {1, 0, 2, 3, 4, 5, 6, 7};
    return exchanged ? graph_permute(m->graph, x, order) : x;
}

/* A sequence whose elements have the shape of `like`; the one value in every step, sometimes. NULL where it would be too large. */
static Node *sequence_of(Maker *m, Node *like, Dim turns) {
    const bool second = time_second(m, like);
    Shape shape = {.rank = like->shape.rank + 1};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = i == second ? turns : like->shape.dim[i > second ? i - 1 : i];
    if (!small(&shape))
        return NULL;
    if (choose(m, 4) == 0)
        return exchange_time(m, graph_expand(m->graph, like, &shape, UINT32_C(1) << second), second);
    return exchange_time(m, of_shape(m, &shape, like), second);
}

/* A value that can be walked over, the time in front; NULL where none is found. */
static Node *walked(Maker *m) {
    for (int tries = 0; tries < 6; tries++) {
        Node *x = any_node(m);
        if (x->shape.rank > time_second(m, x))
            return exchange_time(m, x, time_second(m, x));
    }
    return NULL;
}

/* ── The step ─────────────────────────────────────────────────────────────────────────────── */

static void open_step(Maker *m, Maker *step, Loop *loop, Node *first) {
    for (int i = choose(m, MOST_CARRIED + 1); i > 0; i--)
        keep(step, loop_carry(m->graph, loop, tamed(m, any_node(m), 4)), 4);
    for (int i = choose(m, MOST_OTHERS); i > 0; i--) {
        Node *captured = tamed(m, any_node(m), 8);
        keep(step, captured, size_of(m, captured));
    }
    for (int i = choose(m, MOST_OTHERS); i > 0; i--) {
        Node *sequence = sequence_of(m, any_node(m), loop->turns);
        if (sequence)
            keep(step, loop_element(m->graph, loop, sequence), size_of(m, sequence));
    }
    keep(step, loop_element(m->graph, loop, first), size_of(m, first));
    step->leaves = step->count;
}

/* What the next step gets: often something that the old value is part of. */
static Node *next_value(Maker *step, Node *old) {
    Node *next = of_shape(step, &old->shape, old);
    if (choose(step, 3))
        next = keep(step, graph_binary(step->graph, OP_ADD, old, next), 4 + size_of(step, next));
    return tamed(step, next, 4);
}

static void close_step(Maker *step, Loop *loop) {
    for (int i = 0; i < loop->carried.count; i++)
        LIST_PUSH(step->graph->arena, &loop->next, next_value(step, loop->carried.items[i]));
    for (int i = choose(step, MOST_OTHERS) + !loop->carried.count; i > 0; i--) {
        Node *value = any_node(step);
        Shape sequence = {.rank = value->shape.rank + 1, .dim = {loop->turns}};
        for (int axis = 1; axis < sequence.rank; axis++)
            sequence.dim[axis] = value->shape.dim[axis - 1];
        if (small(&sequence))
            LIST_PUSH(step->graph->arena, &loop->collected, value);
    }
}

/* ── The loop ─────────────────────────────────────────────────────────────────────────────── */

static void keep_parts(Maker *m, const Maker *step, const Loop *loop, Node *scan) {
    for (int i = 0; i < loop->carried.count; i++)
        keep(m, graph_part(m->graph, scan, i), 4);
    for (int i = 0; i < loop->collected.count; i++) {
        const Node *element = loop->collected.items[i];
        Node *sequence = graph_part(m->graph, scan, loop->carried.count + i);
        keep(m, exchange_time(m, sequence, time_second(m, element)), size_of(step, element));
    }
}

void add_loop(Maker *m) {
    Node *first = m->loops < LOOPS ? walked(m) : NULL;
    if (!first)
        return;
    Loop loop = loop_open(m->graph, first->shape.dim[0], choose(m, 2));
    loop.recompute = choose(m, 4) == 0;
    Maker step = *m;
    step.count = 0;
    step.loops++;
    open_step(m, &step, &loop, first);
    step.random = m->random, step.streams = m->streams;
    add_operations(&step, STEP_OPERATIONS);
    close_step(&step, &loop);
    m->random = step.random, m->streams = step.streams;
    if (loop.carried.count + loop.collected.count)
        keep_parts(m, &step, &loop, loop_close(m->graph, &loop));
}

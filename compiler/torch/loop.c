/* A loop over time as a loop of Python: a variable for each value carried, a list for each sequence collected, and in between the
 * lines of one step. */
#include "torch.h"

typedef struct Writing {
    const Node *scan;
    const Body *body;
    Code *slot;              /* by operand: how the body refers to it */
    Code *part;              /* by result: how it is referred to behind the loop */
    const char **list;       /* by sequence collected: the list; NULL for those that nobody reads */
    NodeList roots;          /* what a step computes */
} Writing;

static Code variable(const char *name) { return (Code){.text = name, .level = LEVEL_ATOM}; }

static const char *wish(const Node *node, const char *otherwise) { return node->label ? node->label : otherwise; }

/* The node that reads a result of the loop, or NULL. */
static const Node *reader_of(const Method *method, const Node *scan, int part) {
    for (int id = scan->id; id < method->frame.graph->nodes.count; id++) {
        const Node *node = method->frame.graph->nodes.items[id];
        if (method->frame.needed[id] && node->op == OP_PART && node->in[0] == scan && node->attr.part == part) return node;
    }
    return NULL;
}

/* What stands for an operand in the steps; NULL where they do not use it. */
static const Node *slot_of(const Method *method, const Writing *w, int operand) {
    const Graph *graph = w->body->graph;
    const bool *needed = graph_needs(method->arena, graph, &w->roots);
    for (int id = 0; id < graph->nodes.count; id++) {
        const Node *node = graph->nodes.items[id];
        if (needed[id] && node->op == OP_SLOT && node->attr.slot.index == operand) return node;
    }
    return NULL;
}

/* All values carried, and those sequences that somebody reads. */
static void find_roots(const Method *method, Writing *w) {
    for (int i = 0; i < w->body->carried; i++) LIST_PUSH(method->arena, &w->roots, w->body->next.items[i]);
    for (int i = 0; i < w->body->collected.count; i++)
        if (reader_of(method, w->scan, w->body->carried + i)) LIST_PUSH(method->arena, &w->roots, w->body->collected.items[i]);
}

/* ── before the loop ──────────────────────────────────────────────────────────────────────── */

static void begin_carried(Method *method, Writing *w) {
    for (int i = 0; i < w->body->carried; i++) {
        const Node *slot = slot_of(method, w, i);
        const char *name = new_name(method, slot ? wish(slot, "carried") : "carried");
        write_line(method, "%s = %s", name, python_text(method, w->scan->in[i], LEVEL_COMPARE));
        w->slot[i] = w->part[i] = variable(name);
    }
}

static void begin_collected(Method *method, Writing *w) {
    for (int i = 0; i < w->body->collected.count; i++) {
        const Node *reader = reader_of(method, w->scan, w->body->carried + i);
        if (!reader) continue;
        w->list[i] = new_name(method, wish(reader, "collected"));
        write_line(method, "%s = []", w->list[i]);
        w->part[w->body->carried + i] = variable(w->list[i]);
    }
}

/* Each operand is a variable, or a tensor of the model: it is not computed anew in every step. */
static void name_operands(Method *method, Writing *w) {
    for (int i = w->body->carried; i < w->scan->arity; i++) {
        const Node *operand = w->scan->in[i];
        if (!slot_of(method, w, i)) continue;
        const Code code = {.text = python_text(method, operand, LEVEL_ATOM), .level = LEVEL_ATOM};
        w->slot[i] = code;
        if (operand->op != OP_EXPAND && operand->op != OP_IOTA) continue;
        w->slot[i] = variable(new_name(method, wish(operand, "sequence")));
        write_line(method, "%s = %s", w->slot[i].text, code.text);
    }
}

/* ── a step, and behind the loop ──────────────────────────────────────────────────────────── */

static void write_elements(Method *method, Writing *w, const char *turn) {
    for (int i = w->body->carried; i < w->body->carried + w->body->scanned; i++) {
        const Node *slot = slot_of(method, w, i);
        if (!slot) continue;
        const char *name = new_name(method, wish(slot, "element"));
        write_line(method, "%s = %s[%s]", name, w->slot[i].text, turn);
        w->slot[i] = variable(name);
    }
}

/* All values carried change at once, after the last of them has been read. */
static void write_results(Method *method, const Writing *w) {
    Text names = {.arena = method->arena}, values = {.arena = method->arena};
    for (int i = 0; i < w->body->collected.count; i++)
        if (w->list[i]) write_line(method, "%s.append(%s)", w->list[i], python_text(method, w->body->collected.items[i], LEVEL_COMPARE));
    for (int i = 0; i < w->body->carried; i++) {
        text_add(&names, "%s%s", i ? ", " : "", w->slot[i].text);
        text_add(&values, "%s%s", i ? ", " : "", python_text(method, w->body->next.items[i], LEVEL_COMPARE));
    }
    if (w->body->carried) write_line(method, "%s = %s", names.bytes, values.bytes);
}

void write_loop(Method *method, const Node *scan) {
    const Body *body = scan->attr.scan.body;
    const size_t parts = (size_t)(body->carried + body->collected.count) + 1;
    Writing w = {.scan = scan, .body = body};
    w.slot = arena_alloc(method->arena, sizeof *w.slot * ((size_t)scan->arity + 1));
    w.part = arena_alloc(method->arena, sizeof *w.part * parts);
    w.list = arena_alloc(method->arena, sizeof *w.list * parts);
    find_roots(method, &w);
    begin_carried(method, &w);
    begin_collected(method, &w);
    name_operands(method, &w);
    const Frame outer = method->frame;
    const char *turn = new_name(method, "t"), *turns = dim_text(method, scan->attr.scan.turns);
    write_line(method, scan->attr.scan.reverse ? "for %s in reversed(range(%s)):" : "for %s in range(%s):", turn, turns);
    method->frame.indent += 4;
    write_elements(method, &w, turn);
    write_graph(method, (Frame){.slot = w.slot, .indent = method->frame.indent}, body->graph, &w.roots);
    write_results(method, &w);
    method->frame = outer;
    for (int i = 0; i < body->collected.count; i++)
        if (w.list[i]) write_line(method, "%s = torch.stack(%s%s)", w.list[i], w.list[i], scan->attr.scan.reverse ? "[::-1]" : "");
    method->frame.part[scan->id] = w.part;
}

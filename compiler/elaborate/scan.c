/* Loops over time: `scan xt in x with h = zeros([units]) { ... h <- ...; collect h }`.
 *
 * The body is run once, with slots of the graph for what differs between the steps (body.c); sequences have the time axis first
 * in the graph, before the batch, so that a step's elements are neighbours. Draws become sequences of draws. */
#include "elaborate.h"

#include <string.h>

/* A scan whose body is being run. */
typedef struct Scan {
    struct Scan *outer;
    const Stmt *stmt;
    Scope *scope;                   /* of the body */
    Loop loop;                      /* whose step is the body; with --recompute it walks over a segment */
    Loop segments;                  /* with --recompute: the loop around it */
    int64_t segment;                /* how many steps are one; 1 where there is no loop around */
    Dim turns;                      /* all steps */
    bool batched;                   /* what is carried has a value for each example */
    Dim batch;
    LIST(Binding *) carried;        /* the latest values */
    LIST(bool) collected_batched;   /* of what is collected: whether it has a batch axis */
    LIST(const char *) labels;
} Scan;

/* ── axes ─────────────────────────────────────────────────────────────────────────────────── */

/* [batch, time, ...] and [time, batch, ...] take each other's place. */
static Node *exchange_time(Elaborator *e, Node *node, bool batched) {
    uint8_t order[MAX_RANK] = { 1, 0, 2, 3, 4, 5, 6, 7 };
    return batched ? graph_permute(graph_of(e), node, order) : node;
}

bool is_scan_body(const Elaborator *e, const Scope *scope) { return e->building->scan && e->building->scan->scope == scope; }

bool outside_scan(Elaborator *e, Span span, const char *what) {
    if (!e->building->scan) return true;
    fail(e, span, "%s once for each call, not in every step of a `scan`; `collect` the values and do it behind the scan", what);
    fail_note(e, e->building->scan->stmt->span, "this scan");
    return false;
}

/* ── sequences ────────────────────────────────────────────────────────────────────────────── */

static bool read_sequence(Elaborator *e, Scope *scope, Expr *expr, Value *sequence) {
    if (!to_tensor(e, evaluate(e, scope, expr, no_name), expr->span, sequence)) return false;
    if (example_shape(*sequence).rank) return true;
    fail(e, expr->span, "`scan` walks the first axis of a sequence, but this is %s", tensor_text(e, *sequence));
    return false;
}

static bool same_length(Elaborator *e, const Stmt *stmt, const Value *sequences) {
    const Shape first = example_shape(sequences[0]);
    for (int i = 1; i < stmt->values.count; i++) {
        const Shape other = example_shape(sequences[i]);
        if (dim_equal(first.dim[0], other.dim[0])) continue;
        fail(e, stmt->values.items[i]->span, "sequences of one scan are equally long, but the first is %s, this %s",
             sizes_text(e, &first), sizes_text(e, &other));
        return false;
    }
    return true;
}

static bool read_sequences(Elaborator *e, Scope *scope, const Stmt *stmt, Value *sequences) {
    bool good = stmt->scanned.count == stmt->values.count;
    if (!good)
        fail(e, stmt->scanned.items[0].span, "%d name%s for the elements of %d sequence%s", stmt->scanned.count,
             stmt->scanned.count == 1 ? "" : "s", stmt->values.count, stmt->values.count == 1 ? "" : "s");
    for (int i = 0; i < stmt->values.count; i++) good = read_sequence(e, scope, stmt->values.items[i], &sequences[i]) && good;
    return good && same_length(e, stmt, sequences);
}

/* The element of a sequence [time, ...] in this step. */
static Node *element_of(Elaborator *e, Scan *scan, Node *sequence) {
    if (scan->segment == 1) return loop_element(graph_of(e), &scan->loop, sequence);
    Shape parts = { .rank = sequence->shape.rank + 1, .dim = { scan->segments.turns, scan->loop.turns } };
    memcpy(parts.dim + 2, sequence->shape.dim + 1, sizeof *parts.dim * (size_t)(parts.rank - 2));
    Node *segment = loop_element(graph_of(e), &scan->segments, graph_reshape(graph_of(e), sequence, &parts));
    return loop_element(graph_of(e), &scan->loop, segment);
}

static void bind_element(Elaborator *e, Scan *scan, Name name, Value sequence) {
    Node *first = exchange_time(e, sequence.node, sequence.batched);
    Value element = tensor_value(element_of(e, scan, first), sequence.batched);
    element.classes = sequence.classes;
    element.node->label = name.text;
    scope_bind(e, scan->scope, name, element);
}

/* ── what is carried ──────────────────────────────────────────────────────────────────────── */

static void note_batch(Scan *scan, Value value) {
    if (!value.batched) return;
    scan->batch = batch_of(value);
    scan->batched = true;
}

static Value with_batch_of(Elaborator *e, const Scan *scan, Value value, const Shape *shape) {
    return tensor_broadcast(e, value, shape, scan->batched, scan->batch);
}

static void bind_carried(Elaborator *e, Scan *scan, Name name, Value initial) {
    const Shape shape = example_shape(initial);
    Node *first = with_batch_of(e, scan, initial, &shape).node;
    if (scan->segment > 1) first = loop_carry(graph_of(e), &scan->segments, first);
    Binding *binding = scope_bind(e, scan->scope, name, tensor_value(loop_carry(graph_of(e), &scan->loop, first), scan->batched));
    binding->value.node->label = name.text;
    binding->carried = true;
    LIST_PUSH(e->arena, &scan->carried, binding);
}

/* The scan that carries the name as seen from this scope. */
static Scan *carrier_of(Elaborator *e, const Binding *binding) {
    for (Scan *scan = e->building->scan; scan; scan = scan->outer)
        for (int i = 0; i < scan->carried.count; i++)
            if (scan->carried.items[i] == binding) return scan;
    return NULL;
}

bool assign_carried(Elaborator *e, Scope *scope, Name name, Expr *expr) {
    Binding *binding = scope_find(scope, name.text);
    Scan *scan = binding && binding->carried ? carrier_of(e, binding) : NULL;
    Value value;
    if (!scan) return false;
    if (scan != e->building->scan) {
        fail(e, name.span, "`%s` is carried by the scan further out; give the inner one a value of its own to carry", name.text);
        return true;
    }
    if (!to_tensor(e, evaluate(e, scope, expr, name), expr->span, &value)) return true;
    const Shape shape = example_shape(binding->value), given = example_shape(value);
    const bool fits = !given.rank || shape_equal(&shape, &given);
    if (!fits)
        fail(e, expr->span, "`%s` is carried as %s, but this is %s", name.text, sizes_text(e, &shape), sizes_text(e, &given));
    else if (value.batched && (!scan->batched || !dim_equal(batch_of(value), scan->batch)))
        fail(e, expr->span, "`%s` is carried for other examples than this is made of", name.text);
    else
        binding->value = with_batch_of(e, scan, value, &shape);
    label(e, binding->value, name);
    return true;
}

/* ── what is collected ────────────────────────────────────────────────────────────────────── */

void run_collect(Elaborator *e, Scope *scope, const Stmt *stmt) {
    Scan *scan = e->building->scan;
    if (!is_scan_body(e, scope)) {
        fail(e, stmt->span, "`collect` belongs in the body of a `scan`");
        return;
    }
    for (int i = 0; i < stmt->values.count; i++) {
        Value value;
        if (!to_tensor(e, evaluate(e, scope, stmt->values.items[i], no_name), stmt->values.items[i]->span, &value)) continue;
        LIST_PUSH(e->arena, &scan->loop.collected, value.node);
        LIST_PUSH(e->arena, &scan->collected_batched, value.batched);
    }
}

/* ── draws ────────────────────────────────────────────────────────────────────────────────── */

/* The element of this step, through all scans around it. */
static Node *element_of_all(Elaborator *e, Scan *scan, Node *sequence) {
    if (!scan) return sequence;
    return element_of(e, scan, element_of_all(e, scan->outer, sequence));
}

/* The time axes come behind the batch in the draw, so that an example's numbers do not depend on the others; then before it. */
Node *draw_in_scan(Elaborator *e, const Shape *shape, Distribution distribution) {
    Shape full = *shape;
    int times = 0, lead = !e->building->initial;
    uint8_t order[MAX_RANK] = { 0 };
    for (const Scan *scan = e->building->scan; scan; scan = scan->outer, times++) {
        memmove(full.dim + lead + 1, full.dim + lead, sizeof *full.dim * (size_t)(MAX_RANK - lead - 1));
        full.dim[lead] = scan->turns; /* the outermost comes to be the first */
    }
    full.rank += times;
    for (int i = 0; i < full.rank; i++) order[i] = (uint8_t)(i < times ? i + lead : i < times + lead ? i - times : i);
    Node *draw = graph_rand(graph_of(e), &full, distribution, e->streams++);
    return element_of_all(e, e->building->scan, graph_permute(graph_of(e), draw, order));
}

/* ── segments: what --recompute spares ────────────────────────────────────────────────────── */

/* The backward pass of a loop of loops keeps what is carried from segment to segment, and of one segment everything, about four
 * times as much a step. The divisor of the number of steps that makes least of both; 1 where there is none. */
static int64_t segment_of(Dim turns) {
    int64_t best = 1;
    for (int64_t k = 2; dim_is_const(turns) && k < turns.base; k++)
        if (turns.base % k == 0 && turns.base / k + 4 * k < turns.base / best + 4 * best) best = k;
    return best;
}

static void open_loops(Elaborator *e, Scan *scan) {
    const bool recompute = e->context->recompute, reverse = scan->stmt->reverse;
    scan->segment = recompute ? segment_of(scan->turns) : 1;
    scan->loop = loop_open(graph_of(e), scan->segment == 1 ? scan->turns : dim_const(scan->segment), reverse);
    if (scan->segment > 1) scan->segments = loop_open(graph_of(e), dim_const(scan->turns.base / scan->segment), reverse);
    scan->loop.recompute = recompute && scan->segment == 1;
    scan->segments.recompute = recompute;
}

static Node *close_loops(Elaborator *e, Scan *scan) {
    Graph *g = graph_of(e);
    Node *node = loop_close(g, &scan->loop);
    const int carried = scan->loop.carried.count;
    for (int i = 0; scan->segment > 1 && i < carried; i++) LIST_PUSH(e->arena, &scan->segments.next, graph_part(g, node, i));
    for (int i = 0; scan->segment > 1 && i < scan->loop.collected.count; i++)
        LIST_PUSH(e->arena, &scan->segments.collected, graph_part(g, node, carried + i));
    return scan->segment > 1 ? loop_close(g, &scan->segments) : node;
}

static Node *collected_sequence(Elaborator *e, const Scan *scan, Node *node, int i) {
    Node *part = graph_part(graph_of(e), node, scan->loop.carried.count + i);
    if (scan->segment == 1) return part;
    Shape whole = shape_without(&part->shape, 1);
    whole.dim[0] = scan->turns;
    return graph_reshape(graph_of(e), part, &whole);
}

/* ── the statement ────────────────────────────────────────────────────────────────────────── */

static bool open_scan(Elaborator *e, Scope *scope, const Stmt *stmt, Scan *scan) {
    Value *sequences = arena_alloc(e->arena, sizeof *sequences * (size_t)stmt->values.count);
    Value *initial = arena_alloc(e->arena, sizeof *initial * (size_t)(stmt->carried.count + 1));
    bool good = read_sequences(e, scope, stmt, sequences);
    for (int i = 0; i < stmt->carried.count; i++) {
        Expr *expr = stmt->carried.items[i].initial;
        good = to_tensor(e, evaluate(e, scope, expr, no_name), expr->span, &initial[i]) && good;
    }
    if (!good) return false;
    scan->batched = !e->building->initial;
    scan->batch = dim_batch(1);
    for (int i = 0; i < stmt->carried.count; i++) note_batch(scan, initial[i]);
    for (int i = 0; i < stmt->values.count; i++) note_batch(scan, sequences[i]);
    scan->turns = example_shape(sequences[0]).dim[0];
    open_loops(e, scan);
    for (int i = 0; i < stmt->carried.count; i++) bind_carried(e, scan, stmt->carried.items[i].name, initial[i]);
    for (int i = 0; i < stmt->values.count; i++) bind_element(e, scan, stmt->scanned.items[i], sequences[i]);
    return true;
}

/* After the scan its carried names have the last values; those that an earlier one left behind give way. */
static void bind_last(Elaborator *e, Scope *scope, Name name, Value value) {
    Binding *known = scope_find_here(scope, name.text);
    if (!known) known = scope_bind(e, scope, name, value);
    else if (!known->carried) scope_bind(e, scope, name, value); /* complains */
    known->value = value;
    known->carried = true;
}

static Value collected_value(Elaborator *e, const Scan *scan, Node *node, int i) {
    const bool batched = scan->collected_batched.items[i];
    return tensor_value(exchange_time(e, collected_sequence(e, scan, node, i), batched), batched);
}

static Value collected_values(Elaborator *e, const Scan *scan, Node *node) {
    const int count = scan->loop.collected.count;
    if (count == 0) return poison();
    if (count == 1) return collected_value(e, scan, node, 0);
    Value *items = arena_alloc(e->arena, sizeof *items * (size_t)count);
    for (int i = 0; i < count; i++) items[i] = collected_value(e, scan, node, i);
    return (Value){ .kind = VALUE_TUPLE, .items = items, .count = count };
}

static void bind_collected(Elaborator *e, Scope *scope, const Stmt *stmt, Value collected) {
    const int count = collected.kind == VALUE_TUPLE ? collected.count : collected.kind != VALUE_POISON;
    const NameList *names = &stmt->names;
    if (names->count && count != names->count)
        fail(e, names->items[0].span, "%d name%s for %s sequence%s: as many as there are values after `collect` in the body", names->count,
             names->count == 1 ? "" : "s", count ? arena_printf(e->arena, "%d", count) : "no", count == 1 ? "" : "s");
    for (int i = 0; i < names->count; i++) {
        Value value = count != names->count ? poison() : count == 1 ? collected : collected.items[i];
        label(e, value, names->items[i]);
        scope_bind(e, scope, names->items[i], value);
    }
}

/* What crosses examples in the body does so in the loop as a whole. */
static void move_crossings(Elaborator *e, int first, Node *node) {
    for (int i = first; i < e->building->crossings.count; i++) e->building->crossings.items[i] = node;
}

static void bind_poison(Elaborator *e, Scope *scope, const Stmt *stmt) {
    for (int i = 0; i < stmt->names.count; i++) scope_bind(e, scope, stmt->names.items[i], poison());
    for (int i = 0; i < stmt->carried.count; i++) bind_last(e, scope, stmt->carried.items[i].name, poison());
}

void run_scan(Elaborator *e, Scope *scope, const Stmt *stmt, Value *collected) {
    Scan scan = { .outer = e->building->scan, .stmt = stmt, .scope = scope_create(e, scope) };
    const int errors = error_count(e->context), crossings = e->building->crossings.count;
    Value result = poison();
    *collected = poison();
    if (open_scan(e, scope, stmt, &scan)) {
        e->building->scan = &scan;
        if (run_statements(e, scan.scope, &stmt->body, &result))
            fail(e, stmt->span, "`return` cannot be in the body of a `scan`; `collect` gives a value in each step");
        e->building->scan = scan.outer;
    }
    if (error_count(e->context) > errors) {
        bind_poison(e, scope, stmt);
        return;
    }
    for (int i = 0; i < scan.carried.count; i++) LIST_PUSH(e->arena, &scan.loop.next, scan.carried.items[i]->value.node);
    Node *node = close_loops(e, &scan);
    move_crossings(e, crossings, node);
    *collected = collected_values(e, &scan, node);
    bind_collected(e, scope, stmt, *collected);
    for (int i = 0; i < scan.carried.count; i++)
        bind_last(e, scope, stmt->carried.items[i].name, tensor_value(graph_part(graph_of(e), node, i), scan.batched));
}

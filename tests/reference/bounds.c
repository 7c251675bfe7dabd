/* bounds.c: running error analysis. For every node of a graph this builds a second one, in the same primitives, that
 * computes a bound of the first one's error: what its operands' errors make of it, plus the rounding of the operation
 * itself. So no tolerance has to be guessed for a model, and a comparison is as strict as its arithmetic allows.
 *
 * In sums, errors are taken to be independent of each other, as they nearly are: their squares add up, and the rounding of
 * a sum grows with the square root of its length. Sums of worst cases would say nothing after a few layers. */
#include "bounds.h"

#include <math.h>

/* Of one operation: four units in the last place, as emitted approximations of functions have two or three. */
static const double epsilon = 0x1p-22;

/* What is added where a value may be quite wrong: the nearest row of a table, or the place of the largest element. */
static const double anything = 1e9;

typedef struct Analysis {
    Graph *graph;
    Node **bound;            /* by id, of the first `count` nodes */
    int count;
    Tensor *const *errors;
} Analysis;

static void know_bound(Analysis *analysis, const Node *node, Node *bound) {
    while (node->id >= analysis->count) {
        const int count = 2 * (node->id + 1);
        Node **grown = arena_alloc(analysis->graph->arena, sizeof *grown * (size_t)count);
        for (int i = 0; i < analysis->count; i++)
            grown[i] = analysis->bound[i];
        analysis->bound = grown;
        analysis->count = count;
    }
    analysis->bound[node->id] = bound;
}

/* ── Short names ──────────────────────────────────────────────────────────────────────────── */

static Node *add(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_ADD, a, b); }
static Node *mul(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_MUL, a, b); }
static Node *sub(Graph *g, Node *a, Node *b) { return add(g, a, graph_unary(g, OP_NEG, b)); }
static Node *size_of(Graph *g, Node *a) { return graph_unary(g, OP_ABS, a); }
static Node *like(Graph *g, double value, const Node *x) { return graph_fill(g, value, &x->shape); }
static Node *scaled(Graph *g, double by, Node *x) { return mul(g, like(g, by, x), x); }
static Node *at_most(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_LE, a, b); }
static Node *positive(Graph *g, Node *a) { return graph_binary(g, OP_LT, like(g, 0, a), a); }

static Node *larger(Graph *g, Node *a, Node *b) { return graph_select(g, graph_binary(g, OP_LT, a, b), b, a); }

/* `bound` and the rounding of a result of the given size. */
static Node *rounded(Graph *g, Node *bound, Node *size) { return add(g, bound, scaled(g, epsilon, size)); }

/* ── Leaves ───────────────────────────────────────────────────────────────────────────────── */

static Node *bound_rand(Graph *g, const Node *node) {
    static const double errors[] = {[DRAW_UNIFORM] = 0, [DRAW_NORMAL] = 4e-6, [DRAW_ORTHOGONAL] = 1e-4};
    return like(g, errors[node->attr.rand.distribution], node);
}

static Node *bound_leaf(Analysis *analysis, const Node *node) {
    Graph *g = analysis->graph;
    switch (node->op) {
    case OP_CONST: return graph_const(g, fabs(node->attr.value - (float)node->attr.value));
    case OP_TENSOR: return graph_tensor(g, analysis->errors[node->attr.tensor->index]);
    case OP_RAND: return bound_rand(g, node);
    default: return like(g, 0, node);
    }
}

/* ── Elementwise operations ───────────────────────────────────────────────────────────────── */

/* How far the node's operation takes its result when operand a moves by da, and b by db (NULL where there is no b). */
static Node *moved(Graph *g, Node *node, Node *da, Node *db) {
    Node *in[] = {add(g, node->in[0], da), db ? add(g, node->in[1], db) : NULL};
    return size_of(g, sub(g, graph_copy_node(g, node, in), node));
}

static Node *bound_unary(Graph *g, Node *node, Node *r) {
    Node *spread = larger(g, moved(g, node, r, NULL), moved(g, node, graph_unary(g, OP_NEG, r), NULL));
    if (node->op == OP_SIN || node->op == OP_COS) /* they go up and down: no two points say how far; their slope is at most 1 */
        spread = graph_select(g, at_most(g, r, like(g, 2, r)), r, like(g, 2, r));
    if (node->op == OP_NEG || node->op == OP_ABS || node->op == OP_SIGN || node->op == OP_FLOOR || node->op == OP_ROUND)
        return spread; /* these do not round */
    Node *size = size_of(g, node);
    if (node->op == OP_SIN || node->op == OP_COS) /* near their zeros they are exact to the precision of 1 only */
        size = add(g, size, like(g, 1, node));
    return rounded(g, spread, size);
}

static Node *bound_pow(Graph *g, Node *node, Node *ra, Node *rb) {
    Node *na = graph_unary(g, OP_NEG, ra), *nb = graph_unary(g, OP_NEG, rb);
    Node *upper = larger(g, moved(g, node, ra, rb), moved(g, node, ra, nb));
    Node *lower = larger(g, moved(g, node, na, rb), moved(g, node, na, nb));
    return rounded(g, larger(g, upper, lower), scaled(g, 4, size_of(g, node)));
}

/* `size`, or 0 where both operands are whole numbers: sums and products of these are exact. */
static Node *unless_whole(Graph *g, const Node *node, Node *size) {
    Node *whole_a = graph_binary(g, OP_EQ, node->in[0], graph_unary(g, OP_ROUND, node->in[0]));
    Node *whole_b = graph_binary(g, OP_EQ, node->in[1], graph_unary(g, OP_ROUND, node->in[1]));
    return graph_select(g, mul(g, whole_a, whole_b), like(g, 0, size), size);
}

static Node *bound_add(Graph *g, Node *node, Node *ra, Node *rb) {
    Node *size = add(g, size_of(g, node->in[0]), size_of(g, node->in[1]));
    return rounded(g, add(g, ra, rb), unless_whole(g, node, size));
}

static Node *bound_mul(Graph *g, Node *node, Node *ra, Node *rb) {
    Node *first = mul(g, size_of(g, node->in[0]), rb), *second = mul(g, size_of(g, node->in[1]), ra);
    return rounded(g, add(g, add(g, first, second), mul(g, ra, rb)), unless_whole(g, node, size_of(g, node)));
}

/* x == max(x) is no coincidence: the largest element is found again whatever its error. Only others near to it can be
 * taken for it, and it for them. Returns NULL where this is another comparison. */
static Node *bound_equals_max(Graph *g, const Node *node, Node *rx) {
    for (int i = 0; i < 2; i++) {
        Node *x = node->in[i], *repeated = node->in[1 - i];
        if (repeated->op != OP_EXPAND || repeated->in[0]->op != OP_MAX || repeated->in[0]->in[0] != x)
            continue;
        Node *near = at_most(g, sub(g, repeated, x), scaled(g, 2, rx));
        uint32_t axes = repeated->attr.axes;
        Node *rivals = graph_max(g, sub(g, near, graph_binary(g, OP_EQ, x, repeated)), axes);
        return mul(g, near, graph_expand(g, rivals, &x->shape, axes));
    }
    return NULL;
}

/* A comparison may fall either way where the operands are nearer to each other than their errors are large. */
static Node *bound_compare(Analysis *analysis, Node *node) {
    Graph *g = analysis->graph;
    Node *ra = analysis->bound[node->in[0]->id], *rb = analysis->bound[node->in[1]->id];
    Node *found = node->op == OP_EQ ? bound_equals_max(g, node, larger(g, ra, rb)) : NULL;
    if (found)
        return found;
    Node *either = add(g, ra, rb);
    return mul(g, at_most(g, size_of(g, sub(g, node->in[0], node->in[1])), either), positive(g, either));
}

static Node *bound_select(Graph *g, Node *node, Node *condition, Node *yes, Node *no) {
    Node *other = mul(g, condition, size_of(g, sub(g, node->in[1], node->in[2])));
    return add(g, graph_select(g, node->in[0], yes, no), graph_select(g, condition, add(g, other, add(g, yes, no)), condition));
}

static Node *bound_elementwise(Analysis *analysis, Node *node) {
    Graph *g = analysis->graph;
    Node *r[3] = {NULL};
    for (int i = 0; i < node->arity; i++)
        r[i] = analysis->bound[node->in[i]->id];
    switch (node->op) {
    case OP_ADD: return bound_add(g, node, r[0], r[1]);
    case OP_MUL: return bound_mul(g, node, r[0], r[1]);
    case OP_POW: return bound_pow(g, node, r[0], r[1]);
    case OP_LT:
    case OP_LE:
    case OP_EQ: return bound_compare(analysis, node);
    case OP_SELECT: return bound_select(g, node, r[0], r[1], r[2]);
    default: return bound_unary(g, node, r[0]);
    }
}

/* ── Sums ─────────────────────────────────────────────────────────────────────────────────── */

static Node *square(Graph *g, Node *x) { return mul(g, x, x); }
static Node *root(Graph *g, Node *x) { return graph_unary(g, OP_SQRT, x); }

/* epsilon times the square root of the number of terms times the sum of their sizes. */
static Node *sum_rounding(Graph *g, Node *sizes, Node *terms) {
    return scaled(g, epsilon, mul(g, sizes, graph_expand(g, root(g, terms), &sizes->shape, (UINT32_C(1) << sizes->shape.rank) - 1)));
}

/* Errors that are large for their value are not independent: comparisons that may fall either way fall the same way. */
static Node *bound_sum(Graph *g, Node *node, Node *r) {
    Node *x = node->in[0], *terms = graph_const(g, 1);
    for (int i = 0; i < x->shape.rank; i++)
        if (node->attr.axes >> i & 1)
            terms = mul(g, terms, graph_size(g, x->shape.dim[i]));
    Node *doubtful = graph_select(g, at_most(g, r, scaled(g, 1e-3, size_of(g, x))), like(g, 0, r), r);
    Node *carried = add(g, root(g, graph_sum(g, square(g, r), node->attr.axes)), graph_sum(g, doubtful, node->attr.axes));
    return add(g, carried, sum_rounding(g, graph_sum(g, size_of(g, x), node->attr.axes), terms));
}

static Node *bound_dot(Graph *g, Node *node, Node *ra, Node *rb) {
    const DotAxes *axes = &node->attr.dot;
    Node *a = size_of(g, node->in[0]), *b = size_of(g, node->in[1]), *terms = graph_const(g, 1);
    for (int i = 0; i < axes->contract; i++)
        terms = mul(g, terms, graph_size(g, node->in[0]->shape.dim[axes->a_contract[i]]));
    Node *from_b = graph_dot(g, square(g, a), square(g, rb), axes);
    Node *from_a = graph_dot(g, square(g, ra), square(g, add(g, b, rb)), axes);
    return add(g, root(g, add(g, from_a, from_b)), sum_rounding(g, graph_dot(g, a, b, axes), terms));
}

static Node *bound_conv(Graph *g, Node *node, Node *rx, Node *rk) {
    const ConvAxes *axes = &node->attr.conv;
    Node *x = size_of(g, node->in[0]), *k = size_of(g, node->in[1]), *terms = graph_const(g, 1);
    for (int i = 0; i <= axes->spatial; i++)
        terms = mul(g, terms, graph_size(g, k->shape.dim[i]));
    Node *from_k = graph_conv(g, square(g, x), square(g, rk), axes);
    Node *from_x = graph_conv(g, square(g, rx), square(g, add(g, k, rk)), axes);
    return add(g, root(g, add(g, from_x, from_k)), sum_rounding(g, graph_conv(g, x, k, axes), terms));
}

static Node *everywhere(Graph *g, Node *x, const Node *node) {
    Node *total = graph_sum(g, x, (UINT32_C(1) << x->shape.rank) - 1);
    return graph_expand(g, total, &node->shape, (UINT32_C(1) << node->shape.rank) - 1);
}

static Node *bound_scatter_add(Graph *g, Node *node, Node *index, Node *updates) {
    Node *sizes = graph_scatter_add(g, node->in[0], size_of(g, node->in[1]), node->shape.dim[0]);
    Node *carried = root(g, graph_scatter_add(g, node->in[0], square(g, updates), node->shape.dim[0]));
    Node *terms = graph_sum(g, like(g, 1, node->in[0]), (UINT32_C(1) << node->in[0]->shape.rank) - 1);
    return add(g, add(g, carried, sum_rounding(g, sizes, terms)), scaled(g, anything, everywhere(g, index, node)));
}

/* ── Selection ────────────────────────────────────────────────────────────────────────────── */

/* Another element may be found where it is within twice the error of the largest; equal exact ones are no doubt. */
static Node *bound_argmax(Graph *g, Node *node, Node *r) {
    Node *x = node->in[0];
    uint32_t axis = UINT32_C(1) << node->attr.axis;
    Node *largest = graph_expand(g, graph_max(g, x, axis), &x->shape, axis);
    Node *near = graph_sum(g, at_most(g, sub(g, largest, x), scaled(g, 2, r)), axis);
    Node *several = graph_binary(g, OP_LT, like(g, 1, near), near);
    return scaled(g, anything, mul(g, several, positive(g, graph_max(g, r, axis))));
}

static Node *bound_gather(Graph *g, Node *node, Node *table, Node *index) {
    uint32_t rows = (UINT32_C(1) << index->shape.rank) - 1, all = (UINT32_C(1) << node->shape.rank) - 1;
    Node *elsewhere = graph_expand(g, scaled(g, anything, index), &node->shape, all & ~rows);
    return add(g, graph_gather(g, table, node->in[1]), elsewhere);
}

/* ── The whole graph ──────────────────────────────────────────────────────────────────────── */

static Node *bound_moved(Analysis *analysis, const Node *node) {
    Node **in = arena_alloc(analysis->graph->arena, sizeof *in * (size_t)node->arity);
    for (int i = 0; i < node->arity; i++)
        in[i] = analysis->bound[node->in[i]->id];
    return graph_copy_node(analysis->graph, node, in);
}

static Node *bound_of(Analysis *analysis, Node *node);

/* A step and its errors, in the graph around; slots stand for both. */
static Node **write_step(Analysis *analysis, const Node *scan, Loop *loop) {
    Graph *g = analysis->graph;
    const Body *body = scan->attr.scan.body;
    Node **operand = arena_alloc(g->arena, sizeof *operand * (size_t)(scan->arity + 1));
    Node **written = arena_alloc(g->arena, sizeof *written * (size_t)(body->graph->nodes.count + 1));
    for (int i = 0; i < scan->arity; i++) {
        Node *value = scan->in[i], *bound = analysis->bound[value->id];
        const bool carried = i < body->carried, scanned = !carried && i < body->carried + body->scanned;
        operand[i] = carried ? loop_carry(g, loop, value) : scanned ? loop_element(g, loop, value) : value;
        bound = carried ? loop_carry(g, loop, bound) : scanned ? loop_element(g, loop, bound) : bound;
        know_bound(analysis, operand[i], bound);
    }
    for (int id = 0; id < body->graph->nodes.count; id++) {
        const Node *node = body->graph->nodes.items[id];
        Node **in = arena_alloc(g->arena, sizeof *in * (size_t)(node->arity + 1));
        for (int i = 0; i < node->arity; i++)
            in[i] = written[node->in[i]->id];
        written[id] = node->op == OP_SLOT ? operand[node->attr.slot.index] : graph_copy_node(g, node, in);
        if (node->op != OP_SLOT)
            know_bound(analysis, written[id], bound_of(analysis, written[id]));
    }
    return written;
}

/* A loop that carries each value with its error, and collects errors. */
static Node *bound_scan(Analysis *analysis, const Node *scan) {
    Graph *g = analysis->graph;
    const Body *body = scan->attr.scan.body;
    Loop loop = loop_open(g, scan->attr.scan.turns, scan->attr.scan.reverse);
    Node **written = write_step(analysis, scan, &loop);
    for (int i = 0; i < body->carried; i++) {
        Node *next = written[body->next.items[i]->id];
        LIST_PUSH(g->arena, &loop.next, next);
        LIST_PUSH(g->arena, &loop.next, analysis->bound[next->id]);
    }
    for (int i = 0; i < body->collected.count; i++)
        LIST_PUSH(g->arena, &loop.collected, analysis->bound[written[body->collected.items[i]->id]->id]);
    return loop_close(g, &loop);
}

static Node *bound_part(Analysis *analysis, const Node *node) {
    const Node *scan = node->in[0];
    const int carried = scan->attr.scan.body->carried, part = node->attr.part;
    return graph_part(analysis->graph, analysis->bound[scan->id], part < carried ? 2 * part + 1 : carried + part);
}

static Node *bound_of(Analysis *analysis, Node *node) {
    Graph *g = analysis->graph;
    Node *a = node->arity > 0 ? analysis->bound[node->in[0]->id] : NULL;
    Node *b = node->arity > 1 ? analysis->bound[node->in[1]->id] : NULL;
    if (op_info[node->op].class == CLASS_LEAF)
        return bound_leaf(analysis, node);
    if (op_info[node->op].class == CLASS_ELEMENTWISE)
        return bound_elementwise(analysis, node);
    switch (node->op) {
    case OP_SUM: return bound_sum(g, node, a);
    case OP_MAX: return graph_max(g, a, node->attr.axes);
    case OP_ARGMAX: return bound_argmax(g, node, a);
    case OP_DOT: return bound_dot(g, node, a, b);
    case OP_CONV: return bound_conv(g, node, a, b);
    case OP_SCAN: return bound_scan(analysis, node);
    case OP_PART: return bound_part(analysis, node);
    case OP_GATHER: return bound_gather(g, node, a, b);
    case OP_SCATTER_ADD: return bound_scatter_add(g, node, a, b);
    default: return bound_moved(analysis, node); /* movement moves errors along with values; so does `stop` */
    }
}

Tensor **bounds_tensors(Arena *arena, const Module *module) {
    Tensor **errors = arena_alloc(arena, sizeof *errors * (size_t)(module->tensors.count + 1));
    for (int i = 0; i < module->tensors.count; i++) {
        errors[i] = NEW(arena, Tensor);
        *errors[i] = *module->tensors.items[i];
        errors[i]->index += module->tensors.count;
    }
    return errors;
}

Entry *bounds_entry(Arena *arena, const Entry *entry, Tensor *const *errors) {
    int count = entry->graph->nodes.count;
    Analysis analysis = {.graph = entry->graph, .errors = errors};
    const bool *needed = entry_needs(arena, entry);
    for (int i = 0; i < count; i++)
        if (needed[i])
            know_bound(&analysis, entry->graph->nodes.items[i], bound_of(&analysis, entry->graph->nodes.items[i]));
    Entry *extended = NEW(arena, Entry);
    *extended = *entry;
    extended->roots = (RootList){0};
    for (int i = 0; i < entry->roots.count; i++)
        LIST_PUSH(arena, &extended->roots, entry->roots.items[i]);
    for (int i = 0; i < entry->roots.count; i++) {
        Root root = entry->roots.items[i];
        root.value = analysis.bound[root.value->id];
        root.target = root.kind == ROOT_ASSIGN ? errors[root.target->index] : NULL;
        LIST_PUSH(arena, &extended->roots, root);
    }
    return extended;
}

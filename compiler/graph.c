/* The tensor graph: constructors of nodes. Equal nodes are one node (a node is looked up before it is made), so that
 * common subexpressions are never computed twice, and random draws are equal only where their stream is. */
#include "gdlc.h"

#include <assert.h>
#include <string.h>

/* ── nodes are made once ──────────────────────────────────────────────────────────────────── */

Graph *graph_create(Arena *arena) {
    Graph *graph = NEW(arena, Graph);
    graph->arena = arena;
    graph->table_size = 1024;
    graph->table = arena_alloc(arena, sizeof *graph->table * (size_t)graph->table_size);
    return graph;
}

/* FNV-1a, eight bytes at a time; `size` is a multiple of that. */
static uint64_t hash_words(uint64_t hash, const void *words, size_t size) {
    for (size_t at = 0; at < size; at += sizeof hash) {
        uint64_t word;
        memcpy(&word, (const char *)words + at, sizeof word);
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 32; /* else high bits of a word would never reach the slot's low ones */
    }
    return hash;
}

static uint64_t node_hash(const Node *node) {
    uint64_t hash = 14695981039346656037u ^ node->op;
    for (int i = 0; i < node->arity; i++) hash = hash_words(hash, &(uint64_t){ (uint64_t)node->in[i]->id }, sizeof hash);
    hash = hash_words(hash, node->shape.dim, (size_t)node->shape.rank * sizeof *node->shape.dim);
    return hash_words(hash, &node->attr, sizeof node->attr);
}

static bool node_equal(const Node *a, const Node *b) {
    return a->op == b->op && a->arity == b->arity && shape_equal(&a->shape, &b->shape) &&
           memcmp(&a->attr, &b->attr, sizeof a->attr) == 0 &&
           (!a->arity || memcmp(a->in, b->in, sizeof *a->in * (size_t)a->arity) == 0);
}

static Node **table_slot(Graph *graph, const Node *node) {
    uint64_t mask = (uint64_t)graph->table_size - 1;
    uint64_t i = node_hash(node) & mask;
    while (graph->table[i] && !node_equal(graph->table[i], node)) i = (i + 1) & mask;
    return &graph->table[i];
}

static void table_grow(Graph *graph) {
    graph->table_size *= 2;
    graph->table = arena_alloc(graph->arena, sizeof *graph->table * (size_t)graph->table_size);
    for (int i = 0; i < graph->nodes.count; i++) *table_slot(graph, graph->nodes.items[i]) = graph->nodes.items[i];
}

/* Returns the graph's node equal to the draft, which is appended if there is none. */
static Node *intern(Graph *graph, const Node *draft) {
    Node **slot = table_slot(graph, draft);
    if (*slot) return *slot;
    Node *node = NEW(graph->arena, Node);
    *node = *draft;
    memcpy(&node->attr, &draft->attr, sizeof node->attr);
    node->in = arena_alloc(graph->arena, sizeof *node->in * (size_t)(draft->arity ? draft->arity : 1));
    for (int i = 0; i < draft->arity; i++) node->in[i] = draft->in[i];
    node->id = graph->nodes.count;
    node->span = graph->span;
    *slot = node;
    LIST_PUSH(graph->arena, &graph->nodes, node);
    if (graph->nodes.count * 2 > graph->table_size) table_grow(graph);
    return node;
}

static Node draft_of(Op op, const Shape *shape, int arity, Node **in) {
    Node draft;
    memset(&draft, 0, sizeof draft);
    draft.op = op;
    draft.arity = arity;
    draft.in = in;
    if (shape) draft.shape = *shape;
    return draft;
}

Node *graph_copy_node(Graph *graph, const Node *node, Node **in) {
    Node draft = draft_of(node->op, &node->shape, node->arity, in);
    memcpy(&draft.attr, &node->attr, sizeof draft.attr);
    Span outer = graph->span;
    graph->span = node->span;
    Node *copy = intern(graph, &draft);
    graph->span = outer;
    if (!copy->label) copy->label = node->label;
    return copy;
}

/* ── leaves ───────────────────────────────────────────────────────────────────────────────── */

Node *graph_const(Graph *graph, double value) {
    Node draft = draft_of(OP_CONST, NULL, 0, NULL);
    draft.attr.value = value == 0 ? 0 : value; /* one zero, not two */
    return intern(graph, &draft);
}

Node *graph_fill(Graph *graph, double value, const Shape *shape) {
    Node *scalar = graph_const(graph, value);
    return graph_expand(graph, scalar, shape, (1u << shape->rank) - 1);
}

Node *graph_input(Graph *graph, const Port *port) {
    Node draft = draft_of(OP_INPUT, &port->shape, 0, NULL);
    draft.attr.port = port;
    return intern(graph, &draft);
}

Node *graph_tensor(Graph *graph, const Tensor *tensor) {
    Node draft = draft_of(OP_TENSOR, &tensor->shape, 0, NULL);
    draft.attr.tensor = tensor;
    return intern(graph, &draft);
}

Node *graph_iota(Graph *graph, const Shape *shape, int axis) {
    assert(axis >= 0 && axis < shape->rank);
    Node draft = draft_of(OP_IOTA, shape, 0, NULL);
    draft.attr.axis = axis;
    return intern(graph, &draft);
}

Node *graph_rand(Graph *graph, const Shape *shape, Distribution distribution, int stream) {
    Node draft = draft_of(OP_RAND, shape, 0, NULL);
    draft.attr.rand.distribution = distribution;
    draft.attr.rand.stream = stream;
    return intern(graph, &draft);
}

Node *graph_size(Graph *graph, Dim size) {
    if (dim_is_const(size)) return graph_const(graph, (double)size.base);
    Node draft = draft_of(OP_SIZE, NULL, 0, NULL);
    draft.attr.size = size;
    return intern(graph, &draft);
}

Node *graph_clock(Graph *graph, Clock clock) {
    Node draft = draft_of(OP_CLOCK, NULL, 0, NULL);
    draft.attr.clock = clock;
    return intern(graph, &draft);
}

Node *graph_slot(Graph *graph, const Shape *shape, int index, int loop) {
    Node draft = draft_of(OP_SLOT, shape, 0, NULL);
    draft.attr.slot.index = index;
    draft.attr.slot.loop = loop;
    return intern(graph, &draft);
}

bool node_is_uniform(const Node *node, double *value) {
    if (node->op == OP_EXPAND) node = node->in[0];
    if (node->op != OP_CONST) return false;
    *value = node->attr.value;
    return true;
}

/* ── elementwise ──────────────────────────────────────────────────────────────────────────── */

Node *graph_unary(Graph *graph, Op op, Node *x) {
    assert(op_info[op].arity == 1 && op_info[op].class == CLASS_ELEMENTWISE);
    Node draft = draft_of(op, &x->shape, 1, &x);
    return intern(graph, &draft);
}

Node *graph_binary(Graph *graph, Op op, Node *a, Node *b) {
    assert(op_info[op].arity == 2 && op_info[op].class == CLASS_ELEMENTWISE && shape_equal(&a->shape, &b->shape));
    bool commutes = op == OP_ADD || op == OP_MUL || op == OP_EQ;
    Node *in[] = { a, b };
    if (commutes && a->id > b->id) in[0] = b, in[1] = a;
    Node draft = draft_of(op, &a->shape, 2, in);
    return intern(graph, &draft);
}

Node *graph_select(Graph *graph, Node *condition, Node *yes, Node *no) {
    assert(shape_equal(&condition->shape, &yes->shape) && shape_equal(&yes->shape, &no->shape));
    Node *in[] = { condition, yes, no };
    Node draft = draft_of(OP_SELECT, &yes->shape, 3, in);
    return intern(graph, &draft);
}

/* ── reductions ───────────────────────────────────────────────────────────────────────────── */

static Node *reduce(Graph *graph, Op op, Node *x, uint32_t axes) {
    assert(axes >> x->shape.rank == 0);
    if (!axes) return x;
    Shape shape = shape_without(&x->shape, axes);
    Node draft = draft_of(op, &shape, 1, &x);
    draft.attr.axes = axes;
    return intern(graph, &draft);
}

Node *graph_sum(Graph *graph, Node *x, uint32_t axes) { return reduce(graph, OP_SUM, x, axes); }

Node *graph_max(Graph *graph, Node *x, uint32_t axes) { return reduce(graph, OP_MAX, x, axes); }

Node *graph_argmax(Graph *graph, Node *x, int axis) {
    assert(axis >= 0 && axis < x->shape.rank);
    Shape shape = shape_without(&x->shape, 1u << axis);
    Node draft = draft_of(OP_ARGMAX, &shape, 1, &x);
    draft.attr.axis = axis;
    return intern(graph, &draft);
}

/* ── movement ─────────────────────────────────────────────────────────────────────────────── */

Node *graph_reshape(Graph *graph, Node *x, const Shape *shape) {
    assert(shape_same_size(&x->shape, shape));
    if (shape_equal(&x->shape, shape)) return x;
    Node draft = draft_of(OP_RESHAPE, shape, 1, &x);
    return intern(graph, &draft);
}

Node *graph_permute(Graph *graph, Node *x, const uint8_t *order) {
    bool moves = false;
    Shape shape = { .rank = x->shape.rank };
    for (int i = 0; i < shape.rank; i++) {
        shape.dim[i] = x->shape.dim[order[i]];
        moves |= order[i] != i;
    }
    if (!moves) return x;
    Node draft = draft_of(OP_PERMUTE, &shape, 1, &x);
    memcpy(draft.attr.order, order, (size_t)shape.rank);
    return intern(graph, &draft);
}

Node *graph_expand(Graph *graph, Node *x, const Shape *shape, uint32_t axes) {
    assert(axes >> shape->rank == 0);
    if (!axes) return x;
    Shape rest = shape_without(shape, axes);
    assert(shape_equal(&rest, &x->shape));
    Node draft = draft_of(OP_EXPAND, shape, 1, &x);
    draft.attr.axes = axes;
    return intern(graph, &draft);
}

Node *graph_slice(Graph *graph, Node *x, const Dim *start, const Dim *size, const int64_t *step) {
    Node draft = draft_of(OP_SLICE, &x->shape, 1, &x);
    bool whole = true;
    for (int i = 0; i < x->shape.rank; i++) {
        assert(step[i] > 0);
        draft.shape.dim[i] = size[i];
        draft.attr.slice.start[i] = start[i];
        draft.attr.slice.step[i] = step[i];
        whole &= dim_equal(size[i], x->shape.dim[i]);
    }
    return whole ? x : intern(graph, &draft);
}

Node *graph_pad(Graph *graph, Node *x, const Dim *low, const Dim *high) {
    Node draft = draft_of(OP_PAD, &x->shape, 1, &x);
    for (int i = 0; i < x->shape.rank; i++) {
        draft.shape.dim[i] = dim_add(dim_add(low[i], x->shape.dim[i]), high[i]);
        draft.attr.pad.low[i] = low[i];
        draft.attr.pad.high[i] = high[i];
    }
    return shape_equal(&draft.shape, &x->shape) ? x : intern(graph, &draft);
}

Node *graph_flip(Graph *graph, Node *x, uint32_t axes) {
    assert(axes >> x->shape.rank == 0);
    if (!axes) return x;
    Node draft = draft_of(OP_FLIP, &x->shape, 1, &x);
    draft.attr.axes = axes;
    return intern(graph, &draft);
}

Node *graph_concat(Graph *graph, Node **parts, int count, int axis) {
    assert(count > 0 && axis < parts[0]->shape.rank);
    if (count == 1) return parts[0];
    Node draft = draft_of(OP_CONCAT, &parts[0]->shape, count, parts);
    for (int i = 1; i < count; i++) {
        assert(parts[i]->shape.rank == parts[0]->shape.rank);
        draft.shape.dim[axis] = dim_add(draft.shape.dim[axis], parts[i]->shape.dim[axis]);
    }
    draft.attr.axis = axis;
    return intern(graph, &draft);
}

/* ── contractions and indexing ────────────────────────────────────────────────────────────── */

static void push_free_axes(Shape *to, const Shape *from, const uint8_t *batch, int batches, const uint8_t *contract, int contracts) {
    uint32_t used = 0;
    for (int i = 0; i < batches; i++) used |= 1u << batch[i];
    for (int i = 0; i < contracts; i++) used |= 1u << contract[i];
    for (int i = 0; i < from->rank; i++)
        if (!(used >> i & 1)) to->dim[to->rank++] = from->dim[i];
}

Node *graph_dot(Graph *graph, Node *a, Node *b, const DotAxes *axes) {
    Shape shape = { 0 };
    for (int i = 0; i < axes->batch; i++) {
        assert(dim_equal(a->shape.dim[axes->a_batch[i]], b->shape.dim[axes->b_batch[i]]));
        shape.dim[shape.rank++] = a->shape.dim[axes->a_batch[i]];
    }
    for (int i = 0; i < axes->contract; i++)
        assert(dim_equal(a->shape.dim[axes->a_contract[i]], b->shape.dim[axes->b_contract[i]]));
    push_free_axes(&shape, &a->shape, axes->a_batch, axes->batch, axes->a_contract, axes->contract);
    push_free_axes(&shape, &b->shape, axes->b_batch, axes->batch, axes->b_contract, axes->contract);
    Node *in[] = { a, b };
    Node draft = draft_of(OP_DOT, &shape, 2, in);
    draft.attr.dot = *axes;
    return intern(graph, &draft);
}

int64_t conv_size(const ConvAxes *axes, int spatial, int64_t input, int64_t kernel) {
    int64_t spread = (input - 1) * axes->spread[spatial] + 1 + axes->low[spatial] + axes->high[spatial];
    int64_t reach = (kernel - 1) * axes->dilation[spatial] + 1;
    return spread < reach ? 0 : (spread - reach) / axes->stride[spatial] + 1;
}

Node *graph_conv(Graph *graph, Node *x, Node *kernel, const ConvAxes *axes) {
    int spatial = axes->spatial;
    assert(x->shape.rank == spatial + 2 && kernel->shape.rank == spatial + 2);
    assert(dim_equal(x->shape.dim[spatial + 1], kernel->shape.dim[spatial]));
    Shape shape = { .rank = spatial + 2 };
    shape.dim[0] = x->shape.dim[0];
    for (int i = 0; i < spatial; i++) {
        int64_t size = conv_size(axes, i, x->shape.dim[i + 1].base, kernel->shape.dim[i].base);
        assert(size > 0);
        shape.dim[i + 1] = dim_const(size);
    }
    shape.dim[spatial + 1] = kernel->shape.dim[spatial + 1];
    Node *in[] = { x, kernel };
    Node draft = draft_of(OP_CONV, &shape, 2, in);
    draft.attr.conv = *axes;
    return intern(graph, &draft);
}

Node *graph_gather(Graph *graph, Node *table, Node *index) {
    Shape shape = index->shape;
    assert(table->shape.rank >= 1 && shape.rank + table->shape.rank - 1 <= MAX_RANK);
    for (int i = 1; i < table->shape.rank; i++) shape.dim[shape.rank++] = table->shape.dim[i];
    Node *in[] = { table, index };
    Node draft = draft_of(OP_GATHER, &shape, 2, in);
    return intern(graph, &draft);
}

Node *graph_scatter_add(Graph *graph, Node *index, Node *updates, Dim rows) {
    Shape shape = { .rank = 1, .dim = { rows } };
    for (int i = index->shape.rank; i < updates->shape.rank; i++) shape.dim[shape.rank++] = updates->shape.dim[i];
    Node *in[] = { index, updates };
    Node draft = draft_of(OP_SCATTER_ADD, &shape, 2, in);
    return intern(graph, &draft);
}

Node *graph_stop(Graph *graph, Node *x) {
    Node draft = draft_of(OP_STOP, &x->shape, 1, &x);
    return intern(graph, &draft);
}

/* ── loops ────────────────────────────────────────────────────────────────────────────────── */

Node *graph_scan(Graph *graph, const Node *like, Body *body, Node **in, int count) {
    assert(count >= body->carried + body->scanned && body->next.count == body->carried);
    Node draft = draft_of(OP_SCAN, NULL, count, in);
    memcpy(&draft.attr, &like->attr, sizeof draft.attr);
    draft.attr.scan.body = body;
    return intern(graph, &draft);
}

Node *graph_part(Graph *graph, Node *scan, int part) {
    Shape shape = part_shape(scan, part);
    Node draft = draft_of(OP_PART, &shape, 1, &scan);
    draft.attr.part = part;
    return intern(graph, &draft);
}

/* ── entries ──────────────────────────────────────────────────────────────────────────────── */

/* Inputs come before their users, so one pass from the end marks everything that is needed. */
bool *graph_needs(Arena *arena, const Graph *graph, const NodeList *roots) {
    bool *needed = arena_alloc(arena, sizeof *needed * (size_t)(graph->nodes.count + 1));
    for (int i = 0; i < roots->count; i++) needed[roots->items[i]->id] = true;
    for (int id = graph->nodes.count - 1; id >= 0; id--) {
        const Node *node = graph->nodes.items[id];
        for (int i = 0; needed[id] && i < node->arity; i++) needed[node->in[i]->id] = true;
    }
    return needed;
}

bool *entry_needs(Arena *arena, const Entry *entry) {
    NodeList roots = { 0 };
    for (int i = 0; i < entry->roots.count; i++) LIST_PUSH(arena, &roots, entry->roots.items[i].value);
    for (int i = 0; i < entry->gradients.count; i++) LIST_PUSH(arena, &roots, entry->gradients.items[i]);
    return graph_needs(arena, entry->graph, &roots);
}

static uint32_t shape_symbols(const Shape *shape) {
    uint32_t symbols = 0;
    for (int i = 0; i < shape->rank; i++)
        if (!dim_is_const(shape->dim[i])) symbols |= 1u << shape->dim[i].symbol;
    return symbols;
}

uint32_t entry_symbols(Arena *arena, const Entry *entry) {
    const bool *needed = entry_needs(arena, entry);
    uint32_t symbols = 0;
    for (int i = 0; i < entry->inputs.count; i++) symbols |= shape_symbols(&entry->inputs.items[i]->shape);
    for (int i = 0; i < entry->graph->nodes.count; i++) {
        const Node *node = entry->graph->nodes.items[i];
        if (needed[i]) symbols |= shape_symbols(&node->shape);
        if (needed[i] && node->op == OP_SIZE && !dim_is_const(node->attr.size)) symbols |= 1u << node->attr.size.symbol;
    }
    return symbols;
}

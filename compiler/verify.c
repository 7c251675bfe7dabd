/* verify.c: what a valid graph is, stated once and checked between passes in debug and test builds.
 *
 * A graph is valid when every node has its inputs before it, attributes in the range that its operation gives them, and
 * the shape that follows from both; and when its roots have the shapes of what they are written to. A pass that breaks a
 * rule is found right behind it, not in the C that comes out at the end.
 *
 * Sizes may depend on a run-time number. They are linear in it, so a comparison of two of them holds for all its values
 * if it holds for the smallest and for the largest one. */
#include "gdlc.h"

typedef struct Checker {
    Arena *arena;
    const Entry *entry;
    const char *fault;   /* the first rule found broken, or NULL */
} Checker;

/* ── Sizes ────────────────────────────────────────────────────────────────────────────────── */

/* Whether a <= b, whatever the run-time numbers are. */
static bool at_most(const Checker *checker, Dim a, Dim b) {
    const SymbolList *symbols = checker->entry->symbols;
    if (dim_can_add(a, b))
        return dim_low(dim_add(b, dim_scale(a, -1)), symbols) >= 0;
    return dim_high(a, symbols) <= dim_low(b, symbols);
}

static bool valid_dim(const Checker *checker, Dim d) {
    return d.symbol >= 0 && d.symbol < MAX_SYMBOLS && (d.scale || !d.symbol) && at_most(checker, dim_const(0), d);
}

static bool same_shape(const Node *a, const Node *b) { return shape_equal(&a->shape, &b->shape); }

static bool axes_within(uint32_t axes, int rank) { return axes != 0 && axes >> rank == 0; }

/* ── The rule of each operation: NULL, or what is broken ──────────────────────────────────── */

typedef const char *Rule(const Checker *checker, const Node *node);

static const char *rule_scalar(const Checker *checker, const Node *node) {
    (void)checker;
    return node->shape.rank == 0 ? NULL : "is a single number and has rank 0";
}

static const char *rule_input(const Checker *checker, const Node *node) {
    const Port *port = node->attr.port;
    if (!port)
        return "names its port";
    if (port->index < 0 || port->index >= checker->entry->inputs.count || checker->entry->inputs.items[port->index] != port)
        return "names a port of the entry";
    return shape_equal(&node->shape, &port->shape) ? NULL : "has the shape of its port";
}

static const char *rule_tensor(const Checker *checker, const Node *node) {
    (void)checker;
    if (!node->attr.tensor)
        return "names its tensor";
    return shape_equal(&node->shape, &node->attr.tensor->shape) ? NULL : "has the shape of its tensor";
}

static const char *rule_iota(const Checker *checker, const Node *node) {
    (void)checker;
    return node->attr.axis >= 0 && node->attr.axis < node->shape.rank ? NULL : "counts along one of its axes";
}

static const char *rule_rand(const Checker *checker, const Node *node) {
    (void)checker;
    if (node->attr.rand.distribution > DRAW_ORTHOGONAL)
        return "has a known distribution";
    return node->attr.rand.stream >= 0 ? NULL : "has a stream of 0 or more";
}

static const char *rule_size(const Checker *checker, const Node *node) {
    if (!valid_dim(checker, node->attr.size))
        return "asks for a size that exists";
    return rule_scalar(checker, node);
}

static const char *rule_clock(const Checker *checker, const Node *node) {
    return node->attr.clock <= CLOCK_LR_SCALE ? rule_scalar(checker, node) : "reads a known clock";
}

static const char *rule_elementwise(const Checker *checker, const Node *node) {
    (void)checker;
    for (int i = 0; i < node->arity; i++)
        if (!same_shape(node, node->in[i]))
            return "has operands of its own shape";
    return NULL;
}

static const char *rule_reduce(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *from = &node->in[0]->shape;
    if (!axes_within(node->attr.axes, from->rank))
        return "reduces at least one axis, and only axes of its operand";
    Shape rest = shape_without(from, node->attr.axes);
    return shape_equal(&node->shape, &rest) ? NULL : "has the axes of its operand that are not reduced";
}

static const char *rule_argmax(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *from = &node->in[0]->shape;
    if (node->attr.axis < 0 || node->attr.axis >= from->rank)
        return "searches along an axis of its operand";
    Shape rest = shape_without(from, UINT32_C(1) << node->attr.axis);
    return shape_equal(&node->shape, &rest) ? NULL : "has the other axes of its operand";
}

static const char *rule_reshape(const Checker *checker, const Node *node) {
    (void)checker;
    return shape_same_size(&node->shape, &node->in[0]->shape) ? NULL : "has as many elements as its operand";
}

static const char *rule_permute(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *from = &node->in[0]->shape;
    uint32_t seen = 0;
    if (node->shape.rank != from->rank)
        return "has the rank of its operand";
    for (int i = 0; i < from->rank; i++) {
        if (node->attr.order[i] >= from->rank || seen >> node->attr.order[i] & 1)
            return "takes each axis of its operand once";
        seen |= UINT32_C(1) << node->attr.order[i];
        if (!dim_equal(node->shape.dim[i], from->dim[node->attr.order[i]]))
            return "has the sizes of its operand, in the new order";
    }
    return NULL;
}

static const char *rule_expand(const Checker *checker, const Node *node) {
    (void)checker;
    if (!axes_within(node->attr.axes, node->shape.rank))
        return "adds at least one axis, and only axes of its own";
    Shape rest = shape_without(&node->shape, node->attr.axes);
    return shape_equal(&rest, &node->in[0]->shape) ? NULL : "has the axes of its operand beside the new ones";
}

static const char *rule_slice(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *from = &node->in[0]->shape;
    if (node->shape.rank != from->rank)
        return "has the rank of its operand";
    for (int i = 0; i < from->rank; i++) {
        Dim start = node->attr.slice.start[i], size = node->shape.dim[i];
        int64_t step = node->attr.slice.step[i];
        if (step < 1)
            return "has positive steps";
        if (!dim_can_add(start, size))
            return "starts and ends at sizes of one run-time number";
        Dim last = dim_add(start, dim_scale(dim_add(size, dim_const(-1)), step));
        if (!at_most(checker, dim_const(0), start) || !at_most(checker, dim_add(last, dim_const(1)), from->dim[i]))
            return "lies within its operand";
    }
    return NULL;
}

static const char *rule_pad(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *from = &node->in[0]->shape;
    if (node->shape.rank != from->rank)
        return "has the rank of its operand";
    for (int i = 0; i < from->rank; i++) {
        Dim low = node->attr.pad.low[i], high = node->attr.pad.high[i];
        if (!at_most(checker, dim_const(0), low) || !at_most(checker, dim_const(0), high))
            return "never pads by less than nothing";
        if (!dim_can_add(low, from->dim[i]) || !dim_can_add(dim_add(low, from->dim[i]), high) ||
            !dim_equal(dim_add(dim_add(low, from->dim[i]), high), node->shape.dim[i]))
            return "is as long as its operand and its padding";
    }
    return NULL;
}

static const char *rule_flip(const Checker *checker, const Node *node) {
    (void)checker;
    if (!axes_within(node->attr.axes, node->shape.rank))
        return "turns at least one axis, and only axes of its own";
    return same_shape(node, node->in[0]) ? NULL : "has the shape of its operand";
}

static const char *rule_concat(const Checker *checker, const Node *node) {
    (void)checker;
    int axis = node->attr.axis;
    if (node->arity < 1 || axis < 0 || axis >= node->shape.rank)
        return "joins at least one part along an axis of its own";
    Dim total = dim_const(0);
    for (int i = 0; i < node->arity; i++) {
        Shape part = node->in[i]->shape;
        if (part.rank != node->shape.rank || !dim_can_add(total, part.dim[axis]))
            return "has parts of its own rank, and lengths that add up";
        total = dim_add(total, part.dim[axis]);
        part.dim[axis] = node->shape.dim[axis];
        if (!shape_equal(&part, &node->shape))
            return "has parts of its own shape but for the axis";
    }
    return dim_equal(total, node->shape.dim[axis]) ? NULL : "is as long as its parts together";
}

/* Marks the axes that one operand of a dot names; false where one is out of range or named twice. */
static bool mark_axes(const uint8_t *axes, int count, int rank, uint32_t *seen) {
    for (int i = 0; i < count; i++) {
        if (axes[i] >= rank || *seen >> axes[i] & 1)
            return false;
        *seen |= UINT32_C(1) << axes[i];
    }
    return true;
}

static bool append_rest(Shape *shape, const Shape *from, uint32_t seen) {
    for (int i = 0; i < from->rank; i++)
        if (!(seen >> i & 1)) {
            if (shape->rank == MAX_RANK)
                return false;
            shape->dim[shape->rank++] = from->dim[i];
        }
    return true;
}

static const char *rule_dot(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *a = &node->in[0]->shape, *b = &node->in[1]->shape;
    const DotAxes *axes = &node->attr.dot;
    uint32_t in_a = 0, in_b = 0;
    if (axes->batch < 0 || axes->contract < 0 || axes->batch > MAX_RANK || axes->contract > MAX_RANK ||
        !mark_axes(axes->a_batch, axes->batch, a->rank, &in_a) || !mark_axes(axes->b_batch, axes->batch, b->rank, &in_b) ||
        !mark_axes(axes->a_contract, axes->contract, a->rank, &in_a) ||
        !mark_axes(axes->b_contract, axes->contract, b->rank, &in_b))
        return "names axes of its operands, none twice";
    Shape shape = {0};
    for (int i = 0; i < axes->batch; i++) {
        shape.dim[shape.rank++] = a->dim[axes->a_batch[i]];
        if (!dim_equal(a->dim[axes->a_batch[i]], b->dim[axes->b_batch[i]]))
            return "pairs batch axes of equal size";
    }
    for (int i = 0; i < axes->contract; i++)
        if (!dim_equal(a->dim[axes->a_contract[i]], b->dim[axes->b_contract[i]]))
            return "pairs contracted axes of equal size";
    if (!append_rest(&shape, a, in_a) || !append_rest(&shape, b, in_b) || !shape_equal(&shape, &node->shape))
        return "has the batch axes, then the free axes of the left, then of the right operand";
    return NULL;
}

static const char *rule_conv(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *x = &node->in[0]->shape, *kernel = &node->in[1]->shape;
    const ConvAxes *axes = &node->attr.conv;
    int last = axes->spatial + 1;
    if (axes->spatial < 1 || axes->spatial > MAX_SPATIAL || x->rank != last + 1 || kernel->rank != last + 1 || node->shape.rank != last + 1)
        return "has operands and a result with two axes more than it has spatial ones";
    if (!dim_equal(x->dim[last], kernel->dim[last - 1]) || !dim_equal(node->shape.dim[last], kernel->dim[last]) ||
        !dim_equal(node->shape.dim[0], x->dim[0]))
        return "has the channels of its input in the kernel, and those of the kernel in its result";
    for (int i = 0; i < axes->spatial; i++) {
        if (!dim_is_const(x->dim[i + 1]) || !dim_is_const(kernel->dim[i]) || axes->stride[i] < 1 || axes->spread[i] < 1 || axes->dilation[i] < 1)
            return "has constant spatial sizes, and strides and dilations above 0";
        if (!dim_equal(node->shape.dim[i + 1], dim_const(conv_size(axes, i, x->dim[i + 1].base, kernel->dim[i].base))))
            return "has the size that stride, padding and dilation make";
    }
    return NULL;
}

static const char *rule_gather(const Checker *checker, const Node *node) {
    (void)checker;
    const Shape *table = &node->in[0]->shape;
    Shape shape = node->in[1]->shape;
    if (table->rank < 1 || !append_rest(&shape, table, 1) || !shape_equal(&shape, &node->shape))
        return "has the axes of the index, then those of a row of the table";
    return NULL;
}

static const char *rule_scatter_add(const Checker *checker, const Node *node) {
    (void)checker;
    Shape updates = node->in[0]->shape;
    if (node->shape.rank < 1 || !append_rest(&updates, &node->shape, 1) || !shape_equal(&updates, &node->in[1]->shape))
        return "has updates with the axes of the index, then those of a row";
    return NULL;
}

/* ── Loops ────────────────────────────────────────────────────────────────────────────────── */

static const char *rule_slot(const Checker *checker, const Node *node) {
    (void)checker;
    return node->attr.slot.index >= 0 ? NULL : "names an operand of its loop";
}

static const char *rule_part(const Checker *checker, const Node *node) {
    (void)checker;
    const Node *scan = node->in[0];
    if (scan->op != OP_SCAN)
        return "is a result of a loop";
    if (node->attr.part < 0 || node->attr.part >= scan->attr.scan.body->carried + scan->attr.scan.body->collected.count)
        return "is a result that its loop has";
    const Shape shape = part_shape(scan, node->attr.part);
    return shape_equal(&shape, &node->shape) ? NULL : "has the shape of what the loop carries, or collects in each step";
}

static const char *check_body(const Checker *checker, const Node *scan);

static const char *rule_scan(const Checker *checker, const Node *node) {
    const Body *body = node->attr.scan.body;
    if (!body || body->carried + body->scanned > node->arity || body->next.count != body->carried)
        return "has an operand and a next value for all that its body carries";
    for (int i = 0; i < body->carried; i++)
        if (!same_shape(node->in[i], body->next.items[i]))
            return "carries values that keep their shape";
    for (int i = body->carried; i < body->carried + body->scanned; i++)
        if (!node->in[i]->shape.rank || !dim_equal(node->in[i]->shape.dim[0], node->attr.scan.turns))
            return "walks over sequences that are as long as it has turns";
    return check_body(checker, node);
}

static const char *rule_of(const Checker *checker, const Node *node) {
    static Rule *const rules[OP_COUNT] = {
        [OP_CONST] = rule_scalar,     [OP_INPUT] = rule_input,   [OP_TENSOR] = rule_tensor,   [OP_IOTA] = rule_iota,
        [OP_RAND] = rule_rand,        [OP_SIZE] = rule_size,     [OP_CLOCK] = rule_clock,     [OP_SUM] = rule_reduce,
        [OP_MAX] = rule_reduce,       [OP_ARGMAX] = rule_argmax, [OP_RESHAPE] = rule_reshape, [OP_PERMUTE] = rule_permute,
        [OP_EXPAND] = rule_expand,    [OP_SLICE] = rule_slice,   [OP_PAD] = rule_pad,         [OP_FLIP] = rule_flip,
        [OP_CONCAT] = rule_concat,    [OP_DOT] = rule_dot,       [OP_CONV] = rule_conv,     [OP_GATHER] = rule_gather,   [OP_SCATTER_ADD] = rule_scatter_add,
        [OP_STOP] = rule_elementwise, [OP_SLOT] = rule_slot,     [OP_SCAN] = rule_scan,       [OP_PART] = rule_part,
    };
    Rule *rule = rules[node->op];
    if (!rule && op_info[node->op].class == CLASS_ELEMENTWISE)
        rule = rule_elementwise;
    return rule ? rule(checker, node) : "is an operation that the verifier knows";
}

/* ── Nodes ────────────────────────────────────────────────────────────────────────────────── */

/* What must hold before the rule of the operation can be looked at. */
static const char *structure_of(const Checker *checker, const Graph *graph, const Node *node) {
    int arity = op_info[node->op].arity;
    if (arity >= 0 && node->arity != arity)
        return "has as many operands as its operation takes";
    for (int i = 0; i < node->arity; i++) {
        const Node *in = node->in[i];
        if (!in || in->id < 0 || in->id >= graph->nodes.count || graph->nodes.items[in->id] != in)
            return "has operands of its own graph";
        if (in->id >= node->id)
            return "comes after its operands";
    }
    if (node->shape.rank < 0 || node->shape.rank > MAX_RANK)
        return "has a rank of at most 8";
    for (int i = 0; i < node->shape.rank; i++)
        if (!valid_dim(checker, node->shape.dim[i]))
            return "has sizes of 0 or more";
    return NULL;
}

static const char *check_node(const Checker *checker, const Graph *graph, int id) {
    const Node *node = graph->nodes.items[id];
    if (node->id != id)
        return arena_printf(checker->arena, "node %d says that it is node %d", id, node->id);
    if ((unsigned)node->op >= OP_COUNT)
        return arena_printf(checker->arena, "node %d has an operation that does not exist: %d", id, (int)node->op);
    const char *rule = structure_of(checker, graph, node);
    if (!rule)
        rule = rule_of(checker, node);
    return !rule ? NULL
                 : arena_printf(checker->arena, "node %d (%s) breaks the rule that it %s; its shape is %s", id,
                                op_info[node->op].name, rule, shape_text(checker->arena, checker->entry->symbols, &node->shape));
}

static bool in_graph(const Graph *graph, const Node *node) {
    return node && node->id >= 0 && node->id < graph->nodes.count && graph->nodes.items[node->id] == node;
}

/* A slot has the shape of its operand; that of a sequence, of one element. */
static bool fits_operand(const Node *scan, const Node *slot) {
    const Body *body = scan->attr.scan.body;
    const int i = slot->attr.slot.index;
    if (i >= scan->arity)
        return false;
    const bool sequence = i >= body->carried && i < body->carried + body->scanned;
    const Shape element = sequence ? shape_without(&scan->in[i]->shape, 1) : scan->in[i]->shape;
    return shape_equal(&element, &slot->shape);
}

static const char *check_body(const Checker *checker, const Node *scan) {
    const Body *body = scan->attr.scan.body;
    for (int i = 0; i < body->next.count; i++)
        if (!in_graph(body->graph, body->next.items[i]))
            return "has its next values in its body";
    for (int i = 0; i < body->collected.count; i++)
        if (!in_graph(body->graph, body->collected.items[i]))
            return "collects values of its body";
    for (int id = 0; id < body->graph->nodes.count; id++) {
        const Node *node = body->graph->nodes.items[id];
        if (node->op == OP_SLOT && !fits_operand(scan, node))
            return "has slots of the shapes of its operands";
        const char *fault = check_node(checker, body->graph, id);
        if (fault)
            return arena_printf(checker->arena, "has a valid body, where %s", fault);
    }
    return NULL;
}

/* ── Roots and gradients ──────────────────────────────────────────────────────────────────── */

static bool belongs(const Checker *checker, const Node *node) { return in_graph(checker->entry->graph, node); }

static const char *rule_root(const Checker *checker, const Root *root) {
    if (!belongs(checker, root->value))
        return "has a value in the graph";
    const Shape *shape = &root->value->shape;
    switch (root->kind) {
    case ROOT_OUTPUT:
        return root->port && shape_equal(shape, &root->port->shape) ? NULL : "has a port of its value's shape";
    case ROOT_REPORT:
        return shape->rank == 0 ? NULL : "is reported as a single number";
    case ROOT_ASSIGN:
        if (checker->entry->kind == ENTRY_FUNCTION || checker->entry->kind == ENTRY_EVALUATE)
            return "changes no tensor outside of training";
        return root->target && shape_equal(shape, &root->target->shape) ? NULL : "has a target of its value's shape";
    }
    return "is an output, a report or an assignment";
}

static void check_root(Checker *checker, int i) {
    const RootList *roots = &checker->entry->roots;
    const Root *root = &roots->items[i];
    const char *rule = rule_root(checker, root);
    for (int j = 0; !rule && root->kind == ROOT_ASSIGN && j < i; j++)
        if (roots->items[j].kind == ROOT_ASSIGN && roots->items[j].target == root->target)
            rule = "is the only assignment to its tensor";
    if (rule)
        checker->fault = arena_printf(checker->arena, "root %d (%s) breaks the rule that it %s", i,
                                      root->name ? root->name : root->target ? root->target->name : "?", rule);
}

/* The updated parameter with the smallest index above `after`; NULL where there is none. */
static const Tensor *next_updated(const Entry *entry, int after) {
    const Tensor *next = NULL;
    for (int i = 0; i < entry->roots.count; i++) {
        const Root *root = &entry->roots.items[i];
        if (root->kind == ROOT_ASSIGN && root->target->role == TENSOR_PARAM && root->target->index > after &&
            (!next || root->target->index < next->index))
            next = root->target;
    }
    return next;
}

/* A phase lists one gradient for each parameter that it updates, in the order of the tensors. */
static void check_gradients(Checker *checker) {
    const Entry *entry = checker->entry;
    const Tensor *tensor = entry->kind == ENTRY_PHASE ? next_updated(entry, -1) : NULL;
    for (int i = 0; i < entry->gradients.count && !checker->fault; i++) {
        const Node *gradient = entry->gradients.items[i];
        if (!belongs(checker, gradient))
            checker->fault = arena_printf(checker->arena, "gradient %d is not in the graph", i);
        else if (!tensor)
            checker->fault = arena_printf(checker->arena, "gradient %d has no parameter that is updated", i);
        else if (!shape_equal(&gradient->shape, &tensor->shape))
            checker->fault = arena_printf(checker->arena, "gradient %d has not the shape of %s", i, tensor->name);
        else
            tensor = next_updated(entry, tensor->index);
    }
    if (!checker->fault && tensor)
        checker->fault = arena_printf(checker->arena, "%s is updated, but has no gradient", tensor->name);
}

/* By id: whether the value depends on an input other than by way of a gradient. */
static bool *mark_readers(Checker *checker) {
    const Entry *entry = checker->entry;
    bool *reads = arena_alloc(checker->arena, (size_t)entry->graph->nodes.count + 1);
    for (int i = 0; i < entry->graph->nodes.count; i++) {
        const Node *node = entry->graph->nodes.items[i];
        reads[i] = node->op == OP_INPUT;
        for (int k = 0; k < node->arity; k++)
            reads[i] = reads[i] || reads[node->in[k]->id];
        for (int k = 0; k < entry->gradients.count; k++)
            reads[i] = reads[i] && entry->gradients.items[k] != node;
    }
    return reads;
}

/* Parameters and the states of their optimizers get new values from gradients alone: where several machines train
 * together, the sum of their gradients is all that they exchange. */
static void check_updates(Checker *checker) {
    const RootList *roots = &checker->entry->roots;
    const bool *reads = mark_readers(checker);
    for (int i = 0; i < roots->count && !checker->fault; i++) {
        const Root *root = &roots->items[i];
        if (root->kind == ROOT_ASSIGN && root->target->role != TENSOR_STATE && reads[root->value->id])
            checker->fault = arena_printf(checker->arena, "%s is updated from an input other than by way of a gradient", root->target->name);
    }
}

const char *verify(Arena *arena, const Entry *entry) {
    Checker checker = {arena, entry, NULL};
    for (int i = 0; i < entry->graph->nodes.count && !checker.fault; i++)
        checker.fault = check_node(&checker, entry->graph, i);
    for (int i = 0; i < entry->roots.count && !checker.fault; i++)
        check_root(&checker, i);
    if (!checker.fault)
        check_gradients(&checker);
    if (!checker.fault && entry->kind == ENTRY_PHASE)
        check_updates(&checker);
    return checker.fault;
}

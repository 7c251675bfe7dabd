/* What is kept in memory, and what is computed where it is used.
 *
 * Draws, reductions and contractions are stored, and so is what a matrix product reads. An elementwise value that several
 * computations use is stored when it costs more to compute again than to load, as is one that would be computed again for
 * each element of an axis it does not have. Everything else is computed where it is used, and movements only change where
 * something is read. Storing too much is harmless here: a store whose readers all share its loop is taken out again
 * (merge.c). */
#include "fuse.h"

#include <string.h>

/* What computing a value again may cost, in additions, instead of storing and loading it; and of one that would be computed again for
 * each element of an axis that it does not have. */
enum { CHEAP = 4, CHEAP_REPEATED = 1 };

static int cost_of_op(const Node *node) {
    switch (node->op) {
    case OP_RECIP: case OP_SQRT: return 4;
    case OP_EXP:
    case OP_LOG:
    case OP_TANH:
    case OP_SIGMOID:
    case OP_SOFTPLUS:
    case OP_ERF:
    case OP_SIN:
    case OP_COS: return 16;
    case OP_POW: return 32;
    case OP_PAD: case OP_GATHER: return 2;
    case OP_CONCAT: return node->arity;
    default: return op_info[node->op].class == CLASS_ELEMENTWISE;
    }
}

static bool is_movement(const Node *node) { return op_info[node->op].class == CLASS_MOVEMENT || node->op == OP_STOP; }

/* ── names of buffers: C identifiers, unique in a program ─────────────────────────────────── */

static uint64_t name_hash(const char *name) {
    uint64_t hash = 14695981039346656037u;
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return hash ^ hash >> 32;
}

/* The place of the name in the table: its own, or the free one where it belongs. */
static NameCount *name_slot(NameCount *table, int size, const char *name) {
    size_t at = name_hash(name) & (size_t)(size - 1);
    while (table[at].name && strcmp(table[at].name, name) != 0) at = (at + 1) & (size_t)(size - 1);
    return &table[at];
}

static NameCount *count_name(Fuse *fuse, const char *name) {
    if (2 * fuse->program->buffers.count >= fuse->tables->names_size) {
        const int size = fuse->tables->names_size ? 2 * fuse->tables->names_size : 256;
        NameCount *table = arena_alloc(fuse->arena, (size_t)size * sizeof *table);
        for (int i = 0; i < fuse->tables->names_size; i++)
            if (fuse->tables->names[i].name) *name_slot(table, size, fuse->tables->names[i].name) = fuse->tables->names[i];
        fuse->tables->names = table;
        fuse->tables->names_size = size;
    }
    return name_slot(fuse->tables->names, fuse->tables->names_size, name);
}

static bool name_clashes(const Fuse *fuse, const char *name) {
    for (int i = 0; i < fuse->module->symbols.count; i++)
        if (strcmp(fuse->module->symbols.items[i].variable, name) == 0) return true;
    return c_reserved(name) || strcmp(name, fuse->module->name) == 0;
}

/* The name itself, or with the first number that makes it unique. */
static const char *unique_name(Fuse *fuse, const char *wanted) {
    const char *base = c_variable(fuse->arena, wanted);
    NameCount *count = count_name(fuse, base);
    const char *name = base;
    if (count->name == NULL) *count = (NameCount){base, name_clashes(fuse, base) ? 1 : 0};
    while (count->used++ > 0) {
        name = arena_printf(fuse->arena, "%s_%d", base, count->used);
        if (count_name(fuse, name)->name) continue;
        *count_name(fuse, name) = (NameCount){name, 1};
        break;
    }
    return name;
}

Buffer *buffer_new(Fuse *fuse, BufferKind kind, const char *name, const Shape *shape) {
    Buffer *buffer = NEW(fuse->arena, Buffer);
    buffer->kind = kind;
    buffer->index = fuse->program->buffers.count;
    buffer->name = unique_name(fuse, name);
    buffer->shape = *shape;
    buffer->size = poly_shape(fuse->arena, shape);
    buffer->first = buffer->last = -1;
    buffer->place = -1;
    LIST_PUSH(fuse->arena, &fuse->program->buffers, buffer);
    return buffer;
}

/* A result of a loop is called what its step calls it; what was carried into each step, what comes to be next, with a word. */
static const char *node_name(Arena *arena, const Node *node) {
    if (node->label || node->op != OP_PART) return node->label ? node->label : op_info[node->op].name;
    const Body *body = node->in[0]->attr.scan.body;
    const int part = node->attr.part;
    const Node *value = part < body->carried ? body->next.items[part] : body->collected.items[part - body->carried];
    if (value->op == OP_SLOT && value->attr.slot.index < body->carried)
        return arena_printf(arena, "%s_before", node_name(arena, body->next.items[value->attr.slot.index]));
    return node_name(arena, value);
}

Buffer *buffer_of_node(Fuse *fuse, BufferKind kind, const Node *node) {
    Buffer *buffer = buffer_new(fuse, kind, node_name(fuse->arena, node), &node->shape);
    buffer->node = node;
    return buffer;
}

/* The state of an optimizer, "autoencoder.rmsprop.v/encoder.hidden.kernel", is called "v/encoder.hidden.kernel": programs are of
 * one stage. */
static const char *tensor_name(const Tensor *tensor) {
    const char *slash = strchr(tensor->name, '/');
    if (tensor->role != TENSOR_OPTIMIZER || slash == NULL) return tensor->name;
    while (slash > tensor->name && slash[-1] != '.') slash--;
    return slash;
}

Buffer *buffer_of_tensor(Fuse *fuse, const Tensor *tensor) {
    for (int i = 0; i < fuse->program->buffers.count; i++)
        if (fuse->program->buffers.items[i]->tensor == tensor) return fuse->program->buffers.items[i];
    Buffer *buffer = buffer_new(fuse, BUFFER_TENSOR, tensor_name(tensor), &tensor->shape);
    buffer->tensor = tensor;
    return buffer;
}

static Buffer *buffer_of_input(Fuse *fuse, const Port *port) {
    for (int i = 0; i < fuse->program->buffers.count; i++) {
        Buffer *buffer = fuse->program->buffers.items[i];
        if (buffer->kind == BUFFER_INPUT && buffer->port == port) return buffer;
    }
    Buffer *buffer = buffer_new(fuse, BUFFER_INPUT, port->name, &port->shape);
    buffer->port = port;
    return buffer;
}

/* ── what must be stored ──────────────────────────────────────────────────────────────────── */

Buffer *store_node(Fuse *fuse, const Node *node) {
    if (fuse->stored[node->id] == NULL) fuse->stored[node->id] = buffer_of_node(fuse, BUFFER_TEMPORARY, node);
    return fuse->stored[node->id];
}

/* What is read in place: of a body's operand, that of the loop. */
static void store(Fuse *fuse, const Node *node) {
    if (node->op != OP_SLOT) store_node(fuse, node);
}

/* Every input has a buffer, read or not: it is a parameter of the function. */
static void store_leaves(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->inputs.count; i++) buffer_of_input(fuse, fuse->entry->inputs.items[i]);
    for (int i = 0; i < fuse->entry->graph->nodes.count; i++) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (!fuse->live[i]) continue;
        if (node->op == OP_INPUT) fuse->stored[i] = buffer_of_input(fuse, node->attr.port);
        if (node->op == OP_TENSOR) fuse->stored[i] = buffer_of_tensor(fuse, node->attr.tensor);
    }
}

/* The parameter that the k-th gradient updates: gradients are in the order of the parameters. */
static const Tensor *updated_parameter(const Fuse *fuse, int k) {
    for (int i = 0; i < fuse->module->tensors.count; i++) {
        const Tensor *tensor = fuse->module->tensors.items[i];
        bool assigned = false;
        for (int r = 0; r < fuse->entry->roots.count; r++)
            assigned = assigned || (fuse->entry->roots.items[r].kind == ROOT_ASSIGN &&
                                    fuse->entry->roots.items[r].target == tensor);
        if (assigned && tensor->role == TENSOR_PARAM && k-- == 0) return tensor;
    }
    return NULL;
}

Buffer *buffer_of_gradient(Fuse *fuse, int k) {
    const Node *node = fuse->entry->gradients.items[k];
    const Tensor *tensor = updated_parameter(fuse, k);
    Buffer *buffer = buffer_new(fuse, fuse->parts ? BUFFER_GRADIENT : BUFFER_TEMPORARY,
                                tensor ? arena_printf(fuse->arena, "d_%s", tensor->name) : "gradient", &node->shape);
    buffer->node = node;
    return buffer;
}

/* A gradient that is stored already (a leaf, or the same as another) is copied to its place by fuse.c. */
static void store_gradients(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->gradients.count; i++) {
        const Node *node = fuse->entry->gradients.items[i];
        if (!fuse->live[node->id] || fuse->stored[node->id] || op_info[node->op].class == CLASS_LEAF) continue;
        fuse->stored[node->id] = buffer_of_gradient(fuse, i);
    }
}

/* A result is computed in the caller's memory, where other computations may read it too; what is there already is copied. */
static void store_outputs(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->roots.count; i++) {
        const Root *root = &fuse->entry->roots.items[i];
        if (root->kind != ROOT_OUTPUT || fuse->stored[root->value->id] || op_info[root->value->op].class == CLASS_LEAF)
            continue;
        Buffer *buffer = buffer_new(fuse, BUFFER_OUTPUT, root->port->name, &root->port->shape);
        buffer->port = root->port;
        buffer->node = root->value;
        fuse->stored[root->value->id] = buffer;
    }
}

/* "kernel" of "encoder.hidden.kernel", "v" of "autoencoder.rmsprop.v/encoder.hidden.kernel". */
static const char *last_part(Arena *arena, const Tensor *tensor) {
    const char *name = tensor->name, *slash = strchr(name, '/'), *end = slash ? slash : name + strlen(name),
               *start = end;
    while (start > name && start[-1] != '.') start--;
    return arena_copy(arena, start, (size_t)(end - start));
}

/* New values of tensors are all computed before the first is written (fuse.c copies them). */
static void store_assigned(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->roots.count; i++) {
        const Root *root = &fuse->entry->roots.items[i];
        if (root->kind != ROOT_ASSIGN || fuse->stored[root->value->id] || op_info[root->value->op].class == CLASS_LEAF)
            continue;
        const char *name = arena_printf(fuse->arena, "%s_new", last_part(fuse->arena, root->target));
        Buffer *buffer = buffer_new(fuse, BUFFER_TEMPORARY, name, &root->value->shape);
        buffer->node = root->value;
        fuse->stored[root->value->id] = buffer;
    }
}

/* A convolution that is computed straight into its transposition. */
static bool is_transposed(const Fuse *fuse, const Node *conv) {
    for (int i = conv->id + 1; i < fuse->entry->graph->nodes.count; i++)
        if (fuse->live[i] && conv_transposed(fuse, fuse->entry->graph->nodes.items[i]) == conv) return true;
    return false;
}

/* How often the steps of a loop use an operand: in `products`, by a contraction or a loop of their own. */
static int operand_uses(const Node *scan, int operand, bool products) {
    const Graph *step = scan->attr.scan.body->graph;
    int uses = 0;
    for (int id = 0; id < step->nodes.count; id++) {
        const Node *node = step->nodes.items[id];
        const bool product = op_info[node->op].class == CLASS_CONTRACTION || node->op == OP_SCAN;
        for (int k = 0; k < node->arity; k++) {
            const Node *in = product ? gemm_operand(node->in[k]) : node->in[k];
            uses += (product || !products) && in->op == OP_SLOT && in->attr.slot.index == operand;
        }
    }
    return uses;
}

/* An operand that contractions read, and what would be computed again in every step. First values are read once. */
static void store_operands(Fuse *fuse, const Node *scan) {
    const Body *body = scan->attr.scan.body;
    for (int i = body->carried; i < scan->arity; i++) {
        const Node *operand = gemm_operand(scan->in[i]);
        double value;
        if (node_is_uniform(operand, &value)) continue;
        if (i >= body->carried + body->scanned || operand_uses(scan, i, true) > 0) store(fuse, operand);
    }
}

static void store_kinds(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->graph->nodes.count; i++) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (!fuse->live[i]) continue;
        if (node->op == OP_DOT) {
            store(fuse, gemm_operand(node->in[0]));
            store(fuse, gemm_operand(node->in[1]));
        }
        if (node->op == OP_CONV) {
            store(fuse, conv_operand(node->in[0]));
            store(fuse, conv_operand(node->in[1]));
        }
        if (node->op == OP_SCAN) store_operands(fuse, node);
        if (node->op == OP_PART) store(fuse, node);
        if (conv_transposed(fuse, node)) store(fuse, node);
        if ((op_info[node->op].class == CLASS_CONTRACTION && !is_transposed(fuse, node)) || node->op == OP_RAND ||
            node->op == OP_SCATTER_ADD || op_info[node->op].class == CLASS_REDUCTION)
            store(fuse, node);
    }
}

/* ── what is cheaper to load than to compute again ────────────────────────────────────────── */

/* An axis that the input lacks stands outside one that it has: a loop over it computes the input anew each turn. */
static bool repeats(const Node *expand) {
    bool new_axis = false;
    for (int axis = 0; axis < expand->shape.rank; axis++) {
        if (expand->attr.axes >> axis & 1) new_axis = true;
        else if (new_axis && !dim_equal(expand->shape.dim[axis], dim_const(1))) return true;
    }
    return false;
}

/* How many computations use each node, looking through movements, and whether one of them would compute it repeatedly. */
static void count_uses(const Fuse *fuse, int *uses, bool *repeated) {
    for (int i = fuse->entry->graph->nodes.count - 1; i >= 0; i--) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (!fuse->live[i]) continue;
        const bool through = is_movement(node) && fuse->stored[i] == NULL;
        for (int k = 0; k < node->arity; k++) {
            const int in = node->in[k]->id;
            uses[in] += through ? uses[i] : node->op == OP_SCAN ? 1 + operand_uses(node, k, false) : 1;
            if (through && repeated[i]) repeated[in] = true;
            if (node->op == OP_EXPAND && repeats(node)) repeated[in] = true;
            if (node->op == OP_GATHER && k == 0) repeated[in] = true;
        }
    }
    for (int i = 0; i < fuse->entry->roots.count; i++) uses[fuse->entry->roots.items[i].value->id]++;
    for (int i = 0; fuse->scan && i < fuse->scan->attr.scan.body->collected.count; i++)
        uses[fuse->scan->attr.scan.body->collected.items[i]->id]++;
}

static void store_costly(Fuse *fuse) {
    const int count = fuse->entry->graph->nodes.count;
    int *uses = arena_alloc(fuse->arena, (size_t)count * sizeof *uses);
    int *cost = arena_alloc(fuse->arena, (size_t)count * sizeof *cost);
    bool *repeated = arena_alloc(fuse->arena, (size_t)count * sizeof *repeated);
    count_uses(fuse, uses, repeated);
    for (int i = 0; i < count; i++) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (!fuse->live[i] || fuse->stored[i] || node->op == OP_SCAN || node->op == OP_SLOT) continue;
        cost[i] = cost_of_op(node);
        for (int k = 0; k < node->arity; k++) cost[i] += cost[node->in[k]->id];
        if (is_movement(node) || cost[i] <= (repeated[i] ? CHEAP_REPEATED : CHEAP) || (uses[i] < 2 && !repeated[i])) continue;
        store(fuse, node);
        cost[i] = 0;
    }
}

void choose_stored(Fuse *fuse) {
    store_leaves(fuse);
    store_gradients(fuse);
    store_outputs(fuse);
    store_assigned(fuse);
    store_kinds(fuse);
    store_costly(fuse);
}

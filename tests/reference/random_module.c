/* random_module.c: modules around random graphs: functions, stages with a phase that trains, first values. */
#include "random_module.h"
#include "random_graph.h"

enum { TENSORS = 3, OUTPUTS = 3, OPERATIONS = 20 };

/* ── Functions ────────────────────────────────────────────────────────────────────────────── */

static Port *add_port(Arena *arena, Maker *m, Entry *entry, int rank) {
    Port *port = NEW(arena, Port);
    *port = (Port){.name = arena_printf(arena, "x%d", entry->inputs.count), .index = entry->inputs.count};
    port->shape.dim[port->shape.rank++] = dim_batch(1);
    if (rank == 0 && choose(m, 2))
        port->classes = 4;
    while (port->shape.rank <= rank)
        port->shape.dim[port->shape.rank++] = choose(m, 4) ? dim_const(1 + choose(m, 4)) : random_time(choose(m, 2));
    LIST_PUSH(arena, &entry->inputs, port);
    return port;
}

/* Inputs come last, where they are taken more often. */
static void add_leaves(Maker *m, const Module *module, const Entry *entry) {
    keep(m, graph_clock(m->graph, CLOCK_STEP), 10);
    if (!m->per_example)
        keep(m, graph_size(m->graph, dim_batch(1)), RANDOM_CAPACITY);
    keep(m, graph_size(m->graph, random_time(0)), LONGEST);
    for (int i = 0; i < TENSORS; i++)
        keep(m, graph_tensor(m->graph, module->tensors.items[i]), 3);
    for (int i = 0; i < entry->inputs.count; i++)
        keep(m, graph_input(m->graph, entry->inputs.items[i]), 2);
    m->leaves = m->count;
}

/* An output has the batch first and nowhere else: axes with more of it are summed. */
static Node *as_output(Maker *m, Node *x) {
    uint32_t summed = 0;
    for (int i = 0; i < x->shape.rank; i++)
        if (!dim_is_const(x->shape.dim[i]) && x->shape.dim[i].symbol == SYMBOL_BATCH && !(i == 0 && dim_equal(x->shape.dim[i], dim_batch(1))))
            summed |= UINT32_C(1) << i;
    x = graph_sum(m->graph, x, summed);
    if (x->shape.rank && dim_equal(x->shape.dim[0], dim_batch(1)))
        return x;
    Shape to = {.rank = x->shape.rank + 1, .dim = {dim_batch(1)}};
    for (int i = 1; i < to.rank; i++)
        to.dim[i] = x->shape.dim[i - 1];
    return graph_expand(m->graph, x, &to, 1);
}

static void add_output(Arena *arena, Entry *entry, Node *value) {
    int index = entry->roots.count;
    Port *port = NEW(arena, Port);
    *port = (Port){.name = arena_printf(arena, "y%d", index), .shape = value->shape, .index = index};
    LIST_PUSH(arena, &entry->roots, ((Root){.kind = ROOT_OUTPUT, .name = port->name, .port = port, .value = value}));
}

/* Every other graph ends with a loop, whose results are those of the graph. */
static void add_graph(Maker *m) {
    add_operations(m, OPERATIONS);
    if (choose(m, 2))
        add_loop(m);
}

static Entry *random_function(Arena *arena, const Module *module, uint64_t seed, int number) {
    Maker m;
    maker_begin(&m, arena, seed, number % 2);
    Entry *entry = NEW(arena, Entry);
    *entry = (Entry){.kind = ENTRY_FUNCTION, .name = arena_printf(arena, "f%d", number), .graph = m.graph,
                     .symbols = &module->symbols};
    entry->crosses_batch = !m.per_example;
    for (int i = 0, inputs = 1 + choose(&m, 3); i < inputs; i++)
        add_port(arena, &m, entry, choose(&m, 4));
    add_leaves(&m, module, entry);
    add_graph(&m);
    for (int i = 1; i <= OUTPUTS; i++)
        add_output(arena, entry, as_output(&m, m.node[m.count - i]));
    return entry;
}

/* ── Training ─────────────────────────────────────────────────────────────────────────────── */

static Node *mean_of(Graph *g, Node *x) {
    Node *elements = graph_const(g, 1);
    for (int i = 0; i < x->shape.rank; i++)
        elements = graph_binary(g, OP_MUL, elements, graph_size(g, x->shape.dim[i]));
    Node *sum = graph_sum(g, x, (UINT32_C(1) << x->shape.rank) - 1);
    return graph_binary(g, OP_MUL, sum, graph_unary(g, OP_RECIP, elements));
}

/* The mean of the last nodes: the same for the same seed, in whichever graph. */
static Node *random_loss(Maker *m, const Module *module, const Entry *entry) {
    add_leaves(m, module, entry);
    add_graph(m);
    Node *loss = graph_const(m->graph, 0);
    for (int i = m->count - OUTPUTS; i < m->count; i++)
        loss = graph_binary(m->graph, OP_ADD, loss, mean_of(m->graph, tamed(m, m->node[i], 2)));
    return loss;
}

static void assign(Arena *arena, Entry *entry, Tensor *target, Node *value) {
    LIST_PUSH(arena, &entry->roots, ((Root){.kind = ROOT_ASSIGN, .name = target->name, .target = target, .value = value}));
}

/* Momentum, and an update of limited size: v <- 0.9 v + g, w <- w - 0.1 tanh(v). */
static void add_update(Arena *arena, Graph *g, Entry *entry, Tensor *weight, Tensor *momentum, Node *gradient) {
    const Shape *shape = &weight->shape;
    Node *old = graph_binary(g, OP_MUL, graph_tensor(g, momentum), graph_fill(g, 0.9, shape));
    Node *moved = graph_binary(g, OP_ADD, old, gradient);
    Node *step = graph_binary(g, OP_MUL, graph_unary(g, OP_TANH, moved), graph_fill(g, -0.1, shape));
    assign(arena, entry, momentum, moved);
    assign(arena, entry, weight, graph_binary(g, OP_ADD, graph_tensor(g, weight), step));
    LIST_PUSH(arena, &entry->gradients, gradient);
}

static Entry *random_entry(Arena *arena, const Module *module, EntryKind kind, const Stage *stage, Graph *graph) {
    Entry *entry = NEW(arena, Entry);
    *entry = (Entry){.kind = kind, .name = stage->name, .graph = graph, .crosses_batch = true, .symbols = &module->symbols};
    for (int i = 0; i < stage->inputs.count; i++)
        LIST_PUSH(arena, &entry->inputs, stage->inputs.items[i]);
    return entry;
}

static void add_loss_root(Arena *arena, Entry *entry, Node *loss) {
    LIST_PUSH(arena, &entry->roots, ((Root){.kind = ROOT_REPORT, .name = "loss", .value = loss, .loss = true}));
}

static Entry *random_phase(Arena *arena, const Module *module, const Stage *stage, uint64_t seed, Tensor *const *momenta) {
    Maker m;
    maker_begin(&m, arena, seed, false);
    Entry *entry = random_entry(arena, module, ENTRY_PHASE, stage, m.graph);
    Node *loss = random_loss(&m, module, entry), *weights[TENSORS], *gradients[TENSORS];
    add_loss_root(arena, entry, loss);
    for (int i = 0; i < TENSORS; i++)
        weights[i] = graph_tensor(m.graph, module->tensors.items[i]);
    differentiate(m.graph, loss, weights, TENSORS, gradients);
    for (int i = 0; i < TENSORS; i++)
        add_update(arena, m.graph, entry, module->tensors.items[i], momenta[i], gradients[i]);
    return entry;
}

static Entry *random_evaluate(Arena *arena, const Module *module, const Stage *stage, uint64_t seed) {
    Maker m;
    maker_begin(&m, arena, seed, false);
    Entry *entry = random_entry(arena, module, ENTRY_EVALUATE, stage, m.graph);
    add_loss_root(arena, entry, random_loss(&m, module, entry));
    return entry;
}

static Tensor *add_tensor(Arena *arena, Module *module, const char *name, TensorRole role, const Shape *shape, int stage) {
    Tensor *tensor = NEW(arena, Tensor);
    *tensor = (Tensor){.name = name, .role = role, .shape = *shape, .index = module->tensors.count, .stage = stage};
    LIST_PUSH(arena, &module->tensors, tensor);
    return tensor;
}

static Stage *random_stage(Arena *arena, Module *module, uint64_t seed, int number) {
    Maker m;
    maker_begin(&m, arena, seed, false);
    Stage *stage = NEW(arena, Stage);
    *stage = (Stage){.name = arena_printf(arena, "s%d", number), .batch = RANDOM_CAPACITY, .epochs = 1};
    Entry ports = {0};
    for (int i = 0, inputs = 1 + choose(&m, 2); i < inputs; i++)
        LIST_PUSH(arena, &stage->inputs, add_port(arena, &m, &ports, choose(&m, 4)));
    Tensor *momenta[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        const Tensor *weight = module->tensors.items[i];
        const char *name = arena_printf(arena, "%s.momentum/%s", stage->name, weight->name);
        momenta[i] = add_tensor(arena, module, name, TENSOR_OPTIMIZER, &weight->shape, number);
    }
    Phase phase = {random_phase(arena, module, stage, seed, momenta), 1, true};
    LIST_PUSH(arena, &stage->phases, phase);
    stage->evaluate = random_evaluate(arena, module, stage, seed);
    return stage;
}

/* ── Modules ──────────────────────────────────────────────────────────────────────────────── */

static Entry *random_init(Arena *arena, const Module *module) {
    Entry *entry = NEW(arena, Entry);
    *entry = (Entry){.kind = ENTRY_INIT, .name = "init", .graph = graph_create(arena), .symbols = &module->symbols};
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *tensor = module->tensors.items[i];
        Node *draw = graph_rand(entry->graph, &tensor->shape, tensor->shape.rank > 1 ? DRAW_ORTHOGONAL : DRAW_NORMAL, i);
        Node *zero = graph_fill(entry->graph, 0, &tensor->shape);
        assign(arena, entry, tensor, tensor->role == TENSOR_OPTIMIZER ? zero : draw);
    }
    return entry;
}

Module *random_module(Arena *arena, const char *name, uint64_t seed, int functions, int stages) {
    static const char *const names[TENSORS] = {"a", "b.kernel", "c.kernel"};
    Maker m;
    maker_begin(&m, arena, seed, false);
    Module *module = NEW(arena, Module);
    module->name = name;
    LIST_PUSH(arena, &module->symbols, ((Symbol){.name = "n", .variable = "n", .low = 1, .high = RANDOM_CAPACITY}));
    LIST_PUSH(arena, &module->symbols, ((Symbol){.name = "time", .variable = "time", .low = SHORTEST, .high = LONGEST}));
    for (int i = 0; i < TENSORS; i++) {
        Shape shape = {.rank = i};
        for (int k = 0; k < i; k++)
            shape.dim[k] = dim_const(1 + choose(&m, 4));
        add_tensor(arena, module, names[i], TENSOR_PARAM, &shape, -1);
    }
    for (int i = 0; i < stages; i++)
        LIST_PUSH(arena, &module->stages, random_stage(arena, module, seed * 1000 + (uint64_t)i, i));
    for (int i = 0; i < functions; i++)
        LIST_PUSH(arena, &module->functions, random_function(arena, module, seed * 1000 + 500 + (uint64_t)i, i));
    module->init = random_init(arena, module);
    return module;
}

/* Fusion: each entry point's graph becomes a program, steps in order of which each is a loop nest, a matrix product or a draw.
 *
 * What is stored is decided first (store.c); then the stored nodes are lowered in the order of the graph (lower.c,
 * gemm.c), each statement joining the loops of earlier ones where it can (merge.c); then values that are read in the
 * loops that computed them stay in registers (forward.c); last, products and the loops beside them take turns on blocks of
 * rows (block.c), and so do large draws, once more wherever they are read (draw.c).
 *
 * A phase comes in two parts where it is asked to (--parts). The first computes what is reported and the gradients; the second
 * everything else, which is the new values of tensors. Otherwise one follows the other in the same steps, so that an update can
 * join the product that is its gradient. All new values are computed before one is written: that takes temporaries and copies, of
 * which merging and forwarding leave nothing where an update is elementwise. */
#include "fuse.h"

StepList *steps_of(Fuse *fuse, int part) { return fuse->steps ? fuse->steps : &fuse->program->part[part]; }

static void mark(bool *needed, const Node *node) {
    if (needed[node->id]) return;
    needed[node->id] = true;
    for (int i = 0; i < node->arity; i++) mark(needed, node->in[i]);
}

/* The update part has no inputs: what depends on them, other than through a gradient, belongs to the first part. */
static void mark_readers(Fuse *fuse) {
    const Entry *entry = fuse->entry;
    bool *reads = arena_alloc(fuse->arena, (size_t)entry->graph->nodes.count * sizeof *reads);
    for (int i = 0; i < entry->graph->nodes.count; i++) {
        const Node *node = entry->graph->nodes.items[i];
        reads[i] = node->op == OP_INPUT;
        for (int k = 0; k < node->arity; k++) reads[i] = reads[i] || reads[node->in[k]->id];
        for (int k = 0; k < entry->gradients.count; k++) reads[i] = reads[i] && entry->gradients.items[k] != node;
        if (fuse->live[i] && reads[i]) mark(fuse->early, node);
    }
}

static void mark_needed(Fuse *fuse) {
    const Entry *entry = fuse->entry;
    const size_t count = (size_t)entry->graph->nodes.count;
    fuse->live = arena_alloc(fuse->arena, count * sizeof(bool));
    fuse->early = arena_alloc(fuse->arena, count * sizeof(bool));
    for (int i = 0; i < entry->roots.count; i++) {
        const Root *root = &entry->roots.items[i];
        mark(fuse->live, root->value);
        if (root->kind != ROOT_ASSIGN || entry->kind != ENTRY_PHASE) mark(fuse->early, root->value);
    }
    for (int i = 0; fuse->parts && i < entry->gradients.count; i++) {
        mark(fuse->live, entry->gradients.items[i]);
        mark(fuse->early, entry->gradients.items[i]);
    }
    mark_readers(fuse);
}

static void lower_stored(Fuse *fuse, bool early, int part) {
    for (int i = 0; i < fuse->entry->graph->nodes.count; i++) {
        const Node *node = fuse->entry->graph->nodes.items[i];
        if (!fuse->live[i] || fuse->early[i] != early) continue;
        if (node->op == OP_SCAN || (fuse->stored[i] && node->op != OP_INPUT && node->op != OP_TENSOR)) lower_node(fuse, node, part);
    }
}

/* Each gradient at its place in the range, in the order of the parameters. */
static void lower_gradients(Fuse *fuse) {
    for (int i = 0; i < fuse->entry->gradients.count; i++) {
        const Node *node = fuse->entry->gradients.items[i];
        Buffer *buffer = fuse->stored[node->id];
        if (!buffer || buffer->kind != BUFFER_GRADIENT || buffer->place >= 0) {
            buffer = buffer_of_gradient(fuse, i);
            lower_copy(fuse, buffer, node, PART_BACKWARD);
        }
        buffer->place = fuse->program->gradients;
        fuse->program->gradients += shape_size(&node->shape, NULL);
    }
}

static void lower_results(Fuse *fuse) {
    int reports = 0;
    for (int i = 0; i < fuse->entry->roots.count; i++) {
        const Root *root = &fuse->entry->roots.items[i];
        if (root->kind == ROOT_ASSIGN) continue;
        Buffer *buffer = fuse->stored[root->value->id];
        if (root->kind == ROOT_OUTPUT && buffer && buffer->kind == BUFFER_OUTPUT && buffer->port == root->port)
            continue;
        buffer = buffer_new(fuse, root->kind == ROOT_REPORT ? BUFFER_REPORT : BUFFER_OUTPUT, root->name,
                            &root->value->shape);
        buffer->node = root->value;
        buffer->port = root->port;
        if (root->kind == ROOT_REPORT) buffer->place = reports++;
        lower_copy(fuse, buffer, root->value, PART_BACKWARD);
    }
}

/* The old value of another tensor, which may be written before this copy of it: taken aside. */
static void set_aside(Fuse *fuse, const Root *root, int part) {
    const Node *node = root->value;
    if (node->op != OP_TENSOR || fuse->stored[node->id]->kind != BUFFER_TENSOR) return;
    Buffer *buffer = buffer_of_node(fuse, BUFFER_TEMPORARY, node);
    lower_copy(fuse, buffer, node, part);
    fuse->stored[node->id] = buffer;
}

static void lower_assigned(Fuse *fuse, int part) {
    for (int i = 0; i < fuse->entry->roots.count; i++)
        if (fuse->entry->roots.items[i].kind == ROOT_ASSIGN) set_aside(fuse, &fuse->entry->roots.items[i], part);
    for (int i = 0; i < fuse->entry->roots.count; i++) {
        const Root *root = &fuse->entry->roots.items[i];
        if (root->kind == ROOT_ASSIGN) lower_copy(fuse, buffer_of_tensor(fuse, root->target), root->value, part);
    }
}

static Program *fuse_entry(Context *context, const Module *module, const Options *options, const Entry *entry, const char *name,
                           int stage) {
    const bool parts = options->parts && entry->kind == ENTRY_PHASE;
    const int update = parts ? PART_UPDATE : PART_BACKWARD;
    Fuse fuse = {.arena = context->arena, .module = module, .options = options, .entry = entry, .parts = parts};
    fuse.program = NEW(context->arena, Program);
    *fuse.program = (Program){.entry = entry, .name = name, .stage = stage};
    fuse.stored = arena_alloc(context->arena, (size_t)entry->graph->nodes.count * sizeof *fuse.stored);
    fuse.start = arena_alloc(context->arena, (size_t)entry->graph->nodes.count * sizeof *fuse.start);
    fuse.tables = NEW(context->arena, Tables);
    mark_needed(&fuse);
    choose_stored(&fuse);
    lower_stored(&fuse, true, PART_BACKWARD);
    if (parts) lower_gradients(&fuse);
    lower_results(&fuse);
    lower_stored(&fuse, false, update);
    lower_assigned(&fuse, update);
    forward_values(&fuse);
    block_rows(&fuse);
    return fuse.program;
}

/* The first values of some tensors only: parameters and states (stage -1), or the state of one stage's optimizers. */
static Program *fuse_init(Context *context, const Module *module, const Options *options, int stage) {
    Entry *entry = NEW(context->arena, Entry);
    const RootList *all = &module->init->roots;
    *entry = *module->init;
    entry->roots = (RootList){0};
    for (int i = 0; i < all->count; i++)
        if (all->items[i].target->stage == stage) LIST_PUSH(context->arena, &entry->roots, all->items[i]);
    const char *name = stage < 0 ? "init" : arena_printf(context->arena, "%s_begin", module->stages.items[stage]->name);
    return fuse_entry(context, module, options, entry, name, stage);
}

static void fuse_stage(Context *context, const Module *module, const Options *options, int index, ProgramList *programs) {
    const Stage *stage = module->stages.items[index];
    for (int i = 0; i < stage->phases.count; i++) {
        const Entry *entry = stage->phases.items[i].entry;
        const char *name =
            stage->phases.count == 1 ? stage->name : arena_printf(context->arena, "%s_%s", stage->name, entry->name);
        LIST_PUSH(context->arena, programs, fuse_entry(context, module, options, entry, name, index));
    }
    LIST_PUSH(
        context->arena, programs,
        fuse_entry(context, module, options, stage->evaluate, arena_printf(context->arena, "%s_evaluate", stage->name), index));
}

ProgramList fuse(Context *context, const Module *module, const Options *options) {
    ProgramList programs = {0};
    for (int stage = -1; stage < module->stages.count; stage++)
        LIST_PUSH(context->arena, &programs, fuse_init(context, module, options, stage));
    for (int i = 0; i < module->functions.count; i++) {
        const Entry *entry = module->functions.items[i];
        LIST_PUSH(context->arena, &programs, fuse_entry(context, module, options, entry, entry->name, -1));
    }
    for (int i = 0; i < module->stages.count; i++) fuse_stage(context, module, options, i, &programs);
    return programs;
}

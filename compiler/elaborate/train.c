/* Training: a `train` is a stage of phases, each of them one graph with the forward pass, the gradients and the updates.
 * The same statements, run once more in inference form without updates, make the entry point that evaluates. */
#include "elaborate.h"

#include <string.h>

/* A scalar for each example, and its mean over the batch. */
typedef struct Minimized {
    Node *value, *mean;
    Span span;
} Minimized;

typedef struct Gradient {
    const Tensor *tensor;
    Node *value;
} Gradient;

typedef struct PhaseRun {
    Elaborator *e;
    Stage *stage;
    Entry *entry;
    const Stmt *phase; /* NULL: the body of the train is the phase */
    const char *name;
    Scope *scope;
    LIST(Minimized) minimized;
    int losses;                    /* `minimize` statements, right or wrong */
    LIST(const Stmt *) updates;    /* update, clip and average, in order */
    TensorList updated;
    LIST(Gradient) gradients;
} PhaseRun;

/* ── losses and metrics ───────────────────────────────────────────────────────────────────── */

/* The mean over the batch of a scalar for each example. */
static Node *batch_mean(Graph *g, Node *node) {
    if (node->shape.rank == 0) return node;
    Node *count = graph_size(g, node->shape.dim[0]);
    return graph_binary(g, OP_MUL, graph_sum(g, node, 1), graph_unary(g, OP_RECIP, count));
}

static bool scalar_value(PhaseRun *run, Expr *expr, const char *what, Value *value) {
    Elaborator *e = run->e;
    if (!to_tensor(e, evaluate(e, run->scope, expr, no_name), expr->span, value)) return false;
    locate(e, expr->span);
    Shape shape = example_shape(*value);
    if (shape.rank == 0) return true;
    fail(e, expr->span, "%s is a scalar for each example, but this is %s; take its `mean` or `sum`", what,
         sizes_text(e, &shape));
    return false;
}

static void add_report(PhaseRun *run, const char *name, Node *value, bool loss, Span span) {
    Elaborator *e = run->e;
    if (run->stage->phases.count > 1 || run->phase) name = arena_printf(e->arena, "%s.%s", run->name, name);
    for (int i = 0; i < run->entry->roots.count; i++) {
        if (run->entry->roots.items[i].kind != ROOT_REPORT || strcmp(run->entry->roots.items[i].name, name) != 0) continue;
        fail(e, span, "the metric `%s` is declared twice", name);
        return;
    }
    LIST_PUSH(e->arena, &run->entry->roots,
              ((Root){ .kind = ROOT_REPORT, .name = name, .value = value, .loss = loss, .span = span }));
}

static void run_minimize(PhaseRun *run, const Stmt *stmt) {
    Value value;
    run->losses++;
    if (!scalar_value(run, stmt->values.items[0], "a loss", &value)) return;
    LIST_PUSH(run->e->arena, &run->minimized, ((Minimized){ value.node, batch_mean(graph_of(run->e), value.node), stmt->span }));
}

static void run_metric(PhaseRun *run, const Stmt *stmt) {
    Value value;
    if (scalar_value(run, stmt->values.items[0], "a metric", &value))
        add_report(run, stmt->names.items[0].text, batch_mean(graph_of(run->e), value.node), false, stmt->names.items[0].span);
}

static bool needs(const Node *node, const Node *wanted, bool *seen) {
    if (node == wanted) return true;
    if (node->id < wanted->id || seen[node->id]) return false;
    seen[node->id] = true;
    for (int i = 0; i < node->arity; i++)
        if (needs(node->in[i], wanted, seen)) return true;
    return false;
}

/* Losses that layers added, where what is minimized comes from these layers; each value once. */
static Node *with_added_losses(PhaseRun *run, Node *loss) {
    Elaborator *e = run->e;
    Graph *g = graph_of(e);
    for (int i = 0; i < e->building->losses.count; i++) {
        const AddedLoss *added = &e->building->losses.items[i];
        bool reached = false, repeated = false;
        for (int j = 0; j < i; j++) repeated |= e->building->losses.items[j].value == added->value;
        for (int j = 0; added->witness && !repeated && !reached && j < run->minimized.count; j++)
            reached = needs(run->minimized.items[j].value, added->witness, arena_alloc(e->arena, (size_t)g->nodes.count));
        if (reached) loss = graph_binary(g, OP_ADD, loss, batch_mean(g, added->value));
    }
    return loss;
}

static Node *total_loss(PhaseRun *run) {
    if (!run->minimized.count) return NULL;
    Node *loss = run->minimized.items[0].mean;
    for (int i = 1; i < run->minimized.count; i++)
        loss = graph_binary(graph_of(run->e), OP_ADD, loss, run->minimized.items[i].mean);
    return with_added_losses(run, loss);
}

/* ── statements ───────────────────────────────────────────────────────────────────────────── */

/* Where a stage has phases, what is named before them is there in each. */
static bool names_values(const Stmt *stmt) { return stmt->kind == STMT_BIND || stmt->kind == STMT_SCAN; }

static void run_phase_statement(PhaseRun *run, const Stmt *stmt) {
    Value result;
    switch (stmt->kind) {
    case STMT_MINIMIZE: run_minimize(run, stmt); break;
    case STMT_METRIC: run_metric(run, stmt); break;
    case STMT_UPDATE:
    case STMT_CLIP:
    case STMT_AVERAGE: LIST_PUSH(run->e->arena, &run->updates, stmt); break;
    case STMT_BIND:
    case STMT_SCAN: run_statement(run->e, run->scope, stmt, &result); break;
    case STMT_BATCH:
    case STMT_EPOCHS:
    case STMT_PHASE: break; /* of the whole stage, which reads them itself */
    default: fail(run->e, stmt->span, "this statement has no place in a `train`"); break;
    }
}

static void run_phase_statements(PhaseRun *run, const Callable *train) {
    const StmtList *common = &train->decl->body;
    run->scope = scope_create(run->e, train->scope);
    for (int i = 0; i < run->stage->inputs.count; i++) {
        Port *port = run->stage->inputs.items[i];
        scope_bind(run->e, run->scope, train->decl->formals.items[i].name, port_value(run->entry, port));
    }
    for (int i = 0; i < common->count; i++) {
        const Stmt *stmt = common->items[i];
        if (!run->phase || names_values(stmt)) run_phase_statement(run, stmt);
    }
    for (int i = 0; run->phase && i < run->phase->body.count; i++) {
        StmtKind kind = run->phase->body.items[i]->kind;
        if (kind == STMT_BATCH || kind == STMT_EPOCHS || kind == STMT_PHASE)
            fail(run->e, run->phase->body.items[i]->span, "this belongs to the whole `train`, outside of its phases");
        else run_phase_statement(run, run->phase->body.items[i]);
    }
}

static void run_phase_body(PhaseRun *run, const Callable *train) {
    Activation activation = { .place = place_stage(run->e, train->decl) };
    run->e->activation = &activation;
    run_phase_statements(run, train);
    run->e->activation = NULL;
}

/* ── updates ──────────────────────────────────────────────────────────────────────────────── */

static bool contains(const TensorList *list, const Tensor *tensor) {
    for (int i = 0; i < list->count; i++)
        if (list->items[i] == tensor) return true;
    return false;
}

/* Whether the value depends on the tensor by a way that has a gradient. */
static bool has_gradient(Node *derivative) {
    double zero;
    return !(node_is_uniform(derivative, &zero) && zero == 0);
}

typedef struct Update {
    const Stmt *stmt;
    TensorList *targets;     /* of each target: its parameters */
    TensorList tensors;      /* those that the loss reaches, each once */
    NodeList gradients;
} Update;
typedef LIST(Update) UpdateList;

static Update read_update(PhaseRun *run, const Stmt *stmt) {
    const int count = stmt->kind == STMT_UPDATE ? stmt->values.count : 0;
    Update update = { .stmt = stmt, .targets = arena_alloc(run->e->arena, sizeof *update.targets * (size_t)(count + 1)) };
    locate(run->e, stmt->span);
    for (int t = 0; t < count; t++)
        if (!collect_target(run->e, run->scope, stmt->values.items[t], &update.targets[t])) update.targets[t].count = 0;
    return update;
}

/* The gradients of the loss by all parameters that any statement updates: in one walk back, so that nothing is derived twice. */
static void differentiate_loss(PhaseRun *run, Node *loss, const UpdateList *updates) {
    Elaborator *e = run->e;
    TensorList tensors = { 0 };
    NodeList leaves = { 0 };
    for (int u = 0; u < updates->count; u++)
        for (int t = 0; updates->items[u].stmt->kind == STMT_UPDATE && t < updates->items[u].stmt->values.count; t++)
            for (int i = 0; i < updates->items[u].targets[t].count; i++) {
                Tensor *tensor = updates->items[u].targets[t].items[i];
                if (contains(&tensors, tensor)) continue;
                LIST_PUSH(e->arena, &tensors, tensor);
                LIST_PUSH(e->arena, &leaves, graph_tensor(graph_of(e), tensor));
            }
    Node **gradients = arena_alloc(e->arena, sizeof *gradients * (size_t)(tensors.count + 1));
    differentiate(graph_of(e), loss, leaves.items, tensors.count, gradients);
    for (int i = 0; i < tensors.count; i++)
        if (has_gradient(gradients[i])) LIST_PUSH(e->arena, &run->gradients, ((Gradient){ tensors.items[i], gradients[i] }));
}

static Node *gradient_of(const PhaseRun *run, const Tensor *tensor) {
    for (int i = 0; i < run->gradients.count; i++)
        if (run->gradients.items[i].tensor == tensor) return run->gradients.items[i].value;
    return NULL;
}

/* The parameters of one target that the loss reaches. */
static void add_target(PhaseRun *run, const TensorList *target, Span span, Update *update) {
    Elaborator *e = run->e;
    int reached = 0;
    for (int i = 0; i < target->count; i++) {
        Node *gradient = gradient_of(run, target->items[i]);
        if (!gradient) continue;
        reached++;
        if (contains(&update->tensors, target->items[i])) continue;
        LIST_PUSH(e->arena, &update->tensors, target->items[i]);
        LIST_PUSH(e->arena, &update->gradients, gradient);
    }
    if (target->count && !reached) fail(e, span, "the loss does not depend on this, so there is nothing to update");
}

static void check_updated_once(PhaseRun *run, const Update *update) {
    for (int i = 0; i < update->tensors.count; i++)
        if (contains(&run->updated, update->tensors.items[i])) {
            fail(run->e, update->stmt->span, "`%s` is updated twice in this phase", update->tensors.items[i]->name);
            return;
        }
}

static void run_update(PhaseRun *run, Update *update, const char *name) {
    Elaborator *e = run->e;
    const Stmt *stmt = update->stmt;
    locate(e, stmt->span);
    for (int t = 0; t < stmt->values.count; t++) add_target(run, &update->targets[t], stmt->values.items[t]->span, update);
    check_updated_once(run, update);
    for (int j = 0; j < update->tensors.count; j++) LIST_PUSH(e->arena, &run->updated, update->tensors.items[j]);
    run_optimizer(e, run->scope, stmt->optimizer, &update->tensors, update->gradients.items, name, e->module->stages.count);
}

static void run_updates(PhaseRun *run, Node *loss) {
    Elaborator *e = run->e;
    UpdateList updates = { 0 };
    int number = 0;
    const char *prefix = run->phase ? arena_printf(e->arena, "%s.%s", run->stage->name, run->name) : run->stage->name;
    for (int i = 0; i < run->updates.count; i++) LIST_PUSH(e->arena, &updates, read_update(run, run->updates.items[i]));
    locate(e, run->updates.items[0]->span);
    differentiate_loss(run, simplify_node(graph_of(e), loss, NULL, 0), &updates);
    for (int i = 0; i < updates.count; i++) {
        const Stmt *stmt = updates.items[i].stmt;
        if (stmt->kind == STMT_CLIP) run_clip(run->e, run->scope, stmt);
        else if (stmt->kind == STMT_AVERAGE) run_average(run->e, run->scope, run->stage->name, stmt);
        else run_update(run, &updates.items[i], number++ ? arena_printf(e->arena, "%s.%d", prefix, number) : prefix);
    }
}

/* The part of a path before the first dot: the net. */
static bool same_net(const Tensor *a, const Tensor *b) {
    size_t length = strcspn(a->name, ".");
    return strncmp(a->name, b->name, length) == 0 && b->name[length] == '.';
}

/* A phase changes only the nets that it updates: the states of others stay, whatever their layers assign. */
static bool may_change(const PhaseRun *run, const Tensor *tensor) {
    size_t stage = strlen(run->stage->name);
    if (tensor->role != TENSOR_STATE || (strncmp(tensor->name, run->stage->name, stage) == 0 && tensor->name[stage] == '.'))
        return true;
    for (int i = 0; i < run->updated.count; i++)
        if (same_net(tensor, run->updated.items[i])) return true;
    return false;
}

/* The gradients in the order of their parameters, whatever the order of the updates. */
static void add_gradients(PhaseRun *run) {
    for (int i = 1; i < run->gradients.count; i++) {
        const Gradient gradient = run->gradients.items[i];
        int at = i;
        for (; at > 0 && run->gradients.items[at - 1].tensor->index > gradient.tensor->index; at--)
            run->gradients.items[at] = run->gradients.items[at - 1];
        run->gradients.items[at] = gradient;
    }
    for (int i = 0; i < run->gradients.count; i++)
        LIST_PUSH(run->e->arena, &run->entry->gradients, run->gradients.items[i].value);
}

static void add_assignments(PhaseRun *run) {
    Elaborator *e = run->e;
    for (int i = 0; i < e->building->assigned.count; i++) {
        const Assigned *assigned = &e->building->assigned.items[i];
        if (assigned->value == graph_tensor(graph_of(e), assigned->tensor) || !may_change(run, assigned->tensor)) continue;
        LIST_PUSH(e->arena, &run->entry->roots,
                  ((Root){ .kind = ROOT_ASSIGN,
                           .name = assigned->tensor->name,
                           .target = assigned->tensor,
                           .value = assigned->value,
                           .span = assigned->span }));
    }
}

/* ── phases ───────────────────────────────────────────────────────────────────────────────── */

static bool reads_inputs(const Entry *entry) {
    const bool *needed = entry_needs(entry->graph->arena, entry);
    for (int i = 0; i < entry->graph->nodes.count; i++)
        if (needed[i] && entry->graph->nodes.items[i]->op == OP_INPUT) return true;
    return false;
}

static PhaseRun phase_run(Elaborator *e, Stage *stage, Entry *entry, const Stmt *phase) {
    return (PhaseRun){
        .e = e, .stage = stage, .entry = entry, .phase = phase, .name = phase ? phase->names.items[0].text : stage->name
    };
}

static Entry *stage_entry(Elaborator *e, Stage *stage, EntryKind kind, const char *name, Span span) {
    Entry *entry = NEW(e->arena, Entry);
    *entry = (Entry){ .kind = kind, .name = name, .graph = graph_create(e->arena), .symbols = &e->module->symbols, .span = span };
    for (int i = 0; i < stage->inputs.count; i++) LIST_PUSH(e->arena, &entry->inputs, stage->inputs.items[i]);
    return entry;
}

static void train_phase(Elaborator *e, Stage *stage, const Callable *train, const Stmt *phase) {
    Span span = phase ? phase->names.items[0].span : train->decl->name.span;
    Entry *entry = stage_entry(e, stage, ENTRY_PHASE, phase ? phase->names.items[0].text : stage->name, span);
    Building building = { .entry = entry, .training = true };
    PhaseRun run = phase_run(e, stage, entry, phase);
    Phase made = { .entry = entry, .repeat = 1 };
    int errors = error_count(e->context);
    Building *outer = e->building;
    e->building = &building;
    run_phase_body(&run, train);
    Node *loss = total_loss(&run);
    if (errors == error_count(e->context)) {
        if (!run.losses) fail(e, span, "`%s` minimizes nothing; add `minimize ...`", entry->name);
        else if (!run.updates.count) fail(e, span, "`%s` updates nothing; add `update ... using ...`", entry->name);
    }
    if (phase && phase->repeat)
        to_integer(e, evaluate(e, run.scope, phase->repeat, no_name), phase->repeat->span, "a number of repetitions", 1,
                   &made.repeat);
    if (loss && errors == error_count(e->context)) {
        add_report(&run, "loss", loss, true, run.minimized.items[0].span);
        run_updates(&run, loss);
        add_gradients(&run);
        add_assignments(&run);
        settle_crossings(e);
        made.reads = reads_inputs(entry);
        LIST_PUSH(e->arena, &stage->phases, made);
    }
    e->building = outer;
}

/* ── the stage ────────────────────────────────────────────────────────────────────────────── */

static const StmtList *phases_of(const Callable *train, int *count) {
    *count = 0;
    for (int i = 0; i < train->decl->body.count; i++) *count += train->decl->body.items[i]->kind == STMT_PHASE;
    return &train->decl->body;
}

static void evaluate_stage_entry(Elaborator *e, Stage *stage, const Callable *train) {
    int count;
    const StmtList *body = phases_of(train, &count);
    stage->evaluate = stage_entry(e, stage, ENTRY_EVALUATE, stage->name, stage->span);
    for (int i = 0; i < (count ? body->count : 1); i++) {
        if (count && body->items[i]->kind != STMT_PHASE) continue;
        Building building = { .entry = stage->evaluate };
        PhaseRun run = phase_run(e, stage, stage->evaluate, count ? body->items[i] : NULL);
        Building *outer = e->building;
        e->building = &building;
        run_phase_body(&run, train);
        Node *loss = total_loss(&run);
        if (loss) add_report(&run, "loss", loss, true, run.minimized.items[0].span);
        settle_crossings(e);
        e->building = outer;
    }
}

static int64_t setting(Elaborator *e, const Callable *train, StmtKind kind, const char *what, int64_t otherwise) {
    const Stmt *first = NULL;
    int64_t number = otherwise;
    for (int i = 0; i < train->decl->body.count; i++) {
        const Stmt *stmt = train->decl->body.items[i];
        if (stmt->kind != kind) continue;
        if (first) {
            fail(e, stmt->span, "`%s` is given twice", what);
            fail_note(e, first->span, "first here");
            break;
        }
        first = stmt;
        to_integer(e, evaluate(e, train->scope, stmt->values.items[0], no_name), stmt->values.items[0]->span, what, 1, &number);
    }
    return number;
}

/* Statements that belong into a phase, where there are phases. */
static void check_mixture(Elaborator *e, const Callable *train, int phases) {
    for (int i = 0; phases && i < train->decl->body.count; i++) {
        const Stmt *stmt = train->decl->body.items[i];
        if (stmt->kind == STMT_MINIMIZE || stmt->kind == STMT_UPDATE || stmt->kind == STMT_METRIC || stmt->kind == STMT_CLIP ||
            stmt->kind == STMT_AVERAGE)
            fail(e, stmt->span, "`%s` has phases, so this belongs into one of them", train->name);
        for (int j = 0; stmt->kind == STMT_PHASE && j < i; j++)
            if (train->decl->body.items[j]->kind == STMT_PHASE &&
                strcmp(train->decl->body.items[j]->names.items[0].text, stmt->names.items[0].text) == 0)
                fail(e, stmt->names.items[0].span, "the phase `%s` is declared twice", stmt->names.items[0].text);
    }
}

/* Reports of the evaluation in the order of the phases' own, so that both fill the same record. */
static void order_reports(Elaborator *e, Stage *stage) {
    RootList ordered = { 0 };
    for (int p = 0; p < stage->phases.count; p++) {
        const RootList *roots = &stage->phases.items[p].entry->roots;
        for (int i = 0; i < roots->count; i++)
            for (int j = 0; roots->items[i].kind == ROOT_REPORT && j < stage->evaluate->roots.count; j++)
                if (strcmp(stage->evaluate->roots.items[j].name, roots->items[i].name) == 0)
                    LIST_PUSH(e->arena, &ordered, stage->evaluate->roots.items[j]);
    }
    stage->evaluate->roots = ordered;
}

/* The loss comes first among the reports of a phase. */
static void loss_first(Entry *entry) {
    for (int i = 1; i < entry->roots.count; i++) {
        if (!entry->roots.items[i].loss) continue;
        Root loss = entry->roots.items[i];
        memmove(entry->roots.items + 1, entry->roots.items, sizeof loss * (size_t)i);
        entry->roots.items[0] = loss;
    }
}

void elaborate_train(Elaborator *e, const Callable *train) {
    Stage *stage = NEW(e->arena, Stage);
    int phases, errors = error_count(e->context);
    const StmtList *body = phases_of(train, &phases);
    stage->name = train->name;
    stage->span = train->decl->name.span;
    stage->batch = setting(e, train, STMT_BATCH, "batch", 32);
    stage->epochs = setting(e, train, STMT_EPOCHS, "epochs", 1);
    check_mixture(e, train, phases);
    for (int i = 0; i < train->decl->formals.count; i++) {
        Port *port = declare_port(e, &train->decl->formals.items[i], train->scope, i);
        if (port) LIST_PUSH(e->arena, &stage->inputs, port);
    }
    if (stage->inputs.count < train->decl->formals.count) return;
    for (int i = 0; phases && i < body->count; i++)
        if (body->items[i]->kind == STMT_PHASE) train_phase(e, stage, train, body->items[i]);
    if (!phases) train_phase(e, stage, train, NULL);
    if (errors != error_count(e->context)) return;
    evaluate_stage_entry(e, stage, train);
    for (int i = 0; i < stage->phases.count; i++) loss_first(stage->phases.items[i].entry);
    order_reports(e, stage);
    LIST_PUSH(e->arena, &e->module->stages, stage);
}

/* Places: every net, and every call of a layer inside of it, owns the tensors that it declares. The first elaboration of
 * a net makes them; every later one (for another entry point) runs through the same body and finds them by their names. */
#include "elaborate.h"

#include <assert.h>
#include <string.h>

static Place *place_create(Elaborator *e, const Decl *decl, const char *name, Place *owner, Span span) {
    Place *place = NEW(e->arena, Place);
    place->name = name;
    place->path = owner ? arena_printf(e->arena, "%s.%s", owner->path, name) : name;
    place->decl = decl;
    place->owner = owner;
    place->span = span;
    place->open = true;
    return place;
}

static Place *find_place(const Place *owner, const char *name) {
    for (int i = 0; i < owner->places.count; i++)
        if (strcmp(owner->places.items[i]->name, name) == 0) return owner->places.items[i];
    return NULL;
}

static Tensor *find_tensor(const Place *owner, const char *name) {
    for (int i = 0; i < owner->tensors.count; i++)
        if (strcmp(owner->tensor_names.items[i], name) == 0) return owner->tensors.items[i];
    return NULL;
}

/* ── nets ─────────────────────────────────────────────────────────────────────────────────── */

static Place *find_net(const Elaborator *e, const Decl *decl) {
    for (int i = 0; i < e->nets.count; i++)
        if (e->nets.items[i]->decl == decl) return e->nets.items[i];
    return NULL;
}

/* Elaborates a net or an export by itself, in inference form: its entry point, and for a net its tensors. */
static void elaborate_alone(Elaborator *e, const Callable *callable, Place *place) {
    const Decl *decl = callable->decl;
    Entry *entry = NEW(e->arena, Entry);
    *entry = (Entry){ .kind = ENTRY_FUNCTION,
                      .name = decl->name.text,
                      .net = place != NULL,
                      .graph = graph_create(e->arena),
                      .symbols = &e->module->symbols,
                      .span = decl->name.span };
    Building building = { .entry = entry };
    Building *outer_building = e->building;
    Activation *outer_activation = e->activation, activation = { .place = place };
    CallSite *outer_calls = e->calls;
    e->building = &building;
    e->activation = place ? &activation : NULL;
    e->calls = NULL;
    Call call = { .callable = callable, .span = decl->name.span, .count = decl->formals.count };
    int errors = error_count(e->context);
    for (int i = 0; i < call.count; i++) {
        Port *port = declare_port(e, &decl->formals.items[i], callable->scope, i);
        if (port) LIST_PUSH(e->arena, &entry->inputs, port);
        call.values[i] = port ? port_value(entry, port) : poison();
        call.spans[i] = decl->formals.items[i].name.span;
    }
    Value result = errors == error_count(e->context) ? call_body(e, callable, &call) : poison();
    if (result.kind != VALUE_POISON) add_outputs(e, entry, result, decl->value ? decl->value->span : decl->name.span);
    settle_crossings(e);
    if (errors == error_count(e->context)) LIST_PUSH(e->arena, &e->module->functions, entry);
    else if (place) place->broken = true;
    e->building = outer_building;
    e->activation = outer_activation;
    e->calls = outer_calls;
}

Place *place_net(Elaborator *e, const Callable *net) {
    Place *place = find_net(e, net->decl);
    if (place) return place;
    place = place_create(e, net->decl, net->decl->name.text, NULL, net->decl->name.span);
    LIST_PUSH(e->arena, &e->nets, place);
    elaborate_alone(e, net, place);
    place->open = false;
    return place;
}

void elaborate_export(Elaborator *e, const Callable *export) { elaborate_alone(e, export, NULL); }

Place *place_stage(Elaborator *e, const Decl *train) {
    for (int i = 0; i < e->stages.count; i++)
        if (e->stages.items[i]->decl == train) return e->stages.items[i];
    Place *place = place_create(e, train, train->name.text, NULL, train->name.span);
    LIST_PUSH(e->arena, &e->stages, place);
    return place;
}

bool place_is_of_net(const Place *place) {
    while (place->owner) place = place->owner;
    return place->decl->kind == DECL_NET;
}

/* ── layers ───────────────────────────────────────────────────────────────────────────────── */

/* dense_1, dense_2: the number of this unnamed call of the layer in this run through the body. */
static const char *numbered_name(Elaborator *e, const Decl *layer) {
    int number = 1;
    for (int i = 0; i < e->activation->numbered.count; i++) number += e->activation->numbered.items[i] == layer;
    LIST_PUSH(e->arena, &e->activation->numbered, layer);
    return arena_printf(e->arena, "%s_%d", layer->name.text, number);
}

static bool name_taken(Elaborator *e, const char *name) {
    for (int i = 0; i < e->activation->named.count; i++)
        if (strcmp(e->activation->named.items[i], name) == 0) return true;
    LIST_PUSH(e->arena, &e->activation->named, name);
    return false;
}

Place *place_enter_layer(Elaborator *e, const Callable *layer, Name hint, Span span) {
    if (!e->activation) return place_create(e, layer->decl, layer->name, NULL, span); /* outside of nets: may own nothing */
    Place *owner = e->activation->place;
    const char *name = hint.text ? hint.text : numbered_name(e, layer->decl);
    if (name_taken(e, name)) {
        fail(e, hint.text ? hint.span : span, "a layer of `%s` is already named `%s`", owner->path, name);
        return NULL;
    }
    Place *place = find_place(owner, name);
    if (place) return place;
    place = place_create(e, layer->decl, name, owner, span);
    LIST_PUSH(e->arena, &owner->places, place);
    return place;
}

/* ── tensors ──────────────────────────────────────────────────────────────────────────────── */

/* A function, also one that waits for its first argument, makes the value from the shape. */
static Value initial_value(Elaborator *e, const Shape *shape, Value initial, Span span) {
    Value dims[MAX_RANK];
    for (int i = 0; i < shape->rank; i++) dims[i] = number_value((double)shape->dim[i].base);
    if (initial.kind == VALUE_THUNK && (initial.thunk->is_value || initial.thunk->expr->kind != EXPR_CALL))
        initial = force(e, initial);
    bool function = initial.kind == VALUE_FUNCTION || initial.kind == VALUE_THUNK;
    return function ? apply_to(e, initial, list_value(e, dims, shape->rank), span) : initial;
}

/* Whether the node was made by the graph, with all that it needs: values of a training step are no initial values. */
static bool belongs_to(const Graph *graph, const Node *node) {
    if (node->id >= graph->nodes.count || graph->nodes.items[node->id] != node) return false;
    for (int i = 0; i < node->arity; i++)
        if (!belongs_to(graph, node->in[i])) return false;
    return node->op != OP_TENSOR && node->op != OP_INPUT;
}

static Node *initial_node(Elaborator *e, const Shape *shape, Value initial, Name name, Span span) {
    Value value;
    if (!to_tensor(e, initial_value(e, shape, initial, span), span, &value)) return NULL;
    Shape found = example_shape(value);
    if (value.batched || !belongs_to(graph_of(e), value.node)) {
        fail(e, span, "the initial value of `%s` must be constant or drawn; it cannot depend on inputs or parameters", name.text);
        return NULL;
    }
    if (found.rank == 0) return tensor_broadcast(e, value, shape, false, dim_batch(1)).node;
    if (shape_equal(&found, shape)) return value.node;
    fail(e, span, "`%s` has shape %s, but its initial value has %s", name.text, sizes_text(e, shape),
         sizes_text(e, &found));
    return NULL;
}

/* The initial value is elaborated into the graph of the entry point that initialises the model. */
static void initialise(Elaborator *e, Tensor *tensor, Value initial, Name name, Span span) {
    Building building = { .entry = e->module->init, .initial = true };
    Building *outer = e->building;
    e->building = &building;
    Node *value = initial_node(e, &tensor->shape, initial, name, span);
    e->building = outer;
    if (value)
        LIST_PUSH(e->arena, &e->module->init->roots,
                  ((Root){ .kind = ROOT_ASSIGN, .name = tensor->name, .target = tensor, .value = value, .span = span }));
}

static bool sizes_are_sensible(Elaborator *e, const Shape *shape, Name name, Span span) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++) {
        size *= shape->dim[i].base;
        if (dim_is_const(shape->dim[i]) && shape->dim[i].base > 0 && size <= (int64_t)1 << 31) continue;
        if (!dim_is_const(shape->dim[i]))
            fail(e, span, "`%s` is kept from run to run, so its sizes are constants, but this is %s; %s is known only at run time",
                 name.text, sizes_text(e, shape), size_text(e->arena, &e->module->symbols, shape->dim[i]));
        else
            fail(e, span, "`%s` cannot have the shape %s: its sizes must be constants above 0, and its values fewer than 2^31",
                 name.text, sizes_text(e, shape));
        return false;
    }
    return true;
}

static Tensor *tensor_create(Elaborator *e, TensorRole role, const char *path, const Shape *shape, Span span) {
    Tensor *tensor = NEW(e->arena, Tensor);
    *tensor =
        (Tensor){ .name = path, .role = role, .shape = *shape, .span = span, .index = e->module->tensors.count, .stage = -1 };
    LIST_PUSH(e->arena, &e->module->tensors, tensor);
    return tensor;
}

static Tensor *known_tensor(Elaborator *e, const Place *owner, Name name, const Shape *shape, Span span) {
    Tensor *known = find_tensor(owner, name.text);
    if (known && !shape_equal(&known->shape, shape))
        fail(e, span, "`%s` has the shape %s here, but %s elsewhere", known->name, sizes_text(e, shape),
             sizes_text(e, &known->shape));
    return known;
}

Tensor *place_tensor(Elaborator *e, Place *owner, TensorRole role, Name name, const Shape *shape, Value initial, Span span) {
    if (!sizes_are_sensible(e, shape, name, span)) return NULL;
    Tensor *known = owner ? known_tensor(e, owner, name, shape, span) : NULL;
    if (known) return known;
    const char *path = owner ? arena_printf(e->arena, "%s.%s", owner->path, name.text) : name.text;
    Tensor *tensor = tensor_create(e, role, path, shape, span);
    if (owner) {
        LIST_PUSH(e->arena, &owner->tensors, tensor);
        LIST_PUSH(e->arena, &owner->tensor_names, name.text);
    }
    initialise(e, tensor, initial, name, span);
    return tensor;
}

Tensor *place_follower(Elaborator *e, const char *path, const Tensor *followed, Span span) {
    const RootList *roots = &e->module->init->roots;
    for (int i = 0; i < e->module->tensors.count; i++)
        if (strcmp(e->module->tensors.items[i]->name, path) == 0) return e->module->tensors.items[i];
    Tensor *tensor = tensor_create(e, TENSOR_STATE, path, &followed->shape, span);
    for (int i = 0; i < roots->count; i++) {
        if (roots->items[i].target != followed) continue;
        LIST_PUSH(e->arena, &e->module->init->roots,
                  ((Root){ .kind = ROOT_ASSIGN, .name = path, .target = tensor, .value = roots->items[i].value, .span = span }));
        break;
    }
    return tensor;
}

/* ── paths ────────────────────────────────────────────────────────────────────────────────── */

static void unknown_member(Elaborator *e, const Place *place, Name name) {
    LIST(const char *) names = { 0 };
    for (int i = 0; i < place->places.count; i++) LIST_PUSH(e->arena, &names, place->places.items[i]->name);
    for (int i = 0; i < place->tensors.count; i++) LIST_PUSH(e->arena, &names, place->tensor_names.items[i]);
    const char *near = nearest_name(name.text, names.items, names.count);
    Text all = { .arena = e->arena };
    for (int i = 0; i < names.count && i < 8; i++) text_add(&all, "%s`%s`", i ? ", " : "", names.items[i]);
    if (near) fail(e, name.span, "`%s` has no `%s`; did you mean `%s`?", place->path, name.text, near);
    else if (names.count) fail(e, name.span, "`%s` has no `%s`; it has %s", place->path, name.text, all.bytes);
    else fail(e, name.span, "`%s` has no `%s`, and no parameters at all", place->path, name.text);
}

Value place_member(Elaborator *e, Place *place, Name name) {
    Tensor *tensor = find_tensor(place, name.text);
    if (tensor) return (Value){ .kind = VALUE_STATE, .tensor = tensor };
    Place *inner = find_place(place, name.text);
    if (inner) return (Value){ .kind = VALUE_PLACE, .place = inner };
    unknown_member(e, place, name);
    return poison();
}

void place_collect(Elaborator *e, const Place *place, TensorList *list) {
    for (int i = 0; i < place->tensors.count; i++)
        if (place->tensors.items[i]->role == TENSOR_PARAM) LIST_PUSH(e->arena, list, place->tensors.items[i]);
    for (int i = 0; i < place->places.count; i++) place_collect(e, place->places.items[i], list);
}

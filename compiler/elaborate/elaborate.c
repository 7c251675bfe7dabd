/* Elaboration: the syntax tree is run, once for each entry point, and leaves a module of tensor graphs.
 *
 * Requires parsed declarations, the prelude's among them. Reports every mistake of names, arity, shapes and structure;
 * the module that comes out of it is complete: tensors with their initial values, functions, stages with gradients and
 * updates. */
#include "elaborate.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── the state ────────────────────────────────────────────────────────────────────────────── */

Graph *graph_of(Elaborator *e) { return e->building->entry->graph; }

bool in_prelude(const Elaborator *e, Span span) { return e->context->sources.items[span.file].prelude; }

static bool inside(Span inner, Span outer) {
    return inner.file == outer.file && inner.start >= outer.start && inner.end <= outer.end;
}

/* What goes wrong within the prelude is shown at the user's call of it. */
static Span user_span(const Elaborator *e, Span span, const char **within) {
    *within = NULL;
    for (const CallSite *site = e->calls; site && in_prelude(e, span); site = site->outer) {
        *within = site->callable->name;
        span = site->span;
    }
    return span;
}

void locate(Elaborator *e, Span span) {
    const char *within;
    graph_of(e)->span = user_span(e, span, &within);
}

static const char *format_text(Elaborator *e, const char *format, va_list arguments) {
    va_list copy;
    va_copy(copy, arguments);
    int length = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    char *text = arena_alloc(e->arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

void fail(Elaborator *e, Span span, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *message = format_text(e, format, arguments), *within;
    va_end(arguments);
    Span at = user_span(e, span, &within);
    if (within) error_at(e->context, at, "in `%s`: %s", within, message);
    else error_at(e->context, at, "%s", message);
    const CallSite *site = e->calls;
    const Decl *decl = site ? site->callable->decl : NULL; /* whose body this is in; its own span: the body runs by itself */
    if (decl && inside(at, decl->span) && !inside(site->span, decl->span) && !in_prelude(e, site->span))
        note_at(e->context, site->span, "in this call of `%s`", site->callable->name);
}

void fail_note(Elaborator *e, Span span, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const char *message = format_text(e, format, arguments);
    va_end(arguments);
    if (!in_prelude(e, span)) note_at(e->context, span, "%s", message);
}

const Tensor *average_of(const Elaborator *e, const Tensor *tensor) {
    for (int i = 0; i < e->averages.count; i++)
        if (e->averages.items[i].of == tensor) return e->averages.items[i].average;
    return NULL;
}

Node *latest(Elaborator *e, const Tensor *tensor) {
    if (e->averaging && average_of(e, tensor)) tensor = average_of(e, tensor);
    for (int i = 0; i < e->building->assigned.count; i++)
        if (e->building->assigned.items[i].tensor == tensor) return e->building->assigned.items[i].value;
    return graph_tensor(graph_of(e), tensor);
}

Node *crossing(Elaborator *e, Node *node) {
    LIST_PUSH(e->arena, &e->building->crossings, node);
    return node;
}

void settle_crossings(Elaborator *e) {
    const bool *needed = entry_needs(e->arena, e->building->entry);
    for (int i = 0; i < e->building->crossings.count; i++)
        e->building->entry->crosses_batch |= needed[e->building->crossings.items[i]->id];
}

void assign(Elaborator *e, Tensor *tensor, Node *value, Span span) {
    for (int i = 0; i < e->building->assigned.count; i++) {
        if (e->building->assigned.items[i].tensor != tensor) continue;
        e->building->assigned.items[i].value = value;
        return;
    }
    LIST_PUSH(e->arena, &e->building->assigned, ((Assigned){ tensor, value, span }));
}

const char *const constant_words[] = { "training", "true", "false", "batch", "all", "step", "epoch", NULL };

Value constant_word(Elaborator *e, const char *name, bool *found) {
    *found = true;
    if (strcmp(name, "training") == 0) return number_value(e->building->training);
    if (strcmp(name, "true") == 0) return number_value(1);
    if (strcmp(name, "false") == 0) return number_value(0);
    if (strcmp(name, "batch") == 0) return (Value){ .kind = VALUE_BATCH };
    if (strcmp(name, "all") == 0) return (Value){ .kind = VALUE_ALL };
    if (strcmp(name, "step") == 0) return tensor_value(graph_clock(graph_of(e), CLOCK_STEP), false);
    if (strcmp(name, "epoch") == 0) return tensor_value(graph_clock(graph_of(e), CLOCK_EPOCH), false);
    *found = false;
    return poison();
}

/* ── imports ──────────────────────────────────────────────────────────────────────────────── */

static void declare_all(Elaborator *e, const DeclList *declarations);

static const char *beside(Elaborator *e, int file, const char *path) {
    const char *from = e->context->sources.items[file].path, *slash = strrchr(from, '/');
    if (!slash || path[0] == '/') return path;
    return arena_printf(e->arena, "%.*s/%s", (int)(slash - from), from, path);
}

static const char *find_import(Elaborator *e, const Decl *decl) {
    const char *path = beside(e, decl->span.file, decl->name.text);
    if (access(path, R_OK) == 0) return path;
    for (int i = 0; i < e->context->folders.count; i++) {
        const char *other = arena_printf(e->arena, "%s/%s", e->context->folders.items[i], decl->name.text);
        if (access(other, R_OK) == 0) return other;
    }
    return path;
}

static bool same_file(const char *a, const char *b) {
    struct stat at_a, at_b;
    return stat(a, &at_a) == 0 && stat(b, &at_b) == 0 && at_a.st_dev == at_b.st_dev && at_a.st_ino == at_b.st_ino;
}

static void import(Elaborator *e, const Decl *decl) {
    const char *path = find_import(e, decl);
    for (int i = 0; i < e->importing.count; i++)
        if (same_file(e->importing.items[i], path)) {
            error_at(e->context, decl->name.span, "import cycle: `%s` is being imported already", decl->name.text);
            return;
        }
    for (int i = 0; i < e->imported.count; i++)
        if (same_file(e->imported.items[i], path)) return;
    errno = 0;
    int file = source_read(e->context, path);
    if (file < 0) {
        error_at(e->context, decl->name.span,
                 "`%s` cannot be read: %s; it is looked for beside this file, and then in the folders given with -I",
                 decl->name.text, strerror(errno));
        return;
    }
    LIST_PUSH(e->arena, &e->imported, path);
    LIST_PUSH(e->arena, &e->importing, path);
    DeclList declarations = { 0 };
    parse(e->context, file, &declarations);
    declare_all(e, &declarations);
    e->importing.count--;
}

static void declare_all(Elaborator *e, const DeclList *declarations) {
    for (int i = 0; i < declarations->count; i++) {
        const Decl *decl = declarations->items[i];
        bool prelude = in_prelude(e, decl->span);
        if (decl->kind == DECL_IMPORT) import(e, decl);
        else globals_declare(e, prelude ? e->prelude : e->user, decl);
    }
}

/* ── -D name=value ────────────────────────────────────────────────────────────────────────── */

static Global *find_let(Elaborator *e, const char *name, size_t length) {
    for (int i = 0; i < e->user->items.count; i++) {
        Global *global = e->user->items.items[i];
        if (global->decl->kind == DECL_LET && strlen(global->decl->name.text) == length &&
            strncmp(global->decl->name.text, name, length) == 0)
            return global;
    }
    return NULL;
}

/* The definition is parsed as the `let` that it takes the place of. */
static void define(Elaborator *e, const char *definition) {
    size_t length = strcspn(definition, "=");
    const char *text = arena_printf(e->arena, "let %s", definition);
    int file = source_add(e->context, "-D", text, strlen(text), false);
    Span span = { file, 4, 4 + (int)length };
    Global *global = find_let(e, definition, length);
    if (definition[length] != '=') {
        error_at(e->context, span, "a definition has the form name=value");
    } else if (!global) {
        LIST(const char *) lets = { 0 };
        for (int i = 0; i < e->user->items.count; i++)
            if (e->user->items.items[i]->decl->kind == DECL_LET)
                LIST_PUSH(e->arena, &lets, e->user->items.items[i]->decl->name.text);
        const char *near = nearest_name(arena_copy(e->arena, definition, length), lets.items, lets.count);
        if (near) error_at(e->context, span, "the model has no `let %.*s`; did you mean `%s`?", (int)length, definition, near);
        else error_at(e->context, span, "the model has no `let %.*s` that could be set", (int)length, definition);
    } else {
        DeclList declarations = { 0 };
        parse(e->context, file, &declarations);
        if (declarations.count == 1 && declarations.items[0]->kind == DECL_LET) global->decl = declarations.items[0];
    }
}

/* ── names in the generated code ──────────────────────────────────────────────────────────── */

typedef struct CFunction {
    const char *name;
    Span span;
} CFunction;
typedef LIST(CFunction) CFunctionList;

static void add_function(Elaborator *e, CFunctionList *functions, const char *name, Span span) {
    static const char *const own[] = { "create", "create_batch", "init",        "init_batch", "free",
                                       "memory", "get_clock",    "get_tensors", "get_profile", "describe", "clock", "kernel" };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i], name) == 0)
            error_at(e->context, span, "the generated code has a function `%s` of its own; choose another name", name);
    for (int i = 0; i < functions->count; i++) {
        if (strcmp(functions->items[i].name, name) != 0) continue;
        error_at(e->context, span, "the generated code would have two functions `%s`; choose another name", name);
        note_at(e->context, functions->items[i].span, "the other comes from here");
    }
    LIST_PUSH(e->arena, functions, ((CFunction){ name, span }));
}

static void check_functions(Elaborator *e) {
    static const char *const of_stage[] = { "step", "evaluate", "report", "begin" }, *const of_phase[] = { "run", "backward",
                                                                                                           "gradients",
                                                                                                           "update" };
    CFunctionList functions = { 0 };
    for (int i = 0; i < e->module->functions.count; i++)
        add_function(e, &functions, e->module->functions.items[i]->name, e->module->functions.items[i]->span);
    for (int i = 0; i < e->module->stages.count; i++) {
        const Stage *stage = e->module->stages.items[i];
        for (size_t k = 0; k < sizeof of_stage / sizeof *of_stage; k++)
            add_function(e, &functions, arena_printf(e->arena, "%s_%s", stage->name, of_stage[k]), stage->span);
        for (int p = 0; p < stage->phases.count; p++)
            for (size_t k = 0; k < sizeof of_phase / sizeof *of_phase; k++) {
                const Entry *phase = stage->phases.items[p].entry;
                const char *name = strcmp(phase->name, stage->name) == 0
                                       ? stage->name
                                       : arena_printf(e->arena, "%s_%s", stage->name, phase->name);
                add_function(e, &functions, arena_printf(e->arena, "%s_%s", name, of_phase[k]), phase->span);
            }
    }
}

/* ── the module ───────────────────────────────────────────────────────────────────────────── */

static Value global_named(Elaborator *e, const Global *global) {
    return lookup(e, e->user->scope, global->decl->name.text, global->decl->name.span);
}

/* Of dims and parameters, in the order of their declarations. */
static void declare_kind(Elaborator *e, DeclKind kind) {
    for (int i = 0; i < e->user->items.count; i++)
        if (e->user->items.items[i]->decl->kind == kind) global_named(e, e->user->items.items[i]);
}

static void elaborate_kind(Elaborator *e, DeclKind kind) {
    for (int i = 0; i < e->user->items.count; i++) {
        const Global *global = e->user->items.items[i];
        if (global->decl->kind != kind) continue;
        const Callable *callable = global_named(e, global).callable;
        if (kind == DECL_NET) place_net(e, callable);
        else if (kind == DECL_TRAIN) elaborate_train(e, callable);
        else elaborate_export(e, callable);
    }
}

/* What nothing has used yet is evaluated all the same, so that its mistakes are found. */
static void elaborate_rest(Elaborator *e) {
    for (int i = 0; i < e->user->items.count; i++) global_named(e, e->user->items.items[i]);
}

static bool is_assigned(const Module *module, const Tensor *tensor) {
    for (int s = 0; s < module->stages.count; s++)
        for (int p = 0; p < module->stages.items[s]->phases.count; p++) {
            const RootList *roots = &module->stages.items[s]->phases.items[p].entry->roots;
            for (int i = 0; i < roots->count; i++)
                if (roots->items[i].target == tensor) return true;
        }
    return false;
}

/* Optimizer states that nothing updates (a momentum of zero) are not kept. */
static void prune_tensors(Elaborator *e) {
    Module *module = e->module;
    RootList *roots = &module->init->roots;
    int kept = 0, kept_roots = 0;
    for (int i = 0; i < module->tensors.count; i++) {
        Tensor *tensor = module->tensors.items[i];
        if (tensor->role == TENSOR_OPTIMIZER && !is_assigned(module, tensor)) tensor->index = -1;
        else module->tensors.items[kept++] = tensor;
    }
    module->tensors.count = kept;
    for (int i = 0; i < roots->count; i++)
        if (roots->items[i].target->index >= 0) roots->items[kept_roots++] = roots->items[i];
    roots->count = kept_roots;
}

/* Parameters first, then states, then optimizer states; each in the order of declaration. */
static void order_tensors(Elaborator *e) {
    LIST(Tensor *) ordered = { 0 };
    for (TensorRole role = TENSOR_PARAM; role <= TENSOR_OPTIMIZER; role++)
        for (int i = 0; i < e->module->tensors.count; i++)
            if (e->module->tensors.items[i]->role == role) LIST_PUSH(e->arena, &ordered, e->module->tensors.items[i]);
    for (int i = 0; i < ordered.count; i++) {
        ordered.items[i]->index = i;
        e->module->tensors.items[i] = ordered.items[i];
    }
}

static void list_nets(Elaborator *e) {
    for (int i = 0; i < e->nets.count; i++)
        LIST_PUSH(e->arena, &e->module->nets, ((NetInfo){ .name = e->nets.items[i]->name, .span = e->nets.items[i]->span }));
}

static int64_t largest_batch(const Module *module) {
    int64_t largest = 0;
    for (int i = 0; i < module->stages.count; i++)
        if (module->stages.items[i]->batch > largest) largest = module->stages.items[i]->batch;
    return largest ? largest : 32;
}

static Globals *globals_create(Elaborator *e, Globals *outer) {
    Globals *globals = NEW(e->arena, Globals);
    globals->outer = outer;
    globals->scope = scope_create(e, NULL);
    globals->scope->globals = globals;
    return globals;
}

static Module *module_create(Context *context) {
    Module *module = NEW(context->arena, Module);
    module->name = context->name;
    module->init = NEW(context->arena, Entry);
    *module->init =
        (Entry){ .kind = ENTRY_INIT, .name = "init", .graph = graph_create(context->arena), .symbols = &module->symbols };
    LIST_PUSH(context->arena, &module->symbols, ((Symbol){ .name = "n", .variable = "n", .low = 1, .high = 1 }));
    return module;
}

Module *elaborate(Context *context, const DeclList *declarations) {
    Entry scratch = { .kind = ENTRY_FUNCTION, .graph = graph_create(context->arena) }; /* for values outside of entry points */
    Building outside = { .entry = &scratch };
    Elaborator e = { .context = context, .arena = context->arena, .module = module_create(context), .building = &outside };
    e.prelude = globals_create(&e, NULL);
    e.user = globals_create(&e, e.prelude);
    for (int i = 0; i < context->sources.count; i++)
        if (!context->sources.items[i].prelude) LIST_PUSH(e.arena, &e.importing, context->sources.items[i].path);
    declare_all(&e, declarations);
    for (int i = 0; i < context->definitions.count; i++) define(&e, context->definitions.items[i]);
    declare_kind(&e, DECL_DIM);
    declare_kind(&e, DECL_PARAM);
    elaborate_kind(&e, DECL_NET);
    elaborate_kind(&e, DECL_TRAIN);
    elaborate_kind(&e, DECL_EXPORT);
    elaborate_rest(&e);
    if (error_count(context)) return NULL;
    check_functions(&e);
    prune_tensors(&e);
    order_tensors(&e);
    list_nets(&e);
    e.module->symbols.items[SYMBOL_BATCH].high = largest_batch(e.module);
    return error_count(context) ? NULL : e.module;
}

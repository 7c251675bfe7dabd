/* Private to elaborate: what expressions evaluate to, and the state of the elaboration.
 *
 * Elaboration runs the program once for each entry point, with tensors that are nodes of that entry's graph. Everything
 * else (numbers, shapes, functions, which net owns a parameter) is known when it has run.
 *
 *     elaborate.c    the module: declarations, imports, entry points
 *     names.c        scopes and global names
 *     call.c         binding of arguments; calls of functions, layers and nets
 *     pattern.c      declared shapes of arguments
 *     size.c         sizes that are known only at run time
 *     statement.c    bodies
 *     scan.c         loops over time
 *     expression.c   expressions
 *     tensor.c       broadcasting, products, reductions, slices: from per-example meaning to graph nodes
 *     builtin.c      the table of built-in functions
 *     spatial.c      those over spatial axes
 *     place.c        who owns which tensor: nets, layers, paths
 *     port.c         inputs and outputs of entry points
 *     train.c        stages and phases
 *     target.c       the parameters that they change; clip, average
 *     optimizer.c    update rules */
#ifndef ELABORATE_H
#define ELABORATE_H

#include "../gdlc.h"

typedef struct Value Value;
typedef struct Scope Scope;
typedef struct Callable Callable;
typedef struct Place Place;
typedef struct Elaborator Elaborator;

/* ── values ───────────────────────────────────────────────────────────────────────────────── */

typedef enum ValueKind {
    VALUE_POISON,     /* of something already reported: silences what follows */
    VALUE_NONE,       /* an optional argument that was not given */
    VALUE_NUMBER,     /* known at compile time; also booleans */
    VALUE_SIZE,       /* a size known only at run time; never a constant one */
    VALUE_TENSOR,     /* a node of the graph */
    VALUE_STATE,      /* a tensor of the model by name: its latest value in this entry, and the target of `<-` */
    VALUE_LIST,       /* [a, b]: a shape */
    VALUE_TUPLE,      /* several results */
    VALUE_FUNCTION,   /* fn, layer, net, optimizer, built-in */
    VALUE_PLACE,      /* encoder.hidden: what owns parameters */
    VALUE_BATCH,      /* the word `batch`: the batch axis */
    VALUE_ALL,        /* the word `all`: all axes of the example */
    VALUE_THUNK       /* an argument that is a call: evaluated when its value is used, applied where a function is wanted */
} ValueKind;

/* An unevaluated call. Its names are looked up where it was written; layers in it belong to the net it was written in. */
typedef struct Thunk {
    Expr *expr;
    Scope *scope;
    struct Activation *activation;
    Name hint;
    Value *value;     /* once it has been evaluated */
    bool is_value;    /* any expression, evaluated late: never a function that waits */
} Thunk;

struct Value {
    ValueKind kind;
    union {
        struct { double number; bool integer; };
        Dim dim;
        struct { Node *node; bool batched; int64_t classes; };       /* batched: axis 0 is the batch. classes: of a label, or 0 */
        Tensor *tensor;
        struct { Value *items; int count; int64_t batch_scale; };    /* batch_scale: of shape(x), how many batches x holds; 0: not said */
        const Callable *callable;
        Place *place;
        Thunk *thunk;
    };
};

Value poison(void);
Value number_value(double number);
Value tensor_value(Node *node, bool batched);
Value list_value(Elaborator *e, const Value *items, int count);
const char *value_text(Elaborator *e, Value value); /* for messages: "a number", "[28, 28]", "the function `selu`" */

/* ── functions ────────────────────────────────────────────────────────────────────────────── */

enum { MAX_ARGUMENTS = 24 };

/* Arguments of one call, bound to the formals. */
typedef struct Call {
    const Callable *callable;
    Span span;                      /* of the whole call */
    Name hint;                      /* the name its result is given: names the layer or the parameter */
    int count;
    Value values[MAX_ARGUMENTS];    /* by formal; VALUE_NONE where none was given; further ones of a variadic built-in follow */
    Span spans[MAX_ARGUMENTS];
} Call;

typedef struct Builtin {
    const char *name;
    const char *formals;            /* "x, axis?": optional with `?`, "...": any number more */
    Value (*run)(Elaborator *e, Call *call);
    Op op;                          /* of an elementwise built-in */
} Builtin;

struct Callable {
    const char *name;
    const Decl *decl;               /* fn, layer, net, export, optimizer; NULL for a built-in */
    const Builtin *builtin;
    Scope *scope;                   /* where its body looks up names */
    bool averaged;                  /* a net called with the running averages of its parameters */
};

/* ── names ────────────────────────────────────────────────────────────────────────────────── */

typedef struct Binding { const char *name; Span span; Value value; bool carried; /* by a scan, or what one ended with */ } Binding;
struct Scope { Scope *outer; LIST(Binding *) bindings; struct Globals *globals; };

typedef enum GlobalState { GLOBAL_WAITING, GLOBAL_RUNNING, GLOBAL_DONE } GlobalState;
typedef struct Global { const Decl *decl; GlobalState state; Value value; } Global;
typedef struct Globals { struct Globals *outer; LIST(Global *) items; Scope *scope; } Globals; /* user's; outer: the prelude's */

Scope *scope_create(Elaborator *e, Scope *outer);
Binding *scope_bind(Elaborator *e, Scope *scope, Name name, Value value);   /* reports a second binding of a name */
Binding *scope_find(const Scope *scope, const char *name);                  /* local names only */
Binding *scope_find_here(const Scope *scope, const char *name);             /* not those further out */
void globals_declare(Elaborator *e, Globals *globals, const Decl *decl);
Global *globals_find(Globals *globals, const char *name);
Value lookup(Elaborator *e, Scope *scope, const char *name, Span span);     /* any name; thunks are not forced */

/* ── places: who owns which tensor ────────────────────────────────────────────────────────── */

struct Place {
    const char *path;               /* "encoder.hidden" */
    const char *name;
    const Decl *decl;               /* of the net or layer */
    Place *owner;                   /* NULL for a net or stage */
    LIST(Place *) places;
    LIST(Tensor *) tensors;
    LIST(const char *) tensor_names; /* the last part of their paths */
    Span span;
    bool open;                      /* a net that is being elaborated for the first time */
    bool broken;                    /* a net with errors, which are not reported again by its calls */
};

/* One run through the body of a net or layer: numbers the layers without a name. */
typedef struct Activation { Place *place; struct Activation *outer; LIST(const Decl *) numbered; LIST(const char *) named; } Activation;

Place *place_stage(Elaborator *e, const Decl *train);                         /* owns the states of layers called in a `train` itself */
bool place_is_of_net(const Place *place);
Place *place_net(Elaborator *e, const Callable *net);                        /* elaborates the net if that has not been done */
Place *place_enter_layer(Elaborator *e, const Callable *layer, Name hint, Span span); /* the place of this call */
/* The tensor `name` of the owner (NULL: of the whole module), made where there is none yet; NULL after an error. */
Tensor *place_tensor(Elaborator *e, Place *owner, TensorRole role, Name name, const Shape *shape, Value initial, Span span);
/* A state that follows a parameter, beginning at the same value. */
Tensor *place_follower(Elaborator *e, const char *path, const Tensor *followed, Span span);
Value place_member(Elaborator *e, Place *place, Name name);
typedef LIST(Tensor *) TensorList;
void place_collect(Elaborator *e, const Place *place, TensorList *list);      /* its parameters, and those of what it owns */
void elaborate_export(Elaborator *e, const Callable *callable);

/* ── the state of the elaboration ─────────────────────────────────────────────────────────── */

typedef struct AddedLoss { Node *value, *witness; Span span; } AddedLoss;    /* add_loss: counts where the witness is used */
typedef struct Assigned { Tensor *tensor; Node *value; Span span; } Assigned;
typedef struct Average { const Tensor *of; Tensor *average; } Average;       /* kept by an `average` statement */
typedef struct CallSite { const Callable *callable; Span span; struct CallSite *outer; int depth; } CallSite;

/* What is particular to the entry point being elaborated. */
typedef struct Building {
    Entry *entry;
    bool training;
    bool initial;                   /* an initial value: draws have no batch */
    struct Scan *scan;              /* the innermost one whose body is being run */
    LIST(AddedLoss) losses;
    LIST(Assigned) assigned;        /* latest values of tensors */
    LIST(const Node *) crossings;   /* values in which examples of the batch meet */
} Building;

struct Elaborator {
    Context *context;
    Arena *arena;
    Module *module;
    Globals *prelude, *user;
    Building *building;
    Activation *activation;
    CallSite *calls;
    LIST(Place *) nets, stages;
    LIST(const char *) imported;    /* files that have been */
    LIST(const char *) importing;   /* the chain of imports being followed */
    LIST(Average) averages;
    bool averaging;                 /* within a net called by `averaged`: its parameters read as their averages */
    int streams;
};

Graph *graph_of(Elaborator *e);
bool in_prelude(const Elaborator *e, Span span);
void locate(Elaborator *e, Span span);                                        /* the place of the nodes made from now on: the user's */
void fail(Elaborator *e, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));  /* an error; inside of the prelude, at the user's call */
void fail_note(Elaborator *e, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
Node *latest(Elaborator *e, const Tensor *tensor);
const Tensor *average_of(const Elaborator *e, const Tensor *tensor);         /* NULL where none is kept */
Node *crossing(Elaborator *e, Node *node);                                   /* the node, noted as such a value */
void settle_crossings(Elaborator *e);                                        /* once the roots of the entry are there */
void assign(Elaborator *e, Tensor *tensor, Node *value, Span span);

/* ── expression.c ─────────────────────────────────────────────────────────────────────────── */

static const Name no_name = { NULL, { 0, 0, 0 } };
Value evaluate(Elaborator *e, Scope *scope, Expr *expr, Name hint);
Value evaluate_callee(Elaborator *e, Scope *scope, Expr *expr);              /* neither thunk nor state is forced */
Value evaluate_argument(Elaborator *e, Scope *scope, Expr *expr, Name hint); /* a call becomes a thunk */
Value evaluate_later(Elaborator *e, Scope *scope, Expr *expr);               /* any expression becomes a thunk */
Value force(Elaborator *e, Value value);                                     /* the value of a thunk or state */
bool to_number(Elaborator *e, Value value, Span span, const char *what, double *number);
bool to_integer(Elaborator *e, Value value, Span span, const char *what, int64_t low, int64_t *number);
bool to_tensor(Elaborator *e, Value value, Span span, Value *tensor);        /* numbers become constants */
bool to_shape(Elaborator *e, Value list, Span span, Shape *shape);

/* ── size.c ───────────────────────────────────────────────────────────────────────────────── */

Value size_value(Dim dim);                                                    /* a number where it is constant */
bool to_size(Elaborator *e, Value value, Span span, const char *what, int64_t low, Dim *dim); /* at least `low`, whatever the run */
/* The result where both are sizes, one of them of the run, and so is it, or it is the same in all runs; else false. */
bool size_binary(Elaborator *e, Operator op, Value left, Value right, Value *result);
/* A place in 0..size; negative ones count from the end. */
bool to_position(Elaborator *e, Value value, Span span, Dim size, Dim *position);
const char *range_text(Elaborator *e, Dim dim);                               /* ", where `time` is 1 to 64"; "" of a constant */
Value declare_dim(Elaborator *e, Scope *scope, const Decl *decl);

/* ── call.c ───────────────────────────────────────────────────────────────────────────────── */

/* Arguments by name that are added where a function is called that already has some of its arguments: lstm(30) with reverse = true. */
typedef struct Added { Argument *items; int count; Scope *scope; const struct Added *next; } Added;
typedef struct Given { Argument *items; int count; Value *first; Span first_span; const Added *added; } Given; /* first: what is piped in, or NULL */
Value apply(Elaborator *e, Value function, Scope *scope, Given given, Span span, Name hint);
Call *bind_call(Elaborator *e, const Callable *callable, Scope *scope, Given given, Span span, Name hint); /* NULL after an error */
bool bind_formals(Elaborator *e, Scope *scope, const Call *call);             /* binds them in the scope of the body */
Value apply_to(Elaborator *e, Value function, Value argument, Span span);
Value call_body(Elaborator *e, const Callable *callable, Call *call);         /* arguments are bound: runs the body */

/* ── statement.c ──────────────────────────────────────────────────────────────────────────── */

bool run_statement(Elaborator *e, Scope *scope, const Stmt *stmt, Value *result); /* true: it returned */
bool run_statements(Elaborator *e, Scope *scope, const StmtList *body, Value *result);
/* Calls a computed value what the model calls it: by the outermost of its names, or by one of the prelude where there is no other. */
void label(Elaborator *e, Value value, Name name);

/* ── scan.c: loops over time ──────────────────────────────────────────────────────────────── */

void run_scan(Elaborator *e, Scope *scope, const Stmt *stmt, Value *collected); /* binds what is carried to its last values */
bool assign_carried(Elaborator *e, Scope *scope, Name name, Expr *value);    /* false: the name is not carried */
void run_collect(Elaborator *e, Scope *scope, const Stmt *stmt);
bool is_scan_body(const Elaborator *e, const Scope *scope);
bool outside_scan(Elaborator *e, Span span, const char *what);               /* false after an error: `what` cannot be in a scan */
/* A draw of the shape (the batch first, where there is one) that is a new one in every step of the scans around it. */
Node *draw_in_scan(Elaborator *e, const Shape *shape, Distribution distribution);

/* ── pattern.c: declared shapes of arguments ──────────────────────────────────────────────── */

/* Whether the argument has the shape that its formal declares; binds the names of sizes that are free. */
bool match_shape(Elaborator *e, Scope *scope, const Callable *callable, const Formal *formal, Value value, Span span);

/* ── tensor.c: per-example operations ─────────────────────────────────────────────────────── */

Shape example_shape(Value tensor);
const char *sizes_text(Elaborator *e, const Shape *shape);                   /* "[time, 28]" */
const char *tensor_text(Elaborator *e, Value tensor);
Value tensor_unary(Elaborator *e, Op op, Value x);
Value tensor_binary(Elaborator *e, Operator op, Value a, Value b, Span span);
Value tensor_select(Elaborator *e, Value condition, Value yes, Value no, Span span);
Value tensor_matmul(Elaborator *e, Value a, Value b, Span span);
Value tensor_reduce(Elaborator *e, Op op, Value x, Value axis, bool keep, Span span);
Value tensor_size(Elaborator *e, Value x, Value axis, Span span);            /* how many elements a reduction over `axis` takes */
Value tensor_index(Elaborator *e, Scope *scope, Value x, const SliceList *slices, Span span);
Value tensor_reshape(Elaborator *e, Value x, const Shape *shape, Span span);
Value tensor_concat(Elaborator *e, Value *parts, const Span *spans, int count, Value axis, Span span);
Value tensor_broadcast(Elaborator *e, Value x, const Shape *shape, bool batched, Dim batch); /* shapes are known to fit */
bool resolve_axis(Elaborator *e, Value axis, const Shape *shape, Span span, int *resolved);
Dim batch_of(Value tensor);

/* ── builtin.c ────────────────────────────────────────────────────────────────────────────── */

extern const Builtin builtins[];
extern const int builtin_count;

/* ── spatial.c ────────────────────────────────────────────────────────────────────────────── */

Value run_conv(Elaborator *e, Call *call);
Value run_windows(Elaborator *e, Call *call);

/* ── train.c ──────────────────────────────────────────────────────────────────────────────── */

void elaborate_train(Elaborator *e, const Callable *train);

/* ── target.c: parameters that a phase changes ────────────────────────────────────────────── */

/* Adds the parameters of a net, a layer of it, or one parameter. False, with an error, where there are none. */
bool collect_target(Elaborator *e, Scope *scope, Expr *target, TensorList *tensors);
void run_clip(Elaborator *e, Scope *scope, const Stmt *stmt);
void run_average(Elaborator *e, Scope *scope, const char *stage, const Stmt *stmt); /* the averages are states of the stage */

/* ── optimizer.c ──────────────────────────────────────────────────────────────────────────── */

/* Runs the optimizer's body for each tensor with its gradient; the new values are assigned. `prefix` names its states. */
void run_optimizer(Elaborator *e, Scope *scope, Expr *optimizer, const TensorList *tensors, Node *const *gradients, const char *prefix, int stage);

/* ── port.c ───────────────────────────────────────────────────────────────────────────────── */

Port *declare_port(Elaborator *e, const Formal *formal, Scope *scope, int index); /* NULL after an error */
Value port_value(const Entry *entry, const Port *port);                       /* the input, in the graph of the entry */
void add_outputs(Elaborator *e, Entry *entry, Value result, Span span);

/* ── elaborate.c ──────────────────────────────────────────────────────────────────────────── */

extern const char *const constant_words[];                                    /* up to a NULL */
Value constant_word(Elaborator *e, const char *name, bool *found);            /* of one of them */

#endif

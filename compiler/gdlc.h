/* The map of the compiler: one section for each file, in the order of the pipeline.
 *
 *     text ─ lexer.l, parser.y ─► syntax tree ─ elaborate ─► tensor graphs (calling differentiate)
 *          ─ simplify ─► graphs ─ fuse ─► kernels ─ plan ─► memory ─ emit ─► C
 *
 * A compilation is a Context; there is no other mutable state. Everything is allocated from the
 * context's arena and freed with it, so nothing here has a destructor of its own. */
#ifndef GDLC_H
#define GDLC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ── options.c: the command line ──────────────────────────────────────────────────────────── */

typedef struct Context Context;

typedef enum Product {   /* what a run of gdlc is to make */
    PRODUCT_C,           /* model.c and model.h */
    PRODUCT_PROGRAM,     /* a trainer: the C, compiled and linked */
    PRODUCT_AST, PRODUCT_GRAPH, PRODUCT_KERNELS, PRODUCT_PLAN, PRODUCT_DOT, PRODUCT_TORCH, /* --emit */
    PRODUCT_SUMMARY, PRODUCT_MEMORY, PRODUCT_PRELUDE /* --summary, --memory, --prelude */
} Product;

typedef enum Blas {
    BLAS_CHOSEN,         /* a matrix product is a call of CBLAS where that should be faster than a kernel of our own */
    BLAS_NONE, BLAS_ALL  /* no product is, or each of them */
} Blas;

typedef enum Threads { THREADS_UNSAID, THREADS_NONE, THREADS_POSIX } Threads; /* never UNSAID once options are read */

typedef struct Options {
    Product product;
    const char *input;   /* NULL for PRODUCT_PRELUDE */
    const char *output;  /* NULL: standard output; never for PRODUCT_PROGRAM */
    bool standalone;     /* --standalone: the C includes nothing of the runtime */
    Blas blas;           /* --blas; with none the C needs only libm */
    bool parts;          /* --parts: gradients and updates of a phase are computed by functions of their own */
    bool profile;        /* --profile: the C counts the time, operations and bytes of its kernels */
    Threads threads;     /* --threads: what the C computes with several threads by */
    const char *command; /* as it was typed, for the banner of what is emitted */
} Options;

/* Reads the command line into `options` and the context's folders, definitions and name.
 * Returns -1 to go on; or the exit status: 0 after --help and --version, 2 after a message about wrong usage. */
int options_read(Context *context, int argc, char **argv, Options *options);

/* ── arena.c: memory, freed whole ─────────────────────────────────────────────────────────── */

typedef struct Arena Arena;

Arena *arena_create(void);
void arena_destroy(Arena *arena);
void *arena_alloc(Arena *arena, size_t size); /* zeroed, aligned to 8; never NULL: out of memory ends the process with a message */
char *arena_copy(Arena *arena, const char *text, size_t length);         /* zero-terminated */
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t size); /* for LIST_PUSH */

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))

/* A growing list: `LIST(Node *) nodes;` has .items and .count. */
#define LIST(T) struct { T *items; int count, capacity; }
#define LIST_PUSH(arena, list, item)                                                               \
    do {                                                                                           \
        if ((list)->count == (list)->capacity)                                                     \
            (list)->items = arena_grow((arena), (list)->items, (list)->count, &(list)->capacity,   \
                                       sizeof *(list)->items);                                     \
        (list)->items[(list)->count++] = (item);                                                   \
    } while (0)

/* ── text.c: text that grows, for printing stages and emitting C ──────────────────────────── */

typedef struct Text { Arena *arena; char *bytes; size_t length, capacity; } Text;

void text_add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_bytes(Text *text, const char *bytes, size_t length);

/* ── file.c: reading and writing whole files ──────────────────────────────────────────────── */

enum { MAX_FILE = 64 << 20 }; /* bytes of a source */

/* The bytes of a file and a zero after them, or NULL with errno (EFBIG above MAX_FILE). */
char *file_read(Arena *arena, const char *path, size_t *length);
/* Writes the file whole or not at all: under another name first, then renamed. False with errno. */
bool file_write(const char *path, const char *bytes, size_t length);

/* ── source.c: files and places in them ───────────────────────────────────────────────────── */

/* A place: byte offsets, turned into lines and columns only when a message is printed. */
typedef struct Span { int file, start, end; } Span;

typedef struct Source {
    const char *path;    /* as the user wrote it; "<prelude>" for the prelude */
    const char *text;    /* `length` bytes and a zero; may hold any bytes */
    size_t length;
    bool prelude;
} Source;

typedef struct Position { int line, column; } Position; /* both from 1; columns count characters (UTF-8) */

int source_add(Context *context, const char *path, const char *text, size_t length, bool prelude); /* its index */
int source_read(Context *context, const char *path); /* its index; -1 when it cannot be read (errno says why) */
Position source_position(const Context *context, int file, int offset);
const char *source_line(const Context *context, int file, int line, int *length);
Span span_join(Span first, Span last);

/* ── diagnose.c: errors, warnings, notes ──────────────────────────────────────────────────── */

/* Errors are collected, and printed in the order of the source by diagnostics_print. A note belongs to the
 * error reported before it. Messages are full phrases without a final stop: "decoder expects [10], but this is [12]". */
void error_at(Context *context, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void note_at(Context *context, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void warning_at(Context *context, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
int error_count(const Context *context);
void diagnostics_print(const Context *context, FILE *to); /* file:line:column: error: ..., excerpt, caret */

/* ── suggest.c ────────────────────────────────────────────────────────────────────────────── */

/* The candidate that `name` is called elsewhere, or else the nearest by edits; NULL where none is near enough to be meant. */
const char *nearest_name(const char *name, const char *const *candidates, int count);

/* ── parse.c, lexer.l, parser.y, ast.c, ast_print.c: text → syntax tree ──────────────────────── */

/* Brackets in brackets, and expressions in expressions: what bounds every recursion over the tree. */
enum { MAX_NESTING = 200 };

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Decl Decl;

typedef LIST(Expr *) ExprList;
typedef LIST(Stmt *) StmtList;
typedef LIST(Decl *) DeclList;

typedef struct Name { const char *text; Span span; } Name;
typedef LIST(Name) NameList;

typedef struct Argument { Name name; /* .text is NULL for a positional one */ Expr *value; } Argument;
typedef LIST(Argument) ArgumentList;

typedef enum ExprKind {
    EXPR_NUMBER,      /* 12, 0.5, 1e-7 */
    EXPR_NAME,        /* encoder, training, batch */
    EXPR_MEMBER,      /* object.name */
    EXPR_CALL,        /* callee(arguments); also param([n, units], zeros) with the name `param` as callee */
    EXPR_INDEX,       /* object[0:3, ..., -1] */
    EXPR_UNARY,       /* -a  !a */
    EXPR_BINARY,      /* a + b */
    EXPR_CONDITIONAL, /* a ? b : c */
    EXPR_LIST,        /* [a, b]: a shape; may hold EXPR_ELLIPSIS */
    EXPR_ELLIPSIS,    /* ... in a shape or an index */
    EXPR_PIPE,        /* left |> right */
    EXPR_NAMED,       /* stage as name */
    EXPR_REPEAT,      /* repeat count (stage): `count` fresh copies, chained */
    EXPR_ERROR        /* what could not be parsed; silences what follows from it */
} ExprKind;

typedef enum Operator {
    OPERATOR_ADD, OPERATOR_SUB, OPERATOR_MUL, OPERATOR_DIV, OPERATOR_POW, OPERATOR_MATMUL,
    OPERATOR_EQ, OPERATOR_NE, OPERATOR_LT, OPERATOR_LE, OPERATOR_GT, OPERATOR_GE, OPERATOR_NEGATE, OPERATOR_NOT
} Operator;

typedef struct Slice {       /* one entry of an index */
    Expr *start, *stop, *step; /* NULL where left out */
    bool single;             /* x[start]: the axis goes */
    bool ellipsis;
} Slice;
typedef LIST(Slice) SliceList;

struct Expr {
    ExprKind kind;
    Span span;
    int depth; /* levels of expressions, this one included: 1 for a leaf, at most MAX_NESTING */
    union {
        struct { double value; bool integer; } number;
        const char *name;                                              /* EXPR_NAME */
        struct { Expr *object; Name name; } member;
        struct { Expr *callee; ArgumentList arguments; } call;
        struct { Expr *object; SliceList slices; } index;
        struct { Operator op; Expr *left, *right; Span op_span; } binary; /* EXPR_UNARY uses left only */
        struct { Expr *condition, *yes, *no; } conditional;
        ExprList list;
        struct { Expr *left, *right; } pipe;
        struct { Expr *stage; Name name; } named;
        struct { Expr *count, *stage; } repeat;
    };
};

typedef struct Formal {      /* a parameter of a fn, layer, net, train, export or optimizer */
    Name name;
    Expr *shape;             /* EXPR_LIST, or NULL */
    Expr *classes;           /* of class[n], or NULL */
    Expr *standard;          /* default value, or NULL */
} Formal;
typedef LIST(Formal) FormalList;

typedef struct Carried { Name name; Expr *initial; } Carried; /* h = zeros([units]) of a scan */
typedef LIST(Carried) CarriedList;

typedef enum StmtKind {
    STMT_BIND,       /* name, name = value */
    STMT_ASSIGN,     /* name <- value */
    STMT_STATE,      /* state name: shape = value */
    STMT_RETURN,     /* return value, value */
    STMT_ADD_LOSS,   /* add_loss value */
    STMT_SCAN,       /* names = scan x in xs with h = ... { body } */
    STMT_COLLECT,    /* collect value, value */
    STMT_BATCH,      /* batch 128 */
    STMT_EPOCHS,     /* epochs 50 */
    STMT_MINIMIZE,   /* minimize value */
    STMT_METRIC,     /* metric name = value */
    STMT_UPDATE,     /* update targets using optimizer */
    STMT_CLIP,       /* clip targets to low, high */
    STMT_AVERAGE,    /* average targets using decay */
    STMT_PHASE       /* phase name repeat count { body } */
} StmtKind;

struct Stmt {
    StmtKind kind;
    Span span;
    NameList names;      /* BIND, ASSIGN, STATE, METRIC, PHASE: what is named; one but for BIND. SCAN: what is collected, maybe none */
    ExprList values;     /* what stands on the right; UPDATE, CLIP and AVERAGE: the targets */
    Expr *shape;         /* STATE: an expression for the shape, or NULL */
    Expr *optimizer;     /* UPDATE: the expression after `using` */
    Expr *low, *high;    /* CLIP */
    Expr *decay;         /* AVERAGE */
    Expr *repeat;        /* PHASE: the count, or NULL */
    StmtList body;       /* PHASE, SCAN */
    NameList scanned;    /* SCAN: xt, yt */
    CarriedList carried; /* SCAN; its sequences are in `values` */
    bool reverse;        /* SCAN: scan reverse xt in x */
};

typedef enum DeclKind {
    DECL_IMPORT, DECL_LET, DECL_PARAM, DECL_DIM, DECL_FN, DECL_LAYER, DECL_NET, DECL_TRAIN, DECL_EXPORT, DECL_OPTIMIZER
} DeclKind;

struct Decl {
    DeclKind kind;
    Span span;            /* the whole; `name.span` for messages */
    Name name;            /* IMPORT: the path, without quotes */
    FormalList formals;   /* a sequential net has one, named `x` */
    Expr *value;          /* LET; FN, EXPORT and sequential NET (`x |> ...`): the expression; PARAM: the initialiser */
    Expr *shape;          /* PARAM: EXPR_LIST */
    Expr *low, *high;     /* DIM: 1..64 */
    StmtList body;        /* where there is no `value` */
    Name weight, gradient; /* OPTIMIZER: for w, g */
};

/* Parses one source and appends its declarations. Reports errors and goes on after them. */
void parse(Context *context, int file, DeclList *declarations);
void ast_print(Text *to, const DeclList *declarations); /* --emit ast: GDL again, one form for each tree */
const char *operator_text(Operator op);

/* ── unused.c: warnings about names ───────────────────────────────────────────────────────── */

void warn_unused(Context *context, const DeclList *declarations); /* of what is named and never used */

/* ── shape.c: sizes of axes ───────────────────────────────────────────────────────────────── */

enum { MAX_RANK = 8 };

/* A size known up to at most one run-time number: base + scale * symbol.
 * Symbol 0 is the batch (n examples); the others are the `dim` declarations of the model. */
typedef struct Dim { int64_t base, scale, symbol; } Dim; /* symbol is 0 where scale is 0 */
typedef struct Shape { int rank; Dim dim[MAX_RANK]; } Shape;
enum { SYMBOL_BATCH = 0 };

Dim dim_const(int64_t size);
Dim dim_batch(int64_t scale);
/* What a symbol stands for: the batch, or a `dim` of the model. */
typedef struct Symbol {
    const char *name;
    const char *variable; /* in C: an identifier that nothing else in a function has */
    int64_t low, high;    /* of its values; of the batch, high is the default capacity */
    Span span;
} Symbol;
typedef LIST(Symbol) SymbolList; /* by Dim.symbol */
enum { MAX_SYMBOLS = 8 };

bool dim_can_add(Dim a, Dim b);     /* symbols agree, or one is constant */
Dim dim_add(Dim a, Dim b);          /* requires dim_can_add */
bool dim_mul(Dim a, Dim b, Dim *product); /* false where neither is constant: no Dim is their product */
bool dim_divide(Dim a, int64_t by, Dim *quotient); /* false where there is a remainder */
Dim dim_scale(Dim a, int64_t by);
bool dim_equal(Dim a, Dim b);
bool dim_is_const(Dim a);
int64_t dim_value(Dim a, const int64_t *symbols); /* symbols[s]: the value of symbol s */
/* The smallest and largest value that it has; symbols that the list lacks (NULL: all) are 1 or more. */
int64_t dim_low(Dim a, const SymbolList *symbols);
int64_t dim_high(Dim a, const SymbolList *symbols);
void symbols_high(const SymbolList *symbols, int64_t values[MAX_SYMBOLS]); /* each at its largest; 1 for those that there are not */
bool shape_equal(const Shape *a, const Shape *b);
bool shape_same_size(const Shape *a, const Shape *b);   /* as many elements */
bool shape_rest(const Shape *whole, const Shape *part, Dim *rest); /* the axis that `part` lacks to be as large; false: there is none */
int64_t shape_size(const Shape *shape, const int64_t *symbols);
Shape shape_without(const Shape *shape, uint32_t axes); /* the axes of a bit mask taken out */
Shape shape_behind(Dim first, const Shape *shape);      /* one more axis before all others */
int64_t shape_known_size(const Shape *shape);           /* the product of the constant sizes */
/* "[28, 28]", "[2n, time + 1, 28]"; symbols that the list lacks (NULL: all) are single letters, the batch n. */
const char *shape_text(Arena *arena, const SymbolList *symbols, const Shape *shape);
const char *size_text(Arena *arena, const SymbolList *symbols, Dim dim);

/* ── graph.c: the tensor graph ────────────────────────────────────────────────────────────── */

typedef struct Graph Graph;
typedef struct Adjoints Adjoints;
typedef struct Entry Entry;
typedef struct Node Node;
typedef LIST(Node *) NodeList;

/* The primitives: one row each in ops.def, which also says what each attribute below means. */
typedef enum Op {
#define OP(name, ...) OP_##name,
#include "ops.def"
#undef OP
    OP_COUNT
} Op;

typedef enum OpClass { CLASS_LEAF, CLASS_ELEMENTWISE, CLASS_REDUCTION, CLASS_MOVEMENT, CLASS_CONTRACTION, CLASS_OTHER } OpClass;

typedef enum Distribution { DRAW_UNIFORM, DRAW_NORMAL, DRAW_ORTHOGONAL } Distribution;
typedef enum Clock { CLOCK_STEP, CLOCK_EPOCH, CLOCK_LR_SCALE } Clock;

typedef enum TensorRole { TENSOR_PARAM, TENSOR_STATE, TENSOR_OPTIMIZER } TensorRole;

/* A tensor that the model keeps: a parameter, a state, or the state of an optimizer. It exists once, whatever shares it. */
typedef struct Tensor {
    const char *name;    /* "encoder.hidden.kernel"; of an optimizer: "autoencoder.rmsprop.v/encoder.hidden.kernel" */
    TensorRole role;
    Shape shape;         /* constant */
    Span span;           /* where it is declared */
    int index;           /* in Module.tensors */
    int stage;           /* OPTIMIZER: the index of its stage; -1 for the others */
} Tensor;

/* An input or output of an entry point. An example has the shape without the batch axis. */
typedef struct Port {
    const char *name;
    Shape shape;         /* with the batch axis, which is first */
    int64_t classes;     /* class[n]: n, and the values are int32 labels in 0..n-1; 0 for real numbers (float) */
    int index;
    Span span;
} Port;

typedef struct DotAxes { int batch, contract; uint8_t a_batch[MAX_RANK], b_batch[MAX_RANK], a_contract[MAX_RANK], b_contract[MAX_RANK]; } DotAxes;

enum { MAX_SPATIAL = 2 };

/* Of a convolution, for each spatial axis: out[p] = sum over k of in[p * stride + k * dilation - low] * kernel[k], where the
 * input has `spread` - 1 zeros between its elements, and `low` and `high` zeros around them (negative: elements cut off).
 * With spread 1 a strided convolution, with stride 1 and spread above 1 a transposed one. */
typedef struct ConvAxes { int spatial, unused; int64_t stride[MAX_SPATIAL], low[MAX_SPATIAL], high[MAX_SPATIAL], spread[MAX_SPATIAL], dilation[MAX_SPATIAL]; } ConvAxes;

/* The body of a loop over time: what one step computes, as a graph of its own. Its SLOT leaves stand for the operands of the
 * SCAN node, by their position: the carried values, then one element of each sequence, then what is the same in every step.
 * Results are only ever appended, so that the PART nodes made before stay what they are. */
typedef struct Body {
    Graph *graph;
    int carried, scanned;
    NodeList next;       /* of each carried value: what the next step gets */
    NodeList collected;  /* of each step: the elements of new sequences */
} Body;

struct Node {
    Op op;
    int id;              /* position in the graph: inputs come before their users */
    int arity;
    Node **in;
    Shape shape;
    Span span;           /* the place in the model that asked for it */
    const char *label;   /* the name the model gives this value, or NULL */
    bool closed;         /* simplify: rules do not look into it, for it must stay what it is */
    union {              /* zeroed where unused: nodes are compared by bytes */
        double value;                                        /* CONST */
        const Port *port;                                    /* INPUT */
        const Tensor *tensor;                                /* TENSOR */
        int axis;                                            /* IOTA, CONCAT, ARGMAX */
        struct { Distribution distribution; int stream; } rand; /* RAND */
        Dim size;                                            /* SIZE */
        Clock clock;                                         /* CLOCK */
        uint32_t axes;                                       /* SUM, MAX: taken out of the input; EXPAND: new in the output; FLIP: turned */
        uint8_t order[MAX_RANK];                             /* PERMUTE: output axis i is input axis order[i] */
        struct { Dim start[MAX_RANK]; int64_t step[MAX_RANK]; } slice; /* SLICE; the sizes are in `shape` */
        struct { Dim low[MAX_RANK], high[MAX_RANK]; } pad;   /* PAD: zeros before and after, never negative */
        DotAxes dot;                                         /* DOT */
        ConvAxes conv;                                       /* CONV */
        struct { int index, loop; } slot;                    /* SLOT: of which operand; while a body is written down: of which loop */
        struct { Body *body; Dim turns; int reverse, recompute; } scan; /* SCAN; recompute: gradients do without stored values */
        int part;                                            /* PART: the last carried values by position, then the sequences collected */
    } attr;
};

struct Graph {
    Arena *arena;
    NodeList nodes;      /* in order of creation, which is an order of evaluation */
    Node **table;        /* equal nodes are one node */
    int table_size;
    int loops;           /* how many have been opened */
    LIST(Body *) bodies; /* of the loops that were closed: equal ones are one */
    Span span;           /* given to the nodes made from now on */
};

typedef struct OpInfo {
    const char *name;    /* as printed */
    int arity;           /* -1: any */
    OpClass class;
    double (*evaluate)(double a, double b, double c);   /* elementwise operations only */
    /* Adds to the adjoints of node's inputs what the adjoint `d` of the node gives them (differentiate.c). */
    void (*differentiate)(Adjoints *adjoints, Node *node, Node *d);
} OpInfo;

extern const OpInfo op_info[OP_COUNT];
bool op_has_gradient(Op op);

/* Constructors check their operands with assert (the elaborator has reported the user's mistakes before) and
 * return an equal node where there is one. They do no algebra: that is simplify's. */
Graph *graph_create(Arena *arena);
Node *graph_const(Graph *graph, double value);                              /* rank 0 */
Node *graph_fill(Graph *graph, double value, const Shape *shape);           /* EXPAND of a CONST */
Node *graph_input(Graph *graph, const Port *port);
Node *graph_tensor(Graph *graph, const Tensor *tensor);
Node *graph_iota(Graph *graph, const Shape *shape, int axis);               /* each element's index along the axis */
Node *graph_rand(Graph *graph, const Shape *shape, Distribution distribution, int stream);
Node *graph_size(Graph *graph, Dim size);                                   /* a run-time size as a number */
Node *graph_clock(Graph *graph, Clock clock);
Node *graph_slot(Graph *graph, const Shape *shape, int index, int loop);
Node *graph_unary(Graph *graph, Op op, Node *x);
Node *graph_binary(Graph *graph, Op op, Node *a, Node *b);                  /* equal shapes */
Node *graph_select(Graph *graph, Node *condition, Node *yes, Node *no);     /* condition is not 0 */
Node *graph_sum(Graph *graph, Node *x, uint32_t axes);
Node *graph_max(Graph *graph, Node *x, uint32_t axes);
Node *graph_argmax(Graph *graph, Node *x, int axis);                        /* the first of equals */
Node *graph_reshape(Graph *graph, Node *x, const Shape *shape);
Node *graph_permute(Graph *graph, Node *x, const uint8_t *order);
Node *graph_expand(Graph *graph, Node *x, const Shape *shape, uint32_t axes); /* `axes` of `shape` are new: the adjoint of sum */
Node *graph_slice(Graph *graph, Node *x, const Dim *start, const Dim *size, const int64_t *step);
Node *graph_pad(Graph *graph, Node *x, const Dim *low, const Dim *high);
Node *graph_flip(Graph *graph, Node *x, uint32_t axes);
Node *graph_concat(Graph *graph, Node **parts, int count, int axis);
Node *graph_dot(Graph *graph, Node *a, Node *b, const DotAxes *axes);       /* axes of the result: batch, free of a, free of b */
Node *graph_conv(Graph *graph, Node *x, Node *kernel, const ConvAxes *axes); /* [b, s..., i], [k..., i, o] → [b, s'..., o] */
int64_t conv_size(const ConvAxes *axes, int spatial, int64_t input, int64_t kernel); /* along one axis; below 1: the kernel does not fit */
Node *graph_gather(Graph *graph, Node *table, Node *index);                 /* [v, d...], [i...] → [i..., d...] */
Node *graph_scatter_add(Graph *graph, Node *index, Node *updates, Dim rows); /* [i...], [i..., d...] → [rows, d...] */
Node *graph_stop(Graph *graph, Node *x);                                    /* x, with no gradient through it */
Node *graph_copy_node(Graph *graph, const Node *node, Node **in);           /* the same operation on other inputs */
bool node_is_uniform(const Node *node, double *value);                      /* CONST, or EXPAND of one */
uint32_t entry_symbols(Arena *arena, const Entry *entry);                    /* a bit for each symbol that it depends on */
bool *entry_needs(Arena *arena, const Entry *entry);                         /* by id: whether a root or a gradient depends on the node */
bool *graph_needs(Arena *arena, const Graph *graph, const NodeList *roots);  /* by id: whether one of them depends on the node */

/* ── body.c: loops in graphs ──────────────────────────────────────────────────────────────── */

/* A loop being written down: its step is nodes of the graph around it, in which slots stand for what differs between the steps. */
typedef struct Loop {
    int number;
    Dim turns;
    bool reverse;        /* from the last element to the first; sequences keep their order */
    bool recompute;
    NodeList initial, carried, next; /* first values, their slots, and what the next step gets */
    NodeList sequences, elements;    /* [turns, ...], and the slots of their elements */
    NodeList collected;
} Loop;

Loop loop_open(Graph *graph, Dim turns, bool reverse);
Node *loop_carry(Graph *graph, Loop *loop, Node *initial);                   /* the slot; `next` is for the caller to fill in */
Node *loop_element(Graph *graph, Loop *loop, Node *sequence);                /* the slot */
/* Takes the step out of the graph into a body: what depends on slots moves, and takes along what it needs as operands. */
Node *loop_close(Graph *graph, const Loop *loop);
Node *graph_scan(Graph *graph, const Node *like, Body *body, Node **in, int count); /* a SCAN with the other attributes of `like` */
Node *graph_part(Graph *graph, Node *scan, int part);
Shape part_shape(const Node *scan, int part);
NodeList body_results(Arena *arena, const Body *body);                       /* in the order of the parts */
int body_collect(Graph *graph, Node *scan, Node *value);                     /* the part that has `value`, a node of the body, of each step */


/* ── elaborate: syntax tree → module of graphs ────────────────────────────────────────────── */

typedef enum RootKind {
    ROOT_OUTPUT,         /* a result of a net or export */
    ROOT_REPORT,         /* a loss or metric: a scalar, the mean over the batch */
    ROOT_ASSIGN          /* the new value of a tensor, written after everything has read the old one */
} RootKind;

typedef struct Root { RootKind kind; const char *name; Tensor *target; Port *port; Node *value; bool loss; Span span; } Root;
typedef LIST(Root) RootList;

typedef enum EntryKind {
    ENTRY_INIT,          /* assigns every tensor its first value; no inputs, no batch */
    ENTRY_FUNCTION,      /* a net or an export, in inference form */
    ENTRY_PHASE,         /* one phase of a stage: forward, backward and update */
    ENTRY_EVALUATE       /* the reports of all phases of a stage, in inference form */
} EntryKind;

/* What becomes one C function. */
struct Entry {
    EntryKind kind;
    const char *name;    /* "encoder", "generate"; of a phase its own name, or the stage's where it is the only one */
    bool net;            /* FUNCTION: a net, not an export */
    LIST(Port *) inputs;
    Graph *graph;
    RootList roots;
    NodeList gradients;      /* PHASE: of the updated parameters, in the order of their tensors; kept by simplify */
    bool crosses_batch;  /* the examples of a call depend on each other: a call cannot be cut in pieces */
    const SymbolList *symbols; /* of its module; NULL: there is only the batch */
    Span span;
};

typedef struct Phase { Entry *entry; int64_t repeat; bool reads; /* it reads inputs: each run takes a fresh batch */ } Phase;

/* One `train`. */
typedef struct Stage {
    const char *name;
    int64_t batch, epochs;
    LIST(Port *) inputs;
    LIST(Phase) phases;
    Entry *evaluate;
    Span span;
} Stage;

typedef struct NetInfo { const char *name; Span span; } NetInfo;

typedef struct Module {
    const char *name;        /* the prefix of every symbol emitted */
    LIST(Tensor *) tensors;  /* parameters, then states, then optimizer states */
    LIST(NetInfo) nets;
    LIST(Entry *) functions;
    LIST(Stage *) stages;
    Entry *init;
    SymbolList symbols;      /* the batch, "n"; then every `dim` */
} Module;

/* NULL when there were errors. */
Module *elaborate(Context *context, const DeclList *declarations);

/* ── summary.c: what a model is made of ───────────────────────────────────────────────────── */

void summary_print(Text *to, const Module *module); /* --summary */

/* ── differentiate/: reverse mode, graph → graph ──────────────────────────────────────────── */

/* The derivatives of the scalar `y` (rank 0) by each of `by`, appended to the graph in the same primitives, so that they
 * can be differentiated again. Zero where y does not depend on it. Requires that y was simplified with `by` kept. */
void differentiate(Graph *graph, Node *y, Node *const *by, int count, Node **derivatives);

/* ── simplify.c: folding, algebra, stable forms, dead code ────────────────────────────────── */

/* The value of `root` in simpler form; the nodes in `kept` are taken as leaves. Appends to the graph. */
Node *simplify_node(Graph *graph, Node *root, Node *const *kept, int count);
/* Simplifies all roots and leaves only what they need, in a new graph. */
void simplify(Context *context, Entry *entry);

/* ── print.c: a graph as text ─────────────────────────────────────────────────────────────── */

void graph_print(Text *to, const Context *context, const Entry *entry);      /* --emit graph; no places where context is NULL */
void graph_print_dot(Text *to, const Entry *entry);                          /* --emit dot: for Graphviz */
void text_number(Text *to, double value); /* the shortest decimal that reads back as the same number */

/* ── torch/: a model as a module of PyTorch ───────────────────────────────────────────────── */

/* --emit torch: a file of Python. Requires graphs that are not simplified yet, and appends to them. */
void torch_print(Text *to, const Context *context, const Module *module);

/* ── verify.c: what a valid graph is; asserted between passes in debug and test builds ─────── */

const char *verify(Arena *arena, const Entry *entry); /* NULL, or what is wrong */

/* ── interpret.c: a slow, obvious evaluation in double precision: the reference ───────────── */

typedef struct Values {
    int64_t symbols[8];              /* value of each symbol of Dim; [0]: the batch */
    const double *const *inputs;     /* by Port.index */
    double **tensors;                /* by Tensor.index; ASSIGN roots write here, after all is computed */
    double step, epoch, lr_scale;
    uint64_t seed, tick;             /* of the random draws */
} Values;

/* Evaluates the roots: results[i] gets the value of roots[i], from malloc; for the caller to free. */
void interpret(const Entry *entry, Values *values, double **results);

/* ── fuse/: graph → programs of loop nests, matrix products and draws ─────────────────────── */

/* A polynomial in the run-time sizes (the symbols of Dim), with integer coefficients: how many elements an array
 * has, or how far apart two of them lie. Terms are sorted and not zero: equal polynomials have equal bytes. */
typedef struct Monomial { int64_t factor; uint8_t power[MAX_SYMBOLS]; } Monomial;
typedef struct Poly { int count; Monomial term[]; } Poly;

typedef struct Scalar Scalar;
typedef struct Index Index;
typedef struct Statement Statement;

typedef enum AtomKind {
    ATOM_LOOP,           /* the variable of the loop at a depth */
    ATOM_DIV,            /* index / by */
    ATOM_MOD,            /* index % by */
    ATOM_VALUE           /* a computed row number, held within 0..limit-1 */
} AtomKind;

typedef struct Atom {
    AtomKind kind;
    int depth;           /* LOOP: which; the others: the deepest loop they depend on, -1 for none */
    const Poly *limit;   /* its values are 0..limit-1 */
    const Index *index;  /* DIV, MOD */
    const Poly *by;      /* DIV, MOD */
    const Scalar *value; /* VALUE */
} Atom;

/* Where an element lies, as a function of the loops: constant + sum of factor * atom. */
typedef struct IndexTerm { const Poly *factor; const Atom *atom; } IndexTerm;
struct Index { const Poly *constant; int count; IndexTerm term[]; };

typedef enum BufferKind {
    BUFFER_INPUT,        /* the caller's, read */
    BUFFER_OUTPUT,       /* the caller's, written */
    BUFFER_REPORT,       /* one float of the report */
    BUFFER_TENSOR,       /* kept by the model */
    BUFFER_GRADIENT,     /* in the contiguous range of a phase's gradients */
    BUFFER_TEMPORARY     /* planned into the arena */
} BufferKind;

typedef struct Buffer {
    BufferKind kind;
    int index;           /* in Program.buffers; REPORT, GRADIENT: see `place` */
    const char *name;    /* a C identifier, unique in the program */
    Shape shape;         /* row-major and packed, always */
    const Poly *size;    /* in elements */
    const Node *node;    /* whose value it holds; NULL for INPUT and TENSOR */
    const Port *port;    /* INPUT, OUTPUT */
    const Tensor *tensor;
    int64_t place;       /* REPORT: its position; GRADIENT: floats from the start of the range */
    bool used;           /* something still reads or writes it after fusion */
    int64_t pieces;      /* so many copies, into each of which the rows of one piece are summed; 0: it is no such thing */
    int first, last;     /* plan: the steps of the program between which it is live */
    struct Buffer *over; /* plan: the buffer whose place it takes over, or NULL */
    bool taken;          /* plan: another takes over its place */
    bool of_block;       /* plan: it has room for the rows of one block only, see Blocked; `shape` and `size` say so */
    bool local;          /* plan: of_block, and an array of the code that computes the block: each thread has its own */
    int degree;          /* plan: of its size in the batch: which region of the arena */
    int64_t offset;      /* plan: in floats, times batch^degree */
} Buffer;

typedef enum ScalarKind {
    SCALAR_NUMBER, SCALAR_LOAD, SCALAR_OP,
    SCALAR_INDEX,        /* an index as a number */
    SCALAR_SIZE, SCALAR_CLOCK,
    SCALAR_GUARD,        /* low <= index < high ? yes : no, evaluating one of them only */
    SCALAR_RESULT        /* what a statement of the same loops has just computed */
} ScalarKind;

/* A number computed inside loops; equal ones of a program are one. */
struct Scalar {
    ScalarKind kind;
    int depth;           /* the deepest loop it depends on; -1 for none */
    const Node *node;    /* where it comes from, for names and comments; not part of equality */
    union {
        double number;
        struct { Buffer *buffer; const Index *at; } load;
        struct { Op op; int arity; const Scalar *in[3]; } op;
        const Index *index;
        const Poly *size;
        Clock clock;
        struct { const Index *index; const Poly *low, *high; const Scalar *yes, *no; } guard;
        Statement *result;
    };
};

typedef enum StatementKind {
    STATEMENT_STORE,     /* buffer[at] = value */
    STATEMENT_SUM,       /* buffer[at] += value, from 0, over the loops in `reduced` */
    STATEMENT_MAX,       /* the largest */
    STATEMENT_ARGMAX,    /* the first index of the largest; `reduced` is the innermost loop */
    STATEMENT_SCATTER    /* buffer[at] += value, from 0, at computed places */
} StatementKind;

struct Statement {
    StatementKind kind;
    int depth;           /* number of loops around it */
    uint32_t reduced;    /* loops (by depth) that the result does not have */
    Buffer *buffer;
    const Index *at;
    const Scalar *value;
    const Node *node;
    bool stored;         /* false: nobody reads the buffer, only the result in its register */
    bool reused;         /* a SCALAR_RESULT names it */
};

/* c[m][n] = a[m][k] b[k][n], repeated along loops of its own; distances in elements between neighbours along each axis. */
typedef struct Gemm {
    Buffer *a, *b, *c;
    const Index *a_at, *b_at, *c_at; /* the first elements, as functions of the loops around the product and of its own */
    const Poly *m, *n, *k, *a_m, *a_k, *b_k, *b_n; /* rows of c are packed */
    int depth, loops;    /* how many loops are around it; how many it has, numbered from there */
    const Poly *extent[MAX_RANK];
    bool add;            /* to what c holds */
    const Node *node;
} Gemm;

/* How a convolution is computed: what the lanes of a vector are, and what is summed. A kernel is packed before, in a step of its
 * own, in the order in which it is read. */
typedef enum ConvForm {
    CONV_FILTERS,        /* out = x * packed: lanes are filters, the channels of the result */
    CONV_CHANNELS,       /* the same with lanes of channels of x, which are summed: for few filters */
    CONV_PACK_FILTERS,   /* packed = kernel, for CONV_FILTERS */
    CONV_PACK_CHANNELS,  /* the same for CONV_CHANNELS */
    CONV_GRADIENT        /* kernel = the sum over images of x times out, the gradient of the result */
} ConvForm;

/* Along rows or columns. Of a convolution over one axis, there is one row. */
typedef struct ConvAxis {
    int64_t size, positions, taps;              /* of the image, of the result, of the kernel */
    int64_t stride, dilation, low, spread;      /* as in ConvAxes */
    int64_t next_tap, tap_moves;                /* at one position, the next tap that meets an element, and how much further on */
    int64_t next_position, moves;               /* of one tap, the next position where it does, and how much further on */
    int64_t image, kernel, out;                 /* how far apart neighbours lie in each */
} ConvAxis;

typedef struct ConvOperand { Buffer *buffer; int64_t start; } ConvOperand;

/* A convolution over images. All distances are in elements; neighbouring filters of `out` are neighbours in memory. */
typedef struct Conv {
    ConvForm form;
    ConvAxis row, column;
    Dim images;
    int64_t channels, filters;
    int64_t image, channel, kernel_channel, kernel_filter, out_image;
    int64_t block;       /* GRADIENT: images to go through at once */
    ConvOperand x, kernel, out;
    Buffer *packed;      /* NULL for GRADIENT */
    int depth;           /* how many loops there are around it */
    const Poly *turns;   /* of its outermost loop: over images; GRADIENT: over the taps of the kernel; NULL: none */
    const Node *node;
} Conv;

Buffer *conv_result(const Conv *conv);            /* what is written */
bool conv_packs(const Conv *conv);                /* it only packs a kernel */

/* Fills a buffer with random numbers: so many, each a function of its position; NULL: it is drawn in one piece. */
typedef struct Draw { Buffer *buffer; const Poly *turns; const Node *node; } Draw;

/* One use of a buffer in a step. */
typedef struct Access { Buffer *buffer; const Index *at; /* NULL: all of it */ bool writes; } Access;
typedef LIST(Access) AccessList;

/* How a step is cut for the threads of a model: along the turns of its outermost loop (the rows of a product, the positions of a
 * draw, the rows that a loop over time carries), at multiples of the grain, or into so many equal pieces. */
typedef struct Share {
    const Poly *turns;   /* how many; NULL: it is not cut */
    int64_t grain, pieces; /* one of them is 0 */
    bool slight;         /* not worth a phase of its own */
    bool apart;          /* each piece is computed on its own, so that nothing depends on who has its neighbours */
} Share;

typedef struct Step Step;
typedef LIST(Step *) StepList;

/* Steps that are cut alike, which threads share chunk by chunk: in one chunk all steps, in their order. The tasks of one phase are
 * apart from each other; those of the next begin once all of them are done. */
typedef struct Task {
    int phase;
    int64_t chunks;      /* 1: not cut */
    Share share;
    StepList steps;
} Task;
typedef LIST(Task *) TaskList;

/* Steps that go over the same rows, run one after the other on each block of rows while it is in the cache. A row is an equal
 * part of the turns of each step's outermost loop: of a loop nest, of a product's own loops, or else of the rows of its result. */
typedef struct Blocked { const Poly *extent; /* rows */ int64_t rows; /* of a block */ StepList body; } Blocked;

typedef enum StepKind { STEP_LOOP, STEP_SCAN, STEP_STATEMENT, STEP_GEMM, STEP_CONV, STEP_DRAW, STEP_BLOCK } StepKind;
struct Step {
    StepKind kind;
    AccessList accesses;     /* what it reads and writes; after fusion, of a program's steps and those of its blocks */
    Share share;
    union {
        struct { int depth; const Poly *extent; StepList body; } loop;
        /* Over time: turn after turn. The rows are those of scan_rows, which threads.c asks for. */
        struct { int depth; const Poly *turns, *rows; bool reverse; StepList body; const Node *node; } scan;
        Statement *statement;
        Gemm gemm;
        Conv conv;
        Draw draw;
        Blocked block;
    };
};

const StepList *step_body(const Step *step);      /* the steps inside it; none of most kinds */
bool step_has(const Step *step, StepKind kind);    /* it, or one inside it */
const Poly *step_turns(const Step *step);         /* of its outermost loop, as in Blocked; NULL where it has none */

/* One entry point as steps in order. With --parts a phase has two parts that can be called apart, all others only the first. */
enum { PART_BACKWARD, PART_UPDATE, PART_COUNT };
typedef struct Program {
    const Entry *entry;
    const char *name;        /* of the C function, without the prefix */
    int stage;               /* of a phase or evaluation; init: of the stage whose optimizer it begins; else -1 */
    LIST(Buffer *) buffers;
    StepList part[PART_COUNT];
    TaskList tasks[PART_COUNT]; /* all steps of the part by phases, where threads share any of them; else none */
    int64_t gradients;       /* floats in the range of gradients */
    int64_t gradients_offset; /* plan: where it starts, in the region of degree 0 */
} Program;
typedef LIST(Program *) ProgramList;

/* The programs of a module: first values (of parameters and states, then of each stage's optimizer), functions, and for each
 * stage its phases and its evaluation. Requires simplified entries; leaves the graphs as they are. */
ProgramList fuse(Context *context, const Module *module, const Options *options);
void program_print(Text *to, const Module *module, const Program *program); /* --emit kernels */

const Poly *poly_const(Arena *arena, int64_t value);
const Poly *poly_dim(Arena *arena, Dim dim);
const Poly *poly_shape(Arena *arena, const Shape *shape);                    /* number of elements */
const Poly *poly_add(Arena *arena, const Poly *a, const Poly *b);
const Poly *poly_mul(Arena *arena, const Poly *a, const Poly *b);
const Poly *poly_scale(Arena *arena, const Poly *a, int64_t by);
const Poly *poly_divide(Arena *arena, const Poly *a, const Poly *b);         /* NULL unless it goes evenly */
bool poly_equal(const Poly *a, const Poly *b);
bool poly_is(const Poly *a, int64_t value);
bool poly_constant(const Poly *a, int64_t *value);
int64_t poly_high(const Module *module, const Poly *a);                       /* its value for the sizes that the model is made for */
bool poly_nonnegative(Arena *arena, const Poly *a);                          /* surely, for all sizes from 1 */
void poly_print(Text *to, const Module *module, const Poly *a);              /* as C: "784 * n" */

/* What a step does, by its shapes: operations on floating-point numbers, of which a function such as exp counts as one; and the bytes
 * of what it reads and of what it writes, each element once. In one turn of the loops around it. */
typedef struct Cost { const Poly *flops, *bytes; } Cost;
Cost step_cost(Arena *arena, const Step *step);
bool gemm_by_blas(const Module *module, const Options *options, const Gemm *gemm); /* else it is a kernel of our own: by which is faster */

/* How often a program's steps go over memory, and how much that moves: as they are, and as they would be with each value computed
 * by a pass of its own. */
typedef struct Traffic { int kernels; const Poly *bytes; } Traffic;
Traffic fused_traffic(Arena *arena, const StepList *steps);
Traffic unfused_traffic(Arena *arena, const StepList *steps);

void step_accesses(Arena *arena, const Step *step, AccessList *list);
void statement_accesses(Arena *arena, const Statement *statement, AccessList *list);

/* The accesses of a step with loop 0 for rows, as in Blocked, into which the turns of the step and of those inside it can be cut. */
void row_accesses(Arena *arena, const Step *step, const Poly *rows, AccessList *list);
/* The rows along which a whole loop over time can be cut, for no turn of it needs another row; NULL where there are none. */
const Poly *scan_rows(Arena *arena, const Step *scan);

const Index *index_loop(Arena *arena, int depth, const Poly *extent);
const Index *index_add(Arena *arena, const Index *a, const Index *b);
const Index *index_mul(Arena *arena, const Index *a, const Poly *by);
bool index_equal(const Index *a, const Index *b);
/* Whether two accesses in different turns of the loop `depth` never meet, when the loops around it are in the same turn. */
bool index_apart(Arena *arena, const Index *a, const Index *b, int depth);

/* A statement's result is in a register while its loops from this depth on run; its own depth: nowhere but in memory. */
int statement_register(const Statement *statement);
bool statement_in_register(const Statement *statement); /* and complete once they have run */

/* ── plan.c: every buffer gets a place in one arena ───────────────────────────────────────── */

enum { MAX_DEGREE = 3,    /* of a size in the batch */
       MOST_LOCAL = 1 << 14 }; /* floats of an array on a thread's stack */

/* In floats. The arena of a model with capacity n has a region of region[d] * n^d floats for each degree. */
typedef struct Plan {
    int64_t *tensor;         /* where each tensor lies, by Tensor.index */
    int64_t tensors;         /* all of them */
    int64_t region[MAX_DEGREE + 1];
    int64_t bound[MAX_DEGREE + 1]; /* what no plan could stay below: the most that is live at one time */
} Plan;

Plan *plan(Context *context, const Module *module, const Options *options, const ProgramList *programs); /* fills in the buffers' places */
void plan_print(Text *to, const Module *module, const ProgramList *programs, const Plan *plan); /* --emit plan */
void memory_print(Text *to, const Module *module, const Plan *plan); /* --memory: bytes, and what no plan could stay below */
int64_t plan_bytes(const Plan *plan, int64_t batch); /* tensors and arena at that capacity */
const Buffer *storage(const Buffer *buffer);     /* the buffer whose place it has */
bool buffers_overlap(const Module *module, const Buffer *a, const Buffer *b); /* of one program: they have memory in common */

/* ── threads.c: which steps several threads share, and in which order ─────────────────────── */

enum { MOST_CHUNKS = 32 }; /* of all tasks of a phase */

/* Before the plan: splits sums over rows where threads can share them, and puts steps where they can be computed together. */
void divide_sums(Context *context, const Module *module, const Options *options, const ProgramList *programs);
/* Fills in the tasks of the programs. Requires the plan: what lies in one memory cannot be used at one time. */
void divide_steps(Context *context, const Module *module, const Options *options, const ProgramList *programs);

/* ── emit/: programs → C ──────────────────────────────────────────────────────────────────── */

/* Appends the source and the header of the model; the source includes `header`. Reports names that clash in C. */
void emit(Context *context, const Module *module, const Options *options, const ProgramList *programs, const Plan *plan,
          const char *header, Text *source, Text *declarations);
bool c_reserved(const char *name); /* a word of C or C++, or a name that emitted code uses itself */
const char *c_variable(Arena *arena, const char *name); /* an identifier that is no function of emitted code */
bool c_prefix(const char *name);   /* it can stand before symbols, and be a type beside those of the C library */

/* ── link.c: C → a trainer ────────────────────────────────────────────────────────────────── */

/* Compiles and links the C with the runtime into the program `output`, by $CC (cc) with $CFLAGS. False after a message. */
bool link_program(Context *context, const char *name, const Text *source, const Text *header, const char *output);

/* ── The context of a compilation ─────────────────────────────────────────────────────────── */

struct Context {
    Arena *arena;
    LIST(Source) sources;
    struct Diagnostics *diagnostics;     /* diagnose.c's own */
    LIST(const char *) folders;          /* -I */
    LIST(const char *) definitions;      /* -D name=value */
    const char *name;                    /* --name, or the base name of the output */
    bool recompute;                      /* --recompute: loops over time keep less, and compute it again */
};

#endif

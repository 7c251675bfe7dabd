/* What the files of fuse/ share. */
#ifndef FUSE_H
#define FUSE_H

#include "../gdlc.h"

/* ── index.c: where an element lies, as a function of the loops ───────────────────────────── */

const Index *index_const(Arena *arena, const Poly *value);
const Index *index_value(Arena *arena, const Scalar *value, const Poly *limit); /* a computed row number */
/* Quotient and rest by `by`; the quotient is known to be less than `limit`. */
const Index *index_div(Arena *arena, const Index *a, const Poly *by, const Poly *limit);
const Index *index_mod(Arena *arena, const Index *a, const Poly *by);
int index_depth(const Index *a);                                /* the deepest loop it depends on; -1 */
bool index_affine(const Index *a);                              /* loops only: no division, no computed row */
const Poly *index_factor(Arena *arena, const Index *a, int depth); /* of a loop: how far one turn of it moves; 0 */
/* As index_apart, where both walk through the same elements side by side. */
bool index_abreast(Arena *arena, const Index *a, const Index *b, int depth);

/* ── scalar.c: the values of nodes inside loops ───────────────────────────────────────────── */

typedef struct Domain { int depth; const Poly *extent[2 * MAX_RANK]; } Domain; /* loops around a statement */

typedef struct NameCount { const char *name; int used; } NameCount;

/* What a program and the bodies of its loops share. */
typedef struct Tables {
    const Scalar **scalars;  /* equal scalars are one */
    int scalars_size, scalars_count;
    NameCount *names;        /* of buffers, and how often each was wanted */
    int names_size;
} Tables;

/* A value that lies in another order too. */
typedef struct Packed { const Node *node; uint8_t order[MAX_RANK]; Buffer *buffer; } Packed;

/* The fusion of one program, or of the body of a loop over time in it; arrays are by node. */
typedef struct Fuse {
    Arena *arena;
    const Module *module;
    Program *program;
    const Entry *entry;
    const Options *options;
    bool parts;              /* the update is a part of its own */
    bool *live, *early;      /* needed at all; needed before the update part */
    Buffer **stored;         /* where its value is kept; NULL: computed where it is used */
    const Index **start;     /* where in that buffer it begins; NULL: at the beginning */
    LIST(Packed) packed;
    Tables *tables;
    struct Fuse *outer;      /* of the body of a loop: what is around it, the loop as a node of that, and its steps */
    const Node *scan;
    StepList *steps;
    Domain around;           /* the loops over time that it is in */
} Fuse;

const Scalar *scalar_unique(Fuse *fuse, const Scalar *scalar);
/* The value of the node at an index for each axis, from what is stored. */
const Scalar *scalar_at(Fuse *fuse, const Node *node, const Index *const *at);
/* The same, computed even if the node itself is stored. */
const Scalar *scalar_compute(Fuse *fuse, const Node *node, const Index *const *at);
const Index *index_address(Arena *arena, const Shape *shape, const Index *const *at); /* row-major */
void index_split(Arena *arena, const Index *flat, int count, const Poly *const *extent, const Index **at); /* and back */
int scalar_divisions(const Scalar *scalar); /* how many its addresses need */
/* The same with another value for each load of memory in it: what `replace` gives. */
typedef const Scalar *ReplaceLoad(Fuse *fuse, const Scalar *load, const void *context);
const Scalar *scalar_replace(Fuse *fuse, const Scalar *scalar, ReplaceLoad *replace, const void *context);

/* ── store.c: what is kept in memory, and what is computed where it is used ───────────────── */

void choose_stored(Fuse *fuse);
Buffer *store_node(Fuse *fuse, const Node *node);                       /* a buffer of its own, where it has none yet */
Buffer *buffer_new(Fuse *fuse, BufferKind kind, const char *name, const Shape *shape);
Buffer *buffer_of_node(Fuse *fuse, BufferKind kind, const Node *node);  /* named after the node */
Buffer *buffer_of_gradient(Fuse *fuse, int k);                        /* named after the parameter; temporary without parts */
Buffer *buffer_of_tensor(Fuse *fuse, const Tensor *tensor);

StepList *steps_of(Fuse *fuse, int part);    /* where steps are appended */

/* ── lower.c: stored nodes → statements in loops ──────────────────────────────────────────── */

void lower_node(Fuse *fuse, const Node *node, int part);
void lower_copy(Fuse *fuse, Buffer *buffer, const Node *node, int part);   /* buffer = node */
void lower_element(Fuse *fuse, Buffer *sequence, const Index *start, const Node *node, int part); /* = node, from `start` on */
Buffer *lower_packed(Fuse *fuse, const Node *node, const uint8_t *order, int part); /* a buffer with its axes reordered */

/* ── gemm.c: contractions → matrix products ────────────────────────────────────────────── */

const Node *gemm_operand(const Node *node);  /* what is stored so that the operand `node` can be read in place */
void lower_gemm(Fuse *fuse, const Node *node, int part);

/* ── conv.c: convolutions, image by image ─────────────────────────────────────────────────── */

const Node *conv_operand(const Node *node);  /* what is stored so that the operand `node` can be read in place */
/* The convolution whose result `node` is, transposed to the order of kernels, when nothing else uses it; else NULL. */
const Node *conv_transposed(const Fuse *fuse, const Node *node);
void lower_conv(Fuse *fuse, const Node *conv, const Node *result, int part); /* `result`: the convolution, or its transposition */

/* ── scan.c: loops over time ──────────────────────────────────────────────────────────────── */

void lower_scan(Fuse *fuse, const Node *scan, int part);
const Scalar *slot_at(Fuse *fuse, const Node *slot, const Index *const *at); /* the value of a loop's operand in this step */

/* ── merge.c: loops that can share their turns ────────────────────────────────────────────── */

/* Puts a statement with its loops into the steps, into earlier loops where that is right and worth it. */
void merge_statement(Fuse *fuse, StepList *steps, Statement *statement, const Domain *domain);
void append_step(Fuse *fuse, StepList *steps, Step *step); /* of another kind */
void list_accesses(Arena *arena, Step *step); /* fills them in anew, for it and for all inside it */
void add_accesses(Arena *arena, Step *step, const AccessList *added);

/* Of what two steps read and write: whether one must stay before the other. */
bool accesses_conflict(const AccessList *a, const AccessList *b);
/* Whether the loop's steps and the new one, sharing the turns of the loop `depth`, compute what they compute one after the other. */
bool can_share_turns(Arena *arena, const AccessList *loop, const AccessList *added, int depth);
/* Whether a turn of both meets the same elements, so that sharing saves memory traffic. */
bool turns_meet(Arena *arena, const AccessList *loop, const AccessList *added, int depth);

/* ── block.c: products and loops that share blocks of rows ────────────────────────────────── */

/* Once values are forwarded: in a program's steps, those that go over the same rows come to be STEP_BLOCKs. */
void block_rows(Fuse *fuse);

int64_t rows_of_block(const Fuse *fuse, const Step *block); /* how many a block should have */
void join_rows(Fuse *fuse, Step **step, Step *added);       /* which is no block: the step becomes one, behind which it stands */

/* Why a step cannot join the one before it. */
typedef enum ObstacleKind {
    OBSTACLE_NONE,
    OBSTACLE_KIND,           /* one of them is of a kind that runs in one piece */
    OBSTACLE_ROWS,           /* no number of rows fits both */
    OBSTACLE_BUFFER,         /* a row of one needs another row of the buffer, or all of them */
    OBSTACLE_NOTHING_SHARED, /* it would save nothing */
    OBSTACLE_NO_PRODUCT,     /* loop nests are merged statement by statement, or not at all */
    OBSTACLE_OPERAND         /* a product would read the buffer anew for each block */
} ObstacleKind;
typedef struct Obstacle { ObstacleKind kind; const Buffer *buffer; } Obstacle;
bool has_rows(const Module *module, const Step *step); /* else it runs in one piece */
Obstacle obstacle_between(Arena *arena, const Module *module, const Step *step, const Step *added);

/* ── draw.c: what is drawn again ──────────────────────────────────────────────────────────── */

/* What a block draws, the steps behind it that read it draw for themselves, so that nobody keeps it. */
void redraw(Fuse *fuse, StepList *steps);

/* ── partial.c: sums over rows, in parts ──────────────────────────────────────────────────── */

/* Into how many pieces the rows of the step, one of these, are to be cut: the same for all that have as many; less than 2: they are not. */
typedef int64_t PiecesOf(Arena *arena, const Module *module, const StepList *steps, const Step *step);

/* Splits sums over the rows of steps of that part of the program into pieces. */
void split_sums_of(Arena *arena, const Module *module, Program *program, int part, PiecesOf *pieces_of);

/* ── forward.c: values that stay in registers ─────────────────────────────────────────────── */

/* Once all statements are in: values go from statement to statement in registers, and stores that nobody reads go. */
void forward_values(Fuse *fuse);

#endif

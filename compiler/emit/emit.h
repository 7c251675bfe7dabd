/* What the files of emit/ share. */
#ifndef EMIT_H
#define EMIT_H

#include "../gdlc.h"

typedef LIST(const char *) WordList;

typedef struct Emit {
    Arena *arena;
    const Context *context;
    const Module *module;
    const Options *options;
    const ProgramList *programs;
    const Plan *plan;
    const char *name;        /* the prefix of every symbol: "vae" */
    const char *upper;       /* of every macro: "VAE" */
    const char *code;        /* prefix of result codes and their like: "GDL", or `upper` in a standalone model */
    WordList pieces;         /* of support/ that the code calls */
    WordList kernels;        /* --profile: what begins each counter, as C */
    WordList convolutions;   /* functions for convolutions, without their names */
    WordList functions, nameless; /* functions for loop nests: what they are called, and their text as function_alike compares it */
} Emit;

enum { HEADER_BYTES = 128 };     /* what lies before a model's tensors, without counters: see header_bytes */

/* A function without its name, and the arguments of a call. */
typedef struct Function { const char *parameters, *body, *arguments; } Function;

/* ── names.c ──────────────────────────────────────────────────────────────────────────────── */

const char *c_name(Arena *arena, const char *name);              /* an identifier of C */
bool c_function(const char *name);                               /* it begins as functions of emitted code do */
const char *port_name(Emit *emit, const char *name);             /* as a parameter of a public function */
const char *base_name(const char *path);                         /* without its folder */
const char *phase_name(Emit *emit, const Stage *stage, const Phase *phase); /* "gan_discriminate"; a stage's only phase has its name */

/* ── pieces.c: fragments of support/ ──────────────────────────────────────────────────────── */

const char *piece(Emit *emit, const char *name);  /* how to call it: "support_exp"; it will be emitted */
bool has_piece(const Emit *emit, const char *name); /* it will be */
void emit_pieces(Emit *emit, Text *to);

/* ── layout.c: text on lines that fit ─────────────────────────────────────────────────────── */

enum { LINE_WIDTH = 120 };

bool mentions(const char *text, const char *word);                /* as a whole identifier, not in a comment */
void add_wrapped(Text *to, const char *text, int column, int width); /* a list, broken after commas */
void add_statement(Text *to, int margin, const char *text);       /* broken before operators and after commas */
void add_indented(Text *to, const char *text, int margin);
void add_comment(Text *to, int margin, const char *text);         /* broken between words */

/* ── expression.c: scalars and indices as C ───────────────────────────────────────────────── */

typedef struct Known { const Scalar *scalar; const char *name; bool lanes; } Known; /* a value that a variable holds */

typedef struct Seen { const Scalar *scalar; int references; } Seen;  /* by how many expressions a value is needed */

/* The variables of a reduction that is kept in registers; the latter two are vectors, with a result for each lane. */
typedef struct Accumulator { const Statement *statement; const char *total, *place, *lanes, *places; } Accumulator;

/* Some turns of a step's outermost loop, as text: begin, begin + 1, ..., end - 1, which are `turns` for each row of a block, from
 * the row named. NULL stands for all of them. */
typedef struct Range {
    const char *begin, *end, *count, *row;
    const Poly *turns;
    bool whole;              /* always a number of them that is a multiple of MOST_LANES */
} Range;

/* A kernel in the making. */
typedef struct Kernel {
    Emit *emit;
    Text *to;
    const Step *step;
    AccessList accesses;
    LIST(Known) known;
    WordList names;          /* taken in the function */
    LIST(Seen) seen;
    LIST(Accumulator) accumulators;
    int margin;
    bool ranged;             /* it is given the turns of the outermost loop to do, as `begin` and `end` */
    bool whole;              /* always whole vectors of them */
    bool from_begin;         /* the outermost loop is counted from `begin` */
    const Step *lanes;       /* the loop around, if its turns are lanes of vectors; else NULL */
    bool ends;               /* and its last vector may have fewer of them: `lanes` */
} Kernel;

const char *buffer_text(const Kernel *kernel, const Buffer *buffer);
const char *index_text(Kernel *kernel, const Index *index);
const char *place_text(Kernel *kernel, const Buffer *buffer, const Index *index); /* the index in what the buffer has room for */
const char *scalar_text(Kernel *kernel, const Scalar *scalar);
const char *addend_text(Kernel *kernel, const Scalar *scalar);      /* the same, where it is added to something */
const Known *known_value(const Kernel *kernel, const Scalar *scalar); /* NULL where no variable holds it */
const char *known_name(const Kernel *kernel, const Scalar *scalar); /* likewise */
const char *poly_text(Emit *emit, const Poly *poly);
const char *times_text(Emit *emit, const Poly *factor, const char *text); /* "784 * row" */
const char *loop_name(int depth);

/* ── kernel.c: a loop nest as a function ──────────────────────────────────────────────────── */

Function kernel_function(Emit *emit, const Step *step, const Range *range); /* for the step, called for the range */
/* A statement without loops, as lines of the program that has it. */
void emit_inline(Emit *emit, Text *to, const Program *program, const Step *step, int margin);
const char *buffer_type(const Buffer *buffer); /* "float" or "int32_t" */

/* The body in the making: a line at the margin, names that are free, values that variables hold. */
void kernel_line(Kernel *kernel, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *kernel_name(Kernel *kernel, const char *wanted);
const char *name_in_loops(Kernel *kernel, const char *base, int depth);       /* "h_ij" */
const char *at_text(Kernel *kernel, const Statement *statement);              /* the element that it fills: "h[100 * i + j]" */
void declare_value(Kernel *kernel, const Scalar *scalar);
void know_result(Kernel *kernel, Statement *statement, const char *name, bool lanes);
bool is_compound(const Scalar *scalar);                                       /* its text is more than a name or a number */

/* ── reduction.c: sums and maxima ─────────────────────────────────────────────────────────── */

/* Before and behind the loop, which is called with itself as the step; `lanes`: its turns are computed in vectors. */
void open_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes);
void close_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes);
/* What the turns contribute, where its variables have been declared. */
void emit_reduced(Kernel *kernel, const Statement *statement);
/* Fills what the statement is accumulated in with its first value; without a loop: all of it. */
void clear_memory(Kernel *kernel, const Step *loop, const Statement *statement);

/* ── alike.c: functions that differ only in names ─────────────────────────────────────────── */

/* What the function is called: `name`, unless one that differs only in the names of its variables has been here before. */
const char *function_alike(Emit *emit, const Function *function, const char *name);

/* ── lanes.c: loops computed in vectors ───────────────────────────────────────────────────── */

enum { MOST_LANES = 16 /* of any machine that support/vector.c knows */ };

bool loop_has_lanes(Kernel *kernel, const Step *loop);               /* its turns can be lanes */
bool in_lanes(const Kernel *kernel, const Scalar *scalar);           /* the value differs from lane to lane: its text is a vector */
const char *lanes_text(Kernel *kernel, const Scalar *scalar);        /* a vector, whatever the value */
const char *spread_text(Kernel *kernel, const char *number);         /* a vector of it */
const char *load_lanes_text(Kernel *kernel, const Buffer *buffer, const Index *at);
const char *store_lanes_text(Kernel *kernel, const Buffer *buffer, const Index *at, const char *value);
const char *count_lanes_text(Kernel *kernel, const char *first);     /* first, first + 1, ... */
const char *first_lanes_text(Kernel *kernel, const char *value, const char *rest); /* `rest` in lanes that do not count */

/* ── product.c: matrix products ───────────────────────────────────────────────────────────── */

/* Appends the product with its loops, at the kernel's margin; in a block, the range of its rows. */
void emit_product(Kernel *kernel, const Gemm *g, const Range *range);
const char *product_comment(Emit *emit, const Gemm *g);          /* "hidden[n][100] = x[n][784] @ kernel[784][100]" */

/* ── program.c: an entry point's steps in order, as functions on pointers ─────────────────── */

void emit_program(Emit *emit, Text *to, const Program *program);
const char *value_comment(Emit *emit, const Buffer *buffer);     /* "hidden[n][784]" */
const char *place_comment(Emit *emit, const Node *node);         /* "vae.gdl:12", or "" */

/* ── threads.c: programs that several threads share ───────────────────────────────────────── */

const char *piece_offset(Emit *emit, const Buffer *parts);        /* where the sums of a piece lie: "784 * piece" */
/* What a thread has of a step of a shared task: "part", or "pieces" where pieces are computed apart; NULL where one has it all. */
const char *part_name(const Step *step);
/* Opens the loop over a thread's pieces of a step, each from row `begin` to row `end`. */
void open_pieces(Emit *emit, Text *to, int margin, const Step *step);
/* The function of a task, `name`, with these lines; `pointers` declares what they use of the model. */
void emit_task_function(Emit *emit, Text *to, const char *program, const char *name, const Task *task, const char *parameters,
                        const char *pointers, const char *lines);
/* The function `name` with these parameters (and a parenthesis), which has all threads share the tasks. */
void emit_team_function(Emit *emit, Text *to, const char *name, const char *parameters, const TaskList *tasks);
void emit_arguments(Emit *emit, Text *to, const char *name, const char *parameters); /* the struct of its arguments, ahead of both */
const char *task_name(Emit *emit, const char *program, int number);

/* ── conv.c ───────────────────────────────────────────────────────────────────────────────── */

/* A call for the range, and a function where there is none for its geometry yet. */
void emit_conv(Emit *emit, Text *functions, Text *to, const Conv *conv, const Range *range, int margin);
const char *conv_comment(Emit *emit, const Conv *conv);          /* "conv x[n][28][28], kernel[3][3][1][16]" */

/* ── profile.c: counters of time, operations and bytes, with --profile; else these emit nothing ── */

void profile_begin(Emit *emit, Text *to);                        /* at the start of a program, or of a task */
/* After the code of a step, which `task` (or NULL) has. */
void profile_step(Emit *emit, Text *to, int margin, const char *function, const Step *step, const Task *task);
void emit_profile_types(Emit *emit, Text *to);                   /* before the pieces */
void emit_profile_table(Emit *emit, Text *to);                   /* once all programs are emitted */
int header_bytes(const Emit *emit);                              /* what lies before a model's tensors; likewise */

/* ── interface.c: the functions that users call; header.c: their header; describe.c: tables ── */

void emit_interface(Emit *emit, Text *to);
void emit_header(Emit *emit, Text *to);
void emit_describe(Emit *emit, Text *to);

/* The run-time sizes that the functions of an entry point take, all of its stage alike: as parameters, and as arguments. */
const char *size_parameters(Emit *emit, const Entry *entry);     /* ", size_t time" */
const char *size_arguments(Emit *emit, const Entry *entry);      /* ", time" */
uint32_t size_symbols(Emit *emit, const Entry *entry);           /* a bit for each symbol */
const char *parameter_list(Emit *emit, const Entry *entry);      /* ", const float *image, float *mean" */
const char *stage_parameters(Emit *emit, const Stage *stage);
int stage_batches(const Stage *stage);                           /* how many batches an iteration reads */
typedef struct ReportName { const char *name; bool loss; } ReportName;
typedef LIST(ReportName) ReportNameList;
ReportNameList stage_reports(Emit *emit, const Stage *stage);

#endif

/* The PyTorch module of a model: what its files share.
 *
 *     torch.c        the module: tensors, first values, one method for each entry point
 *     method.c       an entry point as a method, one line for each value that has a name
 *     loop.c         a loop over time
 *     expression.c   a node as an expression of Python */
#ifndef TORCH_H
#define TORCH_H

#include "../gdlc.h"

/* How tightly an expression binds; an operand that binds less is put into parentheses. */
typedef enum Level { LEVEL_COMPARE, LEVEL_ADD, LEVEL_MUL, LEVEL_NEGATE, LEVEL_ATOM } Level;

typedef enum Form {
    FORM_PLAIN,
    FORM_BOOLEAN,    /* a tensor of truth values: a comparison */
    FORM_NEGATIVE,   /* -inner: added, it is a difference */
    FORM_INVERSE     /* 1 / inner: multiplied, it is a quotient */
} Form;

/* An expression of Python. */
typedef struct Code {
    const char *text;
    Level level;
    Form form;
    const char *inner;   /* NEGATIVE and INVERSE: the operand, as tight as it must be on the right */
    bool number;         /* a number of Python, not yet a tensor */
} Code;

/* The graph that is being written: of the entry point, or of the body of a loop. */
typedef struct Frame {
    const Graph *graph;
    const bool *needed;      /* by id of a node */
    const int *uses;         /* by id: how often its text will stand in other text */
    Code *code;              /* by id: how it is referred to, once it is written */
    const Code *slot;        /* of a body: by operand of the loop */
    const Code **part;       /* by id of a SCAN, once it is written: its results */
    int indent;              /* of its lines */
} Frame;

/* One method while it is written. */
typedef struct Method {
    Arena *arena;
    const Context *context;
    const Entry *entry;      /* in the form that is written: see forward_entry */
    Frame frame;
    const char **port;       /* by Port.index of an input: its name as an argument */
    LIST(const char *) names; /* taken by arguments and variables */
    Text body;
    Span commented;          /* the line of the model that the last comment shows */
    bool step, epoch, conv;  /* what the body uses */
    uint32_t sizes;          /* likewise: a bit for each symbol */
    const char *size[MAX_SYMBOLS]; /* their names */
} Method;

/* expression.c */

/* Whether the node's text is short enough to be repeated: it never gets a line and a name of its own. */
bool node_is_transparent(const Node *node);
/* The node as an expression of operands written before. Its value is a tensor of the node's shape; or a number, or truth values. */
Code python_code(Method *method, const Node *node);
/* A size: "28", "n", "2 * n". */
const char *dim_text(Method *method, Dim dim);
/* The node as an operand of its full shape that is a tensor: in parentheses unless it binds as tightly as `level`. */
const char *python_text(Method *method, const Node *node, Level level);

/* method.c */

/* A name for a variable, like the one wished for. */
const char *new_name(Method *method, const char *wish);
void write_line(Method *method, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes down the values that the roots need, nodes of the graph, in a frame that `frame` gives the rest of. */
void write_graph(Method *method, Frame frame, const Graph *graph, const NodeList *roots);

/* Appends the entry point as a method of the class. `entry` has only what PyTorch is to compute: outputs, reports and
 * assignments without any gradient of the graph's own; `title` begins its description. True where it needs `convolve`. */
bool method_write(Text *to, const Context *context, const Entry *entry, const char *name, const char *title);

/* loop.c */

/* Writes the loop that a SCAN is, and leaves its results in the frame. */
void write_loop(Method *method, const Node *scan);

#endif

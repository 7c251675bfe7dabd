/* The PyTorch module of a model: what its files share.
 *
 *     torch.c        the module: tensors, first values, one method for each entry point
 *     method.c       an entry point as a method, one line for each value that has a name
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

/* One method while it is written. */
typedef struct Method {
    Arena *arena;
    const Context *context;
    const Entry *entry;      /* in the form that is written: see forward_entry */
    const bool *needed;      /* by id of a node */
    const int *uses;         /* by id: how often its text will stand in other text */
    Code *code;              /* by id: how it is referred to, once it is written */
    const char **port;       /* by Port.index of an input: its name as an argument */
    LIST(const char *) names; /* taken by arguments and variables */
    Text body;
    Span commented;          /* the line of the model that the last comment shows */
    bool batch, step, epoch, conv; /* what the body uses */
} Method;

/* expression.c */

/* Whether the node's text is short enough to be repeated: it never gets a line and a name of its own. */
bool node_is_transparent(const Node *node);
/* The node as an expression of operands written before. Its value is a tensor of the node's shape; or a number, or truth values. */
Code python_code(Method *method, const Node *node);
/* The node as an operand of its full shape that is a tensor: in parentheses unless it binds as tightly as `level`. */
const char *python_text(Method *method, const Node *node, Level level);

/* method.c */

/* Appends the entry point as a method of the class. `entry` has only what PyTorch is to compute: outputs, reports and
 * assignments without any gradient of the graph's own; `title` begins its description. True where it needs `convolve`. */
bool method_write(Text *to, const Context *context, const Entry *entry, const char *name, const char *title);

#endif

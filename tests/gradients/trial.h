/* A trial: a function built from the graph's constructors, whose derivatives are compared with central differences of
 * the interpreter. */
#ifndef TRIAL_H
#define TRIAL_H

#include "gdlc.h"

enum { TRIAL_BATCH = 3, TRIAL_PORTS = 64 };

typedef struct Trial {
    Arena *arena;
    Graph *graph;
    Entry entry;                     /* its inputs are the trial's values */
    double *data[TRIAL_PORTS];       /* the value of each input */
    Node *variables[TRIAL_PORTS];    /* the inputs by which is differentiated */
    int variable_count;
    uint64_t random;                 /* state of the generator of values */
    const char *fault;               /* what went wrong first, or NULL */
} Trial;

void trial_begin(Trial *trial);
void trial_end(Trial *trial);

/* An input with values evenly drawn from low to high; a variable is differentiated by, a constant is not. */
Node *trial_variable(Trial *trial, const Shape *shape, double low, double high);
Node *trial_constant(Trial *trial, const Shape *shape, double low, double high);

/* The sum of sin(x) with random weights: a scalar that has derivatives of every order by all elements of x. */
Node *trial_scalar(Trial *trial, Node *x);

/* Compares all derivatives of the scalar `y`, to the given order: an order's derivatives, summed with random weights,
 * are the next order's y. The first difference is left in trial->fault. */
void trial_check(Trial *trial, Node *y, int orders);

/* The value of a node, from malloc, for the caller to free. */
double *trial_value(Trial *trial, Node *x);

/* The derivative of roots[0] of the entry by *x, which is among `values`, by central differences. */
double central_difference(const Entry *entry, Values *values, double *x);

/* Whether a derivative is what the differences say, in as many digits as these have. */
bool derivative_close(double found, double expected);

#endif

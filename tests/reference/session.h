/* A comparison under way: what compare.c and stages.c share. */
#ifndef SESSION_H
#define SESSION_H

#include "compare.h"

enum { PORTS = 32, ROOTS = 1024 };

typedef struct Session {
    Comparison *comparison;
    void *model;
    gdl_clock *clock;
    Tensor **errors;             /* see bounds.h */
    double **tensors;            /* by index: values, then errors */
    const gdl_tensor **described;/* by index */
} Session;

/* Data for one call, in the types that are wanted. */
typedef struct Inputs {
    const void *given[PORTS];    /* to the emitted function: float or int32_t */
    double *exact[PORTS];        /* to the interpreter */
    int64_t size[PORTS];         /* of one batch */
} Inputs;

unsigned draw_number(Comparison *c);
Inputs make_inputs(Comparison *c, Port *const *ports, int count, int64_t n, int64_t batches);

/* The model's tensors as they are, without errors, for the interpreter. */
void load_tensors(Session *s);

Values values_for(Session *s, const Inputs *inputs, int64_t n, uint64_t tick);

/* results[i] and, behind those of all roots, its bound. */
double **interpret_bounded(Session *s, const Entry *entry, Values values);
void free_results(const Entry *entry, double **results);

/* Each counts as passed or failed; `call` and `name` say in messages what was compared. */
void compare_values(Comparison *c, const char *call, const char *name, const float *found, const double *expected, const double *bounds,
                    int64_t size);
void compare_tensor(Session *s, const char *call, int i);
void expect_equal(Comparison *c, const char *what, uint64_t found, uint64_t expected);

/* Some steps and an evaluation of a stage. */
void compare_stage(Session *s, int number);

/* The sizes of a call with n examples, for shapes. */
const int64_t *symbols_of(Comparison *c, int64_t n);
/* Those that are known only at run time, in the order of the description. */
const size_t *sizes_of(Comparison *c);

#endif

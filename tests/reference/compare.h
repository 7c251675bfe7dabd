/* An emitted model beside the interpreter: the same first values, inputs and clock, and then every result. */
#ifndef COMPARE_H
#define COMPARE_H

#include "gdlc.h"
#include "gdl.h"

typedef struct Comparison {
    Arena *arena;
    const Module *module;        /* what the model was emitted from; its graphs are appended to */
    void *library;               /* that holds the model */
    const gdl_model *model;
    size_t batch;                /* capacity to create the model with */
    double low, high;            /* of inputs */
    unsigned random;             /* state of the generator of inputs */
    int64_t symbols[MAX_SYMBOLS]; /* the sizes of the calls; the first, the batch, is each call's own */
    int passed, failed;          /* arrays of results compared */
    int64_t values, loose;       /* elements compared; those with bounds above 1 %, or above 0.01 */
} Comparison;

/* Compares first values, every function with several numbers of examples, and some steps and evaluations of every stage; all of it with
 * several values of the sizes that are known only at run time, where there are any. Differences are printed. */
void compare_model(Comparison *comparison);

#endif

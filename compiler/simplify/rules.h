/* Private to simplify: constructors that return the simplest node they know for an operation.
 *
 * Each takes operands that are already simple, so that one walk in the order of the graph simplifies everything.
 * A rule may look into an operand only through `is`, which keeps the nodes that differentiation needs intact closed. */
#ifndef SIMPLIFY_RULES_H
#define SIMPLIFY_RULES_H

#include "../gdlc.h"

typedef struct SimpleScan { const Body *body; Node **in, **parts; } SimpleScan;

typedef struct Simplifier {
    Graph *graph;          /* where the simple nodes are made */
    bool final;            /* nothing is differentiated any more: `stop` goes */
    LIST(SimpleScan) scans; /* loops whose simple form is known, by their bodies and simple operands */
} Simplifier;

/* A walk over a graph in its order, which rebuilds in their simple form the nodes that are needed. */
typedef struct Walk {
    Simplifier *simplifier;
    const Graph *from;
    bool *needed;          /* by id of `from` */
    bool *closes;          /* by id of `from`: it becomes a closed node */
    Node **simple;         /* by id of `from`: the node in its simple form */
    Node ***parts;         /* by id of `from`, of a SCAN: its parts that are needed in their simple form */
} Walk;

Walk walk_over(Simplifier *simplifier, const Graph *from);
void walk_need(Walk *walk);    /* marks what those that are marked need, down to the nodes whose simple form is known */
void walk_rebuild(Walk *walk);
Node *rebuild(Simplifier *s, const Node *node, Node **in); /* the same operation, on other operands */

bool is(const Node *node, Op op);
bool is_uniform(const Node *node, double *value);
bool is_value(const Node *node, double value); /* every element is `value` */
Node *fill_like(Simplifier *s, double value, const Node *like);

/* elementwise.c */
Node *simple_unary(Simplifier *s, Op op, Node *x);
Node *simple_binary(Simplifier *s, Op op, Node *a, Node *b);
Node *simple_select(Simplifier *s, Node *condition, Node *yes, Node *no);
Node *simple_elementwise(Simplifier *s, Op op, Node **in);

/* movement.c */
Node *simple_reshape(Simplifier *s, Node *x, const Shape *shape);
Node *simple_permute(Simplifier *s, Node *x, const uint8_t *order);
Node *simple_expand(Simplifier *s, Node *x, const Shape *shape, uint32_t axes);
Node *simple_slice(Simplifier *s, Node *x, const Dim *start, const Dim *size, const int64_t *step);
Node *simple_pad(Simplifier *s, Node *x, const Dim *low, const Dim *high);
Node *simple_flip(Simplifier *s, Node *x, uint32_t axes);
Node *simple_concat(Simplifier *s, Node **parts, int count, int axis);
Node *simple_movement_like(Simplifier *s, const Node *movement, Node *x); /* the same movement of another node of that shape */

/* Axes of two shapes of equal size that hold the same elements: from[a..b) is to[c..d). Returns the number of groups. */
typedef struct AxisGroup { int from_start, from_end, to_start, to_end; } AxisGroup;
int reshape_groups(const Shape *from, const Shape *to, AxisGroup *groups);

/* pieces.c: the sum of values that are zero where the other is not, as a concatenation; or NULL */
Node *add_pieces(Simplifier *s, Node *a, Node *b);

/* reduce.c: reductions and contractions */
Node *simple_sum(Simplifier *s, Node *x, uint32_t axes);
Node *simple_max(Simplifier *s, Node *x, uint32_t axes);
Node *simple_dot(Simplifier *s, Node *a, Node *b, const DotAxes *axes);
Node *simple_conv(Simplifier *s, Node *x, Node *kernel, const ConvAxes *axes);

/* scan.c: loops. The simple forms of the parts of `node` that the walk needs, on operands `in`. */
Node **simple_scan(const Walk *walk, const Node *node, Node **in);

/* time.c: what a step computes, for all steps at once. By id: NULL where it is not known, or the same in every step. */
bool over_time_exists(const Node *node);                    /* the operation can be done for all steps */
Node *over_time(Simplifier *s, const Node *node, Dim turns, Node *const *sequence);

#endif

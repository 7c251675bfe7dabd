/* Random operations on a graph under way. */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "gdlc.h"

enum { RANDOM_CAPACITY = 5, POOL = 80, LARGEST_RANK = 4 };

/* The size of some axes is known only at run time: a symbol, with its bounds. */
enum { RANDOM_TIME = 1, SHORTEST = 2, LONGEST = 6 };
Dim random_time(int64_t base);  /* time + base */

typedef struct Maker {
    Graph *graph;
    uint64_t random;
    bool per_example;        /* no operation may mix examples: an axis of the batch stays where it is, the first */
    Node *node[POOL];
    double size[POOL];       /* no element of the node is larger */
    int count;
    int leaves;              /* how many nodes there were at first */
    int streams;
    int loops;               /* how many loops are around what is made now */
} Maker;

void maker_begin(Maker *m, Arena *arena, uint64_t seed, bool per_example);

/* A number from 0 to choices - 1. */
int choose(Maker *m, int choices);

/* Adds a node to those that operations are made of; no element of it is larger than `size`. Returns the node. */
Node *keep(Maker *m, Node *node, double size);

/* Appends so many random operations on the nodes that were kept, which become kept, too. */
void add_operations(Maker *m, int count);

/* A random loop over time: its step is made of random operations, too, and may have loops of its own. */
void add_loop(Maker *m);

/* One of the leaves that a graph starts from, or, more often, a later node, so that graphs grow deep. */
Node *any_node(Maker *m);

/* A node of that shape, not `other` if there is a choice: an earlier one, or a new leaf. */
Node *of_shape(Maker *m, const Shape *shape, const Node *other);

double size_of(const Maker *m, const Node *node); /* as it was kept with */
bool has_batch(const Node *node);
bool small(const Shape *shape);                   /* for a batch of five: few enough elements to be quick */

/* The node, or a function of it where its values may be larger than the limit. */
Node *tamed(Maker *m, Node *x, double limit);

#endif

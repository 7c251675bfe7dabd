/* What the rules of differentiation share. */
#ifndef ADJOINTS_H
#define ADJOINTS_H

#include "../gdlc.h"

/* A walk back over a graph: the adjoint of a node is the derivative of what is differentiated by it. */
struct Adjoints {
    Graph *graph;
    Node **of;        /* by id: the adjoint so far, or NULL for zero */
    bool *wanted;     /* by id: some variable lies behind this node */
    int count;        /* of the nodes that there were when the walk began */
};

Adjoints adjoints_create(Graph *graph, int count); /* nothing wanted yet */
void contribute(Adjoints *adjoints, Node *node, Node *d); /* adds `d` to the adjoint of `node`, where that is wanted */
bool wants(const Adjoints *adjoints, const Node *node);

/* Of one operation: `d` is the adjoint of the node. */
#define RULE(name) \
    void differentiate_##name(Adjoints *adjoints, Node *node, Node *d); \
    void differentiate_##name(Adjoints *adjoints, Node *node, Node *d)

#endif

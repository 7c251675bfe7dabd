/* What steps read and write: the facts that decide whether two of them may change places or share loops. */
#include "fuse.h"

static void scalar_accesses(Arena *arena, const Scalar *s, AccessList *list);

static void index_accesses(Arena *arena, const Index *index, AccessList *list) {
    for (int i = 0; i < index->count; i++) {
        const Atom *atom = index->term[i].atom;
        if (atom->kind == ATOM_VALUE) scalar_accesses(arena, atom->value, list);
        else if (atom->kind != ATOM_LOOP) index_accesses(arena, atom->index, list);
    }
}

static void scalar_accesses(Arena *arena, const Scalar *s, AccessList *list) {
    switch (s->kind) {
    case SCALAR_LOAD:
        LIST_PUSH(arena, list, ((Access){.buffer = s->load.buffer, .at = s->load.at}));
        index_accesses(arena, s->load.at, list);
        break;
    case SCALAR_OP:
        for (int i = 0; i < s->op.arity; i++) scalar_accesses(arena, s->op.in[i], list);
        break;
    case SCALAR_INDEX: index_accesses(arena, s->index, list); break;
    case SCALAR_GUARD:
        index_accesses(arena, s->guard.index, list);
        scalar_accesses(arena, s->guard.yes, list);
        scalar_accesses(arena, s->guard.no, list);
        break;
    default: break;
    }
}

void statement_accesses(Arena *arena, const Statement *statement, AccessList *list) {
    scalar_accesses(arena, statement->value, list);
    index_accesses(arena, statement->at, list);
    if (statement->stored)
        LIST_PUSH(arena, list, ((Access){.buffer = statement->buffer, .at = statement->at, .writes = true}));
}

void step_accesses(Arena *arena, const Step *step, AccessList *list) {
    switch (step->kind) {
    case STEP_LOOP:
        for (int i = 0; i < step->loop.body.count; i++) step_accesses(arena, step->loop.body.items[i], list);
        break;
    case STEP_STATEMENT: statement_accesses(arena, step->statement, list); break;
    case STEP_GEMM:
        LIST_PUSH(arena, list, ((Access){.buffer = step->gemm.a}));
        LIST_PUSH(arena, list, ((Access){.buffer = step->gemm.b}));
        LIST_PUSH(arena, list, ((Access){.buffer = step->gemm.c, .writes = true}));
        break;
    case STEP_CONV:
        LIST_PUSH(arena, list, ((Access){.buffer = step->conv.x.buffer}));
        LIST_PUSH(arena, list, ((Access){.buffer = step->conv.kernel.buffer}));
        LIST_PUSH(arena, list, ((Access){.buffer = step->conv.columns, .writes = true}));
        LIST_PUSH(arena, list, ((Access){.buffer = step->conv.out, .writes = true}));
        break;
    case STEP_DRAW: LIST_PUSH(arena, list, ((Access){.buffer = step->draw.buffer, .writes = true})); break;
    }
}

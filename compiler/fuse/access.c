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

/* The axes of a product as loops inside its own: rows, what is summed over, columns. A row reads all of the second operand. */
enum { LOOP_M, LOOP_K, LOOP_N };

typedef struct MatrixAxis { int loop; const Poly *extent, *distance; } MatrixAxis;

static void matrix_access(Arena *arena, const Gemm *gemm, Access whole, MatrixAxis down, MatrixAxis across, AccessList *list) {
    const int depth = gemm->depth + gemm->loops;
    index_accesses(arena, whole.at, list);
    whole.at = index_add(arena, whole.at, index_mul(arena, index_loop(arena, depth + down.loop, down.extent), down.distance));
    whole.at = index_add(arena, whole.at, index_mul(arena, index_loop(arena, depth + across.loop, across.extent), across.distance));
    LIST_PUSH(arena, list, whole);
}

static void gemm_accesses(Arena *arena, const Gemm *g, AccessList *list) {
    const Poly *one = poly_const(arena, 1);
    matrix_access(arena, g, (Access){.buffer = g->a, .at = g->a_at}, (MatrixAxis){LOOP_M, g->m, g->a_m},
                  (MatrixAxis){LOOP_K, g->k, g->a_k}, list);
    matrix_access(arena, g, (Access){.buffer = g->b, .at = g->b_at}, (MatrixAxis){LOOP_K, g->k, g->b_k},
                  (MatrixAxis){LOOP_N, g->n, g->b_n}, list);
    matrix_access(arena, g, (Access){.buffer = g->c, .at = g->c_at, .writes = true}, (MatrixAxis){LOOP_M, g->m, g->n},
                  (MatrixAxis){LOOP_N, g->n, one}, list);
}

typedef struct ConvLoop { int64_t extent, distance; } ConvLoop;

/* The places that one turn of a convolution touches: its own loop, and four inside of it. */
static const Index *conv_places(Arena *arena, const Conv *conv, int64_t start, int64_t distance, const ConvLoop inside[4]) {
    const Index *at = index_const(arena, poly_const(arena, start));
    at = index_add(arena, at, index_mul(arena, index_loop(arena, conv->depth, conv->turns), poly_const(arena, distance)));
    for (int i = 0; i < 4; i++)
        at = index_add(arena, at, index_mul(arena, index_loop(arena, conv->depth + i + 1, poly_const(arena, inside[i].extent)),
                                            poly_const(arena, inside[i].distance)));
    return at;
}

static void conv_accesses(Arena *arena, const Conv *conv, AccessList *list) {
    const ConvAxis *row = &conv->row, *column = &conv->column;
    const ConvLoop x[] = {{row->size, row->image}, {column->size, column->image}, {conv->channels, conv->channel}, {1, 0}};
    const ConvLoop out[] = {{row->positions, row->out}, {column->positions, column->out}, {conv->filters, 1}, {1, 0}};
    const ConvLoop tap[] = {{conv->channels, conv->kernel_channel}, {conv->filters, conv->kernel_filter}, {1, 0}, {1, 0}};
    if (conv_packs(conv)) {
        LIST_PUSH(arena, list, ((Access){.buffer = conv->kernel.buffer}));
        LIST_PUSH(arena, list, ((Access){.buffer = conv->packed, .writes = true}));
    } else if (conv->form == CONV_GRADIENT) { /* a kernel that is computed lies in order: one tap is a turn from the next */
        LIST_PUSH(arena, list, ((Access){.buffer = conv->x.buffer}));
        LIST_PUSH(arena, list, ((Access){.buffer = conv->out.buffer}));
        LIST_PUSH(arena, list, ((Access){.buffer = conv->kernel.buffer, .writes = true,
                                         .at = conv_places(arena, conv, conv->kernel.start, column->kernel, tap)}));
    } else {
        LIST_PUSH(arena, list, ((Access){.buffer = conv->x.buffer, .at = conv_places(arena, conv, conv->x.start, conv->image, x)}));
        LIST_PUSH(arena, list, ((Access){.buffer = conv->packed}));
        LIST_PUSH(arena, list, ((Access){.buffer = conv->out.buffer, .writes = true,
                                         .at = conv_places(arena, conv, conv->out.start, conv->out_image, out)}));
    }
}

static void draw_accesses(Arena *arena, const Draw *draw, AccessList *list) {
    const Index *position = draw->turns ? index_loop(arena, 0, draw->turns) : NULL;
    LIST_PUSH(arena, list, ((Access){.buffer = draw->buffer, .at = position, .writes = true}));
}

const StepList *step_body(const Step *step) {
    static const StepList none;
    switch (step->kind) {
    case STEP_LOOP: return &step->loop.body;
    case STEP_SCAN: return &step->scan.body;
    case STEP_BLOCK: return &step->block.body;
    default: return &none;
    }
}

bool step_has(const Step *step, StepKind kind) {
    for (int i = 0; i < step_body(step)->count; i++)
        if (step_has(step_body(step)->items[i], kind)) return true;
    return step->kind == kind;
}

const Poly *step_turns(const Step *step) {
    switch (step->kind) {
    case STEP_LOOP: return step->loop.extent;
    case STEP_GEMM: return step->gemm.loops > 0 ? step->gemm.extent[0] : step->gemm.m;
    case STEP_BLOCK: return step->block.extent;
    case STEP_CONV: return step->conv.turns;
    case STEP_DRAW: return step->draw.turns;
    default: return NULL;
    }
}

void list_accesses(Arena *arena, Step *step) {
    for (int i = 0; i < step_body(step)->count; i++) list_accesses(arena, step_body(step)->items[i]);
    step->accesses = (AccessList){0};
    step_accesses(arena, step, &step->accesses);
}

void step_accesses(Arena *arena, const Step *step, AccessList *list) {
    const int first = list->count;
    for (int i = 0; i < step_body(step)->count; i++) step_accesses(arena, step_body(step)->items[i], list);
    switch (step->kind) {
    case STEP_LOOP: case STEP_BLOCK: break;
    case STEP_SCAN: /* seen from outside, it reads and writes all of what its steps do */
        for (int i = first; i < list->count; i++) list->items[i].at = NULL;
        break;
    case STEP_STATEMENT: statement_accesses(arena, step->statement, list); break;
    case STEP_GEMM: gemm_accesses(arena, &step->gemm, list); break;
    case STEP_CONV:
        conv_accesses(arena, &step->conv, list);
        break;
    case STEP_DRAW: draw_accesses(arena, &step->draw, list); break;
    }
}

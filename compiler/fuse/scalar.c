/* Scalars: what one turn of the loops computes, built by walking the graph from a node at an index.
 *
 * Elementwise nodes become operations; a movement only changes the index at which its input is read, so that it
 * never costs a pass over memory. The walk ends at what is stored. */
#include "fuse.h"

#include <assert.h>

/* ── equal scalars are one ────────────────────────────────────────────────────────────────── */

static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9E3779B97F4A7C15u + (hash >> 29); }

static uint64_t index_hash(const Index *index) {
    uint64_t hash = (uint64_t)index->count;
    for (int i = 0; i < index->count; i++) hash += mix(7, (uint64_t)(index->term[i].atom->depth * 4 + 4));
    return hash;
}

static uint64_t scalar_hash(const Scalar *s) {
    uint64_t hash = mix(1, (uint64_t)s->kind);
    switch (s->kind) {
    case SCALAR_NUMBER: { union { double number; uint64_t bits; } both = {s->number}; return mix(hash, both.bits); }
    case SCALAR_LOAD: return mix(mix(hash, (uintptr_t)s->load.buffer), index_hash(s->load.at));
    case SCALAR_OP:
        hash = mix(hash, (uint64_t)s->op.op);
        for (int i = 0; i < s->op.arity; i++) hash = mix(hash, (uintptr_t)s->op.in[i]);
        return hash;
    case SCALAR_INDEX: return mix(hash, index_hash(s->index));
    case SCALAR_GUARD: return mix(mix(hash, (uintptr_t)s->guard.yes), (uintptr_t)s->guard.no);
    case SCALAR_RESULT: return mix(hash, (uintptr_t)s->result);
    case SCALAR_CLOCK: return mix(hash, (uint64_t)s->clock);
    case SCALAR_SIZE: break;
    }
    return hash;
}

static bool number_equal(double a, double b) {
    union { double number; uint64_t bits; } x = {a}, y = {b};
    return x.bits == y.bits;
}

static bool scalar_equal(const Scalar *a, const Scalar *b) {
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case SCALAR_NUMBER: return number_equal(a->number, b->number);
    case SCALAR_LOAD: return a->load.buffer == b->load.buffer && index_equal(a->load.at, b->load.at);
    case SCALAR_OP:
        for (int i = 0; i < a->op.arity; i++)
            if (a->op.in[i] != b->op.in[i]) return false;
        return a->op.op == b->op.op;
    case SCALAR_INDEX: return index_equal(a->index, b->index);
    case SCALAR_SIZE: return poly_equal(a->size, b->size);
    case SCALAR_CLOCK: return a->clock == b->clock;
    case SCALAR_GUARD:
        return a->guard.yes == b->guard.yes && a->guard.no == b->guard.no &&
               index_equal(a->guard.index, b->guard.index) && poly_equal(a->guard.low, b->guard.low) &&
               poly_equal(a->guard.high, b->guard.high);
    case SCALAR_RESULT: return a->result == b->result;
    }
    return false;
}

static void table_put(const Scalar **table, int size, const Scalar *scalar) {
    size_t at = scalar_hash(scalar) & (size_t)(size - 1);
    while (table[at]) at = (at + 1) & (size_t)(size - 1);
    table[at] = scalar;
}

static void table_grow(Fuse *fuse) {
    const int size = fuse->tables->scalars_size ? 2 * fuse->tables->scalars_size : 256;
    const Scalar **table = arena_alloc(fuse->arena, (size_t)size * sizeof *table);
    for (int i = 0; i < fuse->tables->scalars_size; i++)
        if (fuse->tables->scalars[i]) table_put(table, size, fuse->tables->scalars[i]);
    fuse->tables->scalars = table;
    fuse->tables->scalars_size = size;
}

static int deeper(int a, int b) { return a > b ? a : b; }

static int scalar_depth(const Scalar *s) {
    int depth = -1;
    switch (s->kind) {
    case SCALAR_LOAD: return index_depth(s->load.at);
    case SCALAR_INDEX: return index_depth(s->index);
    case SCALAR_OP:
        for (int i = 0; i < s->op.arity; i++) depth = deeper(depth, s->op.in[i]->depth);
        return depth;
    case SCALAR_GUARD:
        return deeper(index_depth(s->guard.index), deeper(s->guard.yes->depth, s->guard.no->depth));
    case SCALAR_RESULT: return index_depth(s->result->at);
    default: return -1;
    }
}

const Scalar *scalar_unique(Fuse *fuse, const Scalar *scalar) {
    if (2 * fuse->tables->scalars_count >= fuse->tables->scalars_size) table_grow(fuse);
    const size_t mask = (size_t)(fuse->tables->scalars_size - 1);
    for (size_t at = scalar_hash(scalar) & mask; fuse->tables->scalars[at]; at = (at + 1) & mask)
        if (scalar_equal(fuse->tables->scalars[at], scalar)) return fuse->tables->scalars[at];
    Scalar *kept = NEW(fuse->arena, Scalar);
    *kept = *scalar;
    kept->depth = scalar_depth(kept);
    table_put(fuse->tables->scalars, fuse->tables->scalars_size, kept);
    fuse->tables->scalars_count++;
    return kept;
}

/* ── indices of whole shapes ──────────────────────────────────────────────────────────────── */

const Index *index_address(Arena *arena, const Shape *shape, const Index *const *at) {
    const Index *address = index_const(arena, poly_const(arena, 0));
    const Poly *stride = poly_const(arena, 1);
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        address = index_add(arena, address, index_mul(arena, at[axis], stride));
        stride = poly_mul(arena, stride, poly_dim(arena, shape->dim[axis]));
    }
    return address;
}

void index_split(Arena *arena, const Index *flat, int count, const Poly *const *extent, const Index **at) {
    for (int axis = count - 1; axis > 0; axis--) {
        const Poly *before = poly_const(arena, 1);
        for (int i = 0; i < axis; i++) before = poly_mul(arena, before, extent[i]);
        at[axis] = index_mod(arena, flat, extent[axis]);
        flat = index_div(arena, flat, extent[axis], before);
    }
    if (count > 0) at[0] = flat;
}

/* The smallest runs of axes of both shapes, from the left, that hold equally many elements: index by index they are
 * flattened and split anew, and what does not change stays as it is. */
static void index_reshape(Arena *arena, const Shape *from, const Index *const *at, const Shape *to,
                          const Index **result) {
    for (int i = 0, j = 0; i < from->rank || j < to->rank;) {
        const int first_i = i, first_j = j;
        const Poly *a = poly_const(arena, 1), *b = a, *extent[MAX_RANK];
        do {
            const bool less = poly_nonnegative(arena, poly_add(arena, b, poly_scale(arena, a, -1)));
            if (i < from->rank && (less || j == to->rank)) a = poly_mul(arena, a, poly_dim(arena, from->dim[i++]));
            else b = poly_mul(arena, b, poly_dim(arena, to->dim[j++]));
        } while ((i < from->rank || j < to->rank) && !poly_equal(a, b));
        Shape run = {.rank = i - first_i};
        for (int k = first_i; k < i; k++) run.dim[k - first_i] = from->dim[k];
        for (int k = first_j; k < j; k++) extent[k - first_j] = poly_dim(arena, to->dim[k]);
        index_split(arena, index_address(arena, &run, at + first_i), j - first_j, extent, result + first_j);
    }
}

/* ── the walk ─────────────────────────────────────────────────────────────────────────────── */

static const Scalar *scalar_of(Fuse *fuse, Scalar scalar, const Node *node) {
    scalar.node = node;
    return scalar_unique(fuse, &scalar);
}

static const Scalar *scalar_load(Fuse *fuse, Buffer *buffer, const Index *at, const Node *node) {
    return scalar_of(fuse, (Scalar){.kind = SCALAR_LOAD, .load = {buffer, at}}, node);
}

static const Scalar *number(Fuse *fuse, double value) {
    return scalar_unique(fuse, &(Scalar){.kind = SCALAR_NUMBER, .number = value});
}

static const Scalar *guard(Fuse *fuse, const Node *node, const Index *index, const Poly *low, const Poly *high,
                           const Scalar *yes, const Scalar *no) {
    return scalar_of(fuse, (Scalar){.kind = SCALAR_GUARD, .guard = {index, low, high, yes, no}}, node);
}

static const Scalar *at_pad(Fuse *fuse, const Node *node, const Index *const *at) {
    Arena *arena = fuse->arena;
    const Node *in = node->in[0];
    const Index *inner[MAX_RANK];
    for (int axis = 0; axis < in->shape.rank; axis++) {
        const Poly *low = poly_dim(arena, node->attr.pad.low[axis]);
        inner[axis] = index_add(arena, at[axis], index_const(arena, poly_scale(arena, low, -1)));
    }
    const Scalar *value = scalar_at(fuse, in, inner);
    for (int axis = 0; axis < in->shape.rank; axis++) {
        const Poly *low = poly_dim(arena, node->attr.pad.low[axis]);
        if (poly_is(low, 0) && poly_is(poly_dim(arena, node->attr.pad.high[axis]), 0)) continue;
        const Poly *high = poly_add(arena, low, poly_dim(arena, in->shape.dim[axis]));
        value = guard(fuse, node, at[axis], low, high, value, number(fuse, 0));
    }
    return value;
}

/* The parts from the last to the first: index < end ? part : the later ones. */
static const Scalar *at_concat(Fuse *fuse, const Node *node, const Index *const *at) {
    Arena *arena = fuse->arena;
    const int axis = node->attr.axis;
    const Scalar *value = NULL;
    const Poly *end = poly_dim(arena, node->shape.dim[axis]);
    for (int part = node->arity - 1; part >= 0; part--) {
        const Node *in = node->in[part];
        const Index *inner[MAX_RANK];
        const Poly *start = poly_add(arena, end, poly_scale(arena, poly_dim(arena, in->shape.dim[axis]), -1));
        for (int i = 0; i < in->shape.rank; i++) inner[i] = at[i];
        inner[axis] = index_add(arena, at[axis], index_const(arena, poly_scale(arena, start, -1)));
        const Scalar *piece = scalar_at(fuse, in, inner);
        value = value ? guard(fuse, node, at[axis], start, end, piece, value) : piece;
        end = start;
    }
    return value;
}

static const Scalar *at_gather(Fuse *fuse, const Node *node, const Index *const *at) {
    const Node *table = node->in[0], *index = node->in[1];
    const Index *inner[MAX_RANK];
    inner[0] = index_value(fuse->arena, scalar_at(fuse, index, at), poly_dim(fuse->arena, table->shape.dim[0]));
    for (int axis = 1; axis < table->shape.rank; axis++) inner[axis] = at[index->shape.rank + axis - 1];
    return scalar_at(fuse, table, inner);
}

/* Where the input of a movement with one input is read. */
static void movement_index(Arena *arena, const Node *node, const Index *const *at, const Index **inner) {
    const Shape *in = &node->in[0]->shape;
    int next = 0;
    switch (node->op) {
    case OP_RESHAPE: index_reshape(arena, &node->shape, at, in, inner); break;
    case OP_PERMUTE:
        for (int axis = 0; axis < in->rank; axis++) inner[node->attr.order[axis]] = at[axis];
        break;
    case OP_EXPAND:
        for (int axis = 0; axis < node->shape.rank; axis++)
            if (!(node->attr.axes >> axis & 1)) inner[next++] = at[axis];
        break;
    case OP_SLICE:
        for (int axis = 0; axis < in->rank; axis++)
            inner[axis] = index_add(arena, index_const(arena, poly_dim(arena, node->attr.slice.start[axis])),
                                    index_mul(arena, at[axis], poly_const(arena, node->attr.slice.step[axis])));
        break;
    case OP_FLIP:
        for (int axis = 0; axis < in->rank; axis++) {
            const Poly *last = poly_add(arena, poly_dim(arena, in->dim[axis]), poly_const(arena, -1));
            const bool turned = node->attr.axes >> axis & 1;
            inner[axis] =
                turned ? index_add(arena, index_const(arena, last), index_mul(arena, at[axis], poly_const(arena, -1)))
                       : at[axis];
        }
        break;
    default: /* STOP */
        for (int axis = 0; axis < in->rank; axis++) inner[axis] = at[axis];
    }
}

static const Scalar *at_movement(Fuse *fuse, const Node *node, const Index *const *at) {
    const Index *inner[MAX_RANK];
    if (node->op == OP_PAD) return at_pad(fuse, node, at);
    if (node->op == OP_CONCAT) return at_concat(fuse, node, at);
    movement_index(fuse->arena, node, at, inner);
    return scalar_at(fuse, node->in[0], inner);
}

static const Scalar *at_elementwise(Fuse *fuse, const Node *node, const Index *const *at) {
    Scalar scalar = {.kind = SCALAR_OP, .op = {.op = node->op, .arity = node->arity}};
    for (int i = 0; i < node->arity; i++) scalar.op.in[i] = scalar_at(fuse, node->in[i], at);
    return scalar_of(fuse, scalar, node);
}

const Scalar *scalar_compute(Fuse *fuse, const Node *node, const Index *const *at) {
    switch (node->op) {
    case OP_CONST: return number(fuse, node->attr.value);
    case OP_IOTA: return scalar_of(fuse, (Scalar){.kind = SCALAR_INDEX, .index = at[node->attr.axis]}, node);
    case OP_SIZE:
        return scalar_of(fuse, (Scalar){.kind = SCALAR_SIZE, .size = poly_dim(fuse->arena, node->attr.size)}, node);
    case OP_CLOCK: return scalar_of(fuse, (Scalar){.kind = SCALAR_CLOCK, .clock = node->attr.clock}, node);
    case OP_GATHER: return at_gather(fuse, node, at);
    case OP_STOP: return at_movement(fuse, node, at);
    default: break;
    }
    if (op_info[node->op].class == CLASS_MOVEMENT) return at_movement(fuse, node, at);
    assert(op_info[node->op].class == CLASS_ELEMENTWISE);
    return at_elementwise(fuse, node, at);
}

const Scalar *scalar_at(Fuse *fuse, const Node *node, const Index *const *at) {
    Buffer *buffer = fuse->stored[node->id];
    if (buffer == NULL) return node->op == OP_SLOT ? slot_at(fuse, node, at) : scalar_compute(fuse, node, at);
    const Index *address = index_address(fuse->arena, &node->shape, at), *start = fuse->start[node->id];
    return scalar_load(fuse, buffer, start ? index_add(fuse->arena, start, address) : address, node);
}

/* ── how many divisions an expression's addresses need ────────────────────────────────────── */

static int index_divisions(const Index *index) {
    int count = 0;
    for (int i = 0; i < index->count; i++) {
        const Atom *atom = index->term[i].atom;
        if (atom->kind == ATOM_VALUE) count += scalar_divisions(atom->value);
        else if (atom->kind != ATOM_LOOP) count += 1 + index_divisions(atom->index);
    }
    return count;
}

int scalar_divisions(const Scalar *s) {
    int count = 0;
    switch (s->kind) {
    case SCALAR_LOAD: return index_divisions(s->load.at);
    case SCALAR_INDEX: return index_divisions(s->index);
    case SCALAR_OP:
        for (int i = 0; i < s->op.arity; i++) count += scalar_divisions(s->op.in[i]);
        return count;
    case SCALAR_GUARD:
        return index_divisions(s->guard.index) + scalar_divisions(s->guard.yes) + scalar_divisions(s->guard.no);
    default: return 0;
    }
}

const Scalar *scalar_replace(Fuse *fuse, const Scalar *scalar, ReplaceLoad *replace, const void *context) {
    Scalar copy = *scalar;
    switch (scalar->kind) {
    case SCALAR_LOAD: return replace(fuse, scalar, context);
    case SCALAR_OP:
        for (int i = 0; i < scalar->op.arity; i++) copy.op.in[i] = scalar_replace(fuse, scalar->op.in[i], replace, context);
        return scalar_unique(fuse, &copy);
    case SCALAR_GUARD:
        copy.guard.yes = scalar_replace(fuse, scalar->guard.yes, replace, context);
        copy.guard.no = scalar_replace(fuse, scalar->guard.no, replace, context);
        return scalar_unique(fuse, &copy);
    default: return scalar;
    }
}

/* Sums of padded values that do not overlap are concatenations: so the gradients of the parts of a split come together without
 * zeros to add. */
#include "rules.h"

enum { MAX_PIECES = 16 };

/* A value as pieces along an axis; NULL stands for zeros. */
typedef struct Pieces {
    int axis, count;
    struct { Node *value; int64_t size; } at[MAX_PIECES];
} Pieces;

static void add_piece(Pieces *pieces, Node *value, int64_t size) {
    if (size == 0) return;
    pieces->at[pieces->count].value = value;
    pieces->at[pieces->count++].size = size;
}

/* The only axis that is padded, by constant numbers of zeros; -1 where there is no such axis. */
static int padded_axis(const Node *pad) {
    int axis = -1;
    for (int i = 0; i < pad->shape.rank; i++) {
        if (dim_equal(pad->shape.dim[i], pad->in[0]->shape.dim[i])) continue;
        if (axis >= 0 || !dim_is_const(pad->shape.dim[i]) || !dim_is_const(pad->in[0]->shape.dim[i])) return -1;
        axis = i;
    }
    return axis;
}

static bool pieces_of_pad(const Node *pad, Pieces *pieces) {
    pieces->axis = padded_axis(pad);
    if (pieces->axis < 0) return false;
    add_piece(pieces, NULL, pad->attr.pad.low[pieces->axis].base);
    add_piece(pieces, pad->in[0], pad->in[0]->shape.dim[pieces->axis].base);
    add_piece(pieces, NULL, pad->attr.pad.high[pieces->axis].base);
    return true;
}

static bool pieces_of_concat(const Node *concat, Pieces *pieces) {
    pieces->axis = concat->attr.axis;
    if (concat->arity > MAX_PIECES / 2) return false;
    for (int i = 0; i < concat->arity; i++) {
        const Dim size = concat->in[i]->shape.dim[pieces->axis];
        if (!dim_is_const(size)) return false;
        add_piece(pieces, is_value(concat->in[i], 0) ? NULL : concat->in[i], size.base);
    }
    return true;
}

static bool pieces_of(const Node *x, Pieces *pieces) {
    *pieces = (Pieces){ 0 };
    return is(x, OP_PAD) ? pieces_of_pad(x, pieces) : is(x, OP_CONCAT) && pieces_of_concat(x, pieces);
}

/* Zeros that a piece of the other value lies within are cut to what is left of them. */
static bool merge(Pieces *a, Pieces *b, Pieces *all) {
    for (int i = 0, j = 0; i < a->count;) {
        Pieces *from = a->at[i].value ? a : b, *zeros = a->at[i].value ? b : a;
        int *piece = a->at[i].value ? &i : &j, *zero = a->at[i].value ? &j : &i;
        const int64_t size = from->at[*piece].value || from->at[*piece].size < zeros->at[*zero].size ? from->at[*piece].size : zeros->at[*zero].size;
        if (zeros->at[*zero].value || zeros->at[*zero].size < size || all->count == MAX_PIECES) return false;
        add_piece(all, from->at[*piece].value, size);
        zeros->at[*zero].size -= size;
        from->at[*piece].size -= size;
        if (zeros->at[*zero].size == 0) ++*zero;
        if (from->at[*piece].size == 0) ++*piece;
    }
    return true;
}

Node *add_pieces(Simplifier *s, Node *a, Node *b) {
    Pieces of_a, of_b, all = { 0 };
    if (!pieces_of(a, &of_a) || !pieces_of(b, &of_b) || of_a.axis != of_b.axis || !merge(&of_a, &of_b, &all)) return NULL;
    Node *parts[MAX_PIECES];
    for (int i = 0; i < all.count; i++) {
        Shape shape = a->shape;
        shape.dim[of_a.axis] = dim_const(all.at[i].size);
        parts[i] = all.at[i].value ? all.at[i].value : graph_fill(s->graph, 0, &shape);
    }
    return simple_concat(s, parts, all.count, of_a.axis);
}

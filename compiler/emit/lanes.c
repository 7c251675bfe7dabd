/* Which loops are computed in vectors: those whose turns become lanes, with the loops in them turn by turn. The innermost one that can
 * does. No turn may need what another one computes, and what is read and stored must be found without looking into each lane. The turns
 * that are left at the end are the first lanes of one more vector. Other loops stay loops over single numbers. */
#include "emit.h"

#include "../fuse/fuse.h"

#include <string.h>

enum {
    LEAST = 4,           /* turns for which a vector pays */
    LEAST_SUMMED = 8     /* and where its lanes must be added up */
};

/* A quotient or rest of the loop's own variable, by so many that a vector that starts at a multiple of its lanes meets no border. */
static bool whole_vectors(const Kernel *kernel, const Atom *atom, const Step *loop) {
    int64_t by;
    if (atom->kind != ATOM_DIV && atom->kind != ATOM_MOD) return false;
    const Index *of = atom->index;
    return !(kernel->ranged && loop == kernel->step) && of->count == 1 && of->constant->count == 0 && poly_is(of->term[0].factor, 1) &&
           of->term[0].atom->kind == ATOM_LOOP && of->term[0].atom->depth == loop->loop.depth && poly_constant(atom->by, &by) && by % MOST_LANES == 0;
}

/* How far apart neighbouring lanes lie; NULL: not always equally far. */
static const Poly *lane_stride(const Kernel *kernel, const Index *at, const Step *loop) {
    Arena *arena = kernel->emit->arena;
    const Poly *stride = index_factor(arena, at, loop->loop.depth);
    for (int i = 0; i < at->count; i++) {
        const Atom *atom = at->term[i].atom;
        if (atom->kind == ATOM_LOOP || atom->depth < loop->loop.depth) continue;
        if (!whole_vectors(kernel, atom, loop)) return NULL;
        if (atom->kind == ATOM_MOD) stride = poly_add(arena, stride, at->term[i].factor);
    }
    return stride;
}

/* What is known of a loop on the way. */
typedef struct Check {
    Kernel *kernel;
    const Step *loop;
    LIST(const Scalar *) met; /* expressions share parts */
    bool functions;           /* one of them is worth a vector wherever it goes */
    bool apart;               /* vectors must be put together from numbers, or be taken apart */
    bool summed;              /* their lanes must be added up */
} Check;

static bool is_function(const Scalar *scalar) {
    if (scalar->kind != SCALAR_OP || scalar->op.arity > 1) return false;
    switch (scalar->op.op) {
    case OP_NEG: case OP_RECIP: case OP_ABS: case OP_SIGN: case OP_FLOOR: case OP_ROUND: return false;
    default: return true;
    }
}

static bool load_has_lanes(Check *check, const Scalar *load) {
    const Poly *stride = lane_stride(check->kernel, load->load.at, check->loop);
    if (!stride || strcmp(buffer_type(load->load.buffer), "float") != 0) return false;
    check->apart = check->apart || !(poly_is(stride, 0) || poly_is(stride, 1));
    return true;
}

static bool scalar_has_lanes(Check *check, const Scalar *scalar) {
    const int depth = check->loop->loop.depth;
    if (scalar->depth < depth) return true;
    for (int i = 0; i < check->met.count; i++)
        if (check->met.items[i] == scalar) return true;
    LIST_PUSH(check->kernel->emit->arena, &check->met, scalar);
    check->functions = check->functions || is_function(scalar);
    switch (scalar->kind) {
    case SCALAR_LOAD: return load_has_lanes(check, scalar);
    case SCALAR_INDEX: {
        const Poly *stride = lane_stride(check->kernel, scalar->index, check->loop);
        return stride && (poly_is(stride, 0) || poly_is(stride, 1));
    }
    case SCALAR_OP:
        for (int i = 0; i < scalar->op.arity; i++)
            if (!scalar_has_lanes(check, scalar->op.in[i])) return false;
        return true;
    case SCALAR_GUARD:
        return index_depth(scalar->guard.index) < depth && scalar_has_lanes(check, scalar->guard.yes) &&
               scalar_has_lanes(check, scalar->guard.no);
    case SCALAR_RESULT: return true;
    default: return false;
    }
}

/* What is reduced by the loop itself, or by loops in it, must be in registers meanwhile. */
static bool reduction_has_lanes(Check *check, const Statement *s) {
    const int depth = check->loop->loop.depth, first = statement_register(s);
    for (int inner = depth + 1; inner < first; inner++)
        if (s->reduced >> inner & 1) return false;
    if (!(s->reduced >> depth & 1)) return s->kind != STATEMENT_ARGMAX || first <= depth;
    check->summed = true;
    return first <= depth;
}

static bool statement_has_lanes(Check *check, const Statement *s) {
    if (!scalar_has_lanes(check, s->value) || (s->kind != STATEMENT_SCATTER && !reduction_has_lanes(check, s))) return false;
    if (s->reduced >> check->loop->loop.depth & 1 && s->kind != STATEMENT_SCATTER) return true;
    const Poly *stride = lane_stride(check->kernel, s->at, check->loop);
    check->apart = check->apart || !stride || !poly_is(stride, 1);
    return stride && !poly_is(stride, 0);
}

static bool body_has_lanes(Check *check, const Step *loop) {
    for (int i = 0; i < loop->loop.body.count; i++) {
        const Step *step = loop->loop.body.items[i];
        const bool fits = step->kind == STEP_STATEMENT ? statement_has_lanes(check, step->statement)
                                                       : !loop_has_lanes(check->kernel, step) && body_has_lanes(check, step);
        if (!fits) return false;
    }
    return true;
}

/* Buffers in one place are one. */
static bool turns_apart(Kernel *kernel, const Step *loop) {
    AccessList accesses = {0};
    step_accesses(kernel->emit->arena, loop, &accesses);
    for (int i = 0; i < accesses.count; i++)
        for (int k = 0; k < accesses.count; k++) {
            const Access *a = &accesses.items[i], *b = &accesses.items[k];
            if (!a->writes || storage(a->buffer) != storage(b->buffer)) continue;
            if (!a->at || !b->at || (!index_equal(a->at, b->at) && !index_apart(kernel->emit->arena, a->at, b->at, loop->loop.depth)))
                return false;
        }
    return true;
}

bool loop_has_lanes(Kernel *kernel, const Step *loop) {
    int64_t extent;
    Check check = {.kernel = kernel, .loop = loop};
    if (!body_has_lanes(&check, loop) || (check.apart && !check.functions)) return false;
    if (poly_constant(loop->loop.extent, &extent) && extent < (check.summed ? LEAST_SUMMED : LEAST)) return false;
    return turns_apart(kernel, loop);
}

bool in_lanes(const Kernel *kernel, const Scalar *scalar) {
    if (kernel->lanes == NULL) return false;
    const Known *known = known_value(kernel, scalar);
    if (known) return known->lanes;
    if (scalar->kind == SCALAR_OP) {
        for (int i = 0; i < scalar->op.arity; i++)
            if (in_lanes(kernel, scalar->op.in[i])) return true;
        return false;
    }
    if (scalar->kind == SCALAR_GUARD) return in_lanes(kernel, scalar->guard.yes) || in_lanes(kernel, scalar->guard.no);
    if (scalar->kind == SCALAR_LOAD) return !poly_is(lane_stride(kernel, scalar->load.at, kernel->lanes), 0);
    return scalar->kind == SCALAR_INDEX && !poly_is(lane_stride(kernel, scalar->index, kernel->lanes), 0);
}

const char *lanes_text(Kernel *kernel, const Scalar *scalar) {
    return in_lanes(kernel, scalar) ? addend_text(kernel, scalar) : spread_text(kernel, scalar_text(kernel, scalar));
}

const char *spread_text(Kernel *kernel, const char *text) {
    return arena_printf(kernel->emit->arena, "%s(%s)", piece(kernel->emit, "vector_spread"), text);
}

/* "x" or "x + 784 * i + j" */
static const char *address_text(Kernel *kernel, const Buffer *buffer, const Index *at) {
    const char *place = place_text(kernel, buffer, at);
    return arena_printf(kernel->emit->arena, strcmp(place, "0") == 0 ? "%s" : "%s + %s", buffer_text(kernel, buffer), place);
}

/* ", 28, lanes": what follows in a call for lanes that lie apart; ", lanes" where they may be fewer; or nothing. */
static const char *lanes_arguments(Kernel *kernel, const Poly *stride) {
    const char *count = kernel->ends ? "lanes" : "SUPPORT_LANES";
    int64_t constant;
    if (poly_is(stride, 1)) return kernel->ends ? ", lanes" : "";
    return arena_printf(kernel->emit->arena, poly_constant(stride, &constant) ? ", %s, %s" : ", (ptrdiff_t)(%s), %s",
                        poly_text(kernel->emit, stride), count);
}

const char *load_lanes_text(Kernel *kernel, const Buffer *buffer, const Index *at) {
    const Poly *stride = lane_stride(kernel, at, kernel->lanes);
    const char *function = !poly_is(stride, 1) ? "vector_load_every" : kernel->ends ? "vector_load_part" : "vector_load";
    return arena_printf(kernel->emit->arena, "%s(%s%s)", piece(kernel->emit, function), address_text(kernel, buffer, at),
                        lanes_arguments(kernel, stride));
}

const char *store_lanes_text(Kernel *kernel, const Buffer *buffer, const Index *at, const char *value) {
    const Poly *stride = lane_stride(kernel, at, kernel->lanes);
    const char *function = !poly_is(stride, 1) ? "vector_store_every" : kernel->ends ? "vector_store_part" : "vector_store";
    return arena_printf(kernel->emit->arena, "%s(%s, %s%s);", piece(kernel->emit, function), address_text(kernel, buffer, at), value,
                        lanes_arguments(kernel, stride));
}

const char *count_lanes_text(Kernel *kernel, const char *first) {
    return arena_printf(kernel->emit->arena, "%s(%s)", piece(kernel->emit, "vector_count"), first);
}

/* A sum or maximum of the lanes that there are. */
const char *first_lanes_text(Kernel *kernel, const char *value, const char *rest) {
    if (!kernel->ends) return value;
    return arena_printf(kernel->emit->arena, "%s(%s, lanes, %s)", piece(kernel->emit, "first"), value, spread_text(kernel, rest));
}

/* Scalars and indices as C expressions, with no more parentheses than reading them needs. */
#include "emit.h"

#include "../fuse/fuse.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *loop_name(int depth) {
    static const char *const names[] = {"i", "j", "k", "l", "p", "q", "r", "s", "i8", "i9", "i10", "i11", "i12", "i13", "i14", "i15"};
    return names[depth];
}

const char *poly_text(Emit *emit, const Poly *poly) {
    Text text = {.arena = emit->arena};
    poly_print(&text, emit->module, poly);
    return text.bytes;
}

const char *times_text(Emit *emit, const Poly *factor, const char *text) {
    if (poly_is(factor, 1)) return text;
    const char *by = poly_text(emit, factor);
    return arena_printf(emit->arena, "%s%s%s * %s%s%s", factor->count > 1 ? "(" : "", by, factor->count > 1 ? ")" : "",
                        strchr(text, ' ') ? "(" : "", text, strchr(text, ' ') ? ")" : "");
}

/* ── indices ──────────────────────────────────────────────────────────────────────────────── */

static const char *atom_text(Kernel *kernel, const Atom *atom) {
    Arena *arena = kernel->emit->arena;
    switch (atom->kind) {
    case ATOM_LOOP: return atom->depth == 0 && kernel->from_begin ? "(i - begin)" : loop_name(atom->depth);
    case ATOM_VALUE:
        return arena_printf(arena, "%s(%s, %s)", piece(kernel->emit, "row"), scalar_text(kernel, atom->value),
                            poly_text(kernel->emit, atom->limit));
    default: break;
    }
    const char *by = poly_text(kernel->emit, atom->by), *index = index_text(kernel, atom->index);
    const char *form =
        atom->index->count > 1 || atom->index->constant->count > 0 || !poly_is(atom->index->term[0].factor, 1)
            ? "(%s) %s %s"
            : "%s %s %s";
    if (strchr(by, ' ')) by = arena_printf(arena, "(%s)", by);
    return arena_printf(arena, form, index, atom->kind == ATOM_DIV ? "/" : "%", by);
}

/* One term with a factor that is not negative at its first power: the sign is the caller's. */
static const char *term_text(Kernel *kernel, const Poly *factor, const Atom *atom) {
    Arena *arena = kernel->emit->arena;
    const char *text = atom_text(kernel, atom);
    if (poly_is(factor, 1)) return text;
    if (atom->kind == ATOM_DIV || atom->kind == ATOM_MOD) text = arena_printf(arena, "(%s)", text);
    const char *by = poly_text(kernel->emit, factor);
    return arena_printf(arena, factor->count > 1 ? "(%s) * %s" : "%s * %s", by, text);
}

/* Positive terms first, so that the sum starts without a sign. Unsigned arithmetic makes the order indifferent. */
const char *index_text(Kernel *kernel, const Index *index) {
    Arena *arena = kernel->emit->arena;
    Text text = {.arena = arena};
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int i = 0; i < index->count; i++) {
            const Poly *factor = index->term[i].factor;
            if ((factor->term[0].factor > 0) != (sign > 0)) continue;
            const char *term = term_text(kernel, poly_scale(arena, factor, sign), index->term[i].atom);
            text_add(&text, sign < 0 ? " - %s" : text.length ? " + %s" : "%s", term);
        }
        if (sign > 0 && index->constant->count > 0 && index->constant->term[0].factor > 0)
            text_add(&text, text.length ? " + %s" : "%s", poly_text(kernel->emit, index->constant));
    }
    if (index->constant->count > 0 && index->constant->term[0].factor < 0)
        text_add(&text, " - (%s)", poly_text(kernel->emit, poly_scale(arena, index->constant, -1)));
    return text.length ? text.bytes : "0";
}

const char *place_text(Kernel *kernel, const Buffer *buffer, const Index *index) {
    kernel->from_begin = kernel->ranged && buffer->of_block;
    const char *text = index_text(kernel, index);
    kernel->from_begin = false;
    return text;
}

/* ── scalars ──────────────────────────────────────────────────────────────────────────────── */

/* How tightly an expression holds together, from the loosest. */
enum { TERNARY, COMPARISON, SUM, PRODUCT, UNARY, PRIMARY };

static const char *number_text(Arena *arena, double value) {
    if (isnan(value)) return "NAN";
    if (fabs(value) > 3.4028235677973366e38) return value > 0 ? "INFINITY" : "-INFINITY";
    const char *digits = NULL;
    for (int precision = 1; precision <= 9; precision++) {
        digits = arena_printf(arena, "%.*g", precision, (double)(float)value);
        if (strtof(digits, NULL) == (float)value) break;
    }
    return arena_printf(arena, strpbrk(digits, ".e") ? "%sf" : "%s.0f", digits);
}

const Known *known_value(const Kernel *kernel, const Scalar *scalar) {
    for (int i = kernel->known.count - 1; i >= 0; i--) {
        const Scalar *known = kernel->known.items[i].scalar;
        const bool result = known->kind == SCALAR_RESULT && scalar->kind == SCALAR_RESULT && known->result == scalar->result;
        if (known == scalar || result) return &kernel->known.items[i];
    }
    return NULL;
}

const char *known_name(const Kernel *kernel, const Scalar *scalar) {
    const Known *known = known_value(kernel, scalar);
    return known ? known->name : NULL;
}

static const char *text_at(Kernel *kernel, const Scalar *scalar, int level);

static const char *binary(Kernel *kernel, const Scalar *a, const char *op, const Scalar *b, int level) {
    return arena_printf(kernel->emit->arena, "%s %s %s", text_at(kernel, a, level), op, text_at(kernel, b, level + 1));
}

static const char *call(Kernel *kernel, const char *function, const Scalar *scalar) {
    return arena_printf(kernel->emit->arena, "%s(%s)", function, scalar_text(kernel, scalar));
}

/* A function of a vector. One number becomes a vector of it, and the result one of that's lanes. */
static const char *call_lanes(Kernel *kernel, const char *name, const Scalar *scalar) {
    const char *text = arena_printf(kernel->emit->arena, "%s(%s)", piece(kernel->emit, name), lanes_text(kernel, scalar));
    return in_lanes(kernel, scalar) ? text : arena_printf(kernel->emit->arena, "%s(%s)", piece(kernel->emit, "lane"), text);
}

static bool is_op(const Kernel *kernel, const Scalar *scalar, Op op) {
    return scalar->kind == SCALAR_OP && scalar->op.op == op && known_name(kernel, scalar) == NULL;
}

static const char *sum_text(Kernel *kernel, const Scalar *a, const Scalar *b) {
    if (a->kind == SCALAR_NUMBER && b->kind != SCALAR_NUMBER) return sum_text(kernel, b, a);
    if (is_op(kernel, a, OP_NEG) && !is_op(kernel, b, OP_NEG)) return binary(kernel, b, "-", a->op.in[0], SUM);
    if (is_op(kernel, b, OP_NEG)) return binary(kernel, a, "-", b->op.in[0], SUM);
    if (b->kind == SCALAR_NUMBER && b->number < 0)
        return arena_printf(kernel->emit->arena, "%s - %s", text_at(kernel, a, SUM),
                            number_text(kernel->emit->arena, -b->number));
    return binary(kernel, a, "+", b, SUM);
}

static const char *product_text(Kernel *kernel, const Scalar *a, const Scalar *b) {
    if (is_op(kernel, a, OP_RECIP) && !is_op(kernel, b, OP_RECIP)) return binary(kernel, b, "/", a->op.in[0], PRODUCT);
    if (is_op(kernel, b, OP_RECIP)) return binary(kernel, a, "/", b->op.in[0], PRODUCT);
    return binary(kernel, a, "*", b, PRODUCT);
}

static const char *comparison_sign(Op op) { return op == OP_LT ? "<" : op == OP_LE ? "<=" : "=="; }

static bool is_comparison(const Kernel *kernel, const Scalar *s) {
    return is_op(kernel, s, OP_LT) || is_op(kernel, s, OP_LE) || is_op(kernel, s, OP_EQ);
}

static const char *condition_text(Kernel *kernel, const Scalar *s) {
    if (is_comparison(kernel, s))
        return binary(kernel, s->op.in[0], comparison_sign(s->op.op), s->op.in[1], COMPARISON);
    return arena_printf(kernel->emit->arena, "%s != 0.0f", text_at(kernel, s, SUM));
}

static const char *mask_text(Kernel *kernel, const Scalar *s) {
    piece(kernel->emit, "mask");
    return arena_printf(kernel->emit->arena, "support_%s(%s, %s)",
                        s->op.op == OP_LT ? "less" : s->op.op == OP_LE ? "at_most" : "equal", lanes_text(kernel, s->op.in[0]),
                        lanes_text(kernel, s->op.in[1]));
}

/* The condition is a comparison, or any number that is not 0. */
static const char *select_lanes(Kernel *kernel, const Scalar *s) {
    const Scalar *condition = s->op.in[0], *yes = s->op.in[1], *no = s->op.in[2];
    const char *mask;
    if (is_comparison(kernel, condition)) mask = mask_text(kernel, condition);
    else {
        mask = arena_printf(kernel->emit->arena, "support_equal(%s, %s)", scalar_text(kernel, condition), spread_text(kernel, "0.0f"));
        yes = s->op.in[2], no = s->op.in[1];
    }
    return arena_printf(kernel->emit->arena, "%s(%s, %s, %s)", piece(kernel->emit, "select"), mask, lanes_text(kernel, yes),
                        lanes_text(kernel, no));
}

static const char *select_text(Kernel *kernel, const Scalar *s) {
    const char *(*arm)(Kernel *, const Scalar *) = in_lanes(kernel, s) ? lanes_text : scalar_text;
    const char *yes = arm(kernel, s->op.in[1]), *no = arm(kernel, s->op.in[2]);
    return arena_printf(kernel->emit->arena, strchr(yes, '?') ? "%s ? (%s) : %s" : "%s ? %s : %s",
                        condition_text(kernel, s->op.in[0]), yes, no);
}

static const char *sign_text(Kernel *kernel, const Scalar *of) {
    const char *text = text_at(kernel, of, SUM);
    return arena_printf(kernel->emit->arena, "(float)(%s > 0.0f) - (float)(%s < 0.0f)", text, text);
}

/* What there is an operator or a function of the library for, and what only vectors have. */
static const char *op_text(Kernel *kernel, const Scalar *s, int *level) {
    Arena *arena = kernel->emit->arena;
    const Scalar *const *in = s->op.in;
    const bool lanes = in_lanes(kernel, s);
    switch (s->op.op) {
    case OP_ADD: *level = SUM; return sum_text(kernel, in[0], in[1]);
    case OP_MUL: *level = PRODUCT; return product_text(kernel, in[0], in[1]);
    case OP_RECIP: *level = PRODUCT; return arena_printf(arena, "1.0f / %s", text_at(kernel, in[0], UNARY));
    case OP_NEG: *level = UNARY; return arena_printf(arena, "-%s", text_at(kernel, in[0], PRIMARY));
    case OP_LT:
    case OP_LE:
    case OP_EQ:
        if (lanes) return arena_printf(arena, "%s(%s)", piece(kernel->emit, "indicator"), mask_text(kernel, s));
        *level = TERNARY;
        return arena_printf(arena, "%s ? 1.0f : 0.0f", condition_text(kernel, s));
    case OP_SELECT:
        if (in_lanes(kernel, in[0])) return select_lanes(kernel, s);
        *level = TERNARY;
        return select_text(kernel, s);
    case OP_SIGN:
        if (lanes) break;
        *level = SUM;
        return sign_text(kernel, in[0]);
    case OP_ABS: if (lanes) break; return call(kernel, "fabsf", in[0]);
    case OP_FLOOR: if (lanes) break; return call(kernel, "floorf", in[0]);
    case OP_ROUND: if (lanes) break; return call(kernel, "nearbyintf", in[0]);
    case OP_POW:
        if (lanes) return arena_printf(arena, "%s(%s, %s)", piece(kernel->emit, "pow"), lanes_text(kernel, in[0]), lanes_text(kernel, in[1]));
        return arena_printf(arena, "powf(%s, %s)", scalar_text(kernel, in[0]), scalar_text(kernel, in[1]));
    default: break;
    }
    return call_lanes(kernel, op_info[s->op.op].name, in[0]);
}

static const char *load_text(Kernel *kernel, const Scalar *s, int *level) {
    const Buffer *buffer = s->load.buffer;
    if (in_lanes(kernel, s)) return load_lanes_text(kernel, buffer, s->load.at);
    const char *text =
        arena_printf(kernel->emit->arena, "%s[%s]", buffer_text(kernel, buffer), place_text(kernel, buffer, s->load.at));
    if (buffer->kind != BUFFER_INPUT || buffer->port->classes == 0) return text;
    *level = UNARY;
    return arena_printf(kernel->emit->arena, "(float)%s", text);
}

static void add_test(Text *tests, const char *index, const char *operator, const char *limit) {
    text_add(tests, "%s(%s %s %s)", tests->length ? " & " : "", index, operator, limit);
}

static void add_tests(Kernel *kernel, Text *test, const Scalar *s) {
    const char *index = index_text(kernel, s->guard.index);
    if (!poly_is(s->guard.low, 0)) add_test(test, index, ">=", poly_text(kernel->emit, s->guard.low));
    add_test(test, index, "<", poly_text(kernel->emit, s->guard.high));
}

/* Guards inside each other that leave the same in a value's place are one, whose tests are all computed: a branch for each makes
 * vector code worse, and gcc 12 makes it wrong. A test whose index is not a sum of loops stays behind the others. */
static const char *guard_text(Kernel *kernel, const Scalar *s) {
    Text test = {.arena = kernel->emit->arena};
    const Scalar *yes = s->guard.yes;
    add_tests(kernel, &test, s);
    for (; yes->kind == SCALAR_GUARD && yes->guard.no == s->guard.no && index_affine(yes->guard.index) && !known_name(kernel, yes);
         yes = yes->guard.yes)
        add_tests(kernel, &test, yes);
    const bool lanes = in_lanes(kernel, s);
    return arena_printf(kernel->emit->arena, strchr(test.bytes, '&') ? "(%s) ? %s : %s" : "%s ? %s : %s", test.bytes,
                        lanes && !in_lanes(kernel, yes) ? lanes_text(kernel, yes) : text_at(kernel, yes, COMPARISON),
                        lanes ? lanes_text(kernel, s->guard.no) : text_at(kernel, s->guard.no, TERNARY));
}

static const char *clock_text(Clock clock) {
    return clock == CLOCK_STEP    ? "(float)clock->step"
           : clock == CLOCK_EPOCH ? "(float)clock->epoch"
                                  : "clock->lr_scale";
}

static const char *as_float(Arena *arena, const char *whole) {
    return arena_printf(arena, strchr(whole, ' ') ? "(float)(%s)" : "(float)%s", whole);
}

static const char *text_at(Kernel *kernel, const Scalar *s, int needed) {
    Arena *arena = kernel->emit->arena;
    int level = PRIMARY;
    const char *text = known_name(kernel, s);
    if (text) return text;
    switch (s->kind) {
    case SCALAR_NUMBER:
        level = signbit(s->number) ? UNARY : PRIMARY;
        text = number_text(arena, s->number);
        break;
    case SCALAR_LOAD: text = load_text(kernel, s, &level); break;
    case SCALAR_OP: text = op_text(kernel, s, &level); break;
    case SCALAR_INDEX:
        text = as_float(arena, index_text(kernel, s->index));
        if (in_lanes(kernel, s)) text = count_lanes_text(kernel, text);
        else level = UNARY;
        break;
    case SCALAR_SIZE: level = UNARY; text = as_float(arena, poly_text(kernel->emit, s->size)); break;
    case SCALAR_CLOCK: level = UNARY; text = clock_text(s->clock); break;
    case SCALAR_GUARD: level = TERNARY; text = guard_text(kernel, s); break;
    case SCALAR_RESULT: break;
    }
    return level < needed ? arena_printf(arena, "(%s)", text) : text;
}

const char *scalar_text(Kernel *kernel, const Scalar *scalar) { return text_at(kernel, scalar, TERNARY); }

const char *addend_text(Kernel *kernel, const Scalar *scalar) { return text_at(kernel, scalar, SUM); }

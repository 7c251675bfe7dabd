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

const char *number_text(Arena *arena, double value) {
    if (isnan(value)) return "NAN";
    if (fabs(value) > 3.4028235677973366e38) return value > 0 ? "INFINITY" : "-INFINITY";
    const char *digits = NULL;
    for (int precision = 1; precision <= 9; precision++) {
        digits = arena_printf(arena, "%.*g", precision, (double)(float)value);
        if (strtof(digits, NULL) == (float)value) break;
    }
    return arena_printf(arena, strpbrk(digits, ".e") ? "%sf" : "%s.0f", digits);
}

const char *known_name(const Kernel *kernel, const Scalar *scalar) {
    if (scalar->kind == SCALAR_RESULT) {
        for (int i = kernel->known.count - 1; i >= 0; i--) {
            const Scalar *known = kernel->known.items[i].scalar;
            if (known->kind == SCALAR_RESULT && known->result == scalar->result) return kernel->known.items[i].name;
        }
        return NULL;
    }
    for (int i = kernel->known.count - 1; i >= 0; i--)
        if (kernel->known.items[i].scalar == scalar) return kernel->known.items[i].name;
    return NULL;
}

static const char *text_at(Kernel *kernel, const Scalar *scalar, int level);

static const char *binary(Kernel *kernel, const Scalar *a, const char *op, const Scalar *b, int level) {
    return arena_printf(kernel->emit->arena, "%s %s %s", text_at(kernel, a, level), op, text_at(kernel, b, level + 1));
}

static const char *call(Kernel *kernel, const char *function, const Scalar *scalar) {
    return arena_printf(kernel->emit->arena, "%s(%s)", function, scalar_text(kernel, scalar));
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

/* An operation, and how tightly its expression holds together. */
static const char *op_text(Kernel *kernel, const Scalar *s, int *level) {
    Arena *arena = kernel->emit->arena;
    const Scalar *const *in = s->op.in;
    switch (s->op.op) {
    case OP_ADD: *level = SUM; return sum_text(kernel, in[0], in[1]);
    case OP_MUL: *level = PRODUCT; return product_text(kernel, in[0], in[1]);
    case OP_RECIP: *level = PRODUCT; return arena_printf(arena, "1.0f / %s", text_at(kernel, in[0], UNARY));
    case OP_NEG: *level = UNARY; return arena_printf(arena, "-%s", text_at(kernel, in[0], PRIMARY));
    case OP_LT:
    case OP_LE:
    case OP_EQ: *level = TERNARY; return arena_printf(arena, "%s ? 1.0f : 0.0f", condition_text(kernel, s));
    case OP_SELECT:
        return arena_printf(arena, "%s(%s, %s, %s)", piece(kernel->emit, "select"), condition_text(kernel, in[0]),
                            scalar_text(kernel, in[1]), scalar_text(kernel, in[2]));
    case OP_SIGN:
        *level = SUM;
        return arena_printf(arena, "(float)(%s > 0.0f) - (float)(%s < 0.0f)", text_at(kernel, in[0], SUM),
                            text_at(kernel, in[0], SUM));
    case OP_ABS: return call(kernel, "fabsf", in[0]);
    case OP_FLOOR: return call(kernel, "floorf", in[0]);
    case OP_ROUND: return call(kernel, "nearbyintf", in[0]);
    case OP_POW: return arena_printf(arena, "powf(%s, %s)", scalar_text(kernel, in[0]), scalar_text(kernel, in[1]));
    default: return call(kernel, piece(kernel->emit, op_info[s->op.op].name), in[0]);
    }
}

static const char *load_text(Kernel *kernel, const Scalar *s, int *level) {
    const Buffer *buffer = s->load.buffer;
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
    return arena_printf(kernel->emit->arena, strchr(test.bytes, '&') ? "(%s) ? %s : %s" : "%s ? %s : %s", test.bytes, text_at(kernel, yes, COMPARISON),
                        text_at(kernel, s->guard.no, TERNARY));
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
    case SCALAR_INDEX: level = UNARY; text = as_float(arena, index_text(kernel, s->index)); break;
    case SCALAR_SIZE: level = UNARY; text = as_float(arena, poly_text(kernel->emit, s->size)); break;
    case SCALAR_CLOCK: level = UNARY; text = clock_text(s->clock); break;
    case SCALAR_GUARD: level = TERNARY; text = guard_text(kernel, s); break;
    case SCALAR_RESULT: break;
    }
    return level < needed ? arena_printf(arena, "(%s)", text) : text;
}

const char *scalar_text(Kernel *kernel, const Scalar *scalar) { return text_at(kernel, scalar, TERNARY); }

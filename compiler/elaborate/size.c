/* Sizes that are known only when the program runs: `dim time = 1..64`.
 *
 * Such a size is a value of its own, a constant plus a multiple of one `dim`, as long as arithmetic keeps it in this form, and
 * can stand wherever a size can. All else that is computed with it is a number of the running program, as 1 / time is. */
#include "elaborate.h"

#include <string.h>

Value size_value(Dim dim) {
    if (dim_is_const(dim)) return number_value((double)dim.base);
    return (Value){ .kind = VALUE_SIZE, .dim = dim };
}

/* Whole numbers are sizes too, also negative ones on the way to a size. */
static bool is_size(Value value, Dim *dim) {
    if (value.kind == VALUE_SIZE) *dim = value.dim;
    else if (value.kind == VALUE_NUMBER && value.integer) *dim = dim_const((int64_t)value.number);
    else return false;
    return true;
}

const char *range_text(Elaborator *e, Dim dim) {
    if (dim_is_const(dim)) return "";
    const Symbol *symbol = &e->module->symbols.items[dim.symbol];
    return arena_printf(e->arena, ", where `%s` is %lld to %lld", symbol->name, (long long)symbol->low, (long long)symbol->high);
}

bool to_size(Elaborator *e, Value value, Span span, const char *what, int64_t low, Dim *dim) {
    const SymbolList *symbols = &e->module->symbols;
    int64_t number;
    value = force(e, value);
    if (value.kind == VALUE_TENSOR) {
        fail(e, span, "%s is a whole number, or made of one `dim` with whole numbers, as in 2 * time + 1, but this is computed from values",
             what);
        return false;
    }
    if (value.kind != VALUE_SIZE) {
        const bool good = to_integer(e, value, span, what, low, &number);
        if (good) *dim = dim_const(number);
        return good;
    }
    *dim = value.dim;
    if (dim_low(value.dim, symbols) >= low) return true;
    fail(e, span, "%s is at least %lld, but %s can be %lld%s", what, (long long)low, value_text(e, value),
         (long long)dim_low(value.dim, symbols), range_text(e, value.dim));
    return false;
}

/* ── arithmetic ───────────────────────────────────────────────────────────────────────────── */

/* a / b: of two sizes where one is a multiple of the other, or by a whole number without a remainder. */
static bool divide(Dim a, Dim b, Dim *quotient) {
    if (dim_is_const(b)) return b.base != 0 && dim_divide(a, b.base, quotient);
    if (dim_is_const(a) || a.symbol != b.symbol || a.scale % b.scale || a.base != b.base * (a.scale / b.scale)) return false;
    *quotient = dim_const(a.scale / b.scale);
    return true;
}

/* What a comparison gives where it is the same for all values of the sizes: 0 or 1; -1 where it is not. */
static int compare(Elaborator *e, Operator op, Dim a, Dim b) {
    if (!dim_can_add(a, b)) return -1;
    const Dim difference = dim_add(a, dim_scale(b, -1));
    const int64_t low = dim_low(difference, &e->module->symbols), high = dim_high(difference, &e->module->symbols);
    switch (op) {
    case OPERATOR_LT: return high < 0 ? 1 : low >= 0 ? 0 : -1;
    case OPERATOR_LE: return high <= 0 ? 1 : low > 0 ? 0 : -1;
    case OPERATOR_GT: return low > 0 ? 1 : high <= 0 ? 0 : -1;
    case OPERATOR_GE: return low >= 0 ? 1 : high < 0 ? 0 : -1;
    case OPERATOR_EQ: return low == 0 && high == 0 ? 1 : low > 0 || high < 0 ? 0 : -1;
    case OPERATOR_NE: return low == 0 && high == 0 ? 0 : low > 0 || high < 0 ? 1 : -1;
    default: return -1;
    }
}

bool size_binary(Elaborator *e, Operator op, Value left, Value right, Value *result) {
    Dim a, b, dim;
    if ((left.kind != VALUE_SIZE && right.kind != VALUE_SIZE) || !is_size(left, &a) || !is_size(right, &b)) return false;
    const int known = compare(e, op, a, b);
    if (known >= 0) *result = number_value(known);
    else if (op == OPERATOR_ADD && dim_can_add(a, b)) *result = size_value(dim_add(a, b));
    else if (op == OPERATOR_SUB && dim_can_add(a, b)) *result = size_value(dim_add(a, dim_scale(b, -1)));
    else if (op == OPERATOR_MUL && dim_mul(a, b, &dim)) *result = size_value(dim);
    else if (op == OPERATOR_DIV && divide(a, b, &dim)) *result = size_value(dim);
    else return false;
    return true;
}

/* ── positions along an axis ──────────────────────────────────────────────────────────────── */

bool to_position(Elaborator *e, Value value, Span span, Dim size, Dim *position) {
    const SymbolList *symbols = &e->module->symbols;
    double number;
    if (!is_size(value, position)) {
        if (value.kind == VALUE_SIZE || !to_number(e, value, span, "an index", &number)) return false;
    } else {
        if (dim_high(*position, symbols) < 0 && dim_can_add(*position, size)) *position = dim_add(*position, size);
        if (dim_low(*position, symbols) >= 0 && dim_can_add(*position, size) &&
            dim_low(dim_add(size, dim_scale(*position, -1)), symbols) >= 0)
            return true;
    }
    fail(e, span, "%s is outside of this axis, which has the size %s%s", value_text(e, value),
         size_text(e->arena, symbols, size), range_text(e, size));
    return false;
}

/* ── declarations ─────────────────────────────────────────────────────────────────────────── */

static bool variable_taken(const Elaborator *e, const char *name) {
    for (int i = 0; i < e->module->symbols.count; i++)
        if (strcmp(e->module->symbols.items[i].variable, name) == 0) return true;
    return c_reserved(name) || (e->module->name && strcmp(name, e->module->name) == 0);
}

static const char *variable_of(Elaborator *e, const char *name) {
    const char *variable = c_variable(e->arena, name);
    while (variable_taken(e, variable)) variable = arena_printf(e->arena, "%s_", variable);
    return variable;
}

Value declare_dim(Elaborator *e, Scope *scope, const Decl *decl) {
    SymbolList *symbols = &e->module->symbols;
    int64_t low, high;
    if (!to_integer(e, evaluate(e, scope, decl->low, no_name), decl->low->span, "the smallest size", 1, &low) ||
        !to_integer(e, evaluate(e, scope, decl->high, no_name), decl->high->span, "the largest size", 1, &high))
        return poison();
    if (low > high) {
        fail(e, span_join(decl->low->span, decl->high->span), "the smallest size, %lld, comes first, and is not above the largest, %lld",
             (long long)low, (long long)high);
        return poison();
    }
    if (symbols->count == MAX_SYMBOLS) {
        fail(e, decl->name.span, "a model has at most %d sizes of the run; give one of them a constant size by `let`", MAX_SYMBOLS - 1);
        return poison();
    }
    const Dim dim = { .scale = 1, .symbol = symbols->count };
    const Symbol symbol = {
        .name = decl->name.text, .variable = variable_of(e, decl->name.text), .low = low, .high = high, .span = decl->name.span
    };
    LIST_PUSH(e->arena, symbols, symbol);
    return size_value(dim);
}

/* A node of the graph as an expression of Python.
 *
 * The graph says every broadcast; here, an expanded operand of an elementwise operation is left to PyTorch's own rules where another
 * operand has the full shape, so that a bias reads `+ self["encoder.bias"]`. A constant is a plain number for as long as it can be. */
#include "torch.h"

#include <math.h>
#include <string.h>

enum { LONG_LENGTH = 100 }; /* characters in one line */

/* ── pieces ───────────────────────────────────────────────────────────────────────────────── */

static Code atom(const char *text) { return (Code){.text = text, .level = LEVEL_ATOM}; }

static const char *within(Method *method, Code code, Level level) {
    return code.level >= level ? code.text : arena_printf(method->arena, "(%s)", code.text);
}

static Code number_code(Method *method, double value) {
    Text text = {.arena = method->arena};
    if (isnan(value)) text_add(&text, "torch.nan");
    else if (isinf(value)) text_add(&text, "torch.inf");
    else text_number(&text, fabs(value));
    Code code = {.text = text.bytes, .level = LEVEL_ATOM, .number = true};
    if (!(value < 0)) return code;
    return (Code){arena_printf(method->arena, "-%s", text.bytes), LEVEL_NEGATE, FORM_NEGATIVE, text.bytes, true};
}

/* The batch and the `dim`s of the model are known only when the method runs. */
const char *dim_text(Method *method, Dim dim) {
    if (dim_is_const(dim)) return arena_printf(method->arena, "%lld", (long long)dim.base);
    method->sizes |= 1u << dim.symbol;
    const char *size = method->size[dim.symbol];
    const char *times = dim.scale == 1 ? size : arena_printf(method->arena, "%lld * %s", (long long)dim.scale, size);
    if (dim.base == 0) return times;
    return arena_printf(method->arena, dim.base > 0 ? "%s + %lld" : "%s - %lld", times, (long long)(dim.base > 0 ? dim.base : -dim.base));
}

static const char *dims_text(Method *method, const Dim *dims, int count) {
    Text text = {.arena = method->arena};
    text_add(&text, "%s", "");
    for (int i = 0; i < count; i++) text_add(&text, "%s%s", i ? ", " : "", dim_text(method, dims[i]));
    return text.bytes;
}

static const char *shape_arguments(Method *method, const Node *node) { return dims_text(method, node->shape.dim, node->shape.rank); }

/* (n, 28), (n,) and (). */
static const char *shape_tuple(Method *method, const Shape *shape) {
    return arena_printf(method->arena, "(%s%s)", dims_text(method, shape->dim, shape->rank), shape->rank == 1 ? "," : "");
}

/* "0", or "(0, 2)"; nothing for all axes. */
static const char *axes_text(Method *method, uint32_t axes, int rank) {
    Text text = {.arena = method->arena};
    int count = 0;
    text_add(&text, "%s", "");
    for (int i = 0; i < rank; i++)
        if (axes >> i & 1) text_add(&text, "%s%d", count++ ? ", " : "", i);
    return count == rank ? "" : count > 1 ? arena_printf(method->arena, "(%s)", text.bytes) : text.bytes;
}

/* A subscript without the `:` at its end, which mean nothing there; "" where nothing is left. */
static const char *subscript(Method *method, const char *const *entries, int count) {
    Text text = {.arena = method->arena};
    while (count > 0 && strcmp(entries[count - 1], ":") == 0) count--;
    text_add(&text, "%s", "");
    for (int i = 0; i < count; i++) text_add(&text, "%s%s%s", i ? ", " : "[", entries[i], i == count - 1 ? "]" : "");
    return text.bytes;
}

/* ── operands ─────────────────────────────────────────────────────────────────────────────── */

bool node_is_transparent(const Node *node) {
    switch (node->op) {
    case OP_CONST: case OP_INPUT: case OP_TENSOR: case OP_IOTA: case OP_SIZE: case OP_CLOCK: case OP_EXPAND: case OP_SLOT: case OP_PART:
        return true;
    default: return false;
    }
}

static Code clock_code(Method *method, Clock clock) {
    Code code = {.level = LEVEL_ATOM, .number = true};
    method->step |= clock == CLOCK_STEP;
    method->epoch |= clock == CLOCK_EPOCH;
    code.text = clock == CLOCK_STEP ? "step" : clock == CLOCK_EPOCH ? "epoch" : "1";
    return code;
}

static Code size_code(Method *method, Dim dim) {
    const char *text = dim_text(method, dim);
    return (Code){.text = text, .level = dim.base || dim.scale != 1 ? LEVEL_ADD : LEVEL_ATOM, .number = true};
}

/* The axes of the node's shape along which its value repeats, so that its text may leave them to broadcasting. */
static uint32_t repeated_axes(const Node *node) {
    if (node->op == OP_EXPAND) return node->attr.axes;
    if (node->op == OP_IOTA) return ((1u << node->shape.rank) - 1) & ~(1u << node->attr.axis);
    return 0;
}

/* The subscript that makes room for the repeated axes which stand behind others. */
static const char *room_for(Method *method, const Node *node) {
    const char *entries[MAX_RANK];
    uint32_t axes = repeated_axes(node);
    int count = 0;
    for (int i = 0; i < node->shape.rank; i++)
        if (!(axes >> i & 1) || count > 0) entries[count++] = axes >> i & 1 ? "None" : ":";
    return subscript(method, entries, count);
}

static Code code_of(Method *method, const Node *node);

/* What an EXPAND repeats: a number, however often it is expanded. */
static Code expanded_code(Method *method, const Node *node) {
    const Node *value = node->in[0];
    while (value->op == OP_EXPAND) value = value->in[0];
    Code code = code_of(method, value);
    return code.number ? code : code_of(method, node->in[0]);
}

/* The value without its repeated axes, in a shape that broadcasts to the full one. */
static Code broadcast_code(Method *method, const Node *node) {
    if (node->op != OP_EXPAND && node->op != OP_IOTA) return code_of(method, node);
    const char *room = room_for(method, node);
    if (node->op == OP_IOTA) {
        const char *size = dim_text(method, node->shape.dim[node->attr.axis]);
        return atom(arena_printf(method->arena, "torch.arange(%s).to(self.zero)%s", size, room));
    }
    Code code = expanded_code(method, node);
    if (code.number || !*room) return code;
    return (Code){.text = arena_printf(method->arena, "%s%s", within(method, code, LEVEL_ATOM), room), .level = LEVEL_ATOM,
                  .form = code.form == FORM_BOOLEAN ? FORM_BOOLEAN : FORM_PLAIN};
}

static Code full_code(Method *method, const Node *node) {
    Code code = broadcast_code(method, node);
    if (code.number)
        return atom(arena_printf(method->arena, "self.zero.new_full(%s, %s)", shape_tuple(method, &node->shape), code.text));
    if (!repeated_axes(node)) return code;
    return (Code){.text = arena_printf(method->arena, "%s.expand(%s)", within(method, code, LEVEL_ATOM), shape_arguments(method, node)),
                  .level = LEVEL_ATOM, .form = code.form == FORM_BOOLEAN ? FORM_BOOLEAN : FORM_PLAIN};
}

/* The node at its full shape. */
static Code code_of(Method *method, const Node *node) {
    switch (node->op) {
    case OP_CONST: return number_code(method, node->attr.value);
    case OP_INPUT: return atom(method->port[node->attr.port->index]);
    case OP_TENSOR: return atom(arena_printf(method->arena, "self[\"%s\"]", node->attr.tensor->name));
    case OP_SIZE: return size_code(method, node->attr.size);
    case OP_CLOCK: return clock_code(method, node->attr.clock);
    case OP_IOTA: case OP_EXPAND: return full_code(method, node);
    case OP_SLOT: return method->frame.slot[node->attr.slot.index];
    case OP_PART: return method->frame.part[node->in[0]->id][node->attr.part];
    default: return method->frame.code[node->id];
    }
}

/* Truth values become the numbers 0 and 1. */
static Code as_real(Method *method, Code code) {
    if (code.form != FORM_BOOLEAN) return code;
    return atom(arena_printf(method->arena, "%s.to(self.zero)", within(method, code, LEVEL_ATOM)));
}

static Code as_tensor(Method *method, Code code) {
    if (!code.number) return as_real(method, code);
    return (Code){.text = arena_printf(method->arena, "self.zero + %s", within(method, code, LEVEL_MUL)), .level = LEVEL_ADD};
}

const char *python_text(Method *method, const Node *node, Level level) {
    return within(method, as_tensor(method, code_of(method, node)), level);
}

/* ── elementwise operations ───────────────────────────────────────────────────────────────── */

/* The operands, expanded ones in the form that broadcasts; where all repeat along the same axis, the first of them in full. */
static void operands_of(Method *method, const Node *node, Code *operand) {
    uint32_t missing = UINT32_MAX;
    for (int i = 0; i < node->arity; i++) missing &= repeated_axes(node->in[i]);
    for (int i = 0; i < node->arity; i++)
        operand[i] = missing && i == 0 ? full_code(method, node->in[i]) : broadcast_code(method, node->in[i]);
}

static Code negation(Method *method, Code x) {
    x = as_real(method, x);
    const char *inner = within(method, x, LEVEL_MUL);
    return (Code){arena_printf(method->arena, "-%s", inner), x.level == LEVEL_MUL ? LEVEL_MUL : LEVEL_NEGATE, FORM_NEGATIVE, inner, x.number};
}

static Code inverse(Method *method, Code x) {
    x = as_real(method, x);
    const char *inner = within(method, x, LEVEL_NEGATE);
    return (Code){arena_printf(method->arena, "1 / %s", inner), LEVEL_MUL, FORM_INVERSE, inner, x.number};
}

static Code joined(Method *method, Code a, const char *sign, const char *b, bool number, Level level) {
    return (Code){.text = arena_printf(method->arena, "%s %s %s", within(method, a, level), sign, b), .level = level, .number = number};
}

static Code sum(Method *method, Code a, Code b) {
    if (a.form == FORM_NEGATIVE && b.form != FORM_NEGATIVE) return sum(method, b, a);
    bool number = a.number && b.number;
    a = as_real(method, a), b = as_real(method, b);
    if (b.form == FORM_NEGATIVE) return joined(method, a, "-", b.inner, number, LEVEL_ADD);
    return joined(method, a, "+", within(method, b, LEVEL_MUL), number, LEVEL_ADD);
}

/* A negative factor makes a negative product, which sums subtract. */
static Code product(Method *method, Code a, Code b) {
    if (a.number && a.form == FORM_NEGATIVE && !b.number)
        return negation(method, product(method, (Code){.text = a.inner, .level = LEVEL_ATOM, .number = true}, b));
    if (a.form == FORM_INVERSE && b.form != FORM_INVERSE) return product(method, b, a);
    bool number = a.number && b.number;
    a = as_real(method, a), b = as_real(method, b);
    if (b.form == FORM_INVERSE) return joined(method, a, "/", b.inner, number, LEVEL_MUL);
    if (b.number && !number) return product(method, b, a);
    return joined(method, a, "*", within(method, b, LEVEL_NEGATE), number, LEVEL_MUL);
}

static Code power(Method *method, Code a, Code b) {
    bool number = a.number && b.number;
    a = as_real(method, a), b = as_real(method, b);
    const char *text = arena_printf(method->arena, "%s ** %s", within(method, a, LEVEL_ATOM), within(method, b, LEVEL_ATOM));
    return (Code){.text = text, .level = LEVEL_NEGATE, .number = number};
}

/* A number stands on the right: `x > 0`, not `0 < x`. */
static Code comparison(Method *method, Op op, Code a, Code b) {
    static const char *const signs[2][3] = {{"<", "<=", "=="}, {">", ">=", "=="}};
    bool turned = a.number && !b.number;
    const char *sign = signs[turned][op == OP_LT ? 0 : op == OP_LE ? 1 : 2];
    a = turned ? as_real(method, a) : as_tensor(method, a), b = as_real(method, b);
    if (turned) { Code left = b; b = a; a = left; }
    return (Code){.text = arena_printf(method->arena, "%s %s %s", within(method, a, LEVEL_ADD), sign, within(method, b, LEVEL_ADD)),
                  .level = LEVEL_COMPARE, .form = FORM_BOOLEAN};
}

static Code selection(Method *method, Code condition, Code yes, Code no) {
    const char *test = condition.text;
    if (condition.form != FORM_BOOLEAN) test = arena_printf(method->arena, "%s != 0", within(method, as_tensor(method, condition), LEVEL_ADD));
    const char *first = no.number ? as_tensor(method, yes).text : as_real(method, yes).text;
    return atom(arena_printf(method->arena, "torch.where(%s, %s, %s)", test, first, as_real(method, no).text));
}

static const char *function_name(Op op) {
    static const char *const names[OP_COUNT] = {
        [OP_SQRT] = "sqrt", [OP_EXP] = "exp", [OP_LOG] = "log", [OP_TANH] = "tanh", [OP_SIGMOID] = "sigmoid", [OP_ERF] = "erf",
        [OP_SIN] = "sin", [OP_COS] = "cos", [OP_ABS] = "abs", [OP_SIGN] = "sign", [OP_FLOOR] = "floor", [OP_ROUND] = "round"};
    return names[op];
}

static Code elementwise_code(Method *method, const Node *node) {
    Code x[3] = {{0}};
    operands_of(method, node, x);
    switch (node->op) {
    case OP_NEG: return negation(method, x[0]);
    case OP_RECIP: return inverse(method, x[0]);
    case OP_ADD: return node_is_transparent(node->in[0]) ? sum(method, x[1], x[0]) : sum(method, x[0], x[1]); /* x @ w + b */
    case OP_MUL: return product(method, x[0], x[1]);
    case OP_POW: return power(method, x[0], x[1]);
    case OP_LT: case OP_LE: case OP_EQ: return comparison(method, node->op, x[0], x[1]);
    case OP_SELECT: return selection(method, x[0], x[1], x[2]);
    case OP_SOFTPLUS: /* PyTorch's own threshold, 20, would cost double precision */
        return atom(arena_printf(method->arena, "F.softplus(%s, threshold=50)", as_tensor(method, x[0]).text));
    default: return atom(arena_printf(method->arena, "torch.%s(%s)", function_name(node->op), as_tensor(method, x[0]).text));
    }
}

/* ── reductions and movements ─────────────────────────────────────────────────────────────── */

static const char *operand(Method *method, const Node *node, int i) { return python_text(method, node->in[i], LEVEL_ATOM); }

static const char *argument(Method *method, const Node *node, int i) { return python_text(method, node->in[i], LEVEL_COMPARE); }

static Code called(Method *method, const Node *node, const char *function, const char *arguments) {
    return atom(arena_printf(method->arena, "%s.%s(%s)", operand(method, node, 0), function, arguments));
}

static Code permute_code(Method *method, const Node *node) {
    Text order = {.arena = method->arena};
    if (node->shape.rank == 2) return atom(arena_printf(method->arena, "%s.T", operand(method, node, 0)));
    for (int i = 0; i < node->shape.rank; i++) text_add(&order, "%s%d", i ? ", " : "", node->attr.order[i]);
    return called(method, node, "permute", order.bytes);
}

/* start:stop:step, or `:` for the whole axis. */
static const char *slice_text(Method *method, const Node *node, int axis) {
    Dim start = node->attr.slice.start[axis], size = node->shape.dim[axis];
    int64_t step = node->attr.slice.step[axis];
    if (dim_equal(size, node->in[0]->shape.dim[axis])) return ":";
    Dim stop = dim_add(start, dim_add(dim_scale(dim_add(size, dim_const(-1)), step), dim_const(1)));
    const char *bounds = arena_printf(method->arena, "%s:%s", dim_text(method, start), dim_text(method, stop));
    return step == 1 ? bounds : arena_printf(method->arena, "%s:%lld", bounds, (long long)step);
}

static Code slice_code(Method *method, const Node *node) {
    const char *entries[MAX_RANK];
    for (int i = 0; i < node->shape.rank; i++) entries[i] = slice_text(method, node, i);
    return atom(arena_printf(method->arena, "%s%s", operand(method, node, 0), subscript(method, entries, node->shape.rank)));
}

/* F.pad counts axes from the last. */
static Code pad_code(Method *method, const Node *node) {
    Dim sizes[2 * MAX_RANK];
    int rank = node->shape.rank;
    for (int i = 0; i < rank; i++) {
        sizes[2 * i] = node->attr.pad.low[rank - 1 - i];
        sizes[2 * i + 1] = node->attr.pad.high[rank - 1 - i];
    }
    return atom(arena_printf(method->arena, "F.pad(%s, (%s))", argument(method, node, 0), dims_text(method, sizes, 2 * rank)));
}

static Code flip_code(Method *method, const Node *node) {
    Text axes = {.arena = method->arena};
    for (int i = 0; i < node->shape.rank; i++)
        if (node->attr.axes >> i & 1) text_add(&axes, "%s%d", axes.length ? ", " : "", i);
    return called(method, node, "flip", axes.bytes);
}

/* Long parts get lines of their own. */
static Code concat_code(Method *method, const Node *node) {
    Text parts = {.arena = method->arena};
    size_t length = 0;
    for (int i = 0; i < node->arity; i++) length += strlen(argument(method, node, i));
    for (int i = 0; i < node->arity; i++)
        text_add(&parts, "%s%s", !i ? "" : length > LONG_LENGTH ? ",\n            " : ", ", argument(method, node, i));
    return atom(arena_printf(method->arena, "torch.cat((%s), %d)", parts.bytes, node->attr.axis));
}

/* ── contractions ─────────────────────────────────────────────────────────────────────────── */

/* Letters for the axes of both operands, equal where they are summed over or run together: "ij,jk->ik". */
static Code einsum_code(Method *method, const Node *node) {
    const DotAxes *axes = &node->attr.dot;
    int a_rank = node->in[0]->shape.rank, b_rank = node->in[1]->shape.rank, count = 0;
    char a[MAX_RANK + 1] = "", b[MAX_RANK + 1] = "", out[2 * MAX_RANK + 1] = "";
    for (int i = 0; i < a_rank; i++) a[i] = (char)('a' + i);
    for (int i = 0; i < b_rank; i++) b[i] = (char)('a' + a_rank + i);
    for (int i = 0; i < axes->batch; i++) b[axes->b_batch[i]] = out[count++] = a[axes->a_batch[i]];
    for (int i = 0; i < axes->contract; i++) b[axes->b_contract[i]] = a[axes->a_contract[i]];
    for (int i = 0; i < a_rank; i++)
        if (!strchr(b, a[i])) out[count++] = a[i];
    for (int i = 0; i < b_rank; i++)
        if (!strchr(a, b[i])) out[count++] = b[i];
    return atom(arena_printf(method->arena, "torch.einsum(\"%s,%s->%s\", %s, %s)", a, b, out, argument(method, node, 0), argument(method, node, 1)));
}

/* A product of matrices, or of a stack of rows and a matrix, is written a @ b. */
static Code dot_code(Method *method, const Node *node) {
    const DotAxes *axes = &node->attr.dot;
    int a_rank = node->in[0]->shape.rank, b_rank = node->in[1]->shape.rank, last = axes->a_contract[0];
    if (axes->batch || axes->contract != 1 || b_rank > 2 || (last != a_rank - 1 && a_rank != 2)) return einsum_code(method, node);
    const bool turn_a = last != a_rank - 1, turn_b = axes->b_contract[0] != 0;
    const char *a = python_text(method, node->in[0], turn_a ? LEVEL_ATOM : LEVEL_MUL);
    const char *b = python_text(method, node->in[1], LEVEL_ATOM);
    return (Code){.text = arena_printf(method->arena, "%s%s @ %s%s", a, turn_a ? ".T" : "", b, turn_b ? ".T" : ""), .level = LEVEL_MUL};
}

/* One argument for each attribute that is not the usual one. */
static void add_spatial(Text *text, const char *name, const int64_t *values, int count, int64_t usual) {
    bool unusual = false;
    for (int i = 0; i < count; i++) unusual |= values[i] != usual;
    if (!unusual) return;
    text_add(text, ", %s=(", name);
    for (int i = 0; i < count; i++) text_add(text, "%s%lld", i ? ", " : "", (long long)values[i]);
    text_add(text, count == 1 ? ",)" : ")");
}

static Code conv_code(Method *method, const Node *node) {
    const ConvAxes *axes = &node->attr.conv;
    Text text = {.arena = method->arena};
    method->conv = true;
    text_add(&text, "convolve(%s, %s", argument(method, node, 0), argument(method, node, 1));
    add_spatial(&text, "stride", axes->stride, axes->spatial, 1);
    add_spatial(&text, "low", axes->low, axes->spatial, 0);
    add_spatial(&text, "high", axes->high, axes->spatial, 0);
    add_spatial(&text, "spread", axes->spread, axes->spatial, 1);
    add_spatial(&text, "dilation", axes->dilation, axes->spatial, 1);
    text_add(&text, ")");
    return atom(text.bytes);
}

/* ── indexing by value, draws ─────────────────────────────────────────────────────────────── */

/* Row numbers, held within the table. */
static const char *rows_text(Method *method, const Node *index, Dim rows) {
    return arena_printf(method->arena, "%s.clamp(0, %s).long()", python_text(method, index, LEVEL_ATOM), dim_text(method, dim_add(rows, dim_const(-1))));
}

static Code scatter_code(Method *method, const Node *node) {
    Shape rows = {.rank = 1};
    rows.dim[0] = dim_const(-1);
    for (int i = 1; i < node->shape.rank; i++) rows.dim[rows.rank++] = node->shape.dim[i];
    return atom(arena_printf(method->arena, "self.zero.new_zeros(%s).index_add(0, %s.reshape(-1), %s.reshape(%s))", shape_arguments(method, node),
                             rows_text(method, node->in[0], node->shape.dim[0]), operand(method, node, 1), dims_text(method, rows.dim, rows.rank)));
}

static Code rand_code(Method *method, const Node *node) {
    static const char *const names[] = {[DRAW_UNIFORM] = "uniform", [DRAW_NORMAL] = "normal", [DRAW_ORTHOGONAL] = "orthogonal"};
    return atom(arena_printf(method->arena, "self.%s(%d, %s)", names[node->attr.rand.distribution], node->attr.rand.stream,
                             shape_tuple(method, &node->shape)));
}

/* ── all ──────────────────────────────────────────────────────────────────────────────────── */

Code python_code(Method *method, const Node *node) {
    if (op_info[node->op].class == CLASS_ELEMENTWISE) return elementwise_code(method, node);
    switch (node->op) {
    case OP_RAND: return rand_code(method, node);
    case OP_SUM: return called(method, node, "sum", axes_text(method, node->attr.axes, node->in[0]->shape.rank));
    case OP_MAX: return called(method, node, "amax", axes_text(method, node->attr.axes, node->in[0]->shape.rank));
    case OP_ARGMAX: return atom(arena_printf(method->arena, "%s.argmax(%d).to(self.zero)", operand(method, node, 0), node->attr.axis));
    case OP_RESHAPE: return called(method, node, "reshape", node->shape.rank ? shape_arguments(method, node) : "()");
    case OP_PERMUTE: return permute_code(method, node);
    case OP_SLICE: return slice_code(method, node);
    case OP_PAD: return pad_code(method, node);
    case OP_FLIP: return flip_code(method, node);
    case OP_CONCAT: return concat_code(method, node);
    case OP_DOT: return dot_code(method, node);
    case OP_CONV: return conv_code(method, node);
    case OP_GATHER: return atom(arena_printf(method->arena, "%s[%s]", operand(method, node, 0), rows_text(method, node->in[1], node->in[0]->shape.dim[0])));
    case OP_SCATTER_ADD: return scatter_code(method, node);
    case OP_STOP: return called(method, node, "detach", "");
    default: return code_of(method, node);
    }
}

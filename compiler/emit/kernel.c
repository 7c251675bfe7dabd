/* A loop nest as a C function.
 *
 * Each value is computed in the outermost loop in which all that it depends on is known, and kept in a variable where more
 * than one expression needs it. The innermost loop of which lanes.c says that it can takes as many turns at once as a vector has lanes.
 * A sum or maximum along inner loops is kept in a register, with a lane for each of those turns; along outer loops it is accumulated
 * in memory.
 *
 * A kernel that does only some turns of its outermost loop at a call goes on with the sums that earlier calls have left in memory.
 * Where a sum is cut does not depend on who computes it, so that neither does its order. */
#include "emit.h"

#include "../fuse/fuse.h"

#include <stdarg.h>
#include <string.h>

enum { INDENT = 4, HEAVY = 12 /* terms in one expression */ };

static void line(Kernel *kernel, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(Kernel *kernel, const char *format, ...) {
    char *text;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    text = arena_alloc(kernel->emit->arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    add_statement(kernel->to, kernel->margin, text);
}

/* ── names ────────────────────────────────────────────────────────────────────────────────── */

/* Buffers in one place have one name in the function: the restrict of its parameters promises it. */
const char *buffer_text(const Kernel *kernel, const Buffer *buffer) {
    for (int i = 0; i < kernel->accesses.count; i++) {
        const Access *access = &kernel->accesses.items[i];
        if (access->writes && storage(access->buffer) == storage(buffer)) return access->buffer->name;
    }
    return buffer->name;
}

static bool taken(const Kernel *kernel, const char *name) {
    for (int i = 0; i < kernel->names.count; i++)
        if (strcmp(kernel->names.items[i], name) == 0) return true;
    for (int i = 0; i < kernel->accesses.count; i++)
        if (strcmp(kernel->accesses.items[i].buffer->name, name) == 0) return true;
    for (int s = 0; s < kernel->emit->module->symbols.count; s++)
        if (strcmp(kernel->emit->module->symbols.items[s].variable, name) == 0) return true;
    return c_reserved(name) || strcmp(name, kernel->emit->name) == 0;
}

static const char *new_name(Kernel *kernel, const char *wanted) {
    Arena *arena = kernel->emit->arena;
    const char *name = wanted;
    for (int number = 2; taken(kernel, name); number++) name = arena_printf(arena, "%s_%d", wanted, number);
    LIST_PUSH(arena, &kernel->names, name);
    return name;
}

/* A value inside loops is named with their variables: "h_ij". */
static const char *name_in_loops(Kernel *kernel, const char *base, int depth) {
    Text text = {.arena = kernel->emit->arena};
    text_add(&text, "%s%s", base, depth >= 0 ? "_" : "");
    for (int loop = 0; loop <= depth; loop++) text_add(&text, "%s", loop_name(loop));
    return new_name(kernel, text.bytes);
}

static const char *variable_name(Kernel *kernel, const Scalar *scalar) {
    const char *base = scalar->kind == SCALAR_OP ? op_info[scalar->op.op].name : "value";
    if (scalar->kind == SCALAR_LOAD) base = buffer_text(kernel, scalar->load.buffer);
    else if (scalar->node && scalar->node->label) base = c_variable(kernel->emit->arena, scalar->node->label);
    return name_in_loops(kernel, base, scalar->depth);
}

static void know(Kernel *kernel, const Scalar *scalar, const char *name, bool lanes) {
    LIST_PUSH(kernel->emit->arena, &kernel->known, ((Known){scalar, name, lanes}));
}

static void know_result(Kernel *kernel, Statement *statement, const char *name, bool lanes) {
    Scalar *result = NEW(kernel->emit->arena, Scalar);
    *result = (Scalar){.kind = SCALAR_RESULT, .result = statement};
    know(kernel, result, name, lanes);
}

/* ── how often each value is referred to ──────────────────────────────────────────────────── */

static void count_references(Kernel *kernel, const Scalar *scalar) {
    for (int i = 0; i < kernel->seen.count; i++)
        if (kernel->seen.items[i].scalar == scalar) {
            kernel->seen.items[i].references++;
            return;
        }
    LIST_PUSH(kernel->emit->arena, &kernel->seen, ((Seen){scalar, 1}));
    if (scalar->kind == SCALAR_OP)
        for (int i = 0; i < scalar->op.arity; i++) count_references(kernel, scalar->op.in[i]);
}

static void count_step(Kernel *kernel, const Step *step) {
    if (step->kind == STEP_STATEMENT) count_references(kernel, step->statement->value);
    else
        for (int i = 0; i < step->loop.body.count; i++) count_step(kernel, step->loop.body.items[i]);
}

static int references(const Kernel *kernel, const Scalar *scalar) {
    for (int i = 0; i < kernel->seen.count; i++)
        if (kernel->seen.items[i].scalar == scalar) return kernel->seen.items[i].references;
    return 0;
}

/* ── variables ────────────────────────────────────────────────────────────────────────────── */

static bool is_compound(const Scalar *s) {
    return s->kind == SCALAR_OP || s->kind == SCALAR_LOAD || s->kind == SCALAR_GUARD;
}

static void declare_as(Kernel *kernel, const Scalar *scalar, const char *name) {
    const bool lanes = in_lanes(kernel, scalar);
    line(kernel, "const %s %s = %s;", lanes ? "support_vector" : "float", name, scalar_text(kernel, scalar));
    know(kernel, scalar, name, lanes);
}

static void declare(Kernel *kernel, const Scalar *scalar) { declare_as(kernel, scalar, variable_name(kernel, scalar)); }

/* Declares the variables that the value's expression needs, and returns how many terms the expression then has. What stands
 * behind a guard must not be computed outside it, and gets none. */
static int prepare(Kernel *kernel, const Scalar *scalar, bool whole) {
    int weight = 1;
    if (known_name(kernel, scalar) || !is_compound(scalar)) return 1;
    if (scalar->kind == SCALAR_OP)
        for (int i = 0; i < scalar->op.arity; i++) weight += prepare(kernel, scalar->op.in[i], false);
    const bool named = scalar->kind == SCALAR_OP && scalar->node->label != NULL;
    if (references(kernel, scalar) < 2 && (whole || (weight < HEAVY && !named))) return weight;
    declare(kernel, scalar);
    return 1;
}

/* Whether the value can be computed before the loop: nothing that it loads is written in there, and all it refers to is known. */
static bool can_leave(const Kernel *kernel, const Scalar *scalar, const AccessList *loop) {
    if (scalar->kind == SCALAR_RESULT) return known_name(kernel, scalar) != NULL;
    if (scalar->kind == SCALAR_GUARD)
        return can_leave(kernel, scalar->guard.yes, loop) && can_leave(kernel, scalar->guard.no, loop);
    for (int i = 0; scalar->kind == SCALAR_LOAD && i < loop->count; i++)
        if (loop->items[i].writes && storage(loop->items[i].buffer) == storage(scalar->load.buffer)) return false;
    for (int i = 0; scalar->kind == SCALAR_OP && i < scalar->op.arity; i++)
        if (!can_leave(kernel, scalar->op.in[i], loop)) return false;
    return true;
}

static void hoist(Kernel *kernel, const Scalar *scalar, int depth, const AccessList *loop) {
    if (known_name(kernel, scalar) || !is_compound(scalar)) return;
    if (scalar->depth < depth && can_leave(kernel, scalar, loop)) {
        prepare(kernel, scalar, true);
        if (known_name(kernel, scalar) == NULL) declare(kernel, scalar);
    } else if (scalar->kind == SCALAR_OP) {
        for (int i = 0; i < scalar->op.arity; i++) hoist(kernel, scalar->op.in[i], depth, loop);
    }
}

static void hoist_step(Kernel *kernel, const Step *step, int depth, const AccessList *loop) {
    if (step->kind == STEP_STATEMENT) hoist(kernel, step->statement->value, depth, loop);
    else
        for (int i = 0; i < step->loop.body.count; i++) hoist_step(kernel, step->loop.body.items[i], depth, loop);
}

/* ── reductions ───────────────────────────────────────────────────────────────────────────── */

static bool reduces(const Statement *s) { return s->kind != STATEMENT_STORE; }

/* Whether the result is a register while the loop runs, and one number less has it afterwards. */
static bool reduces_loop(const Statement *s, int depth) {
    return reduces(s) && s->kind != STATEMENT_SCATTER && s->reduced >> depth & 1 && statement_register(s) <= depth;
}

static const char *first_value(const Statement *s) {
    return s->kind == STATEMENT_MAX || s->kind == STATEMENT_ARGMAX ? "-INFINITY" : "0.0f";
}

static int outermost_reduced(const Statement *s) {
    int depth = 0;
    while (!(s->reduced >> depth & 1)) depth++;
    return depth;
}

/* How many elements of the buffer the loop fills: the turns of the loops inside it that the result has. */
static bool count_filled(Kernel *kernel, const Step *step, const Statement *statement, const Poly **count) {
    if (step->kind == STEP_STATEMENT) return step->statement == statement;
    for (int i = 0; i < step->loop.body.count; i++)
        if (count_filled(kernel, step->loop.body.items[i], statement, count)) {
            if (!(statement->reduced >> step->loop.depth & 1))
                *count = poly_mul(kernel->emit->arena, *count, step->loop.extent);
            return true;
        }
    return false;
}

/* Where the first of them lies: the address without the terms of this and the inner loops. */
static const char *first_address(Kernel *kernel, const Statement *statement, int depth) {
    Index *start = arena_alloc(kernel->emit->arena, sizeof *start + (size_t)statement->at->count * sizeof(IndexTerm));
    start->constant = statement->at->constant;
    for (int i = 0; i < statement->at->count; i++)
        if (statement->at->term[i].atom->depth < depth) start->term[start->count++] = statement->at->term[i];
    return place_text(kernel, statement->buffer, start);
}

static void clear_memory(Kernel *kernel, const Step *loop, const Statement *statement) {
    const Poly *count = poly_const(kernel->emit->arena, 1);
    const char *start = "0", *place = "e";
    if (statement->buffer->pieces > 0) return; /* the caller does, for each piece */
    if (statement->kind == STATEMENT_SCATTER) count = statement->buffer->size;
    else {
        count_filled(kernel, loop, statement, &count);
        start = first_address(kernel, statement, loop->loop.depth);
    }
    if (strcmp(start, "0") != 0) place = arena_printf(kernel->emit->arena, "%s + e", start);
    if (loop && loop->loop.depth == 0 && kernel->ranged) line(kernel, "if (begin == 0)");
    line(kernel, "for (size_t e = 0; e < %s; e++) %s[%s] = %s;", poly_text(kernel->emit, count),
         buffer_text(kernel, statement->buffer), place, first_value(statement));
}

static Accumulator *accumulator_of(Kernel *kernel, const Statement *statement) {
    for (int i = 0; i < kernel->accumulators.count; i++)
        if (kernel->accumulators.items[i].statement == statement) return &kernel->accumulators.items[i];
    return NULL;
}

static const char *at_text(Kernel *kernel, const Statement *statement) {
    return arena_printf(kernel->emit->arena, "%s[%s]", buffer_text(kernel, statement->buffer),
                        place_text(kernel, statement->buffer, statement->at));
}

static void open_total(Kernel *kernel, const Statement *statement) {
    const int depth = statement_register(statement) - 1;
    const char *name = depth < 0
                           ? new_name(kernel, arena_printf(kernel->emit->arena, "%s_total", statement->buffer->name))
                           : name_in_loops(kernel, statement->buffer->name, depth);
    Accumulator accumulator = {.statement = statement, .total = name};
    const char *from = first_value(statement);
    if (depth < 0 && statement->buffer->pieces > 0) from = at_text(kernel, statement);
    else if (depth < 0 && kernel->ranged)
        from = arena_printf(kernel->emit->arena, "begin == 0 ? %s : %s", from, at_text(kernel, statement));
    if (kernel->lanes) line(kernel, "support_vector %s = %s;", name, spread_text(kernel, from));
    else line(kernel, "float %s = %s;", name, from);
    if (statement->kind == STATEMENT_ARGMAX) {
        accumulator.place = new_name(kernel, arena_printf(kernel->emit->arena, "%s_place", name));
        line(kernel, "size_t %s = 0;", accumulator.place);
    }
    LIST_PUSH(kernel->emit->arena, &kernel->accumulators, accumulator);
}

static void open_lanes(Kernel *kernel, const Statement *statement) {
    Accumulator *accumulator = accumulator_of(kernel, statement);
    accumulator->lanes = new_name(kernel, arena_printf(kernel->emit->arena, "%s_lanes", accumulator->total));
    line(kernel, "support_vector %s = %s;", accumulator->lanes, spread_text(kernel, first_value(statement)));
    if (accumulator->place == NULL) return;
    accumulator->places = new_name(kernel, arena_printf(kernel->emit->arena, "%s_lanes", accumulator->place));
    line(kernel, "support_vector %s = %s;", accumulator->places, spread_text(kernel, "0.0f"));
}

static void accumulate(Kernel *kernel, const Statement *statement, const char *to, const char *value) {
    if (statement->kind == STATEMENT_SUM || statement->kind == STATEMENT_SCATTER) line(kernel, "%s += %s;", to, value);
    else if (statement->kind == STATEMENT_ARGMAX) line(kernel, "%s = %s > %s ? %s : %s;", to, value, to, value, to);
    else line(kernel, "%s = %s > %s || isnan(%s) ? %s : %s;", to, value, to, value, value, to);
}

/* Lane by lane. */
static const char *accumulated_lanes(Kernel *kernel, const Statement *statement, const char *to, const char *value) {
    if (statement->kind == STATEMENT_SUM || statement->kind == STATEMENT_SCATTER)
        return arena_printf(kernel->emit->arena, "%s + %s", to, value);
    const char *larger = piece(kernel->emit, statement->kind == STATEMENT_ARGMAX ? "max" : "largest");
    return arena_printf(kernel->emit->arena, "%s(%s, %s)", larger, value, to);
}

static void open_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes) {
    if (step->kind == STEP_LOOP) {
        for (int i = 0; i < step->loop.body.count; i++) open_reductions(kernel, loop, step->loop.body.items[i], lanes);
        return;
    }
    const Statement *statement = step->statement;
    const int depth = loop->loop.depth;
    if (!reduces(statement)) return;
    if (!statement_in_register(statement) && outermost_reduced(statement) == depth)
        clear_memory(kernel, loop, statement);
    if (statement_register(statement) == depth) open_total(kernel, statement);
    if (lanes && reduces_loop(statement, depth)) open_lanes(kernel, statement);
}

static void add_lanes_to_memory(Kernel *kernel, const Statement *statement, const char *value) {
    const char *before = load_lanes_text(kernel, statement->buffer, statement->at);
    line(kernel, "%s", store_lanes_text(kernel, statement->buffer, statement->at, accumulated_lanes(kernel, statement, before, value)));
}

static void close_lanes(Kernel *kernel, const Statement *statement, const char *result) {
    if (!statement_in_register(statement)) add_lanes_to_memory(kernel, statement, result);
    else if (statement->stored) line(kernel, "%s", store_lanes_text(kernel, statement->buffer, statement->at, result));
}

/* After the loop from which on a register held the result: it goes to memory, whole or as one contribution. */
static void close_total(Kernel *kernel, Statement *statement) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    const char *result = accumulator->total;
    if (statement->kind == STATEMENT_ARGMAX)
        result = arena_printf(kernel->emit->arena, "(float)%s", accumulator->place);
    if (kernel->lanes) close_lanes(kernel, statement, result);
    else if (!statement_in_register(statement)) accumulate(kernel, statement, at_text(kernel, statement), result);
    else if (statement->stored) line(kernel, "%s = %s;", at_text(kernel, statement), result);
    know_result(kernel, statement, result, kernel->lanes != NULL);
}

static void fold_lanes(Kernel *kernel, const Statement *statement, const Accumulator *accumulator) {
    const bool sum = statement->kind == STATEMENT_SUM;
    const char *part = arena_printf(kernel->emit->arena, "%s(%s)", piece(kernel->emit, sum ? "vector_sum" : "vector_largest"), accumulator->lanes);
    if (accumulator->place)
        line(kernel, "%s = (size_t)%s(%s, %s);", accumulator->place, piece(kernel->emit, "vector_place"), accumulator->lanes, accumulator->places);
    if (!sum) {
        const char *name = new_name(kernel, arena_printf(kernel->emit->arena, "%s_part", accumulator->total));
        line(kernel, "const float %s = %s;", name, part);
        part = name;
    }
    accumulate(kernel, statement, accumulator->total, part);
}

static void close_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes) {
    if (step->kind == STEP_LOOP) {
        for (int i = 0; i < step->loop.body.count; i++) close_reductions(kernel, loop, step->loop.body.items[i], lanes);
        return;
    }
    Statement *statement = step->statement;
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    if (!reduces(statement) || accumulator == NULL) return;
    if (lanes && accumulator->lanes) fold_lanes(kernel, statement, accumulator);
    if (statement_register(statement) == loop->loop.depth) close_total(kernel, statement);
}

/* ── statements and loops ─────────────────────────────────────────────────────────────────── */

static void emit_store(Kernel *kernel, Statement *statement) {
    if (statement->reused && known_name(kernel, statement->value) == NULL && is_compound(statement->value))
        declare_as(kernel, statement->value, name_in_loops(kernel, statement->buffer->name, statement->depth - 1));
    const char *value = scalar_text(kernel, statement->value);
    if (statement->stored && kernel->lanes)
        line(kernel, "%s", store_lanes_text(kernel, statement->buffer, statement->at, lanes_text(kernel, statement->value)));
    else if (statement->stored) line(kernel, "%s = %s;", at_text(kernel, statement), value);
    if (statement->reused) know_result(kernel, statement, value, in_lanes(kernel, statement->value));
}

static void emit_argmax(Kernel *kernel, const Statement *statement, const char *value) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    line(kernel, "%s = %s > %s ? %s : %s;", accumulator->place, value, accumulator->total, loop_name(statement->depth - 1),
         accumulator->place);
    line(kernel, "%s = %s > %s ? %s : %s;", accumulator->total, value, accumulator->total, value, accumulator->total);
}

/* Whether something is read from its end on, in one of the loops that the statement reduces in a register. */
static bool reads_backwards(const Kernel *kernel, const Statement *statement) {
    for (int i = 0; i < kernel->accesses.count; i++)
        for (int depth = statement_register(statement); kernel->accesses.items[i].at && depth < statement->depth; depth++) {
            const Poly *factor = index_factor(kernel->emit->arena, kernel->accesses.items[i].at, depth);
            if (factor->count > 0 && factor->term[0].factor < 0) return true;
        }
    return false;
}

/* Which turns have the largest values so far, lane by lane. */
static void place_lanes(Kernel *kernel, const Accumulator *accumulator, const char *value) {
    const char *turn = count_lanes_text(kernel, arena_printf(kernel->emit->arena, "(float)%s", loop_name(kernel->lanes->loop.depth)));
    const char *select = piece(kernel->emit, "select"), *to = accumulator->places;
    line(kernel, "%s = %s(support_less(%s, %s), %s, %s);", to, select, accumulator->lanes, first_lanes_text(kernel, value, "-INFINITY"), turn, to);
}

/* A sum or maximum of lanes, which those behind the last turn must leave as it is; one for each lane; or one in memory. */
static void emit_lanes(Kernel *kernel, const Statement *statement) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    if (statement->kind == STATEMENT_ARGMAX && is_compound(statement->value) && !known_name(kernel, statement->value))
        declare(kernel, statement->value);
    const char *value = lanes_text(kernel, statement->value);
    if (accumulator && accumulator->places) place_lanes(kernel, accumulator, value);
    if (accumulator && accumulator->lanes) value = first_lanes_text(kernel, value, first_value(statement));
    const char *to = !accumulator ? NULL : accumulator->lanes ? accumulator->lanes : accumulator->total;
    if (!to) add_lanes_to_memory(kernel, statement, value);
    else if (statement->kind == STATEMENT_SUM) line(kernel, "%s += %s;", to, value);
    else line(kernel, "%s = %s;", to, accumulated_lanes(kernel, statement, to, value));
}

static void emit_statement(Kernel *kernel, Statement *statement) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    prepare(kernel, statement->value, true);
    if (!reduces(statement)) emit_store(kernel, statement);
    else if (kernel->lanes) emit_lanes(kernel, statement);
    else {
        if (statement->kind >= STATEMENT_MAX && statement->kind != STATEMENT_SCATTER && is_compound(statement->value) &&
            known_name(kernel, statement->value) == NULL)
            declare(kernel, statement->value);
        const char *value = scalar_text(kernel, statement->value);
        if (statement->kind == STATEMENT_ARGMAX) emit_argmax(kernel, statement, value);
        else accumulate(kernel, statement, accumulator ? accumulator->total : at_text(kernel, statement), value);
        if (accumulator && statement->kind == STATEMENT_SUM && reads_backwards(kernel, statement))
            line(kernel, "%s(%s);", piece(kernel->emit, "in_order"), accumulator->total);
    }
}

static void emit_loop(Kernel *kernel, const Step *loop);

static void emit_body(Kernel *kernel, const Step *loop) {
    const int known = kernel->known.count, names = kernel->names.count;
    kernel->margin += INDENT;
    for (int i = 0; i < loop->loop.body.count; i++) {
        const Step *step = loop->loop.body.items[i];
        if (step->kind == STEP_LOOP) emit_loop(kernel, step);
        else emit_statement(kernel, step->statement);
    }
    kernel->margin -= INDENT;
    kernel->known.count = known;
    kernel->names.count = names;
}

static bool is_cut(const Kernel *kernel, const Step *loop) { return kernel->ranged && loop == kernel->step; }

static const char *first_turn(const Kernel *kernel, const Step *loop) { return is_cut(kernel, loop) ? "begin" : "0"; }

static const char *last_turn(const Kernel *kernel, const Step *loop) {
    return is_cut(kernel, loop) ? "end" : poly_text(kernel->emit, loop->loop.extent);
}

/* The turns of the loop by vectors: all of them whole, where their number is known to be a multiple of what any machine has. */
static void emit_vectors(Kernel *kernel, const Step *loop) {
    int64_t turns;
    const char *variable = loop_name(loop->loop.depth), *end = last_turn(kernel, loop);
    kernel->lanes = loop;
    kernel->ends = is_cut(kernel, loop) || !poly_constant(loop->loop.extent, &turns) || turns % MOST_LANES != 0;
    line(kernel, "for (size_t %s = %s; %s < %s; %s += SUPPORT_LANES) {", variable, first_turn(kernel, loop), variable, end, variable);
    if (kernel->ends) line(kernel, "%*sconst ptrdiff_t lanes = (ptrdiff_t)(%s - %s);", INDENT, "", end, variable);
    piece(kernel->emit, "vector");
    emit_body(kernel, loop);
    kernel->lanes = NULL;
}

static void emit_loop(Kernel *kernel, const Step *loop) {
    const char *variable = loop_name(loop->loop.depth);
    const bool lanes = kernel->lanes == NULL && loop_has_lanes(kernel, loop);
    AccessList accesses = {0};
    step_accesses(kernel->emit->arena, loop, &accesses);
    hoist_step(kernel, loop, loop->loop.depth, &accesses);
    open_reductions(kernel, loop, loop, lanes);
    if (lanes) emit_vectors(kernel, loop);
    else {
        line(kernel, "for (size_t %s = %s; %s < %s; %s++) {", variable, first_turn(kernel, loop), variable,
             last_turn(kernel, loop), variable);
        emit_body(kernel, loop);
    }
    line(kernel, "}");
    close_reductions(kernel, loop, loop, lanes);
}

/* ── the function ─────────────────────────────────────────────────────────────────────────── */

const char *buffer_type(const Buffer *buffer) {
    return buffer->port && buffer->port->classes > 0 && buffer->kind == BUFFER_INPUT ? "int32_t" : "float";
}

static bool writes_storage(const Kernel *kernel, const Buffer *buffer) {
    for (int i = 0; i < kernel->accesses.count; i++)
        if (kernel->accesses.items[i].writes && storage(kernel->accesses.items[i].buffer) == storage(buffer))
            return true;
    return false;
}

static void add_parameter(Text *parameters, Text *arguments, const char *type, const char *name, const char *value) {
    text_add(parameters, "%s%s%s", parameters->length ? ", " : "", type, name);
    text_add(arguments, "%s%s", arguments->length ? ", " : "", value);
}

/* Run-time sizes and the clock where the body mentions them, then each place once: what is read, then what is written. */
static void list_parameters(Kernel *kernel, const char *body, Text *parameters, Text *arguments) {
    const Emit *emit = kernel->emit;
    WordList listed = {0};
    for (int s = 0; s < emit->module->symbols.count; s++)
        if (mentions(body, emit->module->symbols.items[s].variable))
            add_parameter(parameters, arguments, "size_t ", emit->module->symbols.items[s].variable,
                          emit->module->symbols.items[s].variable);
    for (int depth = 0; kernel->step->kind == STEP_LOOP && depth < kernel->step->loop.depth; depth++) /* over time */
        if (mentions(body, loop_name(depth))) add_parameter(parameters, arguments, "size_t ", loop_name(depth), loop_name(depth));
    if (mentions(body, "clock"))
        add_parameter(parameters, arguments,
                      arena_printf(emit->arena, "const %s_clock *", emit->options->standalone ? emit->name : "gdl"),
                      "clock", "clock");
    for (int written = 0; written < 2; written++)
        for (int i = 0; i < kernel->accesses.count; i++) {
            const Buffer *buffer = kernel->accesses.items[i].buffer;
            const char *name = buffer_text(kernel, buffer);
            bool first = writes_storage(kernel, buffer) == written;
            for (int k = 0; k < listed.count; k++) first = first && strcmp(listed.items[k], name) != 0;
            if (!first) continue;
            LIST_PUSH(emit->arena, &listed, name);
            const char *place = name;
            if (written && buffer->pieces > 0) place = arena_printf(emit->arena, "%s + %s", name, piece_offset(kernel->emit, buffer));
            add_parameter(parameters, arguments,
                          arena_printf(emit->arena, "%s%s *restrict ", written ? "" : "const ", buffer_type(buffer)),
                          name, place);
        }
}

const char *emit_kernel(Emit *emit, Text *to, const char *name, const Step *step, const Range *range) {
    Text body = {.arena = emit->arena}, parameters = {.arena = emit->arena}, arguments = {.arena = emit->arena};
    Kernel kernel = {.emit = emit, .to = &body, .step = step, .margin = INDENT, .ranged = range != NULL};
    step_accesses(emit->arena, step, &kernel.accesses);
    count_step(&kernel, step);
    if (step->kind == STEP_LOOP) emit_loop(&kernel, step);
    else emit_statement(&kernel, step->statement);
    if (range) {
        add_parameter(&parameters, &arguments, "size_t ", "begin", range->begin);
        add_parameter(&parameters, &arguments, "size_t ", "end", range->end);
    }
    list_parameters(&kernel, body.bytes, &parameters, &arguments);
    const int column = (int)strlen("static void (") + (int)strlen(name);
    text_add(to, "static void %s(", name);
    add_wrapped(to, parameters.bytes, column, 120);
    text_add(to, ") {\n%s}\n\n", body.bytes);
    return arena_printf(emit->arena, "%s(%s);", name, arguments.bytes);
}

/* In a block of its own where it needs variables. */
void emit_inline(Emit *emit, Text *to, const Program *program, const Step *step, int margin) {
    Text text = {.arena = emit->arena};
    Kernel kernel = {.emit = emit, .to = &text};
    for (int i = 0; i < program->buffers.count; i++)
        LIST_PUSH(emit->arena, &kernel.names, program->buffers.items[i]->name);
    step_accesses(emit->arena, step, &kernel.accesses);
    count_step(&kernel, step);
    if (step->statement->kind == STATEMENT_SCATTER) clear_memory(&kernel, NULL, step->statement);
    emit_statement(&kernel, step->statement);
    const bool block = strchr(text.bytes, '\n')[1] != '\0';
    if (block) text_add(to, "%*s{\n", margin, "");
    add_indented(to, text.bytes, block ? margin + INDENT : margin);
    if (block) text_add(to, "%*s}\n", margin, "");
}

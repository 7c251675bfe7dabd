/* Reductions in loop nests: a sum or maximum along inner loops is kept in a register, with a lane for each of the turns that are
 * computed at once; along outer loops it is accumulated in memory.
 *
 * open_reductions and close_reductions stand before and behind a loop: they declare the variables of the results that its turns
 * contribute to, and put what these hold where it belongs. */
#include "emit.h"

#include "../fuse/fuse.h"

#include <string.h>

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

void clear_memory(Kernel *kernel, const Step *loop, const Statement *statement) {
    const Poly *count = poly_const(kernel->emit->arena, 1);
    const char *start = "0", *place = "e";
    if (statement->buffer->pieces > 0) return; /* the caller does, for each piece */
    if (statement->kind == STATEMENT_SCATTER) count = statement->buffer->size;
    else {
        count_filled(kernel, loop, statement, &count);
        start = first_address(kernel, statement, loop->loop.depth);
    }
    if (strcmp(start, "0") != 0) place = arena_printf(kernel->emit->arena, "%s + e", start);
    if (loop && loop->loop.depth == 0 && kernel->ranged) kernel_line(kernel, "if (begin == 0)");
    kernel_line(kernel, "for (size_t e = 0; e < %s; e++) %s[%s] = %s;", poly_text(kernel->emit, count),
                buffer_text(kernel, statement->buffer), place, first_value(statement));
}

static Accumulator *accumulator_of(Kernel *kernel, const Statement *statement) {
    for (int i = 0; i < kernel->accumulators.count; i++)
        if (kernel->accumulators.items[i].statement == statement) return &kernel->accumulators.items[i];
    return NULL;
}

static void open_total(Kernel *kernel, const Statement *statement) {
    const int depth = statement_register(statement) - 1;
    const char *name = depth < 0
                           ? kernel_name(kernel, arena_printf(kernel->emit->arena, "%s_total", statement->buffer->name))
                           : name_in_loops(kernel, statement->buffer->name, depth);
    Accumulator accumulator = {.statement = statement, .total = name};
    const char *from = first_value(statement);
    if (depth < 0 && statement->buffer->pieces > 0) from = at_text(kernel, statement);
    else if (depth < 0 && kernel->ranged)
        from = arena_printf(kernel->emit->arena, "begin == 0 ? %s : %s", from, at_text(kernel, statement));
    if (kernel->lanes) kernel_line(kernel, "support_vector %s = %s;", name, spread_text(kernel, from));
    else kernel_line(kernel, "float %s = %s;", name, from);
    if (statement->kind == STATEMENT_ARGMAX) {
        accumulator.place = kernel_name(kernel, arena_printf(kernel->emit->arena, "%s_place", name));
        kernel_line(kernel, "size_t %s = 0;", accumulator.place);
    }
    LIST_PUSH(kernel->emit->arena, &kernel->accumulators, accumulator);
}

static void open_lanes(Kernel *kernel, const Statement *statement) {
    Accumulator *accumulator = accumulator_of(kernel, statement);
    accumulator->lanes = kernel_name(kernel, arena_printf(kernel->emit->arena, "%s_lanes", accumulator->total));
    kernel_line(kernel, "support_vector %s = %s;", accumulator->lanes, spread_text(kernel, first_value(statement)));
    if (accumulator->place == NULL) return;
    accumulator->places = kernel_name(kernel, arena_printf(kernel->emit->arena, "%s_lanes", accumulator->place));
    kernel_line(kernel, "support_vector %s = %s;", accumulator->places, spread_text(kernel, "0.0f"));
}

static void accumulate(Kernel *kernel, const Statement *statement, const char *to, const char *value) {
    if (statement->kind == STATEMENT_SUM || statement->kind == STATEMENT_SCATTER) kernel_line(kernel, "%s += %s;", to, value);
    else if (statement->kind == STATEMENT_ARGMAX) kernel_line(kernel, "%s = %s > %s ? %s : %s;", to, value, to, value, to);
    else kernel_line(kernel, "%s = %s > %s || isnan(%s) ? %s : %s;", to, value, to, value, value, to);
}

/* Lane by lane. */
static const char *accumulated_lanes(Kernel *kernel, const Statement *statement, const char *to, const char *value) {
    if (statement->kind == STATEMENT_SUM || statement->kind == STATEMENT_SCATTER)
        return arena_printf(kernel->emit->arena, "%s + %s", to, value);
    const char *larger = piece(kernel->emit, statement->kind == STATEMENT_ARGMAX ? "max" : "largest");
    return arena_printf(kernel->emit->arena, "%s(%s, %s)", larger, value, to);
}

void open_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes) {
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
    const char *after = accumulated_lanes(kernel, statement, before, value);
    kernel_line(kernel, "%s", store_lanes_text(kernel, statement->buffer, statement->at, after));
}

static void close_lanes(Kernel *kernel, const Statement *statement, const char *result) {
    if (!statement_in_register(statement)) add_lanes_to_memory(kernel, statement, result);
    else if (statement->stored) kernel_line(kernel, "%s", store_lanes_text(kernel, statement->buffer, statement->at, result));
}

/* After the loop from which on a register held the result: it goes to memory, whole or as one contribution. */
static void close_total(Kernel *kernel, Statement *statement) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    const char *result = accumulator->total;
    if (statement->kind == STATEMENT_ARGMAX)
        result = arena_printf(kernel->emit->arena, "(float)%s", accumulator->place);
    if (kernel->lanes) close_lanes(kernel, statement, result);
    else if (!statement_in_register(statement)) accumulate(kernel, statement, at_text(kernel, statement), result);
    else if (statement->stored) kernel_line(kernel, "%s = %s;", at_text(kernel, statement), result);
    know_result(kernel, statement, result, kernel->lanes != NULL);
}

static void fold_lanes(Kernel *kernel, const Statement *statement, const Accumulator *accumulator) {
    const bool sum = statement->kind == STATEMENT_SUM;
    const char *fold = piece(kernel->emit, sum ? "vector_sum" : "vector_largest");
    const char *part = arena_printf(kernel->emit->arena, "%s(%s)", fold, accumulator->lanes);
    if (accumulator->place)
        kernel_line(kernel, "%s = (size_t)%s(%s, %s);", accumulator->place, piece(kernel->emit, "vector_place"),
                    accumulator->lanes, accumulator->places);
    if (!sum) {
        const char *name = kernel_name(kernel, arena_printf(kernel->emit->arena, "%s_part", accumulator->total));
        kernel_line(kernel, "const float %s = %s;", name, part);
        part = name;
    }
    accumulate(kernel, statement, accumulator->total, part);
}

void close_reductions(Kernel *kernel, const Step *loop, const Step *step, bool lanes) {
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

/* ── one contribution ─────────────────────────────────────────────────────────────────────── */

static void emit_argmax(Kernel *kernel, const Statement *statement, const char *value) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    kernel_line(kernel, "%s = %s > %s ? %s : %s;", accumulator->place, value, accumulator->total, loop_name(statement->depth - 1),
                accumulator->place);
    kernel_line(kernel, "%s = %s > %s ? %s : %s;", accumulator->total, value, accumulator->total, value, accumulator->total);
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
    const char *first = arena_printf(kernel->emit->arena, "(float)%s", loop_name(kernel->lanes->loop.depth));
    const char *counted = first_lanes_text(kernel, value, "-INFINITY"), *turns = count_lanes_text(kernel, first);
    kernel_line(kernel, "%s = %s(support_less(%s, %s), %s, %s);", accumulator->places, piece(kernel->emit, "select"),
                accumulator->lanes, counted, turns, accumulator->places);
}

/* A sum or maximum of lanes, which those behind the last turn must leave as it is; one for each lane; or one in memory. */
static void emit_lanes(Kernel *kernel, const Statement *statement) {
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    if (statement->kind == STATEMENT_ARGMAX && is_compound(statement->value) && !known_name(kernel, statement->value))
        declare_value(kernel, statement->value);
    const char *value = lanes_text(kernel, statement->value);
    if (accumulator && accumulator->places) place_lanes(kernel, accumulator, value);
    if (accumulator && accumulator->lanes) value = first_lanes_text(kernel, value, first_value(statement));
    const char *to = !accumulator ? NULL : accumulator->lanes ? accumulator->lanes : accumulator->total;
    if (!to) add_lanes_to_memory(kernel, statement, value);
    else if (statement->kind == STATEMENT_SUM) kernel_line(kernel, "%s += %s;", to, value);
    else kernel_line(kernel, "%s = %s;", to, accumulated_lanes(kernel, statement, to, value));
}

void emit_reduced(Kernel *kernel, const Statement *statement) {
    if (kernel->lanes) {
        emit_lanes(kernel, statement);
        return;
    }
    const Accumulator *accumulator = accumulator_of(kernel, statement);
    const bool twice = statement->kind >= STATEMENT_MAX && statement->kind != STATEMENT_SCATTER; /* the text has the value */
    if (twice && is_compound(statement->value) && !known_name(kernel, statement->value)) declare_value(kernel, statement->value);
    const char *value = scalar_text(kernel, statement->value);
    if (statement->kind == STATEMENT_ARGMAX) emit_argmax(kernel, statement, value);
    else accumulate(kernel, statement, accumulator ? accumulator->total : at_text(kernel, statement), value);
    if (accumulator && statement->kind == STATEMENT_SUM && reads_backwards(kernel, statement))
        kernel_line(kernel, "%s(%s);", piece(kernel->emit, "in_order"), accumulator->total);
}

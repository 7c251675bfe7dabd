/* A loop nest as a C function.
 *
 * Each value is computed in the outermost loop in which all that it depends on is known, and kept in a variable where more
 * than one expression needs it. The innermost loop of which lanes.c says that it can takes as many turns at once as a vector has
 * lanes. Sums and maxima are in reduction.c.
 *
 * A kernel that does only some turns of its outermost loop at a call goes on with the sums that earlier calls have left in
 * memory. Where a sum is cut does not depend on who computes it, so that neither does its order. */
#include "emit.h"

#include "../fuse/fuse.h"

#include <stdarg.h>
#include <string.h>

enum { INDENT = 4, HEAVY = 12 /* terms in one expression */ };

void kernel_line(Kernel *kernel, const char *format, ...) {
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

const char *kernel_name(Kernel *kernel, const char *wanted) {
    Arena *arena = kernel->emit->arena;
    const char *name = wanted;
    for (int number = 2; taken(kernel, name); number++) name = arena_printf(arena, "%s_%d", wanted, number);
    LIST_PUSH(arena, &kernel->names, name);
    return name;
}

/* A value inside loops is named with their variables: "h_ij". */
const char *name_in_loops(Kernel *kernel, const char *base, int depth) {
    Text text = {.arena = kernel->emit->arena};
    text_add(&text, "%s%s", base, depth >= 0 ? "_" : "");
    for (int loop = 0; loop <= depth; loop++) text_add(&text, "%s", loop_name(loop));
    return kernel_name(kernel, text.bytes);
}

const char *at_text(Kernel *kernel, const Statement *statement) {
    return arena_printf(kernel->emit->arena, "%s[%s]", buffer_text(kernel, statement->buffer),
                        place_text(kernel, statement->buffer, statement->at));
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

void know_result(Kernel *kernel, Statement *statement, const char *name, bool lanes) {
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

bool is_compound(const Scalar *s) {
    return s->kind == SCALAR_OP || s->kind == SCALAR_LOAD || s->kind == SCALAR_GUARD;
}

static void declare_as(Kernel *kernel, const Scalar *scalar, const char *name) {
    const bool lanes = in_lanes(kernel, scalar);
    kernel_line(kernel, "const %s %s = %s;", lanes ? "support_vector" : "float", name, scalar_text(kernel, scalar));
    know(kernel, scalar, name, lanes);
}

void declare_value(Kernel *kernel, const Scalar *scalar) { declare_as(kernel, scalar, variable_name(kernel, scalar)); }

/* Declares the variables that the value's expression needs, and returns how many terms the expression then has. What stands
 * behind a guard must not be computed outside it, and gets none. */
static int prepare(Kernel *kernel, const Scalar *scalar, bool whole) {
    int weight = 1;
    if (known_name(kernel, scalar) || !is_compound(scalar)) return 1;
    if (scalar->kind == SCALAR_OP)
        for (int i = 0; i < scalar->op.arity; i++) weight += prepare(kernel, scalar->op.in[i], false);
    const bool named = scalar->kind == SCALAR_OP && scalar->node->label != NULL;
    if (references(kernel, scalar) < 2 && (whole || (weight < HEAVY && !named))) return weight;
    declare_value(kernel, scalar);
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
        if (known_name(kernel, scalar) == NULL) declare_value(kernel, scalar);
    } else if (scalar->kind == SCALAR_OP) {
        for (int i = 0; i < scalar->op.arity; i++) hoist(kernel, scalar->op.in[i], depth, loop);
    }
}

static void hoist_step(Kernel *kernel, const Step *step, int depth, const AccessList *loop) {
    if (step->kind == STEP_STATEMENT) hoist(kernel, step->statement->value, depth, loop);
    else
        for (int i = 0; i < step->loop.body.count; i++) hoist_step(kernel, step->loop.body.items[i], depth, loop);
}

/* ── statements and loops ─────────────────────────────────────────────────────────────────── */

static void emit_store(Kernel *kernel, Statement *statement) {
    if (statement->reused && known_name(kernel, statement->value) == NULL && is_compound(statement->value))
        declare_as(kernel, statement->value, name_in_loops(kernel, statement->buffer->name, statement->depth - 1));
    const char *value = scalar_text(kernel, statement->value);
    if (statement->stored && kernel->lanes)
        kernel_line(kernel, "%s",
                    store_lanes_text(kernel, statement->buffer, statement->at, lanes_text(kernel, statement->value)));
    else if (statement->stored) kernel_line(kernel, "%s = %s;", at_text(kernel, statement), value);
    if (statement->reused) know_result(kernel, statement, value, in_lanes(kernel, statement->value));
}

static void emit_statement(Kernel *kernel, Statement *statement) {
    prepare(kernel, statement->value, true);
    if (statement->kind == STATEMENT_STORE) emit_store(kernel, statement);
    else emit_reduced(kernel, statement);
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
    kernel->ends = is_cut(kernel, loop) ? !kernel->whole : !poly_constant(loop->loop.extent, &turns) || turns % MOST_LANES != 0;
    kernel_line(kernel, "for (size_t %s = %s; %s < %s; %s += SUPPORT_LANES) {", variable, first_turn(kernel, loop), variable, end,
                variable);
    if (kernel->ends) kernel_line(kernel, "%*sconst ptrdiff_t lanes = (ptrdiff_t)(%s - %s);", INDENT, "", end, variable);
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
        kernel_line(kernel, "for (size_t %s = %s; %s < %s; %s++) {", variable, first_turn(kernel, loop), variable,
                    last_turn(kernel, loop), variable);
        emit_body(kernel, loop);
    }
    kernel_line(kernel, "}");
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
            if (written && buffer->pieces > 0)
                place = arena_printf(emit->arena, "%s + %s", name, piece_offset(kernel->emit, buffer));
            add_parameter(parameters, arguments,
                          arena_printf(emit->arena, "%s%s *restrict ", written ? "" : "const ", buffer_type(buffer)),
                          name, place);
        }
}

Function kernel_function(Emit *emit, const Step *step, const Range *range) {
    Text body = {.arena = emit->arena}, parameters = {.arena = emit->arena}, arguments = {.arena = emit->arena};
    Kernel kernel = {.emit = emit, .to = &body, .step = step, .margin = INDENT, .ranged = range != NULL, .whole = range && range->whole};
    step_accesses(emit->arena, step, &kernel.accesses);
    count_step(&kernel, step);
    if (step->kind == STEP_LOOP) emit_loop(&kernel, step);
    else emit_statement(&kernel, step->statement);
    if (range) {
        add_parameter(&parameters, &arguments, "size_t ", "begin", range->begin);
        add_parameter(&parameters, &arguments, "size_t ", "end", range->end);
    }
    list_parameters(&kernel, body.bytes, &parameters, &arguments);
    return (Function){parameters.bytes, body.bytes, arguments.bytes};
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

/* An entry point's program as C: pointers to its buffers, then its steps in order, each under a comment that says what it computes
 * and which line of the model asked for it. Loop nests are functions of their own, ahead of it. */
#include "emit.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* ── comments ─────────────────────────────────────────────────────────────────────────────── */

/* "[n][784]" */
static const char *shape_comment(Emit *emit, const Shape *shape) {
    Text text = {.arena = emit->arena};
    for (int axis = 0; axis < shape->rank; axis++)
        text_add(&text, "[%s]", poly_text(emit, poly_dim(emit->arena, shape->dim[axis])));
    return text.length ? text.bytes : "";
}

/* No path, so that the output does not depend on where the compiler ran. */
const char *place_comment(Emit *emit, const Node *node) {
    if (node == NULL || node->span.end <= 0 || node->span.file >= emit->context->sources.count) return "";
    const char *path = emit->context->sources.items[node->span.file].path;
    const Position position = source_position(emit->context, node->span.file, node->span.start);
    return arena_printf(emit->arena, "   %s:%d", base_name(path), position.line);
}

const char *value_comment(Emit *emit, const Buffer *buffer) {
    return arena_printf(emit->arena, "%s%s", buffer->name, shape_comment(emit, &buffer->shape));
}

static void add_written(Emit *emit, const Step *step, Text *text, const Node **node) {
    if (step->kind == STEP_LOOP)
        for (int i = 0; i < step->loop.body.count; i++) add_written(emit, step->loop.body.items[i], text, node);
    else if (step->statement->stored) {
        text_add(text, "%s%s", text->length ? ", " : "", value_comment(emit, step->statement->buffer));
        if (*node == NULL) *node = step->statement->node;
    }
}

static void comment_loops(Emit *emit, Text *to, const Step *step, int margin) {
    Text written = {.arena = emit->arena};
    const Node *node = NULL;
    add_written(emit, step, &written, &node);
    text_add(&written, "%s", place_comment(emit, node));
    add_comment(to, margin, written.bytes);
}

/* ── draws ────────────────────────────────────────────────────────────────────────────────── */

/* A call for many examples comes in pieces: an example's numbers do not depend on where it is cut. */
static const char *first_position(Emit *emit, const Shape *shape) {
    if (shape->rank == 0 || dim_is_const(shape->dim[0]) || shape->dim[0].symbol != SYMBOL_BATCH) return "0";
    Shape example = *shape;
    example.dim[0] = dim_const(shape->dim[0].scale);
    const Poly *size = poly_shape(emit->arena, &example);
    return poly_is(size, 1)
               ? "first"
               : arena_printf(emit->arena, size->count > 1 ? "first * (%s)" : "first * %s", poly_text(emit, size));
}

static void emit_draw(Emit *emit, Text *to, const Draw *draw, const Range *range, int margin) {
    const Node *node = draw->node;
    const Shape *shape = &node->shape;
    const int stream = node->attr.rand.stream;
    add_comment(to, margin, arena_printf(emit->arena, "%s%s", value_comment(emit, draw->buffer), place_comment(emit, node)));
    if (node->attr.rand.distribution == DRAW_ORTHOGONAL) {
        const Dim columns = shape->rank ? shape->dim[shape->rank - 1] : dim_const(1);
        const Poly *rows = poly_divide(emit->arena, draw->buffer->size, poly_dim(emit->arena, columns));
        text_add(to, "%*s%s(m->clock.seed, tick, %du, %s, %s, %s);\n", margin, "", piece(emit, "orthogonal"), stream,
                 poly_text(emit, rows), poly_text(emit, poly_dim(emit->arena, columns)), draw->buffer->name);
        return;
    }
    const char *position = first_position(emit, shape), *count = poly_text(emit, draw->turns), *place = draw->buffer->name;
    if (range) {
        position = arena_printf(emit->arena, "%s + %s", position, range->begin);
        if (!draw->buffer->of_block) place = arena_printf(emit->arena, "%s + %s", place, range->begin);
        count = range->count;
    }
    text_add(to, "%*s%s(m->clock.seed, tick, %du, %s, %s, %s);\n", margin, "",
             piece(emit, node->attr.rand.distribution == DRAW_UNIFORM ? "uniform" : "normal"), stream, position, count, place);
}

/* ── pointers ─────────────────────────────────────────────────────────────────────────────── */

static bool used_in(const AccessList *accesses, const Buffer *buffer, bool *written) {
    bool used = *written = false;
    for (int i = 0; i < accesses->count && !*written; i++) {
        used = used || accesses->items[i].buffer == buffer;
        *written = accesses->items[i].buffer == buffer && accesses->items[i].writes;
    }
    return used;
}

static const char *buffer_place(Emit *emit, const Buffer *buffer) {
    const char *base = arena_printf(emit->arena, "m->region_%d", buffer->degree), *power = "";
    int64_t offset = buffer->offset;
    if (buffer->kind == BUFFER_TENSOR) {
        base = "m->tensors";
        offset = emit->plan->tensor[buffer->tensor->index];
    } else if (buffer->kind == BUFFER_REPORT) {
        base = "report";
        offset = buffer->place;
    }
    for (int d = 0; d < buffer->degree; d++) power = arena_printf(emit->arena, "%s * m->capacity", power);
    return offset == 0 ? base : arena_printf(emit->arena, "%s + %" PRId64 "%s", base, offset, power);
}

static void emit_pointers(Emit *emit, Text *to, const Program *program, const AccessList *accesses, const char *body) {
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        bool written;
        if (buffer->kind == BUFFER_INPUT || buffer->kind == BUFFER_OUTPUT || buffer->local) continue;
        if (!used_in(accesses, buffer, &written) || !mentions(body, buffer->name)) continue;
        text_add(to, "    %sfloat *const %s = %s;\n", written ? "" : "const ", buffer->name, buffer_place(emit, buffer));
    }
}

/* ── the function ─────────────────────────────────────────────────────────────────────────── */

/* A part of a program in the making: its kernels, and the lines that call them; of the task that is being written, or NULL. */
typedef struct Part {
    Emit *emit;
    Text *kernels, body;
    const Program *program;
    const Task *task;
    const char *name;
    int loops, margin;
} Part;

static void emit_loop_function(Part *part, const Step *step, const char *name, const Function *function) {
    Text *to = part->kernels;
    const char *head = arena_printf(part->emit->arena, "%s void %s(", piece(part->emit, "separate"), name);
    comment_loops(part->emit, to, step, 0);
    text_add(to, "%s", head);
    add_wrapped(to, function->parameters, (int)strlen(head), LINE_WIDTH);
    text_add(to, ") {\n%s}\n\n", function->body);
}

/* A call, and the function where there is none alike. */
static void emit_loops(Part *part, const Step *step, const Range *range) {
    Emit *emit = part->emit;
    const Function function = kernel_function(emit, step, range);
    const char *own = arena_printf(emit->arena, "loop_%s_%d", part->name + strlen("run_"), part->loops + 1);
    const char *name = function_alike(emit, &function, own);
    if (name == own) {
        part->loops++;
        emit_loop_function(part, step, name, &function);
    }
    comment_loops(emit, &part->body, step, part->margin);
    add_statement(&part->body, part->margin, arena_printf(emit->arena, "%s(%s);", name, function.arguments));
}

static void emit_step(Part *part, const Step *step, const Range *range);

/* The turns that a step of the block does for its rows, each of which is some of them. `full`: no block has fewer rows than others. */
static Range range_of(Part *part, const Blocked *block, const Step *step, const char *rows, bool full) {
    Emit *emit = part->emit;
    int64_t constant;
    const Poly *turns = poly_divide(emit->arena, step_turns(step), block->extent);
    const bool whole = poly_constant(turns, &constant) && constant * (full ? block->rows : 1) % MOST_LANES == 0;
    const char *end = arena_printf(emit->arena, "row + %s", rows), *count = times_text(emit, turns, rows);
    if (isdigit((unsigned char)*rows)) count = poly_text(emit, poly_scale(emit->arena, turns, block->rows));
    return (Range){times_text(emit, turns, "row"), times_text(emit, turns, end), count, "row", turns, whole};
}

/* Some name of the array is used. */
static bool uses_array(const Part *part, const char *lines, const Buffer *array) {
    for (int i = 0; i < part->program->buffers.count; i++)
        if (storage(part->program->buffers.items[i]) == array && mentions(lines, part->program->buffers.items[i]->name)) return true;
    return false;
}

/* The arrays that hold rows of this block only, then other names of them. */
static void declare_locals(Part *part, Text *to, const char *lines) {
    const Program *program = part->program;
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->local && storage(buffer) == buffer && uses_array(part, lines, buffer))
            text_add(to, "%*s_Alignas(64) float %s[%s];\n", part->margin, "", buffer->name, poly_text(part->emit, buffer->size));
    }
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *buffer = program->buffers.items[i];
        if (buffer->local && storage(buffer) != buffer && mentions(lines, buffer->name))
            text_add(to, "%*sfloat *const %s = %s;\n", part->margin, "", buffer->name, storage(buffer)->name);
    }
}

/* Block by block, or all at once where there is only one; the last may be smaller. From row `begin` to row `end`, both multiples of
 * the grain or the last of all; NULL: all. */
static void emit_block(Part *part, const Blocked *block, const char *begin, const char *end, int64_t grain) {
    Emit *emit = part->emit;
    int64_t constant;
    const bool known = poly_constant(block->extent, &constant), whole = known && !begin && constant <= block->rows;
    const bool full = known && constant % block->rows == 0 && (!begin || grain % block->rows == 0);
    const char *rows = arena_printf(emit->arena, "%" PRId64, block->rows);
    if (!end) end = poly_text(emit, block->extent);
    if (!begin) begin = "0";
    if (!whole) {
        text_add(&part->body, "%*sfor (size_t row = %s; row < %s; row += %s) {\n", part->margin, "", begin, end, rows);
        part->margin += 4;
    }
    if (!full) {
        text_add(&part->body, "%*sconst size_t rows = %s - row < %s ? %s - row : %s;\n", part->margin, "", end, rows, end, rows);
        rows = "rows";
    }
    const Text before = part->body;
    part->body = (Text){.arena = emit->arena};
    for (int i = 0; i < block->body.count; i++) {
        const Range range = range_of(part, block, block->body.items[i], rows, full);
        emit_step(part, block->body.items[i], whole ? NULL : &range);
    }
    const Text lines = part->body;
    part->body = before;
    declare_locals(part, &part->body, lines.bytes);
    text_bytes(&part->body, lines.bytes, lines.length);
    if (whole) return;
    part->margin -= 4;
    text_add(&part->body, "%*s}\n", part->margin, "");
}

/* Turn after turn: what one computes, the next reads. All steps have the rows of the range. */
static void emit_scan(Part *part, const Step *step, const Range *range) {
    Emit *emit = part->emit;
    const char *turn = loop_name(step->scan.depth), *turns = poly_text(emit, step->scan.turns);
    add_comment(&part->body, part->margin, arena_printf(emit->arena, "over time%s%s", step->scan.reverse ? ", backwards" : "",
                                                        place_comment(emit, step->scan.node)));
    text_add(&part->body, "%*s", part->margin, "");
    if (step->scan.reverse) text_add(&part->body, "for (size_t %s = %s; %s-- > 0;) {\n", turn, turns, turn);
    else text_add(&part->body, "for (size_t %s = 0; %s < %s; %s++) {\n", turn, turn, turns, turn);
    part->margin += 4;
    for (int i = 0; i < step->scan.body.count; i++) {
        emit_step(part, step->scan.body.items[i], range);
        profile_step(emit, &part->body, part->margin, part->name + strlen("run_"), step->scan.body.items[i], part->task);
    }
    part->margin -= 4;
    text_add(&part->body, "%*s}\n", part->margin, "");
}

/* The step, or some turns of its outermost loop. */
static void emit_step(Part *part, const Step *step, const Range *range) {
    Emit *emit = part->emit;
    Text *body = &part->body;
    switch (step->kind) {
    case STEP_SCAN: emit_scan(part, step, range); break;
    case STEP_GEMM:
        add_comment(body, part->margin, product_comment(emit, &step->gemm));
        emit_product(&(Kernel){.emit = emit, .to = body, .margin = part->margin}, &step->gemm, range);
        break;
    case STEP_CONV: emit_conv(emit, part->kernels, body, &step->conv, range, part->margin); break;
    case STEP_DRAW: emit_draw(emit, body, &step->draw, range, part->margin); break;
    case STEP_STATEMENT:
        comment_loops(emit, body, step, part->margin);
        emit_inline(emit, body, part->program, step, part->margin);
        break;
    case STEP_LOOP: emit_loops(part, step, range); break;
    case STEP_BLOCK: emit_block(part, &step->block, NULL, NULL, 0); break;
    }
}

/* The rows from `begin` to `end` of a step, which are turns of its outermost loop: multiples of the grain, or the last of all. */
static void emit_rows(Part *part, const Step *step, const char *begin, const char *end, int64_t grain) {
    Emit *emit = part->emit;
    int64_t turns;
    const bool whole = grain % MOST_LANES == 0 && poly_constant(part->task->share.turns, &turns) && turns % MOST_LANES == 0;
    const Range range = {begin, end, arena_printf(emit->arena, "%s - %s", end, begin), begin, poly_const(emit->arena, 1), whole};
    if (step->kind == STEP_BLOCK) emit_block(part, &step->block, begin, end, grain);
    else emit_step(part, step, &range);
}

/* What a thread does of a step: all that it has claimed of its turns, or piece by piece; or the whole. */
static void emit_claimed(Part *part, const Step *step) {
    const char *name = part_name(step);
    if (name && step->share.apart) {
        open_pieces(part->emit, &part->body, part->margin, step);
        part->margin += 4;
        emit_rows(part, step, "begin", "end", 1);
        part->margin -= 4;
        text_add(&part->body, "%*s}\n", part->margin, "");
    } else if (name) emit_rows(part, step, "part.begin", "part.end", part->task->share.pieces > 0 ? 1 : part->task->share.grain);
    else emit_step(part, step, NULL);
}

static void emit_steps(Part *part, const StepList *steps) {
    if (steps->count > 0) profile_begin(part->emit, &part->body);
    for (int i = 0; i < steps->count; i++) {
        emit_claimed(part, steps->items[i]);
        profile_step(part->emit, &part->body, part->margin, part->name + strlen("run_"), steps->items[i], part->task);
    }
}

static const Buffer *buffer_of_port(const Program *program, BufferKind kind, const Port *port) {
    for (int i = 0; i < program->buffers.count; i++)
        if (program->buffers.items[i]->kind == kind && program->buffers.items[i]->port == port)
            return program->buffers.items[i];
    return NULL;
}

/* The caller's arrays in the order of the entry, under the names that the program gives them. */
static void add_ports(const Program *program, Text *parameters) {
    const Entry *entry = program->entry;
    for (int i = 0; i < entry->inputs.count; i++) {
        const Buffer *buffer = buffer_of_port(program, BUFFER_INPUT, entry->inputs.items[i]);
        text_add(parameters, ", const %s *%s", buffer_type(buffer), buffer->name);
    }
    for (int i = 0; i < entry->roots.count; i++)
        if (entry->roots.items[i].kind == ROOT_OUTPUT)
            text_add(parameters, ", float *%s",
                     buffer_of_port(program, BUFFER_OUTPUT, entry->roots.items[i].port)->name);
}

static void emit_unused(Text *to, const char *parameters, const char *body) {
    for (const char *end = strpbrk(parameters, ",)"); end; end = strpbrk(end + 1, ",)")) {
        const char *start = end;
        while (start[-1] != ' ' && start[-1] != '*') start--;
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)(end - start), start);
        if (!mentions(body, name)) text_add(to, "    (void)%s;\n", name);
    }
}

static void emit_function(Emit *emit, Text *to, const char *name, const char *parameters, const char *body) {
    const char *head = arena_printf(emit->arena, "%s void %s(", piece(emit, "separate"), name);
    text_add(to, "%s", head);
    add_wrapped(to, parameters, (int)strlen(head), LINE_WIDTH);
    text_add(to, " {\n");
    emit_unused(to, parameters, body);
    text_add(to, "%s}\n\n", body);
}

/* Declares what the lines use of the model. */
static const char *declare_pointers(Emit *emit, const Program *program, const StepList *steps, const char *lines) {
    Text pointers = {.arena = emit->arena};
    AccessList accesses = {0};
    for (int i = 0; i < steps->count; i++) step_accesses(emit->arena, steps->items[i], &accesses);
    emit_pointers(emit, &pointers, program, &accesses, lines);
    if (mentions(lines, "clock"))
        text_add(&pointers, "    const %s_clock *const clock = &m->clock;\n", emit->options->standalone ? emit->name : "gdl");
    return pointers.length ? pointers.bytes : "";
}

/* A function for each task, and one that has threads share them. */
static void emit_tasks(Part *made, Text *to, const TaskList *tasks, const char *parameters) {
    Emit *emit = made->emit;
    emit_arguments(emit, to, made->name, parameters);
    for (int i = 0; i < tasks->count; i++) {
        const Task *task = made->task = tasks->items[i];
        made->body = (Text){.arena = emit->arena};
        emit_steps(made, &task->steps);
        const char *pointers = declare_pointers(emit, made->program, &task->steps, made->body.bytes);
        emit_task_function(emit, to, made->name, task_name(emit, made->name, i + 1), task, parameters, pointers, made->body.bytes);
    }
    emit_team_function(emit, to, made->name, parameters, tasks);
}

static void emit_part(Emit *emit, Text *to, const Program *program, int part, const char *name) {
    Text parameters = {.arena = emit->arena};
    Part made = {.emit = emit, .kernels = to, .body = {.arena = emit->arena}, .program = program, .name = name, .margin = 4};
    const StepList *steps = &program->part[part];
    text_add(&parameters, "%s *m, size_t n%s, uint64_t first, uint64_t tick", emit->name,
             size_parameters(emit, program->entry));
    if (part == PART_BACKWARD) add_ports(program, &parameters);
    if (part == PART_BACKWARD) text_add(&parameters, ", float *report");
    text_add(&parameters, ")");
    if (program->tasks[part].count > 0) {
        emit_tasks(&made, to, &program->tasks[part], parameters.bytes);
        return;
    }
    emit_steps(&made, steps);
    const char *pointers = declare_pointers(emit, program, steps, made.body.bytes ? made.body.bytes : "");
    emit_function(emit, to, name, parameters.bytes, arena_printf(emit->arena, "%s\n%s", pointers, made.body.bytes ? made.body.bytes : ""));
}

void emit_program(Emit *emit, Text *to, const Program *program) {
    const bool phase = program->entry->kind == ENTRY_PHASE, parts = phase && emit->options->parts;
    emit_part(emit, to, program, PART_BACKWARD,
              arena_printf(emit->arena, "run_%s%s", program->name, parts ? "_backward" : phase ? "_run" : ""));
    if (parts) emit_part(emit, to, program, PART_UPDATE, arena_printf(emit->arena, "run_%s_update", program->name));
}

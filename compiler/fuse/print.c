/* Programs as text, for --emit kernels: loops, statements, matrix products and draws in order. */
#include "fuse.h"

#include <inttypes.h>

typedef struct Printer { Text *to; const Module *module; int margin; } Printer;

static void print_scalar(Printer *printer, const Scalar *s);

static void print_poly(Printer *printer, const Poly *poly) { poly_print(printer->to, printer->module, poly); }

static void print_index(Printer *printer, const Index *index) {
    for (int i = 0; i < index->count; i++) {
        const Atom *atom = index->term[i].atom;
        text_add(printer->to, i ? " + " : "");
        if (!poly_is(index->term[i].factor, 1)) {
            text_add(printer->to, "(");
            print_poly(printer, index->term[i].factor);
            text_add(printer->to, ") ");
        }
        if (atom->kind == ATOM_LOOP) text_add(printer->to, "i%d", atom->depth);
        else if (atom->kind == ATOM_VALUE) print_scalar(printer, atom->value);
        else {
            text_add(printer->to, "(");
            print_index(printer, atom->index);
            text_add(printer->to, atom->kind == ATOM_DIV ? ") / (" : ") %% (");
            print_poly(printer, atom->by);
            text_add(printer->to, ")");
        }
    }
    if (index->count > 0 && index->constant->count == 0) return;
    text_add(printer->to, index->count ? " + " : "");
    print_poly(printer, index->constant);
}

static void print_guard(Printer *printer, const Scalar *s) {
    text_add(printer->to, "(");
    print_poly(printer, s->guard.low);
    text_add(printer->to, " <= ");
    print_index(printer, s->guard.index);
    text_add(printer->to, " < ");
    print_poly(printer, s->guard.high);
    text_add(printer->to, " ? ");
    print_scalar(printer, s->guard.yes);
    text_add(printer->to, " : ");
    print_scalar(printer, s->guard.no);
    text_add(printer->to, ")");
}

static void print_scalar(Printer *printer, const Scalar *s) {
    static const char *const clocks[] = {"step", "epoch", "lr_scale"};
    switch (s->kind) {
    case SCALAR_NUMBER: text_add(printer->to, "%g", s->number); break;
    case SCALAR_LOAD:
        text_add(printer->to, "%s[", s->load.buffer->name);
        print_index(printer, s->load.at);
        text_add(printer->to, "]");
        break;
    case SCALAR_OP:
        text_add(printer->to, "%s(", op_info[s->op.op].name);
        for (int i = 0; i < s->op.arity; i++) {
            text_add(printer->to, i ? ", " : "");
            print_scalar(printer, s->op.in[i]);
        }
        text_add(printer->to, ")");
        break;
    case SCALAR_INDEX: print_index(printer, s->index); break;
    case SCALAR_SIZE: print_poly(printer, s->size); break;
    case SCALAR_CLOCK: text_add(printer->to, "%s", clocks[s->clock]); break;
    case SCALAR_GUARD: print_guard(printer, s); break;
    case SCALAR_RESULT: text_add(printer->to, "%s", s->result->buffer->name); break;
    }
}

static void print_statement(Printer *printer, const Statement *statement) {
    static const char *const kinds[] = {"", "sum ", "max ", "argmax ", "scatter "};
    text_add(printer->to, "%*s%s", printer->margin, "", statement->buffer->name);
    if (statement->stored) {
        text_add(printer->to, "[");
        print_index(printer, statement->at);
        text_add(printer->to, "]");
    }
    text_add(printer->to, " = %s", kinds[statement->kind]);
    print_scalar(printer, statement->value);
    text_add(printer->to, "\n");
}

static void print_gemm(Printer *printer, const Gemm *gemm) {
    text_add(printer->to, "%*s%s = %s @ %s, [", printer->margin, "", gemm->c->name, gemm->a->name, gemm->b->name);
    print_poly(printer, gemm->m);
    text_add(printer->to, ", ");
    print_poly(printer, gemm->n);
    text_add(printer->to, "] over ");
    print_poly(printer, gemm->k);
    for (int i = 0; i < gemm->loops; i++) {
        text_add(printer->to, i ? ", " : ", for each of ");
        print_poly(printer, gemm->extent[i]);
    }
    text_add(printer->to, "\n");
}

static void print_conv(Printer *printer, const Conv *conv) {
    static const char *const forms[] = {"lanes of filters", "lanes of channels", "for lanes of filters", "for lanes of channels", ""};
    const char *name = conv_result(conv)->name, *kernel = conv->kernel.buffer->name, *x = conv->x.buffer->name;
    text_add(printer->to, "%*s%s = ", printer->margin, "", name);
    if (conv_packs(conv)) text_add(printer->to, "pack %s, %s\n", kernel, forms[conv->form]);
    else if (conv->form == CONV_GRADIENT) text_add(printer->to, "conv %s %s, over images\n", x, conv->out.buffer->name);
    else text_add(printer->to, "conv %s %s, %s\n", x, conv->packed->name, forms[conv->form]);
}

static void print_step(Printer *printer, const Step *step) {
    const StepList *body = step_body(step);
    switch (step->kind) {
    case STEP_LOOP:
        text_add(printer->to, "%*sfor i%d < ", printer->margin, "", step->loop.depth);
        print_poly(printer, step->loop.extent);
        text_add(printer->to, "\n");
        break;
    case STEP_BLOCK:
        text_add(printer->to, "%*sfor each %d of the rows < ", printer->margin, "", (int)step->block.rows);
        print_poly(printer, step->block.extent);
        text_add(printer->to, "\n");
        break;
    case STEP_SCAN:
        text_add(printer->to, "%*sover time i%d < ", printer->margin, "", step->scan.depth);
        print_poly(printer, step->scan.turns);
        text_add(printer->to, step->scan.reverse ? ", from the last\n" : "\n");
        break;
    case STEP_STATEMENT: print_statement(printer, step->statement); break;
    case STEP_GEMM: print_gemm(printer, &step->gemm); break;
    case STEP_CONV: print_conv(printer, &step->conv); break;
    case STEP_DRAW:
        text_add(printer->to, "%*s%s = draw, stream %d\n", printer->margin, "", step->draw.buffer->name,
                 step->draw.node->attr.rand.stream);
    }
    printer->margin += 2;
    for (int i = 0; i < body->count; i++) print_step(printer, body->items[i]);
    printer->margin -= 2;
}

/* ── what stands between steps, and what fusion has saved ─────────────────────────────────── */

static bool written_by(Arena *arena, const Step *step, const Buffer *buffer, bool *summed) {
    AccessList accesses = {0};
    bool found = false;
    step_accesses(arena, step, &accesses);
    for (int i = 0; i < accesses.count; i++) {
        const Access *access = &accesses.items[i];
        if (access->buffer != buffer || !access->writes) continue;
        found = true;
        *summed = step_turns(step) && access->at && poly_is(index_factor(arena, access->at, 0), 0);
    }
    return found;
}

static const char *kind_text(const Step *step) {
    switch (step->kind) {
    case STEP_DRAW: return "a draw goes through its buffer";
    case STEP_CONV: return "a convolution goes image by image";
    case STEP_SCAN: return "a loop over time";
    case STEP_STATEMENT: return "a single number";
    default: return "the place of a largest value is found in one piece";
    }
}

/* A step that others have joined stands where its first step could not join the one before. */
static const char *boundary_text(Printer *printer, const Step *before, const Step *after) {
    Arena *arena = printer->to->arena;
    if (after->kind == STEP_BLOCK) after = after->block.body.items[0];
    const Obstacle obstacle = obstacle_between(arena, printer->module, before, after);
    const char *name = obstacle.buffer ? obstacle.buffer->name : NULL;
    bool summed = false;
    switch (obstacle.kind) {
    case OBSTACLE_KIND: return kind_text(has_rows(printer->module, after) ? before : after);
    case OBSTACLE_ROWS: return "the rows differ";
    case OBSTACLE_BUFFER:
        if (!written_by(arena, before, obstacle.buffer, &summed)) return arena_printf(arena, "%s is read before it changes", name);
        return arena_printf(arena, summed ? "the sum %s ends" : "all of %s is needed", name);
    case OBSTACLE_OPERAND: return arena_printf(arena, "each block would read %s again", name);
    default: return "they share no rows";
    }
}

static void print_traffic(Printer *printer, const StepList *steps) {
    const Module *module = printer->module;
    const Traffic fused = fused_traffic(printer->to->arena, steps), unfused = unfused_traffic(printer->to->arena, steps);
    text_add(printer->to, "  # kernels: %d, bytes at a batch of %" PRId64 ": %" PRId64 "; with one for each value: %d, %" PRId64 "\n",
             fused.kernels, module->symbols.items[SYMBOL_BATCH].high, poly_high(module, fused.bytes), unfused.kernels,
             poly_high(module, unfused.bytes));
}

void program_print(Text *to, const Module *module, const Program *program) {
    static const char *const parts[] = {"", ", update"};
    for (int part = 0; part < PART_COUNT; part++) {
        Printer printer = {.to = to, .module = module, .margin = 2};
        if (part > 0 && program->part[part].count == 0) continue;
        text_add(to, "%s%s:\n", program->name, parts[part]);
        const StepList *steps = &program->part[part];
        for (int i = 0; i < steps->count; i++) {
            if (i > 0) text_add(to, "  # %s\n", boundary_text(&printer, steps->items[i - 1], steps->items[i]));
            print_step(&printer, steps->items[i]);
        }
        if (steps->count > 0) print_traffic(&printer, steps);
    }
}

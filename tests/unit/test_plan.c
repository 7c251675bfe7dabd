/* The memory plan of every model: buffers that live at the same time lie apart, and all lie within the arena. */
#include "../module.h"

#include <criterion/criterion.h>
#include <glob.h>

/* Where a buffer lies in its region, in floats for each power of the batch, and when. */
typedef struct Range { const Buffer *buffer; int degree, first, last; int64_t start, end; } Range;
typedef LIST(Range) RangeList;

static int64_t units(const Module *module, const Poly *size) {
    int64_t sum = 0;
    for (int i = 0; i < size->count; i++) {
        int64_t factor = size->term[i].factor;
        for (int s = 1; s < MAX_SYMBOLS; s++)
            for (int p = 0; p < size->term[i].power[s]; p++) factor *= module->symbols.items[s].high;
        sum += factor;
    }
    return sum;
}

static RangeList ranges_of(Arena *arena, const Module *module, const Program *program) {
    RangeList ranges = {0};
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *b = program->buffers.items[i];
        if (b->kind != BUFFER_TEMPORARY || !b->used || b->local) continue;
        LIST_PUSH(arena, &ranges, ((Range){b, b->degree, b->first, b->last, b->offset, b->offset + units(module, b->size)}));
    }
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *b = program->buffers.items[i];
        if (b->kind == BUFFER_GRADIENT)
            LIST_PUSH(arena, &ranges, ((Range){b, 0, b->first, b->last, b->offset, b->offset + units(module, b->size)}));
    }
    return ranges;
}

/* A result may lie where an operand lies whose last use is the step that writes the result; in a block of rows, one after the other. */
static bool takes_over(const Range *to, const Range *from) {
    const Buffer *over = to->buffer->over;
    while (over && over != from->buffer) over = over->over;
    return over && to->first == from->last;
}

static void check_program(Arena *arena, const Module *module, const Program *program, const Plan *plan) {
    const RangeList ranges = ranges_of(arena, module, program);
    for (int i = 0; i < program->buffers.count; i++) {
        const Buffer *b = program->buffers.items[i];
        cr_assert(!b->local || (b->of_block && b->first == b->last), "%s of %s is used by several steps", b->name, program->name);
    }
    for (int i = 0; i < ranges.count; i++) {
        const Range *a = &ranges.items[i];
        cr_assert(a->start >= 0 && a->end <= plan->region[a->degree], "%s of %s is outside the arena", a->buffer->name, program->name);
        for (int j = 0; j < i; j++) {
            const Range *b = &ranges.items[j];
            const bool meet = a->degree == b->degree && a->first <= b->last && b->first <= a->last;
            cr_assert(!meet || takes_over(a, b) || takes_over(b, a) || a->end <= b->start || b->end <= a->start, "%s and %s of %s overlap",
                      a->buffer->name, b->buffer->name, program->name);
        }
    }
}

static void check_model(const char *path, bool parts) {
    Context context = {.arena = arena_create(), .name = "model"};
    Module *module = module_of(&context, source_read(&context, path));
    cr_assert_not_null(module, "%s does not compile", path);
    simplify_entries(&context, module);
    const Options options = {.parts = parts, .threads = parts ? THREADS_POSIX : THREADS_NONE};
    const ProgramList programs = fuse(&context, module, &options);
    const Plan *memory = plan(&context, module, &options, &programs);
    for (int i = 0; i < programs.count; i++) check_program(context.arena, module, programs.items[i], memory);
    for (int d = 0; d <= MAX_DEGREE; d++) cr_expect_geq(memory->region[d], memory->bound[d]);
    arena_destroy(context.arena);
}

Test(plan, buffers_lie_apart) {
    glob_t models;
    cr_assert_eq(glob("models/*.gdl", 0, NULL, &models), 0);
    for (size_t i = 0; i < models.gl_pathc; i++)
        for (int parts = 0; parts < 2; parts++) check_model(models.gl_pathv[i], parts);
    globfree(&models);
}

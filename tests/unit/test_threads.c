/* The tasks that threads share: each step is in one, phases keep the order of steps that need each other, and loops over time are cut. */
#include "../module.h"

#include "../../compiler/fuse/fuse.h"

#include <criterion/criterion.h>
#include <glob.h>

typedef struct Divided { Context context; Module *module; ProgramList programs; } Divided;

static void divide(Divided *divided, const char *path) {
    static const Options options = {.threads = THREADS_POSIX};
    divided->context = (Context){.arena = arena_create(), .name = "model"};
    divided->module = module_of(&divided->context, source_read(&divided->context, path));
    cr_assert_not_null(divided->module, "%s does not compile", path);
    simplify_entries(&divided->context, divided->module);
    divided->programs = fuse(&divided->context, divided->module, &options);
    divide_sums(&divided->context, divided->module, &options, &divided->programs);
    plan(&divided->context, divided->module, &options, &divided->programs);
    divide_steps(&divided->context, divided->module, &options, &divided->programs);
}

static const Task *task_of(const TaskList *tasks, const Step *step) {
    const Task *found = NULL;
    for (int i = 0; i < tasks->count; i++)
        for (int k = 0; k < tasks->items[i]->steps.count; k++) {
            if (tasks->items[i]->steps.items[k] != step) continue;
            cr_assert_null(found, "a step is in two tasks");
            found = tasks->items[i];
        }
    cr_assert_not_null(found, "a step is in no task");
    return found;
}

/* Of two steps that cannot change places, the second is in a later phase, or in the same task. */
static void check_order(const Program *program, const StepList *steps, const TaskList *tasks) {
    for (int i = 0; i < steps->count; i++)
        for (int k = 0; k < i; k++) {
            const Task *first = task_of(tasks, steps->items[k]), *second = task_of(tasks, steps->items[i]);
            if (accesses_conflict(&steps->items[k]->accesses, &steps->items[i]->accesses))
                cr_assert(first->phase < second->phase || first == second, "steps %d and %d of %s, in phases %d and %d", k, i, program->name,
                          first->phase, second->phase);
        }
}

static void check_chunks(const Program *program, const TaskList *tasks) {
    int64_t chunks = 0;
    for (int i = 0; i < tasks->count; i++) {
        const Task *task = tasks->items[i];
        const bool new_phase = i == 0 || task->phase != tasks->items[i - 1]->phase;
        cr_assert(i == 0 || task->phase >= tasks->items[i - 1]->phase, "tasks of %s are not in order", program->name);
        chunks = new_phase ? task->chunks : chunks + task->chunks;
        cr_assert(task->chunks >= 1 && chunks <= MOST_CHUNKS, "phase %d of %s has %d chunks", task->phase, program->name, (int)chunks);
        cr_assert(task->chunks == 1 || task->share.turns, "a task of %s is cut along nothing", program->name);
    }
}

Test(threads, tasks_keep_the_order) {
    glob_t models;
    cr_assert_eq(glob("models/*.gdl", 0, NULL, &models), 0);
    cr_assert_eq(glob("tests/reference/*.gdl", GLOB_APPEND, NULL, &models), 0);
    for (size_t m = 0; m < models.gl_pathc; m++) {
        Divided divided;
        divide(&divided, models.gl_pathv[m]);
        for (int i = 0; i < divided.programs.count; i++) {
            const Program *program = divided.programs.items[i];
            if (program->tasks[0].count == 0) continue;
            check_order(program, &program->part[0], &program->tasks[0]);
            check_chunks(program, &program->tasks[0]);
        }
        arena_destroy(divided.context.arena);
    }
    globfree(&models);
}

Test(threads, loops_over_time_are_cut_along_their_rows) {
    Divided divided;
    int loops = 0;
    divide(&divided, "models/recurrent.gdl");
    for (int i = 0; i < divided.programs.count; i++) {
        const TaskList *tasks = &divided.programs.items[i]->tasks[0];
        for (int t = 0; t < tasks->count; t++)
            for (int k = 0; k < tasks->items[t]->steps.count; k++) {
                if (tasks->items[t]->steps.items[k]->kind != STEP_SCAN) continue;
                loops++;
                cr_expect_gt(tasks->items[t]->chunks, 1, "a loop over time of %s is one chunk", divided.programs.items[i]->name);
            }
    }
    cr_expect_gt(loops, 6);
    arena_destroy(divided.context.arena);
}

/* A step whose update of a weight needs no other layer is in one phase with the other updates: gradients are the threads' own. */
Test(threads, updates_share_a_phase) {
    Divided divided;
    int updates = 0, phase = -1;
    divide(&divided, "models/stacked.gdl");
    for (int i = 0; i < divided.programs.count; i++) {
        const Program *program = divided.programs.items[i];
        const StepList *steps = &program->part[0];
        for (int k = 0; k < steps->count && program->entry->kind == ENTRY_PHASE; k++) {
            if (steps->items[k]->kind != STEP_BLOCK || steps->items[k]->share.apart) continue;
            bool tensor = false;
            for (int a = 0; a < steps->items[k]->accesses.count; a++)
                tensor = tensor || (steps->items[k]->accesses.items[a].writes && steps->items[k]->accesses.items[a].buffer->kind == BUFFER_TENSOR);
            if (!tensor) continue;
            const int own = task_of(&program->tasks[0], steps->items[k])->phase;
            cr_expect(phase < 0 || own == phase, "an update is in phase %d, another in phase %d", own, phase);
            phase = own;
            updates++;
        }
    }
    cr_expect_eq(updates, 4);
    arena_destroy(divided.context.arena);
}

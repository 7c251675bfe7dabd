/* Programs and plan → the C of a model.
 *
 * A model's source reads from the top: how it was made, its tensors and where they lie, the plan of its memory, the few functions
 * that all its code shares, then the entry points one after the other, and last what users call. The same input gives the same
 * bytes. */
#include "emit.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static const char *upper_case(Arena *arena, const char *name) {
    char *copy = arena_printf(arena, "%s", name);
    for (char *c = copy; *c; c++) *c = (char)toupper((unsigned char)*c);
    return copy;
}

/* A comment must not end where the text that it quotes says so. */
static const char *for_comment(Arena *arena, const char *text) {
    char *copy = arena_printf(arena, "%s", text);
    for (char *at = strstr(copy, "*/"); at; at = strstr(at, "*/")) *at = '+';
    for (char *at = strstr(copy, "/*"); at; at = strstr(at, "/*")) at[1] = '+';
    return copy;
}

static void emit_banner(Emit *emit, Text *to, const char *file, const char *what) {
    text_add(to,
             "/* %s: %s\n *\n * Made by gdlc %s, by the command\n *\n *     %s\n *\n * Do not edit: change the model "
             "and make it anew. */\n\n",
             file, what, GDLC_VERSION, for_comment(emit->arena, emit->options->command));
}

static void emit_tensor_table(Emit *emit, Text *to) {
    static const char *const roles[] = {"parameter", "state", "optimizer"};
    const Module *module = emit->module;
    if (module->tensors.count == 0) return;
    text_add(to, "/* Tensors, in floats from get_tensors:\n *\n *       offset      size  kind       name and shape\n");
    for (int i = 0; i < module->tensors.count; i++) {
        const Tensor *tensor = module->tensors.items[i];
        text_add(to, " *   %10" PRId64 "%10" PRId64 "  %-9s  %s %s\n", emit->plan->tensor[i],
                 shape_size(&tensor->shape, NULL), roles[tensor->role], tensor->name,
                 shape_text(emit->arena, NULL, &tensor->shape));
    }
    text_add(to, " */\n\n");
}

static void emit_plan_table(Emit *emit, Text *to) {
    Text plan = {.arena = emit->arena};
    plan_print(&plan, emit->module, emit->programs, emit->plan);
    text_add(to, "/* Memory. Offsets are in floats, times the power of the capacity that is named; then the steps "
                 "between which a buffer is\n"
                 " * in use.\n *\n");
    for (const char *at = plan.bytes; at && *at;) {
        const size_t length = strcspn(at, "\n");
        text_add(to, " *   %.*s\n", (int)length, at);
        at += length + (at[length] == '\n');
    }
    text_add(to, " */\n\n");
}

static void emit_model_struct(Emit *emit, Text *to) {
    text_add(
        to, "struct %s {\n    %s_clock clock;\n    size_t capacity;      /* examples at once */\n    float *tensors;\n",
        emit->name, emit->options->standalone ? emit->name : "gdl");
    text_add(to, "    float *region_0;      /* the arena: buffers of fixed size, */\n    float *region_1;      /* "
                 "times the capacity, */\n"
                 "    float *region_2;      /* its square */\n    float *region_3;      /* and its cube */\n");
    if (emit->options->profile) text_add(to, "    %s_kernel kernel[%d]; /* counters */\n", emit->options->standalone ? emit->name : "gdl", emit->kernels.count + 1);
    if (has_piece(emit, "threads"))
        text_add(to, "    struct support_team *team; /* threads that compute together; NULL: the caller's alone */\n");
    text_add(to, "};\n\n");
    text_add(to, "_Static_assert(sizeof(struct %s) <= %d, \"the tensors start after the struct\");\n", emit->name,
             header_bytes(emit));
}

static void emit_programs(Emit *emit, Text *to) {
    for (int i = 0; i < emit->programs->count; i++) {
        const Program *program = emit->programs->items[i];
        text_add(to, "/* ---- %s ---- */\n\n", program->name);
        emit_program(emit, to, program);
    }
}

/* The code comes first, for only it knows which pieces it calls. */
static void emit_source(Emit *emit, Text *to, const char *header) {
    Text code = {.arena = emit->arena};
    emit_programs(emit, &code);
    emit_profile_table(emit, &code);
    text_add(&code, "/* ---- what users call ---- */\n\n");
    emit_interface(emit, &code);
    if (!emit->options->standalone) emit_describe(emit, &code);
    emit_banner(emit, to, arena_printf(emit->arena, "%s.c", emit->name), "a model in C.");
    emit_tensor_table(emit, to);
    emit_plan_table(emit, to);
    const bool threads = has_piece(emit, "threads"), profile = emit->options->profile;
    if (threads || profile) text_add(to, "#ifndef _POSIX_C_SOURCE\n#define _POSIX_C_SOURCE 200809L\n#endif\n");
    text_add(to, "#include \"%s\"\n\n%s", header, strstr(code.bytes, "cblas_") ? "#include <cblas.h>\n" : "");
    if (threads) text_add(to, "#include <fenv.h>\n");
    text_add(to, "#include <math.h>\n");
    if (threads) text_add(to, "#include <pthread.h>\n#include <signal.h>\n#include <stdatomic.h>\n");
    text_add(to, "#include <stdlib.h>\n#include <string.h>\n%s\n", profile ? "#include <time.h>\n" : "");
    emit_model_struct(emit, to);
    emit_profile_types(emit, to);
    emit_pieces(emit, to);
    text_add(to, "\n");
    text_bytes(to, code.bytes, code.length);
}

void emit(Context *context, const Module *module, const Options *options, const ProgramList *programs, const Plan *plan,
          const char *header, Text *source, Text *declarations) {
    const char *name = c_name(context->arena, module->name), *upper = upper_case(context->arena, name);
    Emit emit = {.arena = context->arena,
                 .context = context,
                 .module = module,
                 .options = options,
                 .programs = programs,
                 .plan = plan,
                 .name = name,
                 .upper = upper,
                 .code = options->standalone ? upper : "GDL"};
    emit_source(&emit, source, header);
    emit_banner(&emit, declarations, arena_printf(emit.arena, "%s.h", name), "what the model offers.");
    emit_header(&emit, declarations);
}

/* gdlc: from a model's text to C. The whole compilation is the function `compile`. */
#include "gdlc.h"

#include <errno.h>
#include <string.h>

extern const char prelude_text[];
extern const size_t prelude_length;

static bool fail(const char *what, const char *path)
{
    fprintf(stderr, "gdlc: cannot %s %s: %s\n", what, path, strerror(errno));
    return false;
}

static bool write_text(const Options *options, const char *bytes, size_t length)
{
    if (options->output != NULL)
        return file_write(options->output, bytes, length) || fail("write", options->output);
    fwrite(bytes, 1, length, stdout);
    return fflush(stdout) == 0 || fail("write", "standard output");
}

typedef LIST(Entry *) EntryList;

/* All entry points, in the order in which they are printed. */
static EntryList entries_of(Arena *arena, const Module *module)
{
    EntryList entries = {0};
    LIST_PUSH(arena, &entries, module->init);
    for (int i = 0; i < module->functions.count; i++)
        LIST_PUSH(arena, &entries, module->functions.items[i]);
    for (int i = 0; i < module->stages.count; i++) {
        const Stage *stage = module->stages.items[i];
        for (int p = 0; p < stage->phases.count; p++)
            LIST_PUSH(arena, &entries, stage->phases.items[p].entry);
        LIST_PUSH(arena, &entries, stage->evaluate);
    }
    return entries;
}

static void print_graphs(Text *text, const Context *context, const EntryList *entries, Product product)
{
    for (int i = 0; i < entries->count; i++)
        if (product == PRODUCT_DOT)
            graph_print_dot(text, entries->items[i]);
        else
            graph_print(text, context, entries->items[i]);
}

/* The header lies beside the source: vae.h beside vae.c. */
static const char *header_path(Arena *arena, const char *source)
{
    return arena_printf(arena, "%.*sh", (int)strlen(source) - 1, source);
}

/* Writes C, to the file named and a header beside it, or the source alone to standard output; or makes the program of it. */
static bool write_model(Context *context, const Options *options, const Module *module, const ProgramList *programs,
                        const Plan *memory)
{
    Text source = {.arena = context->arena}, header = {.arena = context->arena};
    const bool to_file = options->product == PRODUCT_C && options->output != NULL;
    const char *path = to_file ? header_path(context->arena, options->output) : arena_printf(context->arena, "%s.h", module->name);
    const char *slash = strrchr(path, '/');
    emit(context, module, options, programs, memory, slash ? slash + 1 : path, &source, &header);
    if (error_count(context) > 0)
        return false;
    if (options->product == PRODUCT_PROGRAM)
        return link_program(context, module->name, &source, &header, options->output);
    if (to_file && !file_write(path, header.bytes, header.length))
        return fail("write", path);
    return write_text(options, source.bytes, source.length);
}

/* The stages behind the graphs. */
static bool compile_module(Context *context, const Options *options, const Module *module)
{
    Text text = {.arena = context->arena};
    const ProgramList programs = fuse(context, module, options);
    divide_sums(context, module, options, &programs);
    const Plan *memory = plan(context, module, options, &programs);
    divide_steps(context, module, options, &programs);
    if (options->product == PRODUCT_C || options->product == PRODUCT_PROGRAM)
        return write_model(context, options, module, &programs, memory);
    if (options->product == PRODUCT_KERNELS)
        for (int i = 0; i < programs.count; i++)
            program_print(&text, module, programs.items[i]);
    if (options->product == PRODUCT_PLAN)
        plan_print(&text, module, &programs, memory);
    if (options->product == PRODUCT_MEMORY)
        memory_print(&text, module, memory);
    return write_text(options, text.bytes, text.length);
}

/* True when the product asked for was made and written. */
static bool compile(Context *context, const Options *options)
{
    Text text = {.arena = context->arena};
    DeclList declarations = {0};
    int prelude = source_add(context, "<prelude>", prelude_text, prelude_length, true);
    if (options->product == PRODUCT_PRELUDE)
        return write_text(options, prelude_text, prelude_length);

    int file = source_read(context, options->input);
    if (file < 0)
        return fail("read", options->input);
    if (options->product != PRODUCT_AST)
        parse(context, prelude, &declarations);
    parse(context, file, &declarations);
    if (error_count(context) > 0)
        return false;
    if (options->product == PRODUCT_AST) {
        ast_print(&text, &declarations);
        return write_text(options, text.bytes, text.length);
    }
    warn_unused(context, &declarations);
    Module *module = elaborate(context, &declarations);
    if (module == NULL)
        return false;
    if (options->product == PRODUCT_TORCH) {
        torch_print(&text, context, module);
        return write_text(options, text.bytes, text.length);
    }
    const EntryList entries = entries_of(context->arena, module);
    for (int i = 0; i < entries.count; i++)
        simplify(context, entries.items[i]);
    if (options->product == PRODUCT_SUMMARY)
        summary_print(&text, module);
    if (options->product == PRODUCT_GRAPH || options->product == PRODUCT_DOT)
        print_graphs(&text, context, &entries, options->product);
    if (text.length == 0)
        return compile_module(context, options, module);
    return write_text(options, text.bytes, text.length);
}

int main(int argc, char **argv)
{
    Context context = {.arena = arena_create()};
    Options options;
    int status = options_read(&context, argc, argv, &options);
    if (status < 0) {
        status = compile(&context, &options) ? 0 : 1;
        diagnostics_print(&context, stderr);
    }
    arena_destroy(context.arena);
    return status;
}

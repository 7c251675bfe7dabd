/* The command line of gdlc. */
#include "gdlc.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#ifndef GDLC_VERSION
#define GDLC_VERSION "unknown"
#endif

static const char help[] =
    "Usage: gdlc MODEL.gdl -o MODEL.c      writes C: MODEL.c and MODEL.h\n"
    "       gdlc MODEL.gdl -o MODEL        makes a trainer: a program, see ./MODEL --help\n"
    "       gdlc MODEL.gdl --summary       prints what the model is made of\n"
    "\n"
    "Options:\n"
    "  -o, --output FILE     where the result goes; standard output without it, if that is text\n"
    "  -n, --name NAME       stands before every symbol of the C; else the base name of FILE\n"
    "  -I, --include FOLDER  searches FOLDER for imported files, after the importing file's own\n"
    "  -D, --define NAME=VALUE  gives a `let` of the model another value\n"
    "      --standalone      writes C that includes nothing of the runtime\n"
    "      --blas=WHICH      matrix products by CBLAS where it should be faster (cblas, the default), always (all) or\n"
    "                        never (none): then the C needs only the C library\n"
    "      --recompute       loops over time keep less for their gradients, and compute it again\n"
    "      --parts           makes the gradients and the update of a phase functions of their own\n"
    "      --profile         measures each kernel: time, operations, bytes; a trainer prints the table at its end\n"
    "      --threads=posix   writes C that can compute with several POSIX threads, the default with BLAS; or --threads=none\n"
    "      --summary         prints nets, tensors and the numbers of their parameters\n"
    "      --memory          prints the plan of the memory, and the least that would do\n"
    "      --emit STAGE      prints a stage of the compilation: ast, graph, kernels, plan or c;\n"
    "                        or the model in another form: dot (a drawing), torch (a PyTorch module)\n"
    "      --prelude         prints the layers, losses and optimizers that every model knows, in the language\n"
    "      --version         prints the version\n"
    "  -h, --help            prints this\n"
    "\n"
    "Exit status: 0 when all went well, 1 after errors in the model or its files, 2 after wrong usage.\n";

typedef enum Code { CODE_STANDALONE = 256, CODE_BLAS, CODE_PARTS, CODE_THREADS, CODE_PROFILE, CODE_RECOMPUTE, CODE_SUMMARY, CODE_MEMORY, CODE_EMIT, CODE_PRELUDE, CODE_VERSION } Code;

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},          {"name", required_argument, NULL, 'n'},
    {"include", required_argument, NULL, 'I'},         {"define", required_argument, NULL, 'D'},
    {"standalone", no_argument, NULL, CODE_STANDALONE}, {"blas", required_argument, NULL, CODE_BLAS},
    {"parts", no_argument, NULL, CODE_PARTS},
    {"profile", no_argument, NULL, CODE_PROFILE},      {"recompute", no_argument, NULL, CODE_RECOMPUTE},
    {"summary", no_argument, NULL, CODE_SUMMARY},      {"memory", no_argument, NULL, CODE_MEMORY},
    {"emit", required_argument, NULL, CODE_EMIT},      {"prelude", no_argument, NULL, CODE_PRELUDE},
    {"version", no_argument, NULL, CODE_VERSION},      {"threads", required_argument, NULL, CODE_THREADS}, {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0}};

enum { GO_ON = -1, DONE = 0, WRONG_USAGE = 2 };

static int ask_for_help(void)
{
    fputs("Try `gdlc --help`.\n", stderr);
    return WRONG_USAGE;
}

static int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int wrong_usage(const char *format, ...)
{
    va_list arguments;
    fputs("gdlc: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return ask_for_help();
}

/* ── Names in C ───────────────────────────────────────────────────────────────────────────── */

/* The name of a file without folders and ending; what no symbol can hold becomes "_". */
static char *base_name(Context *context, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = arena_copy(context->arena, slash == NULL ? path : slash + 1, strlen(slash == NULL ? path : slash + 1));
    char *point = strrchr(name, '.');
    if (point != NULL && point != name)
        *point = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return name;
}

/* ── Reading ──────────────────────────────────────────────────────────────────────────────── */

static const struct { const char *name; Product product; } stages[] = {
    {"ast", PRODUCT_AST}, {"graph", PRODUCT_GRAPH}, {"kernels", PRODUCT_KERNELS}, {"plan", PRODUCT_PLAN},
    {"c", PRODUCT_C}, {"dot", PRODUCT_DOT}, {"torch", PRODUCT_TORCH}};

static int read_stage(const char *name, Options *options)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (strcmp(stages[i].name, name) == 0) {
            options->product = stages[i].product;
            return GO_ON;
        }
    return wrong_usage("--emit %s: the stages are ast, graph, kernels, plan, c, dot and torch", name);
}

static int read_blas(const char *name, Options *options)
{
    static const char *const names[] = {[BLAS_CHOSEN] = "cblas", [BLAS_NONE] = "none", [BLAS_ALL] = "all"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            options->blas = (Blas)i;
            return GO_ON;
        }
    return wrong_usage("--blas=%s: it can be cblas, all or none", name);
}

static int read_threads(const char *name, Options *options)
{
    options->threads = strcmp(name, "posix") == 0 ? THREADS_POSIX : THREADS_NONE;
    return options->threads == THREADS_POSIX || strcmp(name, "none") == 0 ? GO_ON : wrong_usage("--threads=%s: it can be posix or none", name);
}

static int read_definition(Context *context, const char *definition)
{
    const char *sign = strchr(definition, '=');
    if (sign == NULL || sign == definition || sign[1] == '\0')
        return wrong_usage("-D %s: it should be NAME=VALUE", definition);
    LIST_PUSH(context->arena, &context->definitions, definition);
    return GO_ON;
}

static int print_and_end(const char *text)
{
    fputs(text, stdout);
    return DONE;
}

static int read_product(Product product, Options *options)
{
    options->product = product;
    return GO_ON;
}

static int read_option(Context *context, int code, const char *value, Options *options)
{
    switch (code) {
    case 'o': options->output = value; return GO_ON;
    case 'n': context->name = value; return GO_ON;
    case 'I': LIST_PUSH(context->arena, &context->folders, value); return GO_ON;
    case 'D': return read_definition(context, value);
    case 'h': return print_and_end(help);
    case CODE_STANDALONE: options->standalone = true; return GO_ON;
    case CODE_PARTS: options->parts = true; return GO_ON;
    case CODE_PROFILE: options->profile = true; return GO_ON;
    case CODE_RECOMPUTE: context->recompute = true; return GO_ON;
    case CODE_BLAS: return read_blas(value, options);
    case CODE_THREADS: return read_threads(value, options);
    case CODE_SUMMARY: return read_product(PRODUCT_SUMMARY, options);
    case CODE_MEMORY: return read_product(PRODUCT_MEMORY, options);
    case CODE_EMIT: return read_stage(value, options);
    case CODE_PRELUDE: return read_product(PRODUCT_PRELUDE, options);
    case CODE_VERSION: return print_and_end("gdlc " GDLC_VERSION "\n");
    default: return ask_for_help(); /* getopt_long has said what is wrong */
    }
}

static const char *join_words(Context *context, int argc, char **argv)
{
    Text text = {.arena = context->arena};
    text_add(&text, "gdlc");
    for (int i = 1; i < argc; i++)
        text_add(&text, " %s", argv[i]);
    return text.bytes;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

/* What the options say together. PRODUCT_PROGRAM stands for "not said" until here: C or a program, by the output's name. */
static int check(Context *context, Options *options)
{
    if (options->product == PRODUCT_PRELUDE)
        return GO_ON;
    if (options->threads == THREADS_UNSAID)
        options->threads = options->blas == BLAS_NONE ? THREADS_NONE : THREADS_POSIX;
    if (options->input == NULL)
        return wrong_usage("no model is given");
    if (options->product == PRODUCT_PROGRAM && options->output == NULL)
        return wrong_usage("no output is given: -o model.c for C, -o model for a trainer, --summary for an overview");
    if (options->product == PRODUCT_PROGRAM && ends_with(options->output, ".c"))
        options->product = PRODUCT_C;
    if (options->output != NULL && strcmp(options->output, options->input) == 0)
        return wrong_usage("the output %s is the model itself", options->output);
    if (context->name == NULL)
        context->name = base_name(context, options->output != NULL ? options->output : options->input);
    bool is_c = options->product == PRODUCT_C || options->product == PRODUCT_PROGRAM;
    if (is_c && !c_prefix(context->name))
        return wrong_usage("`%s` cannot stand before symbols in C: give a name made of letters, digits and _ with --name", context->name);
    return GO_ON;
}

int options_read(Context *context, int argc, char **argv, Options *options)
{
    *options = (Options){.product = PRODUCT_PROGRAM, .command = join_words(context, argc, argv)};
    int code;
    while ((code = getopt_long(argc, argv, "o:n:I:D:h", long_options, NULL)) != -1) {
        int status = read_option(context, code, optarg, options);
        if (status != GO_ON)
            return status;
    }
    if (optind < argc)
        options->input = argv[optind++];
    if (optind < argc)
        return wrong_usage("one model at a time: %s and %s are two", options->input, argv[optind]);
    return check(context, options);
}

/* Names that emitted code can use: identifiers of C and C++ that mean nothing else there. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

static bool among(const char *name, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], name) == 0) return true;
    return false;
}

/* Words of C and C++, and the names that emitted functions give their own variables. */
static bool in_language(const char *name) {
    static const char *const words[] = {
        "alignas",  "alignof",  "and",      "and_eq",   "asm",       "auto",    "bitand",    "bitor",      "bool",
        "break",    "case",     "catch",    "char",     "class",     "compl",   "concept",   "const",      "constexpr",
        "continue", "decltype", "default",  "delete",   "do",        "double",  "else",      "enum",       "explicit",
        "export",   "extern",   "false",    "final",    "float",     "for",     "friend",    "goto",       "if",
        "inline",   "int",      "long",     "mutable",  "namespace", "new",     "noexcept",  "not",        "not_eq",
        "nullptr",  "operator", "or",       "or_eq",    "override",  "private", "protected", "public",     "register",
        "requires", "restrict", "return",   "short",    "signed",    "sizeof",  "static",    "struct",     "switch",
        "template", "this",     "throw",    "true",     "try",       "typedef", "typeid",    "typename",   "union",
        "unsigned", "using",    "virtual",  "void",     "volatile",  "wchar_t", "while",     "xor",        "xor_eq",
        "NULL",     "NAN",      "INFINITY", "linux",    "unix",      "fabsf",   "floorf",    "nearbyintf", "powf",
        "memset",   "size_t",   "int32_t",  "uint64_t", "ptrdiff_t", "isnan",
        "e",        "i",        "j",        "k",        "l",
        "p",        "q",        "r",        "s",        "m",         "n",       "block",
        "clock",    "report",   "tick",     "first",    "count",     "code",    "size",      "batch",      "seed",
        "memory",   "turn",     "part",     "model",    "input",     "output",  "needed",    "geometry",   "limit",
        "begin",    "end",      "row",      "rows",     "claim",     "arguments", "piece",   "pieces",   "lanes",
        "call",     "tasks",
        "i8",       "i9",       "i10",      "i11",      "i12",       "i13",     "i14",       "i15"};
    return among(name, words, sizeof words / sizeof *words);
}

/* In capitals, as macros of the library are: INT64_MAX, M_PI. */
static bool like_macro(const char *name) {
    for (const char *c = name; *c; c++)
        if (islower((unsigned char)*c)) return false;
    return strchr(name, '_') != NULL;
}

bool c_reserved(const char *name) { return in_language(name) || like_macro(name); }

/* What the headers that emitted code includes declare: a type of that name would clash. */
static bool in_library(const char *name) {
    static const char *const words[] = {
        "abort",   "abs",      "acos",     "acosh",       "asin",      "asinh",    "assert",    "atan",      "atan2",
        "atanh",   "atexit",   "atof",     "atoi",        "atol",      "atoll",    "bsearch",   "bzero",     "calloc",
        "cbrt",    "ceil",     "clearerr", "copysign",    "cos",       "cosh",     "div",       "dprintf",   "erf",
        "erfc",    "exit",     "exp",      "exp2",        "expm1",     "fabs",     "fclose",    "fdim",      "fdopen",
        "feof",    "ferror",   "fflush",   "ffs",         "fgetc",     "fgetpos",  "fgets",     "fileno",    "floor",
        "fma",     "fmax",     "fmin",     "fmod",        "fopen",     "fprintf",  "fputc",     "fputs",     "fread",
        "free",    "freopen",  "frexp",    "fscanf",      "fseek",     "fsetpos",  "ftell",     "fwrite",    "gamma",
        "getc",    "getchar",  "getdelim", "getenv",      "getline",   "gets",     "getw",      "hypot",     "ilogb",
        "index",   "isfinite", "isinf",    "isnan",       "isnormal",  "j0",       "j1",        "jn",        "labs",
        "ldexp",   "ldiv",     "lgamma",   "llabs",       "lldiv",     "llrint",   "llround",   "log",       "log10",
        "log1p",   "log2",     "logb",     "lrint",       "lround",    "main",     "malloc",    "memccpy",   "memchr",
        "memcmp",  "memcpy",   "memmem",   "memmove",     "modf",      "nan",      "nearbyint", "nextafter", "pclose",
        "perror",  "popen",    "pow",      "printf",      "putc",      "putchar",  "putenv",    "puts",      "putw",
        "qsort",   "rand",     "random",   "realloc",     "remainder", "remove",   "remquo",    "rename",    "renameat",
        "rewind",  "rindex",   "rint",     "round",       "scalb",     "scalbn",   "scanf",     "select",    "setbuf",
        "setenv",  "setvbuf",  "signbit",  "significand", "sin",       "sinh",     "snprintf",  "sprintf",   "sqrt",
        "srand",   "srandom",  "sscanf",   "stderr",      "stdin",     "stdout",   "stpcpy",    "strcat",    "strchr",
        "strcmp",  "strcoll",  "strcpy",   "strcspn",     "strdup",    "strerror", "strlen",    "strncat",   "strncmp",
        "strncpy", "strpbrk",  "strrchr",  "strsep",      "strsignal", "strspn",   "strstr",    "strtod",    "strtof",
        "strtok",  "strtol",   "strtold",  "strtoll",     "strtoul",   "strtoull", "strxfrm",   "system",    "tan",
        "tanh",    "tgamma",   "time",     "tmpfile",     "tmpnam",      "trunc",     "ungetc",   "unsetenv",  "vprintf",   "vscanf",
        "y0",      "y1",       "yn"};
    return among(name, words, sizeof words / sizeof *words);
}

bool c_prefix(const char *name) {
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') return false;
    return isalpha((unsigned char)*name) && !in_language(name) && !in_library(name);
}

const char *c_name(Arena *arena, const char *name) {
    char *copy = arena_printf(arena, "%s%s", isdigit((unsigned char)*name) || !*name ? "x" : "", name);
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    return copy;
}

bool c_function(const char *name) {
    static const char *const functions[] = {"support_", "SUPPORT_", "run_", "loop_", "convolve_", "call_",
                                            "cblas_",   "Cblas",    "gdl_", "GDL_",  "task_"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strncmp(name, functions[i], strlen(functions[i])) == 0) return true;
    return false;
}

const char *c_variable(Arena *arena, const char *name) {
    return c_function(name) ? arena_printf(arena, "x_%s", c_name(arena, name)) : c_name(arena, name);
}

/* As a parameter or member in the header: the name itself wherever C and C++ allow it. */
const char *port_name(Emit *emit, const char *name) {
    const char *plain = c_variable(emit->arena, name);
    bool clashes = c_reserved(plain) || strcmp(plain, emit->name) == 0;
    for (int s = 0; s < emit->module->symbols.count; s++)
        clashes = clashes || strcmp(plain, emit->module->symbols.items[s].variable) == 0;
    return clashes ? arena_printf(emit->arena, "%s_", plain) : plain;
}

/* "vae", of the path of the model or of an output. */
const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *phase_name(Emit *emit, const Stage *stage, const Phase *phase) {
    return stage->phases.count == 1 ? stage->name : arena_printf(emit->arena, "%s_%s", stage->name, phase->entry->name);
}

/* Names that emitted code can use: identifiers of C and C++ that mean nothing else there. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

/* Words of C and C++, and the names that emitted functions give their own variables. */
bool c_reserved(const char *name) {
    static const char *const words[] = {
        "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class",
        "compl", "concept", "const", "constexpr", "continue", "decltype", "default", "delete", "do", "double", "else", "enum",
        "explicit", "export", "extern", "false", "final", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable",
        "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "override", "private", "protected",
        "public", "register", "requires", "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template",
        "this", "throw", "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void", "volatile",
        "wchar_t", "while", "xor", "xor_eq",
        "e", "i", "j", "k", "l", "p", "q", "r", "s", "m", "n", "block", "lane", "width", "clock", "report", "tick", "first", "count",
        "code", "NULL", "NAN", "INFINITY", "linux", "unix", "fabsf", "floorf", "nearbyintf", "powf", "memset", "size_t", "int32_t", "uint64_t",
        "geometry", "size", "batch", "seed", "memory", "turn", "part", "model", "input", "output", "needed"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0) return true;
    return false;
}

const char *c_name(Arena *arena, const char *name) {
    char *copy = arena_printf(arena, "%s%s", isdigit((unsigned char)*name) || !*name ? "x" : "", name);
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    return copy;
}

/* As a parameter or member in the header: the name itself wherever C and C++ allow it. */
const char *port_name(Emit *emit, const char *name) {
    const char *plain = c_name(emit->arena, name);
    const bool clashes = c_reserved(plain) || strcmp(plain, emit->name) == 0;
    return clashes ? arena_printf(emit->arena, "%s_", plain) : plain;
}

/* "vae", of the path of the model or of an output. */
const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

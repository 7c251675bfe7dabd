/* The pieces of support/ that a model needs, copied into its code: static functions, so that models link together. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

extern const char support_math[], support_random[], support_vector[], support_product[], support_conv[], support_profile[],
    support_threads[];

static const char *const sources[] = {support_math, support_random,  support_vector, support_product,
                                      support_conv, support_profile, support_threads};

static bool same_word(const char *text, const char *word) {
    const size_t length = strlen(word);
    return strncmp(text, word, length) == 0 && !isalnum((unsigned char)text[length]) && text[length] != '_';
}

/* The line that starts a piece: three stars, its name, and after a colon the pieces that it needs. */
static const char *find_piece(const char *name) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        for (const char *at = strstr(sources[i], "\n/*** "); at; at = strstr(at + 1, "\n/*** "))
            if (same_word(at + 6, name)) return at + 1;
    return NULL;
}

bool has_piece(const Emit *emit, const char *name) {
    for (int i = 0; i < emit->pieces.count; i++)
        if (strcmp(emit->pieces.items[i], name) == 0) return true;
    return false;
}

static void need(Emit *emit, const char *name) {
    if (has_piece(emit, name)) return;
    const char *at = find_piece(name);
    if (at == NULL) return;
    const char *end = at + 5 + strcspn(at + 5, "\n*:");
    if (*end == ':')
        for (const char *word = end + 1; *word == ' ';) {
            const size_t length = strcspn(++word, " \n*");
            if (length > 0) need(emit, arena_copy(emit->arena, word, length));
            word += length;
        }
    LIST_PUSH(emit->arena, &emit->pieces, arena_copy(emit->arena, name, strlen(name)));
}

const char *piece(Emit *emit, const char *name) {
    need(emit, name);
    return arena_printf(emit->arena, "support_%s", name);
}

static size_t word_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_') length++;
    return length;
}

/* How much text from here on is no code: a string, or a line for the preprocessor that defines nothing. */
static size_t other_length(const char *text) {
    if (*text == '"') return strcspn(text + 1, "\"") + 2;
    return *text == '#' && strncmp(text, "#define", 7) != 0 ? strcspn(text, "\n") : 0;
}

/* Text up to `end`, in which a variable that is called like the model gets another name. */
static void copy_renamed(const Emit *emit, Text *to, const char *from, const char *end) {
    while (from < end) {
        const size_t other = other_length(from), word = word_length(from), length = other ? other : word ? word : 1;
        text_bytes(to, from, length);
        if (word > 0 && same_word(from, emit->name)) text_add(to, "_");
        from += length;
    }
}

/* A piece without its first line; the comment there, if it goes on, begins on the second. */
static void copy_piece(const Emit *emit, Text *to, const char *at) {
    const char *end = strstr(at, "\n/*** "), *body = strchr(at, '\n') + 1;
    if (end == NULL) end = at + strlen(at);
    while (end[-1] == '\n') end--;
    text_add(to, "\n");
    if (strncmp(body, " * ", 3) == 0) {
        text_add(to, "/* ");
        body += 3;
    }
    copy_renamed(emit, to, body, end);
    text_add(to, "\n");
}

void emit_pieces(Emit *emit, Text *to) {
    for (int i = 0; i < emit->pieces.count; i++) copy_piece(emit, to, find_piece(emit->pieces.items[i]));
}

/* Functions that differ in nothing but the names of their variables, as the loops of a phase, of its evaluation and of an export do:
 * the C compiler is given one of them. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

static size_t word_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_') length++;
    return length;
}

/* Words in the order in which they appear; variables have a number instead of a name. */
typedef struct Words { Arena *arena; WordList words, written; } Words;

/* How a word is written where names do not count. */
static const char *written(Words *seen, const char *word) {
    for (int i = 0; i < seen->words.count; i++)
        if (strcmp(seen->words.items[i], word) == 0) return seen->written.items[i];
    const bool kept = isdigit((unsigned char)*word) || c_function(word) || c_reserved(word);
    const char *text = kept ? word : arena_printf(seen->arena, "$%d", seen->words.count);
    LIST_PUSH(seen->arena, &seen->words, word);
    LIST_PUSH(seen->arena, &seen->written, text);
    return text;
}

/* Functions and members of structs: what they are called is what they are. */
static bool is_variable(const char *start, const char *word, size_t length) {
    const bool member = word >= start + 2 && word[-2] == '-' && word[-1] == '>';
    return !member && word[length] != '(';
}

/* The function without the names of its variables, and with one space before each word only. */
static const char *nameless(Arena *arena, const Function *function) {
    Text text = {.arena = arena};
    Words seen = {.arena = arena};
    const char *const start = arena_printf(arena, "%s) {%s", function->parameters, function->body);
    size_t length;
    for (const char *from = start; *from; from += length ? length : 1) {
        length = word_length(from);
        const char *word = arena_copy(arena, from, length);
        if (length > 0) text_add(&text, " %s", is_variable(start, from, length) ? written(&seen, word) : word);
        else if (!isspace((unsigned char)*from)) text_bytes(&text, from, 1);
    }
    return text.bytes;
}

const char *function_alike(Emit *emit, const Function *function, const char *name) {
    const char *text = nameless(emit->arena, function);
    for (int i = 0; i < emit->nameless.count; i++)
        if (strcmp(emit->nameless.items[i], text) == 0) return emit->functions.items[i];
    LIST_PUSH(emit->arena, &emit->nameless, text);
    LIST_PUSH(emit->arena, &emit->functions, name);
    return name;
}

/* How emitted text is laid out: lists and comments on lines that fit, blocks moved to the right. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

/* Whether the place is in a comment; *comment is one that starts before or behind it, and moves on to the next. */
static bool in_comment(const char *at, const char **comment) {
    while (*comment && *comment < at) {
        const char *end = strstr(*comment, "*/");
        if (end == NULL || at < end) return true;
        *comment = strstr(end, "/*");
    }
    return false;
}

bool mentions(const char *text, const char *word) {
    const size_t length = strlen(word);
    const char *comment = strstr(text, "/*");
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        if (in_comment(at, &comment)) continue;
        const bool starts =
            at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_' && at[-1] != '>' && at[-1] != '.');
        if (starts && !isalnum((unsigned char)at[length]) && at[length] != '_') return true;
    }
    return false;
}

void add_wrapped(Text *to, const char *text, int column, int width) {
    int at = column;
    for (const char *word = text; *word;) {
        const size_t length = strcspn(word, ",") + (word[strcspn(word, ",")] == ',' ? 1 : 0);
        if (at + (int)length > width && word != text) {
            text_add(to, "\n%*s", column, "");
            at = column;
        } else if (word != text) {
            text_add(to, " ");
            at++;
        }
        text_bytes(to, word, length);
        at += (int)length;
        word += length;
        while (*word == ' ') word++;
    }
}

/* How much of the text goes on a line with so much room: up to a space after a comma or before an operator that is not in a
 * deeper parenthesis than necessary; all of it where there is no such place. */
static size_t line_end(const char *text, size_t room) {
    size_t best = 0, length = strlen(text);
    int depth = 0, best_depth = 0;
    if (length <= room) return length;
    for (size_t i = 0; i < length && (i <= room || best == 0); i++) {
        depth += (text[i] == '(' || text[i] == '[') - (text[i] == ')' || text[i] == ']');
        const bool after_comma = i > 0 && text[i] == ' ' && text[i - 1] == ',';
        const bool before_operator = text[i] == ' ' && strchr("+-*/?:", text[i + 1]) && text[i + 2] == ' ';
        if (i == 0 || !(after_comma || before_operator) || (best > room / 2 && depth > best_depth)) continue;
        best = i;
        best_depth = depth;
    }
    return best ? best : length;
}

void add_statement(Text *to, int margin, const char *text) {
    for (int indent = margin; *text; indent = margin + 8) {
        const size_t length = line_end(text, (size_t)(LINE_WIDTH - indent));
        text_add(to, "%*s%.*s\n", indent, "", (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

void add_indented(Text *to, const char *text, int margin) {
    for (const char *end; *text; text = end) {
        end = strchr(text, '\n') + 1;
        text_add(to, "%*s%.*s", margin, "", (int)(end - text), text);
    }
}

void add_comment(Text *to, int margin, const char *text) {
    int at = margin + 2;
    text_add(to, "%*s/*", margin, "");
    for (const char *word = text; *word;) {
        const size_t space = strspn(word, " "), length = strcspn(word + space, " ");
        const bool fits = at + (int)(space + length) + 3 <= LINE_WIDTH;
        if (!fits) text_add(to, "\n%*s *", margin, "");
        text_add(to, "%*s%.*s", fits && word > text ? (int)space : 1, "", (int)length, word + space);
        at = (fits ? at + (int)space : margin + 3) + (int)length;
        word += space + length;
    }
    text_add(to, " */\n");
}

/* How emitted text is laid out: lists and comments on lines that fit, blocks moved to the right. */
#include "emit.h"

#include <ctype.h>
#include <string.h>

bool mentions(const char *text, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        const bool starts = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_' && at[-1] != '>' && at[-1] != '.');
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

void add_indented(Text *to, const char *text, int margin) {
    for (const char *end; *text; text = end) {
        end = strchr(text, '\n') + 1;
        text_add(to, "%*s%.*s", margin, "", (int)(end - text), text);
    }
}

void add_comment(Text *to, int margin, const char *text) {
    int at = margin + 3;
    text_add(to, "%*s/*", margin, "");
    while (*(text += strspn(text, " "))) {
        const int length = (int)strcspn(text, " ");
        if (at + length + 3 > LINE_WIDTH) {
            text_add(to, "\n%*s *", margin, "");
            at = margin + 3;
        }
        text_add(to, " %.*s", length, text);
        at += length + 1;
        text += length;
    }
    text_add(to, " */\n");
}

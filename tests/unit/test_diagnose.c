/* Diagnostics: places, excerpts, order, duplicates, limits, and suggestions of names. */
#include "gdlc.h"

#include <criterion/criterion.h>
#include <string.h>

static Context context;

static void setup(void) { context = (Context){.arena = arena_create()}; }
static void teardown(void) { arena_destroy(context.arena); }

TestSuite(diagnose, .init = setup, .fini = teardown);

static int add(const char *text) { return source_add(&context, "m.gdl", text, strlen(text), false); }

static const char *printed(void)
{
    static char buffer[65536];
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    diagnostics_print(&context, file);
    rewind(file);
    buffer[fread(buffer, 1, sizeof buffer - 1, file)] = '\0';
    fclose(file);
    return buffer;
}

static int count(const char *text, const char *part)
{
    int found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        found++;
    return found;
}

Test(diagnose, shows_line_and_span)
{
    int file = add("one\nmean = f(xyz)\n");
    error_at(&context, (Span){file, 13, 16}, "expected [%d]", 3);
    note_at(&context, (Span){file, 0, 3}, "declared here");
    cr_expect_str_eq(printed(), "m.gdl:2:10: error: expected [3]\n"
                                "    2 | mean = f(xyz)\n"
                                "      |          ^~~\n"
                                "m.gdl:1:1: note: declared here\n"
                                "    1 | one\n"
                                "      | ^~~\n");
}

Test(diagnose, columns_count_characters_and_carets_keep_tabs)
{
    int file = add("\té\xFFü = x\n");
    error_at(&context, (Span){file, 9, 10}, "here");
    cr_expect_str_eq(printed(), "m.gdl:1:8: error: here\n"
                                "    1 | \té?ü = x\n"
                                "      | \t      ^\n");
}

Test(diagnose, a_span_is_clipped_at_the_end_of_its_line)
{
    int file = add("a = (1\r\n2)\n");
    error_at(&context, (Span){file, 4, 10}, "here");
    cr_expect_str_eq(printed(), "m.gdl:1:5: error: here\n    1 | a = (1\n      |     ^~\n");
}

Test(diagnose, the_end_of_a_file_is_a_place)
{
    error_at(&context, (Span){add(""), 0, 0}, "nothing");
    cr_expect_str_eq(printed(), "m.gdl:1:1: error: nothing\n    1 |\n      | ^\n");
}

Test(diagnose, long_lines_are_cut_around_the_caret)
{
    char *line = arena_alloc(context.arena, 10001);
    memset(line, 'x', 10000);
    line[5000] = 'y';
    error_at(&context, (Span){add(line), 5000, 5001}, "here");
    const char *text = printed(), *excerpt = strchr(text, '\n') + 1, *caret = strchr(excerpt, '\n') + 1;
    cr_expect_eq(count(text, "m.gdl:1:5001: error"), 1);
    cr_expect_lt(strlen(text), 400);
    cr_expect_eq(strchr(excerpt, 'y') - excerpt, strchr(caret, '^') - caret);
}

Test(diagnose, order_is_that_of_the_source_and_notes_stay_with_their_error)
{
    int file = add("abc\n");
    error_at(&context, (Span){file, 2, 3}, "third");
    note_at(&context, (Span){file, 0, 1}, "of the third");
    error_at(&context, (Span){file, 0, 1}, "first");
    error_at(&context, (Span){file, 1, 2}, "second");
    error_at(&context, (Span){file, 1, 2}, "second again");
    const char *text = printed();
    cr_expect_lt(strstr(text, "first"), strstr(text, "second"));
    cr_expect_lt(strstr(text, "second"), strstr(text, "second again"));
    cr_expect_lt(strstr(text, "second again"), strstr(text, "third"));
    cr_expect_lt(strstr(text, "third"), strstr(text, "of the third"));
}

Test(diagnose, the_same_message_at_the_same_place_counts_once)
{
    int file = add("abc\n");
    for (int i = 0; i < 3; i++) {
        error_at(&context, (Span){file, 1, 2}, "wrong");
        note_at(&context, (Span){file, 0, 1}, "because");
    }
    cr_expect_eq(error_count(&context), 1);
    cr_expect_eq(count(printed(), "error: wrong"), 1);
    cr_expect_eq(count(printed(), "note: because"), 1);
}

Test(diagnose, warnings_are_no_errors)
{
    warning_at(&context, (Span){add("a\n"), 0, 1}, "unused");
    cr_expect_eq(error_count(&context), 0);
    cr_expect_eq(count(printed(), "warning: unused"), 1);
}

Test(diagnose, many_errors_are_counted_and_few_printed)
{
    int file = add("a\n");
    for (int i = 0; i < 5000; i++)
        error_at(&context, (Span){file, 0, 1}, "number %d", i);
    cr_expect_eq(error_count(&context), 5000);
    cr_expect_eq(count(printed(), "error: number"), 20);
    cr_expect_eq(count(printed(), "too many errors: 5000"), 1);
}

Test(diagnose, nearest_name)
{
    static const char *const names[] = {"relu", "leaky_relu", "sigmoid", "softmax", "dense", "x", "encoder", "lr", "batch_norm"};
    static const char *const cases[][2] = {
        {"rleu", "relu"}, {"Dense", "dense"}, {"sigmiod", "sigmoid"}, {"LeakyReLU", "leaky_relu"}, {"encodr", "encoder"},
        {"softmaxx", "softmax"}, {"decoder_two", NULL}, {"y", NULL}, {"conv", NULL}, {"", NULL},
        {"learning_rate", "lr"}, {"BatchNormalization", "batch_norm"}, {"BatchNorm", "batch_norm"}, {"Linear", "dense"}, {"def", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = nearest_name(cases[i][0], names, 9);
        cr_expect_str_eq(found == NULL ? "none" : found, cases[i][1] == NULL ? "none" : cases[i][1], "%s", cases[i][0]);
    }
}

Test(diagnose, positions_at_line_ends)
{
    int file = add("ab\n\nc");
    Position end = source_position(&context, file, 5), empty = source_position(&context, file, 3);
    int length;
    cr_expect(end.line == 3 && end.column == 2);
    cr_expect(empty.line == 2 && empty.column == 1);
    cr_expect_eq(*source_line(&context, file, 3, &length), 'c');
    cr_expect_eq(length, 1);
}

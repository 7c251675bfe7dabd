/* process.c: the trainer of the hand-written model in processes of their own. */
#define _XOPEN_SOURCE 700
#include "process.h"
#include "fake_model.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t start(const char *arguments) {
    pid_t child = fork();
    if (child) return child;
    char line[1024], *argv[64] = {"fake"};
    int argc = 1;
    snprintf(line, sizeof line, "%s", arguments);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    setenv("OPENBLAS_CORETYPE", "Haswell", 0); /* no second start: the program is this test */
    if (!freopen("out", "w", stdout) || !freopen("err", "w", stderr)) _exit(99);
    int status = gdl_main(argc, argv, fake_describe());
    fflush(NULL);
    _exit(status);
}

int finish(pid_t child) {
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int run(const char *arguments) { return finish(start(arguments)); }

void expect_text(const char *path, const char *phrase) {
    size_t size, at = 0, length = strlen(phrase);
    char *text = read_file(path, &size);
    cr_assert_not_null(text, "%s should exist", path);
    while (at + length <= size && memcmp(text + at, phrase, length) != 0) at++;
    cr_expect(at + length <= size, "expected '%s' in %s: %s", phrase, path, text);
    free(text);
}

void expect_success(const char *arguments) {
    int status = run(arguments);
    size_t size;
    char *text = read_file("err", &size);
    cr_assert_eq(status, 0, "fake %s: status %d: %s", arguments, status, text);
    free(text);
}

void expect_error(const char *arguments, int status, const char *phrase) {
    int found = run(arguments);
    cr_assert_eq(found, status, "fake %s: status %d rather than %d", arguments, found, status);
    expect_text("err", phrase);
}

bool exists(const char *path) { return access(path, F_OK) == 0; }

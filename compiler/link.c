/* From emitted C to a program: the C compiler is run on it, with the runtime's library and a main that calls the runtime's.
 *
 * No shell is involved. The library and its header are looked for beside gdlc's own executable, as the build has them, then where
 * an installation puts them. */
#include "gdlc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef GDLC_LIBRARIES
#define GDLC_LIBRARIES "-lpng -lz -lcjson -lopenblas -lm -pthread"
#endif

typedef LIST(char *) WordList;

static void add_words(Arena *arena, WordList *words, const char *text) {
    while (*(text += strspn(text, " \t\n"))) {
        const size_t length = strcspn(text, " \t\n");
        LIST_PUSH(arena, words, arena_copy(arena, text, length));
        text += length;
    }
}

/* ── the runtime ──────────────────────────────────────────────────────────────────────────── */

static const char *own_folder(Arena *arena) {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return ".";
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    return arena_copy(arena, path, (size_t)(slash - path));
}

/* The folders of libgdl.a and gdl.h; false, with a message, where they are not found. */
static bool find_runtime(Arena *arena, const char **library, const char **headers) {
    static const char *const places[][2] = {{"", "/include"}, {"/../lib", "/../include"}};
    const char *folder = own_folder(arena);
    for (int i = 0; i < 2; i++) {
        *library = arena_printf(arena, "%s%s/libgdl.a", folder, places[i][0]);
        *headers = arena_printf(arena, "%s%s", folder, places[i][1]);
        if (access(*library, R_OK) == 0 && access(arena_printf(arena, "%s/gdl.h", *headers), R_OK) == 0) return true;
    }
    fprintf(stderr, "gdlc: cannot find libgdl.a and gdl.h beside %s/gdlc or in %s/../lib and ../include; "
                    "`make` builds them, or write C with -o NAME.c\n", folder, folder);
    return false;
}

/* ── the files to compile ─────────────────────────────────────────────────────────────────── */

typedef struct Workspace { const char *folder, *source, *header, *main; } Workspace;

static bool complain(const char *what, const char *path) {
    fprintf(stderr, "gdlc: cannot %s %s: %s\n", what, path, strerror(errno));
    return false;
}

static bool write_file(const char *path, const Text *text) {
    return file_write(path, text->bytes, text->length) || complain("write", path);
}

static bool open_workspace(Arena *arena, const char *name, Workspace *space) {
    const char *base = getenv("TMPDIR");
    char *folder = arena_printf(arena, "%s/gdlc-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(folder) == NULL) return complain("make the folder", folder);
    *space = (Workspace){.folder = folder,
                         .source = arena_printf(arena, "%s/%s.c", folder, name),
                         .header = arena_printf(arena, "%s/%s.h", folder, name),
                         .main = arena_printf(arena, "%s/trainer_main.c", folder)};
    return true;
}

static void close_workspace(const Workspace *space) {
    unlink(space->source);
    unlink(space->header);
    unlink(space->main);
    rmdir(space->folder);
}

static bool fill_workspace(Arena *arena, const char *name, const Text *source, const Text *header,
                           const Workspace *space) {
    Text main = {.arena = arena};
    text_add(&main,
             "#include \"%s.h\"\n\nint main(int argc, char **argv) { return gdl_main(argc, argv, %s_describe()); }\n",
             name, name);
    return write_file(space->source, source) && write_file(space->header, header) && write_file(space->main, &main);
}

/* ── the compiler ─────────────────────────────────────────────────────────────────────────── */

static bool run(char **command) {
    int status;
    const pid_t child = fork();
    if (child < 0) return complain("start", command[0]);
    if (child == 0) {
        execvp(command[0], command);
        complain("run the C compiler", command[0]);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return complain("wait for", command[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 127)
        fprintf(stderr, "gdlc: the C compiler failed; CC and CFLAGS name another and its options\n");
    return false;
}

static char **compiler_command(Arena *arena, const Workspace *space, const char *library, const char *headers,
                               const char *output) {
    WordList words = {0};
    const char *compiler = getenv("CC"), *options = getenv("CFLAGS");
    add_words(arena, &words, compiler && *compiler ? compiler : "cc");
    add_words(arena, &words, options && *options ? options : "-O3 -march=native -ffp-contract=fast -fno-trapping-math");
    const char *fixed[] = {"-std=c11", "-I", headers, "-o", output, space->source, space->main, library};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        LIST_PUSH(arena, &words, arena_copy(arena, fixed[i], strlen(fixed[i])));
    add_words(arena, &words, GDLC_LIBRARIES);
    LIST_PUSH(arena, &words, NULL);
    return words.items;
}

bool link_program(Context *context, const char *name, const Text *source, const Text *header, const char *output) {
    const char *library, *headers;
    Workspace space;
    fflush(NULL);
    if (!find_runtime(context->arena, &library, &headers) || !open_workspace(context->arena, name, &space))
        return false;
    const bool made = fill_workspace(context->arena, name, source, header, &space) &&
                      run(compiler_command(context->arena, &space, library, headers, output));
    close_workspace(&space);
    return made;
}

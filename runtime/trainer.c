/* trainer.c: the main of a trainer: the command, and what its result means to the shell. */
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 64, EXIT_INTERRUPTED = 130 };

static void print_usage(const char *program, const gdl_model *model, FILE *to) {
    fprintf(to,
            "%s: trains and runs the model of %s.\n\n"
            "  %s train [STAGE...] --data FILE   train, save checkpoints, resume\n"
            "  %s run FUNCTION --load FILE       run a net or an export; pictures, arrays, tables\n"
            "  %s inspect FUNCTION --load FILE   how the units of its output are used; what activates them\n"
            "  %s confusion FUNCTION --load FILE what a classifier takes for what\n"
            "  %s summary                        tensors, memory, stages, nets and exports\n\n"
            "`%s COMMAND --help` lists the options of a command.\n",
            program, model->source, program, program, program, program, program, program);
}

static int command_summary(int argc, char **argv, const gdl_model *model, gdl_error *error) {
    if (argc > 1) {
        fprintf(stderr, "%s takes no arguments\n", argv[0]);
        exit(EXIT_USAGE);
    }
    gdl_summary(model, stdout);
    return fflush(stdout) ? gdl_fail(error, "standard output cannot be written to") : 0;
}

typedef int Command(int argc, char **argv, const gdl_model *model, gdl_error *error);

/* Runs a command with "vae train" in place of its name, so that messages and help name it so. Returns the exit status. */
static int run_command(Command *command, const char *program, int argc, char **argv, const gdl_model *model) {
    char name[256];
    gdl_error error = {0};
    char **renamed = calloc((size_t)argc + 1, sizeof *renamed);
    if (!renamed)
        return EXIT_FAILURE;
    snprintf(name, sizeof name, "%s %s", program, argv[0]);
    memcpy(renamed, argv, (size_t)argc * sizeof *argv);
    renamed[0] = name;
    int result = command(argc, renamed, model, &error);
    free(renamed);
    if (result == GDL_FAILED)
        fprintf(stderr, "%s: error: %s\n", name, error.text);
    return result == GDL_FAILED ? EXIT_FAILURE : result == GDL_STOPPED ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

int gdl_main(int argc, char **argv, const gdl_model *model) {
    static const struct {
        const char *name;
        Command *command;
    } commands[] = {{"train", command_train},
                    {"run", command_run},
                    {"inspect", command_inspect},
                    {"confusion", command_confusion},
                    {"summary", command_summary}};
    gdl_blas_kernels(argv);
    gdl_flush_subnormals();
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *program = slash ? slash + 1 : argc > 0 ? argv[0] : model->name;
    for (size_t c = 0; argc > 1 && c < sizeof commands / sizeof *commands; c++)
        if (strcmp(argv[1], commands[c].name) == 0)
            return run_command(commands[c].command, program, argc - 1, argv + 1, model);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return printf("%s, from %s by gdlc %s\n", model->name, model->source, model->version) < 0;
    bool help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (argc > 1 && !help)
        fprintf(stderr, "%s: error: train, run, inspect, confusion or summary is expected, but found '%s'\n\n", program, argv[1]);
    print_usage(program, model, help ? stdout : stderr);
    return help ? EXIT_SUCCESS : EXIT_USAGE;
}

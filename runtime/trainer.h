/* trainer.h: what the files of the trainer's command line share: options.c, sources.c, progress.c, history.c, and the commands. */
#ifndef GDL_TRAINER_H
#define GDL_TRAINER_H

#include "runtime.h"

/* ── options.c: command lines ─────────────────────────────────────────────────────────────── */

typedef struct Texts { const char **items; size_t count; } Texts; /* as they are in argv */

typedef struct TrainOptions {
    const gdl_model *model;
    Texts stages, data, valid;
    double split;               /* part of the data kept for validation; from 1 on: so many examples; 0: none */
    size_t limit;               /* 0: none */
    bool balanced;
    size_t epochs, batch, patience, save_every; /* 0: not given, but epochs */
    bool epochs_given;
    float lr_scale;             /* 0: not given */
    uint64_t seed;
    bool seed_given;
    const char *save, *init, *resume, *history;
    bool keep_best;
} TrainOptions;

typedef struct RunOptions {
    const gdl_model *model;
    const char *function, *load;
    Texts data, out;
    size_t count, batch;        /* 0: not given */
    uint64_t seed;
    size_t columns, zoom;
    float low, high;
    bool no_inputs;
} RunOptions;

enum { DEFAULT_SEED = 42, DEFAULT_ZOOM = 2 };

/* Parse what follows the command's name: argv[0] is "vae train". Like all of argp, they print --help and complaints about
 * the command line and end the process. Free with the functions below. Fail only for want of memory. */
int train_options_parse(TrainOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
int run_options_parse(RunOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
void train_options_free(TrainOptions *options);
void run_options_free(RunOptions *options);

/* The name before '=' in "x=images.gz", and its length; *rest: what follows. 0 where there is none. */
size_t option_name(const char *text, const char **rest);

/* ── sources.c: what --data names ─────────────────────────────────────────────────────────── */

typedef struct Source {
    const char *name;           /* of the input, `length` characters; 0: not said */
    size_t length;
    gdl_array array;
    bool used;
} Source;

typedef struct Sources { const char *option; Source *items; size_t count; } Sources;

/* Reads the files of all arguments of this option, "--data" or "--valid". */
int sources_read(Sources *sources, const char *option, const Texts *arguments, gdl_error *error);
void sources_free(Sources *sources);
/* Binds to each port the file given for it; `whose` needs them ("stage gan"). */
int sources_bind(Sources *sources, const char *whose, const gdl_port *port, size_t inputs, gdl_data *data, gdl_error *error);
/* Fails where a file is for an input that nothing has; `names` lists the inputs there are. */
int sources_check_used(const Sources *sources, const char *names, gdl_error *error);

/* ── progress.c: what a person watches ────────────────────────────────────────────────────── */

typedef struct Progress {
    FILE *to;
    bool terminal;
    bool running;               /* a stage has begun */
    double begun, epoch_begun, shown; /* seconds of a steady clock */
    uint64_t first;             /* step that the stage had when this process began it */
} Progress;

/* On a terminal a bar that moves, elsewhere a line for each epoch. */
void progress_begin(Progress *progress, FILE *to, const gdl_run *run);
void progress_show(Progress *progress, const gdl_run *run, gdl_event event);
void progress_end(Progress *progress);

/* ── history.c: a row of CSV for each epoch ───────────────────────────────────────────────── */

typedef struct History {
    FILE *file;                 /* NULL: none is kept */
    const char *path;
    const gdl_model *model;
    const size_t *stage;        /* the stages that are trained */
    size_t stages;
    bool validated;             /* there are columns for validation */
} History;

/* Starts the file with its header. With a run that is resumed, keeps the rows of the epochs that are done, and drops later ones. */
int history_open(History *history, const gdl_run *resumed, gdl_error *error);
int history_add(History *history, const gdl_run *run, gdl_error *error);
int history_close(History *history, gdl_error *error);

/* ── command_train.c, command_run.c ───────────────────────────────────────────────────────── */

/* Return 0, GDL_FAILED, or GDL_STOPPED when a signal asked for it. */
int command_train(const TrainOptions *options, gdl_error *error);
int command_run(const RunOptions *options, gdl_error *error);

#endif

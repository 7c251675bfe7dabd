/* trainer.h: what the files of the trainer's command line share, from the options to the commands. */
#ifndef GDL_TRAINER_H
#define GDL_TRAINER_H

#include "runtime.h"

/* ── options.c: values of options ─────────────────────────────────────────────────────────── */

struct argp_state;

typedef struct Texts { const char **items; size_t count; } Texts; /* as they are in argv */

enum { DEFAULT_SEED = 42, DEFAULT_ZOOM = 2 };

/* Room for as many texts as there are arguments; false: no memory. */
bool texts_create(Texts *texts, int room);
void texts_add(Texts *texts, const char *text);

/* The value that an option has; what cannot be a value is said, and ends the process. */
size_t parse_count(struct argp_state *state, const char *option, const char *text, size_t least);
uint64_t parse_seed(struct argp_state *state, const char *text);
double parse_number(struct argp_state *state, const char *option, const char *text);
double parse_positive(struct argp_state *state, const char *option, const char *text);
void parse_pair(struct argp_state *state, const char *option, const char *text, float *low, float *high); /* low < high */

/* A model for batches of this size (0: as it says), which computes with what --threads asks for (0: not given), and a note where that
 * cannot be. NULL, with an error, where there is no room for it. */
void *create_instance(const gdl_model *model, size_t batch, uint64_t seed, size_t threads, gdl_error *error);

/* For argp's help filter: ends the help with what this model has. `text` is what argp would print in its place. */
char *describe(int key, const char *text, const gdl_model *model, void (*print)(const gdl_model *model, FILE *to));

/* The name before '=' in "x=images.gz", and its length; *rest: what follows. 0 where there is none. */
size_t option_name(const char *text, const char **rest);

/* ── options_train.c, options_call.c: command lines ───────────────────────────────────────── */

typedef struct SnapshotOptions {
    size_t every;               /* epochs; 0: none */
    const char *function;       /* NULL: one that makes images is looked for */
    const char *prefix;
    float low, high;
} SnapshotOptions;

typedef struct TrainOptions {
    const gdl_model *model;
    Texts stages, data, valid;
    double split;               /* part of the data kept for validation; from 1 on: so many examples; 0: none */
    size_t limit;               /* 0: none */
    bool balanced;
    size_t epochs, batch, patience, save_every, threads; /* 0: not given, but epochs */
    bool epochs_given;
    float lr_scale;             /* 0: not given */
    uint64_t seed;
    bool seed_given;
    const char *save, *init, *resume, *history, *profile;
    bool keep_best;
    SnapshotOptions snapshot;
} TrainOptions;

/* What every command that calls a net or an export is told. */
typedef struct CallOptions {
    const gdl_model *model;
    const char *function, *load;
    Texts data;
    size_t count, batch, threads; /* 0: not given */
    size_t size[GDL_MAX_SIZES]; /* of the model, by index; 0: not given */
    uint64_t seed;
} CallOptions;

typedef struct TileOptions { size_t zoom; float low, high; } TileOptions;

typedef struct RunOptions {
    CallOptions call;
    TileOptions tile;
    Texts out;
    size_t columns;             /* 0: not given */
    bool no_inputs;
} RunOptions;

typedef struct InspectOptions {
    CallOptions call;
    TileOptions tile;
    const char *output, *csv, *out; /* NULL: not given */
    double threshold;
    float least, most;          /* of the mean activations that are counted */
    size_t top;                 /* 0: not given */
} InspectOptions;

typedef struct ConfusionOptions {
    CallOptions call;
    const char *csv;            /* NULL: not given */
} ConfusionOptions;

/* Parse what follows the command's name: argv[0] is "vae train". Like all of argp, they print --help and complaints about
 * the command line and end the process. Free with the functions below. Fail only for want of memory. */
int train_options_parse(TrainOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
int run_options_parse(RunOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
int inspect_options_parse(InspectOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
int confusion_options_parse(ConfusionOptions *options, const gdl_model *model, int argc, char **argv, gdl_error *error);
void train_options_free(TrainOptions *options);
void run_options_free(RunOptions *options);
void inspect_options_free(InspectOptions *options);
void confusion_options_free(ConfusionOptions *options);

/* ── plan.c: the stages that are trained ──────────────────────────────────────────────────── */

typedef struct Planned { size_t stage, epochs, batch; } Planned;

typedef struct Plan {
    Planned *items;
    size_t count;
    size_t first;               /* where in `items` a resumed run goes on; else 0 */
    uint64_t seed;
    size_t patience;
    char *text;                 /* for checkpoints: "pretrain:10:32,head_only:20:32", epochs and batch of each */
} Plan;

/* The stages named on the command line; else those of the run that is resumed; else all. Their epochs and batches likewise. */
int plan_make(Plan *plan, const TrainOptions *options, gdl_error *error);
void plan_free(Plan *plan);

/* ── sources.c: what --data names ─────────────────────────────────────────────────────────── */

typedef struct Source {
    const char *name;           /* of the input, `length` characters; 0: not said */
    size_t length;
    const char *folder;         /* of pictures, which are read when it is known for which port; else NULL */
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
    const Plan *plan;           /* the stages that are trained */
    bool validated;             /* there are columns for validation */
} History;

/* Starts the file with its header. With a run that is resumed, keeps the rows of the epochs that are done, and drops later ones. */
int history_open(History *history, const gdl_run *resumed, gdl_error *error);
int history_add(History *history, const gdl_run *run, gdl_error *error);
int history_close(History *history, gdl_error *error);

/* ── call.c: a net or an export over the examples of files ────────────────────────────────── */

/* How many examples are shown in a picture, and made by functions that have no inputs, where nothing else is said. */
enum { DEFAULT_COUNT = 24 };

typedef struct Call {
    const CallOptions *options;
    const gdl_function *function;
    gdl_port *port;             /* its inputs, and the labels where the command has them */
    Sources sources;
    gdl_data data;              /* of `port` */
    size_t size[GDL_MAX_SIZES]; /* of the model, by index */
    gdl_port *output_port;      /* its outputs, with these sizes */
    size_t n;                   /* examples computed */
    void **input, **output;     /* their values, of each port; output is float, input int32_t where it has classes */
} Call;

/* Runs the function during training, with buffers as gdl_buffers_create makes them, and does not disturb it: the clock is left as it
 * was. The draws are the same at every call, so that what comes out of two calls differs by what was learnt between them. */
int function_call_aside(const gdl_function *function, const gdl_model *model, void *instance, size_t n, const size_t *size,
                        void *const *input, void *const *output, gdl_error *error);

/* The function of this name; NULL, with an error that lists them, where there is none. */
const gdl_function *find_function(const gdl_model *model, const char *name, gdl_error *error);

/* Finds the function. Every call that was opened, with success or not, is to be closed. */
int call_open(Call *call, const CallOptions *options, gdl_error *error);
void call_close(Call *call);

/* The output of this name, of `length` characters; where the function has one only, the name may be empty. `option` and
 * `text` are what the user said, for the message. */
int call_find_output(const Call *call, const char *option, const char *text, size_t length, size_t *output, gdl_error *error);

/* Reads the data of the function's inputs and, where `label` is not NULL, those of a port that is the command's own. */
int call_read(Call *call, const gdl_port *label, gdl_error *error);

/* Computes the first n examples, or makes n, with the parameters of --load. After call_read. Where the examples depend on each other
 * and --batch does not say otherwise, there is room for all at once. */
int call_compute(Call *call, size_t n, gdl_error *error);

/* ── snapshot.c: pictures during training ─────────────────────────────────────────────────── */

typedef struct Snapshots {
    const SnapshotOptions *options; /* NULL: none are made */
    const gdl_function *function;
    const char *stage;          /* part of the names where several stages are trained; else NULL */
    gdl_data data;
    size_t size[GDL_MAX_SIZES]; /* of the model, by index */
    void **input, **output;
    size_t image;               /* the output that is shown */
    gdl_grid grid;              /* of one picture; its set is filled in when it is made */
} Snapshots;

/* Chooses the function, and takes its inputs from the first examples of the data. To be closed in any case. */
int snapshots_open(Snapshots *snapshots, const SnapshotOptions *options, const gdl_run *run, const char *stage, Sources *sources,
                   gdl_error *error);
/* After an epoch: the picture, where one is due. Leaves the clock as it was, so that training goes on as without it. */
int snapshots_add(Snapshots *snapshots, const gdl_run *run, gdl_error *error);
/* After the last epoch: one picture with a row for each that was made, also before a resume. */
int snapshots_strip(const Snapshots *snapshots, const gdl_run *run, gdl_error *error);
void snapshots_close(Snapshots *snapshots);

/* ── collapse.c: what goes wrong where nets play against each other ───────────────────────── */

typedef struct Collapse {
    const gdl_run *run;         /* NULL: nothing is watched */
    FILE *to;
    double *spread;             /* of each input of the stage: how much its examples differ; 0 for labels */
    bool *warned;               /* [functions] that their outputs hardly differ */
    double *sum;                /* [reports] of the iteration before */
    bool *quiet;                /* [reports] that are no loss, were below 0, or were warned of */
} Collapse;

/* Before the first epoch. A stage with one phase is not watched. To be closed in any case. */
int collapse_open(Collapse *collapse, const gdl_run *run, FILE *to, gdl_error *error);
/* At each event of the run: warns, once of each matter. Leaves the clock as it was. */
int collapse_watch(Collapse *collapse, gdl_event event, gdl_error *error);
void collapse_close(Collapse *collapse);

/* ── command_*.c ──────────────────────────────────────────────────────────────────────────── */

/* argv[0] is "vae train", and so on. Return 0, GDL_FAILED, or GDL_STOPPED when a signal asked for it. A command line that cannot be
 * ends the process, as does --help. */
int command_train(int argc, char **argv, const gdl_model *model, gdl_error *error);
int command_run(int argc, char **argv, const gdl_model *model, gdl_error *error);
int command_inspect(int argc, char **argv, const gdl_model *model, gdl_error *error);
int command_confusion(int argc, char **argv, const gdl_model *model, gdl_error *error);

#endif

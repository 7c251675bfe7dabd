/* gdl.h: what emitted code and the runtime share: the description of a model, and what can be done with any model.
 *
 * `gdlc vae.gdl -o vae.c` emits a `gdl_model` that describes the model completely, returned by vae_describe().
 * Everything here works from such a description; nothing knows a particular model. Code that only calls emitted functions
 * needs of this header the first two sections, and no library; the rest is libgdl.a: data, training, checkpoints, pictures,
 * and the trainer's main, made of the same parts that a program of your own can use. */
#ifndef GDL_H
#define GDL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ── Result codes of emitted functions ────────────────────────────────────────────────────── */

enum {
    GDL_OK = 0,
    GDL_BATCH = 1,  /* more examples than the model was created for (training; or a net whose examples depend on each other) */
    GDL_LABEL = 2,  /* a class label outside 0..classes-1; nothing was computed */
    GDL_SIZE = 3    /* a size that is known only at run time is outside of its bounds; nothing was computed */
};

/* ── The description of a model ───────────────────────────────────────────────────────────── */

/* What a training run counts, and what every random number depends on. Saved with a checkpoint. */
typedef struct gdl_clock {
    uint64_t seed;      /* key of all random streams */
    uint64_t tick;      /* phases run so far in training: the counter of the draws there */
    uint64_t draw;      /* calls of nets, exports and evaluations so far: the counter of the draws there */
    uint64_t step;      /* iterations of the running stage: `step` of the language */
    uint64_t epoch;     /* epochs of the running stage: `epoch` of the language, from 0 */
    float lr_scale;     /* every optimizer's `lr` is multiplied by it; 1 */
} gdl_clock;

typedef enum gdl_role {
    GDL_PARAM,          /* trained */
    GDL_STATE,          /* not trained, saved with the model */
    GDL_OPTIMIZER       /* of one stage's optimizer */
} gdl_role;

typedef struct gdl_tensor {
    const char *name;       /* "encoder.hidden.kernel" */
    gdl_role role;
    int stage;              /* GDL_OPTIMIZER: the index of its stage; else -1 */
    size_t rank;
    const size_t *shape;    /* `rank` sizes */
    size_t size;            /* their product: number of floats */
    size_t offset;          /* in bytes from the model's start: see gdl_values */
} gdl_tensor;

enum { GDL_MAX_SIZES = 7 };

/* A size that is known only at run time, `dim time = 1..64`: one for all examples of a call. */
typedef struct gdl_size {
    const char *name;       /* "time" */
    size_t index;           /* in the model's list */
    size_t low, high;       /* its bounds */
} gdl_size;

/* The length of an axis: scale times the run-time size, plus base. */
typedef struct gdl_extent {
    const gdl_size *size;   /* NULL: the length is base */
    long scale, base;
} gdl_extent;

typedef struct gdl_port {
    const char *name;
    size_t rank;
    const size_t *shape;    /* of one example; the largest, where there is an `extent` */
    size_t size;            /* values in one example; likewise */
    size_t classes;         /* class[n]: n, and the values are int32_t in 0..n-1; 0: float */
    const gdl_extent *extent; /* of each axis; NULL where all are constant */
} gdl_port;

/* A net or an export. */
typedef struct gdl_function {
    const char *name;
    int net;                /* 1: a net, 0: an export */
    size_t inputs;
    const gdl_port *input;
    size_t outputs;
    const gdl_port *output;
    /* n examples from input[i] (float or int32_t, [n] + shape, packed) to output[j] (float). Any n, unless the examples
     * depend on each other. A function without inputs makes n examples. `size`: the run-time sizes in the order of the
     * model's list; NULL where it has none. Returns a result code. */
    int (*run)(void *model, size_t n, const size_t *size, const void *const *input, float *const *output);
} gdl_function;

typedef struct gdl_report {
    const char *name;       /* "loss", "rounded_accuracy"; in a stage with several phases "discriminate.loss" */
    int loss;               /* 1: what the phase minimizes; 0: a metric */
} gdl_report;

/* One `train` of the model. */
typedef struct gdl_stage {
    const char *name;
    size_t batch;           /* examples an iteration, as the model says; a step takes any number from 1 to the capacity */
    size_t epochs;
    size_t inputs;
    const gdl_port *input;
    size_t batches;         /* batches that one iteration reads: input[i] of `step` holds batches * n examples */
    size_t reports;
    const gdl_report *report;
    /* One iteration: every phase, forward, backward and update. report[k] gets the mean over the examples. `size` as for `run`. */
    int (*step)(void *model, size_t n, const size_t *size, const void *const *input, float *report);
    /* The same reports in inference form, from one batch of n examples; changes nothing. */
    int (*evaluate)(void *model, size_t n, const size_t *size, const void *const *input, float *report);
    void (*begin)(void *model); /* first values of the stage's optimizer state */
} gdl_stage;

/* With `gdlc --profile`: what a kernel (a loop nest, product, convolution or draw) has done since the model was made. */
typedef struct gdl_kernel {
    const char *function;   /* of the emitted C: "vae_backward"; NULL ends a list */
    const char *name;       /* what it computes: "hidden[n][150] = x[n][784] @ kernel[784][150]" */
    const char *place;      /* where the model says so: "vae.gdl:12", or "" */
    uint64_t calls;
    double seconds;
    double flops;           /* operations on floating-point numbers; a function such as exp counts as one */
    double bytes;           /* read and written: each element once in each call */
} gdl_kernel;

typedef struct gdl_model {
    const char *name;       /* the prefix of the emitted symbols */
    const char *source;     /* the .gdl file */
    const char *version;    /* of gdlc */
    size_t batch;           /* default capacity: the largest batch of the stages */
    size_t tensors;
    const gdl_tensor *tensor;
    size_t sizes;           /* that are known only at run time */
    const gdl_size *size;
    size_t functions;
    const gdl_function *function;
    size_t stages;
    const gdl_stage *stage;
    size_t (*memory)(size_t batch);     /* bytes that a model with that capacity needs */
    /* In the caller's memory, aligned to 64; NULL when size is too small. Parameters get their first values from the seed. */
    void *(*init)(void *memory, size_t size, size_t batch, uint64_t seed);
    gdl_clock *(*clock)(void *model);
    const gdl_kernel *(*profile)(const void *model); /* the model's kernels; NULL without --profile */
    /* See gdl_threads. Before the memory of a model is used for something else, it must be told to use 1. */
    int (*threads)(void *model, int count);
} gdl_model;

/* The values of a tensor: t->size floats, row-major. */
static inline float *gdl_values(const gdl_tensor *t, void *model) { return (float *)(void *)((char *)model + t->offset); }

/* ── libgdl.a: errors ─────────────────────────────────────────────────────────────────────── */

/* What went wrong, as a phrase for people: what was expected, what was found, where, and what to try. */
typedef struct gdl_error { char text[1024]; } gdl_error;

/* Functions of the library that can fail return 0, or GDL_FAILED after writing to *error (which may be NULL). */
enum { GDL_FAILED = -1, GDL_STOPPED = 1 };

/* ── model.c: instances ───────────────────────────────────────────────────────────────────── */

/* A model for batches of up to `batch` examples (0: the model's own), with first values from the seed. NULL: no memory. */
void *gdl_create(const gdl_model *model, size_t batch, uint64_t seed);
void gdl_destroy(const gdl_model *model, void *instance); /* NULL is nothing */

/* The instance computes with `count` threads from now on, the caller's included; results do not depend on it. Returns how many
 * there are: at least 1, and fewer than `count` where it is above 64, the system starts no more, or nothing in the model is
 * worth it. They keep the caller's floating-point settings (gdl_flush_subnormals), and leave signals to other threads. */
int gdl_threads(const gdl_model *model, void *instance, size_t count);

/* Prints tensors, parameter counts, memory and stages as a table. */
void gdl_summary(const gdl_model *model, FILE *to);

/* ── profile.c: where the time went, with gdlc --profile ─────────────────────────────────── */

/* The kernels that ran, sorted by their time: share, milliseconds, calls, microseconds a call, 1e9 operations a second, 1e9 bytes
 * a second, the model's line, the function of the C, what it computes. Fails where the model was compiled without --profile. */
int gdl_profile_print(const gdl_model *model, const void *instance, FILE *to, gdl_error *error);
/* The same as CSV: function, kernel, line, calls, seconds, flops, bytes. */
int gdl_profile_write(const gdl_model *model, const void *instance, const char *path, gdl_error *error);

/* ── size.c: sizes that are known only at run time ────────────────────────────────────────── */

/* The sizes of a call, by index: those known (of gdl_data, for one), and the largest for those that are 0, or for all where `known` is
 * NULL. `size` has room for GDL_MAX_SIZES. */
void gdl_sizes_complete(const gdl_model *model, const size_t *known, size_t *size);

/* ── random.c: counter-based random numbers ───────────────────────────────────────────────── */

/* Philox4x32-10 (Salmon et al. 2011): four random words, a pure function of key and counter. */
void gdl_philox(uint64_t key, const uint32_t counter[4], uint32_t words[4]);

/* Puts order[0..count-1] into a random order that depends on seed, stream and epoch alone (and on the order before). */
void gdl_shuffle(size_t *order, size_t count, uint64_t seed, uint32_t stream, uint64_t epoch);

/* ── array.c, npy.c: arrays in files ──────────────────────────────────────────────────────── */

enum { GDL_MAX_RANK = 8 };

typedef enum gdl_type { GDL_U8, GDL_I8, GDL_I16, GDL_I32, GDL_I64, GDL_F32, GDL_F64 } gdl_type;

typedef struct gdl_array {
    char *path;                 /* where it came from, for messages */
    gdl_type type;
    size_t rank;                /* 1..GDL_MAX_RANK */
    size_t shape[GDL_MAX_RANK]; /* shape[0] examples; none is 0 */
    size_t size;                /* the product of the shape */
    void *values;               /* row-major, in the host's byte order */
} gdl_array;

/* Reads IDX or .npy (which one is seen from the content), as it is or gzip-compressed. Values keep the type of the file. */
int gdl_array_read(gdl_array *array, const char *path, gdl_error *error);
void gdl_array_free(gdl_array *array);

/* folder.c: reads the pictures of a folder (files named *.png, in the order of their names) as images for this port: bytes of shape
 * [pictures, height, width, channels], grey or red, green and blue as the port asks. Each must have the port's height and width. */
int gdl_folder_read(gdl_array *array, const char *path, const gdl_port *port, gdl_error *error);

/* Writes float32 in C order as .npy (version 1.0). The file appears whole or not at all. */
int gdl_npy_write(const char *path, size_t rank, const size_t *shape, const float *values, gdl_error *error);

/* ── data.c: arrays as examples of a model's inputs ───────────────────────────────────────── */

/* The inputs of a stage or function with their values; borrows the arrays. */
typedef struct gdl_data {
    size_t inputs;
    gdl_port *port;             /* with the shapes that the arrays have */
    const gdl_array **array;    /* of each port */
    size_t count;               /* examples */
    size_t size[GDL_MAX_SIZES]; /* the run-time sizes of the model that follow from the arrays' shapes; 0: not known from them */
} gdl_data;

/* Binds array[i] to port[i]. Fails unless the values of one example are as many in each array as in its port (where the port has
 * axes of run-time sizes: the shapes fit, and all arrays agree on each size), all arrays have as many examples, labels are whole
 * numbers in their class range, and no value is infinite or not a number. */
int gdl_data_bind(gdl_data *data, const gdl_port *port, size_t inputs, const gdl_array *const *array, gdl_error *error);
void gdl_data_free(gdl_data *data);

/* Copies examples index[0..n-1] of every input i to to[i], packed: bytes become floats in 0..1, other numbers floats of the
 * same value; labels become int32_t. */
void gdl_gather(const gdl_data *data, const size_t *index, size_t n, void *const *to);

/* Room for n examples of each port, the largest where sizes are of the run, to gather into; NULL: no memory. Free with
 * gdl_buffers_free. */
void **gdl_buffers_create(const gdl_port *port, size_t ports, size_t n);
void gdl_buffers_free(void **buffers, size_t ports);

/* ── sample.c: some of the examples of a data set ─────────────────────────────────────────── */

/* In some order. */
typedef struct gdl_sample {
    const gdl_data *data;
    size_t count;
    size_t *index;
} gdl_sample;

/* The examples first .. first + count - 1. */
int gdl_sample_range(gdl_sample *sample, const gdl_data *data, size_t first, size_t count, gdl_error *error);
/* Keeps the first `limit` examples; balanced: the first of each class of the first label input, equally many of each. */
int gdl_sample_limit(gdl_sample *sample, size_t limit, int balanced, gdl_error *error);
void gdl_sample_free(gdl_sample *sample);

/* ── train.c: the training loop ───────────────────────────────────────────────────────────── */

typedef struct gdl_run gdl_run;

typedef enum gdl_event {
    GDL_ITERATION,      /* after each iteration */
    GDL_EPOCH           /* after each epoch, when `trained` and `validated` are new and the clock counts the next one */
} gdl_event;

/* Told of each event. Returns 0 to go on, GDL_STOPPED to stop in good order, GDL_FAILED with *error set. */
typedef int gdl_watch(void *context, const gdl_run *run, gdl_event event, gdl_error *error);

/* The training of one stage. Fill in the first part, the rest zero; gdl_run_begin (or gdl_run_resume, after it) sets the others. */
struct gdl_run {
    const gdl_model *model;
    void *instance;
    size_t stage;               /* index in the model */
    const gdl_sample *train;
    const gdl_sample *valid;    /* NULL: no validation */
    size_t batch;               /* 1..capacity of the instance */
    size_t epochs;
    size_t patience;            /* stop after so many epochs without a better loss; 0: never */
    const char *plan;           /* a note saved with checkpoints (the trainer: the stages it was asked for), or NULL */
    gdl_watch *watch;           /* or NULL */
    void *context;              /* for `watch` */

    /* The position: together with the instance's tensors and clock, all that the future of the run depends on. */
    size_t iterations;          /* in an epoch */
    size_t iteration;           /* done of the running epoch, whose number the clock has */
    size_t examples;            /* seen by them */
    double *sum;                /* [reports] over those examples */
    double best;                /* lowest loss of an epoch so far, of validation where there is one; infinite at first */
    size_t stale;               /* epochs since then */

    double *trained;            /* [reports] means over the last whole epoch */
    double *validated;          /* [reports] the same over `valid` after it, in inference form */
};

/* Checks the first part, and puts the run at the start of its stage: clock, optimizer state. */
int gdl_run_begin(gdl_run *run, gdl_error *error);
/* Trains until the epochs are over: 0; GDL_STOPPED when `watch` says so; GDL_FAILED also when a loss is not finite. */
int gdl_run_train(gdl_run *run, gdl_error *error);
void gdl_run_end(gdl_run *run);
/* The loss that `best` and `stale` are about: the last epoch's first loss, of validation where there is one. */
double gdl_run_loss(const gdl_run *run);

/* ── checkpoint.c: models and training runs in safetensors files ──────────────────────────── */

/* Saves parameters and states; with a run, also the optimizer state of its stage and its position. The file is replaced whole,
 * synced to disk, or stays as it was. */
int gdl_save(const gdl_model *model, void *instance, const gdl_run *run, const char *path, gdl_error *error);
/* Loads all parameters and states; every one must be in the file with its shape, or nothing is changed. */
int gdl_load(const gdl_model *model, void *instance, const char *path, gdl_error *error);

typedef enum gdl_match { GDL_LEFT, GDL_TAKEN, GDL_MISFIT } gdl_match;
/* Loads the parameters and states whose names and shapes are in the file; match[i] says what became of tensor i. */
int gdl_load_matching(const gdl_model *model, void *instance, const char *path, gdl_match *match, gdl_error *error);

/* After gdl_run_begin: goes on where the run that saved this file stood, to the same bits. Fails where stage, batch, seed or
 * the number of examples differ. */
int gdl_run_resume(gdl_run *run, const char *path, gdl_error *error);

/* ── picture.c: grids of images ───────────────────────────────────────────────────────────── */

/* Images of equal size, in rows: with several sets, row by row of each set in turn, one below the other. */
typedef struct gdl_grid {
    size_t count;               /* images in each set */
    size_t height, width;
    size_t channels;            /* 1: grey, 3: red, green, blue */
    size_t sets;
    const float *const *set;    /* set[s]: [count, height, width, channels] */
    size_t columns;             /* 0: about square */
    size_t zoom;                /* pixels for each value, in both directions; 0 is 1 */
    float low, high;            /* the values of black and white; others are clamped */
} gdl_grid;

int gdl_grid_write(const gdl_grid *grid, const char *path, gdl_error *error); /* PNG */
/* The images of a picture that was written from such a grid (whose `set` is not used), in steps of 1/255 of its range, set after set.
 * Fails where the picture has another size. */
int gdl_grid_read(const gdl_grid *grid, const char *path, float *values, gdl_error *error);
/* Height, width and channels of an example of this port where it is an image: [h, w], [h, w, 1], [h, w, 3], or flat and square.
 * Returns 1, or 0 where it is none. */
int gdl_image_size(const gdl_port *port, size_t *height, size_t *width, size_t *channels);

/* ── blas.c: the processor's kernels ──────────────────────────────────────────────────────── */

/* To be called first in main: sets OpenBLAS to one thread, unless OPENBLAS_NUM_THREADS is set; and where it does not know the
 * processor, starts the program again (execv of itself with argv) with OPENBLAS_CORETYPE set to kernels that fit, unless
 * that is set. With another BLAS, or none, it does nothing. */
void gdl_blas_kernels(char **argv);

/* ── subnormal.c ──────────────────────────────────────────────────────────────────────────── */

/* In the calling thread, numbers below the smallest normal float (1.2e-38) are taken as zero from now on, without which training can
 * become several times slower. gdl_main does it; a program that embeds a model calls it in each thread that trains. On
 * processors other than x86-64 and AArch64 it does nothing. */
void gdl_flush_subnormals(void);

/* ── trainer.c: the command line of a trainer ─────────────────────────────────────────────── */

/* The main of a program that trains and runs the model. Returns the exit status: 0, 1 after an error, 130 when interrupted. */
int gdl_main(int argc, char **argv, const gdl_model *model);

#ifdef __cplusplus
}
#endif
#endif

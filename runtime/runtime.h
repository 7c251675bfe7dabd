/* runtime.h: what the files of the runtime share among themselves and offer to nobody else. */
#ifndef GDL_RUNTIME_H
#define GDL_RUNTIME_H

#include "gdl.h"

#include <stdbool.h>

/* ── error.c ──────────────────────────────────────────────────────────────────────────────── */

/* Writes the message to *error, unless that is NULL, and returns GDL_FAILED. */
int gdl_fail(gdl_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "[28, 28]", cut off where `room` is short. Returns text. */
const char *gdl_shape_text(char *text, size_t room, size_t rank, const size_t *shape);

/* Lists names for a message, "x, label". Names are read at `first` and every `stride` bytes after it. Returns text. */
const char *gdl_names_text(char *text, size_t room, const void *first, size_t stride, size_t count);

/* ── size.c: sizes that are known only at run time ────────────────────────────────────────── */

/* The shape of the port's examples in the model's words: "[time, 28]". Returns text. */
const char *gdl_port_text(char *text, size_t room, const gdl_port *port);
/* The length of an axis, with the sizes by index. */
size_t gdl_extent_at(const gdl_extent *extent, const size_t *size);
/* The ports as they are with these sizes: shapes without extents. NULL: no memory; free() it. */
gdl_port *gdl_ports_at(const gdl_port *port, size_t count, const size_t *size);
/* data->size from the shapes of arrays, one for each port. Fails where one does not fit, or two disagree. */
int gdl_sizes_find(gdl_data *data, const gdl_port *port, const gdl_array *const *array, gdl_error *error);

/* ── bytes.c ──────────────────────────────────────────────────────────────────────────────── */

/* Turns `count` values of `width` bytes between little or big endian and the host's order. */
void gdl_little_endian(void *values, size_t count, size_t width);
void gdl_big_endian(void *values, size_t count, size_t width);

/* Writes floats as little endian. Errors stay in the stream, for gdl_output_commit. */
void gdl_write_floats(FILE *file, const float *values, size_t count);

/* *product *= by. false when it does not fit. */
bool gdl_multiply(size_t *product, size_t by);

/* ── output.c: files that appear whole or not at all ──────────────────────────────────────── */

typedef struct gdl_output {
    FILE *file;         /* to write to */
    char *path;
    char *temporary;    /* renamed to path by gdl_output_commit; NULL where path is a device or pipe, written directly */
} gdl_output;

int gdl_output_open(gdl_output *output, const char *path, gdl_error *error);
/* Syncs and renames. Fails where anything that was written did not reach the disk; path is then as it was before. */
int gdl_output_commit(gdl_output *output, gdl_error *error);
void gdl_output_abandon(gdl_output *output);
/* Fails, as opening does, where no such file can be made. Leaves what is there as it is. */
int gdl_output_check(const char *path, gdl_error *error);

/* ── array.c ──────────────────────────────────────────────────────────────────────────────── */

typedef struct gdl_reader gdl_reader;

/* Reads exactly `size` bytes of a file's header; fails where it ends before. */
int gdl_reader_bytes(gdl_reader *reader, void *to, size_t size, gdl_error *error);
const char *gdl_reader_path(const gdl_reader *reader);
size_t gdl_type_width(gdl_type type);

/* The rest of an .npy header, after its first four bytes: type, rank and shape of the array; *big: its values are big endian. */
int gdl_npy_header(gdl_reader *reader, gdl_array *array, bool *big, gdl_error *error);

/* Value i of an array of whole numbers. */
int64_t gdl_array_integer(const gdl_array *array, size_t i);
bool gdl_type_is_integer(gdl_type type);

/* ── folder.c ─────────────────────────────────────────────────────────────────────────────── */

bool gdl_is_folder(const char *path);

/* ── sample.c ─────────────────────────────────────────────────────────────────────────────── */

/* Whether an input is one label for each example, so that a limit can be balanced. */
bool gdl_has_labels(const gdl_data *data);

/* ── summary.c ────────────────────────────────────────────────────────────────────────────── */

void gdl_print_stages(const gdl_model *model, FILE *to);    /* a line each, with their inputs and reports */
void gdl_print_functions(const gdl_model *model, FILE *to); /* a line each, with their inputs and outputs */

/* ── safetensors.c ────────────────────────────────────────────────────────────────────────── */

struct cJSON;

typedef struct gdl_safetensors {
    char *path;
    FILE *file;
    uint64_t start;         /* of the data, in bytes */
    uint64_t size;          /* of the data */
    struct cJSON *header;
} gdl_safetensors;

typedef struct gdl_record {
    bool wide;              /* F64 rather than F32 */
    size_t rank, shape[GDL_MAX_RANK], size;
    uint64_t begin;         /* in bytes from the start of the data */
} gdl_record;

/* Reads and checks the header: every tensor lies within the file and has the size that its shape and type say. */
int gdl_safetensors_open(gdl_safetensors *file, const char *path, gdl_error *error);
void gdl_safetensors_close(gdl_safetensors *file);
bool gdl_safetensors_find(const gdl_safetensors *file, const char *name, gdl_record *record);
int gdl_safetensors_read(const gdl_safetensors *file, const gdl_record *record, float *values, gdl_error *error);
/* The value of a key of the metadata, or NULL. */
const char *gdl_safetensors_note(const gdl_safetensors *file, const char *key);

typedef struct gdl_named { const char *name; size_t rank; const size_t *shape; size_t size; const float *values; } gdl_named;

/* Replaces the file by one with these tensors, as F32, and this metadata (an object of strings). */
int gdl_safetensors_write(const char *path, const gdl_named *tensors, size_t count, const struct cJSON *metadata, gdl_error *error);

/* ── checkpoint.c ─────────────────────────────────────────────────────────────────────────── */

/* What the trainer takes from a checkpoint before it has a run to resume. */
typedef struct gdl_saved_run {
    uint64_t seed;
    size_t stage, batch, epochs, patience;
    char *plan;             /* free it */
} gdl_saved_run;

int gdl_saved_run_read(gdl_saved_run *saved, const gdl_model *model, const char *path, gdl_error *error);

#endif

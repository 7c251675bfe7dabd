/* history.c: losses and metrics of a training run as CSV, a row for each epoch.
 *
 * The columns are those of all stages that are trained: a stage leaves empty what it does not have. Nothing in a row depends on
 * when or how fast it was computed, so that a run that was resumed leaves the same file as one that was not. */
#include "trainer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Whether an earlier stage, or an earlier report of stage s, has this name: each is one column. */
static bool named_before(const History *history, size_t s, size_t r, const char *name) {
    for (size_t i = 0; i <= s; i++) {
        const gdl_stage *stage = &history->model->stage[history->plan->items[i].stage];
        for (size_t j = 0; j < (i == s ? r : stage->reports); j++)
            if (strcmp(stage->report[j].name, name) == 0)
                return true;
    }
    return false;
}

/* The value of the report of this name; NULL where the stage has none. */
static const double *value_of(const gdl_stage *stage, const double *values, const char *name) {
    for (size_t r = 0; r < stage->reports; r++)
        if (strcmp(stage->report[r].name, name) == 0)
            return &values[r];
    return NULL;
}

/* One cell for each report name of all stages: the name where there is no run, else the value. */
static void write_cells(const History *history, FILE *to, const char *prefix, const gdl_run *run,
                        const double *values) {
    for (size_t s = 0; s < history->plan->count; s++) {
        const gdl_stage *stage = &history->model->stage[history->plan->items[s].stage];
        for (size_t r = 0; r < stage->reports; r++) {
            const char *name = stage->report[r].name;
            if (named_before(history, s, r, name))
                continue;
            const double *value = run ? value_of(&history->model->stage[run->stage], values, name) : NULL;
            if (!run)
                fprintf(to, ",%s%s", prefix, name);
            else if (value)
                fprintf(to, ",%.9g", *value);
            else
                fprintf(to, ",");
        }
    }
}

static void write_header(const History *history, FILE *to) {
    fprintf(to, "stage,epoch");
    write_cells(history, to, "", NULL, NULL);
    if (history->validated)
        write_cells(history, to, "valid_", NULL, NULL);
    fprintf(to, "\n");
}

/* ── Resuming ── */

static size_t place_of(const History *history, size_t stage) {
    size_t i = 0;
    while (i < history->plan->count && history->plan->items[i].stage != stage)
        i++;
    return i;
}

/* Whether a row is of an epoch that the resumed run has behind it. */
static bool is_done(const History *history, const gdl_run *resumed, const char *row) {
    size_t length = strcspn(row, ",");
    unsigned long long epoch = row[length] ? strtoull(row + length + 1, NULL, 10) : 0;
    for (size_t i = 0; i < history->plan->count; i++) {
        const char *name = history->model->stage[history->plan->items[i].stage].name;
        if (strlen(name) == length && strncmp(name, row, length) == 0) {
            size_t now = place_of(history, resumed->stage);
            return i < now || (i == now && epoch <= resumed->model->clock(resumed->instance)->epoch);
        }
    }
    return false;
}

/* Copies the rows that stay, up to the first that goes or is not whole. */
static int copy_done(const History *history, const gdl_run *resumed, FILE *from, FILE *to, const char *header,
                     gdl_error *error) {
    char *row = NULL;
    size_t room = 0;
    int result = 0;
    if (getline(&row, &room, from) >= 0 && strcmp(row, header) != 0)
        result = gdl_fail(error, "%s has other columns than this run: expected %.300s", history->path, header);
    while (!result && getline(&row, &room, from) >= 0 && strchr(row, '\n') && is_done(history, resumed, row))
        fputs(row, to);
    free(row);
    return result;
}

static int keep_done(const History *history, const gdl_run *resumed, FILE *from, gdl_error *error) {
    gdl_output output;
    char *header = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&header, &size);
    if (!text)
        return gdl_fail(error, "%s: no memory", history->path);
    write_header(history, text);
    fclose(text);
    int result = gdl_output_open(&output, history->path, error);
    if (!result) {
        fputs(header, output.file);
        result = copy_done(history, resumed, from, output.file, header, error);
        if (result)
            gdl_output_abandon(&output);
        else
            result = gdl_output_commit(&output, error);
    }
    free(header);
    return result;
}

static int check_written(const History *history, bool failed, gdl_error *error) {
    return failed ? gdl_fail(error, "%s could not be written: %s", history->path, strerror(errno)) : 0;
}

int history_open(History *history, const gdl_run *resumed, gdl_error *error) {
    FILE *old = resumed ? fopen(history->path, "r") : NULL;
    int result = old ? keep_done(history, resumed, old, error) : 0;
    if (old)
        fclose(old);
    if (result)
        return result;
    history->file = fopen(history->path, old ? "a" : "w");
    if (!history->file)
        return gdl_fail(error, "%s cannot be written: %s", history->path, strerror(errno));
    if (!old)
        write_header(history, history->file);
    return check_written(history, fflush(history->file) != 0, error);
}

/* The row is out of this process before the checkpoint of its epoch is written, so that none is ever missing. */
int history_add(History *history, const gdl_run *run, gdl_error *error) {
    if (!history->file)
        return 0;
    fprintf(history->file, "%s,%" PRIu64, run->model->stage[run->stage].name, run->model->clock(run->instance)->epoch);
    write_cells(history, history->file, "", run, run->trained);
    if (history->validated)
        write_cells(history, history->file, "valid_", run, run->validated);
    fprintf(history->file, "\n");
    return check_written(history, fflush(history->file) != 0 || ferror(history->file), error);
}

int history_close(History *history, gdl_error *error) {
    bool failed = history->file && fclose(history->file) != 0;
    history->file = NULL;
    return check_written(history, failed, error);
}

/* progress.c: a training run as a person watches it: a bar that moves on a terminal, a line for each epoch elsewhere. */
#define _DEFAULT_SOURCE /* struct winsize */
#include "trainer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 20, LINE = 512 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const gdl_clock *clock_of(const gdl_run *run) { return run->model->clock(run->instance); }

static size_t columns(FILE *to) {
    struct winsize size;
    return ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_begin(Progress *progress, FILE *to, const gdl_run *run) {
    double now = seconds();
    bool terminal = isatty(fileno(to));
    uint64_t first = clock_of(run)->step;
    *progress = (Progress){.to = to, .terminal = terminal, .running = true, .begun = now, .epoch_begun = now, .first = first};
}

/* Appends to a line of LINE bytes. */
__attribute__((format(printf, 2, 3))) static void add(char *line, const char *format, ...) {
    size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, LINE - length, format, arguments);
    va_end(arguments);
}

static void add_duration(char *line, double left) {
    unsigned long s = (unsigned long)(left + 0.5);
    if (s >= 3600)
        add(line, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        add(line, "%lu:%02lu", s / 60, s % 60);
}

static void add_title(char *line, const gdl_run *run, uint64_t epoch) {
    if (run->model->stages > 1)
        add(line, "%s ", run->model->stage[run->stage].name);
    add(line, "epoch %*" PRIu64 "/%zu", run->epochs > 9 ? 2 : 1, epoch, run->epochs);
}

static void add_reports(char *line, const gdl_run *run, const char *prefix, const double *sum, double count) {
    const gdl_stage *stage = &run->model->stage[run->stage];
    for (size_t r = 0; r < stage->reports; r++)
        add(line, "  %s%s %#.5g", prefix, stage->report[r].name, sum[r] / count);
}

static void add_bar(char *line, size_t done, size_t all) {
    size_t filled = done * BAR / all;
    add(line, " [%.*s%s%.*s] %*zu/%zu", (int)filled, "====================", filled < BAR ? ">" : "=",
        (int)(BAR - filled), "                    ", 3, done, all);
}

/* Time left of the stage, at the pace so far: that of this process, whatever came before it. */
static double time_left(const Progress *progress, const gdl_run *run) {
    uint64_t step = clock_of(run)->step, all = (uint64_t)run->epochs * run->iterations;
    uint64_t done = step > progress->first ? step - progress->first : 1;
    return (seconds() - progress->begun) / (double)done * (double)(all > step ? all - step : 0);
}

static void show_bar(Progress *progress, const gdl_run *run) {
    char line[LINE] = "";
    double now = seconds();
    if (now - progress->shown < 0.1 && run->iteration < run->iterations)
        return;
    progress->shown = now;
    add_title(line, run, clock_of(run)->epoch + 1);
    add_bar(line, run->iteration, run->iterations);
    add(line, "  ");
    add_duration(line, time_left(progress, run));
    add(line, " left");
    add_reports(line, run, "", run->sum, (double)run->examples);
    fprintf(progress->to, "\r%.*s\033[K", (int)columns(progress->to) - 1, line);
    fflush(progress->to);
}

/* The clock counts the next epoch already. */
static void show_epoch(Progress *progress, const gdl_run *run) {
    char line[LINE] = "";
    add_title(line, run, clock_of(run)->epoch);
    add_reports(line, run, "", run->trained, 1);
    if (run->valid)
        add_reports(line, run, "valid ", run->validated, 1);
    double now = seconds();
    add(line, "  %.1f s", now - progress->epoch_begun);
    progress->epoch_begun = now;
    fprintf(progress->to, "%s%s%s\n", progress->terminal ? "\r" : "", line, progress->terminal ? "\033[K" : "");
    fflush(progress->to);
}

void progress_show(Progress *progress, const gdl_run *run, gdl_event event) {
    if (event == GDL_EPOCH)
        show_epoch(progress, run);
    else if (progress->terminal)
        show_bar(progress, run);
}

/* What is printed next starts on a line of its own. */
void progress_end(Progress *progress) {
    if (progress->running && progress->terminal)
        fprintf(progress->to, "\r\033[K");
    progress->running = false;
}

/* test_train.c: the training loop: what an epoch is, that resumed runs give the same bits, when it stops. */
#include "fake_model.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(train, .init = scratch_enter, .fini = scratch_leave);

enum { EXAMPLES = 45, VALID = 6 }; /* 39 to train on: four batches of 8, one of 7 */

/* A run of one stage, with its data. */
typedef struct Bench {
    gdl_array x, label;
    gdl_data data;
    gdl_sample train, valid;
    gdl_run run;
} Bench;

static void open_bench(Bench *bench, size_t stage, uint64_t seed) {
    const gdl_stage *described = &fake_describe()->stage[stage];
    gdl_error error = {""};
    write_pictures(EXAMPLES);
    cr_assert_eq(gdl_array_read(&bench->x, "images.idx", &error), 0, "%s", error.text);
    cr_assert_eq(gdl_array_read(&bench->label, "labels.idx", &error), 0, "%s", error.text);
    const gdl_array *arrays[] = {&bench->x, &bench->label};
    cr_assert_eq(gdl_data_bind(&bench->data, described->input, described->inputs, arrays, &error), 0, "%s", error.text);
    cr_assert_eq(gdl_sample_range(&bench->train, &bench->data, 0, EXAMPLES - VALID, &error), 0);
    cr_assert_eq(gdl_sample_range(&bench->valid, &bench->data, EXAMPLES - VALID, VALID, &error), 0);
    bench->run = (gdl_run){.model = fake_describe(), .instance = gdl_create(fake_describe(), 0, seed), .stage = stage, .train = &bench->train,
                           .valid = &bench->valid, .batch = described->batch, .epochs = described->epochs};
    cr_assert_eq(gdl_run_begin(&bench->run, &error), 0, "%s", error.text);
}

static void close_bench(Bench *bench) {
    gdl_run_end(&bench->run);
    gdl_destroy(fake_describe(), bench->run.instance);
    gdl_sample_free(&bench->train);
    gdl_sample_free(&bench->valid);
    gdl_data_free(&bench->data);
    gdl_array_free(&bench->x);
    gdl_array_free(&bench->label);
}

static void train_all(Bench *bench) {
    gdl_error error = {""};
    cr_assert_eq(gdl_run_train(&bench->run, &error), 0, "%s", error.text);
}

static gdl_clock *clock_of(Bench *bench) { return bench->run.model->clock(bench->run.instance); }

static void save(Bench *bench, const char *path) {
    gdl_error error = {""};
    cr_assert_eq(gdl_save(bench->run.model, bench->run.instance, &bench->run, path, &error), 0, "%s", error.text);
}

Test(train, learns) {
    Bench bench;
    open_bench(&bench, FAKE_AUTOENCODER, 42);
    bench.run.epochs = 1;
    train_all(&bench);
    double first = bench.run.validated[0];
    bench.run.epochs = 60;
    train_all(&bench);
    cr_expect_lt(bench.run.validated[0], first / 2, "the loss went from %g to %g", first, bench.run.validated[0]);
    cr_expect_eq(clock_of(&bench)->epoch, 60);
    cr_expect_eq(clock_of(&bench)->step, 60 * 5);
    cr_expect_eq(clock_of(&bench)->draw, 0, "validation should leave no trace in the clock");
    close_bench(&bench);
}

/* ── What an epoch is ── */

typedef struct Seen { size_t iterations, examples[16], epochs; } Seen;

static int note(void *context, const gdl_run *run, gdl_event event, gdl_error *error) {
    Seen *seen = context;
    (void)error;
    if (event == GDL_EPOCH) seen->epochs++;
    else seen->examples[seen->iterations++] = run->examples;
    return 0;
}

Test(train, last_batch_is_smaller) {
    Bench bench;
    Seen seen = {0};
    open_bench(&bench, FAKE_AUTOENCODER, 42);
    bench.run.epochs = 1;
    bench.run.watch = note;
    bench.run.context = &seen;
    train_all(&bench);
    cr_expect_eq(seen.iterations, 5);
    cr_expect_arr_eq(seen.examples, ((size_t[]){8, 16, 24, 32, 39}), 5 * sizeof(size_t));
    cr_expect_eq(seen.epochs, 1);
    close_bench(&bench);
}

/* 39 examples, 8 an iteration; the 7 that are left make two batches of 3, and one is left out. */
Test(train, iterations_of_several_batches) {
    Bench bench;
    Seen seen = {0};
    open_bench(&bench, FAKE_CLASSIFIER, 42);
    bench.run.epochs = 1;
    bench.run.watch = note;
    bench.run.context = &seen;
    train_all(&bench);
    cr_expect_eq(seen.iterations, 5);
    cr_expect_arr_eq(seen.examples, ((size_t[]){4, 8, 12, 16, 19}), 5 * sizeof(size_t));
    close_bench(&bench);
}

/* Means are weighted by the examples of each batch: with the learning rate at 0, every split gives the same mean. */
Test(train, means_are_over_examples) {
    double loss[3];
    for (size_t batch = 1; batch <= 3; batch++) {
        Bench bench;
        open_bench(&bench, FAKE_CLASSIFIER, 42);
        clock_of(&bench)->lr_scale = 0;
        bench.run.batch = batch;
        bench.run.epochs = 1;
        train_all(&bench);
        loss[batch - 1] = bench.run.validated[0];
        close_bench(&bench);
    }
    cr_expect_float_eq(loss[0], loss[1], 1e-6);
    cr_expect_float_eq(loss[0], loss[2], 1e-6);
}

/* ── Resuming ── */

typedef struct Stop { size_t after; const char *path; } Stop;

static int stop_and_save(void *context, const gdl_run *run, gdl_event event, gdl_error *error) {
    const Stop *stop = context;
    if (event != GDL_ITERATION || run->model->clock(run->instance)->step != stop->after) return 0;
    return gdl_save(run->model, run->instance, run, stop->path, error) ? GDL_FAILED : GDL_STOPPED;
}

/* Stops after every possible iteration; goes on in a new process's place: another instance, from another seed's values. */
static void expect_same_bits(size_t stage, size_t iterations) {
    Bench whole;
    open_bench(&whole, stage, 42);
    train_all(&whole);
    save(&whole, "whole.safetensors");
    for (size_t after = 1; after <= iterations; after++) {
        Bench first, second;
        Stop stop = {after, "part.safetensors"};
        gdl_error error = {""};
        open_bench(&first, stage, 42);
        first.run.watch = stop_and_save;
        first.run.context = &stop;
        cr_assert_eq(gdl_run_train(&first.run, &error), GDL_STOPPED, "%s", error.text);
        close_bench(&first);
        open_bench(&second, stage, 42);
        memset(gdl_values(&fake_describe()->tensor[0], second.run.instance), 0, 64);
        cr_assert_eq(gdl_run_resume(&second.run, "part.safetensors", &error), 0, "%s", error.text);
        train_all(&second);
        save(&second, "resumed.safetensors");
        cr_expect(same_files("whole.safetensors", "resumed.safetensors"), "stage %zu, resumed after iteration %zu", stage, after);
        close_bench(&second);
    }
    close_bench(&whole);
}

Test(train, resumed_after_every_iteration) {
    expect_same_bits(FAKE_AUTOENCODER, 20);
    expect_same_bits(FAKE_CLASSIFIER, 15);
}

static void expect_not_resumed(Bench *bench, const char *phrase) {
    gdl_error error = {""};
    cr_assert_eq(gdl_run_resume(&bench->run, "a.safetensors", &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, phrase), "expected '%s' in: %s", phrase, error.text);
}

Test(train, resumed_with_other_settings) {
    Bench bench, other;
    open_bench(&bench, FAKE_AUTOENCODER, 42);
    bench.run.epochs = 1;
    train_all(&bench);
    save(&bench, "a.safetensors");
    open_bench(&other, FAKE_AUTOENCODER, 42);
    other.run.batch = 4;
    expect_not_resumed(&other, "its run had batch 8, but now it is 4");
    other.run.batch = 8;
    other.train.count--;
    expect_not_resumed(&other, "its run had train_examples 39, but now it is 38");
    other.train.count++;
    other.run.valid = NULL;
    expect_not_resumed(&other, "valid_examples");
    close_bench(&other);
    open_bench(&other, FAKE_AUTOENCODER, 43);
    expect_not_resumed(&other, "seed 42, but now it is 43");
    close_bench(&other);
    open_bench(&other, FAKE_CLASSIFIER, 42);
    expect_not_resumed(&other, "saved in stage autoencoder, but this is classifier");
    close_bench(&other);
    cr_assert_eq(gdl_save(fake_describe(), bench.run.instance, NULL, "a.safetensors", NULL), 0);
    expect_not_resumed(&bench, "use --init");
    close_bench(&bench);
}

/* ── Stopping ── */

Test(train, stops_at_a_loss_that_is_not_finite) {
    Bench bench;
    gdl_error error = {""};
    open_bench(&bench, FAKE_AUTOENCODER, 42);
    clock_of(&bench)->lr_scale = 1e30f;
    cr_assert_eq(gdl_run_train(&bench.run, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "stage autoencoder: loss is "), "%s", error.text);
    cr_expect_not_null(strstr(error.text, "in epoch 1, iteration "), "%s", error.text);
    close_bench(&bench);
}

Test(train, patience) {
    Bench bench;
    open_bench(&bench, FAKE_CLASSIFIER, 42);
    clock_of(&bench)->lr_scale = 0; /* nothing gets better */
    bench.run.epochs = 100;
    bench.run.patience = 3;
    train_all(&bench);
    cr_expect_eq(clock_of(&bench)->epoch, 4, "one best epoch and three without a better one, not %llu",
                 (unsigned long long)clock_of(&bench)->epoch);
    cr_expect_eq(bench.run.stale, 3);
    close_bench(&bench);
}

Test(train, refuses_what_it_cannot_train) {
    Bench bench;
    gdl_error error = {""};
    open_bench(&bench, FAKE_CLASSIFIER, 42);
    gdl_run_end(&bench.run);
    bench.train.count = 1;
    cr_expect_eq(gdl_run_begin(&bench.run, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "2 batches in each iteration, but there are only 1 examples"), "%s", error.text);
    bench.train.count = 30;
    bench.run.batch = 0;
    cr_expect_eq(gdl_run_begin(&bench.run, &error), GDL_FAILED);
    bench.run.batch = 1;
    bench.run.stage = 2;
    cr_expect_eq(gdl_run_begin(&bench.run, &error), GDL_FAILED);
    bench.run.stage = FAKE_AUTOENCODER;
    cr_expect_eq(gdl_run_begin(&bench.run, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "reads 1 inputs, but its data are bound to 2"), "%s", error.text);
    close_bench(&bench);
}

Test(train, refuses_batches_beyond_the_capacity) {
    Bench bench;
    gdl_error error = {""};
    open_bench(&bench, FAKE_AUTOENCODER, 42);
    bench.run.batch = 9; /* the instance has room for 8 */
    cr_expect_eq(gdl_run_train(&bench.run, &error), GDL_FAILED);
    cr_expect_not_null(strstr(error.text, "smaller batches"), "%s", error.text);
    close_bench(&bench);
}

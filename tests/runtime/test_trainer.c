/* test_trainer.c: the trainer as a user runs it: its commands in processes of their own, their messages, their files. */
#define _XOPEN_SOURCE 700
#include "fake_model.h"
#include "process.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PICTURES = 60 };

static void enter(void) {
    scratch_enter();
    write_pictures(PICTURES);
}

TestSuite(trainer, .init = enter, .fini = scratch_leave, .timeout = 120);

/* ── Commands ── */

Test(trainer, usage) {
    expect_error("", 64, "train, save checkpoints, resume");
    expect_error("fly", 64, "train, run, inspect, confusion or summary is expected, but found 'fly'");
    expect_success("--help");
    expect_text("out", "fake run FUNCTION");
    expect_success("--version");
    expect_text("out", "fake.gdl");
    expect_success("train --help");
    expect_text("out", "--validation-split");
    expect_text("out", "classifier(x: [4, 4], label: class[3])");
    expect_success("run --help");
    expect_text("out", "both(image: [4, 4]) gives code: [2], image: [4, 4]");
}

Test(trainer, summary) {
    expect_success("summary");
    expect_text("out", "112 trainable parameters");
    expect_text("out", "encoder.kernel");
    expect_text("out", "[16, 2]");
    expect_error("summary now", 64, "no arguments");
}

Test(trainer, options_that_cannot_be) {
    expect_error("train --epochs ten", 64, "--epochs expects a whole number of at least 0, but found 'ten'");
    expect_error("train --batch 0", 64, "at least 1");
    expect_error("train --batch -3", 64, "at least 1");
    expect_error("train --seed 99999999999999999999999", 64, "--seed");
    expect_error("train --lr-scale 0", 64, "above 0");
    expect_error("train --validation-split nan", 64, "above 0");
    expect_error("train --validation-split 1.5", 64, "--validation-split expects a part of the data below 1 or a whole number of examples, but found '1.5'");
    expect_error("train --valid x=a --validation-split 0.1", 64, "exclude");
    expect_error("train --balanced", 64, "--limit");
    expect_error("train --keep-best", 64, "--save");
    expect_error("train --init a --resume b", 64, "exclude");
    expect_error("train --colour", 64, "unrecognized option");
    expect_error("run", 64, "name of a net or export");
    expect_error("run encode", 64, "--out FILE is expected");
    expect_error("run encode --out a.png --range 1,0", 64, "--range");
}

/* ── train ── */

Test(trainer, trains_and_saves) {
    expect_success("train autoencoder --data images.idx --validation-split 0.2 --save a.safetensors --history a.csv --epochs 2");
    expect_text("err", "autoencoder epoch 1/2  loss ");
    expect_text("err", "  valid loss ");
    expect_text("err", "saved a.safetensors");
    expect_text("a.csv", "stage,epoch,loss,good,valid_loss,valid_good\nautoencoder,1,");
    expect_text("a.csv", "\nautoencoder,2,");
    expect_text("a.safetensors", "\"train_examples\":\"48\",\"valid_examples\":\"12\"");
}

Test(trainer, all_stages_in_order) {
    expect_success("train --data x=images.idx --data label=labels.idx --save a.safetensors --history a.csv --epochs 2 --limit 30");
    expect_text("a.csv", "stage,epoch,loss,good\nautoencoder,1,");
    expect_text("a.csv", "\nclassifier,2,");
    expect_text("a.safetensors", "\"stage\":\"classifier\",\"plan\":\"autoencoder:2:8,classifier:2:4\"");
    expect_text("a.safetensors", "\"train_examples\":\"30\"");
    expect_success("train classifier --data x=images.idx --data label=labels.idx --limit 31 --balanced --save a.safetensors");
    expect_text("a.safetensors", "\"train_examples\":\"31\"");
}

Test(trainer, the_same_command_gives_the_same_bytes) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --seed 7");
    expect_success("train autoencoder --data images.idx --save b.safetensors --seed 7");
    expect_success("train autoencoder --data images.idx --save c.safetensors --seed 8");
    cr_expect(same_files("a.safetensors", "b.safetensors"));
    cr_expect_not(same_files("a.safetensors", "c.safetensors"));
}

Test(trainer, data_that_do_not_fit) {
    expect_error("train autoencoder", 1, "stage autoencoder needs examples of its input x: --data x=FILE");
    expect_error("train classifier --data x=images.idx", 1, "--data label=FILE");
    expect_error("train classifier --data images.idx", 1, "--data x=FILE");
    expect_error("train autoencoder --data y=images.idx", 1, "--data x=FILE");
    expect_error("train autoencoder --data x=images.idx --data y=labels.idx", 1, "--data y=labels.idx is for no input here; the inputs are: x");
    expect_error("train autoencoder --data x=labels.idx", 1, "expects examples of shape [4, 4]");
    expect_error("train autoencoder --data x=images.idx --data x=labels.idx", 1, "--data x=labels.idx: a file for x was given before");
    expect_error("train autoencoder --data absent.idx", 1, "absent.idx cannot be opened: No such file");
    expect_error("train autoencoder --data images.idx --validation-split 60", 1, "leaves nothing of 60 examples");
    expect_error("train pretrain --data images.idx", 1, "no stage pretrain; its stages are: autoencoder, classifier");
    expect_error("train autoencoder --data images.idx --limit 3 --balanced", 1, "needs an input of class labels");
    expect_error("train classifier --data x=images.idx --data label=images.idx", 1, "input label expects examples of shape []");
}

Test(trainer, keeps_the_best) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1 --keep-best --save-every 3 --batch 7");
    expect_text("a.best.safetensors", "\"format\":\"gdl 1\"");
    cr_assert_eq(mkdir("folder.d", 0777), 0);
    expect_success("train autoencoder --data images.idx --save folder.d/a --epochs 1 --keep-best");
    expect_text("folder.d/a.best", "\"format\":\"gdl 1\"");
}

Test(trainer, init_says_what_it_takes) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1");
    expect_success("train classifier --data x=images.idx --data label=labels.idx --init a.safetensors --epochs 0 --save b.safetensors");
    expect_text("err", "4 of 4 tensors taken from a.safetensors");
    expect_error("train autoencoder --data images.idx --init images.idx", 1, "images.idx is not a whole safetensors file");
}

Test(trainer, stops_at_a_loss_that_is_not_finite) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1");
    size_t size, size_after;
    char *before = read_file("a.safetensors", &size);
    expect_error("train autoencoder --data images.idx --save a.safetensors --lr-scale 1e30", 1, "in epoch 1, iteration");
    char *after = read_file("a.safetensors", &size_after);
    cr_expect(size == size_after && memcmp(before, after, size) == 0, "the last checkpoint should stay");
    free(before);
    free(after);
}

static void expect_no_epoch(void) { cr_expect_neq(system("grep -q 'epoch ' err"), 0, "nothing was to be trained"); }

Test(trainer, full_disk) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --history a.csv --epochs 1");
    const struct rlimit limit = {500, 500};
    size_t size;
    char *before = read_file("a.safetensors", &size);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int status = run("train autoencoder --data images.idx --save a.safetensors --epochs 2 --seed 3");
    cr_assert_eq(status, 1);
    expect_text("err", "a.safetensors could not be written: File too large; what was there before is unchanged");
    char *after = read_file("a.safetensors", &size);
    cr_expect_arr_eq(before, after, size);
    free(before);
    free(after);
}

/* Before the first epoch, which may take an hour. */
Test(trainer, what_cannot_be_written_is_said_first) {
    expect_error("train autoencoder --data images.idx --save nowhere/a.safetensors", 1, "nowhere/a.safetensors cannot be written: No such file");
    expect_no_epoch();
    cr_assert_eq(mkdir("a.best", 0777), 0);
    expect_error("train autoencoder --data images.idx --keep-best --save a", 1, "a.best cannot be written: Is a directory");
    expect_no_epoch();
    cr_expect_not(exists("a"));
    expect_error("train autoencoder --data images.idx --snapshot-every 9 --snapshot-to nowhere/s", 1, "nowhere/s-0009.png cannot be written");
    expect_no_epoch();
    expect_success("train autoencoder --data images.idx --save /dev/null --epochs 1");
    expect_success("train autoencoder --data images.idx --epochs 1");
    expect_text("err", "note: without --save FILE nothing is kept");
}

Test(trainer, balanced_where_there_are_labels) {
    expect_success("train --data x=images.idx --data label=labels.idx --epochs 1 --limit 31 --balanced --save a.safetensors");
    expect_text("a.safetensors", "\"stage\":\"classifier\"");
    expect_text("a.safetensors", "\"train_examples\":\"31\"");
    expect_error("train classifier --data x=images.idx --data label=labels.idx --limit 300 --balanced", 1, "more examples of class");
    expect_error("train classifier classifier --data x=images.idx --data label=labels.idx", 1, "classifier is named twice");
}

Test(trainer, temporary_files_of_the_dead_are_removed) {
    char mine[64], text[] = "half a checkpoint";
    pid_t child = start("summary");
    finish(child); /* no process has this number now */
    snprintf(mine, sizeof mine, "a.safetensors.tmp%ld", (long)child);
    write_file(mine, text, sizeof text);
    write_file("a.safetensors.tmp1", text, sizeof text); /* the process 1 is always there */
    write_file("a.safetensors.tmp0", text, sizeof text);
    write_file("a.safetensors.tmpl", text, sizeof text);
    write_file("b.safetensors.tmp", text, sizeof text);
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1");
    cr_expect_not(exists(mine));
    cr_expect(exists("a.safetensors.tmp1"));
    cr_expect(exists("a.safetensors.tmp0"));
    cr_expect(exists("a.safetensors.tmpl"));
    cr_expect(exists("b.safetensors.tmp"));
}

/* ── resume ── */

static const char long_run[] = "train autoencoder --data images.idx --validation-split 0.2 --epochs 20 --save-every 500 --batch 3 --history %s.csv "
                               "--save %s.safetensors";

static void long_command(char *to, size_t room, const char *name, const char *more) {
    int length = snprintf(to, room, long_run, name, name);
    snprintf(to + length, room - (size_t)length, "%s", more);
}

static void sleep_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

/* Whether the process still ran when it was killed. */
static bool kill_after(pid_t child, long ms) {
    sleep_ms(ms);
    kill(child, SIGKILL);
    return finish(child) == KILLED;
}

/* Killed again and again at moments of which nothing is known, resumed each time: files as of a run that nobody disturbed. */
Test(trainer, killed_and_resumed) {
    char command[512];
    int kills = 0;
    write_pictures(20000);
    long_command(command, sizeof command, "whole", "");
    expect_success(command);
    long_command(command, sizeof command, "killed", "");
    pid_t child = start(command);
    while (!exists("killed.safetensors")) sleep_ms(1);
    long_command(command, sizeof command, "killed", " --resume killed.safetensors");
    for (long ms = 3; kills < 12 && kill_after(child, ms); ms = ms % 40 + 7) {
        child = start(command);
        kills++;
    }
    cr_assert_geq(kills, 3, "the run was over before it could be killed often enough");
    if (kills == 12) cr_assert_eq(finish(child), 0);
    cr_expect(same_files("whole.safetensors", "killed.safetensors"));
    cr_expect(same_files("whole.csv", "killed.csv"));
}

/* The first signal saves and ends. The command line of the resumed run needs no more than the data. */
Test(trainer, interrupted_and_resumed) {
    char command[512];
    expect_success("train --data x=images.idx --data label=labels.idx --epochs 150 --save whole.safetensors");
    pid_t child = start("train --data x=images.idx --data label=labels.idx --epochs 150 --save a.safetensors --save-every 1");
    while (!exists("a.safetensors")) sleep_ms(1);
    kill(child, SIGTERM);
    cr_assert_eq(finish(child), 130);
    expect_text("err", "interrupted; go on with --resume a.safetensors");
    snprintf(command, sizeof command, "train --data x=images.idx --data label=labels.idx --resume a.safetensors");
    expect_success(command);
    cr_expect(same_files("whole.safetensors", "a.safetensors"));
}

Test(trainer, resumed_after_its_end_changes_nothing) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 3 --patience 2");
    expect_success("train autoencoder --data images.idx --save b.safetensors --resume a.safetensors");
    cr_expect(same_files("a.safetensors", "b.safetensors"));
}

/* A checkpoint of a run that has just begun its first stage. */
static void save_beginning(size_t stage, const char *plan, const char *path) {
    gdl_array images, labels;
    gdl_data data;
    gdl_sample all;
    const gdl_array *arrays[] = {&images, &labels};
    const gdl_model *model = fake_describe();
    cr_assert_eq(gdl_array_read(&images, "images.idx", NULL) || gdl_array_read(&labels, "labels.idx", NULL), 0);
    cr_assert_eq(gdl_data_bind(&data, model->stage[stage].input, model->stage[stage].inputs, arrays, NULL), 0);
    cr_assert_eq(gdl_sample_range(&all, &data, 0, data.count, NULL), 0);
    gdl_run run = {.model = model, .instance = gdl_create(model, 8, 42), .stage = stage, .train = &all, .batch = 4, .epochs = 3, .plan = plan};
    cr_assert_eq(gdl_run_begin(&run, NULL), 0);
    cr_assert_eq(gdl_save(model, run.instance, &run, path, NULL), 0);
    gdl_run_end(&run);
    gdl_destroy(model, run.instance);
    gdl_sample_free(&all);
    gdl_data_free(&data);
    gdl_array_free(&images);
    gdl_array_free(&labels);
}

/* The run was started with the model's own epochs for the first stage, but not for the second. */
Test(trainer, later_stages_are_as_long_as_the_run_was_started_with) {
    save_beginning(FAKE_CLASSIFIER, "classifier:3:4,autoencoder:2:5", "a.safetensors");
    expect_success("train --data x=images.idx --data label=labels.idx --resume a.safetensors");
    expect_text("err", "classifier epoch 3/3");
    expect_text("err", "autoencoder epoch 2/2");
    save_beginning(FAKE_CLASSIFIER, "classifier:x", "a.safetensors");
    expect_error("train --data x=images.idx --data label=labels.idx --resume a.safetensors", 1, "is expected to give the epochs and batch of each stage");
    save_beginning(FAKE_CLASSIFIER, "", "a.safetensors");
    expect_success("train --data x=images.idx --data label=labels.idx --resume a.safetensors");
    expect_text("a.safetensors", "\"plan\":\"classifier:3:4\"");
}

Test(trainer, resumed_wrongly) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1");
    expect_error("train --data images.idx --resume a.safetensors --batch 4", 1, "cannot be resumed with --batch 4: its run has 8");
    expect_error("train --data images.idx --resume a.safetensors --seed 4", 1, "cannot be resumed with --seed 4: its run has 42");
    expect_error("train --data images.idx --resume a.safetensors --limit 20", 1, "train_examples 60, but now it is 20");
    expect_error("train classifier --data x=images.idx --data label=labels.idx --resume a.safetensors", 1, "not among the stages to train");
    expect_error("train --data images.idx --resume images.idx", 1, "images.idx is not a whole safetensors file");
    expect_error("train --data images.idx --resume absent.safetensors", 1, "No such file");
}

static void write_drawing(const char *path, unsigned width) {
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = 4, .format = PNG_FORMAT_GRAY};
    unsigned char values[32];
    for (size_t i = 0; i < sizeof values; i++)
        values[i] = (unsigned char)(7 * i + (unsigned char)path[strlen(path) - 5]);
    cr_assert(png_image_write_to_file(&image, path, 0, values, 0, NULL), "%s", image.message);
}

Test(trainer, reads_folders_of_pictures) {
    cr_assert_eq(mkdir("drawings", 0700), 0);
    write_drawing("drawings/a.png", 4);
    write_drawing("drawings/b.png", 4);
    write_drawing("drawings/c.png", 4);
    expect_success("train autoencoder --data x=drawings/ --valid x=drawings --epochs 1 --save a.safetensors");
    expect_success("run reconstruct --load a.safetensors --data drawings --out a.npy");
    gdl_array array;
    cr_assert_eq(gdl_array_read(&array, "a.npy", NULL), 0);
    cr_expect_eq(array.shape[0], 3);
    gdl_array_free(&array);
    expect_error("train classifier --data x=drawings --data label=drawings", 1, "label takes class labels");
    write_drawing("drawings/d.png", 5);
    expect_error("train autoencoder --data drawings", 1, "drawings/d.png: a picture of 4 x 4 pixels is expected");
}

/* ── run ── */

Test(trainer, runs_functions) {
    expect_success("train autoencoder --data images.idx --save a.safetensors --epochs 1");
    expect_success("run reconstruct --load a.safetensors --data images.idx --count 5 --out a.png --out a.npy");
    expect_text("a.png", "PNG");
    gdl_array array;
    cr_assert_eq(gdl_array_read(&array, "a.npy", NULL), 0);
    cr_expect_eq(array.rank, 3);
    cr_expect_eq(array.shape[0], 5);
    gdl_array_free(&array);
    expect_success("run both --load a.safetensors --data image=images.idx --out code=c.csv --out image=i.npy");
    expect_text("c.csv", "code_0,code_1\n");
    cr_assert_eq(gdl_array_read(&array, "i.npy", NULL), 0);
    cr_expect_eq(array.shape[0], PICTURES);
    gdl_array_free(&array);
    expect_success("run generate --load a.safetensors --count 3 --seed 1 --out g.npy");
    expect_success("run generate --load a.safetensors --count 3 --seed 1 --out same.npy");
    expect_success("run generate --load a.safetensors --count 3 --seed 2 --out other.npy");
    cr_expect(same_files("g.npy", "same.npy"));
    cr_expect_not(same_files("g.npy", "other.npy"));
}

Test(trainer, functions_that_cannot_run) {
    expect_error("run fly --out a.png", 1, "no net or export fly; it has: encode, reconstruct, generate, both, together, classify");
    expect_error("run encode --data images.idx --out a.png", 1, "code has shape [2]; try .npy");
    expect_error("run reconstruct --data images.idx --out a.csv", 1, "try .npy");
    expect_error("run reconstruct --data images.idx --out a.jpg", 1, ".png, .npy or .csv");
    expect_error("run both --data images.idx --out a.npy", 1, "say of which output");
    expect_error("run both --data images.idx --out sound=a.npy", 1, "no such output; the outputs of both are: code, image");
    expect_error("run reconstruct --out a.png", 1, "reconstruct needs examples of its input image: --data image=FILE");
    expect_error("run together --data images.idx --out a.npy --batch 8", 1, "try --batch 60");
    expect_success("run together --data images.idx --out a.npy");
    expect_text("err", "untrained model");
    expect_error("run encode --data images.idx --out nowhere/a.npy", 1, "nowhere/a.npy cannot be written: No such file");
    expect_error("run encode --data images.idx --out a.npy --load images.idx", 1, "not a whole safetensors file");
}

/* test_watching.c: what the trainer shows of a model: inspect and confusion as tables, snapshots of a training run, warnings. */
#define _XOPEN_SOURCE 700
#include "fake_model.h"
#include "process.h"
#include "scratch.h"
#include "trainer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 60 };

/* model.safetensors: the code is the values at (0, 0) and (1, 1), the scores are those at (0, 1), (1, 0), (3, 3). */
static void save_picker(void) {
    const gdl_model *model = fake_describe();
    void *instance = gdl_create(model, 0, 1);
    float *encoder = gdl_values(&model->tensor[0], instance), *head = gdl_values(&model->tensor[2], instance);
    memset(encoder, 0, model->tensor[0].size * sizeof *encoder);
    memset(head, 0, model->tensor[2].size * sizeof *head);
    encoder[0 * FAKE_CODE] = encoder[5 * FAKE_CODE + 1] = 1;
    head[1 * FAKE_CLASSES] = head[4 * FAKE_CLASSES + 1] = head[15 * FAKE_CLASSES + 2] = 1;
    cr_assert(zero(int, gdl_save(model, instance, NULL, "model.safetensors", NULL)));
    gdl_destroy(model, instance);
}

static void enter(void) {
    scratch_enter();
    write_pictures(PICTURES);
    save_picker();
}

static void expect_whole(const char *path, const char *expected) {
    size_t size;
    char *found = read_file(path, &size);
    cr_expect(found && strcmp(found, expected) == 0, "%s: expected\n%s\nfound\n%s", path, expected, found);
    free(found);
}

TestSuite(watching, .init = enter, .fini = scratch_leave, .timeout = 120);

/* ── inspect ── */

Test(watching, inspect_prints_a_table) {
    expect_success("inspect encode --load model.safetensors --data images.idx");
    expect_whole("out", "    unit       mean         sd        min        max   <0.05  histogram from 0 to 0.976471\n"
                        "       0     0.4542     0.4183          0     0.9765  31.7 %  |█       ▅▄|\n"
                        "       1      0.449     0.4141          0     0.9686  31.7 %  |█       ▅▄|\n"
                        "\n2 units, 60 examples, overall mean 0.4516\n"
                        "0 of 2 units (0.0 %) have a mean activation between 0.05 and 0.2\n");
}

Test(watching, inspect_heeds_its_options) {
    expect_success("inspect both --output code --load model.safetensors --data images.idx --limit 4 --threshold 0.5 --between 0.45,0.6 --csv a.csv");
    expect_text("out", "<0.5");
    expect_text("out", "2 units, 4 examples");
    expect_text("out", "1 of 2 units (50.0 %) have a mean activation between 0.45 and 0.6");
    expect_text("a.csv", "unit,mean,sd,min,max,below,bin_0,bin_1,bin_2,bin_3,bin_4,bin_5,bin_6,bin_7,bin_8,bin_9\n0,0.");
    expect_text("a.csv", ",0.25,1,0,0,0,0,0,0,0,0,3\n1,");
    expect_success("inspect reconstruct --load model.safetensors --data images.idx");
    expect_text("out", "\n     3,2 ");
    expect_text("out", "\n16 units, 60 examples");
    expect_success("inspect generate --load model.safetensors");
    expect_text("out", "\n16 units, 1000 examples");
}

/* The brightest pixel (1, 1) is that of the images 47, 44 and 41; the brightest (0, 0) that of 49, 48 and 47. */
Test(watching, inspect_shows_what_activates_a_unit) {
    float expected[6 * FAKE_PIXELS], found[6 * FAKE_PIXELS];
    const size_t index[] = {49, 48, 47, 47, 44, 41};
    gdl_array images;
    cr_assert(zero(int, gdl_array_read(&images, "images.idx", NULL)));
    for (size_t i = 0; i < 6 * FAKE_PIXELS; i++)
        expected[i] = (float)((const uint8_t *)images.values)[index[i / FAKE_PIXELS] * FAKE_PIXELS + i % FAKE_PIXELS] / 255.0f;
    gdl_array_free(&images);
    expect_success("inspect encode --load model.safetensors --data images.idx --top 3 --out top.png --zoom 5");
    const gdl_grid grid = {.count = 6, .height = 4, .width = 4, .channels = 1, .sets = 1, .columns = 3, .zoom = 5, .high = 1};
    cr_assert(zero(int, gdl_grid_read(&grid, "top.png", found, NULL)));
    cr_expect_arr_eq(found, expected, sizeof expected);
}

Test(watching, inspect_refuses) {
    expect_error("inspect", 64, "name of a net or export");
    expect_error("inspect encode --data images.idx --top 3", 64, "--top K and --out FILE belong together");
    expect_error("inspect encode --data images.idx --between 2,1", 64, "--between expects two numbers, the lower first");
    expect_error("inspect encode --data images.idx --threshold high", 64, "--threshold expects a number, but found 'high'");
    expect_error("inspect both --data images.idx", 1, "error: --output: say of which output");
    expect_error("inspect encode --data images.idx --output sound", 1, "no such output; the outputs of encode are: code");
    expect_error("inspect encode --data images.idx --top 61 --out a.png", 1, "--top 61 asks for more than the 60 examples");
    expect_error("inspect generate --top 1 --out a.png", 1, "no input of generate is one");
    expect_error("inspect encode --data images.idx --csv nowhere/a.csv", 1, "nowhere/a.csv cannot be written");
}

/* ── confusion ── */

Test(watching, confusion_prints_a_table) {
    expect_success("confusion classify --load model.safetensors --data image=images.idx --data label=labels.idx --csv a.csv");
    expect_whole("out", "true \\ predicted      0      1      2    recall\n"
                        "               0     10      5      5    50.0 %\n"
                        "               1     10      5      5    25.0 %\n"
                        "               2     20      0      0     0.0 %\n"
                        "\naccuracy 25.00 %: 15 of 60\n");
    expect_whole("a.csv", "true,predicted_0,predicted_1,predicted_2,recall\n0,10,5,5,0.5\n1,10,5,5,0.25\n2,20,0,0,0\n");
}

Test(watching, confusion_without_examples_of_a_class) {
    expect_success("confusion classify --load model.safetensors --data image=images.idx --data label=labels.idx --limit 2 --csv a.csv");
    expect_text("out", "               2      0      0      0         -\n");
    expect_text("out", " of 2\n");
    expect_text("a.csv", "\n2,0,0,0,\n");
}

Test(watching, confusion_refuses) {
    expect_error("confusion classify --data image=images.idx", 1, "classify needs examples of its input label: --data label=FILE");
    expect_error("confusion generate --data label=labels.idx", 1, "no true classes");
    expect_error("confusion both --data image=images.idx --data label=labels.idx", 1, "but both gives several outputs");
    expect_error("confusion encode --data image=images.idx --data label=labels.idx", 1, "expects labels from 0 to 1, but example 2");
}

/* ── Snapshots ── */

Test(watching, snapshots_change_nothing) {
    expect_success("train autoencoder --data images.idx --epochs 6 --save plain.safetensors");
    expect_success("train autoencoder --data images.idx --epochs 6 --save watched.safetensors --snapshot-every 2 --snapshot-to s");
    cr_expect(same_files("plain.safetensors", "watched.safetensors"));
    cr_expect(exists("s-0002.png") && exists("s-0004.png") && exists("s-0006.png") && !exists("s-0001.png"));
    expect_text("err", "saved s-strip.png, a row for each of 3 pictures");
}

/* Where nothing is learnt, the pictures are the same: the draws are. */
Test(watching, snapshots_compare) {
    expect_success("train autoencoder --data images.idx --epochs 2 --lr-scale 1e-30 --snapshot-every 1 --snapshot-range -1,1");
    cr_expect(same_files("snapshot-0001.png", "snapshot-0002.png"));
    expect_success("train autoencoder --data images.idx --epochs 2 --snapshot-every 1 --snapshot-range -1,1");
    cr_expect_not(same_files("snapshot-0001.png", "snapshot-0002.png"));
}

Test(watching, strip_is_made_of_the_pictures) {
    enum { VALUES = 16 * FAKE_PIXELS };
    float last[VALUES], strip[3 * VALUES];
    expect_success("train autoencoder --data images.idx --epochs 3 --snapshot-every 1 --snapshot reconstruct --snapshot-to s");
    gdl_grid grid = {.count = 16, .height = 4, .width = 4, .channels = 1, .sets = 1, .zoom = 2, .high = 1};
    cr_assert(zero(int, gdl_grid_read(&grid, "s-0003.png", last, NULL)));
    grid.columns = 16;
    grid.count = 3 * 16;
    cr_assert(zero(int, gdl_grid_read(&grid, "s-strip.png", strip, NULL)));
    cr_expect_arr_eq(strip + 2 * VALUES, last, sizeof last);
}

Test(watching, snapshots_go_on_after_a_resume) {
    expect_success("train autoencoder --data images.idx --epochs 4 --snapshot-every 1 --snapshot-to whole");
    expect_success("train autoencoder --data images.idx --epochs 2 --snapshot-every 1 --snapshot-to s --save a.safetensors");
    expect_success("train autoencoder --data images.idx --epochs 4 --snapshot-every 1 --snapshot-to s --resume a.safetensors");
    cr_expect(same_files("whole-0004.png", "s-0004.png"));
    cr_expect(same_files("whole-strip.png", "s-strip.png"));
}

Test(watching, snapshots_of_several_stages) {
    expect_success("train --data x=images.idx --data label=labels.idx --epochs 1 --snapshot-every 1");
    cr_expect(exists("snapshot-autoencoder-0001.png") && exists("snapshot-classifier-strip.png"));
}

Test(watching, snapshots_refuse) {
    expect_error("train autoencoder --data images.idx --snapshot generate", 64, "--snapshot needs --snapshot-every N");
    expect_error("train autoencoder --data images.idx --snapshot-every 1 --snapshot fly", 1, "no net or export fly");
    expect_error("train autoencoder --data images.idx --snapshot-every 1 --snapshot encode", 1, "no output of it is an image");
    expect_error("train autoencoder --data x=images.idx --snapshot-every 1 --snapshot reconstruct", 1, "reconstruct needs examples of its input image");
    expect_error("train autoencoder --data images.idx --snapshot-every 1 --snapshot-to nowhere/s", 1, "nowhere/s-0001.png cannot be written");
}

/* ── Warnings of collapse: a stage with two phases whose generator does as the test says ── */

typedef struct Rival { gdl_clock clock; float spread; } Rival;

static int rival_generate(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    (void)size;
    Rival *rival = model;
    (void)input;
    for (size_t i = 0; i < n * FAKE_PIXELS; i++) output[0][i] = i / FAKE_PIXELS % 2 ? rival->spread : 0;
    rival->clock.draw++;
    return GDL_OK;
}

static gdl_clock *rival_clock(void *model) { return &((Rival *)model)->clock; }

static const size_t rival_shape[] = {4, 4};
static const gdl_port rival_image[] = {{"image", 2, rival_shape, FAKE_PIXELS, 0, NULL}};
static const gdl_function rival_functions[] = {{"generate", 0, 0, NULL, 1, rival_image, rival_generate}};
static const gdl_report rival_reports[] = {{"discriminate.loss", 1}, {"discriminate.error", 0}, {"generate.loss", 1}};
static const gdl_stage rival_stages[] = {
    {.name = "gan", .batch = 4, .inputs = 1, .input = rival_image, .batches = 1, .reports = 3, .report = rival_reports},
    {.name = "alone", .batch = 4, .inputs = 1, .input = rival_image, .batches = 1, .reports = 2, .report = rival_reports},
};
static const gdl_model rival_model = {.name = "rival", .functions = 1, .function = rival_functions, .stages = 2, .stage = rival_stages,
                                      .clock = rival_clock};

/* One epoch of two iterations with these losses, and what is said of it. free() it. */
static char *warnings_of(Collapse *collapse, gdl_run *run, double first, double second) {
    char *text;
    size_t size;
    collapse->to = open_memstream(&text, &size);
    const double losses[] = {first, second};
    for (int i = 0; i < 2; i++) {
        run->sum[0] += losses[i], run->sum[2] += 1;
        cr_assert(zero(int, collapse_watch(collapse, GDL_ITERATION, NULL)));
    }
    for (size_t r = 0; r < 3; r++) run->trained[r] = run->sum[r] / 2, run->sum[r] = 0;
    run->model->clock(run->instance)->epoch++;
    cr_assert(zero(int, collapse_watch(collapse, GDL_EPOCH, NULL)));
    fclose(collapse->to);
    return text;
}

static void expect_warning(Collapse *collapse, gdl_run *run, double first, double second, const char *phrase) {
    char *text = warnings_of(collapse, run, first, second);
    cr_expect(phrase ? strstr(text, phrase) != NULL : !*text, "expected %s, found '%s'", phrase ? phrase : "nothing", text);
    free(text);
}

typedef struct Rivalry { gdl_array images; gdl_data data; gdl_sample all; Rival rival; double numbers[6]; gdl_run run; Collapse collapse; } Rivalry;

static void rivalry_open(Rivalry *r, size_t stage) {
    const gdl_array *arrays[] = {&r->images};
    *r = (Rivalry){.rival = {.clock = {.step = 100}, .spread = 1}};
    cr_assert(zero(int, gdl_array_read(&r->images, "images.idx", NULL)));
    cr_assert(zero(int, gdl_data_bind(&r->data, rival_image, 1, arrays, NULL)));
    cr_assert(zero(int, gdl_sample_range(&r->all, &r->data, 0, r->data.count, NULL)));
    r->run = (gdl_run){.model = &rival_model, .instance = &r->rival, .stage = stage, .train = &r->all, .batch = 4,
                       .sum = r->numbers, .trained = r->numbers + 3};
    cr_assert(zero(int, collapse_open(&r->collapse, &r->run, stderr, NULL)));
}

static void rivalry_close(Rivalry *r) {
    collapse_close(&r->collapse);
    gdl_sample_free(&r->all);
    gdl_data_free(&r->data);
    gdl_array_free(&r->images);
}

/* The data differ by 0.41 in the mean: half the spread of the generator is to be above or below 0.041. */
Test(watching, outputs_that_hardly_differ_are_warned_of_once) {
    Rivalry r;
    rivalry_open(&r, 0);
    expect_warning(&r.collapse, &r.run, 1, 1, NULL);
    r.rival.spread = 0.1f;
    expect_warning(&r.collapse, &r.run, 1, 1, NULL);
    r.rival.spread = 0.06f;
    gdl_clock before = r.rival.clock;
    expect_warning(&r.collapse, &r.run, 1, 1, "stage gan, epoch 3: what generate makes hardly differs: the standard deviation over 64 outputs, in the mean over their values, is 0.03,");
    cr_expect(eq(u64, r.rival.clock.draw, before.draw));
    expect_warning(&r.collapse, &r.run, 1, 1, NULL);
    rivalry_close(&r);
}

Test(watching, outputs_are_looked_at_from_the_hundredth_iteration_on) {
    Rivalry r;
    rivalry_open(&r, 0);
    r.rival.spread = 0;
    r.rival.clock.step = 99;
    expect_warning(&r.collapse, &r.run, 1, 1, NULL);
    r.rival.clock.step = 100;
    expect_warning(&r.collapse, &r.run, 1, 1, "epoch 2: what generate makes hardly differs");
    rivalry_close(&r);
}

Test(watching, losses_of_nothing_are_warned_of_once) {
    Rivalry r;
    rivalry_open(&r, 0);
    expect_warning(&r.collapse, &r.run, 0.001, 0.0011, NULL);
    expect_warning(&r.collapse, &r.run, 0.0003, 0.0001, "epoch 2: discriminate.loss is 0.0002 in the mean; if this is a cross-entropy");
    expect_warning(&r.collapse, &r.run, 0.0003, 0.0001, NULL);
    rivalry_close(&r);
}

/* As the loss of a Wasserstein critic, which is no cross-entropy. */
Test(watching, losses_below_zero_are_not_warned_of) {
    Rivalry r;
    rivalry_open(&r, 0);
    expect_warning(&r.collapse, &r.run, -0.0003, 0.0004, NULL);
    expect_warning(&r.collapse, &r.run, 0.0003, 0.0004, NULL);
    rivalry_close(&r);
}

/* A stage with one loss, and no warning of outputs that are all alike. */
Test(watching, a_stage_with_one_phase_is_not_watched) {
    Rivalry r;
    rivalry_open(&r, 1);
    r.rival.spread = 0;
    expect_warning(&r.collapse, &r.run, 0, 0, NULL);
    rivalry_close(&r);
}

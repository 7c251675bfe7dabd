/* garments: draws labelled pictures of garments and writes them as IDX files, in the format, sizes and classes of Fashion-MNIST:
 * data for the demo and the tests that can always be made. `garments --help` lists the options.
 *
 * Picture i of a set is a function of the seed, the set and i, so that fewer pictures are the beginning of more. */
#include "wardrobe.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

typedef struct Options {
    const char *folder, *sheet;
    long count;
    int size;
    uint64_t seed;
} Options;

static const char usage[] =
    "Usage: garments FOLDER [--count N] [--seed N] [--size 28|32] [--sheet FILE.png]\n"
    "Draws garments of ten classes and writes them to FOLDER, which is made if need be:\n"
    "  train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz   N pictures and their classes\n"
    "  t10k-images-idx3-ubyte.gz,  t10k-labels-idx1-ubyte.gz    N / 6 others, for tests\n"
    "  --count N      pictures to draw (12000)\n"
    "  --seed N       another N, other pictures (1)\n"
    "  --size 28|32   pixels on each side (28)\n"
    "  --sheet FILE   also a PNG that shows some of each class, a class in each row\n";

/* Draws picture `index` of a set; its class goes to *label when that is negative. */
static void draw(const Options *options, int set, long index, int *label, uint8_t *pixels) {
    Random random = random_stream(options->seed, (uint64_t)set, (uint64_t)index);
    Canvas canvas;
    int any = pick(&random, GARMENTS);
    if (*label < 0) *label = any;
    draw_garment(&canvas, *label, options->size, &random);
    for (int y = 0; y < options->size; y++)
        for (int x = 0; x < options->size; x++)
            pixels[y * options->size + x] = (uint8_t)(255 * canvas.pixel[y * CANVAS_MAX + x] + 0.5f);
}

/* ── IDX files ────────────────────────────────────────────────────────────────────────────── */

static int put_big_endian(gzFile file, uint32_t value) {
    uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
    return gzwrite(file, bytes, 4) == 4;
}

/* Opens FOLDER/NAME and writes the header of unsigned bytes with `rank` sizes; NULL on failure. */
static gzFile idx_create(const char *folder, const char *name, int rank, const uint32_t *sizes) {
    char path[PATH_MAX + NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile file = gzopen(path, "wb6");
    if (!file) {
        fprintf(stderr, "garments: cannot write %s: %s\n", path, strerror(errno));
        return NULL;
    }
    put_big_endian(file, 0x0800u | (uint32_t)rank); /* a failure shows when the file is closed */
    for (int i = 0; i < rank; i++) put_big_endian(file, sizes[i]);
    return file;
}

static int write_set(const Options *options, int set, long count) {
    static const char *const names[2][2] = { { "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz" },
                                             { "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz" } };
    uint32_t sizes[3] = { (uint32_t)count, (uint32_t)options->size, (uint32_t)options->size };
    gzFile images = idx_create(options->folder, names[set][0], 3, sizes);
    gzFile labels = images ? idx_create(options->folder, names[set][1], 1, sizes) : NULL;
    int opened = images && labels, ok = opened;
    uint8_t pixels[CANVAS_MAX * CANVAS_MAX];
    unsigned bytes = (unsigned)(options->size * options->size);
    for (long i = 0; ok && i < count; i++) {
        int label = -1;
        draw(options, set, i, &label, pixels);
        ok = gzwrite(images, pixels, bytes) == (int)bytes && gzputc(labels, label) == label;
    }
    if (images && gzclose(images) != Z_OK) ok = 0;
    if (labels && gzclose(labels) != Z_OK) ok = 0;
    if (opened && !ok) fprintf(stderr, "garments: cannot write to %s: is the disk full?\n", options->folder);
    return ok;
}

/* ── The contact sheet ────────────────────────────────────────────────────────────────────── */

static int write_sheet(const Options *options) {
    enum { COLUMNS = 16, GAP = 2 };
    int cell = options->size + GAP, width = COLUMNS * cell - GAP, height = GARMENTS * cell - GAP;
    uint8_t *sheet = malloc((size_t)(width * height)), pixels[CANVAS_MAX * CANVAS_MAX];
    if (!sheet) return 0;
    memset(sheet, 255, (size_t)(width * height));
    for (int i = 0; i < GARMENTS * COLUMNS; i++) {
        int label = i / COLUMNS, size = options->size;
        draw(options, 2, i, &label, pixels);
        for (int y = 0; y < size; y++)
            memcpy(sheet + (label * cell + y) * width + i % COLUMNS * cell, pixels + y * size, (size_t)size);
    }
    png_image png = { .version = PNG_IMAGE_VERSION, .width = (png_uint_32)width, .height = (png_uint_32)height, .format = PNG_FORMAT_GRAY };
    int ok = png_image_write_to_file(&png, options->sheet, 0, sheet, width, NULL);
    if (!ok) fprintf(stderr, "garments: cannot write %s: %s\n", options->sheet, png.message);
    free(sheet);
    return ok;
}

/* ── The command line ─────────────────────────────────────────────────────────────────────── */

/* A whole number between low and high; ends the program with a message if it is not one. */
static long number(const char *option, const char *text, long low, long high) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end != text && *end == 0 && errno == 0 && value >= low && value <= high) return value;
    fprintf(stderr, "garments: --%s takes a number from %ld to %ld, not \"%s\"\n", option, low, high, text);
    exit(2);
}

static Options parse_options(int argc, char **argv) {
    static const struct option known[] = { { "count", required_argument, NULL, 'n' }, { "seed", required_argument, NULL, 's' },
                                           { "size", required_argument, NULL, 'z' },  { "sheet", required_argument, NULL, 'p' },
                                           { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 } };
    Options options = { .count = 12000, .size = 28, .seed = 1 };
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'n') options.count = number("count", optarg, 1, 10000000);
        else if (c == 's') options.seed = (uint64_t)number("seed", optarg, 0, LONG_MAX);
        else if (c == 'z') options.size = (int)number("size", optarg, 28, CANVAS_MAX);
        else if (c == 'p') options.sheet = optarg;
        else {
            fputs(usage, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    options.folder = argv[optind];
    return options;
}

int main(int argc, char **argv) {
    Options options = parse_options(argc, argv);
    if (mkdir(options.folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "garments: cannot make the folder %s: %s\n", options.folder, strerror(errno));
        return 1;
    }
    long tests = options.count >= 6 ? options.count / 6 : 1;
    return write_set(&options, 0, options.count) && write_set(&options, 1, tests) && (!options.sheet || write_sheet(&options)) ? 0 : 1;
}

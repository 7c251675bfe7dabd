/* fake_model.c: what gdlc would emit, small and by hand. */
#include "fake_model.h"

#include <math.h>
#include <string.h>

typedef struct Fake {
    gdl_clock clock;
    size_t capacity;
    int threads;
    float encoder[FAKE_PIXELS][FAKE_CODE];
    float decoder[FAKE_CODE][FAKE_PIXELS];
    float head[FAKE_PIXELS][FAKE_CLASSES];
    float seen;                                 /* a state */
    float momentum[FAKE_PIXELS][FAKE_CODE];     /* of the autoencoder's optimizer */
    float slow[FAKE_PIXELS][FAKE_CLASSES];      /* of the classifier's */
} Fake;

static float draw(const gdl_clock *clock, uint64_t counter, uint32_t stream, size_t i) {
    uint32_t words[4], place[4] = {(uint32_t)i, (uint32_t)counter, (uint32_t)(counter >> 32), stream};
    gdl_philox(clock->seed, place, words);
    return (float)(words[0] >> 8) / 16777216.0f - 0.5f;
}

static void encode_one(const Fake *m, const float *image, float *code) {
    for (int c = 0; c < FAKE_CODE; c++) {
        code[c] = 0;
        for (int p = 0; p < FAKE_PIXELS; p++) code[c] += image[p] * m->encoder[p][c];
    }
}

static void decode_one(const Fake *m, const float *code, float *image) {
    for (int p = 0; p < FAKE_PIXELS; p++) {
        image[p] = 0;
        for (int c = 0; c < FAKE_CODE; c++) image[p] += code[c] * m->decoder[c][p];
    }
}

/* ── Functions ── */

static int run_encode(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    (void)size;
    const float *image = input[0];
    for (size_t i = 0; i < n; i++) encode_one(model, image + i * FAKE_PIXELS, output[0] + i * FAKE_CODE);
    return GDL_OK;
}

static int run_reconstruct(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    (void)size;
    const float *image = input[0];
    for (size_t i = 0; i < n; i++) {
        float code[FAKE_CODE];
        encode_one(model, image + i * FAKE_PIXELS, code);
        decode_one(model, code, output[0] + i * FAKE_PIXELS);
    }
    return GDL_OK;
}

static int run_generate(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    (void)size;
    Fake *m = model;
    (void)input;
    for (size_t i = 0; i < n; i++) {
        const float code[FAKE_CODE] = {draw(&m->clock, m->clock.draw, 7, 2 * i), draw(&m->clock, m->clock.draw, 7, 2 * i + 1)};
        decode_one(m, code, output[0] + i * FAKE_PIXELS);
    }
    m->clock.draw++;
    return GDL_OK;
}

static int run_both(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    float *const image[] = {output[1]};
    run_encode(model, n, size, input, output);
    return run_reconstruct(model, n, size, input, image);
}

static int run_together(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    const Fake *m = model;
    return n > m->capacity ? GDL_BATCH : run_reconstruct(model, n, size, input, output);
}

static int run_classify(void *model, size_t n, const size_t *size, const void *const *input, float *const *output) {
    (void)size;
    const Fake *m = model;
    const float *image = input[0];
    for (size_t i = 0; i < n * FAKE_CLASSES; i++) {
        output[0][i] = 0;
        for (size_t p = 0; p < FAKE_PIXELS; p++) output[0][i] += image[i / FAKE_CLASSES * FAKE_PIXELS + p] * m->head[p][i % FAKE_CLASSES];
    }
    return GDL_OK;
}

/* ── Stages ── */

/* One example's loss; with `gradient`, adds to the gradients of both kernels. */
static float autoencode_one(const Fake *m, const float *x, const float *noise, Fake *gradient) {
    float code[FAKE_CODE], out[FAKE_PIXELS], loss = 0;
    encode_one(m, x, code);
    for (int c = 0; c < FAKE_CODE; c++) code[c] += noise[c];
    decode_one(m, code, out);
    for (int p = 0; p < FAKE_PIXELS; p++) {
        float d = 2 * (out[p] - x[p]) / FAKE_PIXELS;
        loss += (out[p] - x[p]) * (out[p] - x[p]) / FAKE_PIXELS;
        for (int c = 0; gradient && c < FAKE_CODE; c++) {
            gradient->decoder[c][p] += code[c] * d;
            for (int q = 0; q < FAKE_PIXELS; q++) gradient->encoder[q][c] += x[q] * d * m->decoder[c][p];
        }
    }
    return loss;
}

static float autoencode(const Fake *m, uint64_t counter, size_t n, const float *x, Fake *gradient) {
    float loss = 0;
    for (size_t i = 0; i < n; i++) {
        float noise[FAKE_CODE];
        for (size_t c = 0; c < FAKE_CODE; c++) noise[c] = 0.1f * draw(&m->clock, counter, 1, i * FAKE_CODE + c);
        loss += autoencode_one(m, x + i * FAKE_PIXELS, noise, gradient);
    }
    return loss / (float)n;
}

static int step_autoencoder(void *model, size_t n, const size_t *size, const void *const *input, float *report) {
    (void)size;
    Fake *m = model, gradient = {0};
    float lr = 0.1f * m->clock.lr_scale / (float)n;
    if (n > m->capacity) return GDL_BATCH;
    report[0] = autoencode(m, m->clock.tick, n, input[0], &gradient);
    for (int p = 0; p < FAKE_PIXELS; p++)
        for (int c = 0; c < FAKE_CODE; c++) {
            m->momentum[p][c] = 0.9f * m->momentum[p][c] - lr * gradient.encoder[p][c];
            m->encoder[p][c] += m->momentum[p][c];
            m->decoder[c][p] -= lr * gradient.decoder[c][p];
        }
    report[1] = report[0] < 0.1f;
    m->clock.tick++;
    return GDL_OK;
}

static int evaluate_autoencoder(void *model, size_t n, const size_t *size, const void *const *input, float *report) {
    (void)size;
    Fake *m = model;
    report[0] = autoencode(m, m->clock.draw++, n, input[0], NULL);
    report[1] = report[0] < 0.1f;
    return GDL_OK;
}

/* A perceptron's error: how far the score of the true class is from 1, the others' from 0. */
static float classify(Fake *m, size_t n, const float *x, const int32_t *label, float lr) {
    float loss = 0;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < FAKE_CLASSES; c++) {
            float score = 0;
            for (int p = 0; p < FAKE_PIXELS; p++) score += x[i * FAKE_PIXELS + (size_t)p] * m->head[p][c];
            float error = score - (float)(label[i] == c);
            loss += error * error;
            for (int p = 0; p < FAKE_PIXELS; p++) {
                m->slow[p][c] = 0.5f * m->slow[p][c] + lr * error * x[i * FAKE_PIXELS + (size_t)p];
                m->head[p][c] -= lr > 0 ? m->slow[p][c] : 0;
            }
        }
    return loss / (float)n;
}

static int step_classifier(void *model, size_t n, const size_t *size, const void *const *input, float *report) {
    (void)size;
    Fake *m = model;
    const float *x = input[0];
    const int32_t *label = input[1];
    float first = classify(m, n, x, label, 0.02f * m->clock.lr_scale);
    float second = classify(m, n, x + n * FAKE_PIXELS, label + n, 0.01f * m->clock.lr_scale);
    report[0] = (first + second) / 2;
    m->seen += (float)(2 * n);
    m->clock.tick += 2;
    return GDL_OK;
}

static int evaluate_classifier(void *model, size_t n, const size_t *size, const void *const *input, float *report) {
    (void)size;
    Fake copy = *(Fake *)model;
    report[0] = classify(&copy, n, input[0], input[1], 0);
    return GDL_OK;
}

static void begin_autoencoder(void *model) { memset(((Fake *)model)->momentum, 0, sizeof ((Fake *)model)->momentum); }
static void begin_classifier(void *model) { memset(((Fake *)model)->slow, 0, sizeof ((Fake *)model)->slow); }

/* ── The description ── */

static size_t memory(size_t batch) { return sizeof(Fake) + batch * FAKE_PIXELS * sizeof(float); }
static gdl_clock *clock_of(void *model) { return &((Fake *)model)->clock; }

static int threads(void *model, int count) { return ((Fake *)model)->threads = count < 1 ? 1 : count > 4 ? 4 : count; }

static void *init(void *at, size_t size, size_t batch, uint64_t seed) {
    Fake *m = at;
    if (size < memory(batch)) return NULL;
    *m = (Fake){.clock = {.seed = seed, .lr_scale = 1}, .capacity = batch, .threads = 1};
    for (size_t i = 0; i < FAKE_PIXELS * FAKE_CODE; i++) {
        m->encoder[i / FAKE_CODE][i % FAKE_CODE] = draw(&m->clock, 0, 100, i);
        m->decoder[i / FAKE_PIXELS][i % FAKE_PIXELS] = draw(&m->clock, 0, 101, i);
    }
    return m;
}

static const size_t image_shape[] = {4, 4}, code_shape[] = {FAKE_CODE};
static const size_t encoder_shape[] = {FAKE_PIXELS, FAKE_CODE}, decoder_shape[] = {FAKE_CODE, FAKE_PIXELS};
static const size_t head_shape[] = {FAKE_PIXELS, FAKE_CLASSES}, scores_shape[] = {FAKE_CLASSES};

static const gdl_tensor tensors[] = {
    {"encoder.kernel", GDL_PARAM, -1, 2, encoder_shape, FAKE_PIXELS *FAKE_CODE, offsetof(Fake, encoder)},
    {"decoder.kernel", GDL_PARAM, -1, 2, decoder_shape, FAKE_PIXELS *FAKE_CODE, offsetof(Fake, decoder)},
    {"head.kernel", GDL_PARAM, -1, 2, head_shape, FAKE_PIXELS *FAKE_CLASSES, offsetof(Fake, head)},
    {"head.seen", GDL_STATE, -1, 0, NULL, 1, offsetof(Fake, seen)},
    {"autoencoder.sgd.m/encoder.kernel", GDL_OPTIMIZER, FAKE_AUTOENCODER, 2, encoder_shape, FAKE_PIXELS *FAKE_CODE, offsetof(Fake, momentum)},
    {"classifier.sgd.m/head.kernel", GDL_OPTIMIZER, FAKE_CLASSIFIER, 2, head_shape, FAKE_PIXELS *FAKE_CLASSES, offsetof(Fake, slow)},
};

static const gdl_port images[] = {{"image", 2, image_shape, FAKE_PIXELS, 0, NULL}};
static const gdl_port codes[] = {{"code", 1, code_shape, FAKE_CODE, 0, NULL}};
static const gdl_port scores[] = {{"scores", 1, scores_shape, FAKE_CLASSES, 0, NULL}};
static const gdl_port code_and_image[] = {{"code", 1, code_shape, FAKE_CODE, 0, NULL}, {"image", 2, image_shape, FAKE_PIXELS, 0, NULL}};
static const gdl_port labelled[] = {{"x", 2, image_shape, FAKE_PIXELS, 0, NULL}, {"label", 0, NULL, 1, FAKE_CLASSES, NULL}};
static const gdl_report reports[] = {{"loss", 1}, {"good", 0}};

static const gdl_function functions[] = {
    {"encode", 1, 1, images, 1, codes, run_encode},
    {"reconstruct", 0, 1, images, 1, images, run_reconstruct},
    {"generate", 0, 0, NULL, 1, images, run_generate},
    {"both", 0, 1, images, 2, code_and_image, run_both},
    {"together", 1, 1, images, 1, images, run_together},
    {"classify", 1, 1, images, 1, scores, run_classify},
};

static const gdl_stage stages[] = {
    {"autoencoder", 8, 4, 1, labelled, 1, 2, reports, step_autoencoder, evaluate_autoencoder, begin_autoencoder},
    {"classifier", 4, 3, 2, labelled, 2, 1, reports, step_classifier, evaluate_classifier, begin_classifier},
};

const gdl_model *fake_describe(void) {
    static const gdl_model model = {.name = "fake", .source = "fake.gdl", .version = "0", .batch = 8, .tensors = 6, .tensor = tensors,
                                    .functions = 6, .function = functions, .stages = 2, .stage = stages, .memory = memory, .init = init,
                                    .clock = clock_of, .threads = threads};
    return &model;
}

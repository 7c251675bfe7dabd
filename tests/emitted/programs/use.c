/* What small.h promises, tried from a user's side. With STANDALONE for a model that does without gdl.h, with PARTS for one whose
 * phases come in two parts. */
#include "small.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef STANDALONE
#define GDL_OK SMALL_OK
#define GDL_BATCH SMALL_BATCH
#define GDL_LABEL SMALL_LABEL
#endif

enum { N = 50, STEPS = 20, BATCH = 16, IMAGE = 12, CODE = 5 };

static int passed, failed;

static void check(int holds, const char *what) {
    if (holds) passed++;
    else {
        failed++;
        printf("FAILED %s\n", what);
    }
}
#define CHECK(holds) check((holds) ? 1 : 0, #holds)

static float image[N * IMAGE];
static int32_t label[N];

static void fill(void) {
    unsigned state = 1;
    for (size_t i = 0; i < N * IMAGE; i++) image[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f;
    for (int32_t i = 0; i < N; i++) label[i] = i % 7;
}

/* ── memory ───────────────────────────────────────────────────────────────────────────────── */

static size_t tensor_bytes(void) { return small_memory(1) < small_memory(2) ? small_memory(1) - 128 : 0; }

static int same_tensors(small *a, small *b, size_t floats) {
    return memcmp(small_get_tensors(a), small_get_tensors(b), floats * sizeof(float)) == 0;
}

static void test_memory(size_t floats) {
    char *memory = aligned_alloc(64, (SMALL_MEMORY + 127) / 64 * 64);
    CHECK(small_memory(SMALL_BATCH_SIZE) == SMALL_MEMORY && tensor_bytes() > 0);
    CHECK(small_memory(0) == 0 && small_memory((size_t)-1) == 0 && small_create_batch(0, 1) == NULL);
    CHECK(small_init(NULL, SMALL_MEMORY, 1) == NULL);
    CHECK(small_init(memory, SMALL_MEMORY - 1, 1) == NULL);
    CHECK(small_init(memory + 4, SMALL_MEMORY, 1) == NULL);
    memset(memory, 0xff, SMALL_MEMORY); /* what was there before must not matter */
    small *own = small_init(memory, SMALL_MEMORY, 7), *made = small_create(7), *other = small_create(8);
    CHECK(own != NULL && made != NULL && other != NULL);
    CHECK(same_tensors(own, made, floats) && !same_tensors(made, other, floats));
    small_free(made);
    small_free(other);
    small_free(NULL);
    free(memory);
}

/* ── nets and exports ─────────────────────────────────────────────────────────────────────── */

/* The numbers that an example draws, and its results, do not depend on how many are computed at once. */
static void test_any_number(void) {
    small *few = small_create_batch(3, 7), *many = small_create_batch(64, 7);
    static float a[N * IMAGE], b[N * IMAGE], codes[2][N * CODE], again[2][N * CODE];
    CHECK(small_noisy(few, N, image, a) == GDL_OK && small_noisy(many, N, image, b) == GDL_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    CHECK(small_noisy(few, N, image, b) == GDL_OK && memcmp(a, b, sizeof a) != 0);
    CHECK(small_encoder(few, N, image, codes[0], codes[1]) == GDL_OK && small_encoder(many, N, image, again[0], again[1]) == GDL_OK);
    double apart = 0;
    for (size_t i = 0; i < N * CODE; i++) apart = fmax(apart, (double)fabsf(codes[0][i] - again[0][i]) + (double)fabsf(codes[1][i] - again[1][i]));
    CHECK(apart < 1e-5);
    CHECK(small_decoder(few, 0, codes[0], a) == GDL_OK);
    CHECK(small_generate(few, N, a) == GDL_OK && a[0] != a[1]);
    small_free(few);
    small_free(many);
}

static void test_limits(void) {
    small *m = small_create(7);
    static float out[N * IMAGE];
    const uint64_t draw = small_get_clock(m)->draw;
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) out[i] = 9.0f;
    label[N - 1] = 7;
    CHECK(small_named(m, N, label, out) == GDL_LABEL && out[0] == 9.0f);
    label[N - 1] = -1;
    CHECK(small_named(m, N, label, out) == GDL_LABEL && out[0] == 9.0f);
    CHECK(small_centred(m, BATCH + 1, image, out) == GDL_BATCH && out[0] == 9.0f && small_get_clock(m)->draw == draw);
    label[N - 1] = (N - 1) % 7;
    CHECK(small_named(m, N, label, out) == GDL_OK && out[0] == 1.0f && out[7] == 0.0f && out[8] == 1.0f);
    CHECK(small_centred(m, BATCH, image, out) == GDL_OK && fabsf(out[0] + out[3] - image[0] - image[3] + out[6] - out[9] - image[6] + image[9]) < 1.5f);
    float sum = 0.0f;
    for (size_t i = 0; i < BATCH; i++) sum += out[3 * i];
    CHECK(fabsf(sum) < 1e-5f);
    small_free(m);
}

/* ── training ─────────────────────────────────────────────────────────────────────────────── */

static void test_step_limits(size_t floats) {
    small *m = small_create(7), *untouched = small_create(7);
    small_autoencoder_report r = {-1.0f, -1.0f};
    CHECK(small_autoencoder_step(m, 0, image, label, &r) == GDL_BATCH);
    CHECK(small_autoencoder_step(m, BATCH + 1, image, label, &r) == GDL_BATCH);
    label[3] = 70;
    CHECK(small_autoencoder_step(m, BATCH, image, label, &r) == GDL_LABEL);
    label[3] = 3;
    CHECK(r.loss == -1.0f && same_tensors(m, untouched, floats) && small_get_clock(m)->tick == 0);
    CHECK(small_autoencoder_evaluate(m, BATCH, image, label, &r) == GDL_OK && r.loss > 0.0f && r.rounded > 0.0f && r.rounded <= 1.0f);
    CHECK(same_tensors(m, untouched, floats));
    small_free(m);
    small_free(untouched);
}

static void train(small *m) {
    small_autoencoder_report r;
    for (int i = 0; i < STEPS; i++) small_autoencoder_step(m, i % 2 ? BATCH : BATCH - 3, image, label, &r);
}

static void test_training(size_t floats) {
    small *m = small_create(7), *parts = small_create(7);
    small_autoencoder_report before, after;
    float report[2];
    small_autoencoder_evaluate(m, BATCH, image, label, &before);
    train(m);
    CHECK(small_get_clock(m)->tick == STEPS && small_get_clock(m)->step == STEPS);
    small_autoencoder_evaluate(m, BATCH, image, label, &after);
    CHECK(after.loss < before.loss);
    for (int i = 0; i < STEPS; i++) {
        const size_t n = i % 2 ? BATCH : BATCH - 3;
#ifdef PARTS
        CHECK(small_autoencoder_backward(parts, n, image, label, report) == GDL_OK);
        small_autoencoder_update(parts, n);
#else
        CHECK(small_autoencoder_run(parts, n, image, label, report) == GDL_OK);
        CHECK(small_get_clock(parts)->tick == (uint64_t)i + 1 && small_get_clock(parts)->step == 0);
#endif
    }
    CHECK(same_tensors(m, parts, floats));
    small_autoencoder_begin(m);
    CHECK(!same_tensors(m, parts, floats)); /* the optimizer's state is new */
    small_free(m);
    small_free(parts);
}

/* The gradients that the caller changes between the parts are those that the update uses: of zeros, Adam makes no step. */
#ifdef PARTS
static void test_gradients(size_t parameters) {
    small *m = small_create(7), *untouched = small_create(7);
    float report[2];
    small_autoencoder_backward(m, BATCH, image, label, report);
    memset(small_autoencoder_gradients(m), 0, parameters * sizeof(float));
    small_autoencoder_update(m, BATCH);
    CHECK(memcmp(small_get_tensors(m), small_get_tensors(untouched), 480 * sizeof(float)) == 0);
    small_free(m);
    small_free(untouched);
}
#endif

static void *train_one(void *model) {
    train(model);
    return NULL;
}

static void test_threads(size_t floats) {
    small *alone = small_create(7), *model[2] = {small_create(7), small_create(7)};
    pthread_t thread[2];
    train(alone);
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, train_one, model[i]);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    CHECK(same_tensors(alone, model[0], floats) && same_tensors(alone, model[1], floats));
    small_free(alone);
    small_free(model[0]);
    small_free(model[1]);
}

/* ── nothing is allocated after a model is made ───────────────────────────────────────────── */

static int allocations, counting;
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size) { return allocations += counting, __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return allocations += counting, __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return allocations += counting, __real_realloc(memory, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return allocations += counting, __real_aligned_alloc(alignment, size); }

static void test_allocations(void) {
    static float out[N * IMAGE], more[N * IMAGE];
    counting = 1;
    small *m = small_create(7);
    CHECK(allocations == 1);
    train(m);
    small_noisy(m, N, image, out);
    small_encoder(m, N, image, out, more);
    small_named(m, N, label, out);
    counting = 0;
    CHECK(allocations == 1);
    small_free(m);
}

int main(void) {
    const size_t floats = TENSORS;
    fill();
    test_memory(floats);
    test_any_number();
    test_limits();
    test_step_limits(floats);
    test_training(floats);
#ifdef PARTS
    test_gradients(PARAMETERS);
#endif
    test_threads(floats);
    test_allocations();
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

/* gemms.c: see gemms.h. Equal operands of the step are equal operands here too, so that both find the same of them in the cache;
 * but they are copies, because the results of a replay must not reach the model. */
#include "gemms.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 4096 };

typedef struct Call {
    CBLAS_ORDER order;
    CBLAS_TRANSPOSE transpose[2];
    blasint m, n, k, ld[3];
    float alpha, beta;
    const float *operand[3]; /* A, B, C */
} Call;

struct Gemms {
    Call *calls;
    int count;
    float **copies;          /* as many as `calls` has operands; NULL where an earlier call's serves */
};

/* cblas_sgemm has no argument through which a context could come, so the recording is global. */
static struct { bool on; int count; Call calls[CALLS_MAX]; } recording;

void gemms_call(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, float alpha,
                const float *a, blasint lda, const float *b, blasint ldb, float beta, float *c, blasint ldc);

void gemms_call(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, blasint m, blasint n, blasint k, float alpha,
                const float *a, blasint lda, const float *b, blasint ldb, float beta, float *c, blasint ldc) {
    if (recording.on && recording.count < CALLS_MAX)
        recording.calls[recording.count++] =
            (Call){ order, { ta, tb }, m, n, k, { lda, ldb, ldc }, alpha, beta, { a, b, c } };
    cblas_sgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemms_start(void) {
    recording.on = true;
    recording.count = 0;
}

/* How many floats operand `which` spans: its rows (columns, if column-major), `ld` apart. */
static size_t span(const Call *call, int which) {
    blasint rows[3] = { call->m, call->k, call->m }, columns[3] = { call->k, call->n, call->n };
    bool turned = which < 2 && call->transpose[which] != CblasNoTrans;
    bool by_rows = (call->order == CblasRowMajor) != turned;
    return (size_t)call->ld[which] * (size_t)(by_rows ? rows[which] : columns[which]);
}

/* The copy of an operand, made at its first use with the largest span of all its uses. */
static float *copy_of(Gemms *gemms, const float *operand, float **made) {
    size_t size = 0;
    for (int i = 0; i < 3 * recording.count; i++) {
        const Call *call = &recording.calls[i / 3];
        if (call->operand[i % 3] != operand) continue;
        if (gemms->copies[i]) return gemms->copies[i];
        if (span(call, i % 3) > size) size = span(call, i % 3);
    }
    *made = aligned_alloc(64, (size * sizeof(float) + 63) / 64 * 64);
    if (*made) for (size_t i = 0; i < size; i++) (*made)[i] = (float)(i % 17) / 170;
    return *made;
}

Gemms *gemms_stop(void) {
    recording.on = false;
    size_t count = (size_t)recording.count;
    Gemms *gemms = calloc(1, sizeof *gemms);
    if (!gemms) return NULL;
    gemms->calls = calloc(count + 1, sizeof *gemms->calls);
    gemms->copies = calloc(3 * count + 1, sizeof *gemms->copies);
    bool ok = gemms->calls && gemms->copies;
    if (ok) memcpy(gemms->calls, recording.calls, count * sizeof *gemms->calls);
    for (int i = 0; ok && i < 3 * recording.count; i++) {
        float *copy = copy_of(gemms, recording.calls[i / 3].operand[i % 3], &gemms->copies[i]);
        gemms->calls[i / 3].operand[i % 3] = copy;
        gemms->count = i / 3 + 1;
        ok = copy != NULL;
    }
    if (ok) return gemms;
    gemms_free(gemms);
    return NULL;
}

void gemms_run(const Gemms *gemms) {
    for (const Call *c = gemms->calls; c < gemms->calls + gemms->count; c++)
        cblas_sgemm(c->order, c->transpose[0], c->transpose[1], c->m, c->n, c->k, c->alpha, c->operand[0], c->ld[0],
                    c->operand[1], c->ld[1], c->beta, (float *)c->operand[2], c->ld[2]);
}

int gemms_count(const Gemms *gemms) { return gemms->count; }

double gemms_flops(const Gemms *gemms) {
    double flops = 0;
    for (int i = 0; i < gemms->count; i++) flops += 2.0 * gemms->calls[i].m * gemms->calls[i].n * gemms->calls[i].k;
    return flops;
}

void gemms_print(const Gemms *gemms) {
    for (const Call *c = gemms->calls; c < gemms->calls + gemms->count; c++)
        printf("    %c%c %5ld x %5ld x %5ld  beta %g\n", c->transpose[0] == CblasNoTrans ? 'N' : 'T',
               c->transpose[1] == CblasNoTrans ? 'N' : 'T', (long)c->m, (long)c->n, (long)c->k, (double)c->beta);
}

void gemms_free(Gemms *gemms) {
    if (!gemms) return;
    for (int i = 0; gemms->copies && i < 3 * gemms->count; i++) free(gemms->copies[i]);
    free(gemms->copies);
    free(gemms->calls);
    free(gemms);
}

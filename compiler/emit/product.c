/* Matrix products as calls: of the BLAS, or of the pieces of support/gemm.c. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

static const char *integer_text(Emit *emit, const Poly *poly) {
    int64_t value;
    if (poly_constant(poly, &value)) return arena_printf(emit->arena, "%" PRId64, value);
    const char *text = poly_text(emit, poly);
    return arena_printf(emit->arena, strchr(text, ' ') ? "(int)(%s)" : "(int)%s", text);
}

/* A distance between rows; rows of which there is only one are as far apart as they are long. */
static const char *leading(Emit *emit, const Poly *distance, const Poly *length) {
    return integer_text(emit, poly_is(distance, 0) ? length : distance);
}

static bool adjacent(const Poly *distance) { return poly_is(distance, 0) || poly_is(distance, 1); }

static const char *beta(const Gemm *g) { return g->add ? "1.0f" : "0.0f"; }

static const char *sgemm_call(Emit *emit, const Gemm *g, const char *a, const char *b, const char *c) {
    const bool a_rows = adjacent(g->a_k), b_rows = adjacent(g->b_n);
    return arena_printf(
        emit->arena, "cblas_sgemm(CblasRowMajor, %s, %s, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, %s);",
        a_rows ? "CblasNoTrans" : "CblasTrans", b_rows ? "CblasNoTrans" : "CblasTrans", integer_text(emit, g->m),
        integer_text(emit, g->n), integer_text(emit, g->k), a,
        a_rows ? leading(emit, g->a_m, g->k) : leading(emit, g->a_k, g->m), b,
        b_rows ? leading(emit, g->b_k, g->n) : leading(emit, g->b_n, g->k), beta(g), c, integer_text(emit, g->n));
}

/* A matrix with `rows` rows `row` apart and `columns` columns `column` apart, times a vector. */
typedef struct Matrix { const char *place; const Poly *rows, *columns, *row, *column; } Matrix;

static const char *sgemv_call(Emit *emit, const Matrix *matrix, const char *x, const Poly *x_step,
                              const char *beta_text, const char *y) {
    const bool by_rows = adjacent(matrix->column);
    return arena_printf(
        emit->arena, "cblas_sgemv(CblasRowMajor, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, 1);",
        by_rows ? "CblasNoTrans" : "CblasTrans", integer_text(emit, by_rows ? matrix->rows : matrix->columns),
        integer_text(emit, by_rows ? matrix->columns : matrix->rows), matrix->place,
        by_rows ? leading(emit, matrix->row, matrix->columns) : leading(emit, matrix->column, matrix->rows), x,
        poly_is(x_step, 0) ? "1" : integer_text(emit, x_step), beta_text, y);
}

static const char *plain_call(Emit *emit, const Gemm *g, const char *a, const char *b, const char *c) {
    return arena_printf(emit->arena, "%s(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s);",
                        piece(emit, g->add ? "gemm_add" : "gemm"), poly_text(emit, g->m), poly_text(emit, g->n),
                        poly_text(emit, g->k), a, poly_text(emit, g->a_m), poly_text(emit, g->a_k), b,
                        poly_text(emit, g->b_k), poly_text(emit, g->b_n), c);
}

const char *gemm_call(Emit *emit, const Gemm *g, const char *a, const char *b, const char *c) {
    const Matrix of_a = {a, g->m, g->k, g->a_m, g->a_k}, of_b = {b, g->n, g->k, g->b_n, g->b_k};
    if (emit->options->plain) return plain_call(emit, g, a, b, c);
    if (poly_is(g->n, 1)) return sgemv_call(emit, &of_a, b, g->b_k, beta(g), c);
    if (poly_is(g->m, 1)) return sgemv_call(emit, &of_b, a, g->a_k, beta(g), c);
    return sgemm_call(emit, g, a, b, c);
}

const char *product_comment(Emit *emit, const Gemm *g) {
    return arena_printf(emit->arena, "%s = %s @ %s%s", value_comment(emit, g->c), value_comment(emit, g->a),
                        value_comment(emit, g->b), place_comment(emit, g->node));
}

static const char *place(Kernel *kernel, const Buffer *buffer, const Index *at) {
    const char *name = buffer_text(kernel, buffer), *text = index_text(kernel, at);
    return strcmp(text, "0") == 0 ? name : arena_printf(kernel->emit->arena, "%s + %s", name, text);
}

void emit_product(Kernel *kernel, const Gemm *g) {
    int margin = kernel->margin;
    for (int i = 0; i < g->loops; i++) {
        const char *name = loop_name(g->depth + i);
        if (poly_is(g->extent[i], 1)) continue;
        text_add(kernel->to, "%*sfor (size_t %s = 0; %s < %s; %s++)\n", margin, "", name, name,
                 poly_text(kernel->emit, g->extent[i]), name);
        margin += 4;
    }
    add_statement(kernel->to, margin,
                  gemm_call(kernel->emit, g, place(kernel, g->a, g->a_at), place(kernel, g->b, g->b_at),
                            place(kernel, g->c, g->c_at)));
}

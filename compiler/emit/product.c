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

/* The number of rows to compute: all of them, or as many as the text says. */
static const char *rows_text(Emit *emit, const Gemm *g, const char *rows) {
    if (rows == NULL) return integer_text(emit, g->m);
    if (rows[strspn(rows, "0123456789")] == '\0') return rows;
    return arena_printf(emit->arena, strchr(rows, ' ') ? "(int)(%s)" : "(int)%s", rows);
}

static const char *sgemm_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    const bool a_rows = adjacent(g->a_k), b_rows = adjacent(g->b_n);
    return arena_printf(
        emit->arena, "cblas_sgemm(CblasRowMajor, %s, %s, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, %s);",
        a_rows ? "CblasNoTrans" : "CblasTrans", b_rows ? "CblasNoTrans" : "CblasTrans", rows_text(emit, g, rows),
        integer_text(emit, g->n), integer_text(emit, g->k), a,
        a_rows ? leading(emit, g->a_m, g->k) : leading(emit, g->a_k, g->m), b,
        b_rows ? leading(emit, g->b_k, g->n) : leading(emit, g->b_n, g->k), beta(g), c, integer_text(emit, g->n));
}

/* A matrix with `rows` rows `row` apart and `columns` columns `column` apart, of which `count` rows are multiplied with a vector. */
typedef struct Matrix { const char *place, *count; const Poly *rows, *columns, *row, *column; } Matrix;

static const char *sgemv_call(Emit *emit, const Matrix *matrix, const char *x, const Poly *x_step,
                              const char *beta_text, const char *y) {
    const bool by_rows = adjacent(matrix->column);
    const char *columns = integer_text(emit, matrix->columns);
    return arena_printf(
        emit->arena, "cblas_sgemv(CblasRowMajor, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, 1);",
        by_rows ? "CblasNoTrans" : "CblasTrans", by_rows ? matrix->count : columns, by_rows ? columns : matrix->count,
        matrix->place,
        by_rows ? leading(emit, matrix->row, matrix->columns) : leading(emit, matrix->column, matrix->rows), x,
        poly_is(x_step, 0) ? "1" : integer_text(emit, x_step), beta_text, y);
}

static const char *plain_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    return arena_printf(emit->arena, "%s(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s);",
                        piece(emit, g->add ? "gemm_add" : "gemm"), rows ? rows : poly_text(emit, g->m), poly_text(emit, g->n),
                        poly_text(emit, g->k), a, poly_text(emit, g->a_m), poly_text(emit, g->a_k), b,
                        poly_text(emit, g->b_k), poly_text(emit, g->b_n), c);
}

const char *gemm_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    const Matrix of_a = {a, rows_text(emit, g, rows), g->m, g->k, g->a_m, g->a_k},
                 of_b = {b, integer_text(emit, g->n), g->n, g->k, g->b_n, g->b_k};
    if (emit->options->plain) return plain_call(emit, g, rows, a, b, c);
    if (poly_is(g->n, 1)) return sgemv_call(emit, &of_a, b, g->b_k, beta(g), c);
    if (poly_is(g->m, 1)) return sgemv_call(emit, &of_b, a, g->a_k, beta(g), c);
    return sgemm_call(emit, g, rows, a, b, c);
}

const char *product_comment(Emit *emit, const Gemm *g) {
    return arena_printf(emit->arena, "%s = %s @ %s%s", value_comment(emit, g->c), value_comment(emit, g->a),
                        value_comment(emit, g->b), place_comment(emit, g->node));
}

/* The place of an operand; in a block, of its first row there, where rows are `row` apart. */
static const char *place(Kernel *kernel, const Buffer *buffer, const Index *at, const Poly *row, const Range *range) {
    Emit *emit = kernel->emit;
    const char *text = buffer_text(kernel, buffer), *start = index_text(kernel, at);
    if (strcmp(start, "0") != 0) text = arena_printf(emit->arena, "%s + %s", text, start);
    if (range == NULL || poly_is(row, 0) || buffer->of_block) return text;
    return arena_printf(emit->arena, "%s + %s", text, times_text(emit, poly_mul(emit->arena, row, range->turns), range->row));
}

void emit_product(Kernel *kernel, const Gemm *g, const Range *range) {
    int margin = kernel->margin;
    for (int i = 0; i < g->loops; i++) {
        const bool cut = i == 0 && range;
        const char *name = loop_name(g->depth + i);
        if (poly_is(g->extent[i], 1)) continue;
        text_add(kernel->to, "%*sfor (size_t %s = %s; %s < %s; %s++)\n", margin, "", name, cut ? range->begin : "0", name,
                 cut ? range->end : poly_text(kernel->emit, g->extent[i]), name);
        margin += 4;
    }
    const Range *rows = g->loops == 0 ? range : NULL;
    add_statement(kernel->to, margin,
                  gemm_call(kernel->emit, g, rows ? rows->count : NULL, place(kernel, g->a, g->a_at, g->a_m, rows),
                            place(kernel, g->b, g->b_at, g->b_n, NULL), place(kernel, g->c, g->c_at, g->n, rows)));
}

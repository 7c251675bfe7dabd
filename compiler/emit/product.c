/* Matrix products as calls: of CBLAS, or of the kernels of support/product.c. */
#include "emit.h"

#include <string.h>

/* ── CBLAS ────────────────────────────────────────────────────────────────────────────────── */

/* A size in the type that CBLAS takes. */
static const char *as_int(Emit *emit, const char *size) {
    if (size[strspn(size, "0123456789")] == '\0') return size;
    return arena_printf(emit->arena, strchr(size, ' ') ? "(int)(%s)" : "(int)%s", size);
}

static const char *integer_text(Emit *emit, const Poly *poly) { return as_int(emit, poly_text(emit, poly)); }

/* A distance between rows; rows of which there is only one are as far apart as they are long. */
static const char *leading(Emit *emit, const Poly *distance, const Poly *length) {
    return integer_text(emit, poly_is(distance, 0) ? length : distance);
}

static bool adjacent(const Poly *distance) { return poly_is(distance, 0) || poly_is(distance, 1); }

static const char *beta(const Gemm *g) { return g->add ? "1.0f" : "0.0f"; }

static const char *sgemm_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    const bool a_rows = adjacent(g->a_k), b_rows = adjacent(g->b_n);
    return arena_printf(
        emit->arena, "cblas_sgemm(CblasRowMajor, %s, %s, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, %s);",
        a_rows ? "CblasNoTrans" : "CblasTrans", b_rows ? "CblasNoTrans" : "CblasTrans", as_int(emit, rows),
        integer_text(emit, g->n), integer_text(emit, g->k), a,
        a_rows ? leading(emit, g->a_m, g->k) : leading(emit, g->a_k, g->m), b,
        b_rows ? leading(emit, g->b_k, g->n) : leading(emit, g->b_n, g->k), beta(g), c, integer_text(emit, g->n));
}

/* A matrix with `rows` rows `row` apart and `columns` columns `column` apart, of which `count` rows are multiplied with a vector. */
typedef struct Matrix { const char *place, *count; const Poly *rows, *columns, *row, *column; } Matrix;

static const char *sgemv_call(Emit *emit, const Matrix *matrix, const char *x, const Poly *x_step,
                              const char *beta_text, const char *y) {
    const bool by_rows = adjacent(matrix->column);
    const char *rows = as_int(emit, matrix->count), *columns = integer_text(emit, matrix->columns);
    return arena_printf(
        emit->arena, "cblas_sgemv(CblasRowMajor, %s, %s, %s, 1.0f, %s, %s, %s, %s, %s, %s, 1);",
        by_rows ? "CblasNoTrans" : "CblasTrans", by_rows ? rows : columns, by_rows ? columns : rows, matrix->place,
        by_rows ? leading(emit, matrix->row, matrix->columns) : leading(emit, matrix->column, matrix->rows), x,
        poly_is(x_step, 0) ? "1" : integer_text(emit, x_step), beta_text, y);
}

/* ── kernels of our own ───────────────────────────────────────────────────────────────────── */

/* How far neighbours are apart; of what is only one, as if it were packed. */
static const char *apart(Emit *emit, const Poly *distance) {
    return poly_is(distance, 0) ? "1" : poly_text(emit, distance);
}

/* A row of the result, where it has only one, or else its only column: a vector times the rows of a matrix. */
static const char *vector_call(Emit *emit, const Gemm *g, const Matrix *matrix, const char *x, const Poly *x_step,
                               const char *c) {
    const char *rows = matrix->count, *columns = poly_text(emit, matrix->columns);
    if (adjacent(matrix->row))
        return arena_printf(emit->arena, "%s(1, %s, %s, %s, 1, %s, %s, %s, %s, %s, %d);", piece(emit, "product"), rows,
                            columns, x, apart(emit, x_step), matrix->place, apart(emit, matrix->column), c, rows, g->add);
    if (adjacent(matrix->column) && adjacent(x_step))
        return arena_printf(emit->arena, "%s(%s, %s, %s, %s, %s, %s, %d);", piece(emit, "product_vector"), rows, columns,
                            matrix->place, poly_text(emit, matrix->row), x, c, g->add);
    return NULL;
}

static const char *kernel_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    const char *sizes = arena_printf(emit->arena, "%s, %s, %s", rows, poly_text(emit, g->n), poly_text(emit, g->k));
    const char *left = arena_printf(emit->arena, "%s, %s, %s", a, apart(emit, g->a_m), apart(emit, g->a_k));
    const char *right = arena_printf(emit->arena, "%s, %s", b, apart(emit, g->b_k));
    const char *result = arena_printf(emit->arena, "%s, %s, %d", c, poly_text(emit, g->n), g->add);
    if (adjacent(g->b_n))
        return arena_printf(emit->arena, "%s(%s, %s, %s, %s);", piece(emit, "product"), sizes, left, right, result);
    return arena_printf(emit->arena, "%s(%s, %s, %s, %s, %s);", piece(emit, "product_turned"), sizes, left, right,
                        apart(emit, g->b_n), result);
}

/* ── which it is to be ────────────────────────────────────────────────────────────────────── */

/* One call, on operands given as text, by BLAS or without. `rows` says how many rows to compute; NULL: all. */
static const char *gemm_call(Emit *emit, const Gemm *g, const char *rows, const char *a, const char *b, const char *c) {
    if (rows == NULL) rows = poly_text(emit, g->m);
    const Matrix of_a = {a, rows, g->m, g->k, g->a_m, g->a_k}, of_b = {b, poly_text(emit, g->n), g->n, g->k, g->b_n, g->b_k};
    const bool column = poly_is(g->n, 1), row = poly_is(g->m, 1);
    if (gemm_by_blas(emit->module, emit->options, g))
        return column ? sgemv_call(emit, &of_a, b, g->b_k, beta(g), c)
               : row  ? sgemv_call(emit, &of_b, a, g->a_k, beta(g), c)
                      : sgemm_call(emit, g, rows, a, b, c);
    const char *call = column ? vector_call(emit, g, &of_a, b, g->b_k, c)
                       : row  ? vector_call(emit, g, &of_b, a, g->a_k, c)
                              : NULL;
    return call ? call : kernel_call(emit, g, rows, a, b, c);
}

/* ── the product with its loops ───────────────────────────────────────────────────────────── */

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

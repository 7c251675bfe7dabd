/* Matrix products of emitted code without a BLAS: plain C that compilers turn into vector code.
 *
 * gdlc copies this with --blas=none (see math.c for the form). */
#include <stddef.h>

/*** pack
 * Copies a block of a matrix so that its elements lie in the order in which the product reads them: panels of `width` rows,
 * column by column, filled up with zeros. */
static void support_pack(size_t rows, size_t columns, const float *restrict from, size_t row, size_t column, size_t width,
                         float *restrict to) {
    for (size_t first = 0; first < rows; first += width)
        for (size_t k = 0; k < columns; k++)
            for (size_t i = 0; i < width; i++)
                *to++ = first + i < rows ? from[(first + i) * row + k * column] : 0.0f;
}

/*** panel
 * A 6 x 16 tile of the product from two packed panels of depth k, in registers, added to c. */
static void support_panel(size_t k, const float *restrict a, const float *restrict b, size_t rows, size_t columns,
                          float *restrict c, size_t row) {
    float tile[6][16] = {{0.0f}};
    for (; k > 0; k--, a += 6, b += 16)
        for (size_t i = 0; i < 6; i++)
            for (size_t j = 0; j < 16; j++) tile[i][j] += a[i] * b[j];
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) c[i * row + j] += tile[i][j];
}

/*** gemm_add: pack panel
 * c[m][n] += a[m][k] b[k][n]. Neighbours along m and k in `a` are a_m and a_k elements apart, those along k and n in `b`
 * b_k and b_n; c is packed. Blocks of a and b are packed to stay in the caches. */
static void support_gemm_add(size_t m, size_t n, size_t k, const float *a, size_t a_m, size_t a_k, const float *b, size_t b_k,
                             size_t b_n, float *c) {
    enum { ROWS = 48, COLUMNS = 64, DEPTH = 128 };
    float a_block[ROWS * DEPTH], b_block[COLUMNS * DEPTH];
    for (size_t k0 = 0; k0 < k; k0 += DEPTH)
        for (size_t j0 = 0; j0 < n; j0 += COLUMNS) {
            const size_t depth = k - k0 < DEPTH ? k - k0 : DEPTH, columns = n - j0 < COLUMNS ? n - j0 : COLUMNS;
            support_pack(columns, depth, b + k0 * b_k + j0 * b_n, b_n, b_k, 16, b_block);
            for (size_t i0 = 0; i0 < m; i0 += ROWS) {
                const size_t rows = m - i0 < ROWS ? m - i0 : ROWS;
                support_pack(rows, depth, a + i0 * a_m + k0 * a_k, a_m, a_k, 6, a_block);
                for (size_t j = 0; j < columns; j += 16)
                    for (size_t i = 0; i < rows; i += 6)
                        support_panel(depth, a_block + i * depth, b_block + j * depth, rows - i < 6 ? rows - i : 6,
                                      columns - j < 16 ? columns - j : 16, c + (i0 + i) * n + j0 + j, n);
            }
        }
}

/*** gemm: gemm_add
 * The same into a c that is not read. */
static void support_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_m, size_t a_k, const float *b, size_t b_k,
                         size_t b_n, float *c) {
    for (size_t i = 0; i < m * n; i++) c[i] = 0.0f;
    support_gemm_add(m, n, k, a, a_m, a_k, b, b_k, b_n, c);
}

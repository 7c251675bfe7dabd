/* The rearrangements of one image that turn a convolution into a matrix product (see math.c for the form).
 *
 * Position p of the result and position k of the kernel meet the element p * stride + k * dilation - low of the image, spread
 * out by zeros: between its elements lie spread - 1 of them. Every size is a constant where these are called, and they
 * are expanded there, so that no test of a size is left in them and the inner loops become vector code. */
#include <stddef.h>
#include <string.h>

/*** geometry
 * A convolution of one image, along rows and columns: sizes, how far apart elements of the image lie, and what it is done
 * with. */
typedef struct support_geometry {
    ptrdiff_t rows, columns, channels;
    ptrdiff_t row, column, channel; /* distances, in floats */
    ptrdiff_t out_rows, out_columns, kernel_rows, kernel_columns;
    ptrdiff_t row_stride, row_low, row_spread, row_dilation;
    ptrdiff_t column_stride, column_low, column_spread, column_dilation;
} support_geometry;

/*** expanded
 * A function that is expanded where it is called, however long it is. */
#if defined __GNUC__
#define support_expanded static inline __attribute__((always_inline))
#else
#define support_expanded static inline
#endif

/*** conv_place
 * The position in an image of a place in what is spread out of it; -1 for one of the zeros. */
static inline ptrdiff_t support_conv_place(ptrdiff_t place, ptrdiff_t spread, ptrdiff_t size) {
    if (place < 0 || place % spread != 0) return -1;
    return place / spread < size ? place / spread : -1;
}

/*** conv_row: expanded geometry
 * What a row of the kernel covers of a row of the image, at each position of a row of the result, `width` floats apart. A
 * row of the kernel covers neighbours; only at the ends, where it reaches over the edge, is each element looked at. The
 * channels are a loop of their own: in one loop with the columns, compilers call memmove, which costs more than the copy. */
support_expanded void support_conv_row(const support_geometry *g, const float *restrict row, float *restrict to, ptrdiff_t width) {
    const ptrdiff_t length = g->kernel_columns * g->channels, end = g->columns * g->channels;
    for (ptrdiff_t q = 0; q < g->out_columns; q++) {
        const ptrdiff_t first = (q * g->column_stride - g->column_low) * g->channels;
        if (first >= 0 && first + length <= end)
            for (ptrdiff_t l = 0; l < length; l += g->channels)
                for (ptrdiff_t i = 0; i < g->channels; i++) to[q * width + l + i] = row[first + l + i];
        else
            for (ptrdiff_t i = 0; i < length; i++) to[q * width + i] = first + i < 0 || first + i >= end ? 0.0f : row[first + i];
    }
}

/*** conv_elements: expanded geometry conv_place
 * The same for elements that lie apart, or have zeros between them. */
support_expanded void support_conv_elements(const support_geometry *g, const float *restrict row, float *restrict to, ptrdiff_t width) {
    for (ptrdiff_t q = 0; q < g->out_columns; q++)
        for (ptrdiff_t l = 0; l < g->kernel_columns; l++) {
            const ptrdiff_t place = q * g->column_stride + l * g->column_dilation - g->column_low;
            const ptrdiff_t c = support_conv_place(place, g->column_spread, g->columns);
            float *at = to + q * width + l * g->channels;
            for (ptrdiff_t i = 0; i < g->channels; i++) at[i] = c < 0 ? 0.0f : row[c * g->column + i * g->channel];
        }
}

/*** conv_gather: geometry conv_place conv_row conv_elements
 * to[out row][out column][kernel row][kernel column][channel]: what the kernel covers at each position of the result. */
support_expanded void support_conv_gather(const support_geometry *g, const float *restrict x, float *restrict to) {
    const ptrdiff_t length = g->kernel_columns * g->channels, width = g->kernel_rows * length;
    const int neighbours = g->column_dilation == 1 && g->column_spread == 1 && g->column == g->channels &&
                           (g->channel == 1 || g->channels == 1);
    for (ptrdiff_t p = 0; p < g->out_rows; p++, to += g->out_columns * width)
        for (ptrdiff_t k = 0; k < g->kernel_rows; k++) {
            const ptrdiff_t r = support_conv_place(p * g->row_stride + k * g->row_dilation - g->row_low, g->row_spread, g->rows);
            float *at = to + k * length;
            if (r < 0) for (ptrdiff_t q = 0; q < g->out_columns; q++) for (ptrdiff_t i = 0; i < length; i++) at[q * width + i] = 0.0f;
            else if (neighbours) support_conv_row(g, x + r * g->row, at, width);
            else support_conv_elements(g, x + r * g->row, at, width);
        }
}

/*** conv_scatter: expanded geometry
 * Adds products[row][column][kernel row][kernel column][channel], one for each position of the image, to the result
 * out[out row][out column][channel]. */
support_expanded void support_conv_scatter(const support_geometry *g, const float *restrict products, float *restrict out) {
    memset(out, 0, (size_t)(g->out_rows * g->out_columns * g->channels) * sizeof *out);
    for (ptrdiff_t r = 0; r < g->rows; r++)
        for (ptrdiff_t c = 0; c < g->columns; c++)
            for (ptrdiff_t k = 0; k < g->kernel_rows; k++)
                for (ptrdiff_t l = 0; l < g->kernel_columns; l++, products += g->channels) {
                    const ptrdiff_t p = r * g->row_spread + g->row_low - k * g->row_dilation;
                    const ptrdiff_t q = c * g->column_spread + g->column_low - l * g->column_dilation;
                    if (p < 0 || q < 0 || p % g->row_stride != 0 || q % g->column_stride != 0) continue;
                    if (p / g->row_stride >= g->out_rows || q / g->column_stride >= g->out_columns) continue;
                    float *to = out + (p / g->row_stride * g->out_columns + q / g->column_stride) * g->channels;
                    for (ptrdiff_t i = 0; i < g->channels; i++) to[i] += products[i];
                }
}

/*** conv_kernel: expanded geometry conv_place
 * to[kernel row][kernel column][channel][out row][out column]: the gradient of a kernel, whose elements are the positions
 * of the result, and the positions of the gradient of what the convolution made are the elements of its kernel. */
support_expanded void support_conv_kernel(const support_geometry *g, const float *restrict x, float *restrict to) {
    for (ptrdiff_t k = 0; k < g->kernel_rows; k++)
        for (ptrdiff_t l = 0; l < g->kernel_columns; l++, to += g->channels * g->out_rows * g->out_columns)
            for (ptrdiff_t p = 0; p < g->out_rows; p++)
                for (ptrdiff_t q = 0; q < g->out_columns; q++) {
                    const ptrdiff_t r = support_conv_place(p * g->row_stride + k * g->row_dilation - g->row_low, g->row_spread, g->rows);
                    const ptrdiff_t c = support_conv_place(q * g->column_stride + l * g->column_dilation - g->column_low, g->column_spread, g->columns);
                    float *at = to + p * g->out_columns + q;
                    for (ptrdiff_t i = 0; i < g->channels; i++, at += g->out_rows * g->out_columns)
                        *at = r < 0 || c < 0 ? 0.0f : x[r * g->row + c * g->column + i * g->channel];
                }
}

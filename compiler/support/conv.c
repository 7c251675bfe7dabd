/* Convolutions, straight from the images (see math.c for the form).
 *
 * Along each axis, tap k of the kernel meets at position p of the result the element p * stride + k * dilation - low of the
 * image, spread out by zeros: between its elements lie spread - 1 of them. Those zeros and the ones around the image are
 * not multiplied: the taps that meet an element are known beforehand. Sums are kept in a tile of registers: in most forms of
 * several images at the same position, which meet the same taps.
 *
 * Every size is a constant where these functions are called, and they are expanded there. */
#include "vector.c"

/*** geometry
 * A convolution. Distances are in floats, between neighbours. */
typedef struct support_axis {
    ptrdiff_t size, positions, taps; /* of the image, of the result, of the kernel */
    ptrdiff_t stride, dilation, low, spread;
    ptrdiff_t next_tap, tap_moves;  /* at one position, the next tap that meets an element, and how much further on */
    ptrdiff_t next_position, moves; /* of one tap, the next position where it does, and how much further on */
    ptrdiff_t image, kernel, out;   /* distances in the image, in the kernel, in the result */
} support_axis;
typedef struct support_geometry {
    support_axis row, column;
    ptrdiff_t channels, filters;         /* of the image, of the result, whose filters are neighbours */
    ptrdiff_t image, channel, out_image; /* distances between images, their channels, results */
    ptrdiff_t kernel_channel, kernel_filter;
    ptrdiff_t block; /* for the gradient: images to go through at once */
} support_geometry;

/*** taps: expanded
 * Which of `count` steps from `start` on meet an element of `size` that are `spread` apart, as every `next`th may: `count` of
 * them, of which `first` is the first and meets the element `place`. */
typedef struct support_taps {
    ptrdiff_t first, count, place;
} support_taps;
support_expanded support_taps support_meet(ptrdiff_t count, ptrdiff_t next, ptrdiff_t start, ptrdiff_t step,
                                           ptrdiff_t spread, ptrdiff_t size) {
    const ptrdiff_t span = (size - 1) * spread - start, end = span < 0 ? 0 : span / step + 1,
                    last = (end < count ? end : count) - 1;
    ptrdiff_t first = start < 0 ? (step - 1 - start) / step : 0;
    for (ptrdiff_t i = 1; i < next && (start + first * step) % spread != 0; i++) first++;
    const ptrdiff_t at = start + first * step;
    return first > last || at % spread != 0 ? (support_taps){0, 0, 0}
                                            : (support_taps){first, (last - first) / next + 1, at / spread};
}

/*** conv_taps: geometry taps expanded
 * The taps that meet an element at a position. */
support_expanded support_taps support_conv_taps(const support_axis *axis, ptrdiff_t position) {
    return support_meet(axis->taps, axis->next_tap, position * axis->stride - axis->low, axis->dilation, axis->spread,
                        axis->size);
}

/*** conv_positions: geometry taps expanded
 * The positions where a tap meets an element. */
support_expanded support_taps support_conv_positions(const support_axis *axis, ptrdiff_t tap) {
    return support_meet(axis->positions, axis->next_position, tap * axis->dilation - axis->low, axis->stride, axis->spread,
                        axis->size);
}

/*** conv_slot: geometry expanded
 * Where a tap lies in a packed kernel: those that meet neighbouring elements are neighbours. */
support_expanded ptrdiff_t support_conv_slots(const support_axis *axis) {
    return (axis->taps + axis->next_tap - 1) / axis->next_tap * axis->next_tap;
}
support_expanded ptrdiff_t support_conv_slot(const support_axis *axis, ptrdiff_t tap) {
    return tap % axis->next_tap * (support_conv_slots(axis) / axis->next_tap) + tap / axis->next_tap;
}

/*** conv_pack_filters: geometry vector conv_slot
 * The kernel as panels of two vectors of filters (the last may be one): [panel][row][slot][channel][filter]. */
support_expanded void support_conv_pack_filters(const support_geometry *g, const float *restrict kernel,
                                                float *restrict packed) {
    const ptrdiff_t taps = g->row.taps * support_conv_slots(&g->column);
    for (ptrdiff_t o = 0, width; o < g->filters; o += width, packed += taps * g->channels * width) {
        width = g->filters - o > SUPPORT_LANES ? 2 * SUPPORT_LANES : SUPPORT_LANES;
        for (ptrdiff_t k = 0; k < g->row.taps; k++)
            for (ptrdiff_t l = 0; l < g->column.taps; l++) {
                const float *from = kernel + k * g->row.kernel + l * g->column.kernel + o * g->kernel_filter;
                float *to =
                    packed + (k * support_conv_slots(&g->column) + support_conv_slot(&g->column, l)) * g->channels * width;
                const ptrdiff_t filters = g->filters - o < width ? g->filters - o : width;
                for (ptrdiff_t i = 0; i < g->channels; i++)
                    for (ptrdiff_t j = 0; j < width; j++)
                        to[i * width + j] = j < filters ? from[i * g->kernel_channel + j * g->kernel_filter] : 0.0f;
            }
    }
}

/*** conv_filters_tile: geometry taps conv_slot vector_zero vector_load vector_store_part
 * `tile` results, whose elements of the image lie x_apart and which themselves lie out_apart, of one or two vectors of
 * filters. */
support_expanded void support_conv_filters_tile(const support_geometry *g, ptrdiff_t tile, ptrdiff_t vectors,
                                                support_taps r, support_taps c, const float *x, ptrdiff_t x_apart,
                                                const float *packed, float *out, ptrdiff_t out_apart, ptrdiff_t filters) {
    const int neighbours = g->column.tap_moves * g->column.image == g->channels * g->channel;
    const ptrdiff_t width = vectors * SUPPORT_LANES, runs = neighbours ? 1 : c.count,
                    depth = (neighbours ? c.count : 1) * g->channels;
    support_vector sum[SUPPORT_TILE][2];
    for (ptrdiff_t i = 0; i < tile; i++)
        for (ptrdiff_t v = 0; v < vectors; v++) sum[i][v] = support_vector_zero();
    for (ptrdiff_t k = 0; k < r.count; k++) {
        const ptrdiff_t row = (r.first + k * g->row.next_tap) * support_conv_slots(&g->column);
        const float *b = packed + (row + support_conv_slot(&g->column, c.first)) * g->channels * width;
        for (ptrdiff_t l = 0; l < runs; l++) {
            const float *a =
                x + (r.place + k * g->row.tap_moves) * g->row.image + (c.place + l * g->column.tap_moves) * g->column.image;
            for (size_t e = 0; e < (size_t)depth; e++, a += g->channel, b += width) { /* unsigned: GCC 12 warns of a signed e */
                support_vector weight[2];
                for (ptrdiff_t v = 0; v < vectors; v++) weight[v] = support_vector_load(b + v * SUPPORT_LANES);
                for (ptrdiff_t i = 0; i < tile; i++)
                    for (ptrdiff_t v = 0; v < vectors; v++) sum[i][v] += a[i * x_apart] * weight[v];
            }
        }
    }
    for (ptrdiff_t i = 0; i < tile; i++)
        for (ptrdiff_t v = 0; v < vectors; v++)
            support_vector_store_part(out + i * out_apart + v * SUPPORT_LANES, sum[i][v], filters - v * SUPPORT_LANES);
}

/*** conv_pack_channels: geometry vector conv_slot
 * The kernel for sums along the channels, filled up with zeros to whole vectors: [filter][row][column][channel]. */
support_expanded void support_conv_pack_channels(const support_geometry *g, const float *restrict kernel,
                                                 float *restrict packed) {
    const ptrdiff_t width = (g->channels + SUPPORT_LANES - 1) / SUPPORT_LANES * SUPPORT_LANES;
    for (ptrdiff_t o = 0; o < g->filters; o++)
        for (ptrdiff_t k = 0; k < g->row.taps; k++)
            for (ptrdiff_t l = 0; l < g->column.taps; l++, packed += width) {
                const float *from = kernel + k * g->row.kernel + l * g->column.kernel + o * g->kernel_filter;
                for (ptrdiff_t i = 0; i < width; i++) packed[i] = i < g->channels ? from[i * g->kernel_channel] : 0.0f;
            }
}

/*** conv_channels_tile: geometry taps vector_zero vector_load_part vector_sum
 * `tile` results of one filter: the lanes of a vector are channels, and are summed at the end. */
support_expanded void support_conv_channels_tile(const support_geometry *g, ptrdiff_t tile, support_taps r, support_taps c,
                                                 const float *x, ptrdiff_t x_apart, const float *packed, float *out,
                                                 ptrdiff_t out_apart) {
    const ptrdiff_t vectors = (g->channels + SUPPORT_LANES - 1) / SUPPORT_LANES;
    support_vector sum[SUPPORT_TILE];
    for (ptrdiff_t i = 0; i < tile; i++) sum[i] = support_vector_zero();
    for (ptrdiff_t k = 0; k < r.count; k++)
        for (ptrdiff_t l = 0; l < c.count; l++) {
            const ptrdiff_t tap = (r.first + k * g->row.next_tap) * g->column.taps + c.first + l * g->column.next_tap;
            const float *a =
                x + (r.place + k * g->row.tap_moves) * g->row.image + (c.place + l * g->column.tap_moves) * g->column.image;
            for (ptrdiff_t v = 0; v < vectors; v++) {
                const support_vector weight = support_vector_load(packed + (tap * vectors + v) * SUPPORT_LANES);
                for (ptrdiff_t i = 0; i < tile; i++)
                    sum[i] += weight * support_vector_load_part(a + i * x_apart + v * SUPPORT_LANES,
                                                                g->channels - v * SUPPORT_LANES);
            }
        }
    for (ptrdiff_t i = 0; i < tile; i++) out[i * out_apart] = support_vector_sum(sum[i]);
}

/*** conv_tile: conv_filters_tile conv_channels_tile
 * Of `filters` filters from one on: of one, or of one or two vectors of them. */
support_expanded void support_conv_tile(const support_geometry *g, int along_channels, ptrdiff_t tile, support_taps r,
                                        support_taps c, const float *x, ptrdiff_t x_apart, const float *packed, float *out,
                                        ptrdiff_t out_apart, ptrdiff_t filters) {
    if (along_channels) support_conv_channels_tile(g, tile, r, c, x, x_apart, packed, out, out_apart);
    else if (g->filters % (2 * SUPPORT_LANES) == 0 || (g->filters > SUPPORT_LANES && filters > SUPPORT_LANES))
        support_conv_filters_tile(g, tile, 2, r, c, x, x_apart, packed, out, out_apart, filters);
    else support_conv_filters_tile(g, tile, 1, r, c, x, x_apart, packed, out, out_apart, filters);
}

/*** conv_images: conv_taps conv_tile
 * A whole tile of images: the same position in each. */
support_expanded void support_conv_images(const support_geometry *g, int along_channels, const float *x,
                                          const float *packed, float *out, ptrdiff_t filters) {
    for (ptrdiff_t p = 0; p < g->row.positions; p++) {
        const support_taps r = support_conv_taps(&g->row, p);
        for (ptrdiff_t q = 0; q < g->column.positions; q++)
            support_conv_tile(g, along_channels, SUPPORT_TILE, r, support_conv_taps(&g->column, q), x, g->image, packed,
                              out + p * g->row.out + q * g->column.out, g->out_image, filters);
    }
}

/*** conv_same: conv_taps
 * Whether `count` positions from one on meet the same taps, and any. The first tap that meets an element, and the last, are never
 * further on at a later position: if the last of the positions meets the same, so do those between. */
support_expanded int support_conv_same(const support_axis *axis, ptrdiff_t position, support_taps taps, ptrdiff_t count) {
    const ptrdiff_t last = position + (count - 1) * axis->next_position;
    const support_taps met = support_conv_taps(axis, last);
    return last < axis->positions && met.count > 0 && met.first == taps.first && met.count == taps.count;
}

/*** conv_image: conv_same conv_tile
 * A single image: four positions at once where they meet the same taps. */
support_expanded void support_conv_image(const support_geometry *g, int along_channels, const float *x, const float *packed,
                                         float *out, ptrdiff_t filters) {
    const ptrdiff_t next = g->column.next_position, x_apart = g->column.moves * g->column.image,
                    out_apart = next * g->column.out;
    for (ptrdiff_t p = 0; p < g->row.positions; p++) {
        const support_taps r = support_conv_taps(&g->row, p);
        for (ptrdiff_t start = 0; start < next; start++)
            for (ptrdiff_t q = start, turn; q < g->column.positions; q += turn * next) {
                const support_taps c = support_conv_taps(&g->column, q);
                float *to = out + p * g->row.out + q * g->column.out;
                turn = support_conv_same(&g->column, q, c, 4) ? 4 : 1;
                if (turn == 4) support_conv_tile(g, along_channels, 4, r, c, x, x_apart, packed, to, out_apart, filters);
                else support_conv_tile(g, along_channels, 1, r, c, x, x_apart, packed, to, out_apart, filters);
            }
    }
}

/*** conv_all: conv_images conv_image
 * Images in tiles, and what is left of them; the filters in panels of the packed kernel. */
support_expanded void support_conv_all(const support_geometry *g, int along_channels, ptrdiff_t n, const float *x,
                                       const float *packed, float *out) {
    const ptrdiff_t panel = along_channels ? 1 : 2 * SUPPORT_LANES;
    const ptrdiff_t depth = along_channels
                                ? (g->channels + SUPPORT_LANES - 1) / SUPPORT_LANES * SUPPORT_LANES * g->column.taps
                                : g->channels * support_conv_slots(&g->column);
    for (ptrdiff_t i = 0, turn; i < n; i += turn) {
        turn = i + SUPPORT_TILE <= n ? SUPPORT_TILE : 1;
        for (ptrdiff_t o = 0; o < g->filters; o += panel) {
            const float *from = x + i * g->image, *weights = packed + o * g->row.taps * depth;
            float *to = out + i * g->out_image + o;
            if (turn > 1) support_conv_images(g, along_channels, from, weights, to, g->filters - o);
            else support_conv_image(g, along_channels, from, weights, to, g->filters - o);
        }
    }
}

/*** conv_filters: conv_all
 * out = x * kernel, a vector being of filters. */
support_expanded void support_conv_filters(const support_geometry *g, size_t n, const float *x, const float *packed,
                                           float *out) {
    support_conv_all(g, 0, (ptrdiff_t)n, x, packed, out);
}

/*** conv_channels: conv_all
 * The same, a vector being of channels, which are neighbours: for results with few filters. */
support_expanded void support_conv_channels(const support_geometry *g, size_t n, const float *x, const float *packed,
                                            float *out) {
    support_conv_all(g, 1, (ptrdiff_t)n, x, packed, out);
}

/*** conv_products: geometry taps vector_zero vector_load_part
 * sum[i][filter], over images and the positions p, q where a tap meets an element: that element, for the next row of the tile
 * x_apart from it, times the gradient of the result there, out_apart from it. */
support_expanded void support_conv_products(const support_geometry *g, ptrdiff_t tile, ptrdiff_t vectors, ptrdiff_t images,
                                            support_taps p, support_taps q, const float *x, ptrdiff_t x_apart,
                                            const float *out, ptrdiff_t out_apart, ptrdiff_t filters,
                                            support_vector sum[SUPPORT_TILE][2]) {
    for (ptrdiff_t i = 0; i < tile; i++)
        for (ptrdiff_t v = 0; v < vectors; v++) sum[i][v] = support_vector_zero();
    for (ptrdiff_t image = 0; image < images; image++)
        for (ptrdiff_t k = 0; k < p.count; k++) {
            const float *a = x + image * g->image + (p.place + k * g->row.moves) * g->row.image + q.place * g->column.image;
            const float *b =
                out + image * g->out_image + (p.first + k * g->row.next_position) * g->row.out + q.first * g->column.out;
            for (ptrdiff_t l = 0; l < q.count;
                 l++, a += g->column.moves * g->column.image, b += g->column.next_position * g->column.out)
                for (ptrdiff_t i = 0; i < tile; i++)
                    for (ptrdiff_t v = 0; v < vectors; v++) {
                        const float *at = b + i * out_apart + v * SUPPORT_LANES;
                        sum[i][v] += a[i * x_apart] * (g->filters % SUPPORT_LANES == 0
                                                           ? support_vector_load(at)
                                                           : support_vector_load_part(at, filters - v * SUPPORT_LANES));
                    }
        }
}

/*** conv_add: vector_load_part vector_store_part
 * The first lanes of a vector, added to what is there. */
support_expanded void support_conv_add(float *to, support_vector v, ptrdiff_t count) {
    support_vector_store_part(to, support_vector_load_part(to, count) + v, count);
}

/*** conv_gradient_tile: conv_products conv_add
 * Adds to a tap of the kernel's gradient: a tile of channels summed over images, or (`images_tile`) one channel, a tile being
 * of images. */
support_expanded void support_conv_gradient_tile(const support_geometry *g, int images_tile, ptrdiff_t tile,
                                                 ptrdiff_t vectors, ptrdiff_t images, support_taps p, support_taps q,
                                                 const float *x, const float *out, float *kernel, ptrdiff_t filters) {
    support_vector sum[SUPPORT_TILE][2];
    if (images_tile) {
        support_conv_products(g, tile, vectors, 1, p, q, x, g->image, out, g->out_image, filters, sum);
        for (ptrdiff_t v = 0; v < vectors; v++) {
            for (ptrdiff_t i = 1; i < tile; i++) sum[0][v] += sum[i][v];
            support_conv_add(kernel + v * SUPPORT_LANES, sum[0][v], filters - v * SUPPORT_LANES);
        }
    } else {
        support_conv_products(g, tile, vectors, images, p, q, x, g->channel, out, 0, filters, sum);
        for (ptrdiff_t i = 0; i < tile; i++)
            for (ptrdiff_t v = 0; v < vectors; v++)
                support_conv_add(kernel + i * g->kernel_channel + v * SUPPORT_LANES, sum[i][v],
                                 filters - v * SUPPORT_LANES);
    }
}

/*** conv_gradient_panel: conv_gradient_tile
 * The same for `filters` filters from one on: one or two vectors of them. */
support_expanded void support_conv_gradient_panel(const support_geometry *g, int images_tile, ptrdiff_t tile,
                                                  ptrdiff_t images, support_taps p, support_taps q, const float *x,
                                                  const float *out, float *kernel, ptrdiff_t filters) {
    if (g->filters % (2 * SUPPORT_LANES) == 0 || (g->filters > SUPPORT_LANES && filters > SUPPORT_LANES))
        support_conv_gradient_tile(g, images_tile, tile, 2, images, p, q, x, out, kernel, filters);
    else support_conv_gradient_tile(g, images_tile, tile, 1, images, p, q, x, out, kernel, filters);
}

/*** conv_gradient_channels: conv_positions conv_gradient_panel
 * Of a tap and a block of images, where the channels are enough for a tile. */
support_expanded void support_conv_gradient_channels(const support_geometry *g, ptrdiff_t k, ptrdiff_t l, ptrdiff_t images,
                                                     const float *x, const float *out, float *kernel) {
    const support_taps p = support_conv_positions(&g->row, k), q = support_conv_positions(&g->column, l);
    for (ptrdiff_t o = 0; o < g->filters; o += 2 * SUPPORT_LANES)
        for (ptrdiff_t i = 0; i < g->channels; i += SUPPORT_TILE) {
            const float *from = x + i * g->channel;
            float *to = kernel + i * g->kernel_channel + o;
            if (g->channels % SUPPORT_TILE == 0 || g->channels - i >= SUPPORT_TILE)
                support_conv_gradient_panel(g, 0, SUPPORT_TILE, images, p, q, from, out + o, to, g->filters - o);
            else
                support_conv_gradient_panel(g, 0, g->channels % SUPPORT_TILE, images, p, q, from, out + o, to,
                                            g->filters - o);
        }
}

/*** conv_gradient_row: conv_taps conv_positions conv_gradient_panel
 * Of a tap and a row of the result, of `tile` images, where the channels are few. */
support_expanded void support_conv_gradient_row(const support_geometry *g, ptrdiff_t k, ptrdiff_t l, ptrdiff_t p,
                                                ptrdiff_t tile, const float *x, const float *out, float *kernel) {
    const support_taps row =
        support_meet(1, 1, p * g->row.stride + k * g->row.dilation - g->row.low, 1, g->row.spread, g->row.size);
    const support_taps at = {p, row.count, row.place}, q = support_conv_positions(&g->column, l);
    for (ptrdiff_t o = 0; o < g->filters; o += 2 * SUPPORT_LANES)
        for (ptrdiff_t i = 0; row.count > 0 && i < g->channels; i++)
            support_conv_gradient_panel(g, 1, tile, 1, at, q, x + i * g->channel, out + o,
                                        kernel + i * g->kernel_channel + o, g->filters - o);
}

/*** conv_gradient_block: conv_gradient_channels
 * Of taps `first` to `end`, over a block of images. */
support_expanded void support_conv_gradient_block(const support_geometry *g, ptrdiff_t first, ptrdiff_t end,
                                                  ptrdiff_t images, const float *x, const float *out, float *kernel) {
    for (ptrdiff_t t = first; t < end; t++)
        support_conv_gradient_channels(g, t / g->column.taps, t % g->column.taps, images, x, out,
                                       kernel + t * g->column.kernel);
}

/*** conv_gradient_images: conv_gradient_row
 * Of taps `first` to `end`, over `tile` images: row by row of the result, which stays in the nearest cache. */
support_expanded void support_conv_gradient_images(const support_geometry *g, ptrdiff_t first, ptrdiff_t end,
                                                   ptrdiff_t tile, const float *x, const float *out, float *kernel) {
    for (ptrdiff_t p = 0; p < g->row.positions; p++)
        for (ptrdiff_t t = first; t < end; t++)
            support_conv_gradient_row(g, t / g->column.taps, t % g->column.taps, p, tile, x, out,
                                      kernel + t * g->column.kernel);
}

/*** conv_gradient: conv_gradient_block conv_gradient_images
 * Taps `first` to `end` of kernel = the sum over images of x * out, the gradient of the result. The kernel's taps lie in
 * order. */
support_expanded void support_conv_gradient(const support_geometry *g, size_t first, size_t end, size_t n, const float *x,
                                            const float *out, float *kernel) {
    const ptrdiff_t from = (ptrdiff_t)first, to = (ptrdiff_t)end, images = (ptrdiff_t)n;
    for (ptrdiff_t t = from; t < to; t++)
        for (ptrdiff_t i = 0; i < g->channels; i++)
            for (ptrdiff_t o = 0; o < g->filters; o++) kernel[t * g->column.kernel + i * g->kernel_channel + o] = 0.0f;
    if (g->channels * 2 > SUPPORT_TILE)
        for (ptrdiff_t i = 0; i < images; i += g->block)
            support_conv_gradient_block(g, from, to, images - i < g->block ? images - i : g->block, x + i * g->image,
                                        out + i * g->out_image, kernel);
    else
        for (ptrdiff_t i = 0, turn; i < images; i += turn) {
            turn = i + SUPPORT_TILE <= images ? SUPPORT_TILE : 1;
            if (turn > 1)
                support_conv_gradient_images(g, from, to, SUPPORT_TILE, x + i * g->image, out + i * g->out_image, kernel);
            else support_conv_gradient_images(g, from, to, 1, x + i * g->image, out + i * g->out_image, kernel);
        }
}

/* Matrix products of emitted code (see math.c for the form): c = a b, or c += a b, where c has m rows and n columns, and a product
 * of k terms is summed for each element. Neighbours along m and k in `a` lie a_m and a_k elements apart, those along k and n in b
 * b_k and b_n, the rows of c c_m.
 *
 * A tile of the result stays in registers while the product runs along k. The lanes of a register are either neighbouring columns
 * of the result or neighbouring rows: how the operands lie decides which, so that nothing large is ever rearranged. Each
 * element is the sum of its terms in their order, in blocks of a fixed depth, however rows and columns are cut: a product in parts
 * gives the same bits as the whole. A sum of no terms is 0. */
#include "vector.c"

/*** operands
 * Of a product, or of a tile of one. */
typedef struct support_operands {
    const float *a, *b;
    float *c;
    size_t a_m, a_k, b_k, b_n, c_m;
    int add; /* to what c holds */
    const float *ahead, *end; /* what will be read next, from here on: brought nearer meanwhile, */
    size_t line;              /* a line of so many numbers for each k; 0: nothing is left */
} support_operands;

/*** fetch
 * Begins to bring the line of an address, which may be any, into the second-level cache. */
#if defined __GNUC__
#define SUPPORT_FETCH(address) __builtin_prefetch(address, 0, 2)
#else
#define SUPPORT_FETCH(address) ((void)(address))
#endif

/*** tile: operands unrolled fetch vector_spread vector_multiply_add vector_load vector_load_part vector_store_part
 * `rows` rows of c, `vectors` registers wide, of which the last has `lanes` columns. b_n is 1. */
support_expanded void support_tile(const size_t rows, const size_t vectors, size_t depth, size_t lanes, const support_operands *o) {
    support_vector sum[SUPPORT_TILE][3], right[3];
    const float *a = o->a, *b = o->b, *ahead = o->ahead;
    SUPPORT_UNROLLED
    for (size_t i = 0; i < rows; i++)
        SUPPORT_UNROLLED
        for (size_t j = 0; j < vectors; j++) sum[i][j] = support_vector_spread(0.0f);
    for (size_t k = 0; k < depth; k++, a += o->a_k, b += o->b_k, ahead += o->line) {
        SUPPORT_FETCH(ahead);
        SUPPORT_UNROLLED
        for (size_t j = 0; j + 1 < vectors; j++) right[j] = support_vector_load(b + j * SUPPORT_LANES);
        right[vectors - 1] = support_vector_load_part(b + (vectors - 1) * SUPPORT_LANES, (ptrdiff_t)lanes);
        SUPPORT_UNROLLED
        for (size_t i = 0; i < rows; i++) {
            const support_vector left = support_vector_spread(a[i * o->a_m]);
            SUPPORT_UNROLLED
            for (size_t j = 0; j < vectors; j++) sum[i][j] = support_vector_multiply_add(left, right[j], sum[i][j]);
        }
    }
    const size_t c_m = o->c_m, last = vectors - 1;
    float *to = o->c;
    if (o->add) {
        SUPPORT_UNROLLED
        for (size_t i = 0; i < rows; i++)
            SUPPORT_UNROLLED
            for (size_t j = 0; j < vectors; j++)
                sum[i][j] += support_vector_load_part(to + i * c_m + j * SUPPORT_LANES, j < last ? SUPPORT_LANES : (ptrdiff_t)lanes);
    }
    SUPPORT_UNROLLED
    for (size_t i = 0; i < rows; i++, to += c_m)
        SUPPORT_UNROLLED
        for (size_t j = 0; j < vectors; j++)
            support_vector_store_part(to + j * SUPPORT_LANES, sum[i][j], j < last ? SUPPORT_LANES : (ptrdiff_t)lanes);
}

/*** tile_of: separate tile
 * The same for any number of rows and registers that a tile can have: one function for all products. */
support_separate void support_tile_of(size_t rows, size_t vectors, size_t depth, size_t lanes, const support_operands *o) {
#define SUPPORT_CASES(ROWS)                                                                                                    \
    case 3 * ROWS - 2: support_tile(ROWS, 1, depth, lanes, o); break;                                                          \
    case 3 * ROWS - 1: support_tile(ROWS, 2, depth, lanes, o); break;                                                          \
    case 3 * ROWS: support_tile(ROWS, 3, depth, lanes, o); break;
    switch (3 * (rows - 1) + vectors) {
        SUPPORT_CASES(1) SUPPORT_CASES(2) SUPPORT_CASES(3) SUPPORT_CASES(4)
#if defined __AVX512F__ || defined __aarch64__ /* SUPPORT_TILE is 8 */
        SUPPORT_CASES(5) SUPPORT_CASES(6) SUPPORT_CASES(7) SUPPORT_CASES(8)
#endif
    }
#undef SUPPORT_CASES
}

/*** strip: tile_of
 * `vectors` registers of columns, in all m rows, which the tiles share evenly. */
static void support_strip(size_t m, size_t vectors, size_t depth, size_t lanes, support_operands *o) {
    for (size_t tiles = (m + SUPPORT_TILE - 1) / SUPPORT_TILE, rows; tiles > 0; tiles--, m -= rows) {
        rows = (m + tiles - 1) / tiles;
        o->line = o->ahead < o->end ? 16 : 0;
        support_tile_of(rows, vectors, depth, lanes, o);
        o->a += rows * o->a_m, o->c += rows * o->c_m, o->ahead += depth * o->line;
    }
}

/*** depth
 * Of the equal blocks in which a sum of k terms is taken: about `usual`, less than one and a half times that. */
static size_t support_depth(size_t k, size_t usual) {
    const size_t blocks = k > usual ? (k + usual / 2) / usual : 1;
    return k > 0 ? (k + blocks - 1) / blocks : 1;
}

/*** columns: vector_load_part vector_store
 * What `a` has for a few rows of the result, no more than there are lanes, packed: neighbours along m are neighbours there. */
static void support_columns(size_t rows, size_t depth, const float *a, size_t a_k, float *to) {
    for (size_t k = 0; k < depth; k++)
        support_vector_store(to + k * SUPPORT_LANES, support_vector_load_part(a + k * a_k, (ptrdiff_t)rows));
}

/*** product: depth columns strip
 * Columns in lanes, for a b whose rows are packed (b_n is 1). What a strip of columns needs of b stays in the first-level cache while
 * it is multiplied with some rows of `a`, which stay in the second; the rows of b for the next block of depth are brought there
 * meanwhile, in the order of memory. Strips have equal widths, as far as they can: of fewer registers, a tile would wait for its
 * own sums. An `a` that several strips would each meet on more pages than the processor keeps track of is packed. */
static void support_product(size_t m, size_t n, size_t k, const float *a, size_t a_m, size_t a_k, const float *b, size_t b_k,
                            float *c, size_t c_m, int add) {
    enum { DEPTH = 128, ROWS = 256, NEAR = 64 << 10 };
    float packed[3 * DEPTH / 2 * SUPPORT_LANES];
    const size_t block = support_depth(k, DEPTH);
    const int far = a_m == 1 && n > 3 * SUPPORT_LANES && block * a_k > NEAR;
    const size_t most = far ? SUPPORT_LANES : ROWS;
    for (size_t row = 0; row < m; row += most)
        for (size_t start = 0; start == 0 || start < k; start += block) {
            const size_t rows = m - row < most ? m - row : most, depth = k - start < block ? k - start : block;
            const size_t next = start + 2 * block < k ? start + 2 * block : k;
            const float *const left = far ? packed : a + row * a_m + start * a_k;
            support_operands strip = {.a_m = a_m, .a_k = far ? SUPPORT_LANES : a_k, .b_k = b_k, .b_n = 1, .c_m = c_m,
                                      .add = add || start > 0, .ahead = b + (start + depth) * b_k, .end = b + next * b_k};
            size_t registers = (n + SUPPORT_LANES - 1) / SUPPORT_LANES, column = 0;
            if (far) support_columns(rows, depth, a + row + start * a_k, a_k, packed);
            for (size_t strips = (registers + 2) / 3, vectors; strips > 0; strips--, registers -= vectors) {
                strip.a = left, strip.b = b + start * b_k + column, strip.c = c + row * c_m + column;
                vectors = (registers + strips - 1) / strips;
                column += vectors * SUPPORT_LANES;
                support_strip(rows, vectors, depth, column < n ? SUPPORT_LANES : n + SUPPORT_LANES - column, &strip);
            }
        }
}

/*** turned_tile: operands vector_transpose vector_spread vector_multiply_add vector_load_part vector_store_part first
 * `rows` rows of c, in the lanes of a register for each of its columns, which are a power of two; the first `done` of them stay as they
 * are. Neighbours along m in `a` are neighbours in memory. */
support_expanded void support_turned_tile(const size_t columns, size_t depth, size_t rows, size_t done, const float *from, float *to,
                                         const support_operands *o) {
    support_vector sum[SUPPORT_LANES];
    const float *a = o->a, *b[4];
    SUPPORT_UNROLLED
    for (size_t j = 0; j < SUPPORT_LANES; j++) sum[j] = support_vector_spread(0.0f);
    for (size_t j = 0; j < 4; j++) b[j] = from + (4 * j < columns ? 4 * j : 0) * o->b_n; /* few pointers: they are registers, too */
    for (size_t k = 0; k < depth; k++, a += o->a_k) {
        const support_vector left = support_vector_load_part(a, (ptrdiff_t)rows);
        SUPPORT_UNROLLED
        for (size_t j = 0; j < columns; j++)
            sum[j] = support_vector_multiply_add(support_vector_spread(b[j / 4][j % 4 * o->b_n]), left, sum[j]);
        SUPPORT_UNROLLED
        for (size_t j = 0; j < 4; j++) b[j] += o->b_k;
    }
    support_vector_transpose(sum);
    const size_t c_m = o->c_m;
    if (o->add) {
        SUPPORT_UNROLLED
        for (size_t i = 0; i < SUPPORT_LANES; i++)
            if (i < rows) sum[i] += support_vector_load_part(to + i * c_m, (ptrdiff_t)columns);
    }
    if (done > 0) {
        SUPPORT_UNROLLED
        for (size_t i = 0; i < SUPPORT_LANES; i++)
            if (i < rows) sum[i] = support_first(support_vector_load_part(to + i * c_m, (ptrdiff_t)columns), (ptrdiff_t)done, sum[i]);
    }
    SUPPORT_UNROLLED
    for (size_t i = 0; i < SUPPORT_LANES; i++)
        if (i < rows) support_vector_store_part(to + i * c_m, sum[i], (ptrdiff_t)columns);
}

/*** turned_strip: turned_tile separate
 * The same for all n columns: in tiles of as many as there are lanes, and at the end of the next power of two, which begins earlier
 * then, with columns that are done. */
support_separate void support_turned_strip(size_t n, size_t depth, size_t rows, const support_operands *o) {
    for (size_t column = 0, columns = SUPPORT_LANES, done; column < n; column += columns - done) {
        while (columns / 2 >= n - column || columns > n) columns /= 2;
        done = columns > n - column ? columns - (n - column) : 0;
        const float *const b = o->b + (column - done) * o->b_n;
        float *const c = o->c + column - done;
#define SUPPORT_TURNED(COLUMNS)                                                                                                \
    case COLUMNS: support_turned_tile(COLUMNS <= SUPPORT_LANES ? COLUMNS : 1, depth, rows, done, b, c, o); break;
        switch (columns) { SUPPORT_TURNED(16) SUPPORT_TURNED(8) SUPPORT_TURNED(4) SUPPORT_TURNED(2) SUPPORT_TURNED(1) }
#undef SUPPORT_TURNED
    }
}

/*** panel: vector_transpose vector_spread vector_load_part vector_store
 * Rows of a matrix, no more than there are lanes, as the columns of another one, which is packed and filled up with zeros. */
static void support_panel(size_t rows, size_t columns, const float *from, size_t row, size_t column, float *to) {
    support_vector v[SUPPORT_LANES];
    for (size_t k = 0; k < columns; k += SUPPORT_LANES) {
        const size_t count = columns - k < SUPPORT_LANES ? columns - k : SUPPORT_LANES;
        SUPPORT_UNROLLED
        for (size_t i = 0; i < SUPPORT_LANES; i++)
            v[i] = i < rows && column == 1 ? support_vector_load_part(from + i * row + k, (ptrdiff_t)count) : support_vector_spread(0.0f);
        support_vector_transpose(v);
        SUPPORT_UNROLLED
        for (size_t i = 0; i < SUPPORT_LANES; i++) support_vector_store(to + (k + i) * SUPPORT_LANES, v[i]);
    }
    for (size_t k = 0; column != 1 && k < columns; k++)
        for (size_t i = 0; i < rows; i++) to[k * SUPPORT_LANES + i] = from[i * row + k * column];
}

/*** product_turned: depth turned_strip panel
 * Rows in lanes, for any b. What `a` has for one register is brought in order first, where a_m is not 1. */
static void support_product_turned(size_t m, size_t n, size_t k, const float *a, size_t a_m, size_t a_k, const float *b,
                                   size_t b_k, size_t b_n, float *c, size_t c_m, int add) {
    enum { DEPTH = 208 };
    float panel[(3 * DEPTH / 2 + SUPPORT_LANES) * SUPPORT_LANES];
    const size_t block = (support_depth(k, DEPTH) + SUPPORT_LANES - 1) / SUPPORT_LANES * SUPPORT_LANES;
    for (size_t start = 0; start == 0 || start < k; start += block)
        for (size_t row = 0; row < m; row += SUPPORT_LANES) {
            const size_t depth = k - start < block ? k - start : block;
            const size_t rows = m - row < SUPPORT_LANES ? m - row : SUPPORT_LANES;
            const float *from = a + row * a_m + start * a_k;
            if (a_m != 1) support_panel(rows, depth, from, a_m, a_k, panel);
            const support_operands strip = {.a = a_m == 1 ? from : panel, .a_m = 1, .a_k = a_m == 1 ? a_k : SUPPORT_LANES,
                                            .b = b + start * b_k, .b_k = b_k, .b_n = b_n, .c = c + row * c_m, .c_m = c_m,
                                            .add = add || start > 0};
            support_turned_strip(n, depth, rows, &strip);
        }
}

/*** vector_rows: vector_transpose vector_spread vector_multiply_add vector_load_part vector_store_part
 * `rows` rows of a matrix times a vector, a register of terms at a time; what the lanes have summed is added at the end. */
support_expanded void support_vector_rows(const size_t rows, size_t k, const float *a, size_t a_m, const float *b, float *c,
                                          int add) {
    support_vector sum[SUPPORT_LANES];
    SUPPORT_UNROLLED
    for (size_t i = 0; i < SUPPORT_LANES; i++) sum[i] = support_vector_spread(0.0f);
    for (size_t start = 0; start < k; start += SUPPORT_LANES) {
        const size_t count = k - start < SUPPORT_LANES ? k - start : SUPPORT_LANES;
        const support_vector right = support_vector_load_part(b + start, (ptrdiff_t)count);
        SUPPORT_UNROLLED
        for (size_t i = 0; i < rows; i++) {
            const support_vector left = support_vector_load_part(a + i * a_m + start, (ptrdiff_t)count);
            sum[i] = support_vector_multiply_add(left, right, sum[i]);
        }
    }
    support_vector_transpose(sum);
    SUPPORT_UNROLLED
    for (size_t i = 1; i < SUPPORT_LANES; i++) sum[0] += sum[i];
    if (add) sum[0] += support_vector_load_part(c, (ptrdiff_t)rows);
    support_vector_store_part(c, sum[0], (ptrdiff_t)rows);
}

/*** product_vector: vector_rows
 * A matrix with packed rows (a_k is 1), times a packed vector. */
static void support_product_vector(size_t m, size_t k, const float *a, size_t a_m, const float *b, float *c, int add) {
    size_t row = 0;
    for (; row + SUPPORT_LANES <= m; row += SUPPORT_LANES)
        support_vector_rows(SUPPORT_LANES, k, a + row * a_m, a_m, b, c + row, add);
    for (; row < m; row++) support_vector_rows(1, k, a + row * a_m, a_m, b, c + row, add);
}

/* interpret.c: the reference. Evaluates a graph node by node and element by element in double precision.
 *
 * Nothing here is clever, on purpose: every operation is written as its definition reads, from indices, so that the emitted
 * code, which is clever, has something to be compared with. The random draws are computed anew from their specification. */
#include "gdlc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A shape whose sizes are numbers. */
typedef struct Grid {
    int rank;
    int64_t size[MAX_RANK];
} Grid;

typedef struct Run {
    const Values *values;
    double **of;         /* the value of each node, by id; NULL for those that no root needs */
    const double **slots; /* in the body of a loop: its operands in this step */
} Run;

/* ── Indices ──────────────────────────────────────────────────────────────────────────────── */

static Grid grid_of(const Run *run, const Shape *shape) {
    Grid grid = {.rank = shape->rank};
    for (int i = 0; i < shape->rank; i++)
        grid.size[i] = dim_value(shape->dim[i], run->values->symbols);
    return grid;
}

static int64_t part_size(const Run *run, const Node *scan, int part) {
    const Shape shape = part_shape(scan, part);
    return shape_size(&shape, run->values->symbols);
}

/* A loop's results lie one after the other. */
static int64_t part_start(const Run *run, const Node *scan, int part) {
    int64_t start = 0;
    for (int i = 0; i < part; i++)
        start += part_size(run, scan, i);
    return start;
}

static int64_t count_of(const Run *run, const Node *node) {
    if (node->op == OP_SCAN)
        return part_start(run, node, node->attr.scan.body->carried + node->attr.scan.body->collected.count);
    return shape_size(&node->shape, run->values->symbols);
}

/* The index of the element at a row-major position. */
static void unravel(const Grid *grid, int64_t position, int64_t *index) {
    for (int i = grid->rank - 1; i >= 0; i--) {
        index[i] = position % grid->size[i];
        position /= grid->size[i];
    }
}

/* The index of the next element in row-major order; after the last, of the first. */
static void advance(const Grid *grid, int64_t *index) {
    for (int i = grid->rank - 1; i >= 0; i--) {
        if (++index[i] < grid->size[i]) return;
        index[i] = 0;
    }
}

/* The row-major position of the element at an index. */
static int64_t ravel(const Grid *grid, const int64_t *index) {
    int64_t position = 0;
    for (int i = 0; i < grid->rank; i++)
        position = position * grid->size[i] + index[i];
    return position;
}

/* Takes the axes of a bit mask out of an index. */
static void drop_axes(const int64_t *index, int rank, uint32_t axes, int64_t *kept) {
    for (int i = 0, k = 0; i < rank; i++)
        if (!(axes >> i & 1))
            kept[k++] = index[i];
}

static const double *operand(const Run *run, const Node *node, int i) { return run->of[node->in[i]->id]; }

/* A row of a table of `rows` rows; an index out of range (or not a number) means the nearest (or first). */
static int64_t row_of(double index, int64_t rows) {
    if (!(index > 0))
        return 0;
    return index >= (double)rows ? rows - 1 : (int64_t)index;
}

/* ── Random draws ─────────────────────────────────────────────────────────────────────────── */

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): turns a counter into four random words. */
static void philox(uint32_t counter[4], uint64_t seed) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xD2511F53) * counter[0], b = UINT64_C(0xCD9E8D57) * counter[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ counter[1] ^ key[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ counter[3] ^ key[1], (uint32_t)a};
        memcpy(counter, next, sizeof next);
        key[0] += UINT32_C(0x9E3779B9);
        key[1] += UINT32_C(0xBB67AE85);
    }
}

/* In (0, 1), exact in single precision too. */
static double unit_interval(uint32_t word) { return ((word >> 9) + 0.5) * 0x1p-23; }

/* The words of element 64b + 16*word + lane are those of counter 16b + lane. */
static void words_at(const Values *values, int stream, int64_t position, uint32_t words[4]) {
    words[0] = (uint32_t)(position / 64 * 16 + position % 16);
    words[1] = (uint32_t)values->tick;
    words[2] = (uint32_t)(values->tick >> 32);
    words[3] = (uint32_t)stream;
    philox(words, values->seed);
}

static double draw_uniform(const Values *values, int stream, int64_t position) {
    uint32_t words[4];
    words_at(values, stream, position, words);
    return unit_interval(words[position % 64 / 16]);
}

/* Box and Muller's transform makes a pair of normals from a pair of uniforms: words 0 and 1, words 2 and 3. */
static double draw_normal(const Values *values, int stream, int64_t position) {
    uint32_t words[4];
    words_at(values, stream, position, words);
    int64_t word = position % 64 / 16, pair = word & 2;
    double radius = sqrt(-2 * log(unit_interval(words[pair])));
    double angle = 2 * acos(-1.0) * unit_interval(words[pair + 1]);
    return radius * (word & 1 ? sin(angle) : cos(angle));
}

static void subtract_projection(double *column, const double *unit, int64_t rows, int64_t columns) {
    double along = 0;
    for (int64_t r = 0; r < rows; r++)
        along += column[r * columns] * unit[r * columns];
    for (int64_t r = 0; r < rows; r++)
        column[r * columns] -= along * unit[r * columns];
}

static void normalise(double *column, int64_t rows, int64_t columns) {
    double squares = 0;
    for (int64_t r = 0; r < rows; r++)
        squares += column[r * columns] * column[r * columns];
    for (int64_t r = 0; r < rows; r++)
        column[r * columns] /= sqrt(squares);
}

/* Makes the columns of a row-major [rows, columns] matrix orthonormal, by Gram and Schmidt. Once more removes what
 * rounding left. The result is the Q of the QR factorisation whose R has a positive diagonal. */
static void orthonormalise(double *matrix, int64_t rows, int64_t columns) {
    for (int64_t c = 0; c < columns; c++) {
        for (int again = 0; again < 2; again++)
            for (int64_t earlier = 0; earlier < c; earlier++)
                subtract_projection(matrix + c, matrix + earlier, rows, columns);
        normalise(matrix + c, rows, columns);
    }
}

/* As Keras's Orthogonal: all axes but the last are rows; a wide matrix is a tall one, transposed. */
static void draw_orthogonal(const Run *run, const Node *node, double *out) {
    Grid grid = grid_of(run, &node->shape);
    int64_t size = count_of(run, node), columns = grid.rank ? grid.size[grid.rank - 1] : 1, rows = size / columns;
    int64_t tall = rows > columns ? rows : columns, narrow = size / tall;
    double *matrix = malloc((size_t)size * sizeof *matrix);
    if (!matrix)
        abort();
    for (int64_t i = 0; i < size; i++)
        matrix[i] = draw_normal(run->values, node->attr.rand.stream, i);
    orthonormalise(matrix, tall, narrow);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            out[r * columns + c] = rows >= columns ? matrix[r * narrow + c] : matrix[c * narrow + r];
    free(matrix);
}

static void run_rand(const Run *run, const Node *node, double *out) {
    int64_t size = count_of(run, node);
    int stream = node->attr.rand.stream;
    switch (node->attr.rand.distribution) {
    case DRAW_UNIFORM:
        for (int64_t i = 0; i < size; i++)
            out[i] = draw_uniform(run->values, stream, i);
        break;
    case DRAW_NORMAL:
        for (int64_t i = 0; i < size; i++)
            out[i] = draw_normal(run->values, stream, i);
        break;
    case DRAW_ORTHOGONAL:
        draw_orthogonal(run, node, out);
        break;
    }
}

/* ── Other leaves ─────────────────────────────────────────────────────────────────────────── */

static void copy_values(const Run *run, const Node *node, const double *from, double *out) {
    int64_t size = count_of(run, node);
    if (size)
        memcpy(out, from, (size_t)size * sizeof *out);
}

static void run_const(const Run *run, const Node *node, double *out) {
    (void)run;
    *out = node->attr.value;
}

static void run_input(const Run *run, const Node *node, double *out) {
    copy_values(run, node, run->values->inputs[node->attr.port->index], out);
}

static void run_tensor(const Run *run, const Node *node, double *out) {
    copy_values(run, node, run->values->tensors[node->attr.tensor->index], out);
}

static void run_iota(const Run *run, const Node *node, double *out) {
    Grid grid = grid_of(run, &node->shape);
    int64_t index[MAX_RANK];
    for (int64_t i = 0, size = count_of(run, node); i < size; i++) {
        unravel(&grid, i, index);
        out[i] = (double)index[node->attr.axis];
    }
}

static void run_size(const Run *run, const Node *node, double *out) {
    *out = (double)dim_value(node->attr.size, run->values->symbols);
}

static void run_clock(const Run *run, const Node *node, double *out) {
    switch (node->attr.clock) {
    case CLOCK_STEP: *out = run->values->step; break;
    case CLOCK_EPOCH: *out = run->values->epoch; break;
    case CLOCK_LR_SCALE: *out = run->values->lr_scale; break;
    }
}

/* ── Elementwise operations ───────────────────────────────────────────────────────────────── */

static void run_elementwise(const Run *run, const Node *node, double *out) {
    for (int64_t i = 0, size = count_of(run, node); i < size; i++) {
        double x[3] = {0};
        for (int k = 0; k < node->arity; k++)
            x[k] = operand(run, node, k)[i];
        out[i] = op_info[node->op].evaluate(x[0], x[1], x[2]);
    }
}

/* ── Reductions ───────────────────────────────────────────────────────────────────────────── */

/* Walks over the input; `out` has its axes but for those of attr.axes. */
static void reduce(const Run *run, const Node *node, double first, double (*join)(double, double), double *out) {
    Grid from = grid_of(run, &node->in[0]->shape), to = grid_of(run, &node->shape);
    int64_t index[MAX_RANK] = {0}, kept[MAX_RANK];
    for (int64_t i = 0, size = count_of(run, node); i < size; i++)
        out[i] = first;
    for (int64_t i = 0, size = count_of(run, node->in[0]); i < size; i++, advance(&from, index)) {
        drop_axes(index, from.rank, node->attr.axes, kept);
        double *at = &out[ravel(&to, kept)];
        *at = join(*at, operand(run, node, 0)[i]);
    }
}

static double add(double a, double b) { return a + b; }

static double larger(double a, double b) { return b > a || isnan(b) ? b : a; }

static void run_sum(const Run *run, const Node *node, double *out) { reduce(run, node, 0, add, out); }

static void run_max(const Run *run, const Node *node, double *out) { reduce(run, node, -INFINITY, larger, out); }

static void run_argmax(const Run *run, const Node *node, double *out) {
    Grid from = grid_of(run, &node->in[0]->shape), to = grid_of(run, &node->shape);
    int axis = node->attr.axis;
    for (int64_t i = 0, size = count_of(run, node); i < size; i++) {
        int64_t kept[MAX_RANK], index[MAX_RANK];
        unravel(&to, i, kept);
        for (int d = 0; d < from.rank; d++)
            index[d] = d < axis ? kept[d] : d == axis ? 0 : kept[d - 1];
        double largest = -INFINITY; /* what is not a number is never larger */
        out[i] = 0;
        for (index[axis] = 0; index[axis] < from.size[axis]; index[axis]++) {
            double x = operand(run, node, 0)[ravel(&from, index)];
            if (x > largest) {
                largest = x;
                out[i] = (double)index[axis];
            }
        }
    }
}

/* ── Movement ─────────────────────────────────────────────────────────────────────────────── */

static void run_reshape(const Run *run, const Node *node, double *out) {
    copy_values(run, node, operand(run, node, 0), out);
}

/* Fills `out` from its only operand: `source` turns an index of the result into one of the operand, or says that there is
 * none, which is a zero. */
static void move(const Run *run, const Node *node, double *out,
                 bool (*source)(const Run *run, const Node *node, const int64_t *to, int64_t *from)) {
    Grid to = grid_of(run, &node->shape), from = grid_of(run, &node->in[0]->shape);
    int64_t index[MAX_RANK] = {0}, origin[MAX_RANK];
    for (int64_t i = 0, size = count_of(run, node); i < size; i++, advance(&to, index)) {
        out[i] = source(run, node, index, origin) ? operand(run, node, 0)[ravel(&from, origin)] : 0;
    }
}

static bool source_permute(const Run *run, const Node *node, const int64_t *to, int64_t *from) {
    (void)run;
    for (int i = 0; i < node->shape.rank; i++)
        from[node->attr.order[i]] = to[i];
    return true;
}

static bool source_expand(const Run *run, const Node *node, const int64_t *to, int64_t *from) {
    (void)run;
    drop_axes(to, node->shape.rank, node->attr.axes, from);
    return true;
}

static bool source_slice(const Run *run, const Node *node, const int64_t *to, int64_t *from) {
    for (int i = 0; i < node->shape.rank; i++)
        from[i] = dim_value(node->attr.slice.start[i], run->values->symbols) + to[i] * node->attr.slice.step[i];
    return true;
}

static bool source_pad(const Run *run, const Node *node, const int64_t *to, int64_t *from) {
    bool inside = true;
    for (int i = 0; i < node->shape.rank; i++) {
        from[i] = to[i] - dim_value(node->attr.pad.low[i], run->values->symbols);
        inside = inside && from[i] >= 0 && from[i] < dim_value(node->in[0]->shape.dim[i], run->values->symbols);
    }
    return inside;
}

static bool source_flip(const Run *run, const Node *node, const int64_t *to, int64_t *from) {
    for (int i = 0; i < node->shape.rank; i++) {
        int64_t last = dim_value(node->shape.dim[i], run->values->symbols) - 1;
        from[i] = node->attr.axes >> i & 1 ? last - to[i] : to[i];
    }
    return true;
}

static void run_permute(const Run *run, const Node *node, double *out) { move(run, node, out, source_permute); }
static void run_expand(const Run *run, const Node *node, double *out) { move(run, node, out, source_expand); }
static void run_slice(const Run *run, const Node *node, double *out) { move(run, node, out, source_slice); }
static void run_pad(const Run *run, const Node *node, double *out) { move(run, node, out, source_pad); }
static void run_flip(const Run *run, const Node *node, double *out) { move(run, node, out, source_flip); }

static void run_concat(const Run *run, const Node *node, double *out) {
    Grid to = grid_of(run, &node->shape);
    int64_t offset = 0, index[MAX_RANK];
    for (int k = 0; k < node->arity; k++) {
        Grid part = grid_of(run, &node->in[k]->shape);
        for (int64_t i = 0, size = count_of(run, node->in[k]); i < size; i++) {
            unravel(&part, i, index);
            index[node->attr.axis] += offset;
            out[ravel(&to, index)] = operand(run, node, k)[i];
        }
        offset += part.size[node->attr.axis];
    }
}

/* ── Contraction ──────────────────────────────────────────────────────────────────────────── */

/* One operand of a dot. */
typedef struct Side {
    const double *value;
    Grid grid;
    int64_t stride[MAX_RANK];    /* from one element to the next along each axis */
    const uint8_t *batch, *contract;
} Side;

static Side side_of(const Run *run, const Node *node, int i, const uint8_t *batch, const uint8_t *contract) {
    Side side = {.value = operand(run, node, i), .grid = grid_of(run, &node->in[i]->shape), .batch = batch, .contract = contract};
    int64_t stride = 1;
    for (int k = side.grid.rank - 1; k >= 0; k--) {
        side.stride[k] = stride;
        stride *= side.grid.size[k];
    }
    return side;
}

/* Where the terms of one element of the result begin: at its batch axes, and at its free axes, which are taken from `rest`. */
static int64_t begin_terms(const Side *side, const DotAxes *axes, const int64_t *to, const int64_t **rest) {
    uint32_t named = 0;
    int64_t position = 0;
    for (int i = 0; i < axes->batch; i++) {
        position += to[i] * side->stride[side->batch[i]];
        named |= UINT32_C(1) << side->batch[i];
    }
    for (int i = 0; i < axes->contract; i++)
        named |= UINT32_C(1) << side->contract[i];
    for (int i = 0; i < side->grid.rank; i++)
        if (!(named >> i & 1))
            position += *(*rest)++ * side->stride[i];
    return position;
}

/* Along the last contracted axis: its length, and how far apart its elements lie. Without contracted axes there is one term. */
typedef struct Row { int64_t length, step_a, step_b; } Row;

static Row last_row(const DotAxes *axes, const Side *a, const Side *b) {
    int last = axes->contract - 1;
    if (last < 0)
        return (Row){.length = 1};
    return (Row){a->grid.size[a->contract[last]], a->stride[a->contract[last]], b->stride[b->contract[last]]};
}

/* One element of the result, whose index is `to`: the sum over all values of the contracted axes. */
static double dot_element(const DotAxes *axes, const Side *a, const Side *b, const int64_t *to) {
    Grid outer = {.rank = axes->contract > 0 ? axes->contract - 1 : 0};
    Row row = last_row(axes, a, b);
    int64_t rows = 1, index[MAX_RANK];
    for (int i = 0; i < outer.rank; i++)
        rows *= outer.size[i] = a->grid.size[a->contract[i]];
    const int64_t *rest = to + axes->batch;
    int64_t first_a = begin_terms(a, axes, to, &rest), first_b = begin_terms(b, axes, to, &rest);
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t at_a = first_a, at_b = first_b;
        unravel(&outer, r, index);
        for (int i = 0; i < outer.rank; i++) {
            at_a += index[i] * a->stride[a->contract[i]];
            at_b += index[i] * b->stride[b->contract[i]];
        }
        for (int64_t t = 0; t < row.length; t++)
            sum += a->value[at_a + t * row.step_a] * b->value[at_b + t * row.step_b];
    }
    return sum;
}

static void run_dot(const Run *run, const Node *node, double *out) {
    const DotAxes *axes = &node->attr.dot;
    Side a = side_of(run, node, 0, axes->a_batch, axes->a_contract), b = side_of(run, node, 1, axes->b_batch, axes->b_contract);
    Grid grid = grid_of(run, &node->shape);
    int64_t index[MAX_RANK];
    for (int64_t i = 0, size = count_of(run, node); i < size; i++) {
        unravel(&grid, i, index);
        out[i] = dot_element(axes, &a, &b, index);
    }
}

/* The position in the input of what lies under element `k` of the kernel at position `p` of the result, along one axis; -1 for a
 * zero of the padding or of the spread. */
static int64_t conv_source(const ConvAxes *axes, int i, int64_t p, int64_t k, int64_t size) {
    int64_t at = p * axes->stride[i] + k * axes->dilation[i] - axes->low[i];
    return at < 0 || at % axes->spread[i] != 0 || at / axes->spread[i] >= size ? -1 : at / axes->spread[i];
}

/* The row of channels that lies there, or NULL; `out` and `k` are positions as indices: of the result, of the kernel. */
static const double *conv_row(const Run *run, const Node *node, const Grid *in, const int64_t *out, const int64_t *k) {
    int64_t from[MAX_RANK] = {out[0]};
    for (int i = 0; i < node->attr.conv.spatial; i++)
        if ((from[i + 1] = conv_source(&node->attr.conv, i, out[i + 1], k[i], in->size[i + 1])) < 0)
            return NULL;
    return operand(run, node, 0) + ravel(in, from);
}

static void run_conv(const Run *run, const Node *node, double *out) {
    Grid in = grid_of(run, &node->in[0]->shape), kernel = grid_of(run, &node->in[1]->shape), to = grid_of(run, &node->shape);
    int last = node->attr.conv.spatial + 1;
    int64_t channels = kernel.size[last - 1], filters = kernel.size[last], index[MAX_RANK], k[MAX_RANK];
    int64_t size = count_of(run, node), weights = count_of(run, node->in[1]);
    for (int64_t i = 0; i < size; i++)
        out[i] = 0;
    for (int64_t i = 0; i < size; i += filters)
        for (int64_t w = 0; w < weights; w += channels * filters) {
            unravel(&to, i, index);
            unravel(&kernel, w, k);
            const double *row = conv_row(run, node, &in, index, k);
            for (int64_t c = 0; row && c < channels; c++)
                for (int64_t f = 0; f < filters; f++)
                    out[i + f] += row[c] * operand(run, node, 1)[w + c * filters + f];
        }
}

/* ── Indexing by value ────────────────────────────────────────────────────────────────────── */

static void run_gather(const Run *run, const Node *node, double *out) {
    int64_t rows = dim_value(node->in[0]->shape.dim[0], run->values->symbols);
    int64_t indices = count_of(run, node->in[1]), width = count_of(run, node->in[0]) / rows;
    for (int64_t i = 0; i < indices; i++)
        for (int64_t c = 0; c < width; c++)
            out[i * width + c] = operand(run, node, 0)[row_of(operand(run, node, 1)[i], rows) * width + c];
}

static void run_scatter_add(const Run *run, const Node *node, double *out) {
    int64_t rows = dim_value(node->shape.dim[0], run->values->symbols), size = count_of(run, node);
    int64_t indices = count_of(run, node->in[0]), width = size / rows;
    for (int64_t i = 0; i < size; i++)
        out[i] = 0;
    for (int64_t i = 0; i < indices; i++)
        for (int64_t c = 0; c < width; c++)
            out[row_of(operand(run, node, 0)[i], rows) * width + c] += operand(run, node, 1)[i * width + c];
}

/* ── Loops ────────────────────────────────────────────────────────────────────────────────── */

static void run_nodes(Run *run, Arena *arena, const Graph *graph, const NodeList *roots);

static void run_slot(const Run *run, const Node *node, double *out) { copy_values(run, node, run->slots[node->attr.slot.index], out); }

static void run_part(const Run *run, const Node *node, double *out) {
    copy_values(run, node, operand(run, node, 0) + part_start(run, node->in[0], node->attr.part), out);
}

/* The first values are the operands' own; then each step writes where the results of the last are read from. */
static void begin_loop(const Run *run, const Node *node, const double **slots, double *out) {
    for (int i = 0; i < node->arity; i++)
        slots[i] = operand(run, node, i);
    for (int i = 0; i < node->attr.scan.body->carried; i++) {
        double *carried = out + part_start(run, node, i);
        copy_values(run, node->in[i], slots[i], carried);
        slots[i] = carried;
    }
}

static void run_step(Run *step, const Node *node, const NodeList *roots, int64_t turn, double *out) {
    const Body *body = node->attr.scan.body;
    Arena *arena = arena_create();
    for (int i = body->carried; i < body->carried + body->scanned; i++) {
        const Shape element = shape_without(&node->in[i]->shape, 1);
        step->slots[i] += turn * shape_size(&element, step->values->symbols);
    }
    step->of = arena_alloc(arena, ((size_t)body->graph->nodes.count + 1) * sizeof(double *));
    run_nodes(step, arena, body->graph, roots);
    for (int i = 0; i < roots->count; i++) {
        const Node *root = roots->items[i];
        const int64_t at = i < body->carried ? 0 : turn * count_of(step, root);
        copy_values(step, root, step->of[root->id], out + part_start(step, node, i) + at);
    }
    for (int i = 0; i < body->graph->nodes.count; i++)
        free(step->of[i]);
    arena_destroy(arena);
}

static void run_scan(const Run *run, const Node *node, double *out) {
    const int64_t turns = dim_value(node->attr.scan.turns, run->values->symbols);
    Arena *arena = arena_create();
    const NodeList roots = body_results(arena, node->attr.scan.body);
    const double **first = arena_alloc(arena, (size_t)(node->arity + 1) * sizeof *first);
    const double **slots = arena_alloc(arena, (size_t)(node->arity + 1) * sizeof *slots);
    begin_loop(run, node, first, out);
    for (int64_t turn = 0; turn < turns; turn++) {
        Run step = {.values = run->values, .slots = slots};
        memcpy(slots, first, (size_t)node->arity * sizeof *slots);
        run_step(&step, node, &roots, node->attr.scan.reverse ? turns - 1 - turn : turn, out);
    }
    arena_destroy(arena);
}

/* ── The whole graph ──────────────────────────────────────────────────────────────────────── */

static void run_node(const Run *run, const Node *node, double *out) {
    static void (*const special[OP_COUNT])(const Run *, const Node *, double *) = {
        [OP_CONST] = run_const,     [OP_INPUT] = run_input,     [OP_TENSOR] = run_tensor,
        [OP_IOTA] = run_iota,       [OP_RAND] = run_rand,       [OP_SIZE] = run_size,
        [OP_CLOCK] = run_clock,     [OP_SUM] = run_sum,         [OP_MAX] = run_max,
        [OP_ARGMAX] = run_argmax,   [OP_RESHAPE] = run_reshape, [OP_PERMUTE] = run_permute,
        [OP_EXPAND] = run_expand,   [OP_SLICE] = run_slice,     [OP_PAD] = run_pad,
        [OP_FLIP] = run_flip,       [OP_CONCAT] = run_concat,   [OP_DOT] = run_dot,
        [OP_CONV] = run_conv,
        [OP_GATHER] = run_gather,   [OP_SCATTER_ADD] = run_scatter_add, [OP_STOP] = run_reshape,
        [OP_SLOT] = run_slot,       [OP_SCAN] = run_scan,       [OP_PART] = run_part,
    };
    if (special[node->op])
        special[node->op](run, node, out);
    else
        run_elementwise(run, node, out);
}

/* By id: the last node that reads the value; what a root has is read after all nodes. */
static int *last_readers(Arena *arena, const Graph *graph, const NodeList *roots, const bool *needed) {
    int *last = arena_alloc(arena, ((size_t)graph->nodes.count + 1) * sizeof *last);
    for (int i = 0; i < graph->nodes.count; i++) {
        last[i] = i;
        for (int k = 0; needed[i] && k < graph->nodes.items[i]->arity; k++)
            last[graph->nodes.items[i]->in[k]->id] = i;
    }
    for (int i = 0; i < roots->count; i++)
        last[roots->items[i]->id] = graph->nodes.count;
    return last;
}

/* Frees the values that the node was the last to read. */
static void free_read(Run *run, const Node *node, const int *last) {
    for (int k = -1; k < node->arity; k++) {
        int id = k < 0 ? node->id : node->in[k]->id;
        if (last[id] != node->id)
            continue;
        free(run->of[id]);
        run->of[id] = NULL;
    }
}

static double *new_values(int64_t size) {
    double *values = calloc((size_t)size + 1, sizeof *values);
    if (!values)
        abort();
    return values;
}

static void run_nodes(Run *run, Arena *arena, const Graph *graph, const NodeList *roots) {
    const bool *needed = graph_needs(arena, graph, roots);
    const int *last = last_readers(arena, graph, roots, needed);
    for (int i = 0; i < graph->nodes.count; i++) {
        const Node *node = graph->nodes.items[i];
        if (!needed[i])
            continue;
        run->of[i] = new_values(count_of(run, node));
        run_node(run, node, run->of[i]);
        free_read(run, node, last);
    }
}

/* Requires a graph that `verify` accepts, and `values` with a number for every symbol, input and tensor that it reads. */
void interpret(const Entry *entry, Values *values, double **results) {
    Arena *arena = arena_create();
    Run run = {.values = values, .of = arena_alloc(arena, ((size_t)entry->graph->nodes.count + 1) * sizeof(double *))};
    NodeList roots = {0};
    for (int i = 0; i < entry->roots.count; i++)
        LIST_PUSH(arena, &roots, entry->roots.items[i].value);
    run_nodes(&run, arena, entry->graph, &roots);
    for (int i = 0; i < entry->roots.count; i++) {
        const Node *node = entry->roots.items[i].value;
        results[i] = new_values(count_of(&run, node));
        copy_values(&run, node, run.of[node->id], results[i]);
    }
    for (int i = 0; i < entry->roots.count; i++) {
        const Root *root = &entry->roots.items[i];
        if (root->kind == ROOT_ASSIGN)
            copy_values(&run, root->value, results[i], values->tensors[root->target->index]);
    }
    for (int i = 0; i < entry->graph->nodes.count; i++)
        free(run.of[i]);
    arena_destroy(arena);
}

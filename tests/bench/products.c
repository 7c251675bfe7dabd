/* products.c: see products.h. Equal operands of a step are equal arrays here too, so that both find the same of them in the cache. */
#include "products.h"

#include "../module.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { A, B, C };

/* c[m][n] = a[m][k] b[k][n], `times` times, each time on the matrices that follow, but for those that stay: b, or, where products are
 * summed, c. */
typedef struct Call { int m, n, k, times; bool turned[2], stays[3]; int array[3]; } Call;

/* What is known of an array: whose value it is (NULL: columns of a convolution), and its floats. */
typedef struct Array { const Node *node; size_t size; float *values; } Array;

struct Products {
    Arena *arena;
    LIST(Call) calls;
    LIST(Array) arrays;
};

/* ── arrays ───────────────────────────────────────────────────────────────────────────────── */

static int array_of(Products *products, const Node *node, size_t size) {
    for (int i = 0; node && i < products->arrays.count; i++) {
        Array *array = &products->arrays.items[i];
        if (array->node != node) continue;
        if (size > array->size) array->size = size;
        return i;
    }
    LIST_PUSH(products->arena, &products->arrays, ((Array){ .node = node, .size = size }));
    return products->arrays.count - 1;
}

static size_t size_of(const Call *call, int which) {
    const size_t m = (size_t)call->m, n = (size_t)call->n, k = (size_t)call->k;
    const size_t one = which == A ? m * k : which == B ? k * n : m * n;
    return call->stays[which] ? one : one * (size_t)call->times;
}

static void add_call(Products *products, Call call, const Node *a, const Node *b, const Node *c) {
    const Node *nodes[] = { a, b, c };
    for (int i = A; i <= C; i++) call.array[i] = array_of(products, nodes[i], size_of(&call, i));
    LIST_PUSH(products->arena, &products->calls, call);
}

static bool fill_arrays(Products *products) {
    for (int i = 0; i < products->arrays.count; i++) {
        Array *array = &products->arrays.items[i];
        array->values = aligned_alloc(64, (array->size * sizeof(float) + 63) / 64 * 64);
        if (!array->values) return false;
        for (size_t k = 0; k < array->size; k++) array->values[k] = (float)(k % 17) / 170;
    }
    return true;
}

/* ── contractions ─────────────────────────────────────────────────────────────────────────── */

static int size_at(const Node *node, int axis, const int64_t *symbols) { return (int)dim_value(node->shape.dim[axis], symbols); }

static int product_of(const Node *node, const uint8_t *axes, int count, const int64_t *symbols) {
    int product = 1;
    for (int i = 0; i < count; i++) product *= size_at(node, axes[i], symbols);
    return product;
}

/* Whether the last axis in memory is one that is summed over; `node` is an operand, read through transpositions. */
static bool sums_last(const Node *node, const uint8_t *axes, int count) {
    int last = node->shape.rank - 1;
    if (node->op == OP_PERMUTE)
        for (int i = 0; i < node->shape.rank; i++)
            if (node->attr.order[i] == node->shape.rank - 1) last = i;
    for (int i = 0; i < count; i++)
        if (axes[i] == last) return true;
    return false;
}

static const Node *origin(const Node *node) {
    while (node->op == OP_PERMUTE || node->op == OP_RESHAPE || node->op == OP_STOP) node = node->in[0];
    return node;
}

static void add_dot(Products *products, const Node *node, const int64_t *symbols) {
    const DotAxes *axes = &node->attr.dot;
    const Node *a = node->in[0], *b = node->in[1];
    Call call = { .times = product_of(a, axes->a_batch, axes->batch, symbols), .k = product_of(a, axes->a_contract, axes->contract, symbols) };
    call.m = (int)(shape_size(&a->shape, symbols) / call.times / call.k);
    call.n = (int)(shape_size(&b->shape, symbols) / call.times / call.k);
    call.turned[A] = !sums_last(a, axes->a_contract, axes->contract);
    call.turned[B] = sums_last(b, axes->b_contract, axes->contract);
    add_call(products, call, origin(a), origin(b), node);
}

static int spatial_size(const Node *node, int first, int spatial, const int64_t *symbols) {
    int size = 1;
    for (int i = 0; i < spatial; i++) size *= size_at(node, first + i, symbols);
    return size;
}

/* The product of a convolution of `images` images of `s` positions and `in` channels, to `p` positions and `out` channels, with `k`
 * positions of the kernel. Two of the three positions determine the third; where the input is spread, it must be one of the two, for
 * most of the sums' terms are zeros. */
static Call conv_call(const Node *node, const int64_t *symbols) {
    const Node *x = node->in[0], *kernel = node->in[1];
    const int spatial = node->attr.conv.spatial, images = size_at(x, 0, symbols), in = size_at(x, spatial + 1, symbols),
              out = size_at(kernel, spatial + 1, symbols), s = spatial_size(x, 1, spatial, symbols),
              p = spatial_size(node, 1, spatial, symbols), k = spatial_size(kernel, 0, spatial, symbols);
    bool spread = false;
    for (int i = 0; i < spatial; i++) spread = spread || node->attr.conv.spread[i] > 1;
    if (!spread) return (Call){ .m = images * p, .n = out, .k = k * in, .times = 1 };
    if (k <= p) return (Call){ .m = images * s, .n = k * out, .k = in, .times = 1 };
    return (Call){ .m = images, .n = p * out, .k = s * in, .times = 1 };
}

/* The same image by image: the batch is among the rows, or, for the gradient of a kernel, in the sum. */
static Call image_by_image(const Node *node, Call call, const int64_t *symbols) {
    const Node *x = node->in[0];
    const int batch = (int)symbols[SYMBOL_BATCH];
    if (!dim_is_const(x->shape.dim[0]) && call.m % batch == 0) 
        return (Call){ .m = call.m / batch, .n = call.n, .k = call.k, .times = batch, .stays[B] = true };
    if (dim_is_const(x->shape.dim[0]) && call.k % batch == 0)
        return (Call){ .m = call.m, .n = call.n, .k = call.k / batch, .times = batch, .stays[C] = true };
    return call;
}

/* ── running ──────────────────────────────────────────────────────────────────────────────── */

static float *place(const Products *products, const Call *call, int which, int turn) {
    const size_t all = size_of(call, which), step = call->stays[which] ? 0 : all / (size_t)call->times;
    return products->arrays.items[call->array[which]].values + (size_t)turn * step;
}

static void run_call(const Products *products, const Call *call) {
    const bool *turned = call->turned;
    for (int i = 0; i < call->times; i++)
        cblas_sgemm(CblasRowMajor, turned[A] ? CblasTrans : CblasNoTrans, turned[B] ? CblasTrans : CblasNoTrans, call->m, call->n, call->k, 1,
                    place(products, call, A, i), turned[A] ? call->m : call->k, place(products, call, B, i),
                    turned[B] ? call->k : call->n, call->stays[C] && i > 0 ? 1 : 0, place(products, call, C, i), call->n);
}

static double seconds_of(const Products *products, const Call *call) {
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        run_call(products, call);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (seconds < best) best = seconds;
    }
    return best;
}

void products_run(const Products *products) {
    for (int i = 0; i < products->calls.count; i++) run_call(products, &products->calls.items[i]);
}

/* ── from a model ─────────────────────────────────────────────────────────────────────────── */

/* Both ways of a convolution, of which choose_ways keeps the faster. */
static void add_conv(Products *products, const Node *node, const int64_t *symbols) {
    const Call whole = conv_call(node, symbols);
    add_call(products, whole, NULL, origin(node->in[1]), node);
    add_call(products, image_by_image(node, whole, symbols), NULL, origin(node->in[1]), node);
}

static void choose_ways(Products *products) {
    int kept = 0;
    for (int i = 0; i < products->calls.count; i++) {
        const Call *call = &products->calls.items[i];
        const bool two = products->arrays.items[call->array[A]].node == NULL;
        products->calls.items[kept++] = two && seconds_of(products, call) > seconds_of(products, call + 1) ? call[1] : call[0];
        i += two;
    }
    products->calls.count = kept;
}

static void add_graph(Products *products, const Graph *graph, const bool *needed, const int64_t *symbols) {
    for (int i = 0; i < graph->nodes.count; i++) {
        const Node *node = graph->nodes.items[i];
        if (!needed[i]) continue;
        if (node->op == OP_DOT) add_dot(products, node, symbols);
        if (node->op == OP_CONV) add_conv(products, node, symbols);
        if (node->op != OP_SCAN) continue;
        const Body *body = node->attr.scan.body;
        NodeList roots = { 0 };
        for (int k = 0; k < body->next.count; k++) LIST_PUSH(products->arena, &roots, body->next.items[k]);
        for (int k = 0; k < body->collected.count; k++) LIST_PUSH(products->arena, &roots, body->collected.items[k]);
        for (int64_t turn = 0; turn < dim_value(node->attr.scan.turns, symbols); turn++)
            add_graph(products, body->graph, graph_needs(products->arena, body->graph, &roots), symbols);
    }
}

static bool add_stage(Products *products, Context *context, const char *path, size_t number) {
    const int file = source_read(context, path);
    Module *module = file < 0 ? NULL : module_of(context, file);
    if (!module || number >= (size_t)module->stages.count) return false;
    const Stage *stage = module->stages.items[number];
    int64_t symbols[MAX_SYMBOLS];
    symbols_high(&module->symbols, symbols);
    symbols[SYMBOL_BATCH] = stage->batch;
    for (int i = 0; i < stage->phases.count; i++) {
        Entry *entry = stage->phases.items[i].entry;
        simplify(context, entry);
        for (int64_t turn = 0; turn < stage->phases.items[i].repeat; turn++)
            add_graph(products, entry->graph, entry_needs(context->arena, entry), symbols);
    }
    return true;
}

Products *products_create(const char *path, size_t stage) {
    Context context = { .arena = arena_create(), .name = "products" };
    Products *products = NEW(context.arena, Products);
    products->arena = context.arena;
    if (add_stage(products, &context, path, stage) && fill_arrays(products)) {
        choose_ways(products);
        return products;
    }
    fprintf(stderr, "%s: its products cannot be found\n", path);
    products_free(products);
    return NULL;
}

int products_count(const Products *products) {
    int count = 0;
    for (int i = 0; i < products->calls.count; i++) count += products->calls.items[i].times;
    return count;
}

double products_flops(const Products *products) {
    double flops = 0;
    for (int i = 0; i < products->calls.count; i++) {
        const Call *call = &products->calls.items[i];
        flops += 2.0 * call->m * call->n * call->k * call->times;
    }
    return flops;
}

void products_print(const Products *products) {
    for (int i = 0; i < products->calls.count; i++) {
        const Call *call = &products->calls.items[i];
        printf("    %c%c %6d x %6d x %6d, %d times\n", call->turned[A] ? 'T' : 'N', call->turned[B] ? 'T' : 'N', call->m, call->n, call->k,
               call->times);
    }
}

void products_free(Products *products) {
    for (int i = 0; i < products->arrays.count; i++) free(products->arrays.items[i].values);
    arena_destroy(products->arena);
}

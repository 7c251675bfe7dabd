/* Vectors as wide as the registers of the machine that the C compiler compiles for (see math.c for the form).
 *
 * GCC and Clang have such types; for any other compiler a vector is one number. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*** expanded
 * A function that is expanded where it is called, however long it is: with constant arguments it becomes code for them. Some are
 * needed on some machines only. */
#if defined __GNUC__
#define support_expanded static inline __attribute__((always_inline, unused))
#else
#define support_expanded static inline
#endif

/*** separate
 * A function that is compiled once and called, not expanded: its loops need the registers, and to expand it, or to make a copy for
 * some argument, takes the compiler's time. */
#if defined __clang__
#define support_separate static __attribute__((noinline))
#elif defined __GNUC__
#define support_separate static __attribute__((noinline, noclone))
#else
#define support_separate static
#endif

/*** vector
 * SUPPORT_LANES numbers that are computed side by side. SUPPORT_TILE by two of them, with what they are made from, fill the
 * registers. */
#if defined __AVX__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif
#if defined __AVX512F__
enum { SUPPORT_LANES = 16, SUPPORT_TILE = 8 };
#elif defined __AVX__
enum { SUPPORT_LANES = 8, SUPPORT_TILE = 4 };
#elif defined __aarch64__
enum { SUPPORT_LANES = 4, SUPPORT_TILE = 8 };
#elif defined __GNUC__
enum { SUPPORT_LANES = 4, SUPPORT_TILE = 4 };
#else
enum { SUPPORT_LANES = 1, SUPPORT_TILE = 4 };
#endif
#if defined __GNUC__
typedef float support_vector __attribute__((vector_size(4 * SUPPORT_LANES)));
#else
typedef float support_vector;
#endif

/*** vector_zero: expanded vector */
support_expanded support_vector support_vector_zero(void) {
    support_vector v;
    memset(&v, 0, sizeof v);
    return v;
}

/*** vector_load: expanded vector */
support_expanded support_vector support_vector_load(const float *from) {
    support_vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

/*** vector_store: expanded vector */
support_expanded void support_vector_store(float *to, support_vector v) { memcpy(to, &v, sizeof v); }

/*** vector_load_part: expanded vector vector_load
 * The first `count` numbers, 1 or more, and zeros in the other lanes; what lies after them is not read. A count larger than the
 * lanes stands for all of them. */
#if defined __AVX512F__
support_expanded __mmask16 support_vector_mask(ptrdiff_t count) {
    return (__mmask16)(count >= SUPPORT_LANES ? 0xFFFFu : (1u << count) - 1u);
}
#elif defined __AVX__
support_expanded __m256i support_vector_mask(ptrdiff_t count) {
    static const int mask[2 * SUPPORT_LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask + SUPPORT_LANES - count));
}
#endif
support_expanded support_vector support_vector_load_part(const float *from, ptrdiff_t count) {
#if defined __AVX512F__
    return (support_vector)_mm512_maskz_loadu_ps(support_vector_mask(count), from);
#else
    if (count >= SUPPORT_LANES) return support_vector_load(from);
#if defined __AVX__
    return (support_vector)_mm256_maskload_ps(from, support_vector_mask(count));
#elif defined __GNUC__
    return (support_vector){from[0], count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f, 0.0f};
#else
    return *from;
#endif
#endif
}

/*** vector_store_part: expanded vector vector_store vector_load_part
 * The first `count` lanes, 1 or more. */
support_expanded void support_vector_store_part(float *to, support_vector v, ptrdiff_t count) {
#if defined __AVX512F__
    _mm512_mask_storeu_ps(to, support_vector_mask(count), (__m512)v);
#else
    if (count >= SUPPORT_LANES) {
        support_vector_store(to, v);
        return;
    }
#if defined __AVX__
    _mm256_maskstore_ps(to, support_vector_mask(count), (__m256)v);
#elif defined __GNUC__
    to[0] = v[0];
    if (count > 1) to[1] = v[1];
    if (count > 2) to[2] = v[2];
#endif
#endif
}

/*** vector_spread: expanded vector
 * The same number in all lanes. */
support_expanded support_vector support_vector_spread(float x) {
#if defined __AVX512F__
    return (support_vector)_mm512_set1_ps(x);
#elif defined __AVX__
    return (support_vector)_mm256_set1_ps(x);
#elif defined __GNUC__
    return (support_vector){x, x, x, x};
#else
    return x;
#endif
}

/*** vector_multiply_add: expanded vector
 * a b + c, rounded once where the machine can, whatever the compiler's options say of contracting expressions. */
support_expanded support_vector support_vector_multiply_add(support_vector a, support_vector b, support_vector c) {
#if defined __AVX512F__
    return (support_vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined __FMA__
    return (support_vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined __aarch64__ && defined __GNUC__
    return (support_vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/*** unrolled
 * Before a loop whose turns are written out, so that an array in it is a set of registers. */
#if defined __clang__
#define SUPPORT_UNROLLED _Pragma("clang loop unroll(full)")
#elif defined __GNUC__
#define SUPPORT_UNROLLED _Pragma("GCC unroll 16")
#else
#define SUPPORT_UNROLLED
#endif

/*** vector_sum: expanded vector vector_store
 * Of all lanes, in halves. */
support_expanded float support_vector_sum(support_vector v) {
#if defined __AVX512F__
    return _mm512_reduce_add_ps((__m512)v);
#else
    float lane[SUPPORT_LANES];
    support_vector_store(lane, v);
    for (ptrdiff_t half = SUPPORT_LANES / 2; half > 0; half /= 2)
        for (ptrdiff_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
#endif
}

/*** vector_transpose: expanded vector unrolled
 * As many registers as one has lanes, as a square matrix: rows become columns. To interleave its two halves, row by row, as often
 * as the size can be halved does that. */
#if defined __GNUC__ && defined __clang__
#define SUPPORT_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#elif defined __GNUC__
typedef int32_t support_order __attribute__((vector_size(4 * SUPPORT_LANES)));
#define SUPPORT_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (support_order){__VA_ARGS__})
#endif
#if defined __AVX512F__
#define SUPPORT_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SUPPORT_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif defined __AVX__
#define SUPPORT_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define SUPPORT_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define SUPPORT_LOW 0, 4, 1, 5
#define SUPPORT_HIGH 2, 6, 3, 7
#endif
support_expanded void support_vector_transpose(support_vector *v) {
#if defined SUPPORT_SHUFFLE
    enum { HALF = SUPPORT_LANES / 2 };
    support_vector w[SUPPORT_LANES];
    SUPPORT_UNROLLED
    for (int size = 1; size < SUPPORT_LANES; size *= 2) {
        SUPPORT_UNROLLED
        for (int i = 0; i < SUPPORT_LANES; i++)
            w[i] = i % 2 ? SUPPORT_SHUFFLE(v[i / 2], v[i / 2 + HALF], SUPPORT_HIGH)
                         : SUPPORT_SHUFFLE(v[i / 2], v[i / 2 + HALF], SUPPORT_LOW);
        SUPPORT_UNROLLED
        for (int i = 0; i < SUPPORT_LANES; i++) v[i] = w[i];
    }
#else
    (void)v;
#endif
}

/*** vector_load_every: expanded vector vector_load
 * Numbers that lie `stride` apart, `count` of them at the most; zeros in the other lanes. */
support_expanded support_vector support_vector_load_every(const float *from, ptrdiff_t stride, ptrdiff_t count) {
    float lane[SUPPORT_LANES] = {0.0f};
    for (ptrdiff_t i = 0; i < SUPPORT_LANES && i < count; i++) lane[i] = from[i * stride];
    return support_vector_load(lane);
}

/*** vector_store_every: expanded vector vector_store
 * The first `count` lanes, `stride` apart. */
support_expanded void support_vector_store_every(float *to, support_vector v, ptrdiff_t stride, ptrdiff_t count) {
    float lane[SUPPORT_LANES];
    support_vector_store(lane, v);
    for (ptrdiff_t i = 0; i < SUPPORT_LANES && i < count; i++) to[i * stride] = lane[i];
}

/*** vector_count: expanded vector vector_load vector_spread
 * first, first + 1, ... */
support_expanded support_vector support_vector_count(float first) {
    static const float lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return support_vector_spread(first) + support_vector_load(lane);
}

/*** mask: expanded vector
 * What a comparison says of each lane. */
#if defined __AVX512F__
typedef __mmask16 support_mask;
#elif defined __GNUC__
typedef int32_t support_mask __attribute__((vector_size(4 * SUPPORT_LANES)));
#else
typedef int support_mask;
#endif
support_expanded support_mask support_less(support_vector a, support_vector b) {
#if defined __AVX512F__
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
#else
    return a < b;
#endif
}
support_expanded support_mask support_at_most(support_vector a, support_vector b) {
#if defined __AVX512F__
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
#else
    return a <= b;
#endif
}
support_expanded support_mask support_equal(support_vector a, support_vector b) {
#if defined __AVX512F__
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
#else
    return a == b;
#endif
}

/*** select: mask
 * condition ? yes : no in each lane. */
support_expanded support_vector support_select(support_mask condition, support_vector yes, support_vector no) {
#if defined __AVX512F__
    return (support_vector)_mm512_mask_blend_ps(condition, (__m512)no, (__m512)yes);
#elif defined __AVX__
    return (support_vector)_mm256_blendv_ps((__m256)no, (__m256)yes, (__m256)condition);
#elif defined __GNUC__
    return (support_vector)(((support_mask)yes & condition) | ((support_mask)no & ~condition));
#else
    return condition ? yes : no;
#endif
}

/*** indicator: select vector_spread
 * 1 where the condition holds, else 0. */
support_expanded support_vector support_indicator(support_mask condition) {
    return support_select(condition, support_vector_spread(1.0f), support_vector_spread(0.0f));
}

/*** first: select vector_load_part
 * The first `count` lanes of v, and in the others those of `rest`. */
support_expanded support_vector support_first(support_vector v, ptrdiff_t count, support_vector rest) {
#if defined __AVX512F__
    return support_select(support_vector_mask(count), v, rest);
#elif defined __GNUC__
    support_mask inside;
    for (ptrdiff_t i = 0; i < SUPPORT_LANES; i++) inside[i] = i < count ? -1 : 0;
    return support_select(inside, v, rest);
#else
    return count > 0 ? v : rest;
#endif
}

/*** max: select
 * The larger of the two; b where one is not a number. */
support_expanded support_vector support_max(support_vector a, support_vector b) {
#if defined __AVX512F__
    return (support_vector)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined __AVX__
    return (support_vector)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return support_select(support_less(b, a), a, b);
#endif
}

/*** min: select
 * The smaller of the two; b where one is not a number. */
support_expanded support_vector support_min(support_vector a, support_vector b) {
#if defined __AVX512F__
    return (support_vector)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined __AVX__
    return (support_vector)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return support_select(support_less(a, b), a, b);
#endif
}

/*** largest: select
 * The larger of x and what was the largest before; not a number where one of them is none. */
support_expanded support_vector support_largest(support_vector x, support_vector before) {
#if defined __AVX512F__
    const __mmask16 number = _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_ORD_Q);
    return (support_vector)_mm512_mask_max_ps((__m512)x, number, (__m512)x, (__m512)before);
#elif defined __AVX__
    const __m256 none = _mm256_cmp_ps((__m256)x, (__m256)x, _CMP_UNORD_Q);
    return (support_vector)_mm256_or_ps(_mm256_max_ps((__m256)x, (__m256)before), none);
#elif defined __aarch64__
    return (support_vector)vmaxq_f32((float32x4_t)x, (float32x4_t)before);
#elif defined __GNUC__
    return support_select(support_less(before, x) | (x != x), x, before);
#else
    return before < x || x != x ? x : before;
#endif
}

/*** vector_largest: expanded vector vector_store
 * Of all lanes; not a number where one of them is none. */
support_expanded float support_vector_largest(support_vector v) {
#if defined __AVX512F__
    return _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q) ? NAN : _mm512_reduce_max_ps((__m512)v);
#else
    float lane[SUPPORT_LANES];
    support_vector_store(lane, v);
    for (ptrdiff_t i = 1; i < SUPPORT_LANES; i++) lane[0] = lane[0] < lane[i] || lane[i] != lane[i] ? lane[i] : lane[0];
    return lane[0];
#endif
}

/*** vector_place: expanded vector vector_store
 * Of the lanes with the largest value, the smallest of their places. */
support_expanded float support_vector_place(support_vector values, support_vector places) {
    float value[SUPPORT_LANES], place[SUPPORT_LANES];
    support_vector_store(value, values);
    support_vector_store(place, places);
    for (ptrdiff_t i = 1; i < SUPPORT_LANES; i++)
        if (value[i] > value[0] || (value[i] == value[0] && place[i] < place[0])) value[0] = value[i], place[0] = place[i];
    return place[0];
}

/*** bits: expanded vector
 * The same register as whole numbers. */
#if defined __GNUC__
typedef uint32_t support_words __attribute__((vector_size(4 * SUPPORT_LANES)));
#else
typedef uint32_t support_words;
#endif
support_expanded support_vector support_from_bits(support_words bits) {
    support_vector v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
support_expanded support_words support_to_bits(support_vector v) {
    support_words bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

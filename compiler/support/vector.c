/* Vectors as wide as the registers of the machine that the C compiler compiles for (see math.c for the form).
 *
 * GCC and Clang have such types; for any other compiler a vector is one number. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*** expanded
 * A function that is expanded where it is called, however long it is: with constant arguments it becomes code for them. */
#if defined __GNUC__
#define support_expanded static inline __attribute__((always_inline))
#else
#define support_expanded static inline
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
 * The first `count` numbers, 1 or more, and zeros in the other lanes; what lies after them is not read. */
#if defined __AVX__ && !defined __AVX512F__
support_expanded __m256i support_vector_mask(ptrdiff_t count) {
    static const int mask[2 * SUPPORT_LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(mask + SUPPORT_LANES - count));
}
#endif
support_expanded support_vector support_vector_load_part(const float *from, ptrdiff_t count) {
    if (count >= SUPPORT_LANES) return support_vector_load(from);
#if defined __AVX512F__
    return (support_vector)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), from);
#elif defined __AVX__
    return (support_vector)_mm256_maskload_ps(from, support_vector_mask(count));
#elif defined __GNUC__
    return (support_vector){from[0], count > 1 ? from[1] : 0.0f, count > 2 ? from[2] : 0.0f, 0.0f};
#else
    return *from;
#endif
}

/*** vector_store_part: expanded vector vector_store vector_load_part
 * The first `count` lanes, 1 or more. */
support_expanded void support_vector_store_part(float *to, support_vector v, ptrdiff_t count) {
    if (count >= SUPPORT_LANES) {
        support_vector_store(to, v);
        return;
    }
#if defined __AVX512F__
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1u), (__m512)v);
#elif defined __AVX__
    _mm256_maskstore_ps(to, support_vector_mask(count), (__m256)v);
#elif defined __GNUC__
    to[0] = v[0];
    if (count > 1) to[1] = v[1];
    if (count > 2) to[2] = v[2];
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
    float lane[SUPPORT_LANES];
    support_vector_store(lane, v);
    for (ptrdiff_t half = SUPPORT_LANES / 2; half > 0; half /= 2)
        for (ptrdiff_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
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

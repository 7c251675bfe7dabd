/* Vectors as wide as the registers of the machine that the C compiler compiles for (see math.c for the form).
 *
 * GCC and Clang have such types; for any other compiler a vector is one number. */
#include <stddef.h>
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
#if defined __AVX512F__ || defined __AVX__
#include <immintrin.h>
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
 * The first `count` numbers, and zeros in the other lanes; what lies after them is not read. */
support_expanded support_vector support_vector_load_part(const float *from, ptrdiff_t count) {
    if (count >= SUPPORT_LANES) return support_vector_load(from);
#if defined __AVX512F__
    return (support_vector)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), from);
#elif defined __AVX__
    static const int mask[2 * SUPPORT_LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return (support_vector)_mm256_maskload_ps(from, _mm256_loadu_si256((const __m256i *)(mask + SUPPORT_LANES - count)));
#else
    float part[SUPPORT_LANES] = {0.0f};
    for (ptrdiff_t i = 0; i < count; i++) part[i] = from[i];
    return support_vector_load(part);
#endif
}

/*** vector_store_part: expanded vector vector_store */
support_expanded void support_vector_store_part(float *to, support_vector v, ptrdiff_t count) {
    if (count >= SUPPORT_LANES) support_vector_store(to, v);
    else memcpy(to, &v, (size_t)count * sizeof *to);
}

/*** vector_sum: expanded vector vector_store
 * Of all lanes, in halves. */
support_expanded float support_vector_sum(support_vector v) {
    float lane[SUPPORT_LANES];
    support_vector_store(lane, v);
    for (ptrdiff_t half = SUPPORT_LANES / 2; half > 0; half /= 2)
        for (ptrdiff_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

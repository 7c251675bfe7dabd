/* Mathematical functions of emitted code on vectors, in single precision, without branches. Accurate to a few units in the last
 * place everywhere, infinities, zeros and denormal numbers included; not a number stays not a number.
 *
 * gdlc copies the pieces that a model needs. A piece starts at a line with three stars, its name and the pieces that it needs. */
#include "vector.c"

#include <math.h>
#include <stdint.h>
#include <string.h>

/*** lane: expanded vector
 * A function's value of a single number, which is in all lanes. */
support_expanded float support_lane(support_vector v) {
#if defined __GNUC__
    return v[0];
#else
    return v;
#endif
}

/*** abs: expanded bits */
support_expanded support_vector support_abs(support_vector x) { return support_from_bits(support_to_bits(x) & 0x7FFFFFFFu); }

/*** sign: indicator
 * -1, 0 or 1. */
support_expanded support_vector support_sign(support_vector x) {
    const support_vector zero = support_vector_spread(0.0f);
    return support_indicator(support_less(zero, x)) - support_indicator(support_less(x, zero));
}

/*** floor: expanded vector_load vector_store */
support_expanded support_vector support_floor(support_vector x) {
#if defined __AVX512F__
    return (support_vector)_mm512_floor_ps((__m512)x);
#elif defined __AVX__
    return (support_vector)_mm256_floor_ps((__m256)x);
#else
    float lane[SUPPORT_LANES];
    support_vector_store(lane, x);
    for (ptrdiff_t i = 0; i < SUPPORT_LANES; i++) lane[i] = floorf(lane[i]);
    return support_vector_load(lane);
#endif
}

/*** round: bits abs select vector_spread
 * To the nearest whole number, halves to the even one: as the addition of 2^23 rounds, beyond which all numbers are whole. (AVX-512
 * has an instruction; where gcc does not optimise, its name is a macro that warnings are given of.) */
support_expanded support_vector support_round(support_vector x) {
#if defined __AVX512F__ && defined __OPTIMIZE__
    return (support_vector)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const support_vector limit = support_vector_spread(8388608.0f), size = support_abs(x);
    const support_words sign = support_to_bits(x) & 0x80000000u;
    const support_vector whole = support_from_bits(support_to_bits((size + limit) - limit) | sign);
    return support_select(support_less(size, limit), whole, x);
#endif
}

/*** pow: expanded vector_load vector_store */
support_expanded support_vector support_pow(support_vector x, support_vector y) {
    float base[SUPPORT_LANES], exponent[SUPPORT_LANES];
    support_vector_store(base, x);
    support_vector_store(exponent, y);
    for (ptrdiff_t i = 0; i < SUPPORT_LANES; i++) base[i] = powf(base[i], exponent[i]);
    return support_vector_load(base);
}

/*** exp_within: expanded bits
 * exp(x) for x in -104..89. x = k ln 2 + r with |r| <= ln 2 / 2: a polynomial in r, its terms in pairs (a chain of operations half as
 * long as Horner's), times 2^k; without an instruction for that in two steps, so that the ends of the range round well. */
support_expanded support_vector support_exp_within(support_vector x) {
    const support_vector shifted = x * 1.44269504f + 12582912.0f;
    const support_vector k = shifted - 12582912.0f;
    const support_vector r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
    const support_vector z = r * r;
    support_vector p = (r * 1.9875691500e-4f + 1.3981999507e-3f) * z + (r * 8.3334519073e-3f + 4.1665795894e-2f);
    p = p * z + (r * 1.6666665459e-1f + 5.0000001201e-1f);
    p = (p * z + r) + 1.0f;
#if defined __AVX512F__
    return (support_vector)_mm512_scalef_ps((__m512)p, (__m512)k);
#else
    const support_words whole = support_to_bits(shifted) - 0x4B400000u + 512u, half = whole >> 1;
    return p * support_from_bits((half - 256u + 127u) << 23) * support_from_bits((whole - half - 256u + 127u) << 23);
#endif
}

/*** exp: exp_within min max vector_spread */
support_expanded support_vector support_exp(support_vector x) {
    return support_exp_within(support_max(support_vector_spread(-104.0f), support_min(support_vector_spread(89.0f), x)));
}

/*** decay: exp_within bits max vector_spread
 * exp(-|x|), of which sigmoid and softplus are made. */
support_expanded support_vector support_decay(support_vector x) {
    return support_exp_within(support_max(support_vector_spread(-104.0f), support_from_bits(support_to_bits(x) | 0x80000000u)));
}

/*** log: bits select vector_spread
 * x = (1 + f) 2^e with 1 + f in [sqrt(1/2), sqrt(2)): a polynomial in f, its terms in pairs, and e log(2) in two parts. */
support_expanded support_vector support_log(support_vector x) {
    const support_vector zero = support_vector_spread(0.0f);
    const support_mask tiny = support_less(x, support_vector_spread(1.17549435e-38f));
    const support_words offset = support_to_bits(support_select(tiny, x * 8388608.0f, x)) - 0x3F3504F3u;
    const support_vector whole = support_from_bits(((offset + 0x40000000u) >> 23) + 0x4B400000u); /* e + 128, and 1.5 * 2^23 */
    const support_vector e = whole - support_select(tiny, support_vector_spread(12583063.0f), support_vector_spread(12583040.0f));
    const support_vector f = support_from_bits((offset & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f, z = f * f;
    support_vector p = (f * -1.1514610310e-1f + 1.1676998740e-1f) + z * 7.0376836292e-2f;
    p = p * z + (f * -1.2420140846e-1f + 1.4249322787e-1f);
    p = p * z + (f * -1.6668057665e-1f + 2.0000714765e-1f);
    p = p * z + (f * -2.4999993993e-1f + 3.3333331174e-1f);
    const support_vector near = f + (f * z * p - e * 2.12194440e-4f - 0.5f * z) + e * 0.693359375f;
    const support_vector rest =
        support_select(support_equal(x, zero), support_vector_spread(-INFINITY), support_vector_spread(NAN));
    const support_vector result = support_select(support_less(zero, x), near, rest);
    return support_select(support_less(support_vector_spread(3.40282347e+38f), x), x, result);
}

/*** log1p: expanded vector
 * log(1 + x) for x in 0..1: x + q(x) x^2, where q is the polynomial of least relative error, its terms in pairs. */
support_expanded support_vector support_log1p(support_vector x) {
    const support_vector z = x * x, w = z * z;
    const support_vector low = (x * 3.33305113e-1f - 4.99999328e-1f) + (x * 1.96954002e-1f - 2.49585873e-1f) * z;
    const support_vector high = (x * 1.06805539e-1f - 1.53553953e-1f) + (x * 2.0204578e-2f - 5.766443e-2f) * z;
    return x + (low + (high - 3.31847114e-3f * w) * w) * z;
}

/*** sqrt: bits max select vector_spread
 * With AVX-512 one step of Newton's from the machine's estimate y of 1 / sqrt(x), which takes half of the time of the instruction and
 * leaves the divider free; then the table of special values puts x itself for 0 and infinity. (As for `round`: where gcc does not
 * optimise, that is a macro that warnings are given of.) */
support_expanded support_vector support_sqrt(support_vector x) {
#if defined __AVX512F__ && defined __OPTIMIZE__
    const __m512 v = (__m512)x, y = _mm512_rsqrt14_ps(v), s = v * y, off = _mm512_fnmadd_ps(s, y, _mm512_set1_ps(1.0f));
    return (support_vector)_mm512_fixupimm_ps(_mm512_fmadd_ps(0.5f * s, off, s), v, _mm512_set1_epi32(0x00100100), 0);
#elif defined __AVX__ && !defined __AVX512F__
    return (support_vector)_mm256_sqrt_ps((__m256)x);
#else
    const support_mask tiny = support_less(x, support_vector_spread(1.17549435e-38f));
    const support_vector one = support_vector_spread(1.0f), a = support_select(tiny, x * 16777216.0f, x), half = 0.5f * a;
    support_vector y = support_from_bits(0x5F375A86u - (support_to_bits(a) >> 1));
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    const support_vector s = a * y;
    const support_vector root = (s + 0.5f * y * (a - s * s)) * support_select(tiny, support_vector_spread(2.44140625e-4f), one);
    const support_mask negative = support_less(x, support_vector_spread(0.0f));
    const support_mask infinite = support_less(support_vector_spread(3.40282347e+38f), x);
    return support_select(infinite, x, support_select(negative, support_vector_spread(NAN), root));
#endif
}

/*** tanh: exp abs select vector_spread
 * A polynomial near 0, where 1 - 2 / (exp(2x) + 1) would cancel. */
support_expanded support_vector support_tanh(support_vector x) {
    const support_vector a = support_abs(x), z = x * x, zero = support_vector_spread(0.0f);
    const support_vector large = 1.0f - 2.0f / (support_exp(2.0f * a) + 1.0f);
    support_vector p = z * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const support_vector result = support_select(support_less(x, zero), -large, large);
    return support_select(support_less(a, support_vector_spread(0.625f)), x + x * z * p, result);
}

/*** sigmoid: decay select vector_spread */
support_expanded support_vector support_sigmoid(support_vector x) {
    const support_vector e = support_decay(x), one = support_vector_spread(1.0f);
    return support_select(support_less(x, support_vector_spread(0.0f)), e, one) / (1.0f + e);
}

/*** softplus: decay log1p max vector_spread */
support_expanded support_vector support_softplus(support_vector x) {
    return support_max(support_vector_spread(0.0f), x) + support_log1p(support_decay(x));
}

/*** erf: exp abs select min vector_spread
 * Two polynomials: one of erf itself near 0, one of log(1 - erf) elsewhere. */
support_expanded support_vector support_erf(support_vector x) {
    const support_vector a = support_abs(x), t = support_min(support_vector_spread(4.0f), a), s = t * t;
    support_vector p = t * -1.72853470e-5f + 3.83197126e-4f;
    p = p * s + (t * -3.88396438e-3f + 2.42546219e-2f);
    p = p * t - 1.06777877e-1f;
    p = p * t - 6.34846687e-1f;
    p = p * t - 1.28717512e-1f;
    const support_vector large = 1.0f - support_exp(p * t - t);
    support_vector q = s * -5.96761703e-4f + 4.99119423e-3f;
    q = q * s - 2.67681349e-2f;
    q = q * s + 1.12819925e-1f;
    q = q * s - 3.76125336e-1f;
    q = q * s + 1.28379166e-1f;
    const support_vector result = support_select(support_less(x, support_vector_spread(0.0f)), -large, large);
    return support_select(support_less(support_vector_spread(0.927734375f), a), result, q * x + x);
}

/*** quadrants: vector_load vector_store bits
 * Of each lane the multiple k of pi/2 that is nearest, and what is left, |rest| <= pi/4, by double precision: good for |x| up to
 * 10^6. */
support_expanded support_vector support_quadrants(support_vector x, support_words *k) {
    float rest[SUPPORT_LANES];
    uint32_t quadrant[SUPPORT_LANES];
    support_vector_store(rest, x);
    for (ptrdiff_t i = 0; i < SUPPORT_LANES; i++) {
        const double shifted = (double)rest[i] * 0.63661977236758134 + 6755399441055744.0;
        const double whole = shifted - 6755399441055744.0;
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        quadrant[i] = (uint32_t)bits;
        rest[i] = (float)(((double)rest[i] - whole * 1.5707963267341256) - whole * 6.0771005065061922e-11);
    }
    memcpy(k, quadrant, sizeof quadrant);
    return support_vector_load(rest);
}

/*** circle: bits select vector_spread
 * The sine of a rest of x, or in odd quadrants k its cosine; negative in the second half of the circle. */
support_expanded support_vector support_circle(support_vector r, support_words k) {
    const support_vector z = r * r, zero = support_vector_spread(0.0f);
    support_vector s = z * -1.9515295891e-4f + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    support_vector c = z * 2.443315711809948e-5f - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    const support_mask even = support_equal(support_from_bits((k & 1u) << 23), zero);
    const support_vector value = support_select(even, s, c);
    return support_from_bits(support_to_bits(value) ^ ((k & 2u) << 30));
}

/*** sin: quadrants circle */
support_expanded support_vector support_sin(support_vector x) {
    support_words k;
    const support_vector rest = support_quadrants(x, &k);
    return support_circle(rest, k);
}

/*** cos: quadrants circle */
support_expanded support_vector support_cos(support_vector x) {
    support_words k;
    const support_vector rest = support_quadrants(x, &k);
    return support_circle(rest, k + 1u);
}

/*** row
 * A computed row number, taken to the nearest row that there is. */
static inline size_t support_row(float index, size_t rows) {
    return index > 0.0f ? (index < (float)rows ? (size_t)index : rows - 1) : 0;
}

/*** in_order
 * gcc (12, at least) makes vector code of a sum whose terms are read backwards, and of which it then takes wrong ones. This keeps it
 * from seeing that it is a sum. */
#if defined __GNUC__ && !defined __clang__
#define support_in_order(sum) __asm__("" : "+m"(sum))
#else
#define support_in_order(sum) (void)(sum)
#endif

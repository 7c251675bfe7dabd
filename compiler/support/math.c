/* Mathematical functions of emitted code: single precision, without branches and without calls, so that compilers
 * turn the loops around them into vector code, whatever their flags. Accurate to a few units in the last place
 * everywhere, infinities, zeros and denormal numbers included; not a number stays not a number.
 *
 * gdlc copies the pieces that a model needs. A piece starts at a line with three stars, its name and the pieces that it needs. */
#include <math.h>
#include <stdint.h>
#include <string.h>

/*** bits */
static inline float support_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t support_to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/*** select: bits
 * condition ? yes : no with both computed: compilers may not compute an arm of the conditional operator early, nor
 * make vectors of a loop that has branches. */
static inline float support_select(int condition, float yes, float no) {
    const uint32_t mask = 0u - (uint32_t)condition;
    return support_from_bits((support_to_bits(yes) & mask) | (support_to_bits(no) & ~mask));
}

/*** exp: select
 * x = k ln 2 + r with |r| <= ln 2 / 2: a polynomial in r, times 2^k in two steps, so that the ends of the range round
 * well. */
static inline float support_exp(float x) {
    const float bounded = support_select(x > 89.0f, 89.0f, support_select(x < -104.0f, -104.0f, x));
    const float shifted = bounded * 1.44269504f + 12582912.0f;
    const float k = shifted - 12582912.0f;
    const uint32_t whole = support_to_bits(shifted) - 0x4B400000u + 512u;
    const float r = (bounded - k * 0.693359375f) + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r * r + r) + 1.0f;
    const uint32_t half = whole >> 1;
    return p * support_from_bits((half - 256u + 127u) << 23) * support_from_bits((whole - half - 256u + 127u) << 23);
}

/*** log_near
 * log(1 + f) + e log(2) for f in [sqrt(1/2) - 1, sqrt(2) - 1], by a polynomial. */
static inline float support_log_near(float f, float e) {
    const float z = f * f;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    return f + (f * z * p - e * 2.12194440e-4f - 0.5f * z) + e * 0.693359375f;
}

/*** log: select log_near
 * x = m 2^e with m in [sqrt(1/2), sqrt(2)). */
static inline float support_log(float x) {
    const int tiny = x < 1.17549435e-38f;
    const uint32_t bits = support_to_bits(support_select(tiny, x * 8388608.0f, x));
    const uint32_t offset = bits - 0x3F3504F3u;
    const float e = (float)((int32_t)offset >> 23) - (tiny ? 23.0f : 0.0f);
    const float m = support_from_bits((offset & 0x007FFFFFu) + 0x3F3504F3u);
    const float rest = x == 0.0f ? -INFINITY : NAN, finite = support_log_near(m - 1.0f, e);
    return support_select(x > 3.40282347e+38f, x, support_select(x > 0.0f, finite, rest));
}

/*** log1p: select log_near
 * log(1 + x) for x in 0..1: as it stands, or half of 1 + x and one log(2); both without rounding. */
static inline float support_log1p(float x) {
    const int large = x > 0.414213562f;
    return support_log_near(support_select(large, 0.5f * x - 0.5f, x), large ? 1.0f : 0.0f);
}

/*** sqrt: select
 * Newton's iteration on 1 / sqrt(x). The library's sqrtf sets errno, which keeps compilers from making vectors of it. */
static inline float support_sqrt(float x) {
    const int tiny = x < 1.17549435e-38f;
    const float a = support_select(tiny, x * 16777216.0f, x);
    float y = support_from_bits(0x5F375A86u - (support_to_bits(a) >> 1));
    y = y * (1.5f - 0.5f * a * y * y);
    y = y * (1.5f - 0.5f * a * y * y);
    y = y * (1.5f - 0.5f * a * y * y);
    const float s = a * y;
    const float root = (s + 0.5f * y * (a - s * s)) * (tiny ? 2.44140625e-4f : 1.0f);
    return support_select(x > 3.40282347e+38f, x, support_select(x >= 0.0f, root, NAN));
}

/*** tanh: exp select
 * A polynomial near 0, where 1 - 2 / (exp(2x) + 1) would cancel. */
static inline float support_tanh(float x) {
    const float a = fabsf(x), z = x * x;
    const float large = 1.0f - 2.0f / (support_exp(2.0f * a) + 1.0f);
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return support_select(a < 0.625f, x + x * z * p, support_select(x < 0.0f, -large, large));
}

/*** sigmoid: exp select */
static inline float support_sigmoid(float x) {
    const float e = support_exp(-fabsf(x));
    return support_select(x < 0.0f, e, 1.0f) / (1.0f + e);
}

/*** softplus: exp log1p select */
static inline float support_softplus(float x) {
    return support_select(x > 0.0f, x, 0.0f) + support_log1p(support_exp(-fabsf(x)));
}

/*** erf: exp select
 * Two polynomials: one of erf itself near 0, one of log(1 - erf) elsewhere. */
static inline float support_erf(float x) {
    const float a = fabsf(x), t = support_select(a > 4.0f, 4.0f, a), s = t * t;
    float p = -1.72853470e-5f * t + 3.83197126e-4f;
    p = p * s + (-3.88396438e-3f * t + 2.42546219e-2f);
    p = p * t - 1.06777877e-1f;
    p = p * t - 6.34846687e-1f;
    p = p * t - 1.28717512e-1f;
    const float large = 1.0f - support_exp(p * t - t);
    float q = -5.96761703e-4f;
    q = q * s + 4.99119423e-3f;
    q = q * s - 2.67681349e-2f;
    q = q * s + 1.12819925e-1f;
    q = q * s - 3.76125336e-1f;
    q = q * s + 1.28379166e-1f;
    return support_select(a > 0.927734375f, support_select(x < 0.0f, -large, large), q * x + x);
}

/*** quadrant
 * x as a multiple k of pi/2 and a rest, |rest| <= pi/4, by double precision: good for |x| up to 10^6. */
static inline float support_quadrant(float x, uint32_t *k) {
    const double shifted = (double)x * 0.63661977236758134 + 6755399441055744.0;
    const double whole = shifted - 6755399441055744.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    *k = (uint32_t)bits;
    return (float)(((double)x - whole * 1.5707963267341256) - whole * 6.0771005065061922e-11);
}

/*** circle: select
 * sin (odd = 0) or cos (odd = 1) of a rest. */
static inline float support_circle(float r, uint32_t odd) {
    const float z = r * r;
    float s = -1.9515295891e-4f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    float c = 2.443315711809948e-5f;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    return support_select(odd != 0, c, s);
}

/*** sin: quadrant circle */
static inline float support_sin(float x) {
    uint32_t k;
    const float r = support_quadrant(x, &k), y = support_circle(r, k & 1u);
    return support_select((k & 2u) != 0, -y, y);
}

/*** cos: quadrant circle */
static inline float support_cos(float x) {
    uint32_t k;
    const float r = support_quadrant(x, &k), y = support_circle(r, (k + 1u) & 1u);
    return support_select(((k + 1u) & 2u) != 0, -y, y);
}

/*** row
 * A computed row number, taken to the nearest row that there is. */
static inline size_t support_row(float index, size_t rows) {
    return index > 0.0f ? (index < (float)rows ? (size_t)index : rows - 1) : 0;
}

/*** fold_sum */
static inline float support_fold_sum(const float *lanes) {
    float sum = 0.0f;
    for (size_t lane = 0; lane < 16; lane++) sum += lanes[lane];
    return sum;
}

/*** fold_max */
static inline float support_fold_max(const float *lanes) {
    float largest = lanes[0];
    for (size_t lane = 1; lane < 16; lane++) largest = lanes[lane] > largest ? lanes[lane] : largest;
    return largest;
}

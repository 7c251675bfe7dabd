/* Random numbers of emitted code: Philox 4x32-10 (Salmon et al. 2011), counter-based.
 *
 * A number is a pure function of the seed (the key), the tick (which call), the stream (which draw of the model) and its
 * position in the tensor, row-major. Positions come in blocks of 64: counter 16 b + lane gives the positions
 * 64 b + 16 word + lane, so that sixteen lanes are computed side by side.
 *
 * gdlc copies the pieces that a model needs (see math.c). */
#include "math.c"

/*** philox
 * word[w][lane] of one block. With AVX-512 the products are asked for by name: of 64-bit products, compilers make an instruction that
 * takes three times as long. */
#if defined __AVX512F__
#include <immintrin.h>
static inline __m512i support_philox_multiply(__m512i x, __m512i by, __m512i *low) {
    const __m512i even = _mm512_mul_epu32(x, by), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), by);
    *low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

static inline void support_philox(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, uint32_t word[4][16]) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i a = _mm512_set1_epi64(0xD2511F53), b = _mm512_set1_epi64(0xCD9E8D57);
    __m512i word0 = _mm512_add_epi32(_mm512_set1_epi32((int)(16u * block)), lane), word1 = _mm512_set1_epi32((int)tick);
    __m512i word2 = _mm512_set1_epi32((int)(tick >> 32)), word3 = _mm512_set1_epi32((int)stream);
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        __m512i low_a, low_b;
        const __m512i high_a = support_philox_multiply(word0, a, &low_a), high_b = support_philox_multiply(word2, b, &low_b);
        word0 = _mm512_xor_si512(_mm512_xor_si512(high_b, word1), _mm512_set1_epi32((int)key0));
        word2 = _mm512_xor_si512(_mm512_xor_si512(high_a, word3), _mm512_set1_epi32((int)key1));
        word1 = low_b;
        word3 = low_a;
    }
    _mm512_storeu_si512(word[0], word0);
    _mm512_storeu_si512(word[1], word1);
    _mm512_storeu_si512(word[2], word2);
    _mm512_storeu_si512(word[3], word3);
}
#else
static inline void support_philox(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, uint32_t word[4][16]) {
    for (uint32_t lane = 0; lane < 16; lane++) {
        uint32_t word0 = 16u * block + lane, word1 = (uint32_t)tick, word2 = (uint32_t)(tick >> 32), word3 = stream;
        uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
        for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
            const uint64_t a = (uint64_t)word0 * 0xD2511F53u, b = (uint64_t)word2 * 0xCD9E8D57u;
            word0 = (uint32_t)(b >> 32) ^ word1 ^ key0;
            word1 = (uint32_t)b;
            word2 = (uint32_t)(a >> 32) ^ word3 ^ key1;
            word3 = (uint32_t)a;
        }
        word[0][lane] = word0, word[1][lane] = word1, word[2][lane] = word2, word[3][lane] = word3;
    }
}
#endif

/*** unit
 * The upper 23 bits of a word as a number strictly between 0 and 1. */
static inline float support_unit(uint32_t word) { return ((float)(word >> 9) + 0.5f) * 1.1920929e-7f; }

/*** uniform_block: philox unit */
static inline void support_uniform_block(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, float *out) {
    uint32_t word[4][16];
    support_philox(seed, tick, stream, block, word);
    for (size_t w = 0; w < 4; w++)
        for (size_t lane = 0; lane < 16; lane++) out[16 * w + lane] = support_unit(word[w][lane]);
}

/*** normal_block: uniform_block vector_load vector_store log sqrt sin cos
 * Box and Muller: two uniform numbers give two independent normal ones. */
static inline void support_normal_block(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, float *out) {
    support_uniform_block(seed, tick, stream, block, out);
    for (size_t pair = 0; pair < 64; pair += 32)
        for (size_t lane = pair; lane < pair + 16; lane += SUPPORT_LANES) {
            const support_vector radius = support_sqrt(-2.0f * support_log(support_vector_load(out + lane)));
            const support_vector angle = 6.28318531f * support_vector_load(out + lane + 16);
            support_vector_store(out + lane, radius * support_cos(angle));
            support_vector_store(out + lane + 16, radius * support_sin(angle));
        }
}

/*** fill
 * Positions first..first+count-1 of a stream, block by block. */
static void support_fill(void (*draw)(uint64_t, uint64_t, uint32_t, uint32_t, float *), uint64_t seed, uint64_t tick,
                         uint32_t stream, uint64_t first, size_t count, float *out) {
    for (size_t done = 0; done < count;) {
        float block[64];
        const uint64_t at = first + done;
        const size_t skip = (size_t)(at % 64), left = count - done, part = left < 64 - skip ? left : 64 - skip;
        draw(seed, tick, stream, (uint32_t)(at / 64), block);
        memcpy(out + done, block + skip, part * sizeof *out);
        done += part;
    }
}

/*** uniform: uniform_block fill separate
 * Uniform between 0 and 1. */
support_separate void support_uniform(uint64_t seed, uint64_t tick, uint32_t stream, uint64_t first, size_t count, float *out) {
    support_fill(support_uniform_block, seed, tick, stream, first, count, out);
}

/*** normal: normal_block fill separate
 * Normal with mean 0 and standard deviation 1. */
support_separate void support_normal(uint64_t seed, uint64_t tick, uint32_t stream, uint64_t first, size_t count, float *out) {
    support_fill(support_normal_block, seed, tick, stream, first, count, out);
}

/*** inner
 * The sum of the products of two vectors' elements, `along` apart, in as many sums as can be computed side by side. */
static inline double support_inner(size_t length, size_t along, const float *a, const float *b) {
    const size_t whole = length - length % 8;
    double sum[8] = {0.0}, all = 0.0;
    for (size_t i = 0; i < whole; i += 8)
        for (size_t lane = 0; lane < 8; lane++) sum[lane] += (double)a[(i + lane) * along] * (double)b[(i + lane) * along];
    for (size_t i = whole; i < length; i++) all += (double)a[i * along] * (double)b[i * along];
    for (size_t lane = 0; lane < 8; lane++) all += sum[lane];
    return all;
}

/*** orthogonal: normal inner separate
 * A matrix whose columns (or rows, where it is wider than high) are orthonormal, uniformly distributed: the columns of a normal
 * matrix, each made orthogonal to those before. Twice over, which leaves nothing but rounding. Element (i, v) of the vectors
 * is the draw at i * vectors + v, and lies at out[i * along + v * across]. */
support_separate void support_orthogonal(uint64_t seed, uint64_t tick, uint32_t stream, size_t rows, size_t columns, float *out) {
    const size_t vectors = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    const size_t along = rows < columns ? 1 : columns, across = rows < columns ? columns : 1;
    for (size_t first = 0; first < length * vectors; first += 64) {
        float block[64];
        const size_t count = length * vectors - first < 64 ? length * vectors - first : 64;
        support_normal(seed, tick, stream, first, count, block);
        for (size_t i = 0; i < count; i++) out[(first + i) / vectors * along + (first + i) % vectors * across] = block[i];
    }
    for (size_t v = 0; v < vectors; v++) {
        float *const vector = out + v * across;
        for (size_t u = 0; u < 2 * v; u++) {
            const float *const before = out + u % v * across;
            const double dot = support_inner(length, along, vector, before);
            for (size_t i = 0; i < length; i++) vector[i * along] -= (float)(dot * (double)before[i * along]);
        }
        const double scale = 1.0 / sqrt(support_inner(length, along, vector, vector));
        for (size_t i = 0; i < length; i++) vector[i * along] = (float)((double)vector[i * along] * scale);
    }
}

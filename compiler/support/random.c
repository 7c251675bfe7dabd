/* Random numbers of emitted code: Philox 4x32-10 (Salmon et al. 2011), counter-based.
 *
 * A number is a pure function of the seed (the key), the tick (which call), the stream (which draw of the model) and its
 * position in the tensor, row-major. Positions come in blocks of 64: counter 16 b + lane gives the positions
 * 64 b + 16 word + lane, so that sixteen lanes are computed side by side.
 *
 * gdlc copies the pieces that a model needs (see math.c). */
#include "math.c"

/*** philox
 * word[w][lane] of one block. */
static inline void support_philox(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, uint32_t word[4][16]) {
    for (uint32_t lane = 0; lane < 16; lane++) {
        word[0][lane] = 16u * block + lane;
        word[1][lane] = (uint32_t)tick;
        word[2][lane] = (uint32_t)(tick >> 32);
        word[3][lane] = stream;
    }
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
        for (size_t lane = 0; lane < 16; lane++) {
            const uint64_t a = (uint64_t)word[0][lane] * 0xD2511F53u, b = (uint64_t)word[2][lane] * 0xCD9E8D57u;
            const uint32_t c1 = word[1][lane], c3 = word[3][lane];
            word[0][lane] = (uint32_t)(b >> 32) ^ c1 ^ key0;
            word[1][lane] = (uint32_t)b;
            word[2][lane] = (uint32_t)(a >> 32) ^ c3 ^ key1;
            word[3][lane] = (uint32_t)a;
        }
}

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

/*** normal_block: philox unit log sqrt sin cos
 * Box and Muller: two words give two independent normal numbers. */
static inline void support_normal_block(uint64_t seed, uint64_t tick, uint32_t stream, uint32_t block, float *out) {
    uint32_t word[4][16];
    support_philox(seed, tick, stream, block, word);
    for (size_t w = 0; w < 4; w += 2)
        for (size_t lane = 0; lane < 16; lane++) {
            const float radius = support_sqrt(-2.0f * support_log(support_unit(word[w][lane])));
            const float angle = 6.28318531f * support_unit(word[w + 1][lane]);
            out[16 * w + lane] = radius * support_cos(angle);
            out[16 * w + 16 + lane] = radius * support_sin(angle);
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

/*** uniform: uniform_block fill
 * Uniform between 0 and 1. */
static void support_uniform(uint64_t seed, uint64_t tick, uint32_t stream, uint64_t first, size_t count, float *out) {
    support_fill(support_uniform_block, seed, tick, stream, first, count, out);
}

/*** normal: normal_block fill
 * Normal with mean 0 and standard deviation 1. */
static void support_normal(uint64_t seed, uint64_t tick, uint32_t stream, uint64_t first, size_t count, float *out) {
    support_fill(support_normal_block, seed, tick, stream, first, count, out);
}

/*** orthogonal: normal
 * A matrix whose columns (or rows, where it is wider than high) are orthonormal, uniformly distributed: the columns of a normal
 * matrix, each made orthogonal to those before. Twice over, which leaves nothing but rounding. Element (i, v) of the vectors
 * is the draw at i * vectors + v, and lies at out[i * along + v * across]. */
static void support_orthogonal(uint64_t seed, uint64_t tick, uint32_t stream, size_t rows, size_t columns, float *out) {
    const size_t vectors = rows < columns ? rows : columns, length = rows < columns ? columns : rows;
    const size_t along = rows < columns ? 1 : columns, across = rows < columns ? columns : 1;
    for (size_t i = 0; i < length; i++)
        for (size_t v = 0; v < vectors; v++) support_normal(seed, tick, stream, i * vectors + v, 1, out + i * along + v * across);
    for (size_t v = 0; v < vectors; v++) {
        float *const vector = out + v * across;
        for (size_t u = 0; u < 2 * v; u++) {
            const float *const before = out + u % v * across;
            double dot = 0.0;
            for (size_t i = 0; i < length; i++) dot += (double)vector[i * along] * (double)before[i * along];
            for (size_t i = 0; i < length; i++) vector[i * along] -= (float)(dot * (double)before[i * along]);
        }
        double square = 0.0;
        for (size_t i = 0; i < length; i++) square += (double)vector[i * along] * (double)vector[i * along];
        const double scale = 1.0 / sqrt(square);
        for (size_t i = 0; i < length; i++) vector[i * along] = (float)((double)vector[i * along] * scale);
    }
}

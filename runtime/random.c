/* random.c: random numbers that are pure functions of a key and a counter, so that any epoch's order can be had at any time. */
#include "runtime.h"

/* One round: two multiplications whose high words cross over. */
static void philox_round(uint32_t c[4], uint32_t key_low, uint32_t key_high) {
    uint64_t a = (uint64_t)0xD2511F53u * c[0];
    uint64_t b = (uint64_t)0xCD9E8D57u * c[2];
    c[0] = (uint32_t)(b >> 32) ^ c[1] ^ key_low;
    c[1] = (uint32_t)b;
    c[2] = (uint32_t)(a >> 32) ^ c[3] ^ key_high;
    c[3] = (uint32_t)a;
}

void gdl_philox(uint64_t key, const uint32_t counter[4], uint32_t words[4]) {
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    for (int i = 0; i < 4; i++)
        words[i] = counter[i];
    for (int round = 0; round < 10; round++) {
        philox_round(words, low, high);
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
}

/* Fisher and Yates. The draws of emitted code have streams below 2^31, so the top bit keeps an order apart from them.
 * 64 bits modulo the bound favour none noticeably: the bias is below 2^-32 for four thousand million examples. */
void gdl_shuffle(size_t *order, size_t count, uint64_t seed, uint32_t stream, uint64_t epoch) {
    for (size_t i = count; i > 1; i--) {
        uint32_t counter[4] = {(uint32_t)i, (uint32_t)epoch, (uint32_t)(epoch >> 32), stream | 0x80000000u};
        uint32_t words[4];
        gdl_philox(seed, counter, words);
        size_t j = (size_t)(((uint64_t)words[0] << 32 | words[1]) % i);
        size_t other = order[j];
        order[j] = order[i - 1];
        order[i - 1] = other;
    }
}

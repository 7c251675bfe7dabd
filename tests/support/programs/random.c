/* Random numbers of support/random.c beside a Philox 4x32-10 that computes one counter after the other. */
#include "../../../compiler/support/random.c"

#include <stdio.h>

static void philox(uint32_t word[4], uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
        const uint64_t a = 0xD2511F53ull * word[0], b = 0xCD9E8D57ull * word[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ word[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ word[3] ^ key1, (uint32_t)a};
        memcpy(word, next, sizeof next);
    }
}

int main(void) {
    const uint64_t seeds[] = {0, 1, 0xFFFFFFFFFFFFFFFFull, 0x0123456789ABCDEFull};
    int passed = 0, failed = 0;
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
        for (uint32_t block = 0; block < 1u << 20; block = 3 * block + 1) {
            const uint64_t tick = seeds[s] / 3 + block;
            uint32_t words[4][16];
            int well = 1;
            support_philox(seeds[s], tick, block + 7, block, words);
            for (uint32_t lane = 0; lane < 16; lane++) {
                uint32_t word[4] = {16 * block + lane, (uint32_t)tick, (uint32_t)(tick >> 32), block + 7};
                philox(word, (uint32_t)seeds[s], (uint32_t)(seeds[s] >> 32));
                for (int w = 0; w < 4; w++) well &= words[w][lane] == word[w];
            }
            if (!well) printf("philox: seed %zu, block %u\n", s, block);
            passed += well, failed += !well;
        }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}

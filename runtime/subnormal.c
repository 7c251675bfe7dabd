/* subnormal.c: numbers below 1e-38. The moving averages of optimizers decay into them where a gradient stays zero, and processors
 * compute with them many times slower than with others: an epoch took six times as long. They are as good as zero. */
#include "gdl.h"

#if defined(__SSE2__)

#include <emmintrin.h>

/* In the control register: results that are subnormal become zero (bit 15), and so do operands (bit 6). */
void gdl_flush_subnormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040u); }

#elif defined(__aarch64__)

void gdl_flush_subnormals(void) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | UINT64_C(1) << 24));
}

#else

void gdl_flush_subnormals(void) {}

#endif

/* blas.c: OpenBLAS chooses its kernels by the processor's model number while it is loaded. An OpenBLAS that is older than the
 * processor does not know the number and takes the slowest kernels (SSE3), three times slower than the right ones. It can only be told
 * otherwise by an environment variable that is there before the program starts: hence the second start. */
#include "gdl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__linux__)

/* Of OpenBLAS; NULL in a program that is linked to another BLAS, or to none. */
char *openblas_get_corename(void) __attribute__((weak));
void openblas_set_num_threads(int threads) __attribute__((weak));

/* The name OpenBLAS has for the best kernels that any processor with these instructions can run; NULL: none better than SSE3. */
static const char *best_kernels(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return "SKYLAKEX";
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "HASWELL" : NULL;
}

void gdl_blas_kernels(char **argv) {
    /* Products of these sizes end before the threads of a pool have woken up, and a pool that waits takes the other cores. */
    if (openblas_set_num_threads && !getenv("OPENBLAS_NUM_THREADS")) openblas_set_num_threads(1);
    const char *best = best_kernels();
    if (!openblas_get_corename || !best || getenv("OPENBLAS_CORETYPE")) return;
    if (strcmp(openblas_get_corename(), "Prescott") != 0) return;
    setenv("OPENBLAS_NUM_THREADS", "1", 0); /* then it starts no pool at all */
    if (setenv("OPENBLAS_CORETYPE", best, 1) == 0) execv("/proc/self/exe", argv);
}

#else

void gdl_blas_kernels(char **argv) { (void)argv; }

#endif

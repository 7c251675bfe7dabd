/* Where the time of a model goes: emitted with --profile only.
 *
 * gdlc copies the pieces that a model needs (see math.c). The emitted code says what support_kernel is. */
#include <stdint.h>
#include <time.h>

typedef struct support_kernel {
    const char *function, *name, *place;
    uint64_t calls;
    double seconds, flops, bytes;
} support_kernel;

/*** profile_time
 * Nanoseconds since some moment. */
static inline uint64_t support_profile_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/*** profile: profile_time
 * Counts a call that began at `start`, and what it did. Returns the time: the next kernel's start. */
static inline uint64_t support_profile(support_kernel *kernel, uint64_t start, double flops, double bytes) {
    const uint64_t end = support_profile_time();
    kernel->calls++;
    kernel->seconds += 1e-9 * (double)(end - start);
    kernel->flops += flops;
    kernel->bytes += bytes;
    return end;
}

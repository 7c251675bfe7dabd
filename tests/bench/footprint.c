/* footprint: the memory and the time of a process, for footprint.sh.
 *
 *     footprint RUNS COMMAND [ARGUMENT...]
 *
 * Runs the command, without its output, and prints the shortest time in milliseconds and the largest resident memory in MB. It is a program
 * of its own, and small, because a process starts with the memory of the one that it was forked from. */
#define _DEFAULT_SOURCE /* wait4 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void run(char **command) {
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0) execvp(command[0], command);
    _exit(127);
}

int main(int argc, char **argv) {
    double shortest = 1e30, largest = 0;
    const long runs = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    for (long i = 0; i < runs; i++) {
        struct rusage usage;
        int status;
        const double start = now();
        const pid_t child = fork();
        if (child == 0) run(argv + 2);
        if (child < 0 || wait4(child, &status, 0, &usage) < 0 || status != 0) return 1;
        const double time = now() - start, memory = (double)usage.ru_maxrss / 1024;
        if (time < shortest) shortest = time;
        if (memory > largest) largest = memory;
    }
    if (runs < 1) return 2;
    printf("%.1f %.1f\n", shortest, largest);
    return 0;
}

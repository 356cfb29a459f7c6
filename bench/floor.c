/* What it costs to wake up, and to read two pieces of 8 KiB of another process, and nothing
 * else: no profiler that samples from outside can cost less on this machine.
 *
 * Usage: floor PID ADDRESS MICROSECONDS ROUNDS PIECES     prints microseconds of CPU a round */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>

static double cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec
        + used.ru_stime.tv_usec;
}

int main(int count, char **arguments)
{
    static char buffer[8192];
    if (count != 6)
        return 2;
    int pid = atoi(arguments[1]), pieces = atoi(arguments[5]);
    char *address = (char *)strtoul(arguments[2], NULL, 0);
    long step = atol(arguments[3]) * 1000, rounds = atol(arguments[4]);
    prctl(PR_SET_TIMERSLACK, 1);
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    double before = cpu();
    for (long round = 0; round < rounds; round++) {
        at.tv_nsec += step;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        for (int piece = 0; piece < pieces; piece++) {
            struct iovec here = {buffer, sizeof buffer}, there = {address, sizeof buffer};
            if (process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof buffer)
                return 1;
        }
    }
    printf("%.1f\n", (cpu() - before) / rounds);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/machine/signals.h"

/* A process that hears of a stop and does not end, as one in a library that does not come back. */
static pid_t start(void)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        ko_stop_install(0);
        if (write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

/* The exit status within the time, -1: it lives. */
static int ended_within(pid_t child, double seconds)
{
    const double begin = ko_now();
    int status = 0;
    do {
        if (waitpid(child, &status, WNOHANG) == child) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
        ko_nap(0.01);
    } while (ko_now() - begin < seconds);
    return -1;
}

static void the_second_signal_ends_at_once(void **state)
{
    static const struct {
        int first, second;
        double gap; /* seconds between them */
        int status;
    } rows[] = {
        {SIGINT, SIGINT, 0, 130},     {SIGTERM, SIGINT, 0, 130}, {SIGTERM, SIGTERM, 1.2, 143},
        {SIGTERM, SIGTERM, 0.05, -1}, /* one that was sent to the process and to its group */
        {SIGUSR1, SIGTERM, 1.2, -1},  /* Slurm's warning, then its TERM */
        {SIGTERM, SIGUSR1, 1.2, -1},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        const pid_t child = start();
        kill(child, rows[k].first);
        ko_nap(0.05 + rows[k].gap);
        kill(child, rows[k].second);
        const int status = ended_within(child, rows[k].status < 0 ? 0.3 : 20);
        if (status == -1) {
            kill(child, SIGKILL);
            (void)waitpid(child, NULL, 0);
        }
        assert_int_equal(status, rows[k].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_signal_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Holds the signal handler and the stop time. They are static variables of this file because a
   signal handler cannot be given an argument. */
#define _GNU_SOURCE
#include "src/base/machine/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

/* Signal handlers can reach nothing but objects of static storage. */
static volatile sig_atomic_t signalled;
static int64_t stop_time;

static volatile sig_atomic_t interrupted; /* by TERM or INT; a second one ends the process */
static struct timespec interrupted_at;

/* `timeout` and some launchers send one TERM twice, to the process and to its group. */
static bool is_an_echo(int number)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return number == SIGTERM && (double)(now.tv_sec - interrupted_at.tv_sec) +
                                        1e-9 * (double)(now.tv_nsec - interrupted_at.tv_nsec) <
                                    1.0;
}

static void on_signal(int number)
{
    signalled = 1;
    if (number != SIGTERM && number != SIGINT) {
        return;
    }
    /* The process may hang, so it ends here. */
    if (interrupted && !is_an_echo(number)) {
        _exit(128 + number);
    }
    if (!interrupted) {
        clock_gettime(CLOCK_MONOTONIC, &interrupted_at);
    }
    interrupted = 1;
}

static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};

static void mask_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        sigaddset(&set, numbers[k]);
    }
    sigprocmask(how, &set, NULL);
}

void ko_stop_hold(void)
{
    mask_signals(SIG_BLOCK);
}

void ko_stop_release(void)
{
    mask_signals(SIG_UNBLOCK);
}

void ko_stop_install(int64_t stop_at)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        sigaddset(&action.sa_mask, numbers[k]);
    }
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        sigaction(numbers[k], &action, NULL);
    }
    stop_time = stop_at;
    ko_stop_release();
}

bool ko_stop_wanted(void)
{
    return signalled || (stop_time > 0 && (int64_t)time(NULL) >= stop_time);
}

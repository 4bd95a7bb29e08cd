#define _GNU_SOURCE
#include "src/cli/stop.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

/* Signal handlers can reach nothing but objects of static storage. */
static volatile sig_atomic_t signalled;
static int64_t stop_time;

static void on_signal(int number)
{
    if (signalled && number == SIGINT) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    signalled = 1;
}

static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};

static void mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
        sigaddset(&set, numbers[k]);
    sigprocmask(how, &set, NULL);
}

void ko_stop_hold(void)
{
    mask(SIG_BLOCK);
}

void ko_stop_release(void)
{
    mask(SIG_UNBLOCK);
}

void ko_stop_install(int64_t stop_at)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
        sigaction(numbers[k], &action, NULL);
    stop_time = stop_at;
    ko_stop_release();
}

bool ko_stop_wanted(void)
{
    return signalled || (stop_time > 0 && (int64_t)time(NULL) >= stop_time);
}

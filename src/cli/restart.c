/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses how waiting threads behave and which OpenBLAS kernels are used, and starts the program
   again where that changed the environment. */
#define _GNU_SOURCE
#include "src/cli/restart.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/openblas.h"

/* A thread that waits tries this often before it sleeps. A try is one `pause`: 10 to 140 cycles,
   so it spins for about 10 to 50 us. GNU's own number is 300,000, up to 14 ms: beside other work,
   whose turn on a core takes a few milliseconds, threads then burn the time that they are given by
   waiting for one that is not running. Sleeping at once costs an idle machine 2 to 3 %, because
   most waits between two operations are shorter than waking up is. */
static const char SPIN_COUNT[] = "1000";

/* LLVM's runtime counts milliseconds, and this is its shortest wait but none; its own is 200. */
static const char BLOCK_MILLISECONDS[] = "1";

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] != '\0';
}

/* Sets a variable that the user has not set; whether it did. */
static bool choose(const char *name, const char *value)
{
    return !is_set(name) && setenv(name, value, 1) == 0;
}

/* How threads wait, unless the user says how. */
static bool choose_waiting(void)
{
    if (is_set("OMP_WAIT_POLICY")) {
        return false;
    }
    const bool gnu = choose("GOMP_SPINCOUNT", SPIN_COUNT);
    const bool llvm = !is_set("KMP_LIBRARY") && choose("KMP_BLOCKTIME", BLOCK_MILLISECONDS);
    return gnu || llvm;
}

void ko_restart_with_choices(char **argv)
{
    char core[32];
    bool changed = choose_waiting();
    changed |= ko_openblas_core_wanted(core) && choose("OPENBLAS_CORETYPE", core);
    if (!changed) {
        return;
    }
    (void)execv("/proc/self/exe", argv);
    fprintf(stderr,
            "knockout: warning: cannot start anew (%s), so threads wait as OpenMP's runtime "
            "decides and OpenBLAS uses its %s kernels; set OMP_WAIT_POLICY and OPENBLAS_CORETYPE\n",
            strerror(errno), ko_openblas_core());
}

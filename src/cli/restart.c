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

/* How often a waiting thread tries before it sleeps. A try is one `pause` of 10 to 140 cycles, so a
   thread spins for about 10 to 50 us. GNU's default is 300,000, up to 14 ms: if other programs run,
   each for a few milliseconds at a time, threads waste their time slices by waiting for a thread
   that is not running. Sleeping at once costs an idle machine 2 to 3 %, because most waits between
   two operations are shorter than a wake-up. */
static const char SPIN_COUNT[] = "1000";

/* LLVM's runtime counts milliseconds. This is its shortest wait above 0; the default is 200. */
static const char BLOCK_MILLISECONDS[] = "1";

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] != '\0';
}

/* Sets a variable unless the user has set it. Returns whether it was set here. */
static bool choose_variable(const char *name, const char *value)
{
    return !is_set(name) && setenv(name, value, 1) == 0;
}

/* Chooses how threads wait, unless the user has. */
static bool choose_waiting(void)
{
    if (is_set("OMP_WAIT_POLICY")) {
        return false;
    }
    const bool gnu = choose_variable("GOMP_SPINCOUNT", SPIN_COUNT);
    const bool llvm =
        !is_set("KMP_LIBRARY") && choose_variable("KMP_BLOCKTIME", BLOCK_MILLISECONDS);
    return gnu || llvm;
}

void ko_restart_with_choices(char **argv)
{
    char core[32];
    bool changed = choose_waiting();
    changed |= ko_openblas_core_wanted(core) && choose_variable("OPENBLAS_CORETYPE", core);
    if (!changed) {
        return;
    }
    (void)execv("/proc/self/exe", argv);
    fprintf(stderr,
            "knockout: warning: cannot start again (%s), so threads wait as OpenMP's runtime "
            "decides and OpenBLAS uses its %s kernels; set OMP_WAIT_POLICY and OPENBLAS_CORETYPE\n",
            strerror(errno), ko_openblas_core());
}

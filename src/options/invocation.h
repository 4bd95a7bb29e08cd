/* SPDX-License-Identifier: Apache-2.0 */
/* How the program was called: the parsed options, the arguments that MPI_Init takes, and where
   results go; and the exit statuses that are not those of an error's code. */
#ifndef KO_OPTIONS_INVOCATION_H
#define KO_OPTIONS_INVOCATION_H

#include <stdio.h>

#include "src/options/options.h"

struct ko_cli {
    struct ko_options *options; /* borrowed */
    int *argc;                  /* for MPI_Init */
    char ***argv;
    FILE *out; /* results */
};

enum { KO_EXIT_FAILURES = 3, KO_EXIT_INCOMPLETE = 4 };

#endif

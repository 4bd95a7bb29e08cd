/* SPDX-License-Identifier: Apache-2.0 */
/* How the program was called: parsed options, arguments for MPI_Init, the stream for results. Also
   the exit statuses that no error code has. */
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

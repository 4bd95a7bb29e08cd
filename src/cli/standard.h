/* SPDX-License-Identifier: Apache-2.0 */
/* The three standard streams: makes sure that they are open, prints results safely, and detects
   results that could not be written. */
#ifndef KO_CLI_STANDARD_H
#define KO_CLI_STANDARD_H

#include <stdbool.h>
#include <stdio.h>

#include "src/base/error.h"

/* Opens /dev/null for each of descriptors 0, 1 and 2 that is closed, so that no file opened later
   gets its number. Reading and writing it fails. A process does this first. */
void ko_standard_fill(void);

struct ko_standard {
    FILE *out;   /* for the results of a command; has no descriptor */
    bool text;   /* for people: unprintable bytes are escaped (src/base/printable.h) */
    bool colors; /* the command's colour sequences ESC [ ... m are not escaped */
    int failure; /* errno of the first write that failed; 0: none failed */
    char held[16];
    size_t n_held; /* bytes of an incomplete character or colour, until the next write */
};

/* Opens the stream of results on standard output, to which nothing else may write. `standard` must
   outlive the stream. KO_E_MEMORY. */
KO_MUST_CHECK enum ko_code ko_standard_open(struct ko_standard *standard, bool text, bool colors,
                                            struct ko_error *err);
/* Writes what is left, and closes the stream and standard output. KO_E_FAILED with the reason if
   something could not be written; the text is empty if the reader has closed the pipe. */
KO_MUST_CHECK enum ko_code ko_standard_close(struct ko_standard *standard, struct ko_error *err);

#endif

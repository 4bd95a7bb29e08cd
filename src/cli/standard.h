/* SPDX-License-Identifier: Apache-2.0 */
/* The three standard streams: they are there, results are safe to print, and it is noticed where they
   did not arrive. */
#ifndef KO_CLI_STANDARD_H
#define KO_CLI_STANDARD_H

#include <stdbool.h>
#include <stdio.h>

#include "src/base/error.h"

/* The first thing that a process does: descriptors 0, 1 and 2 that are closed lead to /dev/null, so
   that no file that is opened later is taken for one of them. Reading and writing them fails. */
void ko_standard_fill(void);

struct ko_standard {
    FILE *out;   /* what a command prints its results to; has no descriptor of its own */
    bool text;   /* for people: names are printed as src/base/printable.h says */
    bool colors; /* of the command pass: its sequences ESC [ ... m */
    int failure; /* errno of the first write that failed; 0: none */
    char held[16];
    size_t n_held; /* bytes of a character, or of a colour, that goes on in the next write */
};

/* Opens the results' stream over standard output, which nothing else may be written to. `standard`
   must outlive it. KO_E_MEMORY. */
KO_MUST_CHECK enum ko_code ko_standard_open(struct ko_standard *standard, bool text, bool colors,
                                            struct ko_error *err);
/* Writes what is left, closes the stream and standard output itself. KO_E_FAILED with the reason
   where anything that was printed has not arrived; the text is empty where the reader has closed
   the pipe: that is no news to anybody. */
KO_MUST_CHECK enum ko_code ko_standard_close(struct ko_standard *standard, struct ko_error *err);

#endif

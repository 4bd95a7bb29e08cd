/* SPDX-License-Identifier: Apache-2.0 */
/* How a run ends, in a line for people: what is there now, and what to do next. */
#ifndef KO_RUN_RESULT_LINE_H
#define KO_RUN_RESULT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/text.h"
#include "src/run/shard.h"

struct ko_result {
    const char *path;       /* of the cube; borrowed */
    bool evaluation;        /* its cells are clean runs */
    int64_t total;          /* cells that the cube calls for */
    int64_t before, done;   /* that were there when the run began; computed by it */
    double seconds;         /* that the run took for them */
    int64_t n_failures;     /* prompts and models that are recorded as failed */
    bool already;           /* there was nothing to do: the numbers are not known */
    bool stopped;           /* early: what to do next is said by the error */
    bool is_step;           /* of a run that goes on with what is next by itself */
    struct ko_shard shard;  /* whose file it is; of 0: the whole sweep's */
    const char *whole_path; /* of the cube that shards are merged into; borrowed */
};

/* "X.h5: 2,640 cells done in 0.6 s; next: knockout show X.h5", without a line end. */
void ko_result_add(const struct ko_result *result, struct ko_text *out);

/* Appends a file's name as a shell takes it: in quotes where it holds more than letters, digits and
   ._/-+=:,@% */
void ko_shell_word_add(struct ko_text *out, const char *name);

#endif

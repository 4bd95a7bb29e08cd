/* SPDX-License-Identifier: Apache-2.0 */
/* The last line of a run on the terminal: what the cube has now, and what to do next. */
#ifndef KO_RUN_RESULT_LINE_H
#define KO_RUN_RESULT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/text.h"
#include "src/run/shard.h"

struct ko_result {
    const char *path;       /* of the cube; borrowed */
    bool evaluation;        /* the cells are clean runs */
    int64_t total;          /* cells that the cube calls for */
    int64_t before;         /* cells that were done when the run began */
    int64_t done;           /* cells that the run computed */
    double seconds;         /* of computing them */
    int64_t n_failures;     /* prompts and models that are recorded as failed */
    bool already;           /* there was nothing to do: the numbers are not known */
    bool stopped;           /* the run was stopped early: the error says what to do next */
    bool is_step;           /* the same command goes on with the next step */
    struct ko_shard shard;  /* that the file holds; of 0: the whole sweep */
    const char *whole_path; /* of the cube that shards are merged into; borrowed */
};

/* "X.h5: 2,640 cells done in 0.6 s; next: knockout show X.h5", without a line end. */
void ko_result_add(const struct ko_result *result, struct ko_text *out);

/* The plural of a noun in a message: "" for 1, else "s". */
static inline const char *ko_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* Appends a file name for a shell: in quotes if it has other characters than letters, digits and
   ._/-+=:,@% */
void ko_shell_word_add(struct ko_text *out, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Some prompts of one model with all their cells. A table reads a cube this way, a few MiB at a
   time. */
#ifndef KO_EXPORT_CELL_ROWS_H
#define KO_EXPORT_CELL_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/part.h"
#include "src/plan/stored_metrics.h"

/* Of a prompt under a model: n_tokens, subject_begin, subject_end. */
enum { KO_N_ROWS_PLACES = 3 };

/* An array for each stored metric. NULL where the cube lacks the dataset. */
struct ko_metric_arrays {
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE *name;
    KO_STORED_METRICS(X, )
#undef X
};

/* The prompts first ... first + n - 1 of a model. All arrays are owned. */
struct ko_cell_rows {
    const struct ko_cube_part *part; /* borrowed */
    int32_t model, first, n;
    int32_t most;                     /* prompts that are in memory at a time */
    int64_t n_statuses, n_values;     /* of one prompt */
    uint8_t *status;                  /* [n, n_statuses] */
    uint8_t *vacuous;                 /* [n, n_values] marks of the cube; NULL: it has none */
    struct ko_metric_arrays value;    /* [n, n_values] */
    struct ko_metric_arrays clean;    /* [n] */
    int32_t *place[KO_N_ROWS_PLACES]; /* [n] */
    float
        *answer_logprob;  /* [n, n_values, n_answer_tokens] of whole answers; NULL: one is scored */
    int32_t *answer_rank; /* likewise */
    /* of several right answers and options [n, n_values], NULL where the cube lacks the dataset;
       [n, n_values, n_options] */
    struct ko_choice_arrays {
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE *name;
        KO_CHOICE_METRICS(X, )
#undef X
    } choice;
    float *option_logprob;
};

/* Allocates as many prompts as fit into 8 MiB, at least one; reads nothing yet. The part must have
   routes. Free with ko_cell_rows_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_cell_rows_new(const struct ko_cube_part *part, int32_t model,
                                            struct ko_cell_rows *out, struct ko_error *err);
/* Reads the next prompts; *more is false after the last ones. */
KO_MUST_CHECK enum ko_code ko_cell_rows_next(struct ko_cell_rows *rows, bool *more,
                                             struct ko_error *err);
void ko_cell_rows_free(struct ko_cell_rows *rows); /* leaves {0} */

#endif

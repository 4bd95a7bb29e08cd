/* SPDX-License-Identifier: Apache-2.0 */
/* How many cells of a cube are done, vacuous, failed and pending. */
#ifndef KO_SHOW_CELL_COUNTS_H
#define KO_SHOW_CELL_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"

struct ko_cell_counts {
    int64_t done, vacuous, failed, pending;
    int64_t valueless; /* flagged done, but without a value: to be computed again */
};

/* Rows: for a sweep the mean routes, then the heat routes; for an evaluation one, the clean runs.
 */
struct ko_cube_counts {
    struct ko_cell_counts *count; /* [n_models, n_rows]; owned */
    int64_t *n_skipped;           /* [n_models] evaluation: prompts that cannot be run; owned */
    int32_t n_models, n_rows;
    struct ko_cell_counts total;
};

/* A status of the cube is about all starts of a window size: it counts as many cells as the plan
   has there, by the cube's spec and selection. KO_E_INPUT where a sweep's spec cannot be read. A
   cell that is flagged done counts as done only where it has its value. Free with
   ko_cube_counts_free. */
KO_MUST_CHECK enum ko_code ko_cube_count(struct ko_cube_view *view, struct ko_cube_counts *out,
                                         struct ko_error *err);
void ko_cube_counts_free(struct ko_cube_counts *counts); /* leaves {0} */

/* 0 where all is done or vacuous, KO_EXIT_FAILURES, or (pending ones and done ones without a value
   come first) KO_EXIT_INCOMPLETE. */
int ko_cell_counts_status(const struct ko_cell_counts *counts);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How many cells of a cube are done, vacuous, failed and pending. */
#ifndef KO_STATUS_CELL_COUNTS_H
#define KO_STATUS_CELL_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"

struct ko_cell_counts {
    int64_t done, vacuous, failed, pending;
    int64_t valueless; /* flagged done without a value: they are computed again */
};

/* Rows: a sweep's mean routes, then its heat routes; an evaluation has one row, the clean runs. */
struct ko_cube_counts {
    struct ko_cell_counts *count; /* [n_models, n_rows]; owned */
    int64_t *n_skipped;           /* [n_models] evaluation: prompts that cannot be run; owned */
    int32_t n_models, n_rows;
    struct ko_cell_counts total;
};

/* Counts the planned cells of a cube. A status covers all planned starts of a window size, by the
   cube's spec and selection. A cell that is flagged done counts as done only with a value.
   KO_E_INPUT where a sweep's spec cannot be read. Free with ko_cube_counts_free. */
KO_MUST_CHECK enum ko_code ko_cube_count(struct ko_cube_view *view, struct ko_cube_counts *out,
                                         struct ko_error *err);
void ko_cube_counts_free(struct ko_cube_counts *counts); /* leaves {0} */

/* 0 where all cells are done or vacuous; KO_EXIT_INCOMPLETE where cells are pending or have no
   value; else KO_EXIT_FAILURES. */
int ko_cell_counts_status(const struct ko_cell_counts *counts);

#endif

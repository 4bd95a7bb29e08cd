/* How many cells of a cube are done, vacuous, failed and pending. */
#ifndef KO_CLI_CELL_COUNTS_H
#define KO_CLI_CELL_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/cube/cube_read.h"
#include "src/base/error.h"

struct ko_cell_counts {
    int64_t done, vacuous, failed, pending;
};

/* Rows: for a sweep the plain routes, then the heat routes; for an evaluation one, the clean runs.
 */
struct ko_cube_counts {
    struct ko_cell_counts *count; /* [n_models, n_rows]; owned */
    int64_t *n_skipped;           /* [n_models] evaluation: prompts that cannot be run; owned */
    int32_t n_models, n_rows;
    struct ko_cell_counts total;
};

/* A status of the cube is about all starts of a window size. Done cells are counted by their
   values; a vacuous, failed or pending status counts as many cells as a done one of the same model,
   route, class and size has values, where there is none as one of another route, and where nothing
   at all is done as many as there are starts that have room in the model. Free with
   ko_cube_counts_free. */
KO_MUST_CHECK enum ko_code ko_cube_count(struct ko_cube_view *view, struct ko_cube_counts *out,
                                         struct ko_error *err);
void ko_cube_counts_free(struct ko_cube_counts *counts); /* leaves {0} */

/* 0 where all is done or vacuous, KO_EXIT_FAILURES, or (pending ones come first)
   KO_EXIT_INCOMPLETE. */
int ko_cell_counts_status(const struct ko_cell_counts *counts);

#endif

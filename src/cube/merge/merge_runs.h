/* SPDX-License-Identifier: Apache-2.0 */
/* The run tables of shards, one after the other in a merged cube. */
#ifndef KO_CUBE_MERGE_MERGE_RUNS_H
#define KO_CUBE_MERGE_MERGE_RUNS_H

#include "src/base/error.h"
#include "src/cube/create/fill.h"
#include "src/cube/read/view.h"

/* Where the next row and the next log lines go; begin with {0}. */
struct ko_merge_runs {
    hsize_t row, log_byte;
};

/* Appends the filled rows and the log, as far as they fit. One row stays free for the run that
   completes the cube. */
KO_MUST_CHECK enum ko_code ko_merge_runs_add(struct ko_merge_runs *runs,
                                             const struct ko_cube_view *from,
                                             struct ko_cube_new *to, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How many cells each block of a spec's `sweeps` adds to the plan, which is the union of the
   blocks. */
#ifndef KO_PREVIEW_SWEEP_COUNTS_H
#define KO_PREVIEW_SWEEP_COUNTS_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* Planned cells of one block, including vacuous ones. */
struct ko_sweep_cells {
    int32_t n_models, n_prompts; /* with a cell in the block */
    int64_t n_mean, n_heat;      /* cells on routes, and in heatmaps */
    int64_t new_mean, new_heat;  /* cells that no earlier block has */
};

/* out [n_blocks]. The sum of their new cells is the number of the plan's cells. planned [n_models]:
   the cells of each model, each once. */
KO_MUST_CHECK enum ko_code ko_sweep_cells_count(const struct ko_plan *plan,
                                                struct ko_sweep_cells *out, int64_t *planned,
                                                struct ko_error *err);

#endif

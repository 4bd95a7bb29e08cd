/* SPDX-License-Identifier: Apache-2.0 */
/* What each block of a spec's `sweeps` adds to the plan, which is their union. */
#ifndef KO_PREVIEW_SWEEP_COUNTS_H
#define KO_PREVIEW_SWEEP_COUNTS_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* Planned cells, vacuous ones among them. */
struct ko_sweep_count {
    int32_t n_models, n_prompts; /* that have a cell in the block */
    int64_t n_mean, n_heat;      /* cells on routes, and in heatmaps */
    int64_t new_mean, new_heat;  /* of them in no earlier block */
};

/* out [n_blocks]: their new cells together are those of the plan. */
KO_MUST_CHECK enum ko_code ko_sweep_counts(const struct ko_plan *plan, struct ko_sweep_count *out,
                                           struct ko_error *err);

#endif

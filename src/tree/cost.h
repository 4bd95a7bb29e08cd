/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan will cost: FLOP, memory, time. */
#ifndef KO_TREE_COST_H
#define KO_TREE_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "src/plan/plan.h"
#include "src/tree/batch.h"

/* Default row budget, a function of the model's shape alone, so that batches do not depend on the
   machine: as many rows as fit a workspace of 96 MiB, within [512, 4096], on the CPU; a workspace
   of 4 GiB (a quarter of the smallest GPU that is thought of, 16 GiB), within [512, 8192], on a
   GPU. */
int32_t ko_default_row_budget(double row_bytes, bool gpu);

/* Rows that the workspace of a model's worker holds: its largest wave, of the sweep or of the
   evaluation before it, which goes through every runnable prompt. */
int32_t ko_plan_largest_wave(const struct ko_plan *plan, const struct ko_batches *batches,
                             int32_t model);

struct ko_cost {
    int64_t n_cells, n_rows, n_batches; /* not vacuous cells; rows over all waves */
    double flop;                        /* of the token tree */
    double separate_flop;               /* of one full forward pass a cell */
    double peak_bytes; /* of a worker: the largest of weights + rows of its largest wave + a fixed
                          share */
    double cube_bytes;
};
void ko_plan_cost(const struct ko_plan *plan, const struct ko_batches *batches,
                  struct ko_cost *out);

#endif

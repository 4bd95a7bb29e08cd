/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates a plan's FLOP, memory and file size. */
#ifndef KO_TREE_COST_H
#define KO_TREE_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "src/plan/plan.h"
#include "src/tree/batch.h"

/* The default row budget: as many rows as fit a workspace of 96 MiB, within [512, 4096], on a CPU;
   of 4 GiB (a quarter of a GPU with 16 GiB), within [512, 8192], on a GPU. It depends on the model's
   shape alone, so that batches are the same on every machine. */
int32_t ko_default_row_budget(double row_bytes, bool gpu);

/* Rows of the largest wave of a model, in the sweep or in the evaluation before it (which has every
   runnable prompt): what a worker's workspace must hold. */
int32_t ko_plan_largest_wave(const struct ko_plan *plan, const struct ko_batches *batches,
                             int32_t model);

/* Bytes of a worker that computes in host memory, besides the weights and the backend's scratch: rows of
   the largest wave, the largest matrix of embeddings, and a fixed part. */
double ko_plan_worker_bytes(const struct ko_plan *plan, const struct ko_batches *batches,
                            int32_t model);

struct ko_cost {
    int64_t n_cells, n_rows, n_batches; /* cells that are not vacuous; rows over all waves */
    int64_t n_branches, n_branch_rows, n_part_branches, n_part_rows; /* as in struct ko_batch */
    double flop;                                                     /* of the token tree */
    double separate_flop; /* of one full forward pass for each cell */
    double peak_bytes;    /* of a worker: weights, rows of the largest wave and a fixed part */
    double cube_bytes;
};
void ko_plan_cost(const struct ko_plan *plan, const struct ko_batches *batches,
                  struct ko_cost *out);

#endif

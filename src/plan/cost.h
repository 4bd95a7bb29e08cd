/* What a plan will cost: FLOP, memory, time. */
#ifndef KO_PLAN_COST_H
#define KO_PLAN_COST_H

#include <stdint.h>

#include "src/plan/batch.h"
#include "src/plan/plan.h"

/* Default row budget: as many rows as fit 96 MiB of workspace, within [512, 4096]. A function of
 * the model's shape alone. */
int32_t ko_default_row_budget(double row_bytes);

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

/* Seconds until the last of n workers is done when batches are handed out in order, at `flops`
 * FLOP/s a worker; NaN where either is not positive. */
double ko_plan_makespan(const struct ko_batches *batches, int32_t n_workers, double flops);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the work of a job. */
#include "mpi/sweep.h"

void ko_sweep_count(const struct ko_job *job, struct ko_progress *progress)
{
    for (int32_t b = 0; b < job->batches.n; b++) {
        const struct ko_batch *batch = &job->batches.batch[b];
        progress->cells_total += batch->n_cells + batch->n_taken;
        progress->cells_before += batch->n_taken + (job->pending[b] ? 0 : batch->n_cells);
        if (job->pending[b]) {
            progress->work_total += batch->flop;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the right role on each rank (alone, coordinator or worker), and adds up the time that all
   ranks have spent. */
#include "mpi/sweep.h"

#include "mpi/coordinator.h"
#include "mpi/worker.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/clock.h"

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

enum ko_code ko_sweep_gather_spent(struct ko_world *world, const struct ko_spent *spent,
                                   struct ko_sweep *sweep, struct ko_error *err)
{
    const double mine[3] = {spent ? spent->load : 0, spent ? spent->compute : 0,
                            spent ? spent->commit : 0};
    double all[3] = {0, 0, 0};
    const enum ko_code code = ko_mpi_check(
        MPI_Reduce(mine, all, 3, MPI_DOUBLE, MPI_SUM, 0, world->all), "MPI_Reduce", err);
    world->broken = world->broken || code != KO_OK;
    if (sweep) {
        sweep->spent = (struct ko_spent){all[0], all[1], all[2]};
    }
    return code;
}

enum ko_code ko_sweep_run(struct ko_sweep *sweep, struct ko_error *err)
{
    struct ko_world *world = sweep->world;
    const double begin = ko_now();
    enum ko_code code;
    if (world->root) {
        ko_sweep_count(sweep->job, &sweep->progress);
        sweep->progress.n_workers = world->n_workers;
        ko_progress_begin(&sweep->progress, sweep->title);
        code = world->alone ? ko_alone_run(sweep, err) : ko_coordinator_run(sweep, err);
        ko_failures_end(&sweep->failures, sweep->log);
        if (code == KO_OK || code == KO_E_STOPPED) {
            ko_progress_end(&sweep->progress);
        } else {
            ko_progress_break(&sweep->progress);
        }
        sweep->cells_done = sweep->progress.cells_done;
    } else {
        code = ko_worker_serve(world, sweep->job, sweep->log, err);
    }
    sweep->wall_seconds = ko_now() - begin;
    return world->broken ? code : ko_agree(world->all, code, err);
}

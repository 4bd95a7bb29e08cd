#include "mpi/coordinator.h"
#include "mpi/messages.h"
#include "mpi/worker.h"

/* Takes finished batches off the compute thread. */
static enum ko_code collect(struct ko_sweep *sweep, struct ko_worker *worker, int *held,
                            struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        (*held)--;
        code = finished.error.code;
        if (code == KO_OK) {
            const struct ko_batch *batch = &sweep->job->batches.batch[finished.batch];
            sweep->progress.cells_done += batch->n_cells;
            sweep->progress.work_done += batch->flop;
            code = ko_worker_stage(worker, &finished, err);
        } else {
            *err = finished.error;
        }
        ko_finished_free(&finished);
    }
    return code;
}

static enum ko_code commit(struct ko_sweep *sweep, struct ko_worker *worker, double *last,
                           struct ko_error *err)
{
    sweep->n_committed += worker->n_staged_batches;
    *last = ko_now();
    return ko_worker_commit(worker, err);
}

static bool stop_wanted(const struct ko_sweep *sweep)
{
    return sweep->stop_wanted && sweep->stop_wanted();
}

/* All batches of one model, from batch number *at. */
static enum ko_code run_model(struct ko_sweep *sweep, struct ko_worker *worker, int32_t *at,
                              struct ko_error *err)
{
    const struct ko_job *job = sweep->job;
    const int32_t model = job->batches.batch[*at].model;
    const int64_t record_bytes = ko_record_bytes(job->plan);
    double last = ko_now();
    int held = 0;
    sweep->progress.model = job->plan->model[model].name;
    enum ko_code code = stop_wanted(sweep) ? KO_E_STOPPED : ko_worker_load(worker, model, err);
    while (code == KO_OK) {
        while (*at < job->batches.n && job->batches.batch[*at].model == model &&
               (held < 2 || !job->pending[*at])) {
            if (job->pending[*at]) {
                ko_compute_submit(worker->compute, *at, &job->batches.batch[*at]);
                held++;
            }
            (*at)++;
        }
        if (held == 0)
            break;
        if (stop_wanted(sweep)) {
            (void)ko_compute_drop(worker->compute);
            code = collect(sweep, worker, &held, err);
            return code == KO_OK ? KO_E_STOPPED : code;
        }
        code = collect(sweep, worker, &held, err);
        const bool due = ko_now() - last >= job->commit_seconds ||
                         (int64_t)worker->n_staged * record_bytes >= KO_STAGED_BYTES;
        if (code == KO_OK && worker->n_staged > 0 && due)
            code = commit(sweep, worker, &last, err);
        sweep->progress.n_busy = held > 0;
        ko_progress_tick(&sweep->progress);
        ko_nap(0.0005);
    }
    return code;
}

enum ko_code ko_alone_run(struct ko_sweep *sweep, struct ko_error *err)
{
    const struct ko_job *job = sweep->job;
    struct ko_worker worker;
    enum ko_code code = ko_worker_open(sweep->world, job, sweep->log, &worker, err);
    for (int32_t b = 0; code == KO_OK && b < job->batches.n;) {
        if (job->pending[b])
            code = run_model(sweep, &worker, &b, err);
        else
            b++;
    }
    if (worker.compute && worker.cube) {
        struct ko_error later = {0};
        double last = 0;
        (void)ko_compute_drop(worker.compute);
        const enum ko_code committed =
            worker.n_staged > 0 ? commit(sweep, &worker, &last, &later) : KO_OK;
        if (committed != KO_OK && (code == KO_OK || code == KO_E_STOPPED)) {
            *err = later;
            code = committed;
        }
    }
    sweep->spent = worker.spent;
    sweep->threads_min = sweep->threads_max = worker.threads;
    struct ko_error close_error = {0};
    const enum ko_code closed = ko_worker_close(&worker, &close_error);
    if (closed != KO_OK && code == KO_OK) {
        *err = close_error;
        code = closed;
    }
    if (code == KO_E_STOPPED)
        return ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                       job->cube_path);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a sweep on a single rank. This rank computes, commits and shows progress itself, so no
   messages are sent. */
#include "mpi/coordinator.h"
#include "mpi/worker_load.h"
#include "mpi/world/nap.h"
#include "src/base/clock.h"

static void note_failure(struct ko_sweep *sweep, int32_t model, const struct ko_error *error)
{
    ko_progress_break(&sweep->progress);
    ko_failures_add(&sweep->failures, sweep->log, sweep->job->plan->model[model].name, error->text);
}

/* Prompts that failed are noted, or are an error where none may. */
static enum ko_code check_records(struct ko_sweep *sweep, const struct ko_finished *finished,
                                  struct ko_error *err)
{
    for (int32_t k = 0; k < finished->n_records; k++) {
        const struct ko_record *record = &finished->records[k];
        const enum ko_code code = ko_record_check(sweep->job->plan, record, err);
        if (code != KO_OK && !ko_failure_is_recorded(sweep->job, code)) {
            return code;
        }
        if (code != KO_OK) {
            note_failure(sweep, record->model, err);
        }
    }
    return KO_OK;
}

/* Takes finished batches off the compute thread. */
static enum ko_code collect(struct ko_sweep *sweep, struct ko_worker *worker, int *held,
                            struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        (*held)--;
        const struct ko_batch *batch = &sweep->job->batches.batch[finished.batch];
        code = finished.error.code;
        if (code != KO_OK) {
            *err = finished.error;
        }
        if (code == KO_E_MEMORY && ko_failure_is_recorded(sweep->job, code)) {
            note_failure(sweep, batch->model, err);
            code = ko_worker_stage_failed(worker, finished.batch, KO_FAILED_MEMORY, err);
        } else if (code == KO_OK) {
            code = check_records(sweep, &finished, err);
            if (code == KO_OK) {
                code = ko_worker_stage(worker, &finished, err);
            }
        }
        sweep->progress.cells_done += batch->n_cells;
        sweep->progress.work_done += batch->flop;
        ko_finished_free(&finished);
    }
    return code;
}

static enum ko_code commit(struct ko_sweep *sweep, struct ko_worker *worker, double *last,
                           struct ko_error *err)
{
    const enum ko_code code = ko_consent_ask(sweep->consent, err);
    if (code != KO_OK) {
        return code;
    }
    sweep->n_committed += worker->n_staged_batches;
    *last = ko_now();
    ko_cube_set_progress(worker->cube, (double)sweep->progress.cells_done,
                         (double)ko_progress_ppm(&sweep->progress) * 1e-6);
    return ko_worker_commit(worker, err);
}

/* How far the batch in hand is. */
static void note_in_hand(struct ko_sweep *sweep, const struct ko_worker *worker)
{
    int32_t number = -1;
    const double share = ko_compute_share(worker->compute, &number);
    const struct ko_batch *batch = number < 0 ? NULL : &sweep->job->batches.batch[number];
    sweep->progress.cells_in_hand = batch ? share * (double)batch->n_cells : 0;
    sweep->progress.work_in_hand = batch ? share * batch->flop : 0;
}

static bool stop_wanted(const struct ko_sweep *sweep)
{
    return sweep->stop_wanted && sweep->stop_wanted();
}

static bool load_stop_wanted(void *context)
{
    return stop_wanted(context);
}

/* The model cannot be loaded: its batches, from number *at, are recorded as failed. */
static enum ko_code give_up(struct ko_sweep *sweep, struct ko_worker *worker, int32_t *at,
                            double *last, struct ko_error *err)
{
    const struct ko_job *job = sweep->job;
    const int32_t model = job->batches.batch[*at].model;
    const int64_t record_bytes = ko_record_bytes(job->plan);
    enum ko_code code = KO_OK;
    note_failure(sweep, model, err);
    for (; code == KO_OK && *at < job->batches.n && job->batches.batch[*at].model == model;
         (*at)++) {
        if (job->pending[*at]) {
            code = ko_worker_stage_failed(worker, *at, worker->unloaded, err);
            if (code == KO_OK && (int64_t)worker->n_staged * record_bytes >= KO_STAGED_BYTES) {
                code = commit(sweep, worker, last, err);
            }
        }
    }
    return code;
}

/* All batches of one model, from batch number *at. *last: when the last commit round was, maybe
   under another model. */
static enum ko_code run_model(struct ko_sweep *sweep, struct ko_worker *worker, int32_t *at,
                              double *last, struct ko_error *err)
{
    const struct ko_job *job = sweep->job;
    const int32_t model = job->batches.batch[*at].model;
    const int64_t record_bytes = ko_record_bytes(job->plan);
    int held = 0;
    sweep->progress.model = job->plan->model[model].name;
    if (stop_wanted(sweep)) {
        return KO_E_STOPPED;
    }
    enum ko_code code = ko_consent_ask(sweep->consent, err); /* a load writes the weights' hash */
    if (code != KO_OK) {
        return code;
    }
    code = ko_worker_load(worker, model, err);
    if (worker->unloaded) {
        return give_up(sweep, worker, at, last, err);
    }
    while (code == KO_OK) {
        while (*at < job->batches.n && job->batches.batch[*at].model == model &&
               (held < 2 || !job->pending[*at])) {
            if (job->pending[*at]) {
                ko_worker_submit(worker, *at);
                held++;
            }
            (*at)++;
        }
        if (held == 0) {
            break;
        }
        if (stop_wanted(sweep)) {
            (void)ko_compute_drop(worker->compute);
            code = collect(sweep, worker, &held, err);
            return code == KO_OK ? KO_E_STOPPED : code;
        }
        code = collect(sweep, worker, &held, err);
        const bool due = ko_now() - *last >= job->commit_seconds ||
                         (int64_t)worker->n_staged * record_bytes >= KO_STAGED_BYTES;
        const bool beat = ko_now() - *last >= KO_BEAT_SECONDS;
        if (code == KO_OK && ((worker->n_staged > 0 && due) || beat)) {
            code = commit(sweep, worker, last, err);
        }
        sweep->progress.n_busy = held > 0;
        note_in_hand(sweep, worker);
        ko_progress_tick(&sweep->progress);
        ko_nap(0.0005);
    }
    return code;
}

enum ko_code ko_alone_run(struct ko_sweep *sweep, struct ko_error *err)
{
    const struct ko_job *job = sweep->job;
    struct ko_worker worker;
    const struct ko_stop stop = {.wanted = load_stop_wanted, .context = sweep};
    sweep->world->load_stop = &stop;
    enum ko_code code = ko_worker_open(sweep->world, job, sweep->log, &worker, err);
    double last = ko_now();
    for (int32_t b = 0; code == KO_OK && b < job->batches.n;) {
        if (job->pending[b]) {
            code = run_model(sweep, &worker, &b, &last, err);
        } else {
            b++;
        }
    }
    if (worker.compute && worker.cube) {
        struct ko_error later = {0};
        (void)ko_compute_drop(worker.compute);
        const enum ko_code committed =
            worker.n_staged > 0 ? commit(sweep, &worker, &last, &later) : KO_OK;
        if (committed != KO_OK && (code == KO_OK || code == KO_E_STOPPED)) {
            *err = later;
            code = committed;
        }
    }
    sweep->world->load_stop = NULL;
    sweep->spent = worker.spent;
    struct ko_error close_error = {0};
    const enum ko_code closed = ko_worker_close(&worker, &close_error);
    if (closed != KO_OK && code == KO_OK) {
        *err = close_error;
        code = closed;
    }
    if (code == KO_E_STOPPED) {
        return ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                       job->cube_path);
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes a worker, stages its finished batches and commits them. */
#include "mpi/worker.h"

#include <stdlib.h>

#include "mpi/cube/commit.h"
#include "mpi/failures.h"
#include "src/base/clock.h"
#include "src/base/memory.h"

static enum ko_code open_station(struct ko_worker *worker, struct ko_error *err)
{
    const struct ko_world *world = worker->world;
    const bool runs = worker->station->compute != NULL;
    const double begin = ko_now();
    const enum ko_code code = ko_station_open(worker->world, worker->job->backend,
                                              worker->job->precision, worker->station, err);
    worker->compute = worker->station->compute;
    if (code == KO_OK && !runs) {
        ko_log_write(worker->log, KO_LOG_DEBUG,
                     "worker host=\"%s\" backend=\"%s\" threads_from=\"%s\" open_seconds=%.2f",
                     world->host, ko_compute_description(worker->compute), world->threads.from,
                     ko_now() - begin);
    }
    return code;
}

enum ko_code ko_worker_open(struct ko_world *world, struct ko_station *station,
                            const struct ko_job *job, const struct ko_log *log,
                            struct ko_worker *out, struct ko_error *err)
{
    *out = (struct ko_worker){.world = world, .station = station, .job = job, .log = log};
    const enum ko_code code = open_station(out, err);
    return code == KO_OK ? ko_cube_open(job->cube_path, job->plan, world->workers, &out->cube, err)
                         : code;
}

enum ko_code ko_worker_stage(struct ko_worker *worker, struct ko_finished *finished,
                             struct ko_error *err)
{
    const size_t needed = worker->n_staged + (size_t)finished->n_records;
    struct ko_record *staged =
        ko_grow(worker->staged, &worker->capacity, needed, sizeof *staged, err);
    if (!staged) {
        return KO_E_MEMORY;
    }
    worker->staged = staged;
    for (int32_t k = 0; k < finished->n_records; k++) {
        struct ko_record *record = &finished->records[k];
        if (ko_job_is_done(worker->job, record->model, record->fact)) {
            ko_record_free(record);
        } else {
            worker->staged[worker->n_staged++] = *record;
        }
    }
    worker->n_staged_batches++;
    worker->spent.compute += finished->seconds;
    free(finished->records);
    *finished = (struct ko_finished){0};
    return KO_OK;
}

enum ko_code ko_worker_stage_failed(struct ko_worker *worker, int32_t batch,
                                    enum ko_failure failure, struct ko_error *err)
{
    const struct ko_batch *from = &worker->job->batches.batch[batch];
    struct ko_finished finished = {.batch = batch};
    finished.records = ko_new((size_t)from->n_facts, sizeof *finished.records, err);
    enum ko_code code = finished.records ? KO_OK : KO_E_MEMORY;
    for (int32_t k = 0; code == KO_OK && k < from->n_facts; k++) {
        code = ko_failure_record(worker->job->plan, from->model, from->fact[k], failure,
                                 &finished.records[k], err);
        finished.n_records += code == KO_OK;
    }
    if (code == KO_OK) {
        code = ko_worker_stage(worker, &finished, err);
    }
    ko_finished_free(&finished);
    return code;
}

void ko_worker_submit(struct ko_worker *worker, int32_t number)
{
    const struct ko_plan *plan = worker->job->plan;
    const struct ko_batch *batch = &worker->job->batches.batch[number];
    struct ko_text prompts = {0};
    ko_compute_submit(worker->compute, number, batch);
    if (worker->log->level < KO_LOG_DEBUG) {
        return;
    }
    for (int32_t k = 0; k < batch->n_facts; k++) {
        ko_text_add(&prompts, "%s%s", k ? " " : "", plan->fact[batch->fact[k]].id);
    }
    ko_log_write(worker->log, KO_LOG_DEBUG, "compute kind=%s batch=%d model=\"%s\" prompts=\"%s\"",
                 plan->kind == KO_PLAN_SWEEP ? "sweep" : "evaluation", number,
                 plan->model[batch->model].name, ko_text_str(&prompts));
    ko_text_free(&prompts);
}

static void free_staged(struct ko_worker *worker)
{
    for (size_t k = 0; k < worker->n_staged; k++) {
        ko_record_free(&worker->staged[k]);
    }
    worker->n_staged = 0;
    worker->n_staged_batches = 0;
}

enum ko_code ko_worker_commit(struct ko_worker *worker, struct ko_error *err)
{
    const double begin = ko_now();
    const enum ko_code code =
        ko_cube_commit(worker->cube, worker->staged, (int32_t)worker->n_staged, err);
    worker->spent.commit += ko_now() - begin;
    if (code != KO_OK) {
        worker->world->broken = true;
    }
    free_staged(worker);
    return code;
}

void ko_worker_end_reading(struct ko_worker *worker)
{
    if (!worker->ahead) {
        return;
    }
    const int64_t bytes = ko_read_ahead_stop(worker->ahead);
    worker->ahead = NULL;
    ko_log_write(worker->log, KO_LOG_DEBUG, "read_ahead bytes=%lld", (long long)bytes);
}

/* Batches and the engine borrow from the job. */
static void leave_station(struct ko_worker *worker)
{
    struct ko_finished finished = {0};
    struct ko_error err = {0};
    (void)ko_compute_drop(worker->compute);
    while (ko_compute_poll(worker->compute, &finished)) {
        ko_finished_free(&finished);
    }
    const enum ko_code code = ko_compute_bind(worker->compute, NULL, &err);
    (void)code; /* it only frees */
}

enum ko_code ko_worker_close(struct ko_worker *worker, struct ko_error *err)
{
    ko_worker_end_reading(worker);
    if (worker->compute) {
        leave_station(worker);
    }
    free_staged(worker);
    free(worker->staged);
    const enum ko_code code = worker->cube ? ko_cube_close(worker->cube, err) : KO_OK;
    *worker = (struct ko_worker){0};
    return code;
}

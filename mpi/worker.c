#include "mpi/worker.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/agree.h"
#include "mpi/messages.h"
#include "mpi/sweep.h"
#include "src/base/memory.h"

static enum ko_code start_compute(struct ko_worker *worker, struct ko_error *err)
{
    const struct ko_job *job = worker->job;
    const struct ko_kernels *kernels = ko_backend_find(job->backend);
    enum ko_code code =
        ko_world_threads(worker->world, job->threads, &worker->threads, &worker->threads_from, err);
    if (code != KO_OK)
        return code;
    if (!kernels)
        return ko_fail(err, KO_E_INPUT, "backend: unknown backend '%s', choose cpu", job->backend);
    const struct ko_gpu *gpu = &worker->world->gpu;
    const struct ko_backend_config config = {
        .threads = worker->threads, .device = gpu->device, .precision = job->precision};
    if (kernels->own_memory)
        ko_error_name_gpu(gpu->device, gpu->uuid);
    code = ko_compute_start(kernels, &config, &worker->compute, err);
    if (code == KO_OK)
        ko_log_write(worker->log, KO_LOG_DEBUG,
                     "worker host=\"%s\" backend=\"%s\" threads_from=\"%s\"", worker->world->host,
                     ko_compute_description(worker->compute), worker->threads_from);
    return code;
}

enum ko_code ko_worker_open(struct ko_world *world, const struct ko_job *job,
                            const struct ko_log *log, struct ko_worker *out, struct ko_error *err)
{
    *out = (struct ko_worker){.world = world, .job = job, .log = log};
    out->weights.window = MPI_WIN_NULL;
    enum ko_code code = start_compute(out, err);
    if (code == KO_OK)
        code = ko_exchange_check(world, out->compute, err);
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK)
        code = ko_cube_open(job->cube_path, job->plan, world->workers, &out->cube, err);
    return code;
}

static void end_reading(struct ko_worker *worker)
{
    if (!worker->ahead)
        return;
    const int64_t bytes = ko_read_ahead_stop(worker->ahead);
    worker->ahead = NULL;
    ko_log_write(worker->log, KO_LOG_DEBUG, "read_ahead bytes=%lld", (long long)bytes);
}

/* The model that is loaded next, -1: none. */
static int32_t next_model(const struct ko_job *job, int32_t model)
{
    const struct ko_batches *batches = &job->batches;
    bool behind = false;
    for (int32_t b = 0; b < batches->n; b++) {
        if (batches->batch[b].model == model)
            behind = true;
        else if (behind && job->pending[b])
            return batches->batch[b].model;
    }
    return -1;
}

/* For GPUs, which compute so fast that reading counts. */
static void read_next(struct ko_worker *worker, int32_t model)
{
    const struct ko_world *world = worker->world;
    const int32_t next = next_model(worker->job, model);
    struct ko_error err = {0};
    if (next < 0 || !ko_compute_kernels(worker->compute)->own_memory)
        return;
    const struct ko_plan_model *plan = &worker->job->plan->model[next];
    if (ko_read_ahead_start(plan->path, plan->name, world->worker, world->n_workers,
                            world->n_node_workers, &worker->ahead, &err) != KO_OK)
        ko_log_write(worker->log, KO_LOG_DEBUG, "read_ahead %s", err.text);
}

enum ko_code ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const struct ko_plan *plan = worker->job->plan;
    const double begin = ko_now();
    enum ko_code code = ko_compute_bind(worker->compute, NULL, 0, NULL, NULL, 0, err);
    if (code != KO_OK)
        return code;
    ko_weights_free(&worker->weights);
    end_reading(worker);
    if (!worker->exchange)
        code = ko_exchange_open(worker->world, worker->compute, &worker->exchange, err);
    if (code != KO_OK)
        return code;
    code = ko_weights_load(worker->world, worker->compute, worker->exchange,
                           plan->model[model].path, plan->model[model].name,
                           plan->model[model].fingerprint, &worker->weights, err);
    if (code != KO_OK)
        return code;
    const char *hash = worker->job->content_hash[model];
    if (hash[0] != '\0' && strcmp(hash, worker->weights.content_hash) != 0)
        return ko_fail(err, KO_E_INPUT,
                       "%s: the weights' content hash is %s, the results so far came from %s, "
                       "restore the checkpoint or choose --overwrite",
                       plan->model[model].name, worker->weights.content_hash, hash);
    code = ko_compute_bind(worker->compute, plan, model, worker->weights.model,
                           &worker->weights.arena, ko_job_max_rows(worker->job, model), err);
    code = ko_agree(worker->world->workers, code, err);
    if (code != KO_OK)
        return code;
    code = ko_cube_write_content_hash(
        worker->cube, model, worker->world->worker == 0 ? worker->weights.content_hash : NULL, err);
    if (code == KO_OK)
        read_next(worker, model);
    worker->spent.load += ko_now() - begin;
    return ko_agree(worker->world->workers, code, err);
}

enum ko_code ko_worker_stage(struct ko_worker *worker, struct ko_finished *finished,
                             struct ko_error *err)
{
    const size_t needed = worker->n_staged + (size_t)finished->n_records;
    struct ko_record *staged =
        ko_grow(worker->staged, &worker->capacity, needed, sizeof *staged, err);
    if (!staged)
        return KO_E_MEMORY;
    worker->staged = staged;
    for (int32_t k = 0; k < finished->n_records; k++) {
        struct ko_record *record = &finished->records[k];
        if (ko_job_is_done(worker->job, record->model, record->fact))
            ko_record_free(record);
        else
            worker->staged[worker->n_staged++] = *record;
    }
    worker->n_staged_batches++;
    worker->spent.compute += finished->seconds;
    free(finished->records);
    *finished = (struct ko_finished){0};
    return KO_OK;
}

static void free_staged(struct ko_worker *worker)
{
    for (size_t k = 0; k < worker->n_staged; k++)
        ko_record_free(&worker->staged[k]);
    worker->n_staged = 0;
    worker->n_staged_batches = 0;
}

enum ko_code ko_worker_commit(struct ko_worker *worker, struct ko_error *err)
{
    const double begin = ko_now();
    const enum ko_code code =
        ko_cube_commit(worker->cube, worker->staged, (int32_t)worker->n_staged, err);
    worker->spent.commit += ko_now() - begin;
    if (code != KO_OK)
        worker->world->broken = true;
    free_staged(worker);
    return code;
}

enum ko_code ko_worker_close(struct ko_worker *worker, struct ko_error *err)
{
    end_reading(worker);
    if (worker->compute) /* what is in hand uses the weights */
        (void)ko_compute_drop(worker->compute);
    ko_weights_free(&worker->weights);
    ko_exchange_close(worker->compute, worker->exchange);
    ko_compute_stop(worker->compute);
    free_staged(worker);
    free(worker->staged);
    const enum ko_code code = worker->cube ? ko_cube_close(worker->cube, err) : KO_OK;
    *worker = (struct ko_worker){0};
    return code;
}

/* ----------------------------------------------------------------------------------------------
 * ranks 1 ... n-1 */

static enum ko_code report(struct ko_worker *worker, enum ko_tag tag, int64_t value, double seconds,
                           struct ko_error *err)
{
    return ko_message_send(worker->world->all, 0, tag, value, (int64_t)(seconds * 1e6), err);
}

/* Tells the coordinator of a failure of this worker, and goes on waiting for what it decides. */
static enum ko_code report_error(struct ko_worker *worker, enum ko_code code, struct ko_error *err)
{
    err->code = code;
    if (code != KO_E_INPUT)
        ko_error_name_rank(err, worker->world->rank);
    return ko_message_send_failure(worker->world->all, 0, KO_TAG_ERROR, err, err);
}

/* This rank no longer follows the coordinator (a failure inside a commit round, in which the others
   may wait for ever). The coordinator, told so, ends the job and speaks for all; this rank only
   waits for that. */
static void report_broken(struct ko_worker *worker, enum ko_code code, struct ko_error *err)
{
    struct ko_error later = {0};
    worker->world->broken = true;
    err->code = code;
    ko_error_name_rank(err, worker->world->rank);
    if (ko_message_send_failure(worker->world->all, 0, KO_TAG_BROKEN, err, &later) == KO_OK)
        ko_nap(5);
}

static enum ko_code collect(struct ko_worker *worker, struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        if (finished.error.code == KO_OK) {
            const int32_t batch = finished.batch;
            const double seconds = finished.seconds;
            code = ko_worker_stage(worker, &finished, err);
            if (code == KO_OK)
                code = report(worker, KO_TAG_FINISHED, batch, seconds, err);
            else
                code = report_error(worker, code, err);
        } else {
            *err = finished.error;
            code = report_error(worker, finished.error.code, err);
        }
        ko_finished_free(&finished);
    }
    return code;
}

static enum ko_code obey(struct ko_worker *worker, const struct ko_message *message,
                         struct ko_error *err)
{
    enum ko_code code = KO_OK;
    const double begin = ko_now();
    switch (message->tag) {
    case KO_TAG_MODEL:
        code = ko_worker_load(worker, (int32_t)message->value, err);
        return code == KO_OK ? report(worker, KO_TAG_LOADED, message->value, 0, err)
               : worker->world->broken
                   ? code
                   : ko_message_send_failure(worker->world->all, 0, KO_TAG_ERROR, err, err);
    case KO_TAG_BATCH:
        ko_compute_submit(worker->compute, (int32_t)message->value,
                          &worker->job->batches.batch[message->value]);
        return KO_OK;
    case KO_TAG_ROUND: {
        const int32_t n = worker->n_staged_batches;
        code = ko_worker_commit(worker, err);
        return code == KO_OK ? report(worker, KO_TAG_COMMITTED, n, ko_now() - begin, err) : code;
    }
    case KO_TAG_STOP: {
        const int32_t n = ko_compute_drop(worker->compute);
        code = collect(worker, err);
        return code == KO_OK ? report(worker, KO_TAG_DROPPED, n, 0, err) : code;
    }
    default:
        return ko_fail(err, KO_E_FAILED, "MPI: a worker got a message with tag %d",
                       (int)message->tag);
    }
}

static enum ko_code serve(struct ko_worker *worker, struct ko_error *err)
{
    for (;;) {
        struct ko_message message;
        bool got = false;
        enum ko_code code = collect(worker, err);
        if (code == KO_OK)
            code = ko_message_poll(worker->world->all, &message, &got, err);
        if (code != KO_OK)
            return code;
        if (!got) {
            ko_nap(0.0005);
            continue;
        }
        if (message.tag == KO_TAG_END)
            return KO_OK;
        code = obey(worker, &message, err);
        if (code != KO_OK)
            return code;
    }
}

enum ko_code ko_worker_serve(struct ko_world *world, const struct ko_job *job,
                             const struct ko_log *log, struct ko_error *err)
{
    struct ko_worker worker;
    struct ko_error close_error = {0};
    enum ko_code code = ko_worker_open(world, job, log, &worker, err);
    code = ko_agree(world->all, code, err);
    if (code == KO_OK) {
        code = ko_sweep_gather_threads(world, &worker.threads, NULL, err);
        if (code == KO_OK)
            code = serve(&worker, err);
        if (code != KO_OK)
            report_broken(&worker, code, err);
    }
    if (world->broken)
        return code;
    const enum ko_code told = ko_sweep_gather_spent(world, &worker.spent, NULL, &close_error);
    const enum ko_code closed = told == KO_OK ? ko_worker_close(&worker, &close_error) : told;
    if (code == KO_OK && closed != KO_OK) {
        *err = close_error;
        return closed;
    }
    return code;
}

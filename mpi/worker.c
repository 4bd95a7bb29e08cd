/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a worker, collects its finished batches and commits them. The second half is the loop of a
   worker that obeys the coordinator by messages; a rank that runs alone uses only the first
   half. */
#include "mpi/worker.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/sweep.h"
#include "mpi/worker_load.h"
#include "mpi/world/agree.h"
#include "mpi/world/messages.h"
#include "mpi/world/nap.h"
#include "src/base/clock.h"
#include "src/base/memory.h"

static const double TELL_SECONDS = 1; /* between two words on how far the batch in hand is */

static enum ko_code start_compute(struct ko_worker *worker, struct ko_error *err)
{
    const struct ko_job *job = worker->job;
    const struct ko_kernels *kernels = ko_backend_find(job->backend);
    const struct ko_threads *threads = &worker->world->threads;
    if (!kernels) {
        return ko_fail(err, KO_E_INPUT, "backend: unknown backend '%s', choose cpu", job->backend);
    }
    const struct ko_gpu *gpu = &worker->world->gpu;
    const struct ko_backend_config config = {
        .threads = threads->n, .device = gpu->device, .precision = job->precision};
    if (kernels->own_memory) {
        ko_error_name_gpu(gpu->device, gpu->uuid);
    }
    const enum ko_code code = ko_compute_start(kernels, &config, &worker->compute, err);
    if (code == KO_OK) {
        ko_log_write(worker->log, KO_LOG_DEBUG,
                     "worker host=\"%s\" backend=\"%s\" threads_from=\"%s\"", worker->world->host,
                     ko_compute_description(worker->compute), threads->from);
    }
    return code;
}

enum ko_code ko_worker_open(struct ko_world *world, const struct ko_job *job,
                            const struct ko_log *log, struct ko_worker *out, struct ko_error *err)
{
    *out = (struct ko_worker){.world = world, .job = job, .log = log};
    out->weights.window = MPI_WIN_NULL;
    enum ko_code code = start_compute(out, err);
    if (code == KO_OK) {
        code = ko_exchange_check(world, out->compute, err);
    }
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK) {
        code = ko_cube_open(job->cube_path, job->plan, world->workers, &out->cube, err);
    }
    return code;
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

enum ko_code ko_worker_close(struct ko_worker *worker, struct ko_error *err)
{
    ko_worker_end_reading(worker);
    if (worker->compute) { /* what is in hand uses the weights */
        (void)ko_compute_drop(worker->compute);
    }
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
   ranks 1 ... n-1 */

static enum ko_code report(struct ko_worker *worker, enum ko_tag tag, int64_t value, double seconds,
                           struct ko_error *err)
{
    return ko_message_send(worker->world->all, 0, tag, value, (int64_t)(seconds * 1e6), err);
}

/* Tells the coordinator of a failure of this worker, and goes on waiting for what it decides. */
static enum ko_code report_error(struct ko_worker *worker, enum ko_code code, struct ko_error *err)
{
    err->code = code;
    if (code != KO_E_INPUT) {
        ko_error_name_rank(err, worker->world->rank);
    }
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
    if (ko_message_send_failure(worker->world->all, 0, KO_TAG_BROKEN, err, &later) == KO_OK) {
        ko_nap(5);
    }
}

/* What fails and is recorded is told to the coordinator; its text names the rank. */
static enum ko_code report_failed(struct ko_worker *worker, enum ko_tag tag, enum ko_code code,
                                  struct ko_error *err)
{
    err->code = code;
    ko_error_name_rank(err, worker->world->rank);
    return ko_message_send_failure(worker->world->all, 0, tag, err, err);
}

/* Takes over a finished batch and tells of it. *own is the batch's own failure, where it is none
   that is recorded; the return is that of the messages. */
static enum ko_code take_finished(struct ko_worker *worker, struct ko_finished *finished,
                                  enum ko_code *own, struct ko_error *err)
{
    const struct ko_job *job = worker->job;
    const int32_t batch = finished->batch;
    const double seconds = finished->seconds;
    enum ko_code sent = KO_OK;
    *own = finished->error.code;
    if (*own == KO_E_MEMORY && ko_failure_is_recorded(job, *own)) {
        *err = finished->error;
        sent = report_failed(worker, KO_TAG_FAILED, *own, err);
        *own = ko_worker_stage_failed(worker, batch, KO_FAILED_MEMORY, err);
    } else if (*own == KO_OK) {
        for (int32_t k = 0; *own == KO_OK && sent == KO_OK && k < finished->n_records; k++) {
            *own = ko_record_check(job->plan, &finished->records[k], err);
            if (ko_failure_is_recorded(job, *own)) {
                sent = report_failed(worker, KO_TAG_FAILED, *own, err);
                *own = KO_OK;
            }
        }
        if (*own == KO_OK) {
            *own = ko_worker_stage(worker, finished, err);
        }
    } else {
        *err = finished->error;
    }
    if (sent == KO_OK && *own == KO_OK) {
        sent = report(worker, KO_TAG_FINISHED, batch, seconds, err);
    }
    return sent;
}

static enum ko_code collect(struct ko_worker *worker, struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK, own = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        code = take_finished(worker, &finished, &own, err);
        if (code == KO_OK && own != KO_OK) {
            code = report_error(worker, own, err);
        }
        ko_finished_free(&finished);
    }
    return code;
}

/* All workers have agreed on the result, unless this one is lost to the others. A stop is known to
   the coordinator: it gave it. */
static enum ko_code load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const enum ko_code code = ko_worker_load(worker, model, err);
    if (code == KO_OK) {
        return report(worker, KO_TAG_LOADED, model, 0, err);
    }
    if (code == KO_E_STOPPED) {
        return KO_OK;
    }
    if (worker->world->broken) {
        return code;
    }
    err->code = code;
    return ko_message_send_failure(worker->world->all, 0,
                                   worker->unloaded ? KO_TAG_UNLOADED : KO_TAG_ERROR, err, err);
}

static enum ko_code give_up(struct ko_worker *worker, int32_t batch, struct ko_error *err)
{
    const enum ko_code code = ko_worker_stage_failed(worker, batch, worker->unloaded, err);
    return code == KO_OK ? report(worker, KO_TAG_FINISHED, batch, 0, err)
                         : report_error(worker, code, err);
}

static enum ko_code obey(struct ko_worker *worker, const struct ko_message *message,
                         struct ko_error *err)
{
    enum ko_code code = KO_OK;
    const double begin = ko_now();
    switch (message->tag) {
    case KO_TAG_MODEL:
        return load(worker, (int32_t)message->value, err);
    case KO_TAG_BATCH:
        ko_worker_submit(worker, (int32_t)message->value);
        return KO_OK;
    case KO_TAG_GIVE_UP:
        return give_up(worker, (int32_t)message->value, err);
    case KO_TAG_ROUND: {
        const int32_t n = worker->n_staged_batches;
        ko_cube_set_progress(worker->cube, (double)message->value, (double)message->extra * 1e-6);
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

/* Once a second, while a batch is in hand: how far it is. */
static enum ko_code tell_reached(struct ko_worker *worker, double *last, struct ko_error *err)
{
    const double now = ko_now();
    int32_t batch = -1;
    if (now - *last < TELL_SECONDS) {
        return KO_OK;
    }
    *last = now;
    const double share = ko_compute_share(worker->compute, &batch);
    return batch < 0 ? KO_OK : report(worker, KO_TAG_REACHED, batch, share, err);
}

static enum ko_code serve(struct ko_worker *worker, struct ko_error *err)
{
    double told = ko_now();
    for (;;) {
        struct ko_message message;
        bool got = false;
        enum ko_code code = collect(worker, err);
        if (code == KO_OK) {
            code = ko_message_poll(worker->world->all, &message, &got, err);
        }
        if (code != KO_OK) {
            return code;
        }
        if (!got) {
            code = tell_reached(worker, &told, err);
            if (code != KO_OK) {
                return code;
            }
            ko_nap(0.0005);
            continue;
        }
        if (message.tag == KO_TAG_END) {
            return KO_OK;
        }
        code = obey(worker, &message, err);
        if (code != KO_OK) {
            return code;
        }
    }
}

/* Whether the coordinator's word to stop has arrived: this rank takes it when the load is over. */
static bool stop_has_come(void *context)
{
    const struct ko_world *world = context;
    int flag = 0;
    return MPI_Iprobe(0, KO_TAG_STOP, world->all, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && flag;
}

enum ko_code ko_worker_serve(struct ko_world *world, const struct ko_job *job,
                             const struct ko_log *log, struct ko_error *err)
{
    struct ko_worker worker;
    struct ko_error close_error = {0};
    const struct ko_stop stop = {.wanted = stop_has_come, .context = world};
    world->load_stop = &stop;
    enum ko_code code = ko_worker_open(world, job, log, &worker, err);
    code = ko_agree(world->all, code, err);
    if (code == KO_OK) {
        code = serve(&worker, err);
        if (code != KO_OK) {
            report_broken(&worker, code, err);
        }
    }
    world->load_stop = NULL;
    if (world->broken) {
        return code;
    }
    const enum ko_code told = ko_sweep_gather_spent(world, &worker.spent, NULL, &close_error);
    const enum ko_code closed = told == KO_OK ? ko_worker_close(&worker, &close_error) : told;
    if (code == KO_OK && closed != KO_OK) {
        *err = close_error;
        return closed;
    }
    return code;
}

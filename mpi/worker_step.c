/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the coordinator's messages, one at a time, and reports finished batches and failures. */
#include "mpi/worker_step.h"

#include "mpi/failures.h"
#include "mpi/worker_load.h"
#include "mpi/world/agree.h"
#include "src/base/clock.h"

static enum ko_code send_report(struct ko_channel *channel, enum ko_tag tag, int64_t value,
                                struct ko_error *err)
{
    return ko_channel_send(channel, KO_COORDINATOR, tag, value, 0, err);
}

/* With several ranks the text names this one, unless the input is to blame. */
static enum ko_code report_failure(struct ko_worker *worker, struct ko_channel *channel,
                                   enum ko_tag tag, enum ko_code code, struct ko_error *err)
{
    err->code = code;
    if (code != KO_E_INPUT && !worker->world->alone) {
        ko_error_name_rank(err, worker->world->rank);
    }
    return ko_channel_send_failure(channel, KO_COORDINATOR, tag, err, err);
}

/* Stages a finished batch. Failures that the sweep records are reported here; another one is
   returned. */
static enum ko_code stage_finished(struct ko_worker *worker, struct ko_channel *channel,
                                   struct ko_finished *finished, struct ko_error *err)
{
    const struct ko_job *job = worker->job;
    enum ko_code code = finished->error.code;
    if (code != KO_OK) {
        *err = finished->error;
        if (code != KO_E_MEMORY || !ko_failure_is_recorded(job, code)) {
            return code;
        }
        code = report_failure(worker, channel, KO_TAG_FAILED, code, err);
        return code == KO_OK
                   ? ko_worker_stage_failed(worker, finished->batch, KO_FAILED_MEMORY, err)
                   : code;
    }
    for (int32_t k = 0; code == KO_OK && k < finished->n_records; k++) {
        code = ko_record_check(job->plan, &finished->records[k], err);
        if (ko_failure_is_recorded(job, code)) {
            code = report_failure(worker, channel, KO_TAG_FAILED, code, err);
        }
    }
    return code == KO_OK ? ko_worker_stage(worker, finished, err) : code;
}

/* Takes all finished batches from the compute thread. */
static enum ko_code collect_finished(struct ko_worker *worker, struct ko_channel *channel,
                                     bool *busy, struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        const int32_t batch = finished.batch;
        *busy = true;
        code = stage_finished(worker, channel, &finished, err);
        ko_finished_free(&finished);
        code = code == KO_OK ? send_report(channel, KO_TAG_FINISHED, batch, err)
                             : report_failure(worker, channel, KO_TAG_ERROR, code, err);
    }
    return code;
}

/* The workers have agreed on an error, unless this one can no longer reach them. A stop is not
   reported: the coordinator knows of it. */
static enum ko_code load_model(struct ko_worker *worker, struct ko_channel *channel, int32_t model,
                               struct ko_error *err)
{
    const enum ko_code code = ko_worker_load(worker, model, err);
    if (code == KO_OK) {
        return send_report(channel, KO_TAG_LOADED, model, err);
    }
    if (code == KO_E_STOPPED) {
        return KO_OK;
    }
    if (worker->world->broken) {
        return code;
    }
    err->code = code;
    return ko_channel_send_failure(channel, KO_COORDINATOR,
                                   worker->unloaded ? KO_TAG_UNLOADED : KO_TAG_ERROR, err, err);
}

static enum ko_code give_up_batch(struct ko_worker *worker, struct ko_channel *channel,
                                  int32_t batch, struct ko_error *err)
{
    const enum ko_code code = ko_worker_stage_failed(worker, batch, worker->unloaded, err);
    return code == KO_OK ? send_report(channel, KO_TAG_FINISHED, batch, err)
                         : report_failure(worker, channel, KO_TAG_ERROR, code, err);
}

static enum ko_code join_round(struct ko_worker *worker, struct ko_channel *channel,
                               const struct ko_message *message, struct ko_error *err)
{
    const int32_t n = worker->n_staged_batches;
    ko_cube_set_progress(worker->cube, (double)message->value, (double)message->extra * 1e-6);
    const enum ko_code code = ko_worker_commit(worker, err);
    return code == KO_OK ? send_report(channel, KO_TAG_COMMITTED, n, err) : code;
}

static enum ko_code drop_batches(struct ko_worker *worker, struct ko_channel *channel,
                                 struct ko_error *err)
{
    bool busy = false;
    const int32_t n = ko_compute_drop(worker->compute);
    const enum ko_code code = collect_finished(worker, channel, &busy, err);
    return code == KO_OK ? send_report(channel, KO_TAG_DROPPED, n, err) : code;
}

static enum ko_code follow_message(struct ko_worker *worker, struct ko_channel *channel,
                                   const struct ko_message *message, struct ko_error *err)
{
    switch (message->tag) {
    case KO_TAG_MODEL:
        return load_model(worker, channel, (int32_t)message->value, err);
    case KO_TAG_BATCH:
        ko_worker_submit(worker, (int32_t)message->value);
        return KO_OK;
    case KO_TAG_GIVE_UP:
        return give_up_batch(worker, channel, (int32_t)message->value, err);
    case KO_TAG_ROUND:
        return join_round(worker, channel, message, err);
    case KO_TAG_STOP:
        return drop_batches(worker, channel, err);
    case KO_TAG_END:
        worker->ended = true;
        return KO_OK;
    default:
        return ko_fail(err, KO_E_FAILED, "MPI: a worker got a message with tag %d",
                       (int)message->tag);
    }
}

/* From time to time: which share of its batch is computed. */
static enum ko_code report_share(struct ko_worker *worker, struct ko_channel *channel,
                                 struct ko_error *err)
{
    const double now = ko_now();
    int32_t batch = -1;
    if (now - worker->last_report < channel->report_seconds) {
        return KO_OK;
    }
    worker->last_report = now;
    const double share = ko_compute_share(worker->compute, &batch);
    return batch < 0 ? KO_OK
                     : ko_channel_send(channel, KO_COORDINATOR, KO_TAG_REACHED, batch,
                                       (int64_t)(share * 1e6), err);
}

enum ko_code ko_worker_step(struct ko_worker *worker, struct ko_channel *channel, bool *busy,
                            struct ko_error *err)
{
    struct ko_message message;
    bool got = false;
    enum ko_code code = collect_finished(worker, channel, busy, err);
    if (code == KO_OK) {
        code = channel->poll(channel, &message, &got, err);
    }
    if (code != KO_OK) {
        return code;
    }
    *busy = *busy || got;
    return got ? follow_message(worker, channel, &message, err)
               : report_share(worker, channel, err);
}

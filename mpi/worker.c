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

/* Other weights than earlier results came from: a cube that has some of them is refused; where only
   the clean runs of the evaluation are others', the model failed. */
static enum ko_code check_content(const struct ko_worker *worker, int32_t model,
                                  struct ko_error *err)
{
    const char *hash = worker->job->content_hash[model];
    if (hash[0] == '\0' || strcmp(hash, worker->weights.content_hash) == 0)
        return KO_OK;
    const bool mixed = ko_job_has_results(worker->job, model);
    return ko_fail(err, mixed ? KO_E_INPUT : KO_E_FAILED,
                   "%s: the weights' content hash is %s, %s came from %s, restore the checkpoint "
                   "or %s",
                   worker->job->plan->model[model].name, worker->weights.content_hash,
                   mixed ? "the results so far" : "the evaluation", hash,
                   mixed ? "choose --overwrite" : "evaluate again");
}

/* Every worker has the weights of the first, also where nodes read files of their own. Collective
   over the workers; agreed on. */
static enum ko_code check_weights(const struct ko_worker *worker, int32_t model,
                                  struct ko_error *err)
{
    const struct ko_world *world = worker->world;
    const char *own = worker->weights.content_hash;
    char first[sizeof worker->weights.content_hash];
    memcpy(first, own, sizeof first);
    enum ko_code code = ko_mpi_check(
        MPI_Bcast(first, (int)sizeof first, MPI_CHAR, 0, world->workers), "MPI_Bcast", err);
    if (code == KO_OK && strcmp(first, own) != 0)
        code = ko_fail(err, KO_E_FAILED,
                       "%s: the weights' content hash is %s here and %s on the first worker, all "
                       "nodes need the same files",
                       worker->job->plan->model[model].name, own, first);
    if (code == KO_OK)
        code = check_content(worker, model, err);
    return ko_agree(world->workers, code, err);
}

static enum ko_code ask_backend(const struct ko_kernels *k, struct ko_backend *be, void *context,
                                struct ko_error *err)
{
    (void)context;
    return k->wait(be, err);
}

/* Whether a model that could not be loaded is at fault, and not what computes: an exchange between
   GPUs that broke off, or a GPU that no longer answers on some worker, would fail every other model
   too. Collective over the workers unless the exchange broke. */
static bool is_the_models_fault(struct ko_worker *worker, struct ko_error *err)
{
    struct ko_error later = {0};
    if (worker->world->broken)
        return false;
    enum ko_code code = ko_compute_call(worker->compute, ask_backend, NULL, &later);
    code = ko_agree(worker->world->workers, code, &later);
    if (code != KO_OK)
        *err = later;
    return code == KO_OK;
}

/* Everything of a load that is the model's own; agreed on. */
static enum ko_code load_weights(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const struct ko_plan *plan = worker->job->plan;
    enum ko_code code = ko_weights_load(worker->world, worker->compute, worker->exchange,
                                        plan->model[model].path, plan->model[model].name,
                                        plan->model[model].fingerprint, &worker->weights, err);
    if (code == KO_OK)
        code = check_weights(worker, model, err);
    if (code == KO_OK || is_the_models_fault(worker, err))
        worker->unloaded = KO_FAILED_WEIGHTS;
    if (code != KO_OK)
        return code;
    code = ko_compute_bind(worker->compute, plan, model, worker->weights.model,
                           &worker->weights.arena, ko_job_max_rows(worker->job, model), err);
    /* Memory may suffice for the next model; whatever else goes wrong here is the backend's. */
    code = ko_agree(worker->world->workers, code, err);
    if (code != KO_E_MEMORY)
        worker->unloaded = KO_NOT_FAILED;
    return code;
}

/* What is held on the GPU between two models, which must not grow. */
static void log_memory(const struct ko_worker *worker, int32_t model)
{
    struct ko_error err = {0};
    double bytes = 0;
    if (worker->log->level < KO_LOG_DEBUG || !ko_compute_kernels(worker->compute)->own_memory)
        return;
    if (ko_gpu_used_bytes(worker->world->gpu.device, &bytes, &err) == KO_OK)
        ko_log_write(worker->log, KO_LOG_DEBUG, "load model=\"%s\" gpu_bytes_before=%.0f",
                     worker->job->plan->model[model].name, bytes);
}

enum ko_code ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const double begin = ko_now();
    worker->unloaded = KO_NOT_FAILED;
    enum ko_code code = ko_compute_bind(worker->compute, NULL, 0, NULL, NULL, 0, err);
    if (code != KO_OK)
        return code;
    ko_weights_free(&worker->weights);
    end_reading(worker);
    log_memory(worker, model);
    if (!worker->exchange)
        code = ko_exchange_open(worker->world, worker->compute, &worker->exchange, err);
    if (code != KO_OK)
        return code;
    code = load_weights(worker, model, err);
    if (!ko_failure_is_recorded(worker->job, code))
        worker->unloaded = KO_NOT_FAILED;
    else if (code == KO_E_MEMORY)
        worker->unloaded = KO_FAILED_MEMORY;
    if (code != KO_OK)
        return code;
    code = ko_cube_write_content_hash(
        worker->cube, model, worker->world->worker == 0 ? worker->weights.content_hash : NULL, err);
    if (code != KO_OK) { /* the others may wait in that write for ever */
        worker->world->broken = true;
        return code;
    }
    read_next(worker, model);
    worker->spent.load += ko_now() - begin;
    return KO_OK;
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
    if (code == KO_OK)
        code = ko_worker_stage(worker, &finished, err);
    ko_finished_free(&finished);
    return code;
}

void ko_worker_submit(struct ko_worker *worker, int32_t number)
{
    const struct ko_plan *plan = worker->job->plan;
    const struct ko_batch *batch = &worker->job->batches.batch[number];
    struct ko_text prompts = {0};
    ko_compute_submit(worker->compute, number, batch);
    if (worker->log->level < KO_LOG_DEBUG)
        return;
    for (int32_t k = 0; k < batch->n_facts; k++)
        ko_text_add(&prompts, "%s%s", k ? " " : "", plan->fact[batch->fact[k]].id);
    ko_log_write(worker->log, KO_LOG_DEBUG, "compute kind=%s batch=%d model=\"%s\" prompts=\"%s\"",
                 plan->kind == KO_PLAN_SWEEP ? "sweep" : "evaluation", number,
                 plan->model[batch->model].name, ko_text_str(&prompts));
    ko_text_free(&prompts);
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
        if (*own == KO_OK)
            *own = ko_worker_stage(worker, finished, err);
    } else {
        *err = finished->error;
    }
    if (sent == KO_OK && *own == KO_OK)
        sent = report(worker, KO_TAG_FINISHED, batch, seconds, err);
    return sent;
}

static enum ko_code collect(struct ko_worker *worker, struct ko_error *err)
{
    struct ko_finished finished = {0};
    enum ko_code code = KO_OK, own = KO_OK;
    while (code == KO_OK && ko_compute_poll(worker->compute, &finished)) {
        code = take_finished(worker, &finished, &own, err);
        if (code == KO_OK && own != KO_OK)
            code = report_error(worker, own, err);
        ko_finished_free(&finished);
    }
    return code;
}

/* All workers have agreed on the result, unless this one is lost to the others. A stop is known to
 * the coordinator: it gave it. */
static enum ko_code load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const enum ko_code code = ko_worker_load(worker, model, err);
    if (code == KO_OK)
        return report(worker, KO_TAG_LOADED, model, 0, err);
    if (code == KO_E_STOPPED)
        return KO_OK;
    if (worker->world->broken)
        return code;
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
    const struct ko_stop stop = {stop_has_come, world};
    world->load_stop = &stop;
    enum ko_code code = ko_worker_open(world, job, log, &worker, err);
    code = ko_agree(world->all, code, err);
    if (code == KO_OK) {
        code = ko_sweep_gather_threads(world, &worker.threads, NULL, err);
        if (code == KO_OK)
            code = serve(&worker, err);
        if (code != KO_OK)
            report_broken(&worker, code, err);
    }
    world->load_stop = NULL;
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

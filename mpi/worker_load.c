/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the next model on a worker and checks that its weights are the right ones: the same on all
   workers, and the same as in earlier runs. */
#include "mpi/worker_load.h"

#include <string.h>

#include "mpi/compute/weights_load.h"
#include "mpi/failures.h"
#include "mpi/worker_means.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/clock.h"

/* GPU only: there, reading the next checkpoint would take most of the time. */
static void read_next(struct ko_worker *worker, int32_t model)
{
    const struct ko_world *world = worker->world;
    const int32_t next = ko_job_next_model(worker->job, model);
    struct ko_error err = {0};
    if (next < 0 || !ko_compute_kernels(worker->compute)->own_memory) {
        return;
    }
    const struct ko_plan_model *plan = &worker->job->plan->model[next];
    const struct ko_read_part part = {.part = world->reads_alone ? 0 : world->worker,
                                      .n_parts = world->reads_alone ? 1 : world->n_workers,
                                      .n_node_workers = world->n_node_workers};
    if (ko_read_ahead_start(plan->path, plan->name, &part, &worker->ahead, &err) != KO_OK) {
        ko_log_write(worker->log, KO_LOG_DEBUG, "read_ahead %s", err.text);
    }
}

/* Compares the content hash with that of earlier results. Other weights are an error of the input
   if the cube has results of them; if only the evaluation has, the model failed. */
static enum ko_code check_content(const struct ko_worker *worker, int32_t model,
                                  struct ko_error *err)
{
    const char *hash = worker->job->content_hash[model];
    if (hash[0] == '\0' || strcmp(hash, worker->station->weights.content_hash) == 0) {
        return KO_OK;
    }
    const bool mixed = ko_job_has_results(worker->job, model);
    return ko_fail(err, mixed ? KO_E_INPUT : KO_E_FAILED,
                   "%s: the weights' content hash is %s, %s came from %s, restore the checkpoint "
                   "or %s",
                   worker->job->plan->model[model].name, worker->station->weights.content_hash,
                   mixed ? "the results so far" : "the evaluation", hash,
                   mixed ? "choose --overwrite" : "evaluate again");
}

/* Checks that every worker has the same weights as the first: nodes may have files of their own.
   Collective over the workers; errors are agreed on. */
static enum ko_code check_weights(const struct ko_worker *worker, int32_t model,
                                  struct ko_error *err)
{
    const struct ko_world *world = worker->world;
    const char *own = worker->station->weights.content_hash;
    char first[sizeof worker->station->weights.content_hash];
    memcpy(first, own, sizeof first);
    enum ko_code code = ko_mpi_check(
        MPI_Bcast(first, (int)sizeof first, MPI_CHAR, 0, world->workers), "MPI_Bcast", err);
    if (code == KO_OK && strcmp(first, own) != 0) {
        code = ko_fail(err, KO_E_FAILED,
                       "%s: the weights' content hash is %s here and %s on the first worker, all "
                       "nodes need the same files",
                       worker->job->plan->model[model].name, own, first);
    }
    if (code == KO_OK) {
        code = check_content(worker, model, err);
    }
    return ko_agree(world->workers, code, err);
}

static enum ko_code ask_backend(const struct ko_kernels *k, struct ko_backend *be, void *context,
                                struct ko_error *err)
{
    (void)context;
    return k->wait(be, err);
}

/* Whether a failed load is the model's fault. A broken exchange between GPUs, or a GPU that does
   not answer, would fail every other model too. Collective over the workers unless the exchange
   broke. */
static bool is_the_models_fault(struct ko_worker *worker, struct ko_error *err)
{
    struct ko_error later = {0};
    if (worker->world->broken) {
        return false;
    }
    enum ko_code code = ko_compute_call(worker->compute, ask_backend, NULL, &later);
    code = ko_agree(worker->world->workers, code, &later);
    if (code != KO_OK) {
        *err = later;
    }
    return code == KO_OK;
}

/* Loads the weights unless they stayed; checks and binds them. Errors are agreed on. */
static enum ko_code load_weights(struct ko_worker *worker, int32_t model, bool stayed,
                                 struct ko_error *err)
{
    const struct ko_plan *plan = worker->job->plan;
    struct ko_station *station = worker->station;
    enum ko_code code = stayed ? KO_OK
                               : ko_weights_load(worker->world, station->compute, station->exchange,
                                                 &plan->model[model], worker->job->slots[model],
                                                 &station->weights, err);
    if (code == KO_OK) {
        code = check_weights(worker, model, err);
    }
    if (code == KO_OK || is_the_models_fault(worker, err)) {
        worker->unloaded = KO_FAILED_WEIGHTS;
    }
    if (code != KO_OK) {
        return code;
    }
    const struct ko_compute_model bound = {.plan = plan,
                                           .plan_model = model,
                                           .model = station->weights.model,
                                           .arena = &station->weights.arena,
                                           .max_rows = ko_job_max_rows(worker->job, model)};
    code = ko_compute_bind(worker->compute, &bound, err);
    /* The next model may need less memory. Any other error here is the backend's. */
    code = ko_agree(worker->world->workers, code, err);
    if (code != KO_E_MEMORY) {
        worker->unloaded = KO_NOT_FAILED;
    }
    return code;
}

/* Logs the memory held on the GPU between two models, which must not grow. */
static void log_memory(const struct ko_worker *worker, int32_t model)
{
    struct ko_error err = {0};
    double bytes = 0;
    if (worker->log->level < KO_LOG_DEBUG || !ko_compute_kernels(worker->compute)->own_memory) {
        return;
    }
    if (ko_gpu_used_bytes(worker->world->gpu.device, &bytes, &err) == KO_OK) {
        ko_log_write(worker->log, KO_LOG_DEBUG, "load model=\"%s\" gpu_bytes_before=%.0f",
                     worker->job->plan->model[model].name, bytes);
    }
}

/* Frees the bound model, and its weights unless they are those of the next one (*stayed). */
static enum ko_code make_room(struct ko_worker *worker, int32_t model, bool *stayed,
                              struct ko_error *err)
{
    struct ko_station *station = worker->station;
    enum ko_code code = ko_compute_bind(worker->compute, NULL, err);
    if (code == KO_OK) {
        code = ko_station_has(worker->world, station, &worker->job->plan->model[model],
                              worker->job->slots[model], stayed, err);
    }
    if (code != KO_OK || *stayed) {
        return code;
    }
    ko_station_clear(station);
    ko_worker_end_reading(worker);
    log_memory(worker, model);
    return ko_station_connect(worker->world, station, err);
}

static enum ko_code write_hash(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const char *hash = worker->station->weights.content_hash;
    const enum ko_code code = ko_cube_write_content_hash(
        worker->cube, model, worker->world->worker == 0 ? hash : NULL, err);
    if (code != KO_OK) { /* other workers may wait in that write for ever */
        worker->world->broken = true;
    }
    return code;
}

static void note_load(struct ko_worker *worker, int32_t model, bool stayed, double seconds)
{
    const char *name = worker->job->plan->model[model].name;
    if (stayed) {
        ko_log_write(worker->log, KO_LOG_DEBUG, "load model=\"%s\" kept", name);
    } else {
        ko_log_write(worker->log, KO_LOG_DEBUG, "load model=\"%s\" seconds=%.2f weights=%s", name,
                     seconds, worker->job->slots[model] > 0 ? "stream" : "resident");
        worker->spent.load += seconds;
    }
}

enum ko_code ko_worker_load(struct ko_worker *worker, int32_t model, struct ko_error *err)
{
    const double begin = ko_now();
    bool stayed = false;
    worker->unloaded = KO_NOT_FAILED;
    enum ko_code code = make_room(worker, model, &stayed, err);
    if (code != KO_OK) {
        return code;
    }
    code = load_weights(worker, model, stayed, err);
    if (!ko_failure_is_recorded(worker->job, code)) {
        worker->unloaded = KO_NOT_FAILED;
    } else if (code == KO_E_MEMORY) {
        worker->unloaded = KO_FAILED_MEMORY;
    }
    if (code == KO_OK) {
        code = write_hash(worker, model, err);
    }
    if (code != KO_OK) {
        return code;
    }
    note_load(worker, model, stayed, ko_now() - begin);
    code = ko_worker_load_means(worker, model, err);
    if (code == KO_OK) {
        read_next(worker, model);
    }
    return code;
}

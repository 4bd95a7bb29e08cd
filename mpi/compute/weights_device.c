/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a model's weights into GPU memory. Each worker reads its part, and the parts are then
   exchanged. Weights that stream are not exchanged. The work on the GPU runs on the compute
   thread. */
#include "mpi/compute/weights_device.h"

#include <stdlib.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"
#include "src/models/model_load.h"

/* Arguments of the functions that run in the compute thread. */
struct task {
    struct ko_weights *weights;
    enum ko_precision precision;
    int32_t part, n_parts;
    uint64_t *hash; /* [n_weights] */
    struct ko_exchange *exchange;
};

static enum ko_code allocate_device(const struct ko_kernels *k, struct ko_backend *be,
                                    void *context, struct ko_error *err)
{
    const struct task *task = context;
    struct ko_weights *weights = task->weights;
    if (weights->slots > 0) {
        const struct ko_streaming how = {
            weights->model, k, be, task->precision, ko_compute_threads(weights->compute),
            weights->slots};
        return ko_streamed_weights_new(&how, &weights->streamed, err);
    }
    return ko_device_weights_new(weights->model, k, be, task->precision, &weights->device, err);
}

static enum ko_code load_part(const struct ko_kernels *k, struct ko_backend *be, void *context,
                              struct ko_error *err)
{
    const struct task *task = context;
    struct ko_streamed_weights *streamed = task->weights->streamed;
    const struct ko_load_part part = {task->part, task->n_parts,
                                      ko_compute_threads(task->weights->compute)};
    (void)k;
    (void)be;
    if (streamed) {
        return ko_streamed_weights_load(streamed, task->weights->checkpoint, &part, task->hash,
                                        err);
    }
    return ko_device_weights_load_part(&task->weights->device, task->weights->checkpoint, &part,
                                       task->hash, err);
}

static enum ko_code share_parts(const struct ko_kernels *k, struct ko_backend *be, void *context,
                                struct ko_error *err)
{
    const struct task *task = context;
    struct ko_device_weights *device = &task->weights->device;
    size_t *begin = ko_new((size_t)task->n_parts + 1, sizeof *begin, err);
    enum ko_code code = begin ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        const struct ko_model *model = task->weights->model;
        ko_model_parts(model, task->n_parts, begin);
        for (int32_t p = 0; p <= task->n_parts; p++) {
            begin[p] = ko_model_matrix_bytes(model, device->arena.type, begin[p]);
        }
        code = k->wait(be, err); /* the part must be complete before it is sent */
    }
    if (code == KO_OK) {
        code = task->exchange->share(task->exchange, device->matrices, begin, err);
    }
    free(begin);
    return code;
}

static enum ko_code release_device(const struct ko_kernels *k, struct ko_backend *be, void *context,
                                   struct ko_error *err)
{
    struct ko_weights *weights = context;
    (void)k;
    (void)be;
    (void)err;
    ko_streamed_weights_free(weights->streamed);
    weights->streamed = NULL;
    ko_device_weights_free(&weights->device);
    return KO_OK;
}

void ko_weights_free_device(struct ko_weights *weights)
{
    const enum ko_code code = ko_compute_call(weights->compute, release_device, weights, NULL);
    (void)code; /* it only frees */
    weights->compute = NULL;
}

/* Every tensor's hash, from the worker that read it. All workers read the values: their hashes come
   from the first worker. */
static enum ko_code gather_hashes(const struct ko_world *world, const struct ko_model *model,
                                  uint64_t *hash, struct ko_error *err)
{
    for (size_t w = 0; w < model->n_weights && world->worker != 0; w++) {
        if (!model->weights[w].matrix) {
            hash[w] = 0;
        }
    }
    return ko_mpi_check(MPI_Allreduce(MPI_IN_PLACE, hash, (int)model->n_weights, MPI_UINT64_T,
                                      MPI_SUM, world->workers),
                        "MPI_Allreduce", err);
}

static enum ko_code load_and_share(struct ko_world *world, struct task *task, struct ko_error *err)
{
    struct ko_weights *weights = task->weights;
    struct ko_compute *compute = weights->compute;
    enum ko_code code =
        task->hash ? ko_compute_call(compute, allocate_device, task, err) : KO_E_MEMORY;
    code = ko_agree(world->workers, code, err);
    if (code != KO_OK) {
        return code;
    }
    /* The compute thread cannot ask the world, whose answer comes by MPI. */
    const struct ko_stop *stop = weights->slots > 0 ? world->load_stop : NULL;
    weights->model->load_stop = ko_compute_call_stop(compute);
    code = ko_compute_call_until(compute, stop, load_part, task, err);
    weights->model->load_stop = NULL; /* the weights may outlive the job */
    if (code == KO_E_INPUT) {
        code = KO_E_FAILED; /* the run began with it: a failure of the model, not of the input */
    }
    code = ko_agree(world->workers, code,
                    err); /* before the exchange, whose errors cannot be agreed on */
    if (code == KO_OK && task->n_parts > 1 && weights->slots == 0) {
        code = ko_compute_call(compute, share_parts, task, err);
        world->broken = world->broken || code != KO_OK;
    }
    if (code == KO_OK && !world->reads_alone) {
        code = gather_hashes(world, weights->model, task->hash, err);
    }
    if (code == KO_OK) {
        ko_model_content_hash(weights->model, task->hash, weights->content_hash);
    }
    return code;
}

enum ko_code ko_weights_load_device(struct ko_world *world, struct ko_compute *compute,
                                    struct ko_exchange *exchange, struct ko_weights *weights,
                                    struct ko_error *err)
{
    weights->compute = compute;
    struct task task = {.weights = weights,
                        .precision = ko_compute_precision(compute),
                        .part = world->reads_alone ? 0 : world->worker,
                        .n_parts = world->reads_alone ? 1 : world->n_workers,
                        .exchange = exchange};
    task.hash = ko_new(weights->model->n_weights, sizeof *task.hash, err);
    const enum ko_code code = load_and_share(world, &task, err);
    weights->arena =
        weights->streamed ? *ko_streamed_weights_arena(weights->streamed) : weights->device.arena;
    free(task.hash);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a checkpoint again on each rank and loads its weights into host memory, shared by the
   workers of a node where possible. weights_device.c does the rest for GPUs. */
#include "mpi/compute/weights_load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "mpi/compute/weights_device.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"

/* Whether /dev/shm, where Open MPI puts shared windows, has room for `bytes`. Called on one rank of
   each node. */
static bool shared_memory_fits(size_t bytes)
{
    struct statvfs fs;
    return statvfs("/dev/shm", &fs) == 0 &&
           (double)fs.f_bavail * (double)fs.f_frsize > (double)bytes * 1.02 + (64 << 20);
}

/* One arena for all workers of the node if they are several and it has room, else one for this
   worker alone. */
static enum ko_code allocate_floats(const struct ko_world *world, struct ko_weights *weights,
                                    struct ko_error *err)
{
    const size_t bytes = ko_model_floats(weights->model) * sizeof *weights->floats;
    int fits = world->n_node_workers > 1 && world->node_worker == 0 && shared_memory_fits(bytes);
    enum ko_code code =
        ko_mpi_check(MPI_Bcast(&fits, 1, MPI_INT, 0, world->node), "MPI_Bcast", err);
    if (code != KO_OK) {
        return code;
    }
    if (!fits) {
        weights->floats = ko_new(bytes, 1, err);
        return weights->floats ? KO_OK : KO_E_MEMORY;
    }
    void *base = NULL;
    const MPI_Aint own = world->node_worker == 0 ? (MPI_Aint)bytes : 0;
    code = ko_mpi_check(MPI_Win_allocate_shared(own, (int)sizeof *weights->floats, MPI_INFO_NULL,
                                                world->node, &base, &weights->window),
                        "MPI_Win_allocate_shared", err);
    weights->shared = code == KO_OK;
    MPI_Aint size = 0;
    int unit = 0;
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Win_shared_query(weights->window, 0, &size, &unit, &base),
                            "MPI_Win_shared_query", err);
    }
    weights->floats = base;
    return code;
}

static enum ko_code read_floats(const struct ko_world *world, const struct ko_compute *compute,
                                struct ko_weights *weights, struct ko_error *err)
{
    const struct ko_model *model = weights->model;
    uint64_t *hash = ko_new(model->n_weights, sizeof *hash, err);
    enum ko_code code = hash ? KO_OK : KO_E_MEMORY;
    weights->model->load_stop = world->load_stop;
    if (code == KO_OK) {
        const struct ko_load_part part = {weights->shared ? world->node_worker : 0,
                                          weights->shared ? world->n_node_workers : 1,
                                          ko_compute_threads(compute)};
        code = ko_model_load(model, weights->checkpoint, &part, weights->floats, hash, err);
    }
    weights->model->load_stop = NULL; /* the weights may outlive the job */
    if (code == KO_E_INPUT) {
        code = KO_E_FAILED; /* the run began with it: a failure of the model, not of the input */
    }
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK && weights->shared) {
        /* Each weight is in one part, the others' entries are zero. */
        code = ko_mpi_check(MPI_Allreduce(MPI_IN_PLACE, hash, (int)model->n_weights, MPI_UINT64_T,
                                          MPI_SUM, world->node),
                            "MPI_Allreduce", err);
        if (code == KO_OK) {
            code = ko_mpi_check(MPI_Win_fence(0, weights->window), "MPI_Win_fence", err);
        }
    }
    if (code == KO_OK) {
        ko_model_content_hash(model, hash, weights->content_hash);
    }
    free(hash);
    return code;
}

static enum ko_code load_on_host(const struct ko_world *world, const struct ko_compute *compute,
                                 struct ko_weights *weights, struct ko_error *err)
{
    enum ko_code code = allocate_floats(world, weights, err);
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK) {
        code = read_floats(world, compute, weights, err);
    }
    if (code == KO_OK) {
        weights->arena = ko_model_host_arena(weights->model, weights->floats);
    }
    return code;
}

/* Opens the checkpoint on this rank. Rank 0 checked it before the run began; it may have changed
   since, or be another one on this node. */
static enum ko_code open_again(const struct ko_plan_model *model, struct ko_weights *weights,
                               struct ko_error *err)
{
    enum ko_code code = ko_checkpoint_open(model->path, model->name, &weights->checkpoint, err);
    if (code == KO_OK) {
        code = ko_model_open(weights->checkpoint, &weights->model, err);
    }
    if (code == KO_OK &&
        strcmp(model->fingerprint, ko_checkpoint_fingerprint(weights->checkpoint)) != 0) {
        code = ko_fail(err, KO_E_FAILED,
                       "%s: the checkpoint's fingerprint is %s here and was %s when the run began, "
                       "all nodes need the same files",
                       model->name, ko_checkpoint_fingerprint(weights->checkpoint),
                       model->fingerprint);
    }
    return code == KO_E_INPUT ? KO_E_FAILED : code;
}

enum ko_code ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                             struct ko_exchange *exchange, const struct ko_plan_model *model,
                             int32_t slots, struct ko_weights *out, struct ko_error *err)
{
    struct ko_weights weights = {.window = MPI_WIN_NULL, .slots = slots};
    enum ko_code code = open_again(model, &weights, err);
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK && (slots > 0 || ko_compute_kernels(compute)->own_memory)) {
        code = ko_weights_load_device(world, compute, exchange, &weights, err);
    } else if (code == KO_OK) {
        code = load_on_host(world, compute, &weights, err);
    }
    if (code != KO_OK && !world->broken) {
        ko_weights_free(&weights);
    } else {
        *out = weights;
    }
    return code;
}

void ko_weights_free(struct ko_weights *weights)
{
    if (weights->compute) {
        ko_weights_free_device(weights);
    }
    if (!weights->shared) {
        free(weights->floats);
    }
    if (weights->shared && weights->window != MPI_WIN_NULL) {
        MPI_Win_free(&weights->window);
    }
    ko_model_free(weights->model);
    ko_checkpoint_close(weights->checkpoint);
    *weights = (struct ko_weights){.window = MPI_WIN_NULL};
}

bool ko_weights_are_of(const struct ko_weights *weights, const struct ko_plan_model *model,
                       int32_t slots)
{
    const struct ko_checkpoint *loaded = weights->checkpoint;
    struct ko_checkpoint *now = NULL;
    struct ko_error ignored = {0}; /* loading will meet it again */
    if (weights->slots != slots || strcmp(ko_checkpoint_name(loaded), model->name) != 0 ||
        strcmp(ko_checkpoint_fingerprint(loaded), model->fingerprint) != 0) {
        return false;
    }
    const bool same = ko_checkpoint_open(model->path, model->name, &now, &ignored) == KO_OK &&
                      ko_checkpoint_same_files(loaded, now);
    ko_checkpoint_close(now);
    return same;
}

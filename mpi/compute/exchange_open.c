/* SPDX-License-Identifier: Apache-2.0 */
/* Decides whether the workers need an exchange, and opens it and closes it on the compute thread.
   The exchange itself is in nccl_exchange.c. */
#include "mpi/compute/exchange_open.h"

#include "mpi/compute/nccl_exchange.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"

struct opening {
    unsigned char id[KO_NCCL_ID_BYTES];
    int worker, n_workers, device;
    struct ko_exchange *exchange;
};

static bool is_needed(const struct ko_world *world, const struct ko_compute *compute)
{
    return world->n_workers > 1 && !world->reads_alone && ko_compute_kernels(compute)->own_memory;
}

enum ko_code ko_exchange_check(const struct ko_world *world, const struct ko_compute *compute,
                               struct ko_error *err)
{
    return is_needed(world, compute) ? ko_nccl_available(err) : KO_OK;
}

static enum ko_code make_id(const struct ko_kernels *k, struct ko_backend *be, void *context,
                            struct ko_error *err)
{
    struct opening *opening = context;
    (void)k;
    (void)be;
    return ko_nccl_make_id(opening->id, err);
}

static enum ko_code open_here(const struct ko_kernels *k, struct ko_backend *be, void *context,
                              struct ko_error *err)
{
    struct opening *opening = context;
    (void)k;
    (void)be;
    return ko_nccl_exchange_open(opening->id, opening->worker, opening->n_workers, opening->device,
                                 &opening->exchange, err);
}

static enum ko_code close_here(const struct ko_kernels *k, struct ko_backend *be, void *context,
                               struct ko_error *err)
{
    struct ko_exchange *exchange = context;
    (void)k;
    (void)be;
    (void)err;
    exchange->close(exchange);
    return KO_OK;
}

enum ko_code ko_exchange_open(struct ko_world *world, struct ko_compute *compute,
                              struct ko_exchange **out, struct ko_error *err)
{
    struct opening opening = {
        .worker = world->worker, .n_workers = world->n_workers, .device = world->gpu.device};
    *out = NULL;
    if (!is_needed(world, compute)) {
        return KO_OK;
    }
    enum ko_code code =
        world->worker == 0 ? ko_compute_call(compute, make_id, &opening, err) : KO_OK;
    code = ko_agree(world->workers, code, err);
    if (code == KO_OK) {
        code = ko_mpi_check(
            MPI_Bcast(opening.id, KO_NCCL_ID_BYTES, MPI_UNSIGNED_CHAR, 0, world->workers),
            "MPI_Bcast", err);
    }
    if (code != KO_OK) {
        return code;
    }
    code = ko_compute_call(compute, open_here, &opening, err);
    world->broken = world->broken || code != KO_OK;
    *out = opening.exchange;
    return code;
}

void ko_exchange_close(struct ko_compute *compute, struct ko_exchange *exchange)
{
    if (!exchange) {
        return;
    }
    const enum ko_code code = ko_compute_call(compute, close_here, exchange, NULL);
    (void)code; /* it only frees */
}

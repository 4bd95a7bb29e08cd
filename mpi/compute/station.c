/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes what a worker computes with, and finds out whether the weights in memory can be
   used once more. */
#include "mpi/compute/station.h"

#include "kernels/backends/backends.h"
#include "mpi/compute/exchange_open.h"
#include "mpi/compute/weights_load.h"
#include "mpi/world/agree.h"
#include "mpi/world/check.h"

static enum ko_code start_compute(const struct ko_world *world, const char *backend,
                                  enum ko_precision precision, struct ko_station *station,
                                  struct ko_error *err)
{
    const struct ko_kernels *kernels = ko_backend_find(backend);
    const struct ko_gpu *gpu = &world->gpu;
    const struct ko_backend_config config = {
        .threads = world->threads.n, .device = gpu->device, .precision = precision};
    if (!kernels) {
        return ko_fail(err, KO_E_INPUT, "backend: unknown backend '%s', choose cpu or cuda",
                       backend);
    }
    if (kernels->own_memory) {
        ko_error_name_gpu(gpu->device, gpu->uuid);
    }
    return ko_compute_start(kernels, &config, &station->compute, err);
}

enum ko_code ko_station_open(struct ko_world *world, const char *backend,
                             enum ko_precision precision, struct ko_station *station,
                             struct ko_error *err)
{
    if (station->compute) {
        return KO_OK;
    }
    station->weights.window = MPI_WIN_NULL;
    enum ko_code code = start_compute(world, backend, precision, station, err);
    if (code == KO_OK) {
        code = ko_exchange_check(world, station->compute, err);
    }
    return ko_agree(world->workers, code, err);
}

enum ko_code ko_station_has(const struct ko_world *world, const struct ko_station *station,
                            const struct ko_plan_model *model, int32_t slots, bool *has,
                            struct ko_error *err)
{
    *has = false;
    if (!station->weights.model) { /* so it is on every worker */
        return KO_OK;
    }
    int mine = ko_weights_are_of(&station->weights, model, slots), all = 0;
    enum ko_code code = ko_mpi_check(
        MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_LAND, world->workers), "MPI_Allreduce", err);
    code = ko_agree(world->workers, code, err);
    *has = code == KO_OK && all;
    return code;
}

void ko_station_clear(struct ko_station *station)
{
    ko_weights_free(&station->weights);
}

enum ko_code ko_station_connect(struct ko_world *world, struct ko_station *station,
                                struct ko_error *err)
{
    return station->exchange ? KO_OK
                             : ko_exchange_open(world, station->compute, &station->exchange, err);
}

void ko_station_close(struct ko_station *station)
{
    if (!station->compute) {
        return;
    }
    ko_station_clear(station);
    ko_exchange_close(station->compute, station->exchange);
    ko_compute_stop(station->compute);
    *station = (struct ko_station){0};
}

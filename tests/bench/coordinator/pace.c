/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/coordinator/pace.h"

#include <stdlib.h>

#include "src/base/memory.h"

enum ko_code pace_new(int32_t n_batches, int32_t n_models, struct pace *out, struct ko_error *err)
{
    out->n_batches = n_batches;
    out->n_models = n_models;
    out->seconds = ko_new((size_t)n_batches, sizeof *out->seconds, err);
    out->bytes = ko_new((size_t)n_batches, sizeof *out->bytes, err);
    out->load = ko_new((size_t)n_models, sizeof *out->load, err);
    return out->seconds && out->bytes && out->load ? KO_OK : KO_E_MEMORY;
}

void pace_share(struct pace *pace, MPI_Comm comm)
{
    int rank = 0, length[3] = {pace->n_batches, pace->n_models, pace->n_workers};
    double number[3] = {pace->factor, pace->round_seconds, pace->file_rate};
    struct ko_error err = {0};
    MPI_Comm_rank(comm, &rank);
    MPI_Bcast(length, 3, MPI_INT, 0, comm);
    MPI_Bcast(number, 3, MPI_DOUBLE, 0, comm);
    if (rank != 0) {
        *pace = (struct pace){.n_workers = length[2],
                              .factor = number[0],
                              .round_seconds = number[1],
                              .file_rate = number[2]};
        if (pace_new(length[0], length[1], pace, &err) != KO_OK) {
            MPI_Abort(comm, 1);
        }
    }
    MPI_Bcast(pace->seconds, length[0], MPI_DOUBLE, 0, comm);
    MPI_Bcast(pace->bytes, length[0], MPI_DOUBLE, 0, comm);
    MPI_Bcast(pace->load, length[1], MPI_DOUBLE, 0, comm);
}

void pace_free(struct pace *pace)
{
    free(pace->seconds);
    free(pace->bytes);
    free(pace->load);
    *pace = (struct pace){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How long simulated workers take: known to every rank of a simulation. */
#ifndef TESTS_BENCH_COORDINATOR_PACE_H
#define TESTS_BENCH_COORDINATOR_PACE_H

#include <mpi.h>
#include <stdint.h>

#include "src/base/error.h"

struct pace {
    int32_t n_batches, n_models, n_workers;
    double factor;        /* a second of the simulated run takes so many seconds here */
    double round_seconds; /* of a commit round, besides its bytes */
    double file_rate;     /* bytes a second that all workers together write */
    double *seconds;      /* [n_batches] to compute it; owned */
    double *bytes;        /* [n_batches] that it has in the cube; owned */
    double *load;         /* [n_models] to load its weights on all workers; owned */
};

/* Room for the arrays, filled with 0. Free with pace_free, also after a failure. */
KO_MUST_CHECK enum ko_code pace_new(int32_t n_batches, int32_t n_models, struct pace *out,
                                    struct ko_error *err);
/* Collective: the other ranks get that of rank 0. Aborts the job where memory is short. */
void pace_share(struct pace *pace, MPI_Comm comm);
void pace_free(struct pace *pace);

#endif

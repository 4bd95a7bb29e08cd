/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the error of the first rank that failed to all ranks, so that all return it. Also adds the
   rank and its GPU to an error's text. */
#include "mpi/world/agree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mpi/world/check.h"
#include "src/base/clock.h"

/* " (GPU 0 GPU-5d3a...)"; written once, before any error needs it. */
static char gpu_text[96];

void ko_error_name_gpu(int device, const char *uuid)
{
    snprintf(gpu_text, sizeof gpu_text, " (GPU %d %.63s)", device, uuid);
}

void ko_error_name_rank(struct ko_error *err, int rank)
{
    char host[MPI_MAX_PROCESSOR_NAME];
    int length = 0;
    if (strncmp(err->text, "rank ", 5) == 0) {
        return;
    }
    MPI_Get_processor_name(host, &length);
    (void)ko_fail_in(err, "rank %d on %s%s", rank, host, gpu_text);
}

enum ko_code ko_meet(MPI_Comm comm, struct ko_error *err)
{
    enum { TRIES = 200 }; /* some 50 us: ranks that arrive together do not sleep */
    static const double SHORTEST_NAP = 5e-5, LONGEST_NAP = 2e-3;
    MPI_Request request = MPI_REQUEST_NULL;
    int here = 0, n = 0;
    double nap = SHORTEST_NAP;
    MPI_Comm_size(comm, &n);
    if (n == 1) {
        return KO_OK;
    }
    enum ko_code code = ko_mpi_check(MPI_Ibarrier(comm, &request), "MPI_Ibarrier", err);
    for (int tries = 0; code == KO_OK; tries++) {
        code = ko_mpi_check(MPI_Test(&request, &here, MPI_STATUS_IGNORE), "MPI_Test", err);
        if (code != KO_OK || here) {
            break;
        }
        if (tries < TRIES) {
            continue;
        }
        ko_nap(nap);
        nap = fmin(1.5 * nap, LONGEST_NAP);
    }
    return code;
}

enum ko_code ko_agree(MPI_Comm comm, enum ko_code code, struct ko_error *err)
{
    int rank = 0, n = 1, known_as = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_rank(MPI_COMM_WORLD, &known_as);
    MPI_Comm_size(comm, &n);
    if (n == 1) {
        return code;
    }
    int mine = code == KO_OK ? n : rank, first = n;
    struct ko_error meeting = {0};
    enum ko_code mpi = ko_meet(comm, &meeting);
    if (mpi != KO_OK) {
        *err = meeting;
        return mpi;
    }
    mpi =
        ko_mpi_check(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce", err);
    if (mpi != KO_OK || first == n) {
        return mpi;
    }
    struct ko_error shared;
    memset(&shared, 0, sizeof shared);
    if (rank == first) {
        shared = *err;
        shared.code = code;
        if (code != KO_E_INPUT && code != KO_E_STOPPED) {
            ko_error_name_rank(&shared, known_as);
        }
    }
    mpi = ko_mpi_check(MPI_Bcast(&shared, (int)sizeof shared, MPI_BYTE, first, comm), "MPI_Bcast",
                       err);
    if (mpi != KO_OK) {
        return mpi;
    }
    shared.text[sizeof shared.text - 1] = '\0';
    *err = shared;
    return shared.code;
}

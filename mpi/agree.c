#include "mpi/agree.h"

#include <stdio.h>
#include <string.h>

#include "mpi/world.h"

/* " (GPU 0 GPU-5d3a...)"; written once, before the first error that it belongs to. */
static char gpu_text[96];

void ko_error_name_gpu(int device, const char *uuid)
{
    snprintf(gpu_text, sizeof gpu_text, " (GPU %d %.63s)", device, uuid);
}

void ko_error_name_rank(struct ko_error *err, int rank)
{
    char host[MPI_MAX_PROCESSOR_NAME];
    int length = 0;
    if (strncmp(err->text, "rank ", 5) == 0)
        return;
    MPI_Get_processor_name(host, &length);
    (void)ko_fail_in(err, "rank %d on %s%s", rank, host, gpu_text);
}

enum ko_code ko_agree(MPI_Comm comm, enum ko_code code, struct ko_error *err)
{
    int rank = 0, n = 1, known_as = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_rank(MPI_COMM_WORLD, &known_as);
    MPI_Comm_size(comm, &n);
    if (n == 1)
        return code;
    int mine = code == KO_OK ? n : rank, first = n;
    enum ko_code mpi =
        ko_mpi_check(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce", err);
    if (mpi != KO_OK || first == n)
        return mpi;
    struct ko_error shared;
    memset(&shared, 0, sizeof shared);
    if (rank == first) {
        shared = *err;
        shared.code = code;
        if (code != KO_E_INPUT && code != KO_E_STOPPED)
            ko_error_name_rank(&shared, known_as);
    }
    mpi = ko_mpi_check(MPI_Bcast(&shared, (int)sizeof shared, MPI_BYTE, first, comm), "MPI_Bcast",
                       err);
    if (mpi != KO_OK)
        return mpi;
    shared.text[sizeof shared.text - 1] = '\0';
    *err = shared;
    return shared.code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Broadcasts the size first and then the bytes, in chunks that fit into MPI's int counts. */
#include "mpi/world/broadcast.h"

#include <stdint.h>
#include <stdlib.h>

#include "mpi/world/agree.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"

enum ko_code ko_broadcast_bytes(MPI_Comm comm, char **data, size_t *n, struct ko_error *err)
{
    enum { CHUNK = 1 << 30 };
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    uint64_t total = *n;
    enum ko_code code = ko_meet(comm, err);
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Bcast(&total, 1, MPI_UINT64_T, 0, comm), "MPI_Bcast", err);
    }
    if (code != KO_OK) {
        return code;
    }
    char *bytes = rank == 0 ? *data : ko_new((size_t)total + 1, 1, err);
    code = ko_agree(comm, bytes || total == 0 ? KO_OK : KO_E_MEMORY, err);
    for (uint64_t at = 0; code == KO_OK && at < total; at += CHUNK) {
        const uint64_t left = total - at;
        code = ko_mpi_check(
            MPI_Bcast(bytes + at, (int)(left < CHUNK ? left : CHUNK), MPI_BYTE, 0, comm),
            "MPI_Bcast", err);
    }
    if (rank != 0 && code != KO_OK) {
        free(bytes);
    } else if (rank != 0) {
        *data = bytes;
        *n = (size_t)total;
    }
    return code;
}

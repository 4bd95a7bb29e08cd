/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a return code of MPI into an error text. */
#include "mpi/world/check.h"

#include <mpi.h>

enum ko_code ko_mpi_check(int result, const char *what, struct ko_error *err)
{
    if (result == MPI_SUCCESS) {
        return KO_OK;
    }
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int n = 0;
    MPI_Error_string(result, text, &n);
    return ko_fail(err, KO_E_FAILED, "MPI: %s: %s", what, text);
}

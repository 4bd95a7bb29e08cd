/* SPDX-License-Identifier: Apache-2.0 */
/* MPI's return codes as errors of this program. */
#ifndef KO_MPI_WORLD_CHECK_H
#define KO_MPI_WORLD_CHECK_H

#include "src/base/error.h"

/* KO_E_FAILED with `what` and MPI's text, unless result is MPI_SUCCESS. */
KO_MUST_CHECK enum ko_code ko_mpi_check(int result, const char *what, struct ko_error *err);

#endif

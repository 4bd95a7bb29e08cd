/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker comes to a model's weights. */
#ifndef KO_MPI_WORKER_LOAD_H
#define KO_MPI_WORKER_LOAD_H

#include <stdint.h>

#include "mpi/worker.h"
#include "src/base/error.h"

/* Loads a model's weights, binds them, and writes their content hash. Collective over the workers,
   and errors are agreed on but for that of the write (mpi/worker.h). worker->unloaded says why, on
   every worker, where the model is to be recorded as failed and not the job. KO_E_STOPPED where
   world->load_stop said so. A failure of the exchange between GPUs cannot be agreed on either and
   sets world->broken. */
KO_MUST_CHECK enum ko_code ko_worker_load(struct ko_worker *worker, int32_t model,
                                          struct ko_error *err);

#endif

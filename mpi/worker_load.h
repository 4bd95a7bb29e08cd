/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a model on the workers. */
#ifndef KO_MPI_WORKER_LOAD_H
#define KO_MPI_WORKER_LOAD_H

#include <stdint.h>

#include "mpi/worker.h"
#include "src/base/error.h"

/* Loads a model's weights unless the station has them, binds them, and writes their content hash.
   Weights that stayed take no time of spent.load. Collective over the workers;
   errors are agreed on, except a failure of the write (mpi/worker.h) or of the exchange between
   GPUs: both set world->broken. If the model is to be recorded as failed, worker->unloaded has the
   reason on every worker. KO_E_STOPPED if world->load_stop asked for it. */
KO_MUST_CHECK enum ko_code ko_worker_load(struct ko_worker *worker, int32_t model,
                                          struct ko_error *err);

#endif

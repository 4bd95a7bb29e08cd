/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of the messages. */
#ifndef KO_MPI_WORKER_STEP_H
#define KO_MPI_WORKER_STEP_H

#include <stdbool.h>

#include "mpi/worker.h"
#include "mpi/world/channel.h"
#include "src/base/error.h"

/* Stages and reports what the compute thread has finished, and follows one message of the
   coordinator if one waits; *busy is set if there was either. worker->ended is set at the job's
   end. Collective over the workers in so far as messages ask for it. The worker cannot go on after
   a failure; all others are sent to the coordinator. */
KO_MUST_CHECK enum ko_code ko_worker_step(struct ko_worker *worker, struct ko_channel *channel,
                                          bool *busy, struct ko_error *err);

#endif

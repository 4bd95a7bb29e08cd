/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator, on rank 0: hands out batches, calls commit rounds, shows progress. */
#ifndef KO_MPI_COORDINATOR_H
#define KO_MPI_COORDINATOR_H

#include <stdbool.h>

#include "mpi/sweep.h"
#include "mpi/world/channel.h"
#include "src/base/error.h"

struct ko_coordinator;

/* sweep and channel are borrowed. Free with ko_coordinator_free. */
KO_MUST_CHECK enum ko_code ko_coordinator_new(struct ko_sweep *sweep, struct ko_channel *channel,
                                              struct ko_coordinator **out, struct ko_error *err);
void ko_coordinator_free(struct ko_coordinator *coordinator);

/* Answers one message if one waits (sets *busy), calls a commit round if one is due, and updates
   progress. The channel must not be used after a failure. */
KO_MUST_CHECK enum ko_code ko_coordinator_step(struct ko_coordinator *coordinator, bool *busy,
                                               struct ko_error *err);
/* Whether KO_TAG_END was sent to every worker. */
bool ko_coordinator_has_ended(const struct ko_coordinator *coordinator);

/* Afterwards: the first error that ended the job, KO_E_STOPPED after a stop, or KO_OK. */
KO_MUST_CHECK enum ko_code ko_coordinator_result(const struct ko_coordinator *coordinator,
                                                 struct ko_error *err);

#endif

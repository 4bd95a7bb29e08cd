/* SPDX-License-Identifier: Apache-2.0 */
/* Rank 0: hands out batches, calls commit rounds, shows progress. */
#ifndef KO_MPI_COORDINATOR_H
#define KO_MPI_COORDINATOR_H

#include "mpi/sweep.h"
#include "src/base/error.h"

/* The coordinator's side of a job (the workers run ko_worker_serve). */
KO_MUST_CHECK enum ko_code ko_coordinator_run(struct ko_sweep *sweep, struct ko_error *err);

/* -n 1: coordinator and worker in one process. */
KO_MUST_CHECK enum ko_code ko_alone_run(struct ko_sweep *sweep, struct ko_error *err);

/* Whether a commit round is due: commit_seconds since the last one, or KO_STAGED_BYTES staged. */
enum { KO_STAGED_BYTES = 64 << 20 };

/* A round is called at least this often, with nothing to write if need be: its time in the cube
   tells those who look that the run is alive. */
enum { KO_BEAT_SECONDS = 30 };

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: the weights, the compute thread, and finished batches that wait for a commit round. */
#ifndef KO_MPI_WORKER_H
#define KO_MPI_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange.h"
#include "mpi/compute/read_ahead.h"
#include "mpi/compute/weights.h"
#include "mpi/cube/cube.h"
#include "mpi/job.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/base/log.h"

struct ko_worker {
    struct ko_world *world;   /* borrowed */
    const struct ko_job *job; /* borrowed */
    const struct ko_log *log; /* borrowed */
    struct ko_compute *compute;
    struct ko_exchange *exchange; /* of the weights; NULL: not needed, or not open yet */
    struct ko_read_ahead *ahead;  /* of the next model; may be NULL */
    struct ko_weights weights;
    struct ko_cube *cube;
    struct ko_record *staged; /* finished, not committed */
    size_t n_staged, capacity;
    int32_t n_staged_batches;
    struct ko_spent spent;
    enum ko_failure unloaded; /* why the model could not be loaded */
    double last_report;       /* when the coordinator last got the share of a batch */
    bool ended;               /* the coordinator has ended the job */
};

/* The functions below and in mpi/worker_load.h are collective over the workers unless marked Local,
   and their errors are agreed on. Only a failure inside a collective write (a commit round, a
   content hash) cannot be: it sets world->broken, and the caller ends the job. */

/* Starts the compute thread and opens the cube. Close with ko_worker_close, also after a failure.
 */
KO_MUST_CHECK enum ko_code ko_worker_open(struct ko_world *world, const struct ko_job *job,
                                          const struct ko_log *log, struct ko_worker *out,
                                          struct ko_error *err);
/* Commits all staged records. */
KO_MUST_CHECK enum ko_code ko_worker_commit(struct ko_worker *worker, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_worker_close(struct ko_worker *worker, struct ko_error *err);

/* Local. Takes over the records of a finished batch. */
KO_MUST_CHECK enum ko_code ko_worker_stage(struct ko_worker *worker, struct ko_finished *finished,
                                           struct ko_error *err);
/* Local. Stages a batch as failed. */
KO_MUST_CHECK enum ko_code ko_worker_stage_failed(struct ko_worker *worker, int32_t batch,
                                                  enum ko_failure failure, struct ko_error *err);
/* Local. Gives the compute thread the batch with this number, and logs it at debug level. */
void ko_worker_submit(struct ko_worker *worker, int32_t number);

/* Local. Stops reading the next model ahead, if that is running. */
void ko_worker_end_reading(struct ko_worker *worker);

#endif

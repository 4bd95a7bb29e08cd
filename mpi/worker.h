/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: weights, the compute thread, the finished batches that wait for a commit round. Its
   main thread does all MPI and HDF5. */
#ifndef KO_MPI_WORKER_H
#define KO_MPI_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/compute.h"
#include "mpi/cube/cube.h"
#include "mpi/exchange.h"
#include "mpi/job.h"
#include "mpi/read_ahead.h"
#include "mpi/weights.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/base/log.h"

struct ko_worker {
    struct ko_world *world;   /* borrowed */
    const struct ko_job *job; /* borrowed */
    const struct ko_log *log; /* borrowed */
    struct ko_compute *compute;
    struct ko_exchange *exchange; /* of the weights; NULL: not needed, or not yet opened */
    struct ko_read_ahead *ahead;  /* of the next model; NULL: none */
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

/* The following, and mpi/worker_load.h, are collective over the workers, and their errors are
   agreed on, but for those of writes (a commit round, a content hash): a failure inside a
   collective write cannot be agreed on, so it sets world->broken and the caller ends the job. */

/* Starts the compute thread and opens the cube. Close with ko_worker_close, also after a failure.
 */
KO_MUST_CHECK enum ko_code ko_worker_open(struct ko_world *world, const struct ko_job *job,
                                          const struct ko_log *log, struct ko_worker *out,
                                          struct ko_error *err);
/* Joins a commit round with everything that is staged. */
KO_MUST_CHECK enum ko_code ko_worker_commit(struct ko_worker *worker, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_worker_close(struct ko_worker *worker, struct ko_error *err);

/* Local. Takes over the records of a finished batch. */
KO_MUST_CHECK enum ko_code ko_worker_stage(struct ko_worker *worker, struct ko_finished *finished,
                                           struct ko_error *err);
/* Local. Stages a batch as failed. */
KO_MUST_CHECK enum ko_code ko_worker_stage_failed(struct ko_worker *worker, int32_t batch,
                                                  enum ko_failure failure, struct ko_error *err);
/* Local. Gives the compute thread the batch with this number, and says so at debug level. */
void ko_worker_submit(struct ko_worker *worker, int32_t number);

/* Local. Ends reading the next model ahead, if it is under way. */
void ko_worker_end_reading(struct ko_worker *worker);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A worker during one job: what it computes with, and finished batches that wait for a commit
   round. */
#ifndef KO_MPI_WORKER_H
#define KO_MPI_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/compute/compute.h"
#include "mpi/compute/read_ahead.h"
#include "mpi/compute/station.h"
#include "mpi/cube/cube.h"
#include "mpi/job.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/base/log.h"

struct ko_worker {
    struct ko_world *world;      /* borrowed */
    const struct ko_job *job;    /* borrowed */
    const struct ko_log *log;    /* borrowed */
    struct ko_station *station;  /* borrowed */
    struct ko_compute *compute;  /* the station's */
    struct ko_read_ahead *ahead; /* of the next model; may be NULL */
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

/* Opens the station, if it is not open, and the cube. Close with ko_worker_close, also after a
   failure. */
KO_MUST_CHECK enum ko_code ko_worker_open(struct ko_world *world, struct ko_station *station,
                                          const struct ko_job *job, const struct ko_log *log,
                                          struct ko_worker *out, struct ko_error *err);
/* Commits all staged records. */
KO_MUST_CHECK enum ko_code ko_worker_commit(struct ko_worker *worker, struct ko_error *err);
/* Frees what belongs to the job. The station stays open with its weights, and no model is bound. */
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

/* SPDX-License-Identifier: Apache-2.0 */
/* A cube that exists: commits of all ranks, the row of a run, the folder's probe. */
#ifndef KO_MPI_CUBE_CUBE_H
#define KO_MPI_CUBE_CUBE_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/create/create.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"

/* ------------------------------------------------------------------------------------------------
   commits (collective) */

struct ko_cube;

/* Collective over comm (the workers'): opens an existing cube for raw writes. The plan is the one
   that it was created from (borrowed). Errors are agreed on. Free with ko_cube_close (collective).
 */
KO_MUST_CHECK enum ko_code ko_cube_open(const char *path, const struct ko_plan *plan, MPI_Comm comm,
                                        struct ko_cube **out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cube_close(struct ko_cube *cube, struct ko_error *err);

/* Whether the cube says of each cell if it was taken. */
bool ko_cube_has_reused(const struct ko_cube *cube);

/* Local: what the next commits write into the run's row, beside the time, for those who look while
   the run is under way; the first rank of the communicator is the one that matters. cells: computed
   in this run; work_share: of its floating-point operations, 0 to 1. */
void ko_cube_set_progress(struct ko_cube *cube, double cells, double work_share);

/* Collective: writes a model's content hash (32 hex digits; NULL on ranks that have nothing to
   write). */
KO_MUST_CHECK enum ko_code ko_cube_write_content_hash(struct ko_cube *cube, int32_t model,
                                                      const char *hash, struct ko_error *err);

/* ------------------------------------------------------------------------------------------------
   one process again */

/* The start of a run, written into the row that ko_cube_log_run fills at its end (run_ranks stays
   -1 until then). Raw, and no lock is taken. */
KO_MUST_CHECK enum ko_code ko_cube_begin_run(const char *path, double start_epoch, const char *host,
                                             const char *job, struct ko_error *err);

struct ko_cube_run {
    double start_epoch, wall_seconds, device_seconds;
    int32_t ranks;
    const char *host, *job; /* job may be "" */
    const char *log;        /* lines appended to run_log */
};
enum { KO_CUBE_BUSY_SECONDS = 5 };
/* Fills the next free row of the run table of an existing cube, raw: the last one where none is
   free. Of the log what fits. No lock is taken, so that somebody who reads the cube meanwhile does
   not fail a run. Where HDF5 is told to lock (HDF5_USE_FILE_LOCKING) and another program has the
   cube open it tries again for KO_CUBE_BUSY_SECONDS; then the log waits in CUBE.run_log for the next
   call of this function, and the error (KO_E_INPUT) says so. */
KO_MUST_CHECK enum ko_code ko_cube_log_run(const char *path, const struct ko_cube_run *run,
                                           struct ko_error *err);

/* A collective write and read-back of a small file beside `path`, removed again: whether the folder
   can be written from every rank. Collective over comm; the error is agreed on and names the host.
 */
KO_MUST_CHECK enum ko_code ko_cube_probe_folder(const char *path, MPI_Comm comm,
                                                struct ko_error *err);

#endif

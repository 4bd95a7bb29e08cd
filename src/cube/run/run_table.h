/* SPDX-License-Identifier: Apache-2.0 */
/* The run table of a cube: one row for each run, and lines of their logs. One process. */
#ifndef KO_CUBE_RUN_TABLE_H
#define KO_CUBE_RUN_TABLE_H

#include <hdf5.h>
#include <stdint.h>

#include "src/base/error.h"

/* Fills the run's row at its start, but for run_ranks, which stays -1 until ko_cube_log_run. Takes
   no lock on the file. */
KO_MUST_CHECK enum ko_code ko_cube_begin_run(const char *path, double start_epoch, const char *host,
                                             const char *job, struct ko_error *err);

struct ko_cube_run {
    double start_epoch, wall_seconds, device_seconds;
    int32_t ranks;
    const char *host, *job; /* job may be "" */
    const char *log;        /* lines to append to run_log */
};
enum { KO_CUBE_BUSY_SECONDS = 5 };
/* Fills the next free row of the table, or the last row if none is free, and appends the log as far
   as it fits. Takes no lock on the file, so that a program that reads the cube does not fail a run.
   If HDF5 is told to lock (HDF5_USE_FILE_LOCKING) and another program has the cube open, it tries
   again for KO_CUBE_BUSY_SECONDS; then the log waits in CUBE.run_log for the next call of this
   function, and the error (KO_E_INPUT) says so. */
KO_MUST_CHECK enum ko_code ko_cube_log_run(const char *path, const struct ko_cube_run *run,
                                           struct ko_error *err);

/* The first row that no run has filled, or the last row if all are: the row of a run under way. */
KO_MUST_CHECK enum ko_code ko_cube_run_row(hid_t file, const char *path, hsize_t *row,
                                           struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reports the jobs of a run: in its log, on the terminal, and in the run table of the cube. */
#ifndef KO_RUN_SESSION_LOG_H
#define KO_RUN_SESSION_LOG_H

#include <stdbool.h>

#include "mpi/cube/cube.h"
#include "mpi/job.h"
#include "mpi/sweep.h"
#include "src/run/session.h"

/* Logs how much of an earlier run's work is left. */
void ko_session_log_left(const struct ko_session *session, const struct ko_job *job,
                         const char *title);
/* Logs that there is nothing to do. */
void ko_session_log_complete(const struct ko_session *session, const char *title, const char *path,
                             bool evaluation);
/* Logs how a job ended, and how a worker spent its time, on average. */
void ko_session_log_end(const struct ko_session *session, const struct ko_sweep *sweep,
                        bool stopped);
/* Writes a row of the cube's run table. Fills in ranks, host and job of *run. Logs a warning if the
   row cannot be written. */
void ko_session_log_row(const struct ko_session *session, const char *cube_path,
                        struct ko_cube_run *run);
/* Writes the row of a job, with a line of its log. start: seconds since 1970. */
void ko_session_log_run(const struct ko_session *session, const struct ko_sweep *sweep,
                        double start, enum ko_code code);
/* The id of this Slurm job, "" outside one. Borrowed from the environment. */
const char *ko_session_slurm_job(void);

#endif

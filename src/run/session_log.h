/* SPDX-License-Identifier: Apache-2.0 */
/* What a run says of its jobs: in its log, to people, and in the run table of the cube. */
#ifndef KO_RUN_SESSION_LOG_H
#define KO_RUN_SESSION_LOG_H

#include <stdbool.h>

#include "mpi/job.h"
#include "mpi/sweep.h"
#include "src/run/session.h"

/* How much of an earlier run's work is left. */
void ko_session_log_left(const struct ko_session *session, const struct ko_job *job,
                         const char *title);
/* That there is nothing to do. */
void ko_session_log_complete(const struct ko_session *session, const char *title, const char *path,
                             bool evaluation);
/* How a job ended, and what a worker spent its time with, on average. */
void ko_session_log_end(const struct ko_session *session, const struct ko_sweep *sweep,
                        bool stopped);
/* A row of the cube's run table, and a line of its log. start: seconds since 1970. */
void ko_session_log_run(const struct ko_session *session, const struct ko_sweep *sweep,
                        double start, enum ko_code code);
/* The Slurm job that this is, "" outside one. Borrowed from the environment. */
const char *ko_session_slurm_job(void);

#endif

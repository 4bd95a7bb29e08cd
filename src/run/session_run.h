/* SPDX-License-Identifier: Apache-2.0 */
/* A run or an evaluation on all ranks. Rank 0 (the root) leads; the other ranks receive jobs from
   it and compute them. */
#ifndef KO_RUN_SESSION_RUN_H
#define KO_RUN_SESSION_RUN_H

#include <stdint.h>

#include "mpi/job.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/run/output.h"
#include "src/run/session.h"

/* What the root does between the start and the end of the ranks. */
typedef enum ko_code ko_session_lead(struct ko_session *session, void *context,
                                     struct ko_error *err);

/* Starts MPI, checks the launch, calls lead on the root while the other ranks compute its jobs, and
   agrees on the result. The root prints the error of a failure before any rank ends, and clears
   err's text. *status is KO_EXIT_FAILURES on every rank if the run is complete with recorded
   failures. Ends all ranks with MPI_Abort if they can no longer agree. */
KO_MUST_CHECK enum ko_code ko_session_run(struct ko_cli *cli, ko_session_lead *lead, void *context,
                                          int *status, struct ko_error *err);

/* Called by lead, once everything has been checked: every rank probes the folder of the output, the
   other ranks begin to wait for jobs, and the root locks the output. Collective. */
KO_MUST_CHECK enum ko_code ko_session_begin(struct ko_session *session,
                                            const struct ko_output *output, struct ko_error *err);

/* What is to be computed. All borrowed. */
struct ko_session_job {
    struct ko_plan *plan;
    const struct ko_job_earlier *earlier;
    const char *cube_path; /* the cube exists */
    const char *title;     /* "evaluate" or "sweep", for the log */
    int32_t last_model;    /* as in struct ko_job */
    const uint8_t *slots;  /* [plan->n_models] as in struct ko_job */
};

/* Called by lead: computes on all ranks what the plan asks for and `earlier` lacks. */
KO_MUST_CHECK enum ko_code ko_session_compute(struct ko_session *session,
                                              const struct ko_session_job *wanted,
                                              struct ko_error *err);

#endif

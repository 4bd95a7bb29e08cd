/* SPDX-License-Identifier: Apache-2.0 */
/* Cells that a sweep could not compute. They are recorded in the cube, a warning is printed, and
   the sweep goes on. */
#ifndef KO_MPI_FAILURES_H
#define KO_MPI_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/job.h"
#include "src/base/error.h"
#include "src/base/log.h"
#include "src/base/text.h"
#include "src/forward/record.h"

/* On the root. */
struct ko_failures {
    int64_t n;          /* prompts, batches and models */
    struct ko_text log; /* lines for the run log: `failed model="M" text="..."`; owned */
};

/* The number of failures with a warning, and with a line in the run's log. */
enum { KO_FAILURES_PRINTED = 10, KO_FAILURES_LOGGED = 200 };

/* Whether a failure of a batch or of a model's weights with this code is recorded in place of
   ending the job. Only in a sweep: a failed evaluation would silently shrink the selection. */
bool ko_failure_is_recorded(const struct ko_job *job, enum ko_code code);

/* Records one failure of this model. */
void ko_failures_add(struct ko_failures *failures, const struct ko_log *log, const char *model,
                     const char *text);
/* At the end of a run: logs the number of failures. */
void ko_failures_end(struct ko_failures *failures, const struct ko_log *log);
void ko_failures_free(struct ko_failures *failures); /* leaves {0} */

/* A record with every cell failed. Free with ko_record_free. */
KO_MUST_CHECK enum ko_code ko_failure_record(const struct ko_plan *plan, int32_t model,
                                             int32_t fact, enum ko_failure failure,
                                             struct ko_record *out, struct ko_error *err);

#endif

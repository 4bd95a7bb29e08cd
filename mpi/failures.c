/* SPDX-License-Identifier: Apache-2.0 */
/* Counts failures, prints the first of them, and keeps lines for the cube's log. It also makes the
   record that marks a prompt as failed. */
#include "mpi/failures.h"

bool ko_failure_is_recorded(const struct ko_job *job, enum ko_code code)
{
    return job->plan->kind == KO_PLAN_SWEEP && (code == KO_E_MEMORY || code == KO_E_FAILED);
}

void ko_failures_add(struct ko_failures *failures, const struct ko_log *log, const char *model,
                     const char *text)
{
    failures->n++;
    if (failures->n <= KO_FAILURES_LOGGED) {
        ko_text_add(&failures->log, "failed model=\"%s\" text=\"%s\"\n", model, text);
    }
    if (failures->n <= KO_FAILURES_PRINTED && log && log->for_people) {
        ko_log_warn(log, "failed", "%s", text);
    } else if (failures->n <= KO_FAILURES_PRINTED) {
        ko_log_write(log, KO_LOG_WARN, "failed model=\"%s\" text=\"%s\"", model, text);
    }
}

void ko_failures_end(struct ko_failures *failures, const struct ko_log *log)
{
    if (failures->n > KO_FAILURES_LOGGED) {
        ko_text_add(&failures->log, "failed more=%lld\n",
                    (long long)(failures->n - KO_FAILURES_LOGGED));
    }
    if (failures->n > 0 && log && !log->for_people) { /* people read it in the result line */
        ko_log_write(log, KO_LOG_WARN,
                     "failures n=%lld the sweep went on without them, `status` lists them, "
                     "--resume tries them again",
                     (long long)failures->n);
    }
}

void ko_failures_free(struct ko_failures *failures)
{
    ko_text_free(&failures->log);
    *failures = (struct ko_failures){0};
}

enum ko_code ko_failure_record(const struct ko_plan *plan, int32_t model, int32_t fact,
                               enum ko_failure failure, struct ko_record *out, struct ko_error *err)
{
    const enum ko_code code = ko_record_new(plan, model, fact, out, err);
    if (code == KO_OK) {
        ko_record_fail(out, failure);
    }
    return code;
}

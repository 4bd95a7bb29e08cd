/* SPDX-License-Identifier: Apache-2.0 */
/* The results of one prompt under one model, on their way from the forward pass to the cube. */
#ifndef KO_FORWARD_RECORD_H
#define KO_FORWARD_RECORD_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* Why cells failed. X(NAME, code in the cube's reason_code, sentence); the codes follow on those of
   KO_REASONS, which say why a prompt is not run at all. */
#define KO_FAILURES(X)                                                                             \
    X(KO_FAILED_WEIGHTS, 101, "the weights cannot be loaded")                                      \
    X(KO_FAILED_NOT_FINITE, 102, "the distribution over the vocabulary is not finite")             \
    X(KO_FAILED_MEMORY, 103, "out of memory")

enum ko_failure {
    KO_NOT_FAILED = 0,
#define X(name, code, sentence) name = code,
    KO_FAILURES(X)
#undef X
};
/* Never NULL. */
const char *ko_failure_sentence(enum ko_failure failure);

struct ko_record {
    int32_t model, fact;
    enum ko_failure failure; /* why some of its cells, or all, are KO_CELL_FAILED */
    struct ko_metrics clean; /* kl 0 */
    int64_t n_values;        /* 0 for an evaluation */
    struct ko_metrics
        *value; /* [n_values] by slot; NaN and -1 where no cell exists or it is vacuous; owned */
    int64_t n_statuses;
    uint8_t *status; /* [n_statuses] KO_DONE, KO_VACUOUS, KO_NOT_PLANNED or KO_CELL_FAILED; owned */
    uint8_t *taken;  /* NULL: the record was computed. Else its values come from an earlier cube:
                        [n_values] 1 where there is one; a status is KO_PENDING where one is missing
                        still; owned */
};

/* A record with every value NaN / -1, statuses as planned with pending ones set to KO_DONE. Free
   with ko_record_free. */
KO_MUST_CHECK enum ko_code ko_record_new(const struct ko_plan *plan, int32_t model, int32_t fact,
                                         struct ko_record *out, struct ko_error *err);
void ko_record_free(struct ko_record *record); /* leaves {0} */
/* Every cell, and the clean run, is failed: NaN, -1. Vacuous cells stay what they are. */
void ko_record_fail(struct ko_record *record, enum ko_failure failure);
/* The failed cells alone get NaN and -1, in all starts of their size: a status speaks for them. */
void ko_record_clear_failed(struct ko_record *record);
/* KO_E_FAILED naming model, prompt and reason where the record has a failure. */
KO_MUST_CHECK enum ko_code ko_record_check(const struct ko_plan *plan,
                                           const struct ko_record *record, struct ko_error *err);
int64_t ko_record_bytes(const struct ko_plan *plan); /* that one record takes */

#endif

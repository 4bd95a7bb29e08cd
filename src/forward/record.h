/* The results of one prompt under one model, on their way from the forward pass to the cube. */
#ifndef KO_FORWARD_RECORD_H
#define KO_FORWARD_RECORD_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

struct ko_record {
    int32_t model, fact;
    struct ko_metrics clean; /* kl 0 */
    int64_t n_values;        /* 0 for an evaluation */
    struct ko_metrics
        *value; /* [n_values] by slot; NaN and -1 where no cell exists or it is vacuous; owned */
    int64_t n_statuses;
    uint8_t
        *status; /* [n_statuses] KO_DONE, KO_VACUOUS or KO_NOT_PLANNED (or KO_CELL_FAILED); owned */
};

/* A record with every value NaN / -1, statuses as planned with pending ones set to KO_DONE. Free
 * with ko_record_free. */
KO_MUST_CHECK enum ko_code ko_record_new(const struct ko_plan *plan, int32_t model, int32_t fact,
                                         struct ko_record *out, struct ko_error *err);
void ko_record_free(struct ko_record *record);       /* leaves {0} */
int64_t ko_record_bytes(const struct ko_plan *plan); /* that one record takes */

#endif

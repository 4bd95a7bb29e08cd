/* SPDX-License-Identifier: Apache-2.0 */
/* The first status of every cell of a prompt. They come from the prompt's tree, which knows what is
   vacuous. */
#ifndef KO_TREE_STATUSES_H
#define KO_TREE_STATUSES_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* status [ko_plan_n_statuses]: KO_NOT_PLANNED, KO_PENDING or KO_VACUOUS. */
KO_MUST_CHECK enum ko_code ko_tree_statuses(const struct ko_plan *plan, int32_t model, int32_t fact,
                                            uint8_t *status, struct ko_error *err);

#endif

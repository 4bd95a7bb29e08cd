/* SPDX-License-Identifier: Apache-2.0 */
/* The first status of every cell of a prompt, and which cells are vacuous. They come from the
   prompt's tree, which knows what is vacuous. */
#ifndef KO_TREE_STATUSES_H
#define KO_TREE_STATUSES_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* status [ko_plan_n_statuses]: KO_NOT_PLANNED, KO_PENDING or KO_VACUOUS. A status holds for all
   planned starts of its size, but where a model's layers have different sliding windows some of them
   may be vacuous and others not. Then it is KO_PENDING, and the vacuous ones are 1 in vacuous
   [ko_plan_n_values], which is 0 elsewhere. vacuous may be NULL. */
KO_MUST_CHECK enum ko_code ko_tree_statuses(const struct ko_plan *plan, int32_t model, int32_t fact,
                                            uint8_t *status, uint8_t *vacuous,
                                            struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a wave's branches. */
#ifndef KO_TREE_BRANCHES_BRANCH_ORDER_H
#define KO_TREE_BRANCHES_BRANCH_ORDER_H

#include "kernels/rows.h"
#include "src/base/error.h"

/* Sorts branches [n_branches] by leaves_at, then those with a convolution of their own first, then by
   prompt, t0, edge_set. The forks of a branch stay behind it. Parents follow. now [n_branches]: the
   new place of each. */
KO_MUST_CHECK enum ko_code ko_branches_sort(struct ko_branch *branch, int32_t n_branches,
                                            int32_t *now, struct ko_error *err);
/* Gives every branch its rows, the last of n_rows, and every fork those of its stem. */
void ko_branches_number_rows(struct ko_branch *branch, int32_t n_branches, int32_t n_rows);

#endif

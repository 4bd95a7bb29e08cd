/* SPDX-License-Identifier: Apache-2.0 */
/* What the token trees of all prompts of one model share. */
#ifndef KO_TREE_TREE_MODEL_H
#define KO_TREE_TREE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* A set of windows is one byte each, [n_starts, n_sizes]: 1 where it is planned. */
struct ko_tree_model {
    const struct ko_plan *plan; /* borrowed */
    int32_t model;
    size_t n_windows;       /* n_starts * n_sizes */
    uint8_t *block_windows; /* [n_blocks, n_windows] the windows of each block that fit the model */
    uint8_t *exists;        /* [n_classes] 1: the model has the class */
    int32_t *without_conv;  /* [n_classes] the same class without `+conv`; the class itself where
                               that is not on the axis */
    int32_t *mask;          /* [n_classes] as ko_plan_mask */
};

/* Close with ko_tree_model_close. */
KO_MUST_CHECK enum ko_code ko_tree_model_open(const struct ko_plan *plan, int32_t model,
                                              struct ko_tree_model *out, struct ko_error *err);
void ko_tree_model_close(struct ko_tree_model *model); /* leaves {0} */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a wave as the kernels see them, derived from the plan's branches. */
#ifndef KO_FORWARD_ROWS_H
#define KO_FORWARD_ROWS_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/tree/batch.h"

/* Owns every array that `rows` points to, but the edge sets' positions, which are the wave's. */
struct ko_row_set {
    struct ko_rows rows;
    int32_t *per_row;    /* position, previous, branch, prompt, parent_row: [n_rows] each */
    int32_t *token;      /* [n_trunk_rows] */
    int32_t *per_prompt; /* trunk_first, n_tokens: [n_prompts] each */
    int32_t *per_layer; /* n_projected, n_convolved, n_active, n_branches_active: [n_layers] each */
    struct ko_branch *branches;
    struct ko_edge_set *edges;
    int32_t n_last; /* n_prompts + n_branches: the rows at the last position */
    int32_t *last;  /* [n_last] row numbers: each prompt's trunk, then each branch */
    int32_t *clean, *target, *foil; /* [n_last], as ko_unembed wants them */
};

/* Lays out a wave: trunk rows prompt after prompt, then the branches' rows in the wave's order. The
   wave is borrowed. class_mask [plan->n_classes]: a class's number among the feature masks; -1:
   every feature. Free with ko_row_set_free. */
KO_MUST_CHECK enum ko_code ko_row_set_build(const struct ko_plan *plan, const struct ko_wave *wave,
                                            const int32_t *class_mask, struct ko_row_set *out,
                                            struct ko_error *err);
/* The same for one cell as a full forward pass: the wave's only branch starts at position 0, right
   after the embedding. */
KO_MUST_CHECK enum ko_code ko_row_set_build_full(const struct ko_plan *plan,
                                                 const struct ko_wave *wave,
                                                 const int32_t *class_mask, struct ko_row_set *out,
                                                 struct ko_error *err);
void ko_row_set_free(struct ko_row_set *set); /* leaves {0} */

#endif

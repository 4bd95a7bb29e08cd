/* SPDX-License-Identifier: Apache-2.0 */
/* Builds waves: of a batch, and of a single cell. */
#ifndef KO_TREE_WAVES_WAVE_BUILD_H
#define KO_TREE_WAVES_WAVE_BUILD_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"
#include "src/tree/waves/wave.h"

/* Builds wave `index` of a batch. Routes that select the same edges are one branch with several
   cells. Of the windows with the same start, edges and class, the longest planned one leaves the
   trunk and all shorter ones leave its branch. `+conv` is the class without conv where every edge
   spans d_conv or more. A window of the last layer alone on a route that spares the last position
   (without conv) is the clean run. Free with ko_wave_free. */
KO_MUST_CHECK enum ko_code ko_wave_build(const struct ko_plan *plan, const struct ko_batch *batch,
                                         int32_t index, struct ko_wave *out, struct ko_error *err);

/* A wave of one cell and sequence as a full forward pass: its branch has every position and leaves
   right after the embedding, so nothing is shared with the trunk beside it. Free with
   ko_wave_free. */
KO_MUST_CHECK enum ko_code ko_wave_of_cell(const struct ko_plan *plan, const struct ko_cell *cell,
                                           int32_t sequence, struct ko_wave *out,
                                           struct ko_error *err);

#endif

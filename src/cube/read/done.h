/* SPDX-License-Identifier: Apache-2.0 */
/* Which pairs of model and fact are complete in a cube, so that a resumed run can skip them. */
#ifndef KO_CUBE_READ_DONE_H
#define KO_CUBE_READ_DONE_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/plan/plan.h"

/* Sets done[model, fact] (by the plan, which the cube matches) to 1 where a resumed run has nothing
   to compute: the clean run has its values, and every planned cell is vacuous, or done with a
   value. Failed cells are tried again, and so are cells that are flagged done without a value. 1 too
   where nothing is planned. */
KO_MUST_CHECK enum ko_code ko_cube_view_done(struct ko_cube_view *view, const struct ko_plan *plan,
                                             uint8_t *done, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep's cube has taken from earlier cubes. */
#ifndef KO_CUBE_READ_VIEW_TAKEN_H
#define KO_CUBE_READ_VIEW_TAKEN_H

#include <stdint.h>

#include "src/cube/read/read.h"
#include "src/tree/taken.h"

/* The cells that are marked as taken and have their values, by the plan that the cube matches. *out
   is NULL where the cube does not say of each cell whether it was; free with ko_taken_free.
   unsettled [n_models * n_facts] is set to 1 where all cells of a size are, and its flag does not
   say done: a kill came between the two. */
KO_MUST_CHECK enum ko_code ko_cube_view_taken(struct ko_cube_view *view, const struct ko_plan *plan,
                                              struct ko_taken **out, uint8_t *unsettled,
                                              struct ko_error *err);

#endif

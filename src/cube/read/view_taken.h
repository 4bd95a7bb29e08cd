/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells of a sweep's cube were taken from earlier cubes. */
#ifndef KO_CUBE_READ_VIEW_TAKEN_H
#define KO_CUBE_READ_VIEW_TAKEN_H

#include <stdint.h>

#include "src/cube/read/read.h"
#include "src/tree/taken.h"

/* The cells that are marked as taken and have values, on the axes of the plan, which the cube
   matches. *out is NULL where the cube keeps no marks; free with ko_taken_free. unsettled [n_models
   x n_facts] is set to 1 where all cells of a size were taken but its status does not say done: the
   run was killed between the two writes. */
KO_MUST_CHECK enum ko_code ko_cube_view_taken(struct ko_cube_view *view, const struct ko_plan *plan,
                                              struct ko_taken **out, uint8_t *unsettled,
                                              struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A shard's file that a merge has opened and checked. */
#ifndef KO_CUBE_READ_SHARD_H
#define KO_CUBE_READ_SHARD_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/view.h"
#include "src/tree/shard.h"

struct ko_cube_shard {
    struct ko_cube_view *view;  /* owned */
    struct ko_cube_view *whole; /* the outline of the whole cube; owned */
    struct ko_shard shard;
    const char *plan_hash; /* of the whole plan; borrowed from the view */
    /* model, prompt, heat_prompt: [length of the axis] index on the whole cube's axis, ascending;
       owned; NULL for other and for empty axes. */
    int32_t *index[KO_CUBE_N_AXES];
};

/* Opens read-only. KO_E_INPUT where the file is not a shard, or its labels are not those of the
   outline at these indices. Close with ko_cube_shard_close. */
KO_MUST_CHECK enum ko_code ko_cube_shard_open(const char *path, struct ko_cube_shard *out,
                                              struct ko_error *err);
void ko_cube_shard_close(struct ko_cube_shard *shard); /* leaves {0} */

#endif

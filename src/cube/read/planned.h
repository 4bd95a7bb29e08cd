/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells the plan of a cube has. A status speaks for all starts of a window size, and two
   blocks of a spec may ask for different ones, so the cube's spec and selection say which. */
#ifndef KO_CUBE_READ_PLANNED_H
#define KO_CUBE_READ_PLANNED_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/cube/read/slab.h"

struct ko_cube_planned;

/* Of a sweep's cube, whole or a shard's, which is borrowed. KO_E_INPUT where its spec cannot be
   read. Free with ko_cube_planned_close. */
KO_MUST_CHECK enum ko_code ko_cube_planned_open(struct ko_cube_view *view,
                                                struct ko_cube_planned **out, struct ko_error *err);
void ko_cube_planned_close(struct ko_cube_planned *planned);

/* The planned starts of a prompt's cells that have any (their status is not KO_NOT_PLANNED), for
   ko_cube_planned_of. Borrowed until the next call. */
struct ko_cube_starts {
    const uint8_t *planned; /* [route, class, size, start] 0/1 */
    const int32_t *count;   /* [route, class, size] planned ones */
};
struct ko_cube_starts ko_cube_planned_starts(struct ko_cube_planned *planned, bool heat,
                                             int32_t model, int32_t prompt);
/* The place of status number k of a prompt [route, class, source, size] in `count`. */
int64_t ko_cube_planned_place(const struct ko_cube_slab *slab, int64_t k);

/* Cells that are flagged done and have no value, which no run leaves: a copy that was made by other
   means while a run wrote the cube, or a damaged file. Who goes on from a cube must not take them
   for done. */
struct ko_cube_valueless {
    int64_t n;             /* cells */
    int32_t model, prompt; /* the first one's, by the axes */
    bool heat;
};
/* Of prompt number p of a slab: how many these are. */
int64_t ko_cube_slab_valueless(const struct ko_cube_slab *slab, int32_t p,
                               const struct ko_cube_starts *starts);
/* Looks at all cells of the models with shown[model] (NULL: all). */
KO_MUST_CHECK enum ko_code ko_cube_find_valueless(struct ko_cube_view *view, const uint8_t *shown,
                                                  struct ko_cube_valueless *out,
                                                  struct ko_error *err);

#endif

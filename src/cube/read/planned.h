/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells a cube plans. A status covers all starts of a window size, but blocks of the spec may
   ask for different starts. So the cube's spec and selection decide. */
#ifndef KO_CUBE_READ_PLANNED_H
#define KO_CUBE_READ_PLANNED_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/cube/read/slab.h"

struct ko_cube_planned;

/* For a sweep's cube or a shard; `view` is borrowed. KO_E_INPUT where the spec cannot be read. Free
   with ko_cube_planned_close. */
KO_MUST_CHECK enum ko_code ko_cube_planned_open(struct ko_cube_view *view,
                                                struct ko_cube_planned **out, struct ko_error *err);
void ko_cube_planned_close(struct ko_cube_planned *planned);

/* The planned starts of a prompt's cells, vacuous or not (ko_cube_slab_is_vacuous). Only statuses
   other than KO_NOT_PLANNED have any. Borrowed until the next call. */
struct ko_cube_starts {
    const uint8_t *planned; /* [route, class, size, start] 0/1 */
    const int32_t *count;   /* [route, class, size] planned ones */
};
struct ko_cube_starts ko_cube_planned_starts(struct ko_cube_planned *planned, bool heat,
                                             int32_t model, int32_t prompt);
/* The index into `count` of status number k of a prompt [route, class, source, size]. */
int64_t ko_cube_planned_place(const struct ko_cube_slab *slab, int64_t k);

/* Marks the prompts that a block of the spec plans for the model with one of these classes on the route
   at this place of its axis. classes [feature_class]: 0 or 1. With the classes that replace components
   of the route in this model, the marked prompts are those whose clean runs they take values from.
   marks [eval_prompt]: 0 or 1. A shard's file marks its own prompts, and after
   ko_cube_planned_read_whole those of the whole sweep. */
void ko_cube_planned_prompts(const struct ko_cube_planned *planned, bool heat, size_t route,
                             int32_t model, const uint8_t *classes, uint8_t *marks);
/* Reads the selection of a shard's whole sweep. Does nothing for other files. */
KO_MUST_CHECK enum ko_code ko_cube_planned_read_whole(struct ko_cube_planned *planned,
                                                      struct ko_cube_view *view,
                                                      struct ko_error *err);

/* Cells that are flagged done and have no value, although they are not vacuous. No run leaves such cells: the file is damaged, or
   was copied while a run wrote it. A resume or a merge must not count them as done. */
struct ko_cube_valueless {
    int64_t n;             /* cells */
    int32_t model, prompt; /* of the first one, on the cube's axes */
    bool heat;
};
/* The number of such cells in prompt p of the slab. */
int64_t ko_cube_slab_valueless(const struct ko_cube_slab *slab, int32_t p,
                               const struct ko_cube_starts *starts);
/* Searches all cells of the models with shown[model] (NULL: all models). */
KO_MUST_CHECK enum ko_code ko_cube_find_valueless(struct ko_cube_view *view, const uint8_t *shown,
                                                  struct ko_cube_valueless *out,
                                                  struct ko_error *err);

#endif

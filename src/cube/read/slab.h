/* SPDX-License-Identifier: Apache-2.0 */
/* The cells of some prompts of one model. Statuses are read first and values after, because a run
   may be writing and a commit writes values first. So a flagged cell has its value. */
#ifndef KO_CUBE_READ_SLAB_H
#define KO_CUBE_READ_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"

/* The mean or the heat cells, with the two metrics that tell whether a cell has a value. A prompt
   has n_statuses statuses [route, class, source, size], and each status n_starts values. */
struct ko_cube_slab {
    struct ko_cube_view *view; /* borrowed */
    bool heat;
    int32_t n_prompts; /* length of the axis; 0: the cube has no such cells */
    int32_t n_sources, n_sizes, n_starts;
    int64_t n_statuses;
    int32_t model, first, n; /* prompts that are in memory */
    int32_t most;            /* prompts that fit */
    uint8_t *status;         /* [n, n_statuses]; owned */
    float *logprob;          /* [n, n_statuses, n_starts]; owned */
    int32_t *rank;           /* likewise */
    uint8_t *vacuous;        /* likewise; NULL: the cube does not mark vacuous cells; owned */
};

/* Allocates as many prompts as fit into 8 MiB, at least one. Free with ko_cube_slab_close. */
KO_MUST_CHECK enum ko_code ko_cube_slab_open(struct ko_cube_view *view, bool heat,
                                             struct ko_cube_slab *out, struct ko_error *err);
void ko_cube_slab_close(struct ko_cube_slab *slab); /* leaves {0} */
/* Reads as many prompts as fit, from `first` on: slab->n of them. logprob and rank are read only if
   one of their statuses is done, and are old otherwise. */
KO_MUST_CHECK enum ko_code ko_cube_slab_read(struct ko_cube_slab *slab, int32_t model,
                                             int32_t first, struct ko_error *err);

/* at: a status's number in the slab times n_starts, plus the start. */
static inline bool ko_cube_slab_has(const struct ko_cube_slab *slab, int64_t at)
{
    return ko_cell_has_value(slab->logprob[at], slab->rank[at]);
}
/* Whether the cell is marked as vacuous, because others of its size are not. */
static inline bool ko_cube_slab_is_vacuous(const struct ko_cube_slab *slab, int64_t at)
{
    return slab->vacuous && slab->vacuous[at] == 1;
}
/* Whether a planned cell of a status that is done lacks its value. */
static inline bool ko_cube_slab_lacks(const struct ko_cube_slab *slab, int64_t at)
{
    return !ko_cube_slab_has(slab, at) && !ko_cube_slab_is_vacuous(slab, at);
}

#endif

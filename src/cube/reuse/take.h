/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the cells of one prompt from an old cube into a record. */
#ifndef KO_CUBE_REUSE_TAKE_H
#define KO_CUBE_REUSE_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/cube/reuse/match.h"
#include "src/cube/reuse/missing.h"
#include "src/cube/reuse/values.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"
#include "src/tree/taken.h"

/* Where cells are taken from: the old cube, under one of its models. */
struct ko_reuse_source {
    const struct ko_plan *plan; /* of the new cube; borrowed */
    struct ko_reuse_map map;
    struct ko_reuse_values value[2]; /* mean, heat */
    const struct ko_taken *taken;    /* cells that the new cube has already; NULL: none; borrowed */
    struct ko_reuse_missing *missing; /* counts what is missing; borrowed */
    int32_t model;                    /* of the plan */
    int32_t old_model;                /* the same model in the old cube; -1: it lacks the model */
    enum ko_reuse_reason no_model;    /* why old_model is -1 */
};

struct ko_reuse_take {
    struct ko_record record;        /* with record.taken; ko_record_free it */
    const uint8_t *known;           /* cells that the new cube has already; borrowed */
    bool foil;                      /* whether the prompt has one */
    int32_t n_scored;               /* scored tokens of its answer */
    bool planned;                   /* whether the plan has cells of the prompt */
    int64_t n_taken, n_left;        /* cells; neither counts known ones */
    bool lacks_clean;               /* a part that has cells has no clean run */
    int32_t part;                   /* being taken: 0 mean, 1 heat */
    int32_t prompt;                 /* in the old cube's part; -1: none */
    enum ko_reuse_reason no_prompt; /* why `prompt` is -1 */
};

/* A record in which nothing is taken yet. ko_record_free out->record, also after a failure. */
KO_MUST_CHECK enum ko_code ko_reuse_take_new(const struct ko_reuse_source *source, int32_t fact,
                                             struct ko_reuse_take *out, struct ko_error *err);
/* Takes every cell that the old cube has. Sizes that still lack a cell become pending. */
KO_MUST_CHECK enum ko_code ko_reuse_take_cells(struct ko_reuse_source *source,
                                               struct ko_reuse_take *take, struct ko_error *err);
/* Takes nothing: sizes whose cells are not all known become pending. */
void ko_reuse_take_settle(const struct ko_reuse_source *source, struct ko_reuse_take *take);

#endif

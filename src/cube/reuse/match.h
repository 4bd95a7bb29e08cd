/* SPDX-License-Identifier: Apache-2.0 */
/* Which models, prompts and cells of an old cube are the same as those of a new plan. */
#ifndef KO_CUBE_REUSE_MATCH_H
#define KO_CUBE_REUSE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/cube/read/read.h"
#include "src/cube/reuse/missing.h"
#include "src/plan/plan.h"

/* An entry of the old cube's prompt axis. */
struct ko_reuse_id {
    const char *id;
    int32_t index;
};

/* The mean or the heat part of the old cube. */
struct ko_reuse_part {
    bool heat;
    int32_t n_prompts, n_sources, n_routes; /* of the old cube; 0: it lacks the part */
    int64_t n_statuses, n_values;           /* of a prompt */
    struct ko_reuse_id *id;                 /* [n_prompts] in order of id; owned */
    struct ko_strings text, subject, target;
    int32_t model; /* of the old cube: the arrays below are this model's */
    int32_t *n_tokens, *subject_begin, *subject_end, *target_id,
        *foil_id; /* [n_prompts] foil_id NULL: no foils; owned */
    /* [n_prompts, n_answer_tokens of the axes] NULL: answers are scored by one token; owned */
    int32_t *answer_id;
    int32_t *token; /* [n_positions] buffer for a prompt; owned */
};

/* Maps each index on the plan's axes to an index on the old cube's axes, or -1. Sizes and starts
   are compared in counted layers; if the plan's windows count other layers, no cell is the same. */
struct ko_reuse_map {
    struct ko_cube_view *old;              /* borrowed */
    const struct ko_cube_axes *axes;       /* its */
    const struct ko_plan *plan;            /* borrowed */
    bool foils;                            /* whether the old cube has any */
    bool same_rows;                        /* the rows of whole answers are the same targets */
    int32_t *route, *class, *size, *start; /* [n_routes] ... of the plan; owned */
    struct ko_reuse_part part[2];          /* mean, heat */
};

/* Free with ko_reuse_map_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_reuse_map_open(struct ko_cube_view *old, const struct ko_plan *plan,
                                             struct ko_reuse_map *out, struct ko_error *err);
void ko_reuse_map_free(struct ko_reuse_map *map);

/* What a search in the old cube found. */
struct ko_reuse_found {
    int32_t index;               /* on the old cube's axis; -1: nothing */
    enum ko_reuse_reason reason; /* KO_REUSE_TAKEN, or why there is nothing */
};

/* Finds the model of the old cube with these fingerprints and this content hash. `known` is the
   hash, "" where it is not known: then the name must be the same too. `hash` is the old cube's,
   also of a model with other weights; "" where no model has the fingerprints. */
KO_MUST_CHECK enum ko_code ko_reuse_find_model(const struct ko_reuse_map *map,
                                               const struct ko_plan_model *model, const char *known,
                                               struct ko_reuse_found *found, char hash[33],
                                               struct ko_error *err);

/* Reads the part's prompts under model `index` of the old cube, and sets part->model to it. */
KO_MUST_CHECK enum ko_code ko_reuse_part_model(const struct ko_reuse_map *map,
                                               struct ko_reuse_part *part, int32_t index,
                                               struct ko_error *err);

/* Finds the plan's (model, fact) on the part's prompt axis, under the model that the part was read
   for. Id, text, subject, tokens, scored tokens of the answer and, where the plan has one, foil must
   be the same. */
KO_MUST_CHECK enum ko_code ko_reuse_find_prompt(const struct ko_reuse_map *map,
                                                struct ko_reuse_part *part, int32_t model,
                                                int32_t fact, struct ko_reuse_found *found,
                                                struct ko_error *err);

/* Finds a cell of the plan, [route, class, source position, size, start], among the old cube's
   values and statuses of a prompt. KO_REUSE_TAKEN, or what the old cube lacks. */
struct ko_reuse_place {
    int64_t value, status;
};
enum ko_reuse_reason ko_reuse_find_cell(const struct ko_reuse_map *map,
                                        const struct ko_reuse_part *part, const int32_t cell[5],
                                        struct ko_reuse_place *place);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the token trees of all prompts of one model share. */
#ifndef KO_TREE_TREE_MODEL_H
#define KO_TREE_TREE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"

/* The stages, or sublayers, [begin, end) of a model. A component before the first mixer is in stage
   -1. */
struct ko_tree_range {
    int32_t begin, end;
};

/* Where interventions act that name the same mixers and whose edges are equally short. Windows that
   contain the same of these stages do the same, so they can share a branch: in Nemotron-H a window
   of the class `attention` is known by the few layers with attention in it. */
struct ko_tree_layout {
    /* [n_windows] from the first stage in the window where they act to the last. Empty: there is
       none, and the window is vacuous. */
    struct ko_tree_range *range;
    int32_t *same; /* [n_windows] the first window that does the same */
    /* [n_windows, n_within] of windows of other styles than `whole`: 1 for the stages in which they
       act (of layouts of components: for the sublayers). NULL: all that act, from the first to the
       last. */
    uint8_t *within;
    int32_t n_within;
    /* Of layouts of components only: [n_windows] the first sublayer in the window that has one, and
       the sublayer after the last. */
    struct ko_tree_range *sublayers;
    /* Two sublayers of different layers that have the component belong to one stage. Then a branch
       that leaves at the end of a window would still have what later sublayers of that stage took
       out, so every window leaves the trunk on its own. So do windows of other styles than
       `whole`. */
    bool alone;
};

/* A set of windows is one byte each, [n_starts, n_sizes]: 1 where it is planned. */
struct ko_tree_model {
    const struct ko_plan *plan; /* borrowed */
    int32_t model;
    size_t n_windows;       /* n_starts * n_sizes */
    uint8_t *block_windows; /* [n_blocks, n_windows] the windows of each block that fit the model */
    uint8_t *exists;        /* [n_classes] 1: the model has the class */
    /* [n_classes] the first class on the axis that does the same in this model, and the first that
       does the same without `+conv` (where there is none, the former) */
    int32_t *same_class, *without_conv;
    int32_t *mask; /* [n_classes] as ko_plan_mask */

    int32_t n_stages;
    int32_t *reach; /* [n_reaches] the finite reaches of the stages, distinct, ascending */
    int32_t n_reaches;
    struct ko_tree_layout *layout; /* [KO_MIXER_EVERY + 1, n_reaches + 1] see ko_tree_layout_of */
    /* [KO_N_COMPONENT_SETS] by the set of components; those that routes name are made */
    struct ko_tree_layout *component_layout;
    /* [n_stages + 1] FLOP of a row that left before stage s: of stage s and all that follow, and of
       what the stage before s does after mixing. Not those of the last stage after mixing, where
       only one row of a path goes on. [0]: of a trunk row */
    double *rest_flop;
    double last_flop; /* of the row that goes on, up to and with the unembedding */
};

/* Close with ko_tree_model_close. */
KO_MUST_CHECK enum ko_code ko_tree_model_open(const struct ko_plan *plan, int32_t model,
                                              struct ko_tree_model *out, struct ko_error *err);
void ko_tree_model_close(struct ko_tree_model *model); /* leaves {0} */

/* The layout of interventions in these mixers (bits of enum ko_mixer) whose shortest edge spans
   min_span positions. Borrowed. */
const struct ko_tree_layout *ko_tree_layout_of(const struct ko_tree_model *model, uint8_t mixers,
                                               int32_t min_span);
/* The layout of interventions that take out these components, which the model has and a route of the
   plan names. Borrowed. */
const struct ko_tree_layout *ko_tree_component_layout_of(const struct ko_tree_model *model,
                                                         uint8_t components);
/* The route's components that the model has. */
uint8_t ko_tree_components_of(const struct ko_tree_model *model, const struct ko_route *route);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a packed plan, which pack.c writes and unpack.c reads. Only these two use it. */
#ifndef KO_PLAN_PACKED_H
#define KO_PLAN_PACKED_H

#include "src/plan/plan.h"

/* Stands for a model's reach where its stages follow. Models with one kind of mixer whose layers are
   alike are packed as before there were others, so that their plans keep their hashes. */
enum { KO_REACH_BY_STAGE = 0 };

/* The kind of a plan and the layers that its windows count are packed as one number. Where windows
   count every layer, it is the kind alone, as before they could count others. */
enum { KO_OVER_UNIT = 256 };

/* The style of windows is packed with them, where it is not `whole`; lists of layers follow. */
enum { KO_STYLE_UNIT = 256 * KO_OVER_UNIT };

/* The kind of a model whose kind is not packed. */
static inline uint8_t ko_packed_mixer(const struct ko_plan_model *model)
{
    return model->n_features > 0 ? KO_MIXER_SSM : KO_MIXER_ATTENTION;
}

/* A plan with files of matrices has this added to whether it has foils. Their paths follow, but not in
   the bytes that it is hashed by: each prompt has the hash of its matrix. */
enum { KO_EMBEDDINGS_UNIT = 2 };

/* The kind of a route and the set of its components are packed as one number. */
enum { KO_COMPONENTS_UNIT = 256 };

/* What is put in the place of a component is packed with `conv`. */
enum { KO_REPLACEMENT_UNIT = 2 };

/* What the rows of whole answers are is packed with the scoring rule. Only of that rule the number of
   tokens follows. */
enum { KO_ANSWER_ROWS_UNIT = 256 };

/* The number of choices is packed with the marks of foils and embeddings. Where there are choices, the
   number of options and the lists of all facts follow. */
enum { KO_CHOICES_UNIT = 4 };

/* Whether the plan's bytes hold what only heads and components need of a model. Other plans do not
   have it in their bytes, so that they keep their hashes. */
static inline bool ko_packs_sublayers(const struct ko_plan *plan)
{
    bool needs = ko_plan_has_components(plan);
    for (int32_t c = 0; c < plan->n_classes; c++) {
        needs = needs || ko_feature_class_is_head(&plan->class[c]);
    }
    return needs;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Interventions: what a branch of the token tree does differently from its trunk.

   A route says what is done to a prompt, for example which edges are removed. A feature class says
   on which features. The tree asks an intervention the questions below and knows nothing else of
   it, so a new kind is a file like edge_removal.c and a line in interventions.c. */
#ifndef KO_TREE_INTERVENTION_H
#define KO_TREE_INTERVENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/rows.h"
#include "src/base/error.h"
#include "src/tree/tree_model.h"

struct ko_intervention_kind;

/* What a route does to one prompt. */
struct ko_intervention {
    const struct ko_intervention_kind *kind;
    int32_t n_tokens; /* of the prompt: T */
    /* t0: the rows before it stay the trunk's. n_tokens: nothing changes (vacuous) in any
       window. */
    int32_t first_position;
    void *self; /* the kind's own; owned */
};

struct ko_intervention_kind {
    /* Whether two interventions of this kind on one prompt do the same. */
    bool (*equal)(const struct ko_intervention *a, const struct ko_intervention *b);
    /* A class on the axis whose branch has the same values in this prompt: `class` itself, or a
       class that does less. */
    int32_t (*same_class)(const struct ko_intervention *intervention,
                          const struct ko_tree_model *model, int32_t class);
    /* Whether the class does something to the prompt in any window. NULL: it always does. */
    bool (*applies)(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                    int32_t class);
    /* The fact whose clean run must pass the layers together with the branches of the class; -1:
       none. NULL: there is never one. */
    int32_t (*donor)(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                     int32_t class);
    /* In which stages of a window it acts. Borrowed from the tree model. */
    const struct ko_tree_layout *(*layout)(const struct ko_intervention *intervention,
                                           const struct ko_tree_model *model, int32_t class);
    /* Whether acting in these stages leaves the answer as it is in the clean run, so that no branch
       is needed. */
    bool (*is_clean)(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                     int32_t class, const struct ko_tree_range *range);
    /* Whether the branch computes its convolution itself in the stage where it leaves its parent.
       Otherwise it takes the parent's. It always takes the parent's projections. */
    bool (*own_convolution)(const struct ko_tree_model *model, int32_t class);
    /* Fills in what the kernels must know of the class: mixers, mask, only_head, conv,
       after_softmax. */
    void (*describe)(const struct ko_tree_model *model, int32_t class, struct ko_branch *branch);
    /* Part 0, 1, ... of the removed edges for the kernels; `more` says whether another one follows.
       The arrays are borrowed from the intervention. NULL: it removes no edges. */
    struct ko_edge_set (*edge_set)(const struct ko_intervention *intervention, int32_t part);
    /* What it takes out of rows, without the sublayers and the donor's place in the wave. The arrays
       are borrowed from the intervention. NULL: it takes out nothing. */
    void (*removal)(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                    int32_t class, struct ko_removal *out);
    void (*free)(void *self);
};

void ko_intervention_free(struct ko_intervention *intervention); /* leaves {0} */

/* Whether it is vacuous in every window. */
bool ko_intervention_is_vacuous(const struct ko_intervention *intervention);
/* Whether both have the same kind and do the same. Of one prompt. */
bool ko_intervention_equal(const struct ko_intervention *a, const struct ko_intervention *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The branches of a wave by prompt, parent and source set, for the scan. */
#ifndef KO_KERNELS_CPU_TREE_H
#define KO_KERNELS_CPU_TREE_H

#include "kernels/kernels.h"

struct ko_cpu_tree {
    int32_t *memory; /* owned: all of the following */
    int32_t *first; /* [n_prompts + 1] a prompt's branches are by_start[first[p] .. first[p + 1]) */
    int32_t *by_start;    /* [n_branches] ordered by prompt, first position, number */
    int32_t *first_child; /* [n_branches + n_prompts + 1] children of branch b at b, of the trunk of
                             prompt p at n_branches + p */
    int32_t *child;       /* [n_branches] */
    int32_t *source_set;  /* [n_branches] number of its sources among the distinct ones of its
                             prompt; -1: without edges */
    int32_t *first_set;   /* [n_prompts + 1] a prompt's distinct sets are set_edges[first_set[p] ..
                             first_set[p + 1]) */
    int32_t *set_edges;   /* [sets] an edge set with these sources */
    int32_t *set_begin;   /* [sets] the first source position; T: none */
    int32_t max_sets;     /* the most distinct sets of a prompt */
};

/* Replaces *tree (which may be {0}) by that of rows; unchanged on failure (KO_E_MEMORY). Free with
   ko_cpu_tree_free. */
KO_MUST_CHECK enum ko_code ko_cpu_tree_build(const struct ko_rows *rows, struct ko_cpu_tree *tree,
                                             struct ko_error *err);
void ko_cpu_tree_free(struct ko_cpu_tree *tree); /* leaves {0} */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The branches of a wave, sorted by prompt, parent and source set, for the scan. */
#ifndef KO_KERNELS_CPU_TREE_H
#define KO_KERNELS_CPU_TREE_H

#include "kernels/kernels.h"

struct ko_cpu_tree {
    int32_t *memory; /* owned; holds all arrays below */

    /* Prompt p has the branches by_start[first[p] .. first[p + 1]). */
    int32_t *first;    /* [n_prompts + 1] */
    int32_t *by_start; /* [n_branches] ordered by prompt, start of the path (ko_branch_start),
                          number */

    /* Parent k has the children child[first_child[k] .. first_child[k + 1]). Branch b is parent b,
       and the trunk of prompt p is parent n_branches + p. */
    int32_t *first_child; /* [n_branches + n_prompts + 1] */
    int32_t *child;       /* [n_branches] */

    /* Prompt p has the distinct source sets [first_set[p], first_set[p + 1]). */
    int32_t *first_set;  /* [n_prompts + 1] */
    int32_t *source_set; /* [n_edge_sets] the sources of a part of edges, counted from the first of
                            its prompt */
    int32_t *set_edges;  /* [sets] index of a part with these sources */
    int32_t *set_begin;  /* [sets] the first source position; T: the set is empty */
    int32_t max_sets;    /* the largest number of sets of a prompt */
};

/* The source set of the part `edges` of a branch, which lies in rows->edges. */
static inline int32_t ko_cpu_tree_set(const struct ko_cpu_tree *tree, const struct ko_rows *rows,
                                      const struct ko_edge_set *edges)
{
    return tree->source_set[edges - rows->edges];
}

/* Replaces *tree (which may be {0}) by the tree of `rows`. On failure (KO_E_MEMORY) *tree is
   unchanged. Free with ko_cpu_tree_free. */
KO_MUST_CHECK enum ko_code ko_cpu_tree_build(const struct ko_rows *rows, struct ko_cpu_tree *tree,
                                             struct ko_error *err);
void ko_cpu_tree_free(struct ko_cpu_tree *tree); /* leaves {0} */

#endif

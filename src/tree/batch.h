/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: the planned cells cut into token trees of at most row_budget rows. Composition is a
   function of the plan alone. */
#ifndef KO_TREE_BATCH_H
#define KO_TREE_BATCH_H

#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/taken.h"

/* Prompts of one model with all their planned cells, without the taken ones. A batch has more than
   one wave only where it is one prompt with more branches than fit the row budget. */
struct ko_batch {
    int32_t model;
    int32_t *fact; /* [n_facts] ascending; owned by the list */
    int32_t n_facts;
    int32_t n_waves;
    const struct ko_taken *taken; /* cells that are not computed; NULL: none; borrowed */
    int64_t n_taken; /* taken cells of its prompts, also of prompts that have nothing else */
    int64_t n_cells; /* planned cells that are not vacuous and not taken (evaluation: clean runs) */
    int64_t n_rows;  /* over all waves */
    /* Branches and their rows. Their forks count, those of trunks do not. "Part": the branches that take
       out components or act on one head. */
    int64_t n_branches, n_branch_rows, n_part_branches, n_part_rows;
    int64_t n_shared_rows; /* n_shared of all forks (struct ko_branch), added up */
    int32_t longest_path;  /* of a branch: its most rows that are not the trunk's */
    double flop;           /* of the matrix products, unembedding included */
    double separate_flop;  /* of one full forward pass for each of these cells */
};

struct ko_batches {
    struct ko_batch *batch; /* model by model, prompts ascending */
    int32_t n;
};

/* KO_E_INPUT where a model's row budget is below its smallest valid one: "MODEL: row budget 100 is
   too small: prompt 'ID' needs 148, set row-budget to at least 148". Free with ko_batches_free. */
KO_MUST_CHECK enum ko_code ko_batches_compose(const struct ko_plan *plan, struct ko_batches *out,
                                              struct ko_error *err);
/* Removes taken cells from the batches of a plan. Waves lose the branches that no other cell needs.
   A prompt with nothing left leaves its batch, which may then be empty, with 0 waves. Prompts stay
   in the batch that the plan gave them, so a batch depends on the plan and the taken cells alone.
   `taken` is borrowed as long as the batches. */
KO_MUST_CHECK enum ko_code ko_batches_prune(const struct ko_plan *plan,
                                            const struct ko_taken *taken,
                                            struct ko_batches *batches, struct ko_error *err);
/* The smallest valid row budget of a model: the largest sum, over its prompts, of the trunk's rows
   and those of the largest bundle of branches that must stay together. */
KO_MUST_CHECK enum ko_code ko_batches_smallest_budget(const struct ko_plan *plan, int32_t model,
                                                      int32_t *out, struct ko_error *err);
/* Raises a model's row budget to the smallest valid one where it is below. For a default budget, so
   that one long prompt does not stop a sweep. *raised: whether it was raised. */
KO_MUST_CHECK enum ko_code ko_batches_raise_budget(struct ko_plan *plan, int32_t model,
                                                   bool *raised, struct ko_error *err);
void ko_batches_free(struct ko_batches *batches); /* leaves {0} */

/* Batches as bytes: rank 0 sends its batches to the other ranks, for whom composing them again would
   take as long as it took rank 0. */
void ko_batches_pack(const struct ko_batches *batches, struct ko_bytes *to);
/* The batches of this plan. taken: as of the packed batches; borrowed as long as the batches; may be
   NULL. Where bytes are missing, or name a model or prompt that the plan lacks, from->broken is set,
   *out is {0} and the code is KO_OK. Free with ko_batches_free. */
KO_MUST_CHECK enum ko_code ko_batches_unpack(struct ko_bytes *from, const struct ko_plan *plan,
                                             const struct ko_taken *taken, struct ko_batches *out,
                                             struct ko_error *err);

#endif

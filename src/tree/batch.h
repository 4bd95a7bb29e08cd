/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: the planned cells cut into token trees of at most row_budget rows. Composition is a
   function of the plan alone. */
#ifndef KO_TREE_BATCH_H
#define KO_TREE_BATCH_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/taken.h"

/* Prompts of one model with all their planned cells, but for those that are taken. More than one
   wave only where it is one prompt with more branches than fit. */
struct ko_batch {
    int32_t model;
    int32_t *fact; /* [n_facts] ascending; owned by the list */
    int32_t n_facts;
    int32_t n_waves;
    const struct ko_taken *taken; /* cells that are not computed; NULL: none; borrowed */
    int64_t n_taken;              /* those of its prompts, also of prompts that left it for them */
    int64_t n_cells; /* planned cells that are not vacuous and not taken (evaluation: clean runs) */
    int64_t n_rows;  /* over all waves */
    double flop;     /* of the matrix products, unembedding included */
    double separate_flop; /* of the same cells as one full forward pass each */
};

struct ko_batches {
    struct ko_batch *batch; /* model by model, prompts ascending */
    int32_t n;
};

/* KO_E_INPUT where a model's row budget is below its smallest valid one: "MODEL: row budget 100 is
   too small: prompt 'ID' needs 148, set row-budget to at least 148". Free with ko_batches_free. */
KO_MUST_CHECK enum ko_code ko_batches_compose(const struct ko_plan *plan, struct ko_batches *out,
                                              struct ko_error *err);
/* Takes out of the batches of a plan what need not be computed: branches that no cell needs any
   more are in no wave, a prompt with nothing left is in no batch (a batch may be empty then, with 0
   waves). Which prompts are together stays what the plan says, so a batch that is left is a
   function of the plan and of what is taken. `taken` is borrowed as long as the batches. */
KO_MUST_CHECK enum ko_code ko_batches_prune(const struct ko_plan *plan,
                                            const struct ko_taken *taken,
                                            struct ko_batches *batches, struct ko_error *err);
/* The smallest valid row budget of a model of the plan, whatever its budget is: the trunk and the
   largest bundle of branches that stay together, of any prompt. */
KO_MUST_CHECK enum ko_code ko_batches_smallest_budget(const struct ko_plan *plan, int32_t model,
                                                      int32_t *out, struct ko_error *err);
/* Raises a model's row budget to its smallest valid one where it is below: for a budget that nobody
   chose, so that one long prompt does not keep a sweep from running. *raised: whether. */
KO_MUST_CHECK enum ko_code ko_batches_raise_budget(struct ko_plan *plan, int32_t model,
                                                   bool *raised, struct ko_error *err);
void ko_batches_free(struct ko_batches *batches); /* leaves {0} */

#endif

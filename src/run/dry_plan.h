/* SPDX-License-Identifier: Apache-2.0 */
/* A plan, built to be checked and thrown away. */
#ifndef KO_RUN_DRY_PLAN_H
#define KO_RUN_DRY_PLAN_H

#include "mpi/world/sight.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"

/* What a plan is checked against where a GPU computes it. All borrowed. */
struct ko_dry_gpus {
    const struct ko_kernels *kernels;
    enum ko_precision precision;
    const struct ko_sight *sight; /* [n_workers] */
    int n_workers;
};

/* Whatever can be refused before anything is computed or any file is created: windows that fit no
   model, unknown token sets, classes that no model has, a row budget that is too small, a selection
   that is empty whatever the ranks are. A sweep with evaluation_path: a missing or incomplete
   evaluation and the selection by its ranks; without (NULL): the evaluation that the run makes
   itself; a model whose largest wave does not fit the smallest of the GPUs. KO_E_INPUT. gpus may be
   NULL. */
KO_MUST_CHECK enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                             const char *evaluation_path,
                                             const struct ko_dry_gpus *gpus, struct ko_error *err);

#endif

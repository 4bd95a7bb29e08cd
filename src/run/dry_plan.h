/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a plan before any file is created. */
#ifndef KO_RUN_DRY_PLAN_H
#define KO_RUN_DRY_PLAN_H

#include "mpi/world/sight.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"

/* The GPUs that compute a plan. All borrowed. */
struct ko_dry_gpus {
    const struct ko_kernels *kernels;
    enum ko_precision precision;
    const struct ko_sight *sight; /* [n_workers] */
    int n_workers;
};

/* Builds the plan and its batches, and frees them. KO_E_INPUT for everything that can be refused
   before the start: windows that fit no model, unknown token sets, classes that no model has, a row
   budget that is too small, a selection that is empty whatever the ranks are, a model whose largest
   wave does not fit the smallest GPU (gpus; NULL: none compute). For a sweep, evaluation_path names
   the evaluation that selects prompts: it must be complete, and its ranks are used. NULL: the run
   makes its own evaluation, whose plan is checked too. */
KO_MUST_CHECK enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                             const char *evaluation_path,
                                             const struct ko_dry_gpus *gpus, struct ko_error *err);

#endif

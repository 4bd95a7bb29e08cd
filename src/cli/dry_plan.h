/* A plan, built to be checked and thrown away. */
#ifndef KO_CLI_DRY_PLAN_H
#define KO_CLI_DRY_PLAN_H

#include "src/base/error.h"
#include "src/cli/inputs.h"
#include "src/plan/plan.h"

/* Whatever can be refused before anything is computed or any file is created: windows that fit no
   model, unknown token sets, classes that no model has, a row budget that is too small, a selection
   that is empty whatever the ranks are. A sweep with evaluation_path: a missing or incomplete
   evaluation and the selection by its ranks; without (NULL): the evaluation that the run makes
   itself. KO_E_INPUT. */
KO_MUST_CHECK enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                             const char *evaluation_path, struct ko_error *err);

#endif

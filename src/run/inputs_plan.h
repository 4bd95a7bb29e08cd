/* SPDX-License-Identifier: Apache-2.0 */
/* Plans from opened inputs. */
#ifndef KO_RUN_INPUTS_PLAN_H
#define KO_RUN_INPUTS_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/models/model.h"
#include "src/plan/from_axes.h"
#include "src/plan/plan.h"
#include "src/run/evaluation.h"
#include "src/run/inputs.h"

/* Fills in the numbers that a plan must know of a model. The strings of *out stay as they are.
   row_budget 0: the default of the model's shape, on a GPU or not. *out: owned by the caller, freed
   with the plan that takes it. */
KO_MUST_CHECK enum ko_code ko_plan_model_describe(const struct ko_model *model, int64_t row_budget,
                                                  bool gpu, struct ko_plan_model *out,
                                                  struct ko_error *err);

/* Audits every prompt under every model and builds a plan: an evaluation of all models, or a sweep
   over the models that blocks use. evaluation: its ranks select the sweep's prompts; NULL: the
   ranks are not known (struct ko_plan_input). Adds a line to warnings (may be NULL) for each row
   budget that is raised, besides those of ko_plan_build. Free with ko_plan_free. */
KO_MUST_CHECK enum ko_code ko_inputs_plan(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                          const struct ko_evaluation *evaluation,
                                          struct ko_strings *warnings, struct ko_plan **out,
                                          struct ko_error *err);

/* Audits every prompt under every model and builds a plan over the routes, classes, sizes and
   starts of *axes; fills in its other members. Free with ko_plan_free. */
KO_MUST_CHECK enum ko_code ko_inputs_plan_axes(const struct ko_inputs *inputs,
                                               struct ko_plan_axes *axes, struct ko_plan **out,
                                               struct ko_error *err);

#endif

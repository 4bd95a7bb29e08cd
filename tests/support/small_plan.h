/* SPDX-License-Identifier: Apache-2.0 */
/* A plan made by hand, without checkpoint and tokenizer: two models (an SSM of 4 layers, attention
   of 3), five facts, two mean routes, one heat route. */
#ifndef TESTS_SUPPORT_SMALL_PLAN_H
#define TESTS_SUPPORT_SMALL_PLAN_H

#include <stdbool.h>

#include "src/plan/plan.h"

/* Routes: last<-subject (axis 0), last<-each (heat), last<-bos (axis 1, vacuous under the first
   model). Classes: all, slow-third. Sizes 1, 3; starts 0 to 3. Prompts: facts 0, 1, 3, 4; heat
   prompts: facts 1, 2. The second model cannot run fact 3. Only fact 1 has a foil, and only where
   foils is set. Aborts where memory is short. Free with ko_plan_free. */
struct ko_plan *small_plan_sweep(bool foils);
/* The resolved spec of that sweep, as its cube would store it. */
extern const char small_plan_spec[];
/* The same models and facts, clean runs only. */
struct ko_plan *small_plan_evaluation(void);

#endif

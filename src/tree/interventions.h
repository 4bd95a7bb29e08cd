/* SPDX-License-Identifier: Apache-2.0 */
/* Makes interventions from routes: the list of their kinds. */
#ifndef KO_TREE_INTERVENTIONS_H
#define KO_TREE_INTERVENTIONS_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/tree/intervention.h"

/* What a route of the plan does to a prompt of the model. source_position is the source of a heat
   route and ignored otherwise. Free with ko_intervention_free. */
KO_MUST_CHECK enum ko_code ko_intervention_make(const struct ko_tree_model *model, int32_t fact,
                                                int32_t route, int32_t source_position,
                                                struct ko_intervention *out, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Edge removal, the intervention of knockout: attention edges, or the matching contributions inside
   a state-space model, are removed between the positions of a route (Geva et al. 2023, section 5;
   Mamba Knockout, section 4). docs/semantics.md says what exactly is removed. */
#ifndef KO_TREE_EDGE_REMOVAL_H
#define KO_TREE_EDGE_REMOVAL_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/tree/intervention.h"

/* As ko_intervention_make (interventions.h). */
KO_MUST_CHECK enum ko_code ko_edge_removal_make(const struct ko_tree_model *model, int32_t fact,
                                                int32_t route, int32_t source_position,
                                                struct ko_intervention *out, struct ko_error *err);

#endif

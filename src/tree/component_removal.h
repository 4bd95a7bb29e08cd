/* SPDX-License-Identifier: Apache-2.0 */
/* Component removal: at some positions, what sublayers of a kind add to the residual stream is taken
   out, or one head of it at the input of the output projection. docs/parts.md says what exactly. */
#ifndef KO_TREE_COMPONENT_REMOVAL_H
#define KO_TREE_COMPONENT_REMOVAL_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/tree/intervention.h"

/* As ko_intervention_make (interventions.h). */
KO_MUST_CHECK enum ko_code ko_component_removal_make(const struct ko_tree_model *model,
                                                     int32_t fact, int32_t route, int32_t position,
                                                     struct ko_intervention *out,
                                                     struct ko_error *err);

#endif

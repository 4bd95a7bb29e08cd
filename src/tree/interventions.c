/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the kind of an intervention from its route. */
#include "src/tree/interventions.h"

#include "src/tree/component_removal.h"
#include "src/tree/edge_removal.h"

enum ko_code ko_intervention_make(const struct ko_tree_model *model, int32_t fact, int32_t route,
                                  int32_t source_position, struct ko_intervention *out,
                                  struct ko_error *err)
{
    return ko_route_is_component(&model->plan->route[route].route)
               ? ko_component_removal_make(model, fact, route, source_position, out, err)
               : ko_edge_removal_make(model, fact, route, source_position, out, err);
}

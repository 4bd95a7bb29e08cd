/* SPDX-License-Identifier: Apache-2.0 */
/* What interventions of all kinds have in common. */
#include "src/tree/intervention.h"

void ko_intervention_free(struct ko_intervention *intervention)
{
    if (intervention->kind) {
        intervention->kind->free(intervention->self);
    }
    *intervention = (struct ko_intervention){0};
}

bool ko_intervention_is_vacuous(const struct ko_intervention *intervention)
{
    return intervention->first_position == intervention->n_tokens;
}

bool ko_intervention_equal(const struct ko_intervention *a, const struct ko_intervention *b)
{
    return a->kind == b->kind && a->first_position == b->first_position && a->kind->equal(a, b);
}

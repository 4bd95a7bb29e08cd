/* SPDX-License-Identifier: Apache-2.0 */
/* Makes an array that gives the index of each fact on a prompt axis, or -1. Creating and reading a
   cube both need it. */
#include "src/cube/format/fact_index.h"

#include "src/base/memory.h"

enum ko_code ko_cube_fact_index(const struct ko_plan *plan, enum ko_cube_axis axis, int32_t **index,
                                struct ko_error *err)
{
    const int32_t *fact = axis == KO_AXIS_PROMPT ? plan->prompt_fact : plan->heat_fact;
    int32_t n = axis == KO_AXIS_PROMPT ? plan->n_prompts : plan->n_heat_prompts;
    int32_t *out = ko_new((size_t)plan->n_facts, sizeof *out, err);

    if (!out) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < plan->n_facts; i++) {
        out[i] = axis == KO_AXIS_EVAL_PROMPT ? i : -1;
    }
    if (axis != KO_AXIS_EVAL_PROMPT) {
        for (int32_t i = 0; i < n; i++) {
            out[fact[i]] = i;
        }
    }
    *index = out;
    return KO_OK;
}

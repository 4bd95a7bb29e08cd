/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through a cube prompt by prompt and marks the cells whose values came from an earlier cube.
   It also finds sizes that are complete but were not yet flagged done when the run was killed. */
#include "src/cube/read/view_taken.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"
#include "src/tree/statuses.h"

/* The mean or the heat part of one prompt. */
struct part {
    bool heat;
    const int32_t *fact; /* [n_prompts] index of the plan's fact; borrowed */
    int32_t n_prompts;
    int64_t first_value, n_values, first_status, n_statuses; /* in a record */
    uint8_t *mark, *status;                                  /* [n_values], [n_statuses]; owned */
    float *logprob;                                          /* [n_values]; owned */
    uint8_t *vacuous; /* [n_values] 0 where the cube has no such marks; owned */
    uint8_t *planned; /* [n_statuses of the whole record]; owned */
};

static enum ko_code open_part(const struct ko_plan *plan, bool heat, struct part *part,
                              struct ko_error *err)
{
    const int64_t values = ko_plan_n_mean_values(plan), statuses = ko_plan_n_mean_statuses(plan);

    *part = (struct part){.heat = heat,
                          .fact = heat ? plan->heat_fact : plan->prompt_fact,
                          .n_prompts = heat ? plan->n_heat_prompts : plan->n_prompts,
                          .first_value = heat ? values : 0,
                          .n_values = heat ? ko_plan_n_values(plan) - values : values,
                          .first_status = heat ? statuses : 0,
                          .n_statuses = heat ? ko_plan_n_statuses(plan) - statuses : statuses};
    part->mark = ko_new((size_t)part->n_values, 1, err);
    part->status = ko_new((size_t)part->n_statuses, 1, err);
    part->logprob = ko_new((size_t)part->n_values, sizeof *part->logprob, err);
    part->vacuous = ko_new((size_t)part->n_values, 1, err);
    part->planned = ko_new((size_t)ko_plan_n_statuses(plan), 1, err);
    return part->mark && part->status && part->logprob && part->vacuous && part->planned
               ? KO_OK
               : KO_E_MEMORY;
}

static void close_part(struct part *part)
{
    free(part->mark);
    free(part->status);
    free(part->logprob);
    free(part->vacuous);
    free(part->planned);
}

static enum ko_code read_prompt(struct ko_cube_view *view, struct part *part, int32_t model,
                                int32_t prompt, struct ko_error *err)
{
    struct ko_cube_rows rows = {.dataset = part->heat ? "heat_status" : "status",
                                .model = model,
                                .first = prompt,
                                .n = 1,
                                .n_values = part->n_statuses};
    enum ko_code code = ko_cube_view_rows_uint8(view, &rows, part->status, err);

    rows.n_values = part->n_values;
    rows.dataset = part->heat ? "heat_reused" : "reused";
    if (code == KO_OK) {
        code = ko_cube_view_rows_uint8(view, &rows, part->mark, err);
    }
    rows.dataset = part->heat ? "heat_logprob" : "logprob";
    if (code == KO_OK) {
        code = ko_cube_view_rows_float(view, &rows, part->logprob, err);
    }
    rows.dataset = part->heat ? "heat_vacuous" : "vacuous";
    if (code == KO_OK && ko_cube_view_has(view, rows.dataset)) {
        code = ko_cube_view_rows_uint8(view, &rows, part->vacuous, err);
    }
    for (int64_t i = 0; i < part->n_values && code == KO_OK; i++) {
        part->mark[i] = part->mark[i] == 1 && isfinite(part->logprob[i]);
    }
    return code;
}

/* Whether all cells of some size were taken and its status does not say done. */
static bool is_unsettled(const struct ko_plan *plan, const struct part *part, int32_t model,
                         int32_t fact)
{
    const int32_t n_sources = part->heat ? plan->n_source_positions : 1;

    for (int32_t r = 0; r < plan->n_routes; r++) {
        for (int32_t f = 0; f < plan->n_classes && plan->route[r].heat == part->heat; f++) {
            for (int32_t j = 0; j < n_sources; j++) {
                for (int32_t k = 0; k < plan->n_sizes; k++) {
                    const int64_t slot = ko_plan_status_slot(plan, r, f, j, k);
                    const int64_t at = slot - part->first_status;
                    bool all = part->planned[slot] == KO_PENDING && part->status[at] != KO_DONE;
                    for (int32_t s = 0; s < plan->n_starts && all; s++) {
                        all = part->mark[at * plan->n_starts + s] == 1 ||
                              part->vacuous[at * plan->n_starts + s] == 1 ||
                              !ko_plan_has(plan, model, fact, r, f, k, s);
                    }
                    if (all) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

static enum ko_code look_at(struct ko_cube_view *view, const struct ko_plan *plan,
                            struct part *part, struct ko_taken *taken, uint8_t *unsettled,
                            struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t p = 0; p < part->n_prompts && code == KO_OK; p++) {
            const int32_t fact = part->fact[p];
            code = read_prompt(view, part, m, p, err);
            if (code == KO_OK) {
                code = ko_taken_add(taken, m, fact, part->mark, part->first_value, part->n_values,
                                    err);
            }
            if (code == KO_OK && ko_taken_of(taken, m, fact)) {
                code = ko_tree_statuses(plan, m, fact, part->planned, NULL, err);
            }
            if (code == KO_OK && ko_taken_of(taken, m, fact) && is_unsettled(plan, part, m, fact)) {
                unsettled[(size_t)m * (size_t)plan->n_facts + (size_t)fact] = 1;
            }
        }
    }
    return code;
}

enum ko_code ko_cube_view_taken(struct ko_cube_view *view, const struct ko_plan *plan,
                                struct ko_taken **out, uint8_t *unsettled, struct ko_error *err)
{
    struct ko_taken *taken = NULL;

    *out = NULL;
    if (!view->lengths.reused) {
        return KO_OK;
    }
    enum ko_code code = ko_taken_new(plan, &taken, err);
    for (int k = 0; k < 2 && code == KO_OK; k++) {
        struct part part = {0};
        if (!ko_cube_view_has(view, k ? "heat_reused" : "reused")) {
            continue;
        }
        code = open_part(plan, k == 1, &part, err);
        if (code == KO_OK) {
            code = look_at(view, plan, &part, taken, unsettled, err);
        }
        close_part(&part);
    }
    if (code == KO_OK) {
        *out = taken;
    } else {
        ko_taken_free(taken);
    }
    return code;
}

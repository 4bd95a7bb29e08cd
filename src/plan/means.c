/* SPDX-License-Identifier: Apache-2.0 */
/* The means that ~mean puts in the place of components: how many there are, where each lies in a
   model's array, and which prompts give them. */
#include "src/plan/plan.h"

static bool has_means(const struct ko_plan *plan)
{
    bool has = false;
    for (int32_t c = 0; c < plan->n_classes; c++) {
        has = has || plan->class[c].replacement == KO_REPLACE_MEAN;
    }
    return has && plan->reference;
}

/* The component routes before number n. */
static int32_t count_means(const struct ko_plan *plan, int32_t n)
{
    int32_t count = 0;
    for (int32_t r = 0; r < n; r++) {
        count += ko_route_is_component(&plan->route[r].route);
    }
    return count;
}

int32_t ko_plan_n_means(const struct ko_plan *plan)
{
    return has_means(plan) ? count_means(plan, plan->n_routes) : 0;
}

int32_t ko_plan_mean(const struct ko_plan *plan, int32_t route)
{
    const bool has = has_means(plan) && ko_route_is_component(&plan->route[route].route);
    return has ? count_means(plan, route) : -1;
}

size_t ko_plan_mean_place(const struct ko_plan_model *model, int32_t n_means, int32_t sublayer,
                          uint8_t component, bool heads)
{
    const size_t n = (size_t)n_means;
    size_t at = 0;
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_plan_sublayer *s = &model->sublayer[i];
        for (int k = 0; k < KO_N_COMPONENTS; k++) {
            const uint8_t kind = ko_component(k);
            if (i == sublayer && !heads && kind == component) {
                return at;
            }
            at += (s->components & kind) ? n * (size_t)model->d_model : 0;
        }
        if (i == sublayer) {
            return at;
        }
        at += n * (size_t)s->width;
    }
    return at;
}

size_t ko_plan_mean_values(const struct ko_plan_model *model, int32_t n_means)
{
    return ko_plan_mean_place(model, n_means, model->n_sublayers, 0, false);
}

size_t ko_plan_most_mean_values(const struct ko_plan *plan)
{
    const int32_t n_means = ko_plan_n_means(plan);
    size_t most = 0;
    for (int32_t m = 0; n_means > 0 && m < plan->n_models; m++) {
        const size_t n = ko_plan_mean_values(&plan->model[m], n_means);
        most = n > most ? n : most;
    }
    return most;
}

bool ko_plan_gives_means(const struct ko_plan *plan, int32_t model, int32_t fact)
{
    for (int32_t r = 0; has_means(plan) && r < plan->n_routes; r++) {
        if (ko_plan_is_reference(plan, model, r, fact)) {
            return true;
        }
    }
    return false;
}

int64_t ko_plan_reference_rows(const struct ko_plan *plan, int32_t model)
{
    int64_t rows = 0;
    for (int32_t f = 0; has_means(plan) && f < plan->n_facts; f++) {
        if (ko_plan_gives_means(plan, model, f)) {
            rows += ko_plan_prompt(plan, model, f)->n_tokens;
        }
    }
    return rows;
}

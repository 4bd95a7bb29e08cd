/* SPDX-License-Identifier: Apache-2.0 */
/* The layers that windows count (`windows.over`). */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"

/* Lists the layers that windows count, unless they count all. */
static enum ko_code list_counted(struct ko_plan_model *model, enum ko_over over,
                                 struct ko_error *err)
{
    const int32_t n_stages = ko_plan_n_stages(model);
    int32_t *list = ko_new((size_t)n_stages, sizeof *list, err);
    int32_t n = 0;
    if (!list) {
        return KO_E_MEMORY;
    }
    for (int32_t s = 0; s < n_stages; s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        if (ko_over_counts(over, stage.mixers) && (n == 0 || list[n - 1] != stage.layer)) {
            list[n++] = stage.layer;
        }
    }
    if (n == model->n_layers) {
        free(list);
        return KO_OK;
    }
    model->counted = list;
    model->n_counted = n;
    return KO_OK;
}

enum ko_code ko_plan_count_layers(struct ko_plan *plan, enum ko_over over, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    plan->over = over;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        struct ko_plan_model *model = &plan->model[m];
        free(model->counted);
        model->counted = NULL;
        model->n_counted = 0;
        if (over != KO_OVER_LAYERS) {
            code = list_counted(model, over, err);
        }
    }
    return code;
}

int32_t ko_plan_n_counted(const struct ko_plan_model *model)
{
    return model->counted ? model->n_counted : model->n_layers;
}

int32_t ko_plan_counted_layer(const struct ko_plan_model *model, int32_t k)
{
    return model->counted ? model->counted[k] : k;
}

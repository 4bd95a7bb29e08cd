/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the plan and its batches, with or without an evaluation, and reports any error. If GPUs
   are given, it also checks that the largest wave fits the smallest GPU. */
#include "src/run/dry_plan.h"

#include <stdio.h>

#include "src/forward/device_memory.h"
#include "src/run/evaluation.h"
#include "src/run/inputs_plan.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"

static const struct ko_sight *smallest_gpu(const struct ko_dry_gpus *gpus)
{
    const struct ko_sight *least = &gpus->sight[0];
    for (int w = 1; w < gpus->n_workers; w++) {
        if (gpus->sight[w].gpu.memory_bytes < least->gpu.memory_bytes) {
            least = &gpus->sight[w];
        }
    }
    return least;
}

static enum ko_code check_memory(const struct ko_inputs *inputs, const struct ko_dry_gpus *gpus,
                                 const struct ko_plan *plan, const struct ko_batches *batches,
                                 struct ko_error *err)
{
    const struct ko_sight *worker = smallest_gpu(gpus);
    char device[MPI_MAX_PROCESSOR_NAME + 160];
    enum ko_code code = KO_OK;
    snprintf(device, sizeof device, "GPU %d (%s) of %s", worker->gpu.device, worker->gpu.name,
             worker->host);
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        const struct ko_device_model model = {
            plan, m, inputs->model[ko_inputs_find(inputs, plan->model[m].name)], gpus->kernels,
            gpus->precision};
        code = ko_device_memory_check(&model, ko_plan_largest_wave(plan, batches, m),
                                      worker->gpu.memory_bytes, device, err);
    }
    return code;
}

static enum ko_code check_one_plan(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                   const char *path, const struct ko_evaluation *evaluation,
                                   const struct ko_dry_gpus *gpus, struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = ko_inputs_plan(inputs, kind, evaluation, NULL, &plan, err);
    if (code == KO_OK && evaluation) {
        code = ko_evaluation_check(path, evaluation, plan, err);
    }
    if (code == KO_OK) {
        code = ko_batches_compose(plan, &batches, err);
    }
    if (code == KO_OK && gpus) {
        code = check_memory(inputs, gpus, plan, &batches, err);
    }
    ko_batches_free(&batches);
    ko_plan_free(plan);
    return code;
}

enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                               const char *evaluation_path, const struct ko_dry_gpus *gpus,
                               struct ko_error *err)
{
    struct ko_evaluation evaluation = {0};
    enum ko_code code = KO_OK;
    if (kind == KO_PLAN_EVALUATION || inputs->selected) {
        return check_one_plan(inputs, kind, NULL, NULL, gpus, err);
    }
    if (!evaluation_path) {
        code = check_one_plan(inputs, KO_PLAN_EVALUATION, NULL, NULL, gpus, err);
        return code == KO_OK ? check_one_plan(inputs, KO_PLAN_SWEEP, NULL, NULL, gpus, err) : code;
    }
    code = ko_evaluation_read(evaluation_path, inputs, &evaluation, err);
    if (code == KO_OK) {
        code = check_one_plan(inputs, KO_PLAN_SWEEP, evaluation_path, &evaluation, gpus, err);
    }
    ko_evaluation_free(&evaluation);
    return code;
}

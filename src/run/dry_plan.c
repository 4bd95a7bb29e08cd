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

/* Of the batches that the shard has, or that all have. */
static int32_t find_first(const struct ko_inputs *inputs, const struct ko_plan *plan,
                          const struct ko_batches *batches, struct ko_shard shard)
{
    int32_t first = 0, end = batches->n;
    if (shard.of > 0) {
        ko_shard_range(batches, shard, &first, &end);
    }
    return first < end ? ko_inputs_find(inputs, plan->model[batches->batch[first].model].name) : -1;
}

static enum ko_code check_one_plan(const struct ko_inputs *inputs, const struct ko_dry_run *run,
                                   enum ko_plan_kind kind, const struct ko_evaluation *evaluation,
                                   int32_t *first_model, struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = ko_inputs_plan(inputs, kind, evaluation, NULL, &plan, err);
    if (code == KO_OK && evaluation) {
        code = ko_evaluation_check(run->evaluation, evaluation, plan, err);
    }
    if (code == KO_OK) {
        code = ko_batches_compose(plan, &batches, err);
    }
    if (code == KO_OK && run->gpus) {
        code = check_memory(inputs, run->gpus, plan, &batches, err);
    }
    if (code == KO_OK) {
        *first_model = find_first(inputs, plan, &batches, run->shard);
    }
    ko_batches_free(&batches);
    ko_plan_free(plan);
    return code;
}

enum ko_code ko_dry_plan_check(const struct ko_inputs *inputs, const struct ko_dry_run *run,
                               int32_t *first_model, struct ko_error *err)
{
    struct ko_evaluation evaluation = {0};
    enum ko_code code = KO_OK;
    *first_model = -1;
    if (run->kind == KO_PLAN_EVALUATION || inputs->selected) {
        return check_one_plan(inputs, run, run->kind, NULL, first_model, err);
    }
    if (!run->evaluation) {
        code = check_one_plan(inputs, run, KO_PLAN_EVALUATION, NULL, first_model, err);
        return code == KO_OK ? check_one_plan(inputs, run, KO_PLAN_SWEEP, NULL, first_model, err)
                             : code;
    }
    code = ko_evaluation_read(run->evaluation, inputs, &evaluation, err);
    if (code == KO_OK) {
        code = check_one_plan(inputs, run, KO_PLAN_SWEEP, &evaluation, first_model, err);
    }
    ko_evaluation_free(&evaluation);
    return code;
}

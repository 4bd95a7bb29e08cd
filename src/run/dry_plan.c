/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the plan and its batches, with or without an evaluation, and reports any error. If GPUs
   compute, it also checks that the largest wave fits the smallest one, and it decides which weights
   stream. */
#include "src/run/dry_plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/forward/device_memory.h"
#include "src/forward/layer_layout.h"
#include "src/forward/streamed_weights.h"
#include "src/run/evaluation.h"
#include "src/run/inputs_plan.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"

static const struct ko_sight *smallest_gpu(const struct ko_dry_workers *workers)
{
    const struct ko_sight *least = &workers->sight[0];
    for (int w = 1; w < workers->n_workers; w++) {
        if (workers->sight[w].gpu.memory_bytes < least->gpu.memory_bytes) {
            least = &workers->sight[w];
        }
    }
    return least;
}

/* Bytes that a model may take on every worker's GPU. */
static double gpu_memory(const struct ko_dry_workers *workers)
{
    const double all = smallest_gpu(workers)->gpu.memory_bytes, limit = workers->memory_limit;
    return limit > 0 && limit < all ? limit : all;
}

/* Decides for one model on GPUs. */
static enum ko_code choose_on_gpus(const struct ko_dry_workers *workers,
                                   struct ko_device_model *model, int32_t max_rows,
                                   struct ko_error *err)
{
    const struct ko_sight *worker = smallest_gpu(workers);
    const double available = gpu_memory(workers);
    char device[MPI_MAX_PROCESSOR_NAME + 160];
    if (available < worker->gpu.memory_bytes) {
        snprintf(device, sizeof device, "--memory-limit");
    } else {
        snprintf(device, sizeof device, "GPU %d (%s) of %s", worker->gpu.device, worker->gpu.name,
                 worker->host);
    }
    return ko_device_memory_choose(model, workers->weights, max_rows, available, device, err);
}

static int workers_of_node(const struct ko_dry_workers *workers, const char *host)
{
    int n = 0;
    for (int w = 0; w < workers->n_workers; w++) {
        n += strcmp(workers->sight[w].host, host) == 0;
    }
    return n;
}

/* Decides for one model in host memory, where the node has the most workers for its memory.
   worker_bytes: of rows and all else. */
static enum ko_code choose_on_hosts(const struct ko_dry_workers *workers,
                                    struct ko_device_model *model, double worker_bytes,
                                    struct ko_error *err)
{
    const double weights = model->plan->model[model->plan_model].weight_bytes;
    const double streamed = ko_streamed_host_bytes(model->model);
    bool fits = true;
    double most[2] = {0, 0}; /* of a node, with weights that stay and that stream */
    char need[32], has[32];
    for (int w = 0; w < workers->n_workers; w++) {
        const double n = workers_of_node(workers, workers->sight[w].host);
        const double all = KO_HOST_SHARE * workers->sight[w].host_memory;
        const double limit = workers->memory_limit > 0 ? workers->memory_limit : all;
        const double needs[2] = {weights + n * worker_bytes, n * (streamed + worker_bytes)};
        fits = fits && needs[0] <= limit;
        most[0] = fmax(most[0], needs[0]);
        most[1] = fmax(most[1], needs[1]);
    }
    const bool streams = ko_weights_stream(workers->weights, fits);
    model->slots = streams ? KO_LAYER_LEAST_SLOTS : 0;
    /* Without a limit, the system decides what it can give. */
    if (workers->memory_limit > 0 && most[streams] > workers->memory_limit) {
        return ko_fail(err, KO_E_INPUT,
                       "memory-limit: %s needs at least %s a node%s, --memory-limit is %s, choose "
                       "a smaller --row-budget%s",
                       model->model->name, ko_bytes_human(most[streams], need),
                       streams ? " although its weights stream" : "",
                       ko_bytes_human(workers->memory_limit, has),
                       streams ? "" : " or --weights stream");
    }
    return KO_OK;
}

/* Notes what one plan says of a model: weights stream if they do so in any plan, through the slots for
   which every plan has room. */
static void note_choice(const struct ko_inputs *inputs, int32_t k,
                        const struct ko_dry_workers *workers, const struct ko_device_model *model,
                        int32_t max_rows)
{
    const int32_t n =
        workers->kernels->own_memory
            ? ko_device_memory_slots(model, KO_WEIGHTS_STREAM, max_rows, gpu_memory(workers))
            : KO_LAYER_LEAST_SLOTS;
    inputs->streams[k] |= model->slots > 0;
    if (inputs->slots[k] == 0 || n < inputs->slots[k]) {
        inputs->slots[k] = (uint8_t)n;
    }
}

static enum ko_code choose_weights(const struct ko_inputs *inputs,
                                   const struct ko_dry_workers *workers, const struct ko_plan *plan,
                                   const struct ko_batches *batches, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        const int32_t k = ko_inputs_find(inputs, plan->model[m].name);
        struct ko_device_model model = {
            plan, m, inputs->model[k], workers->kernels, workers->precision, 0};
        const int32_t max_rows = ko_plan_largest_wave(plan, batches, m);
        /* What attention takes for each further thread is small. */
        const struct ko_host_model on_host = {plan, batches, m, inputs->model[k], workers->kernels,
                                              1};
        code = workers->kernels->own_memory
                   ? choose_on_gpus(workers, &model, max_rows, err)
                   : choose_on_hosts(workers, &model, ko_host_memory_worker(&on_host), err);
        note_choice(inputs, k, workers, &model, max_rows);
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
    if (code == KO_OK) {
        code = choose_weights(inputs, run->workers, plan, &batches, err);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Predicts the time and the device memory of a sweep. It measures matrix products on this machine,
   or looks up measured rates of a named device. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/backends/backends.h"
#include "mpi/world/gpus.h"
#include "src/base/machine/machine_memory.h"
#include "src/base/memory.h"
#include "src/bench/device_rates.h"
#include "src/bench/gemm.h"
#include "src/bench/stream_rate.h"
#include "src/forward/layer_layout.h"
#include "src/forward/record.h"
#include "src/forward/streamed_weights.h"
#include "src/models/model.h"
#include "src/preview/plan_report.h"
#include "src/run/dry_plan.h"
#include "src/run/inputs_plan.h"

/* The time of the whole measurement, even on a busy machine. */
static const double MEASURE_SECONDS = 0.5;
enum { MAX_ROWS = 512, GPU_MAX_ROWS = 8192, MAX_MATRIX = 1 << 21 };

/* Checkpoints are assumed to store 16 bits a weight. */
static const double STORED_BYTES = 2;

/* What weights and rows may take: of the GPU that computes, or of this machine. INFINITY: unknown. */
static double available_memory(const struct ko_plan_settings *settings, bool own_memory)
{
    struct ko_gpu gpu;
    struct ko_error ignored = {0};
    double all = INFINITY;
    if (settings->device) {
        all = ko_device_facts_of(settings->device)->memory_bytes;
    } else if (!own_memory) {
        all = KO_HOST_SHARE * ko_machine_memory("");
    } else if (ko_gpu_identify(0, &gpu, &ignored) == KO_OK) {
        all = gpu.memory_bytes;
    }
    const double limit = settings->memory_limit;
    return limit > 0 && (!own_memory || limit < all) ? limit : all; /* a GPU has no more */
}

static void predict_on_host(struct ko_plan_report *report, int32_t m,
                            const struct ko_kernels *kernels, double available)
{
    const struct ko_plan_settings *settings = &report->time.settings;
    struct ko_plan_model_report *model = &report->model[m];
    const struct ko_host_model on_host = {.plan = report->plan,
                                          .batches = &report->batches,
                                          .plan_model = m,
                                          .model = report->inputs->model[m],
                                          .kernels = kernels,
                                          .threads = settings->threads};
    const double rest = ko_host_memory_worker(&on_host);
    const double weights = report->plan->model[m].weight_bytes;
    const double node =
        weights + settings->n_node_workers * rest; /* which holds the weights once */
    model->streams = ko_weights_stream(settings->weights, node <= available);
    report->cost.peak_bytes =
        fmax(report->cost.peak_bytes,
             rest + (model->streams ? ko_streamed_host_bytes(report->inputs->model[m]) : weights));
}

static void predict_on_gpu(struct ko_plan_report *report, int32_t m,
                           struct ko_device_model *on_device, double available)
{
    struct ko_plan_model_report *model = &report->model[m];
    on_device->slots =
        ko_device_memory_slots(on_device, report->time.settings.weights, model->n_rows, available);
    model->streams = on_device->slots > 0;
    ko_device_memory_predict(on_device, model->n_rows, &model->device);
    report->cost.peak_bytes = fmax(report->cost.peak_bytes, ko_device_memory_total(&model->device));
}

static void predict_memory(struct ko_plan_report *report, const struct ko_kernels *kernels,
                           enum ko_precision precision)
{
    const bool own = kernels->own_memory;
    const double available = available_memory(&report->time.settings, own);
    report->cost.peak_bytes = 0;
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_model *weights = report->inputs->model[m];
        struct ko_plan_model_report *model = &report->model[m];
        struct ko_device_model on_device = {report->plan, m, weights, kernels, precision, 0};
        struct ko_layer_sizes sizes = {0};
        model->n_rows = ko_plan_largest_wave(report->plan, &report->batches, m);
        if (own) {
            predict_on_gpu(report, m, &on_device, available);
        } else {
            predict_on_host(report, m, kernels, available);
        }
        if (model->streams) {
            ko_layer_sizes_of(weights, own ? kernels->matrix_type(precision) : KO_ELEMENT_F32, own,
                              &sizes);
            model->streamed_bytes = (double)sizes.streamed;
        }
    }
}

static bool any_streams(const struct ko_plan_report *report)
{
    bool any = false;
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        any = any || report->model[m].streams;
    }
    return any;
}

/* The products of all models, one after the other. Owned. */
struct shapes {
    struct ko_product *product;
    int *first; /* [n_models + 1] where each model's products begin */
};

static enum ko_code list_shapes(const struct ko_plan_report *report, struct shapes *out,
                                struct ko_error *err)
{
    const size_t n_models = (size_t)report->plan->n_models;
    out->product = ko_new(n_models * KO_MAX_PRODUCTS, sizeof *out->product, err);
    out->first = ko_new(n_models + 1, sizeof *out->first, err);
    if (!out->product || !out->first) {
        return KO_E_MEMORY;
    }
    for (size_t m = 0; m < n_models; m++) {
        out->first[m + 1] =
            out->first[m] + ko_products_of(report->inputs->model[m], out->product + out->first[m]);
    }
    return KO_OK;
}

static bool same_shape(const struct ko_product *a, const struct ko_product *b)
{
    return a->n_in == b->n_in && a->n_out == b->n_out && a->n_experts == b->n_experts &&
           a->n_chosen == b->n_chosen;
}

/* Measures each shape once, however many models have it. */
static enum ko_code measure_shapes(const struct ko_gemm_effort *effort, struct ko_product *product,
                                   int n, struct ko_gemm_rounds *rounds, struct ko_error *err)
{
    struct ko_product *distinct = ko_new((size_t)n, sizeof *distinct, err);
    int n_distinct = 0;
    if (!distinct) {
        return KO_E_MEMORY;
    }
    for (int p = 0; p < n; p++) {
        int k = 0;
        while (k < n_distinct && !same_shape(&distinct[k], &product[p])) {
            k++;
        }
        if (k == n_distinct) {
            distinct[n_distinct++] = product[p];
        }
    }
    const enum ko_code code = ko_products_rounds(effort, distinct, n_distinct, rounds, err);
    for (int p = 0; code == KO_OK && p < n; p++) {
        for (int k = 0; k < n_distinct; k++) {
            if (same_shape(&distinct[k], &product[p])) {
                product[p].rate = distinct[k].rate;
            }
        }
    }
    free(distinct);
    return code;
}

static int32_t least_budget(const struct ko_plan *plan, int32_t most)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        most = plan->model[m].row_budget < most ? plan->model[m].row_budget : most;
    }
    return most;
}

/* Measures the FLOP/s of each model's matrix products on this machine. flops [n_models]. */
static enum ko_code measure_rates(struct ko_plan_report *report, const struct ko_kernels *kernels,
                                  double *flops, struct ko_error *err)
{
    struct ko_plan_time *time = &report->time;
    const struct ko_plan *plan = report->plan;
    const struct ko_backend_config config = {.threads = time->settings.threads,
                                             .precision = time->settings.precision};
    struct ko_backend *be = NULL;
    struct shapes shapes = {0};
    enum ko_code code = list_shapes(report, &shapes, err);
    if (code == KO_OK) {
        code = kernels->open(&config, &be, err);
    }
    if (code == KO_OK) {
        const struct ko_gemm_effort effort = {
            .kernels = kernels,
            .be = be,
            .precision = config.precision,
            .rows = least_budget(plan, kernels->own_memory ? GPU_MAX_ROWS : MAX_ROWS),
            .seconds = MEASURE_SECONDS,
            .layouts = 1,
            .max_elements = kernels->own_memory ? 0 : MAX_MATRIX};
        kernels->describe(be, time->device, sizeof time->device);
        code = measure_shapes(&effort, shapes.product, shapes.first[plan->n_models], &time->rounds,
                              err);
        if (code == KO_OK && any_streams(report)) {
            code = ko_stream_rate_measure(kernels, be, config.threads, &time->stream_rate, err);
        }
        kernels->close(be);
    }
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        flops[m] = ko_products_rate(shapes.product + shapes.first[m],
                                    shapes.first[m + 1] - shapes.first[m]);
    }
    snprintf(time->source, sizeof time->source, "measured here");
    if (gethostname(time->host, sizeof time->host - 1) != 0) {
        time->host[0] = '\0';
    }
    time->threads = config.threads;
    time->products_only = true;
    free(shapes.product);
    free(shapes.first);
    return code;
}

/* Looks up the FLOP/s of each model on the named device. flops [n_models]. */
static enum ko_code look_up_rates(struct ko_plan_report *report, double *flops,
                                  struct ko_error *err)
{
    struct ko_plan_time *time = &report->time;
    double least = INFINITY, most = 0;
    enum ko_code code = KO_OK;
    time->stream_rate =
        any_streams(report) ? ko_device_facts_of(time->settings.device)->stream_rate : 0;
    for (int32_t m = 0; code == KO_OK && m < report->plan->n_models; m++) {
        const struct ko_device_rate *rate = NULL;
        code = ko_device_rate_find(time->settings.device, time->settings.precision,
                                   report->plan->model[m].architecture,
                                   report->inputs->model[m]->shape.d_model, &rate, err);
        if (code != KO_OK) {
            break;
        }
        flops[m] = ko_device_rate_flops(rate, ko_model_exact_share(report->inputs->model[m]));
        snprintf(time->device, sizeof time->device, "%s", rate->title);
        least = fmin(least, flops[m]);
        most = fmax(most, flops[m]);
        snprintf(time->source, sizeof time->source, "measured on %s: %.0f", rate->measured,
                 least / 1e12);
        const size_t n = strlen(time->source);
        if (most > least) {
            snprintf(time->source + n, sizeof time->source - n, " to %.0f", most / 1e12);
        }
    }
    if (code == KO_OK) {
        const size_t n = strlen(time->source);
        snprintf(time->source + n, sizeof time->source - n,
                 " TFLOP/s by model, from the embedding to the metrics");
    }
    return code;
}

static enum ko_code predict_evaluation(struct ko_plan_report *report, const struct ko_pace *pace,
                                       struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_plan *plan = NULL;
    struct ko_pace own = *pace;
    enum ko_code code = ko_inputs_plan(report->inputs, KO_PLAN_EVALUATION, NULL, NULL, &plan, err);
    if (code == KO_OK) {
        code = ko_batches_compose(plan, &batches, err);
    }
    if (code == KO_OK) {
        own.record_bytes = (double)ko_record_bytes(plan);
        code = ko_plan_predict(&batches, report->time.settings.n_workers, &own,
                               &report->time.evaluation, err);
    }
    ko_batches_free(&batches);
    ko_plan_free(plan);
    return code;
}

/* Sweep and evaluation together, from the paces of the models. */
static enum ko_code predict_time(struct ko_plan_report *report, const struct ko_pace *pace,
                                 struct ko_error *err)
{
    struct ko_plan_time *time = &report->time;
    const double n = time->settings.n_workers;
    enum ko_code code = ko_plan_predict(&report->batches, (int32_t)n, pace, &time->sweep, err);
    if (code == KO_OK && time->evaluates) {
        code = predict_evaluation(report, pace, err);
    }
    const double work = time->sweep.work_seconds + time->evaluation.work_seconds;
    const double rounds = time->sweep.commit_seconds + time->evaluation.commit_seconds;
    time->seconds = time->sweep.seconds + time->evaluation.seconds;
    time->efficiency = work / (time->seconds * n);
    time->commit_share = rounds / time->seconds;
    time->flops = report->cost.flop / time->sweep.work_seconds;
    return code;
}

/* How long the largest waves compute, at most: what must hide the weights' way. */
static void time_waves(struct ko_plan_report *report, const double *flops)
{
    for (int32_t b = 0; b < report->batches.n; b++) {
        const struct ko_batch *batch = &report->batches.batch[b];
        const int32_t waves = batch->n_waves > 0 ? batch->n_waves : 1;
        double *longest = &report->model[batch->model].wave_seconds;
        *longest = fmax(*longest, batch->flop / waves / flops[batch->model]);
    }
}

enum ko_code ko_plan_report_predict(struct ko_plan_report *report,
                                    const struct ko_plan_settings *settings, bool evaluates,
                                    struct ko_error *err)
{
    const struct ko_kernels *kernels = ko_backend_find(settings->backend);
    const size_t n = (size_t)report->plan->n_models;
    double *flops = ko_new(n, sizeof *flops, err), *load = ko_new(n, sizeof *load, err);
    double *stream = ko_new(n, sizeof *stream, err);
    report->time = (struct ko_plan_time){.settings = *settings, .evaluates = evaluates};
    enum ko_code code = flops && load && stream ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        predict_memory(report, kernels, settings->precision);
        code = settings->device ? look_up_rates(report, flops, err)
                                : measure_rates(report, kernels, flops, err);
    }
    for (size_t m = 0; code == KO_OK && m < n; m++) {
        load[m] =
            (double)ko_model_floats(report->inputs->model[m]) * STORED_BYTES / settings->read_rate;
        stream[m] = report->model[m].streams
                        ? report->model[m].streamed_bytes / report->time.stream_rate
                        : 0;
    }
    const struct ko_pace pace = {.flops = flops,
                                 .load_seconds = load,
                                 .stream_seconds = stream,
                                 .reads_ahead = kernels->own_memory,
                                 .commit_seconds = settings->commit_seconds,
                                 .record_bytes = (double)ko_record_bytes(report->plan)};
    if (code == KO_OK) {
        time_waves(report, flops);
        code = predict_time(report, &pace, err);
    }
    free(flops);
    free(load);
    free(stream);
    return code;
}

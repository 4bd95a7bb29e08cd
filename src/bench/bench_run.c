/* SPDX-License-Identifier: Apache-2.0 */
/* Measures one shape in one precision. It times the matrix products, then whole passes over all
   batches, then one more pass with the profiler on. */
#include "src/bench/bench_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "mpi/world/gpus.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/forward/forward.h"
#include "src/forward/layer_layout.h"
#include "src/forward/streamed_weights.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"

enum { UNEMBED_COLUMNS = 4096 };

/* How long to measure. A GPU keeps its rate, and its time is expensive. On a CPU other programs
   compute too, so products and passes are measured in turn for a while. */
struct effort {
    int least_passes;       /* after the first, which warms up */
    double seconds;         /* of passes and products in turn, at least */
    double product_seconds; /* for each product and layout */
    int32_t product_rows;
};
static const struct effort cpu_effort = {2, 20, 0.2, 4096}, gpu_effort = {3, 0.5, 0.03, 8192};

struct run {
    const struct ko_bench_settings *settings;
    const struct effort *effort;
    struct ko_bench_model bench;
    struct ko_batches batches;
    struct ko_backend *be;
    struct ko_device_weights weights;
    struct ko_streamed_weights *streamed; /* in place of `weights`, from `numbers` */
    struct ko_bench_numbers numbers;
    struct ko_engine *engine;
    struct ko_bench_result *result;
};

/* Lists the products of the layers and the unembedding, with their FLOP in the sweep. */
static void list_products(const struct run *run)
{
    struct ko_bench_result *result = run->result;
    const struct ko_shape *shape = &run->bench.model->shape;
    double per_row = 0, n_last = 0;
    result->n_products = ko_products_of(run->bench.model, result->product);
    for (int p = 0; p < result->n_products; p++) {
        per_row += result->product[p].flop;
    }
    for (int32_t b = 0; b < run->batches.n; b++) {
        const struct ko_batch *batch = &run->batches.batch[b];
        result->flop += batch->flop;
        result->n_cells += batch->n_cells;
        result->n_rows += batch->n_rows;
        n_last += batch->n_facts;
    }
    n_last += (double)result->n_cells;
    const double unembed = 2.0 * n_last * shape->vocabulary * shape->d_model;
    for (int p = 0; p < result->n_products; p++) {
        result->product[p].flop *= (result->flop - unembed) / per_row;
    }
    struct ko_product *last = &result->product[result->n_products++];
    *last = (struct ko_product){.n_out = UNEMBED_COLUMNS < shape->vocabulary ? UNEMBED_COLUMNS
                                                                             : shape->vocabulary,
                                .n_in = shape->d_model,
                                .flop = unembed};
    snprintf(last->name, sizeof last->name, "unembedding");
}

static enum ko_code measure_products(const struct run *run, struct ko_error *err)
{
    struct ko_bench_result *result = run->result;
    const int32_t most = run->effort->product_rows;
    const int64_t rows = run->batches.batch[0].n_rows;
    const struct ko_gemm_effort effort = {.kernels = run->settings->kernels,
                                          .be = run->be,
                                          .precision = run->settings->config.precision,
                                          .exact = run->settings->sweep.exact,
                                          .rows = rows < most ? (int32_t)rows : most,
                                          .seconds = run->effort->product_seconds,
                                          .layouts = 2};
    const enum ko_code code =
        ko_products_measure(&effort, result->product, result->n_products, err);
    result->gemm_rate = ko_products_rate(result->product, result->n_products);
    result->whole_rate = ko_products_whole_rate(result->product, result->n_products);
    return code;
}

/* Seconds that this process has had of the processors, of all its threads. */
static double processor_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* One pass over all batches, in seconds. */
static enum ko_code time_pass(const struct run *run, double *seconds, double *processors,
                              struct ko_error *err)
{
    const double begin = ko_now(), had = processor_seconds();
    enum ko_code code = KO_OK;
    for (int32_t b = 0; code == KO_OK && b < run->batches.n; b++) {
        const struct ko_batch *batch = &run->batches.batch[b];
        struct ko_record *records = ko_new((size_t)batch->n_facts, sizeof *records, err);
        if (!records) {
            return KO_E_MEMORY;
        }
        code = ko_engine_run(run->engine, batch, NULL, records, err);
        const bool made = code == KO_OK;
        for (int32_t r = 0; made && r < batch->n_facts; r++) {
            if (code == KO_OK) {
                code = ko_record_check(run->bench.plan, &records[r], err);
            }
            ko_record_free(&records[r]);
        }
        free(records);
    }
    *seconds = ko_now() - begin;
    *processors = processor_seconds() - had;
    return code;
}

static double least_of(double least, double seconds)
{
    return least <= 0 || seconds < least ? seconds : least;
}

static enum ko_code measure_passes(const struct run *run, struct ko_error *err)
{
    struct ko_bench_result *result = run->result;
    const struct effort *effort = run->effort;
    const double begin = ko_now();
    enum ko_code code = KO_OK;
    for (int turn = 0;
         code == KO_OK && (turn <= effort->least_passes || ko_now() - begin < effort->seconds);
         turn++) {
        double seconds = 0, processors = 0;
        if (turn > 0 && !run->settings->kernels->own_memory) {
            code = measure_products(run, err);
        }
        if (code == KO_OK) {
            code = time_pass(run, &seconds, &processors, err);
        }
        if (turn > 0) {
            result->seconds = least_of(result->seconds, seconds);
            result->processor_seconds = least_of(result->processor_seconds, processors);
        }
    }
    result->profile.on = true;
    double processors = 0; /* waits are in them */
    if (code == KO_OK) {
        code = time_pass(run, &result->profile_seconds, &processors, err);
    }
    result->profile.on = false;
    ko_profile_sort(&result->profile);
    return code;
}

static enum ko_code used_bytes(const struct run *run, double *bytes, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    return s->kernels->own_memory ? ko_gpu_used_bytes(s->config.device, bytes, err) : KO_OK;
}

/* Chooses where the weights are in host memory. KO_E_INPUT where it cannot hold them and a wave.
   Memory that others use counts as free, because it may be by then. */
static enum ko_code choose_on_host(const struct run *run, int32_t rows, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    const struct ko_model *model = run->bench.model;
    const double wave = (double)ko_model_row_floats(model) * (double)rows * (double)sizeof(float);
    const double resident = (double)ko_model_floats(model) * (double)sizeof(float) + wave;
    const double all = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    const double has = s->memory_limit > 0 ? s->memory_limit : all;
    char a[32], b[32];
    const bool streams = ko_weights_stream(s->weights, !(has > 0 && resident > has));
    run->result->slots = streams ? KO_LAYER_LEAST_SLOTS : 0;
    const double needed = streams ? ko_streamed_host_bytes(model) + wave : resident;
    if (!(has > 0) || needed <= has) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "--shape: %s needs %s, this machine has %s, choose a smaller shape or a GPU",
                   s->sweep.shape, ko_bytes_human(needed, a), ko_bytes_human(has, b));
}

/* The same on the GPU. */
static enum ko_code choose_on_gpu(const struct run *run, int32_t rows, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    struct ko_device_model model = {run->bench.plan,     0, run->bench.model, s->kernels,
                                    s->config.precision, 0};
    struct ko_gpu gpu = {0};
    char name[192];
    enum ko_code code = ko_gpu_identify(s->config.device, &gpu, err);
    if (code != KO_OK) {
        return code;
    }
    const bool limited = s->memory_limit > 0 && s->memory_limit < gpu.memory_bytes;
    snprintf(name, sizeof name, "GPU %d (%s)", gpu.device, gpu.name);
    code = ko_device_memory_choose(&model, s->weights, rows,
                                   limited ? s->memory_limit : gpu.memory_bytes,
                                   limited ? "--memory-limit" : name, err);
    run->result->slots = model.slots;
    ko_device_memory_predict(&model, rows, &run->result->memory);
    return code;
}

/* Opens the backend, after checking that the memory is large enough. */
static enum ko_code open_backend(struct run *run, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    struct ko_bench_result *result = run->result;
    const int32_t rows = ko_plan_largest_wave(run->bench.plan, &run->batches, 0);
    const bool own = s->kernels->own_memory;
    enum ko_code code = own ? choose_on_gpu(run, rows, err) : choose_on_host(run, rows, err);
    result->too_large = code == KO_E_INPUT;
    if (code == KO_OK) {
        code = used_bytes(run, &result->context_bytes, err);
    }
    if (code == KO_OK) {
        code = s->kernels->open(&s->config, &run->be, err);
    }
    if (code == KO_OK) {
        s->kernels->describe(run->be, result->device, sizeof result->device);
    }
    return code;
}

/* Weights that stream come from random numbers in host memory. */
static enum ko_code stream_weights(struct run *run, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    const struct ko_model *model = run->bench.model;
    const bool own = s->kernels->own_memory;
    const struct ko_streaming how = {
        model, s->kernels, run->be, s->config.precision, s->config.threads, run->result->slots};
    const enum ko_element type =
        own ? s->kernels->matrix_type(s->config.precision) : KO_ELEMENT_F32;
    struct ko_layer_sizes sizes;
    ko_layer_sizes_of(model, type, own, &sizes);
    run->result->streamed_bytes = (double)sizes.streamed;
    enum ko_code code =
        ko_bench_numbers_new(model, own && !s->sweep.exact ? KO_ELEMENT_F32 : KO_ELEMENT_BF16,
                             s->sweep.seed, &run->numbers, err);
    const struct ko_layer_source source = ko_bench_numbers_source(&run->numbers);
    if (code == KO_OK) {
        code = ko_streamed_weights_new(&how, &run->streamed, err);
    }
    return code == KO_OK ? ko_streamed_weights_fill(run->streamed, s->sweep.seed, &source, err)
                         : code;
}

static enum ko_code make_weights(struct run *run, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    if (run->result->slots > 0) {
        return stream_weights(run, err);
    }
    const enum ko_code code = ko_device_weights_new(run->bench.model, s->kernels, run->be,
                                                    s->config.precision, &run->weights, err);
    return code == KO_OK ? ko_bench_weights_fill(&run->weights, s->sweep.seed, err) : code;
}

/* Measures the products first: their memory is free again before the model is loaded. */
static enum ko_code measure_all(struct run *run, struct ko_error *err)
{
    const struct ko_bench_settings *s = run->settings;
    struct ko_bench_result *result = run->result;
    enum ko_code code = measure_products(run, err);
    const double begin = ko_now();
    if (code == KO_OK) {
        code = make_weights(run, err);
    }
    result->fill_seconds = ko_now() - begin;
    ko_profile_init(&result->profile, s->kernels, run->be);
    if (code == KO_OK) {
        const struct ko_arena *arena =
            run->streamed ? ko_streamed_weights_arena(run->streamed) : &run->weights.arena;
        code = ko_engine_new(run->bench.plan, 0, run->bench.model, arena, &result->profile.kernels,
                             ko_profile_backend(&result->profile),
                             ko_plan_largest_wave(run->bench.plan, &run->batches, 0), &run->engine,
                             err);
    }
    if (code == KO_OK) {
        code = measure_passes(run, err);
    }
    return code == KO_OK ? used_bytes(run, &result->used_bytes, err) : code;
}

static double peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : 0;
}

enum ko_code ko_bench_run(const struct ko_bench_settings *settings, struct ko_bench_result *out,
                          struct ko_error *err)
{
    struct run run = {.settings = settings,
                      .effort = settings->kernels->own_memory ? &gpu_effort : &cpu_effort,
                      .result = out};
    *out = (struct ko_bench_result){.shape = settings->sweep.shape,
                                    .precision = settings->config.precision,
                                    .exact = settings->sweep.exact,
                                    .threads = settings->config.threads,
                                    .n_tokens = settings->sweep.n_tokens};
    enum ko_code code = ko_bench_model_new(&settings->sweep, &run.bench, err);
    if (code == KO_OK) {
        code = ko_batches_compose(run.bench.plan, &run.batches, err);
    }
    if (code == KO_OK) {
        out->n_prompts = run.bench.plan->n_facts;
        out->n_batches = run.batches.n;
        out->row_budget = run.bench.plan->model[0].row_budget;
        list_products(&run);
        code = open_backend(&run, err);
    }
    if (code == KO_OK) {
        code = measure_all(&run, err);
    }
    out->peak_bytes = peak_bytes();
    ko_engine_free(run.engine);
    ko_device_weights_free(&run.weights);
    ko_streamed_weights_free(run.streamed);
    ko_bench_numbers_free(&run.numbers);
    if (run.be) {
        settings->kernels->close(run.be);
    }
    ko_batches_free(&run.batches);
    ko_bench_model_free(&run.bench);
    return code;
}

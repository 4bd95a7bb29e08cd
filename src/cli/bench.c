#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "mpi/job.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/cli/bench_model.h"
#include "src/cli/cli.h"
#include "src/cli/gemm_rate.h"
#include "src/forward/forward.h"
#include "src/plan/batch.h"

enum { MAX_SHAPES = 16, UNEMBED_COLUMNS = 4096, M_MAX = 4096 };
static const double MEASURE_SECONDS = 0.2, LONGEST_SECONDS = 20;

/* One matrix product of a layer (or the unembedding), its share of the work, and its measured rate.
 */
struct product {
    char name[64];
    int32_t n_out, n_in;
    double flop; /* in the whole sweep */
    double rate; /* FLOP/s */
};

struct result {
    struct product product[MAX_SHAPES];
    int n_products;
    int64_t n_cells;
    double flop, seconds; /* of one pass over all batches: the fastest */
    double gemm_rate;     /* of the products in their proportion */
    int threads;
    char device[256];
};

/* The best rate of y = x W^T over m rows, of both layouts of W. */
static enum ko_code measure_product(const struct ko_kernels *k, struct ko_backend *be, int32_t m,
                                    struct product *product, struct ko_error *err)
{
    const size_t n_out = (size_t)product->n_out, n_in = (size_t)product->n_in, rows = (size_t)m;
    float *memory = ko_new(rows * n_in + n_in * n_out + rows * n_out, sizeof *memory, err);
    if (!memory)
        return KO_E_MEMORY;
    float *x = memory, *w = x + rows * n_in, *y = w + n_in * n_out;
    for (size_t i = 0; i < rows * n_in + n_in * n_out; i++)
        memory[i] = (float)(i % 251) * 0.01f - 1.25f;
    enum ko_code code = KO_OK;
    for (int layout = 0; code == KO_OK && layout < 2; layout++) {
        const struct ko_matrix matrix = {w, product->n_out, product->n_in, layout == 1};
        const double begin = ko_now();
        for (int turn = 0; code == KO_OK && (turn < 2 || ko_now() - begin < MEASURE_SECONDS);
             turn++) {
            const double start = ko_now();
            code = k->linear(be, m, x, product->n_in, &matrix, NULL, false, y, product->n_out, err);
            const double rate =
                2.0 * (double)rows * (double)n_in * (double)n_out / (ko_now() - start);
            if (turn > 0 && rate > product->rate)
                product->rate = rate;
        }
    }
    free(memory);
    return code;
}

static bool is_product(const struct ko_weight *weight)
{
    const size_t n = strlen(weight->tensor);
    return weight->layer == 0 && weight->n_dims == 2 && n > 7 &&
           strcmp(weight->tensor + n - 7, ".weight") == 0;
}

/* The layer's matrices and the unembedding, with their shares of the sweep's FLOP. */
static void list_products(const struct ko_bench_model *bench, const struct ko_batches *batches,
                          struct result *result)
{
    const struct ko_shape *shape = &bench->model->shape;
    double per_row = 0, n_last = 0;
    for (size_t w = 0; w < bench->model->n_weights && result->n_products < MAX_SHAPES - 1; w++) {
        const struct ko_weight *weight = &bench->model->weights[w];
        if (!is_product(weight))
            continue;
        struct product *product = &result->product[result->n_products++];
        const char *dot = strstr(weight->tensor, ".0.");
        snprintf(product->name, sizeof product->name, "%s", dot ? dot + 3 : weight->tensor);
        const bool in_first = strcmp(bench->model->family->name, "gpt2") == 0;
        product->n_out = (int32_t)weight->shape[in_first];
        product->n_in = (int32_t)weight->shape[!in_first];
        product->flop = 2.0 * product->n_out * product->n_in;
        per_row += product->flop;
    }
    for (int32_t b = 0; b < batches->n; b++) {
        result->flop += batches->batch[b].flop;
        result->n_cells += batches->batch[b].n_cells;
        n_last += batches->batch[b].n_facts;
    }
    n_last += (double)result->n_cells;
    const double unembed = 2.0 * n_last * shape->vocabulary * shape->d_model;
    for (int p = 0; p < result->n_products; p++)
        result->product[p].flop *= (result->flop - unembed) / per_row;
    struct product *last = &result->product[result->n_products++];
    snprintf(last->name, sizeof last->name, "unembedding");
    last->n_out = UNEMBED_COLUMNS < shape->vocabulary ? UNEMBED_COLUMNS : shape->vocabulary;
    last->n_in = shape->d_model;
    last->flop = unembed;
}

/* Another look at every product: the best rate ever seen counts. */
static enum ko_code measure_gemms(const struct ko_kernels *k, struct ko_backend *be, int32_t m,
                                  struct result *result, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    double seconds = 0;
    for (int p = 0; code == KO_OK && p < result->n_products; p++) {
        code = measure_product(k, be, m, &result->product[p], err);
        seconds += result->product[p].flop / result->product[p].rate;
    }
    result->gemm_rate = seconds > 0 ? result->flop / seconds : 0;
    return code;
}

/* One pass over all batches, in seconds. */
static enum ko_code time_pass(struct ko_engine *engine, const struct ko_plan *plan,
                              const struct ko_batches *batches, double *seconds,
                              struct ko_error *err)
{
    const double begin = ko_now();
    enum ko_code code = KO_OK;
    for (int32_t b = 0; code == KO_OK && b < batches->n; b++) {
        const struct ko_batch *batch = &batches->batch[b];
        struct ko_record *records = ko_new((size_t)batch->n_facts, sizeof *records, err);
        if (!records)
            return KO_E_MEMORY;
        code = ko_engine_run(engine, batch, NULL, records, err);
        const bool made = code == KO_OK;
        for (int32_t r = 0; made && r < batch->n_facts; r++) {
            if (code == KO_OK)
                code = ko_record_check(plan, &records[r], err);
            ko_record_free(&records[r]);
        }
        free(records);
    }
    *seconds = ko_now() - begin;
    return code;
}

static enum ko_code measure(const struct ko_kernels *k, struct ko_backend *be,
                            const struct ko_bench_model *bench, struct result *result,
                            struct ko_error *err)
{
    struct ko_batches batches = {0};
    struct ko_engine *engine = NULL;
    enum ko_code code = ko_batches_compose(bench->plan, &batches, err);
    if (code == KO_OK)
        code = ko_engine_new(bench->plan, 0, bench->model, bench->arena, k, be,
                             bench->plan->model[0].row_budget, &engine, err);
    if (code == KO_OK)
        list_products(bench, &batches, result);
    double spent = 0;
    for (int turn = 0; code == KO_OK && (turn < 3 || spent < LONGEST_SECONDS); turn++) {
        double seconds = 0;
        code = measure_gemms(
            k, be, batches.batch[0].n_rows > M_MAX ? M_MAX : (int32_t)batches.batch[0].n_rows,
            result, err);
        if (code == KO_OK)
            code = time_pass(engine, bench->plan, &batches, &seconds, err);
        spent += seconds;
        if (turn > 0 && (result->seconds == 0 || seconds < result->seconds))
            result->seconds = seconds;
    }
    ko_engine_free(engine);
    ko_batches_free(&batches);
    return code;
}

static double peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024.0 * (double)usage.ru_maxrss : 0;
}

static void print_text(struct ko_cli *cli, const char *shape, const struct result *r)
{
    char bytes[32];
    fprintf(cli->out, "%s on %s\n", shape, r->device);
    fprintf(cli->out, "  %-22s %10s %12s %8s\n", "matrix product", "shape", "GFLOP/s", "share");
    for (int p = 0; p < r->n_products; p++) {
        char dims[32];
        snprintf(dims, sizeof dims, "%dx%d", r->product[p].n_in, r->product[p].n_out);
        fprintf(cli->out, "  %-22s %10s %12.1f %7.1f%%\n", r->product[p].name, dims,
                r->product[p].rate / 1e9, 100 * r->product[p].flop / r->flop);
    }
    fprintf(cli->out, "  cells %lld in %.3f s: %.3f ms a cell\n", (long long)r->n_cells, r->seconds,
            1e3 * r->seconds / (double)r->n_cells);
    fprintf(cli->out, "  %.1f GFLOP/s of %.1f measured for these products: %.1f %%\n",
            r->flop / r->seconds / 1e9, r->gemm_rate / 1e9,
            100 * r->flop / r->seconds / r->gemm_rate);
    fprintf(cli->out, "  peak memory %s\n", ko_bytes_human(peak_bytes(), bytes));
}

static void print_json(struct ko_cli *cli, const char *shape, const struct result *r)
{
    json_object *root = json_object_new_object(), *products = json_object_new_array();
    for (int p = 0; p < r->n_products; p++) {
        json_object *item = json_object_new_object();
        json_object_object_add(item, "name", json_object_new_string(r->product[p].name));
        json_object_object_add(item, "n_in", json_object_new_int(r->product[p].n_in));
        json_object_object_add(item, "n_out", json_object_new_int(r->product[p].n_out));
        json_object_object_add(item, "flops", json_object_new_double(r->product[p].rate));
        json_object_array_add(products, item);
    }
    json_object_object_add(root, "shape", json_object_new_string(shape));
    json_object_object_add(root, "device", json_object_new_string(r->device));
    json_object_object_add(root, "threads", json_object_new_int(r->threads));
    json_object_object_add(root, "cells", json_object_new_int64(r->n_cells));
    json_object_object_add(root, "seconds_per_cell",
                           json_object_new_double(r->seconds / (double)r->n_cells));
    json_object_object_add(root, "flops_reached", json_object_new_double(r->flop / r->seconds));
    json_object_object_add(root, "gemm_flops_layers", json_object_new_double(r->gemm_rate));
    json_object_object_add(root, "fraction_of_gemm",
                           json_object_new_double(r->flop / r->seconds / r->gemm_rate));
    json_object_object_add(root, "peak_bytes", json_object_new_double(peak_bytes()));
    json_object_object_add(root, "products", products);
    fprintf(cli->out, "%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY));
    json_object_put(root);
}

enum ko_code ko_command_bench(struct ko_cli *cli, int *status, struct ko_error *err)
{
    const struct ko_options *options = cli->options;
    const char *shape = ko_option_string(options, KO_OPT_SHAPE), *backend = NULL;
    const int64_t threads = ko_option_int(options, KO_OPT_THREADS);
    struct ko_backend_config config = {.threads = threads > 0 ? (int)threads : ko_threads_here()};
    struct ko_bench_model bench = {0};
    struct ko_backend *be = NULL;
    struct result result = {.threads = config.threads};
    (void)status;
    enum ko_code code = ko_cli_backend(options, &backend, err);
    if (code == KO_OK)
        code = ko_cli_precision(options, &config.precision, err);
    const struct ko_kernels *k = code == KO_OK ? ko_backend_find(backend) : NULL;
    if (code == KO_OK)
        code = k->open(&config, &be, err);
    if (code == KO_OK) {
        k->describe(be, result.device, sizeof result.device);
        code = ko_bench_model_new(shape, ko_option_int(options, KO_OPT_ROW_BUDGET),
                                  ko_option_int(options, KO_OPT_PROMPTS),
                                  (uint64_t)ko_option_int(options, KO_OPT_SEED), &bench, err);
    }
    if (code == KO_OK)
        code = measure(k, be, &bench, &result, err);
    if (code == KO_OK && ko_option_flag(options, KO_OPT_JSON))
        print_json(cli, shape, &result);
    else if (code == KO_OK)
        print_text(cli, shape, &result);
    ko_bench_model_free(&bench);
    if (be)
        k->close(be);
    return code;
}

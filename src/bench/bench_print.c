/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the result of `bench`: matrix products, time per operation and memory, as text for people
   or as JSON. Measuring is in bench_run.c. */
#include <string.h>

#include "src/base/text.h"
#include "src/bench/bench_run.h"
#include "src/formats/json_out.h"
#include "src/run/settings.h"

/* "5120x192" */
static const char *shape_text(int32_t n_in, int32_t n_out, char text[32])
{
    snprintf(text, 32, "%dx%d", n_in, n_out);
    return text;
}

/* The experts of a layer, of which a row takes some; NULL: it has none. */
static const struct ko_product *find_experts(const struct ko_bench_result *r)
{
    for (int p = 0; p < r->n_products; p++) {
        if (r->product[p].n_experts > r->product[p].n_chosen) {
            return &r->product[p];
        }
    }
    return NULL;
}

static void print_products(const struct ko_bench_result *r, FILE *out)
{
    char text[32];
    int width = 22;
    for (int p = 0; p < r->n_products; p++) {
        const int n = (int)strlen(r->product[p].name);
        width = n > width ? n : width;
    }
    fprintf(out, "  %-*s %12s %12s %8s\n", width, "matrix product", "shape", "GFLOP/s", "share");
    for (int p = 0; p < r->n_products; p++) {
        fprintf(out, "  %-*s %12s %12.1f %7.1f%%\n", width, r->product[p].name,
                shape_text(r->product[p].n_in, r->product[p].n_out, text), r->product[p].rate / 1e9,
                100 * r->product[p].flop / r->flop);
    }
}

/* The two rates that a mixture of experts is compared with. */
static void print_experts(const struct ko_bench_result *r, FILE *out)
{
    const struct ko_product *experts = find_experts(r);
    if (!experts) {
        return;
    }
    fprintf(out,
            "  each row has %d of %d experts: the rate of their products is that of one product "
            "after the other,\n"
            "  each with its own matrix and %d/%d of the rows; with all rows in one product:\n"
            "  %.1f GFLOP/s of %.1f: %.1f %%\n",
            experts->n_chosen, experts->n_experts, experts->n_chosen, experts->n_experts,
            r->flop / r->seconds / 1e9, r->whole_rate / 1e9,
            100 * r->flop / r->seconds / r->whole_rate);
}

static void print_entry(const char *name, const char *shape, int64_t calls, double seconds,
                        double all, FILE *out)
{
    fprintf(out, "  %-22s %12s %8lld %10.4f s %7.1f%%\n", name, shape, (long long)calls, seconds,
            100 * seconds / all);
}

static void print_breakdown(const struct ko_bench_result *r, FILE *out)
{
    char text[32];
    const double all = r->profile_seconds;
    fprintf(out, "  %-22s %12s %8s %12s %8s\n", "operation", "shape", "calls", "time", "share");
    for (int k = 0; k < r->profile.n_entries; k++) {
        const struct ko_profile_entry *e = &r->profile.entry[k];
        print_entry(e->name, e->n_in > 0 ? shape_text(e->n_in, e->n_out, text) : "", e->calls,
                    e->seconds, all, out);
    }
    print_entry("between operations", "", r->n_batches, all - ko_profile_seconds(&r->profile), all,
                out);
    fprintf(out, "  (one more pass of %.3f s, with a wait around every operation)\n", all);
}

static void print_memory(const struct ko_bench_result *r, FILE *out)
{
    char a[32], b[32], c[32], d[32];
    const double predicted = ko_device_memory_total(&r->memory);
    if (predicted > 0) {
        fprintf(
            out,
            "  GPU memory %s used, %s predicted (%+.1f %%); %s before the model, %s counted for "
            "that\n",
            ko_bytes_human(r->used_bytes, a), ko_bytes_human(predicted, b),
            100 * (predicted / r->used_bytes - 1), ko_bytes_human(r->context_bytes, c),
            ko_bytes_human(r->memory.context, d));
    }
    fprintf(out, "  peak memory of the process %s; weights filled in %.1f s\n",
            ko_bytes_human(r->peak_bytes, a), r->fill_seconds);
}

void ko_bench_print(const struct ko_bench_result *r, FILE *out)
{
    char a[32], b[32];
    fprintf(out, "%s%s in %s on %s\n", r->shape, r->exact ? ", weights in bfloat16," : "",
            ko_cli_precision_name(r->precision), r->device);
    print_products(r, out);
    print_breakdown(r, out);
    fprintf(out, "  cells: %s, of %lld prompts of %lld tokens; batches: %lld, of up to %s rows\n",
            ko_grouped(r->n_cells, a), (long long)r->n_prompts, (long long)r->n_tokens,
            (long long)r->n_batches, ko_grouped(r->row_budget, b));
    fprintf(out, "  %.3f s a pass: %.5f ms a cell; %.3f s of processors\n", r->seconds,
            1e3 * r->seconds / (double)r->n_cells, r->processor_seconds);
    fprintf(out, "  %.1f GFLOP/s of %.1f measured for these products: %.1f %%\n",
            r->flop / r->seconds / 1e9, r->gemm_rate / 1e9,
            100 * r->flop / r->seconds / r->gemm_rate);
    print_experts(r, out);
    if (r->slots > 0) {
        fprintf(out, "  weights stream: %s a wave\n", ko_bytes_human(r->streamed_bytes, a));
    }
    print_memory(r, out);
}

static void put_products(json_object *root, const struct ko_bench_result *r)
{
    json_object *list = ko_json_put_list(root, "products");
    for (int p = 0; p < r->n_products; p++) {
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "name", r->product[p].name);
        ko_json_put_int(item, "n_in", r->product[p].n_in);
        ko_json_put_int(item, "n_out", r->product[p].n_out);
        ko_json_put_number(item, "flops", r->product[p].rate);
        if (r->product[p].n_experts > 0) {
            ko_json_put_int(item, "experts", r->product[p].n_experts);
            ko_json_put_int(item, "experts_of_a_row", r->product[p].n_chosen);
            ko_json_put_number(item, "flops_whole", r->product[p].whole_rate);
        }
        ko_json_put_number(item, "share", r->product[p].flop / r->flop);
    }
}

static void put_breakdown(json_object *root, const struct ko_bench_result *r)
{
    json_object *list = ko_json_put_list(root, "operations");
    for (int k = 0; k < r->profile.n_entries; k++) {
        const struct ko_profile_entry *e = &r->profile.entry[k];
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "name", e->name);
        if (e->n_in > 0) {
            ko_json_put_int(item, "n_in", e->n_in);
            ko_json_put_int(item, "n_out", e->n_out);
        }
        ko_json_put_int(item, "calls", e->calls);
        ko_json_put_number(item, "seconds", e->seconds);
        ko_json_put_number(item, "share", e->seconds / r->profile_seconds);
    }
    ko_json_put_number(root, "operations_pass_seconds", r->profile_seconds);
}

enum ko_code ko_bench_print_json(const struct ko_bench_result *r, FILE *out, struct ko_error *err)
{
    json_object *root = json_object_new_object();
    if (!root) {
        return ko_fail(err, KO_E_MEMORY, "JSON: out of memory");
    }
    ko_json_put_text(root, "shape", r->shape);
    ko_json_put_text(root, "precision", ko_cli_precision_name(r->precision));
    ko_json_put_text(root, "stored", r->exact ? "bfloat16" : "float32");
    ko_json_put_text(root, "device", r->device);
    ko_json_put_int(root, "threads", r->threads);
    ko_json_put_int(root, "prompts", r->n_prompts);
    ko_json_put_int(root, "tokens", r->n_tokens);
    ko_json_put_int(root, "cells", r->n_cells);
    ko_json_put_int(root, "row_budget", r->row_budget);
    ko_json_put_text(root, "weights", r->slots > 0 ? "stream" : "resident");
    ko_json_put_number(root, "streamed_bytes", r->streamed_bytes);
    ko_json_put_int(root, "rows", r->n_rows);
    ko_json_put_int(root, "batches", r->n_batches);
    ko_json_put_number(root, "seconds_per_cell", r->seconds / (double)r->n_cells);
    ko_json_put_number(root, "processor_seconds_per_cell",
                       r->processor_seconds / (double)r->n_cells);
    ko_json_put_number(root, "flop", r->flop);
    ko_json_put_number(root, "flops_reached", r->flop / r->seconds);
    ko_json_put_number(root, "gemm_flops_layers", r->gemm_rate);
    ko_json_put_number(root, "fraction_of_gemm", r->flop / r->seconds / r->gemm_rate);
    if (find_experts(r)) {
        ko_json_put_number(root, "gemm_flops_whole", r->whole_rate);
        ko_json_put_number(root, "fraction_of_whole", r->flop / r->seconds / r->whole_rate);
    }
    ko_json_put_number(root, "peak_bytes", r->peak_bytes);
    ko_json_put_number(root, "fill_seconds", r->fill_seconds);
    if (ko_device_memory_total(&r->memory) > 0) {
        ko_json_put_number(root, "gpu_bytes_predicted", ko_device_memory_total(&r->memory));
        ko_json_put_number(root, "gpu_bytes_used", r->used_bytes);
        ko_json_put_number(root, "gpu_bytes_before", r->context_bytes);
    }
    put_products(root, r);
    put_breakdown(root, r);
    fprintf(out, "%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN));
    json_object_put(root);
    return KO_OK;
}

#include "src/plan/cost.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* A worker beside weights and rows: program and libraries, the tokenizer, vocabulary tiles, records
 * on their way to the cube. */
static const double fixed_bytes = 54.0 * 1024 * 1024;
/* The cube's labels, attributes and headers. */
static const double cube_fixed_bytes = 54.0 * 1024;
static const double run_log_bytes = 1024.0 * 1024;

int32_t ko_default_row_budget(double row_bytes)
{
    const double workspace = 96.0 * 1024 * 1024;
    enum { LEAST = 512, MOST = 4096 };
    if (!(row_bytes > workspace / MOST)) {
        return MOST;
    }
    if (row_bytes > workspace / LEAST) {
        return LEAST;
    }
    return (int32_t)floor(workspace / row_bytes);
}

static double cube_bytes(const struct ko_plan *plan)
{
    double value_bytes = plan->has_foils ? 24.0 : 20.0; /* a value's five or six datasets */
    double eval_bytes = 17.0;                           /* eval_*, reason_code */
    double models = plan->n_models;
    double heat_values = (double)(ko_plan_n_values(plan) - ko_plan_n_plain_values(plan));
    double heat_statuses = (double)(ko_plan_n_statuses(plan) - ko_plan_n_plain_statuses(plan));
    double plain =
        (double)ko_plan_n_plain_values(plan) * value_bytes + (double)ko_plan_n_plain_statuses(plan);
    /* Token ids and texts (a pointer and a few bytes each), spans, the clean run. */
    double prompt = 32.0 * plan->n_positions + 16.0 + value_bytes;
    double bytes = plan->n_prompts * (plain + prompt);
    bytes += plan->n_heat_prompts * (heat_values * value_bytes + heat_statuses + prompt);
    bytes += plan->n_facts * eval_bytes;
    return models * bytes + run_log_bytes + cube_fixed_bytes;
}

/* Rows that the workspace of a model's worker holds: its largest wave, of the sweep or of the
 * evaluation before it, which goes through every runnable prompt. */
static double largest_wave(const struct ko_plan *plan, const struct ko_batches *batches, int32_t m)
{
    double rows = 0.0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, m, f);
        rows += prompt->reason == KO_RUNNABLE ? prompt->n_tokens : 0;
    }
    for (int32_t i = 0; i < batches->n; i++) {
        if (batches->batch[i].model == m) {
            rows = fmax(rows, (double)batches->batch[i].n_rows);
        }
    }
    return fmin(rows, plan->model[m].row_budget);
}

static double peak_bytes(const struct ko_plan *plan, const struct ko_batches *batches)
{
    double peak = 0.0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        const struct ko_plan_model *model = &plan->model[m];
        double rows = largest_wave(plan, batches, m);
        peak = fmax(peak, model->weight_bytes + rows * model->row_bytes + fixed_bytes);
    }
    return peak;
}

void ko_plan_cost(const struct ko_plan *plan, const struct ko_batches *batches, struct ko_cost *out)
{
    *out = (struct ko_cost){.n_batches = batches->n,
                            .peak_bytes = peak_bytes(plan, batches),
                            .cube_bytes = cube_bytes(plan)};
    for (int32_t i = 0; i < batches->n; i++) {
        const struct ko_batch *batch = &batches->batch[i];
        out->n_cells += batch->n_cells;
        out->n_rows += batch->n_rows;
        out->flop += batch->flop;
        out->separate_flop += batch->separate_flop;
    }
}

static size_t first_free(const double *busy, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (busy[i] < busy[best]) {
            best = i;
        }
    }
    return best;
}

double ko_plan_makespan(const struct ko_batches *batches, int32_t n_workers, double flops)
{
    if (n_workers < 1 || !(flops > 0.0)) {
        return NAN;
    }
    size_t n = (size_t)(n_workers < batches->n ? n_workers : batches->n);
    double *busy = ko_new(n, sizeof *busy, NULL);
    if (busy == NULL) {
        return NAN;
    }
    double last = 0.0;
    for (int32_t i = 0; i < batches->n; i++) {
        double *worker = &busy[first_free(busy, n)];
        *worker += batches->batch[i].flop / flops;
        last = *worker > last ? *worker : last;
    }
    free(busy);
    return last;
}

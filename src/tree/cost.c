/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up FLOP, memory and file size of a plan from its batches. Also holds the constants of the
   default row budget. */
#include "src/tree/cost.h"

#include <math.h>

#include "src/plan/stored_metrics.h"

/* Memory of a worker without weights and rows: program and libraries, the tokenizer, vocabulary
   tiles, records that are not yet committed. */
static const double fixed_bytes = 54.0 * 1024 * 1024;
/* The cube's labels, attributes and headers. */
static const double cube_fixed_bytes = 54.0 * 1024;
static const double run_log_bytes = 1024.0 * 1024;

/* Limits of a default row budget. */
struct budget_rule {
    double workspace_bytes;
    int32_t least, most; /* rows */
};
static const struct budget_rule cpu_rule = {96.0 * 1024 * 1024, 512, 4096};
static const struct budget_rule gpu_rule = {4096.0 * 1024 * 1024, 512, 8192};

int32_t ko_default_row_budget(double row_bytes, bool gpu)
{
    const struct budget_rule *rule = gpu ? &gpu_rule : &cpu_rule;
    if (!(row_bytes > rule->workspace_bytes / rule->most)) {
        return rule->most;
    }
    if (row_bytes > rule->workspace_bytes / rule->least) {
        return rule->least;
    }
    return (int32_t)floor(rule->workspace_bytes / row_bytes);
}

/* Bytes of the layers of a model's windows, where the cube stores them. */
static double window_layers(const struct ko_plan *plan)
{
    int32_t layers = 0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        layers = plan->model[m].n_layers > layers ? plan->model[m].n_layers : layers;
    }
    return plan->style == KO_STYLE_WHOLE ? 0.0 : (double)plan->n_sizes * plan->n_starts * layers;
}

static double cube_bytes(const struct ko_plan *plan)
{
    const double metric_bytes =
        (double)(ko_stored_metrics_bytes(plan->has_foils) +
                 (size_t)plan->n_answer_tokens * sizeof(struct ko_answer_metrics) +
                 (plan->n_choices > 0 ? sizeof(struct ko_choice_metrics) : 0) +
                 (size_t)plan->n_options * sizeof(float));
    double value_bytes = metric_bytes + (ko_plan_mixes_vacuous(plan) ? 1.0 : 0.0);
    double eval_bytes = 17.0; /* eval_*, reason_code */
    double models = plan->n_models;
    double heat_values = (double)(ko_plan_n_values(plan) - ko_plan_n_mean_values(plan));
    double heat_statuses = (double)(ko_plan_n_statuses(plan) - ko_plan_n_mean_statuses(plan));
    double mean =
        (double)ko_plan_n_mean_values(plan) * value_bytes + (double)ko_plan_n_mean_statuses(plan);
    /* Token ids and texts (a pointer and a few bytes each), spans, the clean run. */
    double prompt = 32.0 * plan->n_positions + 16.0 + metric_bytes;
    double bytes = plan->n_prompts * (mean + prompt);
    bytes += plan->n_heat_prompts * (heat_values * value_bytes + heat_statuses + prompt);
    bytes += plan->n_facts * eval_bytes;
    return models * (bytes + window_layers(plan)) + run_log_bytes + cube_fixed_bytes;
}

int32_t ko_plan_largest_wave(const struct ko_plan *plan, const struct ko_batches *batches,
                             int32_t m)
{
    double rows = 0.0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, m, f);
        if (prompt->reason == KO_RUNNABLE) {
            rows += ko_prompt_most_rows(prompt) + ko_prompt_fork_rows(prompt);
        }
    }
    for (int32_t i = 0; i < batches->n; i++) {
        if (batches->batch[i].model == m) {
            rows = fmax(rows, (double)batches->batch[i].n_rows);
        }
    }
    return (int32_t)fmin(rows, plan->model[m].row_budget);
}

/* The buffer for the largest matrix of embeddings among the prompts. */
static double matrix_bytes(const struct ko_plan *plan, int32_t m)
{
    int32_t most = 0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const int32_t n = ko_plan_prompt(plan, m, f)->n_embedded;
        most = n > most ? n : most;
    }
    return (double)sizeof(float) * most * plan->model[m].d_model;
}

double ko_plan_worker_bytes(const struct ko_plan *plan, const struct ko_batches *batches, int32_t m)
{
    const struct ko_plan_model *model = &plan->model[m];
    const double rows = ko_plan_largest_wave(plan, batches, m);
    const double row_bytes =
        model->row_bytes + (double)sizeof(float) * model->d_model * ko_plan_component_arrays(plan);
    return rows * row_bytes + matrix_bytes(plan, m) + fixed_bytes;
}

static double peak_bytes(const struct ko_plan *plan, const struct ko_batches *batches)
{
    double peak = 0.0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        peak = fmax(peak, plan->model[m].weight_bytes + ko_plan_worker_bytes(plan, batches, m));
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
        out->n_branches += batch->n_branches;
        out->n_branch_rows += batch->n_branch_rows;
        out->n_part_branches += batch->n_part_branches;
        out->n_part_rows += batch->n_part_rows;
        out->flop += batch->flop;
        out->separate_flop += batch->separate_flop;
    }
}

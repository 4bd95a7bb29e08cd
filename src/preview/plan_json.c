/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the report of `plan` as JSON. The version for people is in plan_print.c. */
#include "src/formats/json.h"
#include "src/formats/json_out.h"
#include "src/preview/plan_report.h"
#include "src/run/settings.h"

static void put_skipped(json_object *to, const struct ko_plan_report *report, int32_t model)
{
    json_object *list = ko_json_put_list(to, "skipped");
    for (int reason = 1; reason < KO_N_REASONS; reason++) {
        const struct ko_plan_model_report *counts = &report->model[model];
        if (counts->n_skipped[reason] == 0) {
            continue;
        }
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "reason", ko_reason_sentence((enum ko_reason)reason));
        ko_json_put_int(item, "reason_code", reason);
        ko_json_put_int(item, "prompts", counts->n_skipped[reason]);
        json_object *ids = ko_json_put_list(item, "first_ids");
        for (int32_t k = 0; k < counts->n_skipped[reason] && k < KO_FIRST_IDS; k++) {
            json_object_array_add(
                ids, json_object_new_string(report->plan->fact[counts->first[reason][k]].id));
        }
    }
}

static void put_time(json_object *root, const struct ko_plan_time *time)
{
    json_object *to = ko_json_put_object(root, "time");
    ko_json_put_int(to, "workers", time->settings.n_workers);
    ko_json_put_int(to, "threads", time->threads);
    ko_json_put_text(to, "backend", time->settings.backend);
    ko_json_put_text(to, "precision", ko_cli_precision_name(time->settings.precision));
    ko_json_put_text(to, "device", time->device);
    ko_json_put_text(to, "rate_from", time->source);
    ko_json_put_text(to, "host", time->host);
    ko_json_put_int(to, "rounds", time->rounds.n);
    ko_json_put_number(to, "median_round", time->rounds.median / time->rounds.fastest);
    ko_json_put_bool(to, "products_only", time->products_only);
    ko_json_put_number(to, "worker_flops", time->flops);
    ko_json_put_number(to, "stream_rate", time->stream_rate);
    ko_json_put_number(to, "makespan_seconds", time->seconds);
    ko_json_put_number(to, "sweep_seconds", time->sweep.seconds);
    ko_json_put_number(to, "evaluation_seconds", time->evaluation.seconds);
    ko_json_put_number(to, "load_seconds",
                       time->sweep.load_seconds + time->evaluation.load_seconds);
    ko_json_put_number(to, "efficiency", time->efficiency);
    ko_json_put_number(to, "commit_share", time->commit_share);
}

/* Only for a backend with its own memory. */
static void put_device_memory(json_object *to, const struct ko_device_memory *memory)
{
    if (memory->context <= 0) {
        return;
    }
    json_object *device = ko_json_put_object(to, "device_memory");
    ko_json_put_number(device, "matrices", memory->matrices);
    ko_json_put_number(device, "values", memory->values);
    ko_json_put_number(device, "masks", memory->masks);
    ko_json_put_number(device, "rows", memory->rows);
    ko_json_put_number(device, "reserved", memory->reserved);
    ko_json_put_number(device, "context", memory->context);
    ko_json_put_number(device, "total", ko_device_memory_total(memory));
}

/* The layers that windows count. */
static void put_counted(json_object *to, const struct ko_plan_model *model)
{
    json_object *list = ko_json_put_list(to, "counted_layers");
    for (int32_t k = 0; k < ko_plan_n_counted(model); k++) {
        json_object_array_add(list, json_object_new_int64(ko_plan_counted_layer(model, k)));
    }
}

static void put_models(json_object *root, const struct ko_plan_report *report)
{
    json_object *list = ko_json_put_list(root, "models");
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_plan_model *model = &report->plan->model[m];
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "name", model->name);
        ko_json_put_text(item, "path", model->path);
        ko_json_put_text(item, "architecture", model->architecture);
        ko_json_put_int(item, "layers", model->n_layers);
        put_counted(item, model);
        ko_json_put_int(item, "width", model->d_model);
        ko_json_put_int(item, "vocabulary", model->vocabulary);
        ko_json_put_int(item, "row_budget", model->row_budget);
        ko_json_put_number(item, "weight_bytes", model->weight_bytes);
        ko_json_put_number(item, "row_bytes", model->row_bytes);
        ko_json_put_int(item, "largest_wave", report->model[m].n_rows);
        put_device_memory(item, &report->model[m].device);
        ko_json_put_text(item, "weights", report->model[m].streams ? "stream" : "resident");
        ko_json_put_number(item, "streamed_bytes", report->model[m].streamed_bytes);
        ko_json_put_int(item, "prompts_in_file", report->plan->n_facts);
        ko_json_put_int(item, "prompts_runnable", report->model[m].n_runnable);
        ko_json_put_int(item, "prompts_selected", report->model[m].n_selected);
        json_object *cells = ko_json_put_object(item, "cells");
        ko_json_put_int(cells, "planned", report->model[m].n_planned);
        ko_json_put_int(cells, "vacuous", report->model[m].n_vacuous);
        put_skipped(item, report, m);
    }
}

static void put_axes(json_object *root, const struct ko_plan *plan)
{
    json_object *routes = ko_json_put_list(root, "routes");
    json_object *heat = ko_json_put_list(root, "heat_routes");
    json_object *features = ko_json_put_list(root, "feature_classes");
    for (int32_t r = 0; r < plan->n_routes; r++) {
        json_object_array_add(plan->route[r].heat ? heat : routes,
                              json_object_new_string(plan->route[r].route.label));
    }
    for (int32_t f = 0; f < plan->n_classes; f++) {
        char label[64];
        ko_feature_class_label(&plan->class[f], label);
        json_object_array_add(features, json_object_new_string(label));
    }
    ko_json_put_text(root, "windows_over", ko_over_words[plan->over]);
    ko_json_put_text(root, "windows_style", ko_style_words[plan->style]);
    ko_json_put_ints(root, "window_sizes", plan->size, plan->n_sizes);
    ko_json_put_ints(root, "window_starts", plan->start, plan->n_starts);
    ko_json_put_int(root, "prompts", plan->n_prompts);
    ko_json_put_int(root, "heat_prompts", plan->n_heat_prompts);
    ko_json_put_int(root, "source_positions", plan->n_source_positions);
}

static void put_sweeps(json_object *root, const struct ko_plan_report *report)
{
    json_object *list = ko_json_put_list(root, "sweeps");
    for (int32_t b = 0; b < report->plan->n_blocks; b++) {
        const struct ko_sweep_cells *sweep = &report->sweep[b];
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "name", report->inputs->spec->block[b].name);
        ko_json_put_int(item, "models", sweep->n_models);
        ko_json_put_int(item, "prompts", sweep->n_prompts);
        ko_json_put_int(item, "cells_on_routes", sweep->n_mean);
        ko_json_put_int(item, "cells_in_heatmaps", sweep->n_heat);
        ko_json_put_int(item, "new_on_routes", sweep->new_mean);
        ko_json_put_int(item, "new_in_heatmaps", sweep->new_heat);
    }
}

static void put_cost(json_object *root, const struct ko_plan_report *report)
{
    const struct ko_cost *cost = &report->cost;
    json_object *cells = ko_json_put_object(root, "cells");
    ko_json_put_int(cells, "planned", report->n_mean + report->n_heat);
    ko_json_put_int(cells, "on_routes", report->n_mean);
    ko_json_put_int(cells, "in_heatmaps", report->n_heat);
    ko_json_put_int(cells, "vacuous", report->n_vacuous);
    ko_json_put_int(cells, "computed", cost->n_cells);
    ko_json_put_int(root, "clean_runs", report->n_clean_runs);
    ko_json_put_int(root, "batches", cost->n_batches);
    ko_json_put_int(root, "rows", cost->n_rows);
    json_object *branches = ko_json_put_object(root, "branches");
    ko_json_put_int(branches, "all", cost->n_branches);
    ko_json_put_int(branches, "rows", cost->n_branch_rows);
    ko_json_put_int(branches, "of_components_and_heads", cost->n_part_branches);
    ko_json_put_int(branches, "rows_of_components_and_heads", cost->n_part_rows);
    ko_json_put_number(root, "flop", cost->flop);
    ko_json_put_number(root, "separate_flop", cost->separate_flop);
    ko_json_put_number(root, "peak_bytes", cost->peak_bytes);
    ko_json_put_number(root, "cube_bytes", cost->cube_bytes);
    put_time(root, &report->time);
}

static void put_sets(json_object *to, const struct ko_token_grid *grid)
{
    json_object *sets = ko_json_put_object(to, "sets");
    for (size_t s = 0; s < grid->set.n; s++) {
        json_object *positions = ko_json_put_list(sets, grid->set.item[s]);
        for (int32_t k = 0; k < grid->n_tokens; k++) {
            if (grid->member[s * (size_t)grid->n_tokens + (size_t)k]) {
                json_object_array_add(positions, json_object_new_int64(k));
            }
        }
    }
}

static void put_prompts(json_object *root, const struct ko_plan_report *report)
{
    json_object *list = ko_json_put_list(root, "token_sets");
    for (int32_t p = 0; p < report->n_prompts; p++) {
        const struct ko_plan_prompt_report *shown = &report->prompt[p];
        const struct ko_prompt *prompt =
            ko_plan_prompt(report->plan, shown->first_model, shown->fact);
        json_object *item = ko_json_add_object(list);
        ko_json_put_text(item, "prompt", report->plan->fact[shown->fact].id);
        ko_json_put_texts(item, "models", &shown->models);
        ko_json_put_ints(item, "token_ids", prompt->token, prompt->n_tokens);
        ko_json_put_texts(item, "tokens", &shown->grid.piece);
        ko_json_put_int(item, "appended", prompt->n_appended);
        ko_json_put_int(item, "answer_id", prompt->target);
        if (report->plan->score == KO_SCORE_WHOLE_ANSWER) {
            json_object *ids = ko_json_put_list(item, "answer_ids");
            for (int32_t k = 0; k < ko_prompt_n_scored(prompt); k++) {
                json_object_array_add(ids, json_object_new_int64(ko_prompt_scored(prompt, k)));
            }
        }
        ko_json_put_text(item, "answer", shown->answer);
        put_sets(item, &shown->grid);
    }
}

static void add_texts(json_object *list, const struct ko_strings *texts)
{
    for (size_t k = 0; k < texts->n; k++) {
        json_object_array_add(list, json_object_new_string(texts->item[k]));
    }
}

static void put_lines(json_object *root, const struct ko_plan_report *report)
{
    ko_json_put_texts(root, "warnings", report->warnings);
    add_texts(ko_json_get(root, "warnings"), &report->lines.warning);
    ko_json_put_texts(root, "notes", &report->inputs->notes);
    add_texts(ko_json_get(root, "notes"), &report->lines.note);
    add_texts(ko_json_get(root, "notes"), &report->lines.file);
}

enum ko_code ko_plan_report_json(const struct ko_plan_report *report, FILE *out,
                                 struct ko_error *err)
{
    json_object *root = json_object_new_object();
    if (!root) {
        return ko_fail(err, KO_E_MEMORY, "JSON: out of memory");
    }
    ko_json_put_text(root, "spec", report->inputs->spec->file);
    put_models(root, report);
    json_object *selection = ko_json_put_object(root, "selection");
    ko_json_put_text(selection, "how", ko_text_str(&report->selection));
    ko_json_put_bool(selection, "upper_bound", report->upper_bound);
    put_axes(root, report->plan);
    put_sweeps(root, report);
    put_cost(root, report);
    put_lines(root, report);
    put_prompts(root, report);
    const enum ko_code code = ko_json_print(root, out, err);
    json_object_put(root);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the report of `plan` as text for the terminal. The JSON version is in plan_json.c. */
#include <stdio.h>
#include <string.h>

#include "src/formats/table.h"
#include "src/preview/plan_report.h"
#include "src/run/result_line.h"

enum { SHOWN_MODELS = 4, PROMPT_INDENT = 4 /* as the tokens below it */ };

/* "1.23 TFLOP" */
static const char *flop_human(double flop, char buffer[32])
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};
    size_t k = 0;
    while (flop >= 1000 && k + 1 < sizeof prefix / sizeof prefix[0]) {
        flop /= 1000;
        k++;
    }
    (void)snprintf(buffer, 32, "%.3g %sFLOP", flop, prefix[k]);
    return buffer;
}

/* A label and a list of words, folded. */
static void print_words(struct ko_text *out, const char *label, const struct ko_strings *words,
                        const char *none)
{
    struct ko_text line = {0};
    ko_text_add(&line, "%s", words->n == 0 ? none : "");
    for (size_t k = 0; k < words->n; k++) {
        ko_text_add(&line, "%s%s", k ? ", " : "", words->item[k]);
    }
    ko_label_text(out, label, &line);
}

static void print_numbers(struct ko_text *out, const char *label, const int32_t *values, int32_t n,
                          const char *unit)
{
    struct ko_text line = {0};
    /* A long run is printed by its ends. */
    if (n > 16 && values[n - 1] - values[0] == n - 1) {
        ko_text_add(&line, "%d to %d", values[0], values[n - 1]);
    } else {
        for (int32_t k = 0; k < n; k++) {
            ko_text_add(&line, "%s%d", k ? ", " : "", values[k]);
        }
    }
    ko_text_add(&line, " %s", unit);
    ko_label_text(out, label, &line);
}

static void print_models(const struct ko_plan_report *report, struct ko_text *out)
{
    static const char *const header[] = {"model",      "family",  "layers", "width",
                                         "vocabulary", "weights", "rows"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x7c};
    for (size_t c = 0; c < table.n_columns; c++) {
        ko_table_add(&table, "%s", header[c]);
    }
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_plan_model *model = &report->plan->model[m];
        char text[32];
        ko_table_add(&table, "%s", model->name);
        ko_table_add(&table, "%s", model->architecture);
        ko_table_add(&table, "%d", model->n_layers);
        ko_table_add(&table, "%d", model->d_model);
        ko_table_add(&table, "%d", model->vocabulary);
        ko_table_add(&table, "%s", ko_bytes_human(model->weight_bytes, text));
        ko_table_add(&table, "%d", model->row_budget);
    }
    ko_table_print(&table, 0, out);
    ko_text_add(out, "(weights: in memory; rows: the most token positions that pass a layer at "
                     "once)\n\n");
}

/* The models' prompts, where models differ. */
static void print_prompt_table(const struct ko_plan_report *report, struct ko_text *out)
{
    struct ko_table table = {.n_columns = 3, .right = 0x6};
    char text[32];
    ko_table_add(&table, "model");
    ko_table_add(&table, "runnable");
    ko_table_add(&table, "selected");
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        ko_table_add(&table, "%s", report->plan->model[m].name);
        ko_table_add(&table, "%s", ko_grouped(report->model[m].n_runnable, text));
        ko_table_add(&table, "%s", ko_grouped(report->model[m].n_selected, text));
    }
    ko_table_print(&table, KO_LABEL_WIDTH, out);
}

/* How many prompts there are, and how many of them each model can run and sweeps. */
static void print_prompt_counts(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_plan_model_report *model = report->model;
    const int32_t n = report->plan->n_models;
    bool same = n > 0;
    char a[32], b[32], c[32];
    for (int32_t m = 1; m < n; m++) {
        same = same && model[m].n_runnable == model[0].n_runnable &&
               model[m].n_selected == model[0].n_selected;
    }
    ko_grouped(report->plan->n_facts, a);
    if (same) {
        ko_label_line(out, "prompts", "%s in the file; %s%s runnable, %s selected", a,
                      n > 1 ? "for each model " : "", ko_grouped(model[0].n_runnable, b),
                      ko_grouped(model[0].n_selected, c));
    } else {
        ko_label_line(out, "prompts", "%s in the file", a);
        print_prompt_table(report, out);
    }
}

static void print_skipped(const struct ko_plan_report *report, struct ko_text *out)
{
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        for (int reason = 1; reason < KO_N_REASONS; reason++) {
            const struct ko_plan_model_report *model = &report->model[m];
            const int32_t n = model->n_skipped[reason];
            struct ko_text line = {0};
            char text[32];
            if (n == 0) {
                continue;
            }
            ko_text_add(&line, "%s: %s prompt%s, %s: ", report->plan->model[m].name,
                        ko_grouped(n, text), ko_plural(n),
                        ko_reason_sentence((enum ko_reason)reason));
            for (int32_t k = 0; k < n && k < KO_FIRST_IDS; k++) {
                ko_text_add(&line, "%s%s", k ? ", " : "",
                            report->plan->fact[model->first[reason][k]].id);
            }
            ko_text_add(&line, "%s", n > KO_FIRST_IDS ? ", ..." : "");
            ko_label_text(out, "skipped", &line);
        }
    }
}

/* Prints the layers that windows count, where they are not all. */
static void print_counted(const struct ko_plan *plan, struct ko_text *out)
{
    for (int32_t m = 0; plan->over != KO_OVER_LAYERS && m < plan->n_models; m++) {
        const struct ko_plan_model *model = &plan->model[m];
        const int32_t n = ko_plan_n_counted(model);
        struct ko_text line = {0};
        ko_text_add(&line, "%s: %d of %d layers%s", model->name, n, model->n_layers,
                    model->counted && n > 0 ? ": " : "");
        for (int32_t k = 0; model->counted && k < n; k++) {
            ko_text_add(&line, "%s%d", k > 0 ? ", " : "", model->counted[k]);
        }
        ko_label_text(out, m == 0 ? "counted" : "", &line);
    }
}

/* Styles without sizes have no line for them. */
static void print_windows(const struct ko_plan *plan, struct ko_text *out)
{
    char what[128];
    (void)snprintf(what, sizeof what, "(%s%s)", ko_style_starts[plan->style],
                   plan->over == KO_OVER_LAYERS ? "" : ", among those counted");
    if (plan->style != KO_STYLE_WHOLE) {
        ko_label_line(out, "style", "%s", ko_style_words[plan->style]);
    }
    if (ko_style_has_sizes(plan->style)) {
        print_numbers(out, "sizes", plan->size, plan->n_sizes, ko_over_what[plan->over]);
    }
    print_numbers(out, "starts", plan->start, plan->n_starts, what);
    print_counted(plan, out);
}

static void print_axes(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_plan *plan = report->plan;
    struct ko_strings routes = {0}, heat = {0}, features = {0};
    bool failed = false;
    for (int32_t r = 0; r < plan->n_routes; r++) {
        failed |= ko_strings_add(plan->route[r].heat ? &heat : &routes, plan->route[r].route.label,
                                 NULL) != KO_OK;
    }
    for (int32_t f = 0; f < plan->n_classes; f++) {
        char label[64];
        ko_feature_class_label(&plan->class[f], label);
        failed |= ko_strings_add(&features, label, NULL) != KO_OK;
    }
    print_words(out, "routes", &routes, "none");
    if (heat.n > 0) {
        print_words(out, "heat routes", &heat, "");
        ko_label_line(out, "", "one source position at a time, up to %d, in %d prompt%s",
                      plan->n_source_positions, plan->n_heat_prompts,
                      ko_plural(plan->n_heat_prompts));
    }
    print_words(out, "classes", &features, "none");
    print_windows(plan, out);
    out->failed = out->failed || failed;
    ko_strings_free(&routes);
    ko_strings_free(&heat);
    ko_strings_free(&features);
}

/* "31 ms" or "2.5 s" */
static const char *short_seconds(double seconds, char text[32])
{
    const bool whole = seconds >= 1;
    snprintf(text, 32, "%.3g %s", whole ? seconds : 1e3 * seconds, whole ? "s" : "ms");
    return text;
}

static void print_memory(const struct ko_plan_report *report, struct ko_text *out)
{
    char a[32], b[32], c[32], d[32], e[32];
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_device_memory *device = &report->model[m].device;
        if (device->context <= 0) {
            continue;
        }
        ko_label_line(out, m == 0 ? "memory" : "",
                      "%s: %s of a GPU with waves of %s rows (matrices %s, rows %s, operations %s)",
                      report->plan->model[m].name,
                      ko_bytes_human(ko_device_memory_total(device), a),
                      ko_grouped(report->model[m].n_rows, b), ko_bytes_human(device->matrices, c),
                      ko_bytes_human(device->rows, d), ko_bytes_human(device->reserved, e));
    }
    if (report->plan->n_models > 0 && report->model[0].device.context > 0) {
        return;
    }
    ko_label_line(out, "memory", "%s a worker at its peak",
                  ko_bytes_human(report->cost.peak_bytes, a));
}

/* The models whose weights stream, and whether a wave hides their way. */
static void print_streams(const struct ko_plan_report *report, struct ko_text *out)
{
    char a[32], b[32], c[32];
    bool any = false;
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_plan_model_report *model = &report->model[m];
        const double seconds = model->streamed_bytes / report->time.stream_rate;
        if (!model->streams) {
            continue;
        }
        ko_label_line(out, any ? "" : "weights",
                      "%s: stream, %s a wave in %s (%.3g GB/s); the largest computes %s%s",
                      report->plan->model[m].name, ko_bytes_human(model->streamed_bytes, a),
                      short_seconds(seconds, b), report->time.stream_rate / 1e9,
                      short_seconds(model->wave_seconds, c),
                      seconds > model->wave_seconds ? ": more rows (--row-budget) would hide it"
                                                    : "");
        any = true;
    }
}

/* The time of the run's own evaluation, which includes models that the run does not sweep. */
static void print_evaluation(const struct ko_plan_report *report, struct ko_text *out)
{
    const int n_swept = report->plan->n_models, n = (int)report->inputs->spec->n_models;
    struct ko_text line = {0};
    char a[32], b[32];
    ko_text_add(&line, "evaluation %s", ko_seconds_human(report->time.evaluation.seconds, a));
    if (n > n_swept) {
        ko_text_add(&line, " for %d of the %d models that the spec declares: the run evaluates all",
                    n_swept, n);
    }
    ko_text_add(&line, ", sweep %s", ko_seconds_human(report->time.sweep.seconds, b));
    ko_label_text(out, "", &line);
}

/* Prints where the rate was measured, how much it varied, and which workers it describes. */
static void print_machine(const struct ko_plan_time *time, struct ko_text *out)
{
    const double slower = 100 * (1 - time->rounds.median / time->rounds.fastest);
    struct ko_text line = {0};
    ko_text_add(&line, "measured on this machine%s%s%s (%s), ", time->host[0] ? ", '" : "",
                time->host, time->host[0] ? "'" : "", time->device);
    if (time->rounds.n == 1) {
        ko_text_add(&line, "in one round: other work is running here");
    } else {
        ko_text_add(&line, "the best of %d rounds; the middle one was %.0f %% slower%s",
                    time->rounds.n, slower, slower > 30 ? ": other work may be running here" : "");
    }
    ko_label_text(out, "", &line);
    if (time->settings.n_workers > 1) {
        ko_label_line(out, "", "each worker with %d thread%s on its own processors", time->threads,
                      ko_plural(time->threads));
    }
}

static void print_time(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_plan_time *time = &report->time;
    const int n = time->settings.n_workers;
    char a[32], b[32];
    ko_label_line(out, "time", "about %s with %d worker%s of %s/s%s%s",
                  ko_seconds_human(time->seconds, a), n, ko_plural(n), flop_human(time->flops, b),
                  n == 1 ? "" : " each", time->products_only ? " in matrix products" : "");
    if (time->rounds.n > 0) {
        print_machine(time, out);
    } else {
        ko_label_line(out, "", "(%s; %s)", time->device, time->source);
    }
    if (time->evaluates) {
        print_evaluation(report, out);
    }
    if (time->products_only) {
        ko_label_line(out, "", "scans and attention take extra time");
    }
    ko_label_line(out, "", "efficiency %.0f %%, waiting for weights %.1f %%, commit rounds %.1f %%",
                  100 * time->efficiency,
                  100 * (time->sweep.load_seconds + time->evaluation.load_seconds) / time->seconds,
                  100 * time->commit_share);
}

/* Prints the spec's sweeps, if there are several. */
static void print_sweeps(const struct ko_plan_report *report, struct ko_text *out)
{
    static const char *const header[] = {"sweep", "models",        "prompts",
                                         "cells", "heatmap cells", "new"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x3e};
    if (report->plan->n_blocks < 2) {
        return;
    }
    for (size_t c = 0; c < table.n_columns; c++) {
        ko_table_add(&table, "%s", header[c]);
    }
    for (int32_t b = 0; b < report->plan->n_blocks; b++) {
        const struct ko_sweep_cells *sweep = &report->sweep[b];
        const char *name = report->inputs->spec->block[b].name;
        char text[32];
        if (name) {
            ko_table_add(&table, "%s", name);
        } else {
            ko_table_add(&table, "%d", b + 1);
        }
        ko_table_add(&table, "%d", sweep->n_models);
        ko_table_add(&table, "%s", ko_grouped(sweep->n_prompts, text));
        ko_table_add(&table, "%s", ko_grouped(sweep->n_mean, text));
        ko_table_add(&table, "%s", ko_grouped(sweep->n_heat, text));
        ko_table_add(&table, "%s", ko_grouped(sweep->new_mean + sweep->new_heat, text));
    }
    ko_table_print(&table, 0, out);
    ko_text_add(out, "(planned cells; new: cells that no sweep above has)\n\n");
}

/* Cells that do the same share a branch, and a cell that is the clean run needs none. */
static void print_branches(const struct ko_cost *cost, struct ko_text *out)
{
    char a[32], b[32];
    ko_label_line(out, "branches", "%s, of %s of these rows (the others are clean runs)",
                  ko_grouped(cost->n_branches, a), ko_grouped(cost->n_branch_rows, b));
    if (cost->n_part_branches > 0) {
        ko_label_line(out, "", "components and heads: %s branches, of %s rows",
                      ko_grouped(cost->n_part_branches, a), ko_grouped(cost->n_part_rows, b));
    }
}

/* Prints how many cells of each model are vacuous, where some are and there are several models. */
static void print_vacuous(const struct ko_plan_report *report, struct ko_text *out)
{
    char a[32], b[32];
    for (int32_t m = 0; report->plan->n_models > 1 && m < report->plan->n_models; m++) {
        const struct ko_plan_model_report *model = &report->model[m];
        if (model->n_vacuous > 0) {
            ko_label_line(out, "", "%s: %s of %s vacuous", report->plan->model[m].name,
                          ko_grouped(model->n_vacuous, a), ko_grouped(model->n_planned, b));
        }
    }
}

static void print_cells(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_cost *cost = &report->cost;
    char a[32], b[32], c[32];
    ko_grouped(report->n_mean + report->n_heat, a);
    ko_grouped(report->n_vacuous, b);
    ko_grouped(cost->n_cells, c);
    const char *const bound = report->upper_bound ? " (upper bound)" : "";
    if (report->n_heat == 0) {
        ko_label_line(out, "cells", "%s planned, %s vacuous, %s computed%s", a, b, c, bound);
    } else {
        char mean[32], heat[32];
        ko_label_line(out, "cells", "%s planned: %s on routes, %s in heatmaps", a,
                      ko_grouped(report->n_mean, mean), ko_grouped(report->n_heat, heat));
        ko_label_line(out, "", "%s vacuous, %s computed%s", b, c, bound);
    }
    print_vacuous(report, out);
    ko_label_line(out, "batches", "%s, of %s rows (a row: a token of a prompt or cell)",
                  ko_grouped(cost->n_batches, a), ko_grouped(cost->n_rows, b));
    print_branches(cost, out);
    ko_label_line(out, "work", "%s of products, 1/%.3g of the %s of separate passes",
                  flop_human(cost->flop, a), cost->separate_flop / cost->flop,
                  flop_human(cost->separate_flop, b));
    print_memory(report, out);
    print_streams(report, out);
    ko_label_line(out, "cube", "%s", ko_bytes_human(cost->cube_bytes, a));
    print_time(report, out);
}

static void print_prompt(const struct ko_plan_report *report,
                         const struct ko_plan_prompt_report *shown, bool color, struct ko_text *out)
{
    const struct ko_plan_fact *fact = &report->plan->fact[shown->fact];
    const struct ko_prompt *prompt = ko_plan_prompt(report->plan, shown->first_model, shown->fact);
    const size_t n = shown->models.n;
    struct ko_text line = {0};
    ko_text_add(&line, "prompt %s, as ", fact->id);
    for (size_t k = 0; k < n && k < SHOWN_MODELS; k++) {
        ko_text_add(&line, "%s%s", k ? ", " : "", shown->models.item[k]);
    }
    if (n > SHOWN_MODELS) {
        ko_text_add(&line, " and %zu more", n - SHOWN_MODELS);
    }
    ko_text_add(&line, n == 1 ? " reads it: " : " read it: ");
    ko_text_add(&line, "%d tokens", prompt->n_tokens);
    if (prompt->n_appended > 0) {
        ko_text_add(&line, " (the last %d of the answer, white space)", prompt->n_appended);
    }
    ko_text_add(&line, ", answer %s (id %d", shown->answer, prompt->target);
    for (int32_t k = 1; k < ko_prompt_n_scored(prompt); k++) {
        ko_text_add(&line, " %d", ko_prompt_scored(prompt, k));
    }
    ko_text_add(&line, ")");
    ko_text_add(out, "\n");
    ko_fold_text(out, PROMPT_INDENT, &line);
    ko_token_grid_print(&shown->grid, color, KO_SCREEN_WIDTH, out);
}

/* Prints warnings and notes after an empty line. */
static void print_lines(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct {
        const char *label;
        const struct ko_strings *line;
    } kind[] = {{"warning", report->warnings},
                {"warning", &report->lines.warning},
                {"note", &report->lines.note},
                {"note", &report->lines.file}};
    bool any = false;
    for (size_t k = 0; k < sizeof kind / sizeof kind[0]; k++) {
        for (size_t i = 0; i < kind[k].line->n; i++) {
            ko_text_add(out, any ? "" : "\n");
            ko_label_line(out, kind[k].label, "%s", kind[k].line->item[i]);
            any = true;
        }
    }
}

void ko_plan_report_print(const struct ko_plan_report *report, bool color, struct ko_text *out)
{
    ko_text_add(out, "%s\n\n", report->inputs->spec->file);
    print_models(report, out);
    print_prompt_counts(report, out);
    print_skipped(report, out);
    ko_label_line(out, "selection", "%s", ko_text_str(&report->selection));
    for (size_t k = 0; k < report->inputs->notes.n; k++) {
        ko_label_line(out, "note", "%s", report->inputs->notes.item[k]);
    }
    print_axes(report, out);
    ko_text_add(out, "\n");
    print_sweeps(report, out);
    print_cells(report, out);
    print_lines(report, out);
    for (int32_t k = 0; k < report->n_prompts; k++) {
        print_prompt(report, &report->prompt[k], color, out);
    }
}

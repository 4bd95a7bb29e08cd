/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the report of `plan` as text for the terminal. The JSON version is in plan_json.c. */
#include <stdio.h>
#include <string.h>

#include "src/formats/table.h"
#include "src/preview/plan_report.h"
#include "src/run/result_line.h"

enum { LABEL_WIDTH = 12, SHOWN_MODELS = 4 };

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

static void begin_label(struct ko_text *out, const char *label)
{
    ko_pad(out, label, LABEL_WIDTH, false);
}

/* Prints a label and a list of words, folded. */
static void print_words(struct ko_text *out, const char *label, const struct ko_strings *words,
                        const char *none)
{
    size_t used = LABEL_WIDTH;
    begin_label(out, label);
    for (size_t k = 0; k < words->n; k++) {
        const size_t width = ko_display_width(words->item[k]) + 2;
        if (k > 0 && used + width > KO_SCREEN_WIDTH) {
            ko_text_add(out, "\n%*s", LABEL_WIDTH, "");
            used = LABEL_WIDTH;
        }
        ko_text_add(out, "%s%s%s", k > 0 && used > LABEL_WIDTH ? " " : "", words->item[k],
                    k + 1 < words->n ? "," : "");
        used += width;
    }
    ko_text_add(out, "%s\n", words->n == 0 ? none : "");
}

/* Prints a label and a sentence, folded. */
static void print_sentence(struct ko_text *out, const char *label, const char *text)
{
    size_t used = LABEL_WIDTH;
    begin_label(out, label);
    while (*text) {
        const size_t n = strcspn(text, " ");
        if (used > LABEL_WIDTH && used + 1 + n > KO_SCREEN_WIDTH) {
            ko_text_add(out, "\n%*s", LABEL_WIDTH, "");
            used = LABEL_WIDTH;
        }
        ko_text_add(out, "%s%.*s", used > LABEL_WIDTH ? " " : "", (int)n, text);
        used += n + (used > LABEL_WIDTH);
        text += n + strspn(text + n, " ");
    }
    ko_text_add(out, "\n");
}

static void print_numbers(struct ko_text *out, const char *label, const int32_t *values, int32_t n,
                          const char *unit)
{
    begin_label(out, label);
    /* A long run is printed by its ends. */
    if (n > 16 && values[n - 1] - values[0] == n - 1) {
        ko_text_add(out, "%d to %d", values[0], values[n - 1]);
    } else {
        for (int32_t k = 0; k < n; k++) {
            ko_text_add(out, "%s%d", k ? ", " : "", values[k]);
        }
    }
    ko_text_add(out, " %s\n", unit);
}

static void print_models(const struct ko_plan_report *report, struct ko_text *out)
{
    static const char *const header[] = {"model",   "family", "layers",  "width",    "vocabulary",
                                         "weights", "rows",   "in file", "runnable", "selected"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x3fc};
    for (size_t c = 0; c < table.n_columns; c++) {
        ko_table_add(&table, "%s", header[c]);
    }
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        const struct ko_plan_model *model = &report->plan->model[m];
        const struct ko_plan_model_report *counts = &report->model[m];
        char text[32];
        ko_table_add(&table, "%s", model->name);
        ko_table_add(&table, "%s", model->architecture);
        ko_table_add(&table, "%d", model->n_layers);
        ko_table_add(&table, "%d", model->d_model);
        ko_table_add(&table, "%d", model->vocabulary);
        ko_table_add(&table, "%s", ko_bytes_human(model->weight_bytes, text));
        ko_table_add(&table, "%d", model->row_budget);
        ko_table_add(&table, "%s", ko_grouped(report->plan->n_facts, text));
        ko_table_add(&table, "%s", ko_grouped(counts->n_runnable, text));
        ko_table_add(&table, "%s", ko_grouped(counts->n_selected, text));
    }
    ko_table_print(&table, 0, out);
    ko_text_add(out,
                "(weights: in memory; rows: the most token positions that pass a layer at once;\n"
                "in file, runnable, selected: prompts)\n\n");
}

static void print_skipped(const struct ko_plan_report *report, struct ko_text *out)
{
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        for (int reason = 1; reason < KO_N_REASONS; reason++) {
            const struct ko_plan_model_report *model = &report->model[m];
            const int32_t n = model->n_skipped[reason];
            char text[32];
            if (n == 0) {
                continue;
            }
            begin_label(out, "skipped");
            ko_text_add(out, "%s: %s prompt%s, %s: ", report->plan->model[m].name,
                        ko_grouped(n, text), ko_plural(n),
                        ko_reason_sentence((enum ko_reason)reason));
            for (int32_t k = 0; k < n && k < KO_FIRST_IDS; k++) {
                ko_text_add(out, "%s%s", k ? ", " : "",
                            report->plan->fact[model->first[reason][k]].id);
            }
            ko_text_add(out, "%s\n", n > KO_FIRST_IDS ? ", ..." : "");
        }
    }
}

/* Prints the layers that windows count, where they are not all. */
static void print_counted(const struct ko_plan *plan, struct ko_text *out)
{
    for (int32_t m = 0; plan->over != KO_OVER_LAYERS && m < plan->n_models; m++) {
        const struct ko_plan_model *model = &plan->model[m];
        const int32_t n = ko_plan_n_counted(model);
        begin_label(out, m == 0 ? "counted" : "");
        ko_text_add(out, "%s: %d of %d layers%s", model->name, n, model->n_layers,
                    model->counted && n > 0 ? ": " : "");
        for (int32_t k = 0; model->counted && k < n; k++) {
            ko_text_add(out, "%s%d", k > 0 ? ", " : "", model->counted[k]);
        }
        ko_text_add(out, "\n");
    }
}

/* Styles without sizes have no line for them. */
static void print_windows(const struct ko_plan *plan, struct ko_text *out)
{
    char what[128];
    (void)snprintf(what, sizeof what, "(%s%s)", ko_style_starts[plan->style],
                   plan->over == KO_OVER_LAYERS ? "" : ", among those counted");
    if (plan->style != KO_STYLE_WHOLE) {
        begin_label(out, "style");
        ko_text_add(out, "%s\n", ko_style_words[plan->style]);
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
        begin_label(out, "");
        ko_text_add(out, "one source position at a time, up to %d, in %d prompt%s\n",
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
        begin_label(out, m == 0 ? "memory" : "");
        ko_text_add(out,
                    "%s: %s of a GPU with waves of %s rows (matrices %s, rows %s, operations %s)\n",
                    report->plan->model[m].name, ko_bytes_human(ko_device_memory_total(device), a),
                    ko_grouped(report->model[m].n_rows, b), ko_bytes_human(device->matrices, c),
                    ko_bytes_human(device->rows, d), ko_bytes_human(device->reserved, e));
    }
    if (report->plan->n_models > 0 && report->model[0].device.context > 0) {
        return;
    }
    begin_label(out, "memory");
    ko_text_add(out, "%s a worker at its peak\n", ko_bytes_human(report->cost.peak_bytes, a));
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
        begin_label(out, any ? "" : "weights");
        any = true;
        ko_text_add(out, "%s: stream, %s a wave in %s (%.3g GB/s); the largest computes %s%s\n",
                    report->plan->model[m].name, ko_bytes_human(model->streamed_bytes, a),
                    short_seconds(seconds, b), report->time.stream_rate / 1e9,
                    short_seconds(model->wave_seconds, c),
                    seconds > model->wave_seconds ? ": more rows (--row-budget) would hide it"
                                                  : "");
    }
}

/* The time of the run's own evaluation, which includes models that the run does not sweep. */
static void print_evaluation(const struct ko_plan_report *report, struct ko_text *out)
{
    const int n_swept = report->plan->n_models, n = (int)report->inputs->spec->n_models;
    char a[32], b[32];
    ko_text_add(out, "\n%*sevaluation %s", LABEL_WIDTH, "",
                ko_seconds_human(report->time.evaluation.seconds, a));
    if (n > n_swept) {
        ko_text_add(out, " for %d of the %d models that the spec declares: the run evaluates all",
                    n_swept, n);
    }
    ko_text_add(out, ", sweep %s", ko_seconds_human(report->time.sweep.seconds, b));
}

/* Prints where the rate was measured, how much it varied, and which workers it describes. */
static void print_machine(const struct ko_plan_time *time, struct ko_text *out)
{
    const int n = time->threads;
    const double slower = 100 * (1 - time->rounds.median / time->rounds.fastest);
    ko_text_add(out, "\n%*smeasured on this machine%s%s%s (%s)", LABEL_WIDTH, "",
                time->host[0] ? ", '" : "", time->host, time->host[0] ? "'" : "", time->device);
    if (time->rounds.n == 1) {
        ko_text_add(out, ",\n%*sin one round: other work is running here", LABEL_WIDTH, "");
    } else {
        ko_text_add(out, ",\n%*sthe best of %d rounds; the middle one was %.0f %% slower%s",
                    LABEL_WIDTH, "", time->rounds.n, slower, slower > 30 ? ":" : "");
        if (slower > 30) {
            ko_text_add(out, "\n%*sother work may be running here", LABEL_WIDTH, "");
        }
    }
    if (time->settings.n_workers > 1) {
        ko_text_add(out, "\n%*seach worker with %d thread%s on its own processors", LABEL_WIDTH, "",
                    n, ko_plural(n));
    }
}

static void print_time(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_plan_time *time = &report->time;
    const int n = time->settings.n_workers;
    char a[32], b[32];
    begin_label(out, "time");
    ko_text_add(out, "about %s with %d worker%s of %s/s%s%s", ko_seconds_human(time->seconds, a), n,
                ko_plural(n), flop_human(time->flops, b), n == 1 ? "" : " each",
                time->products_only ? " in matrix products" : "");
    if (time->rounds.n > 0) {
        print_machine(time, out);
    } else {
        ko_text_add(out, "\n%*s(%s; %s)", LABEL_WIDTH, "", time->device, time->source);
    }
    if (time->evaluates) {
        print_evaluation(report, out);
    }
    if (time->products_only) {
        ko_text_add(out, "\n%*sscans and attention take extra time", LABEL_WIDTH, "");
    }
    ko_text_add(out,
                "\n%*sefficiency %.0f %%, waiting for weights %.1f %%, commit rounds %.1f %%\n",
                LABEL_WIDTH, "", 100 * time->efficiency,
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
    begin_label(out, "branches");
    ko_text_add(out, "%s, of %s of these rows (the others are clean runs)\n",
                ko_grouped(cost->n_branches, a), ko_grouped(cost->n_branch_rows, b));
    if (cost->n_part_branches > 0) {
        ko_text_add(out, "%*scomponents and heads: %s branches, of %s rows\n", LABEL_WIDTH, "",
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
            begin_label(out, "");
            ko_text_add(out, "%s: %s of %s vacuous\n", report->plan->model[m].name,
                        ko_grouped(model->n_vacuous, a), ko_grouped(model->n_planned, b));
        }
    }
}

static void print_cells(const struct ko_plan_report *report, struct ko_text *out)
{
    const struct ko_cost *cost = &report->cost;
    char a[32], b[32], c[32];
    begin_label(out, "cells");
    if (report->n_heat == 0) {
        ko_text_add(out, "%s planned", ko_grouped(report->n_mean, a));
    } else {
        ko_text_add(out, "%s planned: %s on routes, %s in heatmaps",
                    ko_grouped(report->n_mean + report->n_heat, a), ko_grouped(report->n_mean, b),
                    ko_grouped(report->n_heat, c));
    }
    if (report->n_heat > 0) {
        ko_text_add(out, "\n%*s", LABEL_WIDTH, "");
    }
    ko_text_add(out, "%s%s vacuous, %s computed%s\n", report->n_heat > 0 ? "" : ", ",
                ko_grouped(report->n_vacuous, a), ko_grouped(cost->n_cells, b),
                report->upper_bound ? " (upper bound)" : "");
    print_vacuous(report, out);
    begin_label(out, "batches");
    ko_text_add(out, "%s, of %s rows in all (a row: a token position of a prompt or cell)\n",
                ko_grouped(cost->n_batches, a), ko_grouped(cost->n_rows, b));
    print_branches(cost, out);
    begin_label(out, "work");
    ko_text_add(out, "%s of products, 1/%.3g of the %s of separate passes\n",
                flop_human(cost->flop, a), cost->separate_flop / cost->flop,
                flop_human(cost->separate_flop, b));
    print_memory(report, out);
    print_streams(report, out);
    begin_label(out, "cube");
    ko_text_add(out, "%s\n", ko_bytes_human(cost->cube_bytes, a));
    print_time(report, out);
}

static void print_prompt(const struct ko_plan_report *report,
                         const struct ko_plan_prompt_report *shown, bool color, struct ko_text *out)
{
    const struct ko_plan_fact *fact = &report->plan->fact[shown->fact];
    const struct ko_prompt *prompt = ko_plan_prompt(report->plan, shown->first_model, shown->fact);
    const size_t n = shown->models.n;
    ko_text_add(out, "\nprompt %s, as ", fact->id);
    for (size_t k = 0; k < n && k < SHOWN_MODELS; k++) {
        ko_text_add(out, "%s%s", k ? ", " : "", shown->models.item[k]);
    }
    if (n > SHOWN_MODELS) {
        ko_text_add(out, " and %zu more", n - SHOWN_MODELS);
    }
    ko_text_add(out, n == 1 ? " reads it: " : " read it: ");
    ko_text_add(out, "%d tokens", prompt->n_tokens);
    if (prompt->n_appended > 0) {
        ko_text_add(out, " (the last %d of the answer, white space)", prompt->n_appended);
    }
    ko_text_add(out, ", answer %s (id %d", shown->answer, prompt->target);
    for (int32_t k = 1; k < ko_prompt_n_scored(prompt); k++) {
        ko_text_add(out, " %d", ko_prompt_scored(prompt, k));
    }
    ko_text_add(out, ")\n");
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
            print_sentence(out, kind[k].label, kind[k].line->item[i]);
            any = true;
        }
    }
}

void ko_plan_report_print(const struct ko_plan_report *report, bool color, struct ko_text *out)
{
    ko_text_add(out, "%s\n\n", report->inputs->spec->file);
    print_models(report, out);
    print_skipped(report, out);
    print_sentence(out, "selection", ko_text_str(&report->selection));
    for (size_t k = 0; k < report->inputs->notes.n; k++) {
        print_sentence(out, "note", report->inputs->notes.item[k]);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* The command `status`: prints how many cells of a cube are done, pending or failed, and the
   progress of a run that is going on. */
#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/file.h"
#include "src/cli/cli.h"
#include "src/cube/merge/copy.h"
#include "src/formats/json_out.h"
#include "src/formats/table.h"
#include "src/run/output.h"
#include "src/status/cell_counts.h"
#include "src/status/failure_list.h"
#include "src/status/live.h"

struct report {
    const char *path;
    const struct ko_cube_axes *axes;
    bool evaluation;
    const char *copy; /* the note in a copy of an incomplete cube; else NULL; borrowed */
    struct ko_cube_counts counts;
    struct ko_failure_list failures;
    struct ko_live live;
};

static const char *row_name(const struct report *report, int32_t row)
{
    if (report->evaluation) {
        return "clean run";
    }
    const size_t r = (size_t)row, n = report->axes->route.n;
    return r < n ? report->axes->route.item[r] : report->axes->heat_route.item[r - n];
}

static const char *state_of(const struct ko_cell_counts *counts)
{
    const int status = ko_cell_counts_status(counts);
    return status == 0                  ? "complete"
           : status == KO_EXIT_FAILURES ? "complete with failures"
                                        : "incomplete";
}

/* The counts of a model over all routes. */
static struct ko_cell_counts of_model(const struct ko_cube_counts *counts, int32_t model)
{
    struct ko_cell_counts sum = {0};
    for (int32_t r = 0; r < counts->n_rows; r++) {
        const struct ko_cell_counts *row = &counts->count[model * counts->n_rows + r];
        sum.done += row->done;
        sum.vacuous += row->vacuous;
        sum.failed += row->failed;
        sum.pending += row->pending;
        sum.valueless += row->valueless;
    }
    return sum;
}

/* The percentage of cells that are done or vacuous. 100 if there are no cells. */
static double percent_complete(const struct ko_cell_counts *counts)
{
    const int64_t have = counts->done + counts->vacuous;
    const int64_t all = have + counts->failed + counts->pending + counts->valueless;
    return all > 0 ? 100.0 * (double)have / (double)all : 100.0;
}

/* If cells are missing or a run is active: the progress of each model, and of the run. */
static void add_progress(const struct report *report, struct ko_text *text)
{
    const struct ko_cube_counts *counts = &report->counts;
    if (ko_cell_counts_status(&counts->total) == 0 && !report->live.under_way) {
        return;
    }
    struct ko_table table = {.n_columns = 2, .right = 0x2};
    ko_table_add(&table, "model");
    ko_table_add(&table, "complete");
    for (int32_t m = 0; m < counts->n_models; m++) {
        const struct ko_cell_counts sum = of_model(counts, m);
        ko_table_add(&table, "%s", report->axes->model.item[m]);
        ko_table_add(&table, "%.1f %%", percent_complete(&sum));
    }
    ko_text_add(text, "\n");
    ko_table_print(&table, 0, text);
    ko_text_add(text, "\n");
    if (report->copy) {
        ko_text_add(text, "%s\n", report->copy);
    } else {
        ko_live_print(&report->live, text);
    }
}

static int64_t n_cells(const struct ko_cell_counts *counts)
{
    return counts->done + counts->vacuous + counts->failed + counts->pending + counts->valueless;
}

/* valueless: whether the table has a column for done cells without a value. */
static void add_counts(struct ko_table *table, const struct ko_cell_counts *counts, bool valueless)
{
    char text[32];
    ko_table_add(table, "%s", ko_grouped(counts->done, text));
    ko_table_add(table, "%s", ko_grouped(counts->vacuous, text));
    ko_table_add(table, "%s", ko_grouped(counts->failed, text));
    ko_table_add(table, "%s", ko_grouped(counts->pending, text));
    if (valueless) {
        ko_table_add(table, "%s", ko_grouped(counts->valueless, text));
    }
    ko_table_add(table, "%s", ko_grouped(n_cells(counts), text));
}

static void add_valueless(const struct report *report, struct ko_text *text)
{
    const int64_t n = report->counts.total.valueless;
    struct ko_text line = {0};
    char number[32];
    if (n > 0) {
        ko_text_add(&line,
                    "%s cell%s flagged done and %s no value, as in a copy that was made while a "
                    "run wrote the cube; --resume computes %s again",
                    ko_grouped(n, number), n == 1 ? " is" : "s are", n == 1 ? "has" : "have",
                    n == 1 ? "it" : "them");
        ko_text_add(text, "\n");
        ko_fold_text(text, 0, &line);
    }
}

static void add_table(const struct report *report, struct ko_text *text)
{
    static const char *const header[] = {"model",  "route",   "done",     "vacuous",
                                         "failed", "pending", "no value", "cells"};
    const struct ko_cube_counts *counts = &report->counts;
    const bool valueless = counts->total.valueless > 0;
    struct ko_table table = {.n_columns = valueless ? 8 : 7, .right = valueless ? 0xfc : 0x7c};
    for (size_t c = 0; c < sizeof header / sizeof header[0]; c++) {
        if (valueless || c != 6) {
            ko_table_add(&table, "%s", header[c]);
        }
    }
    for (int32_t m = 0; m < counts->n_models; m++) {
        for (int32_t r = 0; r < counts->n_rows; r++) {
            const struct ko_cell_counts *count = &counts->count[m * counts->n_rows + r];
            if (n_cells(count) == 0 && counts->n_rows > 1) {
                continue; /* the model has no such component or class */
            }
            ko_table_add(&table, "%s", report->axes->model.item[m]);
            ko_table_add(&table, "%s", row_name(report, r));
            add_counts(&table, count, valueless);
        }
    }
    ko_table_add(&table, "total");
    ko_table_add(&table, "%s", "");
    add_counts(&table, &counts->total, valueless);
    ko_table_print(&table, 0, text);
}

static enum ko_code print_text(const struct report *report, FILE *out, struct ko_error *err)
{
    const struct ko_cube_counts *counts = &report->counts;
    struct ko_text text = {0};
    ko_text_add(&text, "%s: %s, %s\n\n", report->path, report->evaluation ? "evaluation" : "sweep",
                state_of(&counts->total));
    add_table(report, &text);
    add_valueless(report, &text);
    for (int32_t m = 0; m < counts->n_models; m++) {
        char number[32];
        if (counts->n_skipped[m] > 0) {
            ko_text_add(&text, "%s: %s prompts cannot be run and are skipped\n",
                        report->axes->model.item[m], ko_grouped(counts->n_skipped[m], number));
        }
    }
    ko_failure_list_print(&report->failures, report->axes, &text);
    add_progress(report, &text);
    const enum ko_code code = ko_text_check(&text, err);
    if (code == KO_OK) {
        fputs(ko_text_str(&text), out);
    }
    ko_text_free(&text);
    return code;
}

static void put_counts(json_object *object, const struct ko_cell_counts *counts)
{
    ko_json_put_int(object, "done", counts->done);
    ko_json_put_int(object, "vacuous", counts->vacuous);
    ko_json_put_int(object, "failed", counts->failed);
    ko_json_put_int(object, "pending", counts->pending);
    ko_json_put_int(object, "without_value", counts->valueless);
    ko_json_put_int(object, "cells", n_cells(counts));
}

static enum ko_code print_json(const struct report *report, FILE *out, struct ko_error *err)
{
    const struct ko_cube_counts *counts = &report->counts;
    json_object *root = json_object_new_object();
    ko_json_put_text(root, "cube", report->path);
    ko_json_put_text(root, "kind", report->evaluation ? "evaluation" : "sweep");
    ko_json_put_text(root, "state", state_of(&counts->total));
    json_object *rows = ko_json_put_list(root, "rows");
    for (int32_t m = 0; m < counts->n_models; m++) {
        for (int32_t r = 0; r < counts->n_rows; r++) {
            json_object *row = ko_json_add_object(rows);
            ko_json_put_text(row, "model", report->axes->model.item[m]);
            if (!report->evaluation) {
                ko_json_put_text(row, "route", row_name(report, r));
                ko_json_put_bool(row, "heat", (size_t)r >= report->axes->route.n);
            } else {
                ko_json_put_int(row, "skipped", counts->n_skipped[m]);
            }
            put_counts(row, &counts->count[m * counts->n_rows + r]);
        }
    }
    json_object *models = ko_json_put_list(root, "models");
    for (int32_t m = 0; m < counts->n_models; m++) {
        const struct ko_cell_counts sum = of_model(counts, m);
        json_object *model = ko_json_add_object(models);
        ko_json_put_text(model, "model", report->axes->model.item[m]);
        put_counts(model, &sum);
        ko_json_put_number(model, "complete", percent_complete(&sum) / 100);
    }
    ko_json_put_bool(root, "incomplete_copy", report->copy != NULL);
    put_counts(ko_json_put_object(root, "total"), &counts->total);
    ko_failure_list_json(&report->failures, report->axes, root);
    ko_live_json(&report->live, root);
    const enum ko_code code = ko_json_print(root, out, err);
    json_object_put(root);
    return code;
}

static enum ko_code report_on(struct report *report, struct ko_cli *cli, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_look(report->path, &view, err);
    if (code == KO_OK) {
        report->axes = ko_cube_view_axes(view);
        report->evaluation = ko_cube_view_is_evaluation(view);
        report->copy = ko_cube_view_attribute(view, KO_CUBE_INCOMPLETE);
        if (!report->copy) { /* the run table of a copy describes the original cube */
            code = ko_live_read(view, ko_wall_clock(), &report->live, err);
        }
    }
    if (code == KO_OK) {
        code = ko_cube_count(view, &report->counts, err);
    }
    if (code == KO_OK) {
        code = ko_failure_list_read(view, &report->failures, err);
    }
    if (code == KO_OK) {
        code = ko_option_flag(cli->options, KO_OPT_JSON) ? print_json(report, cli->out, err)
                                                         : print_text(report, cli->out, err);
    }
    ko_cube_view_close(view);
    return code;
}

enum ko_code ko_command_status(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct report report = {.path = cli->options->arguments.item[0]};
    char *path = ko_path_follow(report.path, err);
    char *evaluation = path ? ko_output_evaluation(path, err) : NULL;
    free(path);
    if (!evaluation) {
        return err->code;
    }
    /* A run creates the cube once its evaluation is complete. */
    const bool early = !ko_file_exists(report.path) && ko_file_exists(evaluation);
    if (early) {
        report.path = evaluation;
    }
    const enum ko_code code = report_on(&report, cli, err);
    if (code == KO_OK) {
        *status = ko_cell_counts_status(&report.counts.total);
        if (early) {
            *status = KO_EXIT_INCOMPLETE;
        }
    }
    ko_failure_list_free(&report.failures);
    ko_cube_counts_free(&report.counts);
    free(evaluation);
    return code;
}

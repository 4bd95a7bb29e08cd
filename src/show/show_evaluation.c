/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates two figures for each model from its clean runs: the share of correct answers and the
   mean log-probability. Prints them as a table or CSV. */
#include "src/show/show_evaluation.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/formats/csv_stream.h"
#include "src/formats/table.h"
#include "src/show/curves_print.h"

struct accuracy {
    struct ko_estimate hit;     /* percent */
    struct ko_estimate logprob; /* nats */
};

/* The clean runs of one model; borrowed. */
struct clean_runs {
    const float *logprob; /* [n] */
    const int32_t *rank;  /* [n] */
    size_t n;
};

/* With several right answers or options a prompt is a hit where a right one is given: its rank is then
   1. */
static enum ko_code rank_choices(struct ko_cube_view *view, size_t n, int32_t *rank,
                                 struct ko_error *err)
{
    size_t n_options = 0;
    enum ko_code code =
        ko_multiply(n, (size_t)ko_cube_view_axes(view)->n_options, &n_options, "options", err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_choice_metrics *choice = ko_new(n, sizeof *choice, err);
    float *option = choice ? ko_new(n_options, sizeof *option, err) : NULL;
    code = option ? ko_cube_view_choices(view, choice, option, err) : KO_E_MEMORY;
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        rank[k] = rank[k] >= 1 ? ko_choice_rank(&choice[k], rank[k]) : rank[k];
    }
    free(choice);
    free(option);
    return code;
}

/* Whole answers are ranked first where greedy decoding gives them: rank [models x prompts] becomes the
   largest of any token. */
static enum ko_code rank_answers(struct ko_cube_view *view, size_t n, int32_t *rank,
                                 struct ko_error *err)
{
    const size_t each = (size_t)ko_cube_view_axes(view)->n_answer_tokens;
    size_t n_tokens = 0;
    if (ko_cube_view_axes(view)->several) {
        return rank_choices(view, n, rank, err);
    }
    enum ko_code code = ko_multiply(n, each, &n_tokens, "tokens of answers", err);
    if (code != KO_OK || each == 0) {
        return code;
    }
    struct ko_answer_metrics *answer = ko_new(n_tokens, sizeof *answer, err);
    code = answer ? ko_cube_view_answers(view, answer, err) : KO_E_MEMORY;
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        if (rank[k] >= 1) {
            rank[k] = ko_answer_worst_rank(answer + k * each, (int32_t)each);
        }
    }
    free(answer);
    return code;
}

/* values [n]: a buffer. */
static enum ko_code measure_accuracy(const struct ko_curve_query *query,
                                     const struct clean_runs *runs, double *values,
                                     struct accuracy *out, struct ko_error *err)
{
    struct ko_summary hit = query->summary, mean = query->summary;
    size_t n_run = 0;
    hit.statistic = KO_STATISTIC_MEAN;
    if (hit.interval == KO_INTERVAL_ORDER || hit.interval == KO_INTERVAL_T) {
        hit.interval = KO_INTERVAL_WILSON;
    }
    if (mean.interval == KO_INTERVAL_WILSON) {
        mean.interval = KO_INTERVAL_T;
    }
    /* log-probabilities are at most 0 */
    mean.bounds = (struct ko_bounds){.has_most = true, .most = 0};
    for (size_t k = 0; k < runs->n; k++) {
        if (runs->rank[k] >= 1 && isfinite(runs->logprob[k])) {
            values[n_run++] = runs->rank[k] == 1 ? 100 : 0;
        }
    }
    enum ko_code code = ko_estimate_sample(&hit, values, n_run, &out->hit, err);
    n_run = 0;
    for (size_t k = 0; k < runs->n; k++) {
        if (runs->rank[k] >= 1 && isfinite(runs->logprob[k])) {
            values[n_run++] = (double)runs->logprob[k];
        }
    }
    return code == KO_OK ? ko_estimate_sample(&mean, values, n_run, &out->logprob, err) : code;
}

static void csv_estimate(struct ko_text *out, const char *model, const char *metric,
                         const struct ko_estimate *estimate)
{
    ko_csv_text(out, model);
    ko_text_add(out, ",%s,", metric);
    ko_csv_number(out, estimate->value);
    ko_text_add(out, ",");
    ko_csv_number(out, estimate->low);
    ko_text_add(out, ",");
    ko_csv_number(out, estimate->high);
    ko_text_add(out, ",%zu\n", estimate->n);
}

static void add_estimate(struct ko_table *table, enum ko_curve_metric metric,
                         const struct ko_estimate *estimate)
{
    char value[32], low[32], high[32];
    ko_table_add(table, "%s", ko_curve_number(metric, estimate->value, value));
    ko_table_add(table, "[%s, %s]", ko_curve_number(metric, estimate->low, low),
                 ko_curve_number(metric, estimate->high, high));
}

static void csv_models(const struct ko_strings *model, const uint8_t *shown,
                       const struct accuracy *accuracy, struct ko_text *out)
{
    ko_text_add(out, "model,metric,value,low,high,n\n");
    for (size_t m = 0; m < model->n; m++) {
        if (!shown[m]) {
            continue;
        }
        csv_estimate(out, model->item[m], "hit", &accuracy[m].hit);
        csv_estimate(out, model->item[m], "logprob", &accuracy[m].logprob);
    }
}

static void print_models(const struct ko_strings *model, const uint8_t *shown,
                         const struct accuracy *accuracy, struct ko_text *out)
{
    static const char *const header[] = {"model",   "first, %",      "95 % interval",
                                         "logprob", "95 % interval", "n"};
    struct ko_table table = {.n_columns = sizeof header / sizeof header[0], .right = 0x3e};
    char count[32];
    for (size_t c = 0; c < table.n_columns; c++) {
        ko_table_add(&table, "%s", header[c]);
    }
    for (size_t m = 0; m < model->n; m++) {
        if (!shown[m]) {
            continue;
        }
        ko_table_add(&table, "%s", model->item[m]);
        add_estimate(&table, KO_CURVE_HIT, &accuracy[m].hit);
        add_estimate(&table, KO_CURVE_LOGPROB, &accuracy[m].logprob);
        ko_table_add(&table, "%s", ko_grouped((int64_t)accuracy[m].hit.n, count));
    }
    ko_table_print(&table, 0, out);
    ko_text_add(out, "(first: answers that are ranked first; logprob: the answer's, in nats)\n");
}

enum ko_code ko_show_evaluation(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                const struct ko_curve_query *query, bool csv, struct ko_text *out,
                                struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n = axes->eval_prompt.n;
    size_t n_all = 0;
    enum ko_code code = ko_multiply(axes->model.n, n, &n_all, "models x prompts", err);
    if (code != KO_OK) {
        return code;
    }
    float *logprob = ko_new(n_all, sizeof *logprob, err);
    int32_t *rank = ko_new(n_all, sizeof *rank, err);
    double *values = ko_new(n, sizeof *values, err);
    struct accuracy *accuracy = ko_new(axes->model.n, sizeof *accuracy, err);
    code = logprob && rank && values && accuracy ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_view_evaluation(view, logprob, rank, NULL, NULL, err);
    }
    if (code == KO_OK) {
        code = rank_answers(view, n_all, rank, err);
    }
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        if (filter->model[m]) {
            const struct clean_runs runs = {logprob + m * n, rank + m * n, n};
            code = measure_accuracy(query, &runs, values, &accuracy[m], err);
        }
    }
    if (code == KO_OK && csv) {
        csv_models(&axes->model, filter->model, accuracy, out);
    } else if (code == KO_OK) {
        print_models(&axes->model, filter->model, accuracy, out);
    }
    free(logprob);
    free(rank);
    free(values);
    free(accuracy);
    return code;
}

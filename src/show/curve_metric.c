/* SPDX-License-Identifier: Apache-2.0 */
/* Names, units and limits of all metrics, and the formula that gives a metric from a clean value
   and a knocked-out value. Also reads the cube's datasets for it. */
#include "src/show/curve_metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"

static const struct {
    const char *word, *title, *unit;
} metrics[] = {
#define X(NAME, word, what, unit) {word, what, unit},
    KO_CURVE_METRICS(X)
#undef X
};
enum { N_METRICS = sizeof metrics / sizeof metrics[0] };

enum ko_code ko_curve_metric_parse(const char *word, enum ko_curve_metric *out,
                                   struct ko_error *err)
{
    const char *words[N_METRICS];
    for (size_t k = 0; k < N_METRICS; k++) {
        words[k] = metrics[k].word;
        if (strcmp(words[k], word) == 0) {
            *out = (enum ko_curve_metric)k;
            return KO_OK;
        }
    }
    const char *nearest = ko_nearest(word, words, N_METRICS);
    if (nearest) {
        return ko_fail(err, KO_E_INPUT, "--metric: unknown metric '%s', did you mean '%s'?", word,
                       nearest);
    }
    return ko_fail(err, KO_E_INPUT,
                   "--metric: unknown metric '%s', choose change, delta, logprob, median, hit, kl, "
                   "margin or margin-change",
                   word);
}

const char *ko_curve_metric_word(enum ko_curve_metric metric)
{
    return metrics[metric].word;
}

const char *ko_curve_metric_title(enum ko_curve_metric metric)
{
    return metrics[metric].title;
}

const char *ko_curve_metric_unit(enum ko_curve_metric metric)
{
    return metrics[metric].unit;
}

static struct ko_bounds within(double least, double most)
{
    return (struct ko_bounds){.has_least = true, .has_most = true, .least = least, .most = most};
}

static struct ko_bounds from(double least)
{
    return (struct ko_bounds){.has_least = true, .least = least};
}

struct ko_bounds ko_curve_metric_bounds(enum ko_curve_metric metric)
{
    switch (metric) {
    case KO_CURVE_CHANGE:
    case KO_CURVE_MEDIAN:
        return from(-100);
    case KO_CURVE_DELTA:
        return within(-100, 100);
    case KO_CURVE_HIT:
        return within(0, 100);
    case KO_CURVE_KL:
        return from(0);
    case KO_CURVE_LOGPROB:
    case KO_CURVE_MARGIN:
    case KO_CURVE_MARGIN_CHANGE:
        break;
    }
    return (struct ko_bounds){0};
}

struct ko_bounds ko_curve_difference_bounds(enum ko_curve_metric metric, bool other_model)
{
    if (metric == KO_CURVE_HIT) {
        return within(-100, 100);
    }
    if (metric == KO_CURVE_DELTA) { /* between models the clean runs do not cancel */
        return other_model ? within(-200, 200) : within(-100, 100);
    }
    return (struct ko_bounds){0};
}

double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out)
{
    switch (metric) {
    case KO_CURVE_CHANGE:
    case KO_CURVE_MEDIAN:
        return 100 * expm1(knocked_out - clean);
    case KO_CURVE_DELTA:
        return 100 * (knocked_out - clean);
    case KO_CURVE_LOGPROB:
    case KO_CURVE_MARGIN_CHANGE:
        return knocked_out - clean;
    case KO_CURVE_HIT:
        return knocked_out < 1 ? NAN : knocked_out < 2 ? 100 : 0;
    case KO_CURVE_KL:
    case KO_CURVE_MARGIN:
        break;
    }
    return knocked_out;
}

static const char *dataset_of(enum ko_curve_metric metric)
{
    return metric == KO_CURVE_KL      ? "kl"
           : metric == KO_CURVE_HIT   ? "target_rank"
           : metric == KO_CURVE_DELTA ? "prob"
                                      : "logprob";
}

/* Takes the foil's log-probability from the target's, cells and clean runs. */
static enum ko_code subtract_foils(const struct ko_cube_block *block, int32_t model,
                                   struct ko_curve_values *values, struct ko_error *err)
{
    double *foil = NULL, *clean = NULL;
    if (!ko_cube_view_has(block->view, block->heat ? "heat_foil_logprob" : "foil_logprob")) {
        return ko_fail(err, KO_E_INPUT,
                       "--metric: the cube has no foils, give the prompts of its file a `foil`");
    }
    enum ko_code code = ko_cube_block_doubles(block, "foil_logprob", model, &foil, err);
    for (int64_t k = 0; code == KO_OK && k < block->n_values; k++) {
        values->value[k] -= foil[k];
    }
    if (code == KO_OK && values->clean) {
        code = ko_cube_block_clean(block, "foil_logprob", model, &clean, err);
    }
    for (int32_t p = 0; code == KO_OK && clean && p < block->n_prompts; p++) {
        values->clean[p] -= clean[p];
    }
    free(foil);
    free(clean);
    return code;
}

enum ko_code ko_curve_values_read(const struct ko_cube_block *block, int32_t model,
                                  enum ko_curve_metric metric, struct ko_curve_values *out,
                                  struct ko_error *err)
{
    struct ko_curve_values values = {0};
    const char *name = dataset_of(metric);
    enum ko_code code = ko_cube_block_statuses(block, model, &values.status, err);
    if (code == KO_OK) {
        code = ko_cube_block_doubles(block, name, model, &values.value, err);
    }
    if (code == KO_OK && metric != KO_CURVE_KL && metric != KO_CURVE_HIT &&
        metric != KO_CURVE_MARGIN) {
        code = ko_cube_block_clean(block, name, model, &values.clean, err);
    }
    if (code == KO_OK && (metric == KO_CURVE_MARGIN || metric == KO_CURVE_MARGIN_CHANGE)) {
        code = subtract_foils(block, model, &values, err);
    }
    if (code == KO_OK) {
        *out = values;
    } else {
        ko_curve_values_free(&values);
    }
    return code;
}

void ko_curve_values_free(struct ko_curve_values *values)
{
    free(values->status);
    free(values->value);
    free(values->clean);
    *values = (struct ko_curve_values){0};
}

double ko_window_depth(int32_t n_layers, int32_t size, int32_t start)
{
    return n_layers > size ? 100.0 * start / (n_layers - size) : 0;
}

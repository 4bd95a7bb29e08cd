/* SPDX-License-Identifier: Apache-2.0 */
/* Names, units, limits and formulas of the metrics of `show`, and the datasets that they need. */
#include "src/show/curve_metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"

static const struct {
    const char *word, *title, *unit;
    const char *dataset;
    bool foil;
    enum ko_curve_formula formula;
    double least, most;
} metrics[] = {
#define X(NAME, word, title, unit, dataset, foil, FORMULA, least, most)                            \
    {word, title, unit, dataset, foil, KO_FORMULA_##FORMULA, least, most},
    KO_SHOWN_METRICS(X)
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
    return ko_fail(err, KO_E_INPUT, "--metric: unknown metric '%s', choose %s", word,
                   KO_SHOWN_METRIC_CHOICES);
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

bool ko_curve_metric_is_effect(enum ko_curve_metric metric)
{
    return metrics[metric].formula <= KO_FORMULA_DIFFERENCE || metric == KO_CURVE_KL;
}

static struct ko_bounds bounds_between(double least, double most)
{
    return (struct ko_bounds){.has_least = isfinite(least),
                              .has_most = isfinite(most),
                              .least = isfinite(least) ? least : 0,
                              .most = isfinite(most) ? most : 0};
}

struct ko_bounds ko_curve_metric_bounds(enum ko_curve_metric metric)
{
    return bounds_between(metrics[metric].least, metrics[metric].most);
}

struct ko_bounds ko_curve_difference_bounds(enum ko_curve_metric metric, bool other_model)
{
    /* Within a model the clean runs cancel, so two changes in points differ by two probabilities. */
    const double most = metrics[metric].formula == KO_FORMULA_POINTS && !other_model
                            ? metrics[metric].most
                            : metrics[metric].most - metrics[metric].least;
    return bounds_between(-most, most);
}

double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out)
{
    switch (metrics[metric].formula) {
    case KO_FORMULA_RELATIVE:
        return 100 * expm1(knocked_out - clean);
    case KO_FORMULA_POINTS:
        return 100 * (knocked_out - clean);
    case KO_FORMULA_DIFFERENCE:
        return knocked_out - clean;
    case KO_FORMULA_IS_FIRST:
        return knocked_out < 1 ? NAN : knocked_out < 2 ? 100 : 0;
    case KO_FORMULA_ITSELF:
        break;
    }
    return knocked_out;
}

static bool uses_clean(enum ko_curve_metric metric)
{
    return metrics[metric].formula <= KO_FORMULA_DIFFERENCE;
}

/* Subtracts the foil's log-probability from the target's, for cells and clean runs. */
static enum ko_code subtract_foils(const struct ko_cube_part *part, int32_t model,
                                   struct ko_curve_values *values, struct ko_error *err)
{
    double *foil = NULL, *clean = NULL;
    if (!ko_cube_view_has(part->view, part->heat ? "heat_foil_logprob" : "foil_logprob")) {
        return ko_fail(err, KO_E_INPUT,
                       "--metric: the cube has no foils, give the prompts of its file a `foil`");
    }
    enum ko_code code = ko_cube_part_doubles(part, "foil_logprob", model, &foil, err);
    for (int64_t k = 0; code == KO_OK && k < part->n_values; k++) {
        values->value[k] -= foil[k];
    }
    if (code == KO_OK && values->clean) {
        code = ko_cube_part_clean(part, "foil_logprob", model, &clean, err);
    }
    for (int32_t p = 0; code == KO_OK && clean && p < part->n_prompts; p++) {
        values->clean[p] -= clean[p];
    }
    free(foil);
    free(clean);
    return code;
}

/* Of whole answers, the largest rank of any token: the answer is first where all its tokens are. The
   ranks of some prompts are in memory at a time. */
static enum ko_code rank_answers(const struct ko_cube_part *part, int32_t model,
                                 struct ko_curve_values *values, struct ko_error *err)
{
    enum { AT_ONCE = 1 << 22 }; /* ranks, or those of one prompt */
    const int64_t n = part->axes->n_answer_tokens;
    const int64_t of_prompt = part->n_prompts > 0 ? part->n_values / part->n_prompts * n : 0;
    const int64_t fit = of_prompt > 0 ? AT_ONCE / of_prompt : 0;
    const int32_t n_prompts = fit < 1 ? 1 : fit < part->n_prompts ? (int32_t)fit : part->n_prompts;
    int32_t *rank = ko_new((size_t)(of_prompt * n_prompts), sizeof *rank, err);
    enum ko_code code = rank ? KO_OK : KO_E_MEMORY;
    for (int32_t p = 0; code == KO_OK && p < part->n_prompts; p += n_prompts) {
        const int32_t left = part->n_prompts - p, some = left < n_prompts ? left : n_prompts;
        const struct ko_cube_rows rows = {.dataset =
                                              part->heat ? "heat_answer_rank" : "answer_rank",
                                          .model = model,
                                          .first = p,
                                          .n = some,
                                          .n_values = some * of_prompt};
        code = ko_cube_view_rows_int(part->view, &rows, rank, err);
        for (int64_t k = 0; code == KO_OK && k < rows.n_values; k++) {
            double *worst = &values->value[(p * of_prompt + k) / n];
            *worst = *worst >= 1 ? fmax(*worst, rank[k]) : *worst;
        }
    }
    free(rank);
    return code;
}

/* Of several right answers or options, 1 where a right one is given and else 2. */
static enum ko_code rank_choices(const struct ko_cube_part *part, int32_t model,
                                 struct ko_curve_values *values, struct ko_error *err)
{
    double *correct = NULL;
    const enum ko_code code = ko_cube_part_doubles(part, "correct", model, &correct, err);
    for (int64_t k = 0; code == KO_OK && k < part->n_values; k++) {
        values->value[k] = values->value[k] >= 1 ? (correct[k] == 1 ? 1 : 2) : values->value[k];
    }
    free(correct);
    return code;
}

enum ko_code ko_curve_values_read(const struct ko_cube_part *part, int32_t model,
                                  enum ko_curve_metric metric, struct ko_curve_values *out,
                                  struct ko_error *err)
{
    struct ko_curve_values values = {0};
    const char *name = metrics[metric].dataset;
    enum ko_code code = ko_cube_part_statuses(part, model, &values.status, err);
    if (code == KO_OK) {
        code = ko_cube_part_doubles(part, name, model, &values.value, err);
    }
    if (code == KO_OK && metric == KO_CURVE_HIT && part->axes->several) {
        code = rank_choices(part, model, &values, err);
    } else if (code == KO_OK && metric == KO_CURVE_HIT && part->axes->n_answer_tokens > 0) {
        code = rank_answers(part, model, &values, err);
    }
    if (code == KO_OK && uses_clean(metric)) {
        code = ko_cube_part_clean(part, name, model, &values.clean, err);
    }
    if (code == KO_OK && metrics[metric].foil) {
        code = subtract_foils(part, model, &values, err);
    }
    if (code == KO_OK) {
        *out = values;
    } else {
        ko_curve_values_free(&values);
    }
    return code;
}

enum ko_code ko_curve_values_read_vacuous(const struct ko_cube_part *part, int32_t model,
                                          struct ko_curve_values *values, struct ko_error *err)
{
    const char *name = part->heat ? "heat_vacuous" : "vacuous";
    if (!ko_cube_view_has(part->view, name)) {
        return KO_OK;
    }
    values->vacuous = ko_new((size_t)part->n_values, 1, err);
    return values->vacuous ? ko_cube_view_read_uint8(part->view, name, model, values->vacuous,
                                                     part->n_values, err)
                           : KO_E_MEMORY;
}

void ko_curve_values_free(struct ko_curve_values *values)
{
    free(values->vacuous);
    free(values->status);
    free(values->value);
    free(values->clean);
    *values = (struct ko_curve_values){0};
}

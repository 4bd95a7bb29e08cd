/* SPDX-License-Identifier: Apache-2.0 */
/* Names, units, limits and formulas of the metrics of `show`, and the datasets that they need. */
#include "src/show/curve_metric.h"

#include <math.h>
#include <string.h>

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

bool ko_curve_metric_uses_clean(enum ko_curve_metric metric)
{
    return metrics[metric].formula <= KO_FORMULA_DIFFERENCE;
}

bool ko_curve_metric_has_foil(enum ko_curve_metric metric)
{
    return metrics[metric].foil;
}

const char *ko_curve_metric_dataset(enum ko_curve_metric metric)
{
    return metrics[metric].dataset;
}

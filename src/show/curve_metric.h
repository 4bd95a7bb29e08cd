/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics that `show` prints: their names, limits and formulas. */
#ifndef KO_SHOW_CURVE_METRIC_H
#define KO_SHOW_CURVE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/options/shown_metrics.h"
#include "src/stats/statistics.h"

enum ko_curve_metric {
#define X(NAME, ...) KO_CURVE_##NAME,
    KO_SHOWN_METRICS(X)
#undef X
};

/* How a cell's value comes from the clean run's number and the knocked-out run's. */
enum ko_curve_formula {
    KO_FORMULA_RELATIVE,   /* 100 expm1(knocked_out - clean) */
    KO_FORMULA_POINTS,     /* 100 (knocked_out - clean) */
    KO_FORMULA_DIFFERENCE, /* knocked_out - clean */
    KO_FORMULA_IS_FIRST,   /* 100 where knocked_out, a rank, is 1, else 0 */
    KO_FORMULA_ITSELF      /* knocked_out */
};

/* KO_E_INPUT names the nearest known metric. */
KO_MUST_CHECK enum ko_code ko_curve_metric_parse(const char *word, enum ko_curve_metric *out,
                                                 struct ko_error *err);
const char *ko_curve_metric_word(enum ko_curve_metric metric);
const char *ko_curve_metric_title(enum ko_curve_metric metric);
const char *ko_curve_metric_unit(enum ko_curve_metric metric);

/* Whether a cell's value is an effect: 0 if the knockout changes nothing. */
bool ko_curve_metric_is_effect(enum ko_curve_metric metric);

/* The limits of one cell's value. */
struct ko_bounds ko_curve_metric_bounds(enum ko_curve_metric metric);
/* The limits of one value minus another of the same model or of another one: hit and delta end at
   -100 and 100, delta between models at -200 and 200. A metric without an upper limit has none. */
struct ko_bounds ko_curve_difference_bounds(enum ko_curve_metric metric, bool other_model);

/* One cell's value by the metric's formula, from numbers of its dataset. NaN where a rank is not
   known (below 1). */
double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out);

/* What the formula needs: the cells' dataset without `heat_`, whether the clean run's number, and
   whether the foil's log-probability is subtracted from both. */
const char *ko_curve_metric_dataset(enum ko_curve_metric metric);
bool ko_curve_metric_uses_clean(enum ko_curve_metric metric);
bool ko_curve_metric_has_foil(enum ko_curve_metric metric);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The figures that can be shown of a cell. */
#ifndef KO_SHOW_CURVE_METRIC_H
#define KO_SHOW_CURVE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/show/cube_block.h"
#include "src/stats/statistics.h"

/* X(NAME, "word", "what it is", "unit") */
#define KO_CURVE_METRICS(X)                                                                        \
    X(CHANGE, "change", "change of the answer's probability relative to the clean run", "%")       \
    X(DELTA, "delta", "change of the answer's probability in percentage points", "points")         \
    X(LOGPROB, "logprob", "change of the answer's log-probability", "nats")                        \
    X(MEDIAN, "median", "change of the answer's probability relative to the clean run", "%")       \
    X(HIT, "hit", "prompts whose answer is ranked first", "%")                                     \
    X(KL, "kl", "divergence KL(clean || knocked out)", "nats")                                     \
    X(MARGIN, "margin", "log-probability of the answer minus that of the foil", "nats")            \
    X(MARGIN_CHANGE, "margin-change",                                                              \
      "change of the answer's log-probability minus that of the foil's", "nats")

enum ko_curve_metric {
#define X(NAME, word, what, unit) KO_CURVE_##NAME,
    KO_CURVE_METRICS(X)
#undef X
};
/* KO_E_INPUT naming the nearest known one. */
KO_MUST_CHECK enum ko_code ko_curve_metric_parse(const char *word, enum ko_curve_metric *out,
                                                 struct ko_error *err);
const char *ko_curve_metric_word(enum ko_curve_metric metric);
const char *ko_curve_metric_title(enum ko_curve_metric metric);
const char *ko_curve_metric_unit(enum ko_curve_metric metric);

/* What one cell's value cannot pass: change and median end at -100, delta at -100 and 100, hit at 0
   and 100, kl at 0. */
struct ko_bounds ko_curve_metric_bounds(enum ko_curve_metric metric);
/* That of one value minus another, of the same model or another one: hit and delta end at -100 and
   100, delta between models at -200 and 200; of what has no upper bound a difference has none. */
struct ko_bounds ko_curve_difference_bounds(enum ko_curve_metric metric, bool other_model);

/* One cell's value; clean and knocked_out are log-probabilities (change, median, logprob),
   probabilities (delta), margins (the target's log-probability minus the foil's) or not used.
     change, median  100 expm1(knocked_out - clean)
     delta           100 (knocked_out - clean)
     logprob         knocked_out - clean
     hit             100 where knocked_out, the target's rank, is 1, else 0
     kl, margin      knocked_out itself
     margin-change   knocked_out - clean */
double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out);

/* What of one model a metric needs. */
struct ko_curve_values {
    uint8_t *status; /* [n_statuses] */
    double *value;   /* [n_values] NaN where there is no value (hit: the rank, -1) */
    double *clean;   /* [n_prompts] NULL where the metric has no use for it */
};
/* KO_E_INPUT where the metric needs foils and the cube has none. */
KO_MUST_CHECK enum ko_code ko_curve_values_read(const struct ko_cube_block *block, int32_t model,
                                                enum ko_curve_metric metric,
                                                struct ko_curve_values *out, struct ko_error *err);
void ko_curve_values_free(struct ko_curve_values *values); /* leaves {0} */

/* 100 start / (layers - size); 0 where the window is the whole model. */
double ko_window_depth(int32_t n_layers, int32_t size, int32_t start);

#endif

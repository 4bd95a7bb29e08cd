/* The curves of a sweep: one figure a window, over the prompts of a model. */
#ifndef KO_CLI_CURVES_H
#define KO_CLI_CURVES_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cli/cube_block.h"
#include "src/cli/curve_filter.h"
#include "src/cli/statistics.h"

/* The figures. X(NAME, "word", "what it is", "unit") */
#define KO_CURVE_METRICS(X)                                                                        \
    X(CHANGE, "change", "mean change of the answer's probability relative to the clean run", "%")  \
    X(DELTA, "delta", "mean change of the answer's probability in percentage points", "points")    \
    X(LOGPROB, "logprob", "mean change of the answer's log-probability", "nats")                   \
    X(MEDIAN, "median", "median change of the answer's probability relative to the clean run",     \
      "%")                                                                                         \
    X(HIT, "hit", "prompts whose answer is ranked first", "%")                                     \
    X(KL, "kl", "mean divergence KL(clean || knocked out)", "nats")

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

/* One cell's value; clean and knocked_out are log-probabilities (change, median, logprob),
   probabilities (delta) or not used.
     change, median  100 expm1(knocked_out - clean)
     delta           100 (knocked_out - clean)
     logprob         knocked_out - clean
     hit             1 where knocked_out, the target's rank, is 1
     kl              knocked_out itself */
double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out);
/* All cells of a window into one figure: median with its order statistics, hit as a share with
   Wilson's interval, the others as means. Sorts values [n]. */
struct ko_estimate ko_curve_estimate(enum ko_curve_metric metric, double *values, size_t n);

struct ko_curve_point {
    int32_t start; /* layer */
    double depth;  /* percent */
    struct ko_estimate estimate;
};

struct ko_curve {
    int32_t model, route, feature, size; /* indices on the cube's axes */
    struct ko_curve_point *point;        /* [n_points]; owned by the list */
    int32_t n_points;
};

struct ko_curves {
    struct ko_curve *curve; /* model by model, then route, class, size */
    size_t n, capacity;
    int64_t n_unfinished; /* statuses that are pending or failed among those shown */
};

/* What of one model a metric needs. */
struct ko_curve_values {
    uint8_t *status; /* [n_statuses] */
    double *value;   /* [n_values] NaN where there is no value (hit: the rank, -1) */
    double *clean;   /* [n_prompts] NULL where the metric has no use for it */
};
KO_MUST_CHECK enum ko_code ko_curve_values_read(const struct ko_cube_block *block, int32_t model,
                                                enum ko_curve_metric metric,
                                                struct ko_curve_values *out, struct ko_error *err);
void ko_curve_values_free(struct ko_curve_values *values); /* leaves {0} */

/* All curves of the plain routes that pass the filter. Only done cells count; vacuous ones are left
   out of n. Free with ko_curves_free. */
KO_MUST_CHECK enum ko_code ko_curves_read(const struct ko_cube_block *block,
                                          const struct ko_curve_filter *filter,
                                          enum ko_curve_metric metric, struct ko_curves *out,
                                          struct ko_error *err);
void ko_curves_free(struct ko_curves *curves); /* leaves {0} */

/* 100 start / (layers - size); 0 where the window is the whole model. */
double ko_window_depth(int32_t n_layers, int32_t size, int32_t start);

#endif

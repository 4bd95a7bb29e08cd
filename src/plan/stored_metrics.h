/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics that a cube stores for each cell and each clean run. The record, the commit, the
   datasets, `--reuse`, the exported tables and the estimated file size all come from this list. */
#ifndef KO_PLAN_STORED_METRICS_H
#define KO_PLAN_STORED_METRICS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clang-format off */

/* X(FIELD, name of the dataset and of the member of struct ko_metrics, TYPE, WHERE, units, long name, ...)
   TYPE: FLOAT or INT.
   WHERE: ALL (cells, clean runs, evaluations), CELL (cells only) or FOIL (cells and clean runs of cubes with foils).
   X gets the further arguments too. Leave one empty where there is nothing to add: KO_STORED_METRICS(X, ). */
#define KO_METRIC_PROB(X, ...) \
    X(PROB, prob, FLOAT, ALL, "1", "probability of the target's scored token", __VA_ARGS__)
#define KO_METRIC_LOGPROB(X, ...) \
    X(LOGPROB, logprob, FLOAT, ALL, "nats", "log-probability of the target's scored token", __VA_ARGS__)
#define KO_METRICS_FURTHER(X, ...) \
    X(KL, kl, FLOAT, CELL, "nats", "divergence KL(clean || knocked out) of the last position", __VA_ARGS__) \
    X(TARGET_RANK, target_rank, INT, ALL, NULL, "1 + tokens with a strictly greater logit than the target's", __VA_ARGS__) \
    X(TOP1_ID, top1_id, INT, ALL, NULL, "token with the greatest logit", __VA_ARGS__) \
    X(FOIL_LOGPROB, foil_logprob, FLOAT, FOIL, "nats", "log-probability of the foil's scored token", __VA_ARGS__)

/* The members of struct ko_metrics (kernels/kernels.h). */
#define KO_RECORD_METRICS(X, ...) KO_METRIC_LOGPROB(X, __VA_ARGS__) KO_METRICS_FURTHER(X, __VA_ARGS__)
/* The datasets, in their order in the file. A commit computes `prob` from `logprob`. */
#define KO_STORED_METRICS(X, ...) KO_METRIC_PROB(X, __VA_ARGS__) KO_RECORD_METRICS(X, __VA_ARGS__)
/* The same in the order of an exported table's columns. */
#define KO_EXPORTED_METRICS(X, ...) \
    KO_METRIC_LOGPROB(X, __VA_ARGS__) KO_METRIC_PROB(X, __VA_ARGS__) KO_METRICS_FURTHER(X, __VA_ARGS__)

/* What a cube with whole answers stores for each scored token of a cell or clean run: the members of struct
   ko_answer_metrics. X(FIELD, name, TYPE, units, long name, ...) */
#define KO_ANSWER_METRICS(X, ...) \
    X(ANSWER_LOGPROB, logprob, FLOAT, "nats", "log-probability of a token of the answer, given those before it", __VA_ARGS__) \
    X(ANSWER_RANK, rank, INT, NULL, "1 + tokens with a strictly greater logit than a token of the answer", __VA_ARGS__)

/* What a cube with several right answers or options stores besides for each cell or clean run: the members of struct
   ko_choice_metrics. X(FIELD, name, TYPE, WHEN, units, long name, ...). WHEN: SEVERAL (cubes with several right answers
   or options) or OPTIONS (cubes with options). */
#define KO_CHOICE_METRICS(X, ...) \
    X(SUM_LOGPROB, sum_logprob, FLOAT, SEVERAL, "nats", "log of the summed probability of the right answers", __VA_ARGS__) \
    X(OPTION_RANK, option_rank, INT, OPTIONS, NULL, "1 + options that are more probable than the right one", __VA_ARGS__) \
    X(CORRECT, correct, INT, SEVERAL, NULL, "1: the model gives a right answer, 0: it gives another", __VA_ARGS__)

/* clang-format on */

/* The C type of a TYPE, and its value where there is none. */
#define KO_METRIC_C_FLOAT    float
#define KO_METRIC_C_INT      int32_t
#define KO_METRIC_NONE_FLOAT NAN
#define KO_METRIC_NONE_INT   (-1)

/* Whether a metric of this WHERE exists: for clean runs, and without foils. */
#define KO_METRIC_OF_CLEAN_ALL  1
#define KO_METRIC_OF_CLEAN_CELL 0
#define KO_METRIC_OF_CLEAN_FOIL 1
#define KO_METRIC_IS_FOIL_ALL   0
#define KO_METRIC_IS_FOIL_CELL  0
#define KO_METRIC_IS_FOIL_FOIL  1

/* Bytes of one cell's value in all datasets of metrics. */
static inline size_t ko_stored_metrics_bytes(bool foils)
{
    size_t bytes = 0;
#define X(FIELD, name, TYPE, WHERE, units, long_name, ...)                                         \
    bytes += foils || !KO_METRIC_IS_FOIL_##WHERE ? sizeof(KO_METRIC_C_##TYPE) : 0;
    KO_STORED_METRICS(X, )
#undef X
    return bytes;
}

/* Of several right answers or options. */
struct ko_choice_metrics {
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE name;
    KO_CHOICE_METRICS(X, )
#undef X
};

/* One token of an answer, or all tokens of a choice. */
struct ko_answer_metrics {
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE name;
    KO_ANSWER_METRICS(X, )
#undef X
};

#endif

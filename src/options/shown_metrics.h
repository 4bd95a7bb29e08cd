/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of `show --metric`: the option's choices, the names, units and limits that are
   printed, and what each is computed from. */
#ifndef KO_OPTIONS_SHOWN_METRICS_H
#define KO_OPTIONS_SHOWN_METRICS_H

/* clang-format off */

/* X(NAME, word, title, unit, dataset, FOIL, FORMULA, least, most)
   dataset: the cells' values, without `heat_`. FOIL: whether the foil's log-probability is subtracted.
   FORMULA: enum ko_curve_formula without its prefix. least, most: limits of one cell's value. */
#define KO_SHOWN_METRICS(X) \
    X(CHANGE, "change", "change of the answer's probability relative to the clean run", "%", "logprob", false, RELATIVE, -100, INFINITY) \
    X(DELTA, "delta", "change of the answer's probability in percentage points", "points", "prob", false, POINTS, -100, 100) \
    X(LOGPROB, "logprob", "change of the answer's log-probability", "nats", "logprob", false, DIFFERENCE, -INFINITY, INFINITY) \
    X(MEDIAN, "median", "change of the answer's probability relative to the clean run", "%", "logprob", false, RELATIVE, -100, INFINITY) \
    X(HIT, "hit", "prompts whose answer is ranked first", "%", "target_rank", false, IS_FIRST, 0, 100) \
    X(KL, "kl", "divergence KL(clean || knocked out)", "nats", "kl", false, ITSELF, 0, INFINITY) \
    X(MARGIN, "margin", "log-probability of the answer minus that of the foil", "nats", "logprob", true, ITSELF, -INFINITY, INFINITY) \
    X(MARGIN_CHANGE, "margin-change", "change of the answer's log-probability minus that of the foil's", "nats", "logprob", true, DIFFERENCE, -INFINITY, INFINITY)

/* clang-format on */

/* "change|delta|...", without the bar before the first word. */
#define KO_SHOWN_METRIC_CHOICE(NAME, word, ...) "|" word
#define KO_SHOWN_METRIC_CHOICES                 (&(KO_SHOWN_METRICS(KO_SHOWN_METRIC_CHOICE))[1])

#endif

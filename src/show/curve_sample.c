/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the values of one curve for all windows and prompts, averages and subtracts control
   curves, and estimates one figure per window. Windows with equally many values share the draws of
   a bootstrap. */
#include "src/show/curve_sample.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"

static int64_t status_at(const struct ko_cube_part *part, const struct ko_curve_key *key,
                         int32_t prompt)
{
    return ko_cube_part_status_at(part, prompt, key->route, key->class, 0, key->size);
}

bool ko_curve_sample_exists(const struct ko_curve_values *values, const struct ko_curve_key *key,
                            int64_t *n_unfinished)
{
    bool any = false;
    for (int32_t p = 0; p < values->part->n_prompts; p++) {
        const uint8_t status = values->status[status_at(values->part, key, p)];
        any = any || status != KO_NOT_PLANNED;
        if (n_unfinished) {
            *n_unfinished += status == KO_PENDING || status == KO_CELL_FAILED;
        }
    }
    return any;
}

static enum ko_code load_curve(struct ko_curve_values *values, const struct ko_curve_key *key,
                               struct ko_error *err)
{
    const struct ko_cube_slice slice = {key->route, key->class, key->size};
    return ko_curve_values_load(values, &slice, err);
}

enum ko_code ko_curve_sample_fill(struct ko_curve_values *values, const struct ko_curve_key *key,
                                  double *value, struct ko_error *err)
{
    const struct ko_cube_part *part = values->part;
    const enum ko_code code = load_curve(values, key, err);
    for (int32_t p = 0; code == KO_OK && p < part->n_prompts; p++) {
        const double *cell = values->value + ko_curve_values_at(values, p, 0);
        const double clean = values->clean ? values->clean[p] : 0;
        const bool done = values->status[status_at(part, key, p)] == KO_DONE;
        for (int32_t w = 0; w < part->n_starts; w++) {
            const double found = done ? ko_curve_value(values->metric, clean, cell[w]) : NAN;
            value[(int64_t)w * part->n_prompts + p] = isfinite(found) ? found : NAN;
        }
    }
    return code;
}

void ko_curve_sample_add(const double *value, int64_t n, double *sum, uint32_t *count)
{
    for (int64_t k = 0; k < n; k++) {
        if (isfinite(value[k])) {
            sum[k] += value[k];
            count[k]++;
        }
    }
}

void ko_curve_sample_subtract(double *value, int64_t n, const double *sum, const uint32_t *count)
{
    for (int64_t k = 0; k < n; k++) {
        value[k] = count[k] > 0 ? value[k] - sum[k] / count[k] : NAN;
    }
}

void ko_curve_sample_subtract_sum(double *value, int64_t n, const double *sum,
                                  const uint32_t *count, uint32_t n_parts)
{
    for (int64_t k = 0; k < n; k++) {
        value[k] = count[k] == n_parts ? value[k] - sum[k] : NAN;
    }
}

enum ko_code ko_curve_sample_mark_vacuous(struct ko_curve_values *values,
                                          const struct ko_curve_key *key, uint8_t *marks,
                                          struct ko_error *err)
{
    const struct ko_cube_part *part = values->part;
    const enum ko_code code = load_curve(values, key, err);
    for (int32_t p = 0; code == KO_OK && p < part->n_prompts; p++) {
        const bool all = values->status[status_at(part, key, p)] == KO_VACUOUS;
        const uint8_t *vacuous =
            values->vacuous ? values->vacuous + ko_curve_values_at(values, p, 0) : NULL;
        for (int32_t w = 0; w < part->n_starts; w++) {
            marks[(int64_t)w * part->n_prompts + p] |= all || (vacuous && vacuous[w] == 1);
        }
    }
    return code;
}

/* ----------------------------------------------------------------------------------------------
   estimates */

/* The values of each window without those that are missing. */
struct compact {
    int32_t n_starts, n_prompts;
    double *value;  /* [n_starts, n_prompts] a window's values in its row, in order */
    size_t *n;      /* [n_starts] */
    double *column; /* [n_prompts, n_starts] windows of equal n beside each other */
    double *low, *high;
    int32_t *window; /* [n_starts] of the columns */
};

static void compact_free(struct compact *compact)
{
    free(compact->value);
    free(compact->n);
    free(compact->column);
    free(compact->low);
    free(compact->high);
    free(compact->window);
}

static enum ko_code compact_new(const struct ko_curve_sample *sample, struct compact *compact,
                                struct ko_error *err)
{
    const size_t n = (size_t)sample->n_starts, n_all = n * (size_t)sample->n_prompts;
    *compact = (struct compact){.n_starts = sample->n_starts,
                                .n_prompts = sample->n_prompts,
                                .value = ko_new(n_all, sizeof(double), err),
                                .n = ko_new(n, sizeof(size_t), err),
                                .column = ko_new(n_all, sizeof(double), err),
                                .low = ko_new(n, sizeof(double), err),
                                .high = ko_new(n, sizeof(double), err),
                                .window = ko_new(n, sizeof(int32_t), err)};
    return compact->value && compact->n && compact->column && compact->low && compact->high &&
                   compact->window
               ? KO_OK
               : KO_E_MEMORY;
}

/* Row by row: the sample's values that are there and in its group. */
static void compact_fill(const struct ko_curve_sample *sample, struct compact *compact)
{
    for (int32_t w = 0; w < sample->n_starts; w++) {
        const int64_t row = (int64_t)w * sample->n_prompts;
        for (int32_t k = 0; k < sample->n_prompts; k++) {
            const double found = sample->value[row + k];
            if (!isnan(found) && (!sample->group || sample->group[k] == sample->wanted)) {
                compact->value[row + (int64_t)compact->n[w]++] = found;
            }
        }
    }
}

/* Computes the intervals of all windows with as many values as window `first`: they share the
   draws. */
static enum ko_code bootstrap_windows(const struct ko_summary *summary, int32_t first,
                                      struct compact *compact, struct ko_estimate *estimate,
                                      struct ko_error *err)
{
    const size_t n = compact->n[first];
    size_t n_columns = 0;
    for (int32_t w = first; w < compact->n_starts; w++) {
        if (compact->n[w] == n) {
            compact->window[n_columns++] = w;
        }
    }
    for (size_t c = 0; c < n_columns; c++) {
        for (size_t k = 0; k < n; k++) {
            compact->column[k * n_columns + c] =
                compact->value[(size_t)compact->window[c] * (size_t)compact->n_prompts + k];
        }
    }
    const struct ko_columns columns = {compact->column, n, n_columns};
    const enum ko_code code =
        ko_bootstrap_intervals(&summary->bootstrap, summary->statistic == KO_STATISTIC_MEDIAN,
                               &columns, compact->low, compact->high, err);
    for (size_t c = 0; code == KO_OK && c < n_columns; c++) {
        estimate[compact->window[c]].low = compact->low[c];
        estimate[compact->window[c]].high = compact->high[c];
    }
    return code;
}

static bool is_new(const struct compact *compact, int32_t window)
{
    for (int32_t w = 0; w < window; w++) {
        if (compact->n[w] == compact->n[window]) {
            return false;
        }
    }
    return true;
}

/* The estimate of each window. It sorts the rows. Intervals of a bootstrap are in `estimate`
   already and stay. */
static enum ko_code estimate_windows(const struct ko_summary *summary,
                                     const struct compact *compact, struct ko_estimate *estimate,
                                     struct ko_error *err)
{
    const bool bootstrap = summary->interval == KO_INTERVAL_BOOTSTRAP;
    struct ko_summary plain = *summary;
    enum ko_code code = KO_OK;
    if (bootstrap) { /* only the value is used */
        plain.interval =
            summary->statistic == KO_STATISTIC_MEDIAN ? KO_INTERVAL_ORDER : KO_INTERVAL_T;
    }
    for (int32_t w = 0; code == KO_OK && w < compact->n_starts; w++) {
        struct ko_estimate found;
        code = ko_estimate_sample(&plain, compact->value + (int64_t)w * compact->n_prompts,
                                  compact->n[w], &found, err);
        if (code == KO_OK && bootstrap && compact->n[w] > 1) {
            found.low = estimate[w].low;
            found.high = estimate[w].high;
        }
        estimate[w] = found;
    }
    return code;
}

enum ko_code ko_curve_sample_estimate(const struct ko_summary *summary,
                                      const struct ko_curve_sample *sample,
                                      struct ko_estimate *estimate, double *p, struct ko_error *err)
{
    struct compact compact;
    enum ko_code code = compact_new(sample, &compact, err);
    if (code == KO_OK) {
        compact_fill(sample, &compact);
    }
    for (int32_t w = 0; code == KO_OK && p && w < sample->n_starts; w++) {
        p[w] = summary->statistic == KO_STATISTIC_MEAN
                   ? ko_paired_p(compact.value + (int64_t)w * sample->n_prompts, compact.n[w])
                   : NAN;
    }
    for (int32_t w = 0; code == KO_OK && w < sample->n_starts; w++) {
        if (summary->interval == KO_INTERVAL_BOOTSTRAP && compact.n[w] > 1 && is_new(&compact, w)) {
            code = bootstrap_windows(summary, w, &compact, estimate, err);
        }
    }
    if (code == KO_OK) {
        code = estimate_windows(summary, &compact, estimate, err);
    }
    compact_free(&compact);
    return code;
}

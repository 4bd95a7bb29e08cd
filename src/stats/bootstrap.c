/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the resamples, takes the mean or median of each, and reads the interval off the sorted
   results. All columns share the same draws. */
#include "src/stats/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/draw.h"

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ko_sort_doubles(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
}

double ko_quantile(const double *sorted, size_t n, double q)
{
    const double at = q * (double)(n - 1);
    const size_t below = (size_t)at;
    if (below + 1 >= n) {
        return sorted[n - 1];
    }
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct resampling {
    const double *values; /* [n, n_columns] */
    size_t n, n_columns, n_resamples;
    uint64_t start;
    double *figure;   /* [n_columns, n_resamples] */
    uint32_t *order;  /* [n_columns, n] for medians: the rank of each row in its column */
    double *sorted;   /* [n_columns, n] for medians */
    uint32_t *times;  /* [n_workers, n] how often a resample takes each row or rank */
    double *sum;      /* [n_workers, n_columns] for means */
    size_t n_workers; /* parts that the resamples are cut into */
};

/* How often resample b takes each row. */
static void draw_rows(const struct resampling *r, size_t b, uint32_t *times)
{
    memset(times, 0, r->n * sizeof *times);
    for (size_t k = 0; k < r->n; k++) {
        const uint64_t u = ko_draw_value(r->start, (uint64_t)b * r->n + k) >> 32;
        times[u * r->n >> 32]++;
    }
}

static void mean_of_resample(const struct resampling *r, size_t b, const uint32_t *times,
                             double *sum)
{
    memset(sum, 0, r->n_columns * sizeof *sum);
    for (size_t k = 0; k < r->n; k++) {
        const double *row = r->values + k * r->n_columns, weight = times[k];
        for (size_t c = 0; times[k] > 0 && c < r->n_columns; c++) {
            sum[c] += weight * row[c];
        }
    }
    for (size_t c = 0; c < r->n_columns; c++) {
        r->figure[c * r->n_resamples + b] = sum[c] / (double)r->n;
    }
}

/* The value of rank `rank`, from 0, in a resample. by_rank: how often the resample has each
   rank. */
static double of_rank(const struct resampling *r, size_t column, const uint32_t *by_rank,
                      size_t rank)
{
    size_t at = 0, seen = by_rank[0];
    while (seen <= rank) {
        seen += by_rank[++at];
    }
    return r->sorted[column * r->n + at];
}

static void median_of_resample(const struct resampling *r, size_t b, const uint32_t *times,
                               uint32_t *by_rank)
{
    for (size_t c = 0; c < r->n_columns; c++) {
        for (size_t k = 0; k < r->n; k++) {
            by_rank[r->order[c * r->n + k]] = times[k];
        }
        r->figure[c * r->n_resamples + b] =
            (of_rank(r, c, by_rank, (r->n - 1) / 2) + of_rank(r, c, by_rank, r->n / 2)) / 2;
    }
}

static void draw_resamples(const struct resampling *r)
{
#pragma omp parallel for schedule(static)
    for (size_t worker = 0; worker < r->n_workers; worker++) {
        uint32_t *times = r->times + worker * 2 * r->n;
        for (size_t b = worker; b < r->n_resamples; b += r->n_workers) {
            draw_rows(r, b, times);
            if (r->order) {
                median_of_resample(r, b, times, times + r->n);
            } else {
                mean_of_resample(r, b, times, r->sum + worker * r->n_columns);
            }
        }
    }
}

struct ranked {
    double value;
    uint32_t row;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static enum ko_code rank_columns(struct resampling *r, struct ko_error *err)
{
    size_t n_all = 0;
    enum ko_code code = ko_multiply(r->n, r->n_columns, &n_all, "values", err);
    if (code != KO_OK) {
        return code;
    }
    struct ranked *ranked = ko_new(r->n, sizeof *ranked, err);
    r->order = ko_new(n_all, sizeof *r->order, err);
    r->sorted = ko_new(n_all, sizeof *r->sorted, err);
    code = ranked && r->order && r->sorted ? KO_OK : KO_E_MEMORY;
    for (size_t c = 0; code == KO_OK && c < r->n_columns; c++) {
        for (size_t k = 0; k < r->n; k++) {
            ranked[k] = (struct ranked){r->values[k * r->n_columns + c], (uint32_t)k};
        }
        qsort(ranked, r->n, sizeof *ranked, compare_ranked);
        for (size_t k = 0; k < r->n; k++) {
            r->order[c * r->n + ranked[k].row] = (uint32_t)k;
            r->sorted[c * r->n + k] = ranked[k].value;
        }
    }
    free(ranked);
    return code;
}

static enum ko_code make_room(struct resampling *r, struct ko_error *err)
{
    enum { WORKERS = 64 };
    size_t n_figures = 0;
    const enum ko_code code =
        ko_multiply(r->n_columns, r->n_resamples, &n_figures, "--resamples", err);
    if (code != KO_OK) {
        return code;
    }
    r->n_workers = r->n_resamples < WORKERS ? r->n_resamples : WORKERS;
    r->figure = ko_new(n_figures, sizeof *r->figure, err);
    r->times = ko_new(r->n_workers * 2 * r->n, sizeof *r->times, err);
    r->sum = ko_new(r->n_workers * r->n_columns, sizeof *r->sum, err);
    return r->figure && r->times && r->sum ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_bootstrap_intervals(const struct ko_bootstrap *bootstrap, bool median,
                                    const struct ko_columns *columns, double *low, double *high,
                                    struct ko_error *err)
{
    struct resampling r = {.values = columns->value,
                           .n = columns->n,
                           .n_columns = columns->n_columns,
                           .n_resamples = (size_t)bootstrap->n_resamples,
                           .start = ko_draw_start(bootstrap->seed, 0)};
    enum ko_code code = make_room(&r, err);
    if (code == KO_OK && median) {
        code = rank_columns(&r, err);
    }
    if (code == KO_OK) {
        draw_resamples(&r);
    }
    for (size_t c = 0; code == KO_OK && c < r.n_columns; c++) {
        double *figure = r.figure + c * r.n_resamples;
        ko_sort_doubles(figure, r.n_resamples);
        low[c] = ko_quantile(figure, r.n_resamples, 0.025);
        high[c] = ko_quantile(figure, r.n_resamples, 0.975);
    }
    free(r.figure);
    free(r.times);
    free(r.sum);
    free(r.order);
    free(r.sorted);
    return code;
}

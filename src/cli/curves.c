#include "src/cli/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/plan/plan.h"

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
    if (nearest)
        return ko_fail(err, KO_E_INPUT, "--metric: unknown metric '%s', did you mean '%s'?", word,
                       nearest);
    return ko_fail(
        err, KO_E_INPUT,
        "--metric: unknown metric '%s', choose change, delta, logprob, median, hit or kl", word);
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

double ko_curve_value(enum ko_curve_metric metric, double clean, double knocked_out)
{
    switch (metric) {
    case KO_CURVE_CHANGE:
    case KO_CURVE_MEDIAN:
        return 100 * expm1(knocked_out - clean);
    case KO_CURVE_DELTA:
        return 100 * (knocked_out - clean);
    case KO_CURVE_LOGPROB:
        return knocked_out - clean;
    case KO_CURVE_HIT:
        return knocked_out < 1 ? NAN : knocked_out < 2;
    case KO_CURVE_KL:
        break;
    }
    return knocked_out;
}

struct ko_estimate ko_curve_estimate(enum ko_curve_metric metric, double *values, size_t n)
{
    if (metric == KO_CURVE_MEDIAN)
        return ko_estimate_median(values, n);
    if (metric != KO_CURVE_HIT)
        return ko_estimate_mean(values, n);
    size_t n_hits = 0;
    for (size_t k = 0; k < n; k++)
        n_hits += values[k] > 0;
    return ko_estimate_share(n_hits, n);
}

enum ko_code ko_curve_values_read(const struct ko_cube_block *block, int32_t model,
                                  enum ko_curve_metric metric, struct ko_curve_values *out,
                                  struct ko_error *err)
{
    struct ko_curve_values values = {0};
    const char *name = metric == KO_CURVE_KL      ? "kl"
                       : metric == KO_CURVE_HIT   ? "target_rank"
                       : metric == KO_CURVE_DELTA ? "prob"
                                                  : "logprob";
    enum ko_code code = ko_cube_block_statuses(block, model, &values.status, err);
    if (code == KO_OK)
        code = ko_cube_block_doubles(block, name, model, &values.value, err);
    if (code == KO_OK && metric != KO_CURVE_KL && metric != KO_CURVE_HIT)
        code = ko_cube_block_clean(block, name, model, &values.clean, err);
    if (code == KO_OK)
        *out = values;
    else
        ko_curve_values_free(&values);
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

/* ----------------------------------------------------------------------------------------------
 * one curve */

struct maker {
    const struct ko_cube_block *block;
    enum ko_curve_metric metric;
    struct ko_curve_values values;
    double *cell; /* [n_prompts] */
};

/* Whether any prompt has cells of the curve; those that are not finished are counted. */
static bool exists(const struct maker *maker, const struct ko_curve *curve, int64_t *n_unfinished)
{
    bool any = false;
    for (int32_t p = 0; p < maker->block->n_prompts; p++) {
        const uint8_t status = maker->values.status[ko_cube_block_status_at(
            maker->block, p, curve->route, curve->feature, 0, curve->size)];
        any = any || status != KO_NOT_PLANNED;
        *n_unfinished += status == KO_PENDING || status == KO_CELL_FAILED;
    }
    return any;
}

static struct ko_estimate estimate(const struct maker *maker, const struct ko_curve *curve,
                                   int32_t start)
{
    size_t n = 0;
    for (int32_t p = 0; p < maker->block->n_prompts; p++) {
        const int64_t at =
            ko_cube_block_status_at(maker->block, p, curve->route, curve->feature, 0, curve->size);
        if (maker->values.status[at] != KO_DONE)
            continue;
        const double value =
            ko_curve_value(maker->metric, maker->values.clean ? maker->values.clean[p] : 0,
                           maker->values.value[ko_cube_block_value_at(maker->block, at) + start]);
        if (isfinite(value))
            maker->cell[n++] = value;
    }
    return ko_curve_estimate(maker->metric, maker->cell, n);
}

/* A start without any value is one that no block of the spec planned, unless nothing at all is
   done. */
static void drop_empty(struct ko_curve *curve)
{
    int32_t kept = 0;
    for (int32_t k = 0; k < curve->n_points; k++)
        if (curve->point[k].estimate.n > 0)
            curve->point[kept++] = curve->point[k];
    if (kept > 0)
        curve->n_points = kept;
}

static enum ko_code add_curve(const struct maker *maker, struct ko_curve curve,
                              struct ko_curves *curves, struct ko_error *err)
{
    const struct ko_cube_block *block = maker->block;
    const int32_t n_layers = block->axes->n_layers[curve.model];
    const int32_t size = block->axes->window_size[curve.size];
    struct ko_curve *grown =
        ko_grow(curves->curve, &curves->capacity, curves->n + 1, sizeof *grown, err);
    if (!grown)
        return KO_E_MEMORY;
    curves->curve = grown;
    curve.point = ko_new((size_t)block->n_starts, sizeof *curve.point, err);
    if (!curve.point)
        return KO_E_MEMORY;
    for (int32_t w = 0; w < block->n_starts; w++) {
        const int32_t start = block->axes->window_start[w];
        if (start <= n_layers - size)
            curve.point[curve.n_points++] = (struct ko_curve_point){
                start, ko_window_depth(n_layers, size, start), estimate(maker, &curve, w)};
    }
    drop_empty(&curve);
    curves->curve[curves->n++] = curve;
    return KO_OK;
}

static enum ko_code add_model(struct maker *maker, int32_t model,
                              const struct ko_curve_filter *filter, struct ko_curves *curves,
                              struct ko_error *err)
{
    const struct ko_cube_block *block = maker->block;
    enum ko_code code = ko_curve_values_read(block, model, maker->metric, &maker->values, err);
    for (int32_t r = 0; r < block->n_routes; r++)
        for (int32_t f = 0; f < block->n_features; f++)
            for (int32_t s = 0; s < block->n_sizes; s++) {
                const struct ko_curve curve = {.model = model, .route = r, .feature = f, .size = s};
                if (code == KO_OK && filter->route[r] && filter->feature[f] && filter->size[s] &&
                    exists(maker, &curve, &curves->n_unfinished))
                    code = add_curve(maker, curve, curves, err);
            }
    ko_curve_values_free(&maker->values);
    return code;
}

enum ko_code ko_curves_read(const struct ko_cube_block *block, const struct ko_curve_filter *filter,
                            enum ko_curve_metric metric, struct ko_curves *out,
                            struct ko_error *err)
{
    struct ko_curves curves = {0};
    struct maker maker = {.block = block, .metric = metric};
    maker.cell = ko_new((size_t)block->n_prompts, sizeof *maker.cell, err);
    enum ko_code code = maker.cell ? KO_OK : KO_E_MEMORY;
    for (size_t m = 0; code == KO_OK && m < block->axes->model.n && block->n_routes > 0; m++)
        if (filter->model[m])
            code = add_model(&maker, (int32_t)m, filter, &curves, err);
    free(maker.cell);
    if (code == KO_OK)
        *out = curves;
    else
        ko_curves_free(&curves);
    return code;
}

void ko_curves_free(struct ko_curves *curves)
{
    for (size_t k = 0; k < curves->n; k++)
        free(curves->curve[k].point);
    free(curves->curve);
    *curves = (struct ko_curves){0};
}

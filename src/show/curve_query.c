/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the options for the metric, the statistic, the interval and the bootstrap, and rejects
   combinations that make no sense. Also writes the title of the output. */
#include "src/show/curve_query.h"

#include <string.h>

/* Whether the values are 0 or 100 and their mean is a share. */
static bool is_share(const struct ko_curve_query *query)
{
    return query->metric == KO_CURVE_HIT && query->summary.statistic == KO_STATISTIC_MEAN &&
           !ko_curve_query_subtracts(query);
}

static enum ko_code read_statistic(const struct ko_options *options, struct ko_curve_query *query,
                                   struct ko_error *err)
{
    const bool median = strcmp(ko_option_string(options, KO_OPT_STATISTIC), "median") == 0;
    query->summary.statistic =
        median || query->metric == KO_CURVE_MEDIAN ? KO_STATISTIC_MEDIAN : KO_STATISTIC_MEAN;
    if (query->metric == KO_CURVE_MEDIAN && !median && ko_option_given(options, KO_OPT_STATISTIC)) {
        return ko_fail(err, KO_E_INPUT,
                       "--metric median: prints a median, use --metric change for the mean");
    }
    return KO_OK;
}

static enum ko_code read_interval(const struct ko_options *options, struct ko_curve_query *query,
                                  struct ko_error *err)
{
    const char *word = ko_option_string(options, KO_OPT_INTERVAL);
    const bool median = query->summary.statistic == KO_STATISTIC_MEDIAN;
    enum ko_interval interval = median            ? KO_INTERVAL_ORDER
                                : is_share(query) ? KO_INTERVAL_WILSON
                                                  : KO_INTERVAL_T;
    for (int k = KO_INTERVAL_T; word && k <= KO_INTERVAL_ORDER; k++) {
        if (strcmp(ko_interval_word((enum ko_interval)k), word) == 0) {
            interval = (enum ko_interval)k;
        }
    }
    if (median && (interval == KO_INTERVAL_T || interval == KO_INTERVAL_WILSON)) {
        return ko_fail(err, KO_E_INPUT,
                       "--interval %s: is for a mean, choose order or bootstrap for a median",
                       word);
    }
    if (!median && interval == KO_INTERVAL_ORDER) {
        return ko_fail(err, KO_E_INPUT,
                       "--interval order: is for a median, choose t or bootstrap for a mean");
    }
    if (interval == KO_INTERVAL_WILSON && !is_share(query)) {
        return ko_fail(err, KO_E_INPUT,
                       "--interval wilson: is for a share of hits (--metric hit, nothing "
                       "subtracted), choose t or bootstrap");
    }
    query->summary.interval = interval;
    return KO_OK;
}

static enum ko_code read_bootstrap(const struct ko_options *options, struct ko_bootstrap *bootstrap,
                                   struct ko_error *err)
{
    enum { MOST = 10000000 };
    bootstrap->n_resamples = ko_option_int(options, KO_OPT_RESAMPLES);
    bootstrap->seed = (uint64_t)ko_option_int(options, KO_OPT_RESAMPLES_SEED);
    if (bootstrap->n_resamples < 1 || bootstrap->n_resamples > MOST) {
        return ko_fail(err, KO_E_INPUT,
                       "--resamples: expected a whole number from 1 to %d, got '%s'", (int)MOST,
                       ko_option_string(options, KO_OPT_RESAMPLES));
    }
    return KO_OK;
}

/* The strongest cells are those of effects: a level such as a share of hits is far from 0 where
   nothing is lost. */
static enum ko_code read_strongest(const struct ko_options *options, struct ko_curve_query *query,
                                   struct ko_error *err)
{
    query->n_strongest = ko_option_int(options, KO_OPT_STRONGEST);
    if (query->n_strongest > 0 && !ko_curve_query_subtracts(query) &&
        !ko_curve_metric_is_effect(query->metric)) {
        return ko_fail(err, KO_E_INPUT,
                       "--strongest: is of effects, and %s is not 0 where nothing changes, choose "
                       "another --metric",
                       ko_curve_metric_word(query->metric));
    }
    return KO_OK;
}

/* No useful limits of a difference of three effects are known. */
static struct ko_bounds bounds_of(const struct ko_curve_query *query)
{
    if (query->minus.interaction) {
        return (struct ko_bounds){0};
    }
    return ko_curve_query_subtracts(query)
               ? ko_curve_difference_bounds(query->metric, query->minus.model >= 0)
               : ko_curve_metric_bounds(query->metric);
}

enum ko_code ko_curve_query_read(const struct ko_options *options, const char *path,
                                 const struct ko_cube_axes *axes, struct ko_curve_query *out,
                                 struct ko_error *err)
{
    struct ko_curve_query query = {.minus = {.model = -1, .class = -1}};
    enum ko_code code =
        ko_curve_metric_parse(ko_option_string(options, KO_OPT_METRIC), &query.metric, err);
    query.by_relation = strcmp(ko_option_string(options, KO_OPT_BY), "relation") == 0;
    if (code == KO_OK) {
        code = ko_curve_minus_read(options, path, axes, &query.minus, err);
    }
    if (code == KO_OK && query.minus.interaction && !ko_curve_metric_is_effect(query.metric)) {
        code =
            ko_fail(err, KO_E_INPUT,
                    "--interaction: is of effects, and %s is not 0 where nothing changes, choose "
                    "another --metric",
                    ko_curve_metric_word(query.metric));
    }
    if (code == KO_OK) {
        code = read_strongest(options, &query, err);
    }
    if (code == KO_OK) {
        code = read_statistic(options, &query, err);
    }
    if (code == KO_OK) {
        code = read_interval(options, &query, err);
    }
    if (code == KO_OK) {
        code = read_bootstrap(options, &query.summary.bootstrap, err);
    }
    query.summary.bounds = bounds_of(&query);
    if (code == KO_OK) {
        *out = query;
    } else {
        ko_curve_query_free(&query);
    }
    return code;
}

void ko_curve_query_free(struct ko_curve_query *query)
{
    ko_curve_minus_free(&query->minus);
    *query = (struct ko_curve_query){.minus = query->minus};
}

bool ko_curve_query_subtracts(const struct ko_curve_query *query)
{
    return ko_curve_minus_given(&query->minus);
}

bool ko_curve_query_tests(const struct ko_curve_query *query)
{
    return (ko_curve_query_subtracts(query) || query->n_strongest > 0) &&
           query->summary.statistic == KO_STATISTIC_MEAN;
}

void ko_curve_query_title(const struct ko_curve_query *query, struct ko_text *out)
{
    const bool subtracts = ko_curve_query_subtracts(query);
    const char *statistic = ko_statistic_word(query->summary.statistic);
    if (query->minus.interaction) {
        ko_text_add(out, "interaction of attention and ssm, %s over prompts:\n", statistic);
    } else if (subtracts) {
        ko_text_add(out, "paired difference, %s over prompts:\n", statistic);
    } else if (query->metric != KO_CURVE_HIT) {
        ko_text_add(out, "%s ", statistic);
    }
    ko_text_add(out, "%s, %s", ko_curve_metric_title(query->metric),
                ko_curve_metric_unit(query->metric));
}

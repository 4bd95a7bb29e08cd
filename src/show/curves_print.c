/* SPDX-License-Identifier: Apache-2.0 */
/* Prints curves as text tables. Chooses the number of decimals and the scale of the bars so that
   all curves of one output can be compared. */
#include "src/show/curves_print.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/show/layer_words.h"

enum { BAR_WIDTH = 30, MOST_DECIMALS = 9 };

static int usual_decimals(enum ko_curve_metric metric)
{
    return strcmp(ko_curve_metric_unit(metric), "nats") == 0 ? 4 : 2;
}

static const char *number_text(double value, int decimals, char buffer[32])
{
    if (!isfinite(value)) {
        (void)snprintf(buffer, 32, "-");
    } else if (fabs(value) >= 1e7) {
        (void)snprintf(buffer, 32, "%.3g", value);
    } else {
        (void)snprintf(buffer, 32, "%.*f", decimals, value);
    }
    /* A number that rounds to 0 has no sign. */
    if (buffer[0] == '-' && buffer[1] != '\0' && strspn(buffer + 1, "0.") == strlen(buffer + 1)) {
        memmove(buffer, buffer + 1, strlen(buffer));
    }
    return buffer;
}

const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32])
{
    return number_text(value, usual_decimals(metric), buffer);
}

/* The unit's decimals, or more where its interval (without one: its value) would show fewer than
   two digits. */
static int decimals_of(enum ko_curve_metric metric, const struct ko_estimate *estimate)
{
    const int usual = usual_decimals(metric);
    const double width = estimate->high - estimate->low;
    const double size = width > 0 ? width / 2 : fabs(estimate->value);
    if (!isfinite(size) || !(size > 0)) {
        return usual;
    }
    const double needed = 1 - floor(log10(size));
    return needed <= usual ? usual : (int)fmin(needed, MOST_DECIMALS);
}

double ko_bar_step(enum ko_curve_metric metric, double largest)
{
    static const double rounds[] = {1, 2, 5};
    const bool nats = strcmp(ko_curve_metric_unit(metric), "nats") == 0;
    if (metric == KO_CURVE_HIT) {
        largest = 100; /* the same for every cube */
    }
    double tens = nats ? 0.01 : 1;
    for (int power = 0; power < DBL_MAX_10_EXP; power++) {
        for (size_t k = 0; k < sizeof rounds / sizeof rounds[0]; k++) {
            if (!(largest > BAR_WIDTH * rounds[k] * tens)) {
                return rounds[k] * tens;
            }
        }
        tens *= 10;
    }
    return tens;
}

void ko_bar(double value, double step, struct ko_text *out)
{
    if (!isfinite(value) || !(step > 0)) {
        return;
    }
    const long n = lround(fmin(fabs(value) / step, BAR_WIDTH));
    for (long k = 0; k < n; k++) {
        ko_text_add(out, value < 0 ? "-" : "+");
    }
}

static double largest_value(const struct ko_curves *curves)
{
    double largest = 0;
    for (size_t c = 0; c < curves->n; c++) {
        for (int32_t k = 0; k < curves->curve[c].n_points; k++) {
            if (isfinite(curves->curve[c].point[k].estimate.value)) {
                largest = fmax(largest, fabs(curves->curve[c].point[k].estimate.value));
            }
        }
    }
    return largest;
}

static const char *figure_word(const struct ko_curve_query *query)
{
    if (ko_curve_query_subtracts(query)) {
        return query->minus.interaction ? "interaction" : "difference";
    }
    if (query->metric == KO_CURVE_HIT && query->summary.statistic == KO_STATISTIC_MEAN) {
        return "share";
    }
    return ko_statistic_word(query->summary.statistic);
}

void ko_point_add_header(struct ko_table *table, const struct ko_curve_query *query)
{
    ko_table_add(table, "%s", figure_word(query));
    ko_table_add(table, "95 %% interval");
    if (ko_curve_query_tests(query)) {
        ko_table_add(table, "p");
        ko_table_add(table, "p, Holm");
    }
    ko_table_add(table, "n");
    ko_table_add(table, "%s", "");
}

static const char *p_number(double p, char buffer[32])
{
    if (!isfinite(p)) {
        (void)snprintf(buffer, 32, "-");
    } else {
        (void)snprintf(buffer, 32, p >= 0.001 ? "%.4f" : "%.1e", p);
    }
    return buffer;
}

void ko_point_add(struct ko_table *table, const struct ko_curve_point *point,
                  const struct ko_curve_query *query, double bars)
{
    char number[32], low[32], high[32];
    struct ko_text bar = {0};
    const struct ko_estimate *estimate = &point->estimate;
    const int decimals = decimals_of(query->metric, estimate);
    ko_bar(estimate->value, bars, &bar);
    ko_table_add(table, "%s", number_text(estimate->value, decimals, number));
    if (isfinite(estimate->low)) {
        ko_table_add(table, "[%s, %s]", number_text(estimate->low, decimals, low),
                     number_text(estimate->high, decimals, high));
    } else {
        ko_table_add(table, "-");
    }
    if (ko_curve_query_tests(query)) {
        ko_table_add(table, "%s", p_number(point->p, number));
        ko_table_add(table, "%s", p_number(point->p_holm, number));
    }
    ko_table_add(table, "%s", ko_grouped((int64_t)estimate->n, number));
    ko_table_add(table, "%s", ko_text_str(&bar));
    ko_text_free(&bar);
}

static void add_heading(const struct ko_curves *curves, const struct ko_curve *curve,
                        const struct ko_cube_axes *axes, struct ko_text *out)
{
    const struct ko_curve_key *key = &curve->key;
    ko_text_add(out, "\n%s  %s  %s  ", axes->model.item[key->model], axes->route.item[key->route],
                axes->feature_class.item[key->class]);
    ko_window_text(axes, key->model, axes->window_size[key->size], out);
    if (curve->relation >= 0) {
        const char *relation = curves->relation.item[curve->relation];
        ko_text_add(out, "  relation %s", relation[0] ? relation : "(none)");
    }
    if (curve->minus) {
        ko_text_add(out, "\n  minus %s", curve->minus);
    }
    if (curve->n_left_out > 0) {
        ko_text_add(out,
                    "\n  %d window%s left out: attention or ssm is vacuous there, and the "
                    "interaction 0",
                    curve->n_left_out, curve->n_left_out == 1 ? " is" : "s are");
    }
    ko_text_add(out, "\n");
}

/* Names the mixers of the printed models' layers, where they differ. */
static void add_mixers(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                       struct ko_text *out)
{
    int32_t last = -1;
    for (size_t c = 0; c < curves->n; c++) {
        const int32_t model = curves->curve[c].key.model;
        if (model != last && ko_layers_differ(axes, model)) {
            ko_text_add(out, "layers of %s: ", axes->model.item[model]);
            ko_layer_mixers_text(axes, model, out);
            ko_text_add(out, "\n");
        }
        last = model; /* curves are in order of their models */
    }
}

static bool any_is_cut(const struct ko_curves *curves, const struct ko_summary *summary)
{
    for (size_t c = 0; c < curves->n; c++) {
        for (int32_t k = 0; k < curves->curve[c].n_points; k++) {
            if (ko_estimate_is_cut(&curves->curve[c].point[k].estimate, summary)) {
                return true;
            }
        }
    }
    return false;
}

/* "intervals are cut at 0.00 and 100.00, ..." */
static void add_cut(const struct ko_curve_query *query, struct ko_text *out)
{
    char number[32];
    const struct ko_bounds *bounds = &query->summary.bounds;
    ko_text_add(out, "intervals are cut at ");
    if (bounds->has_least) {
        ko_text_add(out, "%s", ko_curve_number(query->metric, bounds->least, number));
    }
    if (bounds->has_least && bounds->has_most) {
        ko_text_add(out, " and ");
    }
    if (bounds->has_most) {
        ko_text_add(out, "%s", ko_curve_number(query->metric, bounds->most, number));
    }
    ko_text_add(out, ", beyond which no mean can lie\n");
}

void ko_curves_print_title(const struct ko_curve_query *query, struct ko_text *out)
{
    char number[32];
    const struct ko_bootstrap *bootstrap = &query->summary.bootstrap;
    ko_curve_query_title(query, out);
    if (query->summary.interval == KO_INTERVAL_BOOTSTRAP) {
        ko_text_add(out, "\nintervals: bootstrap, %s resamples, seed %llu",
                    ko_grouped(bootstrap->n_resamples, number),
                    (unsigned long long)bootstrap->seed);
    }
    ko_text_add(out, "\n");
}

void ko_curves_print_scale(const struct ko_curve_query *query, double bars, bool is_cut,
                           struct ko_text *out)
{
    ko_text_add(out, "bars: each - or + is %g %s\n", bars, ko_curve_metric_unit(query->metric));
    if (is_cut) {
        add_cut(query, out);
    }
}

void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     const struct ko_curve_query *query, struct ko_text *out)
{
    const double step = ko_bar_step(query->metric, largest_value(curves));
    const bool tests = ko_curve_query_tests(query);
    ko_curves_print_title(query, out);
    ko_curves_print_scale(query, step, any_is_cut(curves, &query->summary), out);
    add_mixers(curves, axes, out);
    for (size_t c = 0; c < curves->n; c++) {
        const struct ko_curve *curve = &curves->curve[c];
        struct ko_table table = {.n_columns =
                                     2 + KO_POINT_COLUMNS + (tests ? KO_POINT_TEST_COLUMNS : 0),
                                 .right = tests ? 0x7f : 0x1f};
        add_heading(curves, curve, axes, out);
        ko_table_add(&table, "layers");
        ko_table_add(&table, "depth");
        ko_point_add_header(&table, query);
        for (int32_t k = 0; k < curve->n_points; k++) {
            char text[KO_WINDOW_LAYERS_TEXT];
            ko_table_add(&table, "%s",
                         ko_window_layers_text(axes, curve->key.model,
                                               axes->window_size[curve->key.size],
                                               curve->point[k].start, text));
            ko_table_add(&table, "%.1f %%", curve->point[k].depth);
            ko_point_add(&table, &curve->point[k], query, step);
        }
        ko_table_print(&table, 2, out);
    }
}

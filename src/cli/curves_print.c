#include "src/cli/curves_print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/table.h"

enum { BAR_WIDTH = 30 };

void ko_csv_text(struct ko_text *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        ko_text_add(out, "%s", text);
        return;
    }
    ko_text_add(out, "\"");
    for (const char *c = text; *c; c++)
        ko_text_add(out, *c == '"' ? "\"\"" : "%c", *c);
    ko_text_add(out, "\"");
}

void ko_csv_number(struct ko_text *out, double value)
{
    if (isfinite(value))
        ko_text_add(out, "%.9g", value);
}

const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32])
{
    const int decimals = strcmp(ko_curve_metric_unit(metric), "nats") == 0 ? 4 : 2;
    if (!isfinite(value))
        (void)snprintf(buffer, 32, "-");
    else if (fabs(value) >= 1e7)
        (void)snprintf(buffer, 32, "%.3g", value);
    else
        (void)snprintf(buffer, 32, "%.*f", decimals, value);
    /* What rounds to nothing has no sign. */
    if (buffer[0] == '-' && buffer[1] != '\0' && strspn(buffer + 1, "0.") == strlen(buffer + 1))
        memmove(buffer, buffer + 1, strlen(buffer));
    return buffer;
}

void ko_bar(double value, double largest, int width, struct ko_text *out)
{
    if (!isfinite(value) || !(largest > 0))
        return;
    const double share = fmin(fabs(value) / largest, 1);
    for (long k = lround(share * width); k > 0; k--)
        ko_text_add(out, value < 0 ? "-" : "+");
}

static double largest_value(const struct ko_curves *curves)
{
    double largest = 0;
    for (size_t c = 0; c < curves->n; c++)
        for (int32_t k = 0; k < curves->curve[c].n_points; k++)
            if (isfinite(curves->curve[c].point[k].estimate.value))
                largest = fmax(largest, fabs(curves->curve[c].point[k].estimate.value));
    return largest;
}

static void add_header(struct ko_table *table, enum ko_curve_metric metric)
{
    const char *figure = metric == KO_CURVE_MEDIAN ? "median"
                         : metric == KO_CURVE_HIT  ? "share"
                                                   : "mean";
    ko_table_add(table, "layers");
    ko_table_add(table, "depth");
    ko_table_add(table, "%s", figure);
    ko_table_add(table, "95 %% interval");
    ko_table_add(table, "n");
    ko_table_add(table, "%s", "");
}

static void add_point(struct ko_table *table, const struct ko_curve_point *point, int32_t size,
                      enum ko_curve_metric metric, double largest)
{
    char number[32], low[32], high[32];
    struct ko_text bar = {0};
    const struct ko_estimate *estimate = &point->estimate;
    ko_bar(estimate->value, largest, BAR_WIDTH, &bar);
    if (size == 1)
        ko_table_add(table, "%d", point->start);
    else
        ko_table_add(table, "%d-%d", point->start, point->start + size - 1);
    ko_table_add(table, "%.1f %%", point->depth);
    ko_table_add(table, "%s", ko_curve_number(metric, estimate->value, number));
    if (isfinite(estimate->low))
        ko_table_add(table, "[%s, %s]", ko_curve_number(metric, estimate->low, low),
                     ko_curve_number(metric, estimate->high, high));
    else
        ko_table_add(table, "-");
    ko_table_add(table, "%s", ko_grouped((int64_t)estimate->n, number));
    ko_table_add(table, "%s", ko_text_str(&bar));
    ko_text_free(&bar);
}

void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     enum ko_curve_metric metric, struct ko_text *out)
{
    const double largest = largest_value(curves);
    ko_text_add(out, "%s, %s\n", ko_curve_metric_title(metric), ko_curve_metric_unit(metric));
    for (size_t c = 0; c < curves->n; c++) {
        const struct ko_curve *curve = &curves->curve[c];
        const int32_t size = axes->window_size[curve->size];
        struct ko_table table = {.n_columns = 6, .right = 0x1f};
        ko_text_add(out, "\n%s  %s  %s  window of %d of %d layers\n",
                    axes->model.item[curve->model], axes->route.item[curve->route],
                    axes->feature_class.item[curve->feature], size, axes->n_layers[curve->model]);
        add_header(&table, metric);
        for (int32_t k = 0; k < curve->n_points; k++)
            add_point(&table, &curve->point[k], size, metric, largest);
        ko_table_print(&table, 2, out);
    }
}

static enum ko_code csv_curve(const struct ko_curve *curve, const struct ko_cube_axes *axes,
                              enum ko_curve_metric metric, struct ko_text *out,
                              struct ko_error *err)
{
    const char *route = axes->route.item[curve->route];
    char *target = NULL, *source = NULL;
    const enum ko_code code = ko_route_label_split(route, &target, &source, err);
    for (int32_t k = 0; code == KO_OK && k < curve->n_points; k++) {
        const struct ko_curve_point *point = &curve->point[k];
        const char *const words[] = {axes->model.item[curve->model], route, target, source,
                                     axes->feature_class.item[curve->feature]};
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            ko_csv_text(out, words[w]);
            ko_text_add(out, ",");
        }
        ko_text_add(out, "%d,%d,", axes->window_size[curve->size], point->start);
        ko_csv_number(out, point->depth);
        ko_text_add(out, ",%s,", ko_curve_metric_word(metric));
        ko_csv_number(out, point->estimate.value);
        ko_text_add(out, ",");
        ko_csv_number(out, point->estimate.low);
        ko_text_add(out, ",");
        ko_csv_number(out, point->estimate.high);
        ko_text_add(out, ",%zu\n", point->estimate.n);
    }
    free(target);
    free(source);
    return code;
}

enum ko_code ko_curves_csv(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                           enum ko_curve_metric metric, struct ko_text *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    ko_text_add(out, "model,route,target,source,feature_class,window_size,window_start,depth,"
                     "metric,value,low,high,n\n");
    for (size_t c = 0; code == KO_OK && c < curves->n; c++)
        code = csv_curve(&curves->curve[c], axes, metric, out, err);
    return code;
}

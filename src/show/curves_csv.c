/* SPDX-License-Identifier: Apache-2.0 */
/* Writes curves as a CSV table with one line per window. The JSON form is in curves_json.c. */
#include "src/show/curves_csv.h"

#include <stdlib.h>

#include "src/formats/csv_stream.h"
#include "src/show/axis_words.h"

static const char *relation_of(const struct ko_curves *curves, const struct ko_curve *curve)
{
    return curve->relation >= 0 ? curves->relation.item[curve->relation] : "";
}

static void csv_point(const struct ko_curves *curves, const struct ko_curve *curve,
                      const struct ko_curve_point *point, const struct ko_curve_query *query,
                      struct ko_text *out)
{
    ko_csv_number(out, point->depth);
    ko_text_add(out, ",%s,", ko_curve_metric_word(query->metric));
    ko_csv_number(out, point->estimate.value);
    ko_text_add(out, ",");
    ko_csv_number(out, point->estimate.low);
    ko_text_add(out, ",");
    ko_csv_number(out, point->estimate.high);
    ko_text_add(out, ",%zu,%s,%s,", point->estimate.n, ko_statistic_word(query->summary.statistic),
                ko_interval_word(query->summary.interval));
    ko_csv_text(out, relation_of(curves, curve));
    ko_text_add(out, ",");
    ko_csv_text(out, curve->minus ? curve->minus : "");
    ko_text_add(out, ",");
    ko_csv_number(out, point->p);
    ko_text_add(out, ",");
    ko_csv_number(out, point->p_holm);
    ko_text_add(out, "\n");
}

static enum ko_code csv_curve(const struct ko_curves *curves, const struct ko_curve *curve,
                              const struct ko_cube_axes *axes, const struct ko_curve_query *query,
                              struct ko_text *out, struct ko_error *err)
{
    const struct ko_curve_key *key = &curve->key;
    const char *route = axes->route.item[key->route];
    char *target = NULL, *source = NULL;
    const enum ko_code code = ko_route_label_split(route, &target, &source, err);
    for (int32_t k = 0; code == KO_OK && k < curve->n_points; k++) {
        const char *const words[] = {axes->model.item[key->model], route, target, source,
                                     axes->feature_class.item[key->class]};
        for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
            ko_csv_text(out, words[w]);
            ko_text_add(out, ",");
        }
        ko_text_add(out, "%d,%d,", axes->window_size[key->size], curve->point[k].start);
        csv_point(curves, curve, &curve->point[k], query, out);
    }
    free(target);
    free(source);
    return code;
}

enum ko_code ko_curves_csv(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                           const struct ko_curve_query *query, struct ko_text *out,
                           struct ko_error *err)
{
    enum ko_code code = KO_OK;
    ko_text_add(out, "model,route,target,source,feature_class,window_size,window_start,depth,"
                     "metric,value,low,high,n,statistic,interval,relation,minus,p,p_holm\n");
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        code = csv_curve(curves, &curves->curve[c], axes, query, out, err);
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes curves as a CSV table with one line per window, or as JSON with one object per curve. */
#include "src/show/curves_export.h"

#include <stdlib.h>

#include "src/formats/csv_stream.h"
#include "src/formats/json_out.h"
#include "src/show/axis_words.h"
#include "src/show/layer_words.h"

static struct ko_layer_range layers_of(const struct ko_curve *curve,
                                       const struct ko_curve_point *point,
                                       const struct ko_cube_axes *axes)
{
    return ko_cube_window(axes, curve->key.model, axes->window_size[curve->key.size], point->start);
}

/* ----------------------------------------------------------------------------------------------
   as CSV */

static const char *relation_of(const struct ko_curves *curves, const struct ko_curve *curve)
{
    return curve->relation >= 0 ? curves->relation.item[curve->relation] : "";
}

const char *const ko_curves_csv_columns =
    "model,route,target,source,feature_class,window_size,window_start,depth,metric,value,low,high,"
    "n,"
    "statistic,interval,relation,minus,p,p_holm,first_layer,last_layer";

static void csv_numbers(const struct ko_curve_point *point, const struct ko_curve_query *query,
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
}

enum ko_code ko_point_csv(const struct ko_curves *curves, const struct ko_curve *curve,
                          const struct ko_curve_point *point, const struct ko_cube_axes *axes,
                          const struct ko_curve_query *query, struct ko_text *out,
                          struct ko_error *err)
{
    const struct ko_curve_key *key = &curve->key;
    const char *route = axes->route.item[key->route];
    char *target = NULL, *source = NULL;
    const enum ko_code code = ko_route_label_split(route, &target, &source, err);
    if (code != KO_OK) {
        return code;
    }
    const char *const words[] = {axes->model.item[key->model], route, target, source,
                                 axes->feature_class.item[key->class]};
    for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
        ko_csv_text(out, words[w]);
        ko_text_add(out, ",");
    }
    ko_text_add(out, "%d,%d,", axes->window_size[key->size], point->start);
    csv_numbers(point, query, out);
    ko_csv_text(out, relation_of(curves, curve));
    ko_text_add(out, ",");
    ko_csv_text(out, curve->minus ? curve->minus : "");
    ko_text_add(out, ",");
    ko_csv_number(out, point->p);
    ko_text_add(out, ",");
    ko_csv_number(out, point->p_holm);
    const struct ko_layer_range layers = layers_of(curve, point, axes);
    ko_text_add(out, ",%d,%d", layers.begin, layers.end - 1);
    free(target);
    free(source);
    return KO_OK;
}

enum ko_code ko_curves_csv(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                           const struct ko_curve_query *query, struct ko_text *out,
                           struct ko_error *err)
{
    enum ko_code code = KO_OK;
    ko_text_add(out, "%s\n", ko_curves_csv_columns);
    for (size_t c = 0; c < curves->n; c++) {
        const struct ko_curve *curve = &curves->curve[c];
        for (int32_t k = 0; code == KO_OK && k < curve->n_points; k++) {
            code = ko_point_csv(curves, curve, &curve->point[k], axes, query, out, err);
            ko_text_add(out, "\n");
        }
    }
    return code;
}

/* ----------------------------------------------------------------------------------------------
   as JSON */

void ko_point_json(json_object *object, const struct ko_curve *curve,
                   const struct ko_curve_point *point, const struct ko_cube_axes *axes,
                   const struct ko_curve_query *query)
{
    const struct ko_layer_range layers = layers_of(curve, point, axes);
    ko_json_put_int(object, "start", point->start);
    ko_json_put_number(object, "depth", point->depth);
    ko_json_put_number(object, "value", point->estimate.value);
    ko_json_put_number(object, "low", point->estimate.low);
    ko_json_put_number(object, "high", point->estimate.high);
    ko_json_put_int(object, "n", (int64_t)point->estimate.n);
    if (curve->minus || query->n_strongest > 0) {
        ko_json_put_number(object, "p", point->p);
        ko_json_put_number(object, "p_holm", point->p_holm);
    }
    ko_json_put_int(object, "first_layer", layers.begin);
    ko_json_put_int(object, "last_layer", layers.end - 1);
    if (ko_style_has_gaps(axes->style)) {
        char text[KO_WINDOW_LAYERS_TEXT];
        ko_json_put_text(object, "layers",
                         ko_window_layers_text(axes, curve->key.model,
                                               axes->window_size[curve->key.size], point->start,
                                               text));
    }
}

enum ko_code ko_curve_json(json_object *object, const struct ko_curves *curves,
                           const struct ko_curve *curve, const struct ko_cube_axes *axes,
                           const struct ko_curve_query *query, struct ko_error *err)
{
    const struct ko_curve_key *key = &curve->key;
    const char *route = axes->route.item[key->route];
    char *target = NULL, *source = NULL;
    const enum ko_code code = ko_route_label_split(route, &target, &source, err);
    if (code != KO_OK) {
        return code;
    }
    ko_json_put_text(object, "model", axes->model.item[key->model]);
    ko_json_put_text(object, "route", route);
    ko_json_put_text(object, "target", target);
    ko_json_put_text(object, "source", source);
    ko_json_put_text(object, "feature_class", axes->feature_class.item[key->class]);
    ko_json_put_int(object, "window_size", axes->window_size[key->size]);
    ko_json_put_int(object, "layers", axes->n_layers[key->model]);
    if (curve->relation >= 0) {
        ko_json_put_text(object, "relation", curves->relation.item[curve->relation]);
    }
    if (curve->minus) {
        ko_json_put_text(object, "minus", curve->minus);
    }
    if (query->minus.interaction) {
        ko_json_put_int(object, "left_out", curve->n_left_out);
    }
    free(target);
    free(source);
    return KO_OK;
}

/* The mixers of every layer of the models that have a curve. */
static enum ko_code put_mixers(json_object *root, const struct ko_curves *curves,
                               const struct ko_cube_axes *axes, struct ko_error *err)
{
    json_object *models = ko_json_put_object(root, "layer_mixers");
    int32_t last = -1;
    enum ko_code code = KO_OK;
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        const int32_t model = curves->curve[c].key.model;
        struct ko_strings layers = {0};
        if (model == last) {
            continue;
        }
        last = model; /* curves are in order of their models */
        for (int32_t l = 0; code == KO_OK && l < axes->n_layers[model]; l++) {
            struct ko_text text = {0};
            ko_mixers_text(axes->mixers[(int64_t)model * axes->n_layer_axis + l], &text);
            code = ko_strings_add(&layers, ko_text_str(&text), err);
            ko_text_free(&text);
        }
        ko_json_put_texts(models, axes->model.item[model], &layers);
        ko_strings_free(&layers);
    }
    return code;
}

enum ko_code ko_curves_json_head(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                                 const struct ko_curve_query *query, json_object **root,
                                 struct ko_error *err)
{
    json_object *object = json_object_new_object();
    const struct ko_summary *summary = &query->summary;
    ko_json_put_text(object, "metric", ko_curve_metric_word(query->metric));
    ko_json_put_text(object, "unit", ko_curve_metric_unit(query->metric));
    ko_json_put_text(object, "statistic", ko_statistic_word(summary->statistic));
    ko_json_put_text(object, "interval", ko_interval_word(summary->interval));
    ko_json_put_text(object, "windows_over", ko_over_words[axes->over]);
    ko_json_put_text(object, "windows_style", ko_style_words[axes->style]);
    if (summary->interval == KO_INTERVAL_BOOTSTRAP) {
        ko_json_put_int(object, "resamples", summary->bootstrap.n_resamples);
        ko_json_put_int(object, "seed", (int64_t)summary->bootstrap.seed);
    }
    ko_json_put_int(object, "unfinished", curves->n_unfinished);
    const enum ko_code code = axes->mixers ? put_mixers(object, curves, axes, err) : KO_OK;
    if (code == KO_OK) {
        *root = object;
    } else {
        json_object_put(object);
    }
    return code;
}

enum ko_code ko_curves_json(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                            const struct ko_curve_query *query, json_object **out,
                            struct ko_error *err)
{
    json_object *root = NULL;
    enum ko_code code = ko_curves_json_head(curves, axes, query, &root, err);
    json_object *list = code == KO_OK ? ko_json_put_list(root, "curves") : NULL;
    for (size_t c = 0; code == KO_OK && c < curves->n; c++) {
        const struct ko_curve *curve = &curves->curve[c];
        json_object *object = ko_json_add_object(list);
        code = ko_curve_json(object, curves, curve, axes, query, err);
        json_object *windows = code == KO_OK ? ko_json_put_list(object, "windows") : NULL;
        for (int32_t k = 0; code == KO_OK && k < curve->n_points; k++) {
            ko_point_json(ko_json_add_object(windows), curve, &curve->point[k], axes, query);
        }
    }
    if (code == KO_OK) {
        *out = root;
    } else {
        json_object_put(root);
    }
    return code;
}

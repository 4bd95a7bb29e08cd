/* SPDX-License-Identifier: Apache-2.0 */
/* Loops over models, routes, classes and sizes and makes the curves that the filter lets through.
   If asked, it splits them by relation, subtracts controls and corrects p-values. */
#include "src/show/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/show/curve_sample.h"

struct maker {
    const struct ko_cube_part *part;
    const struct ko_curve_query *query;
    struct ko_curve_values values;     /* of the current model */
    struct ko_curve_values subtracted; /* of the subtracted model, where it is another one */
    int32_t *relation;                 /* [n_prompts] index of each; NULL: not grouped */
    double *value, *sum, *other;       /* [n_starts, n_prompts] */
    uint32_t *count;                   /* likewise */
    uint8_t *marks;                    /* likewise: a part of an interaction is vacuous */
    int32_t n_left_out;                /* of the current curve */
    struct ko_estimate *estimate;      /* [n_starts] */
    double *p, *p_holm;                /* [n_starts] */
};

static void maker_free(struct maker *maker)
{
    ko_curve_values_close(&maker->values);
    ko_curve_values_close(&maker->subtracted);
    free(maker->relation);
    free(maker->value);
    free(maker->sum);
    free(maker->other);
    free(maker->count);
    free(maker->marks);
    free(maker->estimate);
    free(maker->p);
    free(maker->p_holm);
}

static enum ko_code make_room(struct maker *maker, struct ko_error *err)
{
    const size_t n_starts = (size_t)maker->part->n_starts;
    const size_t n = n_starts * (size_t)maker->part->n_prompts;
    maker->value = ko_new(n, sizeof(double), err);
    maker->sum = ko_new(n, sizeof(double), err);
    maker->other = ko_new(n, sizeof(double), err);
    maker->count = ko_new(n, sizeof(uint32_t), err);
    maker->marks = ko_new(n, 1, err);
    maker->estimate = ko_new(n_starts, sizeof *maker->estimate, err);
    maker->p = ko_new(n_starts, sizeof(double), err);
    maker->p_holm = ko_new(n_starts, sizeof(double), err);
    return maker->value && maker->sum && maker->other && maker->count && maker->marks &&
                   maker->estimate && maker->p && maker->p_holm
               ? KO_OK
               : KO_E_MEMORY;
}

/* Reads the relations and the index of each prompt's relation. */
static enum ko_code read_relations(struct maker *maker, const char *path,
                                   struct ko_strings *relations, struct ko_error *err)
{
    struct ko_strings each = {0};
    enum ko_code code = ko_cube_view_read_strings(maker->part->view, "prompt_relation", &each, err);
    maker->relation = ko_new(each.n, sizeof *maker->relation, err);
    if (code == KO_OK && !maker->relation) {
        code = KO_E_MEMORY;
    }
    for (size_t p = 0; code == KO_OK && p < each.n; p++) {
        size_t index = 0;
        code = ko_strings_intern(relations, each.item[p], &index, err);
        maker->relation[p] = (int32_t)index;
    }
    if (code == KO_OK && relations->n == 1 && relations->item[0][0] == '\0') {
        code = ko_fail(err, KO_E_INPUT,
                       "--by relation: no prompt of %s has a relation, its prompt file names none",
                       path);
    }
    ko_strings_free(&each);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   one curve */

/* Drops the starts without a value: no block of the spec planned them. Keeps all where no start has
   a value. */
static void drop_empty(struct ko_curve *curve)
{
    int32_t kept = 0;
    for (int32_t k = 0; k < curve->n_points; k++) {
        if (curve->point[k].estimate.n > 0) {
            curve->point[kept++] = curve->point[k];
        }
    }
    if (kept > 0) {
        curve->n_points = kept;
    }
}

static enum ko_code correct_p(struct maker *maker, struct ko_curve *curve, struct ko_error *err)
{
    for (int32_t k = 0; k < curve->n_points; k++) {
        maker->p[k] = curve->point[k].p;
    }
    const enum ko_code code = ko_holm(maker->p, (size_t)curve->n_points, maker->p_holm, err);
    for (int32_t k = 0; code == KO_OK && k < curve->n_points; k++) {
        curve->point[k].p_holm = maker->p_holm[k];
    }
    return code;
}

/* Adds the points of windows that fit the model. */
static enum ko_code add_points(struct maker *maker, struct ko_curve *curve, struct ko_error *err)
{
    const bool tests = ko_curve_query_tests(maker->query);
    const struct ko_cube_part *part = maker->part;
    const int32_t size = part->axes->window_size[curve->key.size];
    const struct ko_curve_sample sample = {.value = maker->value,
                                           .n_starts = part->n_starts,
                                           .n_prompts = part->n_prompts,
                                           .group = curve->relation < 0 ? NULL : maker->relation,
                                           .wanted = curve->relation};
    enum ko_code code = ko_curve_sample_estimate(&maker->query->summary, &sample, maker->estimate,
                                                 tests ? maker->p : NULL, err);
    for (int32_t w = 0; code == KO_OK && w < part->n_starts; w++) {
        const int32_t start = part->axes->window_start[w];
        const struct ko_layer_range layers =
            ko_cube_window(part->axes, curve->key.model, size, start);
        if (layers.begin < layers.end) {
            curve->point[curve->n_points++] = (struct ko_curve_point){
                start, ko_cube_depth(part->axes, curve->key.model, size, start), maker->estimate[w],
                tests ? maker->p[w] : NAN, NAN};
        }
    }
    if (code == KO_OK) {
        drop_empty(curve);
    }
    return code == KO_OK ? correct_p(maker, curve, err) : code;
}

/* Whether the curve is left out: it has no value, and is a relation's curve or a difference. */
static bool is_void(const struct ko_curve *curve, bool whole)
{
    return curve->n_points == 0 || (!whole && curve->point[0].estimate.n == 0);
}

static enum ko_code add_curve(struct maker *maker, const struct ko_curve_key *key, int32_t relation,
                              const char *minus, struct ko_curves *curves, struct ko_error *err)
{
    struct ko_curve curve = {.key = *key, .relation = relation, .n_left_out = maker->n_left_out};
    struct ko_curve *grown =
        ko_grow(curves->curve, &curves->capacity, curves->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    curves->curve = grown;
    curve.point = ko_new((size_t)maker->part->n_starts, sizeof *curve.point, err);
    curve.minus = minus ? ko_copy(minus, err) : NULL;
    enum ko_code code = curve.point && (!minus || curve.minus) ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = add_points(maker, &curve, err);
    }
    if (code == KO_OK && !is_void(&curve, relation < 0 && !minus)) {
        curves->curve[curves->n++] = curve;
        return KO_OK;
    }
    free(curve.point);
    free(curve.minus);
    return code;
}

/* Adds the current values as one curve, or as one curve for each relation. */
static enum ko_code add_groups(struct maker *maker, const struct ko_curve_key *key,
                               const char *minus, struct ko_curves *curves, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (!maker->relation) {
        return add_curve(maker, key, -1, minus, curves, err);
    }
    for (size_t r = 0; code == KO_OK && r < curves->relation.n; r++) {
        code = add_curve(maker, key, (int32_t)r, minus, curves, err);
    }
    return code;
}

static enum ko_code fill_values(struct maker *maker, const struct ko_curve_key *key, double *value,
                                struct ko_error *err)
{
    const bool own = !maker->subtracted.status || key->model != maker->query->minus.model;
    return ko_curve_sample_fill(own ? &maker->values : &maker->subtracted, key, value, err);
}

/* Whether a window has the same layers in two models. */
static bool same_layers(const struct ko_cube_axes *axes, const int32_t model[2], int32_t size,
                        int32_t start)
{
    const struct ko_layer_range here = ko_cube_window(axes, model[0], size, start);
    const struct ko_layer_range there = ko_cube_window(axes, model[1], size, start);
    bool same = here.begin == there.begin && here.end == there.end;
    for (int32_t l = here.begin; same && axes->style != KO_STYLE_WHOLE && l < here.end; l++) {
        same = ko_cube_window_has(axes, model[0], size, start, l) ==
               ko_cube_window_has(axes, model[1], size, start, l);
    }
    return same;
}

/* Drops the values of windows that are of other layers than in this model: models may have other
   counted layers. */
static void drop_other_layers(const struct maker *maker, const struct ko_curve_key *other,
                              int32_t model, double *value)
{
    const struct ko_cube_axes *axes = maker->part->axes;
    const int64_t n_prompts = maker->part->n_prompts;
    const int32_t size = axes->window_size[other->size];
    for (int32_t w = 0; w < maker->part->n_starts; w++) {
        const int32_t both[2] = {model, other->model};
        const bool same = same_layers(axes, both, size, axes->window_start[w]);
        for (int64_t p = 0; p < n_prompts; p++) {
            if (!same) {
                value[w * n_prompts + p] = NAN;
            }
        }
    }
}

/* Counts the windows in which an interaction is not measured, because one part is vacuous for every
   prompt that has the whole. There the whole is the other part, and the interaction is 0. value: of
   the whole. */
static enum ko_code count_left_out(struct maker *maker, const struct ko_curve_others *parts,
                                   const double *value, struct ko_error *err)
{
    const int64_t n_prompts = maker->part->n_prompts;
    enum ko_code code = KO_OK;
    memset(maker->marks, 0, (size_t)(maker->part->n_starts * n_prompts));
    for (size_t k = 0; code == KO_OK && k < parts->n; k++) {
        code = ko_curve_sample_mark_vacuous(&maker->values, &parts->key[k], maker->marks, err);
    }
    maker->n_left_out = 0;
    for (int32_t w = 0; code == KO_OK && w < maker->part->n_starts; w++) {
        bool any = false, all = true;
        for (int64_t p = w * n_prompts; p < (w + 1) * n_prompts; p++) {
            any = any || isfinite(value[p]);
            all = all && (maker->marks[p] || !isfinite(value[p]));
        }
        maker->n_left_out += any && all;
    }
    return code;
}

/* Sums up the curves that are subtracted from one with this key. */
static enum ko_code sum_others(struct maker *maker, const struct ko_curve_key *key,
                               const struct ko_curve_others *others, struct ko_error *err)
{
    const int64_t n = (int64_t)maker->part->n_starts * maker->part->n_prompts;
    enum ko_code code = KO_OK;
    memset(maker->sum, 0, (size_t)n * sizeof *maker->sum);
    memset(maker->count, 0, (size_t)n * sizeof *maker->count);
    for (size_t k = 0; code == KO_OK && k < others->n; k++) {
        code = fill_values(maker, &others->key[k], maker->other, err);
        if (code == KO_OK) {
            drop_other_layers(maker, &others->key[k], key->model, maker->other);
            ko_curve_sample_add(maker->other, n, maker->sum, maker->count);
        }
    }
    return code;
}

/* The curve's values less those of the others. */
static enum ko_code subtract_others(struct maker *maker, const struct ko_curve_key *key,
                                    const struct ko_curve_others *others, struct ko_error *err)
{
    const int64_t n = (int64_t)maker->part->n_starts * maker->part->n_prompts;
    enum ko_code code = sum_others(maker, key, others, err);
    if (code == KO_OK) {
        code = fill_values(maker, key, maker->value, err);
    }
    if (code == KO_OK && others->sum) {
        code = count_left_out(maker, others, maker->value, err);
    }
    if (code == KO_OK && others->sum) {
        ko_curve_sample_subtract_sum(maker->value, n, maker->sum, maker->count,
                                     (uint32_t)others->n);
    } else if (code == KO_OK) {
        ko_curve_sample_subtract(maker->value, n, maker->sum, maker->count);
    }
    return code;
}

static enum ko_code add_difference(struct maker *maker, const struct ko_curve_key *key,
                                   enum ko_minus_kind kind, struct ko_curves *curves,
                                   struct ko_error *err)
{
    struct ko_curve_others others = {0};
    enum ko_code code =
        ko_curve_minus_find(&maker->query->minus, maker->part->axes, key, kind, &others, err);
    if (code == KO_OK && others.n > 0) {
        code = subtract_others(maker, key, &others, err);
        code = code == KO_OK ? add_groups(maker, key, others.label, curves, err) : code;
    }
    ko_curve_others_free(&others);
    return code;
}

static enum ko_code add_curves(struct maker *maker, const struct ko_curve_key *key,
                               struct ko_curves *curves, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (!ko_curve_query_subtracts(maker->query)) {
        code = fill_values(maker, key, maker->value, err);
        return code == KO_OK ? add_groups(maker, key, NULL, curves, err) : code;
    }
    if (!maker->query->minus.control) {
        return add_difference(maker, key,
                              maker->query->minus.interaction ? KO_MINUS_PARTS : KO_MINUS_OTHER,
                              curves, err);
    }
    code = add_difference(maker, key, KO_MINUS_ROUTE_CONTROL, curves, err);
    return code == KO_OK ? add_difference(maker, key, KO_MINUS_CLASS_CONTROL, curves, err) : code;
}

/* Whether curves of the class are asked for; the filter may still leave it out. */
static bool is_asked_class(const struct maker *maker, int32_t class)
{
    const char *label = maker->part->axes->feature_class.item[class];
    bool found = !maker->query->minus.interaction;
    for (int k = 0; k < KO_N_INTERACTION_CLASSES && !found; k++) {
        found = strcmp(label, ko_interaction_classes[k]) == 0;
    }
    return found;
}

static enum ko_code add_model(struct maker *maker, int32_t model,
                              const struct ko_curve_filter *filter, struct ko_curves *curves,
                              struct ko_error *err)
{
    const struct ko_cube_part *part = maker->part;
    enum ko_code code = ko_curve_values_open(part, model, maker->query->metric,
                                             maker->query->minus.interaction, &maker->values, err);
    for (int32_t r = 0; r < part->n_routes; r++) {
        for (int32_t f = 0; f < part->n_classes; f++) {
            for (int32_t s = 0; s < part->n_sizes; s++) {
                const struct ko_curve_key key = {model, r, f, s};
                if (code == KO_OK && filter->route[r] && filter->class[f] && filter->size[s] &&
                    is_asked_class(maker, f) &&
                    ko_curve_sample_exists(&maker->values, &key, &curves->n_unfinished)) {
                    curves->n_found++;
                    code = add_curves(maker, &key, curves, err);
                }
            }
        }
    }
    ko_curve_values_close(&maker->values);
    return code;
}

enum ko_code ko_curves_read(const struct ko_cube_part *part, const struct ko_curve_filter *filter,
                            const struct ko_curve_query *query, const char *path,
                            struct ko_curves *out, struct ko_error *err)
{
    struct ko_curves curves = {0};
    struct maker maker = {.part = part, .query = query};
    enum ko_code code = make_room(&maker, err);
    if (code == KO_OK && query->by_relation && part->n_routes > 0) {
        code = read_relations(&maker, path, &curves.relation, err);
    }
    if (code == KO_OK && query->minus.model >= 0 && part->n_routes > 0) {
        code = ko_curve_values_open(part, query->minus.model, query->metric, false,
                                    &maker.subtracted, err);
    }
    for (size_t m = 0; code == KO_OK && m < part->axes->model.n && part->n_routes > 0; m++) {
        if (filter->model[m]) {
            code = add_model(&maker, (int32_t)m, filter, &curves, err);
        }
    }
    maker_free(&maker);
    if (code == KO_OK) {
        *out = curves;
    } else {
        ko_curves_free(&curves);
    }
    return code;
}

void ko_curves_free(struct ko_curves *curves)
{
    for (size_t k = 0; k < curves->n; k++) {
        free(curves->curve[k].point);
        free(curves->curve[k].minus);
    }
    free(curves->curve);
    ko_strings_free(&curves->relation);
    *curves = (struct ko_curves){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Parses and writes labels such as random-third:SEED+conv. It also marks which features of a layer
   belong to a class, by their decay norms or at random. */
#include "src/spec/feature_class.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/prompts/draw.h"

/* In the order of enum ko_feature_kind, then the aliases. */
static const char *const class_names[] = {
    "all",
    "slow-third",
    "fast-third",
    "not-slow-third",
    "not-fast-third",
    "random-third",
    "after-softmax",
    "attention",
    "ssm",
    "conv",
    "context-dependent",
    "context-independent",
};
enum { N_CLASS_NAMES = sizeof class_names / sizeof class_names[0] };

const char *const ko_mixer_words[KO_N_MIXERS] = {"attention", "ssm", "conv"};

static const enum ko_feature_kind class_kinds[N_CLASS_NAMES] = {
    KO_FEATURE_ALL,
    KO_FEATURE_SLOW_THIRD,
    KO_FEATURE_FAST_THIRD,
    KO_FEATURE_NOT_SLOW_THIRD,
    KO_FEATURE_NOT_FAST_THIRD,
    KO_FEATURE_RANDOM_THIRD,
    KO_FEATURE_AFTER_SOFTMAX,
    KO_FEATURE_ATTENTION,
    KO_FEATURE_SSM,
    KO_FEATURE_CONV,
    KO_FEATURE_SLOW_THIRD,
    KO_FEATURE_FAST_THIRD,
};

static enum ko_code fail_unknown(const char *text, const char *name, const char *rest,
                                 struct ko_error *err)
{
    const char *near = ko_nearest(name, class_names, N_CLASS_NAMES);
    if (near) {
        return ko_fail(err, KO_E_INPUT, "unknown feature class '%s', did you mean '%s%s'?", text,
                       near, rest);
    }
    return ko_fail(err, KO_E_INPUT,
                   "unknown feature class '%s', use all, attention, ssm, conv, slow-third, "
                   "fast-third, not-slow-third, not-fast-third, random-third:SEED or "
                   "after-softmax; classes of SSMs also with +conv",
                   text);
}

static enum ko_code parse_seed(const char *text, const char *seed, struct ko_feature_class *out,
                               struct ko_error *err)
{
    if (out->kind != KO_FEATURE_RANDOM_THIRD) {
        if (seed) {
            return ko_fail(err, KO_E_INPUT, "feature class '%s': only random-third takes a seed",
                           text);
        }
        return KO_OK;
    }
    int64_t value = 0;
    if (!seed || ko_parse_natural(seed, INT64_MAX, &value, text, NULL) != KO_OK) {
        return ko_fail(err, KO_E_INPUT,
                       "feature class '%s': expected a seed, a whole number from 0 without leading "
                       "zeros, as in random-third:0",
                       text);
    }
    out->seed = (uint64_t)value;
    return KO_OK;
}

/* Parses name[:seed][+conv]; cuts `name` in place. */
static enum ko_code parse_parts(const char *text, char *name, struct ko_feature_class *out,
                                struct ko_error *err)
{
    struct ko_feature_class found = {0};
    char *suffix = strrchr(name, '+');
    if (suffix) {
        if (strcmp(suffix, "+conv") != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "feature class '%s': unknown suffix '%s', did you mean '+conv'?", text,
                           suffix);
        }
        *suffix = '\0';
        found.conv = true;
    }
    char *seed = strchr(name, ':');
    if (seed) {
        *seed++ = '\0';
    }
    size_t i = 0;
    while (i < N_CLASS_NAMES && strcmp(name, class_names[i]) != 0) {
        i++;
    }
    if (i == N_CLASS_NAMES) {
        return fail_unknown(text, name, found.conv ? "+conv" : "", err);
    }
    found.kind = class_kinds[i];
    if (found.conv && !(ko_feature_class_mixers(&found) & KO_MIXER_SSM)) {
        return ko_fail(err, KO_E_INPUT,
                       "feature class '%s': %s acts on no SSM, and only an SSM has a convolution "
                       "for +conv; leave +conv out",
                       text, name);
    }
    enum ko_code code = parse_seed(text, seed, &found, err);
    if (code == KO_OK) {
        *out = found;
    }
    return code;
}

enum ko_code ko_feature_class_parse(const char *text, struct ko_feature_class *out,
                                    struct ko_error *err)
{
    char *name = ko_copy(text, err);
    if (!name) {
        return KO_E_MEMORY;
    }
    enum ko_code code = parse_parts(text, name, out, err);
    free(name);
    return code;
}

void ko_feature_class_label(const struct ko_feature_class *feature_class, char buffer[64])
{
    const char *conv = feature_class->conv ? "+conv" : "";
    const char *name = class_names[feature_class->kind];
    if (feature_class->kind == KO_FEATURE_RANDOM_THIRD) {
        snprintf(buffer, 64, "%s:%" PRIu64 "%s", name, feature_class->seed, conv);
    } else {
        snprintf(buffer, 64, "%s%s", name, conv);
    }
}

uint8_t ko_feature_class_mixers(const struct ko_feature_class *feature_class)
{
    switch (feature_class->kind) {
    case KO_FEATURE_ALL:
        return KO_MIXER_EVERY;
    case KO_FEATURE_ATTENTION:
    case KO_FEATURE_AFTER_SOFTMAX:
        return KO_MIXER_ATTENTION;
    case KO_FEATURE_CONV:
        return KO_MIXER_CONV;
    default:
        return KO_MIXER_SSM;
    }
}

bool ko_feature_class_exists(const struct ko_feature_class *feature_class,
                             const struct ko_model_features *model)
{
    const bool has_mixer = (model->mixers & ko_feature_class_mixers(feature_class)) != 0;
    if (!has_mixer || (feature_class->conv && !(model->mixers & KO_MIXER_SSM))) {
        return false;
    }
    switch (feature_class->kind) {
    case KO_FEATURE_SLOW_THIRD:
    case KO_FEATURE_FAST_THIRD:
    case KO_FEATURE_RANDOM_THIRD:
        return model->n_features / 3 >= 1;
    case KO_FEATURE_NOT_SLOW_THIRD:
    case KO_FEATURE_NOT_FAST_THIRD:
        return model->n_features >= 1;
    default:
        return true;
    }
}

bool ko_feature_class_is_everything(const struct ko_feature_class *feature_class,
                                    int32_t n_features)
{
    switch (feature_class->kind) {
    case KO_FEATURE_SLOW_THIRD:
    case KO_FEATURE_FAST_THIRD:
    case KO_FEATURE_RANDOM_THIRD:
        return false;
    case KO_FEATURE_NOT_SLOW_THIRD:
    case KO_FEATURE_NOT_FAST_THIRD:
        return n_features / 3 == 0;
    default:
        return true;
    }
}

struct ranked {
    double norm;
    int32_t feature;
};

static int by_feature(const struct ranked *a, const struct ranked *b)
{
    return (a->feature > b->feature) - (a->feature < b->feature);
}

static int fastest_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = (a->norm > b->norm) - (a->norm < b->norm);
    return order != 0 ? order : by_feature(a, b);
}

static int slowest_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = (a->norm < b->norm) - (a->norm > b->norm);
    return order != 0 ? order : by_feature(a, b);
}

/* kind: a slow or fast third, or its complement. */
static enum ko_code mark_third(enum ko_feature_kind kind, const double *norm, int32_t n_features,
                               int32_t layer, uint8_t *mask, struct ko_error *err)
{
    const bool slow = kind == KO_FEATURE_SLOW_THIRD || kind == KO_FEATURE_NOT_SLOW_THIRD;
    const uint8_t value = kind == KO_FEATURE_SLOW_THIRD || kind == KO_FEATURE_FAST_THIRD;
    size_t n = (size_t)n_features;
    struct ranked *order = ko_new(n, sizeof *order, err);
    if (!order) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(norm[i])) {
            free(order);
            return ko_fail(err, KO_E_FAILED, "layer %d: decay norm of feature %zu is %g", layer, i,
                           norm[i]);
        }
        order[i] = (struct ranked){norm[i], (int32_t)i};
    }
    qsort(order, n, sizeof *order, slow ? slowest_first : fastest_first);
    memset(mask, 1 - value, n);
    for (size_t i = 0; i < n / 3; i++) {
        mask[order[i].feature] = value;
    }
    free(order);
    return KO_OK;
}

static enum ko_code mark_random(uint64_t seed, int32_t n_features, int32_t layer, uint8_t *mask,
                                struct ko_error *err)
{
    size_t n = (size_t)n_features;
    int64_t *items = ko_new(n, sizeof *items, err);
    if (!items) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        items[i] = (int64_t)i;
    }
    ko_draw(items, n, n / 3, seed, (uint64_t)layer);
    memset(mask, 0, n);
    for (size_t i = 0; i < n / 3; i++) {
        mask[items[i]] = 1;
    }
    free(items);
    return KO_OK;
}

enum ko_code ko_feature_mask(const struct ko_feature_class *feature_class, const double *norm,
                             int32_t n_features, int32_t layer, uint8_t *mask, struct ko_error *err)
{
    switch (feature_class->kind) {
    case KO_FEATURE_SLOW_THIRD:
    case KO_FEATURE_NOT_SLOW_THIRD:
    case KO_FEATURE_FAST_THIRD:
    case KO_FEATURE_NOT_FAST_THIRD:
        return mark_third(feature_class->kind, norm, n_features, layer, mask, err);
    case KO_FEATURE_RANDOM_THIRD:
        return mark_random(feature_class->seed, n_features, layer, mask, err);
    default:
        break;
    }
    memset(mask, 1, (size_t)n_features);
    return KO_OK;
}

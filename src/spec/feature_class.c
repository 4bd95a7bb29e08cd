/* SPDX-License-Identifier: Apache-2.0 */
/* Parses and writes labels such as random-third:SEED+conv and head:K~mean. It also marks which features of a layer
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
    "head",
    "ssm-head",
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
    KO_FEATURE_HEAD,
    KO_FEATURE_SSM_HEAD,
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
                   "fast-third, not-slow-third, not-fast-third, random-third:SEED, after-softmax, "
                   "head:K, ssm-head:K, head:each or ssm-head:each; classes of SSMs also with "
                   "+conv",
                   text);
}

bool ko_feature_class_is_head(const struct ko_feature_class *feature_class)
{
    return feature_class->kind == KO_FEATURE_HEAD || feature_class->kind == KO_FEATURE_SSM_HEAD;
}

static enum ko_code parse_head(const char *text, const char *number, struct ko_feature_class *out,
                               struct ko_error *err)
{
    int64_t value = 0;
    if (number && strcmp(number, "each") == 0) {
        out->head = KO_HEAD_EACH;
        return KO_OK;
    }
    if (!number || ko_parse_natural(number, INT32_MAX, &value, text, NULL) != KO_OK) {
        const char *name = class_names[out->kind];
        return ko_fail(err, KO_E_INPUT,
                       "feature class '%s': expected the number of a head, from 0, or each, as in "
                       "%s:0 or %s:each",
                       text, name, name);
    }
    out->head = (int32_t)value;
    return KO_OK;
}

/* number: what follows the colon; NULL: no colon. */
static enum ko_code parse_number(const char *text, const char *number, struct ko_feature_class *out,
                                 struct ko_error *err)
{
    int64_t value = 0;
    if (ko_feature_class_is_head(out)) {
        return parse_head(text, number, out, err);
    }
    if (out->kind != KO_FEATURE_RANDOM_THIRD) {
        return !number ? KO_OK
                       : ko_fail(err, KO_E_INPUT,
                                 "feature class '%s': only random-third, head and ssm-head take a "
                                 "number after a colon",
                                 text);
    }
    if (!number || ko_parse_natural(number, INT64_MAX, &value, text, NULL) != KO_OK) {
        return ko_fail(err, KO_E_INPUT,
                       "feature class '%s': expected a seed, a whole number from 0 without leading "
                       "zeros, as in random-third:0",
                       text);
    }
    out->seed = (uint64_t)value;
    return KO_OK;
}

/* suffix: "mean" or "resample:SEED", after the sign ~. */
static enum ko_code parse_replacement(const char *text, const char *suffix,
                                      struct ko_feature_class *out, struct ko_error *err)
{
    static const char resample[] = "resample:";
    const size_t n = strlen(resample);
    int64_t seed = 0;
    if (strcmp(suffix, "mean") == 0) {
        out->replacement = KO_REPLACE_MEAN;
        return KO_OK;
    }
    if (strncmp(suffix, resample, n) != 0 ||
        ko_parse_natural(suffix + n, INT64_MAX, &seed, text, NULL) != KO_OK) {
        return ko_fail(err, KO_E_INPUT,
                       "feature class '%s': unknown suffix '~%s', use ~mean or ~resample:SEED, as "
                       "in all~resample:0",
                       text, suffix);
    }
    out->replacement = KO_REPLACE_RESAMPLE;
    out->donor_seed = (uint64_t)seed;
    return KO_OK;
}

/* Classes with a suffix ~ are for component routes, which have `all` and heads. */
static enum ko_code check_suffixes(const char *text, const char *name,
                                   const struct ko_feature_class *class, struct ko_error *err)
{
    if (class->conv &&
        (!(ko_feature_class_mixers(class) & KO_MIXER_SSM) || ko_feature_class_is_head(class))) {
        return ko_feature_class_is_head(class)
                   ? ko_fail(err, KO_E_INPUT,
                             "feature class '%s': a convolution is not part of a head; leave "
                             "+conv out",
                             text)
                   : ko_fail(err, KO_E_INPUT,
                             "feature class '%s': %s acts on no SSM, and only an SSM has a "
                             "convolution for +conv; leave +conv out",
                             text, name);
    }
    const bool part = class->kind == KO_FEATURE_ALL || ko_feature_class_is_head(class);
    if (class->replacement != KO_REPLACE_ZERO && (!part || class->conv)) {
        return ko_fail(
            err, KO_E_INPUT,
            "feature class '%s': ~mean and ~resample:SEED replace a component or a head, "
            "so they go with all, head:K and ssm-head:K",
            text);
    }
    return KO_OK;
}

/* Parses name[:number][+conv][~replacement]; cuts `name` in place. */
static enum ko_code parse_parts(const char *text, char *name, struct ko_feature_class *out,
                                struct ko_error *err)
{
    struct ko_feature_class found = {0};
    enum ko_code code = KO_OK;
    char *replacement = strchr(name, '~');
    if (replacement) {
        *replacement++ = '\0';
        code = parse_replacement(text, replacement, &found, err);
    }
    char *suffix = strrchr(name, '+');
    if (code == KO_OK && suffix) {
        if (strcmp(suffix, "+conv") != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "feature class '%s': unknown suffix '%s', did you mean '+conv'?", text,
                           suffix);
        }
        *suffix = '\0';
        found.conv = true;
    }
    char *number = strchr(name, ':');
    if (number) {
        *number++ = '\0';
    }
    size_t i = 0;
    while (i < N_CLASS_NAMES && strcmp(name, class_names[i]) != 0) {
        i++;
    }
    if (code == KO_OK && i == N_CLASS_NAMES) {
        return fail_unknown(text, name, found.conv ? "+conv" : "", err);
    }
    if (code == KO_OK) {
        found.kind = class_kinds[i];
        code = parse_number(text, number, &found, err);
    }
    if (code == KO_OK) {
        code = check_suffixes(text, name, &found, err);
    }
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
    char number[24] = "", replacement[32] = "";
    if (feature_class->kind == KO_FEATURE_RANDOM_THIRD) {
        snprintf(number, sizeof number, ":%" PRIu64, feature_class->seed);
    } else if (ko_feature_class_is_head(feature_class) && feature_class->head == KO_HEAD_EACH) {
        snprintf(number, sizeof number, ":each");
    } else if (ko_feature_class_is_head(feature_class)) {
        snprintf(number, sizeof number, ":%" PRId32, feature_class->head);
    }
    if (feature_class->replacement == KO_REPLACE_MEAN) {
        snprintf(replacement, sizeof replacement, "~mean");
    } else if (feature_class->replacement == KO_REPLACE_RESAMPLE) {
        snprintf(replacement, sizeof replacement, "~resample:%" PRIu64, feature_class->donor_seed);
    }
    snprintf(buffer, 64, "%s%s%s%s", class_names[feature_class->kind], number,
             feature_class->conv ? "+conv" : "", replacement);
}

uint8_t ko_feature_class_mixers(const struct ko_feature_class *feature_class)
{
    switch (feature_class->kind) {
    case KO_FEATURE_ALL:
        return KO_MIXER_EVERY;
    case KO_FEATURE_ATTENTION:
    case KO_FEATURE_AFTER_SOFTMAX:
    case KO_FEATURE_HEAD:
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
    case KO_FEATURE_HEAD:
        return feature_class->head >= 0 && feature_class->head < model->n_heads;
    case KO_FEATURE_SSM_HEAD:
        return feature_class->head >= 0 && feature_class->head < model->n_ssm_heads;
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
    case KO_FEATURE_SSM_HEAD:
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
    case KO_FEATURE_SSM_HEAD:
        memset(mask, 0, (size_t)n_features);
        if (feature_class->head < n_features) {
            mask[feature_class->head] = 1;
        }
        return KO_OK;
    default:
        break;
    }
    memset(mask, 1, (size_t)n_features);
    return KO_OK;
}

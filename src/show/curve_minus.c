/* SPDX-License-Identifier: Apache-2.0 */
/* The first half reads the options that say what to subtract. The second half finds the curves to
   subtract from a given curve: one other curve, or all its random controls. */
#include "src/show/curve_minus.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/show/axis_words.h"
#include "src/spec/feature_class.h"

/* ----------------------------------------------------------------------------------------------
   what is asked for */

struct reader {
    const struct ko_options *options;
    const char *path; /* of the cube, for errors */
};

/* An option whose value is a label of an axis. */
struct word_option {
    enum ko_option id;
    const char *name, *what;
};

/* Puts the option's word into *out, free() it, and its index among the labels into *index. Either
   may be NULL. Without the option both keep their values. */
static enum ko_code read_word(const struct reader *reader, const struct word_option *option,
                              const struct ko_strings *labels, char **out, int32_t *index,
                              struct ko_error *err)
{
    const char *given = ko_option_string(reader->options, option->id);
    char *word = NULL;
    if (!given) {
        return KO_OK;
    }
    enum ko_code code = ko_axis_canonical(given, option->id == KO_OPT_MINUS_FEATURE, &word, err);
    const ptrdiff_t at = code == KO_OK ? ko_strings_find(labels, word) : -1;
    if (code == KO_OK && at < 0) {
        code = ko_axis_unknown(option->name, reader->path, option->what, word, labels, err);
    }
    if (code == KO_OK && index) {
        *index = (int32_t)at;
    }
    if (code == KO_OK && out) {
        *out = word;
    } else {
        free(word);
    }
    return code;
}

static enum ko_code read_end(const struct reader *reader, const struct ko_cube_axes *axes,
                             bool source, char **out, struct ko_error *err)
{
    static const struct word_option options[] = {
        {KO_OPT_MINUS_TARGET, "--minus-target", "target"},
        {KO_OPT_MINUS_SOURCE, "--minus-source", "source"},
    };
    struct ko_strings ends = {0};
    enum ko_code code = ko_axis_route_ends(axes, source, &ends, err);
    if (code == KO_OK) {
        code = read_word(reader, &options[source], &ends, out, NULL, err);
    }
    ko_strings_free(&ends);
    return code;
}

const char *const ko_interaction_classes[KO_N_INTERACTION_CLASSES] = {"all", "attention", "ssm"};

/* Refuses what makes no sense beside --interaction, and a cube without its classes. */
static enum ko_code check_interaction(const struct reader *reader, const struct ko_cube_axes *axes,
                                      const struct ko_curve_minus *minus, struct ko_error *err)
{
    if (minus->control || minus->target || minus->source || minus->class >= 0 ||
        minus->model >= 0) {
        return ko_fail(err, KO_E_INPUT,
                       "--interaction: subtracts attention and ssm from all, leave out the "
                       "--minus-... options");
    }
    if (ko_option_given(reader->options, KO_OPT_FEATURE)) {
        return ko_fail(err, KO_E_INPUT,
                       "--interaction: is of the classes all, attention and ssm, leave out "
                       "--feature");
    }
    for (int k = 0; k < KO_N_INTERACTION_CLASSES; k++) {
        if (axes->feature_class.n > 0 && /* else it is an evaluation, which has no curves */
            ko_strings_find(&axes->feature_class, ko_interaction_classes[k]) < 0) {
            return ko_fail(err, KO_E_INPUT,
                           "--interaction: %s lacks the class %s, sweep features: [all, attention, "
                           "ssm]",
                           reader->path, ko_interaction_classes[k]);
        }
    }
    return KO_OK;
}

enum ko_code ko_curve_minus_read(const struct ko_options *options, const char *path,
                                 const struct ko_cube_axes *axes, struct ko_curve_minus *out,
                                 struct ko_error *err)
{
    static const struct word_option feature = {KO_OPT_MINUS_FEATURE, "--minus-feature",
                                               "feature class"};
    static const struct word_option model = {KO_OPT_MINUS_MODEL, "--minus-model", "model"};
    const struct reader reader = {options, path};
    struct ko_curve_minus minus = {.control = ko_option_flag(options, KO_OPT_MINUS_CONTROL),
                                   .interaction = ko_option_flag(options, KO_OPT_INTERACTION),
                                   .model = -1,
                                   .class = -1};
    enum ko_code code = read_end(&reader, axes, false, &minus.target, err);
    if (code == KO_OK) {
        code = read_end(&reader, axes, true, &minus.source, err);
    }
    if (code == KO_OK) {
        code = read_word(&reader, &feature, &axes->feature_class, NULL, &minus.class, err);
    }
    if (code == KO_OK) {
        code = read_word(&reader, &model, &axes->model, NULL, &minus.model, err);
    }
    if (code == KO_OK && minus.control &&
        (minus.target || minus.source || minus.class >= 0 || minus.model >= 0)) {
        code = ko_fail(err, KO_E_INPUT,
                       "--minus-control: each curve has its own control, leave out the other "
                       "--minus-... options");
    }
    if (code == KO_OK && minus.interaction) {
        code = check_interaction(&reader, axes, &minus, err);
    }
    if (code == KO_OK) {
        *out = minus;
    } else {
        ko_curve_minus_free(&minus);
    }
    return code;
}

void ko_curve_minus_free(struct ko_curve_minus *minus)
{
    free(minus->target);
    free(minus->source);
    *minus = (struct ko_curve_minus){.model = -1, .class = -1};
}

bool ko_curve_minus_given(const struct ko_curve_minus *minus)
{
    return minus->control || minus->interaction || minus->target || minus->source ||
           minus->model >= 0 || minus->class >= 0;
}

/* ----------------------------------------------------------------------------------------------
   which curves these are */

static enum ko_code add_key(struct ko_curve_others *others, struct ko_curve_key key,
                            struct ko_error *err)
{
    struct ko_curve_key *grown =
        ko_grow(others->key, &others->capacity, others->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    others->key = grown;
    others->key[others->n++] = key;
    return KO_OK;
}

/* Moves the text into the label. */
static enum ko_code set_label(struct ko_curve_others *others, struct ko_text *text,
                              struct ko_error *err)
{
    enum ko_code code = ko_text_check(text, err);
    if (code == KO_OK) {
        others->label = ko_copy(ko_text_str(text), err);
        code = others->label ? KO_OK : KO_E_MEMORY;
    }
    ko_text_free(text);
    return code;
}

static enum ko_code find_other(const struct ko_curve_minus *minus, const struct ko_cube_axes *axes,
                               const struct ko_curve_key *key, struct ko_curve_others *others,
                               struct ko_error *err)
{
    struct ko_curve_key other = *key;
    struct ko_text route = {0}, label = {0};
    char *target = NULL, *source = NULL;
    enum ko_code code = ko_route_label_split(axes->route.item[key->route], &target, &source, err);
    if (code != KO_OK) {
        return code;
    }
    ko_route_label_join(axes->route.item[key->route], minus->target ? minus->target : target,
                        minus->source ? minus->source : source, &route);
    other.route = (int32_t)ko_strings_find(&axes->route, ko_text_str(&route));
    if (minus->model >= 0) {
        other.model = minus->model;
    }
    if (minus->class >= 0) {
        other.class = minus->class;
    }
    if (other.route >= 0 && memcmp(&other, key, sizeof other) != 0) {
        code = add_key(others, other, err);
        if (other.model != key->model) {
            ko_text_add(&label, "%s", axes->model.item[other.model]);
        }
        if (other.route != key->route) {
            ko_text_add(&label, "%s%s", label.n ? "  " : "", axes->route.item[other.route]);
        }
        if (other.class != key->class) {
            ko_text_add(&label, "%s%s", label.n ? "  " : "", axes->feature_class.item[other.class]);
        }
        if (code == KO_OK) {
            code = set_label(others, &label, err);
        }
    }
    free(target);
    free(source);
    ko_text_free(&route);
    ko_text_free(&label);
    return code;
}

/* Whether the label is `before` followed by a seed. */
static bool is_seeded(const char *label, const char *before)
{
    const size_t n = strlen(before);
    int64_t seed = 0;
    return strncmp(label, before, n) == 0 &&
           ko_parse_natural(label + n, INT64_MAX, &seed, label, NULL) == KO_OK;
}

static enum ko_code find_route_controls(const struct ko_cube_axes *axes,
                                        const struct ko_curve_key *key,
                                        struct ko_curve_others *others, struct ko_error *err)
{
    const char *label_of = axes->route.item[key->route];
    struct ko_text before = {0}, label = {0};
    char *target = NULL, *source = NULL;
    enum ko_code code = ko_route_label_split(label_of, &target, &source, err);
    if (code == KO_OK) {
        if (strchr(label_of, '@')) { /* the set of a component is its target */
            ko_text_add(&before, "%s@random-like:%s:", source, target);
        } else {
            ko_text_add(&before, "%s<-random-like:%s:", target, source);
        }
    }
    for (size_t r = 0; code == KO_OK && r < axes->route.n; r++) {
        if (is_seeded(axes->route.item[r], ko_text_str(&before))) {
            struct ko_curve_key other = *key;
            other.route = (int32_t)r;
            code = add_key(others, other, err);
        }
    }
    ko_text_add(&label, "mean of %zu %sSEED", others->n, ko_text_str(&before));
    if (code == KO_OK) {
        code = set_label(others, &label, err);
    }
    ko_text_free(&label);
    ko_text_free(&before);
    free(target);
    free(source);
    return code;
}

static enum ko_code find_class_controls(const struct ko_cube_axes *axes,
                                        const struct ko_curve_key *key,
                                        struct ko_curve_others *others, struct ko_error *err)
{
    struct ko_feature_class own, other;
    struct ko_text label = {0};
    enum ko_code code = ko_feature_class_parse(axes->feature_class.item[key->class], &own, err);
    if (code != KO_OK || (own.kind != KO_FEATURE_SLOW_THIRD && own.kind != KO_FEATURE_FAST_THIRD)) {
        return code;
    }
    for (size_t f = 0; code == KO_OK && f < axes->feature_class.n; f++) {
        if (ko_feature_class_parse(axes->feature_class.item[f], &other, NULL) == KO_OK &&
            other.kind == KO_FEATURE_RANDOM_THIRD && other.conv == own.conv) {
            struct ko_curve_key control = *key;
            control.class = (int32_t)f;
            code = add_key(others, control, err);
        }
    }
    ko_text_add(&label, "mean of %zu random-third:SEED%s", others->n, own.conv ? "+conv" : "");
    if (code == KO_OK) {
        code = set_label(others, &label, err);
    }
    ko_text_free(&label);
    return code;
}

static enum ko_code find_parts(const struct ko_cube_axes *axes, const struct ko_curve_key *key,
                               struct ko_curve_others *others, struct ko_error *err)
{
    struct ko_text label = {0};
    enum ko_code code = KO_OK;
    if (strcmp(axes->feature_class.item[key->class], ko_interaction_classes[0]) != 0) {
        return KO_OK;
    }
    for (int k = 1; code == KO_OK && k < KO_N_INTERACTION_CLASSES; k++) {
        struct ko_curve_key part = *key;
        part.class = (int32_t)ko_strings_find(&axes->feature_class, ko_interaction_classes[k]);
        code = add_key(others, part, err);
        ko_text_add(&label, "%s%s", k > 1 ? " and " : "", ko_interaction_classes[k]);
    }
    others->sum = true;
    if (code == KO_OK) {
        code = set_label(others, &label, err);
    }
    ko_text_free(&label);
    return code;
}

enum ko_code ko_curve_minus_find(const struct ko_curve_minus *minus,
                                 const struct ko_cube_axes *axes, const struct ko_curve_key *key,
                                 enum ko_minus_kind kind, struct ko_curve_others *out,
                                 struct ko_error *err)
{
    struct ko_curve_others others = {0};
    enum ko_code code = KO_OK;
    switch (kind) {
    case KO_MINUS_OTHER:
        code = find_other(minus, axes, key, &others, err);
        break;
    case KO_MINUS_ROUTE_CONTROL:
        code = find_route_controls(axes, key, &others, err);
        break;
    case KO_MINUS_CLASS_CONTROL:
        code = find_class_controls(axes, key, &others, err);
        break;
    case KO_MINUS_PARTS:
        code = find_parts(axes, key, &others, err);
        break;
    }
    if (code == KO_OK) {
        *out = others;
    } else {
        ko_curve_others_free(&others);
    }
    return code;
}

void ko_curve_others_free(struct ko_curve_others *others)
{
    free(others->key);
    free(others->label);
    *others = (struct ko_curve_others){0};
}

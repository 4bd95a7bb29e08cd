/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the rotary settings from config.json, in their older and newer forms. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/rope_axis.h"
#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/models/config.h"

enum { N_SCALINGS = KO_ROPE_LONGROPE + 1 };

/* Where the settings stand: an object inside config.json, and the whole of it. */
struct section {
    struct ko_builder inner; /* the family's builder, reading from the object */
    bool found;              /* false: config.json has no such object, inner is not set */
    bool nested;             /* the object is for one kind of layers */
    char where[512];
};

/* A number above 0; *out holds the default. */
static void read_positive(struct ko_builder *b, const char *key, double *out)
{
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, out, b->where, b->err);
    }
    if (!(*out > 0 && isfinite(*out))) {
        ko_config_fail(b, key, "expected a number above 0, got %g", *out);
    }
}

static void read_required(struct ko_builder *b, const char *key, const struct ko_rope_config *rope,
                          double *out)
{
    if (!ko_json_get(b->config, key)) {
        ko_config_fail(b, key, "missing, rope_type %s needs it",
                       ko_rope_scaling_name(rope->scaling));
        *out = 1;
    } else {
        read_positive(b, key, out);
    }
}

/* "default, linear or llama3" */
static void list_scalings(unsigned scalings, struct ko_text *out)
{
    const unsigned known = scalings | 1U << KO_ROPE_DEFAULT;
    for (unsigned s = 0; s < N_SCALINGS; s++) {
        if (known >> s & 1U) {
            const char *before = s == 0 ? "" : known >> (s + 1) != 0 ? ", " : " or ";
            ko_text_add(out, "%s%s", before, ko_rope_scaling_name((enum ko_rope_scaling)s));
        }
    }
}

/* rope_type, in older files type. */
static void read_type(struct ko_builder *b, unsigned scalings, struct ko_rope_config *rope)
{
    const char *key = ko_json_get(b->config, "rope_type") ? "rope_type" : "type";
    const char *type = ko_rope_scaling_name(KO_ROPE_DEFAULT);
    struct ko_text words = {0};
    if (b->code == KO_OK) {
        b->code = ko_json_string(b->config, key, &type, b->where, b->err);
    }
    if (ko_json_get(b->config, "mrope_section") && strcmp(type, "mrope") == 0) {
        type = ko_rope_scaling_name(KO_ROPE_DEFAULT); /* Qwen2-VL's name */
    }
    for (unsigned s = 0; s < N_SCALINGS; s++) {
        const bool supported = s == KO_ROPE_DEFAULT || (scalings >> s & 1U) != 0;
        if (supported && strcmp(type, ko_rope_scaling_name((enum ko_rope_scaling)s)) == 0) {
            rope->scaling = (enum ko_rope_scaling)s;
            return;
        }
    }
    list_scalings(scalings, &words);
    ko_config_fail(b, key, "'%s' is not supported for %s, only %s", type, b->model->family->title,
                   ko_text_str(&words));
    ko_text_free(&words);
}

/* The part of a head that turns; *part holds the default. */
static void read_part(struct ko_builder *b, const char *key, bool supported, double *part)
{
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, part, b->where, b->err);
    }
    if (!supported && !(*part == 1)) {
        ko_config_fail(b, key, "%g is not supported, only 1", *part);
    }
    if (!(*part > 0 && *part <= 1)) {
        ko_config_fail(b, key, "expected a number above 0 and at most 1, got %g", *part);
        *part = 1;
    }
}

/* Whether the object holds settings for each kind of layer, as newer files may. */
static const char *find_set(json_object *settings)
{
    json_object_object_foreach(settings, key, value)
    {
        if (json_object_is_type(value, json_type_object) && !ko_json_get(value, "__float__")) {
            return key;
        }
    }
    return NULL;
}

/* The key of the object that holds the settings. As in transformers, rope_scaling comes before
   rope_parameters. NULL if neither is given. */
static const char *find_settings(struct ko_builder *b)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    const char *found = NULL;
    for (size_t i = 0; i < 2; i++) {
        json_object *value = ko_json_get(b->config, keys[i]);
        if (value && !json_object_is_type(value, json_type_object)) {
            ko_config_fail(b, keys[i], "expected an object, got %s",
                           json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
        } else if (value && !found && json_object_object_length(value) > 0) {
            found = keys[i];
        } else if (value && found && find_set(value)) {
            ko_config_fail(b, found,
                           "not supported together with a %s that has numbers for each kind of "
                           "layer",
                           keys[i]);
        }
    }
    return found;
}

static void open_section(struct ko_builder *b, const char *layers, struct section *out)
{
    const char *key = find_settings(b);
    *out = (struct section){.found = key && b->code == KO_OK};
    if (!out->found) {
        return;
    }
    json_object *settings = ko_json_get(b->config, key);
    const char *set = find_set(settings);
    snprintf(out->where, sizeof out->where, "%s: %s", b->where, key);
    out->inner = *b;
    out->inner.where = out->where;
    out->inner.config = settings;
    out->nested = set != NULL;
    if (set && !layers) {
        ko_config_fail(&out->inner, set,
                       "numbers for one kind of layer are not supported, only one set for all "
                       "layers");
    } else if (set) {
        json_object *own = ko_json_get(settings, layers);
        if (!json_object_is_type(own, json_type_object)) {
            ko_config_fail(&out->inner, layers, "missing, although there are numbers for %s", set);
            return;
        }
        snprintf(out->where, sizeof out->where, "%s: %s: %s", b->where, key, layers);
        out->inner.config = own;
    }
}

/* The original positions may also stand outside of one set for all layers, and then count. */
static void read_original(struct section *section, const struct ko_builder *outer,
                          struct ko_rope_config *rope)
{
    static const char key[] = "original_max_position_embeddings";
    read_positive(&section->inner, key, &rope->original);
    if (!section->nested) {
        struct ko_builder whole = *outer;
        whole.code = section->inner.code;
        read_positive(&whole, key, &rope->original);
        section->inner.code = whole.code;
    }
    if (!(rope->original >= 1 && rope->original <= INT32_MAX)) {
        ko_config_fail(&section->inner, key, "expected a number of positions, got %g",
                       rope->original);
        rope->original = 1;
    }
}

static void read_llama3(struct section *section, const struct ko_builder *outer,
                        struct ko_rope_config *rope)
{
    struct ko_builder *b = &section->inner;
    read_required(b, "factor", rope, &rope->factor);
    read_required(b, "low_freq_factor", rope, &rope->low);
    read_required(b, "high_freq_factor", rope, &rope->high);
    read_original(section, outer, rope);
    if (!(rope->high > rope->low)) {
        ko_config_fail(b, "high_freq_factor", "expected more than low_freq_factor of %g, got %g",
                       rope->low, rope->high);
    }
}

/* factor, or if it is not given, how many times the original positions the model has. */
static void read_factor(struct ko_builder *b, int32_t max_positions, struct ko_rope_config *rope)
{
    rope->factor = max_positions / rope->original;
    read_positive(b, "factor", &rope->factor);
}

/* attention_factor; *out holds the default. */
static void read_attention_factor(struct ko_builder *b, double fallback, double *out)
{
    *out = fallback;
    read_positive(b, "attention_factor", out);
}

/* YaRN's factor of cosines and sines for `factor` times the original positions (Peng et al. 2023,
   eq. 22, for the square). */
static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

static void read_yarn(struct section *section, const struct ko_builder *outer,
                      int32_t max_positions, struct ko_rope_config *rope)
{
    struct ko_builder *b = &section->inner;
    const bool scaled =
        ko_json_get(b->config, "mscale") && ko_json_get(b->config, "mscale_all_dim");
    double mscale = 1, mscale_all = 1;
    if (!json_object_object_get_ex(b->config, "factor", NULL)) {
        ko_config_fail(b, "factor", "missing, rope_type yarn needs it");
    }
    read_original(section, outer, rope);
    read_factor(b, max_positions, rope);
    rope->low = 1;
    rope->high = 32;
    rope->truncate = true;
    read_positive(b, "beta_slow", &rope->low);
    read_positive(b, "beta_fast", &rope->high);
    ko_config_bool(b, "truncate", &rope->truncate);
    if (scaled) {
        read_positive(b, "mscale", &mscale);
        read_positive(b, "mscale_all_dim", &mscale_all);
    }
    read_attention_factor(b,
                          scaled ? yarn_mscale(rope->factor, mscale) /
                                       yarn_mscale(rope->factor, mscale_all)
                                 : yarn_mscale(rope->factor, 1),
                          &rope->attention_factor);
    if (!(rope->high > rope->low)) {
        ko_config_fail(b, "beta_fast", "expected more than beta_slow of %g, got %g", rope->low,
                       rope->high);
    }
    if (!(rope->theta > 1)) {
        ko_config_fail(b, "rope_theta", "expected a number above 1, got %g", rope->theta);
    }
}

/* A list of one number above 0 for each pair. */
static void read_pairs(struct ko_builder *b, const char *key, int32_t n_pairs, double *out)
{
    json_object *list = ko_json_get(b->config, key);
    if (n_pairs > KO_MAX_ROPE_PAIRS) {
        ko_config_fail(b, key, "%d pairs are not supported, at most %d", n_pairs,
                       KO_MAX_ROPE_PAIRS);
        return;
    }
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) != (size_t)n_pairs) {
        ko_config_fail(b, key, "expected a list of %d numbers, one for each pair that turns",
                       n_pairs);
        return;
    }
    for (int32_t k = 0; k < n_pairs; k++) {
        json_object *item = json_object_array_get_idx(list, (size_t)k);
        const bool number =
            json_object_is_type(item, json_type_double) || json_object_is_type(item, json_type_int);
        out[k] = number ? json_object_get_double(item) : 0;
        if (!(out[k] > 0 && isfinite(out[k]))) {
            ko_config_fail(b, key, "number %d: expected a number above 0, got %s", k,
                           json_object_to_json_string_ext(item, JSON_C_TO_STRING_NOSLASHESCAPE));
        }
    }
}

static void read_longrope(struct section *section, const struct ko_builder *outer,
                          int32_t max_positions, struct ko_rope_config *rope)
{
    struct ko_builder *b = &section->inner;
    double fallback = 1;
    read_pairs(b, "short_factor", rope->n_rotated / 2, rope->short_factor);
    read_pairs(b, "long_factor", rope->n_rotated / 2, rope->long_factor);
    read_original(section, outer, rope);
    read_factor(b, max_positions, rope);
    if (rope->factor > 1) {
        fallback = sqrt(1 + log(rope->factor) / log(rope->original));
    }
    read_attention_factor(b, fallback, &rope->attention_factor);
}

static void read_scaling(struct section *section, const struct ko_builder *outer,
                         int32_t max_positions, struct ko_rope_config *rope)
{
    rope->original = max_positions;
    switch (rope->scaling) {
    case KO_ROPE_LINEAR:
        read_required(&section->inner, "factor", rope, &rope->factor);
        break;
    case KO_ROPE_LLAMA3:
        read_llama3(section, outer, rope);
        break;
    case KO_ROPE_YARN:
        read_yarn(section, outer, max_positions, rope);
        break;
    case KO_ROPE_LONGROPE:
        read_longrope(section, outer, max_positions, rope);
        break;
    default:
        break;
    }
}

/* The numbers of a head that turn. The part is multiplied and cut as the reference does. */
static int32_t count_rotated(struct ko_builder *b, const char *key, int32_t d_head, double part)
{
    const int32_t n = (int32_t)(d_head * part);
    if (n >= 2 && n % 2 == 0) {
        return n;
    }
    ko_config_fail(b, key, "%g of a head of %d is %d, and rotary embedding turns pairs", part,
                   d_head, n);
    return 2;
}

/* mrope_section: the pairs of the three axes of M-RoPE. Nothing if the key is absent. */
static void read_sections(struct ko_builder *b, struct ko_rope_config *rope)
{
    static const char key[] = "mrope_section";
    json_object *list = ko_json_get(b->config, key);
    if (!list) {
        return;
    }
    bool fits = json_object_is_type(list, json_type_array) && json_object_array_length(list) == 3;
    int64_t sum = 0;
    for (size_t i = 0; fits && i < 3; i++) {
        json_object *item = json_object_array_get_idx(list, i);
        const int64_t n = json_object_get_int64(item);
        fits = json_object_is_type(item, json_type_int) && n > 0 && n <= KO_SECTION_PAIRS;
        rope->section[i] = fits ? (int32_t)n : 0;
        sum += rope->section[i];
    }
    ko_config_bool(b, "mrope_interleaved", &rope->woven);
    if (!fits || sum != rope->n_rotated / 2 || sum > KO_SECTION_PAIRS) {
        ko_config_fail(
            b, key,
            "expected three numbers above 0 that add up to the %d pairs of a head that turn "
            "(at most %d), got %s",
            rope->n_rotated / 2, KO_SECTION_PAIRS, json_object_to_json_string(list));
    }
}

void ko_config_rope(struct ko_builder *b, const struct ko_rope_support *support, int32_t d_head,
                    int32_t max_positions, struct ko_rope_config *out)
{
    static const char inner_part_key[] = "partial_rotary_factor";
    const bool partial = support->part_key != NULL;
    const char *part_key = partial ? support->part_key : inner_part_key;
    double part = partial ? support->part : 1;
    struct section section;
    *out = (struct ko_rope_config){.theta = support->theta};
    read_part(b, part_key, partial, &part);
    read_positive(b, support->theta_key, &out->theta);
    open_section(b, support->layers, &section);
    if (!section.found || (support->own_theta && !section.nested)) {
        out->n_rotated = count_rotated(b, part_key, d_head, part);
        return;
    }
    read_part(&section.inner, inner_part_key, partial, &part);
    read_positive(&section.inner, "rope_theta", &out->theta);
    read_type(&section.inner, support->scalings, out);
    out->n_rotated = count_rotated(&section.inner, part_key, d_head, part);
    read_sections(&section.inner, out);
    read_scaling(&section, b, max_positions, out);
    b->code = section.inner.code;
}

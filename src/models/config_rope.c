/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the rotary settings from config.json, in their older and newer forms. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"

/* A number above 0; *out holds the default, or 0 if the key is required. */
static void read_positive(struct ko_builder *b, const char *key, double *out)
{
    if (b->code == KO_OK && !(*out > 0) && !ko_json_get(b->config, key)) {
        ko_config_fail(b, key, "missing, rope_type llama3 needs it");
    }
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, out, b->where, b->err);
    }
    if (!(*out > 0 && isfinite(*out))) {
        ko_config_fail(b, key, "expected a number above 0, got %g", *out);
    }
}

/* rope_type, in older files type. */
static void read_type(struct ko_builder *b, struct ko_rope_config *rope)
{
    const char *key = ko_json_get(b->config, "rope_type") ? "rope_type" : "type";
    const char *type = "default";
    if (b->code == KO_OK) {
        b->code = ko_json_string(b->config, key, &type, b->where, b->err);
    }
    rope->scaled = strcmp(type, "llama3") == 0;
    if (!rope->scaled && strcmp(type, "default") != 0) {
        ko_config_fail(b, key, "'%s' is not supported for %s, only default or llama3", type,
                       b->model->family->title);
    }
}

static void refuse_partial_heads(struct ko_builder *b)
{
    static const char key[] = "partial_rotary_factor";
    double part = 1;
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, &part, b->where, b->err);
    }
    if (!(part == 1)) {
        ko_config_fail(b, key, "%g is not supported, only 1", part);
    }
}

/* Newer files may hold settings for each kind of layer. */
static void refuse_several_sets(struct ko_builder *b)
{
    json_object_object_foreach(b->config, key, value)
    {
        if (json_object_is_type(value, json_type_object) && !ko_json_get(value, "__float__")) {
            ko_config_fail(b, key,
                           "numbers for one kind of layer are not supported, only one set for all "
                           "layers");
        }
    }
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
        }
    }
    return found;
}

/* The settings of Llama 3's scaling. The original positions may also stand outside the object, and
   then count. */
static void read_scaling(struct ko_builder *inner, const struct ko_builder *outer,
                         struct ko_rope_config *rope)
{
    static const char original[] = "original_max_position_embeddings";
    read_positive(inner, "factor", &rope->factor);
    read_positive(inner, "low_freq_factor", &rope->low);
    read_positive(inner, "high_freq_factor", &rope->high);
    read_positive(inner, original, &rope->original);
    struct ko_builder whole = *outer;
    whole.code = inner->code;
    read_positive(&whole, original, &rope->original);
    inner->code = whole.code;
    if (!(rope->high > rope->low)) {
        ko_config_fail(inner, "high_freq_factor",
                       "expected more than low_freq_factor of %g, got %g", rope->low, rope->high);
    }
}

void ko_config_rope(struct ko_builder *b, int32_t max_positions, struct ko_rope_config *out)
{
    char where[512];
    struct ko_rope_config rope = {.theta = 10000};
    const char *key = find_settings(b);
    refuse_partial_heads(b);
    read_positive(b, "rope_theta", &rope.theta);
    if (key && b->code == KO_OK) {
        struct ko_builder inner = *b; /* the same, reading from the object */
        snprintf(where, sizeof where, "%s: %s", b->where, key);
        inner.config = ko_json_get(b->config, key);
        inner.where = where;
        refuse_several_sets(&inner);
        refuse_partial_heads(&inner);
        read_positive(&inner, "rope_theta", &rope.theta);
        read_type(&inner, &rope);
        if (rope.scaled) {
            rope.original = max_positions;
            read_scaling(&inner, b, &rope);
        }
        b->code = inner.code;
    }
    *out = rope;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the rotary settings from config.json, in older and newer forms, and computes the
   frequencies and the tables of sines and cosines. */
#include "src/models/rope.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"

static const double pi = 3.14159265358979323846;

/* A number above 0; required where fallback is not above 0. */
static enum ko_code read_positive(const char *where, json_object *from, const char *key,
                                  double fallback, double *out, struct ko_error *err)
{
    *out = fallback;
    enum ko_code code = ko_json_double(from, key, out, where, err);
    if (code != KO_OK) {
        return code;
    }
    if (!ko_json_get(from, key) && !(fallback > 0)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: missing, which rope_type llama3 needs", where,
                       key);
    }
    if (!(*out > 0 && isfinite(*out))) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a number above 0, got %g", where, key,
                       *out);
    }
    return KO_OK;
}

/* The original positions may also stand beside the object, which then counts. */
static enum ko_code read_scaling(const struct ko_model *model, json_object *config,
                                 const char *where, json_object *from, double max_positions,
                                 struct ko_rope_config *rope, struct ko_error *err)
{
    static const char original[] = "original_max_position_embeddings";
    enum ko_code code = read_positive(where, from, "factor", 0, &rope->factor, err);
    if (code == KO_OK) {
        code = read_positive(where, from, "low_freq_factor", 0, &rope->low, err);
    }
    if (code == KO_OK) {
        code = read_positive(where, from, "high_freq_factor", 0, &rope->high, err);
    }
    if (code == KO_OK) {
        code = read_positive(where, from, original, max_positions, &rope->original, err);
    }
    if (code == KO_OK) {
        code = read_positive(model->name, config, original, rope->original, &rope->original, err);
    }
    if (code == KO_OK && !(rope->high > rope->low)) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: high_freq_factor: expected more than low_freq_factor of %g, got %g",
                       where, rope->low, rope->high);
    }
    return code;
}

/* rope_type, in older files type. */
static enum ko_code read_type(const struct ko_model *model, const char *where, json_object *from,
                              struct ko_rope_config *rope, struct ko_error *err)
{
    const char *key = ko_json_get(from, "rope_type") ? "rope_type" : "type", *type = "default";
    enum ko_code code = ko_json_string(from, key, &type, where, err);
    if (code != KO_OK) {
        return code;
    }
    rope->scaled = strcmp(type, "llama3") == 0;
    if (!rope->scaled && strcmp(type, "default") != 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: '%s' is not supported for %s, only default or llama3", where, key,
                       type, model->family->title);
    }
    return KO_OK;
}

static enum ko_code only_whole_heads(const char *where, json_object *from, struct ko_error *err)
{
    static const char key[] = "partial_rotary_factor";
    double part = 1;
    enum ko_code code = ko_json_double(from, key, &part, where, err);
    if (code == KO_OK && !(part == 1)) {
        code = ko_fail(err, KO_E_INPUT, "%s: %s: %g is not supported, only 1", where, key, part);
    }
    return code;
}

/* One set of numbers for all layers: newer files may hold one for each kind of layer. */
static enum ko_code only_one_set(const char *where, json_object *from, struct ko_error *err)
{
    json_object_object_foreach(from, key, value)
    {
        if (json_object_is_type(value, json_type_object) && !ko_json_get(value, "__float__")) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: numbers for one kind of layer are not supported, only one set "
                           "for all layers",
                           where, key);
        }
    }
    return KO_OK;
}

/* The object that holds the numbers: rope_scaling goes before rope_parameters, as in transformers;
   NULL where neither says anything. */
static enum ko_code find_source(const struct ko_model *model, json_object *config,
                                const char **source, json_object **from, struct ko_error *err)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < 2; i++) {
        json_object *value = ko_json_get(config, keys[i]);
        if (value && !json_object_is_type(value, json_type_object)) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: expected an object, got %s", model->name,
                           keys[i],
                           json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
        }
        if (!*from && value && json_object_object_length(value) > 0) {
            *from = value;
            *source = keys[i];
        }
    }
    return KO_OK;
}

enum ko_code ko_rope_configure(const struct ko_model *model, json_object *config,
                               int32_t max_positions, struct ko_rope_config *out,
                               struct ko_error *err)
{
    const char *source = "rope_parameters";
    json_object *from = NULL;
    char where[512];
    struct ko_rope_config rope = {.theta = 10000};
    enum ko_code code = find_source(model, config, &source, &from, err);
    snprintf(where, sizeof where, "%s: %s", model->name, source);
    if (code == KO_OK) {
        code = only_whole_heads(model->name, config, err);
    }
    if (code == KO_OK) {
        code = read_positive(model->name, config, "rope_theta", rope.theta, &rope.theta, err);
    }
    if (code == KO_OK && from) {
        code = only_one_set(where, from, err);
    }
    if (code == KO_OK && from) {
        code = only_whole_heads(where, from, err);
    }
    if (code == KO_OK && from) {
        code = read_positive(where, from, "rope_theta", rope.theta, &rope.theta, err);
    }
    if (code == KO_OK && from) {
        code = read_type(model, where, from, &rope, err);
    }
    if (code == KO_OK && rope.scaled) {
        code = read_scaling(model, config, where, from, max_positions, &rope, err);
    }
    if (code == KO_OK) {
        *out = rope;
    }
    return code;
}

double ko_rope_frequency(const struct ko_rope_config *rope, int32_t d_head, int32_t k)
{
    double frequency = pow(rope->theta, -2.0 * k / d_head);
    if (!rope->scaled) {
        return frequency;
    }
    double turns = rope->original * frequency / (2 * pi); /* over the original positions */
    if (turns > rope->high) {
        return frequency;
    }
    if (turns < rope->low) {
        return frequency / rope->factor;
    }
    double smooth = (turns - rope->low) / (rope->high - rope->low);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, int32_t d_head,
                    float *cos_table, float *sin_table)
{
    const size_t half = (size_t)d_head / 2;
    for (size_t k = 0; k < half; k++) {
        double frequency = ko_rope_frequency(rope, d_head, (int32_t)k);
        for (size_t p = 0; p < (size_t)n_positions; p++) {
            cos_table[p * half + k] = (float)cos((double)p * frequency);
            sin_table[p * half + k] = (float)sin((double)p * frequency);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks keys of config.json for all families: sizes, norm epsilons, the BOS token,
   ranges, and keys with only one supported value. */
#include "src/models/config.h"

#include <math.h>
#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"

enum ko_code ko_config_size(const struct ko_model *model, json_object *config, const char *key,
                            const char *alias, int32_t fallback, int32_t max, int32_t *out,
                            struct ko_error *err)
{
    int64_t value = fallback;
    const char *present = alias && !ko_json_get(config, key) ? alias : key;
    enum ko_code code = ko_json_int(config, present, 1, max, &value, model->name, err);
    if (code == KO_OK) {
        *out = (int32_t)value;
    }
    return code;
}

enum ko_code ko_config_sizes(const struct ko_model *model, json_object *config,
                             const struct ko_size_row *rows, size_t n, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; i < n && code == KO_OK; i++) {
        code = ko_config_size(model, config, rows[i].key, rows[i].alias, rows[i].fallback,
                              rows[i].max, rows[i].out, err);
    }
    return code;
}

enum ko_code ko_config_epsilon(const struct ko_model *model, json_object *config, const char *key,
                               double fallback, float *out, struct ko_error *err)
{
    double value = fallback;
    enum ko_code code = ko_json_double(config, key, &value, model->name, err);
    if (code != KO_OK) {
        return code;
    }
    if (!(value >= 0 && value <= 1)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a number from 0 to 1, got %g",
                       model->name, key, value);
    }
    *out = (float)value;
    return KO_OK;
}

enum ko_code ko_config_only_bool(const struct ko_model *model, json_object *config, const char *key,
                                 bool supported, struct ko_error *err)
{
    bool value = supported;
    enum ko_code code = ko_json_bool(config, key, &value, model->name, err);
    if (code != KO_OK) {
        return code;
    }
    if (value != supported) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: %s is not supported for %s, only %s", model->name,
                       key, value ? "true" : "false", model->family->title,
                       supported ? "true" : "false");
    }
    return KO_OK;
}

enum ko_code ko_config_only_words(const struct ko_model *model, json_object *config,
                                  const char *key, const char *const *supported, size_t n,
                                  struct ko_error *err)
{
    const char *value = supported[0];
    struct ko_text words = {0};
    enum ko_code code = ko_json_string(config, key, &value, model->name, err);
    if (code != KO_OK) {
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, supported[i]) == 0) {
            return KO_OK;
        }
    }
    for (size_t i = 0; i < n; i++) {
        ko_text_add(&words, "%s%s", i ? " or " : "", supported[i]);
    }
    code = ko_fail(err, KO_E_INPUT, "%s: %s: '%s' is not supported for %s, only %s", model->name,
                   key, value, model->family->title, ko_text_str(&words));
    ko_text_free(&words);
    return code;
}

enum ko_code ko_config_bos(const struct ko_model *model, json_object *config, int32_t fallback,
                           int32_t *out, struct ko_error *err)
{
    static const char key[] = "bos_token_id";
    int64_t value = json_object_object_get_ex(config, key, NULL) ? -1 : fallback;
    enum ko_code code = ko_json_int(config, key, -1, INT32_MAX, &value, model->name, err);
    if (code == KO_OK) {
        *out = value < model->shape.vocabulary ? (int32_t)value : -1;
    }
    return code;
}

enum ko_code ko_config_inner(const struct ko_model *model, json_object *config, int32_t *d_inner,
                             struct ko_error *err)
{
    double expand = 2;
    enum ko_code code = ko_json_double(config, "expand", &expand, model->name, err);
    if (code != KO_OK) {
        return code;
    }
    double inner = floor(expand * model->shape.d_model);
    bool given = ko_json_get(config, "intermediate_size") != NULL;
    if (!given && !(inner >= 1 && inner <= KO_MAX_WIDTH)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expand: %g times the hidden size of %d is no width from 1 to %d",
                       model->name, expand, model->shape.d_model, KO_MAX_WIDTH);
    }
    return ko_config_size(model, config, "intermediate_size", NULL, given ? 1 : (int32_t)inner,
                          KO_MAX_WIDTH, d_inner, err);
}

enum ko_code ko_config_mamba(const struct ko_model *model, json_object *config, bool *tied,
                             bool *bias, bool *conv_bias, struct ko_error *err)
{
    static const char *const activations[] = {"silu", "swish"}; /* two names of one function */
    enum ko_code code = ko_config_only_words(model, config, "hidden_act", activations, 2, err);
    if (code == KO_OK) {
        code = ko_json_bool(config, "tie_word_embeddings", tied, model->name, err);
    }
    if (code == KO_OK) {
        code = ko_json_bool(config, "use_bias", bias, model->name, err);
    }
    if (code == KO_OK) {
        code = ko_json_bool(config, "use_conv_bias", conv_bias, model->name, err);
    }
    return code;
}

enum ko_code ko_config_range(const char *where, json_object *config, const char *key,
                             double range[2], struct ko_error *err)
{
    json_object *value = ko_json_get(config, key);
    double ends[2] = {NAN, NAN};
    if (!value) {
        return KO_OK;
    }
    /* ko_json_double knows {"__float__": "Infinity"}, and reads members of objects. */
    for (size_t i = 0; i < 2 && json_object_is_type(value, json_type_array) &&
                       json_object_array_length(value) == 2;
         i++) {
        json_object *member = json_object_new_object();
        json_object_object_add(member, key, json_object_get(json_object_array_get_idx(value, i)));
        enum ko_code code = ko_json_double(member, key, &ends[i], where, err);
        json_object_put(member);
        if (code != KO_OK) {
            return code;
        }
    }
    if (!(ends[0] >= 0 && isfinite(ends[0]) && ends[0] <= ends[1])) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: expected two numbers from 0, the first no larger than the second, "
                       "got %s",
                       where, key,
                       json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    range[0] = ends[0];
    range[1] = ends[1];
    return KO_OK;
}

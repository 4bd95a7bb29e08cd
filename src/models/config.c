/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and checks the keys of config.json that several families have. */
#include "src/models/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"

void ko_config_fail(struct ko_builder *b, const char *key, const char *format, ...)
{
    char text[KO_ERROR_TEXT];
    va_list args;
    if (b->code != KO_OK) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->code = ko_fail(b->err, KO_E_INPUT, "%s: %s: %s", b->where, key, text);
}

void ko_config_size(struct ko_builder *b, const struct ko_size_row *row)
{
    int64_t value = row->fallback;
    if (b->code == KO_OK) {
        const bool renamed = row->alias && !ko_json_get(b->config, row->key);
        b->code = ko_json_int(b->config, renamed ? row->alias : row->key, 1, row->max, &value,
                              b->where, b->err);
    }
    *row->out = (int32_t)value;
}

void ko_config_auto_size(struct ko_builder *b, const struct ko_size_row *row)
{
    json_object *value = ko_json_get(b->config, row->key);
    if (json_object_is_type(value, json_type_string) &&
        strcmp(json_object_get_string(value), "auto") == 0) {
        *row->out = row->fallback;
    } else {
        ko_config_size(b, row);
    }
}

void ko_config_sizes(struct ko_builder *b, const struct ko_size_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ko_config_size(b, &rows[i]);
    }
}

void ko_config_bool(struct ko_builder *b, const char *key, bool *out)
{
    if (b->code == KO_OK) {
        b->code = ko_json_bool(b->config, key, out, b->where, b->err);
    }
}

void ko_config_epsilon(struct ko_builder *b, const char *key, double fallback, float *out)
{
    double value = fallback;
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, &value, b->where, b->err);
    }
    if (!(value >= 0 && value <= 1)) {
        ko_config_fail(b, key, "expected a number from 0 to 1, got %g", value);
    }
    *out = (float)value;
}

static void read_number(struct ko_builder *b, const char *key, double fallback, bool zero,
                        float *out)
{
    double value = fallback;
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, &value, b->where, b->err);
    }
    *out = (float)value;
    if (!(zero ? *out >= 0 : *out > 0) || !isfinite(*out)) {
        ko_config_fail(b, key, "expected a number %s, got %g", zero ? "of 0 or more" : "above 0",
                       value);
        *out = (float)fallback;
    }
}

void ko_config_positive(struct ko_builder *b, const char *key, double fallback, float *out)
{
    read_number(b, key, fallback, false, out);
}

void ko_config_not_negative(struct ko_builder *b, const char *key, double fallback, float *out)
{
    read_number(b, key, fallback, true, out);
}

void ko_config_only_bool(struct ko_builder *b, const char *key, bool supported)
{
    bool value = supported;
    ko_config_bool(b, key, &value);
    if (value != supported) {
        ko_config_fail(b, key, "%s is not supported for %s, only %s", value ? "true" : "false",
                       b->model->family->title, supported ? "true" : "false");
    }
}

void ko_config_only_null(struct ko_builder *b, const char *key)
{
    json_object *value = ko_json_get(b->config, key);
    if (value) {
        ko_config_fail(b, key, "%.200s is not supported for %s, only null",
                       json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE),
                       b->model->family->title);
    }
}

void ko_config_only_words(struct ko_builder *b, const char *key, const char *const *supported,
                          size_t n)
{
    const char *value = supported[0];
    struct ko_text words = {0};
    if (b->code == KO_OK) {
        b->code = ko_json_string(b->config, key, &value, b->where, b->err);
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(value, supported[i]) == 0) {
            return;
        }
    }
    for (size_t i = 0; i < n; i++) {
        ko_text_add(&words, "%s%s", i ? " or " : "", supported[i]);
    }
    ko_config_fail(b, key, "'%s' is not supported for %s, only %s", value, b->model->family->title,
                   ko_text_str(&words));
    ko_text_free(&words);
}

void ko_config_only_silu(struct ko_builder *b)
{
    static const char *const names[] = {"silu", "swish"}; /* of one function */
    ko_config_only_words(b, "hidden_act", names, 2);
}

void ko_config_tied(struct ko_builder *b, bool fallback)
{
    b->model->ends.tied = fallback;
    ko_config_bool(b, "tie_word_embeddings", &b->model->ends.tied);
}

void ko_config_bos(struct ko_builder *b, int32_t fallback)
{
    static const char key[] = "bos_token_id";
    struct ko_shape *s = &b->model->shape;
    int64_t value = json_object_object_get_ex(b->config, key, NULL) ? -1 : fallback;
    if (b->code == KO_OK) {
        b->code = ko_json_int(b->config, key, -1, INT32_MAX, &value, b->where, b->err);
    }
    s->bos_id = value < s->vocabulary ? (int32_t)value : -1;
}

bool ko_config_two_kinds(struct ko_builder *b, const char *key, const char *const kinds[2],
                         uint8_t *second)
{
    const size_t n = (size_t)b->model->shape.n_layers;
    json_object *list = ko_json_get(b->config, key);
    memset(second, 0, n);
    if (!list) {
        return false;
    }
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) != n) {
        ko_config_fail(b, key, "expected a list of %zu words, one per layer", n);
        return true;
    }
    for (size_t l = 0; l < n; l++) {
        json_object *item = json_object_array_get_idx(list, l);
        const char *kind = item ? json_object_get_string(item) : "null";
        second[l] = strcmp(kind, kinds[1]) == 0;
        if (!second[l] && strcmp(kind, kinds[0]) != 0) {
            ko_config_fail(b, key, "'%.60s' is not supported for %s, only %s or %s", kind,
                           b->model->family->title, kinds[0], kinds[1]);
        }
    }
    return true;
}

void ko_config_layer_types(struct ko_builder *b, int32_t fallback_pattern, uint8_t *sliding)
{
    static const char *const kinds[] = {"full_attention", "sliding_attention"};
    const int32_t n = b->model->shape.n_layers;
    int32_t pattern = fallback_pattern > 0 ? fallback_pattern : 1; /* 1: no layer slides */
    if (ko_config_two_kinds(b, "layer_types", kinds, sliding)) {
        return;
    }
    ko_config_size(b,
                   &(const struct ko_size_row){"sliding_window_pattern", "_sliding_window_pattern",
                                               pattern, INT32_MAX, &pattern});
    for (int32_t l = 0; l < n; l++) {
        sliding[l] = (l + 1) % pattern != 0;
    }
}

void ko_config_layer_list(struct ko_builder *b, const char *key, int32_t first, uint8_t *listed)
{
    const int32_t n = b->model->shape.n_layers;
    json_object *list = ko_json_get(b->config, key);
    if (list && !json_object_is_type(list, json_type_array)) {
        ko_config_fail(b, key, "expected a list of layers");
        return;
    }
    for (size_t k = 0; list && k < json_object_array_length(list); k++) {
        json_object *item = json_object_array_get_idx(list, k);
        const int64_t l =
            json_object_is_type(item, json_type_int) ? json_object_get_int64(item) : -1;
        if (l < first || l >= first + n) {
            ko_config_fail(b, key, "expected layers from %d to %d, got %s", first, first + n - 1,
                           json_object_to_json_string_ext(item, JSON_C_TO_STRING_NOSLASHESCAPE));
            return;
        }
        listed[l - first] = 1;
    }
}

void ko_config_inner(struct ko_builder *b, int32_t *d_inner)
{
    const int32_t d = b->model->shape.d_model;
    const bool given = ko_json_get(b->config, "intermediate_size") != NULL;
    double expand = 2;
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, "expand", &expand, b->where, b->err);
    }
    double inner = floor(expand * d);
    if (!given && !(inner >= 1 && inner <= KO_MAX_WIDTH)) {
        ko_config_fail(b, "expand", "%g times the hidden size of %d is not a width from 1 to %d",
                       expand, d, KO_MAX_WIDTH);
        inner = 1;
    }
    ko_config_size(b, &(const struct ko_size_row){.key = "intermediate_size",
                                                  .fallback = given ? 1 : (int32_t)inner,
                                                  .max = KO_MAX_WIDTH,
                                                  .out = d_inner});
}

enum ko_code ko_config_range(const char *where, json_object *config, const char *key,
                             double range[2], struct ko_error *err)
{
    json_object *value = ko_json_get(config, key);
    double ends[2] = {NAN, NAN};
    if (!value) {
        return KO_OK;
    }
    /* ko_json_double reads {"__float__": "Infinity"} too, but only from a member of an object. */
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

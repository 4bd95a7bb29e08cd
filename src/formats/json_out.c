/* SPDX-License-Identifier: Apache-2.0 */
/* Adds a member to a JSON object in one call, and prints the object. */
#include "src/formats/json_out.h"

#include <math.h>

void ko_json_put_text(json_object *object, const char *key, const char *text)
{
    json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

void ko_json_put_int(json_object *object, const char *key, int64_t value)
{
    json_object_object_add(object, key, json_object_new_int64(value));
}

void ko_json_put_bool(json_object *object, const char *key, int value)
{
    json_object_object_add(object, key, json_object_new_boolean(value));
}

void ko_json_put_number(json_object *object, const char *key, double value)
{
    json_object_object_add(object, key, isfinite(value) ? json_object_new_double(value) : NULL);
}

void ko_json_put_texts(json_object *object, const char *key, const struct ko_strings *list)
{
    json_object *texts = ko_json_put_list(object, key);
    for (size_t k = 0; texts && k < list->n; k++) {
        json_object_array_add(texts, json_object_new_string(list->item[k]));
    }
}

void ko_json_put_ints(json_object *object, const char *key, const int32_t *values, int32_t n)
{
    json_object *list = ko_json_put_list(object, key);
    for (int32_t k = 0; list && k < n; k++) {
        json_object_array_add(list, json_object_new_int64(values[k]));
    }
}

json_object *ko_json_put_object(json_object *object, const char *key)
{
    json_object *child = json_object_new_object();
    json_object_object_add(object, key, child);
    return child;
}

json_object *ko_json_put_list(json_object *object, const char *key)
{
    json_object *list = json_object_new_array();
    json_object_object_add(object, key, list);
    return list;
}

json_object *ko_json_add_object(json_object *list)
{
    json_object *child = json_object_new_object();
    json_object_array_add(list, child);
    return child;
}

enum ko_code ko_json_print(json_object *root, FILE *out, struct ko_error *err)
{
    const char *text = root ? json_object_to_json_string_ext(
                                  root, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)
                            : NULL;
    if (!text) {
        return ko_fail(err, KO_E_MEMORY, "JSON: out of memory");
    }
    fprintf(out, "%s\n", text);
    return KO_OK;
}

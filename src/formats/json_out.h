/* SPDX-License-Identifier: Apache-2.0 */
/* Builds and prints JSON. Members become null if memory runs out, as in json-c. */
#ifndef KO_FORMATS_JSON_OUT_H
#define KO_FORMATS_JSON_OUT_H

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/base/text.h"

void ko_json_put_text(json_object *object, const char *key, const char *text); /* NULL: null */
void ko_json_put_int(json_object *object, const char *key, int64_t value);
void ko_json_put_bool(json_object *object, const char *key, int value);
/* A value that is not finite becomes null. */
void ko_json_put_number(json_object *object, const char *key, double value);
void ko_json_put_texts(json_object *object, const char *key, const struct ko_strings *list);
void ko_json_put_ints(json_object *object, const char *key, const int32_t *values, int32_t n);
/* A new member that is an object, or a list. Borrowed. */
json_object *ko_json_put_object(json_object *object, const char *key);
json_object *ko_json_put_list(json_object *object, const char *key);
/* A new object at the end of a list. Borrowed. */
json_object *ko_json_add_object(json_object *list);
/* Prints the root with a line end. */
KO_MUST_CHECK enum ko_code ko_json_print(json_object *root, FILE *out, struct ko_error *err);

#endif

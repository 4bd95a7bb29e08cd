/* SPDX-License-Identifier: Apache-2.0 */
/* Reads JSON with json-c. Errors name file and key. */
#ifndef KO_FORMATS_JSON_H
#define KO_FORMATS_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/formats/json_keys.h"

/* Most values in one text. json-c takes at most 400 bytes for a value. */
enum { KO_JSON_VALUES = 1 << 22 };

/* Parses n bytes as one JSON value. Only white space may follow it. NaN and Infinity are allowed,
   because Hugging Face writes them. At most KO_JSON_DEPTH deep, no duplicate keys. *root:
   json_object_put() it. KO_E_INPUT: "WHERE:LINE:COLUMN: reason". */
KO_MUST_CHECK enum ko_code ko_json_parse(const char *bytes, size_t n, const char *where,
                                         json_object **root, struct ko_error *err);
/* The same for a file of at most max_bytes. */
KO_MUST_CHECK enum ko_code ko_json_read(const char *path, size_t max_bytes, json_object **root,
                                        struct ko_error *err);

/* Read a member of a JSON object. If the key is absent or null, *out keeps its value (the default).
   KO_E_INPUT for a wrong type or range: "WHERE: KEY: expected ..., got ...". */
KO_MUST_CHECK enum ko_code ko_json_int(json_object *object, const char *key, int64_t min,
                                       int64_t max, int64_t *out, const char *where,
                                       struct ko_error *err);
/* Also accepts {"__float__": "Infinity"}. */
KO_MUST_CHECK enum ko_code ko_json_double(json_object *object, const char *key, double *out,
                                          const char *where, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_json_bool(json_object *object, const char *key, bool *out,
                                        const char *where, struct ko_error *err);
/* *out is borrowed from the object. */
KO_MUST_CHECK enum ko_code ko_json_string(json_object *object, const char *key, const char **out,
                                          const char *where, struct ko_error *err);
/* The member; NULL if absent or null. Borrowed. */
json_object *ko_json_get(json_object *object, const char *key);

#endif

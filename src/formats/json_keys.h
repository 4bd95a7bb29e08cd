/* SPDX-License-Identifier: Apache-2.0 */
/* Finds duplicate keys in JSON objects. json-c accepts them silently and keeps the last value. */
#ifndef KO_FORMATS_JSON_KEYS_H
#define KO_FORMATS_JSON_KEYS_H

#include <json-c/json.h>
#include <stddef.h>

#include "src/base/error.h"

enum { KO_JSON_DEPTH = 64 }; /* most arrays and objects inside one another */

/* Checks that no object has a key twice. bytes[n]: valid JSON; root: its tree from json-c.
   KO_E_INPUT "WHERE:LINE:COLUMN: duplicate key ...". */
KO_MUST_CHECK enum ko_code ko_json_keys_check(const char *bytes, size_t n, const char *where,
                                              json_object *root, struct ko_error *err);
/* The line of a byte, and its column in characters, both from 1. */
void ko_json_place(const char *bytes, size_t offset, size_t *line, size_t *column);

#endif

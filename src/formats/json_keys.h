/* SPDX-License-Identifier: Apache-2.0 */
/* Duplicate keys of JSON objects, which json-c takes without a word: the last value wins. */
#ifndef KO_FORMATS_JSON_KEYS_H
#define KO_FORMATS_JSON_KEYS_H

#include <json-c/json.h>
#include <stddef.h>

#include "src/base/error.h"

enum { KO_JSON_DEPTH = 64 }; /* most arrays and objects inside one another */

/* Whether no object of a text has a key twice. bytes[n]: valid JSON, root: what json-c made of it.
   KO_E_INPUT "WHERE:LINE:COLUMN: duplicate key ...". */
KO_MUST_CHECK enum ko_code ko_json_keys_check(const char *bytes, size_t n, const char *where,
                                              json_object *root, struct ko_error *err);
/* The line of a byte and its column in characters, both from 1. */
void ko_json_place(const char *bytes, size_t offset, size_t *line, size_t *column);

#endif

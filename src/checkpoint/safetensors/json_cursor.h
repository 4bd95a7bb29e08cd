/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over JSON text of known structure. Each call reads one item and refuses anything else.
   Unlike a general parser, it sees duplicate keys and builds no tree. */
#ifndef KO_CHECKPOINT_SAFETENSORS_JSON_CURSOR_H
#define KO_CHECKPOINT_SAFETENSORS_JSON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_json_cursor {
    const char *text; /* borrowed */
    size_t n, at;
    const char *where; /* the text's name in errors; borrowed */
    char *string;      /* the last string read, unescaped, NUL-terminated; owned */
    size_t string_n, string_capacity;
};

/* KO_E_INPUT "WHERE: byte AT: formatted text". */
enum ko_code ko_json_cursor_fail(const struct ko_json_cursor *c, struct ko_error *err,
                                 const char *format, ...) KO_PRINTF(3, 4);
/* Skips white space, and the next character if it is `wanted`. Returns whether it was. */
bool ko_json_cursor_next_is(struct ko_json_cursor *c, char wanted);
/* The same, but another character is an error. */
KO_MUST_CHECK enum ko_code ko_json_cursor_expect(struct ko_json_cursor *c, char wanted,
                                                 struct ko_error *err);
/* Reads a string into c->string: valid UTF-8 without NUL. */
KO_MUST_CHECK enum ko_code ko_json_cursor_string(struct ko_json_cursor *c, struct ko_error *err);
/* Reads a whole number from 0 to INT64_MAX. */
KO_MUST_CHECK enum ko_code ko_json_cursor_count(struct ko_json_cursor *c, int64_t *out,
                                                struct ko_error *err);
/* Checks that only white space is left. */
KO_MUST_CHECK enum ko_code ko_json_cursor_end(struct ko_json_cursor *c, struct ko_error *err);
void ko_json_cursor_free(struct ko_json_cursor *c);

#endif

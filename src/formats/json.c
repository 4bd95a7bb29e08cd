/* SPDX-License-Identifier: Apache-2.0 */
/* Parses JSON with json-c and reads typed values from it. Limits the size of the input. Parse
   errors show line and column. */
#include "src/formats/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/utf8.h"

/* The text that is read, as errors name and locate it. */
struct source {
    const char *bytes; /* [n] */
    size_t n;
    const char *where;
};

static enum ko_code fail_at(const struct source *source, size_t offset, const char *reason,
                            struct ko_error *err)
{
    size_t line = 0, column = 0;
    ko_json_place(source->bytes, offset, &line, &column);
    return ko_fail(err, KO_E_INPUT, "%s:%zu:%zu: not valid JSON: %s", source->where, line, column,
                   reason);
}

static enum ko_code out_of_memory(const struct source *source, struct ko_error *err)
{
    return ko_fail(err, KO_E_MEMORY, "%s: out of memory while reading JSON", source->where);
}

/* Limits the number of values. Each begins after an opening bracket or a comma. json-c may take
   hundreds of bytes for a few characters ("[],"), so this runs before it. */
static enum ko_code check_values(const struct source *source, struct ko_error *err)
{
    size_t values = 1;
    bool in_string = false;
    for (size_t i = 0; i < source->n; i++) {
        const char c = source->bytes[i];
        if (c == '\\' && in_string) {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else {
            values += !in_string && (c == '[' || c == '{' || c == ',');
        }
        if (values > KO_JSON_VALUES) {
            return fail_at(source, i, "more than 4194304 values", err);
        }
    }
    return KO_OK;
}

/* The characters of a number that begins at `at`. *whole: whether it has only digits. */
static size_t number_length(const char *bytes, size_t n, size_t at, bool *whole)
{
    size_t end = at;
    *whole = true;
    while (end < n && strchr("+-.0123456789Ee", bytes[end])) {
        *whole = *whole && (end == at || (bytes[end] >= '0' && bytes[end] <= '9'));
        end++;
    }
    return end - at;
}

/* The text with the same length and structure that the strict pass reads: 'x' for every byte above
   0x7f, and a point in whole numbers that may have more than 64 bits. free() it. NULL: out of
   memory. */
static char *strict_stand_in(const char *bytes, size_t n)
{
    enum { LONG_NUMBER = 19 }; /* digits; 64 bits hold all numbers of fewer */
    bool in_string = false, whole = false;
    char *text = malloc(n + 1);
    if (!text) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = (unsigned char)bytes[i] > 0x7f ? 'x' : bytes[i];
    }
    text[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\\' && in_string) {
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && text[i] && strchr("-0123456789", text[i])) {
            const size_t length = number_length(text, n, i, &whole), first = i + (text[i] == '-');
            if (whole && length > LONG_NUMBER && text[first] != '0') {
                text[first + 1] = '.';
            }
            i += length - 1;
        }
    }
    return text;
}

/* Parses `text`, which has the source's length. Errors show the source. */
static enum ko_code parse_pass(const struct source *source, const char *text, int flags,
                               json_object **root, struct ko_error *err)
{
    struct json_tokener *tokener = json_tokener_new_ex(KO_JSON_DEPTH);
    if (!tokener) {
        return out_of_memory(source, err);
    }
    json_tokener_set_flags(tokener, flags);
    json_object *value = json_tokener_parse_ex(tokener, text, (int)source->n);
    enum json_tokener_error state = json_tokener_get_error(tokener);
    size_t offset = json_tokener_get_parse_end(tokener);
    if (state == json_tokener_continue) {
        /* A number at the top level ends with the input. Tell json-c about the end. */
        value = json_tokener_parse_ex(tokener, "", 1);
        state = json_tokener_get_error(tokener);
        offset = source->n;
    }
    json_tokener_free(tokener);
    if (state == json_tokener_success) {
        while (offset < source->n && strchr(" \t\r\n", text[offset])) {
            offset++;
        }
        if (offset == source->n) {
            *root = value;
            return KO_OK;
        }
        state = json_tokener_error_parse_unexpected;
    }
    json_object_put(value);
    return fail_at(source, offset,
                   state == json_tokener_error_depth ? "nested more than 64 deep"
                                                     : json_tokener_error_desc(state),
                   err);
}

enum ko_code ko_json_parse(const char *bytes, size_t n, const char *where, json_object **root,
                           struct ko_error *err)
{
    const struct source source = {bytes, n, where};
    json_object *value = NULL;
    /* json-c would take a NUL for the end of the text. */
    const char *nul = n ? memchr(bytes, '\0', n) : NULL;
    if (nul) {
        return fail_at(&source, (size_t)(nul - bytes), "a NUL byte", err);
    }
    if (n > INT32_MAX) {
        return ko_fail(err, KO_E_INPUT, "%s: has %zu bytes, expected at most %d", where, n,
                       INT32_MAX);
    }
    enum ko_code code = check_values(&source, err);
    if (code != KO_OK) {
        return code;
    }
    /* json-c 0.18 in strict mode mistakes bytes above 0x7f in strings for control characters
       (json-c issue 892), and from 0.17 on it refuses whole numbers beyond 64 bits there, such as
       `model_max_length` in many tokenizer_config.json. So the strict pass reads a stand-in. If
       that differs from the text, a second pass reads the values; it is not strict but checks
       UTF-8, and gives the nearest number of 64 bits. */
    char *stand_in = strict_stand_in(bytes, n);
    if (!stand_in) {
        return out_of_memory(&source, err);
    }
    const bool same = n == 0 || memcmp(stand_in, bytes, n) == 0;
    code = parse_pass(&source, stand_in, JSON_TOKENER_STRICT, &value, err);
    if (code == KO_OK && !same) {
        json_object_put(value);
        value = NULL;
        code = parse_pass(&source, bytes, JSON_TOKENER_VALIDATE_UTF8, &value, err);
    }
    free(stand_in);
    if (code == KO_OK) {
        code = ko_json_keys_check(bytes, n, where, value, err);
    }
    if (code != KO_OK) {
        json_object_put(value);
        return code;
    }
    *root = value;
    return KO_OK;
}

enum ko_code ko_json_read(const char *path, size_t max_bytes, json_object **root,
                          struct ko_error *err)
{
    char *bytes = NULL;
    size_t n = 0;
    enum ko_code code = ko_file_read(path, max_bytes, &bytes, &n, err);
    if (code == KO_OK) {
        code = ko_json_parse(bytes, n, path, root, err);
    }
    free(bytes);
    return code;
}

json_object *ko_json_get(json_object *object, const char *key)
{
    json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value)) {
        return NULL;
    }
    return value;
}

/* "WHERE: KEY: expected EXPECTED, got VALUE". Cuts a long value. */
static enum ko_code wrong_type(json_object *value, const char *key, const char *expected,
                               const char *where, struct ko_error *err)
{
    enum { SHOWN = 60 };
    const char *text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);
    size_t n = text ? strlen(text) : 0;
    bool cut = n > SHOWN;
    if (cut) {
        n = SHOWN;
        while (n > 0 && ko_utf8_continues(text[n])) {
            n--;
        }
    }
    return ko_fail(err, KO_E_INPUT, "%s: %s: expected %s, got %.*s%s", where, key, expected, (int)n,
                   text ? text : "", cut ? "..." : "");
}

enum ko_code ko_json_int(json_object *object, const char *key, int64_t min, int64_t max,
                         int64_t *out, const char *where, struct ko_error *err)
{
    json_object *value = ko_json_get(object, key);
    char expected[80];
    if (!value) {
        return KO_OK;
    }
    int64_t number = json_object_get_int64(value);
    /* json-c clamps numbers beyond int64. A clamped number differs from its uint64. */
    bool clamped = number == INT64_MAX && json_object_get_uint64(value) > INT64_MAX;
    if (!json_object_is_type(value, json_type_int) || clamped || number < min || number > max) {
        (void)snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64,
                       min, max);
        return wrong_type(value, key, expected, where, err);
    }
    *out = number;
    return KO_OK;
}

/* Reads {"__float__": "Infinity"}, which newer versions of transformers write. */
static bool wrapped_double(json_object *value, double *out)
{
    static const struct {
        const char *name;
        double value;
    } known[] = {{"Infinity", INFINITY}, {"-Infinity", -INFINITY}, {"NaN", NAN}};
    json_object *inner = ko_json_get(value, "__float__");
    if (!json_object_is_type(inner, json_type_string)) {
        return false;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(json_object_get_string(inner), known[i].name) == 0) {
            *out = known[i].value;
            return true;
        }
    }
    return false;
}

enum ko_code ko_json_double(json_object *object, const char *key, double *out, const char *where,
                            struct ko_error *err)
{
    json_object *value = ko_json_get(object, key);
    if (!value || wrapped_double(value, out)) {
        return KO_OK;
    }
    if (!json_object_is_type(value, json_type_double) &&
        !json_object_is_type(value, json_type_int)) {
        return wrong_type(value, key, "a number", where, err);
    }
    *out = json_object_get_double(value);
    return KO_OK;
}

enum ko_code ko_json_bool(json_object *object, const char *key, bool *out, const char *where,
                          struct ko_error *err)
{
    json_object *value = ko_json_get(object, key);
    if (!value) {
        return KO_OK;
    }
    if (!json_object_is_type(value, json_type_boolean)) {
        return wrong_type(value, key, "true or false", where, err);
    }
    *out = json_object_get_boolean(value);
    return KO_OK;
}

enum ko_code ko_json_string(json_object *object, const char *key, const char **out,
                            const char *where, struct ko_error *err)
{
    json_object *value = ko_json_get(object, key);
    if (!value) {
        return KO_OK;
    }
    if (!json_object_is_type(value, json_type_string)) {
        return wrong_type(value, key, "a string", where, err);
    }
    const char *text = json_object_get_string(value);
    if (strlen(text) != (size_t)json_object_get_string_len(value)) {
        return wrong_type(value, key, "a string without NUL", where, err);
    }
    *out = text;
    return KO_OK;
}

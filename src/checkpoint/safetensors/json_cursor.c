/* SPDX-License-Identifier: Apache-2.0 */
/* Reads strings with their escapes, whole numbers and punctuation from JSON text. */
#include "src/checkpoint/safetensors/json_cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"

enum ko_code ko_json_cursor_fail(const struct ko_json_cursor *c, struct ko_error *err,
                                 const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ko_fail(err, KO_E_INPUT, "%s: byte %zu: %s", c->where, c->at, text);
}

static void skip_space(struct ko_json_cursor *c)
{
    while (c->at < c->n && c->text[c->at] != '\0' && strchr(" \t\r\n", c->text[c->at])) {
        c->at++;
    }
}

bool ko_json_cursor_next_is(struct ko_json_cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->n || c->text[c->at] != wanted) {
        return false;
    }
    c->at++;
    return true;
}

/* "'x'", "byte 0xff" or "the end of the text". */
static const char *name_next(const struct ko_json_cursor *c, char text[32])
{
    if (c->at == c->n) {
        return "the end of the text";
    }
    unsigned char next = (unsigned char)c->text[c->at];
    if (next > 0x20 && next < 0x7f) {
        snprintf(text, 32, "'%c'", next);
    } else {
        snprintf(text, 32, "byte 0x%02x", next);
    }
    return text;
}

enum ko_code ko_json_cursor_expect(struct ko_json_cursor *c, char wanted, struct ko_error *err)
{
    char found[32];
    if (ko_json_cursor_next_is(c, wanted)) {
        return KO_OK;
    }
    return ko_json_cursor_fail(c, err, "not valid JSON: expected '%c', found %s", wanted,
                               name_next(c, found));
}

/* The value of the four hex digits at `at`, or -1. */
static int32_t read_hex4(const struct ko_json_cursor *c, size_t at)
{
    int32_t value = 0;
    if (c->n - at < 4) {
        return -1;
    }
    for (size_t i = 0; i < 4; i++) {
        char digit = c->text[at + i];
        const char *digits = "0123456789abcdefABCDEF";
        const char *found = digit ? strchr(digits, digit) : NULL;
        if (!found) {
            return -1;
        }
        int32_t index = (int32_t)(found - digits);
        value = value * 16 + (index < 16 ? index : index - 6);
    }
    return value;
}

/* Reads the escape whose backslash is before c->at, and appends its character to to[*n]. */
static enum ko_code read_escape(struct ko_json_cursor *c, char *to, size_t *n, struct ko_error *err)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char letter = c->at < c->n ? c->text[c->at] : '\0';
    const char *simple = letter ? strchr(letters, letter) : NULL;
    if (simple) {
        to[(*n)++] = meant[simple - letters];
        c->at++;
        return KO_OK;
    }
    int32_t unit = letter == 'u' ? read_hex4(c, c->at + 1) : -1;
    if (unit < 0) {
        return ko_json_cursor_fail(c, err, "not valid JSON: a broken escape");
    }
    c->at += 5;
    uint32_t code = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xdc00 && c->n - c->at >= 6 && c->text[c->at] == '\\' &&
        c->text[c->at + 1] == 'u') {
        int32_t low = read_hex4(c, c->at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
            c->at += 6;
        }
    }
    if (code >= 0xd800 && code < 0xe000) {
        return ko_json_cursor_fail(c, err, "not valid JSON: half a surrogate pair");
    }
    if (code == 0) {
        return ko_json_cursor_fail(c, err, "a NUL character in a string");
    }
    *n += ko_utf8_put(code, to + *n);
    return KO_OK;
}

/* Makes room for the longest character and the NUL. */
static enum ko_code make_room(struct ko_json_cursor *c, size_t n, struct ko_error *err)
{
    enum { ROOM = 8 };
    if (c->string_capacity >= n + ROOM) {
        return KO_OK;
    }
    char *grown = ko_grow(c->string, &c->string_capacity, n + ROOM, 1, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    c->string = grown;
    return KO_OK;
}

enum ko_code ko_json_cursor_string(struct ko_json_cursor *c, struct ko_error *err)
{
    size_t n = 0;
    enum ko_code code = ko_json_cursor_expect(c, '"', err);
    if (code == KO_OK) {
        code = make_room(c, n, err);
    }
    while (code == KO_OK && c->at < c->n && c->text[c->at] != '"') {
        if ((unsigned char)c->text[c->at] < 0x20) {
            return ko_json_cursor_fail(c, err, "not valid JSON: a bare control character");
        }
        if (c->text[c->at] != '\\') {
            c->string[n++] = c->text[c->at++];
        } else {
            c->at++;
            code = read_escape(c, c->string, &n, err);
        }
        if (code == KO_OK) {
            code = make_room(c, n, err);
        }
    }
    if (code != KO_OK) {
        return code;
    }
    if (c->at == c->n) {
        return ko_json_cursor_fail(c, err, "not valid JSON: a string without its end");
    }
    c->at++;
    c->string[n] = '\0';
    c->string_n = n;
    if (!ko_utf8_valid(c->string, n)) {
        return ko_json_cursor_fail(c, err, "a string is not valid UTF-8");
    }
    return KO_OK;
}

enum ko_code ko_json_cursor_count(struct ko_json_cursor *c, int64_t *out, struct ko_error *err)
{
    char found[32];
    skip_space(c);
    size_t start = c->at;
    int64_t value = 0;
    while (c->at < c->n && c->text[c->at] >= '0' && c->text[c->at] <= '9') {
        int digit = c->text[c->at] - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return ko_json_cursor_fail(c, err, "a number beyond %lld", (long long)INT64_MAX);
        }
        value = value * 10 + digit;
        c->at++;
    }
    bool more = c->at < c->n && c->text[c->at] != '\0' && strchr(".eE", c->text[c->at]);
    if (c->at == start || more) {
        return ko_json_cursor_fail(c, err, "expected a whole number from 0, found %s",
                                   name_next(c, found));
    }
    if (c->at - start > 1 && c->text[start] == '0') {
        return ko_json_cursor_fail(c, err, "not valid JSON: a number with a leading zero");
    }
    *out = value;
    return KO_OK;
}

enum ko_code ko_json_cursor_end(struct ko_json_cursor *c, struct ko_error *err)
{
    skip_space(c);
    if (c->at < c->n) {
        return ko_json_cursor_fail(c, err, "not valid JSON: text after the end of the object");
    }
    return KO_OK;
}

void ko_json_cursor_free(struct ko_json_cursor *c)
{
    free(c->string);
    c->string = NULL;
    c->string_n = c->string_capacity = 0;
}

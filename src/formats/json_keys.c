/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a duplicate key by scanning the text, because json-c's tree no longer has the first
   value. */
#include "src/formats/json_keys.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"

void ko_json_place(const char *bytes, size_t offset, size_t *line, size_t *column)
{
    size_t begin = 0;
    *line = 1;
    for (size_t i = 0; i < offset; i++) {
        if (bytes[i] == '\n') {
            ++*line;
            begin = i + 1;
        }
    }
    *column = ko_utf8_count(bytes + begin, offset - begin) + 1;
}

/* The byte after the string whose opening quote is bytes[at]. */
static size_t string_end(const char *bytes, size_t n, size_t at)
{
    for (at++; at < n && bytes[at] != '"'; at++) {
        at += bytes[at] == '\\';
    }
    return at + 1;
}

static size_t members_of_text(const char *bytes, size_t n)
{
    size_t members = 0;
    for (size_t at = 0; at < n;) {
        members += bytes[at] == ':';
        at = bytes[at] == '"' ? string_end(bytes, n, at) : at + 1;
    }
    return members;
}

/* At most KO_JSON_DEPTH deep, as the tree is. */
static size_t members_of_tree(json_object *value)
{
    size_t members = 0;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            members += members_of_tree(json_object_array_get_idx(value, i));
        }
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            (void)key;
            members += 1 + members_of_tree(member);
        }
    }
    return members;
}

struct key {
    size_t object; /* its object; objects are numbered in the order of their beginning */
    size_t at;     /* the offset of its opening quote */
    char *text;    /* unescaped; owned */
};

struct keys {
    struct key *key;
    size_t n, capacity;
};

/* The text of the string bytes[0..n), which includes its quotes. free() it. */
static char *unescape_key(const char *bytes, size_t n, struct ko_error *err)
{
    struct json_tokener *tokener = json_tokener_new();
    json_object *value = tokener ? json_tokener_parse_ex(tokener, bytes, (int)n) : NULL;
    char *text = NULL;
    if (value) {
        text = ko_copy(json_object_get_string(value), err);
    } else {
        (void)ko_fail(err, KO_E_MEMORY, "out of memory while reading JSON");
    }
    json_object_put(value);
    if (tokener) {
        json_tokener_free(tokener);
    }
    return text;
}

static enum ko_code add_key(struct keys *keys, const char *bytes, size_t at, size_t end,
                            size_t object, struct ko_error *err)
{
    struct key *grown = ko_grow(keys->key, &keys->capacity, keys->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    keys->key = grown;
    char *text = unescape_key(bytes + at, end - at, err);
    if (!text) {
        return KO_E_MEMORY;
    }
    keys->key[keys->n++] = (struct key){object, at, text};
    return KO_OK;
}

static enum ko_code list_keys(const char *bytes, size_t n, struct keys *keys, struct ko_error *err)
{
    size_t open[KO_JSON_DEPTH + 2] = {0}, depth = 0, objects = 0;
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < n;) {
        const size_t end = bytes[at] == '"' ? string_end(bytes, n, at) : at + 1;
        if (bytes[at] == '"') {
            size_t next = end;
            while (next < n && strchr(" \t\r\n", bytes[next])) {
                next++;
            }
            if (next < n && bytes[next] == ':') {
                code = add_key(keys, bytes, at, end, open[depth], err);
            }
        } else if ((bytes[at] == '{' || bytes[at] == '[') && depth + 1 < KO_JSON_DEPTH + 2) {
            open[++depth] = objects++;
        } else if ((bytes[at] == '}' || bytes[at] == ']') && depth > 0) {
            depth--;
        }
        at = end;
    }
    return code;
}

static int by_text(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->object != y->object) {
        return x->object < y->object ? -1 : 1;
    }
    const int order = strcmp(x->text, y->text);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Reports the first key of the text that repeats an earlier one. */
static enum ko_code fail_duplicate(const char *bytes, struct keys *keys, const char *where,
                                   struct ko_error *err)
{
    const struct key *again = NULL, *first = NULL;
    size_t line = 0, column = 0, first_line = 0, first_column = 0;
    qsort(keys->key, keys->n, sizeof keys->key[0], by_text);
    for (size_t k = 1; k < keys->n; k++) {
        const struct key *before = &keys->key[k - 1], *key = &keys->key[k];
        if (before->object == key->object && strcmp(before->text, key->text) == 0 &&
            (!again || key->at < again->at)) {
            first = before;
            again = key;
        }
    }
    if (!again) {
        return ko_fail(err, KO_E_INPUT, "%s: an object has a key twice, keep one", where);
    }
    ko_json_place(bytes, first->at, &first_line, &first_column);
    ko_json_place(bytes, again->at, &line, &column);
    if (line == first_line) {
        return ko_fail(err, KO_E_INPUT, "%s:%zu:%zu: duplicate key '%s', keep one", where, line,
                       column, again->text);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s:%zu:%zu: duplicate key '%s', it is on line %zu too, keep one", where, line,
                   column, again->text, first_line);
}

enum ko_code ko_json_keys_check(const char *bytes, size_t n, const char *where, json_object *root,
                                struct ko_error *err)
{
    struct keys keys = {0};
    /* Of duplicate keys the tree keeps one member, so it has fewer members than the text. */
    if (members_of_text(bytes, n) == members_of_tree(root)) {
        return KO_OK;
    }
    enum ko_code code = list_keys(bytes, n, &keys, err);
    if (code == KO_OK) {
        code = fail_duplicate(bytes, &keys, where, err);
    }
    for (size_t k = 0; k < keys.n; k++) {
        free(keys.key[k].text);
    }
    free(keys.key);
    return code;
}

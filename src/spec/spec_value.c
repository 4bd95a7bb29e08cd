/* SPDX-License-Identifier: Apache-2.0 */
/* Reads single values for all readers of the spec: a word, a whole number in a range, one of several
   words, a list. Errors name file, line and column. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

const char *ko_spec_describe(const struct ko_yaml *node, char buffer[96])
{
    if (node->kind == KO_YAML_LIST) {
        snprintf(buffer, 96, "a list");
    } else if (node->kind == KO_YAML_MAP) {
        snprintf(buffer, 96, "a map");
    } else if (ko_spec_is_null(node)) {
        snprintf(buffer, 96, "nothing");
    } else {
        snprintf(buffer, 96, strlen(node->text) > 80 ? "'%.77s...'" : "'%.80s'", node->text);
    }
    return buffer;
}

bool ko_spec_is_null(const struct ko_yaml *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != KO_YAML_SCALAR || node->quoted) {
        return false;
    }
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++) {
        if (strcmp(node->text, nulls[i]) == 0) {
            return true;
        }
    }
    return false;
}

char *ko_spec_where(const struct ko_yaml *node, struct ko_error *err)
{
    struct ko_text text = {0};
    ko_text_add(&text, "%s:%d:%d", node->file, node->line, node->column);
    char *where = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return where;
}

enum ko_code ko_spec_check_list(const struct ko_yaml *node, const char *key, const char *of,
                                struct ko_error *err)
{
    char got[96];
    if (node->kind != KO_YAML_LIST) {
        return ko_yaml_fail(node, err, "%s: expected a list of %s, got %s", key, of,
                            ko_spec_describe(node, got));
    }
    if (node->n == 0) {
        return ko_yaml_fail(node, err, "%s: expected a list of %s, got an empty one", key, of);
    }
    if (node->n > KO_SPEC_LIST) {
        return ko_yaml_fail(node, err, "%s: a list of %zu %s, more than %d", key, node->n, of,
                            KO_SPEC_LIST);
    }
    return KO_OK;
}

enum ko_code ko_spec_word(const struct ko_yaml *node, const char *key, const char *expected,
                          const char **text, struct ko_error *err)
{
    char got[96];
    if (node->kind != KO_YAML_SCALAR || ko_spec_is_null(node) || node->text[0] == '\0') {
        return ko_yaml_fail(node, err, "%s: expected %s, got %s", key, expected,
                            ko_spec_describe(node, got));
    }
    *text = node->text;
    return KO_OK;
}

enum ko_code ko_spec_whole(const struct ko_yaml *node, const char *key, int64_t min, int64_t max,
                           int64_t *out, struct ko_error *err)
{
    int64_t value = 0;
    bool whole = node->kind == KO_YAML_SCALAR && !node->quoted &&
                 ko_parse_int(node->text, min, INT64_MAX, &value, key, NULL) == KO_OK;
    char got[96];
    if (!whole) {
        return ko_yaml_fail(node, err, "%s: expected a whole number from %lld, got %s%s", key,
                            (long long)min, ko_spec_describe(node, got),
                            node->quoted ? " in quotes" : "");
    }
    if (value > max) {
        return ko_yaml_fail(node, err, "%s: expected a whole number from %lld to %lld, got %s", key,
                            (long long)min, (long long)max, ko_spec_describe(node, got));
    }
    *out = value;
    return KO_OK;
}

enum ko_code ko_spec_choice(const struct ko_yaml *node, const char *key, const char *const *words,
                            size_t n, size_t *index, struct ko_error *err)
{
    struct ko_text all = {0};
    for (size_t i = 0; i < n; i++) {
        ko_text_add(&all, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    }
    const char *text = NULL;
    enum ko_code code = ko_text_check(&all, err);
    if (code == KO_OK) {
        code = ko_spec_word(node, key, ko_text_str(&all), &text, err);
    }
    if (code == KO_OK && text) {
        size_t i = 0;
        while (i < n && strcmp(text, words[i]) != 0) {
            i++;
        }
        const char *near = ko_nearest(text, words, n);
        if (i < n) {
            *index = i;
        } else if (near) {
            code = ko_yaml_fail(node, err, "%s: expected %s, got '%s', did you mean '%s'?", key,
                                ko_text_str(&all), text, near);
        } else {
            code =
                ko_yaml_fail(node, err, "%s: expected %s, got '%s'", key, ko_text_str(&all), text);
        }
    }
    ko_text_free(&all);
    return code;
}

enum ko_code ko_spec_add_placed(struct ko_strings *list, struct ko_strings *where, const char *text,
                                const struct ko_yaml *node, struct ko_error *err)
{
    if (ko_strings_find(list, text) >= 0) {
        return KO_OK;
    }
    char *place = ko_spec_where(node, err);
    enum ko_code code = !place ? KO_E_MEMORY : ko_strings_add(list, text, err);
    if (code == KO_OK) {
        code = ko_strings_add(where, place, err);
    }
    free(place);
    return code;
}

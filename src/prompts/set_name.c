/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the built-in token sets. Names of spans are checked against them. */
#include "src/prompts/set_name.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

const char *const ko_set_names[KO_N_SETS] = {
    "first",        "bos",      "first-text", "last",          "subject",
    "subject-last", "relation", "context",    "after-subject", "all"};

int ko_set_find(const char *name, size_t n)
{
    for (int i = 0; i < KO_N_SETS; i++) {
        if (strlen(ko_set_names[i]) == n && memcmp(ko_set_names[i], name, n) == 0) {
            return i;
        }
    }
    return -1;
}

enum ko_code ko_span_name_check(const char *name, struct ko_error *err)
{
    static const char *const taken[] = {"each", "later"};
    static const char *const prefix[] = {"position:", "random-like:", "keep:"};
    bool clash = ko_set_find(name, strlen(name)) >= 0;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        clash = clash || strcmp(name, taken[i]) == 0;
    }
    for (size_t i = 0; i < sizeof prefix / sizeof prefix[0]; i++) {
        clash = clash || strncmp(name, prefix[i], strlen(prefix[i])) == 0;
    }
    if (clash) {
        return ko_fail(err, KO_E_INPUT, "%s: is the name of a token set, choose another", name);
    }
    bool blank = !*name;
    for (const char *c = name; *c; c++) {
        blank = blank || (unsigned char)*c <= ' ' || *c == '\\';
    }
    if (blank || strstr(name, "<-")) {
        return ko_fail(err, KO_E_INPUT,
                       "'%s': a span's name is not empty and has no blank, '\\' or '<-'", name);
    }
    return KO_OK;
}

enum ko_code ko_set_unknown(const char *name, const struct ko_strings *span_names,
                            struct ko_error *err)
{
    static const char *const others[] = {"each", "later", "position:0", "random-like:subject:0"};
    enum { N_OTHERS = sizeof others / sizeof others[0] };
    size_t n_spans = span_names ? span_names->n : 0, n = 0;
    const char **known = ko_new(KO_N_SETS + N_OTHERS + n_spans, sizeof *known, err);
    if (!known) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < KO_N_SETS; i++) {
        known[n++] = ko_set_names[i];
    }
    for (size_t i = 0; i < n_spans; i++) {
        known[n++] = span_names->item[i];
    }
    for (size_t i = 0; i < N_OTHERS; i++) {
        known[n++] = others[i];
    }
    const char *near = ko_nearest(name, known, n);
    enum ko_code code;
    if (near) {
        code = ko_fail(err, KO_E_INPUT, "unknown token set '%s', did you mean '%s'?", name, near);
    } else {
        struct ko_text list = {0};
        for (size_t i = 0; i < KO_N_SETS + n_spans; i++) {
            ko_text_add(&list, "%s, ", known[i]);
        }
        code = ko_fail(err, KO_E_INPUT,
                       "unknown token set '%s', use one of %sposition:K, random-like:SET:SEED or "
                       "a span of the prompt file",
                       name, ko_text_str(&list));
        ko_text_free(&list);
    }
    free(known);
    return code;
}

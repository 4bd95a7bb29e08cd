/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the names of token sets and marks the positions of a set in one prompt. */
#include "src/prompts/token_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/draw.h"
#include "src/prompts/set_name.h"

static const char position_prefix[] = "position:", random_prefix[] = "random-like:";

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static enum ko_code parse_position(const char *name, int64_t *position, struct ko_error *err)
{
    char where[KO_ERROR_TEXT];
    (void)snprintf(where, sizeof where, "token set '%s'", name);
    return ko_parse_natural(name + strlen(position_prefix), INT32_MAX, position, where, err);
}

/* "random-like:SET:SEED": SET in *like (free()). */
static enum ko_code parse_random(const char *name, char **like, uint64_t *seed,
                                 struct ko_error *err)
{
    const char *set = name + strlen(random_prefix), *colon = strchr(set, ':');
    char where[KO_ERROR_TEXT];
    int64_t number = 0;
    if (!colon || colon == set || strchr(colon + 1, ':')) {
        return ko_fail(err, KO_E_INPUT,
                       "token set '%s': expected random-like:SET:SEED with one plain set, such as "
                       "random-like:subject:0",
                       name);
    }
    (void)snprintf(where, sizeof where, "token set '%s': seed", name);
    enum ko_code code = ko_parse_natural(colon + 1, INT64_MAX, &number, where, err);
    if (code != KO_OK) {
        return code;
    }
    *seed = (uint64_t)number;
    *like = ko_copy_n(set, (size_t)(colon - set), err);
    return *like ? KO_OK : KO_E_MEMORY;
}

/* The length of NAME in "NAME:K", with K in *run; 0: the name does not have this form. */
static size_t parse_run(const char *name, int64_t *run)
{
    const char *colon = strrchr(name, ':');
    return colon && ko_parse_natural(colon + 1, INT32_MAX, run, "", NULL) == KO_OK
               ? (size_t)(colon - name)
               : 0;
}

/* Whether the name is NAME:K of one of the spans. */
static bool is_run(const char *name, const struct ko_strings *span_names)
{
    int64_t run = 0;
    const size_t n = parse_run(name, &run);
    for (size_t i = 0; n > 0 && span_names && i < span_names->n; i++) {
        if (strlen(span_names->item[i]) == n && memcmp(span_names->item[i], name, n) == 0) {
            return true;
        }
    }
    return false;
}

static enum ko_code check_plain(const char *name, const struct ko_strings *span_names,
                                struct ko_error *err)
{
    if (ko_set_find(name, strlen(name)) >= 0 ||
        (span_names && ko_strings_find(span_names, name) >= 0) || is_run(name, span_names)) {
        return KO_OK;
    }
    if (strcmp(name, "each") == 0) {
        return ko_fail(err, KO_E_INPUT, "token set 'each' stands alone as the source of a route");
    }
    if (strcmp(name, "later") == 0) {
        return ko_fail(err, KO_E_INPUT, "token set 'later' stands alone as the target of a route");
    }
    return ko_set_unknown(name, span_names, err);
}

static enum ko_code check_part(const char *name, const struct ko_strings *span_names,
                               struct ko_error *err)
{
    if (begins_with(name, position_prefix)) {
        int64_t position = 0;
        return parse_position(name, &position, err);
    }
    if (!begins_with(name, random_prefix)) {
        return check_plain(name, span_names, err);
    }
    char *like = NULL;
    uint64_t seed = 0;
    enum ko_code code = parse_random(name, &like, &seed, err);
    if (code == KO_OK && like) {
        code = check_plain(like, span_names, err);
    }
    free(like);
    return code;
}

enum ko_code ko_token_set_check(const char *name, const struct ko_strings *span_names,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (const char *at = name; code == KO_OK && at;) {
        const char *end = strchr(at, '\\');
        char *part = ko_copy_n(at, end ? (size_t)(end - at) : strlen(at), err);
        code = part ? KO_OK : KO_E_MEMORY;
        if (code == KO_OK && !*part) {
            code = ko_fail(err, KO_E_INPUT, "token set '%s': a set is missing beside '\\'", name);
        }
        if (code == KO_OK) {
            code = check_part(part, span_names, err);
        }
        free(part);
        at = end ? end + 1 : NULL;
    }
    return code;
}

static void set_range(uint8_t *member, int32_t n, int32_t begin, int32_t end)
{
    for (int32_t i = begin < 0 ? 0 : begin; i < end && i < n; i++) {
        member[i] = 1;
    }
}

/* A named span, all its runs; or one run of it. Neither may be in this prompt. */
static void eval_span(const char *name, const struct ko_prompt *p, uint8_t *member)
{
    bool found = false;
    int64_t run = 0, k = 0;
    for (int32_t i = 0; i < p->n_spans; i++) {
        if (strcmp(p->span[i].name, name) == 0) {
            set_range(member, p->n_tokens, p->span[i].begin, p->span[i].end);
            found = true;
        }
    }
    const size_t n = found ? 0 : parse_run(name, &run);
    for (int32_t i = 0; n > 0 && i < p->n_spans; i++) {
        if (strlen(p->span[i].name) == n && memcmp(p->span[i].name, name, n) == 0 && k++ == run) {
            set_range(member, p->n_tokens, p->span[i].begin, p->span[i].end);
        }
    }
}

/* A set of ko_set_names or a span, which may not be in this prompt. */
static void eval_plain(const char *name, const struct ko_prompt *p, uint8_t *member)
{
    int32_t n = p->n_tokens;
    switch (ko_set_find(name, strlen(name))) {
    case KO_SET_FIRST:
        set_range(member, n, 0, 1);
        return;
    case KO_SET_BOS:
        set_range(member, n, 0, p->n_special);
        return;
    case KO_SET_FIRST_TEXT:
        set_range(member, n, p->n_special, p->n_special + 1);
        return;
    case KO_SET_LAST:
        set_range(member, n, n - 1, n);
        return;
    case KO_SET_SUBJECT:
        set_range(member, n, p->subject_begin, p->subject_end);
        return;
    case KO_SET_SUBJECT_LAST:
        set_range(member, n, p->subject_end - 1, p->subject_end);
        return;
    case KO_SET_RELATION:
        set_range(member, n, 0, p->subject_begin);
        set_range(member, n, p->subject_end, n);
        return;
    case KO_SET_CONTEXT:
        set_range(member, n, 0, p->subject_begin);
        return;
    case KO_SET_AFTER_SUBJECT:
        set_range(member, n, p->subject_end, n);
        return;
    case KO_SET_ALL:
        set_range(member, n, 0, n);
        return;
    default:
        eval_span(name, p, member);
    }
}

static enum ko_code eval_random(const char *name, const struct ko_prompt *p, uint8_t *member,
                                struct ko_error *err)
{
    static const char *const avoided[] = {"bos", "first", "last"};
    size_t n = (size_t)p->n_tokens, wanted = 0, n_pool = 0;
    char *like = NULL;
    uint64_t seed = 0;
    enum ko_code code = parse_random(name, &like, &seed, err);
    if (code != KO_OK || !like) {
        return code;
    }
    uint8_t *avoid = ko_new(n, 1, err);
    int64_t *pool = ko_new(n, sizeof *pool, err);
    if (!avoid || !pool) {
        code = KO_E_MEMORY;
        goto done;
    }
    eval_plain(like, p, avoid);
    for (size_t i = 0; i < n; i++) {
        wanted += avoid[i];
    }
    for (size_t i = 0; i < sizeof avoided / sizeof avoided[0]; i++) {
        eval_plain(avoided[i], p, avoid);
    }
    for (size_t i = 0; i < n; i++) {
        if (!avoid[i]) {
            pool[n_pool++] = (int64_t)i;
        }
    }
    if (n_pool < wanted) {
        goto done;
    }
    ko_draw(pool, n_pool, wanted, seed, ko_fnv1a64(p->id));
    for (size_t i = 0; i < wanted; i++) {
        member[pool[i]] = 1;
    }
done:
    free(like);
    free(avoid);
    free(pool);
    return code;
}

/* Adds the positions of a set without '\' to member. */
static enum ko_code eval_part(const char *name, const struct ko_prompt *p, uint8_t *member,
                              struct ko_error *err)
{
    if (begins_with(name, random_prefix)) {
        return eval_random(name, p, member, err);
    }
    if (!begins_with(name, position_prefix)) {
        eval_plain(name, p, member);
        return KO_OK;
    }
    int64_t position = 0;
    enum ko_code code = parse_position(name, &position, err);
    if (code == KO_OK && position < p->n_tokens) {
        member[position] = 1;
    }
    return code;
}

enum ko_code ko_token_set_eval(const char *name, const struct ko_prompt *prompt, uint8_t *member,
                               struct ko_error *err)
{
    size_t n = (size_t)prompt->n_tokens;
    uint8_t *taken = ko_new(n, 1, err), *kept = ko_new(n, 1, err);
    enum ko_code code = taken && kept ? KO_OK : KO_E_MEMORY;
    for (const char *at = name; code == KO_OK && at;) {
        const char *end = strchr(at, '\\');
        char *part = ko_copy_n(at, end ? (size_t)(end - at) : strlen(at), err);
        code = part ? eval_part(part, prompt, at == name ? kept : taken, err) : KO_E_MEMORY;
        free(part);
        at = end ? end + 1 : NULL;
    }
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        member[i] = kept[i] && !taken[i];
    }
    free(taken);
    free(kept);
    return code;
}

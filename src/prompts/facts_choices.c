/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lists of right answers and of options, and makes the choices of a fact from them. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/prompts/facts_private.h"
#include "src/tokenizer/text/unicode.h"

enum ko_code ko_fact_parse_list(const char *text, const char *key, const char *where,
                                json_object **out, struct ko_error *err)
{
    struct ko_error why = {0};
    *out = NULL;
    if (!text || !*text) {
        return KO_OK;
    }
    const enum ko_code code = ko_json_parse(text, strlen(text), key, out, &why);
    if (code == KO_E_INPUT) {
        return ko_fail(err, code, "%s: %s: expected a JSON list of texts, got '%.200s'", where, key,
                       text);
    }
    return code == KO_OK ? KO_OK : ko_fail(err, code, "%s: %s", where, why.text);
}

/* An item of a list, trimmed; not NUL-terminated. */
struct item {
    const char *text;
    size_t n;
};

static struct item item_at(json_object *list, size_t k)
{
    json_object *value = json_object_array_get_idx(list, k);
    struct item item = {json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    ko_utf8_strip(&item.text, &item.n);
    return item;
}

static bool is_text(const struct item *item, const char *text)
{
    size_t n = strlen(text);
    ko_utf8_strip(&text, &n);
    return item->n == n && memcmp(item->text, text, n) == 0;
}

bool ko_fact_is_target(const struct ko_fact *fact, size_t k)
{
    const struct item item = {fact->choice[k].text, strlen(fact->choice[k].text)};
    return is_text(&item, fact->target);
}

const char *ko_fact_first_target(json_object *targets)
{
    json_object *first =
        json_object_is_type(targets, json_type_array) && json_object_array_length(targets) > 0
            ? json_object_array_get_idx(targets, 0)
            : NULL;
    if (!json_object_is_type(first, json_type_string)) {
        return targets ? "" : NULL;
    }
    return json_object_get_string(first);
}

static enum ko_code check_list(json_object *list, const char *key, const char *where,
                               struct ko_error *err)
{
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0 ||
        json_object_array_length(list) > KO_FACT_CHOICES) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of 1 to %d texts, got %.200s",
                       where, key, KO_FACT_CHOICES, json_object_to_json_string(list));
    }
    for (size_t k = 0; k < json_object_array_length(list); k++) {
        json_object *value = json_object_array_get_idx(list, k);
        if (!json_object_is_type(value, json_type_string)) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: expected a text, got %.200s", where, key,
                           json_object_to_json_string(value));
        }
        const struct item item = item_at(list, k);
        if (item.n == 0 || memchr(item.text, '\0', item.n)) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: text %zu is empty or has a NUL character",
                           where, key, k + 1);
        }
        if (item.n > KO_FACT_BYTES) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: a text of %zu bytes, at most %d are read",
                           where, key, item.n, KO_FACT_BYTES);
        }
    }
    return KO_OK;
}

static struct ko_fact_choice *find_choice(const struct ko_fact *fact, const struct item *item)
{
    for (size_t k = 0; k < fact->n_choices; k++) {
        if (is_text(item, fact->choice[k].text)) {
            return &fact->choice[k];
        }
    }
    return NULL;
}

/* `choice` has room. */
static enum ko_code add_choice(struct ko_fact *fact, const struct item *item, uint8_t kind,
                               struct ko_error *err)
{
    char *text = ko_new(item->n + 1, 1, err);
    if (!text) {
        return KO_E_MEMORY;
    }
    memcpy(text, item->text, item->n);
    fact->choice[fact->n_choices++] = (struct ko_fact_choice){text, kind};
    return KO_OK;
}

static enum ko_code add_options(struct ko_fact *fact, json_object *options, const char *where,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < json_object_array_length(options); k++) {
        const struct item item = item_at(options, k);
        code = find_choice(fact, &item) ? ko_fail(err, KO_E_INPUT, "%s: option '%.*s' comes twice",
                                                  where, (int)item.n, item.text)
                                        : add_choice(fact, &item, KO_CHOICE_OPTION, err);
    }
    return code;
}

/* Marks a right answer. Without options it is added; a repeated one counts once. */
static enum ko_code add_target(struct ko_fact *fact, const struct item *item, bool options,
                               const char *where, struct ko_error *err)
{
    struct ko_fact_choice *choice = find_choice(fact, item);
    if (!choice && options) {
        return ko_fail(err, KO_E_INPUT, "%s: the right answer '%.*s' is not among the options",
                       where, (int)item->n, item->text);
    }
    if (!choice) {
        return add_choice(fact, item, KO_CHOICE_RIGHT, err);
    }
    choice->kind |= KO_CHOICE_RIGHT;
    return KO_OK;
}

/* The texts of the choices of a kind as a JSON list. */
static char *list_choices(const struct ko_fact *fact, uint8_t kind, struct ko_error *err)
{
    char *text = NULL;
    json_object *list = json_object_new_array();
    for (size_t k = 0; list && k < fact->n_choices; k++) {
        json_object *item =
            (fact->choice[k].kind & kind) ? json_object_new_string(fact->choice[k].text) : NULL;
        if ((fact->choice[k].kind & kind) && (!item || json_object_array_add(list, item) != 0)) {
            json_object_put(item);
            json_object_put(list);
            list = NULL;
        }
    }
    const char *printed = list ? json_object_to_json_string_ext(
                                     list, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
                               : NULL;
    if (printed) {
        text = ko_copy(printed, err);
    } else {
        (void)ko_fail(err, KO_E_MEMORY, "out of memory for a list of answers");
    }
    json_object_put(list);
    return text;
}

static enum ko_code write_lists(struct ko_fact *fact, bool options, struct ko_error *err)
{
    size_t n_right = 0;
    for (size_t k = 0; k < fact->n_choices; k++) {
        n_right += (fact->choice[k].kind & KO_CHOICE_RIGHT) != 0;
    }
    if (options && !(fact->options = list_choices(fact, KO_CHOICE_OPTION, err))) {
        return KO_E_MEMORY;
    }
    if (n_right > 1 && !(fact->targets = list_choices(fact, KO_CHOICE_RIGHT, err))) {
        return KO_E_MEMORY;
    }
    if (!fact->targets && !fact->options) { /* the target alone */
        for (size_t k = 0; k < fact->n_choices; k++) {
            free(fact->choice[k].text);
        }
        free(fact->choice);
        fact->choice = NULL;
        fact->n_choices = 0;
    }
    return KO_OK;
}

enum ko_code ko_fact_set_choices(struct ko_facts *facts, json_object *targets, json_object *options,
                                 const char *key, const char *where, struct ko_error *err)
{
    struct ko_fact *fact = &facts->fact[facts->n - 1];
    enum ko_code code = KO_OK;
    /* PopQA has such lists beside an answer of its own. */
    if (strcmp(key ? key : "", "possible_answers") == 0 &&
        json_object_is_type(targets, json_type_array) && json_object_array_length(targets) == 0) {
        targets = NULL;
    }
    if (!targets && !options) {
        return KO_OK;
    }
    if (targets) {
        code = check_list(targets, key, where, err);
    }
    if (code == KO_OK && options) {
        code = check_list(options, "options", where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    const size_t n_targets = targets ? json_object_array_length(targets) : 0;
    fact->choice = ko_new(1 + n_targets + (options ? json_object_array_length(options) : 0),
                          sizeof *fact->choice, err);
    if (!fact->choice) {
        return KO_E_MEMORY;
    }
    if (options) {
        code = add_options(fact, options, where, err);
    }
    struct item target = {fact->target, strlen(fact->target)};
    ko_utf8_strip(&target.text, &target.n);
    if (code == KO_OK && target.n > 0) {
        code = add_target(fact, &target, options != NULL, where, err);
    }
    for (size_t k = 0; code == KO_OK && k < n_targets; k++) {
        const struct item item = item_at(targets, k);
        code = add_target(fact, &item, options != NULL, where, err);
    }
    return code == KO_OK ? write_lists(fact, options != NULL, err) : code;
}

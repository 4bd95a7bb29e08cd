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

enum ko_code ko_fact_read_list(json_object *record, const char *key, json_object **out,
                               const char *where, struct ko_error *err)
{
    json_object *value = key ? ko_json_get(record, key) : NULL;
    if (json_object_is_type(value, json_type_string)) {
        return ko_fact_parse_list(json_object_get_string(value), key, where, out, err);
    }
    *out = json_object_get(value);
    return KO_OK;
}

/* An answer of a list. */
struct item {
    const char *text; /* [n] trimmed, of a matrix as it is; of ids their JSON; not NUL-terminated */
    size_t n;
    json_object *ids; /* the list of ids; NULL: it is a text */
};

static struct item take_ids(json_object *ids)
{
    const char *text = json_object_to_json_string_ext(ids, JSON_C_TO_STRING_PLAIN);
    return (struct item){text, strlen(text), ids};
}

static struct item take_text(const struct ko_fact *fact, const char *text, size_t n)
{
    struct item item = {text, n, NULL};
    if (!fact->embedded) {
        ko_utf8_strip(&item.text, &item.n);
    }
    return item;
}

static struct item item_at(const struct ko_fact *fact, json_object *list, size_t k)
{
    json_object *value = json_object_array_get_idx(list, k);
    return json_object_is_type(value, json_type_array)
               ? take_ids(value)
               : take_text(fact, json_object_get_string(value),
                           (size_t)json_object_get_string_len(value));
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

static enum ko_code check_text(const struct item *item, size_t k, const char *key,
                               const char *where, struct ko_error *err)
{
    if (item->n == 0 || memchr(item->text, '\0', item->n)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: text %zu is empty or has a NUL character", where,
                       key, k + 1);
    }
    if (item->n > KO_FACT_BYTES) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: a text of %zu bytes, at most %d are read", where,
                       key, item->n, KO_FACT_BYTES);
    }
    return KO_OK;
}

static enum ko_code check_list(const struct ko_fact *fact, json_object *list, const char *key,
                               const char *where, struct ko_error *err)
{
    const bool ids = fact->embedded != NULL;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0 ||
        json_object_array_length(list) > KO_FACT_CHOICES) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of 1 to %d texts%s, got %.200s",
                       where, key, KO_FACT_CHOICES, ids ? " or lists of token ids" : "",
                       json_object_to_json_string(list));
    }
    for (size_t k = 0; k < json_object_array_length(list); k++) {
        json_object *value = json_object_array_get_idx(list, k);
        if (ids && json_object_is_type(value, json_type_array)) {
            continue; /* add_choice checks its numbers */
        }
        if (!json_object_is_type(value, json_type_string)) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: expected a text%s, got %.200s", where, key,
                           ids ? " or a list of token ids" : "", json_object_to_json_string(value));
        }
        const struct item item = item_at(fact, list, k);
        const enum ko_code code = check_text(&item, k, key, where, err);
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

static struct ko_fact_choice *find_choice(const struct ko_fact *fact, const struct item *item)
{
    for (size_t k = 0; k < fact->n_choices; k++) {
        struct ko_fact_choice *choice = &fact->choice[k];
        if ((choice->n_ids > 0) == (item->ids != NULL) && strlen(choice->text) == item->n &&
            memcmp(choice->text, item->text, item->n) == 0) {
            return choice;
        }
    }
    return NULL;
}

/* `choice` has room. */
static enum ko_code add_choice(struct ko_fact *fact, const struct item *item, uint8_t kind,
                               const char *key, const char *where, struct ko_error *err)
{
    struct ko_fact_choice choice = {.text = ko_new(item->n + 1, 1, err), .kind = kind};
    if (!choice.text) {
        return KO_E_MEMORY;
    }
    memcpy(choice.text, item->text, item->n);
    const enum ko_code code =
        item->ids ? ko_fact_read_ids(item->ids, key, &choice.id, &choice.n_ids, where, err) : KO_OK;
    fact->choice[fact->n_choices++] = choice;
    return code;
}

static enum ko_code add_options(struct ko_fact *fact, json_object *options, const char *where,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < json_object_array_length(options); k++) {
        const struct item item = item_at(fact, options, k);
        code = find_choice(fact, &item)
                   ? ko_fail(err, KO_E_INPUT, "%s: option '%.*s' comes twice", where, (int)item.n,
                             item.text)
                   : add_choice(fact, &item, KO_CHOICE_OPTION, "options", where, err);
    }
    return code;
}

/* Marks a right answer. Without options it is added; a repeated one counts once. */
static enum ko_code add_right(struct ko_fact *fact, const struct item *item,
                              const struct ko_fact_answers *answers, const char *where,
                              struct ko_error *err)
{
    struct ko_fact_choice *choice = find_choice(fact, item);
    if (!choice && answers->options) {
        return ko_fail(err, KO_E_INPUT, "%s: the right answer '%.*s' is not among the options",
                       where, (int)item->n, item->text);
    }
    if (!choice) {
        return add_choice(fact, item, KO_CHOICE_RIGHT, answers->key, where, err);
    }
    choice->kind |= KO_CHOICE_RIGHT;
    return KO_OK;
}

/* Where the fact has no target: its first right answer becomes it, as if the target were missing. */
static enum ko_code take_first_right(struct ko_fact *fact, struct ko_error *err)
{
    size_t k = 0;
    while (k < fact->n_choices && !(fact->choice[k].kind & KO_CHOICE_RIGHT)) {
        k++;
    }
    if (k == fact->n_choices) {
        return KO_OK;
    }
    char *target = ko_copy(fact->choice[k].text, err);
    if (!target) {
        return KO_E_MEMORY;
    }
    fact->choice[k].is_target = true;
    free(fact->target);
    fact->target = target;
    return KO_OK;
}

/* The fact's target and then `targets`. */
static enum ko_code add_all_right(struct ko_fact *fact, const struct ko_fact_answers *answers,
                                  const char *where, struct ko_error *err)
{
    const size_t n = answers->targets ? json_object_array_length(answers->targets) : 0;
    const struct item target = answers->target_ids
                                   ? take_ids(answers->target_ids)
                                   : take_text(fact, fact->target, strlen(fact->target));
    enum ko_code code = KO_OK;
    if (target.n > 0) {
        code = add_right(fact, &target, answers, where, err);
        struct ko_fact_choice *choice = code == KO_OK ? find_choice(fact, &target) : NULL;
        if (choice) {
            choice->is_target = true;
        }
    }
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        const struct item item = item_at(fact, answers->targets, k);
        code = add_right(fact, &item, answers, where, err);
    }
    return code == KO_OK && target.n == 0 && !answers->target_ids ? take_first_right(fact, err)
                                                                  : code;
}

void ko_fact_choices_free(struct ko_fact *fact)
{
    for (size_t k = 0; k < fact->n_choices; k++) {
        free(fact->choice[k].text);
        free(fact->choice[k].id);
    }
    free(fact->choice);
    fact->choice = NULL;
    fact->n_choices = 0;
}

/* A choice as JSON. NULL: memory is short. */
static json_object *write_choice(const struct ko_fact_choice *choice)
{
    json_object *ids = choice->n_ids > 0 ? json_object_new_array() : NULL;
    for (size_t i = 0; ids && i < choice->n_ids; i++) {
        json_object *id = json_object_new_int(choice->id[i]);
        if (!id || json_object_array_add(ids, id) != 0) {
            json_object_put(id);
            json_object_put(ids);
            ids = NULL;
        }
    }
    return choice->n_ids > 0 ? ids : json_object_new_string(choice->text);
}

/* The choices of a kind as a JSON list. */
static char *list_choices(const struct ko_fact *fact, uint8_t kind, struct ko_error *err)
{
    char *text = NULL;
    json_object *list = json_object_new_array();
    for (size_t k = 0; list && k < fact->n_choices; k++) {
        if (!(fact->choice[k].kind & kind)) {
            continue;
        }
        json_object *item = write_choice(&fact->choice[k]);
        if (!item || json_object_array_add(list, item) != 0) {
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
        ko_fact_choices_free(fact);
    }
    return KO_OK;
}

/* Whether the lists say nothing. PopQA has an empty list beside an answer of its own. */
static bool have_no_lists(const struct ko_fact_answers *answers)
{
    const bool none =
        !answers->targets || (strcmp(answers->key, "possible_answers") == 0 &&
                              json_object_is_type(answers->targets, json_type_array) &&
                              json_object_array_length(answers->targets) == 0);
    return none && !answers->options;
}

enum ko_code ko_fact_set_choices(struct ko_facts *facts, const struct ko_fact_answers *answers,
                                 const char *where, struct ko_error *err)
{
    struct ko_fact *fact = &facts->fact[facts->n - 1];
    enum ko_code code = KO_OK;
    if (have_no_lists(answers)) {
        return KO_OK;
    }
    if (answers->targets) {
        code = check_list(fact, answers->targets, answers->key, where, err);
    }
    if (code == KO_OK && answers->options) {
        code = check_list(fact, answers->options, "options", where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    const size_t n_targets = answers->targets ? json_object_array_length(answers->targets) : 0;
    const size_t n_options = answers->options ? json_object_array_length(answers->options) : 0;
    fact->choice = ko_new(1 + n_targets + n_options, sizeof *fact->choice, err);
    if (!fact->choice) {
        return KO_E_MEMORY;
    }
    if (answers->options) {
        code = add_options(fact, answers->options, where, err);
    }
    if (code == KO_OK) {
        code = add_all_right(fact, answers, where, err);
    }
    return code == KO_OK ? write_lists(fact, n_options > 0, err) : code;
}

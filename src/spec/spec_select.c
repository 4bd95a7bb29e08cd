/* SPDX-License-Identifier: Apache-2.0 */
/* Reads `prompts.select`, in which selections nest, into a tree. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/spec/spec_read.h"

enum { SELECT_DEPTH = 32 };

static const char *const words[] = {"all", "correct", "correct-by-all"};
static const enum ko_select_kind word_kinds[] = {KO_SELECT_ALL, KO_SELECT_CORRECT,
                                                 KO_SELECT_CORRECT_BY_ALL};
static const char *const keys[] = {"correct-by", "rank-at-most", "relation", "id",
                                   "all-of",     "any-of",       "not"};
static const enum ko_select_kind key_kinds[] = {
    KO_SELECT_CORRECT_BY, KO_SELECT_RANK_AT_MOST, KO_SELECT_RELATION, KO_SELECT_ID,
    KO_SELECT_ALL_OF,     KO_SELECT_ANY_OF,       KO_SELECT_NOT};
enum { N_WORDS = sizeof words / sizeof words[0], N_KEYS = sizeof keys / sizeof keys[0] };
const struct ko_spec_keys ko_select_keys = {keys, N_KEYS};
const struct ko_spec_keys ko_select_words = {words, N_WORDS};

static enum ko_code read_node(const struct ko_yaml *node, int depth, struct ko_select **out,
                              struct ko_error *err);

static enum ko_code read_names(const struct ko_yaml *list, const char *key,
                               struct ko_select *select, struct ko_error *err)
{
    enum ko_code code = ko_spec_check_list(list, key, "words", err);
    for (size_t i = 0; code == KO_OK && i < list->n; i++) {
        const char *text = NULL;
        code = ko_spec_word(list->item[i], key, "a word", &text, err);
        if (code == KO_OK) {
            code = ko_strings_intern(&select->names, text, NULL, err);
        }
    }
    return code;
}

static enum ko_code read_parts(const struct ko_yaml *const *item, size_t n, int depth,
                               struct ko_select *select, struct ko_error *err)
{
    select->part = ko_new(n, sizeof *select->part, err);
    enum ko_code code = !select->part ? KO_E_MEMORY : KO_OK;
    while (code == KO_OK && select->n_parts < n) {
        code = read_node(item[select->n_parts], depth + 1, &select->part[select->n_parts], err);
        select->n_parts += code == KO_OK;
    }
    return code;
}

static enum ko_code read_map(const struct ko_yaml *map, int depth, struct ko_select *select,
                             struct ko_error *err)
{
    enum ko_code code = ko_yaml_check_keys(map, keys, N_KEYS, err);
    if (code != KO_OK) {
        return code;
    }
    if (map->n != 1) {
        return ko_yaml_fail(map, err,
                            "select: expected a map of one key, got %zu, join several "
                            "with {all-of: [...]} or {any-of: [...]}",
                            map->n);
    }
    const struct ko_yaml *value = map->item[0];
    size_t i = 0;
    while (strcmp(keys[i], map->key[0]->text) != 0) {
        i++;
    }
    select->kind = key_kinds[i];
    switch (select->kind) {
    case KO_SELECT_RANK_AT_MOST:
        return ko_spec_whole(value, keys[i], 1, INT32_MAX, &select->k, err);
    case KO_SELECT_ALL_OF:
    case KO_SELECT_ANY_OF:
        code = ko_spec_check_list(value, keys[i], "selections", err);
        return code != KO_OK ? code
                             : read_parts((const struct ko_yaml *const *)value->item, value->n,
                                          depth, select, err);
    case KO_SELECT_NOT:
        return read_parts(&value, 1, depth, select, err);
    default:
        return read_names(value, keys[i], select, err);
    }
}

static enum ko_code read_word(const struct ko_yaml *node, struct ko_select *select,
                              struct ko_error *err)
{
    char got[96];
    if (node->kind == KO_YAML_LIST || ko_spec_is_null(node)) {
        return ko_yaml_fail(node, err,
                            "select: expected all, correct, correct-by-all or a map as "
                            "in {relation: [P36]}, got %s",
                            ko_spec_describe(node, got));
    }
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strcmp(node->text, keys[i]) == 0) {
            return ko_yaml_fail(node, err, "select: '%s' takes a value, write {%s: ...}",
                                node->text, node->text);
        }
    }
    size_t index = 0;
    enum ko_code code = ko_spec_choice(node, "select", words, N_WORDS, &index, err);
    select->kind = word_kinds[index];
    return code;
}

static enum ko_code read_node(const struct ko_yaml *node, int depth, struct ko_select **out,
                              struct ko_error *err)
{
    if (depth > SELECT_DEPTH) {
        return ko_yaml_fail(node, err, "select: nested deeper than %d", SELECT_DEPTH);
    }
    struct ko_select *select = ko_new(1, sizeof *select, err);
    if (!select) {
        return KO_E_MEMORY;
    }
    select->where = ko_spec_where(node, err);
    enum ko_code code = !select->where              ? KO_E_MEMORY
                        : node->kind == KO_YAML_MAP ? read_map(node, depth, select, err)
                                                    : read_word(node, select, err);
    if (code != KO_OK) {
        ko_select_free(select);
        return code;
    }
    *out = select;
    return KO_OK;
}

enum ko_code ko_select_read(const struct ko_yaml *node, struct ko_select **out,
                            struct ko_error *err)
{
    if (node) {
        return read_node(node, 0, out, err);
    }
    struct ko_select *all = ko_new(1, sizeof *all, err);
    if (!all) {
        return KO_E_MEMORY;
    }
    all->kind = KO_SELECT_ALL;
    *out = all;
    return KO_OK;
}

void ko_select_free(struct ko_select *select)
{
    if (!select) {
        return;
    }
    for (size_t i = 0; i < select->n_parts; i++) {
        ko_select_free(select->part[i]);
    }
    free(select->part);
    ko_strings_free(&select->names);
    free(select->where);
    free(select);
}

bool ko_select_needs_ranks(const struct ko_select *select)
{
    switch (select->kind) {
    case KO_SELECT_CORRECT:
    case KO_SELECT_CORRECT_BY_ALL:
    case KO_SELECT_CORRECT_BY:
    case KO_SELECT_RANK_AT_MOST:
        return true;
    default:
        break;
    }
    for (size_t i = 0; i < select->n_parts; i++) {
        if (ko_select_needs_ranks(select->part[i])) {
            return true;
        }
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the list `added_tokens` of tokenizer.json and checks it: each id must fit the vocabulary,
   and two tokens must not look the same after normalization. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/text/regex_classes.h"
#include "src/tokenizer/vocabulary.h"

static const char word_pattern[] = "[" KO_RUST_WORD "]";

static enum ko_code make_pattern(const struct ko_component *normalizer, const char *where,
                                 struct ko_added_token *t, struct ko_error *err)
{
    struct ko_pieces pieces = {0};
    enum ko_code code = ko_pieces_start(&pieces, t->text, strlen(t->text), err);
    if (code == KO_OK && t->normalized) {
        code = ko_component_on_pieces(normalizer, &pieces, err);
    }
    if (code == KO_OK && pieces.n_bytes == 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: '%s' is normalized, and the normalizer leaves nothing of it", where,
                       t->text);
    }
    if (code == KO_OK) {
        t->pattern = ko_copy_n(pieces.text, pieces.n_bytes, err);
        t->n_pattern = pieces.n_bytes;
        code = t->pattern ? KO_OK : KO_E_MEMORY;
    }
    ko_pieces_free(&pieces);
    return code;
}

static enum ko_code read_fields(json_object *spec, const char *where, struct ko_added_token *t,
                                struct ko_error *err)
{
    static const char *const keys[] = {"id",     "content",    "single_word", "lstrip",
                                       "rstrip", "normalized", "special"};
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized", "special"};
    bool *flag[] = {&t->single_word, &t->lstrip, &t->rstrip, &t->normalized, &t->special};
    int64_t id = -1;
    const char *text = "";
    enum ko_code code = ko_keys_check(spec, keys, 7, 7, where, err);
    if (code == KO_OK) {
        code = ko_json_int(spec, "id", 0, KO_MAX_ID, &id, where, err);
    }
    if (code == KO_OK) {
        code = ko_json_string(spec, "content", &text, where, err);
    }
    for (size_t i = 0; code == KO_OK && i < 5; i++) {
        code = ko_json_bool(spec, flags[i], flag[i], where, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (!*text) {
        return ko_fail(err, KO_E_INPUT, "%s: content is empty", where);
    }
    t->id = (int32_t)id;
    t->text = ko_copy(text, err);
    return t->text ? KO_OK : KO_E_MEMORY;
}

/* Hugging Face ignores the file's id. A token of the vocabulary keeps its id there; the others get
   the next numbers. */
static enum ko_code check_id(const struct ko_added_tokens *added, const struct ko_subword *model,
                             const struct ko_added_token *t, size_t *next, const char *where,
                             struct ko_error *err)
{
    for (size_t i = 0; i < added->n; i++) {
        if (strcmp(added->token[i].text, t->text) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: '%s' is added twice", where, t->text);
        }
    }
    int32_t known = model->type->find(model->state, t->text, strlen(t->text));
    size_t expected = known >= 0 ? (size_t)known : (*next)++;
    if (expected == (size_t)t->id) {
        return KO_OK;
    }
    return ko_fail(
        err, KO_E_INPUT, "%s: '%s' has id %d, but %s makes it %zu", where, t->text, t->id,
        known >= 0 ? "the vocabulary" : "counting on from the vocabulary, as tokenizers does,",
        expected);
}

/* Two tokens with the same normalized text could not be distinguished. */
static enum ko_code check_pattern(const struct ko_added_tokens *added,
                                  const struct ko_added_token *t, const char *where,
                                  struct ko_error *err)
{
    for (size_t i = 0; t->normalized && i < added->n; i++) {
        const struct ko_added_token *o = &added->token[i];
        if (o->normalized && o->n_pattern == t->n_pattern &&
            memcmp(o->pattern, t->pattern, t->n_pattern) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: '%s' and '%s' are the same once normalized", where,
                           o->text, t->text);
        }
    }
    return KO_OK;
}

static void free_fields(struct ko_added_token *t)
{
    free(t->text);
    free(t->pattern);
}

enum ko_code ko_added_tokens_read(json_object *spec, const char *where,
                                  const struct ko_subword *model,
                                  const struct ko_component *normalizer,
                                  struct ko_added_tokens *out, struct ko_error *err)
{
    struct ko_added_tokens added = {0};
    *out = added;
    if (!spec) {
        return KO_OK;
    }
    if (!json_object_is_type(spec, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected a list, got %s", where,
                       json_type_to_name(json_object_get_type(spec)));
    }
    if (json_object_array_length(spec) > KO_ADDED_TOKENS) {
        return ko_fail(err, KO_E_INPUT, "%s: has %zu tokens, more than %d", where,
                       json_object_array_length(spec), KO_ADDED_TOKENS);
    }
    size_t n = json_object_array_length(spec), next = model->type->n_entries(model->state);
    added.token = ko_new(n, sizeof *added.token, err);
    enum ko_code code = added.token ? KO_OK : KO_E_MEMORY;
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        struct ko_added_token t = {0};
        char at[KO_ERROR_TEXT];
        (void)snprintf(at, sizeof at, "%s[%zu]", where, i);
        code = read_fields(json_object_array_get_idx(spec, i), at, &t, err);
        if (code == KO_OK) {
            code = check_id(&added, model, &t, &next, at, err);
        }
        if (code == KO_OK) {
            code = make_pattern(normalizer, at, &t, err);
        }
        if (code == KO_OK) {
            code = check_pattern(&added, &t, at, err);
        }
        if (code == KO_OK && t.single_word && !added.word) {
            code = ko_regex_compile(word_pattern, at, &added.word, err);
        }
        if (code != KO_OK) {
            free_fields(&t);
            break;
        }
        added.begins[t.normalized][(unsigned char)*t.pattern] = true;
        added.token[added.n++] = t;
    }
    if (code != KO_OK) {
        ko_added_tokens_free(&added);
    } else {
        *out = added;
    }
    return code;
}

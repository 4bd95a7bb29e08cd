/* SPDX-License-Identifier: Apache-2.0 */
/* Finds added tokens in a text and cuts the text around them, with the rules for whole words and
   for white space on both sides. Reading them from JSON is in added_tokens_read.c. */
#include "src/tokenizer/added_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/tokenizer/text/unicode.h"

const struct ko_added_token *ko_added_tokens_find(const struct ko_added_tokens *added, int32_t id)
{
    for (size_t i = 0; i < added->n; i++) {
        if (added->token[i].id == id) {
            return &added->token[i];
        }
    }
    return NULL;
}

struct search {
    const struct ko_added_tokens *added;
    bool normalized;
};

/* The longest token whose pattern begins at `text`; NULL if there is none. */
static const struct ko_added_token *match_at(const struct search *search, const char *text,
                                             size_t n)
{
    const struct ko_added_token *best = NULL;
    if (!search->added->begins[search->normalized][(unsigned char)*text]) {
        return NULL;
    }
    for (size_t i = 0; i < search->added->n; i++) {
        const struct ko_added_token *t = &search->added->token[i];
        if (t->normalized == search->normalized && t->n_pattern <= n &&
            (!best || t->n_pattern > best->n_pattern) &&
            memcmp(t->pattern, text, t->n_pattern) == 0) {
            best = t;
        }
    }
    return best;
}

static enum ko_code is_word(struct ko_regex *word, const char *text, bool *yes,
                            struct ko_error *err)
{
    struct ko_match match = {0};
    uint32_t character;
    enum ko_code code = ko_regex_find(word, text, ko_utf8_get(text, &character), 0, &match, err);
    *yes = match.is_match;
    return code;
}

/* Whether neither neighbour is a word character. before and after: the neighbours; NULL at the
   ends of the text. */
static enum ko_code stands_alone(struct ko_regex *word, const char *before, const char *after,
                                 bool *alone, struct ko_error *err)
{
    bool joined_before = false, joined_after = false;
    enum ko_code code = before ? is_word(word, before, &joined_before, err) : KO_OK;
    if (code == KO_OK && after) {
        code = is_word(word, after, &joined_after, err);
    }
    *alone = !joined_before && !joined_after;
    return code;
}

/* `find_matches` of added_vocabulary.rs. */
static enum ko_code cut_around_tokens(void *context, const char *text, size_t n,
                                      struct ko_piece_list *parts, struct ko_error *err)
{
    const struct search *search = context;
    size_t settled = 0, next = 0;
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < n; at = next) {
        const struct ko_added_token *t = match_at(search, text + at, n - at);
        next = at + 1;
        if (!t) {
            continue;
        }
        size_t begin = at, end = at + t->n_pattern;
        bool alone = true;
        next = end;
        if (t->single_word) {
            code = stands_alone(search->added->word,
                                begin > 0 ? text + ko_utf8_before(text, begin) : NULL,
                                end < n ? text + end : NULL, &alone, err);
        }
        if (code != KO_OK || !alone) {
            continue;
        }
        if (t->lstrip) {
            begin = ko_utf8_before_space(text, begin);
            begin = begin > settled ? begin : settled;
        }
        if (t->rstrip) {
            end = ko_utf8_after_space(text, n, end);
        }
        code = ko_piece_list_add(parts, settled, begin, -1, err);
        if (code == KO_OK) {
            code = ko_piece_list_add(parts, begin, end, t->id, err);
        }
        settled = end;
    }
    return code != KO_OK ? code : ko_piece_list_add(parts, settled, n, -1, err);
}

enum ko_code ko_added_tokens_cut(const struct ko_added_tokens *added, bool normalized,
                                 struct ko_pieces *pieces, struct ko_error *err)
{
    struct search search = {added, normalized};
    return ko_pieces_cut(pieces, cut_around_tokens, &search, err);
}

void ko_added_tokens_free(struct ko_added_tokens *added)
{
    if (!added) {
        return;
    }
    for (size_t i = 0; i < added->n; i++) {
        free(added->token[i].text);
        free(added->token[i].pattern);
    }
    free(added->token);
    ko_regex_free(added->word);
    *added = (struct ko_added_tokens){0};
}

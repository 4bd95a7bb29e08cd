/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a text through all stages of the tokenizer and turns the byte positions of the tokens into
   character positions. Opening a tokenizer is in tokenizer.c. */
#include "src/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/tokenizer/text/unicode.h"
#include "src/tokenizer/tokenizer_private.h"

enum { MAX_TEXT_BYTES = 4 << 20 };

/* [n] the number of each byte's character. free() it. */
static int32_t *number_characters(const char *text, size_t n, struct ko_error *err)
{
    int32_t *number = ko_new(n, sizeof *number, err);
    int32_t count = 0;
    for (size_t at = 0; number && at < n; count++) {
        uint32_t character;
        for (size_t k = ko_utf8_get(text + at, &character); k > 0; k--) {
            number[at++] = count;
        }
    }
    return number;
}

/* Bytes to characters as `BytesToCharOffsetConverter` of tokenizers/src/tokenizer/pre_tokenizer.rs
   does it: an end inside a character leaves that character out, and a range that begins at the end
   of the text stays in bytes. */
static void to_characters(struct ko_token *t, const int32_t *number, size_t n)
{
    if (t->begin >= n) {
        return;
    }
    size_t begin = (size_t)number[t->begin];
    if (t->end < n) {
        t->end = (size_t)number[t->end];
    } else {
        t->end = (t->end > 0 && t->end - 1 < n ? (size_t)number[t->end - 1] : begin + 1) + 1;
    }
    t->begin = begin;
}

static enum ko_code cut_up(struct ko_tokenizer *t, struct ko_pieces *pieces, struct ko_error *err)
{
    enum ko_code code = ko_added_tokens_cut(&t->added, false, pieces, err);
    if (code == KO_OK) {
        code = ko_component_on_pieces(&t->normalizer, pieces, err);
    }
    if (code == KO_OK) {
        code = ko_added_tokens_cut(&t->added, true, pieces, err);
    }
    if (code == KO_OK) {
        code = ko_component_on_pieces(&t->pre_tokenizer, pieces, err);
    }
    return code;
}

/* The text to encode. */
struct source {
    const char *text;
    const int32_t *number; /* [n] the number of each byte's character */
    size_t n;
};

static bool is_inside_character(const struct source *source, size_t at)
{
    return at > 0 && at < source->n && ko_utf8_continues(source->text[at]);
}

/* Whether bytes [begin, end) belong to white space only, and to at least one character. */
static bool is_blank(const struct source *source, size_t begin, size_t end)
{
    while (is_inside_character(source, begin)) {
        begin--;
    }
    while (is_inside_character(source, end)) {
        end++;
    }
    return begin < end && end <= source->n && ko_utf8_is_blank(source->text + begin, end - begin);
}

static enum ko_code add_piece(struct ko_tokenizer *t, const struct ko_pieces *pieces,
                              const struct ko_piece *piece, const struct source *source,
                              struct ko_tokens *tokens, struct ko_error *err)
{
    const char *text = pieces->text + piece->begin;
    size_t n = piece->end - piece->begin, first = tokens->n;
    enum ko_code code = KO_OK;
    if (piece->id >= 0) {
        struct ko_token token = {.id = piece->id, .end = n, .value = text, .n_value = n};
        code = ko_tokens_add(tokens, &token, err);
    } else {
        code = t->model.type->encode(t->model.state, text, n, tokens, err);
    }
    for (size_t i = first; code == KO_OK && i < tokens->n; i++) {
        struct ko_token *token = &tokens->token[i];
        const struct ko_origin *origin = pieces->origin + piece->begin;
        size_t begin = (size_t)origin[token->begin].begin;
        token->end = (size_t)origin[token->end - 1].end;
        token->begin = begin;
        token->blank = is_blank(source, begin, token->end);
        to_characters(token, source->number, source->n);
    }
    return code;
}

static enum ko_code copy_out(const struct ko_tokens *tokens, struct ko_encoding *out,
                             struct ko_error *err)
{
    struct ko_encoding e = {.id = ko_new(tokens->n, sizeof *e.id, err),
                            .char_begin = ko_new(tokens->n, sizeof *e.char_begin, err),
                            .char_end = ko_new(tokens->n, sizeof *e.char_end, err),
                            .special = ko_new(tokens->n, sizeof *e.special, err),
                            .blank = ko_new(tokens->n, sizeof *e.blank, err),
                            .n = tokens->n};
    if (!e.id || !e.char_begin || !e.char_end || !e.special || !e.blank) {
        ko_encoding_free(&e);
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < e.n; i++) {
        e.id[i] = tokens->token[i].id;
        e.char_begin[i] = (int32_t)tokens->token[i].begin;
        e.char_end[i] = (int32_t)tokens->token[i].end;
        e.special[i] = tokens->token[i].special;
        e.blank[i] = tokens->token[i].blank;
    }
    *out = e;
    return KO_OK;
}

enum ko_code ko_tokenizer_encode(struct ko_tokenizer *t, const char *text, size_t n_bytes,
                                 struct ko_encoding *out, struct ko_error *err)
{
    struct ko_pieces pieces = {0};
    struct ko_tokens tokens = {0};
    int32_t *number = NULL;
    if (n_bytes > MAX_TEXT_BYTES) {
        return ko_fail(err, KO_E_INPUT, "%s: a text of %zu bytes is too long, at most %d", t->file,
                       n_bytes, MAX_TEXT_BYTES);
    }
    if (!ko_utf8_valid(text, n_bytes)) {
        return ko_fail(err, KO_E_INPUT, "%s: a text to tokenize is not valid UTF-8", t->file);
    }
    enum ko_code code = ko_pieces_start(&pieces, text, n_bytes, err);
    if (code == KO_OK) {
        number = number_characters(text, n_bytes, err);
        code = number ? cut_up(t, &pieces, err) : KO_E_MEMORY;
    }
    const struct source source = {text, number, n_bytes};
    for (size_t i = 0; code == KO_OK && i < pieces.list.n; i++) {
        code = add_piece(t, &pieces, &pieces.list.piece[i], &source, &tokens, err);
    }
    if (code == KO_OK) {
        code = ko_component_on_tokens(&t->post_processor, &tokens, err);
    }
    if (code == KO_OK) {
        code = copy_out(&tokens, out, err);
    }
    free(number);
    free(tokens.token);
    ko_pieces_free(&pieces);
    return code;
}

void ko_encoding_free(struct ko_encoding *encoding)
{
    if (!encoding) {
        return;
    }
    free(encoding->id);
    free(encoding->char_begin);
    free(encoding->char_end);
    free(encoding->special);
    free(encoding->blank);
    *encoding = (struct ko_encoding){0};
}

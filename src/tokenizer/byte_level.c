/* SPDX-License-Identifier: Apache-2.0 */
/* `ByteLevel` as pre-tokenizer and as post-processor: tokenizers/src/pre_tokenizers/byte_level.rs.
 */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/formats/json.h"
#include "src/tokenizer/splitter.h"
#include "src/tokenizer/text/unicode.h"

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct byte_level {
    bool add_prefix_space, trim_offsets, use_regex;
    struct ko_splitter splitter; /* of the pre-tokenizer, where use_regex is set */
};

static bool is_itself(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

/* The character of GPT-2's byte-level alphabet for a byte: `bytes_to_unicode` in
   gpt-2/src/encoder.py. */
static uint32_t character_of(unsigned char byte)
{
    uint32_t others = 0;
    if (is_itself(byte)) {
        return byte;
    }
    for (unsigned b = 0; b < byte; b++) {
        others += !is_itself(b);
    }
    return 0x100 + others;
}

static enum ko_code read_options(json_object *spec, const char *where, struct byte_level *out,
                                 struct ko_error *err)
{
    static const char *const keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex"};
    bool *const option[] = {NULL, &out->add_prefix_space, &out->trim_offsets, &out->use_regex};
    out->use_regex = true;
    enum ko_code code = ko_keys_check(spec, keys, 4, 3, where, err);
    for (size_t i = 1; code == KO_OK && i < 4; i++) {
        code = ko_json_bool(spec, keys[i], option[i], where, err);
    }
    return code;
}

static void close_state(void *state)
{
    struct byte_level *b = state;
    if (!b) {
        return;
    }
    ko_splitter_free(&b->splitter);
    free(b);
}

static enum ko_code open_post_processor(json_object *spec, const char *where, void **state,
                                        struct ko_error *err)
{
    struct byte_level *b = ko_new(1, sizeof *b, err);
    if (!b) {
        return KO_E_MEMORY;
    }
    enum ko_code code = read_options(spec, where, b, err);
    if (code != KO_OK) {
        close_state(b);
    } else {
        *state = b;
    }
    return code;
}

static enum ko_code open_pre_tokenizer(json_object *spec, const char *where, void **state,
                                       struct ko_error *err)
{
    void *opened = NULL;
    enum ko_code code = open_post_processor(spec, where, &opened, err);
    if (code != KO_OK) {
        return code;
    }
    struct byte_level *b = opened;
    b->splitter.behavior = KO_SPLIT_ISOLATED;
    if (b->use_regex) {
        code = ko_regex_compile(gpt2_pattern, where, &b->splitter.regex, err);
    }
    if (code != KO_OK) {
        close_state(b);
    } else {
        *state = b;
    }
    return code;
}

static enum ko_code prefix_space(void *context, const char *text, size_t n,
                                 struct ko_changes *changes, struct ko_error *err)
{
    (void)context;
    return text[0] == ' ' ? ko_changes_keep(changes, text, n, err)
                          : ko_changes_prepend(changes, " ", 1, text, n, err);
}

static enum ko_code to_alphabet(void *context, const char *text, size_t n,
                                struct ko_changes *changes, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    (void)context;
    for (size_t at = 0; code == KO_OK && at < n; at++) {
        unsigned char byte = (unsigned char)text[at];
        code = ko_changes_add(changes, character_of(byte), (byte & 0xC0) == 0x80, err);
    }
    return code;
}

static enum ko_code pre_tokenize(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    struct byte_level *b = state;
    enum ko_code code = KO_OK;
    if (b->add_prefix_space) {
        code = ko_pieces_rewrite(pieces, prefix_space, NULL, err);
    }
    if (code == KO_OK && b->use_regex) {
        code = ko_splitter_split(&b->splitter, pieces, err);
    }
    if (code == KO_OK) {
        code = ko_pieces_rewrite(pieces, to_alphabet, NULL, err);
    }
    return code;
}

static bool is_space(uint32_t character)
{
    return character == 0x120 || ko_is_white_space(character);
}

static size_t leading_spaces(const struct ko_token *token)
{
    size_t count = 0;
    for (size_t at = 0; at < token->n_value; count++) {
        uint32_t character;
        at += ko_utf8_get(token->value + at, &character);
        if (!is_space(character)) {
            break;
        }
    }
    return count;
}

static size_t trailing_spaces(const struct ko_token *token)
{
    size_t count = 0;
    for (size_t at = token->n_value; at > 0; count++) {
        uint32_t character;
        at = ko_utf8_before(token->value, at);
        (void)ko_utf8_get(token->value + at, &character);
        if (!is_space(character)) {
            break;
        }
    }
    return count;
}

static enum ko_code trim_offsets(void *state, struct ko_tokens *tokens, struct ko_error *err)
{
    const struct byte_level *b = state;
    size_t first = 0; /* of the text: a template may have put others in front */
    (void)err;
    while (first < tokens->n && tokens->token[first].special) {
        first++;
    }
    for (size_t i = first; b->trim_offsets && i < tokens->n; i++) {
        struct ko_token *t = &tokens->token[i];
        if (t->special) {
            continue;
        }
        size_t leading = leading_spaces(t), trailing = trailing_spaces(t);
        /* A single leading space of the first token is the one that was added. */
        if (leading == 1 && (i == first || t->begin == 0) && b->add_prefix_space) {
            leading = 0;
        }
        if (leading > 0) {
            t->begin = t->begin + leading < t->end ? t->begin + leading : t->end;
        }
        if (trailing > 0 && t->end >= trailing) {
            t->end = t->end - trailing > t->begin ? t->end - trailing : t->begin;
        }
    }
    return KO_OK;
}

const struct ko_component_type ko_byte_level_pre_tokenizer = {
    .name = "ByteLevel",
    .open = open_pre_tokenizer,
    .on_pieces = pre_tokenize,
    .close = close_state,
};
const struct ko_component_type ko_byte_level_post_processor = {
    .name = "ByteLevel",
    .open = open_post_processor,
    .on_tokens = trim_offsets,
    .close = close_state,
};

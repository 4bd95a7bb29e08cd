/* SPDX-License-Identifier: Apache-2.0 */
/* Compares tokenizer.json with the files beside it. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/tokenizer/side_files.h"

struct comparison {
    const struct ko_side_files *files;
    struct ko_tokenizer *tokenizer;
    int32_t bos_id;
    struct ko_strings *notes;
    struct ko_error *err;
};

/* "2675 (<|begin|>)" */
struct named {
    char text[160];
};

static const char *name_token(const struct ko_tokenizer *tokenizer, int64_t id, struct named *out)
{
    const char *piece = id <= INT32_MAX ? ko_tokenizer_piece(tokenizer, (int32_t)id) : NULL;
    (void)snprintf(out->text, sizeof out->text, "%" PRId64 " (%.120s)", id,
                   piece ? piece : "unknown to the tokenizer");
    return out->text;
}

KO_PRINTF(2, 3) static enum ko_code add_note(const struct comparison *c, const char *format, ...)
{
    char line[KO_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return ko_strings_intern(c->notes, line, NULL, c->err);
}

/* The id of a token; -1: text is NULL or the tokenizer lacks it. */
static int32_t named_id(const struct ko_tokenizer *tokenizer, const char *text)
{
    return text ? ko_tokenizer_find(tokenizer, text) : -1;
}

static bool has_eos(const struct ko_special_ids *ids, int64_t id)
{
    for (int i = 0; i < ids->n_eos; i++) {
        if (ids->eos[i] == id) {
            return true;
        }
    }
    return false;
}

/* Compares the special token before a text with tokenizer_config.json. */
static enum ko_code compare_front(const struct comparison *c)
{
    size_t n = 0;
    const int32_t *front = ko_tokenizer_in_front(c->tokenizer, &n);
    const int32_t bos = named_id(c->tokenizer, c->files->bos);
    struct named name, wanted;
    if (n == 0 && c->files->add_bos == KO_SETTING_TRUE && !c->files->bos) {
        return add_note(c, "tokenizer_config.json says add_bos_token: true, tokenizer.json puts "
                           "nothing in front of a text; bos: TOKEN puts it there");
    }
    if (n == 0 && c->files->add_bos == KO_SETTING_TRUE) {
        return add_note(c,
                        "tokenizer_config.json says add_bos_token: true (%s), tokenizer.json puts "
                        "nothing in front of a text; bos: '%s' puts it there",
                        c->files->bos, c->files->bos);
    }
    if (n == 0) {
        return KO_OK;
    }
    if (c->files->add_bos == KO_SETTING_FALSE) {
        return add_note(
            c,
            "tokenizer_config.json says add_bos_token: false, tokenizer.json puts %s in front "
            "of a text; bos: none leaves it out",
            name_token(c->tokenizer, front[0], &name));
    }
    if (bos >= 0 && front[0] != bos) {
        return add_note(
            c,
            "tokenizer_config.json names %s as bos_token, tokenizer.json puts %s in front of "
            "a text",
            name_token(c->tokenizer, bos, &wanted), name_token(c->tokenizer, front[0], &name));
    }
    return KO_OK;
}

static enum ko_code compare_bos(const struct comparison *c)
{
    const int32_t bos = named_id(c->tokenizer, c->files->bos);
    const int64_t generation = c->files->generation.bos;
    struct named name, other;
    enum ko_code code = compare_front(c);
    if (code == KO_OK && c->files->bos && bos < 0) {
        code = add_note(c, "tokenizer_config.json names bos_token '%s', which tokenizer.json lacks",
                        c->files->bos);
    }
    if (code == KO_OK && bos >= 0 && c->bos_id >= 0 && bos != c->bos_id) {
        code = add_note(
            c, "tokenizer_config.json names %s as bos_token, config.json %s as bos_token_id",
            name_token(c->tokenizer, bos, &name), name_token(c->tokenizer, c->bos_id, &other));
    }
    if (code == KO_OK && generation >= 0 && c->files->config.bos >= 0 &&
        generation != c->files->config.bos) {
        code = add_note(c, "generation_config.json names %s as bos_token_id, config.json %s",
                        name_token(c->tokenizer, generation, &name),
                        name_token(c->tokenizer, c->files->config.bos, &other));
    }
    return code;
}

static enum ko_code compare_eos(const struct comparison *c)
{
    const struct ko_side_files *files = c->files;
    const int32_t eos = named_id(c->tokenizer, files->eos);
    size_t n = 0;
    const int32_t *behind = ko_tokenizer_behind(c->tokenizer, &n);
    struct named name, other;
    enum ko_code code = KO_OK;
    if (n > 0) {
        code = add_note(
            c,
            "tokenizer.json puts %s behind a text; it is left out, because a causal model goes "
            "on from the text's last token",
            name_token(c->tokenizer, behind[0], &name));
    } else if (files->add_eos == KO_SETTING_TRUE) {
        code = add_note(
            c, "tokenizer_config.json says add_eos_token: true; nothing is put behind a text, "
               "because a causal model goes on from the text's last token");
    }
    if (code == KO_OK && eos >= 0 && files->config.n_eos > 0 && !has_eos(&files->config, eos) &&
        !has_eos(&files->generation, eos)) {
        code = add_note(
            c, "tokenizer_config.json names %s as eos_token, config.json %s as eos_token_id",
            name_token(c->tokenizer, eos, &name),
            name_token(c->tokenizer, files->config.eos[0], &other));
    }
    return code;
}

/* Whether the tokenizer puts a space in front of a text, as its first token shows. */
static enum ko_code compare_prefix(const struct comparison *c)
{
    static const char *const spaces[] = {"\xC4\xA0", "\xE2\x96\x81", " "};
    struct ko_encoding e = {0};
    size_t n = 0;
    bool puts = false;
    if (c->files->add_prefix_space == KO_SETTING_ABSENT) {
        return KO_OK;
    }
    (void)ko_tokenizer_in_front(c->tokenizer, &n);
    enum ko_code code = ko_tokenizer_encode(c->tokenizer, "a", 1, &e, c->err);
    const char *piece = code == KO_OK && n < e.n ? ko_tokenizer_piece(c->tokenizer, e.id[n]) : NULL;
    for (size_t i = 0; piece && i < sizeof spaces / sizeof spaces[0]; i++) {
        puts = puts || strncmp(piece, spaces[i], strlen(spaces[i])) == 0;
    }
    ko_encoding_free(&e);
    if (code == KO_OK && puts != (c->files->add_prefix_space == KO_SETTING_TRUE)) {
        code = add_note(
            c,
            "tokenizer_config.json says add_prefix_space: %s, tokenizer.json puts %s in front "
            "of a text, and that is what counts",
            puts ? "false" : "true", puts ? "a space" : "none");
    }
    return code;
}

static enum ko_code compare_lengths(const struct comparison *c)
{
    const int64_t truncation = ko_tokenizer_truncation(c->tokenizer);
    const int64_t padding = ko_tokenizer_padding(c->tokenizer);
    enum ko_code code = KO_OK;
    if (truncation >= 0) {
        code = add_note(c,
                        "tokenizer.json stores a truncation to %" PRId64
                        " tokens; it is ignored, prompts are run whole",
                        truncation);
    }
    if (code == KO_OK && padding > 0) {
        code = add_note(c,
                        "tokenizer.json stores a padding to %" PRId64
                        " tokens; it is ignored, prompts are run as they are",
                        padding);
    } else if (code == KO_OK && padding == 0) {
        code = add_note(
            c, "tokenizer.json stores a padding; it is ignored, prompts are run as they are");
    }
    return code;
}

enum ko_code ko_side_files_compare(const struct ko_side_files *files,
                                   struct ko_tokenizer *tokenizer, int32_t bos_id, bool bos_chosen,
                                   struct ko_strings *notes, struct ko_error *err)
{
    const struct comparison c = {files, tokenizer, bos_id, notes, err};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < files->notes.n; i++) {
        code = ko_strings_intern(notes, files->notes.item[i], NULL, err);
    }
    if (code == KO_OK && !bos_chosen) {
        code = compare_bos(&c);
    }
    if (code == KO_OK) {
        code = compare_eos(&c);
    }
    if (code == KO_OK) {
        code = compare_prefix(&c);
    }
    return code == KO_OK ? compare_lengths(&c) : code;
}

enum ko_code ko_side_files_bos(const struct ko_side_files *files,
                               const struct ko_tokenizer *tokenizer, int32_t bos_id, int32_t *out,
                               struct ko_error *err)
{
    const int32_t named = named_id(tokenizer, files->bos);
    /* A family's default that config.json does not name is not the author's choice. For GPT-2 and
       Mamba it ends a text. */
    const int32_t id = bos_id >= 0 && files->config.bos == bos_id ? bos_id : named;
    struct named name, other;
    if (id < 0) {
        return ko_fail(
            err, KO_E_INPUT,
            "bos: 'add' needs a bos_token_id in config.json or a bos_token in "
            "tokenizer_config.json, there is neither; write default, none, a token or an "
            "id");
    }
    if (named >= 0 && named != id) {
        return ko_fail(err, KO_E_INPUT,
                       "bos: 'add' is not clear: config.json names %s, tokenizer_config.json %s; "
                       "write bos: %d or bos: %d",
                       name_token(tokenizer, id, &name), name_token(tokenizer, named, &other), id,
                       named);
    }
    const bool ends = has_eos(&files->config, id) || has_eos(&files->generation, id) ||
                      named_id(tokenizer, files->eos) == id;
    if (ends && named != id) {
        return ko_fail(
            err, KO_E_INPUT,
            "bos: 'add' would put %s in front, which ends a text, and "
            "tokenizer_config.json does not name it as bos_token; write bos: %d if it is "
            "meant, or bos: default",
            name_token(tokenizer, id, &name), id);
    }
    *out = id;
    return KO_OK;
}

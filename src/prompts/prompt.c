/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizes one fact for one model: finds the subject, decides on the BOS token, and places the
   spans and the scored tokens. A fact that cannot be run gets a reason. */
#define _GNU_SOURCE /* memmem */

#include "src/prompts/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/prompts/prompt_answers.h"
#include "src/prompts/prompt_place.h"
#include "src/tokenizer/text/unicode.h"

/* The text of a fact, tokenized, before the BOS is decided. */
struct reading {
    const char *text;
    size_t n_bytes, n_characters;
    size_t *byte; /* [n_characters + 1] where each character begins; owned */
    struct ko_encoding encoding;
    uint8_t *has_text; /* [encoding.n] not special and not white space alone; owned */
    size_t n_front;    /* special tokens before the text */
    int32_t shift;     /* from a token here to its place in the prompt */
};

static void free_reading(struct reading *r)
{
    free(r->byte);
    free(r->has_text);
    ko_encoding_free(&r->encoding);
}

static enum ko_code read_text(struct ko_tokenizer *tokenizer, const char *text, struct reading *r,
                              struct ko_error *err)
{
    r->text = text;
    r->n_bytes = strlen(text);
    enum ko_code code = ko_prompt_encode(tokenizer, text, r->n_bytes, &r->encoding, err);
    if (code != KO_OK) {
        return code;
    }
    r->n_characters = ko_utf8_count(text, r->n_bytes);
    r->byte = ko_new(r->n_characters + 1, sizeof *r->byte, err);
    r->has_text = ko_new(r->encoding.n, sizeof *r->has_text, err);
    if (!r->byte || !r->has_text) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < r->n_characters; i++) {
        uint32_t character;
        r->byte[i + 1] = r->byte[i] + ko_utf8_get(text + r->byte[i], &character);
    }
    const struct ko_encoding *e = &r->encoding;
    for (size_t i = 0; i < e->n; i++) {
        size_t begin = (size_t)e->char_begin[i], end = (size_t)e->char_end[i];
        if (end > r->n_characters) {
            end = r->n_characters;
        }
        if (e->special[i] || begin >= end) {
            continue;
        }
        const char *part = text + r->byte[begin];
        size_t n = r->byte[end] - r->byte[begin];
        r->has_text[i] = !ko_utf8_is_blank(part, n);
    }
    while (r->n_front < e->n && e->special[r->n_front]) {
        r->n_front++;
    }
    return KO_OK;
}

/* The tokens from the first to the last that overlaps characters [from, to). begin == end if no
   token does. */
static void find_tokens(const struct reading *r, size_t from, size_t to, size_t *begin, size_t *end)
{
    *begin = *end = 0;
    for (size_t i = 0; from < to && i < r->encoding.n; i++) {
        if (!r->has_text[i] || (size_t)r->encoding.char_begin[i] >= to ||
            (size_t)r->encoding.char_end[i] <= from) {
            continue;
        }
        if (*end == 0) {
            *begin = i;
        }
        *end = i + 1;
    }
}

static enum ko_reason find_subject(const struct reading *r, const char *subject, size_t *begin,
                                   size_t *end)
{
    size_t n = strlen(subject);
    ko_utf8_strip(&subject, &n);
    if (n == 0) {
        return KO_SUBJECT_EMPTY;
    }
    const char *at = memmem(r->text, r->n_bytes, subject, n);
    if (!at) {
        return KO_SUBJECT_NOT_FOUND;
    }
    size_t from = ko_utf8_count(r->text, (size_t)(at - r->text));
    find_tokens(r, from, from + ko_utf8_count(subject, n), begin, end);
    return *begin == *end ? KO_SUBJECT_HAS_NO_TOKEN : KO_RUNNABLE;
}

/* *drop: how many of the special tokens before the text are dropped. *add: whether a BOS token is
   added. */
static enum ko_code decide_bos(const struct ko_audit *audit, const struct reading *r, size_t *drop,
                               bool *add, struct ko_error *err)
{
    const bool other = audit->bos == KO_BOS_NONE || audit->bos == KO_BOS_TOKEN;
    *drop = other ? r->n_front : 0;
    *add = false;
    if (audit->bos != KO_BOS_ADD && audit->bos != KO_BOS_TOKEN) {
        return KO_OK;
    }
    if (audit->bos_id < 0) {
        return ko_fail(err, KO_E_INPUT,
                       "bos: 'add' needs a bos_token_id in config.json, which has none; use "
                       "'default' or 'none'");
    }
    *add = r->encoding.n == *drop || r->encoding.id[*drop] != audit->bos_id;
    return KO_OK;
}

static enum ko_code place_tokens(const struct ko_audit *audit, struct reading *r,
                                 struct ko_prompt *p, struct ko_error *err)
{
    size_t drop = 0;
    bool add = false;
    enum ko_code code = decide_bos(audit, r, &drop, &add, err);
    if (code != KO_OK) {
        return code;
    }
    size_t n = r->encoding.n - drop + add;
    p->token = ko_new(n, sizeof *p->token, err);
    p->in_subject = ko_new(n, sizeof *p->in_subject, err);
    if (!p->token || !p->in_subject) {
        return KO_E_MEMORY;
    }
    if (add) {
        p->token[0] = audit->bos_id;
    }
    for (size_t i = drop; i < r->encoding.n; i++) {
        p->token[i - drop + add] = r->encoding.id[i];
    }
    p->n_tokens = (int32_t)n;
    p->n_special = (int32_t)(r->n_front - drop + add);
    r->shift = (int32_t)add - (int32_t)drop;
    return KO_OK;
}

_Static_assert((int)KO_FACT_POSITIONS == (int)KO_PROMPT_TOKENS, "a span reaches to the last token");

/* Positions past the prompt's end are left out. */
static void place_positions(const struct ko_named_span *span, int32_t n_tokens,
                            struct ko_token_span *to)
{
    if (span->char_begin < span->char_end && span->char_begin < n_tokens) {
        to->begin = span->char_begin;
        to->end = span->char_end < n_tokens ? span->char_end : n_tokens;
    }
}

/* A matrix has no characters, so all its spans are positions and nothing is read of r. */
static enum ko_code place_spans(const struct ko_fact *fact, const struct reading *r,
                                struct ko_prompt *p, struct ko_error *err)
{
    p->span = ko_new(fact->n_spans, sizeof *p->span, err);
    if (!p->span) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < fact->n_spans; i++) {
        const struct ko_named_span *s = &fact->span[i];
        struct ko_token_span *to = &p->span[p->n_spans++];
        if (s->positions) {
            place_positions(s, p->n_tokens, to);
        } else {
            size_t begin = 0, end = 0;
            find_tokens(r, (size_t)s->char_begin, (size_t)s->char_end, &begin, &end);
            to->begin = begin < end ? (int32_t)begin + r->shift : 0;
            to->end = begin < end ? (int32_t)end + r->shift : 0;
        }
        to->name = ko_copy(s->name, err);
        if (!to->name) {
            return KO_E_MEMORY;
        }
    }
    return KO_OK;
}

/* Fills in everything but id and spans. The prompt gets the first reason that is found. */
static enum ko_code fill_prompt(const struct ko_audit *audit, const struct ko_fact *fact,
                                struct reading *r, struct ko_prompt *p, struct ko_error *err)
{
    size_t begin = 0, end = 0;
    enum ko_code code = place_tokens(audit, r, p, err);
    const char *text = r->text;
    size_t n = r->n_bytes;
    ko_utf8_strip(&text, &n);
    if (code != KO_OK) {
        return code;
    }
    p->reason = n == 0 || r->n_front == r->encoding.n
                    ? KO_PROMPT_EMPTY
                    : find_subject(r, fact->subject, &begin, &end);
    if (!p->reason) {
        p->reason = ko_prompt_check_limits(audit, p);
    }
    if (p->reason) {
        return KO_OK;
    }
    const struct ko_encoded encoded = {r->text, &r->encoding};
    code = ko_prompt_place_answers(audit, fact, &encoded, p, err);
    if (code != KO_OK || p->reason) {
        return code;
    }
    p->subject_begin = (int32_t)begin + r->shift;
    p->subject_end = (int32_t)end + r->shift;
    memset(p->in_subject + p->subject_begin, 1, end - begin);
    return KO_OK;
}

bool ko_audit_equal(const struct ko_audit *a, const struct ko_audit *b)
{
    return a->score == b->score && a->bos == b->bos && a->bos_id == b->bos_id &&
           a->max_tokens == b->max_tokens && a->vocabulary == b->vocabulary &&
           a->width == b->width && a->n_added == b->n_added && a->positions == b->positions &&
           strcmp(ko_tokenizer_fingerprint(a->tokenizer), ko_tokenizer_fingerprint(b->tokenizer)) ==
               0;
}

enum ko_code ko_prompt_audit(const struct ko_audit *audit, const struct ko_fact *fact,
                             struct ko_prompt *out, struct ko_error *err)
{
    struct ko_prompt p = {.id = ko_copy(fact->id, err)};
    struct reading r = {0};
    struct ko_error why = {0};
    enum ko_code code = !p.id            ? KO_E_MEMORY
                        : fact->embedded ? KO_OK
                                         : read_text(audit->tokenizer, fact->text, &r, &why);
    if (code == KO_OK) {
        code = fact->embedded ? ko_prompt_fill_embedded(audit, fact, &p, err)
                              : fill_prompt(audit, fact, &r, &p, err);
        code = code == KO_OK && !p.reason ? place_spans(fact, &r, &p, err) : code;
    } else if (code == KO_E_INPUT) {
        p.reason = KO_TEXT_REFUSED; /* not an error, so that the other prompts still run */
        code = KO_OK;
    } else if (p.id) {
        code = ko_fail(err, code, "%s", why.text);
    }
    free_reading(&r);
    if (code != KO_OK) {
        ko_prompt_free(&p);
        return code;
    }
    if (p.reason) {
        free(p.in_subject);
        free(p.rest);
        free(p.turn);
        ko_choices_free(&p.choices);
        p = (struct ko_prompt){
            .reason = p.reason, .id = p.id, .n_tokens = p.n_tokens, .token = p.token};
    }
    *out = p;
    return KO_OK;
}

void ko_prompt_free(struct ko_prompt *prompt)
{
    if (!prompt) {
        return;
    }
    free(prompt->id);
    free(prompt->token);
    free(prompt->in_subject);
    free(prompt->rest);
    free(prompt->turn);
    ko_choices_free(&prompt->choices);
    for (int32_t i = 0; i < prompt->n_spans; i++) {
        free(prompt->span[i].name);
    }
    free(prompt->span);
    *prompt = (struct ko_prompt){0};
}

#define _GNU_SOURCE /* memmem */

#include "src/prompts/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/tokenizer/unicode.h"

const char *ko_reason_sentence(enum ko_reason reason)
{
    switch (reason) {
#define X(name, code, sentence)                                                                    \
    case name:                                                                                     \
        return sentence;
        KO_REASONS(X)
#undef X
    }
    return "unknown reason";
}

/* What Python's str.strip takes away: White_Space and the four separators of ASCII. */
static bool is_blank(uint32_t character)
{
    return ko_is_white_space(character) || (character >= 0x1C && character <= 0x1F);
}

/* The part of n bytes without white space at its ends. */
static void strip(const char **text, size_t *n)
{
    uint32_t character;
    while (*n > 0) {
        size_t bytes = ko_utf8_get(*text, &character);
        if (!is_blank(character))
            break;
        *text += bytes;
        *n -= bytes;
    }
    while (*n > 0) {
        size_t before = ko_utf8_before(*text, *n);
        (void)ko_utf8_get(*text + before, &character);
        if (!is_blank(character))
            break;
        *n = before;
    }
}

/* The text of a fact, tokenised, before the BOS is decided. */
struct reading {
    const char *text;
    size_t n_bytes, n_characters;
    size_t *byte; /* [n_characters + 1] where each character begins; owned */
    struct ko_encoding encoding;
    uint8_t *has_text; /* [encoding.n] not special and not white space alone; owned */
    size_t n_front;    /* special tokens in front */
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
    enum ko_code code = ko_tokenizer_encode(tokenizer, text, r->n_bytes, &r->encoding, err);
    if (code)
        return code;
    r->n_characters = ko_utf8_count(text, r->n_bytes);
    r->byte = ko_new(r->n_characters + 1, sizeof *r->byte, err);
    r->has_text = ko_new(r->encoding.n, sizeof *r->has_text, err);
    if (!r->byte || !r->has_text)
        return KO_E_MEMORY;
    for (size_t i = 0; i < r->n_characters; i++) {
        uint32_t character;
        r->byte[i + 1] = r->byte[i] + ko_utf8_get(text + r->byte[i], &character);
    }
    const struct ko_encoding *e = &r->encoding;
    for (size_t i = 0; i < e->n; i++) {
        size_t begin = (size_t)e->char_begin[i], end = (size_t)e->char_end[i];
        if (end > r->n_characters)
            end = r->n_characters;
        if (e->special[i] || begin >= end)
            continue;
        const char *part = text + r->byte[begin];
        size_t n = r->byte[end] - r->byte[begin];
        strip(&part, &n);
        r->has_text[i] = n > 0;
    }
    while (r->n_front < e->n && e->special[r->n_front])
        r->n_front++;
    return KO_OK;
}

/* The tokens from the first to the last that overlaps characters [from, to); begin == end where
 * none does. */
static void find_tokens(const struct reading *r, size_t from, size_t to, size_t *begin, size_t *end)
{
    *begin = *end = 0;
    for (size_t i = 0; from < to && i < r->encoding.n; i++) {
        if (!r->has_text[i] || (size_t)r->encoding.char_begin[i] >= to ||
            (size_t)r->encoding.char_end[i] <= from)
            continue;
        if (*end == 0)
            *begin = i;
        *end = i + 1;
    }
}

static enum ko_reason find_subject(const struct reading *r, const char *subject, size_t *begin,
                                   size_t *end)
{
    size_t n = strlen(subject);
    strip(&subject, &n);
    if (n == 0)
        return KO_SUBJECT_EMPTY;
    const char *at = memmem(r->text, r->n_bytes, subject, n);
    if (!at)
        return KO_SUBJECT_NOT_FOUND;
    size_t from = ko_utf8_count(r->text, (size_t)(at - r->text));
    find_tokens(r, from, from + ko_utf8_count(subject, n), begin, end);
    return *begin == *end ? KO_SUBJECT_HAS_NO_TOKEN : KO_RUNNABLE;
}

/* The first token of the answer in *token. */
static enum ko_code find_answer(struct ko_tokenizer *tokenizer, const struct reading *r,
                                const char *answer, enum ko_reason *reason, int32_t *token,
                                struct ko_error *err)
{
    size_t n = strlen(answer);
    struct ko_text text = {0};
    struct ko_encoding full = {0};
    strip(&answer, &n);
    *reason = KO_TARGET_EMPTY;
    if (n == 0)
        return KO_OK;
    ko_text_add(&text, "%s ", r->text);
    ko_text_add_bytes(&text, answer, n);
    enum ko_code code = ko_text_check(&text, err);
    if (!code)
        code = ko_tokenizer_encode(tokenizer, ko_text_str(&text), text.n, &full, err);
    ko_text_free(&text);
    if (code)
        return code;
    const struct ko_encoding *e = &r->encoding;
    bool prefix = full.n > e->n;
    for (size_t i = 0; prefix && i < e->n; i++)
        prefix = full.id[i] == e->id[i];
    *reason = prefix ? KO_RUNNABLE : KO_TARGET_MERGES;
    if (prefix)
        *token = full.id[e->n];
    ko_encoding_free(&full);
    return KO_OK;
}

/* How many of the tokens in front go, and whether a BOS comes. */
static enum ko_code decide_bos(const struct ko_audit *audit, const struct reading *r, size_t *drop,
                               bool *add, struct ko_error *err)
{
    *drop = audit->bos == KO_BOS_NONE ? r->n_front : 0;
    *add = false;
    if (audit->bos != KO_BOS_ADD)
        return KO_OK;
    if (audit->bos_id < 0)
        return ko_fail(err, KO_E_INPUT,
                       "bos: 'add' needs a bos_token_id in config.json, which has none; use "
                       "'default' or 'none'");
    *add = r->encoding.n == 0 || r->encoding.id[0] != audit->bos_id;
    return KO_OK;
}

static enum ko_code place_tokens(const struct ko_audit *audit, const struct reading *r,
                                 struct ko_prompt *p, int32_t *shift, struct ko_error *err)
{
    size_t drop = 0;
    bool add = false;
    enum ko_code code = decide_bos(audit, r, &drop, &add, err);
    if (code)
        return code;
    size_t n = r->encoding.n - drop + add;
    p->token = ko_new(n, sizeof *p->token, err);
    p->in_subject = ko_new(n, sizeof *p->in_subject, err);
    if (!p->token || !p->in_subject)
        return KO_E_MEMORY;
    if (add)
        p->token[0] = audit->bos_id;
    for (size_t i = drop; i < r->encoding.n; i++)
        p->token[i - drop + add] = r->encoding.id[i];
    p->n_tokens = (int32_t)n;
    p->n_special = (int32_t)(r->n_front - drop + add);
    *shift = (int32_t)add - (int32_t)drop;
    return KO_OK;
}

static enum ko_code place_spans(const struct ko_fact *fact, const struct reading *r, int32_t shift,
                                struct ko_prompt *p, struct ko_error *err)
{
    p->span = ko_new(fact->n_spans, sizeof *p->span, err);
    if (!p->span)
        return KO_E_MEMORY;
    for (size_t i = 0; i < fact->n_spans; i++) {
        const struct ko_named_span *s = &fact->span[i];
        size_t begin = 0, end = 0;
        find_tokens(r, (size_t)s->char_begin, (size_t)s->char_end, &begin, &end);
        struct ko_token_span *to = &p->span[p->n_spans++];
        to->begin = begin < end ? (int32_t)begin + shift : 0;
        to->end = begin < end ? (int32_t)end + shift : 0;
        to->name = ko_copy(s->name, err);
        if (!to->name)
            return KO_E_MEMORY;
    }
    return KO_OK;
}

static enum ko_reason check_limits(const struct ko_audit *audit, const struct ko_prompt *p)
{
    if (p->n_tokens > KO_PROMPT_TOKENS ||
        (audit->max_tokens > 0 && p->n_tokens > audit->max_tokens))
        return KO_PROMPT_TOO_LONG;
    for (int32_t i = 0; i < p->n_tokens; i++)
        if (p->token[i] >= audit->vocabulary)
            return KO_TOKEN_OUTSIDE_VOCABULARY;
    return KO_RUNNABLE;
}

/* Everything but the id; the first reason found is the prompt's. */
static enum ko_code fill(const struct ko_audit *audit, const struct ko_fact *fact,
                         const struct reading *r, struct ko_prompt *p, struct ko_error *err)
{
    size_t begin = 0, end = 0;
    int32_t shift = 0;
    enum ko_code code = place_tokens(audit, r, p, &shift, err);
    const char *text = r->text;
    size_t n = r->n_bytes;
    strip(&text, &n);
    if (code)
        return code;
    p->reason = n == 0 || r->n_front == r->encoding.n
                    ? KO_PROMPT_EMPTY
                    : find_subject(r, fact->subject, &begin, &end);
    if (!p->reason)
        p->reason = check_limits(audit, p);
    if (p->reason)
        return KO_OK;
    code = find_answer(audit->tokenizer, r, fact->target, &p->reason, &p->target, err);
    if (!code && !p->reason && p->target >= audit->vocabulary)
        p->reason = KO_TOKEN_OUTSIDE_VOCABULARY;
    if (code || p->reason)
        return code;
    enum ko_reason foil = KO_TARGET_EMPTY;
    if (fact->foil)
        code = find_answer(audit->tokenizer, r, fact->foil, &foil, &p->foil, err);
    if (foil || p->foil >= audit->vocabulary)
        p->foil = -1;
    p->subject_begin = (int32_t)begin + shift;
    p->subject_end = (int32_t)end + shift;
    memset(p->in_subject + p->subject_begin, 1, end - begin);
    return code ? code : place_spans(fact, r, shift, p, err);
}

bool ko_audit_equal(const struct ko_audit *a, const struct ko_audit *b)
{
    return a->bos == b->bos && a->bos_id == b->bos_id && a->max_tokens == b->max_tokens &&
           a->vocabulary == b->vocabulary &&
           strcmp(ko_tokenizer_fingerprint(a->tokenizer), ko_tokenizer_fingerprint(b->tokenizer)) ==
               0;
}

enum ko_code ko_prompt_audit(const struct ko_audit *audit, const struct ko_fact *fact,
                             struct ko_prompt *out, struct ko_error *err)
{
    struct ko_prompt p = {.id = ko_copy(fact->id, err)};
    struct reading r = {0};
    enum ko_code code = p.id ? read_text(audit->tokenizer, fact->text, &r, err) : KO_E_MEMORY;
    if (!code)
        code = fill(audit, fact, &r, &p, err);
    free_reading(&r);
    if (code) {
        ko_prompt_free(&p);
        return code;
    }
    if (p.reason) {
        free(p.in_subject);
        p = (struct ko_prompt){
            .reason = p.reason, .id = p.id, .n_tokens = p.n_tokens, .token = p.token};
    }
    *out = p;
    return KO_OK;
}

void ko_prompt_free(struct ko_prompt *prompt)
{
    if (!prompt)
        return;
    free(prompt->id);
    free(prompt->token);
    free(prompt->in_subject);
    for (int32_t i = 0; i < prompt->n_spans; i++)
        free(prompt->span[i].name);
    free(prompt->span);
    *prompt = (struct ko_prompt){0};
}

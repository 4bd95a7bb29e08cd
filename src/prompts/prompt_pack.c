/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tokenized prompt as bytes and reads it back. Copying a prompt does both. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/prompt.h"

/* The reason of a prompt that is a matrix has this added. Its last fields follow. Prompts of text keep
   the bytes that plans are hashed by. */
enum { EMBEDDED_UNIT = 256 };
enum { CHOICES_UNIT = 256, TURNS_UNIT = 4 };
_Static_assert((int)KO_N_FOILS <= (int)CHOICES_UNIT, "both numbers fit into one");

void ko_prompt_pack(const struct ko_prompt *p, struct ko_bytes *to)
{
    size_t n = (size_t)p->n_tokens;
    ko_put_int(to, p->reason + (p->n_embedded > 0 ? EMBEDDED_UNIT : 0));
    ko_put_string(to, p->id);
    ko_put_int(to, p->n_tokens);
    ko_put_blob(to, p->token, n * sizeof *p->token);
    ko_put_int(to, p->n_special);
    ko_put_int(to, p->subject_begin);
    ko_put_int(to, p->subject_end);
    ko_put_blob(to, p->in_subject, p->in_subject ? n : 0);
    ko_put_int(to, p->n_appended);
    ko_put_int(to, p->target);
    /* In one number, so that prompts with one scored token keep the bytes that plans are hashed by. */
    ko_put_int(to, p->target_blank + 2 * (int64_t)p->n_rest);
    if (p->n_rest > 0) {
        ko_put_blob(to, p->rest, (size_t)p->n_rest * sizeof *p->rest);
    }
    ko_put_int(to, p->foil);
    /* With the number of choices in one number, for the same reason. */
    ko_put_int(to, p->foil_state + CHOICES_UNIT * (int64_t)p->choices.n);
    ko_choices_pack(&p->choices, to);
    ko_put_int(to, p->n_spans);
    for (int32_t i = 0; i < p->n_spans; i++) {
        ko_put_string(to, p->span[i].name);
        ko_put_int(to, p->span[i].begin);
        ko_put_int(to, p->span[i].end);
    }
    if (p->n_embedded > 0) {
        ko_put_int(to, p->n_embedded);
        ko_put_string(to, p->hash);
        /* In one number, so that prompts without further matrices keep the bytes too. */
        ko_put_int(to, p->n_turns + TURNS_UNIT * (int64_t)p->n_added);
        if (p->n_turns > 0) {
            ko_put_blob(to, p->turn, (size_t)p->n_turns * (size_t)p->n_embedded * sizeof *p->turn);
        }
    }
}

/* A count of items that follow, each of at least item_bytes. Refuses a count that the stream cannot
   hold, before memory for it is allocated. */
static size_t get_count(struct ko_bytes *from, size_t item_bytes)
{
    int64_t n = ko_get_int(from);
    if (n < 0 || n > INT32_MAX || (uint64_t)n > from->left / item_bytes) {
        from->broken = 1;
        return 0;
    }
    return (size_t)n;
}

/* target_blank and the rest of the answer. */
static enum ko_code unpack_rest(struct ko_bytes *from, struct ko_prompt *p, struct ko_error *err)
{
    const int64_t number = ko_get_int(from), n = number / 2;
    p->target_blank = number % 2 != 0;
    if (number < 0 || n > INT32_MAX || (uint64_t)n > from->left / sizeof *p->rest) {
        from->broken = 1;
    }
    if (from->broken || n == 0) {
        return KO_OK;
    }
    p->rest = ko_new((size_t)n, sizeof *p->rest, err);
    if (!p->rest) {
        return KO_E_MEMORY;
    }
    p->n_rest = (int32_t)n;
    ko_get_blob(from, p->rest, (size_t)n * sizeof *p->rest);
    return KO_OK;
}

/* foil_state and the choices. A choice takes 16 bytes or more. */
static enum ko_code unpack_choices(struct ko_bytes *from, struct ko_prompt *p, struct ko_error *err)
{
    const int64_t number = ko_get_int(from), n = number / CHOICES_UNIT;
    if (number < 0 || number % CHOICES_UNIT >= KO_N_FOILS || (uint64_t)n > from->left / 16) {
        from->broken = 1;
    }
    if (from->broken) {
        return KO_OK;
    }
    p->foil_state = (enum ko_foil)(number % CHOICES_UNIT);
    return n > 0 ? ko_choices_unpack(from, (int32_t)n, &p->choices, err) : KO_OK;
}

static enum ko_code unpack_spans(struct ko_bytes *from, struct ko_prompt *p, struct ko_error *err)
{
    size_t n = get_count(from, 3 * sizeof(int64_t));
    p->span = ko_new(n, sizeof *p->span, err);
    if (!p->span) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        struct ko_token_span *span = &p->span[p->n_spans++];
        span->name = ko_get_string(from, err);
        span->begin = (int32_t)ko_get_int(from);
        span->end = (int32_t)ko_get_int(from);
        if (!span->name) {
            return KO_E_FAILED;
        }
    }
    return KO_OK;
}

static enum ko_code unpack_embedded(struct ko_bytes *from, struct ko_prompt *p,
                                    struct ko_error *err)
{
    const int64_t n = ko_get_int(from);
    char *hash = ko_get_string(from, err);
    const int64_t numbers = ko_get_int(from), n_turns = numbers % TURNS_UNIT;
    const bool fits = n > 0 && n <= p->n_tokens && numbers >= 0 &&
                      numbers / TURNS_UNIT <= KO_FACT_ADDED && hash &&
                      strlen(hash) < sizeof p->hash;
    from->broken |= !fits;
    if (fits) {
        p->n_embedded = (int32_t)n;
        p->n_added = (int32_t)(numbers / TURNS_UNIT);
        memcpy(p->hash, hash, strlen(hash) + 1);
    }
    free(hash);
    if (!fits || n_turns == 0) {
        return KO_OK;
    }
    p->turn = ko_new((size_t)(n_turns * n), sizeof *p->turn, err);
    if (!p->turn) {
        return KO_E_MEMORY;
    }
    p->n_turns = (int32_t)n_turns;
    ko_get_blob(from, p->turn, (size_t)(n_turns * n) * sizeof *p->turn);
    return KO_OK;
}

enum ko_code ko_prompt_unpack(struct ko_bytes *from, struct ko_prompt *out, struct ko_error *err)
{
    struct ko_prompt p = {0};
    enum ko_code code = KO_E_FAILED;
    const int64_t reason = ko_get_int(from);
    p.reason = (enum ko_reason)(reason % EMBEDDED_UNIT);
    p.id = ko_get_string(from, err);
    size_t n = get_count(from, sizeof *p.token);
    p.n_tokens = (int32_t)n;
    p.token = ko_new(n, sizeof *p.token, err);
    if (!p.id || !p.token) {
        goto done;
    }
    ko_get_blob(from, p.token, n * sizeof *p.token);
    p.n_special = (int32_t)ko_get_int(from);
    p.subject_begin = (int32_t)ko_get_int(from);
    p.subject_end = (int32_t)ko_get_int(from);
    if (p.reason == KO_RUNNABLE) {
        p.in_subject = ko_new(n, sizeof *p.in_subject, err);
        if (!p.in_subject) {
            goto done;
        }
    }
    ko_get_blob(from, p.in_subject, p.in_subject ? n : 0);
    p.n_appended = (int32_t)ko_get_int(from);
    p.target = (int32_t)ko_get_int(from);
    code = unpack_rest(from, &p, err);
    p.foil = (int32_t)ko_get_int(from);
    if (code == KO_OK) {
        code = unpack_choices(from, &p, err);
    }
    if (code == KO_OK) {
        code = unpack_spans(from, &p, err);
    }
    if (code == KO_OK && reason >= EMBEDDED_UNIT) {
        code = unpack_embedded(from, &p, err);
    }
done:
    if (from->broken) {
        code = ko_fail(err, KO_E_FAILED, "a message between ranks is broken: a prompt is cut off");
    }
    if (code != KO_OK) {
        ko_prompt_free(&p);
    } else {
        *out = p;
    }
    return code;
}

/* By way of bytes, so that a new field needs no code here. */
enum ko_code ko_prompt_copy(const struct ko_prompt *prompt, struct ko_prompt *out,
                            struct ko_error *err)
{
    struct ko_bytes to = {0}, from = {0};
    ko_prompt_pack(prompt, &to);
    enum ko_code code = ko_text_check(&to.data, err);
    if (code == KO_OK) {
        ko_bytes_read_from(&from, to.data.data, to.data.n);
        code = ko_prompt_unpack(&from, out, err);
    }
    ko_text_free(&to.data);
    return code;
}

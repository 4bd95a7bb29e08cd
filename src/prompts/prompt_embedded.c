/* SPDX-License-Identifier: Apache-2.0 */
/* Audits a prompt that is a matrix of embeddings: its rows and positions under a model, and the
   scored tokens of its answer. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/prompt_place.h"
#include "src/tokenizer/text/unicode.h"

int32_t ko_prompt_turn(const struct ko_prompt *prompt, int32_t axis, int32_t row)
{
    const int32_t n = prompt->n_embedded;
    int32_t last = -1;
    if (prompt->n_turns == 0) {
        return row;
    }
    if (row < n) {
        return prompt->turn[(prompt->n_turns == 1 ? 0 : axis) * n + row];
    }
    for (int32_t i = 0; i < prompt->n_turns * n; i++) {
        last = prompt->turn[i] > last ? prompt->turn[i] : last;
    }
    return last + 1 + row - n;
}

/* Fails unless the model can take the matrix and its positions. */
static enum ko_code check_model(const struct ko_audit *audit, const struct ko_fact_embedded *e,
                                struct ko_error *err)
{
    if (e->width != audit->width) {
        return ko_fail(err, KO_E_INPUT,
                       "its matrix is %d numbers wide and the model %d, export it with this model",
                       e->width, audit->width);
    }
    if (audit->positions == KO_POSITIONS_LEARNED) {
        return ko_fail(err, KO_E_INPUT,
                       "is a matrix, and the model has learned positions, choose a model with "
                       "rotary positions or without any");
    }
    if (e->n_turns > 0 && audit->positions == KO_POSITIONS_NONE) {
        return ko_fail(err, KO_E_INPUT,
                       "has position_ids, and the model has no rotary positions, leave them out");
    }
    if (e->n_turns == 3 && audit->positions != KO_POSITIONS_THREE) {
        return ko_fail(err, KO_E_INPUT,
                       "has position_ids of three rows, and the model's rope_scaling has no "
                       "mrope_section, write one row");
    }
    for (int32_t i = 0; audit->max_tokens > 0 && i < e->n_turns * e->n_positions; i++) {
        if (e->turn[i] >= audit->max_tokens) {
            return ko_fail(err, KO_E_INPUT,
                           "position_ids: number %d of row %d is %d, the model has the positions 0 "
                           "to %d",
                           i % e->n_positions, i / e->n_positions, e->turn[i],
                           audit->max_tokens - 1);
        }
    }
    return KO_OK;
}

static enum ko_code take_rows(const struct ko_fact_embedded *e, struct ko_prompt *p,
                              struct ko_error *err)
{
    const size_t n = (size_t)e->n_rows, n_turns = (size_t)e->n_turns;
    p->token = ko_new(n, sizeof *p->token, err);
    p->in_subject = ko_new(n, sizeof *p->in_subject, err);
    if (!p->token || !p->in_subject) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        p->token[i] = -1;
    }
    p->n_tokens = p->n_embedded = e->n_rows;
    memcpy(p->hash, e->hash, sizeof p->hash);
    if (n_turns > 0) {
        p->turn = ko_new(n_turns * n, sizeof *p->turn, err);
        if (!p->turn) {
            return KO_E_MEMORY;
        }
        memcpy(p->turn, e->turn, n_turns * n * sizeof *p->turn);
        p->n_turns = e->n_turns;
    }
    return KO_OK;
}

/* Fills an answer [n] by ids, whose first is taken for text. */
static enum ko_code take_ids(const int32_t *id, size_t n, struct ko_answer *out,
                             struct ko_error *err)
{
    out->token = ko_new(n, sizeof *out->token, err);
    if (!out->token) {
        return KO_E_MEMORY;
    }
    memcpy(out->token, id, n * sizeof *out->token);
    out->reason = KO_RUNNABLE;
    out->n = (int32_t)n;
    out->text = id[0];
    return KO_OK;
}

/* The tokens of a text alone, without special tokens in front. */
static enum ko_code take_text(struct ko_tokenizer *tokenizer, const char *text,
                              struct ko_answer *out, struct ko_error *err)
{
    struct ko_encoding encoding = {0};
    struct ko_error why = {0};
    size_t first = 0;
    *out = (struct ko_answer){.reason = KO_TARGET_EMPTY};
    if (!text || !*text) {
        return KO_OK;
    }
    enum ko_code code = ko_prompt_encode(tokenizer, text, strlen(text), &encoding, &why);
    if (code == KO_E_INPUT) {
        out->reason = KO_TEXT_REFUSED;
        return KO_OK;
    }
    if (code != KO_OK) {
        return ko_fail(err, code, "%s", why.text);
    }
    while (first < encoding.n && encoding.special[first]) {
        first++;
    }
    if (first < encoding.n) {
        size_t end = first;
        while (end < encoding.n && encoding.blank[end]) {
            end++;
        }
        code = take_ids(encoding.id + first, encoding.n - first, out, err);
        out->n_blank = (int32_t)(end - first);
        out->text = end < encoding.n ? encoding.id[end] : -1;
    }
    ko_encoding_free(&encoding);
    return code;
}

static enum ko_code find_answer(struct ko_tokenizer *tokenizer, const char *text, const int32_t *id,
                                size_t n_ids, struct ko_answer *out, struct ko_error *err)
{
    return n_ids > 0 ? take_ids(id, n_ids, out, err) : take_text(tokenizer, text, out, err);
}

/* Whether the last row's position is one of the model's. */
static bool positions_fit(const struct ko_audit *audit, const struct ko_prompt *p)
{
    return audit->max_tokens == 0 ||
           ko_prompt_turn(p, 0, ko_prompt_most_rows(p) - 1) < audit->max_tokens;
}

static enum ko_code score_answers(const struct ko_audit *audit, const struct ko_fact *fact,
                                  struct ko_prompt *p, struct ko_error *err)
{
    const struct ko_fact_embedded *e = fact->embedded;
    struct ko_answer answer = {0}, foil = {0};
    enum ko_code code =
        find_answer(audit->tokenizer, fact->target, e->target_id, e->n_target_ids, &answer, err);
    if (code == KO_OK) {
        code = ko_prompt_place_answer(audit, &answer, p, err);
    }
    if (code == KO_OK && p->reason == KO_RUNNABLE && !positions_fit(audit, p)) {
        p->reason = KO_ANSWER_TOO_LONG;
    }
    if (code == KO_OK && p->reason == KO_RUNNABLE) {
        code = find_answer(audit->tokenizer, fact->foil, e->foil_id, e->n_foil_ids, &foil, err);
    }
    if (code == KO_OK && p->reason == KO_RUNNABLE) {
        p->foil_state = ko_foil_judge(audit->score, &answer, &foil, audit->vocabulary, &p->foil);
    }
    ko_answer_free(&answer);
    ko_answer_free(&foil);
    return code;
}

enum ko_code ko_prompt_fill_embedded(const struct ko_audit *audit, const struct ko_fact *fact,
                                     struct ko_prompt *p, struct ko_error *err)
{
    enum ko_code code = check_model(audit, fact->embedded, err);
    if (code == KO_OK) {
        code = take_rows(fact->embedded, p, err);
    }
    if (code != KO_OK) {
        return code;
    }
    p->reason = ko_prompt_check_limits(audit, p);
    return p->reason == KO_RUNNABLE ? score_answers(audit, fact, p, err) : KO_OK;
}

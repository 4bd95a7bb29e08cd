/* SPDX-License-Identifier: Apache-2.0 */
/* Audits a prompt that is a matrix of embeddings: its rows and positions under a model. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/prompt_answers.h"
#include "src/prompts/prompt_place.h"

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
    if (e->n_added > audit->n_added) {
        return ko_fail(err, KO_E_INPUT,
                       "its matrix has rows to add behind %d layers, and this model takes them "
                       "behind %d at most, export it with this model",
                       e->n_added, audit->n_added);
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
    p->n_added = e->n_added;
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
    return p->reason == KO_RUNNABLE ? ko_prompt_place_answers(audit, fact, NULL, p, err) : KO_OK;
}

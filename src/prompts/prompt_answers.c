/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the scored tokens of a prompt's answers under the rule, and judges foil and options. */
#include "src/prompts/prompt_answers.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/prompt_place.h"

/* Rows that fit behind the prompt's; negative: it has too many itself. */
static int32_t room_behind(const struct ko_audit *audit, const struct ko_prompt *p)
{
    const int32_t most = audit->max_tokens;
    const int32_t room =
        (most > 0 && most < KO_PROMPT_TOKENS ? most : KO_PROMPT_TOKENS) - p->n_tokens;
    const int32_t turns = most > 0 ? most - ko_prompt_turn(p, 0, p->n_tokens) : room;
    return turns < room ? turns : room;
}

enum ko_reason ko_prompt_check_limits(const struct ko_audit *audit, const struct ko_prompt *p)
{
    if (room_behind(audit, p) < 0) {
        return KO_PROMPT_TOO_LONG;
    }
    for (int32_t i = 0; i < p->n_tokens; i++) {
        if (p->token[i] >= audit->vocabulary) {
            return KO_TOKEN_OUTSIDE_VOCABULARY;
        }
    }
    return KO_RUNNABLE;
}

/* Appends tokens of the answer to the prompt's. */
static enum ko_code append_tokens(struct ko_prompt *p, const int32_t *token, int32_t n,
                                  struct ko_error *err)
{
    const size_t before = (size_t)p->n_tokens, after = before + (size_t)n;
    int32_t *tokens = ko_new(after, sizeof *tokens, err);
    uint8_t *in_subject = ko_new(after, sizeof *in_subject, err);
    if (!tokens || !in_subject) {
        free(tokens);
        free(in_subject);
        return KO_E_MEMORY;
    }
    memcpy(tokens, p->token, before * sizeof *tokens);
    memcpy(tokens + before, token, (size_t)n * sizeof *tokens);
    memcpy(in_subject, p->in_subject, before);
    free(p->token);
    free(p->in_subject);
    p->token = tokens;
    p->in_subject = in_subject;
    p->n_tokens = (int32_t)after;
    p->n_appended = n;
    return KO_OK;
}

/* Why an answer cannot be scored behind the prompt's tokens; KO_RUNNABLE: it can. */
static enum ko_reason judge_answer(const struct ko_audit *audit, const struct ko_answer *answer,
                                   const struct ko_prompt *p)
{
    if (answer->reason != KO_RUNNABLE || audit->score == KO_SCORE_RAW_FIRST_TOKEN) {
        return answer->reason;
    }
    if (audit->score == KO_SCORE_WHOLE_ANSWER) {
        for (int32_t k = 0; k < answer->n; k++) {
            if (answer->token[k] >= audit->vocabulary) {
                return KO_TOKEN_OUTSIDE_VOCABULARY;
            }
        }
        return answer->n - 1 > room_behind(audit, p) ? KO_ANSWER_TOO_LONG : KO_RUNNABLE;
    }
    const bool blank = answer->n_blank > 0 && audit->score != KO_SCORE_FIRST_TEXT;
    return answer->text < 0 || blank ? KO_TARGET_BLANK : KO_RUNNABLE;
}

/* The scored tokens of an answer that can be scored: *n of them. Borrowed. */
static const int32_t *scored_tokens(const struct ko_audit *audit, const struct ko_answer *answer,
                                    int32_t *n)
{
    const bool whole = audit->score == KO_SCORE_WHOLE_ANSWER;
    const bool raw = audit->score == KO_SCORE_RAW_FIRST_TOKEN;
    *n = whole ? answer->n : 1;
    return whole || raw ? answer->token : &answer->text;
}

/* Sets the answer's scored tokens, or the reason why there is no such token. */
static enum ko_code place_answer(const struct ko_audit *audit, const struct ko_answer *answer,
                                 struct ko_prompt *p, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    p->reason = judge_answer(audit, answer, p);
    if (p->reason != KO_RUNNABLE) {
        return KO_OK;
    }
    if (audit->score == KO_SCORE_FIRST_TEXT && answer->n_blank > 0) {
        code = append_tokens(p, answer->token, answer->n_blank, err);
        p->reason = code == KO_OK ? ko_prompt_check_limits(audit, p) : p->reason;
    }
    int32_t n = 0;
    const int32_t *token = scored_tokens(audit, answer, &n);
    p->rest = code == KO_OK ? ko_new((size_t)n - 1, sizeof *p->rest, err) : NULL;
    if (!p->rest) {
        return KO_E_MEMORY;
    }
    memcpy(p->rest, token + 1, ((size_t)n - 1) * sizeof *p->rest);
    p->n_rest = n - 1;
    p->target = token[0];
    p->target_blank = audit->score == KO_SCORE_RAW_FIRST_TOKEN && answer->n_blank > 0;
    if (p->reason == KO_RUNNABLE && p->target >= audit->vocabulary) {
        p->reason = KO_TOKEN_OUTSIDE_VOCABULARY;
    }
    return KO_OK;
}

/* Whether a choice can be scored behind the prompt with what was appended for the target. */
static bool is_scored(const struct ko_audit *audit, const struct ko_answer *answer,
                      const struct ko_answer *target, const struct ko_prompt *p)
{
    int32_t n = 0;
    if (judge_answer(audit, answer, p) != KO_RUNNABLE ||
        (audit->score == KO_SCORE_FIRST_TEXT && !ko_answer_has_same_blanks(answer, target))) {
        return false;
    }
    return scored_tokens(audit, answer, &n)[0] < audit->vocabulary;
}

/* Sets the choices from their answers [n]. */
static enum ko_code place_choices(const struct ko_audit *audit, const struct ko_fact *fact,
                                  const struct ko_answer *answer, const struct ko_answer *target,
                                  struct ko_prompt *p, struct ko_error *err)
{
    struct ko_choices *choices = &p->choices;
    choices->item = ko_new(fact->n_choices, sizeof *choices->item, err);
    if (!choices->item) {
        return KO_E_MEMORY;
    }
    for (size_t k = 0; k < fact->n_choices; k++) {
        struct ko_choice *choice = &choices->item[choices->n++];
        choice->kind = fact->choice[k].kind;
        if (!is_scored(audit, &answer[k], target, p)) {
            p->reason = choice->kind & KO_CHOICE_OPTION ? KO_OPTION_NOT_SCORED : p->reason;
            continue;
        }
        const int32_t *token = scored_tokens(audit, &answer[k], &choice->n);
        choice->token = ko_new((size_t)choice->n, sizeof *choice->token, err);
        if (!choice->token) {
            return KO_E_MEMORY;
        }
        memcpy(choice->token, token, (size_t)choice->n * sizeof *token);
    }
    if (p->reason == KO_RUNNABLE && ko_choices_have_equal_options(choices)) {
        p->reason = KO_OPTIONS_ALIKE;
    }
    return p->reason == KO_RUNNABLE ? ko_choices_arrange(choices, err) : KO_OK;
}

/* The first right answer that can be scored, the fact's target before the others; if there is none,
   the target, or else the first right answer. */
static size_t choose_target(const struct ko_audit *audit, const struct ko_fact *fact,
                            const struct ko_answer *answer, const struct ko_prompt *p)
{
    size_t best = 0;
    int32_t best_rank = -1;
    for (size_t k = 0; k < fact->n_choices; k++) {
        const bool right = fact->choice[k].kind & KO_CHOICE_RIGHT;
        const bool runs = judge_answer(audit, &answer[k], p) == KO_RUNNABLE;
        const int32_t rank = 2 * runs + fact->choice[k].is_target;
        if (right && rank > best_rank) {
            best = k;
            best_rank = rank;
        }
    }
    return best;
}

/* Whether the fact says which of its choices is right. */
static bool has_right(const struct ko_fact *fact)
{
    bool has = false;
    for (size_t k = 0; k < fact->n_choices; k++) {
        has = has || (fact->choice[k].kind & KO_CHOICE_RIGHT);
    }
    return has;
}

/* The tokens of an answer: the given ones [n_ids], or those of the text. */
static enum ko_code find_answer(const struct ko_audit *audit, const struct ko_encoded *encoded,
                                const char *text, const int32_t *id, size_t n_ids,
                                struct ko_answer *out, struct ko_error *err)
{
    if (n_ids > 0) {
        return ko_answer_take(id, n_ids, out, err);
    }
    return encoded
               ? ko_answer_find(audit->tokenizer, encoded->text, encoded->encoding, text, out, err)
               : ko_answer_find_alone(audit->tokenizer, text, out, err);
}

static enum ko_code score_choices(const struct ko_audit *audit, const struct ko_fact *fact,
                                  const struct ko_encoded *encoded, struct ko_prompt *p,
                                  struct ko_error *err)
{
    struct ko_answer *answer = ko_new(fact->n_choices, sizeof *answer, err);
    enum ko_code code = answer ? KO_OK : KO_E_MEMORY;
    for (size_t k = 0; code == KO_OK && k < fact->n_choices; k++) {
        const struct ko_fact_choice *choice = &fact->choice[k];
        code =
            find_answer(audit, encoded, choice->text, choice->id, choice->n_ids, &answer[k], err);
    }
    if (code == KO_OK && !has_right(fact)) {
        p->reason = KO_TARGET_EMPTY;
    } else if (code == KO_OK) {
        const size_t target = choose_target(audit, fact, answer, p);
        code = place_answer(audit, &answer[target], p, err);
        if (code == KO_OK && p->reason == KO_RUNNABLE) {
            code = place_choices(audit, fact, answer, &answer[target], p, err);
        }
    }
    for (size_t k = 0; answer && k < fact->n_choices; k++) {
        ko_answer_free(&answer[k]);
    }
    free(answer);
    p->foil = -1;
    p->foil_state = fact->foil ? KO_FOIL_BESIDE_CHOICES : KO_FOIL_ABSENT;
    return code;
}

enum ko_code ko_prompt_place_answers(const struct ko_audit *audit, const struct ko_fact *fact,
                                     const struct ko_encoded *encoded, struct ko_prompt *p,
                                     struct ko_error *err)
{
    static const struct ko_fact_embedded no_ids = {0};
    const struct ko_fact_embedded *ids = fact->embedded ? fact->embedded : &no_ids;
    struct ko_answer answer = {0}, foil = {0};
    if (fact->n_choices > 0) {
        return score_choices(audit, fact, encoded, p, err);
    }
    enum ko_code code =
        find_answer(audit, encoded, fact->target, ids->target_id, ids->n_target_ids, &answer, err);
    if (code == KO_OK) {
        code = place_answer(audit, &answer, p, err);
    }
    if (code == KO_OK && p->reason == KO_RUNNABLE) {
        code = find_answer(audit, encoded, fact->foil ? fact->foil : "", ids->foil_id,
                           ids->n_foil_ids, &foil, err);
    }
    if (code == KO_OK && p->reason == KO_RUNNABLE) {
        p->foil_state = ko_foil_judge(audit->score, &answer, &foil, audit->vocabulary, &p->foil);
    }
    ko_answer_free(&answer);
    ko_answer_free(&foil);
    return code;
}

int32_t ko_prompt_n_entries(const struct ko_prompt *prompt, int32_t sequence)
{
    int32_t n = 0;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        n += ko_prompt_choice_sequence(prompt, c) == sequence ? ko_prompt_choice_length(prompt, c)
                                                              : 0;
    }
    return n;
}

int32_t ko_prompt_longest_answer(const struct ko_prompt *prompt)
{
    int32_t most = 0;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        const int32_t n = ko_prompt_choice_length(prompt, c);
        most = n > most ? n : most;
    }
    return most;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizes an answer after its prompt and finds the token to score. It also judges whether the foil
   can be compared with the answer. */
#include "src/prompts/answers/answer.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/tokenizer/text/unicode.h"

const char *const ko_score_words[KO_N_SCORES] = {
#define X(name, word) word,
    KO_SCORES(X)
#undef X
};

const char *const ko_answer_rows_words[KO_N_ANSWER_ROWS] = {
#define X(name, word) word,
    KO_ANSWER_ROWS(X)
#undef X
};

const char *ko_foil_sentence(enum ko_foil foil)
{
    static const char *const sentence[KO_N_FOILS] = {
#define X(name, sentence) sentence,
        KO_FOILS(X)
#undef X
    };
    return sentence[foil];
}

enum ko_code ko_prompt_encode(struct ko_tokenizer *tokenizer, const char *text, size_t n_bytes,
                              struct ko_encoding *out, struct ko_error *err)
{
    enum ko_code code = ko_tokenizer_encode(tokenizer, text, n_bytes, out, err);
    size_t n = code == KO_OK ? out->n : 0;
    while (n > 0 && out->special[n - 1]) {
        n--;
    }
    /* An empty text keeps all its special tokens: they may stand before the text or after it. */
    if (n > 0) {
        out->n = n;
    }
    return code;
}

/* The tokens of `full` from `from` on. */
static enum ko_code take_tokens(const struct ko_encoding *full, size_t from, struct ko_answer *out,
                                struct ko_error *err)
{
    size_t end = from;
    while (end < full->n && full->blank[end]) {
        end++;
    }
    out->token = ko_new(full->n - from, sizeof *out->token, err);
    if (!out->token) {
        return KO_E_MEMORY;
    }
    memcpy(out->token, full->id + from, (full->n - from) * sizeof *out->token);
    out->n = (int32_t)(full->n - from);
    out->n_blank = (int32_t)(end - from);
    out->text = end < full->n ? full->id[end] : -1;
    return KO_OK;
}

enum ko_code ko_answer_find(struct ko_tokenizer *tokenizer, const char *text,
                            const struct ko_encoding *prompt, const char *answer,
                            struct ko_answer *out, struct ko_error *err)
{
    struct ko_text whole = {0};
    struct ko_encoding full = {0};
    struct ko_error why = {0};
    size_t n = strlen(answer);
    *out = (struct ko_answer){.reason = KO_TARGET_EMPTY};
    ko_utf8_strip(&answer, &n);
    if (n == 0) {
        return KO_OK;
    }
    ko_text_add(&whole, "%s ", text);
    ko_text_add_bytes(&whole, answer, n);
    enum ko_code code = ko_text_check(&whole, err);
    if (code == KO_OK) {
        code = ko_prompt_encode(tokenizer, ko_text_str(&whole), whole.n, &full, &why);
    }
    if (code == KO_E_INPUT) {
        out->reason = KO_TEXT_REFUSED;
        code = KO_OK;
    } else if (code != KO_OK) {
        code = why.code != KO_OK ? ko_fail(err, code, "%s", why.text) : code;
    } else {
        bool begins = full.n > prompt->n;
        for (size_t i = 0; begins && i < prompt->n; i++) {
            begins = full.id[i] == prompt->id[i];
        }
        out->reason = begins ? KO_RUNNABLE : KO_TARGET_MERGES;
        code = begins ? take_tokens(&full, prompt->n, out, err) : KO_OK;
    }
    ko_text_free(&whole);
    ko_encoding_free(&full);
    return code;
}

enum ko_code ko_answer_find_alone(struct ko_tokenizer *tokenizer, const char *answer,
                                  struct ko_answer *out, struct ko_error *err)
{
    struct ko_encoding encoding = {0};
    struct ko_error why = {0};
    size_t first = 0;
    *out = (struct ko_answer){.reason = KO_TARGET_EMPTY};
    if (!*answer) {
        return KO_OK;
    }
    enum ko_code code = ko_prompt_encode(tokenizer, answer, strlen(answer), &encoding, &why);
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
        out->reason = KO_RUNNABLE;
        code = take_tokens(&encoding, first, out, err);
    }
    ko_encoding_free(&encoding);
    return code;
}

enum ko_code ko_answer_take(const int32_t *id, size_t n, struct ko_answer *out,
                            struct ko_error *err)
{
    *out = (struct ko_answer){.reason = KO_RUNNABLE, .n = (int32_t)n, .text = id[0]};
    out->token = ko_new(n, sizeof *out->token, err);
    if (!out->token) {
        return KO_E_MEMORY;
    }
    memcpy(out->token, id, n * sizeof *out->token);
    return KO_OK;
}

void ko_answer_free(struct ko_answer *answer)
{
    free(answer->token);
    *answer = (struct ko_answer){0};
}

int32_t ko_answer_first(const struct ko_answer *answer)
{
    return answer->n > 0 ? answer->token[0] : -1;
}

bool ko_answer_has_same_blanks(const struct ko_answer *a, const struct ko_answer *b)
{
    return a->n_blank == b->n_blank &&
           memcmp(a->token, b->token, (size_t)a->n_blank * sizeof *a->token) == 0;
}

enum ko_foil ko_foil_judge(enum ko_score score, const struct ko_answer *answer,
                           const struct ko_answer *foil, int32_t vocabulary, int32_t *token)
{
    bool raw = score == KO_SCORE_RAW_FIRST_TOKEN;
    int32_t its = raw ? ko_answer_first(foil) : foil->text;
    int32_t right = raw ? ko_answer_first(answer) : answer->text;
    *token = -1;
    if (foil->reason == KO_TEXT_REFUSED) {
        return KO_FOIL_REFUSED;
    }
    if (foil->reason != KO_RUNNABLE) {
        return foil->reason == KO_TARGET_EMPTY ? KO_FOIL_ABSENT : KO_FOIL_MERGES;
    }
    if (score == KO_SCORE_WHOLE_ANSWER) {
        return KO_FOIL_NOT_WHOLE;
    }
    if (score == KO_SCORE_FIRST_TOKEN && foil->n_blank > 0) {
        return KO_FOIL_BLANK;
    }
    if (!raw && !ko_answer_has_same_blanks(answer, foil)) {
        return KO_FOIL_OTHER_BLANKS;
    }
    if (its < 0 || its >= vocabulary) {
        return KO_FOIL_OUTSIDE_VOCABULARY;
    }
    if (its == right) {
        return KO_FOIL_IS_ANSWER;
    }
    *token = its;
    return KO_FOIL_SCORED;
}

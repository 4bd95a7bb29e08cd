/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenises an answer after a text and prints the result, as text or as JSON. */
#include "src/cli/answer_report.h"

#include <string.h>

#include "src/formats/json_out.h"
#include "src/formats/table.h"

enum { LABEL_WIDTH = 12, RULE_WIDTH = 16 };

enum ko_code ko_answer_report_make(struct ko_tokenizer *tokenizer, const char *text,
                                   const char *answer, struct ko_answer *out, struct ko_error *err)
{
    struct ko_encoding encoding = {0};
    enum ko_code code = ko_prompt_encode(tokenizer, text, strlen(text), &encoding, err);
    if (code == KO_OK) {
        code = ko_answer_find(tokenizer, text, &encoding, answer, out, err);
    }
    ko_encoding_free(&encoding);
    return code;
}

static const char *piece_of(const struct ko_tokenizer *tokenizer, int32_t id)
{
    const char *piece = ko_tokenizer_piece(tokenizer, id);
    return piece ? piece : "?";
}

static void add_token(const struct ko_tokenizer *tokenizer, int32_t id, struct ko_text *out)
{
    ko_text_add(out, "%s (id %d)", piece_of(tokenizer, id), id);
}

/* The token that the rule scores. -1: the rule skips the prompt. */
static int32_t scored_token(const struct ko_answer *answer, enum ko_score score)
{
    if (answer->reason != KO_RUNNABLE) {
        return -1;
    }
    if (score == KO_SCORE_RAW_FIRST_TOKEN || score == KO_SCORE_WHOLE_ANSWER) {
        return ko_answer_first(answer);
    }
    return score == KO_SCORE_FIRST_TOKEN && answer->n_blank > 0 ? -1 : answer->text;
}

static void print_rule(const struct ko_tokenizer *tokenizer, const struct ko_answer *answer,
                       enum ko_score score, struct ko_text *out)
{
    const int32_t id = scored_token(answer, score);
    ko_pad(out, score == KO_SCORE_FIRST_TOKEN ? "answer" : "", LABEL_WIDTH, false);
    ko_pad(out, ko_score_words[score], RULE_WIDTH, false);
    if (id < 0) {
        ko_text_add(
            out, "skipped: %s",
            ko_reason_sentence(answer->reason != KO_RUNNABLE ? answer->reason : KO_TARGET_BLANK));
    } else {
        ko_text_add(out, "scores ");
        add_token(tokenizer, id, out);
    }
    for (int32_t k = 0; id >= 0 && score == KO_SCORE_FIRST_TEXT && k < answer->n_blank; k++) {
        ko_text_add(out, k == 0 ? ", the prompt ends with " : " ");
        add_token(tokenizer, answer->token[k], out);
    }
    for (int32_t k = 1; id >= 0 && score == KO_SCORE_WHOLE_ANSWER && k < answer->n; k++) {
        ko_text_add(out, " ");
        add_token(tokenizer, answer->token[k], out);
    }
    ko_text_add(out, "\n");
}

void ko_answer_report_print(const struct ko_tokenizer *tokenizer, const struct ko_answer *answer,
                            struct ko_text *out)
{
    ko_text_add(out, "\n");
    for (int score = 0; score < KO_N_SCORES; score++) {
        print_rule(tokenizer, answer, (enum ko_score)score, out);
    }
}

void ko_answer_report_json(const struct ko_tokenizer *tokenizer, const struct ko_answer *answer,
                           json_object *to)
{
    json_object *object = ko_json_put_object(to, "answer");
    for (int score = 0; score < KO_N_SCORES; score++) {
        const int32_t id = scored_token(answer, (enum ko_score)score);
        json_object *rule = ko_json_put_object(object, ko_score_words[score]);
        ko_json_put_int(rule, "id", id);
        ko_json_put_text(rule, "piece", id < 0 ? NULL : piece_of(tokenizer, id));
        ko_json_put_ints(rule, "appended", answer->token,
                         score == KO_SCORE_FIRST_TEXT ? answer->n_blank : 0);
        if (score == KO_SCORE_WHOLE_ANSWER) {
            ko_json_put_ints(rule, "ids", answer->token, answer->n);
        }
    }
}

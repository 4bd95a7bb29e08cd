/* SPDX-License-Identifier: Apache-2.0 */
/* `inspect --answer`: the tokens of an answer after a text, and which of them each rule scores. */
#ifndef KO_CLI_ANSWER_REPORT_H
#define KO_CLI_ANSWER_REPORT_H

#include <json-c/json.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/prompts/answers/answer.h"
#include "src/tokenizer/tokenizer.h"

/* Tokenises the answer after the text. Free with ko_answer_free. */
KO_MUST_CHECK enum ko_code ko_answer_report_make(struct ko_tokenizer *tokenizer, const char *text,
                                                 const char *answer, struct ko_answer *out,
                                                 struct ko_error *err);
void ko_answer_report_print(const struct ko_tokenizer *tokenizer, const struct ko_answer *answer,
                            struct ko_text *out);
/* Adds "answer" to the object. */
void ko_answer_report_json(const struct ko_tokenizer *tokenizer, const struct ko_answer *answer,
                           json_object *to);

#endif

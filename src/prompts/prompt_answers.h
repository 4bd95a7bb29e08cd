/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the audit that is about answers. Only the files of this folder use it. */
#ifndef KO_PROMPTS_PROMPT_ANSWERS_H
#define KO_PROMPTS_PROMPT_ANSWERS_H

#include "src/prompts/prompt.h"

/* A prompt's text and its tokens, without answers. */
struct ko_encoded {
    const char *text;
    const struct ko_encoding *encoding;
};

/* Sets target, rest, foil and choices of a prompt whose tokens are placed, and appends the blank
   tokens of `first-text`; or sets the reason why it cannot be run. With choices there is no foil.
   encoded: NULL for a matrix, whose answers are tokens already or are tokenized alone. */
KO_MUST_CHECK enum ko_code ko_prompt_place_answers(const struct ko_audit *audit,
                                                   const struct ko_fact *fact,
                                                   const struct ko_encoded *encoded,
                                                   struct ko_prompt *p, struct ko_error *err);
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Token sets: named sets of positions in a prompt.

   first, bos, first-text, last, subject, subject-last, relation, context, after-subject, all,
   position:K, a named span, NAME:K (the K-th run of a named span, from 0), A\B\C (A without B and C), random-like:SET:SEED (SET is one plain set or
   span name). */
#ifndef KO_PROMPTS_TOKEN_SET_H
#define KO_PROMPTS_TOKEN_SET_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/prompts/prompt.h"

/* Checks that `name` can be parsed. span_names: the spans that any prompt of the file has (NULL: no
   spans). KO_E_INPUT suggests the nearest known set. */
KO_MUST_CHECK enum ko_code ko_token_set_check(const char *name, const struct ko_strings *span_names,
                                              struct ko_error *err);

/* Sets member[i] to 1 where position i is in the set, else to 0, for i < T. `name` must have passed
   the check. */
KO_MUST_CHECK enum ko_code ko_token_set_eval(const char *name, const struct ko_prompt *prompt,
                                             uint8_t *member, struct ko_error *err);

#endif

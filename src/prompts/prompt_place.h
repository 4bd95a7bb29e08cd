/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of the audit that prompts of text and matrices share, for this folder alone. */
#ifndef KO_PROMPTS_PROMPT_PLACE_H
#define KO_PROMPTS_PROMPT_PLACE_H

#include "src/prompts/prompt.h"

/* KO_RUNNABLE, or why the tokens of the prompt cannot be run. */
enum ko_reason ko_prompt_check_limits(const struct ko_audit *audit, const struct ko_prompt *p);
/* Fills in everything but id and spans of a prompt that is a matrix. */
KO_MUST_CHECK enum ko_code ko_prompt_fill_embedded(const struct ko_audit *audit,
                                                   const struct ko_fact *fact, struct ko_prompt *p,
                                                   struct ko_error *err);

#endif

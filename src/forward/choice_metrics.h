/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from the log-probabilities of a prompt's choices: several right answers, and options. */
#ifndef KO_FORWARD_CHOICE_METRICS_H
#define KO_FORWARD_CHOICE_METRICS_H

#include "src/plan/stored_metrics.h"
#include "src/prompts/prompt.h"

/* The stored values of a cell or clean run. choice [ko_prompt_n_choices]: the log-probability of all
   scored tokens of each choice, and the largest of their ranks; NaN and -1 where it is not scored.
   All values are NaN or -1 where a choice that should be scored is not. */
struct ko_choice_metrics ko_choice_metrics_of(const struct ko_prompt *prompt,
                                              const struct ko_answer_metrics *choice);
/* The log-probability of an option among the options: log(p / sum of p over the options), nats. NaN
   where the prompt has no option of that number. Options count in their order among the choices,
   where they come alone. */
float ko_option_logprob(const struct ko_prompt *prompt, const struct ko_answer_metrics *choice,
                        int32_t option);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Sums right answers, and compares options with each other. Everything is computed in double
   precision from the stored log-probabilities. */
#include "src/forward/choice_metrics.h"

#include <math.h>

#include "src/forward/record.h"

/* log sum exp of the log-probabilities of the choices of a kind, without nested ones if asked. -inf:
   there is none. */
static double log_sum(const struct ko_prompt *prompt, const struct ko_answer_metrics *choice,
                      uint8_t kind, bool without_nested)
{
    double top = -INFINITY, sum = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
            const bool nested =
                without_nested && prompt->choices.n > 0 && prompt->choices.item[c].nested;
            if (!(ko_prompt_choice_kind(prompt, c) & kind) || nested ||
                ko_prompt_choice_length(prompt, c) == 0) {
                continue;
            }
            const double logprob = (double)choice[c].logprob;
            if (pass == 0) {
                top = fmax(top, logprob);
            } else {
                sum += exp(logprob - top);
            }
        }
    }
    return isfinite(top) ? top + log(sum) : top;
}

static bool has_kind(const struct ko_prompt *prompt, uint8_t kind)
{
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        if (ko_prompt_choice_kind(prompt, c) & kind) {
            return true;
        }
    }
    return false;
}

/* 1 + options that are more probable than the most probable right one. */
static int32_t rank_of_option(const struct ko_prompt *prompt,
                              const struct ko_answer_metrics *choice)
{
    float best = -INFINITY;
    int32_t rank = 1;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        const bool right = ko_prompt_choice_kind(prompt, c) & KO_CHOICE_RIGHT;
        best = right && choice[c].logprob > best ? choice[c].logprob : best;
    }
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        rank += choice[c].logprob > best;
    }
    return rank;
}

/* Whether every choice that is scored has a value. */
static bool is_whole(const struct ko_prompt *prompt, const struct ko_answer_metrics *choice)
{
    bool whole = true;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        whole = whole && (ko_prompt_choice_length(prompt, c) == 0 ||
                          (isfinite(choice[c].logprob) && choice[c].rank >= 1));
    }
    return whole;
}

struct ko_choice_metrics ko_choice_metrics_of(const struct ko_prompt *prompt,
                                              const struct ko_answer_metrics *choice)
{
    struct ko_choice_metrics out = ko_no_choice_metrics;
    if (prompt->reason != KO_RUNNABLE || !is_whole(prompt, choice)) {
        return out;
    }
    out.sum_logprob = (float)log_sum(prompt, choice, KO_CHOICE_RIGHT, true);
    out.correct = 0;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        const bool right = ko_prompt_choice_kind(prompt, c) & KO_CHOICE_RIGHT;
        out.correct = right && choice[c].rank == 1 ? 1 : out.correct;
    }
    if (has_kind(prompt, KO_CHOICE_OPTION)) {
        out.option_rank = rank_of_option(prompt, choice);
        out.correct = out.option_rank == 1;
    }
    return out;
}

float ko_option_logprob(const struct ko_prompt *prompt, const struct ko_answer_metrics *choice,
                        int32_t option)
{
    if (prompt->reason != KO_RUNNABLE || option >= prompt->choices.n ||
        !(prompt->choices.item[option].kind & KO_CHOICE_OPTION) || !is_whole(prompt, choice)) {
        return NAN;
    }
    return (float)((double)choice[option].logprob -
                   log_sum(prompt, choice, KO_CHOICE_OPTION, false));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the clean runs of an evaluation into the order of a plan, and frees them. */
#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/forward/record.h"
#include "src/run/evaluation.h"

/* Allocates the rows of n runs of a plan. */
static enum ko_code new_rows(const struct ko_plan *plan, size_t n, struct ko_evaluation_rows *rows,
                             struct ko_error *err)
{
    const size_t each = (size_t)plan->n_answer_tokens, n_options = (size_t)plan->n_options;
    bool good = (rows->logprob = ko_new(n, sizeof *rows->logprob, err)) &&
                (rows->rank = ko_new(n, sizeof *rows->rank, err)) &&
                (rows->top1 = ko_new(n, sizeof *rows->top1, err));
    if (good && each > 0) {
        good = (rows->answer = ko_new(n * each, sizeof *rows->answer, err));
    }
    if (good && plan->n_choices > 0) {
        good = (rows->choice = ko_new(n, sizeof *rows->choice, err));
    }
    if (good && n_options > 0) {
        good = (rows->option_logprob = ko_new(n * n_options, sizeof *rows->option_logprob, err));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

/* Sets row `to` from run `at`; run: whether the model was evaluated. */
static void set_row(const struct ko_evaluation *evaluation, const struct ko_plan *plan, size_t to,
                    size_t at, bool run, const struct ko_evaluation_rows *rows)
{
    const size_t each = (size_t)plan->n_answer_tokens, n_options = (size_t)plan->n_options;
    const size_t n_before = (size_t)evaluation->n_answer_tokens;
    const size_t n_options_before = (size_t)evaluation->n_options;
    rows->logprob[to] = run ? evaluation->logprob[at] : NAN;
    rows->rank[to] = run ? evaluation->target_rank[at] : -1;
    rows->top1[to] = run ? evaluation->top1_id[at] : -1;
    for (size_t k = 0; k < each; k++) {
        rows->answer[to * each + k] =
            run && k < n_before ? evaluation->answer[at * n_before + k] : ko_no_answer_metrics;
    }
    if (rows->choice) {
        rows->choice[to] =
            run && evaluation->choice ? evaluation->choice[at] : ko_no_choice_metrics;
    }
    for (size_t k = 0; k < n_options; k++) {
        rows->option_logprob[to * n_options + k] =
            run && k < n_options_before ? evaluation->option_logprob[at * n_options_before + k]
                                        : NAN;
    }
}

enum ko_code ko_evaluation_of_plan(const struct ko_evaluation *evaluation,
                                   const struct ko_plan *plan, struct ko_evaluation_rows *out,
                                   struct ko_error *err)
{
    const size_t n_facts = (size_t)plan->n_facts;
    *out = (struct ko_evaluation_rows){0};
    if (new_rows(plan, (size_t)plan->n_models * n_facts, out, err) != KO_OK) {
        ko_evaluation_rows_free(out);
        return KO_E_MEMORY;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        const ptrdiff_t from = ko_strings_find(&evaluation->model, plan->model[m].name);
        for (size_t f = 0; f < n_facts; f++) {
            set_row(evaluation, plan, (size_t)m * n_facts + f,
                    from < 0 ? 0 : (size_t)from * n_facts + f, from >= 0, out);
        }
    }
    return KO_OK;
}

void ko_evaluation_rows_free(struct ko_evaluation_rows *rows)
{
    free(rows->logprob);
    free(rows->rank);
    free(rows->top1);
    free(rows->answer);
    free(rows->choice);
    free(rows->option_logprob);
    *rows = (struct ko_evaluation_rows){0};
}

void ko_evaluation_free(struct ko_evaluation *evaluation)
{
    ko_strings_free(&evaluation->model);
    free(evaluation->logprob);
    free(evaluation->target_rank);
    free(evaluation->top1_id);
    free(evaluation->reason);
    free(evaluation->target);
    free(evaluation->tokens_hash);
    free(evaluation->answer_hash);
    free(evaluation->answer_rank);
    free(evaluation->answer);
    free(evaluation->choice);
    free(evaluation->option_logprob);
    ko_strings_free(&evaluation->tokenizer_fingerprint);
    ko_strings_free(&evaluation->content_hash);
    *evaluation = (struct ko_evaluation){0};
}

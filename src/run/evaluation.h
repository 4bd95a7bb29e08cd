/* SPDX-License-Identifier: Apache-2.0 */
/* The clean runs of an evaluation cube, in the order of the inputs' prompts. */
#ifndef KO_RUN_EVALUATION_H
#define KO_RUN_EVALUATION_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"

struct ko_evaluation {
    struct ko_strings model; /* the models of the evaluation */
    int32_t n_facts;         /* of the inputs */
    float *logprob;          /* [model.n * n_facts], like the arrays below; NaN where not run */
    int32_t *target_rank;    /* -1 where not run */
    /* 1 where the answer is correct: the largest rank of any scored token; with options the right
       one's rank among them */
    int32_t *answer_rank;
    /* [model.n * n_facts, n_answer_tokens] the tokens of whole answers; NULL: one was scored */
    struct ko_answer_metrics *answer;
    int32_t n_answer_tokens;
    /* [model.n * n_facts] and [.., n_options]; NULL: no prompt has several right answers or options,
       no prompt has options */
    struct ko_choice_metrics *choice;
    float *option_logprob;
    int32_t n_options;
    int32_t *top1_id;
    uint8_t *reason;       /* why a prompt was not run */
    int32_t *target;       /* the answer's token, -1 where not run */
    uint64_t *tokens_hash; /* XXH3-64 of the prompt's token ids */
    uint64_t *answer_hash; /* of a whole answer's token ids */
    struct ko_strings tokenizer_fingerprint, content_hash; /* [model.n]; hash "": not known */
};

/* Reads a complete evaluation cube and matches its prompts to the facts of `inputs` by their ids.
   KO_E_INPUT if the cube is not an evaluation, is incomplete, lacks a model or prompt of the
   inputs, or has another text for a prompt. Free with ko_evaluation_free. */
KO_MUST_CHECK enum ko_code ko_evaluation_read(const char *path, const struct ko_inputs *inputs,
                                              struct ko_evaluation *out, struct ko_error *err);
void ko_evaluation_free(struct ko_evaluation *evaluation); /* leaves {0} */

/* The clean runs of the plan's models, in the plan's order, [n_models * n_facts]. Tokens of whole
   answers, [.., plan->n_answer_tokens], several answers and options, [.., plan->n_options], are NULL
   where the plan has none. All owned. */
struct ko_evaluation_rows {
    float *logprob;
    int32_t *rank, *top1;
    struct ko_answer_metrics *answer;
    struct ko_choice_metrics *choice;
    float *option_logprob;
};
KO_MUST_CHECK enum ko_code ko_evaluation_of_plan(const struct ko_evaluation *evaluation,
                                                 const struct ko_plan *plan,
                                                 struct ko_evaluation_rows *out,
                                                 struct ko_error *err);
void ko_evaluation_rows_free(struct ko_evaluation_rows *rows); /* leaves {0} */

/* Checks that the evaluation ran the same tokens and answers as the plan's prompts have. KO_E_INPUT
   naming the first model and prompt that differ. */
KO_MUST_CHECK enum ko_code ko_evaluation_check(const char *path,
                                               const struct ko_evaluation *evaluation,
                                               const struct ko_plan *plan, struct ko_error *err);
/* The content hash of a model's weights in the evaluation, "" where it is not known. Borrowed. */
const char *ko_evaluation_content_hash(const struct ko_evaluation *evaluation, const char *model);

#endif

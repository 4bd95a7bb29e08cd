/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cells: what the float64 oracle says (tests/oracle/make_golden.py writes them). */
#ifndef KO_TESTS_GOLDEN_FILE_H
#define KO_TESTS_GOLDEN_FILE_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"

struct golden {
    struct ko_strings prompt_id, route, feature_class;
    int32_t *size; /* [n_sizes] */
    char *windows; /* of a spec, as YAML without braces; NULL: runs of `size` layers; owned */
    int32_t n_prompts, n_routes, n_classes, n_sizes, n_layers, n_positions; /* n_layers: starts */
    double *logprob, *kl, *rank_gap; /* [prompt, route, class, size, layer] */
    int32_t *target_rank, *top1_id;  /* likewise */
    double *clean_logprob;           /* [prompt] */
    int32_t *clean_target_rank, *target_id;
    int32_t *token_id;     /* [prompt, position] */
    int32_t *subject_span; /* [prompt, 2] */
    double *heat_logprob;  /* [prompt, position, size, layer]; NULL: the file has no maps */
    /* Of whole answers (make_answers.py), whose logprob has all tokens. NULL: the first is scored */
    struct ko_strings answer_rows; /* the rule, one word; empty where the first token is scored */
    int32_t n_answer_tokens;
    int32_t *answer_id;                  /* [prompt, token] */
    double *answer_logprob, *answer_gap; /* [prompt, route, class, size, layer, token] */
    int32_t *answer_rank;                /* likewise */
};

KO_MUST_CHECK enum ko_code golden_read(const char *path, struct golden *out, struct ko_error *err);
void golden_free(struct golden *golden);

static inline int64_t golden_at(const struct golden *g, int32_t prompt, int32_t route,
                                int32_t class, int32_t size, int32_t layer)
{
    return ((((int64_t)prompt * g->n_routes + route) * g->n_classes + class) * g->n_sizes + size) *
               g->n_layers +
           layer;
}

#endif

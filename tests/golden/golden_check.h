/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a golden file's cells through the program and compares. */
#ifndef KO_TESTS_GOLDEN_CHECK_H
#define KO_TESTS_GOLDEN_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"

struct golden_case {
    const char *name;
    const char *checkpoint, *facts, *golden; /* paths */
    const struct ko_kernels *kernels;
    double bound;       /* on |logprob| and |kl| differences */
    int32_t row_budget; /* 0: default */
    int32_t n_prompts;  /* of the golden's, from the first; 0: all */
    bool streams;       /* the weights stream, layer by layer */
    int threads;        /* 0: two */
};

struct golden_result {
    int64_t n_cells, n_vacuous, n_heat,
        n_bad;            /* bad: beyond the bound, or a rank that differs with the gap beyond it */
    int64_t n_tokens_bad; /* token ids, spans, targets that differ */
    bool lacks_maps;      /* the golden has none */
    int32_t n_skipped;    /* prompts of the golden that the program does not run */
    int32_t n_batches;
    double worst_logprob, worst_kl, worst_clean;
    char first_bad[512];
    uint64_t bits; /* hash of every computed value */
};

KO_MUST_CHECK enum ko_code golden_compare(const struct golden_case *c, enum ko_precision precision,
                                          struct golden_result *out, struct ko_error *err);

#endif

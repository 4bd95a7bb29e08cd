/* SPDX-License-Identifier: Apache-2.0 */
/* Compares sampled cells of a cube with their recomputed values. */
#ifndef KO_CLI_VERIFICATION_H
#define KO_CLI_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/cli/sample.h"
#include "src/cube/read/read.h"
#include "src/forward/forward.h"
#include "src/run/inputs.h"

struct ko_verification {
    const char *path;           /* of the cube; borrowed */
    struct ko_options *options; /* borrowed */
    struct ko_cube_view *view;
    const struct ko_cube_axes *axes; /* borrowed from the view */
    struct ko_inputs inputs;         /* what the stored spec names */
    struct ko_plan *plan;            /* over the cube's routes, classes and windows */
    struct ko_sampled *cell;         /* [n_cells] */
    struct ko_metrics *again;        /* [n_cells] recomputed, each in a full forward pass */
    int64_t n_cells;
    /* [n_cells, n_answer_tokens] the tokens of whole answers in the cube, and recomputed; NULL where
       the cube has no whole answers */
    struct ko_answer_metrics *answer, *answer_again;
    int32_t n_answer_tokens; /* of the cube */
    /* Of several right answers and options (docs/cube.md, sum_logprob and option_logprob), in the
       cube and recomputed: sum [n_cells], option [n_cells, n_options]. NULL where the cube has none. */
    float *sum, *sum_again, *option, *option_again;
    double atol; /* nats */
};

/* Prints the verdict and, where the cube fails, the worst cells. *passed: no cell differs by more
   than the bound, and few differ in rank or first token, as near-ties make them. A comparison with
   NaN fails, except of two foils that are both NaN. */
KO_MUST_CHECK enum ko_code ko_verification_report(const struct ko_verification *v, FILE *out,
                                                  bool *passed, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A seeded sample of a cube's finished cells, for `verify`. */
#ifndef KO_CLI_SAMPLE_H
#define KO_CLI_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* One cell: its indices on the cube's axes, and its values in the cube. */
struct ko_sampled {
    int32_t model, prompt, route; /* prompt and route: on the heat axes where heat is set */
    int32_t class, size, start;
    int32_t source_position; /* of a heat route; else 0 */
    bool heat;
    double logprob, prob, kl;
    double foil_logprob; /* NaN where the cube has none */
    int32_t target_rank, top1_id;
};

/* What to draw. Borrowed. */
struct ko_sampling {
    const char *path;                /* of the cube, for errors */
    const struct ko_strings *models; /* names to draw from; empty: all */
    int64_t n;                       /* cells */
    uint64_t seed;
};

/* Draws at most n done cells without repetition: first a status entry (each is as likely), then one
   of its planned starts that are not vacuous. *out [*n_out]: free(). KO_E_INPUT where no cell is
   done. */
KO_MUST_CHECK enum ko_code ko_sample_cells(struct ko_cube_view *view,
                                           const struct ko_sampling *sampling,
                                           struct ko_sampled **out, int64_t *n_out,
                                           struct ko_error *err);

/* Reads the tokens of the whole answers of drawn cells [n]. *out [n, n_answer_tokens of the axes],
   NULL where that is 0: free(). */
KO_MUST_CHECK enum ko_code ko_sample_answers(struct ko_cube_view *view,
                                             const struct ko_sampled *cell, int64_t n,
                                             struct ko_answer_metrics **out, struct ko_error *err);

/* Reads what drawn cells [n] have of several right answers and options: *sum [n], their summed
   log-probability, and *option [n, n_options of the axes], as in the cube. NULL where the cube has no
   such dataset; free() both, also after a failure. */
KO_MUST_CHECK enum ko_code ko_sample_choices(struct ko_cube_view *view,
                                             const struct ko_sampled *cell, int64_t n, float **sum,
                                             float **option, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A seeded sample of a cube's finished cells, for `verify`. */
#ifndef KO_CLI_SAMPLE_H
#define KO_CLI_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"

/* One cell by the cube's axes, with what the cube says of it. */
struct ko_sampled {
    int32_t model, prompt, route; /* prompt and route on the heat axes where heat */
    int32_t class, size, start;
    int32_t source_position; /* heat alone */
    bool heat;
    double logprob, prob, kl;
    double foil_logprob; /* NaN where the cube has none */
    int32_t target_rank, top1_id;
};

/* Draws at most n cells with status done, without repetition: evenly over the statuses' entries,
   then over each entry's planned starts, with a value or not. models: names to keep (none: all).
   *out [*n_out]: free(). KO_E_INPUT where no cell is done. */
KO_MUST_CHECK enum ko_code ko_sample_cells(struct ko_cube_view *view,
                                           const struct ko_strings *models, int64_t n,
                                           uint64_t seed, struct ko_sampled **out, int64_t *n_out,
                                           struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Takes components out of the rows of branches while a sublayer finishes. */
#ifndef KO_MODELS_REMOVAL_H
#define KO_MODELS_REMOVAL_H

#include "src/models/pass.h"

/* Runs the sublayer's `finish` for rows [0, n), and takes out of the rows of branches what
   pass->rows->removals say. Arguments as struct ko_sublayer_kind's `finish`; changes `mixed`. */
KO_MUST_CHECK enum ko_code ko_removal_finish(const struct ko_pass *pass,
                                             const struct ko_sublayer *sublayer, int32_t n,
                                             float *x, float *mixed, int32_t ld_mixed,
                                             struct ko_error *err);

/* A step of kinds with two components (Zamba2's shared block): takes the component, one of the bits of
   kind->components, out of output [n, d_model]. Nothing where the pass takes out nothing. */
void ko_step_take_out(struct ko_steps *steps, const struct ko_sublayer *sublayer, uint8_t component,
                      float *output);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `plan --assume-prompts N`: assumes how many prompts a selection will keep. */
#ifndef KO_PREVIEW_ASSUME_H
#define KO_PREVIEW_ASSUME_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/spec/spec.h"

/* Narrows each selection that needs ranks to the first n_prompts prompts, in file order, that the
   plan selects for any model. `plan` is the plan of this spec. Blocks that select fewer, and blocks
   whose selection needs no ranks, stay as they are. A sample has been drawn in `plan` and is not
   drawn again. The caller builds the plan anew from the spec. */
KO_MUST_CHECK enum ko_code ko_assume_prompts(struct ko_spec *spec, const struct ko_plan *plan,
                                             int64_t n_prompts, struct ko_error *err);

#endif

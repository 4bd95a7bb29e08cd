/* SPDX-License-Identifier: Apache-2.0 */
/* `plan --assume-prompts N`: a guess at how many prompts a selection will leave. */
#ifndef KO_PREVIEW_ASSUME_H
#define KO_PREVIEW_ASSUME_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/spec/spec.h"

/* Narrows the selection of every block of the spec that needs ranks to the first n_prompts, in file
   order, of those that the plan built from it selects for any model; a block with fewer stays as it
   is, and so does one whose selection is known without an evaluation. A sample
   has been drawn by then and is not drawn again. The plan is to be built anew from the spec. */
KO_MUST_CHECK enum ko_code ko_assume_prompts(struct ko_spec *spec, const struct ko_plan *plan,
                                             int64_t n_prompts, struct ko_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The token in front of a model's prompts, chosen once the tokenizer is open. */
#ifndef KO_RUN_FRONT_H
#define KO_RUN_FRONT_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/models/model.h"
#include "src/spec/spec.h"
#include "src/tokenizer/tokenizer.h"

struct ko_front {
    int32_t bos_id;          /* for struct ko_audit; -1: the spec's `bos` needs no id */
    struct ko_strings notes; /* what the tokenizer's side files contradict or say in vain */
};

/* Finds the token that `bos` names. KO_E_INPUT "SPEC:LINE:COLUMN: MODEL: bos: ..." for a token that
   the tokenizer or the model lacks (the error names the nearest) and for an ambiguous `add`. Free
   with ko_front_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_front_decide(const struct ko_spec_model *spec,
                                           const struct ko_shape *shape,
                                           struct ko_tokenizer *tokenizer, struct ko_front *out,
                                           struct ko_error *err);
void ko_front_free(struct ko_front *front); /* leaves {0} */

#endif

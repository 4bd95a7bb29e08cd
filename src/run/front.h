/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in front of a model's prompts, decided once the tokenizer is open, and what the files
   beside it say against it. */
#ifndef KO_RUN_FRONT_H
#define KO_RUN_FRONT_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/models/model.h"
#include "src/spec/spec.h"
#include "src/tokenizer/tokenizer.h"

struct ko_front {
    int32_t bos_id;          /* of struct ko_audit; -1 where the spec's `bos` needs none */
    struct ko_strings notes; /* contradictions, and what is ignored: a line each */
};

/* Finds the token that `bos` means. KO_E_INPUT "SPEC:LINE:COLUMN: MODEL: bos: ..." for a token that
   the tokenizer or the model lacks (the nearest is named) and for an `add` that is not clear. Free
   with ko_front_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_front_decide(const struct ko_spec_model *spec,
                                           const struct ko_shape *shape,
                                           struct ko_tokenizer *tokenizer, struct ko_front *out,
                                           struct ko_error *err);
void ko_front_free(struct ko_front *front); /* leaves {0} */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Granite 3 and Granite 4: four multipliers, of the embedding, of the scores (instead of
   1 / sqrt(d_head)), of what sublayers add to the residual stream, and, as a divisor, of the
   logits. */
#ifndef KO_MODELS_FAMILIES_GRANITE_LIKE_H
#define KO_MODELS_FAMILIES_GRANITE_LIKE_H

#include "src/models/model.h"

struct ko_granite_multipliers {
    float attention, residual;
};

/* Reads the multipliers. Those of the embedding and the logits go to model->ends. */
void ko_granite_read_multipliers(struct ko_builder *b, struct ko_granite_multipliers *out);

#endif

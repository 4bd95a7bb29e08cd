/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the multipliers of Granite models. */
#include "src/models/families/granite_like.h"

#include "src/models/config.h"

void ko_granite_read_multipliers(struct ko_builder *b, struct ko_granite_multipliers *out)
{
    float embedding = 1, divisor = 1;
    ko_config_positive(b, "embedding_multiplier", 1, &embedding);
    ko_config_positive(b, "attention_multiplier", 1, &out->attention);
    ko_config_positive(b, "residual_multiplier", 1, &out->residual);
    ko_config_positive(b, "logits_scaling", 1, &divisor);
    b->model->ends.embedding_scale = embedding;
    b->model->ends.logit_scale = 1 / divisor;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The recurrent block of Griffin as a sublayer (De et al. 2024; transformers'
   RecurrentGemmaRecurrentBlock): a norm, the input projections x and y, the convolution of x without
   an activation, gates from it block by block, the real-gated linear recurrent unit, a gate of GELU
   from y, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_RGLRU_H
#define KO_MODELS_SUBLAYERS_RGLRU_H

#include "src/models/model.h"

/* What a family sets. */
struct ko_rglru_spec {
    int32_t width;    /* channels of the recurrence */
    int32_t n_blocks; /* of the gates' matrices; they divide the width */
    int32_t d_conv;
    const char *norm_name;
    struct ko_norm norm;
    const char *stem; /* in front of linear_x, conv_1d, rg_lru, ...: "temporal_block" */
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_rglru_add(struct ko_builder *b, const struct ko_rglru_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_rglru;

#endif

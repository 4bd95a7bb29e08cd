/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's block as a sublayer (Dao & Gu 2024; transformers' Mamba2Mixer): a norm, the input
   projection, the convolution of u, B and C, the state space in its attention form, the gated norm,
   the output projection. */
#ifndef KO_MODELS_SUBLAYERS_MAMBA2_H
#define KO_MODELS_SUBLAYERS_MAMBA2_H

#include "src/models/model.h"

/* What a family sets. The inner width is n_heads * d_head. */
struct ko_mamba2_spec {
    int32_t n_heads, d_head, n_groups, d_state, d_conv;
    float dt_min, dt_max; /* delta is clamped to them */
    const char *norm_name;
    struct ko_norm norm;  /* kind and eps; the eps is the gated norm's too */
    const char *stem;     /* in front of in_proj, conv1d, ...: "mixer" */
    bool bias, conv_bias; /* bias: of the input and the output projection */
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_mamba2_add(struct ko_builder *b, const struct ko_mamba2_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mamba2;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Gated DeltaNet as a sublayer (Yang et al. 2025; transformers' Qwen3NextGatedDeltaNet): a norm, the
   input projections, the convolution of q, k and v, the gated delta rule, a norm of each head with a
   gate, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_DELTANET_H
#define KO_MODELS_SUBLAYERS_DELTANET_H

#include "src/models/model.h"

/* What a family sets. */
struct ko_deltanet_spec {
    int32_t n_key_heads, n_heads; /* n_heads: value heads, a multiple of n_key_heads */
    int32_t d_key, d_value, d_conv;
    const char *norm_name;
    struct ko_norm norm; /* its eps is also that of the norm of each head */
    const char *stem;    /* in front of conv1d, A_log, ...: "linear_attn" */
    /* The input projections are in_proj_qkvz and in_proj_ba, laid out key head by key head (Qwen3-Next).
       Else they are in_proj_qkv, in_proj_z, in_proj_b and in_proj_a (Qwen3.5). */
    bool fused;
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_deltanet_add(struct ko_builder *b, const struct ko_deltanet_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_deltanet;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Gated DeltaNet as a sublayer (Yang et al. 2025; transformers' Qwen3NextGatedDeltaNet), and Kimi
   Delta Attention (Kimi Team 2025; KimiLinearDeltaAttention): a norm, the input projections, the
   convolution of q, k and v, the gated delta rule, a norm of each head with a gate, the output
   projection. */
#ifndef KO_MODELS_SUBLAYERS_DELTANET_H
#define KO_MODELS_SUBLAYERS_DELTANET_H

#include "src/models/model.h"

/* How the file holds the projections, and what goes with it. */
enum ko_deltanet_form {
    /* in_proj_qkvz and in_proj_ba, laid out key head by key head (Qwen3-Next) */
    KO_DELTANET_FUSED,
    /* in_proj_qkv, in_proj_z, in_proj_b and in_proj_a (Qwen3.5) */
    KO_DELTANET_APART,
    /* A decay of every key channel, and a sigmoid in the gate: q_proj, k_proj, v_proj and b_proj,
       with d_key inner activations f_a_proj and f_b_proj (the decay), g_a_proj and g_b_proj (the
       gate), q_conv1d, k_conv1d, v_conv1d, o_norm, o_proj. As many key heads as heads, and d_key
       is d_value (Kimi Linear) */
    KO_DELTANET_KIMI,
};

/* What a family sets. */
struct ko_deltanet_spec {
    enum ko_deltanet_form form;
    int32_t n_key_heads, n_heads; /* n_heads: value heads, a multiple of n_key_heads */
    int32_t d_key, d_value, d_conv;
    const char *norm_name;
    struct ko_norm norm; /* its eps is also that of the norm of each head */
    const char *stem;    /* in front of A_log, dt_bias, ...: "linear_attn" */
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_deltanet_add(struct ko_builder *b, const struct ko_deltanet_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_deltanet;

#endif

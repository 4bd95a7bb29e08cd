/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention without positions as a sublayer (DeepSeek-AI 2024; Kimi Team 2025;
   transformers' KimiLinearAttention): a norm, queries, keys and values from a narrow latent row,
   softmax attention, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_LATENT_ATTENTION_H
#define KO_MODELS_SUBLAYERS_LATENT_ATTENTION_H

#include "src/models/model.h"

/* What a family sets. */
struct ko_latent_attention_spec {
    int32_t n_heads;
    /* A key has d_own numbers of its head, then d_shared that are the same in all heads. Scores are
       divided by sqrt(d_own + d_shared). */
    int32_t d_own, d_shared, d_value;
    int32_t d_latent;
    const char *norm_name;
    struct ko_norm norm;
    const char *stem;           /* in front of q_proj, kv_a_proj_with_mqa, ...: "self_attn" */
    struct ko_norm latent_norm; /* kv_a_layernorm; kind and eps */
    bool bias;                  /* of kv_a_proj_with_mqa and o_proj */
    struct ko_output_spec output;
};

/* Declares the weights (norm, q_proj, kv_a_proj_with_mqa, kv_a_layernorm, kv_b_proj, o_proj, norms
   of the output) and appends the sublayer to the model. */
void ko_latent_attention_add(struct ko_builder *b, const struct ko_latent_attention_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_latent_attention;

#endif

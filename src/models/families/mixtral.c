/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtral: Jiang et al. 2024; transformers' MixtralForCausalLM. Mistral with mixtures of experts,
   whose shares are a softmax over the chosen experts. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"

static const struct ko_rope_support mixtral_rope = {
    .theta_key = "rope_theta",
    .theta = 1000000,
    .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 32000,
    .max_positions = 131072,
    .bos_id = 1,
    .norm_eps = 1e-5,
    .rope = &mixtral_rope,
};

static void build_mixtral(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_moe_layers layers = {0};
    ko_llama_read(b, &defaults, &layer);
    ko_llama_window(b, INT32_MAX, &layer.reach);
    ko_llama_layer_types(b, 0, &layer);
    ko_llama_sublayers(&layer, &layers.attention, &layers.mlp);
    layers.moe = (struct ko_moe_spec){
        .d_ff = layer.d_ff,
        .among_chosen = true,
        .norm_name = layers.mlp.norm_name,
        .norm = layers.mlp.norm,
        .router = "block_sparse_moe.gate",
        .experts = "block_sparse_moe.experts",
        .gate = "w1",
        .up = "w3",
        .down = "w2",
    };
    ko_moe_read(b, "num_local_experts", 8, 2, &layers.moe);
    ko_moe_list(b, &layer, &layers);
}

const struct ko_family ko_family_mixtral = {
    .name = "mixtral",
    .title = "Mixtral",
    .model_types = {"mixtral"},
    .build = build_mixtral,
};

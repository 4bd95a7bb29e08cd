/* SPDX-License-Identifier: Apache-2.0 */
/* OLMoE: Muennighoff et al. 2024; transformers' OlmoeForCausalLM. Queries and keys have an RMSNorm
   over their whole width, before the rotation. Shares are a softmax over all experts, so those of
   the chosen sum to less than 1. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"

static const struct ko_rope_support olmoe_rope = {
    .theta_key = "rope_theta",
    .theta = 10000,
    .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 2048,
    .d_ff = 2048,
    .n_layers = 16,
    .n_heads = 16,
    .vocabulary = 50304,
    .max_positions = 4096,
    .bos_id = -1,
    .norm_eps = 1e-5,
    .rope = &olmoe_rope,
};

static void build_olmoe(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_moe_layers layers = {0};
    ko_llama_read(b, &defaults, &layer);
    ko_config_only_null(b, "clip_qkv");
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_llama_sublayers(&layer, &layers.attention, &layers.mlp);
    layers.attention.q_norm = "self_attn.q_norm";
    layers.attention.k_norm = "self_attn.k_norm";
    layers.attention.qk_norm = layers.attention.norm;
    layers.moe = (struct ko_moe_spec){
        .d_ff = layer.d_ff,
        .norm_name = layers.mlp.norm_name,
        .norm = layers.mlp.norm,
        .router = "mlp.gate",
        .experts = "mlp.experts",
        .gate = "gate_proj",
        .up = "up_proj",
        .down = "down_proj",
    };
    ko_moe_read(b, "num_experts", 64, 8, &layers.moe);
    ko_config_bool(b, "norm_topk_prob", &layers.moe.among_chosen);
    ko_moe_list(b, &layer, &layers);
}

const struct ko_family ko_family_olmoe = {
    .name = "olmoe",
    .title = "OLMoE",
    .model_types = {"olmoe"},
    .build = build_olmoe,
};

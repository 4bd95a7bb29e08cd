/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-MoE: Yang et al. 2025; transformers' Qwen3MoeForCausalLM. Queries and keys have an RMSNorm
   for each head. Some layers may have an MLP in place of the mixture of experts. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"

static const struct ko_rope_support qwen_rope = {
    .theta_key = "rope_theta",
    .theta = 10000,
    .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 2048,
    .d_ff = 6144,
    .n_layers = 24,
    .n_heads = 32,
    .n_kv_heads = 4,
    .vocabulary = 151936,
    .max_positions = 32768,
    .bos_id = -1,
    .rope = &qwen_rope,
};

static void read_moe(struct ko_builder *b, const struct ko_mlp_spec *mlp, struct ko_moe_spec *out)
{
    *out = (struct ko_moe_spec){
        .norm_name = mlp->norm_name,
        .norm = mlp->norm,
        .router = "mlp.gate",
        .experts = "mlp.experts",
        .gate = "gate_proj",
        .up = "up_proj",
        .down = "down_proj",
    };
    ko_moe_read(b, "num_experts", 128, 8, out);
    ko_config_size(b, &(const struct ko_size_row){"moe_intermediate_size", NULL, 768, KO_MAX_WIDTH,
                                                  &out->d_ff});
    ko_config_bool(b, "norm_topk_prob", &out->among_chosen);
}

static void build_qwen3_moe(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_moe_layers layers = {0};
    uint8_t dense[KO_MAX_LAYERS];
    ko_llama_read(b, &defaults, &layer);
    ko_config_only_bool(b, "use_sliding_window", false);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    layer.qk_norm = true;
    ko_llama_sublayers(&layer, &layers.attention, &layers.mlp);
    read_moe(b, &layers.mlp, &layers.moe);
    ko_moe_read_dense(b, dense);
    layers.dense = dense;
    ko_moe_list(b, &layer, &layers);
}

const struct ko_family ko_family_qwen3_moe = {
    .name = "qwen3_moe",
    .title = "Qwen3-MoE",
    .model_types = {"qwen3_moe"},
    .build = build_qwen3_moe,
};

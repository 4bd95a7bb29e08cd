/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3, the dense models: Yang et al. 2025; transformers' Qwen3ForCausalLM. Queries and keys have
   an RMSNorm for each head, and the width of a head does not follow from hidden_size. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"
#include "src/models/families/qwen_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 22016,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 32,
    .d_head = 128,
    .vocabulary = 151936,
    .max_positions = 32768,
    .bos_id = -1,
};

static void build_qwen3(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_qwen_read_window(b, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    layer.qk_norm = true;
    layer.rope.woven = layer.rope.section[0] > 0; /* Qwen3-VL */
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_qwen3 = {
    .name = "qwen3",
    .title = "Qwen3",
    .model_types = {"qwen3"},
    .build = build_qwen3,
};

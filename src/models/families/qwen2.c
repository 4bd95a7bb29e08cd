/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen2 and Qwen2.5: Yang et al. 2024; transformers' Qwen2ForCausalLM. */
#include "src/models/families.h"
#include "src/models/families/llama_like.h"
#include "src/models/families/qwen_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 22016,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 32,
    .vocabulary = 151936,
    .max_positions = 32768,
    .bos_id = -1,
};

static void build_qwen2(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_qwen_read_window(b, &layer);
    layer.qkv_bias = true;
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_qwen2 = {
    .name = "qwen2",
    .title = "Qwen2",
    .model_types = {"qwen2"},
    .build = build_qwen2,
};

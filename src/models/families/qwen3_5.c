/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3.5, the dense models: Qwen Team 2026; transformers' Qwen3_5ForCausalLM and the text part of
   Qwen3_5ForConditionalGeneration, whose configuration is in text_config. */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/qwen_next_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 12288,
    .n_layers = 32,
    .n_heads = 16,
    .n_kv_heads = 4,
    .d_head = 256,
    .vocabulary = 248320,
    .max_positions = 32768,
    .bos_id = -1,
    .rope = &ko_qwen_next_rope,
};

static void build_qwen3_5(struct ko_builder *b)
{
    struct ko_qwen_next q;
    json_object *text = ko_json_get(b->config, "text_config");
    const bool nested = ko_tensor_exists(b, "model.language_model.embed_tokens.weight");
    b->config = text ? text : b->config;
    ko_qwen_next_read(b, &defaults, KO_DELTANET_APART, &q);
    ko_declare_prefix(b, "embed_tokens.weight", nested ? "model.language_model." : "model.");
    ko_qwen_next_begin(b, &q);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_qwen_next_mixer(b, l, &q);
        ko_mlp_add(b, &q.mlp);
    }
    ko_qwen_next_end(b, &q);
}

const struct ko_family ko_family_qwen3_5 = {
    .name = "qwen3_5",
    .title = "Qwen3.5",
    .model_types = {"qwen3_5", "qwen3_5_text"},
    .ignored_beginnings = {"mtp.", "model.visual."},
    .build = build_qwen3_5,
};

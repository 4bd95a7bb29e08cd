/* SPDX-License-Identifier: Apache-2.0 */
/* OLMo-2: OLMo et al. 2024; transformers' Olmo2ForCausalLM. A sublayer reads the residual stream as
   it is, and its output has a norm before it is added. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 11008,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 50304,
    .max_positions = 2048,
    .bos_id = -1,
    .norm_eps = 1e-5,
};

static void list_olmo2(struct ko_builder *b, const struct ko_llama_layer *layer)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    ko_llama_norm_outputs(&attention, &mlp);
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

static void build_olmo2(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    list_olmo2(b, &layer);
}

const struct ko_family ko_family_olmo2 = {
    .name = "olmo2",
    .title = "OLMo-2",
    .model_types = {"olmo2"},
    .build = build_olmo2,
};

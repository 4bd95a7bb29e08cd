/* SPDX-License-Identifier: Apache-2.0 */
/* Llama 2, 3 and 3.x: Touvron et al. 2023, Grattafiori et al. 2024; transformers'
   LlamaForCausalLM. */
#include <string.h>

#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 11008,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 32000,
    .max_positions = 2048,
    .bos_id = 1,
};

static void build_llama(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    ko_config_layer_types(b, 0, layer.sliding);
    if (memchr(layer.sliding, 1, sizeof layer.sliding)) {
        ko_config_fail(b, "layer_types",
                       "sliding_attention is not supported for %s, only full_attention",
                       b->model->family->title);
    }
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_llama = {
    .name = "llama",
    .title = "Llama",
    .model_types = {"llama"},
    .build = build_llama,
};

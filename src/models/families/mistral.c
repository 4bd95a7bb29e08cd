/* SPDX-License-Identifier: Apache-2.0 */
/* Mistral 0.1 and 0.3: Jiang et al. 2023; transformers' MistralForCausalLM. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

enum { DEFAULT_WINDOW = 4096 };

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 32000,
    .max_positions = 131072,
    .bos_id = 1,
};

/* Either all layers have the window, or no layer has. */
static void build_mistral(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_llama_window(b, DEFAULT_WINDOW, &layer.reach);
    const enum ko_layer_types types = ko_llama_layer_types(b);
    if (types == KO_LAYERS_FULL && layer.reach != INT32_MAX) {
        ko_config_fail(b, "layer_types", "full_attention contradicts the sliding_window of %d",
                       layer.reach);
    }
    if (types == KO_LAYERS_SLIDING && layer.reach == INT32_MAX) {
        ko_config_fail(b, "layer_types",
                       "sliding_attention contradicts the sliding_window of null");
    }
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_mistral = {
    .name = "mistral",
    .title = "Mistral",
    .model_types = {"mistral"},
    .build = build_mistral,
};

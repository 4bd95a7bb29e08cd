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

/* All layers have the window, or those that layer_types names (transformers' MinistralForCausalLM,
   which reads such a file). */
static void build_mistral(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    ko_llama_window(b, DEFAULT_WINDOW, &layer.reach);
    ko_llama_layer_types(b, 0, &layer);
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_mistral = {
    .name = "mistral",
    .title = "Mistral",
    .model_types = {"mistral"},
    .build = build_mistral,
};

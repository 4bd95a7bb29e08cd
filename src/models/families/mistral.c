/* SPDX-License-Identifier: Apache-2.0 */
/* Mistral 0.1 and 0.3: Jiang et al. 2023; transformers' MistralForCausalLM. */
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

/* Every layer has the window, or none. */
static enum ko_code build_mistral(struct ko_model *model, json_object *config,
                                  const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_llama_layer layer;
    enum ko_layer_types types = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_llama_read(model, config, &defaults, &layer, err);
    if (code == KO_OK) {
        code = ko_llama_window(model, config, DEFAULT_WINDOW, &layer.reach, err);
    }
    if (code == KO_OK) {
        code = ko_llama_layer_types(model, config, &types, err);
    }
    if (code == KO_OK && types == KO_LAYERS_FULL && layer.reach != INT32_MAX) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: full_attention contradicts the sliding_window of %d",
                       model->name, layer.reach);
    }
    if (code == KO_OK && types == KO_LAYERS_SLIDING && layer.reach == INT32_MAX) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention contradicts the sliding_window of null",
                       model->name);
    }
    return code == KO_OK ? ko_llama_list(model, checkpoint, &layer, err) : code;
}

const struct ko_family ko_family_mistral = {
    .name = "mistral",
    .title = "Mistral",
    .model_types = {"mistral"},
    .build = build_mistral,
};

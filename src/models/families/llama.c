/* SPDX-License-Identifier: Apache-2.0 */
/* Llama 2, 3 and 3.x: Touvron et al. 2023, Grattafiori et al. 2024; transformers'
   LlamaForCausalLM. */
#include "src/formats/json.h"
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

static enum ko_code build_llama(struct ko_model *model, json_object *config,
                                const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_llama_layer layer;
    enum ko_layer_types types = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_llama_read(model, config, &defaults, &layer, err);
    if (code == KO_OK) {
        code = ko_json_bool(config, "attention_bias", &layer.qkv_bias, model->name, err);
        layer.o_bias = layer.qkv_bias;
    }
    if (code == KO_OK) {
        code = ko_json_bool(config, "mlp_bias", &layer.mlp_bias, model->name, err);
    }
    if (code == KO_OK) {
        code = ko_llama_layer_types(model, config, &types, err);
    }
    if (code == KO_OK && types == KO_LAYERS_SLIDING) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention is not supported for %s, only "
                       "full_attention",
                       model->name, model->family->title);
    }
    return code == KO_OK ? ko_llama_list(model, checkpoint, &layer, err) : code;
}

const struct ko_family ko_family_llama = {
    .name = "llama",
    .title = "Llama",
    .model_types = {"llama"},
    .build = build_llama,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen2 and Qwen2.5: Yang et al. 2024; transformers' Qwen2ForCausalLM. */
#include "src/formats/json.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

enum { DEFAULT_WINDOW = 4096, DEFAULT_WINDOW_LAYERS = 28 };

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

/* Layers from max_window_layers on slide, unless layer_types says which do: all or none here. */
static enum ko_code read_window(const struct ko_model *model, json_object *config, int32_t *reach,
                                struct ko_error *err)
{
    bool slides = false;
    int32_t window = INT32_MAX;
    int64_t first = DEFAULT_WINDOW_LAYERS;
    enum ko_layer_types types = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_json_bool(config, "use_sliding_window", &slides, model->name, err);
    if (code == KO_OK && slides) {
        code = ko_llama_window(model, config, DEFAULT_WINDOW, &window, err);
    }
    if (code == KO_OK) {
        code = ko_json_int(config, "max_window_layers", 0, INT32_MAX, &first, model->name, err);
    }
    if (code == KO_OK) {
        code = ko_llama_layer_types(model, config, &types, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (types == KO_LAYERS_SLIDING && window == INT32_MAX) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention needs use_sliding_window and a "
                       "sliding_window",
                       model->name);
    }
    if (types == KO_LAYERS_NOT_GIVEN && window != INT32_MAX && first > 0 &&
        first < model->shape.n_layers) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: max_window_layers: %lld of %d layers with full attention before others "
                       "that slide are not supported for %s, only all or none",
                       model->name, (long long)first, model->shape.n_layers, model->family->title);
    }
    if (types == KO_LAYERS_SLIDING || (types == KO_LAYERS_NOT_GIVEN && first == 0)) {
        *reach = window;
    }
    return KO_OK;
}

static enum ko_code build_qwen2(struct ko_model *model, json_object *config,
                                const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_llama_layer layer;
    enum ko_code code = ko_llama_read(model, config, &defaults, &layer, err);
    if (code == KO_OK) {
        code = read_window(model, config, &layer.reach, err);
    }
    layer.qkv_bias = true;
    return code == KO_OK ? ko_llama_list(model, checkpoint, &layer, err) : code;
}

const struct ko_family ko_family_qwen2 = {
    .name = "qwen2",
    .title = "Qwen2",
    .model_types = {"qwen2"},
    .build = build_qwen2,
};

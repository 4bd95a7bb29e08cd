/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen2 and Qwen2.5: Yang et al. 2024; transformers' Qwen2ForCausalLM. */
#include "src/formats/json.h"
#include "src/models/config.h"
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

/* Layers from max_window_layers on have the window, unless layer_types names them. Supported only
   where that is all layers or no layer. */
static void read_window(struct ko_builder *b, int32_t *reach)
{
    bool slides = false;
    int32_t window = INT32_MAX;
    int64_t first = DEFAULT_WINDOW_LAYERS;
    ko_config_bool(b, "use_sliding_window", &slides);
    if (slides) {
        ko_llama_window(b, DEFAULT_WINDOW, &window);
    }
    if (b->code == KO_OK) {
        b->code =
            ko_json_int(b->config, "max_window_layers", 0, INT32_MAX, &first, b->where, b->err);
    }
    const enum ko_layer_types types = ko_llama_layer_types(b);
    if (types == KO_LAYERS_SLIDING && window == INT32_MAX) {
        ko_config_fail(b, "layer_types",
                       "sliding_attention needs use_sliding_window and a sliding_window");
    }
    if (types == KO_LAYERS_NOT_GIVEN && window != INT32_MAX && first > 0 &&
        first < b->model->shape.n_layers) {
        ko_config_fail(b, "max_window_layers",
                       "%lld of %d layers with full attention before others that slide are not "
                       "supported for %s, only all or none",
                       (long long)first, b->model->shape.n_layers, b->model->family->title);
    }
    if (types == KO_LAYERS_SLIDING || (types == KO_LAYERS_NOT_GIVEN && first == 0)) {
        *reach = window;
    }
}

static void build_qwen2(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    read_window(b, &layer.reach);
    layer.qkv_bias = true;
    ko_llama_list(b, &layer);
}

const struct ko_family ko_family_qwen2 = {
    .name = "qwen2",
    .title = "Qwen2",
    .model_types = {"qwen2"},
    .build = build_qwen2,
};

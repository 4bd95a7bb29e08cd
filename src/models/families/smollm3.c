/* SPDX-License-Identifier: Apache-2.0 */
/* SmolLM3: Bakouch et al. 2025; transformers' SmolLM3ForCausalLM. Llama where every fourth layer has
   no rotary positions (NoPE; Yang et al. 2025). */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

static const struct ko_rope_support smollm3_rope = {
    .theta_key = "rope_theta",
    .theta = 2000000,
    .scalings = 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 2048,
    .d_ff = 11008,
    .n_layers = 36,
    .n_heads = 16,
    .n_kv_heads = 4,
    .vocabulary = 128256,
    .max_positions = 32768,
    .bos_id = 128000,
    .tied = true,
    .rope = &smollm3_rope,
};

/* rotary [KO_MAX_LAYERS]: 1 where the layer has rotary positions. Despite its name, no_rope_layers
   has 1 for these, and 0 for layers without. */
static void read_rotary(struct ko_builder *b, uint8_t *rotary)
{
    static const char key[] = "no_rope_layers", interval_key[] = "no_rope_layer_interval";
    const int32_t n = b->model->shape.n_layers;
    json_object *list = ko_json_get(b->config, key);
    int32_t interval = 4;
    ko_config_size(b, &(const struct ko_size_row){interval_key, NULL, 4, INT32_MAX, &interval});
    for (int32_t l = 0; l < n; l++) {
        rotary[l] = (l + 1) % interval != 0;
    }
    if (!list) {
        return;
    }
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) < (size_t)n) {
        ko_config_fail(b, key, "expected a list of %d numbers, one per layer", n);
        return;
    }
    for (int32_t l = 0; l < n; l++) {
        json_object *item = json_object_array_get_idx(list, (size_t)l);
        const int64_t value =
            json_object_is_type(item, json_type_int) ? json_object_get_int64(item) : -1;
        if (value != 0 && value != 1) {
            ko_config_fail(b, key, "expected 0 or 1 for layer %d, got %s", l,
                           json_object_to_json_string(item));
        }
        rotary[l] = value == 1;
    }
}

/* Without layer_types it is the layers without rotary positions that slide, if any do. */
static void read_windows(struct ko_builder *b, const uint8_t *rotary, struct ko_llama_layer *layer)
{
    static const char types_key[] = "layer_types";
    const struct ko_size_row row = {"sliding_window", NULL, INT32_MAX, INT32_MAX, &layer->reach};
    const bool given = ko_json_get(b->config, types_key) != NULL;
    bool slides = false;
    ko_config_size(b, &row);
    ko_config_bool(b, "use_sliding_window", &slides);
    slides = slides && layer->reach != INT32_MAX;
    if (given) {
        ko_config_layer_types(b, 0, layer->sliding);
    }
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        if (!given) {
            layer->sliding[l] = slides && !rotary[l];
        } else if (layer->sliding[l] && !slides) {
            ko_config_fail(b, types_key,
                           "sliding_attention needs use_sliding_window and a sliding_window");
        }
    }
}

static void list_smollm3(struct ko_builder *b, const struct ko_llama_layer *layer,
                         const uint8_t *rotary)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        attention.rotary = rotary[l];
        attention.reach = layer->sliding[l] ? layer->reach : INT32_MAX;
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

static void build_smollm3(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    uint8_t rotary[KO_MAX_LAYERS] = {0};
    ko_llama_read(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    read_rotary(b, rotary);
    read_windows(b, rotary, &layer);
    list_smollm3(b, &layer, rotary);
}

const struct ko_family ko_family_smollm3 = {
    .name = "smollm3",
    .title = "SmolLM3",
    .model_types = {"smollm3"},
    .build = build_smollm3,
};

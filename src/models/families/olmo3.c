/* SPDX-License-Identifier: Apache-2.0 */
/* OLMo-3: Olmo et al. 2025; transformers' Olmo3ForCausalLM. OLMo-2 with layers that slide, three to
   each full one. The settings of rope_scaling (YaRN) belong to full layers alone; layers that slide
   turn unscaled, by the same rope_theta. */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

enum { DEFAULT_WINDOW = 4096, FULL_EVERY = 4 };

static const struct ko_rope_support olmo3_rope = {
    .theta_key = "rope_theta",
    .theta = 500000,
    .scalings = 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
    .layers = "full_attention",
};

static const struct ko_rope_support sliding_rope = {
    .theta_key = "rope_theta",
    .theta = 500000,
    .layers = "sliding_attention",
    .own_theta = true,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 11008,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 50304,
    .max_positions = 2048,
    .bos_id = -1,
    .norm_eps = 1e-5,
    .rope = &olmo3_rope,
};

static void read_windows(struct ko_builder *b, struct ko_llama_layer *layer)
{
    ko_config_layer_types(b, FULL_EVERY, layer->sliding);
    ko_llama_window(b, DEFAULT_WINDOW, &layer->reach);
    for (int32_t l = 0; l < b->model->shape.n_layers && layer->reach == INT32_MAX; l++) {
        if (layer->sliding[l]) {
            ko_config_fail(b, "sliding_window", "null, but layer %d has sliding_attention", l);
        }
    }
}

/* transformers does not use one set of rope_parameters for all layers. */
static void refuse_one_set(struct ko_builder *b)
{
    static const char key[] = "rope_parameters";
    json_object *sets = ko_json_get(b->config, key);
    if (sets &&
        !(json_object_is_type(sets, json_type_object) &&
          (ko_json_get(sets, olmo3_rope.layers) || ko_json_get(sets, sliding_rope.layers)))) {
        ko_config_fail(b, key, "expected a set for each of %s and %s", olmo3_rope.layers,
                       sliding_rope.layers);
    }
}

static void list_olmo3(struct ko_builder *b, const struct ko_llama_layer *layer,
                       const struct ko_rope_config *sliding)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    size_t tables[2] = {0}; /* of full layers, of layers that slide */
    ko_llama_sublayers(layer, &attention, &mlp);
    ko_llama_norm_outputs(&attention, &mlp);
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &tables[0]);
    ko_declare_rope(b, sliding, &tables[1]);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        attention.reach = layer->sliding[l] ? layer->reach : INT32_MAX;
        attention.rope = tables[layer->sliding[l]];
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

static void build_olmo3(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_rope_config sliding;
    refuse_one_set(b);
    ko_llama_read(b, &defaults, &layer);
    ko_config_rope(b, &sliding_rope, layer.d_head, layer.max_positions, &sliding);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    read_windows(b, &layer);
    list_olmo3(b, &layer, &sliding);
}

const struct ko_family ko_family_olmo3 = {
    .name = "olmo3",
    .title = "OLMo-3",
    .model_types = {"olmo3"},
    .build = build_olmo3,
};

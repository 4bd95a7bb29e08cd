/* SPDX-License-Identifier: Apache-2.0 */
/* Phi-3, Phi-3.5-mini, Phi-4 and Phi-4-mini: Abdin et al. 2024; transformers' Phi3ForCausalLM. One
   matrix for queries, keys and values, one for gate and up. The window is that of every layer. */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"

static const struct ko_rope_support phi3_rope = {
    .theta_key = "rope_theta",
    .theta = 10000,
    .part_key = "partial_rotary_factor",
    .part = 1,
    .scalings = 1U << KO_ROPE_LONGROPE,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 3072,
    .d_ff = 8192,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 32064,
    .max_positions = 4096,
    .bos_id = 1,
    .norm_eps = 1e-5,
    .rope = &phi3_rope,
};

/* transformers has 4096 where the key is missing, whatever max_position_embeddings is. LongRoPE's
   tables depend on it, so it must be given. */
static void need_original(struct ko_builder *b, const struct ko_rope_config *rope)
{
    static const char key[] = "original_max_position_embeddings";
    if (rope->scaling == KO_ROPE_LONGROPE && !ko_json_get(b->config, key)) {
        ko_config_fail(b, key, "missing, rope_type longrope needs it");
    }
}

static void read_rest(struct ko_builder *b, struct ko_llama_layer *layer)
{
    const struct ko_size_row window = {"sliding_window", NULL, INT32_MAX, INT32_MAX, &layer->reach};
    need_original(b, &layer->rope);
    ko_config_size(b, &window);
    ko_config_only_bool(b, "attention_bias", false);
    ko_config_only_bool(b, "mlp_bias", false);
    ko_config_only_bool(b, "lm_head_bias", false);
}

static void list_phi3(struct ko_builder *b, const struct ko_llama_layer *layer)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    attention.q = attention.k = attention.v = NULL;
    attention.qkv = "self_attn.qkv_proj";
    mlp.gate = mlp.up = NULL;
    mlp.gate_up = "mlp.gate_up_proj";
    attention.reach = layer->reach;
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

static void build_phi3(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    ko_llama_read(b, &defaults, &layer);
    read_rest(b, &layer);
    list_phi3(b, &layer);
}

const struct ko_family ko_family_phi3 = {
    .name = "phi3",
    .title = "Phi-3",
    .model_types = {"phi3"},
    .build = build_phi3,
};

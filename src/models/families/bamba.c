/* SPDX-License-Identifier: Apache-2.0 */
/* Bamba: Ganti et al. 2024; transformers' BambaForCausalLM. Layers of Mamba-2 or of attention, in
   which half of each head turns, and a gated MLP in every layer. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/hybrid_like.h"

static const struct ko_rope_support bamba_rope = {
    .theta_key = "rope_theta",
    .theta = 10000,
    .part_key = "partial_rotary_factor",
    .part = 0.5,
    .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 128000,
    .max_positions = 262144,
    .bos_id = 1,
    .norm_eps = 1e-5,
    .rope = &bamba_rope,
};

/* The reference turns half of a head, whatever these keys say. */
static void check_half(struct ko_builder *b, const struct ko_llama_layer *layer)
{
    static const char part_key[] = "partial_rotary_factor", width_key[] = "attn_rotary_emb";
    const int32_t half = layer->d_head / 2;
    int32_t width = half;
    ko_config_size(b, &(const struct ko_size_row){width_key, NULL, half, KO_MAX_WIDTH, &width});
    if (layer->rope.n_rotated != half || width != half) {
        ko_config_fail(b, width != half ? width_key : part_key,
                       "%d numbers of a head are not supported for Bamba, only %d of %d",
                       width != half ? width : layer->rope.n_rotated, half, layer->d_head);
    }
}

static void list_bamba(struct ko_builder *b, const struct ko_llama_layer *layer,
                       const struct ko_mamba2_spec *block, const uint8_t *attends)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    struct ko_mamba2_spec mamba2 = *block;
    ko_hybrid_sublayers(layer, &attention, &mlp);
    mamba2.norm_name = attention.norm_name;
    mamba2.norm = attention.norm;
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (attends[l]) {
            ko_attention_add(b, &attention);
        } else {
            ko_mamba2_add(b, &mamba2);
        }
        ko_mlp_add(b, &mlp);
    }
    ko_hybrid_end(b, layer->norm_eps);
}

static void build_bamba(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_mamba2_spec mamba2;
    uint8_t attends[KO_MAX_LAYERS] = {0};
    ko_llama_read(b, &defaults, &layer);
    check_half(b, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    ko_config_layer_list(b, "attn_layer_indices", 0, attends);
    ko_hybrid_read_mamba2(b, &mamba2);
    list_bamba(b, &layer, &mamba2, attends);
}

const struct ko_family ko_family_bamba = {
    .name = "bamba",
    .title = "Bamba",
    .model_types = {"bamba"},
    .build = build_bamba,
};

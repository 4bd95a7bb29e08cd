/* SPDX-License-Identifier: Apache-2.0 */
/* LFM2: Liquid AI 2025; transformers' Lfm2ForCausalLM. Llama's layers with other names, where most
   layers have a short convolution in place of attention. */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"
#include "src/models/sublayers/short_conv.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 2560,
    .d_ff = 12288,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 65536,
    .max_positions = 128000,
    .bos_id = 1,
    .tied = true,
};

/* Which layers have a convolution: layer_types, else all but full_attn_idxs, else none. */
static void read_kinds(struct ko_builder *b, uint8_t *convolves)
{
    static const char *const kinds[] = {"full_attention", "conv"};
    static const char key[] = "full_attn_idxs";
    uint8_t attends[KO_MAX_LAYERS] = {0};
    if (ko_config_two_kinds(b, "layer_types", kinds, convolves) || !ko_json_get(b->config, key)) {
        return;
    }
    ko_config_layer_list(b, key, 0, attends);
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        convolves[l] = !attends[l];
    }
}

/* The width of the MLPs. By default it is two thirds of the width that the configuration names, times
   a factor, rounded up to a multiple. */
static void read_ff(struct ko_builder *b, int32_t *d_ff)
{
    static const char factor_key[] = "block_ffn_dim_multiplier";
    bool adjusted = true;
    double factor = 1;
    int32_t multiple = 256;
    ko_config_size(b, &(const struct ko_size_row){"block_ff_dim", NULL, *d_ff, KO_MAX_WIDTH, d_ff});
    ko_config_bool(b, "block_auto_adjust_ff_dim", &adjusted);
    ko_config_size(b, &(const struct ko_size_row){"block_multiple_of", NULL, multiple, KO_MAX_WIDTH,
                                                  &multiple});
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, factor_key, &factor, b->where, b->err);
    }
    if (!adjusted) {
        return;
    }
    const int32_t two_thirds = 2 * *d_ff / 3;
    const double width = factor * two_thirds;
    if (!(width >= 1 && width <= KO_MAX_WIDTH - multiple)) {
        ko_config_fail(b, factor_key, "%g times two thirds of %d is not a width from 1 to %d",
                       factor, *d_ff, KO_MAX_WIDTH - multiple);
        return;
    }
    *d_ff = ((int32_t)width + multiple - 1) / multiple * multiple;
}

static void list_lfm2(struct ko_builder *b, const struct ko_llama_layer *layer,
                      struct ko_short_conv_spec *conv, const uint8_t *convolves)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    conv->norm = attention.norm;
    conv->norm_name = attention.norm_name = "operator_norm";
    attention.o = "self_attn.out_proj";
    attention.q_norm = "self_attn.q_layernorm";
    attention.k_norm = "self_attn.k_layernorm";
    mlp.norm_name = "ffn_norm";
    mlp.gate = "feed_forward.w1";
    mlp.up = "feed_forward.w3";
    mlp.down = "feed_forward.w2";
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (convolves[l]) {
            ko_short_conv_add(b, conv);
        } else {
            ko_attention_add(b, &attention);
        }
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = attention.norm;
    ko_declare_head(b, "embedding_norm", "lm_head.weight");
}

static void build_lfm2(struct ko_builder *b)
{
    const char *theta = ko_json_get(b->config, "theta") ? "theta" : "rope_theta";
    const struct ko_rope_support rotary = {.theta_key = theta, .theta = 1000000};
    struct ko_llama_layer layer;
    struct ko_short_conv_spec conv = {.stem = "conv"};
    uint8_t convolves[KO_MAX_LAYERS] = {0};
    ko_llama_read_sizes(b, &defaults, &layer);
    ko_config_epsilon(b, "norm_eps", 1e-5, &layer.norm_eps);
    ko_config_bool(b, "tie_embedding", &b->model->ends.tied); /* goes before tie_word_embeddings */
    ko_config_rope(b, &rotary, layer.d_head, layer.max_positions, &layer.rope);
    layer.qk_norm = true;
    read_kinds(b, convolves);
    read_ff(b, &layer.d_ff);
    ko_config_size(
        b, &(const struct ko_size_row){"conv_L_cache", NULL, 3, KO_MAX_WIDTH, &conv.n_taps});
    ko_config_bool(b, "conv_bias", &conv.bias);
    list_lfm2(b, &layer, &conv, convolves);
}

const struct ko_family ko_family_lfm2 = {
    .name = "lfm2",
    .title = "LFM2",
    .model_types = {"lfm2"},
    .build = build_lfm2,
};

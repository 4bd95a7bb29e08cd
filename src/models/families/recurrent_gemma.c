/* SPDX-License-Identifier: Apache-2.0 */
/* RecurrentGemma: Botev et al. 2024, of Griffin (De et al. 2024); transformers'
   RecurrentGemmaForCausalLM. Gemma's ends and MLP, with recurrent blocks and local attention. */
#include <math.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/gemma_like.h"
#include "src/models/sublayers/rglru.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 2560,
    .d_ff = 7680,
    .n_layers = 26,
    .n_heads = 10,
    .vocabulary = 256000,
    .max_positions = KO_MAX_POSITIONS,
    .bos_id = 2,
    .tied = true,
};

struct recurrent_gemma {
    struct ko_llama_layer layer;
    struct ko_rglru_spec recurrent;
    uint8_t attends[KO_MAX_LAYERS]; /* [n_layers] 1: attention, 0: the recurrent block */
};

/* To the nearest, ties to even; for finite values. */
static float round_to_bfloat16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fffU + (bits >> 16 & 1U)) & 0xffff0000U;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The kinds of the first layers, repeated for the others. */
static void read_kinds(struct ko_builder *b, const char *key, uint8_t *attends)
{
    static const char *const words[] = {"recurrent", "attention"};
    json_object *list = ko_json_get(b->config, key);
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) == 0) {
        ko_config_fail(b, key, "expected a list of words");
        return;
    }
    const size_t n = json_object_array_length(list);
    for (size_t l = 0; l < (size_t)b->model->shape.n_layers; l++) {
        json_object *item = json_object_array_get_idx(list, l % n);
        const char *word = item ? json_object_get_string(item) : "null";
        attends[l] = strcmp(word, words[1]) == 0;
        if (!attends[l] && strcmp(word, words[0]) != 0) {
            ko_config_fail(b, key, "'%.60s' is not supported for %s, only %s or %s", word,
                           b->model->family->title, words[0], words[1]);
            return;
        }
    }
}

/* block_types; files that transformers has saved have _block_types. Where both are given, they must
   agree. Without them every third layer attends. */
static void read_blocks(struct ko_builder *b, uint8_t *attends)
{
    static const char key[] = "block_types", saved_key[] = "_block_types";
    const size_t n = (size_t)b->model->shape.n_layers;
    const bool given = ko_json_get(b->config, key), saved = ko_json_get(b->config, saved_key);
    uint8_t also[KO_MAX_LAYERS] = {0};
    for (size_t l = 0; l < n; l++) {
        attends[l] = l % 3 == 2;
    }
    if (given || saved) {
        read_kinds(b, given ? key : saved_key, attends);
    }
    if (given && saved) {
        read_kinds(b, saved_key, also);
        if (memcmp(attends, also, n) != 0) {
            ko_config_fail(b, saved_key, "differs from block_types");
        }
    }
}

static void read_recurrent(struct ko_builder *b, int32_t n_blocks, struct ko_rglru_spec *out)
{
    static const char key[] = "lru_width";
    const struct ko_size_row sizes[] = {
        {key, NULL, b->model->shape.d_model, KO_MAX_WIDTH, &out->width},
        {"conv1d_width", NULL, 4, KO_MAX_WIDTH, &out->d_conv},
    };
    *out = (struct ko_rglru_spec){.n_blocks = n_blocks, .stem = "temporal_block"};
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (out->width % n_blocks != 0) {
        ko_config_fail(b, key, "num_attention_heads of %d does not divide %d", n_blocks,
                       out->width);
    }
}

static void read_config(struct ko_builder *b, struct recurrent_gemma *out)
{
    static const struct ko_rope_support rope = {.theta_key = "rope_theta",
                                                .theta = 10000,
                                                .part_key = "partial_rotary_factor",
                                                .part = 0.5};
    struct ko_gemma g;
    ko_gemma_read(b, &defaults, &g);
    out->layer = g.layer;
    struct ko_llama_layer *layer = &out->layer;
    ko_config_only_bool(b, "embeddings_scale_by_sqrt_dim", true);
    b->model->ends.embedding_scale = round_to_bfloat16(b->model->ends.embedding_scale);
    ko_gemma_cap(b, "logits_soft_cap", 30, &b->model->ends.logit_cap);
    ko_config_rope(b, &rope, layer->d_head, layer->max_positions, &layer->rope);
    ko_config_size(b, &(const struct ko_size_row){"attention_window_size", "sliding_window", 2048,
                                                  INT32_MAX, &layer->reach});
    ko_config_only_null(b, "layer_types"); /* the class derives it from block_types */
    layer->o_bias = layer->mlp_bias = true;
    if (layer->d_ff < 2) {
        ko_config_fail(b, "intermediate_size",
                       "%d is twice the width of the MLPs, which is 1 or more", layer->d_ff);
    }
    layer->d_ff /= 2;
    read_blocks(b, out->attends);
    read_recurrent(b, layer->n_heads, &out->recurrent);
}

static void list_model(struct ko_builder *b, const struct recurrent_gemma *g)
{
    const struct ko_norm norm = {.kind = KO_RMS_NORM, .eps = g->layer.norm_eps, .one_plus = true};
    struct ko_rglru_spec recurrent = g->recurrent;
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(&g->layer, &attention, &mlp);
    attention.norm = recurrent.norm = mlp.norm = norm;
    attention.norm_name = recurrent.norm_name = "temporal_pre_norm";
    attention.reach = g->layer.reach;
    attention.q = "temporal_block.q_proj";
    attention.k = "temporal_block.k_proj";
    attention.v = "temporal_block.v_proj";
    attention.o = "temporal_block.o_proj";
    mlp.function = KO_MLP_GELU_TANH_GATED;
    mlp.norm_name = "channel_pre_norm";
    mlp.gate = "mlp_block.gate_proj";
    mlp.up = "mlp_block.up_proj";
    mlp.down = "mlp_block.down_proj";
    ko_llama_begin(b);
    ko_declare_rope(b, &g->layer.rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (g->attends[l]) {
            ko_attention_add(b, &attention);
        } else {
            ko_rglru_add(b, &recurrent);
        }
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = norm;
    ko_declare_head(b, "final_norm", "lm_head.weight");
}

static void build_recurrent_gemma(struct ko_builder *b)
{
    struct recurrent_gemma g;
    read_config(b, &g);
    list_model(b, &g);
}

const struct ko_family ko_family_recurrent_gemma = {
    .name = "recurrent_gemma",
    .title = "RecurrentGemma",
    .model_types = {"recurrent_gemma"},
    .build = build_recurrent_gemma,
};

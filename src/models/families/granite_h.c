/* SPDX-License-Identifier: Apache-2.0 */
/* Granite 4.0: Granite Team 2025; transformers' GraniteMoeHybridForCausalLM. Layers of Mamba-2 or of
   attention, with the multipliers of Granite 3, and an MLP, which larger models have beside a mixture
   of experts. The hybrids have no positions. Granite-4.0-micro has attention alone, with rotary
   positions. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/granite_like.h"
#include "src/models/families/hybrid_like.h"
#include "src/models/families/llama_like.h"
#include "src/models/families/moe_like.h"

struct granite_h {
    struct ko_llama_layer layer;
    struct ko_granite_multipliers multipliers;
    bool rotary;
    uint8_t kinds[KO_MAX_LAYERS]; /* enum ko_layer_kind */
    struct ko_mamba2_spec mamba2;
    struct ko_moe_spec moe; /* n_experts 0: none */
};

/* Whether position_embedding_type says "rope". */
static bool read_positions(struct ko_builder *b)
{
    static const char key[] = "position_embedding_type";
    static const char *const words[] = {"nope", "rope"};
    const char *word = words[0];
    if (b->code == KO_OK) {
        b->code = ko_json_string(b->config, key, &word, b->where, b->err);
    }
    ko_config_only_words(b, key, words, 2);
    return strcmp(word, words[1]) == 0;
}

static void read_layers(struct ko_builder *b, struct granite_h *g)
{
    static const struct ko_rope_support rope = {
        .theta_key = "rope_theta",
        .theta = 10000,
        .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
    };
    const struct ko_llama_defaults defaults = {
        .d_model = 4096,
        .d_ff = 11008, /* of an expert */
        .n_layers = 32,
        .n_heads = 32,
        .vocabulary = 32000,
        .max_positions = 2048,
        .bos_id = 1,
        .unrotated = !g->rotary,
    };
    ko_llama_read_sizes(b, &defaults, &g->layer);
    ko_config_only_silu(b);
    if (g->rotary) {
        ko_config_rope(b, &rope, g->layer.d_head, g->layer.max_positions, &g->layer.rope);
    }
    ko_config_bool(b, "attention_bias", &g->layer.qkv_bias);
    g->layer.o_bias = g->layer.qkv_bias;
}

/* intermediate_size is that of an expert, shared_intermediate_size that of the MLP. */
static void read_experts(struct ko_builder *b, struct granite_h *g)
{
    static const char key[] = "num_local_experts";
    int64_t n = 8;
    g->moe = (struct ko_moe_spec){
        .d_ff = g->layer.d_ff,
        .among_chosen = true,
        .router = "block_sparse_moe.router.layer",
        .layout = KO_MOE_HALVES,
        .experts = "block_sparse_moe",
        .gate = "input_linear",
        .down = "output_linear",
    };
    if (b->code == KO_OK) {
        b->code = ko_json_int(b->config, key, 0, KO_MAX_EXPERTS, &n, b->where, b->err);
    }
    if (n > 0) {
        ko_moe_read(b, key, 8, 2, &g->moe);
    }
    ko_config_size(b, &(const struct ko_size_row){"shared_intermediate_size", NULL, 1024,
                                                  KO_MAX_WIDTH, &g->layer.d_ff});
}

static void read_granite_h(struct ko_builder *b, struct granite_h *g)
{
    static const char *const norms[] = {"rmsnorm"};
    const char *types = ko_hybrid_types_key(b);
    g->rotary = read_positions(b);
    read_layers(b, g);
    read_experts(b, g);
    ko_config_only_words(b, "normalization_function", norms, 1);
    ko_granite_read_multipliers(b, &g->multipliers);
    if (types) {
        ko_hybrid_read_types(b, types, 2, g->kinds);
    }
    if (memchr(g->kinds, KO_LAYER_SSM, (size_t)b->model->shape.n_layers)) {
        ko_hybrid_read_mamba2(b, &g->mamba2);
    }
}

static void list_granite_h(struct ko_builder *b, const struct granite_h *g)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    struct ko_mamba2_spec mamba2 = g->mamba2;
    struct ko_moe_spec moe = g->moe;
    ko_llama_sublayers(&g->layer, &attention, &mlp);
    attention.scale = g->multipliers.attention;
    attention.rotary = g->rotary;
    mamba2.norm_name = attention.norm_name;
    mamba2.norm = attention.norm;
    mlp.gate_up = "shared_mlp.input_linear";
    mlp.down = "shared_mlp.output_linear";
    attention.output.scale = mamba2.output.scale = mlp.output.scale = g->multipliers.residual;
    moe.norm_name = mlp.norm_name;
    moe.norm = mlp.norm;
    moe.output = mlp.output;
    moe.shared = &mlp;
    ko_llama_begin(b);
    if (g->rotary) {
        ko_declare_rope(b, &g->layer.rope, &attention.rope);
    }
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (g->kinds[l] == KO_LAYER_SSM) {
            ko_mamba2_add(b, &mamba2);
        } else {
            ko_attention_add(b, &attention);
        }
        if (moe.n_experts > 0) {
            ko_moe_add(b, &moe);
        } else {
            ko_mlp_add(b, &mlp);
        }
    }
    ko_llama_end(b, g->layer.norm_eps);
}

static void build_granite_h(struct ko_builder *b)
{
    struct granite_h g = {.kinds = {KO_LAYER_SSM}};
    read_granite_h(b, &g);
    list_granite_h(b, &g);
}

const struct ko_family ko_family_granite_h = {
    .name = "granite_h",
    .title = "Granite 4",
    .model_types = {"granitemoehybrid"},
    .build = build_granite_h,
};

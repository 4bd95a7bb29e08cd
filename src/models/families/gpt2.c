/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-2: Radford et al. 2019; transformers' GPT2LMHeadModel. Its matrices are [in, out] (Conv1D). */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

struct gpt2 {
    int32_t n_heads, d_ff;
    struct ko_norm norm;
};

static void read_shape(struct ko_builder *b, struct gpt2 *g)
{
    struct ko_shape *s = &b->model->shape;
    const struct ko_size_row sizes[] = {
        {"n_embd", "hidden_size", 768, KO_MAX_WIDTH, &s->d_model},
        {"n_layer", "num_hidden_layers", 12, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50257, KO_MAX_VOCABULARY, &s->vocabulary},
        {"n_head", "num_attention_heads", 12, KO_MAX_WIDTH, &g->n_heads},
        {"n_positions", "max_position_embeddings", 1024, KO_MAX_VOCABULARY, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (s->d_model % g->n_heads != 0) {
        ko_config_fail(b, "n_head", "%d heads do not divide n_embd of %d", g->n_heads, s->d_model);
    }
    ko_config_size(b, &(const struct ko_size_row){"n_inner", NULL, 4 * s->d_model, 4 * KO_MAX_WIDTH,
                                                  &g->d_ff});
    ko_config_epsilon(b, "layer_norm_epsilon", 1e-5, &g->norm.eps);
    ko_config_bos(b, 50256);
}

static void read_rest(struct ko_builder *b)
{
    static const char *const activations[] = {"gelu_new", "gelu_pytorch_tanh"}; /* one function */
    ko_config_only_words(b, "activation_function", activations, 2);
    ko_config_only_bool(b, "scale_attn_weights", true);
    ko_config_only_bool(b, "scale_attn_by_inverse_layer_idx", false);
    ko_config_only_bool(b, "add_cross_attention", false);
    ko_config_tied(b, true);
}

static void list_gpt2(struct ko_builder *b, const struct gpt2 *g)
{
    const struct ko_attention_spec attention = {
        .n_heads = g->n_heads,
        .n_kv_heads = g->n_heads,
        .d_head = b->model->shape.d_model / g->n_heads,
        .reach = INT32_MAX,
        .norm_name = "ln_1",
        .norm = g->norm,
        .qkv = "attn.c_attn",
        .o = "attn.c_proj",
        .qkv_bias = true,
        .o_bias = true,
    };
    const struct ko_mlp_spec mlp = {
        .d_ff = g->d_ff,
        .function = KO_MLP_GELU_TANH,
        .norm_name = "ln_2",
        .norm = g->norm,
        .up = "mlp.c_fc",
        .down = "mlp.c_proj",
        .bias = true,
    };
    ko_declare_prefix(b, "wte.weight", "transformer.");
    ko_declare_embedding(b, "wte.weight", "wpe.weight");
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "h", l);
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = g->norm;
    ko_declare_head(b, "ln_f", "lm_head.weight");
}

static void build_gpt2(struct ko_builder *b)
{
    struct gpt2 g = {.norm = {.kind = KO_LAYER_NORM}};
    read_shape(b, &g);
    read_rest(b);
    list_gpt2(b, &g);
}

const struct ko_family ko_family_gpt2 = {
    .name = "gpt2",
    .title = "GPT-2",
    .model_types = {"gpt2"},
    .in_first = true,
    /* Old versions of transformers stored the causal mask beside the weights. */
    .ignored_endings = {".attn.bias", ".attn.masked_bias"},
    .build = build_gpt2,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-NeoX and Pythia: Black et al. 2022, Biderman et al. 2023; transformers' GPTNeoXForCausalLM. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

struct gpt_neox {
    int32_t n_heads, d_ff;
    struct ko_norm norm;
    struct ko_rope_config rope;
    enum ko_mlp_function function;
    bool bias;     /* of attention; the MLP always has biases */
    bool parallel; /* the MLP reads the layer's input, else what attention has added to it */
};

static void read_shape(struct ko_builder *b, struct gpt_neox *g)
{
    static const struct ko_rope_support rotary = {
        .theta_key = "rotary_emb_base", .theta = 10000, .part_key = "rotary_pct", .part = 0.25};
    struct ko_shape *s = &b->model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 6144, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 44, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50432, KO_MAX_VOCABULARY, &s->vocabulary},
        {"num_attention_heads", NULL, 64, KO_MAX_WIDTH, &g->n_heads},
        {"intermediate_size", NULL, 24576, KO_MAX_WIDTH, &g->d_ff},
        {"max_position_embeddings", NULL, 2048, INT32_MAX, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (s->d_model % g->n_heads != 0) {
        ko_config_fail(b, "num_attention_heads", "%d heads do not divide hidden_size of %d",
                       g->n_heads, s->d_model);
    }
    ko_config_epsilon(b, "layer_norm_eps", 1e-5, &g->norm.eps);
    ko_config_bos(b, 0);
    ko_config_rope(b, &rotary, s->d_model / g->n_heads, s->max_tokens, &g->rope);
    if (s->max_tokens > KO_MAX_POSITIONS) {
        s->max_tokens = KO_MAX_POSITIONS;
    }
}

/* Pythia has the exact GELU. GPT-NeoX 20B has gelu_fast, the approximation with tanh. */
static void read_activation(struct ko_builder *b, enum ko_mlp_function *function)
{
    static const char key[] = "hidden_act";
    static const char *const words[] = {"gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh"};
    const char *word = words[0];
    ko_config_only_words(b, key, words, 4);
    if (b->code == KO_OK) {
        b->code = ko_json_string(b->config, key, &word, b->where, b->err);
    }
    *function = strcmp(word, words[0]) == 0 ? KO_MLP_GELU : KO_MLP_GELU_TANH;
}

static void list_gpt_neox(struct ko_builder *b, const struct gpt_neox *g)
{
    struct ko_attention_spec attention = {
        .n_heads = g->n_heads,
        .n_kv_heads = g->n_heads,
        .d_head = b->model->shape.d_model / g->n_heads,
        .reach = INT32_MAX,
        .norm_name = "input_layernorm",
        .norm = g->norm,
        .qkv = "attention.query_key_value",
        .qkv_by_head = true,
        .o = "attention.dense",
        .qkv_bias = g->bias,
        .o_bias = g->bias,
        .rotary = true,
    };
    const struct ko_mlp_spec mlp = {
        .d_ff = g->d_ff,
        .function = g->function,
        .norm_name = "post_attention_layernorm",
        .norm = g->norm,
        .up = "mlp.dense_h_to_4h",
        .down = "mlp.dense_4h_to_h",
        .bias = true,
        .output = {.parallel = g->parallel},
    };
    ko_declare_prefix(b, "embed_in.weight", "gpt_neox.");
    ko_declare_embedding(b, "embed_in.weight", NULL);
    ko_declare_rope(b, &g->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = g->norm;
    ko_declare_head(b, "final_layer_norm", "embed_out.weight");
}

static void build_gpt_neox(struct ko_builder *b)
{
    struct gpt_neox g = {.norm = {.kind = KO_LAYER_NORM}, .bias = true, .parallel = true};
    read_shape(b, &g);
    read_activation(b, &g.function);
    ko_config_bool(b, "attention_bias", &g.bias);
    ko_config_bool(b, "use_parallel_residual", &g.parallel);
    ko_config_tied(b, false);
    list_gpt_neox(b, &g);
}

const struct ko_family ko_family_gpt_neox = {
    .name = "gpt_neox",
    .title = "GPT-NeoX",
    .model_types = {"gpt_neox"},
    /* Published checkpoints have the causal mask beside the weights. */
    .ignored_endings = {".attention.bias", ".attention.masked_bias"},
    .build = build_gpt_neox,
};

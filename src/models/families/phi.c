/* SPDX-License-Identifier: Apache-2.0 */
/* Phi-1, Phi-1.5 and Phi-2: Gunasekar et al. 2023, Li et al. 2023; transformers' PhiForCausalLM.
   Attention and MLP read the same normed row. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

struct phi {
    int32_t n_heads, n_kv_heads, d_head, d_ff;
    struct ko_norm norm;
    struct ko_rope_config rope;
};

static void read_heads(struct ko_builder *b, struct phi *p)
{
    static const char heads_key[] = "num_attention_heads", kv_key[] = "num_key_value_heads";
    const int32_t d = b->model->shape.d_model;
    ko_config_size(b, &(const struct ko_size_row){heads_key, NULL, 32, KO_MAX_WIDTH, &p->n_heads});
    ko_config_size(
        b, &(const struct ko_size_row){kv_key, NULL, p->n_heads, KO_MAX_WIDTH, &p->n_kv_heads});
    if (d % p->n_heads != 0) {
        ko_config_fail(b, heads_key, "%d heads do not divide hidden_size of %d", p->n_heads, d);
    }
    if (p->n_heads % p->n_kv_heads != 0) {
        ko_config_fail(b, kv_key, "%d do not divide num_attention_heads of %d", p->n_kv_heads,
                       p->n_heads);
    }
    const int32_t whole = d / p->n_heads;
    ko_config_size(b,
                   &(const struct ko_size_row){"head_dim", NULL, whole, KO_MAX_WIDTH, &p->d_head});
    if (p->d_head != whole) {
        ko_config_fail(b, "head_dim",
                       "%d is not supported for Phi, only hidden_size / num_attention_heads, %d",
                       p->d_head, whole);
    }
}

static void read_shape(struct ko_builder *b, struct phi *p)
{
    static const char *const activations[] = {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"};
    static const struct ko_rope_support rotary = {.theta_key = "rope_theta",
                                                  .theta = 10000,
                                                  .part_key = "partial_rotary_factor",
                                                  .part = 0.5};
    struct ko_shape *s = &b->model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 2048, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 24, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 51200, KO_MAX_VOCABULARY, &s->vocabulary},
        {"intermediate_size", NULL, 8192, KO_MAX_WIDTH, &p->d_ff},
        {"max_position_embeddings", NULL, 2048, INT32_MAX, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    read_heads(b, p);
    ko_config_epsilon(b, "layer_norm_eps", 1e-5, &p->norm.eps);
    ko_config_bos(b, 1);
    ko_config_only_words(b, "hidden_act", activations, 3); /* one function */
    ko_config_only_bool(b, "qk_layernorm", false);
    ko_config_tied(b, false);
    ko_config_rope(b, &rotary, p->d_head, s->max_tokens, &p->rope);
    if (s->max_tokens > KO_MAX_POSITIONS) {
        s->max_tokens = KO_MAX_POSITIONS;
    }
}

static void list_phi(struct ko_builder *b, const struct phi *p)
{
    struct ko_attention_spec attention = {
        .n_heads = p->n_heads,
        .n_kv_heads = p->n_kv_heads,
        .d_head = p->d_head,
        .reach = INT32_MAX,
        .norm = p->norm,
        .q = "self_attn.q_proj",
        .k = "self_attn.k_proj",
        .v = "self_attn.v_proj",
        .o = "self_attn.dense",
        .qkv_bias = true,
        .o_bias = true,
        .rotary = true,
    };
    struct ko_mlp_spec mlp = {
        .d_ff = p->d_ff,
        .function = KO_MLP_GELU_TANH,
        .up = "mlp.fc1",
        .down = "mlp.fc2",
        .bias = true,
        .output = {.parallel = true},
    };
    ko_declare_prefix(b, "embed_tokens.weight", "model.");
    ko_declare_embedding(b, "embed_tokens.weight", NULL);
    ko_declare_rope(b, &p->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        ko_declare_norm(b, "input_layernorm", &attention.norm);
        mlp.norm = attention.norm;
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = p->norm;
    ko_declare_head(b, "final_layernorm", "lm_head.weight");
    ko_declare_head_bias(b, "lm_head.bias");
}

static void build_phi(struct ko_builder *b)
{
    struct phi p = {.norm = {.kind = KO_LAYER_NORM}};
    read_shape(b, &p);
    list_phi(b, &p);
}

const struct ko_family ko_family_phi = {
    .name = "phi",
    .title = "Phi",
    .model_types = {"phi"},
    .build = build_phi,
};

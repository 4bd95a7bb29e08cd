/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-J: Wang & Komatsuzaki 2021; transformers' GPTJForCausalLM. Attention and MLP read the same
   normed row. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

struct gptj {
    int32_t n_heads, d_ff, n_rotated;
    struct ko_norm norm;
};

/* rotary_dim: how many numbers of a head turn. With null transformers cannot run the model. */
static void read_rotated(struct ko_builder *b, int32_t d_head, int32_t *n_rotated)
{
    static const char key[] = "rotary_dim";
    json_object *value = NULL;
    if (json_object_object_get_ex(b->config, key, &value) && !value) {
        ko_config_fail(b, key, "null is not supported for GPT-J, only a number");
    }
    ko_config_size(b, &(const struct ko_size_row){key, NULL, 64, KO_MAX_WIDTH, n_rotated});
    if (*n_rotated % 2 != 0 || *n_rotated > d_head) {
        ko_config_fail(b, key, "expected an even number, at most the head's width of %d, got %d",
                       d_head, *n_rotated);
    }
}

static void read_shape(struct ko_builder *b, struct gptj *g)
{
    struct ko_shape *s = &b->model->shape;
    const struct ko_size_row sizes[] = {
        {"n_embd", "hidden_size", 4096, KO_MAX_WIDTH, &s->d_model},
        {"n_layer", "num_hidden_layers", 28, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50400, KO_MAX_VOCABULARY, &s->vocabulary},
        {"n_head", "num_attention_heads", 16, KO_MAX_WIDTH, &g->n_heads},
        {"n_positions", "max_position_embeddings", 2048, INT32_MAX, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (s->d_model % g->n_heads != 0) {
        ko_config_fail(b, "n_head", "%d heads do not divide n_embd of %d", g->n_heads, s->d_model);
    }
    if (s->max_tokens > KO_MAX_POSITIONS) {
        s->max_tokens = KO_MAX_POSITIONS;
    }
    ko_config_size(b, &(const struct ko_size_row){"n_inner", NULL, 4 * s->d_model, 4 * KO_MAX_WIDTH,
                                                  &g->d_ff});
    read_rotated(b, s->d_model / g->n_heads, &g->n_rotated);
    ko_config_epsilon(b, "layer_norm_epsilon", 1e-5, &g->norm.eps);
    ko_config_bos(b, 50256);
}

static void read_rest(struct ko_builder *b)
{
    static const char *const activations[] = {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"};
    ko_config_only_words(b, "activation_function", activations, 3); /* one function */
    ko_config_only_bool(b, "rotary", true);
    ko_config_only_bool(b, "scale_attn_weights", true);
    ko_config_tied(b, false);
}

static void list_gptj(struct ko_builder *b, const struct gptj *g)
{
    const struct ko_rope_config rope = {
        .theta = 10000, .n_rotated = g->n_rotated, .interleaved = true, .attention_factor = 1};
    struct ko_attention_spec attention = {
        .n_heads = g->n_heads,
        .n_kv_heads = g->n_heads,
        .d_head = b->model->shape.d_model / g->n_heads,
        .reach = INT32_MAX,
        .norm = g->norm,
        .q = "attn.q_proj",
        .k = "attn.k_proj",
        .v = "attn.v_proj",
        .o = "attn.out_proj",
        .rotary = true,
    };
    struct ko_mlp_spec mlp = {
        .d_ff = g->d_ff,
        .function = KO_MLP_GELU_TANH,
        .up = "mlp.fc_in",
        .down = "mlp.fc_out",
        .bias = true,
        .output = {.parallel = true},
    };
    ko_declare_prefix(b, "wte.weight", "transformer.");
    ko_declare_embedding(b, "wte.weight", NULL);
    ko_declare_rope(b, &rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "h", l);
        ko_declare_norm(b, "ln_1", &attention.norm);
        mlp.norm = attention.norm;
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = g->norm;
    ko_declare_head(b, "ln_f", "lm_head.weight");
    ko_declare_head_bias(b, "lm_head.bias");
}

static void build_gptj(struct ko_builder *b)
{
    struct gptj g = {.norm = {.kind = KO_LAYER_NORM}};
    read_shape(b, &g);
    read_rest(b);
    list_gptj(b, &g);
}

const struct ko_family ko_family_gptj = {
    .name = "gptj",
    .title = "GPT-J",
    .model_types = {"gptj"},
    /* The published checkpoint has the causal mask beside the weights. */
    .ignored_endings = {".attn.bias", ".attn.masked_bias"},
    .build = build_gptj,
};

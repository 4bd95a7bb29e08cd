/* SPDX-License-Identifier: Apache-2.0 */
/* OPT: Zhang et al. 2022; transformers' OPTForCausalLM. OPT-350m is of another kind than the others:
   its norms act on the residual sums, and its embedding is narrower than the model. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

/* The first rows of the table of positions are not used. */
enum { FIRST_POSITION = 2 };

struct opt {
    int32_t n_heads, d_ff;
    struct ko_norm norm; /* transformers has no key for its epsilon */
    bool bias;
    bool norm_before; /* norms act on what a sublayer reads, else on the residual sum after it */
    bool no_final_norm;
};

static void read_shape(struct ko_builder *b, struct opt *o)
{
    struct ko_shape *s = &b->model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 768, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 12, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50272, KO_MAX_VOCABULARY, &s->vocabulary},
        {"num_attention_heads", NULL, 12, KO_MAX_WIDTH, &o->n_heads},
        {"ffn_dim", NULL, 3072, KO_MAX_WIDTH, &o->d_ff},
        {"max_position_embeddings", NULL, 2048, KO_MAX_VOCABULARY, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (s->d_model % o->n_heads != 0) {
        ko_config_fail(b, "num_attention_heads", "%d heads do not divide hidden_size of %d",
                       o->n_heads, s->d_model);
    }
    ko_config_size(b, &(const struct ko_size_row){"word_embed_proj_dim", NULL, s->d_model,
                                                  KO_MAX_WIDTH, &b->model->ends.embedding_width});
    ko_config_bos(b, 2);
}

static void read_rest(struct ko_builder *b, struct opt *o)
{
    static const char *const relu = "relu";
    ko_config_only_words(b, "activation_function", &relu, 1);
    ko_config_only_bool(b, "layer_norm_elementwise_affine", true);
    ko_config_bool(b, "do_layer_norm_before", &o->norm_before);
    ko_config_bool(b, "_remove_final_layer_norm", &o->no_final_norm);
    ko_config_bool(b, "enable_bias", &o->bias);
    ko_config_tied(b, true);
}

static void declare_embedding(struct ko_builder *b)
{
    struct ko_ends *ends = &b->model->ends;
    const int32_t d = b->model->shape.d_model, width = ends->embedding_width;
    ends->first_position = FIRST_POSITION;
    ko_declare_embedding(b, "decoder.embed_tokens.weight", "decoder.embed_positions.weight");
    if (width != d) {
        ko_declare_projection(b, "decoder.project_in", d, width, false, &ends->project_in);
        ko_declare_projection(b, "decoder.project_out", width, d, false, &ends->project_out);
    }
}

static void list_opt(struct ko_builder *b, const struct opt *o)
{
    const char *attention_norm = "self_attn_layer_norm", *mlp_norm = "final_layer_norm";
    const struct ko_norm none = {.kind = KO_NO_NORM};
    const struct ko_attention_spec attention = {
        .n_heads = o->n_heads,
        .n_kv_heads = o->n_heads,
        .d_head = b->model->shape.d_model / o->n_heads,
        .reach = INT32_MAX,
        .norm_name = o->norm_before ? attention_norm : NULL,
        .norm = o->norm_before ? o->norm : none,
        .q = "self_attn.q_proj",
        .k = "self_attn.k_proj",
        .v = "self_attn.v_proj",
        .o = "self_attn.out_proj",
        .qkv_bias = o->bias,
        .o_bias = o->bias,
        .output = {.sum_norm_name = o->norm_before ? NULL : attention_norm,
                   .sum_norm = o->norm_before ? none : o->norm},
    };
    const struct ko_mlp_spec mlp = {
        .d_ff = o->d_ff,
        .function = KO_MLP_RELU,
        .norm_name = o->norm_before ? mlp_norm : NULL,
        .norm = o->norm_before ? o->norm : none,
        .up = "fc1",
        .down = "fc2",
        .bias = o->bias,
        .output = {.sum_norm_name = o->norm_before ? NULL : mlp_norm,
                   .sum_norm = o->norm_before ? none : o->norm},
    };
    ko_declare_prefix(b, "decoder.embed_tokens.weight", "model.");
    declare_embedding(b);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "decoder.layers", l);
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    const bool final = o->norm_before && !o->no_final_norm;
    b->model->ends.final_norm = final ? o->norm : none;
    ko_declare_head(b, final ? "decoder.final_layer_norm" : NULL, "lm_head.weight");
}

static void build_opt(struct ko_builder *b)
{
    struct opt o = {
        .norm = {.kind = KO_LAYER_NORM, .eps = 1e-5f}, .bias = true, .norm_before = true};
    read_shape(b, &o);
    read_rest(b, &o);
    list_opt(b, &o);
}

const struct ko_family ko_family_opt = {
    .name = "opt",
    .title = "OPT",
    .model_types = {"opt"},
    .build = build_opt,
};

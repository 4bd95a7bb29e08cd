/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration of a Llama-like model and lists it. It also reads the keys for sliding
   windows, which only some of these families have. */
#include "src/models/families/llama_like.h"

#include <string.h>

#include "src/formats/json.h"
#include "src/models/declare.h"

static const struct ko_rope_support llama_rope = {
    .theta_key = "rope_theta", .theta = 10000, .scalings = 1U << KO_ROPE_LLAMA3};

/* The number of heads, the number of key and value heads, and their width. */
static void read_heads(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                       struct ko_llama_layer *layer)
{
    static const char heads_key[] = "num_attention_heads", kv_key[] = "num_key_value_heads";
    const int32_t d = b->model->shape.d_model;
    ko_config_size(b, &(const struct ko_size_row){heads_key, NULL, defaults->n_heads, KO_MAX_WIDTH,
                                                  &layer->n_heads});
    const int32_t n = layer->n_heads;
    /* Null is not the same as absent here: it means as many as heads. */
    const bool grouped =
        defaults->n_kv_heads > 0 && !json_object_object_get_ex(b->config, kv_key, NULL);
    ko_config_size(b, &(const struct ko_size_row){kv_key, NULL, grouped ? defaults->n_kv_heads : n,
                                                  KO_MAX_WIDTH, &layer->n_kv_heads});
    if (n % layer->n_kv_heads != 0) {
        ko_config_fail(b, kv_key, "%d do not divide num_attention_heads of %d", layer->n_kv_heads,
                       n);
    }
    const int32_t d_head = defaults->d_head > 0 ? defaults->d_head : d / n;
    if (defaults->d_head == 0 && !ko_json_get(b->config, "head_dim") && d % n != 0) {
        ko_config_fail(b, heads_key, "%d heads do not divide hidden_size of %d", n, d);
    }
    ko_config_size(b, &(const struct ko_size_row){"head_dim", defaults->d_head_alias, d_head,
                                                  KO_MAX_WIDTH, &layer->d_head});
    if (layer->d_head % 2 != 0 && !defaults->unrotated) {
        ko_config_fail(b, "head_dim", "%d is odd, and rotary embedding turns pairs", layer->d_head);
    }
    if (((int64_t)n + 2 * (int64_t)layer->n_kv_heads) * layer->d_head > KO_MAX_WIDTH) {
        ko_config_fail(b, "head_dim",
                       "%d heads and %d of keys and values of width %d are wider than %d", n,
                       layer->n_kv_heads, layer->d_head, KO_MAX_WIDTH);
    }
}

void ko_llama_read_sizes(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                         struct ko_llama_layer *out)
{
    struct ko_shape *s = &b->model->shape;
    *out = (struct ko_llama_layer){.reach = INT32_MAX};
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, defaults->d_model, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, defaults->n_layers, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, defaults->vocabulary, KO_MAX_VOCABULARY, &s->vocabulary},
        {"intermediate_size", NULL, defaults->d_ff, KO_MAX_WIDTH, &out->d_ff},
        {"max_position_embeddings", NULL, defaults->max_positions, INT32_MAX, &out->max_positions},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (!defaults->unrotated) {
        s->max_tokens =
            out->max_positions < KO_MAX_POSITIONS ? out->max_positions : KO_MAX_POSITIONS;
    }
    read_heads(b, defaults, out);
    ko_config_epsilon(b, defaults->norm_eps_key ? defaults->norm_eps_key : "rms_norm_eps",
                      defaults->norm_eps > 0 ? defaults->norm_eps : 1e-6, &out->norm_eps);
    ko_config_bos(b, defaults->bos_id);
    ko_config_tied(b, defaults->tied);
}

void ko_llama_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_llama_layer *out)
{
    ko_llama_read_sizes(b, defaults, out);
    ko_config_only_silu(b);
    ko_config_rope(b, defaults->rope ? defaults->rope : &llama_rope, out->d_head,
                   out->max_positions, &out->rope);
}

void ko_llama_sublayers(const struct ko_llama_layer *layer, struct ko_attention_spec *attention,
                        struct ko_mlp_spec *mlp)
{
    *attention = (struct ko_attention_spec){
        .n_heads = layer->n_heads,
        .n_kv_heads = layer->n_kv_heads,
        .d_head = layer->d_head,
        .reach = INT32_MAX,
        .norm_name = "input_layernorm",
        .norm = {.kind = KO_RMS_NORM, .eps = layer->norm_eps},
        .q = "self_attn.q_proj",
        .k = "self_attn.k_proj",
        .v = "self_attn.v_proj",
        .o = "self_attn.o_proj",
        .qkv_bias = layer->qkv_bias,
        .o_bias = layer->o_bias,
        .q_norm = layer->qk_norm ? "self_attn.q_norm" : NULL,
        .k_norm = layer->qk_norm ? "self_attn.k_norm" : NULL,
        .norm_by_head = layer->qk_norm,
        .qk_norm = {.kind = layer->qk_norm ? KO_RMS_NORM : KO_NO_NORM, .eps = layer->norm_eps},
        .rotary = true,
    };
    *mlp = (struct ko_mlp_spec){
        .d_ff = layer->d_ff,
        .function = KO_MLP_SILU_GATED,
        .norm_name = "post_attention_layernorm",
        .norm = {.kind = KO_RMS_NORM, .eps = layer->norm_eps},
        .gate = "mlp.gate_proj",
        .up = "mlp.up_proj",
        .down = "mlp.down_proj",
        .bias = layer->mlp_bias,
    };
}

void ko_llama_norm_outputs(struct ko_attention_spec *attention, struct ko_mlp_spec *mlp)
{
    const struct ko_norm norm = attention->norm;
    attention->norm_name = mlp->norm_name = NULL;
    attention->norm = mlp->norm = (struct ko_norm){.kind = KO_NO_NORM};
    attention->q_norm = "self_attn.q_norm";
    attention->k_norm = "self_attn.k_norm";
    attention->qk_norm = norm;
    attention->output.post_norm_name = "post_attention_layernorm";
    mlp->output.post_norm_name = "post_feedforward_layernorm";
    attention->output.post_norm = mlp->output.post_norm = norm;
}

void ko_llama_begin(struct ko_builder *b)
{
    ko_declare_prefix(b, "embed_tokens.weight", "model.");
    ko_declare_embedding(b, "embed_tokens.weight", NULL);
}

void ko_llama_add(struct ko_builder *b, int32_t l, const struct ko_attention_spec *attention,
                  const struct ko_mlp_spec *mlp)
{
    ko_declare_layer(b, "layers", l);
    ko_attention_add(b, attention);
    ko_mlp_add(b, mlp);
}

void ko_llama_end(struct ko_builder *b, float norm_eps)
{
    b->model->ends.final_norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = norm_eps};
    ko_declare_head(b, "norm", "lm_head.weight");
}

void ko_llama_list(struct ko_builder *b, const struct ko_llama_layer *layer)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        attention.reach = layer->sliding[l] ? layer->reach : INT32_MAX;
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

void ko_llama_window(struct ko_builder *b, int32_t fallback, int32_t *reach)
{
    static const char key[] = "sliding_window";
    *reach = INT32_MAX;
    if (ko_json_get(b->config, key) || !json_object_object_get_ex(b->config, key, NULL)) {
        ko_config_size(b, &(const struct ko_size_row){key, NULL, fallback, INT32_MAX, reach});
    }
}

void ko_llama_layer_types(struct ko_builder *b, int64_t first, struct ko_llama_layer *layer)
{
    static const char key[] = "layer_types";
    const int32_t n = b->model->shape.n_layers;
    const bool has_window = layer->reach != INT32_MAX;
    if (!ko_json_get(b->config, key)) {
        for (int32_t l = 0; l < n; l++) {
            layer->sliding[l] = has_window && l >= first;
        }
        return;
    }
    ko_config_layer_types(b, 0, layer->sliding);
    if (!has_window && memchr(layer->sliding, 1, (size_t)n)) {
        ko_config_fail(b, key, "sliding_attention needs a sliding_window");
    }
}

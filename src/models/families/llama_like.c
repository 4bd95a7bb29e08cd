/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration of a Llama-like model and lists it. It also reads the keys for sliding
   windows, which only some of these families have. */
#include "src/models/families/llama_like.h"

#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

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
    if (!ko_json_get(b->config, "head_dim") && d % n != 0) {
        ko_config_fail(b, heads_key, "%d heads do not divide hidden_size of %d", n, d);
    }
    ko_config_size(
        b, &(const struct ko_size_row){"head_dim", NULL, d / n, KO_MAX_WIDTH, &layer->d_head});
    if (layer->d_head % 2 != 0) {
        ko_config_fail(b, "head_dim", "%d is odd, and rotary embedding turns pairs", layer->d_head);
    }
    if (((int64_t)n + 2 * (int64_t)layer->n_kv_heads) * layer->d_head > KO_MAX_WIDTH) {
        ko_config_fail(b, "head_dim",
                       "%d heads and %d of keys and values of width %d are wider than %d", n,
                       layer->n_kv_heads, layer->d_head, KO_MAX_WIDTH);
    }
}

void ko_llama_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_llama_layer *out)
{
    struct ko_shape *s = &b->model->shape;
    *out = (struct ko_llama_layer){.reach = INT32_MAX};
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, defaults->d_model, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, defaults->n_layers, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, defaults->vocabulary, KO_MAX_VOCABULARY, &s->vocabulary},
        {"intermediate_size", NULL, defaults->d_ff, KO_MAX_WIDTH, &out->d_ff},
        {"max_position_embeddings", NULL, defaults->max_positions, INT32_MAX, &s->max_tokens},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    read_heads(b, defaults, out);
    ko_config_epsilon(b, "rms_norm_eps", 1e-6, &out->norm_eps);
    ko_config_bos(b, defaults->bos_id);
    ko_config_only_silu(b);
    ko_config_tied(b, false);
    ko_config_rope(b, s->max_tokens, &out->rope);
    if (s->max_tokens > KO_MAX_POSITIONS) {
        s->max_tokens = KO_MAX_POSITIONS;
    }
}

void ko_llama_list(struct ko_builder *b, const struct ko_llama_layer *layer)
{
    struct ko_attention_spec attention = {
        .n_heads = layer->n_heads,
        .n_kv_heads = layer->n_kv_heads,
        .d_head = layer->d_head,
        .reach = layer->reach,
        .norm_name = "input_layernorm",
        .norm = {.kind = KO_RMS_NORM, .eps = layer->norm_eps},
        .q = "self_attn.q_proj",
        .k = "self_attn.k_proj",
        .v = "self_attn.v_proj",
        .o = "self_attn.o_proj",
        .qkv_bias = layer->qkv_bias,
        .o_bias = layer->o_bias,
        .rotary = true,
    };
    const struct ko_mlp_spec mlp = {
        .d_ff = layer->d_ff,
        .function = KO_MLP_SILU_GATED,
        .norm_name = "post_attention_layernorm",
        .norm = {.kind = KO_RMS_NORM, .eps = layer->norm_eps},
        .gate = "mlp.gate_proj",
        .up = "mlp.up_proj",
        .down = "mlp.down_proj",
        .bias = layer->mlp_bias,
    };
    ko_declare_prefix(b, "embed_tokens.weight", "model.");
    ko_declare_embedding(b, "embed_tokens.weight", NULL);
    ko_declare_rope(b, &layer->rope, layer->d_head, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = layer->norm_eps};
    ko_declare_head(b, "norm", "lm_head.weight");
}

enum ko_layer_types ko_llama_layer_types(struct ko_builder *b)
{
    static const char key[] = "layer_types";
    static const char *const kinds[] = {"full_attention", "sliding_attention"};
    json_object *list = ko_json_get(b->config, key);
    bool found[2] = {false, false};
    if (!list) {
        return KO_LAYERS_NOT_GIVEN;
    }
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) != (size_t)b->model->shape.n_layers) {
        ko_config_fail(b, key, "expected a list of %d words, one per layer",
                       b->model->shape.n_layers);
        return KO_LAYERS_NOT_GIVEN;
    }
    for (size_t l = 0; l < json_object_array_length(list); l++) {
        json_object *item = json_object_array_get_idx(list, l);
        const char *kind = item ? json_object_get_string(item) : "null";
        const bool full = strcmp(kind, kinds[0]) == 0;
        if (!full && strcmp(kind, kinds[1]) != 0) {
            ko_config_fail(
                b, key, "'%.60s' is not supported for %s, only full_attention or sliding_attention",
                kind, b->model->family->title);
        }
        found[full ? 0 : 1] = true;
    }
    if (found[0] && found[1]) {
        ko_config_fail(b, key,
                       "layers that mix full_attention and sliding_attention are not supported "
                       "for %s",
                       b->model->family->title);
    }
    return found[0] ? KO_LAYERS_FULL : KO_LAYERS_SLIDING;
}

void ko_llama_window(struct ko_builder *b, int32_t fallback, int32_t *reach)
{
    static const char key[] = "sliding_window";
    *reach = INT32_MAX;
    if (ko_json_get(b->config, key) || !json_object_object_get_ex(b->config, key, NULL)) {
        ko_config_size(b, &(const struct ko_size_row){key, NULL, fallback, INT32_MAX, reach});
    }
}

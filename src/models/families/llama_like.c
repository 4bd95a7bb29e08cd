/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the shape of a Llama-like model from config.json and declares its layers. It also reads the
   keys for sliding windows, which only some of these families have. */
#include "src/models/families/llama_like.h"

#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

/* Heads: how many, how many for keys and values, and their width. */
static enum ko_code read_heads(const struct ko_model *model, json_object *config,
                               const struct ko_llama_defaults *defaults,
                               struct ko_llama_layer *layer, struct ko_error *err)
{
    static const char kv_key[] = "num_key_value_heads";
    const int32_t d = model->shape.d_model;
    enum ko_code code = ko_config_size(model, config, "num_attention_heads", NULL,
                                       defaults->n_heads, KO_MAX_WIDTH, &layer->n_heads, err);
    if (code != KO_OK) {
        return code;
    }
    const int32_t n = layer->n_heads;
    /* Null is not absent here: as many as heads. */
    const bool grouped =
        defaults->n_kv_heads > 0 && !json_object_object_get_ex(config, kv_key, NULL);
    code = ko_config_size(model, config, kv_key, NULL, grouped ? defaults->n_kv_heads : n,
                          KO_MAX_WIDTH, &layer->n_kv_heads, err);
    if (code == KO_OK && n % layer->n_kv_heads != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: %s: %d do not divide num_attention_heads of %d",
                       model->name, kv_key, layer->n_kv_heads, n);
    }
    if (code == KO_OK && !ko_json_get(config, "head_dim") && d % n != 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: num_attention_heads: %d heads do not divide hidden_size of %d",
                       model->name, n, d);
    }
    if (code == KO_OK) {
        code = ko_config_size(model, config, "head_dim", NULL, d / n, KO_MAX_WIDTH, &layer->d_head,
                              err);
    }
    return code;
}

static enum ko_code check_heads(const struct ko_model *model, const struct ko_llama_layer *layer,
                                struct ko_error *err)
{
    if (layer->d_head % 2 != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: head_dim: %d is odd, and rotary embedding turns pairs",
                       model->name, layer->d_head);
    }
    if (((int64_t)layer->n_heads + 2 * (int64_t)layer->n_kv_heads) * layer->d_head > KO_MAX_WIDTH) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: head_dim: %d heads and %d of keys and values of width %d are wider "
                       "than %d",
                       model->name, layer->n_heads, layer->n_kv_heads, layer->d_head, KO_MAX_WIDTH);
    }
    return KO_OK;
}

static enum ko_code read_shape(struct ko_model *model, json_object *config,
                               const struct ko_llama_defaults *defaults,
                               struct ko_llama_layer *layer, struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, defaults->d_model, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, defaults->n_layers, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, defaults->vocabulary, KO_MAX_VOCABULARY, &s->vocabulary},
        {"intermediate_size", NULL, defaults->d_ff, KO_MAX_WIDTH, &layer->d_ff},
        {"max_position_embeddings", NULL, defaults->max_positions, INT32_MAX, &s->max_tokens},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (code == KO_OK) {
        code = read_heads(model, config, defaults, layer, err);
    }
    if (code == KO_OK) {
        code = check_heads(model, layer, err);
    }
    if (code == KO_OK) {
        code = ko_config_epsilon(model, config, "rms_norm_eps", 1e-6, &layer->norm_eps, err);
    }
    if (code == KO_OK) {
        code = ko_config_bos(model, config, defaults->bos_id, &s->bos_id, err);
    }
    return code;
}

enum ko_code ko_llama_read(struct ko_model *model, json_object *config,
                           const struct ko_llama_defaults *defaults, struct ko_llama_layer *out,
                           struct ko_error *err)
{
    static const char *const activations[] = {"silu", "swish"}; /* two names of one function */
    struct ko_shape *s = &model->shape;
    *out = (struct ko_llama_layer){.reach = INT32_MAX};
    enum ko_code code = read_shape(model, config, defaults, out, err);
    if (code == KO_OK) {
        code = ko_config_only_words(model, config, "hidden_act", activations, 2, err);
    }
    if (code == KO_OK) {
        code = ko_json_bool(config, "tie_word_embeddings", &model->ends.tied, model->name, err);
    }
    if (code == KO_OK) {
        code = ko_rope_configure(model, config, s->max_tokens, &out->rope, err);
    }
    if (s->max_tokens > KO_MAX_POSITIONS) {
        s->max_tokens = KO_MAX_POSITIONS;
    }
    return code;
}

enum ko_code ko_llama_list(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                           const struct ko_llama_layer *layer, struct ko_error *err)
{
    const char *prefix = ko_tensor_prefix(checkpoint, "embed_tokens.weight", "model.");
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
    model->ends.final_norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = layer->norm_eps};
    enum ko_code code = ko_declare_embedding(model, prefix, "embed_tokens.weight", NULL, err);
    if (code == KO_OK) {
        code = ko_declare_rope(model, &layer->rope, layer->d_head, &attention.rope, err);
    }
    for (int32_t l = 0; l < model->shape.n_layers && code == KO_OK; l++) {
        char at[64];
        snprintf(at, sizeof at, "%slayers.%d.", prefix, l);
        code = ko_attention_add(model, l, at, &attention, err);
        if (code == KO_OK) {
            code = ko_mlp_add(model, l, at, &mlp, err);
        }
    }
    return code == KO_OK ? ko_declare_head(model, prefix, "norm", "lm_head.weight", err) : code;
}

enum ko_code ko_llama_layer_types(const struct ko_model *model, json_object *config,
                                  enum ko_layer_types *out, struct ko_error *err)
{
    static const char key[] = "layer_types";
    static const char *const kinds[] = {"full_attention", "sliding_attention"};
    json_object *list = ko_json_get(config, key);
    bool found[2] = {false, false};
    *out = KO_LAYERS_NOT_GIVEN;
    if (!list) {
        return KO_OK;
    }
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) != (size_t)model->shape.n_layers) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of %d words, one a layer",
                       model->name, key, model->shape.n_layers);
    }
    for (size_t l = 0; l < json_object_array_length(list); l++) {
        json_object *item = json_object_array_get_idx(list, l);
        const char *kind = item ? json_object_get_string(item) : "null";
        bool full = strcmp(kind, kinds[0]) == 0;
        if (!full && strcmp(kind, kinds[1]) != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: '%.60s' is not supported for %s, only full_attention or "
                           "sliding_attention",
                           model->name, key, kind, model->family->title);
        }
        found[full ? 0 : 1] = true;
    }
    if (found[0] && found[1]) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: layers that mix full_attention and sliding_attention are not "
                       "supported for %s",
                       model->name, key, model->family->title);
    }
    *out = found[0] ? KO_LAYERS_FULL : KO_LAYERS_SLIDING;
    return KO_OK;
}

enum ko_code ko_llama_window(const struct ko_model *model, json_object *config, int32_t fallback,
                             int32_t *reach, struct ko_error *err)
{
    static const char key[] = "sliding_window";
    if (json_object_object_get_ex(config, key, NULL) && !ko_json_get(config, key)) {
        *reach = INT32_MAX;
        return KO_OK;
    }
    return ko_config_size(model, config, key, NULL, fallback, INT32_MAX, reach, err);
}

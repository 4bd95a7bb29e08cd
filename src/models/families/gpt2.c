/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-2: Radford et al. 2019; transformers' GPT2LMHeadModel. Matrices are Conv1D's: [in, out]. */
#include <stdio.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

struct gpt2 {
    int32_t n_heads, d_ff;
    struct ko_norm norm;
};

static enum ko_code read_shape(struct ko_model *model, json_object *config, struct gpt2 *g,
                               struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"n_embd", "hidden_size", 768, KO_MAX_WIDTH, &s->d_model},
        {"n_layer", "num_hidden_layers", 12, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50257, KO_MAX_VOCABULARY, &s->vocabulary},
        {"n_head", "num_attention_heads", 12, KO_MAX_WIDTH, &g->n_heads},
        {"n_positions", "max_position_embeddings", 1024, KO_MAX_VOCABULARY, &s->max_tokens},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (code == KO_OK && s->d_model % g->n_heads != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: n_head: %d heads do not divide n_embd of %d",
                       model->name, g->n_heads, s->d_model);
    }
    if (code == KO_OK) {
        code = ko_config_size(model, config, "n_inner", NULL, 4 * s->d_model, 4 * KO_MAX_WIDTH,
                              &g->d_ff, err);
    }
    if (code == KO_OK) {
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &g->norm.eps, err);
    }
    return code == KO_OK ? ko_config_bos(model, config, 50256, &s->bos_id, err) : code;
}

static enum ko_code read_rest(struct ko_model *model, json_object *config, struct ko_error *err)
{
    static const char *const activations[] = {"gelu_new", "gelu_pytorch_tanh"}; /* one function */
    model->ends.tied = true;
    enum ko_code code =
        ko_config_only_words(model, config, "activation_function", activations, 2, err);
    if (code == KO_OK) {
        code = ko_config_only_bool(model, config, "scale_attn_weights", true, err);
    }
    if (code == KO_OK) {
        code = ko_config_only_bool(model, config, "scale_attn_by_inverse_layer_idx", false, err);
    }
    if (code == KO_OK) {
        code = ko_config_only_bool(model, config, "add_cross_attention", false, err);
    }
    if (code == KO_OK) {
        code = ko_json_bool(config, "tie_word_embeddings", &model->ends.tied, model->name, err);
    }
    return code;
}

static enum ko_code list_gpt2(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                              const struct gpt2 *g, struct ko_error *err)
{
    const char *prefix = ko_tensor_prefix(checkpoint, "wte.weight", "transformer.");
    const struct ko_attention_spec attention = {
        .n_heads = g->n_heads,
        .n_kv_heads = g->n_heads,
        .d_head = model->shape.d_model / g->n_heads,
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
    model->ends.final_norm = g->norm;
    enum ko_code code = ko_declare_embedding(model, prefix, "wte.weight", "wpe.weight", err);
    for (int32_t l = 0; l < model->shape.n_layers && code == KO_OK; l++) {
        char at[64];
        snprintf(at, sizeof at, "%sh.%d.", prefix, l);
        code = ko_attention_add(model, l, at, &attention, err);
        if (code == KO_OK) {
            code = ko_mlp_add(model, l, at, &mlp, err);
        }
    }
    return code == KO_OK ? ko_declare_head(model, prefix, "ln_f", "lm_head.weight", err) : code;
}

static enum ko_code build_gpt2(struct ko_model *model, json_object *config,
                               const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct gpt2 g = {.norm = {.kind = KO_LAYER_NORM}};
    enum ko_code code = read_shape(model, config, &g, err);
    if (code == KO_OK) {
        code = read_rest(model, config, err);
    }
    return code == KO_OK ? list_gpt2(model, checkpoint, &g, err) : code;
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

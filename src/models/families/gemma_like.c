/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration of a Gemma model and lists it. */
#include "src/models/families/gemma_like.h"

#include <math.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"

enum { DEFAULT_WINDOW = 4096 };

/* hidden_activation alone counts. The files of the first Gemma have hidden_act "gelu" beside it,
   but the models were trained with the approximation. */
static void read_activation(struct ko_builder *b)
{
    static const char *const names[] = {"gelu_pytorch_tanh", "gelu_new"}; /* of one function */
    static const char *const old_names[] = {"gelu_pytorch_tanh", "gelu_new", "gelu"};
    ko_config_only_words(b, "hidden_activation", names, 2);
    ko_config_only_words(b, "hidden_act", old_names, 3);
}

void ko_gemma_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_gemma *out)
{
    *out = (struct ko_gemma){.scale = 0};
    ko_llama_read_sizes(b, defaults, &out->layer);
    read_activation(b);
    ko_config_only_bool(b, "use_bidirectional_attention", false);
    ko_config_bool(b, "attention_bias", &out->layer.qkv_bias);
    out->layer.o_bias = out->layer.qkv_bias;
    b->model->ends.embedding_scale = sqrtf((float)b->model->shape.d_model);
}

void ko_gemma_read_windows(struct ko_builder *b, int32_t pattern, struct ko_gemma *g)
{
    float scalar = 1;
    ko_config_positive(b, "query_pre_attn_scalar", 256, &scalar);
    g->scale = 1 / sqrtf(scalar);
    ko_llama_window(b, DEFAULT_WINDOW, &g->layer.reach);
    ko_config_layer_types(b, pattern, g->layer.sliding);
    if (g->layer.reach == INT32_MAX &&
        memchr(g->layer.sliding, 1, (size_t)b->model->shape.n_layers)) {
        ko_config_fail(b, "sliding_window", "null, but some layers are of type sliding_attention");
    }
}

void ko_gemma_cap(struct ko_builder *b, const char *key, double fallback, float *out)
{
    *out = 0;
    if (fallback > 0 || ko_json_get(b->config, key)) {
        ko_config_positive(b, key, fallback, out);
    }
    if (json_object_object_get_ex(b->config, key, NULL) && !ko_json_get(b->config, key)) {
        *out = 0;
    }
}

/* Llama's sublayers with Gemma's norms and activation. */
static void list_sublayers(const struct ko_gemma *g, struct ko_norm norm,
                           struct ko_attention_spec *attention, struct ko_mlp_spec *mlp)
{
    ko_llama_sublayers(&g->layer, attention, mlp);
    attention->norm = mlp->norm = norm;
    attention->scale = g->scale;
    attention->cap = g->cap;
    attention->qk_norm.one_plus = true;
    mlp->function = KO_MLP_GELU_TANH_GATED;
    if (g->post_norms) {
        attention->output.post_norm_name = "post_attention_layernorm";
        mlp->norm_name = "pre_feedforward_layernorm";
        mlp->output.post_norm_name = "post_feedforward_layernorm";
        attention->output.post_norm = mlp->output.post_norm = norm;
    }
}

void ko_gemma_list(struct ko_builder *b, const struct ko_gemma *g)
{
    const struct ko_norm norm = {.kind = KO_RMS_NORM, .eps = g->layer.norm_eps, .one_plus = true};
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    size_t full_rope = 0, sliding_rope;
    list_sublayers(g, norm, &attention, &mlp);
    ko_llama_begin(b);
    ko_declare_rope(b, &g->layer.rope, &full_rope);
    sliding_rope = full_rope;
    if (g->two_ropes) {
        ko_declare_rope(b, &g->sliding_rope, &sliding_rope);
    }
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        const bool slides = g->layer.sliding[l];
        attention.reach = slides ? g->layer.reach : INT32_MAX;
        attention.rope = slides ? sliding_rope : full_rope;
        ko_llama_add(b, l, &attention, &mlp);
    }
    b->model->ends.final_norm = norm;
    ko_declare_head(b, "norm", "lm_head.weight");
}

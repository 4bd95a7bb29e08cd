/* SPDX-License-Identifier: Apache-2.0 */
/* Nemotron-H: NVIDIA 2025; transformers' NemotronHForCausalLM. A layer has one sublayer: Mamba-2,
   attention without positions, or an MLP with squared ReLU. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/hybrid_like.h"
#include "src/models/families/mamba_like.h"

struct nemotron_h {
    uint8_t kinds[KO_MAX_LAYERS]; /* enum ko_layer_kind */
    struct ko_attention_spec attention;
    struct ko_mamba2_spec mamba2;
    struct ko_mlp_spec mlp;
};

/* hybrid_override_pattern: one letter per layer. */
static void read_pattern(struct ko_builder *b, const char *key, const char *pattern, uint8_t *kinds)
{
    static const char letters[] = {
        [KO_LAYER_SSM] = 'M',
        [KO_LAYER_ATTENTION] = '*',
        [KO_LAYER_MLP] = '-',
    };
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        const char *letter = memchr(letters, pattern[l], sizeof letters);
        if (!letter) {
            ko_config_fail(b, key, "'%c' of layer %d is not supported, only M, * or -", pattern[l],
                           l);
            return;
        }
        kinds[l] = (uint8_t)(letter - letters);
    }
}

/* The number of layers follows from their list, or from the older pattern. */
static void read_kinds(struct ko_builder *b, uint8_t *kinds)
{
    static const char pattern_key[] = "hybrid_override_pattern", n_key[] = "num_hidden_layers";
    int32_t *n = &b->model->shape.n_layers, said = 0;
    const char *types = ko_hybrid_types_key(b), *pattern = "";
    if (b->code == KO_OK && !types) {
        b->code = ko_json_string(b->config, pattern_key, &pattern, b->where, b->err);
    }
    json_object *list = types ? ko_json_get(b->config, types) : NULL;
    const bool listed = json_object_is_type(list, json_type_array);
    const size_t length = listed ? json_object_array_length(list) : strlen(pattern);
    const char *key = types ? types : pattern_key;
    *n = 1;
    if (length < 1 || length > KO_MAX_LAYERS) {
        ko_config_fail(b, key, "expected 1 to %d layers, got %zu", KO_MAX_LAYERS, length);
        return;
    }
    *n = (int32_t)length;
    ko_config_size(b, &(const struct ko_size_row){n_key, NULL, *n, KO_MAX_LAYERS, &said});
    if (said != *n) {
        ko_config_fail(b, n_key, "%d, but %s has %d layers", said, key, *n);
    }
    if (types) {
        ko_hybrid_read_types(b, types, 3, kinds);
    } else {
        read_pattern(b, pattern_key, pattern, kinds);
    }
}

static void read_mamba2(struct ko_builder *b, struct ko_mamba2_spec *out)
{
    static const struct ko_mamba2_keys keys = {"mamba_num_heads", "mamba_head_dim", "n_groups",
                                               "ssm_state_size"};
    static const char *const functions[] = {"silu", "swish"};
    const struct ko_size_row sizes[] = {
        {keys.n_heads, NULL, 128, KO_MAX_WIDTH, &out->n_heads},
        {keys.d_head, NULL, 64, KO_MAX_WIDTH, &out->d_head},
        {keys.n_groups, "mamba_n_groups", 8, KO_MAX_WIDTH, &out->n_groups},
        {keys.d_state, NULL, 128, KO_MAX_WIDTH, &out->d_state},
        {"conv_kernel", "mamba_d_conv", 4, KO_MAX_WIDTH, &out->d_conv},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    ko_mamba2_check(b, &keys, out);
    /* time_step_min is where training began, not a limit. */
    ko_mamba2_read_limit(
        b, ko_json_get(b->config, "mamba_dt_limit") ? "mamba_dt_limit" : "time_step_limit", out);
    ko_config_only_words(b, "mamba_hidden_act", functions, 2);
    ko_config_bool(b, "use_bias", &out->in_bias);
    out->out_bias = out->in_bias;
    ko_config_bool(b, "use_conv_bias", &out->conv_bias);
}

/* Sets the sublayers but for the experts. */
static void read_sublayers(struct ko_builder *b, struct nemotron_h *n)
{
    static const char *const functions[] = {"relu2"};
    const struct ko_llama_defaults defaults = {
        .d_model = 4096,
        .d_ff = 21504,
        .n_layers = b->model->shape.n_layers,
        .n_heads = 32,
        .n_kv_heads = 8,
        .d_head = 128,
        .vocabulary = 131072,
        .max_positions = 4096,
        .bos_id = 1,
        .unrotated = true,
        .norm_eps = 1e-5,
        .norm_eps_key = "layer_norm_epsilon",
        .d_head_alias = "attention_head_dim",
    };
    struct ko_llama_layer layer;
    ko_llama_read_sizes(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    ko_config_only_words(b, "mlp_hidden_act", functions, 1);
    ko_config_only_null(b, "sliding_window");
    ko_llama_sublayers(&layer, &n->attention, &n->mlp);
    n->attention.q = "mixer.q_proj";
    n->attention.k = "mixer.k_proj";
    n->attention.v = "mixer.v_proj";
    n->attention.o = "mixer.o_proj";
    n->attention.rotary = false;
    n->mlp.function = KO_MLP_RELU2;
    n->mlp.up = "mixer.up_proj";
    n->mlp.down = "mixer.down_proj";
    n->mamba2 =
        (struct ko_mamba2_spec){.norm = n->attention.norm, .stem = "mixer", .conv_bias = true};
    n->attention.norm_name = n->mamba2.norm_name = n->mlp.norm_name = "norm";
    read_mamba2(b, &n->mamba2);
}

static void list_nemotron_h(struct ko_builder *b, const struct nemotron_h *n)
{
    const bool renamed = ko_tensor_exists(b, "model.norm_f.weight");
    ko_declare_prefix(b, "norm_f.weight", renamed ? "model." : "backbone.");
    ko_declare_embedding(b, "embeddings.weight", NULL);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (n->kinds[l] == KO_LAYER_SSM) {
            ko_mamba2_add(b, &n->mamba2);
        } else if (n->kinds[l] == KO_LAYER_ATTENTION) {
            ko_attention_add(b, &n->attention);
        } else {
            ko_mlp_add(b, &n->mlp);
        }
    }
    b->model->ends.final_norm = n->attention.norm;
    ko_declare_head(b, "norm_f", "lm_head.weight");
}

static void build_nemotron_h(struct ko_builder *b)
{
    struct nemotron_h n = {.kinds = {0}};
    read_kinds(b, n.kinds);
    read_sublayers(b, &n);
    list_nemotron_h(b, &n);
}

const struct ko_family ko_family_nemotron_h = {
    .name = "nemotron_h",
    .title = "Nemotron-H",
    .model_types = {"nemotron_h"},
    .build = build_nemotron_h,
};

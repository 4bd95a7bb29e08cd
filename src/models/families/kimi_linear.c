/* SPDX-License-Identifier: Apache-2.0 */
/* Kimi Linear: Kimi Team 2025; transformers' KimiLinearForCausalLM. Three layers of Kimi Delta
   Attention for one of latent attention, none with positions, and after the first layers mixtures
   of experts. */
#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"
#include "src/models/sublayers/deltanet.h"
#include "src/models/sublayers/latent_attention.h"

struct kimi_linear {
    struct ko_deltanet_spec delta;
    struct ko_latent_attention_spec attention;
    struct ko_mlp_spec mlp, shared; /* shared: the expert of all rows */
    struct ko_moe_spec moe;
    uint8_t attends[KO_MAX_LAYERS]; /* 1: the layer has attention, else Kimi Delta Attention */
    uint8_t dense[KO_MAX_LAYERS];   /* 1: the layer has an MLP, else a mixture of experts */
};

/* The alias if config.json has it and not the key. */
static const char *given_key(const struct ko_builder *b, const char *key, const char *alias)
{
    return !ko_json_get(b->config, key) && ko_json_get(b->config, alias) ? alias : key;
}

static void read_attention(struct ko_builder *b, int32_t n_heads,
                           struct ko_latent_attention_spec *out)
{
    const struct ko_size_row sizes[] = {
        {"qk_nope_head_dim", NULL, 128, KO_MAX_WIDTH, &out->d_own},
        {"qk_rope_head_dim", NULL, 64, KO_MAX_WIDTH, &out->d_shared},
        {"v_head_dim", NULL, 128, KO_MAX_WIDTH, &out->d_value},
        {"kv_lora_rank", NULL, 512, KO_MAX_WIDTH, &out->d_latent},
    };
    out->n_heads = n_heads;
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    const int64_t key = (int64_t)out->d_own + out->d_shared;
    if (key * n_heads * 2 > KO_MAX_WIDTH ||
        ((int64_t)out->d_own + out->d_value) * n_heads > KO_MAX_WIDTH) {
        ko_config_fail(b, "num_attention_heads",
                       "%d heads with keys of %lld and values of %d are together wider than %d",
                       n_heads, (long long)key, out->d_value, KO_MAX_WIDTH);
    }
    ko_config_only_null(b, "q_lora_rank");
    ko_config_only_bool(b, "mla_use_nope", true);
    ko_config_bool(b, "attention_bias", &out->bias);
}

/* A part of config.json as a configuration of its own. Its errors begin with its key. */
struct part {
    struct ko_builder inner;
    char where[256];
};

static void open_part(struct ko_builder *b, const char *key, struct part *out)
{
    json_object *nested = ko_json_get(b->config, key);
    if (nested && !json_object_is_type(nested, json_type_object)) {
        ko_config_fail(b, key, "expected an object");
    }
    *out = (struct part){.inner = *b};
    (void)snprintf(out->where, sizeof out->where, "%s: %s", b->where, key);
    out->inner.where = out->where;
    out->inner.config = nested;
}

static void read_delta_sizes(struct ko_builder *b, struct ko_builder *inner,
                             struct ko_deltanet_spec *out)
{
    int32_t n_heads = 32, width = 128, taps = 4;
    const struct ko_size_row sizes[] = {
        {"linear_num_heads", NULL, 32, KO_MAX_WIDTH, &n_heads},
        {"linear_head_dim", NULL, 128, KO_MAX_WIDTH, &width},
        {"linear_conv_kernel_dim", NULL, 4, KO_MAX_WIDTH, &taps},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    const struct ko_size_row nested[] = {
        {"num_heads", NULL, n_heads, KO_MAX_WIDTH, &out->n_heads},
        {"head_dim", NULL, width, KO_MAX_WIDTH, &out->d_key},
        {"short_conv_kernel_size", NULL, taps, KO_MAX_WIDTH, &out->d_conv},
    };
    ko_config_sizes(inner, nested, sizeof nested / sizeof nested[0]);
    if (3 * (int64_t)out->n_heads * out->d_key > KO_MAX_WIDTH) {
        ko_config_fail(inner, "num_heads",
                       "queries, keys and values of %d heads of %d are wider "
                       "than %d",
                       out->n_heads, out->d_key, KO_MAX_WIDTH);
    }
    out->n_key_heads = out->n_heads;
    out->d_value = out->d_key;
}

/* full_attn_layers and kda_layers, which count from 1. False, and zeros, if both are absent. */
static bool read_layer_lists(struct ko_builder *b, uint8_t *attends)
{
    static const char key[] = "full_attn_layers", other[] = "kda_layers";
    uint8_t delta[KO_MAX_LAYERS] = {0};
    if (!ko_json_get(b->config, key) && !ko_json_get(b->config, other)) {
        return false;
    }
    ko_config_layer_list(b, key, 1, attends);
    ko_config_layer_list(b, other, 1, delta);
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        if (attends[l] == delta[l]) {
            ko_config_fail(b, key, "layer %d is in %s", l + 1,
                           delta[l] ? "kda_layers too" : "neither this list nor kda_layers");
        }
    }
    return true;
}

/* Sizes of Kimi Delta Attention from linear_attn_config, and which layers have it: layer_types,
   else the lists there, else the rule of the class. */
static void read_delta(struct ko_builder *b, struct kimi_linear *k)
{
    static const char *const kinds[] = {"linear_attention", "full_attention"};
    struct part part;
    open_part(b, "linear_attn_config", &part);
    read_delta_sizes(b, &part.inner, &k->delta);
    b->code = b->code == KO_OK ? part.inner.code : b->code;
    if (ko_config_two_kinds(b, "layer_types", kinds, k->attends)) {
        return;
    }
    part.inner.code = b->code;
    if (!read_layer_lists(&part.inner, k->attends)) {
        for (int32_t l = 4; l < b->model->shape.n_layers; l += 4) {
            k->attends[l] = 1;
        }
    }
    b->code = part.inner.code;
}

/* mlp_layer_types, else the first layers have an MLP. */
static void read_dense(struct ko_builder *b, uint8_t *dense)
{
    static const char *const kinds[] = {"sparse", "dense"};
    int64_t first = 1;
    if (ko_config_two_kinds(b, "mlp_layer_types", kinds, dense)) {
        return;
    }
    if (b->code == KO_OK) {
        b->code =
            ko_json_int(b->config, "first_k_dense_replace", 0, INT32_MAX, &first, b->where, b->err);
    }
    for (int32_t l = 0; l < b->model->shape.n_layers && l < first; l++) {
        dense[l] = 1;
    }
}

/* The router: how experts are chosen. */
static void read_choice(struct ko_builder *b, struct ko_moe_spec *moe)
{
    static const char *const functions[] = {"sigmoid"};
    const char *n_key = given_key(b, "num_experts", "num_local_experts");
    const char *chosen_key = given_key(b, "num_experts_per_token", "num_experts_per_tok");
    const char *group_key = given_key(b, "num_expert_group", "n_group");
    const struct ko_size_row sizes[] = {
        {n_key, NULL, 256, KO_MAX_EXPERTS, &moe->n_experts},
        {chosen_key, NULL, 8, KO_MAX_EXPERTS, &moe->n_chosen},
    };
    ko_config_sizes(b, sizes, 2);
    if (moe->n_chosen > moe->n_experts) {
        ko_config_fail(b, chosen_key, "%d experts of %d cannot be chosen", moe->n_chosen,
                       moe->n_experts);
    }
    ko_moe_check(b, moe);
    ko_moe_read_groups(b, group_key, "topk_group", moe);
    ko_config_only_words(b, "moe_router_activation_func", functions, 1);
    ko_config_only_bool(b, "use_grouped_topk", true);
    ko_config_bool(b, given_key(b, "moe_renormalize", "norm_topk_prob"), &moe->among_chosen);
    ko_config_positive(b, "routed_scaling_factor", 2.446, &moe->share_scale);
}

static void read_experts(struct ko_builder *b, struct kimi_linear *k)
{
    static const char freq_key[] = "moe_layer_freq";
    const char *shared_key = given_key(b, "num_shared_experts", "n_shared_experts");
    int32_t freq = 1, n_shared = 1;
    const struct ko_size_row sizes[] = {
        {freq_key, NULL, 1, KO_MAX_LAYERS, &freq},
        {"moe_intermediate_size", NULL, 1024, KO_MAX_WIDTH, &k->moe.d_ff},
        {shared_key, NULL, 1, KO_MAX_EXPERTS, &n_shared},
    };
    read_choice(b, &k->moe);
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (freq != 1) {
        ko_config_fail(b, freq_key, "%d is not supported for Kimi Linear, only 1", freq);
    }
    if ((int64_t)n_shared * k->moe.d_ff > KO_MAX_WIDTH) {
        ko_config_fail(b, shared_key, "%d experts of width %d are together wider than %d", n_shared,
                       k->moe.d_ff, KO_MAX_WIDTH);
        n_shared = 1;
    }
    k->shared.d_ff = n_shared * k->moe.d_ff;
}

/* Sets what no key changes, and the names of tensors. */
static void set_sublayers(const struct ko_llama_layer *layer, struct kimi_linear *k)
{
    struct ko_attention_spec unused;
    ko_llama_sublayers(layer, &unused, &k->mlp);
    k->shared = k->mlp;
    k->shared.gate = "block_sparse_moe.shared_experts.gate_proj";
    k->shared.up = "block_sparse_moe.shared_experts.up_proj";
    k->shared.down = "block_sparse_moe.shared_experts.down_proj";
    k->moe = (struct ko_moe_spec){
        .among_chosen = true,
        .sigmoid = true,
        .norm_name = k->mlp.norm_name,
        .norm = k->mlp.norm,
        .router = "block_sparse_moe.gate",
        .correction = "e_score_correction_bias",
        .experts = "block_sparse_moe.experts",
        .gate = "w1",
        .up = "w3",
        .down = "w2",
    };
    k->delta = (struct ko_deltanet_spec){
        .form = KO_DELTANET_KIMI,
        .norm_name = unused.norm_name,
        .norm = unused.norm,
        .stem = "self_attn",
    };
    k->attention = (struct ko_latent_attention_spec){
        .norm_name = unused.norm_name,
        .norm = unused.norm,
        .stem = "self_attn",
        .latent_norm = {.kind = KO_RMS_NORM, .eps = 1e-6F}, /* not rms_norm_eps */
    };
}

static void read_kimi_linear(struct ko_builder *b, struct kimi_linear *k)
{
    static const struct ko_llama_defaults defaults = {
        .d_model = 2304,
        .d_ff = 9216,
        .n_layers = 27,
        .n_heads = 32,
        .n_kv_heads = 32,
        .d_head = 128,
        .vocabulary = 163840,
        .max_positions = 1048576,
        .bos_id = 163584,
        .unrotated = true,
        .norm_eps = 1e-5,
    };
    struct ko_llama_layer layer;
    ko_llama_read_sizes(b, &defaults, &layer);
    ko_config_only_silu(b);
    if (layer.n_kv_heads != layer.n_heads) {
        ko_config_fail(b, "num_key_value_heads",
                       "%d is not supported for Kimi Linear, only %d, "
                       "as num_attention_heads",
                       layer.n_kv_heads, layer.n_heads);
    }
    set_sublayers(&layer, k);
    read_attention(b, layer.n_heads, &k->attention);
    read_delta(b, k);
    read_dense(b, k->dense);
    if (memchr(k->dense, 0, (size_t)b->model->shape.n_layers)) {
        read_experts(b, k);
    }
}

static void build_kimi_linear(struct ko_builder *b)
{
    struct kimi_linear k = {.attends = {0}};
    read_kimi_linear(b, &k);
    k.moe.shared = &k.shared;
    ko_llama_begin(b);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (k.attends[l]) {
            ko_latent_attention_add(b, &k.attention);
        } else {
            ko_deltanet_add(b, &k.delta);
        }
        if (k.dense[l]) {
            ko_mlp_add(b, &k.mlp);
        } else {
            ko_moe_add(b, &k.moe);
        }
    }
    ko_llama_end(b, k.mlp.norm.eps);
}

const struct ko_family ko_family_kimi_linear = {
    .name = "kimi_linear",
    .title = "Kimi Linear",
    .model_types = {"kimi_linear"},
    .build = build_kimi_linear,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Nemotron-H: Blakeman et al. 2025; transformers' NemotronHForCausalLM. A layer has one sublayer:
   Mamba-2, attention without positions, an MLP with squared ReLU, or in Nemotron 3 a mixture of such
   MLPs, routed as in DeepSeek-V3, with one for all rows. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/hybrid_like.h"
#include "src/models/families/mamba_like.h"
#include "src/models/families/moe_like.h"

struct nemotron_h {
    uint8_t kinds[KO_MAX_LAYERS]; /* enum ko_layer_kind */
    struct ko_attention_spec attention;
    struct ko_mamba2_spec mamba2;
    struct ko_mlp_spec mlp, shared; /* shared: of the experts */
    struct ko_moe_spec moe;
};

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

static void read_experts(struct ko_builder *b, struct nemotron_h *n)
{
    n->shared = n->mlp;
    n->shared.up = "mixer.shared_experts.up_proj";
    n->shared.down = "mixer.shared_experts.down_proj";
    n->moe = (struct ko_moe_spec){
        .among_chosen = true,
        .sigmoid = true,
        .relu2 = true,
        .norm_name = n->mlp.norm_name,
        .norm = n->mlp.norm,
        .router = "mixer.gate",
        .correction = "e_score_correction_bias",
        .experts = "mixer.experts",
        .up = "up_proj",
        .down = "down_proj",
    };
    const struct ko_size_row sizes[] = {
        {"moe_intermediate_size", NULL, 7688, KO_MAX_WIDTH, &n->moe.d_ff},
        {"moe_shared_expert_intermediate_size", NULL, 7688, KO_MAX_WIDTH, &n->shared.d_ff},
    };
    ko_moe_read(b, "n_routed_experts", 8, 2, &n->moe);
    ko_moe_check(b, &n->moe);
    ko_moe_read_groups(b, "n_group", "topk_group", &n->moe);
    ko_config_sizes(b, sizes, 2);
    ko_config_only_null(b, "moe_latent_size");
    ko_config_bool(b, "norm_topk_prob", &n->moe.among_chosen);
    ko_config_positive(b, "routed_scaling_factor", 1, &n->moe.share_scale);
}

static void list_nemotron_h(struct ko_builder *b, const struct nemotron_h *n)
{
    struct ko_moe_spec moe = n->moe;
    moe.shared = &n->shared;
    const bool renamed = ko_tensor_exists(b, "model.norm_f.weight");
    ko_declare_prefix(b, "norm_f.weight", renamed ? "model." : "backbone.");
    ko_declare_embedding(b, "embeddings.weight", NULL);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (n->kinds[l] == KO_LAYER_SSM) {
            ko_mamba2_add(b, &n->mamba2);
        } else if (n->kinds[l] == KO_LAYER_ATTENTION) {
            ko_attention_add(b, &n->attention);
        } else if (n->kinds[l] == KO_LAYER_MLP) {
            ko_mlp_add(b, &n->mlp);
        } else {
            ko_moe_add(b, &moe);
        }
    }
    b->model->ends.final_norm = n->attention.norm;
    ko_declare_head(b, "norm_f", "lm_head.weight");
}

static void build_nemotron_h(struct ko_builder *b)
{
    struct nemotron_h n = {.kinds = {0}};
    ko_hybrid_read_kinds(b, n.kinds);
    read_sublayers(b, &n);
    if (memchr(n.kinds, KO_LAYER_EXPERTS, (size_t)b->model->shape.n_layers)) {
        read_experts(b, &n);
    }
    list_nemotron_h(b, &n);
}

const struct ko_family ko_family_nemotron_h = {
    .name = "nemotron_h",
    .title = "Nemotron-H",
    .model_types = {"nemotron_h"},
    .build = build_nemotron_h,
};

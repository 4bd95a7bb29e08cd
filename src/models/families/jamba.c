/* SPDX-License-Identifier: Apache-2.0 */
/* Jamba: Lieber et al. 2024; transformers' JambaForCausalLM. Layers of Mamba-1, with norms of delta's
   input, B and C, or of attention without positions. Some layers may have a mixture of experts in
   place of the MLP, whose shares are a softmax over all experts. */
#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/hybrid_like.h"
#include "src/models/families/moe_like.h"
#include "src/models/sublayers/mamba1.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 65536,
    .max_positions = 262144,
    .bos_id = 1,
    .unrotated = true,
};

struct jamba {
    struct ko_llama_layer layer;
    struct ko_attention_spec attention;
    struct ko_mamba1_spec mamba1;
    struct ko_mlp_spec mlp;
    struct ko_moe_spec moe;
    uint8_t attends[KO_MAX_LAYERS], chooses[KO_MAX_LAYERS]; /* 1: attention, experts */
};

/* flags [n_layers]: 1 for the layers `offset`, `offset` + `period`, ... */
static void read_period(struct ko_builder *b, const char *const keys[2], int32_t period,
                        int64_t offset, uint8_t *flags)
{
    ko_config_size(b, &(const struct ko_size_row){keys[0], NULL, period, KO_MAX_LAYERS, &period});
    if (b->code == KO_OK) {
        b->code = ko_json_int(b->config, keys[1], 0, KO_MAX_LAYERS, &offset, b->where, b->err);
    }
    if (offset >= period) {
        ko_config_fail(b, keys[1], "%d is not below %s of %d", (int)offset, keys[0], period);
    }
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        flags[l] = l % period == offset;
    }
}

static void read_mamba1(struct ko_builder *b, struct ko_mamba1_spec *out)
{
    const int32_t d = b->model->shape.d_model;
    int32_t expand = 2;
    const struct ko_size_row sizes[] = {
        {"mamba_d_state", NULL, 16, KO_MAX_WIDTH, &out->d_state},
        {"mamba_d_conv", NULL, 4, KO_MAX_WIDTH, &out->d_conv},
        {"mamba_expand", NULL, 2, KO_MAX_WIDTH, &expand},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    ko_config_auto_size(b, &(const struct ko_size_row){"mamba_dt_rank", NULL, (d + 15) / 16,
                                                       KO_MAX_WIDTH, &out->dt_rank});
    if ((int64_t)expand * d > KO_MAX_WIDTH) {
        ko_config_fail(b, "mamba_expand", "%d times the hidden size of %d is wider than %d", expand,
                       d, KO_MAX_WIDTH);
        expand = 1;
    }
    out->d_inner = expand * d;
    ko_config_bool(b, "mamba_conv_bias", &out->conv_bias);
    ko_config_bool(b, "mamba_proj_bias", &out->bias);
    ko_config_only_bool(b, "mamba_inner_layernorms", true);
}

/* Which layers have experts; with a num_experts of 1 none has. */
static void read_experts(struct ko_builder *b, struct jamba *j)
{
    static const char *const keys[] = {"expert_layer_period", "expert_layer_offset"};
    int32_t n = 16;
    ko_config_size(
        b, &(const struct ko_size_row){"num_experts", "num_local_experts", n, KO_MAX_EXPERTS, &n});
    if (n > 1) {
        read_period(b, keys, 2, 1, j->chooses);
        ko_moe_read(b, "num_experts", 16, 2, &j->moe);
        ko_moe_check(b, &j->moe);
    }
}

static void read_jamba(struct ko_builder *b, struct jamba *j)
{
    static const char *const keys[] = {"attn_layer_period", "attn_layer_offset"};
    ko_llama_read_sizes(b, &defaults, &j->layer);
    ko_config_only_silu(b);
    ko_config_only_null(b, "sliding_window");
    ko_hybrid_sublayers(&j->layer, &j->attention, &j->mlp);
    j->attention.rotary = false;
    j->mamba1 = (struct ko_mamba1_spec){
        .norm_name = j->attention.norm_name,
        .norm = j->attention.norm,
        .stem = "mamba",
        .conv_bias = true,
        .refine = j->attention.norm,
        .refine_names = {"mamba.dt_layernorm", "mamba.b_layernorm", "mamba.c_layernorm"},
    };
    j->moe = (struct ko_moe_spec){
        .d_ff = j->layer.d_ff,
        .norm_name = j->mlp.norm_name,
        .norm = j->mlp.norm,
        .router = "feed_forward.router",
        .experts = "feed_forward.experts",
        .gate = "gate_proj",
        .up = "up_proj",
        .down = "down_proj",
    };
    read_period(b, keys, 8, 4, j->attends);
    read_mamba1(b, &j->mamba1);
    read_experts(b, j);
}

static void build_jamba(struct ko_builder *b)
{
    struct jamba j = {.chooses = {0}};
    read_jamba(b, &j);
    ko_llama_begin(b);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        if (j.attends[l]) {
            ko_attention_add(b, &j.attention);
        } else {
            ko_mamba1_add(b, &j.mamba1);
        }
        if (j.chooses[l]) {
            ko_moe_add(b, &j.moe);
        } else {
            ko_mlp_add(b, &j.mlp);
        }
    }
    ko_hybrid_end(b, j.layer.norm_eps);
}

const struct ko_family ko_family_jamba = {
    .name = "jamba",
    .title = "Jamba",
    .model_types = {"jamba"},
    .build = build_jamba,
};

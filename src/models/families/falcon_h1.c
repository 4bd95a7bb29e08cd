/* SPDX-License-Identifier: Apache-2.0 */
/* Falcon-H1: Falcon-LLM Team 2025; transformers' FalconH1ForCausalLM. In every layer attention and
   Mamba-2 read the same normed row side by side. The configuration has a factor for each part. */
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"
#include "src/models/families/mamba_like.h"
#include "src/models/sublayers/mamba2.h"

static const struct ko_rope_support rotary = {.theta_key = "rope_theta", .theta = 100000};

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 128000,
    .max_positions = 8192,
    .bos_id = 1,
    .norm_eps = 1e-5,
    .rope = &rotary,
};

/* Factors that are not in the sublayers' specs. */
struct factors {
    float ssm[5]; /* of z, u, B, C and delta */
    float mlp[2]; /* of the MLP's gate and output */
};

/* A list of n positive numbers; absent or null: ones. */
static void read_factors(struct ko_builder *b, const char *key, size_t n, float *out)
{
    json_object *list = ko_json_get(b->config, key);
    for (size_t i = 0; i < n; i++) {
        out[i] = 1;
    }
    if (!list || b->code != KO_OK) {
        return;
    }
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) != n) {
        ko_config_fail(b, key, "expected a list of %zu numbers", n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double value = json_object_get_double(json_object_array_get_idx(list, i));
        if (!(value > 0 && value < 1e30)) {
            ko_config_fail(b, key, "expected positive numbers");
            return;
        }
        out[i] = (float)value;
    }
}

/* The heads of the SSM: their number times their width is the inner width. */
static void read_ssm_heads(struct ko_builder *b, struct ko_mamba2_spec *ssm)
{
    static const char inner_key[] = "mamba_d_ssm", width_key[] = "mamba_d_head";
    static const struct ko_mamba2_keys keys = {"mamba_n_heads", "mamba_d_head", "mamba_n_groups",
                                               "mamba_d_state"};
    json_object *width = ko_json_get(b->config, width_key);
    int32_t expand = 2, inner = 1024;
    if (json_object_object_get_ex(b->config, inner_key, NULL) &&
        !ko_json_get(b->config, inner_key)) {
        ko_config_size(b, &(const struct ko_size_row){"mamba_expand", NULL, 2, 1024, &expand});
        inner = expand * b->model->shape.d_model;
    } else {
        ko_config_size(b, &(const struct ko_size_row){inner_key, NULL, 1024, KO_MAX_WIDTH, &inner});
    }
    if (inner % ssm->n_heads != 0) {
        ko_config_fail(b, "mamba_n_heads", "%d heads do not divide the inner width of %d",
                       ssm->n_heads, inner);
    }
    ssm->d_head = inner / ssm->n_heads;
    if (width && !(json_object_is_type(width, json_type_string) &&
                   strcmp(json_object_get_string(width), "auto") == 0)) {
        int32_t d_head = ssm->d_head;
        ko_config_size(b,
                       &(const struct ko_size_row){width_key, NULL, d_head, KO_MAX_WIDTH, &d_head});
        if (d_head != ssm->d_head) {
            ko_config_fail(b, width_key, "%d times %d heads is not the inner width of %d", d_head,
                           ssm->n_heads, inner);
        }
    }
    ko_mamba2_check(b, &keys, ssm);
}

static void read_ssm(struct ko_builder *b, struct ko_mamba2_spec *ssm)
{
    bool norm = false, norm_first = true;
    const struct ko_size_row sizes[] = {
        {"mamba_n_heads", NULL, 128, KO_MAX_WIDTH, &ssm->n_heads},
        {"mamba_n_groups", NULL, 1, KO_MAX_WIDTH, &ssm->n_groups},
        {"mamba_d_state", NULL, 256, KO_MAX_WIDTH, &ssm->d_state},
        {"mamba_d_conv", NULL, 4, KO_MAX_WIDTH, &ssm->d_conv},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    read_ssm_heads(b, ssm);
    ssm->conv_bias = true;
    ko_config_bool(b, "mamba_conv_bias", &ssm->conv_bias);
    ko_config_bool(b, "mamba_proj_bias", &ssm->in_bias);
    ko_config_bool(b, "projectors_bias", &ssm->out_bias);
    ko_config_bool(b, "mamba_rms_norm", &norm);
    ko_config_bool(b, "mamba_norm_before_gate", &norm_first);
    ssm->gate = !norm ? KO_GATE_ALONE : norm_first ? KO_NORM_THEN_GATE : KO_GATE_THEN_NORM;
    ko_mamba2_read_limit(b, "time_step_limit", ssm);
    ko_config_positive(b, "ssm_in_multiplier", 1, &ssm->in_scale);
    ko_config_positive(b, "ssm_out_multiplier", 1, &ssm->output.scale);
}

static void list_falcon_h1(struct ko_builder *b, const struct ko_llama_layer *layer,
                           struct ko_mamba2_spec *ssm, const struct factors *factors)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    float key = 1;
    ko_llama_sublayers(layer, &attention, &mlp);
    ko_config_positive(b, "key_multiplier", 1, &key);
    ko_config_positive(b, "attention_in_multiplier", 1, &attention.in_scale);
    ko_config_positive(b, "attention_out_multiplier", 1, &attention.output.scale);
    attention.scale = key / sqrtf((float)layer->d_head); /* a factor of keys is one of scores */
    mlp.norm_name = "pre_ff_layernorm";
    mlp.gate = "feed_forward.gate_proj";
    mlp.up = "feed_forward.up_proj";
    mlp.down = "feed_forward.down_proj";
    mlp.gate_scale = factors->mlp[0];
    mlp.output.scale = factors->mlp[1];
    ssm->part_scale = factors->ssm;
    attention.norm_name = NULL;
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        ko_declare_norm(b, "input_layernorm", &attention.norm);
        ssm->norm = attention.norm;
        ko_attention_add(b, &attention);
        ko_mamba2_add(b, ssm);
        ko_mlp_add(b, &mlp);
    }
    b->model->ends.final_norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = layer->norm_eps};
    ko_declare_head(b, "final_layernorm", "lm_head.weight");
}

static void build_falcon_h1(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_mamba2_spec ssm = {.stem = "mamba", .output.parallel = true};
    struct factors factors = {{0}, {0}};
    ko_llama_read(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    read_ssm(b, &ssm);
    read_factors(b, "ssm_multipliers", 5, factors.ssm);
    read_factors(b, "mlp_multipliers", 2, factors.mlp);
    ko_config_positive(b, "embedding_multiplier", 1, &b->model->ends.embedding_scale);
    ko_config_positive(b, "lm_head_multiplier", 1, &b->model->ends.logit_scale);
    list_falcon_h1(b, &layer, &ssm, &factors);
}

const struct ko_family ko_family_falcon_h1 = {
    .name = "falcon_h1",
    .title = "Falcon-H1",
    .model_types = {"falcon_h1"},
    .build = build_falcon_h1,
};

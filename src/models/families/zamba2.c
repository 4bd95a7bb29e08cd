/* SPDX-License-Identifier: Apache-2.0 */
/* Zamba2: Glorioso et al. 2024; transformers' Zamba2ForCausalLM. Every layer is a Mamba-2 block. In
   hybrid layers it also reads what a block of attention and MLP gives, whose weights they share: the
   n-th hybrid layer has block n modulo num_mem_blocks. */
#include <math.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/llama_like.h"
#include "src/models/families/mamba_like.h"
#include "src/models/sublayers/shared_block.h"

enum { MAX_BLOCKS = 64 };

static const struct ko_llama_defaults defaults = {
    .d_model = 2560,
    .d_ff = 10240,
    .n_layers = 54,
    .n_heads = 32,
    .vocabulary = 32000,
    .max_positions = 4096,
    .bos_id = 1,
    .tied = true,
    .unrotated = true,
    .norm_eps = 1e-5,
};

struct zamba2 {
    struct ko_shared_block_spec shared;
    struct ko_mamba2_spec mamba;
    int32_t n_blocks;
    uint8_t hybrid[KO_MAX_LAYERS]; /* [n_layers] 1: the layer has a shared block */
};

/* Zyphra's first files have other keys, and other names and shapes of tensors. */
static void refuse_first_layout(struct ko_builder *b)
{
    static const char *const keys[][2] = {
        {"state_size", "mamba_d_state"},
        {"use_shared_attention_lora", "use_shared_attention_adapter"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (ko_json_get(b->config, keys[i][0]) && !ko_json_get(b->config, keys[i][1])) {
            ko_config_fail(
                b, keys[i][0],
                "belongs to the first layout of Zamba2, which is not supported, only the "
                "one of transformers, where it is %s",
                keys[i][1]);
        }
    }
}

/* Layers that share a block: layers_block_type, without which only the 54 of Zamba2-2.7B are known. */
static void read_layers(struct ko_builder *b, uint8_t *hybrid)
{
    static const char *const kinds[] = {"mamba", "hybrid"};
    static const char key[] = "layers_block_type";
    static const uint8_t known[] = {6, 12, 18, 24, 30, 36, 42, 47, 51};
    if (ko_config_two_kinds(b, key, kinds, hybrid)) {
        return;
    }
    if (b->model->shape.n_layers != 54) {
        ko_config_fail(b, key, "missing, although num_hidden_layers is %d",
                       b->model->shape.n_layers);
        return;
    }
    for (size_t i = 0; i < sizeof known; i++) {
        hybrid[known[i]] = 1;
    }
}

static void read_mamba(struct ko_builder *b, struct ko_mamba2_spec *m)
{
    static const struct ko_mamba2_keys keys = {"n_mamba_heads", "mamba_expand", "mamba_ngroups",
                                               "mamba_d_state"};
    int32_t expand = 2;
    const struct ko_size_row sizes[] = {
        {"n_mamba_heads", NULL, 8, KO_MAX_WIDTH, &m->n_heads},
        {"mamba_d_state", NULL, 64, KO_MAX_WIDTH, &m->d_state},
        {"mamba_d_conv", NULL, 4, KO_MAX_WIDTH, &m->d_conv},
        {"mamba_ngroups", NULL, 1, KO_MAX_WIDTH, &m->n_groups},
        {"mamba_expand", NULL, 2, 1 << 10, &expand},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    const int32_t inner = expand * b->model->shape.d_model;
    if (inner % m->n_heads != 0) {
        ko_config_fail(b, "n_mamba_heads", "%d heads do not divide the inner width of %d",
                       m->n_heads, inner);
    }
    m->d_head = inner / m->n_heads;
    ko_mamba2_check(b, &keys, m);
    ko_mamba2_read_limit(b, "time_step_limit", m);
    ko_config_only_bool(b, "use_conv_bias", true);
    m->conv_bias = true;
    m->gate_eps = 1e-5F; /* of the reference class, whatever rms_norm_eps says */
}

/* The sizes of the shared blocks and those of the model. Only heads that turn limit the prompts. */
static void read_shared(struct ko_builder *b, struct ko_shared_block_spec *s)
{
    static const char *const activations[] = {"gelu"};
    static const struct ko_rope_support rotary = {.theta_key = "rope_theta", .theta = 10000};
    struct ko_llama_layer layer;
    struct ko_rope_config rope;
    ko_llama_read_sizes(b, &defaults, &layer);
    const int32_t d = b->model->shape.d_model;
    s->n_heads = layer.n_heads;
    s->n_kv_heads = layer.n_kv_heads;
    s->d_head = 2 * d / layer.n_heads;
    s->scale = (float)(1 / sqrt((double)s->d_head / 2));
    s->norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = layer.norm_eps};
    ko_config_size(
        b, &(const struct ko_size_row){"intermediate_size", NULL, 4 * d, KO_MAX_WIDTH, &s->d_ff});
    ko_config_size(b,
                   &(const struct ko_size_row){"adapter_rank", NULL, 128, KO_MAX_WIDTH, &s->rank});
    ko_config_only_words(b, "hidden_act", activations, 1);
    ko_config_only_bool(b, "use_long_context", false);
    ko_config_only_bool(b, "add_bias_linear", false);
    ko_config_bool(b, "use_shared_attention_adapter", &s->adapts_qkv);
    ko_config_bool(b, "use_mem_rope", &s->rotary);
    if (s->rotary) {
        b->model->shape.max_tokens =
            layer.max_positions < KO_MAX_POSITIONS ? layer.max_positions : KO_MAX_POSITIONS;
        ko_config_rope(b, &rotary, s->d_head, layer.max_positions, &rope);
        ko_declare_rope(b, &rope, &s->rope);
    }
}

/* Adds the block to the layer of b. Its weights are declared where it occurs first. */
static void add_block(struct ko_builder *b, const struct zamba2 *z, int32_t number,
                      struct ko_shared_block *block)
{
    const int32_t l = b->layer;
    if (number < z->n_blocks) {
        ko_shared_block_declare(b, &z->shared, block);
    }
    ko_declare_layer(b, "layers", block->layer);
    ko_shared_block_adapt(b, &z->shared, number, block);
    ko_declare_layer(b, "layers", l);
    ko_shared_block_add(b, &z->shared, block);
}

static void list_layers(struct ko_builder *b, struct zamba2 *z)
{
    struct ko_shared_block block[MAX_BLOCKS] = {{0}};
    int32_t n_hybrids = 0;
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        const bool hybrid = z->hybrid[l];
        ko_declare_layer(b, "layers", l);
        if (hybrid) {
            add_block(b, z, n_hybrids, &block[n_hybrids % z->n_blocks]);
            n_hybrids++;
        }
        z->mamba.norm_name = hybrid ? "mamba_decoder.input_layernorm" : "input_layernorm";
        z->mamba.stem = hybrid ? "mamba_decoder.mamba" : "mamba";
        z->mamba.reads_side = hybrid;
        ko_mamba2_add(b, &z->mamba);
    }
}

static void build_zamba2(struct ko_builder *b)
{
    struct zamba2 z = {.n_blocks = 1};
    refuse_first_layout(b);
    read_shared(b, &z.shared);
    read_mamba(b, &z.mamba);
    z.mamba.norm = z.shared.norm;
    ko_config_size(b,
                   &(const struct ko_size_row){"num_mem_blocks", NULL, 1, MAX_BLOCKS, &z.n_blocks});
    read_layers(b, z.hybrid);
    ko_llama_begin(b);
    list_layers(b, &z);
    b->model->ends.final_norm = z.shared.norm;
    ko_declare_head(b, "final_layernorm", "lm_head.weight");
}

const struct ko_family ko_family_zamba2 = {
    .name = "zamba2",
    .title = "Zamba2",
    .model_types = {"zamba2"},
    .build = build_zamba2,
};

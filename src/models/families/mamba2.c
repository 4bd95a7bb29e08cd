/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2: Dao & Gu 2024; transformers' Mamba2ForCausalLM. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

static const struct ko_mamba2_keys keys = {"num_heads", "head_dim", "n_groups", "state_size"};

/* Checks how the inner width is divided into heads, and the heads into groups. */
static void check_heads(struct ko_builder *b, const struct ko_mamba2_spec *block, int32_t d_inner)
{
    if ((int64_t)block->n_heads * block->d_head != d_inner) {
        ko_config_fail(b, "num_heads",
                       "%d heads of head_dim %d are not the inner width of %d (intermediate_size, "
                       "or expand times hidden_size)",
                       block->n_heads, block->d_head, d_inner);
    }
    ko_mamba2_check(b, &keys, block);
}

static void read_shape(struct ko_builder *b, struct ko_mamba2_spec *block)
{
    struct ko_shape *s = &b->model->shape;
    int32_t d_inner = 0;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 4096, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 64, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 32768, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 128, KO_MAX_WIDTH, &block->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &block->d_conv},
        {"num_heads", NULL, 128, KO_MAX_WIDTH, &block->n_heads},
        {"head_dim", NULL, 64, KO_MAX_WIDTH, &block->d_head},
        {"n_groups", NULL, 8, KO_MAX_WIDTH, &block->n_groups},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    ko_config_inner(b, &d_inner);
    check_heads(b, block, d_inner);
    ko_config_epsilon(b, "layer_norm_epsilon", 1e-5, &block->norm.eps);
    ko_config_bos(b, 0);
}

static void add_block(struct ko_builder *b, const void *block)
{
    ko_mamba2_add(b, block);
}

static void build_mamba2(struct ko_builder *b)
{
    struct ko_mamba2_spec block = {
        .norm_name = "norm", .norm = {.kind = KO_RMS_NORM}, .stem = "mixer"};
    read_shape(b, &block);
    ko_mamba2_read_limit(b, "time_step_limit", &block);
    ko_mamba_read_switches(b, false, &block.in_bias, &block.conv_bias);
    block.out_bias = block.in_bias;
    ko_mamba_list(b, &block.norm, add_block, &block);
}

const struct ko_family ko_family_mamba2 = {
    .name = "mamba2",
    .title = "Mamba-2",
    .model_types = {"mamba2"},
    .build = build_mamba2,
};

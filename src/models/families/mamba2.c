/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2: Dao & Gu 2024; transformers' Mamba2ForCausalLM. */
#include "src/models/sublayers/mamba2.h"

#include <math.h>

#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

/* How the inner width is divided into heads, and these into groups that share B and C. */
static enum ko_code check_heads(const struct ko_model *model, const struct ko_mamba2_spec *b,
                                int32_t d_inner, struct ko_error *err)
{
    if ((int64_t)b->n_heads * b->d_head != d_inner) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: num_heads: %d heads of head_dim %d are not the inner width of %d "
                       "(intermediate_size, or expand times hidden_size)",
                       model->name, b->n_heads, b->d_head, d_inner);
    }
    if (b->n_heads % b->n_groups != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: n_groups: %d groups do not divide num_heads of %d",
                       model->name, b->n_groups, b->n_heads);
    }
    if ((int64_t)b->n_groups * b->d_state > KO_MAX_WIDTH) {
        return ko_fail(err, KO_E_INPUT, "%s: state_size: %d in %d groups is wider than %d",
                       model->name, b->d_state, b->n_groups, KO_MAX_WIDTH);
    }
    return KO_OK;
}

static enum ko_code read_shape(struct ko_model *model, json_object *config,
                               struct ko_mamba2_spec *b, struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    int32_t d_inner = 0;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 4096, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 64, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 32768, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 128, KO_MAX_WIDTH, &b->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &b->d_conv},
        {"num_heads", NULL, 128, KO_MAX_WIDTH, &b->n_heads},
        {"head_dim", NULL, 64, KO_MAX_WIDTH, &b->d_head},
        {"n_groups", NULL, 8, KO_MAX_WIDTH, &b->n_groups},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (code == KO_OK) {
        code = ko_config_inner(model, config, &d_inner, err);
    }
    if (code == KO_OK) {
        code = check_heads(model, b, d_inner, err);
    }
    if (code == KO_OK) {
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &b->norm.eps, err);
    }
    return code == KO_OK ? ko_config_bos(model, config, 0, &s->bos_id, err) : code;
}

static enum ko_code add_block(struct ko_model *model, int32_t layer, const char *prefix,
                              const void *block, struct ko_error *err)
{
    return ko_mamba2_add(model, layer, prefix, block, err);
}

static enum ko_code build_mamba2(struct ko_model *model, json_object *config,
                                 const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_mamba2_spec block = {
        .norm_name = "norm", .norm = {.kind = KO_RMS_NORM}, .stem = "mixer", .conv_bias = true};
    double limit[2] = {0, INFINITY};
    enum ko_code code = read_shape(model, config, &block, err);
    if (code == KO_OK) {
        code = ko_config_range(model->name, config, "time_step_limit", limit, err);
    }
    if (code == KO_OK) {
        code =
            ko_config_mamba(model, config, &model->ends.tied, &block.bias, &block.conv_bias, err);
    }
    block.dt_min = (float)limit[0];
    block.dt_max = (float)limit[1];
    return code == KO_OK ? ko_mamba_list(model, checkpoint, &block.norm, add_block, &block, err)
                         : code;
}

const struct ko_family ko_family_mamba2 = {
    .name = "mamba2",
    .title = "Mamba-2",
    .model_types = {"mamba2"},
    .build = build_mamba2,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the config keys that Mamba models share and lists the tensors around their blocks. The
   blocks themselves are in src/models/sublayers. */
#include "src/models/families/mamba_like.h"

#include <math.h>

#include "src/models/config.h"
#include "src/models/declare.h"

void ko_mamba_read_switches(struct ko_builder *b, bool tied, bool *bias, bool *conv_bias)
{
    *bias = false;
    *conv_bias = true;
    ko_config_only_silu(b);
    ko_config_tied(b, tied);
    ko_config_bool(b, "use_bias", bias);
    ko_config_bool(b, "use_conv_bias", conv_bias);
}

void ko_mamba_read(struct ko_builder *b, struct ko_mamba1_spec *out)
{
    struct ko_shape *s = &b->model->shape;
    *out = (struct ko_mamba1_spec){
        .norm_name = "norm", .norm = {.kind = KO_RMS_NORM}, .stem = "mixer"};
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 768, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 32, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50280, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 16, KO_MAX_WIDTH, &out->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &out->d_conv},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    ko_config_inner(b, &out->d_inner);
    ko_config_auto_size(b,
                        &(const struct ko_size_row){"time_step_rank", NULL, (s->d_model + 15) / 16,
                                                    KO_MAX_WIDTH, &out->dt_rank});
    ko_config_epsilon(b, "layer_norm_epsilon", 1e-5, &out->norm.eps);
    ko_config_bos(b, 0);
    ko_mamba_read_switches(b, true, &out->bias, &out->conv_bias);
}

void ko_mamba2_check(struct ko_builder *b, const struct ko_mamba2_keys *keys,
                     const struct ko_mamba2_spec *block)
{
    if ((int64_t)block->n_heads * block->d_head > KO_MAX_WIDTH) {
        ko_config_fail(b, keys->d_head, "%d heads of width %d are wider than %d", block->n_heads,
                       block->d_head, KO_MAX_WIDTH);
    }
    if (block->n_heads % block->n_groups != 0) {
        ko_config_fail(b, keys->n_groups, "%d groups do not divide %s of %d", block->n_groups,
                       keys->n_heads, block->n_heads);
    }
    if ((int64_t)block->n_groups * block->d_state > KO_MAX_WIDTH) {
        ko_config_fail(b, keys->d_state, "%d in %d groups is wider than %d", block->d_state,
                       block->n_groups, KO_MAX_WIDTH);
    }
}

void ko_mamba2_read_limit(struct ko_builder *b, const char *key, struct ko_mamba2_spec *out)
{
    double limit[2] = {0, INFINITY};
    if (b->code == KO_OK) {
        b->code = ko_config_range(b->where, b->config, key, limit, b->err);
    }
    out->dt_min = (float)limit[0];
    out->dt_max = (float)limit[1];
}

void ko_mamba_list(struct ko_builder *b, const struct ko_norm *norm, ko_mamba_add_block *add,
                   const void *block)
{
    const bool original =
        ko_tensor_exists(b, "embedding.weight") || ko_tensor_exists(b, "backbone.embedding.weight");
    ko_declare_prefix(b, "norm_f.weight", "backbone.");
    ko_declare_embedding(b, original ? "embedding.weight" : "embeddings.weight", NULL);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_declare_layer(b, "layers", l);
        add(b, block);
    }
    b->model->ends.final_norm = *norm;
    ko_declare_head(b, "norm_f", "lm_head.weight");
}

static void add_mamba1(struct ko_builder *b, const void *block)
{
    ko_mamba1_add(b, block);
}

void ko_mamba1_list(struct ko_builder *b, const struct ko_mamba1_spec *block)
{
    ko_mamba_list(b, &block->norm, add_mamba1, block);
}

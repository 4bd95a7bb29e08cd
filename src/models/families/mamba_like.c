/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the config keys that Mamba models share and lists the tensors around their blocks. The
   blocks themselves are in src/models/sublayers. */
#include "src/models/families/mamba_like.h"

#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"

/* A number, or "auto": a sixteenth of the hidden size, rounded up. */
static void read_rank(struct ko_builder *b, int32_t *out)
{
    static const char key[] = "time_step_rank";
    json_object *value = ko_json_get(b->config, key);
    *out = (b->model->shape.d_model + 15) / 16;
    if (!json_object_is_type(value, json_type_string) ||
        strcmp(json_object_get_string(value), "auto") != 0) {
        ko_config_size(b, &(const struct ko_size_row){key, NULL, *out, KO_MAX_WIDTH, out});
    }
}

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
    read_rank(b, &out->dt_rank);
    ko_config_epsilon(b, "layer_norm_epsilon", 1e-5, &out->norm.eps);
    ko_config_bos(b, 0);
    ko_mamba_read_switches(b, true, &out->bias, &out->conv_bias);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the shared config keys of Mamba models and declares their layers and the tensors around the
   mixers. The mixers themselves are in src/models/sublayers. */
#include "src/models/families/mamba_like.h"

#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"

/* A number, or "auto": a sixteenth of the hidden size, rounded up. */
static enum ko_code read_rank(const struct ko_model *model, json_object *config, int32_t *out,
                              struct ko_error *err)
{
    static const char key[] = "time_step_rank";
    const int32_t automatic = (model->shape.d_model + 15) / 16;
    json_object *value = ko_json_get(config, key);
    if (json_object_is_type(value, json_type_string) &&
        strcmp(json_object_get_string(value), "auto") == 0) {
        *out = automatic;
        return KO_OK;
    }
    return ko_config_size(model, config, key, NULL, automatic, KO_MAX_WIDTH, out, err);
}

enum ko_code ko_mamba_read(struct ko_model *model, json_object *config, struct ko_mamba1_spec *out,
                           struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    *out = (struct ko_mamba1_spec){.norm_name = "norm",
                                   .norm = {.kind = KO_RMS_NORM},
                                   .stem = "mixer",
                                   .conv_bias = true,
                                   .refine_eps = -1};
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 768, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 32, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50280, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 16, KO_MAX_WIDTH, &out->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &out->d_conv},
    };
    model->ends.tied = true;
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (code == KO_OK) {
        code = ko_config_inner(model, config, &out->d_inner, err);
    }
    if (code == KO_OK) {
        code = read_rank(model, config, &out->dt_rank, err);
    }
    if (code == KO_OK) {
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &out->norm.eps, err);
    }
    if (code == KO_OK) {
        code = ko_config_bos(model, config, 0, &s->bos_id, err);
    }
    if (code == KO_OK) {
        code = ko_config_mamba(model, config, &model->ends.tied, &out->bias, &out->conv_bias, err);
    }
    return code;
}

enum ko_code ko_mamba_list(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                           const struct ko_norm *norm, ko_mamba_add_block *add, const void *block,
                           struct ko_error *err)
{
    const char *prefix = ko_tensor_prefix(checkpoint, "norm_f.weight", "backbone.");
    const bool original = ko_tensor_exists(checkpoint, "embedding.weight") ||
                          ko_tensor_exists(checkpoint, "backbone.embedding.weight");
    model->ends.final_norm = *norm;
    enum ko_code code = ko_declare_embedding(
        model, prefix, original ? "embedding.weight" : "embeddings.weight", NULL, err);
    for (int32_t l = 0; l < model->shape.n_layers && code == KO_OK; l++) {
        char at[64];
        snprintf(at, sizeof at, "%slayers.%d.", prefix, l);
        code = add(model, l, at, block, err);
    }
    return code == KO_OK ? ko_declare_head(model, prefix, "norm_f", "lm_head.weight", err) : code;
}

static enum ko_code add_mamba1(struct ko_model *model, int32_t layer, const char *prefix,
                               const void *block, struct ko_error *err)
{
    return ko_mamba1_add(model, layer, prefix, block, err);
}

enum ko_code ko_mamba1_list(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                            const struct ko_mamba1_spec *block, struct ko_error *err)
{
    return ko_mamba_list(model, checkpoint, &block->norm, add_mamba1, block, err);
}

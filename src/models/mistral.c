/* Mistral 0.1 and 0.3: Jiang et al. 2023; transformers' MistralForCausalLM. */
#include "src/models/families.h"
#include "src/models/transformer.h"

enum { DEFAULT_WINDOW = 4096 };

static const struct ko_transformer_defaults defaults = {
    .d_model = 4096,
    .d_ff = 14336,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 8,
    .vocabulary = 32000,
    .max_positions = 131072,
    .bos_id = 1,
};

/* Every layer has the window, or none. */
static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    enum ko_layers layers = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_transformer_configure(model, config, &defaults, err);
    if (!code)
        code = ko_transformer_window(model, config, DEFAULT_WINDOW, &s->reach, err);
    if (!code)
        code = ko_transformer_layer_types(model, config, &layers, err);
    if (!code && layers == KO_LAYERS_FULL && s->reach != INT32_MAX)
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: full_attention contradicts the sliding_window of %d",
                       model->name, s->reach);
    if (!code && layers == KO_LAYERS_SLIDING && s->reach == INT32_MAX)
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention contradicts the sliding_window of null",
                       model->name);
    return code;
}

const struct ko_family ko_family_mistral = {
    .name = "mistral",
    .title = "Mistral",
    .model_types = {"mistral"},
    .mixer = KO_MIXER_ATTENTION,
    .configure = configure,
    .declare = ko_transformer_declare,
    .derive = ko_transformer_derive,
    .ignores = ko_ends_ignores,
    .widths = ko_transformer_widths,
    .embed = ko_ends_embed,
    .mix = ko_transformer_mix,
    .finish = ko_transformer_finish,
    .final_norm = ko_ends_final_norm,
    .unembedding = ko_ends_unembedding,
    .row_flop = ko_transformer_row_flop,
    .decay_weight = ko_transformer_decay_weight,
    .conv_mask = NULL, /* no convolution */
};

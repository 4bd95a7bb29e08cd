/* Llama 2, 3 and 3.x: Touvron et al. 2023, Grattafiori et al. 2024; transformers' LlamaForCausalLM.
 */
#include "src/base/json.h"
#include "src/models/families.h"
#include "src/models/transformer.h"

static const struct ko_transformer_defaults defaults = {
    .d_model = 4096,
    .d_ff = 11008,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 32000,
    .max_positions = 2048,
    .bos_id = 1,
};

static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    bool attention_bias = false, mlp_bias = false;
    enum ko_layers layers = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_transformer_configure(model, config, &defaults, err);
    if (!code)
        code = ko_json_bool(config, "attention_bias", &attention_bias, model->name, err);
    if (!code)
        code = ko_json_bool(config, "mlp_bias", &mlp_bias, model->name, err);
    if (!code)
        code = ko_transformer_layer_types(model, config, &layers, err);
    if (!code && layers == KO_LAYERS_SLIDING)
        code = ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention is not supported for %s, only "
                       "full_attention",
                       model->name, model->family->title);
    if (code)
        return code;
    struct ko_transformer *t = model->bound;
    t->qkv_bias = t->o_bias = attention_bias;
    t->mlp_bias = mlp_bias;
    return KO_OK;
}

const struct ko_family ko_family_llama = {
    .name = "llama",
    .title = "Llama",
    .model_types = {"llama"},
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

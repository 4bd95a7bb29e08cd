/* Qwen2 and Qwen2.5: Yang et al. 2024; transformers' Qwen2ForCausalLM. */
#include "src/base/json.h"
#include "src/models/families.h"
#include "src/models/family.h"
#include "src/models/transformer.h"

enum { DEFAULT_WINDOW = 4096, DEFAULT_WINDOW_LAYERS = 28 };

static const struct ko_transformer_defaults defaults = {
    .d_model = 4096,
    .d_ff = 22016,
    .n_layers = 32,
    .n_heads = 32,
    .n_kv_heads = 32,
    .vocabulary = 151936,
    .max_positions = 32768,
    .bos_id = -1,
};

/* Layers from max_window_layers on slide, unless layer_types says which do: all or none here. */
static enum ko_code configure_window(struct ko_model *model, json_object *config,
                                     struct ko_error *err)
{
    bool slides = false;
    int32_t window = INT32_MAX;
    int64_t first = DEFAULT_WINDOW_LAYERS;
    enum ko_layers layers = KO_LAYERS_NOT_GIVEN;
    enum ko_code code = ko_json_bool(config, "use_sliding_window", &slides, model->name, err);
    if (!code && slides)
        code = ko_transformer_window(model, config, DEFAULT_WINDOW, &window, err);
    if (!code)
        code = ko_json_int(config, "max_window_layers", 0, INT32_MAX, &first, model->name, err);
    if (!code)
        code = ko_transformer_layer_types(model, config, &layers, err);
    if (code)
        return code;
    if (layers == KO_LAYERS_SLIDING && window == INT32_MAX)
        return ko_fail(err, KO_E_INPUT,
                       "%s: layer_types: sliding_attention needs use_sliding_window and a "
                       "sliding_window",
                       model->name);
    if (layers == KO_LAYERS_NOT_GIVEN && window != INT32_MAX && first > 0 &&
        first < model->shape.n_layers)
        return ko_fail(err, KO_E_INPUT,
                       "%s: max_window_layers: %lld of %d layers with full attention before others "
                       "that slide are not supported for %s, only all or none",
                       model->name, (long long)first, model->shape.n_layers, model->family->title);
    if (layers == KO_LAYERS_SLIDING || (layers == KO_LAYERS_NOT_GIVEN && first == 0))
        model->shape.reach = window;
    return KO_OK;
}

static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    enum ko_code code = ko_transformer_configure(model, config, &defaults, err);
    if (!code)
        code = configure_window(model, config, err);
    if (code)
        return code;
    struct ko_transformer *t = model->bound;
    t->qkv_bias = true;
    return KO_OK;
}

const struct ko_family ko_family_qwen2 = {
    .name = "qwen2",
    .title = "Qwen2",
    .model_types = {"qwen2"},
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

#include <stdlib.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/memory.h"
#include "src/models/family.h"
#include "src/models/transformer.h"

/* Heads: theirs, their keys', their width. */
static enum ko_code configure_heads(struct ko_model *model, json_object *config,
                                    const struct ko_transformer_defaults *defaults,
                                    struct ko_error *err)
{
    static const char kv_key[] = "num_key_value_heads";
    struct ko_shape *s = &model->shape;
    enum ko_code code = ko_config_size(model, config, "num_attention_heads", NULL,
                                       defaults->n_heads, KO_MAX_WIDTH, &s->n_heads, err);
    if (code)
        return code;
    /* Null is not absent here: as many as heads. */
    bool grouped = defaults->n_kv_heads > 0 && !json_object_object_get_ex(config, kv_key, NULL);
    code = ko_config_size(model, config, kv_key, NULL, grouped ? defaults->n_kv_heads : s->n_heads,
                          KO_MAX_WIDTH, &s->n_kv_heads, err);
    if (!code && s->n_heads % s->n_kv_heads != 0)
        code = ko_fail(err, KO_E_INPUT, "%s: %s: %d do not divide num_attention_heads of %d",
                       model->name, kv_key, s->n_kv_heads, s->n_heads);
    if (!code && !ko_json_get(config, "head_dim") && s->d_model % s->n_heads != 0)
        code = ko_fail(err, KO_E_INPUT,
                       "%s: num_attention_heads: %d heads do not divide hidden_size of %d",
                       model->name, s->n_heads, s->d_model);
    if (!code)
        code = ko_config_size(model, config, "head_dim", NULL, s->d_model / s->n_heads,
                              KO_MAX_WIDTH, &s->d_head, err);
    if (!code && s->d_head % 2 != 0)
        code = ko_fail(err, KO_E_INPUT, "%s: head_dim: %d is odd, and rotary embedding turns pairs",
                       model->name, s->d_head);
    if (!code && ((int64_t)s->n_heads + 2 * (int64_t)s->n_kv_heads) * s->d_head > KO_MAX_WIDTH)
        code = ko_fail(err, KO_E_INPUT,
                       "%s: head_dim: %d heads and %d of keys and values of width %d are wider "
                       "than %d",
                       model->name, s->n_heads, s->n_kv_heads, s->d_head, KO_MAX_WIDTH);
    return code;
}

static enum ko_code configure_shape(struct ko_model *model, json_object *config,
                                    const struct ko_transformer_defaults *defaults,
                                    struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, defaults->d_model, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, defaults->n_layers, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, defaults->vocabulary, KO_MAX_VOCABULARY, &s->vocabulary},
        {"intermediate_size", NULL, defaults->d_ff, KO_MAX_WIDTH, &s->d_ff},
        {"max_position_embeddings", NULL, defaults->max_positions, INT32_MAX, &s->max_tokens},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (!code)
        code = configure_heads(model, config, defaults, err);
    if (!code)
        code = ko_config_epsilon(model, config, "rms_norm_eps", 1e-6, &s->norm_eps, err);
    if (!code)
        code = ko_config_bos(model, config, defaults->bos_id, &s->bos_id, err);
    return code;
}

enum ko_code ko_transformer_configure(struct ko_model *model, json_object *config,
                                      const struct ko_transformer_defaults *defaults,
                                      struct ko_error *err)
{
    static const char *const activations[] = {"silu", "swish"}; /* two names of one function */
    struct ko_shape *s = &model->shape;
    struct ko_rope_config rope = {0};
    bool tied = false;
    enum ko_code code = configure_shape(model, config, defaults, err);
    if (!code)
        code = ko_config_only_words(model, config, "hidden_act", activations, 2, err);
    if (!code)
        code = ko_json_bool(config, "tie_word_embeddings", &tied, model->name, err);
    if (!code)
        code = ko_rope_configure(model, config, s->max_tokens, &rope, err);
    if (code)
        return code;
    if (s->max_tokens > KO_MAX_POSITIONS)
        s->max_tokens = KO_MAX_POSITIONS;
    size_t layers = (size_t)s->n_layers * sizeof(struct ko_transformer_layer);
    struct ko_transformer *t = ko_new(1, sizeof *t + layers, err);
    if (!t)
        return KO_E_MEMORY;
    *t = (struct ko_transformer){.ends = {.tied = tied}, .rope = rope};
    model->bound = t;
    return KO_OK;
}

enum ko_code ko_transformer_layer_types(const struct ko_model *model, json_object *config,
                                        enum ko_layers *out, struct ko_error *err)
{
    static const char key[] = "layer_types";
    static const char *const kinds[] = {"full_attention", "sliding_attention"};
    json_object *list = ko_json_get(config, key);
    bool found[2] = {false, false};
    *out = KO_LAYERS_NOT_GIVEN;
    if (!list)
        return KO_OK;
    if (!json_object_is_type(list, json_type_array) ||
        json_object_array_length(list) != (size_t)model->shape.n_layers)
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of %d words, one a layer",
                       model->name, key, model->shape.n_layers);
    for (size_t l = 0; l < json_object_array_length(list); l++) {
        json_object *item = json_object_array_get_idx(list, l);
        const char *kind = item ? json_object_get_string(item) : "null";
        bool full = strcmp(kind, kinds[0]) == 0;
        if (!full && strcmp(kind, kinds[1]) != 0)
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: '%.60s' is not supported for %s, only full_attention or "
                           "sliding_attention",
                           model->name, key, kind, model->family->title);
        found[full ? 0 : 1] = true;
    }
    if (found[0] && found[1])
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: layers that mix full_attention and sliding_attention are not "
                       "supported for %s",
                       model->name, key, model->family->title);
    *out = found[0] ? KO_LAYERS_FULL : KO_LAYERS_SLIDING;
    return KO_OK;
}

enum ko_code ko_transformer_window(const struct ko_model *model, json_object *config,
                                   int32_t fallback, int32_t *reach, struct ko_error *err)
{
    static const char key[] = "sliding_window";
    if (json_object_object_get_ex(config, key, NULL) && !ko_json_get(config, key)) {
        *reach = INT32_MAX;
        return KO_OK;
    }
    return ko_config_size(model, config, key, NULL, fallback, INT32_MAX, reach, err);
}

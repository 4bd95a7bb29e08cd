/* SPDX-License-Identifier: Apache-2.0 */
/* Reads which mixer each layer of a hybrid has, and the sizes of its blocks of Mamba-2. */
#include "src/models/families/hybrid_like.h"

#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families/mamba_like.h"

/* The words of each kind, an older and a newer one, and its letter. */
static const char *const words[][2] = {
    [KO_LAYER_SSM] = {"mamba", "linear_attention"},
    [KO_LAYER_ATTENTION] = {"attention", "full_attention"},
    [KO_LAYER_MLP] = {"mlp", "mlp"},
    [KO_LAYER_EXPERTS] = {"moe", "moe"},
};

const char *ko_hybrid_types_key(const struct ko_builder *b)
{
    static const char *const keys[] = {"layer_types", "layers_block_type"};
    for (int k = 0; k < 2; k++) {
        if (ko_json_get(b->config, keys[k])) {
            return keys[k];
        }
    }
    return NULL;
}

void ko_hybrid_read_types(struct ko_builder *b, const char *key, int n_kinds, uint8_t *kinds)
{
    json_object *list = ko_json_get(b->config, key);
    const size_t n = (size_t)b->model->shape.n_layers;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) != n) {
        ko_config_fail(b, key, "expected a list of %zu words, one per layer", n);
        return;
    }
    for (size_t l = 0; l < n; l++) {
        json_object *item = json_object_array_get_idx(list, l);
        const char *word = item ? json_object_get_string(item) : "null";
        int kind = 0;
        while (kind < n_kinds && strcmp(word, words[kind][0]) != 0 &&
               strcmp(word, words[kind][1]) != 0) {
            kind++;
        }
        if (kind == n_kinds) {
            ko_config_fail(b, key, "'%.60s' is not supported for %s, only %s", word,
                           b->model->family->title,
                           n_kinds > 2 ? "mamba, attention, mlp or moe" : "mamba or attention");
            return;
        }
        kinds[l] = (uint8_t)kind;
    }
}

/* hybrid_override_pattern: one letter per layer. */
static void read_pattern(struct ko_builder *b, const char *key, const char *pattern, uint8_t *kinds)
{
    static const char letters[] = {
        [KO_LAYER_SSM] = 'M',
        [KO_LAYER_ATTENTION] = '*',
        [KO_LAYER_MLP] = '-',
        [KO_LAYER_EXPERTS] = 'E',
    };
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        const char *letter = memchr(letters, pattern[l], sizeof letters);
        if (!letter) {
            ko_config_fail(b, key, "'%c' of layer %d is not supported, only M, *, - or E",
                           pattern[l], l);
            return;
        }
        kinds[l] = (uint8_t)(letter - letters);
    }
}

void ko_hybrid_read_kinds(struct ko_builder *b, uint8_t *kinds)
{
    static const char pattern_key[] = "hybrid_override_pattern", n_key[] = "num_hidden_layers";
    int32_t *n = &b->model->shape.n_layers, said = 0;
    const char *types = ko_hybrid_types_key(b), *pattern = "";
    if (b->code == KO_OK && !types) {
        b->code = ko_json_string(b->config, pattern_key, &pattern, b->where, b->err);
    }
    json_object *list = types ? ko_json_get(b->config, types) : NULL;
    const bool listed = json_object_is_type(list, json_type_array);
    const size_t length = listed ? json_object_array_length(list) : strlen(pattern);
    const char *key = types ? types : pattern_key;
    *n = 1;
    if (length < 1 || length > KO_MAX_LAYERS) {
        ko_config_fail(b, key, "expected 1 to %d layers, got %zu", KO_MAX_LAYERS, length);
        return;
    }
    *n = (int32_t)length;
    ko_config_size(b, &(const struct ko_size_row){n_key, NULL, *n, KO_MAX_LAYERS, &said});
    if (said != *n) {
        ko_config_fail(b, n_key, "%d, but %s has %d layers", said, key, *n);
    }
    if (types) {
        ko_hybrid_read_types(b, types, 4, kinds);
    } else {
        read_pattern(b, pattern_key, pattern, kinds);
    }
}

void ko_hybrid_sublayers(const struct ko_llama_layer *layer, struct ko_attention_spec *attention,
                         struct ko_mlp_spec *mlp)
{
    ko_llama_sublayers(layer, attention, mlp);
    mlp->norm_name = "pre_ff_layernorm";
    mlp->gate = "feed_forward.gate_proj";
    mlp->up = "feed_forward.up_proj";
    mlp->down = "feed_forward.down_proj";
}

void ko_hybrid_end(struct ko_builder *b, float norm_eps)
{
    b->model->ends.final_norm = (struct ko_norm){.kind = KO_RMS_NORM, .eps = norm_eps};
    ko_declare_head(b, "final_layernorm", "lm_head.weight");
}

void ko_hybrid_read_mamba2(struct ko_builder *b, struct ko_mamba2_spec *out)
{
    static const struct ko_mamba2_keys keys = {"mamba_n_heads", "mamba_d_head", "mamba_n_groups",
                                               "mamba_d_state"};
    const int32_t d = b->model->shape.d_model;
    int32_t expand = 2;
    *out = (struct ko_mamba2_spec){.stem = "mamba", .conv_bias = true};
    const struct ko_size_row sizes[] = {
        {keys.n_heads, NULL, 128, KO_MAX_WIDTH, &out->n_heads},
        {keys.n_groups, NULL, 1, KO_MAX_WIDTH, &out->n_groups},
        {keys.d_state, NULL, 256, KO_MAX_WIDTH, &out->d_state},
        {"mamba_d_conv", NULL, 4, KO_MAX_WIDTH, &out->d_conv},
        {"mamba_expand", NULL, 2, KO_MAX_WIDTH, &expand},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    const int64_t inner = (int64_t)expand * d;
    const int64_t whole = inner / out->n_heads;
    ko_config_auto_size(b,
                        &(const struct ko_size_row){
                            keys.d_head, NULL,
                            whole < 1 ? 1 : (int32_t)(whole < KO_MAX_WIDTH ? whole : KO_MAX_WIDTH),
                            KO_MAX_WIDTH, &out->d_head});
    if ((int64_t)out->n_heads * out->d_head != inner) {
        ko_config_fail(b, keys.n_heads,
                       "%d heads of mamba_d_head %d are not mamba_expand times hidden_size, %lld",
                       out->n_heads, out->d_head, (long long)inner);
    }
    ko_mamba2_check(b, &keys, out);
    ko_mamba2_read_limit(b, "time_step_limit", out);
    ko_config_bool(b, "mamba_conv_bias", &out->conv_bias);
    ko_config_bool(b, "mamba_proj_bias", &out->in_bias);
    out->out_bias = out->in_bias;
}

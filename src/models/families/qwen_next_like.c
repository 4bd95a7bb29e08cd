/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the configuration of Qwen3-Next and Qwen3.5, and lists what their layers share. */
#include "src/models/families/qwen_next_like.h"

#include "src/models/config.h"
#include "src/models/declare.h"

const struct ko_rope_support ko_qwen_next_rope = {
    .theta_key = "rope_theta", .theta = 10000, .part_key = "partial_rotary_factor", .part = 0.25};

static void read_delta(struct ko_builder *b, struct ko_deltanet_spec *delta)
{
    const struct ko_size_row sizes[] = {
        {"linear_num_key_heads", NULL, 16, KO_MAX_WIDTH, &delta->n_key_heads},
        {"linear_num_value_heads", NULL, 32, KO_MAX_WIDTH, &delta->n_heads},
        {"linear_key_head_dim", NULL, 128, KO_MAX_WIDTH, &delta->d_key},
        {"linear_value_head_dim", NULL, 128, KO_MAX_WIDTH, &delta->d_value},
        {"linear_conv_kernel_dim", NULL, 4, KO_MAX_WIDTH, &delta->d_conv},
    };
    ko_config_sizes(b, sizes, sizeof sizes / sizeof sizes[0]);
    if (delta->n_heads % delta->n_key_heads != 0) {
        ko_config_fail(b, "linear_num_key_heads", "%d do not divide linear_num_value_heads of %d",
                       delta->n_key_heads, delta->n_heads);
    }
    if (2 * (int64_t)delta->n_key_heads * delta->d_key +
            2 * (int64_t)delta->n_heads * delta->d_value >
        KO_MAX_WIDTH) {
        ko_config_fail(b, "linear_num_value_heads",
                       "%d heads of %d and %d of %d are together wider than %d", delta->n_heads,
                       delta->d_value, delta->n_key_heads, delta->d_key, KO_MAX_WIDTH);
    }
}

/* layer_types, else every full_attention_interval-th layer attends. */
static void read_kinds(struct ko_builder *b, uint8_t *attends)
{
    static const char *const kinds[] = {"linear_attention", "full_attention"};
    int32_t interval = 4;
    ko_config_size(b, &(const struct ko_size_row){"full_attention_interval", NULL, 4, KO_MAX_LAYERS,
                                                  &interval});
    if (!ko_config_two_kinds(b, "layer_types", kinds, attends)) {
        for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
            attends[l] = (l + 1) % interval == 0;
        }
    }
}

void ko_qwen_next_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                       enum ko_deltanet_form form, struct ko_qwen_next *out)
{
    *out = (struct ko_qwen_next){.delta = {.form = form, .stem = "linear_attn"}};
    ko_llama_read(b, defaults, &out->layer);
    ko_config_bool(b, "attention_bias", &out->layer.qkv_bias);
    out->layer.o_bias = out->layer.qkv_bias;
    ko_config_only_bool(b, "use_sliding_window", false);
    ko_config_only_bool(b, "attn_output_gate", true);
    read_delta(b, &out->delta);
    read_kinds(b, out->attends);
    out->layer.qk_norm = true;
    ko_llama_sublayers(&out->layer, &out->attention, &out->mlp);
    out->attention.gated = true;
    out->attention.norm.one_plus = out->attention.qk_norm.one_plus = true;
    out->mlp.norm.one_plus = true;
    out->delta.norm_name = out->attention.norm_name;
    out->delta.norm = out->attention.norm;
}

void ko_qwen_next_begin(struct ko_builder *b, struct ko_qwen_next *q)
{
    ko_declare_embedding(b, "embed_tokens.weight", NULL);
    ko_declare_rope(b, &q->layer.rope, &q->attention.rope);
}

void ko_qwen_next_mixer(struct ko_builder *b, int32_t l, const struct ko_qwen_next *q)
{
    ko_declare_layer(b, "layers", l);
    if (q->attends[l]) {
        ko_attention_add(b, &q->attention);
    } else {
        ko_deltanet_add(b, &q->delta);
    }
}

void ko_qwen_next_end(struct ko_builder *b, const struct ko_qwen_next *q)
{
    b->model->ends.final_norm = q->attention.norm;
    ko_declare_head(b, "norm", "lm_head.weight");
}

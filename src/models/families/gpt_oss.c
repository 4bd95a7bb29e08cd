/* SPDX-License-Identifier: Apache-2.0 */
/* gpt-oss: OpenAI 2025; transformers' GptOssForCausalLM. Every other layer slides, each head has a
   sink, and the experts' gates and ups are clamped. Experts may be stored in MXFP4.

   These have caused bugs elsewhere:
   - experts are [n_experts, in, out], with gate and up interleaved; in MXFP4 they are [.., out, in]
   - the top experts are those of the logits with their biases, and the softmax is over them alone
   - YaRN's bounds are not rounded (truncate: false) */
#include <math.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"

enum { DEFAULT_WINDOW = 128, FULL_EVERY = 2 };

static const struct ko_rope_support oss_rope = {
    .theta_key = "rope_theta",
    .theta = 150000,
    .scalings = 1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN,
};

static const struct ko_llama_defaults defaults = {
    .d_model = 2880,
    .d_ff = 2880,
    .n_layers = 36,
    .n_heads = 64,
    .n_kv_heads = 8,
    .d_head = 64,
    .vocabulary = 201088,
    .max_positions = 131072,
    .bos_id = -1,
    .norm_eps = 1e-5,
    .rope = &oss_rope,
};

/* Without settings, those of GptOssConfig. */
static void default_rope(struct ko_builder *b, struct ko_rope_config *rope)
{
    if (ko_json_get(b->config, "rope_scaling") || ko_json_get(b->config, "rope_parameters")) {
        return;
    }
    rope->scaling = KO_ROPE_YARN;
    rope->factor = 32;
    rope->original = 4096;
    rope->low = 1;
    rope->high = 32;
    rope->truncate = false;
    rope->attention_factor = 0.1 * log(rope->factor) + 1;
}

/* Layers that slide have no window if it is null. */
static void read_windows(struct ko_builder *b, struct ko_llama_layer *layer)
{
    ko_config_layer_types(b, FULL_EVERY, layer->sliding);
    ko_llama_window(b, DEFAULT_WINDOW, &layer->reach);
}

static void read_gate(struct ko_builder *b, struct ko_moe_spec *moe)
{
    static const char key[] = "swiglu_alpha";
    double alpha = 1.702;
    if (b->code == KO_OK) {
        b->code = ko_json_double(b->config, key, &alpha, b->where, b->err);
    }
    if (!(alpha == 1.702)) {
        ko_config_fail(b, key, "%g is not supported for %s, only 1.702", alpha,
                       b->model->family->title);
    }
    ko_config_positive(b, "swiglu_limit", 7, &moe->limit);
}

static void build_gpt_oss(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_moe_layers layers = {0};
    bool biased = true;
    ko_llama_read(b, &defaults, &layer);
    default_rope(b, &layer.rope);
    read_windows(b, &layer);
    ko_config_bool(b, "attention_bias", &biased);
    layer.qkv_bias = layer.o_bias = biased;
    ko_llama_sublayers(&layer, &layers.attention, &layers.mlp);
    layers.attention.sinks = "self_attn.sinks";
    layers.moe = (struct ko_moe_spec){
        .d_ff = layer.d_ff,
        .among_chosen = true,
        .norm_name = layers.mlp.norm_name,
        .norm = layers.mlp.norm,
        .router = "mlp.router",
        .router_bias = true,
        .layout = KO_MOE_STACKED,
        .experts = "mlp.experts",
        .gate = "gate_up_proj",
        .down = "down_proj",
    };
    ko_moe_read(b, "num_local_experts", 128, 4, &layers.moe);
    read_gate(b, &layers.moe);
    ko_moe_list(b, &layer, &layers);
}

const struct ko_family ko_family_gpt_oss = {
    .name = "gpt_oss",
    .title = "gpt-oss",
    .model_types = {"gpt_oss"},
    .mxfp4 = true,
    .build = build_gpt_oss,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma 3, text alone (gemma-3-270m, gemma-3-1b): Kamath et al. 2025; transformers'
   Gemma3ForCausalLM. Five layers of six slide and have another rotary base than the sixth. Queries
   and keys have a norm for each head. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/gemma_like.h"

enum { DEFAULT_PATTERN = 6 };

static const struct ko_llama_defaults defaults = {
    .d_model = 2304,
    .d_ff = 9216,
    .n_layers = 26,
    .n_heads = 8,
    .n_kv_heads = 4,
    .d_head = 256,
    .vocabulary = 262208,
    .max_positions = 131072,
    .bos_id = 2,
    .tied = true,
};

/* Older files have rope_theta and rope_scaling for the full layers and rope_local_base_freq for
   those that slide, newer ones rope_parameters for both. */
static void read_ropes(struct ko_builder *b, struct ko_gemma *g)
{
    static const struct ko_rope_support full = {.theta_key = "rope_theta",
                                                .theta = 1e6,
                                                .scalings = 1U << KO_ROPE_LINEAR,
                                                .layers = "full_attention"};
    static const struct ko_rope_support sliding = {.theta_key = "rope_local_base_freq",
                                                   .theta = 1e4,
                                                   .layers = "sliding_attention",
                                                   .own_theta = true};
    const struct ko_llama_layer *layer = &g->layer;
    ko_config_rope(b, &full, layer->d_head, layer->max_positions, &g->layer.rope);
    ko_config_rope(b, &sliding, layer->d_head, layer->max_positions, &g->sliding_rope);
    g->two_ropes = true;
}

static void build_gemma3(struct ko_builder *b)
{
    struct ko_gemma g;
    float cap;
    ko_gemma_read(b, &defaults, &g);
    g.post_norms = true;
    g.layer.qk_norm = true;
    ko_gemma_read_windows(b, DEFAULT_PATTERN, &g);
    ko_gemma_cap(b, "attn_logit_softcapping", 0, &cap);
    if (cap > 0) { /* transformers does not apply it */
        ko_config_fail(b, "attn_logit_softcapping", "%g is not supported for %s, only null",
                       (double)cap, b->model->family->title);
    }
    ko_gemma_cap(b, "final_logit_softcapping", 0, &b->model->ends.logit_cap);
    read_ropes(b, &g);
    ko_gemma_list(b, &g);
}

const struct ko_family ko_family_gemma3 = {
    .name = "gemma3",
    .title = "Gemma 3",
    .model_types = {"gemma3_text"},
    .build = build_gemma3,
};

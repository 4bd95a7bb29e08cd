/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma: Mesnard et al. 2024; transformers' GemmaForCausalLM. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/gemma_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 3072,
    .d_ff = 24576,
    .n_layers = 28,
    .n_heads = 16,
    .n_kv_heads = 16,
    .d_head = 256,
    .vocabulary = 256000,
    .max_positions = 8192,
    .bos_id = 2,
    .tied = true,
};

static void build_gemma(struct ko_builder *b)
{
    static const struct ko_rope_support rope = {
        .theta_key = "rope_theta", .theta = 10000, .scalings = 1U << KO_ROPE_LINEAR};
    struct ko_gemma g;
    ko_gemma_read(b, &defaults, &g);
    ko_config_rope(b, &rope, g.layer.d_head, g.layer.max_positions, &g.layer.rope);
    ko_gemma_list(b, &g);
}

const struct ko_family ko_family_gemma = {
    .name = "gemma",
    .title = "Gemma",
    .model_types = {"gemma"},
    .build = build_gemma,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Falcon-Mamba: Zuo et al. 2024; transformers' FalconMambaForCausalLM. It is Mamba-1 with RMSNorms
   without weights on the input of delta, B and C. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

static void build_falcon_mamba(struct ko_builder *b)
{
    struct ko_mamba1_spec block;
    ko_mamba_read(b, &block);
    block.refine.kind = KO_RMS_NORM;
    ko_config_epsilon(b, "mixer_rms_eps", 1e-6, &block.refine.eps);
    ko_mamba1_list(b, &block);
}

const struct ko_family ko_family_falcon_mamba = {
    .name = "falcon_mamba",
    .title = "Falcon-Mamba",
    .model_types = {"falcon_mamba"},
    .build = build_falcon_mamba,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Falcon-Mamba: Zuo et al. 2024; transformers' FalconMambaForCausalLM. Mamba-1 whose delta input, B
   and C go through RMSNorms without weights. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

static enum ko_code build_falcon_mamba(struct ko_model *model, json_object *config,
                                       const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_mamba1_spec block;
    enum ko_code code = ko_mamba_read(model, config, &block, err);
    if (code == KO_OK) {
        code = ko_config_epsilon(model, config, "mixer_rms_eps", 1e-6, &block.refine_eps, err);
    }
    return code == KO_OK ? ko_mamba1_list(model, checkpoint, &block, err) : code;
}

const struct ko_family ko_family_falcon_mamba = {
    .name = "falcon_mamba",
    .title = "Falcon-Mamba",
    .model_types = {"falcon_mamba"},
    .build = build_falcon_mamba,
};

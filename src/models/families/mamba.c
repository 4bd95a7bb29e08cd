/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1: Gu & Dao 2023; transformers' MambaForCausalLM. */
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

static enum ko_code build_mamba(struct ko_model *model, json_object *config,
                                const struct ko_checkpoint *checkpoint, struct ko_error *err)
{
    struct ko_mamba1_spec block;
    const enum ko_code code = ko_mamba_read(model, config, &block, err);
    return code == KO_OK ? ko_mamba1_list(model, checkpoint, &block, err) : code;
}

const struct ko_family ko_family_mamba = {
    .name = "mamba",
    .title = "Mamba-1",
    .model_types = {"mamba"},
    .build = build_mamba,
};

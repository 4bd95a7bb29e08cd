/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1: Gu & Dao 2023; transformers' MambaForCausalLM. */
#include "src/models/families.h"
#include "src/models/families/mamba_like.h"

static void build_mamba(struct ko_builder *b)
{
    struct ko_mamba1_spec block;
    ko_mamba_read(b, &block);
    ko_mamba1_list(b, &block);
}

const struct ko_family ko_family_mamba = {
    .name = "mamba",
    .title = "Mamba-1",
    .model_types = {"mamba"},
    .build = build_mamba,
};

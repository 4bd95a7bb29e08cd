/* Mamba-1: Gu & Dao 2023; transformers' MambaForCausalLM. */
#include "src/models/families.h"
#include "src/models/selective.h"

static enum ko_code mix(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    return ko_selective_mix(pass, layer, NULL, err);
}

const struct ko_family ko_family_mamba = {
    .name = "mamba",
    .title = "Mamba-1",
    .model_types = {"mamba"},
    .mixer = KO_MIXER_SSM,
    .configure = ko_selective_configure,
    .declare = ko_selective_declare,
    .ignores = ko_ends_ignores,
    .widths = ko_selective_widths,
    .embed = ko_ends_embed,
    .mix = mix,
    .finish = ko_selective_finish,
    .final_norm = ko_ends_final_norm,
    .unembedding = ko_ends_unembedding,
    .row_flop = ko_selective_row_flop,
    .decay_weight = ko_selective_decay_weight,
    .conv_mask = NULL, /* channel for channel */
};

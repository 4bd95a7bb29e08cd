/* Falcon-Mamba: Zuo et al. 2024; transformers' FalconMambaForCausalLM. Mamba-1, whose delta input,
   B and C go through RMSNorms without weights. */
#include "src/models/families.h"
#include "src/models/family.h"
#include "src/models/selective.h"

static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    enum ko_code code = ko_selective_configure(model, config, err);
    if (code)
        return code;
    struct ko_selective *m = model->bound;
    return ko_config_epsilon(model, config, "mixer_rms_eps", 1e-6, &m->mixer_eps, err);
}

static enum ko_code refine(const struct ko_pass *pass, int32_t n, float *projected,
                           struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const float eps = ((const struct ko_selective *)pass->model->bound)->mixer_eps;
    const int32_t ld = s->dt_rank + 2 * s->d_state;
    const int32_t width[] = {s->dt_rank, s->d_state, s->d_state};
    enum ko_code code = KO_OK;
    for (int part = 0; part < 3 && !code; part++) {
        const struct ko_rms_norm norm = {
            .n = n,
            .d = width[part],
            .x = projected,
            .ldx = ld,
            .eps = eps,
            .y = projected,
            .ldy = ld,
        };
        code = pass->k->rms_norm(pass->be, &norm, err);
        projected += width[part];
    }
    return code;
}

static enum ko_code mix(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    return ko_selective_mix(pass, layer, refine, err);
}

const struct ko_family ko_family_falcon_mamba = {
    .name = "falcon_mamba",
    .title = "Falcon-Mamba",
    .model_types = {"falcon_mamba"},
    .mixer = KO_MIXER_SSM,
    .configure = configure,
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

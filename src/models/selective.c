#include "src/models/selective.h"

#include <stdio.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/memory.h"
#include "src/models/family.h"

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], until the input projection has read it */
    CONVOLVED = 0, /* [d_inner], from then on */
    MIXED = 1,     /* [d_inner] */
    XZ = 2,        /* [2 d_inner]: x, then z */
    PROJECTED = 3, /* [dt_rank + 2 d_state]: delta's input, B, C */
    DELTA = 4,     /* [d_inner] */
};

static int32_t projected_width(const struct ko_shape *s)
{
    return s->dt_rank + 2 * s->d_state;
}

/* A number, or "auto": a sixteenth of the hidden size, rounded up. */
static enum ko_code configure_rank(struct ko_model *model, json_object *config,
                                   struct ko_error *err)
{
    static const char key[] = "time_step_rank";
    int32_t automatic = (model->shape.d_model + 15) / 16;
    json_object *value = ko_json_get(config, key);
    if (json_object_is_type(value, json_type_string) &&
        strcmp(json_object_get_string(value), "auto") == 0) {
        model->shape.dt_rank = automatic;
        return KO_OK;
    }
    return ko_config_size(model, config, key, NULL, automatic, KO_MAX_WIDTH, &model->shape.dt_rank,
                          err);
}

static enum ko_code configure_shape(struct ko_model *model, json_object *config,
                                    struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 768, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 32, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50280, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 16, KO_MAX_WIDTH, &s->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &s->d_conv},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (!code)
        code = ko_config_inner(model, config, err);
    if (!code)
        code = configure_rank(model, config, err);
    if (!code)
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &s->norm_eps, err);
    if (!code)
        code = ko_config_bos(model, config, 0, &s->bos_id, err);
    s->n_features = s->conv_channels = s->d_inner;
    return code;
}

enum ko_code ko_selective_configure(struct ko_model *model, json_object *config,
                                    struct ko_error *err)
{
    bool tied = true, bias = false, conv_bias = true;
    enum ko_code code = configure_shape(model, config, err);
    if (!code)
        code = ko_config_mamba(model, config, &tied, &bias, &conv_bias, err);
    if (code)
        return code;
    size_t layers = (size_t)model->shape.n_layers * sizeof(struct ko_selective_layer);
    struct ko_selective *m = ko_new(1, sizeof *m + layers, err);
    if (!m)
        return KO_E_MEMORY;
    *m = (struct ko_selective){.ends = {.tied = tied}, .bias = bias, .conv_bias = conv_bias};
    model->bound = m;
    return KO_OK;
}

static enum ko_code declare_layer(struct ko_model *model, int32_t l, const char *prefix,
                                  struct ko_error *err)
{
    const struct ko_shape *s = &model->shape;
    struct ko_selective *m = model->bound;
    struct ko_selective_layer *w = &m->layer[l];
    const int64_t d = s->d_model, inner = s->d_inner, state = s->d_state, rank = s->dt_rank;
    const struct ko_weight_row rows[] = {
        {"norm.weight", &w->norm, false, KO_AS_STORED, 1, {d}},
        {"mixer.in_proj.weight", &w->in_proj, false, KO_AS_STORED, 2, {2 * inner, d}},
        {"mixer.in_proj.bias", &w->in_bias, !m->bias, KO_AS_STORED, 1, {2 * inner}},
        {"mixer.conv1d.weight", &w->conv, false, KO_TRANSPOSED, 3, {inner, 1, s->d_conv}},
        {"mixer.conv1d.bias", &w->conv_bias, !m->conv_bias, KO_AS_STORED, 1, {inner}},
        {"mixer.x_proj.weight", &w->x_proj, false, KO_AS_STORED, 2, {rank + 2 * state, inner}},
        {"mixer.dt_proj.weight", &w->dt_proj, false, KO_AS_STORED, 2, {inner, rank}},
        {"mixer.dt_proj.bias", &w->dt_bias, false, KO_AS_STORED, 1, {inner}},
        {"mixer.A_log", &w->a, false, KO_NEG_EXP_TRANSPOSED, 2, {inner, state}},
        {"mixer.A_log", &w->decay_norms, false, KO_DECAY_NORMS, 2, {inner, state}},
        {"mixer.D", &w->d, false, KO_AS_STORED, 1, {inner}},
        {"mixer.out_proj.weight", &w->out_proj, false, KO_AS_STORED, 2, {d, inner}},
        {"mixer.out_proj.bias", &w->out_bias, !m->bias, KO_AS_STORED, 1, {d}},
    };
    char layer_prefix[64];
    snprintf(layer_prefix, sizeof layer_prefix, "%slayers.%d.", prefix, l);
    return ko_model_add_rows(model, l, layer_prefix, rows, sizeof rows / sizeof rows[0], err);
}

enum ko_code ko_selective_declare(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                                  struct ko_error *err)
{
    const char *prefix = ko_backbone_prefix(checkpoint);
    enum ko_code code =
        ko_ends_declare_front(model, prefix, ko_backbone_embedding(checkpoint), err);
    for (int32_t l = 0; l < model->shape.n_layers && !code; l++)
        code = declare_layer(model, l, prefix, err);
    if (!code)
        code = ko_ends_declare_back(model, prefix, "norm_f.weight", err);
    return code;
}

void ko_selective_widths(const struct ko_model *model, int32_t width[KO_N_BUFFERS])
{
    const struct ko_shape *s = &model->shape;
    width[CONVOLVED] = s->d_inner > s->d_model ? s->d_inner : s->d_model;
    width[MIXED] = s->d_inner;
    width[XZ] = 2 * s->d_inner;
    width[PROJECTED] = projected_width(s);
    width[DELTA] = s->d_inner;
}

/* What precedes the scan: the norm and the input projection of the rows that cannot take their
   parent's, the convolution and what follows it of those that compute their own. */
static enum ko_code project_input(const struct ko_pass *pass, int32_t layer,
                                  ko_selective_refine *refine, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct ko_selective_layer *w =
        &((const struct ko_selective *)pass->model->bound)->layer[layer];
    const int32_t d = s->d_model, inner = s->d_inner, width = projected_width(s);
    const int32_t n_projected = pass->rows->n_projected[layer];
    const int32_t n_convolved = pass->rows->n_convolved[layer];
    const struct ko_conv conv = {
        .layer = layer,
        .n_channels = inner,
        .n_taps = s->d_conv,
        .in = pass->buffer[XZ],
        .ld_in = 2 * inner,
        .weight = ko_pass_weight(pass, w->conv),
        .bias = ko_pass_weight(pass, w->conv_bias),
        .masks = pass->conv_masks,
        .out = pass->buffer[CONVOLVED],
    };
    const struct ko_rms_norm norm = {
        .n = n_projected,
        .d = d,
        .x = pass->x,
        .ldx = d,
        .weight = ko_pass_weight(pass, w->norm),
        .eps = s->norm_eps,
        .y = pass->buffer[NORMED],
        .ldy = d,
    };
    const struct ko_activation delta = {
        .n = n_convolved, .d = inner, .x = pass->buffer[DELTA], .ld = inner};
    enum ko_code code = pass->k->rms_norm(pass->be, &norm, err);
    if (!code)
        code = ko_pass_linear(pass, n_projected, pass->buffer[NORMED], d, w->in_proj, w->in_bias,
                              false, pass->buffer[XZ], 2 * inner, err);
    if (!code)
        code = pass->k->conv(pass->be, &conv, err);
    if (!code)
        code = ko_pass_linear(pass, n_convolved, pass->buffer[CONVOLVED], inner, w->x_proj,
                              KO_NO_WEIGHT, false, pass->buffer[PROJECTED], width, err);
    if (!code && refine)
        code = refine(pass, n_convolved, pass->buffer[PROJECTED], err);
    if (!code)
        code = ko_pass_linear(pass, n_convolved, pass->buffer[PROJECTED], width, w->dt_proj,
                              w->dt_bias, false, pass->buffer[DELTA], inner, err);
    if (!code)
        code = pass->k->softplus(pass->be, &delta, err);
    return code;
}

enum ko_code ko_selective_mix(const struct ko_pass *pass, int32_t layer,
                              ko_selective_refine *refine, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct ko_selective_layer *w =
        &((const struct ko_selective *)pass->model->bound)->layer[layer];
    enum ko_code code = project_input(pass, layer, refine, err);
    if (code)
        return code;
    const struct ko_mamba1 scan = {
        .layer = layer,
        .d_inner = s->d_inner,
        .d_state = s->d_state,
        .u = pass->buffer[CONVOLVED],
        .delta = pass->buffer[DELTA],
        .b = pass->buffer[PROJECTED] + s->dt_rank,
        .c = pass->buffer[PROJECTED] + s->dt_rank + s->d_state,
        .ld_bc = projected_width(s),
        .z = pass->buffer[XZ] + s->d_inner,
        .ld_z = 2 * s->d_inner,
        .a = ko_pass_weight(pass, w->a),
        .d = ko_pass_weight(pass, w->d),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };
    return pass->k->mamba1(pass->be, &scan, err);
}

enum ko_code ko_selective_finish(const struct ko_pass *pass, int32_t layer, int32_t n, float *x,
                                 const float *mixed, int32_t ld_mixed, struct ko_error *err)
{
    const struct ko_selective_layer *w =
        &((const struct ko_selective *)pass->model->bound)->layer[layer];
    return ko_pass_linear(pass, n, mixed, ld_mixed, w->out_proj, w->out_bias, true, x,
                          pass->model->shape.d_model, err);
}

void ko_selective_row_flop(const struct ko_model *model, double flop[3])
{
    const struct ko_shape *s = &model->shape;
    const double d = s->d_model, inner = s->d_inner;
    flop[0] = 2 * d * 2 * inner;
    flop[1] = 2 * inner * projected_width(s) + 2 * s->dt_rank * inner;
    flop[2] = 2 * inner * d;
}

int32_t ko_selective_decay_weight(const struct ko_model *model, int32_t layer)
{
    return (int32_t)((const struct ko_selective *)model->bound)->layer[layer].decay_norms;
}

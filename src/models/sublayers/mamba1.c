/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the weights of a Mamba-1 block, gives its widths and cost, and runs it. Rows with the
   same input as their parent reuse the parent's results. */
#include "src/models/sublayers/mamba1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/models/declare.h"
#include "src/models/pass.h"

struct mamba1 {
    struct ko_norm norm;
    struct ko_projection in;  /* [2 d_inner, d_model]: x, then z */
    size_t conv, conv_bias;   /* [d_conv, d_inner]; [d_inner] or none */
    struct ko_projection x;   /* [dt_rank + 2 d_state, d_inner]: delta's input, B, C */
    struct ko_projection dt;  /* [d_inner, dt_rank] */
    size_t a, d;              /* [d_state, d_inner]; [d_inner] */
    struct ko_projection out; /* [d_model, d_inner] */
    float refine_eps;
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], until the input projection has read it */
    CONVOLVED = 0, /* [d_inner], from then on */
    MIXED = 1,     /* [d_inner] */
    XZ = 2,        /* [2 d_inner]: x, then z */
    PROJECTED = 3, /* [dt_rank + 2 d_state]: delta's input, B, C */
    DELTA = 4,     /* [d_inner] */
};

static int32_t projected_width(const struct ko_sizes *s)
{
    return s->dt_rank + 2 * s->d_state;
}

static enum ko_code declare_mixer(struct ko_model *model, const struct ko_mamba1_spec *spec,
                                  const char *prefix, struct ko_sublayer *sublayer,
                                  struct ko_error *err)
{
    struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int64_t d = model->shape.d_model, inner = s->d_inner, state = s->d_state;
    const int64_t rank = s->dt_rank;
    const bool no_bias = !spec->bias;
    const struct ko_weight_row rows[] = {
        {"in_proj.weight", &m->in.weight, false, KO_AS_STORED, 2, {2 * inner, d}},
        {"in_proj.bias", &m->in.bias, no_bias, KO_AS_STORED, 1, {2 * inner}},
        {"conv1d.weight", &m->conv, false, KO_TRANSPOSED, 3, {inner, 1, s->d_conv}},
        {"conv1d.bias", &m->conv_bias, !spec->conv_bias, KO_AS_STORED, 1, {inner}},
        {"x_proj.weight", &m->x.weight, false, KO_AS_STORED, 2, {rank + 2 * state, inner}},
        {"dt_proj.weight", &m->dt.weight, false, KO_AS_STORED, 2, {inner, rank}},
        {"dt_proj.bias", &m->dt.bias, false, KO_AS_STORED, 1, {inner}},
        {"A_log", &m->a, false, KO_NEG_EXP_TRANSPOSED, 2, {inner, state}},
        {"A_log", &sublayer->decay_norms, false, KO_DECAY_NORMS, 2, {inner, state}},
        {"D", &m->d, false, KO_AS_STORED, 1, {inner}},
        {"out_proj.weight", &m->out.weight, false, KO_AS_STORED, 2, {d, inner}},
        {"out_proj.bias", &m->out.bias, no_bias, KO_AS_STORED, 1, {d}},
    };
    char mixer[96];
    snprintf(mixer, sizeof mixer, "%s%s.", prefix, spec->stem);
    m->x.bias = KO_NO_WEIGHT;
    return ko_declare_rows(model, sublayer->layer, mixer, rows, sizeof rows / sizeof rows[0], err);
}

enum ko_code ko_mamba1_add(struct ko_model *model, int32_t layer, const char *prefix,
                           const struct ko_mamba1_spec *spec, struct ko_error *err)
{
    struct mamba1 *m = ko_new(1, sizeof *m, err);
    if (!m) {
        return KO_E_MEMORY;
    }
    *m = (struct mamba1){.norm = spec->norm, .refine_eps = spec->refine_eps};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_mamba1,
        .layer = layer,
        .size = {.d_inner = spec->d_inner,
                 .d_state = spec->d_state,
                 .d_conv = spec->d_conv,
                 .dt_rank = spec->dt_rank,
                 .n_features = spec->d_inner,
                 .conv_channels = spec->d_inner},
        .self = m,
    };
    enum ko_code code = ko_declare_norm(model, layer, prefix, spec->norm_name, &m->norm, err);
    if (code == KO_OK) {
        code = declare_mixer(model, spec, prefix, &sublayer, err);
    }
    if (code != KO_OK) {
        free(m);
        return code;
    }
    return ko_model_add_sublayer(model, &sublayer, err);
}

static void widths(const struct ko_sublayer *sublayer, int32_t d_model, int32_t width[KO_N_BUFFERS])
{
    const struct ko_sizes *s = &sublayer->size;
    width[CONVOLVED] = s->d_inner > d_model ? s->d_inner : d_model;
    width[MIXED] = s->d_inner;
    width[XZ] = 2 * s->d_inner;
    width[PROJECTED] = projected_width(s);
    width[DELTA] = s->d_inner;
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct ko_sizes *s = &sublayer->size;
    const double d = d_model, inner = s->d_inner;
    flop[0] = 2 * d * 2 * inner;
    flop[1] = 2 * inner * projected_width(s) + 2 * s->dt_rank * inner;
    flop[2] = 2 * inner * d;
}

/* Delta's input, B and C, each through a norm of its own. */
static enum ko_code refine(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t width[] = {s->dt_rank, s->d_state, s->d_state};
    float *x = pass->buffer[PROJECTED];
    enum ko_code code = KO_OK;
    for (int part = 0; part < 3 && code == KO_OK; part++) {
        const struct ko_rms_norm norm = {
            .n = n,
            .d = width[part],
            .x = x,
            .ldx = projected_width(s),
            .eps = m->refine_eps,
            .y = x,
            .ldy = projected_width(s),
        };
        code = pass->kernels->rms_norm(pass->be, &norm, err);
        x += width[part];
    }
    return code;
}

/* The convolved input of the rows that have one of their own. */
static enum ko_code convolve(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                             struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    const int32_t d = pass->model->shape.d_model, inner = sublayer->size.d_inner;
    const int32_t n = pass->rows->n_projected[sublayer->layer];
    const struct ko_conv conv = {
        .layer = sublayer->layer,
        .n_channels = inner,
        .n_taps = sublayer->size.d_conv,
        .in = pass->buffer[XZ],
        .ld_in = 2 * inner,
        .weight = ko_pass_weight(pass, m->conv),
        .bias = ko_pass_weight(pass, m->conv_bias),
        .masks = pass->conv_masks,
        .out = pass->buffer[CONVOLVED],
    };
    enum ko_code code = ko_pass_norm(pass, &m->norm, n, pass->x, pass->buffer[NORMED], err);
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, pass->buffer[NORMED], d, m->in, false, pass->buffer[XZ],
                              2 * inner, err);
    }
    return code == KO_OK ? pass->kernels->conv(pass->be, &conv, err) : code;
}

/* What follows the convolution of the same rows: delta, B and C. */
static enum ko_code project_steps(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                  struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    const int32_t inner = sublayer->size.d_inner, width = projected_width(&sublayer->size);
    const int32_t n = pass->rows->n_convolved[sublayer->layer];
    float *projected = pass->buffer[PROJECTED], *delta = pass->buffer[DELTA];
    const struct ko_activation softplus = {.n = n, .d = inner, .x = delta, .ld = inner};
    enum ko_code code =
        ko_pass_linear(pass, n, pass->buffer[CONVOLVED], inner, m->x, false, projected, width, err);
    if (code == KO_OK && m->refine_eps >= 0) {
        code = refine(pass, sublayer, n, err);
    }
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, projected, width, m->dt, false, delta, inner, err);
    }
    return code == KO_OK ? pass->kernels->softplus(pass->be, &softplus, err) : code;
}

static enum ko_code mix(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                        struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const struct ko_mamba1 scan = {
        .layer = sublayer->layer,
        .d_inner = s->d_inner,
        .d_state = s->d_state,
        .u = pass->buffer[CONVOLVED],
        .delta = pass->buffer[DELTA],
        .b = pass->buffer[PROJECTED] + s->dt_rank,
        .c = pass->buffer[PROJECTED] + s->dt_rank + s->d_state,
        .ld_bc = projected_width(s),
        .z = pass->buffer[XZ] + s->d_inner,
        .ld_z = 2 * s->d_inner,
        .a = ko_pass_weight(pass, m->a),
        .d = ko_pass_weight(pass, m->d),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };
    enum ko_code code = convolve(pass, sublayer, err);
    if (code == KO_OK) {
        code = project_steps(pass, sublayer, err);
    }
    return code == KO_OK ? pass->kernels->mamba1(pass->be, &scan, err) : code;
}

static enum ko_code finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    return ko_pass_linear(pass, n, mixed, ld_mixed, m->out, true, x, pass->model->shape.d_model,
                          err);
}

/* Channel for channel. */
static void conv_mask(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv)
{
    memcpy(conv, mask, (size_t)sublayer->size.conv_channels);
}

const struct ko_sublayer_kind ko_sublayer_mamba1 = {
    .name = "mamba1",
    .widths = widths,
    .row_flop = row_flop,
    .mix = mix,
    .finish = finish,
    .conv_mask = conv_mask,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A Mamba-1 block: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/mamba1.h"

#include <string.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

struct mamba1 {
    struct ko_norm norm;
    struct ko_projection in;  /* [2 d_inner, d_model]: x, then z */
    size_t conv, conv_bias;   /* [d_conv, d_inner]; [d_inner] or none */
    struct ko_projection x;   /* [dt_rank + 2 d_state, d_inner]: input of delta, B, C */
    struct ko_projection dt;  /* [d_inner, dt_rank] */
    size_t a, d;              /* [d_state, d_inner]; [d_inner] */
    struct ko_norm refine[3]; /* of delta's input, B and C */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], read by the input projection */
    CONVOLVED = 0, /* [d_inner], written after it */
    MIXED = 1,     /* [d_inner] */
    XZ = 2,        /* [2 d_inner]: x, then z */
    PROJECTED = 3, /* [dt_rank + 2 d_state]: input of delta, B, C */
    DELTA = 4,     /* [d_inner] */
};

static int32_t projected_width(const struct ko_sizes *s)
{
    return s->dt_rank + 2 * s->d_state;
}

/* Delta's input, B and C are parts 0, 1 and 2. */
static int32_t refined_width(const struct ko_sizes *s, int part)
{
    return part == 0 ? s->dt_rank : s->d_state;
}

static void declare_refinement(struct ko_builder *b, const struct ko_mamba1_spec *spec,
                               const struct ko_sizes *sizes, struct mamba1 *m)
{
    for (int part = 0; part < 3; part++) {
        m->refine[part] = spec->refine;
        m->refine[part].weight = m->refine[part].bias = KO_NO_WEIGHT;
        if (spec->refine_names[part]) {
            ko_declare_norm_of(b, spec->refine_names[part], refined_width(sizes, part),
                               &m->refine[part]);
        }
    }
}

static void declare_mixer(struct ko_builder *b, const struct ko_mamba1_spec *spec,
                          struct ko_sublayer *sublayer)
{
    struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int64_t d = b->model->shape.d_model, inner = s->d_inner, state = s->d_state;
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
        {"out_proj.weight", &sublayer->out.weight, false, KO_AS_STORED, 2, {d, inner}},
        {"out_proj.bias", &sublayer->out.bias, no_bias, KO_AS_STORED, 1, {d}},
    };
    m->x.bias = KO_NO_WEIGHT;
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

void ko_mamba1_add(struct ko_builder *b, const struct ko_mamba1_spec *spec)
{
    struct mamba1 *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    *m = (struct mamba1){.norm = spec->norm};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_mamba1,
        .size = {.d_inner = spec->d_inner,
                 .d_state = spec->d_state,
                 .d_conv = spec->d_conv,
                 .dt_rank = spec->dt_rank,
                 .n_features = spec->d_inner,
                 .conv_channels = spec->d_inner},
        .self = m,
    };
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    declare_mixer(b, spec, &sublayer);
    declare_refinement(b, spec, &sublayer.size, m);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void mamba1_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                          int32_t width[KO_N_BUFFERS])
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

/* Norms the input of delta, B and C, each on its own. */
static void refine_projected(struct ko_steps *steps, const struct ko_sublayer *sublayer)
{
    const struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *x = steps->pass->buffer[PROJECTED];
    for (int part = 0; part < 3; part++) {
        ko_step_norm_of(steps, &m->refine[part], refined_width(s, part), x, projected_width(s));
        x += refined_width(s, part);
    }
}

static enum ko_code mix_mamba1(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               struct ko_error *err)
{
    const struct mamba1 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t inner = s->d_inner, d = pass->model->shape.d_model, width = projected_width(s);
    float *normed = pass->buffer[NORMED], *xz = pass->buffer[XZ];
    float *convolved = pass->buffer[CONVOLVED], *delta = pass->buffer[DELTA];
    float *projected = pass->buffer[PROJECTED];
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_conv conv = {
        .stage = sublayer->stage,
        .n_channels = inner,
        .n_taps = s->d_conv,
        .in = xz,
        .ld_in = 2 * inner,
        .weight = ko_pass_weight(pass, m->conv),
        .bias = ko_pass_weight(pass, m->conv_bias),
        .masks = pass->conv_masks,
        .out = convolved,
    };
    const struct ko_mamba1 scan = {
        .stage = sublayer->stage,
        .d_inner = inner,
        .d_state = s->d_state,
        .u = convolved,
        .delta = delta,
        .b = projected + s->dt_rank,
        .c = projected + s->dt_rank + s->d_state,
        .ld_bc = width,
        .z = xz + inner,
        .ld_z = 2 * inner,
        .a = ko_pass_weight(pass, m->a),
        .d = ko_pass_weight(pass, m->d),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };

    ko_step_norm(&steps, &m->norm, pass->x, normed);
    ko_step_project(&steps, m->in, normed, d, xz, 2 * inner);
    ko_step_conv(&steps, &conv);
    steps.n = pass->rows->n_convolved[sublayer->stage];
    ko_step_project(&steps, m->x, convolved, inner, projected, width);
    refine_projected(&steps, sublayer);
    ko_step_project(&steps, m->dt, projected, width, delta, inner);
    ko_step_softplus(
        &steps, &(const struct ko_activation){.n = steps.n, .d = inner, .x = delta, .ld = inner});
    ko_step_mamba1(&steps, &scan);
    return steps.code;
}

static void conv_mask(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv)
{
    memcpy(conv, mask, (size_t)sublayer->size.conv_channels);
}

static void mamba1_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                           struct ko_details *out)
{
    const struct mamba1 *m = sublayer->self;
    (void)model;
    if (m->refine[0].kind != KO_NO_NORM) {
        ko_details_add(out, "norms of delta's input, B and C");
    }
}

const struct ko_sublayer_kind ko_sublayer_mamba1 = {
    .name = "mamba1",
    .mixer = KO_MIXER_SSM,
    .components = KO_MIXER_SSM,
    .widths = mamba1_widths,
    .row_flop = row_flop,
    .mix = mix_mamba1,
    .finish = ko_pass_finish,
    .conv_mask = conv_mask,
    .details = mamba1_details,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A Mamba-2 block: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/mamba2.h"

#include <math.h>
#include <string.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

/* conv_channels is d_inner + 2 n_groups d_state: u, then B, then C. */
struct mamba2 {
    struct ko_norm norm;
    struct ko_projection in; /* [d_inner + conv_channels + heads, d_model]: z, u, B, C, delta */
    size_t conv, conv_bias;  /* [d_conv, conv_channels]; [conv_channels] or none */
    size_t dt_bias, a, d;    /* [heads] */
    enum ko_gate_order gate;
    float gate_eps;
    size_t gate_norm; /* [d_inner] or none */
    float dt_min, dt_max;
    /* Factors of columns, among the arena's values: of the normed rows [d_model], and of what the
       input projection gives. KO_NO_WEIGHT: none. */
    size_t in_scale, part_scale;
    bool reads_side; /* it reads x plus KO_SIDE_BUFFER, which becomes this sum */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], read by the input projection */
    CONVOLVED = 0, /* [conv_channels]: u, B, C, written after it */
    MIXED = 1,     /* [d_inner] */
    PROJECTED = 2, /* [d_inner + conv_channels + heads]: z, u, B, C, delta */
};

static int32_t projected_width(const struct ko_sizes *s)
{
    return s->d_inner + s->conv_channels + s->n_ssm_heads;
}

static void declare_mixer(struct ko_builder *b, const struct ko_mamba2_spec *spec,
                          struct ko_sublayer *sublayer)
{
    struct mamba2 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int64_t d = b->model->shape.d_model, inner = s->d_inner, conv = s->conv_channels;
    const int64_t heads = s->n_ssm_heads, projected = projected_width(s);
    const bool no_norm = m->gate == KO_GATE_ALONE;
    const struct ko_weight_row rows[] = {
        {"in_proj.weight", &m->in.weight, false, KO_AS_STORED, 2, {projected, d}},
        {"in_proj.bias", &m->in.bias, !spec->in_bias, KO_AS_STORED, 1, {projected}},
        {"conv1d.weight", &m->conv, false, KO_TRANSPOSED, 3, {conv, 1, s->d_conv}},
        {"conv1d.bias", &m->conv_bias, !spec->conv_bias, KO_AS_STORED, 1, {conv}},
        {"dt_bias", &m->dt_bias, false, KO_AS_STORED, 1, {heads}},
        {"A_log", &m->a, false, KO_NEG_EXP_TRANSPOSED, 1, {heads}},
        {"A_log", &sublayer->decay_norms, false, KO_DECAY_NORMS, 1, {heads}},
        {"D", &m->d, false, KO_AS_STORED, 1, {heads}},
        {"norm.weight", &m->gate_norm, no_norm, KO_AS_STORED, 1, {inner}},
        {"out_proj.weight", &sublayer->out.weight, false, KO_AS_STORED, 2, {d, inner}},
        {"out_proj.bias", &sublayer->out.bias, !spec->out_bias, KO_AS_STORED, 1, {d}},
    };
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

static void declare_scales(struct ko_builder *b, const struct ko_mamba2_spec *spec,
                           struct ko_sublayer *sublayer)
{
    struct mamba2 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const size_t inner = (size_t)s->d_inner;
    const size_t group = (size_t)s->n_groups * (size_t)s->d_state;
    const size_t width[] = {inner, inner, group, group, (size_t)s->n_ssm_heads};
    struct ko_constant run[5];
    if (spec->in_scale > 0 && spec->in_scale != 1) {
        run[0] = (struct ko_constant){0, (size_t)b->model->shape.d_model, spec->in_scale};
        ko_declare_constants(b, run, 1, &m->in_scale);
    }
    for (size_t part = 0; spec->part_scale && part < 5; part++) {
        run[part] = (struct ko_constant){0, width[part], spec->part_scale[part]};
    }
    if (spec->part_scale) {
        ko_declare_constants(b, run, 5, &m->part_scale);
    }
}

void ko_mamba2_add(struct ko_builder *b, const struct ko_mamba2_spec *spec)
{
    struct mamba2 *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    const int32_t d_inner = spec->n_heads * spec->d_head;
    *m = (struct mamba2){
        .norm = spec->norm,
        .gate = spec->gate,
        .gate_eps = spec->gate_eps > 0 ? spec->gate_eps : spec->norm.eps,
        .dt_min = spec->dt_min,
        .dt_max = spec->dt_max,
        .in_scale = KO_NO_WEIGHT,
        .part_scale = KO_NO_WEIGHT,
        .reads_side = spec->reads_side,
    };
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_mamba2,
        .size = {.d_inner = d_inner,
                 .d_state = spec->d_state,
                 .d_conv = spec->d_conv,
                 .n_ssm_heads = spec->n_heads,
                 .d_ssm_head = spec->d_head,
                 .n_groups = spec->n_groups,
                 .n_features = spec->n_heads,
                 .conv_channels = d_inner + 2 * spec->n_groups * spec->d_state},
        .self = m,
    };
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    declare_mixer(b, spec, &sublayer);
    declare_scales(b, spec, &sublayer);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void mamba2_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                          int32_t width[KO_N_BUFFERS])
{
    const struct ko_sizes *s = &sublayer->size;
    width[CONVOLVED] = s->conv_channels > d_model ? s->conv_channels : d_model;
    width[MIXED] = s->d_inner;
    width[PROJECTED] = projected_width(s);
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const double d = d_model;
    flop[0] = 2 * d * projected_width(&sublayer->size);
    flop[1] = 0;
    flop[2] = 2 * d * sublayer->size.d_inner;
}

/* The rows that the norm reads [n, d_model]. */
static const float *input_rows(struct ko_steps *steps, const struct mamba2 *m)
{
    const struct ko_pass *pass = steps->pass;
    const int32_t d = pass->model->shape.d_model;
    if (!m->reads_side) {
        return pass->x;
    }
    ko_step_add_scaled(steps, &(const struct ko_add_scaled){.n = steps->n,
                                                            .d = d,
                                                            .x = pass->x,
                                                            .ldx = d,
                                                            .scale = 1,
                                                            .y = pass->buffer[KO_SIDE_BUFFER],
                                                            .ldy = d});
    return pass->buffer[KO_SIDE_BUFFER];
}

static enum ko_code mix_mamba2(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               struct ko_error *err)
{
    const struct mamba2 *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, width = projected_width(s);
    float *normed = pass->buffer[NORMED], *projected = pass->buffer[PROJECTED];
    float *convolved = pass->buffer[CONVOLVED];
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_conv conv = {
        .stage = sublayer->stage,
        .n_channels = s->conv_channels,
        .n_taps = s->d_conv,
        .in = projected + s->d_inner,
        .ld_in = width,
        .weight = ko_pass_weight(pass, m->conv),
        .bias = ko_pass_weight(pass, m->conv_bias),
        .masks = pass->conv_masks,
        .out = convolved,
    };
    const struct ko_mamba2 ssd = {
        .stage = sublayer->stage,
        .n_heads = s->n_ssm_heads,
        .d_head = s->d_ssm_head,
        .d_state = s->d_state,
        .n_groups = s->n_groups,
        .u = convolved,
        .b = convolved + s->d_inner,
        .c = convolved + s->d_inner + (size_t)s->n_groups * (size_t)s->d_state,
        .ld = s->conv_channels,
        .dt = projected + s->d_inner + s->conv_channels,
        .ld_dt = width,
        .dt_bias = ko_pass_weight(pass, m->dt_bias),
        .dt_min = m->dt_min,
        .dt_max = m->dt_max,
        .a = ko_pass_weight(pass, m->a),
        .d = ko_pass_weight(pass, m->d),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };
    const struct ko_output_gate gate = {
        .stage = sublayer->stage,
        .d = s->d_inner,
        .n_groups = s->n_groups,
        .order = m->gate,
        .function = KO_GATE_SILU,
        .z = projected,
        .ld_z = width,
        .z_stride = s->d_inner / s->n_groups,
        .weight = ko_pass_weight(pass, m->gate_norm),
        .eps = m->gate_eps,
        .x = pass->buffer[MIXED],
    };

    ko_step_norm(&steps, &m->norm, input_rows(&steps, m), normed);
    ko_step_scale(&steps, m->in_scale, d, normed, d);
    ko_step_project(&steps, m->in, normed, d, projected, width);
    ko_step_scale(&steps, m->part_scale, width, projected, width);
    ko_step_conv(&steps, &conv);
    ko_step_mamba2(&steps, &ssd);
    ko_step_output_gate(&steps, &gate);
    return steps.code;
}

/* A head's mask applies to the channels of its u. B and C serve all heads of a group, so their taps
   are removed only if every head is. */
static void conv_mask(const struct ko_sublayer *sublayer, const uint8_t *mask, uint8_t *conv)
{
    const struct ko_sizes *s = &sublayer->size;
    const size_t width = (size_t)s->d_ssm_head;
    uint8_t all = 1;
    for (int32_t h = 0; h < s->n_ssm_heads; h++) {
        memset(conv + (size_t)h * width, mask[h], width);
        all &= mask[h];
    }
    memset(conv + s->d_inner, all, (size_t)(s->conv_channels - s->d_inner));
}

static void mamba2_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                           struct ko_details *out)
{
    const struct mamba2 *m = sublayer->self;
    (void)model;
    if (m->dt_min > 0 || isfinite(m->dt_max)) {
        ko_details_add(out, "delta from %g to %g", (double)m->dt_min, (double)m->dt_max);
    }
}

const struct ko_sublayer_kind ko_sublayer_mamba2 = {
    .name = "mamba2",
    .mixer = KO_MIXER_SSM,
    .components = KO_MIXER_SSM,
    .widths = mamba2_widths,
    .row_flop = row_flop,
    .mix = mix_mamba2,
    .finish = ko_pass_finish,
    .conv_mask = conv_mask,
    .details = mamba2_details,
};

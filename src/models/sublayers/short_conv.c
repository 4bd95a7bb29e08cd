/* SPDX-License-Identifier: Apache-2.0 */
/* A short convolution as the mixer: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/short_conv.h"

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

struct short_conv {
    struct ko_norm norm;
    struct ko_projection in; /* [3 d_model, d_model]: B, C, X */
    size_t conv, conv_bias;  /* [taps, d_model]; [d_model] or none */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model] */
    MIXED = 1,     /* [d_model] */
    PROJECTED = 2, /* [3 d_model]: B, which becomes B X, then C, X */
};

void ko_short_conv_add(struct ko_builder *b, const struct ko_short_conv_spec *spec)
{
    struct short_conv *c = ko_declare_self(b, sizeof *c);
    const int32_t d = b->model->shape.d_model;
    if (!c) {
        return;
    }
    *c = (struct short_conv){.norm = spec->norm};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_short_conv,
        .size = {.reach = spec->n_taps},
        .decay_norms = KO_NO_WEIGHT,
        .self = c,
    };
    const bool no_bias = !spec->bias;
    const struct ko_weight_row rows[] = {
        {"in_proj.weight", &c->in.weight, false, KO_AS_STORED, 2, {3 * (int64_t)d, d}},
        {"in_proj.bias", &c->in.bias, no_bias, KO_AS_STORED, 1, {3 * (int64_t)d}},
        {"conv.weight", &c->conv, false, KO_TRANSPOSED, 3, {d, 1, spec->n_taps}},
        {"conv.bias", &c->conv_bias, no_bias, KO_AS_STORED, 1, {d}},
        {"out_proj.weight", &sublayer.out.weight, false, KO_AS_STORED, 2, {d, d}},
        {"out_proj.bias", &sublayer.out.bias, no_bias, KO_AS_STORED, 1, {d}},
    };
    ko_declare_norm(b, spec->norm_name, &c->norm);
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
    ko_declare_sublayer(b, &sublayer);
}

static void short_conv_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                              int32_t width[KO_N_BUFFERS])
{
    (void)sublayer;
    width[NORMED] = d_model;
    width[MIXED] = d_model;
    width[PROJECTED] = 3 * d_model;
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const double d = d_model;
    (void)sublayer;
    flop[0] = 2 * d * 3 * d;
    flop[1] = 0;
    flop[2] = 2 * d * d;
}

static enum ko_code mix_short_conv(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                   struct ko_error *err)
{
    const struct short_conv *c = sublayer->self;
    const int32_t d = pass->model->shape.d_model, ld = 3 * d;
    float *projected = pass->buffer[PROJECTED];
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_conv conv = {
        .stage = sublayer->stage,
        .n_channels = d,
        .n_taps = sublayer->size.reach,
        .linear = true,
        .mixer = true,
        .in = projected,
        .ld_in = ld,
        .weight = ko_pass_weight(pass, c->conv),
        .bias = ko_pass_weight(pass, c->conv_bias),
        .out = pass->buffer[MIXED],
    };
    const struct ko_output_gate gate = {
        .stage = sublayer->stage,
        .d = d,
        .n_groups = 1,
        .order = KO_GATE_ALONE,
        .function = KO_GATE_IDENTITY,
        .z = projected + d,
        .ld_z = ld,
        .z_stride = d,
        .x = pass->buffer[MIXED],
    };

    ko_step_norm(&steps, &c->norm, pass->x, pass->buffer[NORMED]);
    ko_step_project(&steps, c->in, pass->buffer[NORMED], d, projected, ld);
    ko_step_mul(&steps, &(const struct ko_gate){.n = steps.n,
                                                .d = d,
                                                .gate = projected,
                                                .up = projected + 2 * (size_t)d,
                                                .ld = ld,
                                                .y = projected,
                                                .ldy = ld});
    ko_step_conv(&steps, &conv);
    ko_step_output_gate(&steps, &gate);
    return steps.code;
}

static void short_conv_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                               struct ko_details *out)
{
    (void)model;
    ko_details_add(out, "short convolutions of %d taps", sublayer->size.reach);
}

const struct ko_sublayer_kind ko_sublayer_short_conv = {
    .name = "short_conv",
    .mixer = KO_MIXER_CONV,
    .components = KO_MIXER_CONV,
    .widths = short_conv_widths,
    .row_flop = row_flop,
    .mix = mix_short_conv,
    .finish = ko_pass_finish,
    .details = short_conv_details,
};

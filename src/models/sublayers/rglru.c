/* SPDX-License-Identifier: Apache-2.0 */
/* A recurrent block of Griffin: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/rglru.h"

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

/* In the sizes: d_inner channels, all of which the convolution has. */
struct rglru {
    struct ko_norm norm;
    int32_t n_blocks;
    struct ko_projection x, y;          /* [d_inner, d_model] */
    size_t conv, conv_bias;             /* [d_conv, d_inner]; [d_inner] */
    struct ko_projection input, recall; /* [n_blocks, in, out] of the two gates; [d_inner] */
    size_t param;                       /* [d_inner] */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], read by the input projections */
    CONVOLVED = 0, /* [d_inner], written after them */
    MIXED = 1,     /* [d_inner] */
    X = 2,         /* [d_inner] */
    Y = 3,         /* [d_inner] */
    GATES = 4,     /* [2 d_inner]: of the input, then of the recurrence */
};

static void declare_mixer(struct ko_builder *b, const struct ko_rglru_spec *spec,
                          struct ko_sublayer *sublayer)
{
    struct rglru *m = sublayer->self;
    const int64_t d = b->model->shape.d_model, inner = spec->width, blocks = spec->n_blocks;
    const int64_t block = inner / blocks;
    const struct ko_weight_row rows[] = {
        {"linear_x.weight", &m->x.weight, false, KO_AS_STORED, 2, {inner, d}},
        {"linear_x.bias", &m->x.bias, false, KO_AS_STORED, 1, {inner}},
        {"linear_y.weight", &m->y.weight, false, KO_AS_STORED, 2, {inner, d}},
        {"linear_y.bias", &m->y.bias, false, KO_AS_STORED, 1, {inner}},
        {"conv_1d.weight", &m->conv, false, KO_TRANSPOSED, 3, {inner, 1, spec->d_conv}},
        {"conv_1d.bias", &m->conv_bias, false, KO_AS_STORED, 1, {inner}},
        {"rg_lru.input_gate_weight",
         &m->input.weight,
         false,
         KO_AS_STORED,
         3,
         {blocks, block, block}},
        {"rg_lru.input_gate_bias", &m->input.bias, false, KO_AS_VALUES, 2, {blocks, block}},
        {"rg_lru.recurrent_gate_weight",
         &m->recall.weight,
         false,
         KO_AS_STORED,
         3,
         {blocks, block, block}},
        {"rg_lru.recurrent_gate_bias", &m->recall.bias, false, KO_AS_VALUES, 2, {blocks, block}},
        {"rg_lru.recurrent_param", &m->param, false, KO_AS_STORED, 1, {inner}},
        {"linear_out.weight", &sublayer->out.weight, false, KO_AS_STORED, 2, {d, inner}},
        {"linear_out.bias", &sublayer->out.bias, false, KO_AS_STORED, 1, {d}},
    };
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
    if (b->code == KO_OK) {
        b->model->weights[m->input.weight].in_first = true;
        b->model->weights[m->recall.weight].in_first = true;
    }
}

void ko_rglru_add(struct ko_builder *b, const struct ko_rglru_spec *spec)
{
    struct rglru *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    *m = (struct rglru){.norm = spec->norm, .n_blocks = spec->n_blocks};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_rglru,
        .size = {.d_inner = spec->width, .d_conv = spec->d_conv, .conv_channels = spec->width},
        .decay_norms = KO_NO_WEIGHT,
        .self = m,
    };
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    declare_mixer(b, spec, &sublayer);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void rglru_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                         int32_t width[KO_N_BUFFERS])
{
    const int32_t inner = sublayer->size.d_inner;
    width[CONVOLVED] = inner > d_model ? inner : d_model;
    width[MIXED] = inner;
    width[X] = inner;
    width[Y] = inner;
    width[GATES] = 2 * inner;
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct rglru *m = sublayer->self;
    const double d = d_model, inner = sublayer->size.d_inner;
    flop[0] = 2 * d * 2 * inner;
    flop[1] = 2 * inner * 2 * inner / m->n_blocks;
    flop[2] = 2 * inner * d;
}

/* y [n, d_inner] (row distance 2 d_inner) from u [n, d_inner], a product for each block of channels.
   A block's matrix is stored [in, out]. */
static void project_blocks(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                           struct ko_projection gate, const float *u, float *y)
{
    const struct ko_pass *pass = steps->pass;
    const struct rglru *m = sublayer->self;
    const int32_t inner = sublayer->size.d_inner, block = inner / m->n_blocks;
    const float *bias = ko_pass_weight(pass, gate.bias);
    struct ko_matrix w = ko_model_matrix(pass->model, &pass->arena, gate.weight);
    const size_t bytes = (size_t)block * (size_t)block * ko_element_bytes(w.type);
    for (int32_t first = 0; first < inner; first += block) {
        ko_step_linear(steps, &(const struct ko_linear){.n = steps->n,
                                                        .x = u + first,
                                                        .ldx = inner,
                                                        .w = w,
                                                        .bias = bias + first,
                                                        .y = y + first,
                                                        .ldy = 2 * inner});
        w.data = (const unsigned char *)w.data + bytes;
    }
}

static enum ko_code mix_rglru(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                              struct ko_error *err)
{
    const struct rglru *m = sublayer->self;
    const int32_t inner = sublayer->size.d_inner, d = pass->model->shape.d_model;
    float *convolved = pass->buffer[CONVOLVED], *gates = pass->buffer[GATES];
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_conv conv = {
        .stage = sublayer->stage,
        .n_channels = inner,
        .n_taps = sublayer->size.d_conv,
        .linear = true,
        .in = pass->buffer[X],
        .ld_in = inner,
        .weight = ko_pass_weight(pass, m->conv),
        .bias = ko_pass_weight(pass, m->conv_bias),
        .out = convolved,
    };
    const struct ko_rglru unit = {
        .stage = sublayer->stage,
        .d = inner,
        .u = convolved,
        .input = gates,
        .decay = gates + inner,
        .ld = 2 * inner,
        .param = ko_pass_weight(pass, m->param),
        .out = pass->buffer[MIXED],
    };
    const struct ko_output_gate gate = {
        .stage = sublayer->stage,
        .d = inner,
        .n_groups = 1,
        .order = KO_GATE_ALONE,
        .function = KO_GATE_GELU_TANH,
        .z = pass->buffer[Y],
        .ld_z = inner,
        .z_stride = inner,
        .x = pass->buffer[MIXED],
    };

    const float *normed = ko_step_input(&steps, &m->norm, pass->x, pass->buffer[NORMED]);
    ko_step_project(&steps, m->x, normed, d, pass->buffer[X], inner);
    ko_step_project(&steps, m->y, normed, d, pass->buffer[Y], inner);
    ko_step_conv(&steps, &conv);
    steps.n = pass->rows->n_convolved[sublayer->stage];
    project_blocks(&steps, sublayer, m->input, convolved, gates);
    project_blocks(&steps, sublayer, m->recall, convolved, gates + inner);
    ko_step_rglru(&steps, &unit);
    ko_step_output_gate(&steps, &gate);
    return steps.code;
}

static void rglru_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                          struct ko_details *out)
{
    const struct rglru *m = sublayer->self;
    (void)model;
    ko_details_add(out, "RG-LRU of %d channels, with gates in %d blocks", sublayer->size.d_inner,
                   m->n_blocks);
}

const struct ko_sublayer_kind ko_sublayer_rglru = {
    .name = "rglru",
    .mixer = KO_MIXER_SSM,
    .components = KO_MIXER_SSM,
    .widths = rglru_widths,
    .row_flop = row_flop,
    .mix = mix_rglru,
    .finish = ko_pass_finish,
    .details = rglru_details,
};

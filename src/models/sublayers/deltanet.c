/* SPDX-License-Identifier: Apache-2.0 */
/* A block of Gated DeltaNet or Kimi Delta Attention: its weights, its widths and cost, and its
   computation. */
#include "src/models/sublayers/deltanet.h"

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

/* Key head k belongs to r = n_heads / n_key_heads value heads. In the sizes: n_ssm_heads value heads
   of width d_ssm_head, n_groups key heads of width d_state. conv_channels is the width of q, k and
   v. */
struct deltanet {
    struct ko_norm norm;
    enum ko_deltanet_form form;
    /* Fused: qkv is in_proj_qkvz with the rows of each key head as q, k, v, z; b is in_proj_ba with
       those of b, then a. Else each is a matrix of its own. */
    struct ko_projection qkv, z, b, a;
    size_t conv;      /* [d_conv, conv_channels] */
    size_t dt_bias;   /* [n_heads]; Kimi: [n_heads d_key] */
    size_t decay;     /* [n_heads] -exp(A_log) */
    size_t head_norm; /* [d_value] */
    /* Kimi: q, k and v apart with their convolutions, and the first factors of z and a. */
    struct ko_projection part[3];      /* [n_heads d_key, d_model] */
    size_t part_conv[3];               /* [d_conv, n_heads d_key] */
    struct ko_projection low_z, low_a; /* [d_key, d_model] */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], read by the input projections */
    CONVOLVED = 0, /* [conv_channels]: q, k, v, written after them; Kimi: all rows of q first */
    MIXED = 1,     /* [n_heads d_value] */
    QKV = 2,       /* [conv_channels] all q, then all k, then all v */
    Z = 3,         /* [n_heads d_value] */
    BETA = 4,      /* [2 n_heads]: b of all value heads, then a; Kimi: b alone */
    RAW = 5,       /* fused: in_proj_qkvz as it is */
    RAW_BETA = 6,  /* fused: in_proj_ba as it is */
    DECAY = 5,     /* Kimi: a of all key channels, [n_heads d_key] */
    LOW = 6,       /* Kimi: [d_key] between two factors */
};

static int32_t key_width(const struct ko_sizes *s)
{
    return s->n_groups * s->d_state;
}

static int32_t value_width(const struct ko_sizes *s)
{
    return s->n_ssm_heads * s->d_ssm_head;
}

static void declare_fused(struct ko_builder *b, const struct ko_deltanet_spec *spec,
                          const struct ko_sizes *s, struct deltanet *m)
{
    const int64_t d = b->model->shape.d_model, heads = s->n_ssm_heads;
    const struct ko_weight_row rows[] = {
        {"in_proj_qkvz.weight",
         &m->qkv.weight,
         false,
         KO_AS_STORED,
         2,
         {s->conv_channels + value_width(s), d}},
        {"in_proj_ba.weight", &m->b.weight, false, KO_AS_STORED, 2, {2 * heads, d}},
    };
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

static void declare_apart(struct ko_builder *b, const struct ko_deltanet_spec *spec,
                          const struct ko_sizes *s, struct deltanet *m)
{
    const int64_t d = b->model->shape.d_model, heads = s->n_ssm_heads;
    const struct ko_weight_row rows[] = {
        {"in_proj_qkv.weight", &m->qkv.weight, false, KO_AS_STORED, 2, {s->conv_channels, d}},
        {"in_proj_z.weight", &m->z.weight, false, KO_AS_STORED, 2, {value_width(s), d}},
        {"in_proj_b.weight", &m->b.weight, false, KO_AS_STORED, 2, {heads, d}},
        {"in_proj_a.weight", &m->a.weight, false, KO_AS_STORED, 2, {heads, d}},
    };
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

static void declare_kimi(struct ko_builder *b, const struct ko_deltanet_spec *spec,
                         const struct ko_sizes *s, struct ko_sublayer *sublayer)
{
    struct deltanet *m = sublayer->self;
    const int64_t d = b->model->shape.d_model, w = value_width(s), heads = s->n_ssm_heads;
    const int64_t rank = s->d_state, taps = s->d_conv;
    const struct ko_weight_row rows[] = {
        {"q_proj.weight", &m->part[0].weight, false, KO_AS_STORED, 2, {w, d}},
        {"k_proj.weight", &m->part[1].weight, false, KO_AS_STORED, 2, {w, d}},
        {"v_proj.weight", &m->part[2].weight, false, KO_AS_STORED, 2, {w, d}},
        {"q_conv1d.weight", &m->part_conv[0], false, KO_TRANSPOSED, 3, {w, 1, taps}},
        {"k_conv1d.weight", &m->part_conv[1], false, KO_TRANSPOSED, 3, {w, 1, taps}},
        {"v_conv1d.weight", &m->part_conv[2], false, KO_TRANSPOSED, 3, {w, 1, taps}},
        {"f_a_proj.weight", &m->low_a.weight, false, KO_AS_STORED, 2, {rank, d}},
        {"f_b_proj.weight", &m->a.weight, false, KO_AS_STORED, 2, {w, rank}},
        {"g_a_proj.weight", &m->low_z.weight, false, KO_AS_STORED, 2, {rank, d}},
        {"g_b_proj.weight", &m->z.weight, false, KO_AS_STORED, 2, {w, rank}},
        {"b_proj.weight", &m->b.weight, false, KO_AS_STORED, 2, {heads, d}},
        {"dt_bias", &m->dt_bias, false, KO_AS_STORED, 1, {w}},
        {"A_log", &m->decay, false, KO_NEG_EXP_TRANSPOSED, 4, {1, 1, heads, 1}},
        {"o_norm.weight", &m->head_norm, false, KO_AS_STORED, 1, {s->d_ssm_head}},
        {"o_proj.weight", &sublayer->out.weight, false, KO_AS_STORED, 2, {d, w}},
    };
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

static void declare_mixer(struct ko_builder *b, const struct ko_deltanet_spec *spec,
                          struct ko_sublayer *sublayer)
{
    struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int64_t d = b->model->shape.d_model, conv = s->conv_channels, heads = s->n_ssm_heads;
    const struct ko_weight_row rows[] = {
        {"conv1d.weight", &m->conv, false, KO_TRANSPOSED, 3, {conv, 1, s->d_conv}},
        {"dt_bias", &m->dt_bias, false, KO_AS_STORED, 1, {heads}},
        {"A_log", &m->decay, false, KO_NEG_EXP_TRANSPOSED, 1, {heads}},
        {"norm.weight", &m->head_norm, false, KO_AS_STORED, 1, {s->d_ssm_head}},
        {"out_proj.weight", &sublayer->out.weight, false, KO_AS_STORED, 2, {d, value_width(s)}},
    };
    const struct ko_projection none = {KO_NO_WEIGHT, KO_NO_WEIGHT};
    m->qkv = m->z = m->b = m->a = m->low_z = m->low_a = sublayer->out = none;
    m->part[0] = m->part[1] = m->part[2] = none;
    if (spec->form == KO_DELTANET_KIMI) {
        declare_kimi(b, spec, s, sublayer);
        return;
    }
    if (spec->form == KO_DELTANET_FUSED) {
        declare_fused(b, spec, s, m);
    } else {
        declare_apart(b, spec, s, m);
    }
    ko_declare_rows(b, spec->stem, rows, sizeof rows / sizeof rows[0]);
}

void ko_deltanet_add(struct ko_builder *b, const struct ko_deltanet_spec *spec)
{
    struct deltanet *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    *m = (struct deltanet){.norm = spec->norm, .form = spec->form};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_deltanet,
        .size = {.d_state = spec->d_key,
                 .d_conv = spec->d_conv,
                 .n_ssm_heads = spec->n_heads,
                 .d_ssm_head = spec->d_value,
                 .n_groups = spec->n_key_heads,
                 .conv_channels =
                     2 * spec->n_key_heads * spec->d_key + spec->n_heads * spec->d_value},
        .decay_norms = KO_NO_WEIGHT,
        .self = m,
    };
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    declare_mixer(b, spec, &sublayer);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void deltanet_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                            int32_t width[KO_N_BUFFERS])
{
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    width[CONVOLVED] = s->conv_channels > d_model ? s->conv_channels : d_model;
    width[MIXED] = value_width(s);
    width[QKV] = s->conv_channels;
    width[Z] = value_width(s);
    width[BETA] = 2 * s->n_ssm_heads;
    if (m->form == KO_DELTANET_FUSED) {
        width[RAW] = s->conv_channels + value_width(s);
        width[RAW_BETA] = 2 * s->n_ssm_heads;
    } else if (m->form == KO_DELTANET_KIMI) {
        width[DECAY] = value_width(s);
        width[LOW] = s->d_state;
    }
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const double d = d_model, rank = s->d_state;
    flop[0] = 2 * d * (s->conv_channels + value_width(s) + 2 * s->n_ssm_heads);
    if (m->form == KO_DELTANET_KIMI) {
        flop[0] = 2 * d * (s->conv_channels + s->n_ssm_heads) + 4 * rank * (d + value_width(s));
    }
    flop[1] = 0;
    flop[2] = 2 * d * value_width(s);
}

/* A part of each key head in a fused projection. */
struct part {
    const float *from;
    int32_t ld, stride; /* from one key head to the next */
    int32_t d;
};

/* Copies the part of all key heads to [n_groups * d] in rows of length ld. */
static void take_part(struct ko_steps *steps, const struct ko_sizes *s, const struct part *part,
                      float *to, int32_t ld)
{
    ko_step_copy_heads(steps, &(const struct ko_copy_heads){.n = steps->n,
                                                            .n_heads = s->n_groups,
                                                            .d = part->d,
                                                            .from = part->from,
                                                            .ld_from = part->ld,
                                                            .stride_from = part->stride,
                                                            .to = to,
                                                            .ld_to = ld,
                                                            .stride_to = part->d});
}

static void project_fused(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                          const float *input)
{
    const struct ko_pass *pass = steps->pass;
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, r = s->n_ssm_heads / s->n_groups;
    const int32_t values = r * s->d_ssm_head, group = 2 * s->d_state + 2 * values;
    const int32_t ld = s->n_groups * group, ld_beta = 2 * s->n_ssm_heads;
    const float *raw = pass->buffer[RAW], *raw_beta = pass->buffer[RAW_BETA];
    float *qkv = pass->buffer[QKV], *beta = pass->buffer[BETA];
    ko_step_project(steps, m->qkv, input, d, pass->buffer[RAW], ld);
    ko_step_project(steps, m->b, input, d, pass->buffer[RAW_BETA], ld_beta);
    take_part(steps, s, &(const struct part){raw, ld, group, s->d_state}, qkv, s->conv_channels);
    take_part(steps, s, &(const struct part){raw + s->d_state, ld, group, s->d_state},
              qkv + key_width(s), s->conv_channels);
    take_part(steps, s, &(const struct part){raw + 2 * (size_t)s->d_state, ld, group, values},
              qkv + 2 * (size_t)key_width(s), s->conv_channels);
    take_part(steps, s,
              &(const struct part){raw + 2 * (size_t)s->d_state + values, ld, group, values},
              pass->buffer[Z], value_width(s));
    take_part(steps, s, &(const struct part){raw_beta, ld_beta, 2 * r, r}, beta, ld_beta);
    take_part(steps, s, &(const struct part){raw_beta + r, ld_beta, 2 * r, r},
              beta + s->n_ssm_heads, ld_beta);
}

static void project_apart(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                          const float *input)
{
    const struct ko_pass *pass = steps->pass;
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, ld_beta = 2 * s->n_ssm_heads;
    ko_step_project(steps, m->qkv, input, d, pass->buffer[QKV], s->conv_channels);
    ko_step_project(steps, m->z, input, d, pass->buffer[Z], value_width(s));
    ko_step_project(steps, m->b, input, d, pass->buffer[BETA], ld_beta);
    ko_step_project(steps, m->a, input, d, pass->buffer[BETA] + s->n_ssm_heads, ld_beta);
}

static void project_kimi(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                         const float *input)
{
    const struct ko_pass *pass = steps->pass;
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, w = value_width(s), rank = s->d_state;
    float *low = pass->buffer[LOW];
    for (size_t p = 0; p < 3; p++) {
        ko_step_project(steps, m->part[p], input, d, pass->buffer[QKV] + p * (size_t)w,
                        s->conv_channels);
    }
    ko_step_project(steps, m->b, input, d, pass->buffer[BETA], 2 * s->n_ssm_heads);
    ko_step_project(steps, m->low_a, input, d, low, rank);
    ko_step_project(steps, m->a, low, rank, pass->buffer[DECAY], w);
    ko_step_project(steps, m->low_z, input, d, low, rank);
    ko_step_project(steps, m->z, low, rank, pass->buffer[Z], w);
}

/* Where q, k and v lie after the convolution, [rows, ld] each. */
struct convolved {
    float *q, *k, *v;
    int32_t ld;
};

static struct convolved place_convolved(const struct ko_pass *pass,
                                        const struct ko_sublayer *sublayer)
{
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *q = pass->buffer[CONVOLVED];
    const size_t keys = (size_t)key_width(s), part = (size_t)pass->rows->n_rows * keys;
    if (m->form == KO_DELTANET_KIMI) {
        return (struct convolved){q, q + part, q + 2 * part, key_width(s)};
    }
    return (struct convolved){q, q + keys, q + 2 * keys, s->conv_channels};
}

static void convolve_parts(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                           const struct convolved *to)
{
    const struct ko_pass *pass = steps->pass;
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *const parts[3] = {to->q, to->k, to->v};
    struct ko_conv conv = {
        .stage = sublayer->stage,
        .n_channels = s->conv_channels,
        .n_taps = s->d_conv,
        .in = pass->buffer[QKV],
        .ld_in = s->conv_channels,
        .out = to->q,
    };
    if (m->form != KO_DELTANET_KIMI) {
        conv.weight = ko_pass_weight(pass, m->conv);
        ko_step_conv(steps, &conv);
        return;
    }
    conv.n_channels = to->ld;
    for (size_t p = 0; p < 3; p++) {
        conv.in = pass->buffer[QKV] + p * (size_t)to->ld;
        conv.weight = ko_pass_weight(pass, m->part_conv[p]);
        conv.out = parts[p];
        ko_step_conv(steps, &conv);
    }
}

static void project_input(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                          const float *input)
{
    const struct deltanet *m = sublayer->self;
    if (m->form == KO_DELTANET_FUSED) {
        project_fused(steps, sublayer, input);
    } else if (m->form == KO_DELTANET_APART) {
        project_apart(steps, sublayer, input);
    } else {
        project_kimi(steps, sublayer, input);
    }
}

static enum ko_code mix_deltanet(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                 struct ko_error *err)
{
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const bool kimi = m->form == KO_DELTANET_KIMI;
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct convolved convolved = place_convolved(pass, sublayer);
    const struct ko_deltanet delta = {
        .stage = sublayer->stage,
        .n_key_heads = s->n_groups,
        .n_heads = s->n_ssm_heads,
        .d_key = s->d_state,
        .d_value = s->d_ssm_head,
        .per_channel = kimi,
        .q = convolved.q,
        .k = convolved.k,
        .v = convolved.v,
        .ld = convolved.ld,
        .dt = kimi ? pass->buffer[DECAY] : pass->buffer[BETA] + s->n_ssm_heads,
        .ld_dt = kimi ? value_width(s) : 2 * s->n_ssm_heads,
        .beta = pass->buffer[BETA],
        .ld_beta = 2 * s->n_ssm_heads,
        .dt_bias = ko_pass_weight(pass, m->dt_bias),
        .a = ko_pass_weight(pass, m->decay),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };
    const struct ko_output_gate gate = {
        .stage = sublayer->stage,
        .d = value_width(s),
        .n_groups = s->n_ssm_heads,
        .order = KO_NORM_THEN_GATE,
        .function = kimi ? KO_GATE_SIGMOID : KO_GATE_SILU,
        .z = pass->buffer[Z],
        .ld_z = value_width(s),
        .z_stride = s->d_ssm_head,
        .weight = ko_pass_weight(pass, m->head_norm),
        .shared_weight = true,
        .eps = m->norm.eps,
        .x = pass->buffer[MIXED],
    };
    project_input(&steps, sublayer, ko_step_input(&steps, &m->norm, pass->x, pass->buffer[NORMED]));
    convolve_parts(&steps, sublayer, &convolved);
    ko_step_deltanet(&steps, &delta);
    ko_step_output_gate(&steps, &gate);
    return steps.code;
}

static void deltanet_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                             struct ko_details *out)
{
    const struct deltanet *m = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    (void)model;
    if (m->form == KO_DELTANET_KIMI) {
        ko_details_add(out, "Kimi Delta Attention: %d heads of %d", s->n_ssm_heads, s->d_ssm_head);
        return;
    }
    ko_details_add(out, "Gated DeltaNet: %d heads of %d, keys of %d in %d heads", s->n_ssm_heads,
                   s->d_ssm_head, s->d_state, s->n_groups);
}

const struct ko_sublayer_kind ko_sublayer_deltanet = {
    .name = "deltanet",
    .mixer = KO_MIXER_SSM,
    .components = KO_MIXER_SSM,
    .widths = deltanet_widths,
    .row_flop = row_flop,
    .mix = mix_deltanet,
    .finish = ko_pass_finish,
    .details = deltanet_details,
};

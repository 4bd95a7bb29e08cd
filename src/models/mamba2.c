/* Mamba-2: Dao & Gu 2024; transformers' Mamba2ForCausalLM. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/memory.h"
#include "src/models/ends.h"
#include "src/models/families.h"
#include "src/models/family.h"

/* Weight numbers. conv_channels is d_inner + 2 n_groups d_state: u, then B, then C. */
struct mamba2_layer {
    size_t norm;               /* [d_model] */
    size_t in_proj, in_bias;   /* [d_inner + conv_channels + n_heads, d_model]: z, u, B, C, delta */
    size_t conv, conv_bias;    /* [d_conv, conv_channels]; [conv_channels] or none */
    size_t dt_bias;            /* [n_heads] */
    size_t a, decay_norms;     /* [n_heads] */
    size_t d;                  /* [n_heads] */
    size_t gated_norm;         /* [d_inner] */
    size_t out_proj, out_bias; /* [d_model, d_inner]; [d_model] or none */
};

struct mamba2 {
    struct ko_ends ends; /* first: src/models/ends.h */
    bool bias, conv_bias;
    float dt_min, dt_max;
    struct mamba2_layer layer[]; /* [n_layers] */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,    /* [d_model], until the input projection has read it */
    CONVOLVED = 0, /* [conv_channels]: u, B, C, from then on */
    MIXED = 1,     /* [d_inner] */
    PROJECTED = 2, /* [d_inner + conv_channels + n_heads]: z, u, B, C, delta */
};

static int32_t projected_width(const struct ko_shape *s)
{
    return s->d_inner + s->conv_channels + s->n_heads;
}

/* How the inner width is divided into heads, and these into groups that share B and C. */
static enum ko_code check_heads(struct ko_model *model, struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    if ((int64_t)s->n_heads * s->d_head != s->d_inner)
        return ko_fail(err, KO_E_INPUT,
                       "%s: num_heads: %d heads of head_dim %d are not the inner width of %d "
                       "(intermediate_size, or expand times hidden_size)",
                       model->name, s->n_heads, s->d_head, s->d_inner);
    if (s->n_heads % s->n_groups != 0)
        return ko_fail(err, KO_E_INPUT, "%s: n_groups: %d groups do not divide num_heads of %d",
                       model->name, s->n_groups, s->n_heads);
    if ((int64_t)s->n_groups * s->d_state > KO_MAX_WIDTH)
        return ko_fail(err, KO_E_INPUT, "%s: state_size: %d in %d groups is wider than %d",
                       model->name, s->d_state, s->n_groups, KO_MAX_WIDTH);
    s->conv_channels = s->d_inner + 2 * s->n_groups * s->d_state;
    s->n_features = s->n_heads;
    return KO_OK;
}

static enum ko_code configure_shape(struct ko_model *model, json_object *config,
                                    struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"hidden_size", NULL, 4096, KO_MAX_WIDTH, &s->d_model},
        {"num_hidden_layers", NULL, 64, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 32768, KO_MAX_VOCABULARY, &s->vocabulary},
        {"state_size", NULL, 128, KO_MAX_WIDTH, &s->d_state},
        {"conv_kernel", NULL, 4, KO_MAX_WIDTH, &s->d_conv},
        {"num_heads", NULL, 128, KO_MAX_WIDTH, &s->n_heads},
        {"head_dim", NULL, 64, KO_MAX_WIDTH, &s->d_head},
        {"n_groups", NULL, 8, KO_MAX_WIDTH, &s->n_groups},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (!code)
        code = ko_config_inner(model, config, err);
    if (!code)
        code = check_heads(model, err);
    if (!code)
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &s->norm_eps, err);
    if (!code)
        code = ko_config_bos(model, config, 0, &s->bos_id, err);
    return code;
}

static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    bool tied = false, bias = false, conv_bias = true;
    double limit[2] = {0, INFINITY};
    enum ko_code code = configure_shape(model, config, err);
    if (!code)
        code = ko_config_range(model->name, config, "time_step_limit", limit, err);
    if (!code)
        code = ko_config_mamba(model, config, &tied, &bias, &conv_bias, err);
    if (code)
        return code;
    size_t layers = (size_t)model->shape.n_layers * sizeof(struct mamba2_layer);
    struct mamba2 *m = ko_new(1, sizeof *m + layers, err);
    if (!m)
        return KO_E_MEMORY;
    *m = (struct mamba2){.ends = {.tied = tied},
                         .bias = bias,
                         .conv_bias = conv_bias,
                         .dt_min = (float)limit[0],
                         .dt_max = (float)limit[1]};
    model->bound = m;
    return KO_OK;
}

static enum ko_code declare_layer(struct ko_model *model, int32_t l, const char *prefix,
                                  struct ko_error *err)
{
    const struct ko_shape *s = &model->shape;
    struct mamba2 *m = model->bound;
    struct mamba2_layer *w = &m->layer[l];
    const int64_t d = s->d_model, inner = s->d_inner, conv = s->conv_channels, heads = s->n_heads;
    const int64_t projected = projected_width(s);
    const struct ko_weight_row rows[] = {
        {"norm.weight", &w->norm, false, KO_AS_STORED, 1, {d}},
        {"mixer.in_proj.weight", &w->in_proj, false, KO_AS_STORED, 2, {projected, d}},
        {"mixer.in_proj.bias", &w->in_bias, !m->bias, KO_AS_STORED, 1, {projected}},
        {"mixer.conv1d.weight", &w->conv, false, KO_TRANSPOSED, 3, {conv, 1, s->d_conv}},
        {"mixer.conv1d.bias", &w->conv_bias, !m->conv_bias, KO_AS_STORED, 1, {conv}},
        {"mixer.dt_bias", &w->dt_bias, false, KO_AS_STORED, 1, {heads}},
        {"mixer.A_log", &w->a, false, KO_NEG_EXP_TRANSPOSED, 1, {heads}},
        {"mixer.A_log", &w->decay_norms, false, KO_DECAY_NORMS, 1, {heads}},
        {"mixer.D", &w->d, false, KO_AS_STORED, 1, {heads}},
        {"mixer.norm.weight", &w->gated_norm, false, KO_AS_STORED, 1, {inner}},
        {"mixer.out_proj.weight", &w->out_proj, false, KO_AS_STORED, 2, {d, inner}},
        {"mixer.out_proj.bias", &w->out_bias, !m->bias, KO_AS_STORED, 1, {d}},
    };
    char layer_prefix[64];
    snprintf(layer_prefix, sizeof layer_prefix, "%slayers.%d.", prefix, l);
    return ko_model_add_rows(model, l, layer_prefix, rows, sizeof rows / sizeof rows[0], err);
}

static enum ko_code declare(struct ko_model *model, const struct ko_checkpoint *checkpoint,
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

static void widths(const struct ko_model *model, int32_t width[KO_N_BUFFERS])
{
    const struct ko_shape *s = &model->shape;
    width[CONVOLVED] = s->conv_channels > s->d_model ? s->conv_channels : s->d_model;
    width[MIXED] = s->d_inner;
    width[PROJECTED] = projected_width(s);
}

/* What precedes the state space: the norm and the input projection of the rows that cannot take
   their parent's, the convolution of those that compute their own. */
static enum ko_code project_input(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct mamba2_layer *w = &((const struct mamba2 *)pass->model->bound)->layer[layer];
    const int32_t d = s->d_model, width = projected_width(s);
    const int32_t n = pass->rows->n_projected[layer];
    const struct ko_conv conv = {
        .layer = layer,
        .n_channels = s->conv_channels,
        .n_taps = s->d_conv,
        .in = pass->buffer[PROJECTED] + s->d_inner,
        .ld_in = width,
        .weight = ko_pass_weight(pass, w->conv),
        .bias = ko_pass_weight(pass, w->conv_bias),
        .masks = pass->conv_masks,
        .out = pass->buffer[CONVOLVED],
    };
    const struct ko_rms_norm norm = {
        .n = n,
        .d = d,
        .x = pass->x,
        .ldx = d,
        .weight = ko_pass_weight(pass, w->norm),
        .eps = s->norm_eps,
        .y = pass->buffer[NORMED],
        .ldy = d,
    };
    enum ko_code code = pass->k->rms_norm(pass->be, &norm, err);
    if (!code)
        code = ko_pass_linear(pass, n, pass->buffer[NORMED], d, w->in_proj, w->in_bias, false,
                              pass->buffer[PROJECTED], width, err);
    if (!code)
        code = pass->k->conv(pass->be, &conv, err);
    return code;
}

static enum ko_code mix(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct mamba2 *m = pass->model->bound;
    const struct mamba2_layer *w = &m->layer[layer];
    const float *convolved = pass->buffer[CONVOLVED], *projected = pass->buffer[PROJECTED];
    const int32_t width = projected_width(s);
    const struct ko_mamba2 ssd = {
        .layer = layer,
        .n_heads = s->n_heads,
        .d_head = s->d_head,
        .d_state = s->d_state,
        .n_groups = s->n_groups,
        .u = convolved,
        .b = convolved + s->d_inner,
        .c = convolved + s->d_inner + (size_t)s->n_groups * (size_t)s->d_state,
        .ld = s->conv_channels,
        .dt = projected + s->d_inner + s->conv_channels,
        .ld_dt = width,
        .dt_bias = ko_pass_weight(pass, w->dt_bias),
        .dt_min = m->dt_min,
        .dt_max = m->dt_max,
        .a = ko_pass_weight(pass, w->a),
        .d = ko_pass_weight(pass, w->d),
        .masks = pass->masks,
        .out = pass->buffer[MIXED],
    };
    const struct ko_gated_norm norm = {
        .layer = layer,
        .d = s->d_inner,
        .n_groups = s->n_groups,
        .z = projected,
        .ld_z = width,
        .weight = ko_pass_weight(pass, w->gated_norm),
        .eps = s->norm_eps,
        .x = pass->buffer[MIXED],
    };
    enum ko_code code = project_input(pass, layer, err);
    if (!code)
        code = pass->k->mamba2(pass->be, &ssd, err);
    if (!code)
        code = pass->k->gated_norm(pass->be, &norm, err);
    return code;
}

static enum ko_code finish(const struct ko_pass *pass, int32_t layer, int32_t n, float *x,
                           const float *mixed, int32_t ld_mixed, struct ko_error *err)
{
    const struct mamba2_layer *w = &((const struct mamba2 *)pass->model->bound)->layer[layer];
    return ko_pass_linear(pass, n, mixed, ld_mixed, w->out_proj, w->out_bias, true, x,
                          pass->model->shape.d_model, err);
}

static void row_flop(const struct ko_model *model, double flop[3])
{
    const struct ko_shape *s = &model->shape;
    const double d = s->d_model;
    flop[0] = 2 * d * projected_width(s);
    flop[1] = 0;
    flop[2] = 2 * d * s->d_inner;
}

static int32_t decay_weight(const struct ko_model *model, int32_t layer)
{
    return (int32_t)((const struct mamba2 *)model->bound)->layer[layer].decay_norms;
}

/* A head's mask holds for the channels of its u; B and C serve all heads of a group, so their taps
   go only where every head is removed. */
static void conv_mask(const struct ko_model *model, const uint8_t *mask, uint8_t *conv)
{
    const struct ko_shape *s = &model->shape;
    uint8_t all = 1;
    for (int32_t h = 0; h < s->n_heads; h++) {
        memset(conv + (size_t)h * (size_t)s->d_head, mask[h], (size_t)s->d_head);
        all &= mask[h];
    }
    memset(conv + s->d_inner, all, (size_t)(s->conv_channels - s->d_inner));
}

const struct ko_family ko_family_mamba2 = {
    .name = "mamba2",
    .title = "Mamba-2",
    .model_types = {"mamba2"},
    .mixer = KO_MIXER_SSM,
    .configure = configure,
    .declare = declare,
    .ignores = ko_ends_ignores,
    .widths = widths,
    .embed = ko_ends_embed,
    .mix = mix,
    .finish = finish,
    .final_norm = ko_ends_final_norm,
    .unembedding = ko_ends_unembedding,
    .row_flop = row_flop,
    .decay_weight = decay_weight,
    .conv_mask = conv_mask,
};

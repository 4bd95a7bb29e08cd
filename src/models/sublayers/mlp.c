/* SPDX-License-Identifier: Apache-2.0 */
/* An MLP sublayer: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/mlp.h"

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

struct mlp {
    struct ko_norm norm;
    struct ko_mlp_hidden hidden;
};

/* The buffers of a pass. Buffers 0 and 1 are the mixer's: in a parallel sublayer they still hold its
   result. */
enum {
    NORMED = 2, /* [d_model] */
    HIDDEN = 3, /* [d_ff]: the input of the last matrix; in the gated form first the gate. With
                   gate_up [2 d_ff], the gate first */
    UP = 4,     /* [d_ff] of the gated form with two matrices */
};

static bool is_gated(const struct ko_mlp_hidden *h)
{
    return h->function == KO_MLP_SILU_GATED || h->function == KO_MLP_GELU_TANH_GATED;
}

int ko_mlp_matrices(const struct ko_mlp_hidden *hidden)
{
    return is_gated(hidden) ? 3 : 2;
}

void ko_mlp_declare_hidden(struct ko_builder *b, const struct ko_mlp_spec *spec,
                           struct ko_mlp_hidden *out)
{
    const int32_t d = b->model->shape.d_model, ff = spec->d_ff;
    *out = (struct ko_mlp_hidden){
        .function = spec->function,
        .fused = spec->gate_up != NULL,
        .d_ff = ff,
        .gate_scale = KO_NO_WEIGHT,
    };
    if (out->fused) {
        ko_declare_projection(b, spec->gate_up, 2 * ff, d, spec->bias, &out->gate_up);
    } else {
        if (is_gated(out)) {
            ko_declare_projection(b, spec->gate, ff, d, spec->bias, &out->gate);
        }
        ko_declare_projection(b, spec->up, ff, d, spec->bias, &out->up);
    }
    if (spec->gate_scale > 0 && spec->gate_scale != 1) {
        const struct ko_constant run = {0, (size_t)ff, spec->gate_scale};
        ko_declare_constants(b, &run, 1, &out->gate_scale);
    }
}

void ko_mlp_add(struct ko_builder *b, const struct ko_mlp_spec *spec)
{
    const int32_t d = b->model->shape.d_model, ff = spec->d_ff;
    struct mlp *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    m->norm = spec->norm;
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_mlp,
        .size = {.d_ff = ff},
        .decay_norms = KO_NO_WEIGHT,
        .self = m,
    };
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    ko_mlp_declare_hidden(b, spec, &m->hidden);
    ko_declare_projection(b, spec->down, d, ff, spec->bias, &sublayer.out);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void mlp_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                       int32_t width[KO_N_BUFFERS])
{
    const struct mlp *m = sublayer->self;
    width[NORMED] = d_model;
    width[HIDDEN] = m->hidden.fused ? 2 * sublayer->size.d_ff : sublayer->size.d_ff;
    if (is_gated(&m->hidden) && !m->hidden.fused) {
        width[UP] = sublayer->size.d_ff;
    }
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct mlp *m = sublayer->self;
    flop[0] = flop[1] = 0;
    flop[2] = 2.0 * ko_mlp_matrices(&m->hidden) * d_model * sublayer->size.d_ff;
}

static void run_gated(struct ko_steps *steps, const struct ko_mlp_hidden *h, const float *input,
                      float *gate, float *up, int32_t ld)
{
    const int32_t d = steps->pass->model->shape.d_model;
    const struct ko_gate args = {
        .n = steps->n, .d = h->d_ff, .gate = gate, .up = up, .ld = ld, .y = gate, .ldy = ld};
    if (h->fused) {
        ko_step_project(steps, h->gate_up, input, d, gate, ld);
    } else {
        ko_step_project(steps, h->gate, input, d, gate, ld);
        ko_step_project(steps, h->up, input, d, up, ld);
    }
    ko_step_scale(steps, h->gate_scale, h->d_ff, gate, ld);
    if (h->function == KO_MLP_SILU_GATED) {
        ko_step_silu_mul(steps, &args);
    } else {
        ko_step_gelu_tanh_mul(steps, &args);
    }
}

static void run_plain(struct ko_steps *steps, const struct ko_mlp_hidden *h, const float *input,
                      float *hidden, int32_t ld)
{
    const int32_t d = steps->pass->model->shape.d_model;
    const struct ko_activation args = {.n = steps->n, .d = h->d_ff, .x = hidden, .ld = ld};
    ko_step_project(steps, h->up, input, d, hidden, ld);
    if (h->function == KO_MLP_GELU) {
        ko_step_gelu(steps, &args);
    } else if (h->function == KO_MLP_RELU) {
        ko_step_relu(steps, &args);
    } else if (h->function == KO_MLP_RELU2) {
        ko_step_relu2(steps, &args);
    } else {
        ko_step_gelu_tanh(steps, &args);
    }
}

void ko_mlp_compute_hidden(struct ko_steps *steps, const struct ko_mlp_hidden *hidden,
                           const float *input, float *room, float *up, int32_t ld)
{
    if (is_gated(hidden)) {
        run_gated(steps, hidden, input, room, up, ld);
    } else {
        run_plain(steps, hidden, input, room, ld);
    }
}

static enum ko_code finish_mlp(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                               struct ko_error *err)
{
    const struct mlp *m = sublayer->self;
    const int32_t ff = m->hidden.d_ff, ld = m->hidden.fused ? 2 * ff : ff;
    float *hidden = pass->buffer[HIDDEN], *up = m->hidden.fused ? hidden + ff : pass->buffer[UP];
    struct ko_steps steps = {pass, n, err, KO_OK};
    (void)mixed;
    (void)ld_mixed;
    const float *input = ko_step_input(&steps, &m->norm, x, pass->buffer[NORMED]);
    ko_mlp_compute_hidden(&steps, &m->hidden, input, hidden, up, ld);
    ko_step_output(&steps, sublayer, hidden, ld, x);
    return steps.code;
}

/* The functions of the first families, SiLU in the gated form and the approximate GELU, go without
   saying. */
static void mlp_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                        struct ko_details *out)
{
    const struct mlp *m = sublayer->self;
    (void)model;
    if (m->hidden.function == KO_MLP_GELU_TANH_GATED) {
        ko_details_add(out, "MLPs gated by GELU");
    } else if (m->hidden.function == KO_MLP_GELU) {
        ko_details_add(out, "MLPs with the exact GELU");
    } else if (m->hidden.function == KO_MLP_RELU) {
        ko_details_add(out, "MLPs with ReLU");
    } else if (m->hidden.function == KO_MLP_RELU2) {
        ko_details_add(out, "MLPs with squared ReLU");
    }
}

const struct ko_sublayer_kind ko_sublayer_mlp = {
    .name = "mlp",
    .components = KO_COMPONENT_MLP,
    .widths = mlp_widths,
    .row_flop = row_flop,
    .finish = finish_mlp,
    .details = mlp_details,
};

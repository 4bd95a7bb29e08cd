/* SPDX-License-Identifier: Apache-2.0 */
/* An MLP sublayer: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/mlp.h"

#include "src/models/declare.h"
#include "src/models/pass.h"

struct mlp {
    enum ko_mlp_function function;
    struct ko_norm norm;
    struct ko_projection gate, up; /* [d_ff, d_model] */
    struct ko_projection down;     /* [d_model, d_ff] */
};

/* The buffers of a pass. */
enum {
    NORMED = 2, /* [d_model] */
    HIDDEN = 3, /* [d_ff]: the input of the last matrix; in the gated form first the gate */
    UP = 4,     /* [d_ff] of the gated form */
};

void ko_mlp_add(struct ko_builder *b, const struct ko_mlp_spec *spec)
{
    const int32_t d = b->model->shape.d_model, ff = spec->d_ff;
    struct mlp *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    *m = (struct mlp){.function = spec->function, .norm = spec->norm};
    const struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_mlp, .size = {.d_ff = ff}, .decay_norms = KO_NO_WEIGHT, .self = m};
    ko_declare_norm(b, spec->norm_name, &m->norm);
    if (spec->function == KO_MLP_SILU_GATED) {
        ko_declare_projection(b, spec->gate, ff, d, spec->bias, &m->gate);
    }
    ko_declare_projection(b, spec->up, ff, d, spec->bias, &m->up);
    ko_declare_projection(b, spec->down, d, ff, spec->bias, &m->down);
    ko_declare_sublayer(b, &sublayer);
}

static bool is_gated(const struct ko_sublayer *sublayer)
{
    return ((const struct mlp *)sublayer->self)->function == KO_MLP_SILU_GATED;
}

static void mlp_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                       int32_t width[KO_N_BUFFERS])
{
    width[NORMED] = d_model;
    width[HIDDEN] = sublayer->size.d_ff;
    if (is_gated(sublayer)) {
        width[UP] = sublayer->size.d_ff;
    }
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const int n_matrices = is_gated(sublayer) ? 3 : 2;
    flop[0] = flop[1] = 0;
    flop[2] = 2.0 * n_matrices * d_model * sublayer->size.d_ff;
}

static enum ko_code finish_mlp(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                               struct ko_error *err)
{
    const struct mlp *m = sublayer->self;
    const int32_t d = pass->model->shape.d_model, ff = sublayer->size.d_ff;
    float *normed = pass->buffer[NORMED], *hidden = pass->buffer[HIDDEN], *up = pass->buffer[UP];
    struct ko_steps steps = {pass, n, err, KO_OK};
    (void)mixed;
    (void)ld_mixed;
    ko_step_norm(&steps, &m->norm, x, normed);
    if (is_gated(sublayer)) {
        const struct ko_silu_mul gated = {
            .n = n, .d = ff, .gate = hidden, .up = up, .ld = ff, .y = hidden, .ldy = ff};
        ko_step_project(&steps, m->gate, normed, d, hidden, ff);
        ko_step_project(&steps, m->up, normed, d, up, ff);
        ko_step_silu_mul(&steps, &gated);
    } else {
        const struct ko_activation gelu = {.n = n, .d = ff, .x = hidden, .ld = ff};
        ko_step_project(&steps, m->up, normed, d, hidden, ff);
        ko_step_gelu_tanh(&steps, &gelu);
    }
    ko_step_add(&steps, m->down, hidden, ff, x);
    return steps.code;
}

const struct ko_sublayer_kind ko_sublayer_mlp = {
    .name = "mlp",
    .widths = mlp_widths,
    .row_flop = row_flop,
    .finish = finish_mlp,
};

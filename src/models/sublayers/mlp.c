/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the weights of an MLP, gives its widths and cost, and runs it in its plain or its gated
   form. */
#include "src/models/sublayers/mlp.h"

#include <stdlib.h>

#include "src/base/memory.h"
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
    HIDDEN = 3, /* [d_ff]: the gate, where there is one */
    UP = 4,     /* [d_ff] of the gated form */
};

enum ko_code ko_mlp_add(struct ko_model *model, int32_t layer, const char *prefix,
                        const struct ko_mlp_spec *spec, struct ko_error *err)
{
    const int32_t d = model->shape.d_model, ff = spec->d_ff;
    struct mlp *m = ko_new(1, sizeof *m, err);
    if (!m) {
        return KO_E_MEMORY;
    }
    *m = (struct mlp){.function = spec->function, .norm = spec->norm};
    const struct ko_sublayer sublayer = {.kind = &ko_sublayer_mlp,
                                         .layer = layer,
                                         .size = {.d_ff = ff},
                                         .decay_norms = KO_NO_WEIGHT,
                                         .self = m};
    enum ko_code code = ko_declare_norm(model, layer, prefix, spec->norm_name, &m->norm, err);
    if (code == KO_OK && spec->function == KO_MLP_SILU_GATED) {
        code = ko_declare_projection(model, layer, prefix, spec->gate, (const int32_t[]){ff, d},
                                     spec->bias, &m->gate, err);
    }
    if (code == KO_OK) {
        code = ko_declare_projection(model, layer, prefix, spec->up, (const int32_t[]){ff, d},
                                     spec->bias, &m->up, err);
    }
    if (code == KO_OK) {
        code = ko_declare_projection(model, layer, prefix, spec->down, (const int32_t[]){d, ff},
                                     spec->bias, &m->down, err);
    }
    if (code != KO_OK) {
        free(m);
        return code;
    }
    return ko_model_add_sublayer(model, &sublayer, err);
}

static bool is_gated(const struct ko_sublayer *sublayer)
{
    return ((const struct mlp *)sublayer->self)->function == KO_MLP_SILU_GATED;
}

static void widths(const struct ko_sublayer *sublayer, int32_t d_model, int32_t width[KO_N_BUFFERS])
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

/* HIDDEN: what goes into the last matrix. */
static enum ko_code hide(const struct ko_pass *pass, const struct ko_sublayer *sublayer, int32_t n,
                         struct ko_error *err)
{
    const struct mlp *m = sublayer->self;
    const int32_t d = pass->model->shape.d_model, ff = sublayer->size.d_ff;
    float *normed = pass->buffer[NORMED], *hidden = pass->buffer[HIDDEN], *up = pass->buffer[UP];
    const struct ko_activation gelu = {.n = n, .d = ff, .x = hidden, .ld = ff};
    const struct ko_silu_mul gated = {
        .n = n, .d = ff, .gate = hidden, .up = up, .ld = ff, .y = hidden, .ldy = ff};
    enum ko_code code = KO_OK;
    if (!is_gated(sublayer)) {
        code = ko_pass_linear(pass, n, normed, d, m->up, false, hidden, ff, err);
        return code == KO_OK ? pass->kernels->gelu_tanh(pass->be, &gelu, err) : code;
    }
    code = ko_pass_linear(pass, n, normed, d, m->gate, false, hidden, ff, err);
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, normed, d, m->up, false, up, ff, err);
    }
    return code == KO_OK ? pass->kernels->silu_mul(pass->be, &gated, err) : code;
}

static enum ko_code finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err)
{
    const struct mlp *m = sublayer->self;
    (void)mixed;
    (void)ld_mixed;
    enum ko_code code = ko_pass_norm(pass, &m->norm, n, x, pass->buffer[NORMED], err);
    if (code == KO_OK) {
        code = hide(pass, sublayer, n, err);
    }
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, pass->buffer[HIDDEN], sublayer->size.d_ff, m->down, true, x,
                              pass->model->shape.d_model, err);
    }
    return code;
}

const struct ko_sublayer_kind ko_sublayer_mlp = {
    .name = "mlp",
    .widths = widths,
    .row_flop = row_flop,
    .finish = finish,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A mixture of experts: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/moe.h"

#include <stdio.h>

#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/mxfp4.h"
#include "src/models/pass.h"
#include "src/models/weights.h"

/* One matrix of all experts. */
struct expert_matrix {
    size_t weight; /* expert 0's, or the one weight of all */
    size_t first;  /* elements of the weight before expert 0's matrix */
    size_t stride; /* elements from one expert's matrix to the next */
    size_t bias;   /* [n_experts, n_out] or KO_NO_WEIGHT */
    int32_t n_out, n_in;
};

struct moe {
    int32_t n_experts, n_chosen;
    bool among_chosen, interleaved, sigmoid, relu2;
    int32_t n_groups, n_chosen_groups;
    float limit, share_scale;
    struct ko_norm norm;
    struct ko_projection router;
    size_t correction; /* [n_experts] or KO_NO_WEIGHT */
    struct expert_matrix gate, up, down;
    bool shares; /* shared_hidden and shared_down are used */
    struct ko_mlp_hidden shared_hidden;
    struct ko_projection shared_down; /* [d_model, its d_ff] */
    struct ko_projection shared_gate; /* [1, d_model] or KO_NO_WEIGHT */
};

/* The buffers of a pass. */
enum {
    NORMED = 2, /* [d_model] */
    LOGITS = 3, /* [n_experts], then [1] the shared MLP's gate */
    CHOICE = 4, /* [n_chosen] int32_t */
    SHARE = 5,  /* [n_chosen] */
    WORK = 6,   /* [ko_experts_work], then the shared MLP's [2 d_ff] */
    SUM = 7,    /* [d_model] what the experts give */
};

/* Declares one tensor per expert. Their matrices lie at equal distances, because all have the same
   size and nothing is declared between them. */
static void declare_listed(struct ko_builder *b, const struct ko_moe_spec *spec, const char *name,
                           struct expert_matrix *out)
{
    out->bias = KO_NO_WEIGHT;
    for (int32_t e = 0; e < spec->n_experts && b->code == KO_OK; e++) {
        char stem[128];
        struct ko_projection one = {KO_NO_WEIGHT, KO_NO_WEIGHT};
        snprintf(stem, sizeof stem, "%s.%d.%s", spec->experts, e, name);
        ko_declare_projection(b, stem, out->n_out, out->n_in, false, &one);
        if (b->code != KO_OK) {
            return;
        }
        struct ko_weight *weights = b->model->weights;
        weights[one.weight].expert = e;
        out->weight = e == 0 ? one.weight : out->weight;
        out->stride =
            e == 1 ? weights[one.weight].offset - weights[out->weight].offset : out->stride;
    }
}

/* The stem of the tensors of one stacked matrix, as in "mlp.experts.down_proj". */
struct stem {
    char text[128];
};

static struct stem stem_of(const struct ko_moe_spec *spec, const char *name)
{
    struct stem stem;
    snprintf(stem.text, sizeof stem.text, "%s.%s", spec->experts, name);
    return stem;
}

/* Adds STEM and the ending as a weight of the layer. */
static void add_weight(struct ko_builder *b, const struct ko_weight *weight, const char *stem,
                       const char *ending, size_t *index)
{
    struct ko_weight in_layer = *weight;
    in_layer.layer = b->layer;
    in_layer.shared = b->shared;
    if (b->code == KO_OK) {
        b->code = ko_model_add_weight(b->model, &in_layer, index, b->err, "%s%s%s", b->prefix, stem,
                                      ending);
    }
}

/* MXFP4 is laid out [out, in], the other types [in, out]. */
static void declare_stacked(struct ko_builder *b, const struct ko_moe_spec *spec, const char *name,
                            bool mxfp4, struct expert_matrix *out)
{
    const struct stem stem = stem_of(spec, name);
    const int32_t n = spec->n_experts, n_out = out->n_out, n_in = out->n_in;
    const struct ko_weight bias = {.n_dims = 2, .shape = {n, n_out}, .transform = KO_AS_VALUES};
    const struct ko_weight plain = {
        .n_dims = 3, .shape = {n, n_in, n_out}, .transform = KO_AS_STORED, .in_first = true};
    const struct ko_weight packed = {.n_dims = 4,
                                     .shape = {n, n_out, n_in / KO_MXFP4_NUMBERS, KO_MXFP4_BYTES},
                                     .transform = KO_FROM_MXFP4};
    if (mxfp4 && n_in % KO_MXFP4_NUMBERS != 0) {
        ko_config_fail(b, stem.text, "MXFP4 has blocks of %d numbers, which do not divide %d",
                       KO_MXFP4_NUMBERS, n_in);
    }
    out->stride = (size_t)n_out * (size_t)n_in;
    add_weight(b, mxfp4 ? &packed : &plain, stem.text, mxfp4 ? "_blocks" : "", &out->weight);
    add_weight(b, &bias, stem.text, "_bias", &out->bias);
}

/* Gates and ups are halves of one matrix for each expert. */
static void declare_halves(struct ko_builder *b, const struct ko_moe_spec *spec, struct moe *m)
{
    const int32_t n = spec->n_experts, d = m->down.n_out, ff = m->down.n_in;
    const struct ko_weight both = {
        .n_dims = 3, .shape = {n, 2 * (int64_t)ff, d}, .transform = KO_AS_STORED};
    const struct ko_weight down = {.n_dims = 3, .shape = {n, d, ff}, .transform = KO_AS_STORED};
    const struct stem names[] = {stem_of(spec, spec->gate), stem_of(spec, spec->down)};
    add_weight(b, &both, names[0].text, ".weight", &m->gate.weight);
    add_weight(b, &down, names[1].text, ".weight", &m->down.weight);
    m->up.weight = m->gate.weight;
    m->up.first = (size_t)ff * (size_t)d;
    m->gate.stride = m->up.stride = 2 * m->up.first;
    m->down.stride = m->up.first;
    m->gate.bias = m->up.bias = m->down.bias = KO_NO_WEIGHT;
}

static bool is_packed(const struct ko_builder *b, const struct ko_moe_spec *spec)
{
    char name[256];
    const struct stem stem = stem_of(spec, spec->gate);
    snprintf(name, sizeof name, "%s%s_blocks", b->prefix, stem.text);
    return ko_tensor_exists(b, name);
}

static void declare_experts(struct ko_builder *b, const struct ko_moe_spec *spec, struct moe *m)
{
    const int32_t d = b->model->shape.d_model, ff = spec->d_ff;
    m->gate = (struct expert_matrix){.n_out = m->interleaved ? 2 * ff : ff, .n_in = d};
    m->up = (struct expert_matrix){.weight = KO_NO_WEIGHT, .n_out = ff, .n_in = d};
    m->down = (struct expert_matrix){.n_out = d, .n_in = ff};
    if (spec->layout == KO_MOE_STACKED) {
        const bool mxfp4 = is_packed(b, spec);
        declare_stacked(b, spec, spec->gate, mxfp4, &m->gate);
        declare_stacked(b, spec, spec->down, mxfp4, &m->down);
        return;
    }
    if (spec->layout == KO_MOE_HALVES) {
        declare_halves(b, spec, m);
        return;
    }
    if (m->relu2) {
        declare_listed(b, spec, spec->up, &m->gate);
    } else {
        declare_listed(b, spec, spec->gate, &m->gate);
        declare_listed(b, spec, spec->up, &m->up);
    }
    declare_listed(b, spec, spec->down, &m->down);
}

static void declare_shared(struct ko_builder *b, const struct ko_moe_spec *spec, struct moe *m)
{
    const struct ko_mlp_spec *mlp = spec->shared;
    const int32_t d = b->model->shape.d_model;
    m->shares = mlp != NULL;
    m->shared_gate = (struct ko_projection){KO_NO_WEIGHT, KO_NO_WEIGHT};
    if (mlp) {
        ko_mlp_declare_hidden(b, mlp, &m->shared_hidden);
        ko_declare_projection(b, mlp->down, d, mlp->d_ff, mlp->bias, &m->shared_down);
    }
    if (mlp && spec->shared_gate) {
        ko_declare_projection(b, spec->shared_gate, 1, d, false, &m->shared_gate);
    }
}

void ko_moe_add(struct ko_builder *b, const struct ko_moe_spec *spec)
{
    const int32_t d = b->model->shape.d_model;
    const size_t work = ko_experts_work(spec->n_experts, spec->n_chosen, d, spec->d_ff);
    if (work > INT32_MAX) {
        ko_config_fail(b, "num_experts_per_tok",
                       "%d experts of width %d are too large together for a row", spec->n_chosen,
                       spec->d_ff);
    }
    struct moe *m = ko_declare_self(b, sizeof *m);
    if (!m) {
        return;
    }
    *m = (struct moe){
        .n_experts = spec->n_experts,
        .n_chosen = spec->n_chosen,
        .among_chosen = spec->among_chosen,
        .interleaved = spec->layout == KO_MOE_STACKED,
        .sigmoid = spec->sigmoid,
        .relu2 = spec->relu2,
        .n_groups = spec->n_groups,
        .n_chosen_groups = spec->n_chosen_groups,
        .limit = spec->limit,
        .share_scale = spec->share_scale > 0 ? spec->share_scale : 1,
        .norm = spec->norm,
    };
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_moe,
        .size = {.d_ff = spec->d_ff},
        .out = {KO_NO_WEIGHT, KO_NO_WEIGHT},
        .decay_norms = KO_NO_WEIGHT,
        .self = m,
    };
    const struct ko_weight_row correction = {
        spec->correction, &m->correction, !spec->correction, KO_AS_STORED, 1, {spec->n_experts}};
    ko_declare_norm_named(b, spec->norm_name, &m->norm);
    ko_declare_projection(b, spec->router, spec->n_experts, d, spec->router_bias, &m->router);
    ko_declare_rows(b, spec->router, &correction, 1);
    declare_experts(b, spec, m);
    declare_shared(b, spec, m);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void moe_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                       int32_t width[KO_N_BUFFERS])
{
    const struct moe *m = sublayer->self;
    width[NORMED] = d_model;
    width[LOGITS] = m->n_experts;
    width[CHOICE] = width[SHARE] = m->n_chosen;
    width[WORK] = (int32_t)ko_experts_work(m->n_experts, m->n_chosen, d_model, sublayer->size.d_ff);
    if (width[WORK] < 2 * m->shared_hidden.d_ff) {
        width[WORK] = 2 * m->shared_hidden.d_ff;
    }
    width[SUM] = d_model;
}

/* The router, the matrices of each chosen expert, and the shared MLP with its gate. */
static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct moe *m = sublayer->self;
    flop[0] = flop[1] = 0;
    const double n_matrices = m->relu2 ? 2 : 3;
    flop[2] = 2.0 * d_model * (m->n_experts + n_matrices * m->n_chosen * sublayer->size.d_ff);
    if (m->shares) {
        flop[2] += 2.0 * d_model * ko_mlp_matrices(&m->shared_hidden) * m->shared_hidden.d_ff;
    }
    flop[2] += m->shared_gate.weight != KO_NO_WEIGHT ? 2.0 * d_model : 0;
}

static struct ko_expert_matrices matrices_of(const struct ko_pass *pass,
                                             const struct expert_matrix *w)
{
    struct ko_matrix first = ko_model_matrix(pass->model, &pass->arena, w->weight);
    first.data = (const unsigned char *)first.data + w->first * ko_element_bytes(first.type);
    first.n_out = w->n_out;
    return (struct ko_expert_matrices){
        .first = first,
        .stride = w->stride,
        .bias = ko_pass_weight(pass, w->bias),
    };
}

/* pass->buffer[SUM] = what the experts of each row of x give. */
static void compute_experts(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                            const float *x)
{
    const struct ko_pass *pass = steps->pass;
    const struct moe *m = sublayer->self;
    const int32_t d = pass->model->shape.d_model;
    const struct ko_choose_experts choose = {
        .n = steps->n,
        .n_experts = m->n_experts,
        .n_chosen = m->n_chosen,
        .logits = pass->buffer[LOGITS],
        .among_chosen = m->among_chosen,
        .sigmoid = m->sigmoid,
        .correction = ko_pass_weight(pass, m->correction),
        .n_groups = m->n_groups,
        .n_chosen_groups = m->n_chosen_groups,
        .share_scale = m->share_scale,
        .choice = (int32_t *)(void *)pass->buffer[CHOICE],
        .share = pass->buffer[SHARE],
    };
    struct ko_experts experts = {
        .n = steps->n,
        .n_experts = m->n_experts,
        .n_chosen = m->n_chosen,
        .d = d,
        .ff = sublayer->size.d_ff,
        .x = x,
        .choice = choose.choice,
        .share = choose.share,
        .gate = matrices_of(pass, &m->gate),
        .down = matrices_of(pass, &m->down),
        .interleaved = m->interleaved,
        .relu2 = m->relu2,
        .limit = m->limit,
        .work = pass->buffer[WORK],
        .y = pass->buffer[SUM],
    };
    if (!m->interleaved && !m->relu2) {
        experts.up = matrices_of(pass, &m->up);
    }
    ko_step_project(steps, m->router, x, d, pass->buffer[LOGITS], m->n_experts);
    ko_step_choose_experts(steps, &choose);
    ko_step_experts(steps, &experts);
}

/* The input of the shared MLP's last matrix times the gate, which is the same as its output times
   the gate. */
static void gate_shared(struct ko_steps *steps, const struct moe *m, const float *x, float *hidden)
{
    float *gate = steps->pass->buffer[LOGITS];
    const struct ko_gate_rows args = {.n = steps->n,
                                      .d = m->shared_hidden.d_ff,
                                      .gate = gate,
                                      .x = hidden,
                                      .ld = 2 * m->shared_hidden.d_ff};
    ko_step_project(steps, m->shared_gate, x, steps->pass->model->shape.d_model, gate, 1);
    ko_step_gate_rows(steps, &args);
}

/* pass->buffer[SUM] += the shared MLP of each row of x. */
static void add_shared(struct ko_steps *steps, const struct moe *m, const float *x)
{
    const struct ko_mlp_hidden *h = &m->shared_hidden;
    float *hidden = steps->pass->buffer[WORK];
    if (!m->shares) {
        return;
    }
    ko_mlp_compute_hidden(steps, h, x, hidden, hidden + h->d_ff, 2 * h->d_ff);
    if (m->shared_gate.weight != KO_NO_WEIGHT) {
        gate_shared(steps, m, x, hidden);
    }
    ko_step_add(steps, m->shared_down, hidden, 2 * h->d_ff, steps->pass->buffer[SUM]);
}

static enum ko_code finish_moe(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                               int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                               struct ko_error *err)
{
    const struct moe *m = sublayer->self;
    struct ko_steps steps = {pass, n, err, KO_OK};
    (void)mixed;
    (void)ld_mixed;
    const float *input = ko_step_input(&steps, &m->norm, x, pass->buffer[NORMED]);
    compute_experts(&steps, sublayer, input);
    add_shared(&steps, m, input);
    ko_step_add_output(&steps, sublayer, pass->buffer[SUM], x);
    return steps.code;
}

static void moe_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                        struct ko_details *out)
{
    const struct moe *m = sublayer->self;
    (void)model;
    ko_details_add(out, "%d of %d experts", m->n_chosen, m->n_experts);
    if (m->n_groups > 0) {
        ko_details_add(out, "experts of %d of %d groups", m->n_chosen_groups, m->n_groups);
    }
    if (m->sigmoid) {
        ko_details_add(out, "sigmoids as shares of experts");
    }
    if (m->share_scale != 1) {
        ko_details_add(out, "shares of experts times %g", (double)m->share_scale);
    }
    if (m->relu2) {
        ko_details_add(out, "experts with squared ReLU");
    }
    if (m->shares) {
        ko_details_add(out, "a %sshared expert of width %d",
                       m->shared_gate.weight != KO_NO_WEIGHT ? "gated " : "",
                       m->shared_hidden.d_ff);
    }
    if (m->limit > 0) {
        ko_details_add(out, "gates and ups clamped at %g", (double)m->limit);
    }
}

const struct ko_sublayer_kind ko_sublayer_moe = {
    .name = "moe",
    .components = KO_COMPONENT_MLP,
    .widths = moe_widths,
    .row_flop = row_flop,
    .finish = finish_moe,
    .details = moe_details,
};

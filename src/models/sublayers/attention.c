/* SPDX-License-Identifier: Apache-2.0 */
/* An attention sublayer: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/attention.h"

#include <math.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

struct attention {
    struct ko_norm norm;
    bool fused;               /* qkv is used, else q, k and v */
    bool by_head;             /* q, k and v of a head lie side by side */
    bool gated;               /* q is [2 n_heads d_head, d_model], see the spec */
    struct ko_projection qkv; /* [(n_heads + 2 n_kv_heads) d_head, d_model] */
    struct ko_projection q, k,
        v;             /* [n_heads d_head, d_model]; k, v: [n_kv_heads d_head, d_model] */
    bool norm_by_head; /* q_norm and k_norm are of each head, else of the whole width */
    struct ko_norm q_norm, k_norm;
    size_t sinks;     /* [n_heads] or KO_NO_WEIGHT */
    float scale, cap; /* of the scores; cap 0: none */
    size_t in_scale;  /* factors of the normed rows [d_model], among the values, or KO_NO_WEIGHT */
    bool rotary;
    size_t rope;
};

/* The buffers of a pass. */
enum {
    NORMED = 0, /* [d_model] */
    MIXED = 1,  /* [n_heads d_head] */
    QKV = 2,    /* [(n_heads + 2 n_kv_heads) d_head] */
    GATED = 3,  /* [2 n_heads d_head]: each head's query and gate, where there are gates */
};

static int32_t query_width(const struct ko_sizes *s)
{
    return s->n_heads * s->d_head;
}

static int32_t key_width(const struct ko_sizes *s)
{
    return s->n_kv_heads * s->d_head;
}

static int32_t qkv_width(const struct ko_sizes *s)
{
    return query_width(s) + 2 * key_width(s);
}

static void declare_projections(struct ko_builder *b, const struct ko_attention_spec *spec,
                                struct ko_sublayer *sublayer)
{
    struct attention *a = sublayer->self;
    const int32_t d = b->model->shape.d_model;
    const int32_t q = query_width(&sublayer->size), k = key_width(&sublayer->size);
    if (a->fused) {
        ko_declare_projection(b, spec->qkv, q + 2 * k, d, spec->qkv_bias, &a->qkv);
    } else {
        ko_declare_projection(b, spec->q, a->gated ? 2 * q : q, d, spec->qkv_bias, &a->q);
        ko_declare_projection(b, spec->k, k, d, spec->qkv_bias, &a->k);
        ko_declare_projection(b, spec->v, k, d, spec->qkv_bias, &a->v);
    }
    ko_declare_projection(b, spec->o, d, q, spec->o_bias, &sublayer->out);
}

/* Norms of queries and keys, and the sinks. */
static void declare_scores(struct ko_builder *b, const struct ko_attention_spec *spec,
                           struct ko_sublayer *sublayer)
{
    struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const struct ko_weight_row sinks = {spec->sinks,  &a->sinks, !spec->sinks,
                                        KO_AS_STORED, 1,         {s->n_heads}};
    if (spec->q_norm) {
        a->q_norm = spec->qk_norm;
        ko_declare_norm_of(b, spec->q_norm, a->norm_by_head ? s->d_head : query_width(s),
                           &a->q_norm);
    }
    if (spec->k_norm) {
        a->k_norm = spec->qk_norm;
        ko_declare_norm_of(b, spec->k_norm, a->norm_by_head ? s->d_head : key_width(s), &a->k_norm);
    }
    ko_declare_rows(b, "", &sinks, 1);
}

void ko_attention_add(struct ko_builder *b, const struct ko_attention_spec *spec)
{
    struct attention *a = ko_declare_self(b, sizeof *a);
    if (!a) {
        return;
    }
    *a = (struct attention){
        .norm = spec->norm,
        .fused = spec->qkv != NULL,
        .by_head = spec->qkv && spec->qkv_by_head,
        .gated = spec->gated,
        .norm_by_head = spec->norm_by_head,
        .scale = spec->scale > 0 ? spec->scale : 1.0f / sqrtf((float)spec->d_head),
        .cap = spec->cap,
        .in_scale = KO_NO_WEIGHT,
        .rotary = spec->rotary,
        .rope = spec->rope,
    };
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_attention,
        .size = {.n_heads = spec->n_heads,
                 .n_kv_heads = spec->n_kv_heads,
                 .d_head = spec->d_head,
                 .reach = spec->reach},
        .decay_norms = KO_NO_WEIGHT,
        .self = a,
    };
    ko_declare_norm_named(b, spec->norm_name, &a->norm);
    if (spec->in_scale > 0 && spec->in_scale != 1) {
        const struct ko_constant run = {0, (size_t)b->model->shape.d_model, spec->in_scale};
        ko_declare_constants(b, &run, 1, &a->in_scale);
    }
    declare_projections(b, spec, &sublayer);
    declare_scores(b, spec, &sublayer);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void attention_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                             int32_t width[KO_N_BUFFERS])
{
    const struct attention *a = sublayer->self;
    width[NORMED] = d_model;
    width[MIXED] = query_width(&sublayer->size);
    width[QKV] = qkv_width(&sublayer->size);
    width[GATED] = a->gated ? 2 * query_width(&sublayer->size) : 0;
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct attention *a = sublayer->self;
    const double d = d_model;
    flop[0] = 2 * d * (qkv_width(&sublayer->size) + (a->gated ? query_width(&sublayer->size) : 0));
    flop[1] = 0;
    flop[2] = 2 * d * query_width(&sublayer->size);
}

/* Queries, keys and values in the buffer QKV. */
struct qkv {
    float *q, *k, *v; /* [rows, ld]; head h begins at h * stride */
    int32_t ld, stride;
};

static struct qkv place_qkv(const struct ko_pass *pass, const struct ko_sublayer *sublayer)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *q = pass->buffer[QKV];
    float *k = q + (a->by_head ? s->d_head : query_width(s));
    return (struct qkv){
        .q = q,
        .k = k,
        .v = k + (a->by_head ? s->d_head : key_width(s)),
        .ld = qkv_width(s),
        .stride = a->by_head ? 3 * s->d_head : s->d_head,
    };
}

/* Queries and gates into their buffer, then the queries to their place. */
static void project_gated(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                          const float *input, const struct qkv *qkv)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *gated = steps->pass->buffer[GATED];
    const int32_t width = 2 * query_width(s);
    ko_step_project(steps, a->q, input, steps->pass->model->shape.d_model, gated, width);
    ko_step_copy_heads(steps, &(const struct ko_copy_heads){.n = steps->n,
                                                            .n_heads = s->n_heads,
                                                            .d = s->d_head,
                                                            .from = gated,
                                                            .ld_from = width,
                                                            .stride_from = 2 * s->d_head,
                                                            .to = qkv->q,
                                                            .ld_to = qkv->ld,
                                                            .stride_to = s->d_head});
}

static void project_qkv(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                        const float *input, const struct qkv *qkv)
{
    const struct attention *a = sublayer->self;
    const int32_t d = steps->pass->model->shape.d_model;
    if (a->fused) {
        ko_step_project(steps, a->qkv, input, d, qkv->q, qkv->ld);
    } else {
        if (a->gated) {
            project_gated(steps, sublayer, input, qkv);
        } else {
            ko_step_project(steps, a->q, input, d, qkv->q, qkv->ld);
        }
        ko_step_project(steps, a->k, input, d, qkv->k, qkv->ld);
        ko_step_project(steps, a->v, input, d, qkv->v, qkv->ld);
    }
}

/* The norm of queries or keys x. */
static void norm_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                       const struct ko_norm *norm, int32_t n_heads, const struct qkv *qkv, float *x)
{
    const struct attention *a = sublayer->self;
    const int32_t d_head = sublayer->size.d_head;
    if (norm->kind == KO_NO_NORM) {
        return;
    }
    if (!a->norm_by_head) {
        ko_step_norm_of(steps, norm, n_heads * d_head, x, qkv->ld);
        return;
    }
    ko_step_head_norm(
        steps, &(const struct ko_head_norm){.n = steps->n,
                                            .n_heads = n_heads,
                                            .d_head = d_head,
                                            .x = x,
                                            .ld = qkv->ld,
                                            .stride = qkv->stride,
                                            .weight = ko_pass_weight(steps->pass, norm->weight),
                                            .eps = norm->eps});
}

static void rotate_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer,
                         const struct qkv *qkv)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const struct ko_rope_table *table = &steps->pass->model->rope[a->rope];
    const float *values = steps->pass->arena.values;
    const bool is_long = table->config.scaling == KO_ROPE_LONGROPE;
    struct ko_rope rope = {
        .stage = sublayer->stage,
        .n_heads = s->n_heads + s->n_kv_heads, /* queries and keys lie side by side */
        .n_rotated = table->config.n_rotated,
        .interleaved = table->config.interleaved,
        .cos = values + table->cos,
        .sin = values + table->sin,
        .long_cos = is_long ? values + table->long_cos : NULL,
        .long_sin = is_long ? values + table->long_sin : NULL,
        .long_from = is_long ? (int32_t)table->config.original : INT32_MAX,
        .section = {table->config.section[0], table->config.section[1], table->config.section[2]},
        .woven = table->config.woven,
        .x = qkv->q,
        .ld = qkv->ld,
        .stride = qkv->stride,
    };
    if (!a->by_head) {
        ko_step_rope(steps, &rope);
        return;
    }
    rope.n_heads = s->n_heads;
    ko_step_rope(steps, &rope);
    rope.n_heads = s->n_kv_heads;
    rope.x = qkv->k;
    ko_step_rope(steps, &rope);
}

static void gate_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer)
{
    const struct ko_sizes *s = &sublayer->size;
    const struct ko_output_gate gate = {
        .stage = sublayer->stage,
        .d = query_width(s),
        .n_groups = s->n_heads,
        .order = KO_GATE_ALONE,
        .function = KO_GATE_SIGMOID,
        .z = steps->pass->buffer[GATED] + s->d_head,
        .ld_z = 2 * query_width(s),
        .z_stride = 2 * s->d_head,
        .x = steps->pass->buffer[MIXED],
    };
    ko_step_output_gate(steps, &gate);
}

static enum ko_code mix_attention(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                  struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const struct qkv qkv = place_qkv(pass, sublayer);
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};

    const float *input = ko_step_input(&steps, &a->norm, pass->x, pass->buffer[NORMED]);
    ko_step_scale(&steps, a->in_scale, pass->model->shape.d_model, pass->buffer[NORMED],
                  pass->model->shape.d_model);
    project_qkv(&steps, sublayer, input, &qkv);
    norm_heads(&steps, sublayer, &a->q_norm, s->n_heads, &qkv, qkv.q);
    norm_heads(&steps, sublayer, &a->k_norm, s->n_kv_heads, &qkv, qkv.k);
    if (a->rotary) {
        rotate_heads(&steps, sublayer, &qkv);
    }
    const struct ko_attention attention = {
        .stage = sublayer->stage,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .d_value = s->d_head,
        .reach = s->reach,
        .scale = a->scale,
        .cap = a->cap,
        .sinks = ko_pass_weight(pass, a->sinks),
        .q = qkv.q,
        .k = qkv.k,
        .ld = qkv.ld,
        .stride = qkv.stride,
        .v = qkv.v,
        .ld_v = qkv.ld,
        .stride_v = qkv.stride,
        .out = pass->buffer[MIXED],
    };
    ko_step_attention(&steps, &attention);
    if (a->gated) {
        gate_heads(&steps, sublayer);
    }
    return steps.code;
}

static void rotary_details(const struct ko_rope_config *rope, int32_t d_head,
                           struct ko_details *out)
{
    if (rope->n_rotated < d_head) {
        ko_details_add(out, "%d of %d numbers of a head rotated", rope->n_rotated, d_head);
    }
    if (rope->interleaved) {
        ko_details_add(out, "interleaved rotary pairs");
    }
    if (rope->section[0] > 0) {
        ko_details_add(out, "rotary pairs of three axes, %d + %d + %d%s", rope->section[0],
                       rope->section[1], rope->section[2], rope->woven ? " interleaved" : "");
    }
    if (rope->scaling != KO_ROPE_DEFAULT) {
        ko_details_add(out, "rotary scaling %s by %g", ko_rope_scaling_name(rope->scaling),
                       rope->factor);
    }
}

static void attention_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                              struct ko_details *out)
{
    const struct attention *a = sublayer->self;
    const float plain = 1.0F / sqrtf((float)sublayer->size.d_head);
    if (a->q_norm.kind != KO_NO_NORM || a->k_norm.kind != KO_NO_NORM) {
        ko_details_add(out, "norms of queries and keys%s", a->norm_by_head ? " of each head" : "");
    }
    if (a->rotary) {
        rotary_details(&model->rope[a->rope].config, sublayer->size.d_head, out);
    } else if (model->n_ropes > 0) {
        ko_details_add(out, "layers without positions");
    } else if (model->ends.positions == KO_NO_WEIGHT) {
        ko_details_add(out, "no positions");
    }
    if (a->scale != plain) {
        ko_details_add(out, "scores times %g", (double)a->scale);
    }
    if (a->cap > 0) {
        ko_details_add(out, "scores capped at %g", (double)a->cap);
    }
    if (a->sinks != KO_NO_WEIGHT) {
        ko_details_add(out, "attention sinks");
    }
    if (a->gated) {
        ko_details_add(out, "gated attention");
    }
}

const struct ko_sublayer_kind ko_sublayer_attention = {
    .name = "attention",
    .mixer = KO_MIXER_ATTENTION,
    .components = KO_MIXER_ATTENTION,
    .widths = attention_widths,
    .row_flop = row_flop,
    .mix = mix_attention,
    .finish = ko_pass_finish,
    .details = attention_details,
};

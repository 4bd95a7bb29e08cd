/* SPDX-License-Identifier: Apache-2.0 */
/* A sublayer of latent attention: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/latent_attention.h"

#include <math.h>
#include <stdio.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"

struct latent_attention {
    struct ko_norm norm, latent_norm;
    int32_t d_own, d_shared, d_value, d_latent;
    struct ko_projection q;      /* [n_heads (d_own + d_shared), d_model] */
    struct ko_projection latent; /* [d_latent + d_shared, d_model] */
    struct ko_projection kv;     /* [n_heads, d_own + d_value, d_latent] */
};

/* The buffers of a pass. */
enum {
    NORMED = 0, /* [d_model] */
    MIXED = 1,  /* [n_heads d_value] */
    QK = 2,     /* [2 n_heads (d_own + d_shared)]: queries, then keys */
    LATENT = 3, /* [d_latent + d_shared]: the latent row, then the part of all heads' keys */
    KV = 4,     /* [n_heads (d_own + d_value)]: each head's part of the key, and its value */
};

static int32_t query_width(const struct ko_sizes *s)
{
    return s->n_heads * s->d_head;
}

static int32_t kv_width(const struct ko_sublayer *sublayer)
{
    const struct latent_attention *a = sublayer->self;
    return sublayer->size.n_heads * (a->d_own + a->d_value);
}

/* Declares STEM.NAME. */
static void declare_matrix(struct ko_builder *b, const struct ko_latent_attention_spec *spec,
                           const char *name, int32_t n_out, int32_t n_in, bool biased,
                           struct ko_projection *out)
{
    char stem[96];
    (void)snprintf(stem, sizeof stem, "%s.%s", spec->stem, name);
    ko_declare_projection(b, stem, n_out, n_in, biased, out);
}

static void declare_weights(struct ko_builder *b, const struct ko_latent_attention_spec *spec,
                            struct ko_sublayer *sublayer)
{
    struct latent_attention *a = sublayer->self;
    const int32_t d = b->model->shape.d_model, n = spec->n_heads;
    char latent_norm[96];
    (void)snprintf(latent_norm, sizeof latent_norm, "%s.kv_a_layernorm", spec->stem);
    ko_declare_norm_named(b, spec->norm_name, &a->norm);
    declare_matrix(b, spec, "q_proj", query_width(&sublayer->size), d, false, &a->q);
    declare_matrix(b, spec, "kv_a_proj_with_mqa", a->d_latent + a->d_shared, d, spec->bias,
                   &a->latent);
    ko_declare_norm_of(b, latent_norm, a->d_latent, &a->latent_norm);
    declare_matrix(b, spec, "kv_b_proj", kv_width(sublayer), a->d_latent, false, &a->kv);
    declare_matrix(b, spec, "o_proj", d, n * a->d_value, spec->bias, &sublayer->out);
}

void ko_latent_attention_add(struct ko_builder *b, const struct ko_latent_attention_spec *spec)
{
    struct latent_attention *a = ko_declare_self(b, sizeof *a);
    if (!a) {
        return;
    }
    *a = (struct latent_attention){
        .norm = spec->norm,
        .latent_norm = spec->latent_norm,
        .d_own = spec->d_own,
        .d_shared = spec->d_shared,
        .d_value = spec->d_value,
        .d_latent = spec->d_latent,
    };
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_latent_attention,
        .size = {.n_heads = spec->n_heads,
                 .n_kv_heads = spec->n_heads,
                 .d_head = spec->d_own + spec->d_shared,
                 .reach = INT32_MAX},
        .decay_norms = KO_NO_WEIGHT,
        .self = a,
    };
    declare_weights(b, spec, &sublayer);
    ko_declare_output(b, &spec->output, &sublayer);
    ko_declare_sublayer(b, &sublayer);
}

static void latent_attention_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                                    int32_t width[KO_N_BUFFERS])
{
    const struct latent_attention *a = sublayer->self;
    width[NORMED] = d_model;
    width[MIXED] = sublayer->size.n_heads * a->d_value;
    width[QK] = 2 * query_width(&sublayer->size);
    width[LATENT] = a->d_latent + a->d_shared;
    width[KV] = kv_width(sublayer);
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct latent_attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const double d = d_model, latent = a->d_latent;
    flop[0] = 2 * d * (query_width(s) + latent + a->d_shared) + 2 * latent * kv_width(sublayer);
    flop[1] = 0;
    flop[2] = 2 * d * s->n_heads * a->d_value;
}

/* The keys from both of their parts. Values stay where they are. */
static void join_keys(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *keys)
{
    const struct ko_pass *pass = steps->pass;
    const struct latent_attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    struct ko_copy_heads copy = {
        .n = steps->n,
        .n_heads = s->n_heads,
        .d = a->d_own,
        .from = pass->buffer[KV],
        .ld_from = kv_width(sublayer),
        .stride_from = a->d_own + a->d_value,
        .to = keys,
        .ld_to = 2 * query_width(s),
        .stride_to = s->d_head,
    };
    ko_step_copy_heads(steps, &copy);
    copy.d = a->d_shared;
    copy.from = pass->buffer[LATENT] + a->d_latent;
    copy.ld_from = a->d_latent + a->d_shared;
    copy.stride_from = 0;
    copy.to = keys + a->d_own;
    ko_step_copy_heads(steps, &copy);
}

static enum ko_code mix_latent_attention(const struct ko_pass *pass,
                                         const struct ko_sublayer *sublayer, struct ko_error *err)
{
    const struct latent_attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, ld = 2 * query_width(s);
    const int32_t ld_latent = a->d_latent + a->d_shared;
    float *q = pass->buffer[QK], *latent = pass->buffer[LATENT], *kv = pass->buffer[KV];
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_attention attention = {
        .stage = sublayer->stage,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .d_value = a->d_value,
        .reach = s->reach,
        .scale = 1.0F / sqrtf((float)s->d_head),
        .q = q,
        .k = q + query_width(s),
        .ld = ld,
        .stride = s->d_head,
        .v = kv + a->d_own,
        .ld_v = kv_width(sublayer),
        .stride_v = a->d_own + a->d_value,
        .out = pass->buffer[MIXED],
    };
    const float *input = ko_step_input(&steps, &a->norm, pass->x, pass->buffer[NORMED]);
    ko_step_project(&steps, a->q, input, d, q, ld);
    ko_step_project(&steps, a->latent, input, d, latent, ld_latent);
    ko_step_norm_of(&steps, &a->latent_norm, a->d_latent, latent, ld_latent);
    ko_step_project(&steps, a->kv, latent, ld_latent, kv, kv_width(sublayer));
    join_keys(&steps, sublayer, q + query_width(s));
    ko_step_attention(&steps, &attention);
    return steps.code;
}

static void latent_attention_details(const struct ko_model *model,
                                     const struct ko_sublayer *sublayer, struct ko_details *out)
{
    const struct latent_attention *a = sublayer->self;
    (void)model;
    ko_details_add(out, "latent attention: keys of %d (%d shared) and values of %d from %d numbers",
                   sublayer->size.d_head, a->d_shared, a->d_value, a->d_latent);
}

const struct ko_sublayer_kind ko_sublayer_latent_attention = {
    .name = "latent_attention",
    .mixer = KO_MIXER_ATTENTION,
    .components = KO_MIXER_ATTENTION,
    .widths = latent_attention_widths,
    .row_flop = row_flop,
    .mix = mix_latent_attention,
    .finish = ko_pass_finish,
    .details = latent_attention_details,
};

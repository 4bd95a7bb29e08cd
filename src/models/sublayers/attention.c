/* SPDX-License-Identifier: Apache-2.0 */
/* An attention sublayer: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/attention.h"

#include <math.h>

#include "src/models/declare.h"
#include "src/models/pass.h"

struct attention {
    struct ko_norm norm;
    bool fused;               /* qkv is used, else q, k and v */
    struct ko_projection qkv; /* [(n_heads + 2 n_kv_heads) d_head, d_model] */
    struct ko_projection q, k,
        v; /* [n_heads d_head, d_model]; k, v: [n_kv_heads d_head, d_model] */
    bool rotary;
    size_t rope;
};

/* The buffers of a pass. */
enum {
    NORMED = 0, /* [d_model] */
    MIXED = 1,  /* [n_heads d_head] */
    QKV = 2,    /* [(n_heads + 2 n_kv_heads) d_head] */
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

void ko_attention_add(struct ko_builder *b, const struct ko_attention_spec *spec)
{
    const int32_t d = b->model->shape.d_model;
    struct attention *a = ko_declare_self(b, sizeof *a);
    if (!a) {
        return;
    }
    *a = (struct attention){
        .norm = spec->norm, .fused = spec->qkv != NULL, .rotary = spec->rotary, .rope = spec->rope};
    struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_attention,
        .size = {.n_heads = spec->n_heads,
                 .n_kv_heads = spec->n_kv_heads,
                 .d_head = spec->d_head,
                 .reach = spec->reach},
        .decay_norms = KO_NO_WEIGHT,
        .self = a,
    };
    const int32_t q = query_width(&sublayer.size), k = key_width(&sublayer.size);
    ko_declare_norm(b, spec->norm_name, &a->norm);
    if (a->fused) {
        ko_declare_projection(b, spec->qkv, q + 2 * k, d, spec->qkv_bias, &a->qkv);
    } else {
        ko_declare_projection(b, spec->q, q, d, spec->qkv_bias, &a->q);
        ko_declare_projection(b, spec->k, k, d, spec->qkv_bias, &a->k);
        ko_declare_projection(b, spec->v, k, d, spec->qkv_bias, &a->v);
    }
    ko_declare_projection(b, spec->o, d, q, spec->o_bias, &sublayer.out);
    ko_declare_sublayer(b, &sublayer);
}

static void attention_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                             int32_t width[KO_N_BUFFERS])
{
    width[NORMED] = d_model;
    width[MIXED] = query_width(&sublayer->size);
    width[QKV] = qkv_width(&sublayer->size);
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const double d = d_model;
    flop[0] = 2 * d * qkv_width(&sublayer->size);
    flop[1] = 0;
    flop[2] = 2 * d * query_width(&sublayer->size);
}

static enum ko_code mix_attention(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                  struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->layer], err, KO_OK};
    const int32_t d = pass->model->shape.d_model, ld = qkv_width(s);
    float *normed = pass->buffer[NORMED];
    float *q = pass->buffer[QKV], *k = q + query_width(s), *v = k + key_width(s);

    ko_step_norm(&steps, &a->norm, pass->x, normed);
    if (a->fused) {
        ko_step_project(&steps, a->qkv, normed, d, q, ld);
    } else {
        ko_step_project(&steps, a->q, normed, d, q, ld);
        ko_step_project(&steps, a->k, normed, d, k, ld);
        ko_step_project(&steps, a->v, normed, d, v, ld);
    }
    if (a->rotary) {
        const struct ko_rope_table *table = &pass->model->rope[a->rope];
        const struct ko_rope rope = {
            .layer = sublayer->layer,
            .n_heads = s->n_heads + s->n_kv_heads, /* queries and keys lie side by side */
            .d_head = s->d_head,
            .cos = pass->arena.values + table->cos,
            .sin = pass->arena.values + table->sin,
            .x = q,
            .ld = ld,
        };
        ko_step_rope(&steps, &rope);
    }
    const struct ko_attention attention = {
        .layer = sublayer->layer,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .reach = s->reach,
        .scale = 1.0f / sqrtf((float)s->d_head),
        .q = q,
        .k = k,
        .v = v,
        .ld = ld,
        .out = pass->buffer[MIXED],
    };
    ko_step_attention(&steps, &attention);
    return steps.code;
}

const struct ko_sublayer_kind ko_sublayer_attention = {
    .name = "attention",
    .widths = attention_widths,
    .row_flop = row_flop,
    .mix = mix_attention,
    .finish = ko_pass_finish,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the weights of an attention sublayer, gives its widths and cost, and runs it: project,
   rotate, attend, project back. */
#include "src/models/sublayers/attention.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/models/declare.h"
#include "src/models/pass.h"

struct attention {
    struct ko_norm norm;
    struct ko_projection qkv;     /* [(n_heads + 2 n_kv_heads) d_head, d_model], or three: */
    struct ko_projection q, k, v; /* [n_heads d_head, d_model]; [n_kv_heads d_head, d_model] */
    struct ko_projection o;       /* [d_model, n_heads d_head] */
    bool fused, rotary;
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

static enum ko_code declare_qkv(struct ko_model *model, int32_t layer, const char *prefix,
                                const struct ko_attention_spec *spec, const struct ko_sizes *size,
                                struct attention *a, struct ko_error *err)
{
    const int32_t d = model->shape.d_model;
    if (a->fused) {
        return ko_declare_projection(model, layer, prefix, spec->qkv,
                                     (const int32_t[]){qkv_width(size), d}, spec->qkv_bias, &a->qkv,
                                     err);
    }
    const struct {
        const char *stem;
        int32_t width;
        struct ko_projection *out;
    } parts[] = {
        {spec->q, query_width(size), &a->q},
        {spec->k, key_width(size), &a->k},
        {spec->v, key_width(size), &a->v},
    };
    enum ko_code code = KO_OK;
    for (int i = 0; i < 3 && code == KO_OK; i++) {
        code = ko_declare_projection(model, layer, prefix, parts[i].stem,
                                     (const int32_t[]){parts[i].width, d}, spec->qkv_bias,
                                     parts[i].out, err);
    }
    return code;
}

enum ko_code ko_attention_add(struct ko_model *model, int32_t layer, const char *prefix,
                              const struct ko_attention_spec *spec, struct ko_error *err)
{
    struct attention *a = ko_new(1, sizeof *a, err);
    if (!a) {
        return KO_E_MEMORY;
    }
    *a = (struct attention){
        .norm = spec->norm, .fused = spec->qkv != NULL, .rotary = spec->rotary, .rope = spec->rope};
    const struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_attention,
        .layer = layer,
        .size = {.n_heads = spec->n_heads,
                 .n_kv_heads = spec->n_kv_heads,
                 .d_head = spec->d_head,
                 .reach = spec->reach},
        .decay_norms = KO_NO_WEIGHT,
        .self = a,
    };
    const struct ko_sizes *size = &sublayer.size;
    enum ko_code code = ko_declare_norm(model, layer, prefix, spec->norm_name, &a->norm, err);
    if (code == KO_OK) {
        code = declare_qkv(model, layer, prefix, spec, size, a, err);
    }
    if (code == KO_OK) {
        code = ko_declare_projection(model, layer, prefix, spec->o,
                                     (const int32_t[]){model->shape.d_model, query_width(size)},
                                     spec->o_bias, &a->o, err);
    }
    if (code != KO_OK) {
        free(a);
        return code;
    }
    return ko_model_add_sublayer(model, &sublayer, err);
}

static void widths(const struct ko_sublayer *sublayer, int32_t d_model, int32_t width[KO_N_BUFFERS])
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

/* Queries, keys and values side by side in QKV. */
static enum ko_code project(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                            struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    const int32_t d = pass->model->shape.d_model, n = pass->rows->n_projected[sublayer->layer];
    const int32_t ld = qkv_width(s);
    float *normed = pass->buffer[NORMED], *q = pass->buffer[QKV];
    float *k = q + query_width(s), *v = k + key_width(s);
    enum ko_code code = ko_pass_norm(pass, &a->norm, n, pass->x, normed, err);
    if (code == KO_OK && a->fused) {
        return ko_pass_linear(pass, n, normed, d, a->qkv, false, q, ld, err);
    }
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, normed, d, a->q, false, q, ld, err);
    }
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, normed, d, a->k, false, k, ld, err);
    }
    if (code == KO_OK) {
        code = ko_pass_linear(pass, n, normed, d, a->v, false, v, ld, err);
    }
    return code;
}

/* Queries and keys, which lie side by side. */
static enum ko_code rotate(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    const struct ko_rope_table *table = &pass->model->rope[a->rope];
    const struct ko_rope args = {
        .layer = sublayer->layer,
        .n_heads = sublayer->size.n_heads + sublayer->size.n_kv_heads,
        .d_head = sublayer->size.d_head,
        .cos = pass->arena.values + table->cos,
        .sin = pass->arena.values + table->sin,
        .x = pass->buffer[QKV],
        .ld = qkv_width(&sublayer->size),
    };
    return pass->kernels->rope(pass->be, &args, err);
}

static enum ko_code mix(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                        struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    const struct ko_sizes *s = &sublayer->size;
    float *q = pass->buffer[QKV], *k = q + query_width(s), *v = k + key_width(s);
    const struct ko_attention args = {
        .layer = sublayer->layer,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .reach = s->reach,
        .scale = 1.0f / sqrtf((float)s->d_head),
        .q = q,
        .k = k,
        .v = v,
        .ld = qkv_width(s),
        .out = pass->buffer[MIXED],
    };
    enum ko_code code = project(pass, sublayer, err);
    if (code == KO_OK && a->rotary) {
        code = rotate(pass, sublayer, err);
    }
    if (code == KO_OK) {
        code = pass->kernels->attention(pass->be, &args, err);
    }
    return code;
}

static enum ko_code finish(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                           int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                           struct ko_error *err)
{
    const struct attention *a = sublayer->self;
    return ko_pass_linear(pass, n, mixed, ld_mixed, a->o, true, x, pass->model->shape.d_model, err);
}

const struct ko_sublayer_kind ko_sublayer_attention = {
    .name = "attention",
    .widths = widths,
    .row_flop = row_flop,
    .mix = mix,
    .finish = finish,
};

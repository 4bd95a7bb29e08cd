#include "src/models/transformer.h"

#include <math.h>
#include <stdio.h>

#include "src/models/family.h"

/* The buffers of a pass. */
enum {
    NORMED = 0,     /* [d_model] */
    MIXED = 1,      /* [n_heads * d_head] */
    QKV = 2,        /* [(n_heads + 2 n_kv_heads) * d_head] until the attention has read it */
    MLP_NORMED = 2, /* [d_model] from then on */
    GATE = 3,       /* [d_ff] */
    UP = 4,         /* [d_ff] */
};

static int32_t query_width(const struct ko_shape *s)
{
    return s->n_heads * s->d_head;
}

static int32_t key_width(const struct ko_shape *s)
{
    return s->n_kv_heads * s->d_head;
}

static const struct ko_transformer_layer *layer_of(const struct ko_pass *pass, int32_t layer)
{
    return &((const struct ko_transformer *)pass->model->bound)->layer[layer];
}

static enum ko_code declare_layer(struct ko_model *model, int32_t l, const char *prefix,
                                  struct ko_error *err)
{
    const struct ko_shape *s = &model->shape;
    struct ko_transformer *t = model->bound;
    struct ko_transformer_layer *w = &t->layer[l];
    const int64_t d = s->d_model, ff = s->d_ff, wide = query_width(s), narrow = key_width(s);
    const bool no_qkv = !t->qkv_bias, no_o = !t->o_bias, no_mlp = !t->mlp_bias;
    const struct ko_weight_row rows[] = {
        {"input_layernorm.weight", &w->norm, false, KO_AS_STORED, 1, {d}},
        {"self_attn.q_proj.weight", &w->q, false, KO_AS_STORED, 2, {wide, d}},
        {"self_attn.q_proj.bias", &w->q_bias, no_qkv, KO_AS_STORED, 1, {wide}},
        {"self_attn.k_proj.weight", &w->k, false, KO_AS_STORED, 2, {narrow, d}},
        {"self_attn.k_proj.bias", &w->k_bias, no_qkv, KO_AS_STORED, 1, {narrow}},
        {"self_attn.v_proj.weight", &w->v, false, KO_AS_STORED, 2, {narrow, d}},
        {"self_attn.v_proj.bias", &w->v_bias, no_qkv, KO_AS_STORED, 1, {narrow}},
        {"self_attn.o_proj.weight", &w->o, false, KO_AS_STORED, 2, {d, wide}},
        {"self_attn.o_proj.bias", &w->o_bias, no_o, KO_AS_STORED, 1, {d}},
        {"post_attention_layernorm.weight", &w->mlp_norm, false, KO_AS_STORED, 1, {d}},
        {"mlp.gate_proj.weight", &w->gate, false, KO_AS_STORED, 2, {ff, d}},
        {"mlp.gate_proj.bias", &w->gate_bias, no_mlp, KO_AS_STORED, 1, {ff}},
        {"mlp.up_proj.weight", &w->up, false, KO_AS_STORED, 2, {ff, d}},
        {"mlp.up_proj.bias", &w->up_bias, no_mlp, KO_AS_STORED, 1, {ff}},
        {"mlp.down_proj.weight", &w->down, false, KO_AS_STORED, 2, {d, ff}},
        {"mlp.down_proj.bias", &w->down_bias, no_mlp, KO_AS_STORED, 1, {d}},
    };
    char layer_prefix[64];
    snprintf(layer_prefix, sizeof layer_prefix, "%slayers.%d.", prefix, l);
    return ko_model_add_rows(model, l, layer_prefix, rows, sizeof rows / sizeof rows[0], err);
}

enum ko_code ko_transformer_declare(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                                    struct ko_error *err)
{
    struct ko_transformer *t = model->bound;
    const struct ko_shape *s = &model->shape;
    /* Saved without its head the names are bare. */
    bool bare = ko_tensor_exists(checkpoint, "embed_tokens.weight", false);
    const char *prefix = bare ? "" : "model.";
    const size_t table = (size_t)s->max_tokens * ((size_t)s->d_head / 2);
    enum ko_code code = ko_ends_declare_front(model, prefix, "embed_tokens.weight", err);
    for (int32_t l = 0; l < s->n_layers && !code; l++)
        code = declare_layer(model, l, prefix, err);
    if (!code)
        code = ko_ends_declare_back(model, prefix, "norm.weight", err);
    if (!code)
        code = ko_model_reserve(model, table, &t->cos, err);
    if (!code)
        code = ko_model_reserve(model, table, &t->sin, err);
    return code;
}

void ko_transformer_derive(const struct ko_model *model, float *values)
{
    const struct ko_transformer *t = model->bound;
    ko_rope_tables(&t->rope, model->shape.max_tokens, model->shape.d_head, values + t->cos,
                   values + t->sin);
}

void ko_transformer_widths(const struct ko_model *model, int32_t width[KO_N_BUFFERS])
{
    const struct ko_shape *s = &model->shape;
    const int32_t qkv = query_width(s) + 2 * key_width(s);
    width[NORMED] = s->d_model;
    width[MIXED] = query_width(s);
    width[QKV] = qkv > s->d_model ? qkv : s->d_model;
    width[GATE] = s->d_ff;
    width[UP] = s->d_ff;
}

static enum ko_code norm(const struct ko_pass *pass, int32_t n, const float *x, size_t weight,
                         float *y, struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model;
    const struct ko_rms_norm args = {
        .n = n,
        .d = d,
        .x = x,
        .ldx = d,
        .weight = ko_pass_weight(pass, weight),
        .eps = pass->model->shape.norm_eps,
        .y = y,
        .ldy = d,
    };
    return pass->k->rms_norm(pass->be, &args, err);
}

/* Queries, keys and values side by side, queries and keys rotated. */
static enum ko_code project_input(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct ko_transformer *t = pass->model->bound;
    const struct ko_transformer_layer *w = &t->layer[layer];
    const int32_t wide = query_width(s), narrow = key_width(s), ld = wide + 2 * narrow;
    const int32_t n = pass->rows->n_projected[layer], d = s->d_model;
    float *normed = pass->buffer[NORMED], *qkv = pass->buffer[QKV];
    const struct ko_rope rope = {
        .layer = layer,
        .n_heads = s->n_heads + s->n_kv_heads,
        .d_head = s->d_head,
        .cos = pass->arena.values + t->cos,
        .sin = pass->arena.values + t->sin,
        .x = qkv,
        .ld = ld,
    };
    enum ko_code code = norm(pass, n, pass->x, w->norm, normed, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->q, w->q_bias, false, qkv, ld, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->k, w->k_bias, false, qkv + wide, ld, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->v, w->v_bias, false, qkv + wide + narrow, ld,
                              err);
    if (!code)
        code = pass->k->rope(pass->be, &rope, err);
    return code;
}

enum ko_code ko_transformer_mix(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const int32_t wide = query_width(s), narrow = key_width(s);
    const struct ko_attention attention = {
        .layer = layer,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .reach = s->reach,
        .scale = 1.0f / sqrtf((float)s->d_head),
        .q = pass->buffer[QKV],
        .k = pass->buffer[QKV] + wide,
        .v = pass->buffer[QKV] + wide + narrow,
        .ld = wide + 2 * narrow,
        .out = pass->buffer[MIXED],
    };
    enum ko_code code = project_input(pass, layer, err);
    if (!code)
        code = pass->k->attention(pass->be, &attention, err);
    return code;
}

enum ko_code ko_transformer_finish(const struct ko_pass *pass, int32_t layer, int32_t n, float *x,
                                   const float *mixed, int32_t ld_mixed, struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model, ff = pass->model->shape.d_ff;
    const struct ko_transformer_layer *w = layer_of(pass, layer);
    float *normed = pass->buffer[MLP_NORMED], *gate = pass->buffer[GATE], *up = pass->buffer[UP];
    const struct ko_silu_mul gated = {
        .n = n, .d = ff, .gate = gate, .up = up, .ld = ff, .y = gate, .ldy = ff};
    enum ko_code code = ko_pass_linear(pass, n, mixed, ld_mixed, w->o, w->o_bias, true, x, d, err);
    if (!code)
        code = norm(pass, n, x, w->mlp_norm, normed, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->gate, w->gate_bias, false, gate, ff, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->up, w->up_bias, false, up, ff, err);
    if (!code)
        code = pass->k->silu_mul(pass->be, &gated, err);
    if (!code)
        code = ko_pass_linear(pass, n, gate, ff, w->down, w->down_bias, true, x, d, err);
    return code;
}

void ko_transformer_row_flop(const struct ko_model *model, double flop[3])
{
    const struct ko_shape *s = &model->shape;
    const double d = s->d_model, ff = s->d_ff, wide = query_width(s), narrow = key_width(s);
    flop[0] = 2 * d * (wide + 2 * narrow);
    flop[1] = 0;
    flop[2] = 2 * d * wide + 6 * d * ff;
}

int32_t ko_transformer_decay_weight(const struct ko_model *model, int32_t layer)
{
    (void)model;
    (void)layer;
    return -1;
}

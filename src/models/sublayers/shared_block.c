/* SPDX-License-Identifier: Apache-2.0 */
/* A block that layers share: its weights, its widths and cost, and its computation. */
#include "src/models/sublayers/shared_block.h"

#include <stdio.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/pass.h"
#include "src/models/removal.h"

struct shared {
    struct ko_shared_block_spec spec;
    struct ko_shared_block block;
    struct ko_projection out; /* W */
};

/* The buffers of a pass. */
enum {
    WIDE = 0,   /* [2 d_model]: x and x0, normed */
    MIXED = 1,  /* [n_heads d_head] */
    QKV = 2,    /* [(n_heads + 2 n_kv_heads) d_head] */
    OUTPUT = 2, /* [d_model]: what the attention gives, then the MLP */
    LOW = 3,    /* [rank]: the inner activations of an adapter */
    HIDDEN = 4, /* [2 d_ff]: the gate, then up */
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

/* ---- Weights. */

/* In front of the names of shared weights and adapters. */
#define IN_BLOCK "shared_transformer."

void ko_shared_block_declare(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                             struct ko_shared_block *out)
{
    const int32_t d = b->model->shape.d_model, ff = spec->d_ff;
    const int32_t q = spec->n_heads * spec->d_head, k = spec->n_kv_heads * spec->d_head;
    *out = (struct ko_shared_block){
        .layer = b->layer, .attention_norm = spec->norm, .mlp_norm = spec->norm};
    b->shared = true;
    ko_declare_norm_of(b, IN_BLOCK "input_layernorm", 2 * d, &out->attention_norm);
    ko_declare_norm(b, IN_BLOCK "pre_ff_layernorm", &out->mlp_norm);
    ko_declare_projection(b, IN_BLOCK "self_attn.q_proj", q, 2 * d, false, &out->q);
    ko_declare_projection(b, IN_BLOCK "self_attn.k_proj", k, 2 * d, false, &out->k);
    ko_declare_projection(b, IN_BLOCK "self_attn.v_proj", k, 2 * d, false, &out->v);
    ko_declare_projection(b, IN_BLOCK "self_attn.o_proj", d, q, false, &out->o);
    ko_declare_projection(b, IN_BLOCK "feed_forward.gate_up_proj", 2 * ff, d, false, &out->gate_up);
    ko_declare_projection(b, IN_BLOCK "feed_forward.down_proj", d, ff, false, &out->down);
    b->shared = false;
}

/* The matrices of the adapter of this number, for the matrix of this name: [n_out, n_in]. */
static void declare_adapter(struct ko_builder *b, const char *name, int32_t number, int32_t rank,
                            int32_t n_out, int32_t n_in, struct ko_adapter *out)
{
    char stem[96];
    (void)snprintf(stem, sizeof stem, IN_BLOCK "%s_adapter_list.%d.0", name, number);
    ko_declare_projection(b, stem, rank, n_in, false, &out->low);
    (void)snprintf(stem, sizeof stem, IN_BLOCK "%s_adapter_list.%d.1", name, number);
    ko_declare_projection(b, stem, n_out, rank, false, &out->high);
}

void ko_shared_block_adapt(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                           int32_t number, struct ko_shared_block *block)
{
    const int32_t d = b->model->shape.d_model, rank = spec->rank;
    const int32_t q = spec->n_heads * spec->d_head, k = spec->n_kv_heads * spec->d_head;
    b->shared = true; /* an adapter lies in the block's layer and serves another */
    if (spec->adapts_qkv) {
        declare_adapter(b, "self_attn.linear_q", number, rank, q, 2 * d, &block->adapt_q);
        declare_adapter(b, "self_attn.linear_k", number, rank, k, 2 * d, &block->adapt_k);
        declare_adapter(b, "self_attn.linear_v", number, rank, k, 2 * d, &block->adapt_v);
    }
    declare_adapter(b, "feed_forward.gate_up_proj", number, rank, 2 * spec->d_ff, d,
                    &block->adapt_gate_up);
    b->shared = false;
}

void ko_shared_block_add(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                         const struct ko_shared_block *block)
{
    const int32_t d = b->model->shape.d_model;
    struct shared *s = ko_declare_self(b, sizeof *s);
    if (!s) {
        return;
    }
    s->spec = *spec;
    s->block = *block;
    const struct ko_sublayer sublayer = {
        .kind = &ko_sublayer_shared_block,
        .size = {.n_heads = spec->n_heads,
                 .n_kv_heads = spec->n_kv_heads,
                 .d_head = spec->d_head,
                 .reach = INT32_MAX,
                 .d_ff = spec->d_ff},
        .out = block->o,
        .decay_norms = KO_NO_WEIGHT,
        .self = s,
    };
    ko_declare_projection(b, "linear", d, d, false, &s->out);
    b->model->ends.kept = true;
    ko_declare_sublayer(b, &sublayer);
}

/* ---- Widths and cost. */

static void shared_block_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                                int32_t width[KO_N_BUFFERS])
{
    const struct shared *s = sublayer->self;
    const int32_t qkv = qkv_width(&sublayer->size);
    width[WIDE] = 2 * d_model;
    width[MIXED] = query_width(&sublayer->size);
    width[QKV] = qkv > d_model ? qkv : d_model;
    width[LOW] = s->spec.rank;
    width[HIDDEN] = 2 * sublayer->size.d_ff;
    width[KO_SIDE_BUFFER] = d_model;
}

static void row_flop(const struct ko_sublayer *sublayer, int32_t d_model, double flop[3])
{
    const struct shared *s = sublayer->self;
    const double d = d_model, ff = sublayer->size.d_ff, rank = s->spec.rank;
    const double qkv = qkv_width(&sublayer->size), q = query_width(&sublayer->size);
    flop[0] = 2 * 2 * d * qkv + (s->spec.adapts_qkv ? 2 * rank * (3 * 2 * d + qkv) : 0);
    flop[1] = 0;
    flop[2] = 2 * q * d + 2 * 3 * d * ff + 2 * rank * (d + 2 * ff) + 2 * d * d;
}

/* ---- Computation. */

/* y [n, n_out] (row distance ldy) += the adapter's x [n, n_in]. */
static void add_adapter(struct ko_steps *steps, const struct ko_adapter *adapter, const float *x,
                        int32_t n_in, int32_t rank, float *y, int32_t ldy)
{
    const struct ko_pass *pass = steps->pass;
    float *low = pass->buffer[LOW];
    ko_step_project(steps, adapter->low, x, n_in, low, rank);
    ko_step_linear(steps, &(const struct ko_linear){
                              .n = steps->n,
                              .x = low,
                              .ldx = rank,
                              .w = ko_model_matrix(pass->model, &pass->arena, adapter->high.weight),
                              .accumulate = true,
                              .y = y,
                              .ldy = ldy});
}

/* The normed rows of x beside those of the embedding. */
static void join_rows(struct ko_steps *steps, const struct ko_norm *norm, float *wide)
{
    const struct ko_pass *pass = steps->pass;
    const int32_t d = pass->model->shape.d_model;
    ko_step_copy(steps, d, pass->x, wide, 2 * d);
    ko_step_copy(steps, d, pass->buffer[KO_EMBEDDED_BUFFER], wide + d, 2 * d);
    ko_step_norm_of(steps, norm, 2 * d, wide, 2 * d);
}

static void project_qkv(struct ko_steps *steps, const struct shared *s, const float *wide, float *q,
                        float *k, float *v, int32_t ld)
{
    const struct ko_shared_block *block = &s->block;
    const int32_t n_in = 2 * steps->pass->model->shape.d_model;
    ko_step_project(steps, block->q, wide, n_in, q, ld);
    ko_step_project(steps, block->k, wide, n_in, k, ld);
    ko_step_project(steps, block->v, wide, n_in, v, ld);
    if (s->spec.adapts_qkv) {
        add_adapter(steps, &block->adapt_q, wide, n_in, s->spec.rank, q, ld);
        add_adapter(steps, &block->adapt_k, wide, n_in, s->spec.rank, k, ld);
        add_adapter(steps, &block->adapt_v, wide, n_in, s->spec.rank, v, ld);
    }
}

static void rotate_heads(struct ko_steps *steps, const struct ko_sublayer *sublayer, float *q,
                         int32_t ld)
{
    const struct shared *s = sublayer->self;
    const struct ko_rope_table *table = &steps->pass->model->rope[s->spec.rope];
    const float *values = steps->pass->arena.values;
    const int32_t n_heads = sublayer->size.n_heads + sublayer->size.n_kv_heads; /* side by side */
    ko_step_rope(steps, &(const struct ko_rope){.stage = sublayer->stage,
                                                .n_heads = n_heads,
                                                .n_rotated = table->config.n_rotated,
                                                .cos = values + table->cos,
                                                .sin = values + table->sin,
                                                .long_from = INT32_MAX,
                                                .x = q,
                                                .ld = ld,
                                                .stride = sublayer->size.d_head});
}

static enum ko_code mix_shared_block(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                                     struct ko_error *err)
{
    const struct shared *s = sublayer->self;
    const struct ko_sizes *size = &sublayer->size;
    const int32_t ld = qkv_width(size);
    float *q = pass->buffer[QKV], *k = q + query_width(size), *v = k + key_width(size);
    struct ko_steps steps = {pass, pass->rows->n_projected[sublayer->stage], err, KO_OK};
    const struct ko_attention attention = {
        .stage = sublayer->stage,
        .n_heads = size->n_heads,
        .n_kv_heads = size->n_kv_heads,
        .d_head = size->d_head,
        .d_value = size->d_head,
        .reach = size->reach,
        .scale = s->spec.scale,
        .q = q,
        .k = k,
        .ld = ld,
        .stride = size->d_head,
        .v = v,
        .ld_v = ld,
        .stride_v = size->d_head,
        .out = pass->buffer[MIXED],
    };
    join_rows(&steps, &s->block.attention_norm, pass->buffer[WIDE]);
    project_qkv(&steps, s, pass->buffer[WIDE], q, k, v, ld);
    if (s->spec.rotary) {
        rotate_heads(&steps, sublayer, q, ld);
    }
    ko_step_attention(&steps, &attention);
    return steps.code;
}

/* The rest of the block. It leaves x as it is. */
static enum ko_code finish_shared_block(const struct ko_pass *pass,
                                        const struct ko_sublayer *sublayer, int32_t n, float *x,
                                        const float *mixed, int32_t ld_mixed, struct ko_error *err)
{
    const struct shared *s = sublayer->self;
    const struct ko_shared_block *block = &s->block;
    const int32_t d = pass->model->shape.d_model, ff = sublayer->size.d_ff;
    float *output = pass->buffer[OUTPUT], *hidden = pass->buffer[HIDDEN];
    struct ko_steps steps = {pass, n, err, KO_OK};
    (void)x;
    ko_step_project(&steps, block->o, mixed, ld_mixed, output, d);
    ko_step_take_out(&steps, sublayer, KO_MIXER_ATTENTION, output);
    ko_step_norm(&steps, &block->mlp_norm, output, output);
    ko_step_project(&steps, block->gate_up, output, d, hidden, 2 * ff);
    add_adapter(&steps, &block->adapt_gate_up, output, d, s->spec.rank, hidden, 2 * ff);
    ko_step_gelu_mul(&steps, &(const struct ko_gate){.n = n,
                                                     .d = ff,
                                                     .gate = hidden,
                                                     .up = hidden + ff,
                                                     .ld = 2 * ff,
                                                     .y = hidden,
                                                     .ldy = 2 * ff});
    ko_step_project(&steps, block->down, hidden, 2 * ff, output, d);
    ko_step_take_out(&steps, sublayer, KO_COMPONENT_MLP, output);
    ko_step_project(&steps, s->out, output, d, pass->buffer[KO_SIDE_BUFFER], d);
    return steps.code;
}

/* ---- What inspect says. */

/* The number of blocks, which take turns; 0 unless the sublayer is the first that has one. */
static int32_t count_blocks(const struct ko_model *model, const struct ko_sublayer *sublayer)
{
    int32_t n = 0;
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *other = &model->sublayer[i];
        if (other->kind != sublayer->kind) {
            continue;
        }
        if (n == 0 && other != sublayer) {
            return 0;
        }
        if (n > 0 && other->out.weight == sublayer->out.weight) {
            return n;
        }
        n++;
    }
    return n;
}

static void shared_block_details(const struct ko_model *model, const struct ko_sublayer *sublayer,
                                 struct ko_details *out)
{
    const struct shared *s = sublayer->self;
    const int32_t n = count_blocks(model, sublayer);
    if (n > 0) {
        ko_details_add(out, "%d shared block%s of attention and MLP", n, n == 1 ? "" : "s");
        ko_details_add(out, "adapters of rank %d in %s", s->spec.rank,
                       s->spec.adapts_qkv ? "queries, keys, values and MLPs" : "MLPs");
    }
}

const struct ko_sublayer_kind ko_sublayer_shared_block = {
    .name = "shared_block",
    .mixer = KO_MIXER_ATTENTION,
    .components = KO_MIXER_ATTENTION | KO_COMPONENT_MLP,
    .widths = shared_block_widths,
    .row_flop = row_flop,
    .mix = mix_shared_block,
    .finish = finish_shared_block,
    .details = shared_block_details,
};

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/memory.h"
#include "src/models/ends.h"
#include "src/models/families.h"
#include "src/models/family.h"

/* Weight numbers. Matrices are Conv1D's: [in, out]. */
struct gpt2_layer {
    size_t ln_1, ln_1_bias;     /* [d_model] */
    size_t c_attn, c_attn_bias; /* [d_model, 3 d_model]: q, k, v; [3 d_model] */
    size_t c_proj, c_proj_bias; /* [d_model, d_model]; [d_model] */
    size_t ln_2, ln_2_bias;     /* [d_model] */
    size_t c_fc, c_fc_bias;     /* [d_model, d_ff]; [d_ff] */
    size_t mlp, mlp_bias;       /* [d_ff, d_model]; [d_model] */
};

struct gpt2 {
    struct ko_ends ends;       /* first: src/models/ends.h */
    size_t positions;          /* [max_tokens, d_model] */
    size_t ln_f_bias;          /* [d_model] */
    struct gpt2_layer layer[]; /* [n_layers] */
};

/* The buffers of a pass. */
enum {
    NORMED = 0,     /* [d_model] */
    MIXED = 1,      /* [d_model] */
    QKV = 2,        /* [3 d_model] until the attention has read it */
    MLP_NORMED = 2, /* [d_model] from then on */
    HIDDEN = 3,     /* [d_ff] */
};

static enum ko_code configure_shape(struct ko_model *model, json_object *config,
                                    struct ko_error *err)
{
    struct ko_shape *s = &model->shape;
    const struct ko_size_row sizes[] = {
        {"n_embd", "hidden_size", 768, KO_MAX_WIDTH, &s->d_model},
        {"n_layer", "num_hidden_layers", 12, KO_MAX_LAYERS, &s->n_layers},
        {"vocab_size", NULL, 50257, KO_MAX_VOCABULARY, &s->vocabulary},
        {"n_head", "num_attention_heads", 12, KO_MAX_WIDTH, &s->n_heads},
        {"n_positions", "max_position_embeddings", 1024, KO_MAX_VOCABULARY, &s->max_tokens},
    };
    enum ko_code code = ko_config_sizes(model, config, sizes, sizeof sizes / sizeof sizes[0], err);
    if (!code && s->d_model % s->n_heads != 0)
        code = ko_fail(err, KO_E_INPUT, "%s: n_head: %d heads do not divide n_embd of %d",
                       model->name, s->n_heads, s->d_model);
    if (!code)
        code = ko_config_size(model, config, "n_inner", NULL, 4 * s->d_model, 4 * KO_MAX_WIDTH,
                              &s->d_ff, err);
    if (!code)
        code = ko_config_epsilon(model, config, "layer_norm_epsilon", 1e-5, &s->norm_eps, err);
    if (!code)
        code = ko_config_bos(model, config, 50256, &s->bos_id, err);
    if (code)
        return code;
    s->n_kv_heads = s->n_heads;
    s->d_head = s->d_model / s->n_heads;
    return KO_OK;
}

static enum ko_code configure(struct ko_model *model, json_object *config, struct ko_error *err)
{
    static const char *const activations[] = {"gelu_new", "gelu_pytorch_tanh"}; /* one function */
    bool tied = true;
    enum ko_code code = configure_shape(model, config, err);
    if (!code)
        code = ko_config_only_words(model, config, "activation_function", activations, 2, err);
    if (!code)
        code = ko_config_only_bool(model, config, "scale_attn_weights", true, err);
    if (!code)
        code = ko_config_only_bool(model, config, "scale_attn_by_inverse_layer_idx", false, err);
    if (!code)
        code = ko_config_only_bool(model, config, "add_cross_attention", false, err);
    if (!code)
        code = ko_json_bool(config, "tie_word_embeddings", &tied, model->name, err);
    if (code)
        return code;
    size_t layers = (size_t)model->shape.n_layers * sizeof(struct gpt2_layer);
    struct gpt2 *g = ko_new(1, sizeof *g + layers, err);
    if (!g)
        return KO_E_MEMORY;
    g->ends.tied = tied;
    model->bound = g;
    return KO_OK;
}

static enum ko_code declare_layer(struct ko_model *model, int32_t l, const char *prefix,
                                  struct ko_error *err)
{
    struct gpt2_layer *w = &((struct gpt2 *)model->bound)->layer[l];
    const int64_t d = model->shape.d_model, ff = model->shape.d_ff;
    const struct ko_weight_row rows[] = {
        {"ln_1.weight", &w->ln_1, false, KO_AS_STORED, 1, {d}},
        {"ln_1.bias", &w->ln_1_bias, false, KO_AS_STORED, 1, {d}},
        {"attn.c_attn.weight", &w->c_attn, false, KO_AS_STORED, 2, {d, 3 * d}},
        {"attn.c_attn.bias", &w->c_attn_bias, false, KO_AS_STORED, 1, {3 * d}},
        {"attn.c_proj.weight", &w->c_proj, false, KO_AS_STORED, 2, {d, d}},
        {"attn.c_proj.bias", &w->c_proj_bias, false, KO_AS_STORED, 1, {d}},
        {"ln_2.weight", &w->ln_2, false, KO_AS_STORED, 1, {d}},
        {"ln_2.bias", &w->ln_2_bias, false, KO_AS_STORED, 1, {d}},
        {"mlp.c_fc.weight", &w->c_fc, false, KO_AS_STORED, 2, {d, ff}},
        {"mlp.c_fc.bias", &w->c_fc_bias, false, KO_AS_STORED, 1, {ff}},
        {"mlp.c_proj.weight", &w->mlp, false, KO_AS_STORED, 2, {ff, d}},
        {"mlp.c_proj.bias", &w->mlp_bias, false, KO_AS_STORED, 1, {d}},
    };
    char layer_prefix[64];
    snprintf(layer_prefix, sizeof layer_prefix, "%sh.%d.", prefix, l);
    return ko_model_add_rows(model, l, layer_prefix, rows, sizeof rows / sizeof rows[0], err);
}

static enum ko_code declare(struct ko_model *model, const struct ko_checkpoint *checkpoint,
                            struct ko_error *err)
{
    struct gpt2 *g = model->bound;
    const struct ko_shape *s = &model->shape;
    const int64_t d = s->d_model;
    bool bare = ko_tensor_exists(checkpoint, "wte.weight", false);
    const char *prefix = bare ? "" : "transformer.";
    const struct ko_weight_row first[] = {
        {"wte.weight", &g->ends.embedding, false, KO_AS_STORED, 2, {s->vocabulary, d}},
        {"wpe.weight", &g->positions, false, KO_AS_STORED, 2, {s->max_tokens, d}},
    };
    const struct ko_weight_row last[] = {
        {"ln_f.weight", &g->ends.final_norm, false, KO_AS_STORED, 1, {d}},
        {"ln_f.bias", &g->ln_f_bias, false, KO_AS_STORED, 1, {d}},
    };
    const struct ko_weight_row head[] = {
        {"lm_head.weight", &g->ends.head, g->ends.tied, KO_AS_STORED, 2, {s->vocabulary, d}}};

    enum ko_code code = ko_model_add_rows(model, -1, prefix, first, 2, err);
    for (int32_t l = 0; l < s->n_layers && !code; l++)
        code = declare_layer(model, l, prefix, err);
    if (!code)
        code = ko_model_add_rows(model, -1, prefix, last, 2, err);
    if (!code)
        code = ko_model_add_rows(model, -1, "", head, 1, err);
    if (!code && g->ends.tied)
        g->ends.head = g->ends.embedding;
    return code;
}

/* Old versions of transformers stored the causal mask beside the weights. */
static bool ignores(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                    const struct ko_tensor *tensor)
{
    return ko_name_ends(tensor->name, ".attn.bias") ||
           ko_name_ends(tensor->name, ".attn.masked_bias") ||
           ko_ends_ignores(model, checkpoint, tensor);
}

static void widths(const struct ko_model *model, int32_t width[KO_N_BUFFERS])
{
    const struct ko_shape *s = &model->shape;
    width[NORMED] = s->d_model;
    width[MIXED] = s->d_model;
    width[QKV] = 3 * s->d_model;
    width[HIDDEN] = s->d_ff;
}

static enum ko_code embed(const struct ko_pass *pass, struct ko_error *err)
{
    const struct gpt2 *g = pass->model->bound;
    const struct ko_embed args = {
        .tokens = ko_model_matrix(pass->model, &pass->arena, g->ends.embedding),
        .positions = ko_model_matrix(pass->model, &pass->arena, g->positions),
        .x = pass->x,
    };
    return pass->k->embed(pass->be, &args, err);
}

static enum ko_code norm(const struct ko_pass *pass, int32_t n, const float *x, size_t weight,
                         size_t bias, float *y, struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model;
    const struct ko_layer_norm args = {
        .n = n,
        .d = d,
        .x = x,
        .ldx = d,
        .weight = ko_pass_weight(pass, weight),
        .bias = ko_pass_weight(pass, bias),
        .eps = pass->model->shape.norm_eps,
        .y = y,
        .ldy = d,
    };
    return pass->k->layer_norm(pass->be, &args, err);
}

static enum ko_code mix(const struct ko_pass *pass, int32_t layer, struct ko_error *err)
{
    const struct ko_shape *s = &pass->model->shape;
    const struct gpt2_layer *w = &((const struct gpt2 *)pass->model->bound)->layer[layer];
    const int32_t d = s->d_model, n = pass->rows->n_projected[layer];
    const struct ko_attention attention = {
        .layer = layer,
        .n_heads = s->n_heads,
        .n_kv_heads = s->n_kv_heads,
        .d_head = s->d_head,
        .reach = s->reach,
        .scale = 1.0f / sqrtf((float)s->d_head),
        .q = pass->buffer[QKV],
        .k = pass->buffer[QKV] + d,
        .v = pass->buffer[QKV] + 2 * (size_t)d,
        .ld = 3 * d,
        .out = pass->buffer[MIXED],
    };
    enum ko_code code = norm(pass, n, pass->x, w->ln_1, w->ln_1_bias, pass->buffer[NORMED], err);
    if (!code)
        code = ko_pass_linear(pass, n, pass->buffer[NORMED], d, w->c_attn, w->c_attn_bias, false,
                              pass->buffer[QKV], 3 * d, err);
    if (!code)
        code = pass->k->attention(pass->be, &attention, err);
    return code;
}

static enum ko_code finish(const struct ko_pass *pass, int32_t layer, int32_t n, float *x,
                           const float *mixed, int32_t ld_mixed, struct ko_error *err)
{
    const int32_t d = pass->model->shape.d_model, ff = pass->model->shape.d_ff;
    const struct gpt2_layer *w = &((const struct gpt2 *)pass->model->bound)->layer[layer];
    float *normed = pass->buffer[MLP_NORMED], *hidden = pass->buffer[HIDDEN];
    const struct ko_activation gelu = {.n = n, .d = ff, .x = hidden, .ld = ff};
    enum ko_code code =
        ko_pass_linear(pass, n, mixed, ld_mixed, w->c_proj, w->c_proj_bias, true, x, d, err);
    if (!code)
        code = norm(pass, n, x, w->ln_2, w->ln_2_bias, normed, err);
    if (!code)
        code = ko_pass_linear(pass, n, normed, d, w->c_fc, w->c_fc_bias, false, hidden, ff, err);
    if (!code)
        code = pass->k->gelu_tanh(pass->be, &gelu, err);
    if (!code)
        code = ko_pass_linear(pass, n, hidden, ff, w->mlp, w->mlp_bias, true, x, d, err);
    return code;
}

static enum ko_code final_norm(const struct ko_pass *pass, int32_t n, float *x,
                               struct ko_error *err)
{
    const struct gpt2 *g = pass->model->bound;
    return norm(pass, n, x, g->ends.final_norm, g->ln_f_bias, x, err);
}

static void row_flop(const struct ko_model *model, double flop[3])
{
    const double d = model->shape.d_model, ff = model->shape.d_ff;
    flop[0] = 2 * d * 3 * d;
    flop[1] = 0;
    flop[2] = 2 * d * d + 4 * d * ff;
}

static int32_t decay_weight(const struct ko_model *model, int32_t layer)
{
    (void)model;
    (void)layer;
    return -1;
}

const struct ko_family ko_family_gpt2 = {
    .name = "gpt2",
    .title = "GPT-2",
    .model_types = {"gpt2"},
    .mixer = KO_MIXER_ATTENTION,
    .in_first = true,
    .configure = configure,
    .declare = declare,
    .ignores = ignores,
    .widths = widths,
    .embed = embed,
    .mix = mix,
    .finish = finish,
    .final_norm = final_norm,
    .unembedding = ko_ends_unembedding,
    .row_flop = row_flop,
    .decay_weight = decay_weight,
    .conv_mask = NULL, /* no convolution */
};

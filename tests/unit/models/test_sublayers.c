/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/models/declare.h"
#include "src/models/details.h"
#include "src/models/model_random.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"
#include "tests/support/trunk.h"

/* ---- Models of this test, and the same passes from the formulas in double precision. */

enum { D = 10, HEADS = 4, WIDTH = 6, FF = 7, LAYERS = 2, TOKENS = 6, VOCABULARY = 9 };
enum { WIDE = HEADS * WIDTH, WIDEST = 3 * WIDE, FIRST_POSITION = 2, NARROW = 5 };

struct toy {
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    struct ko_rope_config rope;
    struct ko_norm shared_norm; /* "shared", of both sublayers; KO_NO_NORM: they have their own */
    struct ko_norm final_norm;  /* "final" */
    int32_t embedding_width;
    float embedding_scale;
    bool positions;
    bool halved; /* the second layer has half as many heads */
};

static int heads_of(const struct toy *toy, int layer)
{
    return toy->halved && layer == 1 ? HEADS / 2 : HEADS;
}

/* A model of one kind of layers, and its weights. */
struct filled {
    struct ko_model *model;
    float *floats;
};

static void list_layers(struct ko_builder *b, const struct toy *toy)
{
    struct ko_attention_spec attention = toy->attention;
    struct ko_mlp_spec mlp = toy->mlp;
    if (attention.rotary) {
        ko_declare_rope(b, &toy->rope, &attention.rope);
    }
    for (int32_t l = 0; l < LAYERS; l++) {
        ko_declare_layer(b, "layers", l);
        attention.n_heads = heads_of(toy, l);
        if (toy->shared_norm.kind != KO_NO_NORM) {
            attention.norm = toy->shared_norm;
            ko_declare_norm(b, "shared", &attention.norm);
            mlp.norm = attention.norm;
        }
        ko_attention_add(b, &attention);
        ko_mlp_add(b, &mlp);
    }
}

static struct filled make_filled(const struct toy *toy)
{
    static const struct ko_family family = {.name = "toy", .title = "Toy"};
    struct ko_error err = {0};
    struct ko_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    *model = (struct ko_model){.family = &family,
                               .shape = {LAYERS, D, VOCABULARY, .max_tokens = TOKENS},
                               .ends = {.tied = true,
                                        .embedding_width = toy->embedding_width,
                                        .embedding_scale = toy->embedding_scale,
                                        .first_position = toy->positions ? FIRST_POSITION : 0,
                                        .final_norm = toy->final_norm}};
    struct ko_builder b = {.model = model, .where = "toy", .err = &err, .root = ""};
    ko_declare_prefix(&b, "absent", "");
    ko_declare_embedding(&b, "tokens", toy->positions ? "positions" : NULL);
    if (toy->embedding_width > 0) {
        ko_declare_projection(&b, "in", D, NARROW, false, &model->ends.project_in);
        ko_declare_projection(&b, "out", NARROW, D, false, &model->ends.project_out);
    }
    list_layers(&b, toy);
    ko_declare_head(&b, toy->final_norm.kind == KO_NO_NORM ? NULL : "final", "head");
    assert_int_equal(b.code, KO_OK);
    float *floats = calloc(ko_model_floats(model), sizeof *floats);
    assert_non_null(floats);
    ko_model_fill_random(model, 1, floats);
    return (struct filled){model, floats};
}

/* The weight STEM.NAME of the layer (-1: none), or NULL where the model has none of the name. */
static const float *find(const struct filled *from, int layer, const char *stem, const char *name)
{
    char full[96];
    if (layer < 0) {
        snprintf(full, sizeof full, "%s.%s", stem, name);
    } else {
        snprintf(full, sizeof full, "layers.%d.%s.%s", layer, stem, name);
    }
    for (size_t w = 0; w < from->model->n_weights; w++) {
        if (strcmp(from->model->weights[w].tensor, full) == 0) {
            return test_place(from->model, from->floats, &from->model->weights[w]);
        }
    }
    return NULL;
}

static void linear(const struct filled *from, int layer, const char *stem, const double *x,
                   int n_in, int n_out, double *y)
{
    const float *w = find(from, layer, stem, "weight"), *bias = find(from, layer, stem, "bias");
    assert_non_null(w);
    for (int o = 0; o < n_out; o++) {
        y[o] = bias ? (double)bias[o] : 0;
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

/* In place. Without a kind nothing happens. */
static void norm(const struct filled *from, int layer, const char *stem, const struct ko_norm *how,
                 int n, double *x)
{
    const float *weight = find(from, layer, stem, "weight"),
                *bias = find(from, layer, stem, "bias");
    double mean = 0, square = 0;
    if (how->kind == KO_NO_NORM) {
        return;
    }
    assert_true(weight != NULL && (bias != NULL) == (how->kind == KO_LAYER_NORM));
    for (int i = 0; i < n && bias; i++) {
        mean += x[i] / n;
    }
    for (int i = 0; i < n; i++) {
        square += (x[i] - mean) * (x[i] - mean) / n;
    }
    for (int i = 0; i < n; i++) {
        assert_true((double)weight[i] > 0.89 && (double)weight[i] < 1.11); /* one_plus was added */
        x[i] = (x[i] - mean) / sqrt(square + (double)how->eps) * (double)weight[i];
        x[i] += bias ? (double)bias[i] : 0;
    }
}

/* One head at position p, with the long factors. */
static void rotate(const struct ko_rope_config *rope, double *x, int p)
{
    const int half = rope->n_rotated / 2;
    const double scale = rope->attention_factor > 0 ? rope->attention_factor : 1;
    for (int k = 0; k < half; k++) {
        const double factor = rope->scaling == KO_ROPE_LONGROPE ? rope->long_factor[k] : 1;
        const double angle = p * pow(rope->theta, -2.0 * k / rope->n_rotated) / factor;
        double *a = rope->interleaved ? &x[2 * k] : &x[k];
        double *b = rope->interleaved ? &x[2 * k + 1] : &x[k + half];
        const double first = *a, second = *b;
        *a = scale * (first * cos(angle) - second * sin(angle));
        *b = scale * (second * cos(angle) + first * sin(angle));
    }
}

/* The queries, keys and values of one row, each [heads, WIDTH]. */
struct row {
    double q[WIDE], k[WIDE], v[WIDE];
};

static void project(const struct filled *from, const struct toy *toy, int l, const double *x,
                    struct row *out)
{
    const struct ko_attention_spec *a = &toy->attention;
    const int kv = a->n_kv_heads * WIDTH;
    double all[WIDEST];
    if (!a->qkv) {
        linear(from, l, a->q, x, D, heads_of(toy, l) * WIDTH, out->q);
        linear(from, l, a->k, x, D, kv, out->k);
        linear(from, l, a->v, x, D, kv, out->v);
        return;
    }
    linear(from, l, a->qkv, x, D, WIDE + 2 * kv, all);
    for (int i = 0; i < WIDE; i++) {
        const int head = i / WIDTH, inside = i % WIDTH;
        out->q[i] = all[a->qkv_by_head ? head * 3 * WIDTH + inside : i];
        if (i < kv) {
            out->k[i] = all[a->qkv_by_head ? (head * 3 + 1) * WIDTH + inside : WIDE + i];
            out->v[i] = all[a->qkv_by_head ? (head * 3 + 2) * WIDTH + inside : WIDE + kv + i];
        }
    }
}

static void prepare_heads(const struct filled *from, const struct toy *toy, int l, int p,
                          struct row *row)
{
    const struct ko_attention_spec *a = &toy->attention;
    double *const x[2] = {row->q, row->k};
    const char *const names[2] = {a->q_norm, a->k_norm};
    const int heads[2] = {heads_of(toy, l), a->n_kv_heads};
    for (int part = 0; part < 2; part++) {
        if (names[part] && !a->norm_by_head) {
            norm(from, l, names[part], &a->qk_norm, heads[part] * WIDTH, x[part]);
        }
        for (int h = 0; h < heads[part]; h++) {
            if (names[part] && a->norm_by_head) {
                norm(from, l, names[part], &a->qk_norm, WIDTH, x[part] + h * WIDTH);
            }
            if (a->rotary) {
                rotate(&toy->rope, x[part] + h * WIDTH, p);
            }
        }
    }
}

static void attend(const struct filled *from, const struct toy *toy, int l, const struct row *rows,
                   int t, double *out)
{
    const struct ko_attention_spec *a = &toy->attention;
    const int n_heads = heads_of(toy, l);
    const float *sinks = a->sinks ? find(from, l, "attention", "sinks") : NULL;
    const double scale = a->scale > 0 ? (double)a->scale : 1 / sqrt(WIDTH), cap = (double)a->cap;
    for (int h = 0; h < n_heads; h++) {
        const int shared = h * a->n_kv_heads / n_heads * WIDTH;
        double weight[TOKENS], sum = sinks ? exp((double)sinks[h]) : 0;
        for (int j = 0; j <= t; j++) {
            double score = 0;
            for (int i = 0; i < WIDTH; i++) {
                score += scale * rows[t].q[h * WIDTH + i] * rows[j].k[shared + i];
            }
            weight[j] = exp(cap > 0 ? cap * tanh(score / cap) : score);
            sum += weight[j];
        }
        for (int i = 0; i < WIDTH; i++) {
            out[h * WIDTH + i] = 0;
            for (int j = 0; j <= t; j++) {
                out[h * WIDTH + i] += weight[j] / sum * rows[j].v[shared + i];
            }
        }
    }
}

static double apply(enum ko_mlp_function function, double x)
{
    switch (function) {
    case KO_MLP_SILU_GATED:
        return x / (1 + exp(-x));
    case KO_MLP_GELU:
        return x * 0.5 * (1 + erf(x / sqrt(2)));
    case KO_MLP_RELU:
        return x > 0 ? x : 0;
    default:
        return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    }
}

static void run_mlp(const struct filled *from, const struct ko_mlp_spec *m, int l, const double *x,
                    double *out)
{
    const bool gated = m->function == KO_MLP_SILU_GATED || m->function == KO_MLP_GELU_TANH_GATED;
    double gate[2 * FF], up[FF], hidden[FF];
    if (m->gate_up) {
        linear(from, l, m->gate_up, x, D, 2 * FF, gate);
        memcpy(up, gate + FF, sizeof up);
    } else {
        linear(from, l, m->up, x, D, FF, up);
        if (gated) {
            linear(from, l, m->gate, x, D, FF, gate);
        }
    }
    for (int i = 0; i < FF; i++) {
        hidden[i] = gated ? apply(m->function, gate[i]) * up[i] : apply(m->function, up[i]);
    }
    linear(from, l, m->down, hidden, FF, D, out);
}

/* x = sum_norm(x + scale post_norm(out)); out is overwritten. */
static void add_mlp(const struct filled *from, const struct toy *toy, int l, double *out, double *x)
{
    const struct ko_mlp_spec *m = &toy->mlp;
    norm(from, l, "mlp_post", &m->output.post_norm, D, out);
    for (int i = 0; i < D; i++) {
        x[i] += (m->output.scale > 0 ? (double)m->output.scale : 1) * out[i];
    }
    norm(from, l, "mlp_sum", &m->output.sum_norm, D, x);
}

static void add_attention(const struct filled *from, const struct toy *toy, int l, double *out,
                          double *x)
{
    const struct ko_attention_spec *a = &toy->attention;
    norm(from, l, "post", &a->output.post_norm, D, out);
    for (int i = 0; i < D; i++) {
        x[i] += (a->output.scale > 0 ? (double)a->output.scale : 1) * out[i];
    }
    norm(from, l, "sum", &a->output.sum_norm, D, x);
}

static void run_layer(const struct filled *from, const struct toy *toy, int l, double x[TOKENS][D])
{
    const bool shared = toy->shared_norm.kind != KO_NO_NORM;
    const struct ko_norm *norms[2] = {shared ? &toy->shared_norm : &toy->attention.norm,
                                      shared ? &toy->shared_norm : &toy->mlp.norm};
    struct row rows[TOKENS];
    for (int t = 0; t < TOKENS; t++) {
        double input[D];
        memcpy(input, x[t], sizeof input);
        norm(from, l, shared ? "shared" : "before", norms[0], D, input);
        project(from, toy, l, input, &rows[t]);
        prepare_heads(from, toy, l, t, &rows[t]);
    }
    for (int t = 0; t < TOKENS; t++) {
        double context[WIDE], attended[D], input[D], out[D];
        attend(from, toy, l, rows, t, context);
        linear(from, l, toy->attention.o, context, heads_of(toy, l) * WIDTH, D, attended);
        memcpy(input, x[t], sizeof input); /* what a parallel MLP reads */
        if (!toy->mlp.output.parallel) {
            add_attention(from, toy, l, attended, x[t]);
            memcpy(input, x[t], sizeof input);
        }
        norm(from, l, shared ? "shared" : "mlp_before", norms[1], D, input);
        run_mlp(from, &toy->mlp, l, input, out);
        if (toy->mlp.output.parallel) {
            add_attention(from, toy, l, attended, x[t]);
        }
        add_mlp(from, toy, l, out, x[t]);
    }
}

static void embed(const struct filled *from, const struct toy *toy, int token, int p, double *x)
{
    const struct ko_model *model = from->model;
    const float *tokens = test_weight(model, from->floats, "tokens");
    const int width = toy->embedding_width > 0 ? NARROW : D;
    double own[D];
    for (int i = 0; i < width; i++) {
        own[i] = (double)tokens[token * width + i];
        own[i] *= toy->embedding_scale > 0 ? (double)toy->embedding_scale : 1;
    }
    if (toy->embedding_width > 0) {
        linear(from, -1, "in", own, NARROW, D, x);
    } else {
        memcpy(x, own, sizeof own);
    }
    for (int i = 0; i < D && toy->positions; i++) {
        const float *positions = test_weight(model, from->floats, "positions");
        x[i] += (double)positions[(FIRST_POSITION + p) * D + i];
    }
}

static void check_pass(const struct toy *toy, double bound)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    const struct filled from = make_filled(toy);
    const int width = toy->embedding_width > 0 ? NARROW : D;
    float got[TOKENS * D];
    double x[TOKENS][D], largest = 0;
    test_run_trunk(from.model, from.floats, tokens, TOKENS, got);
    for (int t = 0; t < TOKENS; t++) {
        embed(&from, toy, tokens[t], t, x[t]);
    }
    for (int l = 0; l < LAYERS; l++) {
        run_layer(&from, toy, l, x);
    }
    for (int t = 0; t < TOKENS; t++) {
        double out[D];
        norm(&from, -1, "final", &toy->final_norm, D, x[t]);
        memcpy(out, x[t], sizeof out);
        if (toy->embedding_width > 0) {
            linear(&from, -1, "out", x[t], D, NARROW, out);
        }
        for (int i = 0; i < width; i++) {
            const double off = fabs((double)got[t * width + i] - out[i]);
            largest = off > largest ? off : largest;
            if (!(off <= bound)) {
                fail_msg("row %d, feature %d: %g, expected %g", t, i, (double)got[t * width + i],
                         out[i]);
            }
        }
    }
    print_message("%.1e from double precision\n", largest);
    free(from.floats);
    ko_model_free(from.model);
}

/* ---- The claims. */

#define RMS                                                                                        \
    {                                                                                              \
        .kind = KO_RMS_NORM, .eps = 1e-3F                                                          \
    }
#define RMS_PLUS                                                                                   \
    {                                                                                              \
        .kind = KO_RMS_NORM, .eps = 1e-3F, .one_plus = true                                        \
    }
#define LAYER_NORM                                                                                 \
    {                                                                                              \
        .kind = KO_LAYER_NORM, .eps = 1e-3F                                                        \
    }

#define ATTENTION(kv)                                                                              \
    .n_heads = HEADS, .n_kv_heads = (kv), .d_head = WIDTH, .reach = INT32_MAX, .q = "attention.q", \
    .k = "attention.k", .v = "attention.v", .o = "attention.o"

/* GPT-NeoX, GPT-J. */
static void parallel_sublayers_read_the_same_x(void **state)
{
    struct toy toy = {
        .attention = {ATTENTION(HEADS), .qkv = "qkv", .qkv_by_head = true, .qkv_bias = true,
                      .rotary = true, .norm_name = "before", .norm = LAYER_NORM},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_GELU,
                .norm_name = "mlp_before",
                .norm = LAYER_NORM,
                .up = "up",
                .down = "down",
                .bias = true,
                .output = {.parallel = true}},
        .rope = {.theta = 50, .n_rotated = 4},
        .final_norm = LAYER_NORM,
    };
    (void)state;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
    toy.shared_norm = (struct ko_norm)LAYER_NORM;
    toy.attention.norm_name = toy.mlp.norm_name = NULL;
    toy.attention.qkv = NULL;
    toy.rope.interleaved = true;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
}

/* OLMo 2, Gemma 2, Granite, gpt-oss. */
static void outputs_are_normed_and_scaled_before_they_are_added(void **state)
{
    struct toy toy = {
        .attention = {ATTENTION(2), .q_norm = "q_norm", .k_norm = "k_norm", .qk_norm = RMS_PLUS,
                      .scale = 0.7F, .cap = 0.5F, .sinks = "attention.sinks", .rotary = true,
                      .output = {.post_norm_name = "post", .post_norm = RMS_PLUS}},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_GELU_TANH_GATED,
                .gate_up = "gate_up",
                .down = "down",
                .output = {.post_norm_name = "mlp_post", .post_norm = RMS_PLUS}},
        .rope = {.theta = 50,
                 .n_rotated = WIDTH,
                 .scaling = KO_ROPE_LONGROPE,
                 .original = 4,
                 .attention_factor = 1.25,
                 .short_factor = {1, 1, 1},
                 .long_factor = {1, 1.7, 2.4}},
        .final_norm = RMS_PLUS,
        .embedding_scale = 3,
    };
    (void)state;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
    toy.attention.norm_by_head = true;
    toy.attention.output.scale = toy.mlp.output.scale = 0.25F;
    toy.attention.norm_name = "before";
    toy.attention.norm = (struct ko_norm)RMS;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
    toy.attention.output.post_norm_name = toy.mlp.output.post_norm_name = NULL;
    toy.attention.output.post_norm.kind = toy.mlp.output.post_norm.kind = KO_NO_NORM;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
}

/* OPT, with and without narrow embeddings. */
static void sums_are_normed_and_embeddings_projected(void **state)
{
    struct toy toy = {
        .attention = {ATTENTION(HEADS), .qkv = "qkv",
                      .output = {.sum_norm_name = "sum", .sum_norm = LAYER_NORM}},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_RELU,
                .up = "up",
                .down = "down",
                .output = {.sum_norm_name = "mlp_sum", .sum_norm = LAYER_NORM}},
        .embedding_width = NARROW,
        .positions = true,
    };
    (void)state;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
    toy.positions = false;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
    toy.positions = true;
    toy.embedding_width = 0;
    check_pass(&toy, 3e-6); /* observed: 3e-7 */
}

static void layers_may_have_different_numbers_of_heads(void **state)
{
    const struct toy toy = {
        .attention = {ATTENTION(2), .norm_name = "before", .norm = RMS},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_SILU_GATED,
                .norm_name = "mlp_before",
                .norm = RMS,
                .gate = "gate",
                .up = "up",
                .down = "down"},
        .final_norm = RMS,
        .halved = true,
    };
    (void)state;
    check_pass(&toy, 3e-6); /* observed: 4e-7 */
}

/* The output projection accumulates into x unless something stands between them: models without
   post-norms keep their memory. */
static void only_outputs_that_are_changed_take_a_buffer(void **state)
{
    struct toy toy = {
        .attention = {ATTENTION(2), .norm_name = "before", .norm = RMS},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_SILU_GATED,
                .norm_name = "mlp_before",
                .norm = RMS,
                .gate = "gate",
                .up = "up",
                .down = "down"},
        .final_norm = RMS,
    };
    int32_t widths[KO_N_BUFFERS];
    (void)state;
    struct filled from = make_filled(&toy);
    assert_true(ko_sublayer_adds_directly(&from.model->sublayer[0]));
    assert_true(ko_sublayer_adds_directly(&from.model->sublayer[1]));
    ko_model_widths(from.model, widths);
    assert_int_equal(widths[KO_OUTPUT_BUFFER], WIDE + 4 * WIDTH);
    assert_int_equal(widths[3], FF);
    assert_int_equal(widths[4], FF);
    free(from.floats);
    ko_model_free(from.model);

    toy.mlp.gate_up = "gate_up";
    toy.mlp.output.scale = 0.5F;
    from = make_filled(&toy);
    assert_false(ko_sublayer_adds_directly(&from.model->sublayer[1]));
    ko_model_widths(from.model, widths);
    assert_int_equal(widths[3], 2 * FF);
    assert_int_equal(widths[4], 0);
    free(from.floats);
    ko_model_free(from.model);
}

static void expect_details(const struct toy *toy, const char *const *want, size_t n)
{
    struct ko_strings got = {0};
    struct ko_error err = {0};
    const struct filled from = make_filled(toy);
    assert_int_equal(ko_model_details(from.model, &got, &err), KO_OK);
    for (size_t i = 0; i < got.n && i < n; i++) {
        assert_string_equal(got.item[i], want[i]);
    }
    assert_int_equal(got.n, n);
    ko_strings_free(&got);
    free(from.floats);
    ko_model_free(from.model);
}

static void details_name_what_is_particular_once(void **state)
{
    static const char *const words[] = {
        "norms of queries and keys of each head",
        "4 of 6 numbers of a head rotated",
        "interleaved rotary pairs",
        "rotary scaling linear by 8",
        "scores times 0.5",
        "scores capped at 3",
        "attention sinks",
        "norms of outputs",
        "MLPs with ReLU",
        "parallel sublayers",
        "outputs times 0.25",
        "norms after additions",
        "embeddings times 3",
        "embeddings of width 5",
    };
    struct toy plain = {
        .attention = {ATTENTION(2), .norm_name = "before", .norm = RMS},
        .mlp = {.d_ff = FF,
                .function = KO_MLP_SILU_GATED,
                .norm_name = "mlp_before",
                .norm = RMS,
                .gate = "gate",
                .up = "up",
                .down = "down"},
        .final_norm = RMS,
        .positions = true,
    };
    struct toy toy = plain;
    (void)state;
    expect_details(&plain, NULL, 0);
    toy.attention = (struct ko_attention_spec){
        ATTENTION(2),       .q_norm = "q_norm",
        .k_norm = "k_norm", .norm_by_head = true,
        .qk_norm = RMS,     .scale = 0.5F,
        .cap = 3,           .sinks = "attention.sinks",
        .rotary = true,     .output = {.post_norm_name = "post", .post_norm = RMS}};
    toy.rope = (struct ko_rope_config){
        .theta = 50, .n_rotated = 4, .interleaved = true, .scaling = KO_ROPE_LINEAR, .factor = 8};
    toy.mlp.function = KO_MLP_RELU;
    toy.mlp.output.parallel = true;
    toy.mlp.output.scale = 0.25F;
    toy.mlp.output.sum_norm_name = "mlp_sum";
    toy.mlp.output.sum_norm = (struct ko_norm)RMS;
    toy.embedding_scale = 3;
    toy.embedding_width = NARROW;
    expect_details(&toy, words, sizeof words / sizeof words[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parallel_sublayers_read_the_same_x),
        cmocka_unit_test(outputs_are_normed_and_scaled_before_they_are_added),
        cmocka_unit_test(sums_are_normed_and_embeddings_projected),
        cmocka_unit_test(layers_may_have_different_numbers_of_heads),
        cmocka_unit_test(only_outputs_that_are_changed_take_a_buffer),
        cmocka_unit_test(details_name_what_is_particular_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

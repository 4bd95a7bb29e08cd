/* SPDX-License-Identifier: Apache-2.0 */
/* A clean pass of Kimi Linear, a layer of Kimi Delta Attention and one of latent attention, against
   the formulas in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

enum { D = 10, FF = 7, TOKENS = 6, TAPS = 3 };
enum { DELTA_HEADS = 2, WIDTH = 3, WIDE = DELTA_HEADS * WIDTH };
enum { HEADS = 3, OWN = 4, SHARED = 2, KEY = OWN + SHARED, VALUE = 5, LATENT = 6 };
static const double epsilon = 1e-3, latent_epsilon = 1e-6;

#define CONFIG                                                                                     \
    "{\"hidden_size\": 10, \"intermediate_size\": 7, \"num_hidden_layers\": 2, \"vocab_size\": "   \
    "9, "                                                                                          \
    "\"first_k_dense_replace\": 2, \"num_attention_heads\": 3, \"num_key_value_heads\": 3, "       \
    "\"qk_nope_head_dim\": 4, \"qk_rope_head_dim\": 2, \"v_head_dim\": 5, \"kv_lora_rank\": 6, "   \
    "\"rms_norm_eps\": 1e-3, \"linear_attn_config\": {\"num_heads\": 2, \"head_dim\": 3, "         \
    "\"short_conv_kernel_size\": 3, \"kda_layers\": [1], \"full_attn_layers\": [2]}}"

/* A model and its weights. */
struct filled {
    struct ko_model *model;
    float *floats;
};

/* The weight model.layers.LAYER.NAME. */
static const float *weight_of(const struct filled *f, int layer, const char *name)
{
    char tensor[96];
    (void)snprintf(tensor, sizeof tensor, "model.layers.%d.%s", layer, name);
    return test_weight(f->model, f->floats, tensor);
}

/* y [n_out] = W x */
static void linear(const struct filled *f, int layer, const char *name, const double *x, int n_in,
                   int n_out, double *y)
{
    const float *w = weight_of(f, layer, name);
    for (int o = 0; o < n_out; o++) {
        y[o] = 0;
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

static void rms_norm(const double *x, int n, const float *weight, double eps, double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    for (int i = 0; i < n; i++) {
        y[i] = x[i] / sqrt(sum / n + eps) * (double)weight[i];
    }
}

static double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

static void add_row(const double *row, double *x)
{
    for (int c = 0; c < D; c++) {
        x[c] += row[c];
    }
}

/* y [TOKENS, WIDE] = silu(conv(W normed)) */
static void convolve(const struct filled *f, const char *matrix, const char *taps_name,
                     double normed[TOKENS][D], double y[TOKENS][WIDE])
{
    const float *taps = weight_of(f, 0, taps_name); /* [TAPS, WIDE] in memory */
    double in[TOKENS][WIDE];
    for (int t = 0; t < TOKENS; t++) {
        linear(f, 0, matrix, normed[t], D, WIDE, in[t]);
        for (int c = 0; c < WIDE; c++) {
            double sum = 0;
            for (int back = 0; back < TAPS && back <= t; back++) {
                sum += (double)taps[(TAPS - 1 - back) * WIDE + c] * in[t - back][c];
            }
            y[t][c] = sum * sigmoid_of(sum);
        }
    }
}

/* x [WIDTH] divided by its norm and multiplied with `scale`. */
static void make_unit(double *x, double scale)
{
    double sum = 1e-6;
    for (int c = 0; c < WIDTH; c++) {
        sum += x[c] * x[c];
    }
    for (int c = 0; c < WIDTH; c++) {
        x[c] *= scale / sqrt(sum);
    }
}

/* One step of a head: its state, a decay for each key channel, and o [WIDTH] = state^T q. */
static void step_state(double state[WIDTH][WIDTH], const double *decay, double beta, double *q,
                       double *k, const double *v, double *o)
{
    make_unit(q, 1 / sqrt(WIDTH));
    make_unit(k, 1);
    for (int c = 0; c < WIDTH; c++) {
        double held = 0;
        for (int n = 0; n < WIDTH; n++) {
            state[n][c] *= decay[n];
            held += state[n][c] * k[n];
        }
        o[c] = 0;
        for (int n = 0; n < WIDTH; n++) {
            state[n][c] += beta * k[n] * (v[c] - held);
            o[c] += state[n][c] * q[n];
        }
    }
}

static void add_delta(const struct filled *f, double x[TOKENS][D])
{
    const float *a = weight_of(f, 0, "self_attn.A_log"); /* -exp(A_log) in memory */
    const float *bias = weight_of(f, 0, "self_attn.dt_bias");
    double normed[TOKENS][D], q[TOKENS][WIDE], k[TOKENS][WIDE], v[TOKENS][WIDE];
    double state[DELTA_HEADS][WIDTH][WIDTH] = {{{0}}};
    for (int t = 0; t < TOKENS; t++) {
        rms_norm(x[t], D, weight_of(f, 0, "input_layernorm.weight"), epsilon, normed[t]);
    }
    convolve(f, "self_attn.q_proj.weight", "self_attn.q_conv1d.weight", normed, q);
    convolve(f, "self_attn.k_proj.weight", "self_attn.k_conv1d.weight", normed, k);
    convolve(f, "self_attn.v_proj.weight", "self_attn.v_conv1d.weight", normed, v);
    for (int t = 0; t < TOKENS; t++) {
        double low[WIDTH], decay[WIDE], gate[WIDE], beta[DELTA_HEADS], o[WIDE], out[D];
        linear(f, 0, "self_attn.f_a_proj.weight", normed[t], D, WIDTH, low);
        linear(f, 0, "self_attn.f_b_proj.weight", low, WIDTH, WIDE, decay);
        linear(f, 0, "self_attn.g_a_proj.weight", normed[t], D, WIDTH, low);
        linear(f, 0, "self_attn.g_b_proj.weight", low, WIDTH, WIDE, gate);
        linear(f, 0, "self_attn.b_proj.weight", normed[t], D, DELTA_HEADS, beta);
        for (int h = 0; h < DELTA_HEADS; h++) {
            double *mine = o + (ptrdiff_t)h * WIDTH;
            for (int c = h * WIDTH; c < (h + 1) * WIDTH; c++) {
                decay[c] = exp((double)a[h] * log1p(exp(decay[c] + (double)bias[c])));
            }
            step_state(state[h], decay + (ptrdiff_t)h * WIDTH, sigmoid_of(beta[h]),
                       q[t] + (ptrdiff_t)h * WIDTH, k[t] + (ptrdiff_t)h * WIDTH,
                       v[t] + (ptrdiff_t)h * WIDTH, mine);
            rms_norm(mine, WIDTH, weight_of(f, 0, "self_attn.o_norm.weight"), epsilon, mine);
        }
        for (int c = 0; c < WIDE; c++) {
            o[c] *= sigmoid_of(gate[c]);
        }
        linear(f, 0, "self_attn.o_proj.weight", o, WIDE, D, out);
        add_row(out, x[t]);
    }
}

/* What a row has for later rows. */
struct key_row {
    double kv[HEADS * (OWN + VALUE)]; /* each head's own part of the key, and its value */
    double shared[LATENT + SHARED];   /* behind the latent row: the part of all keys */
};

static double score_of(const double *q, const struct key_row *row, int head)
{
    double sum = 0;
    for (int c = 0; c < KEY; c++) {
        sum += q[head * KEY + c] *
               (c < OWN ? row->kv[head * (OWN + VALUE) + c] : row->shared[LATENT + c - OWN]);
    }
    return sum / sqrt(KEY);
}

static void add_attention(const struct filled *f, double x[TOKENS][D])
{
    struct key_row rows[TOKENS];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], latent[LATENT], q[HEADS * KEY], mixed[HEADS * VALUE] = {0}, out[D];
        rms_norm(x[t], D, weight_of(f, 1, "input_layernorm.weight"), epsilon, normed);
        linear(f, 1, "self_attn.q_proj.weight", normed, D, HEADS * KEY, q);
        linear(f, 1, "self_attn.kv_a_proj_with_mqa.weight", normed, D, LATENT + SHARED,
               rows[t].shared);
        rms_norm(rows[t].shared, LATENT, weight_of(f, 1, "self_attn.kv_a_layernorm.weight"),
                 latent_epsilon, latent);
        linear(f, 1, "self_attn.kv_b_proj.weight", latent, LATENT, HEADS * (OWN + VALUE),
               rows[t].kv);
        for (int h = 0; h < HEADS; h++) {
            double weight[TOKENS], sum = 0;
            for (int j = 0; j <= t; j++) {
                weight[j] = exp(score_of(q, &rows[j], h));
                sum += weight[j];
            }
            for (int j = 0; j <= t; j++) {
                for (int c = 0; c < VALUE; c++) {
                    mixed[h * VALUE + c] +=
                        weight[j] / sum * rows[j].kv[h * (OWN + VALUE) + OWN + c];
                }
            }
        }
        linear(f, 1, "self_attn.o_proj.weight", mixed, HEADS * VALUE, D, out);
        add_row(out, x[t]);
    }
}

static void add_mlp(const struct filled *f, int layer, double *x)
{
    double normed[D], gate[FF], up[FF], out[D];
    rms_norm(x, D, weight_of(f, layer, "post_attention_layernorm.weight"), epsilon, normed);
    linear(f, layer, "mlp.gate_proj.weight", normed, D, FF, gate);
    linear(f, layer, "mlp.up_proj.weight", normed, D, FF, up);
    for (int k = 0; k < FF; k++) {
        up[k] *= gate[k] * sigmoid_of(gate[k]);
    }
    linear(f, layer, "mlp.down_proj.weight", up, FF, D, out);
    add_row(out, x);
}

/* Latent rows become so small that the epsilon of their norm counts. */
static struct filled make_filled(void)
{
    struct ko_error err = {0};
    struct filled f = {.model = test_configured("kimi_linear", CONFIG, &err)};
    if (!f.model) {
        fail_msg("%s", err.text);
        return f;
    }
    f.floats = calloc(ko_model_floats(f.model), sizeof *f.floats);
    assert_non_null(f.floats);
    ko_model_fill_random(f.model, 1, f.floats);
    const float *latent = weight_of(&f, 1, "self_attn.kv_a_proj_with_mqa.weight");
    float *w = f.floats + (latent - f.floats);
    for (int k = 0; k < LATENT * D; k++) {
        w[k] *= 1e-3F;
    }
    return f;
}

static void a_clean_pass_follows_the_formulas(void **state)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    float got[TOKENS * D];
    double x[TOKENS][D], largest = 0;
    (void)state;
    const struct filled f = make_filled();
    test_run_trunk(f.model, f.floats, tokens, TOKENS, got);
    const float *embedding = test_weight(f.model, f.floats, "model.embed_tokens.weight");
    for (int i = 0; i < TOKENS * D; i++) {
        x[i / D][i % D] = (double)embedding[tokens[i / D] * D + i % D];
    }
    add_delta(&f, x);
    for (int t = 0; t < TOKENS; t++) {
        add_mlp(&f, 0, x[t]);
    }
    add_attention(&f, x);
    for (int t = 0; t < TOKENS; t++) {
        double out[D];
        add_mlp(&f, 1, x[t]);
        rms_norm(x[t], D, test_weight(f.model, f.floats, "model.norm.weight"), epsilon, out);
        for (int c = 0; c < D; c++) {
            const double off = fabs((double)got[t * D + c] - out[c]);
            largest = off > largest ? off : largest;
            assert_true(off <= 3e-6); /* observed: 3e-7 */
        }
    }
    print_message("%.1e from double precision\n", largest);
    free(f.floats);
    ko_model_free(f.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_clean_pass_follows_the_formulas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

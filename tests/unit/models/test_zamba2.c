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
#include "src/models/pass.h"
#include "src/models/sublayers/shared_block.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

#define FOUR_LAYERS                                                                                \
    "\"num_hidden_layers\": 4, \"layers_block_type\": [\"hybrid\", \"mamba\", \"hybrid\", "        \
    "\"hybrid\"], \"hidden_size\": 8, \"num_attention_heads\": 2, \"n_mamba_heads\": 4, "          \
    "\"intermediate_size\": 6, \"adapter_rank\": 3, \"vocab_size\": 9, \"mamba_d_state\": 5"

static void missing_keys_take_the_defaults(void **state)
{
    static const int32_t hybrids[] = {6, 12, 18, 24, 30, 36, 42, 47, 51};
    size_t n = 0;
    (void)state;
    struct ko_model *model = test_accepted("zamba2", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2560);
    assert_int_equal(s->d_ff, 10240);
    assert_int_equal(s->n_layers, 54);
    assert_int_equal(s->vocabulary, 32000);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 32);
    assert_int_equal(s->d_head, 160);
    assert_int_equal(s->d_inner, 5120);
    assert_int_equal(s->n_ssm_heads, 8);
    assert_int_equal(s->d_ssm_head, 640);
    assert_int_equal(s->d_state, 64);
    assert_int_equal(s->n_groups, 1);
    assert_int_equal(s->d_conv, 4);
    assert_int_equal(s->max_tokens, 0);
    assert_int_equal(s->bos_id, 1);
    assert_true(s->norm_eps == 1e-5f);
    assert_true(model->ends.tied);
    assert_int_equal(model->n_ropes, 0);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        if (model->sublayer[i].kind == &ko_sublayer_shared_block) {
            assert_int_equal(model->sublayer[i].layer, hybrids[n++]);
        }
    }
    assert_int_equal(n, 9);
    assert_int_equal(model->n_stages, 54 + 9);
    ko_model_free(model);
}

/* Each block and its adapters lie in the layer where it occurs first. */
static void hybrid_layers_take_turns_with_the_blocks(void **state)
{
    static const char first[] = "model.layers.0.shared_transformer.";
    static const char *const once[] = {"input_layernorm.weight", "self_attn.q_proj.weight",
                                       "feed_forward.down_proj.weight",
                                       "feed_forward.gate_up_proj_adapter_list.0.1.weight",
                                       "feed_forward.gate_up_proj_adapter_list.2.0.weight"};
    char name[128];
    (void)state;
    struct ko_model *model = test_accepted("zamba2", "{" FOUR_LAYERS ", \"num_mem_blocks\": 2}");
    /* Layers 0, 1, 2, 3 begin with the sublayers 0, 2, 3, 5. */
    assert_int_equal(model->n_sublayers, 7);
    assert_int_equal(model->sublayer[0].out.weight, model->sublayer[5].out.weight);
    assert_int_not_equal(model->sublayer[0].out.weight, model->sublayer[3].out.weight);
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        snprintf(name, sizeof name, "%s%s", first, once[i]);
        assert_true(test_has_weight(model, name));
    }
    for (int32_t l = 0; l < 4; l++) {
        snprintf(name, sizeof name, "model.layers.%d.shared_transformer.self_attn.q_proj.weight",
                 l);
        assert_int_equal(test_has_weight(model, name), l == 0 || l == 2);
        snprintf(name, sizeof name, "model.layers.%d.linear.weight", l);
        assert_int_equal(test_has_weight(model, name), l != 1);
        snprintf(name, sizeof name, "model.layers.%d.mamba_decoder.mamba.D", l);
        assert_int_equal(test_has_weight(model, name), l != 1);
    }
    assert_true(test_has_weight(
        model,
        "model.layers.2.shared_transformer.feed_forward.gate_up_proj_adapter_list.1.0.weight"));
    assert_false(test_has_weight(
        model, "model.layers.0.shared_transformer.self_attn.linear_q_adapter_list.0.0.weight"));
    assert_true(test_has_weight(model, "model.layers.1.mamba.D"));
    assert_true(test_has_weight(model, "model.final_layernorm.weight"));
    ko_model_free(model);
    model = test_accepted("zamba2", "{" FOUR_LAYERS ", \"use_shared_attention_adapter\": true}");
    assert_int_equal(model->sublayer[0].out.weight, model->sublayer[3].out.weight);
    assert_true(test_has_weight(
        model, "model.layers.0.shared_transformer.self_attn.linear_v_adapter_list.2.1.weight"));
    ko_model_free(model);
}

static void the_workspace_has_the_side_input_and_the_embedding(void **state)
{
    int32_t widths[KO_N_BUFFERS];
    double flop[3];
    (void)state;
    struct ko_model *model = test_accepted(
        "zamba2", "{" FOUR_LAYERS ", \"num_key_value_heads\": 1, \"use_mem_rope\": true, "
                  "\"use_shared_attention_adapter\": true, \"max_position_embeddings\": 77}");
    ko_model_widths(model, widths);
    assert_int_equal(widths[1], 16);
    assert_int_equal(widths[3], 3);
    assert_int_equal(widths[4], 2 * 6);
    assert_int_equal(widths[KO_SIDE_BUFFER], 8);
    assert_int_equal(widths[KO_EMBEDDED_BUFFER], 8);
    size_t floats = 8;
    for (int b = 0; b < KO_N_BUFFERS; b++) {
        floats += (size_t)widths[b];
    }
    assert_int_equal(ko_model_row_floats(model), floats);
    ko_model_stage_flop(model, 0, flop);
    /* Queries of two heads of width 8, keys and values of one, from 16 numbers. */
    assert_true(flop[0] == 2 * (16 * 32 + 3 * (3 * 16 + 32)));
    assert_true(flop[2] == 2 * (16 * 8 + 3 * 8 * 6 + 3 * (8 + 12) + 8 * 8));
    assert_int_equal(model->shape.max_tokens, 77);
    assert_int_equal(model->rope[0].config.n_rotated, 8);
    ko_model_free(model);
    model = test_accepted(
        "zamba2", "{\"num_hidden_layers\": 2, \"layers_block_type\": [\"mamba\", \"mamba\"]}");
    ko_model_widths(model, widths);
    assert_int_equal(widths[KO_SIDE_BUFFER], 0);
    assert_int_equal(widths[KO_EMBEDDED_BUFFER], 0);
    ko_model_free(model);
}

static void check_details(const char *config, const char *const *expected, size_t n)
{
    struct ko_strings got = {0};
    struct ko_error err = {0};
    struct ko_model *model = test_accepted("zamba2", config);
    assert_int_equal(ko_model_details(model, &got, &err), KO_OK);
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(got.item[i], expected[i]);
    }
    ko_strings_free(&got);
    ko_model_free(model);
}

static void the_details_count_the_blocks(void **state)
{
    static const char in_layers[] = "shared_block in 3 of 4 layers";
    static const char *const one[] = {in_layers, "1 shared block of attention and MLP",
                                      "adapters of rank 3 in queries, keys, values and MLPs"};
    static const char *const two[] = {in_layers, "2 shared blocks of attention and MLP",
                                      "adapters of rank 3 in MLPs"};
    static const char *const three[] = {in_layers, "3 shared blocks of attention and MLP",
                                        "adapters of rank 3 in MLPs"};
    (void)state;
    check_details("{" FOUR_LAYERS ", \"use_shared_attention_adapter\": true}", one, 3);
    check_details("{" FOUR_LAYERS ", \"num_mem_blocks\": 2}", two, 3);
    check_details("{" FOUR_LAYERS ", \"num_mem_blocks\": 5}", three, 3);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"use_long_context\": true}",
         "toy: use_long_context: true is not supported for Zamba2, only false"},
        {"{\"add_bias_linear\": true}",
         "toy: add_bias_linear: true is not supported for Zamba2, only false"},
        {"{\"use_conv_bias\": false}",
         "toy: use_conv_bias: false is not supported for Zamba2, only true"},
        {"{\"hidden_act\": \"silu\"}",
         "toy: hidden_act: 'silu' is not supported for Zamba2, only gelu"},
        {"{\"state_size\": 64}",
         "toy: state_size: belongs to the first layout of Zamba2, which is not supported, only the "
         "one of transformers, where it is mamba_d_state"},
        {"{\"mamba_d_state\": 64, \"use_shared_attention_lora\": false}",
         "toy: use_shared_attention_lora: belongs to the first layout of Zamba2, which is not "
         "supported, only the one of transformers, where it is use_shared_attention_adapter"},
        {"{\"num_hidden_layers\": 3}",
         "toy: layers_block_type: missing, although num_hidden_layers is 3"},
        {"{\"num_hidden_layers\": 1, \"layers_block_type\": [\"attention\"]}",
         "toy: layers_block_type: 'attention' is not supported for Zamba2, only mamba or hybrid"},
        {"{\"num_hidden_layers\": 2, \"layers_block_type\": [\"mamba\"]}",
         "toy: layers_block_type: expected a list of 2 words, one per layer"},
        {"{\"num_mem_blocks\": 65}",
         "toy: num_mem_blocks: expected a whole number from 1 to 64, got 65"},
        {"{\"n_mamba_heads\": 7}",
         "toy: n_mamba_heads: 7 heads do not divide the inner width of 5120"},
        {"{\"n_mamba_heads\": 80, \"mamba_ngroups\": 3}",
         "toy: mamba_ngroups: 3 groups do not divide n_mamba_heads of 80"},
        {"{\"num_key_value_heads\": 5}",
         "toy: num_key_value_heads: 5 do not divide num_attention_heads of 32"},
        {"{\"num_attention_heads\": 24}",
         "toy: num_attention_heads: 24 heads do not divide hidden_size of 2560"},
        {"{\"time_step_limit\": [1, 0.5]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [1,0.5]"},
        {"{\"use_mem_rope\": true, \"rope_scaling\": {\"type\": \"yarn\"}}",
         "toy: rope_scaling: type: 'yarn' is not supported for Zamba2, only default"},
    };
    (void)state;
    assert_int_equal(test_refusals("zamba2", rows, sizeof rows / sizeof rows[0]), 0);
}

/* ---- A clean pass of two layers that share a block, against the formulas in double precision. What
   the block hands on is added to x here. */

enum { D = 6, HEADS = 4, KV = 2, WIDTH = 4, FF = 5, RANK = 3, TOKENS = 6, VOCABULARY = 9 };
enum { LAYERS = 2, WIDE = 2 * D, Q = HEADS * WIDTH, K = KV * WIDTH };

static void reader_widths(const struct ko_sublayer *sublayer, int32_t d_model,
                          int32_t width[KO_N_BUFFERS])
{
    (void)sublayer;
    width[KO_SIDE_BUFFER] = d_model;
}

static enum ko_code add_side(const struct ko_pass *pass, const struct ko_sublayer *sublayer,
                             int32_t n, float *x, const float *mixed, int32_t ld_mixed,
                             struct ko_error *err)
{
    const struct ko_add_scaled args = {
        .n = n, .d = D, .x = pass->buffer[KO_SIDE_BUFFER], .ldx = D, .scale = 1, .y = x, .ldy = D};
    (void)sublayer;
    (void)mixed;
    (void)ld_mixed;
    return pass->kernels->add_scaled(pass->be, &args, err);
}

static const struct ko_sublayer_kind reader = {
    .name = "reader", .widths = reader_widths, .finish = add_side};

static struct ko_model *make_model(const struct ko_rope_config *rope)
{
    static const struct ko_family family = {.name = "toy", .title = "Toy"};
    struct ko_shared_block_spec spec = {.n_heads = HEADS,
                                        .n_kv_heads = KV,
                                        .d_head = WIDTH,
                                        .d_ff = FF,
                                        .rank = RANK,
                                        .adapts_qkv = rope != NULL,
                                        .scale = 0.7F,
                                        .rotary = rope != NULL,
                                        .norm = {.kind = KO_RMS_NORM, .eps = 1e-3F}};
    struct ko_shared_block block;
    struct ko_error err = {0};
    struct ko_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    *model = (struct ko_model){.family = &family,
                               .shape = {LAYERS, D, VOCABULARY, .max_tokens = TOKENS},
                               .ends = {.tied = true}};
    struct ko_builder b = {.model = model, .where = "toy", .err = &err, .root = ""};
    ko_declare_prefix(&b, "absent", "");
    ko_declare_embedding(&b, "tokens", NULL);
    if (rope) {
        ko_declare_rope(&b, rope, &spec.rope);
    }
    ko_declare_layer(&b, "layers", 0);
    ko_shared_block_declare(&b, &spec, &block);
    for (int32_t l = 0; l < LAYERS; l++) {
        const struct ko_sublayer sublayer = {.kind = &reader, .decay_norms = KO_NO_WEIGHT};
        ko_declare_layer(&b, "layers", 0);
        ko_shared_block_adapt(&b, &spec, l, &block);
        ko_declare_layer(&b, "layers", l);
        ko_shared_block_add(&b, &spec, &block);
        ko_declare_sublayer(&b, &sublayer);
    }
    ko_declare_head(&b, NULL, "head");
    assert_int_equal(b.code, KO_OK);
    return model;
}

/* A model and its weights, and the layer that is computed. */
struct filled {
    const struct ko_model *model;
    const float *floats;
    const struct ko_rope_config *rope;
    int layer;
};

static const float *shared_weight(const struct filled *from, const char *name)
{
    char tensor[128];
    snprintf(tensor, sizeof tensor, "layers.0.shared_transformer.%s.weight", name);
    return test_weight(from->model, from->floats, tensor);
}

static void linear(const double *x, int n_in, const float *w, int n_out, double *y)
{
    for (int o = 0; o < n_out; o++) {
        y[o] = 0;
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

/* The shared matrix, and where `adapter` is given the layer's adapter. */
static void adapted(const struct filled *from, const char *name, const char *adapter,
                    const double *x, int n_in, int n_out, double *y)
{
    char stem[64];
    double low[RANK], high[2 * FF + Q];
    linear(x, n_in, shared_weight(from, name), n_out, y);
    if (!adapter) {
        return;
    }
    snprintf(stem, sizeof stem, "%s_adapter_list.%d.0", adapter, from->layer);
    linear(x, n_in, shared_weight(from, stem), RANK, low);
    snprintf(stem, sizeof stem, "%s_adapter_list.%d.1", adapter, from->layer);
    linear(low, RANK, shared_weight(from, stem), n_out, high);
    for (int o = 0; o < n_out; o++) {
        y[o] += high[o];
    }
}

static void rms_norm(const float *weight, int n, double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    for (int i = 0; i < n; i++) {
        x[i] *= (double)weight[i] / sqrt(sum / n + (double)1e-3F);
    }
}

static void rotate(const struct ko_rope_config *rope, int n_heads, int p, double *x)
{
    for (int k = 0; rope && k < n_heads * WIDTH / 2; k++) {
        const int pair = k % (WIDTH / 2), head = k / (WIDTH / 2);
        double *a = &x[head * WIDTH + pair], *b = a + WIDTH / 2, first = *a;
        const double angle = p * pow(rope->theta, -2.0 * pair / WIDTH);
        *a = first * cos(angle) - *b * sin(angle);
        *b = *b * cos(angle) + first * sin(angle);
    }
}

struct row {
    double q[Q], k[K], v[K];
};

static void project(const struct filled *from, const double *x, const double *x0, int p,
                    struct row *out)
{
    double wide[WIDE];
    const bool adapts = from->rope != NULL;
    memcpy(wide, x, D * sizeof *x);
    memcpy(wide + D, x0, D * sizeof *x0);
    rms_norm(shared_weight(from, "input_layernorm"), WIDE, wide);
    adapted(from, "self_attn.q_proj", adapts ? "self_attn.linear_q" : NULL, wide, WIDE, Q, out->q);
    adapted(from, "self_attn.k_proj", adapts ? "self_attn.linear_k" : NULL, wide, WIDE, K, out->k);
    adapted(from, "self_attn.v_proj", adapts ? "self_attn.linear_v" : NULL, wide, WIDE, K, out->v);
    rotate(from->rope, HEADS, p, out->q);
    rotate(from->rope, KV, p, out->k);
}

static void attend(const struct row *rows, int t, double *out)
{
    memset(out, 0, Q * sizeof *out);
    for (int h = 0; h < HEADS; h++) {
        const int shared = h * KV / HEADS * WIDTH;
        double weight[TOKENS], sum = 0;
        for (int j = 0; j <= t; j++) {
            double score = 0;
            for (int i = 0; i < WIDTH; i++) {
                score += (double)0.7F * rows[t].q[h * WIDTH + i] * rows[j].k[shared + i];
            }
            sum += weight[j] = exp(score);
        }
        for (int i = 0; i < (t + 1) * WIDTH; i++) {
            const int j = i / WIDTH, c = i % WIDTH;
            out[h * WIDTH + c] += weight[j] / sum * rows[j].v[shared + c];
        }
    }
}

/* What the block hands on for the attention's context of one row. */
static void finish(const struct filled *from, const double *context, double *side)
{
    char name[32];
    double a[D], hidden[2 * FF], down[D];
    linear(context, Q, shared_weight(from, "self_attn.o_proj"), D, a);
    rms_norm(shared_weight(from, "pre_ff_layernorm"), D, a);
    adapted(from, "feed_forward.gate_up_proj", "feed_forward.gate_up_proj", a, D, 2 * FF, hidden);
    for (int i = 0; i < FF; i++) {
        hidden[i] *= 0.5 * (1 + erf(hidden[i] / sqrt(2))) * hidden[FF + i];
    }
    linear(hidden, FF, shared_weight(from, "feed_forward.down_proj"), D, down);
    snprintf(name, sizeof name, "layers.%d.linear.weight", from->layer);
    linear(down, D, test_weight(from->model, from->floats, name), D, side);
}

static void check_pass(const struct ko_rope_config *rope)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    struct ko_model *model = make_model(rope);
    float *floats = calloc(ko_model_floats(model), sizeof *floats), got[TOKENS * D];
    struct filled from = {model, floats, rope, 0};
    double x[TOKENS][D], x0[TOKENS][D], largest = 0;
    assert_non_null(floats);
    ko_model_fill_random(model, 1, floats);
    test_run_trunk(model, floats, tokens, TOKENS, got);
    for (int i = 0; i < TOKENS * D; i++) {
        x[i / D][i % D] = (double)test_weight(model, floats, "tokens")[tokens[i / D] * D + i % D];
    }
    memcpy(x0, x, sizeof x);
    for (; from.layer < LAYERS; from.layer++) {
        struct row rows[TOKENS];
        for (int t = 0; t < TOKENS; t++) {
            project(&from, x[t], x0[t], t, &rows[t]);
        }
        for (int t = 0; t < TOKENS; t++) {
            double context[Q], side[D];
            attend(rows, t, context);
            finish(&from, context, side);
            for (int c = 0; c < D; c++) {
                x[t][c] += side[c];
            }
        }
    }
    for (int i = 0; i < TOKENS * D; i++) {
        const double off = fabs((double)got[i] - x[i / D][i % D]);
        largest = off > largest ? off : largest;
        assert_true(off <= 3e-6); /* observed: 3e-7 */
    }
    print_message("%.1e from double precision\n", largest);
    free(floats);
    ko_model_free(model);
}

static void a_shared_block_follows_the_formulas(void **state)
{
    static const struct ko_rope_config rope = {.theta = 50, .n_rotated = WIDTH};
    (void)state;
    check_pass(&rope); /* with adapters of queries, keys and values */
    check_pass(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(hybrid_layers_take_turns_with_the_blocks),
        cmocka_unit_test(the_workspace_has_the_side_input_and_the_embedding),
        cmocka_unit_test(the_details_count_the_blocks),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(a_shared_block_follows_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The matrix products that a model is measured by. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/bench/gemm.h"
#include "src/bench/shapes.h"
#include "src/models/model_open.h"
#include "tests/support/configured.h"

static struct ko_model *model_of(const char *shape)
{
    struct ko_error err = {0};
    struct ko_model *model = NULL;
    json_object *config = json_tokener_parse(ko_shape_config(shape));
    if (ko_model_from_config(shape, config, &model, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    json_object_put(config);
    return model;
}

/* Of one row, averaged over the layers. */
static double layer_flop(const struct ko_model *model)
{
    double sum = 0;
    for (size_t s = 0; s < model->n_sublayers; s++) {
        double flop[3] = {0};
        model->sublayer[s].kind->row_flop(&model->sublayer[s], model->shape.d_model, flop);
        sum += flop[0] + flop[1] + flop[2];
    }
    return sum / model->shape.n_layers;
}

static void products_have_the_flop_of_a_row(void **state)
{
    size_t n_shapes = 0;
    const char *const *names = ko_shape_names(&n_shapes);
    (void)state;
    for (size_t s = 0; s < n_shapes; s++) {
        struct ko_product products[KO_MAX_PRODUCTS];
        struct ko_model *model = model_of(names[s]);
        const int n = ko_products_of(model, products);
        double flop = 0;
        assert_in_range(n, 1, KO_MAX_PRODUCTS - 1);
        for (int p = 0; p < n; p++) {
            flop += products[p].flop;
        }
        const double part = flop / layer_flop(model);
        /* Zamba2's layers share the matrices of its blocks. */
        const bool shares = strncmp(names[s], "zamba2", 6) == 0;
        if (!(shares ? part > 0.3 && part < 1 : fabs(part - 1) < 1e-12)) {
            fail_msg("%s: the products have %g times the FLOP of a row", names[s], part);
        }
        ko_model_free(model);
    }
}

static void experts_are_counted_as_often_as_a_row_chooses_them(void **state)
{
    static const struct {
        const char *shape, *name;
        int32_t n_experts, n_chosen, n_in, n_out;
    } rows[] = {
        {"mixtral-8x7b", "block_sparse_moe.experts.w2.weight", 8, 2, 14336, 4096},
        {"qwen3-30b-a3b", "mlp.experts.gate_proj.weight", 128, 8, 2048, 768},
        {"olmoe-1b-7b", "mlp.experts.up_proj.weight", 64, 8, 2048, 1024},
        {"gpt-oss-20b", "mlp.experts.gate_up_proj", 32, 4, 2880, 5760},
        {"gpt-oss-20b", "mlp.experts.down_proj", 32, 4, 2880, 2880},
        {"gpt-oss-20b", "mlp.router.weight", 0, 0, 2880, 32},
        {"recurrentgemma-2b", "temporal_block.rg_lru.input_gate_weight", 10, 10, 256, 256},
        {"qwen3-8b", "mlp.up_proj.weight", 0, 0, 4096, 12288},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_product products[KO_MAX_PRODUCTS];
        struct ko_model *model = model_of(rows[k].shape);
        const int n = ko_products_of(model, products);
        int p = 0;
        while (p < n && strcmp(products[p].name, rows[k].name) != 0) {
            p++;
        }
        if (p == n) {
            fail_msg("%s has no product %s", rows[k].shape, rows[k].name);
        }
        assert_int_equal(products[p].n_experts, rows[k].n_experts);
        assert_int_equal(products[p].n_chosen, rows[k].n_chosen);
        assert_int_equal(products[p].n_in, rows[k].n_in);
        assert_int_equal(products[p].n_out, rows[k].n_out);
        ko_model_free(model);
    }
}

/* One expert, more experts than rows, and every expert chosen. */
static const char *const small[] = {
    "{\"num_experts\": 1, \"num_experts_per_tok\": 1, ",
    "{\"num_experts\": 70, \"num_experts_per_tok\": 1, ",
    "{\"num_experts\": 3, \"num_experts_per_tok\": 3, ",
};
#define SMALL_REST                                                                                 \
    "\"hidden_size\": 16, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, "                  \
    "\"num_key_value_heads\": 2, \"intermediate_size\": 24, \"vocab_size\": 40}"

static void experts_are_measured_in_both_ways(void **state)
{
    const struct ko_backend_config config = {.threads = 1};
    struct ko_backend *be = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_kernels_cpu.open(&config, &be, &err), KO_OK);
    const struct ko_gemm_effort effort = {.kernels = &ko_kernels_cpu,
                                          .be = be,
                                          .precision = KO_FLOAT32,
                                          .rows = 32,
                                          .seconds = 1e-4,
                                          .layouts = 2};
    for (size_t k = 0; k < sizeof small / sizeof small[0]; k++) {
        struct ko_product products[KO_MAX_PRODUCTS];
        struct ko_gemm_rounds rounds;
        char text[512];
        snprintf(text, sizeof text, "%s%s", small[k], SMALL_REST);
        struct ko_model *model = test_configured("olmoe", text, &err);
        assert_non_null(model);
        const int n = ko_products_of(model, products);
        assert_int_equal(n, 8);
        assert_true(isnan(ko_products_rate(products, n)));
        assert_int_equal(ko_products_measure(&effort, products, n, &err), KO_OK);
        for (int p = 0; p < n; p++) {
            assert_true(products[p].rate > 0 && products[p].whole_rate > 0);
            assert_true(products[p].n_experts > 0 || products[p].rate == products[p].whole_rate);
        }
        assert_true(ko_products_rate(products, n) > 0 && ko_products_whole_rate(products, n) > 0);
        assert_int_equal(ko_products_rounds(&effort, products, n, &rounds, &err), KO_OK);
        assert_true(rounds.n > 0 && rounds.fastest > 0);
        ko_model_free(model);
    }
    ko_kernels_cpu.close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_have_the_flop_of_a_row),
        cmocka_unit_test(experts_are_counted_as_often_as_a_row_chooses_them),
        cmocka_unit_test(experts_are_measured_in_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What `bench` says about a result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "src/bench/bench_run.h"

/* 100 FLOP in a second, by products of 200 FLOP/s, or of 400 with all rows in one. */
static const struct ko_bench_result dense = {
    .shape = "toy",
    .n_prompts = 1,
    .n_cells = 10,
    .n_batches = 1,
    .product = {{.name = "q", .n_out = 3, .n_in = 2, .flop = 100, .rate = 200, .whole_rate = 200}},
    .n_products = 1,
    .flop = 100,
    .gemm_rate = 200,
    .whole_rate = 200,
    .seconds = 1,
    .profile_seconds = 1,
};

static struct ko_bench_result mixture(void)
{
    struct ko_bench_result result = dense;
    result.product[0].n_experts = 8;
    result.product[0].n_chosen = 2;
    result.product[0].whole_rate = result.whole_rate = 400;
    return result;
}

static char *text_of(const struct ko_bench_result *result)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    ko_bench_print(result, out);
    fclose(out);
    return text;
}

static json_object *json_of(const struct ko_bench_result *result)
{
    char *text = NULL;
    size_t n = 0;
    struct ko_error err = {0};
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    assert_int_equal(ko_bench_print_json(result, out, &err), KO_OK);
    fclose(out);
    json_object *root = json_tokener_parse(text);
    assert_non_null(root);
    free(text);
    return root;
}

static double number_at(json_object *object, const char *key)
{
    return json_object_get_double(json_object_object_get(object, key));
}

static void a_mixture_is_compared_with_two_rates(void **state)
{
    const struct ko_bench_result result = mixture();
    (void)state;
    char *text = text_of(&result);
    assert_non_null(strstr(text, "each row has 2 of 8 experts"));
    assert_non_null(strstr(text, "each with its own matrix and 2/8 of the rows"));
    assert_non_null(strstr(text, "measured for these products: 50.0 %"));
    assert_non_null(strstr(text, "with all rows in one product:\n  0.0 GFLOP/s of 0.0: 25.0 %"));
    free(text);
    json_object *root = json_of(&result);
    json_object *product = json_object_array_get_idx(json_object_object_get(root, "products"), 0);
    assert_true(number_at(root, "fraction_of_gemm") == 0.5);
    assert_true(number_at(root, "gemm_flops_whole") == 400);
    assert_true(number_at(root, "fraction_of_whole") == 0.25);
    assert_true(number_at(product, "experts") == 8 && number_at(product, "experts_of_a_row") == 2);
    assert_true(number_at(product, "flops") == 200 && number_at(product, "flops_whole") == 400);
    json_object_put(root);
}

static void other_models_are_compared_with_one(void **state)
{
    (void)state;
    char *text = text_of(&dense);
    assert_null(strstr(text, "expert"));
    free(text);
    json_object *root = json_of(&dense);
    assert_null(json_object_object_get(root, "gemm_flops_whole"));
    json_object_put(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mixture_is_compared_with_two_rates),
        cmocka_unit_test(other_models_are_compared_with_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

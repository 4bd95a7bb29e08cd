/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/bench/shapes.h"
#include "src/models/model_open.h"
#include "tests/support/configured.h"

static void every_shape_has_the_sizes_of_the_published_model(void **state)
{
    static const struct {
        const char *name;
        int32_t d_model, n_layers, vocabulary, d_inner, dt_rank, n_heads, n_kv_heads, d_head, reach;
        double least, most; /* parameters, in millions */
    } rows[] = {
        {"mamba-130m", 768, 24, 50280, 1536, 48, 0, 0, 0, INT32_MAX, 129, 130},
        {"mamba-1.4b", 2048, 48, 50280, 4096, 128, 0, 0, 0, INT32_MAX, 1370, 1374},
        {"mamba-2.8b", 2560, 64, 50280, 5120, 160, 0, 0, 0, INT32_MAX, 2766, 2770},
        {"mamba-7b-rw", 4096, 64, 50432, 8192, 256, 0, 0, 0, INT32_MAX, 6900, 7200},
        {"falcon-mamba-7b", 4096, 64, 65024, 8192, 256, 0, 0, 0, INT32_MAX, 7270, 7275},
        {"falcon3-mamba-7b", 4096, 64, 65024, 8192, 256, 0, 0, 0, INT32_MAX, 7270, 7275},
        {"mamba2-130m", 768, 24, 50288, 1536, 0, 24, 0, 64, INT32_MAX, 128, 130},
        {"mamba2-1.3b", 2048, 48, 50288, 4096, 0, 64, 0, 64, INT32_MAX, 1340, 1346},
        {"mamba2-2.7b", 2560, 64, 50288, 5120, 0, 80, 0, 64, INT32_MAX, 2700, 2705},
        {"gpt2-medium", 1024, 24, 50257, 0, 0, 16, 16, 64, INT32_MAX, 354, 356},
        {"gpt2-large", 1280, 36, 50257, 0, 0, 20, 20, 64, INT32_MAX, 773, 775},
        {"gpt2-xl", 1600, 48, 50257, 0, 0, 25, 25, 64, INT32_MAX, 1556, 1559},
        {"pythia-2.8b", 2560, 32, 50304, 0, 0, 32, 32, 80, INT32_MAX, 2775.2, 2775.3},
        {"pythia-6.9b", 4096, 32, 50432, 0, 0, 32, 32, 128, INT32_MAX, 6857.3, 6857.4},
        {"gpt-j-6b", 4096, 28, 50400, 0, 0, 16, 16, 256, INT32_MAX, 6050.8, 6050.9},
        {"phi-2", 2560, 32, 51200, 0, 0, 32, 32, 80, INT32_MAX, 2779.6, 2779.7},
        {"opt-6.7b", 4096, 32, 50272, 0, 0, 32, 32, 128, INT32_MAX, 6658.4, 6658.5},
        {"llama-3.2-1b", 2048, 16, 128256, 0, 0, 32, 8, 64, INT32_MAX, 1235, 1237},
        {"llama-3.2-3b", 3072, 28, 128256, 0, 0, 24, 8, 128, INT32_MAX, 3212, 3214},
        {"llama-3-8b", 4096, 32, 128256, 0, 0, 32, 8, 128, INT32_MAX, 8029, 8032},
        {"llama-3.1-8b", 4096, 32, 128256, 0, 0, 32, 8, 128, INT32_MAX, 8029, 8032},
        {"mistral-7b-v0.1", 4096, 32, 32000, 0, 0, 32, 8, 128, 4096, 7240, 7243},
        {"mistral-7b-v0.3", 4096, 32, 32768, 0, 0, 32, 8, 128, INT32_MAX, 7247, 7249},
        {"qwen3-8b", 4096, 36, 151936, 0, 0, 32, 8, 128, INT32_MAX, 8190, 8192},
        {"gemma-2b", 2048, 18, 256000, 0, 0, 8, 1, 256, INT32_MAX, 2506, 2507},
        {"gemma-2-9b", 3584, 42, 256000, 0, 0, 16, 8, 256, INT32_MAX, 9241, 9243},
        {"gemma-3-1b", 1152, 26, 262144, 0, 0, 4, 1, 256, INT32_MAX, 999, 1001},
        {"olmo-2-7b", 4096, 32, 100352, 0, 0, 32, 32, 128, INT32_MAX, 7298, 7299},
        {"olmo-3-7b", 4096, 32, 100278, 0, 0, 32, 32, 128, INT32_MAX, 7298, 7299},
        {"phi-3-mini", 3072, 32, 32064, 0, 0, 32, 32, 96, 2047, 3821, 3822},
        {"phi-4", 5120, 40, 100352, 0, 0, 40, 10, 128, INT32_MAX, 14659, 14660},
        {"granite-3.3-8b", 4096, 40, 49159, 0, 0, 32, 8, 128, INT32_MAX, 8170, 8171},
        {"smollm3-3b", 2048, 36, 128256, 0, 0, 16, 4, 128, INT32_MAX, 3075, 3076},
        {"mixtral-8x7b", 4096, 32, 32000, 0, 0, 32, 8, 128, INT32_MAX, 46702, 46703},
        {"qwen3-30b-a3b", 2048, 48, 151936, 0, 0, 32, 4, 128, INT32_MAX, 30532, 30533},
        {"olmoe-1b-7b", 2048, 16, 50304, 0, 0, 16, 16, 128, INT32_MAX, 6919, 6920},
        {"gpt-oss-20b", 2880, 24, 201088, 0, 0, 64, 8, 64, INT32_MAX, 20914, 20915},
        {"falcon-h1-0.5b", 1024, 36, 32784, 1536, 0, 32, 2, 128, INT32_MAX, 500, 530},
        {"falcon-h1-1.5b", 2048, 24, 65537, 3072, 0, 56, 2, 192, INT32_MAX, 1550, 1560},
        {"falcon-h1-1.5b-deep", 1280, 66, 65536, 1536, 0, 30, 2, 192, INT32_MAX, 1550, 1560},
        {"falcon-h1-3b", 2560, 32, 65536, 4096, 0, 42, 2, 256, INT32_MAX, 3140, 3160},
        {"falcon-h1-7b", 3072, 44, 130048, 3072, 0, 36, 2, 256, INT32_MAX, 7000, 8000},
        {"qwen3.5-9b", 4096, 32, 248320, 0, 0, 48, 4, 384, INT32_MAX, 8000, 10000},
        {"qwen3-next-80b-a3b", 2048, 48, 151936, 0, 0, 48, 2, 384, INT32_MAX, 79600, 79800},
        {"lfm2-350m", 1024, 16, 65536, 0, 0, 16, 8, 64, INT32_MAX, 354.4, 354.5},
        {"lfm2-700m", 1536, 16, 65536, 0, 0, 24, 8, 64, INT32_MAX, 742.4, 742.5},
        {"lfm2-1.2b", 2048, 16, 65536, 0, 0, 32, 8, 64, INT32_MAX, 1170.3, 1170.4},
        {"lfm2-2.6b", 2048, 30, 65536, 0, 0, 32, 8, 64, INT32_MAX, 2560, 2580},
        {"zamba2-1.2b", 2048, 38, 32000, 4096, 0, 96, 32, 192, INT32_MAX, 1210, 1220},
        {"zamba2-2.7b", 2560, 54, 32000, 5120, 0, 112, 32, 224, INT32_MAX, 2662, 2663},
        {"zamba2-7b", 3584, 81, 32000, 7168, 0, 144, 32, 288, INT32_MAX, 7350, 7450},
        {"nemotron-h-8b", 4096, 52, 131072, 8192, 0, 160, 8, 192, INT32_MAX, 8100, 8101},
        {"granite-4.0-h-350m", 768, 32, 100352, 1536, 0, 60, 4, 96, INT32_MAX, 335, 345},
        {"granite-4.0-h-1b", 1536, 40, 100352, 3072, 0, 60, 4, 192, INT32_MAX, 1450, 1470},
        {"granite-4.0-h-micro", 2048, 40, 100352, 4096, 0, 96, 8, 128, INT32_MAX, 3191, 3192},
        {"granite-4.0-h-tiny", 1536, 40, 100352, 3072, 0, 60, 4, 192, INT32_MAX, 6930, 6950},
        {"granite-4.0-micro", 2560, 40, 100352, 0, 0, 40, 8, 64, INT32_MAX, 3400, 3410},
        {"bamba-9b", 4096, 32, 128256, 8192, 0, 160, 8, 192, INT32_MAX, 9770, 9790},
        {"jamba-3b", 2560, 28, 65536, 5120, 160, 20, 1, 128, INT32_MAX, 3029, 3030},
        {"recurrentgemma-2b", 2560, 26, 256000, 2560, 0, 10, 1, 256, 2048, 2681, 2683},
    };
    size_t n = 0;
    (void)state;
    const char *const *names = ko_shape_names(&n);
    assert_int_equal(n, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < n; i++) {
        struct ko_error err = {0};
        struct ko_model *model = NULL;
        assert_string_equal(names[i], rows[i].name);
        json_object *config = json_tokener_parse(ko_shape_config(names[i]));
        assert_non_null(config);
        if (ko_model_from_config(names[i], config, &model, &err)) {
            fail_msg("%s", err.text);
        }
        json_object_put(config);
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->d_inner, rows[i].d_inner);
        assert_int_equal(s->dt_rank, rows[i].dt_rank);
        assert_int_equal(s->n_ssm_heads + s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_ssm_head + s->d_head, rows[i].d_head);
        assert_int_equal(s->reach, rows[i].reach);
        double parameters = 0;
        for (size_t w = 0; w < model->n_weights; w++) {
            if (model->weights[w].transform != KO_DECAY_NORMS) {
                parameters += (double)model->weights[w].n / 1e6;
            }
        }
        if (!(parameters >= rows[i].least && parameters <= rows[i].most)) {
            fail_msg("%s: %g million parameters", names[i], parameters);
        }
        ko_model_free(model);
    }
    assert_null(ko_shape_config("mamba-131m"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_has_the_sizes_of_the_published_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

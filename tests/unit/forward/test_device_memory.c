/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a model needs on a device, and the budget that fits a smaller one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/forward/device_memory.h"
#include "src/forward/forward.h"
#include "src/forward/layer_layout.h"
#include "src/models/weights.h"
#include "src/tree/batch.h"
#include "tests/support/configured.h"
#include "tests/support/made_plan.h"

enum { LAYERS = 4, WIDTH = 64, RESERVED_A_ROW = 1000, RESERVED = 1 << 20 };

static enum ko_element matrix_type(enum ko_precision precision)
{
    return precision == KO_BFLOAT16 ? KO_ELEMENT_BF16
           : precision == KO_BF16X3 ? KO_ELEMENT_BF16X2
                                    : KO_ELEMENT_F32;
}

static size_t reserved_bytes(enum ko_precision precision, const struct ko_limits *limits)
{
    (void)precision;
    return RESERVED + (size_t)limits->max_rows * RESERVED_A_ROW;
}

/* A backend as far as the arithmetic asks for it. */
static const struct ko_kernels device = {.name = "device",
                                         .own_memory = true,
                                         .matrix_type = matrix_type,
                                         .reserved_bytes = reserved_bytes};

static struct ko_plan *plan;
static struct ko_model *model;
static struct ko_device_model on_device;

static void twelve_tokens(int32_t m, int32_t fact, struct ko_prompt *prompt)
{
    (void)m;
    (void)fact;
    prompt->n_tokens = 12;
}

static int setup(void **state)
{
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\n"
                                     "routes: [last<-subject, last<-last]\n"
                                     "features: [all, slow-third, fast-third+conv]\n"
                                     "windows: {sizes: [1, 2], starts: all}\n",
                             .model = {{.n_layers = LAYERS, .n_features = 128, .d_conv = 4}},
                             .n_facts = {3},
                             .shape = twelve_tokens};
    struct ko_error err = {0};
    (void)state;
    model = test_configured("mamba",
                            "{\"hidden_size\": 64, \"num_hidden_layers\": 4, \"vocab_size\": 500, "
                            "\"state_size\": 16}",
                            &err);
    if (!model || made_plan_build(&made, &plan, NULL, &err) != KO_OK) {
        return -1;
    }
    on_device = (struct ko_device_model){plan, 0, model, &device, KO_FLOAT32, 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ko_plan_free(plan);
    ko_model_free(model);
    return 0;
}

static double total(int32_t rows)
{
    struct ko_device_memory memory;
    ko_device_memory_predict(&on_device, rows, &memory);
    return ko_device_memory_total(&memory);
}

static void every_part_is_counted(void **state)
{
    struct ko_device_memory f32, bf16;
    struct ko_device_model narrow = on_device;
    narrow.precision = KO_BFLOAT16;
    (void)state;
    ko_device_memory_predict(&on_device, 100, &f32);
    ko_device_memory_predict(&narrow, 100, &bf16);
    assert_true(f32.matrices >= 4.0 * (500 * 64 + LAYERS * 3 * 64 * 128));
    assert_true(f32.matrices == 2 * bf16.matrices);
    assert_true(f32.values > 0 && f32.values == bf16.values);
    /* Two of the three classes are masks, of 128 channels and as many of the convolution. */
    assert_true(f32.masks == 2.0 * LAYERS * (128 + 128));
    assert_true(f32.rows == 100.0 * 4 * (double)ko_model_row_floats(model));
    assert_true(f32.reserved == RESERVED + 100.0 * RESERVED_A_ROW);
    assert_true(f32.context == KO_DEVICE_CONTEXT_BYTES);
    assert_true(ko_device_memory_total(&f32) - ko_device_memory_total(&bf16) == bf16.matrices);
}

/* Two bytes a weight where a matrix is exactly bfloat16, four elsewhere. */
static void exact_matrices_count_half(void **state)
{
    struct ko_device_memory f32, split, half, one;
    struct ko_device_model pairs = on_device;
    struct ko_weight *embedding = &model->weights[model->ends.embedding];
    pairs.precision = KO_BF16X3;
    (void)state;
    ko_device_memory_predict(&on_device, 100, &f32);
    ko_device_memory_predict(&pairs, 100, &split);
    assert_true(split.matrices == f32.matrices);
    assert_true(ko_model_exact_share(model) == 0);
    embedding->exact = true;
    ko_device_memory_predict(&pairs, 100, &one);
    assert_true(one.matrices == f32.matrices - 2.0 * (double)embedding->n);
    ko_model_find_exact(model, NULL);
    ko_device_memory_predict(&pairs, 100, &half);
    assert_true(2 * half.matrices == f32.matrices);
    assert_true(ko_model_exact_share(model) == 1);
    ko_device_memory_predict(&on_device, 100, &one);
    assert_true(one.matrices == f32.matrices);
    for (size_t w = 0; w < model->n_weights; w++) {
        model->weights[w].exact = false;
        model->weights[w].exact_before = 0;
    }
}

static void what_fits_is_accepted(void **state)
{
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_device_memory_check(&on_device, 4096, total(4096), "GPU 0", &err), KO_OK);
    assert_string_equal(err.text, "");
}

static void the_error_names_a_budget_that_fits(void **state)
{
    struct ko_error err = {0};
    int32_t smallest = 0, proposed = 0;
    (void)state;
    assert_int_equal(ko_batches_smallest_budget(plan, 0, &smallest, &err), KO_OK);
    assert_in_range(smallest, 13, 100);
    const int32_t holds[] = {4095, 3000, 1024, 1023, 257, 255, smallest + 1, smallest};
    const int32_t want[] = {3840, 2816, 1024, 768, 256, 255, smallest + 1, smallest};
    for (size_t k = 0; k < sizeof holds / sizeof holds[0]; k++) {
        const double available = total(holds[k]);
        assert_int_equal(ko_device_memory_check(&on_device, 4096, available, "GPU 0 of n1", &err),
                         KO_E_INPUT);
        assert_memory_equal(err.text, "row-budget: 4096 rows of toy need 5", 35);
        assert_non_null(strstr(err.text, ", GPU 0 of n1 has "));
        const char *choose = strstr(err.text, "choose --row-budget ");
        assert_non_null(choose);
        assert_int_equal(sscanf(choose, "choose --row-budget %d", &proposed), 1);
        assert_int_equal(proposed, want[k]);
        assert_true(total(proposed) <= available);
    }
}

static void nothing_fits_where_the_smallest_valid_budget_does_not(void **state)
{
    struct ko_error err = {0};
    int32_t smallest = 0;
    char words[128];
    (void)state;
    assert_int_equal(ko_batches_smallest_budget(plan, 0, &smallest, &err), KO_OK);
    snprintf(words, sizeof words,
             "row-budget: toy does not fit: its smallest row budget for these prompts, %d, needs",
             smallest);
    const double available[] = {total(smallest - 1), 1e6, 0};
    for (size_t k = 0; k < sizeof available / sizeof available[0]; k++) {
        assert_int_equal(ko_device_memory_check(&on_device, 4096, available[k], "GPU 0", &err),
                         KO_E_INPUT);
        assert_memory_equal(err.text, words, strlen(words));
    }
}

/* Weights stay where they fit, and stream where they do not, through as many slots as fit. */
static void what_does_not_fit_streams(void **state)
{
    struct ko_device_model chosen = on_device, streamed = on_device;
    struct ko_device_memory memory;
    struct ko_error err = {0};
    int32_t smallest = 0;
    (void)state;
    streamed.slots = KO_LAYER_LEAST_SLOTS;
    ko_device_memory_predict(&streamed, 100, &memory);
    const double resident = total(100), least = ko_device_memory_total(&memory);
    streamed.slots++;
    ko_device_memory_predict(&streamed, 100, &memory);
    const double three = ko_device_memory_total(&memory);
    assert_true(least < resident);
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_AUTO, 100, resident, "GPU 0", &err), KO_OK);
    assert_int_equal(chosen.slots, 0);
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_AUTO, 100, resident - 1, "GPU 0", &err), KO_OK);
    assert_in_range(chosen.slots, 3, KO_COPIER_MOST_SLOTS);
    for (int more = 0; more < 2; more++) {
        const double available = more ? three : three - 1;
        assert_int_equal(
            ko_device_memory_choose(&chosen, KO_WEIGHTS_AUTO, 100, available, "GPU 0", &err),
            KO_OK);
        assert_int_equal(chosen.slots, 2 + more);
    }
    assert_int_equal(ko_device_memory_choose(&chosen, KO_WEIGHTS_AUTO, 100, least, "GPU 0", &err),
                     KO_OK);
    assert_int_equal(chosen.slots, 2);
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_STREAM, 100, 2 * resident, "GPU 0", &err),
        KO_OK);
    assert_int_equal(chosen.slots, KO_COPIER_MOST_SLOTS);
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_RESIDENT, 100, resident - 1, "GPU 0", &err),
        KO_E_INPUT);
    assert_int_equal(ko_batches_smallest_budget(plan, 0, &smallest, &err), KO_OK);
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_AUTO, smallest, 1e6, "GPU 0", &err),
        KO_E_INPUT);
    assert_non_null(strstr(err.text, "toy does not fit, though its weights stream: its smallest "));
    assert_null(strstr(err.text, "--weights stream"));
    assert_int_equal(
        ko_device_memory_choose(&chosen, KO_WEIGHTS_RESIDENT, smallest, 1e6, "GPU 0", &err),
        KO_E_INPUT);
    assert_non_null(strstr(err.text, "choose --weights stream, a GPU with more memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_counted),
        cmocka_unit_test(exact_matrices_count_half),
        cmocka_unit_test(what_fits_is_accepted),
        cmocka_unit_test(the_error_names_a_budget_that_fits),
        cmocka_unit_test(nothing_fits_where_the_smallest_valid_budget_does_not),
        cmocka_unit_test(what_does_not_fit_streams),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

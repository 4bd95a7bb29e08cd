/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that is predicted for the CPU's attention is what its operation allocates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/cpu/cpu.h"
#include "src/forward/device_memory.h"
#include "src/forward/rows.h"
#include "src/tree/cost.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/configured.h"
#include "tests/support/made_plan.h"

enum { THREADS = 2, LAYERS = 4, HEADS = 4, KV_HEADS = 2, D_HEAD = 16 };

static int32_t n_tokens;    /* of every prompt; a third more in each third one */
static int32_t n_options;   /* of every prompt; 0: one answer of one token */
static int32_t n_of_option; /* its tokens; no two options begin alike */

static void set_options(struct ko_prompt *prompt)
{
    struct ko_choices *choices = &prompt->choices;
    struct ko_error err = {0};
    choices->item = calloc((size_t)n_options, sizeof *choices->item);
    for (; choices->n < n_options; choices->n++) {
        struct ko_choice *choice = &choices->item[choices->n];
        choice->kind = KO_CHOICE_OPTION | (choices->n == 0 ? KO_CHOICE_RIGHT : 0);
        choice->n = n_of_option;
        choice->token = calloc((size_t)n_of_option, sizeof *choice->token);
        for (int32_t k = 0; k < n_of_option; k++) {
            choice->token[k] = choices->n + k;
        }
    }
    assert_int_equal(ko_choices_arrange(choices, &err), KO_OK);
}

static void set_tokens(int32_t m, int32_t fact, struct ko_prompt *prompt)
{
    (void)m;
    prompt->n_tokens = n_tokens + (fact % 3 == 0 ? n_tokens / 3 : 0);
    prompt->subject_end = prompt->subject_begin + 5;
    if (n_options > 0) {
        set_options(prompt);
    }
}

static void allocate(void **out, size_t n)
{
    *out = calloc(n, sizeof(float));
    assert_non_null(*out);
}

/* Attention of one wave, whose numbers are all 0. */
static void attend(struct ko_backend *be, const struct ko_rows *rows)
{
    struct ko_error err = {0};
    void *q, *v, *out;
    const size_t n = (size_t)rows->n_rows * HEADS * D_HEAD;
    allocate(&q, 2 * n);
    allocate(&v, n);
    allocate(&out, n);
    assert_int_equal(ko_kernels_cpu.set_rows(be, rows, &err), KO_OK);
    for (int32_t stage = 0; stage < LAYERS; stage++) {
        const struct ko_attention args = {.stage = stage,
                                          .n_heads = HEADS,
                                          .n_kv_heads = KV_HEADS,
                                          .d_head = D_HEAD,
                                          .d_value = D_HEAD,
                                          .reach = INT32_MAX,
                                          .scale = 1,
                                          .q = q,
                                          .k = (float *)q + (size_t)HEADS * D_HEAD,
                                          .ld = 2 * HEADS * D_HEAD,
                                          .stride = D_HEAD,
                                          .v = v,
                                          .ld_v = HEADS * D_HEAD,
                                          .stride_v = D_HEAD,
                                          .out = out};
        assert_int_equal(ko_kernels_cpu.attention(be, &args, &err), KO_OK);
    }
    free(q);
    free(v);
    free(out);
}

/* The scratch of a backend that has computed all waves of a plan. */
static size_t allocated_bytes(const struct ko_plan *plan, const struct ko_batches *batches)
{
    const struct ko_backend_config config = {.threads = THREADS, .precision = KO_FLOAT32};
    struct ko_backend *be = NULL;
    struct ko_error err = {0};
    assert_int_equal(ko_kernels_cpu.open(&config, &be, &err), KO_OK);
    for (int32_t b = 0; b < batches->n; b++) {
        for (int32_t w = 0; w < batches->batch[b].n_waves; w++) {
            struct ko_wave wave = {0};
            struct ko_row_set set = {0};
            assert_int_equal(ko_wave_build(plan, &batches->batch[b], w, &wave, &err), KO_OK);
            assert_int_equal(ko_row_set_build(plan, &wave, &set, &err), KO_OK);
            attend(be, &set.rows);
            ko_row_set_free(&set);
            ko_wave_free(&wave);
        }
    }
    const size_t bytes = be->scratch_bytes;
    ko_kernels_cpu.close(be);
    return bytes;
}

static void compare_bytes(const struct ko_model *model, const char *routes, int32_t tokens,
                          int32_t budget)
{
    char spec[300];
    (void)snprintf(spec, sizeof spec,
                   "models: [a]\nprompts: {file: f, score: whole-answer}\nroutes: [%s]\n"
                   "windows: {sizes: [1, 2], starts: all}\n",
                   routes);
    const struct made_case made = {.spec = spec,
                                   .model = {{.n_layers = LAYERS, .row_budget = budget}},
                                   .n_facts = {7},
                                   .shape = set_tokens};
    struct ko_plan *plan = NULL;
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    n_tokens = tokens;
    if (made_plan_build(&made, &plan, NULL, &err) != KO_OK ||
        ko_batches_compose(plan, &batches, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    const struct ko_host_model on_host = {plan, &batches, 0, model, &ko_kernels_cpu, THREADS};
    const double rest = ko_plan_worker_bytes(plan, &batches, 0);
    const double predicted = ko_host_memory_worker(&on_host) - rest;
    const double allocated = (double)allocated_bytes(plan, &batches);
    /* Observed: 1.00 to 1.38 times; with options, of whose paths not all are long, to 2.0 times. */
    if (!(predicted >= allocated && predicted <= (n_options > 0 ? 2.3 : 1.5) * allocated)) {
        fail_msg("%s, %d tokens, budget %d, %d options of %d: %.0f bytes, predicted %.0f", routes,
                 tokens, budget, n_options, n_of_option, allocated, predicted);
    }
    const struct ko_kernels silent = {.name = "silent"};
    struct ko_host_model without = on_host;
    without.kernels = &silent;
    assert_true(ko_host_memory_worker(&without) == rest);
    ko_batches_free(&batches);
    ko_plan_free(plan);
}

static void attention_takes_what_is_predicted(void **state)
{
    struct ko_error err = {0};
    struct ko_model *model =
        test_configured("llama",
                        "{\"hidden_size\": 64, \"num_hidden_layers\": 4, \"vocab_size\": 500, "
                        "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
                        "\"intermediate_size\": 96}",
                        &err);
    (void)state;
    if (!model) {
        fail_msg("%s", err.text);
    }
    const struct ko_sizes sizes = ko_model_sizes(model);
    assert_true(sizes.n_kv_heads == KV_HEADS && sizes.d_head == D_HEAD);
    compare_bytes(model, "last<-subject", 12, 0);
    compare_bytes(model, "last<-subject", 300, 0);
    compare_bytes(model, "later<-subject", 300, 0);
    compare_bytes(model, "later<-subject", 300, 1500);
    compare_bytes(model, "'last<-subject', 'later<-subject', 'all<-first'", 300, 0);
    compare_bytes(model, "later<-subject", 1500, 0);
    const int32_t options[][2] = {{4, 3}, {36, 4}, {4, 14}, {12, 14}, {3, 40}};
    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
        n_options = options[k][0];
        n_of_option = options[k][1];
        compare_bytes(model, "last<-subject", 60, 0);
        compare_bytes(model, "later<-subject", 60, 0);
        compare_bytes(model, "last<-subject", 300, 0);
        compare_bytes(model, "'last<-subject', 'later<-subject', 'all<-first'", 300, 0);
    }
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_takes_what_is_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

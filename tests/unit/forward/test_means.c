/* SPDX-License-Identifier: Apache-2.0 */
/* The means of components over clean runs against sums that are made one prompt at a time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/forward/engine.h"
#include "src/forward/forward.h"
#include "src/forward/means.h"
#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/made_plan.h"

enum { N_FACTS = 6, N_LAYERS = 2, D = 12, N_HEADS = 3, VOCABULARY = 50, N_SUBLAYERS = 4 };
enum { ATTENTION_LAST, MLP_SUBJECT, MIXER_EACH, N_MEANS };

/* A small GPT-2 with random weights on the cpu backend. */
struct subject {
    struct ko_plan *plan;
    struct ko_model *model;
    struct ko_backend *be;
    struct ko_engine *engine;
    float *floats;
};

/* mlp@subject takes values from prompts 1 and 4 alone, mixer@each from 3. */
static const struct made_case made = {
    .spec =
        "models: [a]\nprompts: {file: f}\nwindows: {sizes: [1]}\nsweeps:\n"
        "  - {routes: [attention@last, last<-last], features: [all~mean, 'head:1~mean', all]}\n"
        "  - {routes: [mlp@subject], features: [all~mean], prompts: {select: {id: ['1', '4']}}}\n"
        "  - {routes: [mixer@each], features: [all~mean], prompts: {select: {id: ['3']}}}\n",
    .model = {{N_LAYERS, 0, 0, 0, 0}},
    .n_facts = {N_FACTS}};

/* The plan's model becomes the GPT-2, its prompts get tokens. */
static void match_plan(struct ko_plan *plan)
{
    struct ko_plan_model *m = &plan->model[0];
    struct ko_plan_sublayer list[N_SUBLAYERS];
    struct ko_error err = {0};
    for (int32_t i = 0; i < N_SUBLAYERS; i++) {
        const bool mlp = i % 2;
        list[i] = (struct ko_plan_sublayer){.layer = i / 2,
                                            .stage = i / 2,
                                            .components = mlp ? KO_COMPONENT_MLP
                                                              : (uint8_t)KO_MIXER_ATTENTION,
                                            .width = mlp ? 0 : D};
    }
    assert_int_equal(ko_plan_model_set_sublayers(m, list, N_SUBLAYERS, &err), KO_OK);
    m->d_model = D;
    m->vocabulary = VOCABULARY;
    for (int32_t f = 0; f < N_FACTS; f++) {
        for (int32_t i = 0; i < plan->prompt[f].n_tokens; i++) {
            plan->prompt[f].token[i] = (f * 17 + i * 5) % VOCABULARY;
        }
    }
}

static int begin(void **state)
{
    static struct subject s;
    const struct ko_backend_config config = {.threads = 1};
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &s.plan, NULL, &err), KO_OK);
    match_plan(s.plan);
    s.model = test_accepted("gpt2", "{\"n_embd\": 12, \"n_head\": 3, \"n_layer\": 2, "
                                    "\"n_positions\": 16, \"vocab_size\": 50}");
    s.floats = malloc(ko_model_floats(s.model) * sizeof *s.floats);
    assert_non_null(s.floats);
    ko_model_fill_random(s.model, 3, s.floats);
    const struct ko_arena arena = ko_model_host_arena(s.model, s.floats);
    assert_int_equal(ko_kernels_cpu.open(&config, &s.be, &err), KO_OK);
    assert_int_equal(
        ko_engine_new(s.plan, 0, s.model, &arena, &ko_kernels_cpu, s.be, 100, &s.engine, &err),
        KO_OK);
    *state = &s;
    return 0;
}

static int end(void **state)
{
    struct subject *s = *state;
    ko_engine_free(s->engine);
    ko_kernels_cpu.close(s->be);
    ko_model_free(s->model);
    free(s->floats);
    ko_plan_free(s->plan);
    return 0;
}

/* means [ko_plan_mean_values] with this row budget; returns the number of groups. */
static int32_t make_means(struct subject *s, int32_t row_budget, float *means)
{
    const size_t n = ko_mean_sums(s->plan, 0);
    double *sums = calloc(n, sizeof *sums), *group = calloc(n, sizeof *group);
    struct ko_mean_groups groups = {0};
    struct ko_error err = {0};
    s->plan->model[0].row_budget = row_budget;
    assert_true(sums && group);
    assert_int_equal(ko_mean_groups_make(s->plan, 0, &groups, &err), KO_OK);
    for (int32_t g = 0; g < groups.n; g++) {
        memset(group, 0, n * sizeof *group);
        assert_int_equal(ko_engine_sum_means(s->engine, &groups, g, group, &err), KO_OK);
        for (size_t k = 0; k < n; k++) {
            sums[k] += group[k];
        }
    }
    ko_means_divide(s->plan, 0, sums, means);
    const int32_t n_groups = groups.n;
    ko_mean_groups_free(&groups);
    free(sums);
    free(group);
    return n_groups;
}

/* What the sublayers add in the clean run of one prompt, and what their heads are. */
struct clean_run {
    int32_t n_tokens;
    float before[N_SUBLAYERS][16][D], after[N_SUBLAYERS][16][D], heads[N_SUBLAYERS][16][D];
};

static enum ko_code keep(void *self, const struct ko_pass *pass, const struct ko_noted *noted,
                         struct ko_error *err)
{
    struct clean_run *run = self;
    float(*to)[D] = noted->note == KO_NOTE_BEFORE  ? run->before[noted->sublayer]
                    : noted->note == KO_NOTE_AFTER ? run->after[noted->sublayer]
                                                   : run->heads[noted->sublayer];
    (void)pass;
    (void)err;
    assert_int_equal(noted->width, D);
    assert_int_equal(noted->heads, noted->note == KO_NOTE_ITSELF);
    memcpy(to, noted->data, (size_t)run->n_tokens * sizeof *to);
    return KO_OK;
}

static struct clean_run run_clean(struct subject *s, int32_t fact)
{
    struct clean_run run = {.n_tokens = s->plan->prompt[fact].n_tokens};
    int32_t sequence = 0;
    struct ko_wave wave = {.fact = &fact,
                           .trunk_sequence = &sequence,
                           .n_prompts = 1,
                           .n_results = 1,
                           .n_rows = run.n_tokens};
    const struct ko_recorder recorder = {keep, &run};
    struct ko_row_set set = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_row_set_build(s->plan, &wave, &set, &err), KO_OK);
    s->engine->pass.recorder = &recorder;
    assert_int_equal(ko_engine_pass(s->engine, &set, NULL, &err), KO_OK);
    s->engine->pass.recorder = NULL;
    ko_row_set_free(&set);
    return run;
}

/* The positions of a route's set: the last one, the subject [1 + f mod 2, 3 + f mod 2), all. */
static bool is_position(int32_t mean, int32_t fact, int32_t i, int32_t n_tokens)
{
    switch (mean) {
    case ATTENTION_LAST:
        return i == n_tokens - 1;
    case MLP_SUBJECT:
        return (fact == 1 || fact == 4) && i >= 1 + fact % 2 && i < 3 + fact % 2;
    default:
        return fact == 3;
    }
}

/* Adds a prompt's rows at the positions of a mean. Returns their number. */
static int32_t add_rows(const struct clean_run *run, int32_t mean, int32_t fact, int32_t sublayer,
                        bool heads, double *sum)
{
    int32_t n = 0;
    for (int32_t i = 0; i < run->n_tokens; i++) {
        if (is_position(mean, fact, i, run->n_tokens)) {
            for (int32_t c = 0; c < D; c++) {
                sum[c] += heads ? (double)run->heads[sublayer][i][c]
                                : (double)run->after[sublayer][i][c] -
                                      (double)run->before[sublayer][i][c];
            }
            n++;
        }
    }
    return n;
}

/* The mean's part of a sublayer in the order that docs/cube.md gives, against the plain sums. */
static void check_part(const struct clean_run *run, const float *means, int32_t mean,
                       int32_t sublayer, bool heads)
{
    const bool mlp = sublayer % 2;
    const bool has = mlp == (mean == MLP_SUBJECT);
    const size_t layer = (size_t)(sublayer / 2) * (3 * N_MEANS * D);
    const float *own = means + layer + (size_t)(mlp ? 2 : heads) * N_MEANS * D + mean * D;
    double sum[D] = {0};
    int32_t n = 0;
    for (int32_t f = 0; f < N_FACTS; f++) {
        n += add_rows(&run[f], mean, f, sublayer, heads, sum);
    }
    assert_int_equal(n, mean == ATTENTION_LAST ? 6 : mean == MLP_SUBJECT ? 4 : run[3].n_tokens);
    for (int32_t c = 0; c < D; c++) {
        /* seen: less than 1e-7 */
        assert_true(has ? fabs((double)own[c] - sum[c] / n) <= 1e-6 : own[c] == 0.0F);
    }
}

static void means_are_plain_means_of_clean_runs(void **state)
{
    struct subject *s = *state;
    struct clean_run run[N_FACTS];
    float means[N_LAYERS * 3 * N_MEANS * D];
    assert_int_equal(ko_plan_n_means(s->plan), N_MEANS);
    assert_int_equal(ko_plan_mean_values(&s->plan->model[0], N_MEANS),
                     sizeof means / sizeof means[0]);
    assert_int_equal(make_means(s, 100, means), 1);
    for (int32_t f = 0; f < N_FACTS; f++) {
        run[f] = run_clean(s, f);
    }
    for (int32_t m = 0; m < N_MEANS; m++) {
        for (int32_t i = 0; i < N_SUBLAYERS; i++) {
            check_part(run, means, m, i, false);
            if (i % 2 == 0) {
                check_part(run, means, m, i, true);
            }
        }
    }
}

/* Prompts have 4, 7, 10, 6, 9 and 5 tokens. */
static void groups_change_nothing_but_rounding(void **state)
{
    static const int32_t budgets[][2] = {{41, 1}, {40, 2}, {17, 3}, {10, 6}};
    struct subject *s = *state;
    float whole[N_LAYERS * 3 * N_MEANS * D], means[N_LAYERS * 3 * N_MEANS * D];
    (void)make_means(s, 100, whole);
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        assert_int_equal(make_means(s, budgets[i][0], means), budgets[i][1]);
        for (size_t k = 0; k < sizeof means / sizeof means[0]; k++) {
            /* seen: less than 1e-8 */
            assert_true(fabsf(means[k] - whole[k]) <= 1e-6F);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_plain_means_of_clean_runs),
        cmocka_unit_test(groups_change_nothing_but_rounding),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

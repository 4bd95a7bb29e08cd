/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/plan/pack.h"
#include "src/plan/plan.h"
#include "tests/support/made_plan.h"

static struct ko_plan *built(const struct made_case *made, struct ko_strings *warnings)
{
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    if (made_plan_build(made, &plan, warnings, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

static void assert_list(const int32_t *list, int32_t n, const char *expected)
{
    char text[256] = "";
    for (int32_t i = 0; i < n; i++) {
        char one[16];
        snprintf(one, sizeof one, "%s%d", i == 0 ? "" : " ", list[i]);
        strcat(text, one);
    }
    assert_string_equal(text, expected);
}

/* The facts of a block's selection for one model, as a list. */
static void assert_selected(const struct ko_plan *plan, int32_t block, int32_t model,
                            const char *expected)
{
    int32_t list[64], n = 0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        if (plan->block[block].selected[model * plan->n_facts + f]) {
            list[n++] = f;
        }
    }
    assert_list(list, n, expected);
}

static void assert_warned(const struct ko_strings *warnings, const char *words)
{
    for (size_t i = 0; i < warnings->n; i++) {
        if (strstr(warnings->item[i], words)) {
            return;
        }
    }
    fail_msg("no warning says '%s' (%zu warnings, first '%s')", words, warnings->n,
             warnings->n > 0 ? warnings->item[0] : "");
}

static void axes_are_in_order_of_first_use(void **state)
{
    (void)state;
    struct made_case made = {
        .spec =
            "models: [a, b]\nprompts: {file: f}\nwindows: {sizes: [3], starts: {every: 2}}\n"
            "sweeps:\n"
            "  - {models: [a], routes: [last<-each, last<-last], features: [slow-third]}\n"
            "  - {models: [b], routes: [last<-first, last<-last], features: [all, slow-third],\n"
            "     windows: {sizes: [50%, 1], starts: [7, 1]}, prompts: {select: {id: ['2']}}}\n",
        .model = {{6, 24, 4, 0, 0}, {9, 0, 0, 0, 0}},
        .n_facts = {4}};
    struct ko_strings warnings = {0};
    struct ko_plan *plan = built(&made, &warnings);
    static const char *const routes[] = {"last<-each", "last<-last", "last<-first"};
    static const int32_t axis[] = {0, 0, 1};
    assert_int_equal(plan->n_routes, 3);
    for (int32_t i = 0; i < 3; i++) {
        assert_string_equal(plan->route[i].route.label, routes[i]);
        assert_int_equal(plan->route[i].axis, axis[i]);
        assert_int_equal(plan->route[i].heat, i == 0);
    }
    assert_int_equal(plan->n_mean_routes, 2);
    assert_int_equal(plan->n_heat_routes, 1);
    assert_int_equal(plan->class[0].kind, KO_FEATURE_SLOW_THIRD);
    assert_int_equal(plan->class[1].kind, KO_FEATURE_ALL);
    assert_list(plan->size, plan->n_sizes, "1 3 5");     /* 50 % of 9 layers is 4.5, up */
    assert_list(plan->start, plan->n_starts, "0 1 2 7"); /* 7 fits size 1 alone */
    assert_list(plan->prompt_fact, plan->n_prompts, "0 1 2 3");
    assert_list(plan->heat_fact, plan->n_heat_prompts, "0 1 2 3");
    assert_int_equal(plan->n_positions, 10); /* 4 + (3 * 2 + 0) mod 7 */
    assert_int_equal(plan->n_source_positions, 10);
    assert_int_equal(warnings.n, 0);
    assert_true(ko_plan_has(plan, 0, 3, 0, 0, 1, 2));
    assert_false(ko_plan_has(plan, 0, 3, 0, 1, 1, 2)); /* class all is the other block's */
    assert_false(ko_plan_has(plan, 0, 3, 0, 0, 1, 1)); /* every second start */
    assert_false(ko_plan_has(plan, 1, 3, 1, 1, 0, 1)); /* selected by id */
    assert_true(ko_plan_has(plan, 1, 2, 1, 1, 0, 3));
    assert_false(ko_plan_has(plan, 1, 2, 1, 1, 2, 3)); /* 7 + 5 > 9 */
    assert_false(ko_plan_has(plan, 1, 2, 1, 0, 0, 3)); /* attention has no thirds */
    assert_true(ko_plan_has_any_start(plan, 1, 2, 1, 1, 2));
    assert_false(ko_plan_has_any_start(plan, 1, 2, 1, 1, 1));
    ko_strings_free(&warnings);
    ko_plan_free(plan);
}

static void shares_of_depth_are_resolved_for_each_model(void **state)
{
    (void)state;
    static const struct {
        const char *share;
        int32_t n_layers, size;
    } rows[] = {{"12%", 24, 3},  {"12%", 64, 8}, {"12%", 12, 1},   {"1%", 12, 1},   {"50%", 5, 3},
                {"58%", 25, 15}, {"100%", 7, 7}, {"12.5%", 20, 3}, {"2.4%", 100, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "models: [a]\nprompts: {file: f}\nroutes: [last<-last]\n"
                 "windows: {sizes: [%s]}\n",
                 rows[i].share);
        struct made_case made = {
            .spec = text, .model = {{rows[i].n_layers, 24, 4, 0, 0}}, .n_facts = {1}};
        struct ko_plan *plan = built(&made, NULL);
        assert_int_equal(plan->n_sizes, 1);
        assert_int_equal(plan->size[0], rows[i].size);
        ko_plan_free(plan);
    }
}

static void windows_without_sizes_that_do_not_fit_are_left_out_with_a_warning(void **state)
{
    (void)state;
    static const char *const windows[] = {"{layers: [0-7, [10, 11]]}",
                                          "{style: from, starts: [9]}"};
    for (size_t k = 0; k < 2; k++) {
        char spec[200];
        (void)snprintf(spec, sizeof spec,
                       "models: [a, b]\nprompts: {file: f}\nroutes: [last<-last]\nwindows: %s\n",
                       windows[k]);
        struct made_case made = {
            .spec = spec, .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}}, .n_facts = {1}};
        struct ko_strings warnings = {0};
        struct ko_plan *plan = built(&made, &warnings);
        assert_int_equal(warnings.n, 1);
        assert_string_equal(warnings.item[0],
                            "a: the windows of a block do not fit its 6 layers and are left out");
        ko_strings_free(&warnings);
        ko_plan_free(plan);
    }
}

static void what_does_not_fit_is_left_out_with_one_warning_a_model(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a, b]\nprompts: {file: f}\nroutes: [last<-last]\n"
                                     "windows: {sizes: [2, 9, 15]}\n"
                                     "sweeps: [{}, {routes: [last<-first]},\n"
                                     "         {models: [a], windows: {sizes: [12]}}]\n",
                             .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}},
                             .n_facts = {1}};
    struct ko_strings warnings = {0};
    struct ko_plan *plan = built(&made, &warnings);
    assert_list(plan->size, plan->n_sizes, "2 9");
    assert_int_equal(plan->n_starts, 11);
    assert_int_equal(warnings.n, 3);
    assert_string_equal(warnings.item[0],
                        "a: window sizes 9, 15, 12 are larger than its 6 layers and left out");
    assert_string_equal(warnings.item[1],
                        "b: window sizes 15 are larger than its 12 layers and left out");
    assert_warned(&warnings, "this block plans no cell");
    ko_strings_free(&warnings);
    ko_plan_free(plan);
}

static void prompts_that_no_model_runs_are_not_on_the_axis(int32_t model, int32_t fact,
                                                           struct ko_prompt *prompt)
{
    if (fact == 1 || (fact == 2 && model == 0)) {
        *prompt = (struct ko_prompt){.reason = KO_SUBJECT_NOT_FOUND, .id = prompt->id};
    }
    if (fact == 0) {
        prompt->foil = 3;
    }
}

static void skipped_prompts_are_left_out(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a, b]\nprompts: {file: f}\nroutes: [last<-last]\n"
                                     "windows: {sizes: [2]}\n",
                             .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}},
                             .n_facts = {4},
                             .shape = prompts_that_no_model_runs_are_not_on_the_axis};
    struct ko_plan *plan = built(&made, NULL);
    assert_list(plan->prompt_fact, plan->n_prompts, "0 2 3");
    assert_selected(plan, 0, 0, "0 3");
    assert_selected(plan, 0, 1, "0 2 3");
    assert_int_equal(plan->n_heat_prompts, 0);
    assert_true(plan->has_foils);
    ko_plan_free(plan);
}

/* Ranks of three evaluated models, 12 facts each; c is not in the sweep. */
static const int32_t ranks[] = {
    1, 1, 2, 1, 9, 1, 1,  3, 1, 1, -1, 1, /* b */
    1, 4, 1, 1, 1, 1, 50, 1, 2, 1, 1,  1, /* a */
    1, 1, 1, 2, 1, 1, 1,  1, 1, 1, 1,  1, /* c */
};

static void selections_follow_the_ranks(void **state)
{
    (void)state;
    static const struct {
        const char *select, *a, *b;
    } rows[] = {
        {"all", "0 1 2 3 4 5 6 7 8 9 10 11", "0 1 2 3 4 5 6 7 8 9 10 11"},
        {"correct", "0 2 3 4 5 7 9 10 11", "0 1 3 5 6 8 9 11"},
        {"correct-by-all", "0 5 9 11", "0 5 9 11"},
        {"{correct-by: [c, b]}", "0 1 5 6 8 9 11", "0 1 5 6 8 9 11"},
        {"{rank-at-most: 3}", "0 2 3 4 5 7 8 9 10 11", "0 1 2 3 5 6 7 8 9 11"},
        {"{relation: [R1, R7]}", "1 4 7 10", "1 4 7 10"},
        {"{id: ['11', '3']}", "3 11", "3 11"},
        {"{not: correct}", "1 6 8", "2 4 7 10"},
        {"{all-of: [correct, {relation: [R0]}]}", "0 3 9", "0 3 6 9"},
        {"{any-of: [{id: ['1']}, {all-of: [{not: correct-by-all}, {relation: [R2]}]}]}", "1 2 8",
         "1 2 8"},
        /* The oracle draws 3 of 12 with seed 3: 11, 7, 2. */
        {"all, sample: {n: 3, seed: 3}", "2 7 11", "2 7 11"},
        /* 1 of each model's own: draw(9 items, 2, 0) and draw(8 items, 2, 0). */
        {"correct, sample: {n: 2}", "0 10", "5 11"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "models: [a, b]\nroutes: [last<-last]\nwindows: {sizes: [2]}\n"
                 "prompts: {file: f, select: %s}\n",
                 rows[i].select);
        struct made_case made = {.spec = text,
                                 .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}},
                                 .n_facts = {12},
                                 .rank = ranks,
                                 .ranked = {"b", "a", "c"}};
        struct ko_plan *plan = built(&made, NULL);
        assert_selected(plan, 0, 0, rows[i].a);
        assert_selected(plan, 0, 1, rows[i].b);
        ko_plan_free(plan);
    }
}

static void unknown_ranks_give_an_upper_bound(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"correct", "0 1 2 3 4 5"},
        {"{not: correct}", "0 1 2 3 4 5"},
        {"{not: {all-of: [correct, {relation: [R0]}]}}", "0 1 2 3 4 5"},
        {"{all-of: [{not: {rank-at-most: 4}}, {not: {relation: [R0]}}]}", "1 2 4 5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 "models: [a]\nroutes: [last<-last]\nwindows: {sizes: [2]}\n"
                 "prompts: {file: f, select: %s}\n",
                 rows[i][0]);
        struct made_case made = {.spec = text, .model = {{6, 24, 4, 0, 0}}, .n_facts = {6}};
        struct ko_plan *plan = built(&made, NULL);
        assert_selected(plan, 0, 0, rows[i][1]);
        ko_plan_free(plan);
    }
}

static void odd_selections_are_warned_of(void **state)
{
    (void)state;
    static const int32_t some[] = {2, 2, 2, 2, 1, 2, 2, 2};
    struct made_case made = {
        .spec = "models: [a, b]\nroutes: [last<-last]\nwindows: {sizes: [2]}\n"
                "prompts: {file: f, select: correct}\n"
                "sweeps: [{}, {prompts: {select: {id: ['3', x7]}, sample: {n: 5}}}]\n",
        .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}},
        .n_facts = {4},
        .rank = some,
        .ranked = {"a", "b"}};
    struct ko_strings warnings = {0};
    struct ko_plan *plan = built(&made, &warnings);
    assert_warned(&warnings, "a: no prompt is selected");
    assert_warned(&warnings,
                  "no prompt of facts-0 has the id 'x7', the first has '0' and the last '3'");
    assert_warned(&warnings, "sample: 5 prompts asked for, 1 are selected");
    assert_selected(plan, 0, 0, "");
    assert_selected(plan, 0, 1, "0");
    ko_strings_free(&warnings);
    ko_plan_free(plan);
}

static void nothing_runs(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    (void)model;
    (void)fact;
    *prompt = (struct ko_prompt){.reason = KO_TARGET_EMPTY, .id = prompt->id};
}

#define START   "models: [a, b]\n"
#define ROUTES  "routes: [last<-last]\n"
#define WINDOWS "windows: {sizes: [2]}\n"
#define PROMPTS "prompts: {file: f}\n"

static void plans_with_nothing_to_do_are_refused_in_words(void **state)
{
    (void)state;
    static const int32_t wrong[] = {2, 2, 2, 2, 2, 2, 2, 2};
    static const struct {
        const char *spec, *words;
        bool ranks, skip;
    } rows[] = {
        {START PROMPTS ROUTES "windows: {sizes: [99, 120]}\n",
         "spec.yaml:4:19: window size 99 is larger than the largest model (b, 12 layers)", 0, 0},
        {START PROMPTS ROUTES "windows: {sizes: [99]}\nsweeps: [{models: [a]}]\n",
         "window size 99 is larger than the largest model (a, 6 layers)", 0, 0},
        {START PROMPTS ROUTES "windows: {sizes: [3], starts: [10]}\n",
         "windows: no start is left: windows of 3 layers start at 0 to 9 in b (12 layers)", 0, 0},
        {START PROMPTS ROUTES "windows: {layers: [[0, 13], 14]}\n",
         "windows: no window is left: no list of style 'listed' fits b (12 layers)", 0, 0},
        {START PROMPTS ROUTES "windows: {style: from, starts: [12]}\n",
         "windows: no window is left: no window of style 'from' fits b (12 layers)", 0, 0},
        {START PROMPTS "routes: [last<-subjct]\n" WINDOWS, "spec.yaml:3:10: routes: ", 0, 0},
        {START PROMPTS "routes: [last<-subjct]\n" WINDOWS, "subject", 0, 0},
        {"models: [a]\n" PROMPTS ROUTES WINDOWS "features: [after-softmax]\n",
         "spec.yaml:5:12: features: no model has the class 'after-softmax'", 0, 0},
        {START PROMPTS ROUTES WINDOWS "sweeps: [{models: [b], features: [slow-third]}]\n",
         "no cell is left: no model has a feature class of the block", 0, 0},
        {START PROMPTS "routes: [ssm@last]\nfeatures: [all]\n" WINDOWS "sweeps: [{models: [b]}]\n",
         "no cell is left: no model has the sublayers of route 'ssm@last', choose a route of "
         "sublayers that a model has",
         0, 0},
        {START PROMPTS "routes: [last<-last]\nfeatures: [all~mean]\n" WINDOWS,
         "no cell is left: class 'all~mean' has no meaning with route 'last<-last', classes with a "
         "suffix ~ need a route KIND@SET, as attention@last",
         0, 0},
        {START PROMPTS "routes: [ssm@last, mlp@last]\nfeatures: [head:1]\n" WINDOWS,
         "no cell is left: class 'head:1' has no meaning with route 'mlp@last', give a route "
         "KIND@SET the class all, attention@SET also head:K, and ssm@SET also ssm-head:K",
         0, 0},
        {START "prompts: {file: f, select: {relation: [P36]}}\n" ROUTES WINDOWS,
         "spec.yaml:2:28: no prompt is selected: no prompt of facts-0 has the relation 'P36', "
         "there "
         "are 'R0', 'R1', 'R2'",
         0, 0},
        {START "prompts: {file: f, select: {relation: [RR1]}}\n" ROUTES WINDOWS,
         "spec.yaml:2:28: no prompt is selected: no prompt of facts-0 has the relation 'RR1', did "
         "you mean 'R1'?",
         0, 0},
        {START "prompts: {file: f, select: {all-of: [all, {id: ['99999']}]}}\n" ROUTES WINDOWS,
         "spec.yaml:2:28: no prompt is selected: no prompt of facts-0 has the id '99999', the "
         "first "
         "has '0' and the last '3'",
         0, 0},
        {START "prompts: {file: f, select: {all-of: [{id: ['1']}, {id: ['2']}]}}\n" ROUTES WINDOWS,
         "spec.yaml:2:28: no prompt is selected: facts-0 has 4 prompts, 4 can be run, 0 are "
         "selected",
         0, 0},
        {START "prompts: {file: f, select: correct}\n" ROUTES WINDOWS, "4 can be run, 0 are", 1, 0},
        {START PROMPTS ROUTES WINDOWS, "facts-0 has 4 prompts, 0 can be run ('0': empty answer)", 0,
         1},
        {START "prompts: {file: f, select: {correct-by: [mamba-x]}}\n" ROUTES WINDOWS,
         "correct-by: unknown model 'mamba-x', did you mean 'mamba-y'?", 1, 0},
        {"models: [a, d]\nprompts: {file: f, select: correct}\n" ROUTES WINDOWS,
         "the evaluation does not have the model 'd'", 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made_case made = {.spec = rows[i].spec,
                                 .model = {{6, 24, 4, 0, 0}, {12, 0, 0, 0, 0}, {12, 0, 0, 0, 0}},
                                 .n_facts = {4},
                                 .shape = rows[i].skip ? nothing_runs : NULL,
                                 .rank = rows[i].ranks ? wrong : NULL};
        if (rows[i].ranks) {
            made.ranked[0] = "a";
            made.ranked[1] = strstr(rows[i].spec, "mamba") != NULL ? "mamba-y" : "b";
        }
        struct ko_plan *plan = NULL;
        struct ko_error err = {0};
        enum ko_code code = made_plan_build(&made, &plan, NULL, &err);
        assert_int_equal(code, KO_E_INPUT);
        if (!strstr(err.text, rows[i].words)) {
            fail_msg("'%s' is not in '%s'", rows[i].words, err.text);
        }
        assert_null(plan);
    }
}

static void ids_are_unique_over_all_files(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\n" ROUTES WINDOWS PROMPTS
                                     "sweeps: [{}, {prompts: {file: g}}]\n",
                             .model = {{6, 24, 4, 0, 0}},
                             .n_facts = {4, 3},
                             .same_ids = true};
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_E_INPUT);
    assert_string_equal(err.text, "facts-1:1: duplicate id '0', also at facts-0:1, ids are unique "
                                  "over all prompt files");
    made.same_ids = false;
    plan = built(&made, NULL);
    assert_selected(plan, 0, 0, "0 1 2 3");
    assert_selected(plan, 1, 0, "4 5 6");
    ko_plan_free(plan);
}

static struct ko_plan *unpacked(const struct ko_plan *plan, struct ko_bytes *bytes)
{
    struct ko_plan *copy = NULL;
    struct ko_error err = {0};
    ko_plan_pack(plan, bytes);
    ko_bytes_read_from(bytes, bytes->data.data, bytes->data.n);
    if (ko_plan_unpack(bytes, &copy, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return copy;
}

static const int32_t mixed_reach[5] = {3, 3, 9, 3, 8};

/* Every truncated message is refused. */
static void check_cuts(const struct ko_bytes *bytes)
{
    for (size_t n = 0; n < bytes->data.n; n += 1 + n / 7) {
        struct ko_plan *cut = NULL;
        struct ko_bytes part = {0};
        struct ko_error err = {0};
        ko_bytes_read_from(&part, bytes->data.data, n);
        assert_int_not_equal(ko_plan_unpack(&part, &cut, &err), KO_OK);
        assert_null(cut);
    }
}

static void packing_keeps_everything(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a, b]\nprompts: {file: f}\n"
                                     "routes: [last<-subject, later<-each]\n"
                                     "features: [all, random-third:9+conv]\n"
                                     "windows: {sizes: [1, 3]}\n",
                             .model = {{6, 24, 4, 0, 0}, {5, 0, 0, 3, 0}},
                             .layer_reach = {NULL, mixed_reach},
                             .n_facts = {5},
                             .shape = prompts_that_no_model_runs_are_not_on_the_axis};
    struct ko_plan *plan = built(&made, NULL);
    struct ko_bytes first = {0}, second = {0};
    struct ko_plan *copy = unpacked(plan, &first);
    ko_plan_pack(copy, &second);
    assert_int_equal(first.data.n, second.data.n);
    assert_memory_equal(first.data.data, second.data.data, first.data.n);
    assert_int_equal(copy->model[1].reach, 9);
    assert_int_equal(copy->model[1].n_stages, 5);
    for (int32_t s = 0; s < 5; s++) {
        assert_int_equal(copy->model[1].stage[s].reach, mixed_reach[s]);
        assert_int_equal(copy->model[1].stage[s].layer, s);
        assert_int_equal(copy->model[1].stage[s].mixers, KO_MIXER_ATTENTION);
    }
    assert_null(copy->model[0].stage);
    check_cuts(&first);
    ko_text_free(&first.data);
    ko_text_free(&second.data);
    ko_plan_free(copy);
    ko_plan_free(plan);
}

static void packing_keeps_components_and_references(void **state)
{
    (void)state;
    struct made_case made = {
        .spec =
            "models: [a, b]\nprompts: {file: f, select: {id: ['0', '2', '3']}}\n"
            "routes: ['attention@last', 'ssm@subject', 'mlp@each', 'mixer@last', 'conv@last',\n"
            "         last<-subject, keep:all<-first+last<-subject+diagonal]\n"
            "features: [all, all~mean, 'all~resample:9223372036854775807', head:1, ssm-head:1,\n"
            "           head:2~mean, 'ssm-head:0~resample:5', 'head:0~resample:0']\n"
            "windows: {sizes: [1, 3]}\n",
        .model = {{6, 24, 4, 0, 0}, {5, 0, 0, 3, 0}},
        .n_facts = {5},
        .shape = prompts_that_no_model_runs_are_not_on_the_axis};
    struct ko_plan *plan = built(&made, NULL);
    struct ko_bytes first = {0}, second = {0};
    struct ko_plan *copy = unpacked(plan, &first);
    ko_plan_pack(copy, &second);
    assert_int_equal(first.data.n, second.data.n);
    assert_memory_equal(first.data.data, second.data.data, first.data.n);
    assert_int_equal(copy->n_classes, 8);
    for (int32_t c = 0; c < copy->n_classes; c++) {
        char own[64], label[64];
        ko_feature_class_label(&plan->class[c], own);
        ko_feature_class_label(&copy->class[c], label);
        assert_string_equal(label, own);
    }
    assert_int_equal(copy->class[2].donor_seed, INT64_MAX);
    for (int32_t r = 0; r < copy->n_routes; r++) {
        assert_int_equal(copy->route[r].route.kind, plan->route[r].route.kind);
        assert_int_equal(copy->route[r].route.components, plan->route[r].route.components);
        const struct ko_kept *own = &plan->route[r].route.kept, *kept = &copy->route[r].route.kept;
        assert_int_equal(kept->sets.n, own->sets.n);
        for (size_t k = 0; k < own->sets.n; k++) {
            assert_string_equal(kept->sets.item[k], own->sets.item[k]);
        }
        assert_int_equal(kept->diagonal, own->diagonal);
        assert_int_equal(ko_plan_mean(copy, r), ko_plan_mean(plan, r));
    }
    for (int32_t m = 0; m < copy->n_models; m++) {
        const struct ko_plan_model *model = &copy->model[m];
        assert_int_equal(model->n_sublayers, plan->model[m].n_sublayers);
        assert_memory_equal(model->sublayer, plan->model[m].sublayer,
                            (size_t)model->n_sublayers * sizeof *model->sublayer);
    }
    assert_memory_equal(copy->reference, plan->reference, (size_t)(2 * copy->n_routes * 5));
    assert_int_equal(ko_plan_donor(copy, 1, 0, 0, 3), ko_plan_donor(plan, 1, 0, 0, 3));
    assert_true(ko_plan_donor(copy, 1, 0, 0, 3) > 0);
    check_cuts(&first);
    ko_text_free(&first.data);
    ko_text_free(&second.data);
    ko_plan_free(copy);
    ko_plan_free(plan);
}

/* A hybrid: attention in layers 2, 3 and 5, of which 3 also has an SSM, and no mixer in layer 4. */
static const uint8_t hybrid_mixers[8] = {
    KO_MIXER_SSM,       KO_MIXER_SSM, KO_MIXER_ATTENTION, KO_MIXER_ATTENTION | KO_MIXER_SSM, 0,
    KO_MIXER_ATTENTION, KO_MIXER_SSM, KO_MIXER_SSM};

static struct made_case over_case(const char *spec)
{
    return (struct made_case){.spec = spec,
                              .model = {{8, 24, 4, 0, 0}, {6, 24, 4, 0, 0}, {4, 0, 0, 0, 0}},
                              .layer_mixers = {hybrid_mixers},
                              .n_facts = {2}};
}

static void check_window(const struct ko_plan *plan, int32_t model, int32_t size, int32_t start,
                         int32_t begin, int32_t end)
{
    const struct ko_layer_range layers = ko_plan_window(&plan->model[model], size, start);
    assert_int_equal(layers.begin, begin);
    assert_int_equal(layers.end, end);
}

#define OVER(word, sizes)                                                                          \
    "models: [a, b, c]\nprompts: {file: f}\nroutes: [last<-last]\n"                                \
    "windows: {sizes: [" sizes "], over: " word "}\n"

static void windows_count_the_layers_that_the_spec_names(void **state)
{
    (void)state;
    const struct made_case attention = over_case(OVER("attention", "1, 3, 50%"));
    struct ko_strings warnings = {0};
    struct ko_plan *plan = built(&attention, &warnings);
    assert_list(plan->model[0].counted, plan->model[0].n_counted, "2 3 5");
    assert_int_equal(ko_plan_n_counted(&plan->model[1]), 0);
    assert_null(plan->model[2].counted);             /* every layer */
    assert_list(plan->size, plan->n_sizes, "1 2 3"); /* 50 % of 3, and of 4, are 2 */
    assert_list(plan->start, plan->n_starts, "0 1 2 3");
    check_window(plan, 0, 1, 0, 2, 3);
    check_window(plan, 0, 2, 1, 3, 6); /* layer 4 is between them */
    check_window(plan, 0, 3, 0, 2, 6);
    check_window(plan, 0, 2, 2, 0, 0);
    check_window(plan, 1, 1, 0, 0, 0);
    check_window(plan, 2, 3, 1, 1, 4);
    assert_true(ko_plan_has(plan, 0, 0, 0, 0, 0, 2));
    assert_false(ko_plan_has(plan, 0, 0, 0, 0, 0, 3));
    assert_true(ko_plan_has(plan, 2, 0, 0, 0, 0, 3));
    assert_false(ko_plan_has_any_start(plan, 1, 0, 0, 0, 0));
    assert_warned(&warnings,
                  "b: window sizes 1, 3 are larger than its 0 layers with attention and left out");
    ko_strings_free(&warnings);
    ko_plan_free(plan);

    /* A share is one of the counted layers: two thirds of 3. */
    const struct made_case share =
        over_case("models: [a]\nprompts: {file: f}\nroutes: [last<-last]\n"
                  "windows: {sizes: [67%], over: attention}\n");
    plan = built(&share, NULL);
    assert_list(plan->size, plan->n_sizes, "2");
    assert_list(plan->start, plan->n_starts, "0 1");
    ko_plan_free(plan);

    const struct made_case ssm = over_case(OVER("ssm", "2"));
    plan = built(&ssm, NULL);
    assert_list(plan->model[0].counted, plan->model[0].n_counted, "0 1 3 6 7");
    check_window(plan, 0, 2, 1, 1, 4);
    assert_list(plan->start, plan->n_starts, "0 1 2 3 4");
    ko_plan_free(plan);

    const struct made_case mixers = over_case(OVER("mixers", "2"));
    plan = built(&mixers, NULL);
    assert_list(plan->model[0].counted, plan->model[0].n_counted, "0 1 2 3 5 6 7");
    assert_null(plan->model[1].counted);
    ko_plan_free(plan);
}

static void what_no_model_has_cannot_be_counted(void **state)
{
    (void)state;
    const struct made_case made = {.spec = "models: [a]\n" PROMPTS ROUTES
                                           "windows: {sizes: [1], over: attention}\n",
                                   .model = {{6, 24, 4, 0, 0}},
                                   .n_facts = {2}};
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_E_INPUT);
    if (!strstr(err.text, "windows.over: 'attention', but no model has layers with attention, "
                          "write over: layers")) {
        fail_msg("%s", err.text);
    }
    const struct made_case large = over_case(OVER("ssm", "7"));
    assert_int_equal(made_plan_build(&large, &plan, NULL, &err), KO_E_INPUT);
    if (!strstr(err.text, "window size 7 is larger than the largest model (b, 6 layers with an "
                          "SSM), use sizes up to 6")) {
        fail_msg("%s", err.text);
    }
}

static void packing_keeps_what_windows_count(void **state)
{
    (void)state;
    const struct made_case made = over_case(OVER("attention", "1"));
    struct ko_plan *plan = built(&made, NULL);
    struct ko_bytes bytes = {0}, again = {0};
    struct ko_plan *copy = unpacked(plan, &bytes);
    assert_int_equal(copy->kind, KO_PLAN_SWEEP);
    assert_int_equal(copy->over, KO_OVER_ATTENTION);
    assert_list(copy->model[0].counted, copy->model[0].n_counted, "2 3 5");
    assert_null(copy->model[2].counted);
    ko_plan_pack(copy, &again);
    assert_int_equal(bytes.data.n, again.data.n);
    assert_memory_equal(bytes.data.data, again.data.data, again.data.n);
    ko_text_free(&bytes.data);
    ko_text_free(&again.data);
    ko_plan_free(copy);
    ko_plan_free(plan);
}

/* Without the key, the hash is what it was before the key existed: the first number of a packed plan
   is then its kind alone. */
static void the_hash_knows_what_windows_count(void **state)
{
    (void)state;
    const char *const specs[] = {OVER("layers", "1"), OVER("mixers", "1"), OVER("attention", "1")};
    char hash[4][33];
    struct ko_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        const struct made_case made =
            over_case(i < 3 ? specs[i]
                            : "models: [a, b, c]\nprompts: {file: f}\nroutes: [last<-last]\n"
                              "windows: {sizes: [1]}\n");
        struct ko_plan *plan = built(&made, NULL);
        struct ko_bytes bytes = {0};
        assert_int_equal(ko_plan_hash(plan, hash[i], &err), KO_OK);
        ko_plan_pack(plan, &bytes);
        ko_bytes_read_from(&bytes, bytes.data.data, bytes.data.n);
        assert_int_equal(ko_get_int(&bytes) == KO_PLAN_SWEEP, i == 0 || i == 3);
        ko_text_free(&bytes.data);
        ko_plan_free(plan);
    }
    assert_string_equal(hash[0], hash[3]);
    assert_string_not_equal(hash[0], hash[1]);
    assert_string_not_equal(hash[0], hash[2]);
    assert_string_not_equal(hash[1], hash[2]);
}

static void the_hash_knows_content_but_no_paths(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\n" PROMPTS ROUTES WINDOWS,
                             .model = {{6, 24, 4, 0, 0}},
                             .n_facts = {3}};
    struct ko_plan *plan = built(&made, NULL), *again = built(&made, NULL); /* another folder */
    char hash[33], other[33];
    struct ko_error err = {0};
    assert_string_not_equal(plan->model[0].path, again->model[0].path);
    assert_int_equal(ko_plan_hash(plan, hash, &err), KO_OK);
    assert_int_equal(ko_plan_hash(again, other, &err), KO_OK);
    assert_int_equal(strlen(hash), 32);
    assert_int_equal(strspn(hash, "0123456789abcdef"), 32);
    assert_string_equal(hash, other);
    again->model[0].row_budget--;
    assert_int_equal(ko_plan_hash(again, other, &err), KO_OK);
    assert_string_not_equal(hash, other);
    again->model[0].row_budget++;
    again->block[0].selected[1] = 0;
    assert_int_equal(ko_plan_hash(again, other, &err), KO_OK);
    assert_string_not_equal(hash, other);
    ko_plan_free(plan);
    ko_plan_free(again);
}

static void the_hash_knows_the_windows_of_layers_that_differ(void **state)
{
    (void)state;
    static const int32_t alike[5] = {3, 3, 3, 3, 3}, other[5] = {3, 3, 9, 8, 3};
    const int32_t *const rows[] = {NULL, alike, mixed_reach, other};
    char hash[4][33];
    struct ko_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        const struct made_case made = {.spec = "models: [a]\n" PROMPTS ROUTES WINDOWS,
                                       .model = {{5, 0, 0, 3, 0}},
                                       .layer_reach = {rows[i]},
                                       .n_facts = {3}};
        struct ko_plan *plan = built(&made, NULL);
        assert_int_equal(ko_plan_hash(plan, hash[i], &err), KO_OK);
        assert_int_equal(plan->model[0].stage != NULL, i >= 2);
        for (int32_t l = 0; l < 5; l++) {
            assert_int_equal(ko_plan_stage_of(&plan->model[0], l).reach, rows[i] ? rows[i][l] : 3);
        }
        ko_plan_free(plan);
    }
    assert_string_equal(hash[0], hash[1]); /* said of every layer or of all */
    assert_string_not_equal(hash[1], hash[2]);
    assert_string_not_equal(hash[2], hash[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_are_in_order_of_first_use),
        cmocka_unit_test(shares_of_depth_are_resolved_for_each_model),
        cmocka_unit_test(windows_without_sizes_that_do_not_fit_are_left_out_with_a_warning),
        cmocka_unit_test(what_does_not_fit_is_left_out_with_one_warning_a_model),
        cmocka_unit_test(skipped_prompts_are_left_out),
        cmocka_unit_test(selections_follow_the_ranks),
        cmocka_unit_test(unknown_ranks_give_an_upper_bound),
        cmocka_unit_test(odd_selections_are_warned_of),
        cmocka_unit_test(plans_with_nothing_to_do_are_refused_in_words),
        cmocka_unit_test(ids_are_unique_over_all_files),
        cmocka_unit_test(packing_keeps_everything),
        cmocka_unit_test(packing_keeps_components_and_references),
        cmocka_unit_test(windows_count_the_layers_that_the_spec_names),
        cmocka_unit_test(what_no_model_has_cannot_be_counted),
        cmocka_unit_test(packing_keeps_what_windows_count),
        cmocka_unit_test(the_hash_knows_what_windows_count),
        cmocka_unit_test(the_hash_knows_content_but_no_paths),
        cmocka_unit_test(the_hash_knows_the_windows_of_layers_that_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

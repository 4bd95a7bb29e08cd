/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells a cube's plan has, and cells that are flagged done without a value. */
#include "src/cube/merge/copy.h"
#include "src/cube/read/done.h"
#include "src/cube/read/planned.h"
#include "src/status/cell_counts.h"
#include "tests/support/made_plan.h"
#include "tests/unit/cube/shard_set.h"

/* Attention in the layers 1, 4 and 5. */
static const uint8_t hybrid[7] = {KO_MIXER_SSM,       KO_MIXER_ATTENTION,
                                  KO_MIXER_SSM,       0,
                                  KO_MIXER_ATTENTION, KO_MIXER_ATTENTION | KO_MIXER_SSM,
                                  KO_MIXER_SSM};

static const struct made_case cases[] = {
    {.spec = "models: [a, b]\n"
             "prompts: {file: p.jsonl}\n"
             "routes: [last<-subject, last<-first]\n"
             "features: [all]\n"
             "windows: {sizes: [1, 25%], starts: all}\n",
     .model = {{.n_layers = 6, .n_features = 8}, {.n_layers = 4}},
     .n_facts = {5}},
    {.spec =
         "models: [a, b]\n"
         "prompts: {file: p.jsonl}\n"
         "features: [all]\n"
         "sweeps:\n"
         "  - {routes: [last<-subject], prompts: {select: {relation: [R0]}}, windows: {sizes: [1], "
         "starts: all}}\n"
         "  - {routes: [last<-subject], prompts: {select: {relation: [R1]}}, windows: {sizes: [1], "
         "starts: [0]}}\n"
         "  - {routes: [last<-subject, last<-each], windows: {sizes: [2], starts: {every: 2}}}\n"
         "  - {models: [b], routes: [last<-each], features: [slow-third], windows: {sizes: [2, 5], "
         "starts: [1, 3]}}\n",
     .model = {{.n_layers = 6, .n_features = 8}, {.n_layers = 5, .n_features = 8}},
     .n_facts = {6}},
    {.spec =
         "models: [a, b]\n"
         "sweeps:\n"
         "  - {models: [a], prompts: {file: p.jsonl}, routes: [later<-subject], features: "
         "[after-softmax, all],\n"
         "     windows: {sizes: [1, 2], starts: {every: 3}}}\n"
         "  - {models: [b], prompts: {file: q.jsonl}, routes: [later<-subject], features: [all],\n"
         "     windows: {sizes: [100%, 2], starts: all}}\n",
     .model = {{.n_layers = 7}, {.n_layers = 4, .n_features = 8, .d_conv = 4}},
     .n_facts = {3, 4}},
    {.spec = "models: [a, b]\n"
             "prompts: {file: p.jsonl}\n"
             "routes: [last<-subject, last<-each]\n"
             "features: [all, attention]\n"
             "windows: {sizes: [1, 67%, 3], over: attention}\n"
             "sweeps: [{models: [a]}, {windows: {starts: {every: 2}}}]\n",
     .model = {{.n_layers = 7, .n_features = 8}, {.n_layers = 4}},
     .layer_mixers = {hybrid},
     .n_facts = {3}},
};

/* Classes that stand for several, and pairs without a meaning. */
static const struct made_case heads = {
    .spec = "models: [a, b]\n"
            "prompts: {file: p.jsonl}\n"
            "routes: [attention@last, mlp@each, last<-subject]\n"
            "features: [all, 'head:each', 'ssm-head:each', 'head:1~mean']\n"
            "windows: {sizes: [1, 3], starts: all}\n"
            "sweeps: [{models: [a]}, {windows: {starts: {every: 2}}}]\n",
    .model = {{.n_layers = 7, .n_features = 8}, {.n_layers = 4}},
    .layer_mixers = {hybrid},
    .n_facts = {3}};

static struct ko_plan *create(const struct made_case *made, const char *path)
{
    struct ko_plan *plan = NULL;
    struct ko_spec *spec = made_plan_spec(made);
    const struct ko_cube_attribute attribute = {"spec", spec->resolved};
    float lp[64];
    int32_t rank[64];

    if (made_plan_build(made, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < 64; i++) {
        lp[i] = -1, rank[i] = 1;
    }
    const struct ko_cube_evaluation evaluation = {lp, rank, rank, NULL, NULL, NULL};
    const struct ko_cube_content content = {
        .plan = plan, .attribute = &attribute, .n_attributes = 1, .evaluation = &evaluation};
    if (ko_cube_create(path, &content, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    ko_spec_free(spec);
    return plan;
}

/* Returns how many cells the part plans. */
static int64_t compare(struct ko_cube_view *view, struct ko_cube_planned *planned,
                       const struct ko_plan *plan, bool heat)
{
    struct ko_cube_slab slab = {0};
    int64_t n = 0;

    assert_int_equal(ko_cube_slab_open(view, heat, &slab, &err), KO_OK);
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t p = 0; p < slab.n_prompts; p++) {
            const int32_t fact = heat ? plan->heat_fact[p] : plan->prompt_fact[p];
            const struct ko_cube_starts starts = ko_cube_planned_starts(planned, heat, m, p);
            assert_int_equal(ko_cube_slab_read(&slab, m, p, &err), KO_OK);
            for (int64_t k = 0; k < slab.n_statuses; k++) {
                const int64_t place = ko_cube_planned_place(&slab, k);
                const int64_t inner = (int64_t)slab.n_sources * slab.n_sizes;
                const int32_t route =
                    ko_plan_route_of(plan, heat, (int32_t)(k / inner / plan->n_classes));
                if (slab.status[k] == KO_NOT_PLANNED) {
                    continue;
                }
                for (int32_t s = 0; s < slab.n_starts; s++) {
                    const bool has =
                        ko_plan_has(plan, m, fact, route, (int32_t)(k / inner % plan->n_classes),
                                    (int32_t)(k % slab.n_sizes), s);
                    assert_int_equal(starts.planned[place * slab.n_starts + s], has);
                    n += has;
                }
                assert_true(starts.count[place] > 0);
            }
        }
    }
    ko_cube_slab_close(&slab);
    return n;
}

static void a_cube_plans_what_its_plan_has(void **state)
{
    (void)state;
    const size_t n_cases = sizeof cases / sizeof *cases;
    for (size_t c = 0; c <= n_cases; c++) {
        char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
        struct ko_plan *plan = create(c < n_cases ? &cases[c] : &heads, path);
        struct ko_cube_view *view = NULL;
        struct ko_cube_planned *planned = NULL;
        struct ko_cube_counts counts = {0};
        assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
        if (ko_cube_planned_open(view, &planned, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        const int64_t n = compare(view, planned, plan, false) + compare(view, planned, plan, true);
        assert_true(n > 0);
        /* What status counts is what the plan has. */
        assert_int_equal(ko_cube_count(view, &counts, &err), KO_OK);
        assert_int_equal(counts.total.pending + counts.total.vacuous, n);
        ko_cube_counts_free(&counts);
        ko_cube_planned_close(planned);
        ko_cube_view_close(view);
        ko_plan_free(plan);
        free(path);
        test_folder_remove(folder);
    }
}

static void a_spec_that_cannot_be_read_is_named(void **state)
{
    static const struct {
        const char *spec, *words;
    } bad[] = {
        {"models: [“a”]\nmodel: 1\n", "cube.h5: its spec:2:1: unknown key 'model'"},
        {"models: [a]\nprompts: {file: p}\nroutes: [last<-first]\nwindows: {sizes: [1]}\n",
         "cube.h5: its spec has 1 blocks and its selection 2"},
    };
    (void)state;

    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
        struct ko_plan *plan = small_plan_sweep(false);
        const struct ko_cube_attribute attribute = {"spec", bad[k].spec};
        const struct ko_cube_content content = {
            .plan = plan, .attribute = &attribute, .n_attributes = 1};
        struct ko_cube_view *view = NULL;
        struct ko_cube_planned *planned = NULL;
        assert_int_equal(ko_cube_create(path, &content, &err), KO_OK);
        assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
        assert_int_equal(ko_cube_planned_open(view, &planned, &err), KO_E_INPUT);
        if (!strstr(err.text, bad[k].words)) {
            fail_msg("%s", err.text);
        }
        ko_cube_view_close(view);
        ko_plan_free(plan);
        free(path);
        test_folder_remove(folder);
    }
}

/* ------------------------------------------------------------------ flags without their values */

/* Takes the first value of a done cell from a dataset. */
static void take_value(const char *path, const char *dataset)
{
    hid_t file = open_file(path);
    size_t n = 0, m = 0;
    uint8_t *status = read_all(file, "status", H5T_NATIVE_UINT8, &n);
    float *value = read_all(file, dataset, H5T_NATIVE_FLOAT, &m);
    const size_t n_starts = m / n;
    size_t k = 0;

    while (k < n && status[k] != KO_DONE) {
        k++;
    }
    assert_true(k < n);
    value[k * n_starts] = strcmp(dataset, "target_rank") == 0 ? -1.0F : NAN;
    write_all(file, dataset, H5T_NATIVE_FLOAT, value);
    free(status);
    free(value);
    H5Fclose(file);
}

static int64_t count_valueless(const char *path, int *exit_status)
{
    struct ko_cube_view *view = NULL;
    struct ko_cube_counts counts = {0};
    struct ko_cube_valueless found = {0};

    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    if (ko_cube_count(view, &counts, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(ko_cube_find_valueless(view, NULL, &found, &err), KO_OK);
    assert_int_equal(found.n, counts.total.valueless);
    *exit_status = ko_cell_counts_status(&counts.total);
    ko_cube_counts_free(&counts);
    ko_cube_view_close(view);
    return found.n;
}

static void a_flag_without_its_value_counts_as_missing(void **state)
{
    static const char *const dataset[] = {"logprob", "target_rank"};
    (void)state;

    for (size_t d = 0; d < 2; d++) {
        struct set set = make_set();
        struct ko_plan *plan = whole_plan();
        struct ko_cube_view *view = NULL;
        uint8_t done[2 * FACTS], before[2 * FACTS];
        int status = -1, n_lost = 0;
        hid_t file = open_file(set.whole);
        float top1[4096];
        /* The clean runs whole, so that nothing else is missing. */
        for (int k = 0; k < 4096; k++) {
            top1[k] = 5;
        }
        write_all(file, "clean_top1_id", H5T_NATIVE_FLOAT, top1);
        write_all(file, "clean_target_rank", H5T_NATIVE_FLOAT, top1);
        write_all(file, "heat_clean_top1_id", H5T_NATIVE_FLOAT, top1);
        write_all(file, "heat_clean_target_rank", H5T_NATIVE_FLOAT, top1);
        H5Fclose(file);
        assert_int_equal(count_valueless(set.whole, &status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(ko_cube_view_open(set.whole, &view, &err), KO_OK);
        assert_int_equal(ko_cube_view_done(view, plan, before, &err), KO_OK);
        ko_cube_view_close(view);
        take_value(set.whole, dataset[d]);
        assert_int_equal(count_valueless(set.whole, &status), 1);
        assert_int_equal(status, 4);
        /* A resume computes it again, and nothing else. */
        assert_int_equal(ko_cube_view_open(set.whole, &view, &err), KO_OK);
        assert_int_equal(ko_cube_view_done(view, plan, done, &err), KO_OK);
        ko_cube_view_close(view);
        for (int k = 0; k < 2 * FACTS; k++) {
            assert_int_equal(before[k], 1);
            n_lost += !done[k];
        }
        assert_int_equal(n_lost, 1);
        ko_plan_free(plan);
        free_set(&set);
    }
}

static void a_merge_does_not_take_a_flag_without_its_value(void **state)
{
    static const char *const dataset[] = {"logprob", "target_rank"};
    (void)state;

    for (size_t d = 0; d < 2; d++) {
        struct set set = make_set();
        struct ko_cube_merged merged = {0};
        int status = -1;
        take_value(set.shard.item[1], dataset[d]);
        assert_int_equal(ko_cube_merge(set.merged, &set.shard, false, NULL, &merged, &err),
                         KO_E_INPUT);
        if (!strstr(err.text, "cube.shard-0002-of-0003.h5 is incomplete: 1 of its ") ||
            !strstr(err.text, "(1 cells are flagged done and have no value)")) {
            fail_msg("%s", err.text);
        }
        /* --partial leaves it pending. */
        if (ko_cube_merge(set.merged, &set.shard, true, NULL, &merged, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        assert_int_equal(merged.pending, 1);
        ko_cube_merged_free(&merged);
        assert_int_equal(count_valueless(set.merged, &status), 0);
        assert_int_equal(status, 4);
        free_set(&set);
    }
}

static void a_copy_of_an_incomplete_cube_says_so(void **state)
{
    struct set set = make_set();
    (void)state;

    for (int pending = 0; pending < 2; pending++) {
        struct ko_cube_view *view = NULL, *copy = NULL;
        bool incomplete = pending == 0;
        hid_t file = open_file(set.whole);
        if (pending) {
            set_number(file, "heat_status", KO_DONE, KO_PENDING);
        }
        H5Fclose(file);
        assert_int_equal(ko_cube_view_open(set.whole, &view, &err), KO_OK);
        if (ko_cube_compress(view, KO_CUBE_CHUNK_BYTES, set.merged, &incomplete, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        ko_cube_view_close(view);
        assert_int_equal(incomplete, pending);
        assert_int_equal(ko_cube_view_open(set.merged, &copy, &err), KO_OK);
        assert_int_equal(ko_cube_view_attribute(copy, KO_CUBE_INCOMPLETE) != NULL, pending);
        ko_cube_view_close(copy);
    }
    free_set(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cube_plans_what_its_plan_has),
        cmocka_unit_test(a_spec_that_cannot_be_read_is_named),
        cmocka_unit_test(a_flag_without_its_value_counts_as_missing),
        cmocka_unit_test(a_merge_does_not_take_a_flag_without_its_value),
        cmocka_unit_test(a_copy_of_an_incomplete_cube_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

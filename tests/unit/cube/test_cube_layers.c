/* SPDX-License-Identifier: Apache-2.0 */
/* What a cube says about the layers of its models: their mixers, and which of them windows count. */
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/cube/read/read.h"
#include "tests/support/folder.h"
#include "tests/support/made_plan.h"

enum { N_LAYERS = 6 };

static const uint8_t hybrid[N_LAYERS] = {
    KO_MIXER_SSM, KO_MIXER_ATTENTION, 0,
    KO_MIXER_SSM, KO_MIXER_ATTENTION, KO_MIXER_ATTENTION | KO_MIXER_SSM};
static struct ko_error err;
static char *folder, *path;

static int make(void **state)
{
    (void)state;
    folder = test_folder_make();
    path = test_folder_path(folder, "cube.h5");
    return 0;
}

static int clear(void **state)
{
    (void)state;
    free(path);
    test_folder_remove(folder);
    return 0;
}

/* A hybrid and a model of 4 layers with attention. */
static struct ko_plan *plan_of(enum ko_over over)
{
    char spec[256];
    snprintf(spec, sizeof spec,
             "models: [a, b]\nprompts: {file: f}\nroutes: [last<-subject]\n"
             "windows: {sizes: [1, 2], over: %s}\n",
             ko_over_words[over]);
    const struct made_case made = {.spec = spec,
                                   .model = {{N_LAYERS, 8, 4, 0, 0}, {4, 0, 0, 0, 0}},
                                   .layer_mixers = {hybrid},
                                   .n_facts = {2}};
    struct ko_plan *plan = NULL;
    if (made_plan_build(&made, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

/* An empty cube of that plan. */
static struct ko_plan *create(enum ko_over over)
{
    struct ko_plan *plan = plan_of(over);
    const struct ko_cube_attribute attribute[] = {{"backend", "cpu"}, {"precision", "float32"}};
    const float logprob[4] = {-1, -1, -1, -1};
    const int32_t one[4] = {1, 1, 1, 1};
    const struct ko_cube_evaluation evaluation = {logprob, one, one, NULL, NULL, NULL};
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attribute, .n_attributes = 2, .evaluation = &evaluation};
    if (ko_cube_create(path, &content, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

static struct ko_cube_view *opened(void)
{
    struct ko_cube_view *view = NULL;
    if (ko_cube_view_open(path, &view, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return view;
}

static void a_cube_has_the_mixers_of_every_layer(void **state)
{
    (void)state;
    struct ko_plan *plan = create(KO_OVER_LAYERS);
    struct ko_cube_view *view = opened();
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    static const uint8_t second[N_LAYERS] = {1, 1, 1, 1, 0, 0};
    assert_int_equal(axes->n_layer_axis, N_LAYERS);
    assert_memory_equal(axes->mixers, hybrid, N_LAYERS);
    assert_memory_equal(axes->mixers + N_LAYERS, second, N_LAYERS);
    assert_int_equal(axes->over, KO_OVER_LAYERS);
    assert_null(axes->counted);
    assert_string_equal(ko_cube_view_attribute(view, "windows_over"), "layers");
    ko_cube_view_close(view);
    ko_plan_free(plan);
}

/* Every window of a cube has the layers of the plan's, and the depth of these layers. */
static void windows_of_a_cube_are_those_of_its_plan(void **state)
{
    (void)state;
    for (int over = 0; over < KO_N_OVERS; over++) {
        struct ko_plan *plan = create((enum ko_over)over);
        struct ko_cube_view *view = opened();
        const struct ko_cube_axes *axes = ko_cube_view_axes(view);
        double depth[2 * N_LAYERS];
        assert_int_equal(axes->over, over);
        for (int32_t m = 0; m < 2; m++) {
            assert_int_equal(ko_cube_n_counted(axes, m), ko_plan_n_counted(&plan->model[m]));
            const int64_t n = (int64_t)plan->n_sizes * plan->n_starts;
            assert_int_equal(ko_cube_view_read_double(view, "depth", m, depth, n, &err), KO_OK);
            for (int32_t w = 0; w < n; w++) {
                const int32_t size = plan->size[w / plan->n_starts];
                const int32_t start = plan->start[w % plan->n_starts];
                const struct ko_layer_range want = ko_plan_window(&plan->model[m], size, start);
                const struct ko_layer_range got = ko_cube_window(axes, m, size, start);
                assert_int_equal(got.begin, want.begin);
                assert_int_equal(got.end, want.end);
                assert_int_equal(isnan(depth[w]), want.begin == want.end);
                if (want.begin < want.end) {
                    assert_float_equal(depth[w], ko_layers_depth(plan->model[m].n_layers, want),
                                       1e-5);
                }
            }
        }
        ko_cube_view_close(view);
        ko_plan_free(plan);
    }
}

static void overwrite(const char *dataset, const int32_t *values)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, dataset, H5P_DEFAULT);
    assert_true(H5Dwrite(id, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    assert_true(H5Dclose(id) >= 0 && H5Fclose(file) >= 0);
}

static void remove_from(const char *attribute, const char *dataset)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(!attribute || H5Adelete(file, attribute) >= 0);
    assert_true(!dataset || H5Ldelete(file, dataset, H5P_DEFAULT) >= 0);
    assert_true(H5Fclose(file) >= 0);
}

static void refused(const char *words)
{
    struct ko_cube_view *view = NULL;
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_E_INPUT);
    if (!strstr(err.text, words)) {
        fail_msg("no '%s' in '%s'", words, err.text);
    }
    assert_null(view);
}

static void layers_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const int32_t down[] = {4, 1, 5, -1, -1, -1, 0, 1, 2, 3, -1, -1};
    static const int32_t gap[] = {1, -1, 4, -1, -1, -1, 0, 1, 2, 3, -1, -1};
    static const int32_t beyond[] = {1, 4, 5, -1, -1, -1, 0, 1, 2, 5, -1, -1};
    static const int32_t past[] = {1, 4, 6, -1, -1, -1, 0, 1, 2, 3, -1, -1};
    static const int32_t deep[] = {7, 4};
    static const int32_t kinds[] = {8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const struct {
        const char *dataset;
        const int32_t *values;
        const char *words;
    } rows[] = {
        {"counted_layer", down, "'counted_layer': expected the layers of a in ascending order"},
        {"counted_layer", gap, "then -1, file has 4 at place 2"},
        {"counted_layer", beyond, "expected the layers of b in ascending order"},
        {"counted_layer", past, "'counted_layer': value 2: expected -1 to 5, file has 6"},
        {"n_layers", deep, "expected at most 6 layers, the length of the axis 'layer', file has 7"},
        {"layer_mixers", kinds, "'layer_mixers': value 0: expected 0 to 7, file has 8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ko_plan_free(create(KO_OVER_ATTENTION));
        overwrite(rows[i].dataset, rows[i].values);
        refused(rows[i].words);
    }
    ko_plan_free(create(KO_OVER_ATTENTION));
    remove_from("windows_over", NULL);
    refused("attribute windows_over is '', expected mixers, attention or ssm");
    ko_plan_free(create(KO_OVER_ATTENTION));
    remove_from(NULL, "counted_layer");
    refused("attribute windows_over is 'attention', expected layers");
}

/* Without the axis, the mixers and the attribute, as older versions wrote cubes. */
static void an_older_cube_counts_every_layer(void **state)
{
    (void)state;
    struct ko_plan *plan = create(KO_OVER_LAYERS);
    remove_from("windows_over", "layer_mixers");
    remove_from(NULL, "layer");
    struct ko_cube_view *view = opened();
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    assert_int_equal(axes->n_layer_axis, 0);
    assert_null(axes->mixers);
    assert_int_equal(ko_cube_n_counted(axes, 0), N_LAYERS);
    assert_int_equal(ko_cube_window(axes, 1, 2, 1).end, 3);
    assert_int_equal(ko_cube_view_matches(view, plan, "cpu", "float32", &err), KO_OK);
    ko_cube_view_close(view);
    ko_plan_free(plan);
}

static void a_run_that_counts_other_layers_does_not_go_on(void **state)
{
    (void)state;
    struct ko_plan *plan = create(KO_OVER_MIXERS), *other = plan_of(KO_OVER_ATTENTION);
    struct ko_cube_view *view = opened();
    assert_int_equal(ko_cube_view_matches(view, plan, "cpu", "float32", &err), KO_OK);
    assert_int_equal(ko_cube_view_matches(view, other, "cpu", "float32", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "windows.over is 'mixers' in the cube and 'attention' in "
                                     "this run, start a new cube or use --overwrite"));
    ko_cube_view_close(view);
    ko_plan_free(plan);
    ko_plan_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cube_has_the_mixers_of_every_layer, make, clear),
        cmocka_unit_test_setup_teardown(windows_of_a_cube_are_those_of_its_plan, make, clear),
        cmocka_unit_test_setup_teardown(layers_that_cannot_be_are_refused, make, clear),
        cmocka_unit_test_setup_teardown(an_older_cube_counts_every_layer, make, clear),
        cmocka_unit_test_setup_teardown(a_run_that_counts_other_layers_does_not_go_on, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/memory.h"
#include "src/cube/create/create.h"
#include "src/cube/read/done.h"
#include "src/cube/read/read.h"
#include "src/plan/pack.h"
#include "src/tree/statuses.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;

static const float logprob[10] = {-1, -2, -3, -4, -5, -6, -7, -8, NAN, -10};
static const int32_t target_rank[10] = {1, 2, 3, 4, 5, 6, 7, 8, -1, 10};
static const int32_t top1_id[10] = {11, 12, 13, 14, 15, 16, 17, 18, -1, 20};

static struct ko_cube_view *create_and_open(const char *path, const struct ko_plan *plan)
{
    static const struct ko_cube_attribute attributes[] = {
        {"backend", "cpu"}, {"precision", "float32"}, {"device", ""}, {"spec", "models: [“a”]\n"}};
    const struct ko_cube_evaluation evaluation = {logprob, target_rank, top1_id, NULL, NULL, NULL};
    struct ko_cube_content content = {
        .plan = plan, .attribute = attributes, .n_attributes = 4, .evaluation = &evaluation};
    struct ko_cube_view *view = NULL;

    if (ko_cube_create(path, &content, &err) != KO_OK ||
        ko_cube_view_open(path, &view, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return view;
}

static void check_labels(const struct ko_strings *list, size_t n, const char *first,
                         const char *last)
{
    assert_int_equal(list->n, n);
    assert_string_equal(list->item[0], first);
    assert_string_equal(list->item[n - 1], last);
}

static void axes_and_attributes_come_back(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5"), hash[33];
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube_view *view = create_and_open(path, plan);
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    (void)state;

    check_labels(&axes->model, 2, "mamba-small", "gpt2-small");
    check_labels(&axes->prompt, 4, "140", "p-4");
    check_labels(&axes->heat_prompt, 2, "Zürich", "p-2");
    check_labels(&axes->eval_prompt, 5, "140", "p-4");
    check_labels(&axes->route, 2, "last<-subject", "last<-bos");
    check_labels(&axes->heat_route, 1, "last<-each", "last<-each");
    check_labels(&axes->feature_class, 2, "all", "slow-third");
    check_labels(&axes->architecture, 2, "mamba", "gpt2");
    check_labels(&axes->fingerprint, 2, "0123456789abcdef0123456789abcdef",
                 "fedcba9876543210fedcba9876543210");
    /* A byte that is no UTF-8 is stored as U+FFFD. */
    check_labels(&axes->checkpoint_path, 2, "/models/mamba-small",
                 "/models/\xEF\xBF\xBD/gpt2-small");
    assert_int_equal(axes->n_sizes, 2);
    assert_int_equal(axes->window_size[1], 3);
    assert_int_equal(axes->n_starts, 4);
    assert_int_equal(axes->window_start[3], 3);
    assert_int_equal(axes->n_positions, 8);
    assert_int_equal(axes->n_source_positions, 6);
    assert_int_equal(axes->n_layers[0], 4);
    assert_int_equal(axes->n_layers[1], 3);
    assert_false(ko_cube_view_is_evaluation(view));

    assert_int_equal(ko_plan_hash(plan, hash, &err), KO_OK);
    assert_string_equal(ko_cube_view_attribute(view, "plan_hash"), hash);
    assert_string_equal(ko_cube_view_attribute(view, "cube_format"), "1");
    assert_string_equal(ko_cube_view_attribute(view, "Conventions"), "knockout-cube-1.0");
    assert_string_equal(ko_cube_view_attribute(view, "spec"), "models: [“a”]\n");
    assert_string_equal(ko_cube_view_attribute(view, "device"), "");
    assert_null(ko_cube_view_attribute(view, "no such"));
    ko_cube_view_close(view);
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
}

static void what_is_known_at_creation_is_there(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube_view *view = create_and_open(path, plan);
    struct ko_strings text = {0};
    double depth[8], values[64];
    int32_t ids[32], numbers[4];
    uint8_t reason[10], cells[48];
    float read_logprob[10];
    int32_t read_rank[10], read_top1[10];
    (void)state;

    assert_int_equal(ko_cube_view_read_strings(view, "prompt_relation", &text, &err), KO_OK);
    check_labels(&text, 4, "P30", "P30");
    ko_strings_free(&text);
    assert_int_equal(ko_cube_view_read_strings(view, "heat_prompt_relation", &text, &err), KO_OK);
    check_labels(&text, 2, "P30", "");
    ko_strings_free(&text);
    assert_int_equal(ko_cube_view_read_strings(view, "eval_prompt_text", &text, &err), KO_OK);
    check_labels(&text, 5, "Subject 0 lies “in”", "Subject 4 lies “in”");
    ko_strings_free(&text);
    assert_int_equal(ko_cube_view_read_strings(view, "prompt_foil", &text, &err), KO_OK);
    assert_string_equal(text.item[1], "Asia");
    ko_strings_free(&text);

    assert_int_equal(
        ko_cube_view_evaluation(view, read_logprob, read_rank, read_top1, reason, &err), KO_OK);
    assert_memory_equal(read_logprob, logprob, sizeof logprob);
    assert_memory_equal(read_rank, target_rank, sizeof target_rank);
    assert_memory_equal(read_top1, top1_id, sizeof top1_id);
    assert_int_equal(reason[8], KO_TARGET_MERGES);
    assert_int_equal(reason[7], KO_RUNNABLE);
    assert_int_equal(ko_cube_view_read_double(view, "eval_prob", 0, values, 5, &err), KO_OK);
    assert_true(values[2] == (double)(float)exp(-3.0));

    /* Layers 4, sizes 1 and 3, starts 0 to 3. */
    assert_int_equal(ko_cube_view_read_double(view, "depth", 0, depth, 8, &err), KO_OK);
    assert_true(depth[0] == 0 && depth[3] == 100 && depth[4] == 0 && depth[5] == 100 &&
                isnan(depth[6]));
    assert_int_equal(ko_cube_view_read_double(view, "depth", 1, depth, 8, &err), KO_OK);
    assert_true(depth[2] == 100 && isnan(depth[3]) && depth[4] == 0 && isnan(depth[5]));

    assert_int_equal(ko_cube_view_read_int(view, "token_id", 1, ids, 32, &err), KO_OK);
    assert_int_equal(ids[8], 10); /* fact 1: five tokens */
    assert_int_equal(ids[8 + 4], 14);
    assert_int_equal(ids[8 + 5], -1);
    assert_int_equal(ids[16], -1); /* fact 3 cannot be run */
    assert_int_equal(ko_cube_view_read_int(view, "n_tokens", 1, numbers, 4, &err), KO_OK);
    assert_int_equal(numbers[1], 5);
    assert_int_equal(numbers[2], -1);
    assert_int_equal(ko_cube_view_read_int(view, "foil_id", 0, numbers, 4, &err), KO_OK);
    assert_int_equal(numbers[0], -1);
    assert_int_equal(numbers[1], 30);
    assert_int_equal(ko_cube_view_read_int(view, "heat_subject_end", 1, numbers, 2, &err), KO_OK);
    assert_int_equal(numbers[1], 3);

    for (int32_t model = 0; model < 2; model++) {
        uint8_t *planned = ko_new((size_t)ko_plan_n_statuses(plan), 1, &err);
        assert_non_null(planned);
        assert_int_equal(ko_cube_view_read_uint8(view, "status", model, cells, 32, &err), KO_OK);
        for (int32_t p = 0; p < 4; p++) {
            assert_int_equal(
                ko_tree_statuses(plan, model, plan->prompt_fact[p], planned, NULL, &err), KO_OK);
            assert_memory_equal(cells + 8 * p, planned, 8);
        }
        assert_int_equal(ko_cube_view_read_uint8(view, "heat_status", model, cells, 48, &err),
                         KO_OK);
        for (int32_t p = 0; p < 2; p++) {
            assert_int_equal(ko_tree_statuses(plan, model, plan->heat_fact[p], planned, NULL, &err),
                             KO_OK);
            assert_memory_equal(cells + (ptrdiff_t)(24 * p), planned + 8, 24);
        }
        free(planned);
    }
    ko_cube_view_close(view);
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
}

static void a_fresh_cube_has_nothing_done_but_what_is_not_planned(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_cube_view *view = create_and_open(path, plan);
    uint8_t done[10];
    (void)state;

    assert_int_equal(ko_cube_view_done(view, plan, done, &err), KO_OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(done[i], i == 8);
    }
    ko_cube_view_close(view);
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
}

/* Ways to break a cube, and what is said then. */
enum harm { NONE, MISSING, NO_HDF5, TRUNCATED, NEWER, NO_FORMAT, NO_KIND, TYPE, SHAPE, LOST, SPAN };

static void set_format(const char *path, int32_t format)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t id = H5Aopen(file, "cube_format", H5P_DEFAULT);

    assert_true(H5Awrite(id, H5T_NATIVE_INT32, &format) >= 0);
    H5Aclose(id);
    H5Fclose(file);
}

static void delete_attribute(const char *path, const char *name)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);

    assert_true(H5Adelete(file, name) >= 0);
    H5Fclose(file);
}

static void replace_dataset(const char *path, const char *name, hid_t type, int n_axes,
                            const hsize_t *shape)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);

    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    if (n_axes) {
        hid_t space = H5Screate_simple(n_axes, shape, NULL);
        hid_t id = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(id >= 0);
        H5Dclose(id);
        H5Sclose(space);
    }
    H5Fclose(file);
}

static void harm_cube(const char *folder, const char *path, enum harm harm)
{
    const hsize_t shape[] = {2, 4, 2, 2, 2, 4};

    switch (harm) {
    case MISSING:
        assert_int_equal(unlink(path), 0);
        break;
    case NO_HDF5:
        test_folder_write_text(folder, "cube.h5", "no cube at all");
        break;
    case TRUNCATED:
        assert_int_equal(truncate(path, 100000), 0);
        break;
    case NEWER:
        set_format(path, 2);
        break;
    case NO_FORMAT:
        delete_attribute(path, "cube_format");
        break;
    case NO_KIND:
        delete_attribute(path, "kind");
        break;
    case TYPE:
        replace_dataset(path, "logprob", H5T_IEEE_F64LE, 6, shape);
        break;
    case SHAPE:
        replace_dataset(path, "kl", H5T_NATIVE_FLOAT, 5, shape);
        break;
    case LOST:
        replace_dataset(path, "target_rank", H5T_NATIVE_INT32, 0, NULL);
        break;
    case SPAN:
        replace_dataset(path, "position", H5T_NATIVE_INT32, 2, shape);
        break;
    case NONE:
        break;
    }
}

static void what_is_no_good_cube_is_refused_in_one_line(void **state)
{
    static const struct {
        enum harm harm;
        const char *text;
    } table[] = {
        {MISSING, "cube.h5: cannot be read: No such file or directory"},
        {NO_HDF5, "cube.h5: is not an HDF5 file, give a cube that knockout wrote"},
        {TRUNCATED, "cube.h5: cannot be opened: truncated file"},
        {NEWER, "cube.h5: cube_format 2 is newer than 1, which this program knows, use a newer "
                "knockout"},
        {NO_FORMAT, "cube.h5: has no attribute cube_format, give a cube that knockout wrote"},
        {NO_KIND, "cube.h5: attribute kind is '', expected sweep or evaluation"},
        {TYPE, "cube.h5: dataset 'logprob': expected float32, file has float64"},
        {SHAPE, "cube.h5: dataset 'kl': expected [2,4,2,2,2,4], file has [2,4,2,2,2]"},
        {LOST, "cube.h5: dataset 'target_rank' is missing"},
        {SPAN, "cube.h5: axis 'position' does not have one dimension of 1 to 2147483647"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
        struct ko_plan *plan = small_plan_sweep(false);
        struct ko_cube_view *view = create_and_open(path, plan);
        ko_cube_view_close(view);
        view = NULL;
        harm_cube(folder, path, table[i].harm);
        assert_int_equal(ko_cube_view_open(path, &view, &err), KO_E_INPUT);
        assert_null(view);
        if (!strstr(err.text, table[i].text) || strchr(err.text, '\n')) {
            fail_msg("'%s' does not say '%s'", err.text, table[i].text);
        }
        ko_plan_free(plan);
        free(path);
        test_folder_remove(folder);
    }
}

static void reading_what_is_not_there_is_refused(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_cube_view *view = create_and_open(path, plan);
    double out[64];
    (void)state;

    assert_int_equal(ko_cube_view_read_double(view, "foil_logprob", 0, out, 64, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "cube.h5: has no dataset 'foil_logprob'"));
    assert_int_equal(ko_cube_view_read_double(view, "nonsense", 0, out, 64, &err), KO_E_INPUT);
    assert_int_equal(ko_cube_view_read_double(view, "fingerprint", 0, out, 1, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "dataset 'fingerprint' does not hold numbers for each model"));
    assert_int_equal(ko_cube_view_read_double(view, "logprob", 2, out, 64, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "has 2 models, number 2 was requested"));
    assert_int_equal(ko_cube_view_read_double(view, "logprob", 0, out, 63, &err), KO_E_FAILED);
    assert_non_null(strstr(err.text, "has 128 values per model, 63 were requested"));
    ko_cube_view_close(view);
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
}

static void set(char **text, const char *to)
{
    free(*text);
    *text = strdup(to);
    assert_non_null(*text);
}

enum change {
    SAME,
    NAME,
    WEIGHTS,
    TOKENIZER,
    BACKEND,
    PRECISION,
    PROMPT,
    ROUTE,
    FEATURE,
    HEAT_ROUTE,
    SIZES,
    STARTS,
    MODELS,
    TEXT,
    TARGET,
    TOKEN,
    SUBJECT,
    BLOCK,
    SHARD,
    KIND
};

static void change_plan(struct ko_plan *plan, enum change change)
{
    if (change == NAME) {
        set(&plan->model[1].name, "gpt2-large");
    } else if (change == WEIGHTS) {
        set(&plan->model[1].fingerprint, "abc");
    } else if (change == TOKENIZER) {
        set(&plan->model[0].tokenizer_fingerprint, "abc");
    } else if (change == PROMPT) {
        set(&plan->fact[3].id, "other");
    } else if (change == ROUTE) {
        set(&plan->route[2].route.label, "last<-first");
    } else if (change == FEATURE) {
        plan->class[1].kind = KO_FEATURE_FAST_THIRD;
    } else if (change == STARTS) {
        plan->n_starts = 3;
    } else if (change == HEAT_ROUTE) {
        set(&plan->route[1].route.label, "later<-each");
    } else if (change == SIZES) {
        plan->size[1] = 2;
    } else if (change == MODELS) {
        plan->n_models = 1;
    } else if (change == TEXT) {
        set(&plan->fact[0].text, "Subject 0 lies “at”");
    } else if (change == TARGET) {
        set(&plan->fact[0].target, "Asia");
    } else if (change == TOKEN) {
        plan->prompt[0].token[1]++;
    } else if (change == SUBJECT) {
        plan->prompt[0].subject_end++;
    } else if (change == BLOCK) {
        plan->block[0].start[0] = 0;
    } else if (change == SHARD) {
        plan->shard.number = 1, plan->shard.of = 2;
    }
}

static void another_run_is_told_apart_with_both_values(void **state)
{
    static const struct {
        enum change change;
        const char *text;
    } table[] = {
        {NAME,
         "cube.h5: number 2 on the axis model is 'gpt2-small' in the cube and 'gpt2-large' in "
         "this run, start a new cube or use --overwrite"},
        {WEIGHTS, "cube.h5: gpt2-small: the checkpoint's fingerprint is "
                  "'fedcba9876543210fedcba9876543210' in the cube and 'abc' in this run"},
        {TOKENIZER, "cube.h5: mamba-small: the tokenizer's fingerprint is "
                    "'00000000000000000000000000000001' in the cube and 'abc' in this run"},
        {BACKEND, "cube.h5: the backend is 'cpu' in the cube and 'cuda' in this run"},
        {PRECISION, "cube.h5: the precision is 'float32' in the cube and 'tf32' in this run"},
        {PROMPT, "cube.h5: number 4 on the axis eval_prompt is 'p-3' in the cube and 'other'"},
        {ROUTE, "number 2 on the axis route is 'last<-bos' in the cube and 'last<-first'"},
        {FEATURE,
         "number 2 on the axis feature_class is 'slow-third' in the cube and 'fast-third'"},
        {HEAT_ROUTE,
         "number 1 on the axis heat_route is 'last<-each' in the cube and 'later<-each'"},
        {SIZES, "the axis window_size is '1 3' in the cube and '1 2' in this run"},
        {MODELS, "the length of the axis model is '2' in the cube and '1' in this run"},
        {TEXT, "cube.h5: the hash of spec, prompts and tokens is '"},
        {TOKEN, "cube.h5: the hash of spec, prompts and tokens is '"},
        {SUBJECT, "cube.h5: the hash of spec, prompts and tokens is '"},
        {BLOCK, "cube.h5: the hash of spec, prompts and tokens is '"},
        {SHARD, "cube.h5: the shard is 'none' in the cube and '1/2' in this run"},
        {STARTS, "the axis window_start is '0 1 2 3' in the cube and '0 1 2' in this run"},
        {TARGET, "cube.h5: the hash of spec, prompts and tokens is '"},
        {KIND, "cube.h5: its kind is 'sweep' in the cube and 'evaluation' in this run"},
    };
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_cube_view *view = create_and_open(path, plan);
    (void)state;

    if (ko_cube_view_matches(view, plan, "cpu", "float32", &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        enum change change = table[i].change;
        struct ko_plan *other = change == KIND ? small_plan_evaluation() : small_plan_sweep(false);
        const int32_t n_models = other->n_models;
        change_plan(other, change);
        assert_int_equal(ko_cube_view_matches(view, other, change == BACKEND ? "cuda" : "cpu",
                                              change == PRECISION ? "tf32" : "float32", &err),
                         KO_E_INPUT);
        if (!strstr(err.text, table[i].text)) {
            fail_msg("'%s' does not say '%s'", err.text, table[i].text);
        }
        other->n_models = n_models; /* all are freed */
        ko_plan_free(other);
    }
    ko_cube_view_close(view);
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_and_attributes_come_back),
        cmocka_unit_test(what_is_known_at_creation_is_there),
        cmocka_unit_test(a_fresh_cube_has_nothing_done_but_what_is_not_planned),
        cmocka_unit_test(what_is_no_good_cube_is_refused_in_one_line),
        cmocka_unit_test(reading_what_is_not_there_is_refused),
        cmocka_unit_test(another_run_is_told_apart_with_both_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

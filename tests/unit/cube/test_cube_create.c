/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* unshare */
#include <dirent.h>
#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/cube/format/check.h"
#include "src/cube/format/datasets.h"
#include "src/cube/read/read.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;

static const struct ko_cube_attribute attributes[] = {
    {"backend", "plain"}, {"precision", "float32"}, {"empty", ""}, {"spec", "models: [ü]\n"}};

/* Creates folder/cube.h5; the path is to be freed. */
static char *create(const char *folder, const struct ko_plan *plan)
{
    struct ko_cube_content content = {.plan = plan, .attribute = attributes, .n_attributes = 4};
    char *path = test_folder_path(folder, "cube.h5");

    if (ko_cube_create(path, &content, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return path;
}

static int n_files(const char *folder)
{
    DIR *open = opendir(folder);
    int n = 0;

    assert_non_null(open);
    for (const struct dirent *entry; (entry = readdir(open));) {
        n += entry->d_name[0] != '.';
    }
    closedir(open);
    return n;
}

static void check_fill(const struct ko_cube_dataset *dataset, hid_t id)
{
    hid_t creation = H5Dget_create_plist(id);
    H5D_alloc_time_t time;
    float number = 0;
    int32_t whole = 0;

    assert_true(H5Pget_layout(creation) == H5D_CONTIGUOUS);
    assert_true(H5Pget_alloc_time(creation, &time) >= 0);
    assert_true(time == H5D_ALLOC_TIME_EARLY || dataset->field == KO_FIELD_LENGTH);
    if (dataset->type == KO_TYPE_FLOAT) {
        assert_true(H5Pget_fill_value(creation, H5T_NATIVE_FLOAT, &number) >= 0);
        assert_true(isnan(number));
    } else if (dataset->type == KO_TYPE_INT) {
        assert_true(H5Pget_fill_value(creation, H5T_NATIVE_INT32, &whole) >= 0);
        assert_int_equal(whole, -1);
    }
    H5Pclose(creation);
    assert_int_equal(H5Aexists(id, "_FillValue") > 0,
                     dataset->type == KO_TYPE_FLOAT || dataset->type == KO_TYPE_DOUBLE);
    assert_true(H5Aexists(id, "long_name") > 0);
    assert_int_equal(H5Aexists(id, "units") > 0, dataset->units != NULL);
    assert_int_equal(H5Aexists(id, "flag_values") > 0, dataset->field == KO_FIELD_STATUS ||
                                                           dataset->field == KO_FIELD_REASON ||
                                                           dataset->field == KO_FIELD_SELECTED);
}

static void check_axes(hid_t file, const struct ko_cube_dataset *dataset, hid_t id)
{
    if (ko_cube_is_scale(dataset)) {
        static const char dimension[] = "This is a netCDF dimension but not a netCDF variable.";
        char name[96] = "";
        assert_int_equal(H5DSis_scale(id), 1);
        assert_true(H5DSget_scale_name(id, name, sizeof name) >= 0);
        if (dataset->field == KO_FIELD_LENGTH) {
            assert_memory_equal(name, dimension, sizeof dimension - 1);
        } else {
            assert_string_equal(name, dataset->name);
        }
        return;
    }
    for (int k = 0; k < ko_cube_n_axes(dataset); k++) {
        hid_t scale = H5Dopen2(file, ko_cube_axis_name(dataset->axis[k]), H5P_DEFAULT);
        assert_true(scale >= 0);
        assert_int_equal(H5DSget_num_scales(id, (unsigned)k), 1);
        assert_int_equal(H5DSis_attached(id, scale, (unsigned)k), 1);
        H5Dclose(scale);
    }
}

/* Whether `path` has exactly the datasets that the table says for the plan. */
static void check_file(const char *path, const struct ko_plan *plan)
{
    struct ko_cube_lengths lengths;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    H5G_info_t info;
    size_t n = 0;

    ko_cube_lengths_of_plan(plan, &lengths);
    lengths.n[KO_AXIS_LABEL_LENGTH] = KO_CUBE_MIN_LABEL_LENGTH;
    assert_true(file >= 0);
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        bool wanted = ko_cube_present(dataset, &lengths);
        hid_t id = H5I_INVALID_HID;
        if ((H5Lexists(file, dataset->name, H5P_DEFAULT) > 0) != wanted) {
            fail_msg("%s: dataset '%s' is %s", path, dataset->name, wanted ? "missing" : "there");
        }
        if (!wanted) {
            continue;
        }
        n++;
        if (ko_cube_open_dataset(file, path, dataset, &lengths, &id, &err) != KO_OK) {
            fail_msg("%s", err.text);
        }
        check_fill(dataset, id);
        check_axes(file, dataset, id);
        H5Dclose(id);
    }
    assert_true(H5Gget_info(file, &info) >= 0);
    assert_int_equal(info.nlinks, n);
    H5Fclose(file);
}

static void every_dataset_is_allocated_filled_and_has_named_axes(void **state)
{
    char *folder = test_folder_make();
    (void)state;
    for (int foils = 0; foils < 2; foils++) {
        struct ko_plan *plan = small_plan_sweep(foils);
        char *path = create(folder, plan);
        check_file(path, plan);
        free(path);
        ko_plan_free(plan);
    }
    test_folder_remove(folder);
}

static void datasets_of_empty_axes_are_absent(void **state)
{
    char *folder = test_folder_make();
    struct ko_plan *plan = small_plan_evaluation();
    char *path = create(folder, plan);
    struct ko_cube_view *view = NULL;
    (void)state;

    check_file(path, plan);
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    assert_false(ko_cube_view_has(view, "logprob"));
    assert_false(ko_cube_view_has(view, "prompt"));
    assert_false(ko_cube_view_has(view, "window_size"));
    assert_true(ko_cube_view_has(view, "eval_status"));
    ko_cube_view_close(view);
    free(path);
    ko_plan_free(plan);

    plan = small_plan_sweep(false);
    plan->n_heat_routes = plan->n_heat_prompts = plan->n_source_positions = 0;
    path = create(folder, plan);
    check_file(path, plan);
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    assert_true(ko_cube_view_has(view, "logprob"));
    assert_false(ko_cube_view_has(view, "heat_logprob"));
    assert_false(ko_cube_view_has(view, "heat_route"));
    assert_false(ko_cube_view_has(view, "source_position"));
    assert_false(ko_cube_view_has(view, "eval_status"));
    ko_cube_view_close(view);
    free(path);
    ko_plan_free(plan);
    test_folder_remove(folder);
}

static void equal_plans_give_equal_bytes_and_an_existing_cube_is_replaced(void **state)
{
    char *folder = test_folder_make();
    struct ko_plan *plan = small_plan_sweep(true);
    char *path = create(folder, plan);
    size_t n = 0, n_again = 0;
    char *bytes = test_read(path, &n);
    (void)state;

    free(path);
    test_folder_write_text(folder, "cube.h5", "no cube");
    path = create(folder, plan);
    char *again = test_read(path, &n_again);
    assert_int_equal(n, n_again);
    assert_memory_equal(bytes, again, n);
    assert_int_equal(n_files(folder), 1);
    free(again);
    free(bytes);
    free(path);
    ko_plan_free(plan);
    test_folder_remove(folder);
}

static void failures_leave_nothing_behind_and_say_why(void **state)
{
    char *folder = test_folder_make();
    struct ko_plan *plan = small_plan_sweep(false);
    char *path = create(folder, plan), *lost = test_folder_path(folder, "no/such/cube.h5");
    struct ko_cube_content content = {.plan = plan};
    size_t n = 0, n_after = 0;
    char *before = test_read(path, &n), expected[1024];
    char *large = malloc(KO_CUBE_MAX_ATTRIBUTE + 2);
    (void)state;

    assert_int_equal(ko_cube_create(lost, &content, &err), KO_E_INPUT);
    (void)snprintf(expected, sizeof expected,
                   "%s: cannot be created in its folder: No such file or directory", lost);
    assert_string_equal(err.text, expected);

    assert_non_null(large);
    memset(large, 'x', KO_CUBE_MAX_ATTRIBUTE + 1);
    large[KO_CUBE_MAX_ATTRIBUTE + 1] = '\0';
    const struct ko_cube_attribute bad[] = {{"device", large}};
    content.attribute = bad;
    content.n_attributes = 1;
    assert_int_equal(ko_cube_create(path, &content, &err), KO_E_INPUT);
    (void)snprintf(expected, sizeof expected,
                   "%s: attribute 'device' has 60001 bytes, at most 60000 can be stored", path);
    assert_string_equal(err.text, expected);

    const struct ko_cube_attribute no_utf8[] = {{"device", "\xff"}};
    content.attribute = no_utf8;
    assert_int_equal(ko_cube_create(path, &content, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "attribute 'device' is not valid UTF-8"));

    char *after = test_read(path, &n_after);
    assert_int_equal(n, n_after);
    assert_memory_equal(before, after, n);
    assert_int_equal(n_files(folder), 1);
    free(after);
    free(before);
    free(large);
    free(lost);
    free(path);
    ko_plan_free(plan);
    test_folder_remove(folder);
}

/* In a child with a small file system of its own: 0 where all is as claimed, 77 where the machine
   does not allow that. */
static int create_on_full_disk(const char *folder, const char *size)
{
    struct ko_plan *plan = small_plan_sweep(true);
    struct ko_cube_content content = {.plan = plan};
    char *path = test_folder_path(folder, "cube.h5"), options[64];

    (void)snprintf(options, sizeof options, "size=%s", size);
    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, options) != 0) {
        return 77;
    }
    enum ko_code code = ko_cube_create(path, &content, &err);
    bool good = code == KO_E_FAILED && strstr(err.text, ": No space left on device") &&
                !strchr(err.text, '\n') && n_files(folder) == 0;
    free(path);
    ko_plan_free(plan);
    return good ? 0 : 1;
}

static void a_full_disk_is_a_failure_at_run_time_and_leaves_nothing(void **state)
{
    static const char *const sizes[] = {"4k", "16k", "256k", "1m", "1100k", "1200k"};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *folder = test_folder_make();
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            exit(create_on_full_disk(folder, sizes[i]));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        test_folder_remove(folder);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            skip();
        }
        if (status != 0) {
            fail_msg("size %s: status 0x%x", sizes[i], (unsigned)status);
        }
    }
}

static void a_long_spec_becomes_a_dataset(void **state)
{
    char *folder = test_folder_make();
    struct ko_plan *plan = small_plan_sweep(false);
    size_t n = KO_CUBE_MAX_ATTRIBUTE + 10;
    char *spec = malloc(n + 1), *path = test_folder_path(folder, "cube.h5");
    struct ko_cube_view *view = NULL;
    (void)state;

    assert_non_null(spec);
    for (size_t i = 0; i < n; i++) {
        spec[i] = (char)('a' + i % 23);
    }
    spec[n] = '\0';
    const struct ko_cube_attribute attribute[] = {{"spec", spec}, {"device", "cpu"}};
    struct ko_cube_content content = {.plan = plan, .attribute = attribute, .n_attributes = 2};
    assert_int_equal(ko_cube_create(path, &content, &err), KO_OK);
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_OK);
    assert_true(ko_cube_view_has(view, "spec_text"));
    assert_string_equal(ko_cube_view_attribute(view, "spec"), spec);
    assert_string_equal(ko_cube_view_attribute(view, "device"), "cpu");
    ko_cube_view_close(view);
    free(spec);
    free(path);
    ko_plan_free(plan);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dataset_is_allocated_filled_and_has_named_axes),
        cmocka_unit_test(datasets_of_empty_axes_are_absent),
        cmocka_unit_test(equal_plans_give_equal_bytes_and_an_existing_cube_is_replaced),
        cmocka_unit_test(failures_leave_nothing_behind_and_say_why),
        cmocka_unit_test(a_full_disk_is_a_failure_at_run_time_and_leaves_nothing),
        cmocka_unit_test(a_long_spec_becomes_a_dataset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

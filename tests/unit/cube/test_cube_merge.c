/* SPDX-License-Identifier: Apache-2.0 */
#include "src/cube/merge/copy.h"
#include "tests/unit/cube/shard_set.h"

/* All datasets but strings and those of runs, byte for byte. */
static void check_same(const char *a, const char *b)
{
    hid_t left = open_file(a), right = open_file(b);
    int n_compared = 0;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        size_t n = 0, m = 0;
        assert_int_equal(H5Lexists(left, dataset->name, H5P_DEFAULT) > 0,
                         H5Lexists(right, dataset->name, H5P_DEFAULT) > 0);
        if (H5Lexists(left, dataset->name, H5P_DEFAULT) <= 0 || dataset->type == KO_TYPE_STRING ||
            dataset->field == KO_FIELD_LENGTH || strncmp(dataset->name, "run", 3) == 0) {
            continue;
        }
        hid_t type = ko_cube_new_type(dataset->type);
        void *x = read_all(left, dataset->name, type, &n),
             *y = read_all(right, dataset->name, type, &m);
        assert_int_equal(n, m);
        if (memcmp(x, y, n * ko_cube_type_bytes(dataset->type)) != 0) {
            fail_msg("dataset '%s' differs", dataset->name);
        }
        free(x);
        free(y);
        H5Tclose(type);
        n_compared++;
    }
    assert_true(n_compared > 50);
    H5Fclose(left);
    H5Fclose(right);
}

static void check_labels(const char *a, const char *b, const char *name)
{
    struct ko_cube_view *left = NULL, *right = NULL;
    struct ko_strings x = {0}, y = {0};

    assert_int_equal(ko_cube_view_open(a, &left, &err), KO_OK);
    assert_int_equal(ko_cube_view_open(b, &right, &err), KO_OK);
    assert_int_equal(ko_cube_view_read_strings(left, name, &x, &err), KO_OK);
    assert_int_equal(ko_cube_view_read_strings(right, name, &y, &err), KO_OK);
    assert_int_equal(x.n, y.n);
    for (size_t i = 0; i < x.n; i++) {
        assert_string_equal(x.item[i], y.item[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(ko_cube_view_attribute(left, attributes[i].name),
                            ko_cube_view_attribute(right, attributes[i].name));
    }
    assert_string_equal(ko_cube_view_attribute(left, "title"),
                        ko_cube_view_attribute(right, "title"));
    assert_string_equal(ko_cube_view_attribute(left, "plan_hash"),
                        ko_cube_view_attribute(right, "plan_hash"));
    assert_null(ko_cube_view_attribute(right, "shard"));
    ko_strings_free(&x);
    ko_strings_free(&y);
    ko_cube_view_close(left);
    ko_cube_view_close(right);
}

static void a_merge_is_the_cube_of_one_job(void **state)
{
    struct set set = make_set();
    struct ko_cube_merged merged = {0};
    size_t n;
    (void)state;

    /* In any order. */
    char *first = set.shard.item[0];
    set.shard.item[0] = set.shard.item[2];
    set.shard.item[2] = first;
    if (ko_cube_merge(set.merged, &set.shard, false, NULL, &merged, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(merged.n_shards, SHARDS);
    assert_int_equal(merged.pending, 0);
    assert_int_equal(merged.failed, 0);
    assert_int_equal(merged.missing.n, 0);
    assert_int_equal(merged.warnings.n, 0);
    assert_true(merged.n_pairs > 0);
    check_same(set.whole, set.merged);
    static const char *const strings[] = {"model",       "prompt",      "eval_prompt",
                                          "fingerprint", "prompt_text", "prompt_foil",
                                          "token_text",  "route"};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        check_labels(set.whole, set.merged, strings[i]);
    }

    /* The run tables follow one another. */
    hid_t file = open_file(set.merged);
    int32_t *ranks = read_all(file, "run_ranks", H5T_NATIVE_INT32, &n);
    char *log = read_all(file, "run_log", H5T_NATIVE_UINT8, &n);
    assert_int_equal(ranks[2], 3);
    assert_int_equal(ranks[3], -1);
    assert_string_equal(log, "level=info one\nlevel=info one\nlevel=info one\n");
    free(ranks);
    free(log);
    H5Fclose(file);
    ko_cube_merged_free(&merged);
    free_set(&set);
}

static void a_partial_merge_leaves_the_rest_pending(void **state)
{
    struct set set = make_set();
    struct ko_cube_merged merged = {0};
    struct ko_strings two = {.item = set.shard.item + 1, .n = 2};
    size_t n, m;
    (void)state;

    hid_t file = open_file(set.shard.item[2]);
    set_number(file, "status", KO_DONE, KO_CELL_FAILED);
    H5Fclose(file);
    if (ko_cube_merge(set.merged, &two, true, NULL, &merged, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(merged.pending > 0);
    assert_int_equal(merged.failed, 1);
    assert_non_null(strstr(ko_text_str(&merged.missing), "shard 1 of 3 is missing ("));
    file = open_file(set.merged);
    hid_t whole = open_file(set.whole);
    uint8_t *status = read_all(file, "status", H5T_NATIVE_UINT8, &n);
    uint8_t *all = read_all(whole, "status", H5T_NATIVE_UINT8, &m);
    float *value = read_all(file, "logprob", H5T_NATIVE_FLOAT, &m);
    float *wanted = read_all(whole, "logprob", H5T_NATIVE_FLOAT, &m);
    int n_pending = 0, n_failed = 0;
    for (size_t i = 0; i < n; i++) {
        n_pending += status[i] == KO_PENDING;
        n_failed += status[i] == KO_CELL_FAILED;
        assert_true(status[i] == all[i] || (all[i] == KO_DONE && (status[i] == KO_PENDING ||
                                                                  status[i] == KO_CELL_FAILED)));
        for (size_t s = i * (m / n); s < (i + 1) * (m / n); s++) {
            if (status[i] == KO_PENDING) {
                assert_true(isnan(value[s]));
            } else if (status[i] == KO_DONE) {
                assert_memory_equal(&value[s], &wanted[s], sizeof *value);
            }
        }
    }
    assert_true(n_pending > 0);
    assert_int_equal(n_failed, 1);
    free(status);
    free(all);
    free(value);
    free(wanted);
    H5Fclose(file);
    H5Fclose(whole);
    ko_cube_merged_free(&merged);
    free_set(&set);
}

static void differences_of_rounding_are_warned_of(void **state)
{
    struct set set = make_set();
    struct ko_cube_merged merged = {0};
    size_t n;
    (void)state;

    hid_t file = open_file(set.shard.item[1]);
    set_text(file, "device", "two");
    float *values = read_all(file, "whole/eval_logprob", H5T_NATIVE_FLOAT, &n);
    values[0] = nextafterf(values[0], 0);
    write_all(file, "whole/eval_logprob", H5T_NATIVE_FLOAT, values);
    free(values);
    H5Fclose(file);
    assert_int_equal(ko_cube_merge(set.merged, &set.shard, false, NULL, &merged, &err), KO_OK);
    assert_int_equal(merged.warnings.n, 2);
    assert_non_null(strstr(merged.warnings.item[0], "cube.shard-0002-of-0003.h5: device is 'two'"));
    assert_non_null(
        strstr(merged.warnings.item[1], "0002-of-0003.h5: has another evaluation than"));
    check_same(set.whole, set.merged);
    ko_cube_merged_free(&merged);
    free_set(&set);
}

static void a_compressed_shard_is_merged_like_the_shard(void **state)
{
    struct set set = make_set();
    struct ko_cube_merged merged = {0};
    struct ko_cube_view *view = NULL;
    char *packed = test_folder_path(set.folder, "packed.h5"), *item[SHARDS];
    bool incomplete = true;
    const struct ko_strings given = {.item = item, .n = SHARDS};
    (void)state;

    assert_int_equal(ko_cube_view_open(set.shard.item[1], &view, &err), KO_OK);
    if (ko_cube_compress(view, KO_CUBE_CHUNK_BYTES, packed, &incomplete, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_false(incomplete);
    ko_cube_view_close(view);
    for (int k = 0; k < SHARDS; k++) {
        item[k] = k == 1 ? packed : set.shard.item[k];
    }
    if (ko_cube_merge(set.merged, &given, false, NULL, &merged, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    check_same(set.whole, set.merged);
    ko_cube_merged_free(&merged);
    free(packed);
    free_set(&set);
}

static void a_shard_is_not_resumed_as_another_one(void **state)
{
    struct set set = make_set();
    struct ko_plan *whole = whole_plan(), *part = NULL;
    struct ko_cube_view *view = NULL;
    (void)state;

    assert_int_equal(ko_cube_view_open(set.shard.item[1], &view, &err), KO_OK);
    assert_int_equal(ko_shard_take(whole, (struct ko_shard){2, SHARDS}, &part, &err), KO_OK);
    if (ko_cube_view_matches(view, part, "cpu", "float32", &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    part->shard.number = 3;
    assert_int_equal(ko_cube_view_matches(view, part, "cpu", "float32", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "the shard is '2/3' in the cube and '3/3' in this run"));
    assert_int_equal(ko_cube_view_matches(view, whole, "cpu", "float32", &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "the shard is '2/3' in the cube and 'none' in this run"));
    ko_cube_view_close(view);
    ko_plan_free(part);
    ko_plan_free(whole);
    free_set(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merge_is_the_cube_of_one_job),
        cmocka_unit_test(a_partial_merge_leaves_the_rest_pending),
        cmocka_unit_test(differences_of_rounding_are_warned_of),
        cmocka_unit_test(a_compressed_shard_is_merged_like_the_shard),
        cmocka_unit_test(a_shard_is_not_resumed_as_another_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

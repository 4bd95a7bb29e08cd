/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/checkpoint/checkpoint.h"
#include "tests/support/folder.h"
#include "tests/support/pickle_bytes.h"
#include "tests/support/zip_bytes.h"

#define U8(name, from, to)                                                                         \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" from "," to "]}"

static int make_folder(void **state)
{
    *state = test_folder_make();
    test_folder_write_text(*state, "config.json", "{}");
    test_folder_write_safetensors(*state, "one", "{" U8("a", "0", "1") "," U8("c", "1", "2") "}",
                                  "AC", 2);
    test_folder_write_safetensors(*state, "two", "{" U8("b", "0", "1") "}", "B", 1);
    test_folder_write_safetensors(*state, "again", "{" U8("a", "0", "1") "}", "A", 1);
    test_folder_write_text(*state, "broken", "12345678{}");
    return 0;
}

static int remove_folder(void **state)
{
    test_folder_remove(*state);
    return 0;
}

static void shards_are_joined_and_the_index_wins_over_the_single_file(void **state)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    test_folder_write_text(*state, "model.safetensors", "not read");
    test_folder_write_text(*state, "model.safetensors.index.json",
                           "{\"metadata\":{\"total_size\":3},\"weight_map\":"
                           "{\"c\":\"one\",\"b\":\"two\",\"a\":\"one\"}}");
    if (ko_checkpoint_open(*state, "toy", &cp, &err)) {
        fail_msg("%s", err.text);
    }
    size_t n = 0;
    const struct ko_tensor *t = ko_checkpoint_tensors(cp, &n);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(t[i].name[0], 'a' + (int)i);
        assert_int_equal(*(const char *)t[i].data, 'A' + (int)i);
    }
    ko_checkpoint_close(cp);
}

static void broken_indexes_are_refused_with_their_fault(void **state)
{
    static const struct {
        const char *index, *words;
    } rows[] = {
        {"{", "model.safetensors.index.json:1:2: not valid JSON"},
        {"[]", "expected an object with the key 'weight_map'"},
        {"{\"weight_map\":[]}", "expected an object with the key 'weight_map'"},
        {"{\"weight_map\":{}}", "weight_map names no tensor"},
        {"{\"weight_map\":{\"a\":1}}", "weight_map: a: expected a file's name"},
        {"{\"weight_map\":{\"a\":\"../one\"}}",
         "weight_map: a: the file's name is '../one', it must be a plain name without folders or "
         "'..'"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "the file's name is '..', it must be a plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "the file's name is '/etc/passwd', it must"},
        {"{\"weight_map\":{\"a\":\"sub/one\"}}", "the file's name is 'sub/one', it must"},
        {"{\"weight_map\":{\"a\":\"\"}}", "the file's name is '', it must be a plain name"},
        {"{\"weight_map\":{\"a\":\"one\\u0000two\"}}", "it must be a plain name"},
        {"{\"weight_map\":{\"a\":\"one\",\"c\":\"three\"}}",
         "/three: cannot be opened: No such file or directory"},
        {"{\"weight_map\":{\"a\":\"one\",\"c\":\"broken\"}}",
         "/broken: its first 8 bytes announce"},
        {"{\"weight_map\":{\"a\":\"one\",\"b\":\"one\"}}",
         "model.safetensors.index.json: tensor 'b' is placed in one, which does not hold it"},
        {"{\"weight_map\":{\"a\":\"two\",\"c\":\"one\"}}",
         "model.safetensors.index.json: tensor 'a' is placed in two, but it is in one"},
        {"{\"weight_map\":{\"a\":\"one\",\"c\":\"again\"}}", "tensor 'a' is both in "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        test_folder_write_text(*state, "model.safetensors.index.json", rows[i].index);
        enum ko_code code = ko_checkpoint_open(*state, "toy", &cp, &err);
        ko_checkpoint_close(cp);
        if (code != KO_E_INPUT || !strstr(err.text, rows[i].words) ||
            strncmp(err.text, "toy: ", 5) != 0) {
            fail_msg("row %zu: code %d, '%s' lacks '%s'", i, (int)code, err.text, rows[i].words);
        }
    }
}

/* A file of torch.save with one byte, the tensor `name`. */
static void write_torch_file(const char *folder, const char *file, const char *name)
{
    char text[512];
    size_t n_pickle = 0, n = 0;
    snprintf(text, sizeof text, "%%80:2 } X:%s %s s .", name,
             TEST_PICKLE_TENSOR("Byte", "0", "1", "0", ")", ")"));
    char *pickle = test_pickle(text, &n_pickle);
    const struct test_zip_entry entries[] = {{.name = "w/data.pkl", .bytes = pickle, .n = n_pickle},
                                             {.name = "w/data/0", .bytes = name, .n = 1}};
    char *bytes = test_zip(entries, 2, &n);
    test_folder_write(folder, file, bytes, n);
    free(bytes);
    free(pickle);
}

static void expect_only(const char *folder, const char *names)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    if (ko_checkpoint_open(folder, "toy", &cp, &err)) {
        fail_msg("'%s' expected: %s", names, err.text);
    }
    size_t n = 0;
    const struct ko_tensor *t = ko_checkpoint_tensors(cp, &n);
    assert_int_equal(n, strlen(names));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(t[i].name[0], names[i]);
        assert_memory_equal(t[i].data, &names[i], 1);
    }
    ko_checkpoint_close(cp);
}

static void the_first_layout_that_exists_is_read(void **state)
{
    (void)state;
    char *folder = test_folder_make();
    test_folder_write_text(folder, "config.json", "{}");
    write_torch_file(folder, "pytorch_model.bin", "p");
    expect_only(folder, "p");
    write_torch_file(folder, "one.bin", "q");
    write_torch_file(folder, "two.bin", "r");
    test_folder_write_text(
        folder, "pytorch_model.bin.index.json",
        "{\"metadata\":{},\"weight_map\":{\"r\":\"two.bin\",\"q\":\"one.bin\"}}");
    expect_only(folder, "qr");
    test_folder_write_safetensors(folder, "model.safetensors", "{" U8("s", "0", "1") "}", "s", 1);
    expect_only(folder, "s");
    test_folder_write_safetensors(folder, "shard", "{" U8("t", "0", "1") "}", "t", 1);
    test_folder_write_text(folder, "model.safetensors.index.json",
                           "{\"weight_map\":{\"t\":\"shard\"}}");
    expect_only(folder, "t");
    test_folder_remove(folder);
}

static void broken_indexes_of_torch_files_are_refused_with_their_fault(void **state)
{
    static const struct {
        const char *index, *words;
    } rows[] = {
        {"{", "/pytorch_model.bin.index.json:1:2: not valid JSON"},
        {"{\"weight_map\":{}}", "/pytorch_model.bin.index.json: weight_map names no tensor"},
        {"{\"weight_map\":{\"a\":\"../a.bin\"}}",
         "weight_map: a: the file's name is '../a.bin', it must be a plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "the file's name is '/etc/passwd', it must"},
        {"{\"weight_map\":{\"a\":\"a.bin\",\"b\":\"gone.bin\"}}",
         "/gone.bin: cannot be opened: No such file or directory"},
        {"{\"weight_map\":{\"a\":\"a.bin\",\"b\":\"st.bin\"}}",
         "/st.bin: does not begin like a zip archive"},
        {"{\"weight_map\":{\"a\":\"a.bin\",\"b\":\"a.bin\"}}",
         "pytorch_model.bin.index.json: tensor 'b' is placed in a.bin, which does not hold it"},
        {"{\"weight_map\":{\"a\":\"b.bin\",\"b\":\"a.bin\"}}",
         "pytorch_model.bin.index.json: tensor 'a' is placed in b.bin, but it is in a.bin"},
        {"{\"weight_map\":{\"a\":\"a.bin\",\"b\":\"twin.bin\"}}", "tensor 'a' is both in "},
    };
    (void)state;
    char *folder = test_folder_make();
    test_folder_write_text(folder, "config.json", "{}");
    write_torch_file(folder, "a.bin", "a");
    write_torch_file(folder, "b.bin", "b");
    write_torch_file(folder, "twin.bin", "a");
    test_folder_write_safetensors(folder, "st.bin", "{" U8("b", "0", "1") "}", "b", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        test_folder_write_text(folder, "pytorch_model.bin.index.json", rows[i].index);
        enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, &err);
        ko_checkpoint_close(cp);
        if (code != KO_E_INPUT || !strstr(err.text, rows[i].words) ||
            strncmp(err.text, "toy: ", 5) != 0) {
            fail_msg("row %zu: code %d, '%s' lacks '%s'", i, (int)code, err.text, rows[i].words);
        }
    }
    test_folder_remove(folder);
}

static void links_on_disk_are_followed_and_dangling_ones_named(void **state)
{
    struct ko_error err = {0};
    struct ko_checkpoint *cp = NULL;
    char *blob = test_folder_path(*state, "two"), *gone = test_folder_path(*state, "gone");
    char *folder = test_folder_make();
    char *config = test_folder_path(folder, "config.json");
    char *weights = test_folder_path(folder, "model.safetensors");
    test_folder_write_text(folder, "config.json", "{}");
    assert_int_equal(symlink(blob, weights), 0);
    if (ko_checkpoint_open(folder, "toy", &cp, &err)) {
        fail_msg("%s", err.text);
    }
    assert_non_null(ko_checkpoint_find(cp, "b"));
    ko_checkpoint_close(cp);

    assert_int_equal(unlink(weights), 0);
    assert_int_equal(symlink(gone, weights), 0);
    cp = NULL;
    assert_int_equal(ko_checkpoint_open(folder, "toy", &cp, &err), KO_E_INPUT);
    assert_null(cp);
    assert_non_null(strstr(err.text, "/model.safetensors: cannot be opened: No such file"));
    free(weights);
    free(config);
    test_folder_remove(folder);
    free(gone);
    free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_joined_and_the_index_wins_over_the_single_file),
        cmocka_unit_test(broken_indexes_are_refused_with_their_fault),
        cmocka_unit_test(the_first_layout_that_exists_is_read),
        cmocka_unit_test(broken_indexes_of_torch_files_are_refused_with_their_fault),
        cmocka_unit_test(links_on_disk_are_followed_and_dangling_ones_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

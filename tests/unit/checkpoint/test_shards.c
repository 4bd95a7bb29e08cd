#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "src/checkpoint/checkpoint.h"
#include "tests/support/folder.h"

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
    if (ko_checkpoint_open(*state, "toy", &cp, &err))
        fail_msg("%s", err.text);
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
        {"{\"weight_map\":{\"a\":\"one\",\"c\":\"broken\"}}", "/broken: its first 8 bytes give"},
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
            strncmp(err.text, "toy: ", 5) != 0)
            fail_msg("row %zu: code %d, '%s' lacks '%s'", i, (int)code, err.text, rows[i].words);
    }
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
    if (ko_checkpoint_open(folder, "toy", &cp, &err))
        fail_msg("%s", err.text);
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
        cmocka_unit_test(links_on_disk_are_followed_and_dangling_ones_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

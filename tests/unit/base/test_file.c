/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"

static int make_folder(void **state)
{
    char *folder = strdup("/tmp/ko-test-file-XXXXXX");
    *state = folder ? mkdtemp(folder) : NULL;
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    int failed = rmdir(*state);
    free(*state);
    return failed;
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void a_file_is_read_whole(void **state)
{
    struct ko_error err = {0};
    char *path = ko_path_join(*state, "data", &err), *bytes = NULL;
    size_t n = 0;
    write_file(path, "a\0b", 3);
    assert_int_equal(ko_file_read(path, 3, &bytes, &n, &err), KO_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    assert_true(ko_file_exists(path));
    free(bytes);
    write_file(path, "", 0);
    assert_int_equal(ko_file_read(path, 0, &bytes, &n, &err), KO_OK);
    assert_int_equal(n, 0);
    assert_string_equal(bytes, "");
    free(bytes);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void what_cannot_be_read_is_named(void **state)
{
    struct ko_error err = {0};
    char *path = ko_path_join(*state, "data", &err), *bytes = NULL;
    char *pipe = ko_path_join(*state, "pipe", &err);
    size_t n = 9;
    write_file(path, "1234", 4);
    assert_int_equal(ko_file_read(path, 3, &bytes, &n, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "/data: has 4 bytes, expected at most 3"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ko_file_read(path, 3, &bytes, &n, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "/data: cannot be opened: No such file or directory"));
    assert_false(ko_file_exists(path));
    assert_int_equal(ko_file_read(*state, 3, &bytes, &n, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "is a folder"));
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(ko_file_read(pipe, 3, &bytes, &n, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "is not a regular file"));
    assert_int_equal(unlink(pipe), 0);
    assert_null(bytes);
    assert_int_equal(n, 9);
    free(path);
    free(pipe);
}

static void paths_are_joined(void **state)
{
    static const struct {
        const char *folder, *name, *path;
    } row[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a", "/b", "/b"},    {"", "b", "b"},
               {NULL, "b", "b"},  {"/", "b", "/b"},   {"a", "b/c", "a/b/c"}};
    struct ko_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char *path = ko_path_join(row[i].folder, row[i].name, &err);
        assert_string_equal(path, row[i].path);
        free(path);
    }
}

static void paths_are_taken_apart(void **state)
{
    static const struct {
        const char *path, *folder, *last;
    } row[] = {{"a/b", "a", "b"},  {"a/b//", "a", "b"}, {"b", ".", "b"},    {"/b", "/", "b"},
               {"//b/", "/", "b"}, {"/", "/", "/"},     {"a//b", "a", "b"}, {"", ".", ""}};
    struct ko_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char *folder = ko_path_folder(row[i].path, &err), *last = ko_path_last(row[i].path, &err);
        assert_string_equal(folder, row[i].folder);
        assert_string_equal(last, row[i].last);
        free(folder);
        free(last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_read_whole, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_named, make_folder, remove_folder),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(paths_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

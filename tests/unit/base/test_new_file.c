/* SPDX-License-Identifier: Apache-2.0 */
/* A file that appears whole or not at all, and what killed processes leave of theirs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/file.h"
#include "src/base/new_file.h"
#include "tests/support/folder.h"

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

static void write_new(const char *to, const char *text)
{
    struct ko_new_file file = {0};

    if (ko_new_file_open(to, &file, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    FILE *stream = fopen(file.temporary, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(ko_new_file_place(&file, &err), KO_OK);
}

static void holds(const char *name, const char *text)
{
    size_t n = 0;
    char *bytes = test_read(name, &n);

    assert_string_equal(bytes, text);
    free(bytes);
}

/* The file that a link names is written, in that file's folder, whether it is there or not. */
static void links_are_followed(void **state)
{
    char *sub = test_folder_path(folder, "sub"), *real = test_folder_path(folder, "sub/real.h5");
    char *second = test_folder_path(folder, "second.h5");
    char *circle = test_folder_path(folder, "circle.h5");
    char target[64] = "";
    struct ko_new_file file = {0};
    (void)state;

    assert_int_equal(mkdir(sub, 0777), 0);
    assert_int_equal(symlink("sub/real.h5", path), 0); /* from the link's folder */
    assert_int_equal(symlink(path, second), 0);        /* an absolute one, to a link */
    assert_int_equal(symlink("circle.h5", circle), 0);
    write_new(path, "one"); /* it leads nowhere yet */
    holds(real, "one");
    write_new(second, "two");
    holds(real, "two");
    assert_int_equal(readlink(path, target, sizeof target), 11);
    assert_int_equal(strncmp(target, "sub/real.h5", 11), 0);
    assert_int_equal(ko_new_file_open(circle, &file, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "circle.h5: too many symbolic links"));
    assert_int_equal(unlink(real), 0);
    assert_int_equal(rmdir(sub), 0); /* nothing else is left there */
    free(sub);
    free(real);
    free(second);
    free(circle);
}

static int n_files(void)
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

static void it_has_its_name_when_it_is_whole(void **state)
{
    struct ko_new_file file = {0};
    (void)state;

    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    assert_true(ko_file_exists(file.temporary) && !ko_file_exists(path));
    assert_int_equal(strncmp(file.temporary, path, strlen(path)), 0);
    assert_int_equal(ko_new_file_place(&file, &err), KO_OK);
    assert_true(ko_file_exists(path));
    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    ko_new_file_drop(&file);
    assert_int_equal(n_files(), 1);
}

/* The process that begins a file and is killed. */
static void leave_one(void)
{
    const pid_t process = fork();
    int status = 0;

    if (process == 0) {
        struct ko_new_file file = {0};
        _exit(ko_new_file_open(path, &file, &err) == KO_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
}

static void what_a_killed_process_left_goes_with_the_next(void **state)
{
    static const char *const others[] = {"cube.h5.new-elsewhere-1999999999-0", "cube.h5.new-notes",
                                         "other.h5.new-1-0"};
    struct ko_new_file file = {0}, mine = {0};
    (void)state;

    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        test_folder_write_text(folder, others[k], "stays");
    }
    leave_one();
    assert_int_equal(n_files(), 4);
    assert_int_equal(ko_new_file_open(path, &mine, &err), KO_OK);
    assert_int_equal(n_files(), 4); /* the left one is gone, ours is there */
    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    assert_int_equal(n_files(), 5); /* of a process that lives: this one */
    ko_new_file_drop(&file);
    ko_new_file_drop(&mine);
    assert_int_equal(n_files(), 3);
}

static void a_file_that_has_the_name_stays(void **state)
{
    struct ko_new_file file = {0};
    char *text = NULL;
    size_t n = 0;
    (void)state;

    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    file.keeps = true;
    assert_int_equal(ko_new_file_place(&file, &err), KO_OK);
    assert_int_equal(n_files(), 1);
    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    test_folder_write_text(folder, "cube.h5", "another's");
    file.keeps = true;
    assert_int_equal(ko_new_file_place(&file, &err), KO_E_FAILED);
    assert_non_null(strstr(err.text, "another process has created it meanwhile"));
    assert_int_equal(n_files(), 1);
    assert_int_equal(ko_file_read(path, 100, &text, &n, &err), KO_OK);
    assert_string_equal(text, "another's");
    free(text);
}

static enum ko_code refuse(void *context, struct ko_error *error)
{
    ++*(int *)context;
    return ko_fail(error, KO_E_FAILED, "not now");
}

static void a_file_without_consent_gets_no_name(void **state)
{
    int n_asked = 0;
    const struct ko_consent consent = {refuse, &n_asked};
    struct ko_new_file file = {0};
    (void)state;

    assert_int_equal(ko_new_file_open(path, &file, &err), KO_OK);
    file.consent = &consent;
    assert_int_equal(ko_new_file_place(&file, &err), KO_E_FAILED);
    assert_string_equal(err.text, "not now");
    assert_int_equal(n_asked, 1);
    assert_int_equal(n_files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_are_followed, make, clear),
        cmocka_unit_test_setup_teardown(it_has_its_name_when_it_is_whole, make, clear),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_goes_with_the_next, make, clear),
        cmocka_unit_test_setup_teardown(a_file_that_has_the_name_stays, make, clear),
        cmocka_unit_test_setup_teardown(a_file_without_consent_gets_no_name, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

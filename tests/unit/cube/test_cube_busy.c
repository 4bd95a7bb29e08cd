/* SPDX-License-Identifier: Apache-2.0 */
/* A cube that another program holds open. HDF5 reads HDF5_USE_FILE_LOCKING once, so this is a
   program of its own. */
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/cube/create/create.h"
#include "src/cube/read/read.h"
#include "src/cube/run/run_table.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;
static char *folder, *path, *kept;

static int make(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    const struct ko_cube_content content = {.plan = plan};
    (void)state;

    folder = test_folder_make();
    path = test_folder_path(folder, "cube.h5");
    kept = test_folder_path(folder, "cube.h5.run_log");
    const enum ko_code code = ko_cube_create(path, &content, &err);
    ko_plan_free(plan);
    return code == KO_OK ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    free(path);
    free(kept);
    test_folder_remove(folder);
    return 0;
}

/* Another process that locks the file as HDF5 does, and lets go after some seconds. */
static pid_t hold(int operation, double seconds)
{
    int ready[2];
    char byte = 0;

    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        FILE *file = fopen(path, "r+");
        if (!file || flock(fileno(file), operation) != 0 || write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        usleep((useconds_t)(seconds * 1e6));
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void let_go(pid_t child)
{
    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static char *read_log(void)
{
    struct ko_cube_view *view = NULL;
    char *log = NULL;

    if (ko_cube_view_open(path, &view, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(ko_cube_view_run_log(view, &log, &err), KO_OK);
    ko_cube_view_close(view);
    return log;
}

static const struct ko_cube_run one = {.ranks = 1, .host = "a", .log = "one\n"};
static const struct ko_cube_run two = {.ranks = 2, .host = "b", .log = "two\n"};

static void a_cube_that_is_held_open_is_called_that(void **state)
{
    struct ko_cube_view *view = NULL;
    (void)state;

    const pid_t child = hold(LOCK_EX, 1);
    assert_int_equal(ko_cube_view_open(path, &view, &err), KO_E_INPUT);
    if (!strstr(err.text, "cube.h5: cannot be opened: another program has it open (a notebook?), "
                          "close it there")) {
        fail_msg("%s", err.text);
    }
    let_go(child);
}

static void the_line_of_a_run_waits_for_a_reader_to_end(void **state)
{
    (void)state;
    const pid_t child = hold(LOCK_SH, 1);
    const double start = ko_now();
    if (ko_cube_log_run(path, &one, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(ko_now() - start > 0.5); /* or the lock was not in its way */
    let_go(child);
    char *log = read_log();
    assert_string_equal(log, "one\n");
    assert_int_equal(access(kept, F_OK), -1);
    free(log);
}

static void a_line_that_cannot_be_written_is_kept_for_the_next_run(void **state)
{
    size_t n = 0;
    (void)state;

    const pid_t child = hold(LOCK_SH, KO_CUBE_BUSY_SECONDS + 2);
    assert_int_equal(ko_cube_log_run(path, &one, &err), KO_E_INPUT);
    if (!strstr(err.text, "the line of this run is kept in ") || !strstr(err.text, kept)) {
        fail_msg("%s", err.text);
    }
    char *lines = test_read(kept, &n);
    assert_string_equal(lines, "one\n");
    free(lines);
    let_go(child);
    assert_int_equal(ko_cube_log_run(path, &two, &err), KO_OK);
    char *log = read_log();
    assert_string_equal(log, "one\ntwo\n");
    assert_int_equal(access(kept, F_OK), -1);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cube_that_is_held_open_is_called_that, make, clear),
        cmocka_unit_test_setup_teardown(the_line_of_a_run_waits_for_a_reader_to_end, make, clear),
        cmocka_unit_test_setup_teardown(a_line_that_cannot_be_written_is_kept_for_the_next_run,
                                        make, clear),
    };

    if (setenv("HDF5_USE_FILE_LOCKING", "TRUE", 1) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

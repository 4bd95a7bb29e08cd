/* SPDX-License-Identifier: Apache-2.0 */
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"
#include "src/cube/read/read.h"
#include "src/cube/run/run_table.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;

static char *create(const char *folder)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_cube_content content = {.plan = plan};
    char *path = test_folder_path(folder, "cube.h5");

    assert_int_equal(ko_cube_create(path, &content, &err), KO_OK);
    ko_plan_free(plan);
    return path;
}

/* The whole dataset. free(). */
static void *read_all(const char *path, const char *name, hid_t type, size_t bytes)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT);
    void *out = calloc(1, bytes);

    assert_non_null(out);
    assert_true(H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Dclose(id);
    H5Fclose(file);
    return out;
}

static char *read_chars(const char *path, const char *name)
{
    hid_t type = ko_cube_new_type(KO_TYPE_CHAR);
    char *out = read_all(path, name, type, (size_t)KO_CUBE_RUNS * KO_CUBE_MIN_LABEL_LENGTH);

    H5Tclose(type);
    return out;
}

static void log_run(const char *path, int32_t ranks, const char *host, const char *log)
{
    const struct ko_cube_run run = {.start_epoch = 1.5e9 + ranks,
                                    .wall_seconds = 2.5,
                                    .device_seconds = 1.25,
                                    .ranks = ranks,
                                    .host = host,
                                    .job = ranks % 2 ? "" : "4711_1",
                                    .log = log};

    if (ko_cube_log_run(path, &run, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
}

static void runs_fill_rows_and_the_log_grows(void **state)
{
    char *folder = test_folder_make(), *path = create(folder), host[80];
    (void)state;

    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    memcpy(host + KO_CUBE_MIN_LABEL_LENGTH - 1, "é", 2); /* does not fit */
    log_run(path, 4, "node-1", "level=info one\n");
    log_run(path, 5, host, "level=info two\n");
    int32_t *ranks = read_all(path, "run_ranks", H5T_NATIVE_INT32, KO_CUBE_RUNS * sizeof *ranks);
    double *start = read_all(path, "run_start", H5T_NATIVE_DOUBLE, KO_CUBE_RUNS * sizeof *start);
    char *hosts = read_chars(path, "run_host"), *jobs = read_chars(path, "run_job");
    char *log = read_all(path, "run_log", H5T_NATIVE_UINT8, KO_CUBE_LOG_BYTES);
    assert_int_equal(ranks[0], 4);
    assert_int_equal(ranks[1], 5);
    assert_int_equal(ranks[2], -1);
    assert_true(start[1] == 1.5e9 + 5 && start[2] != start[2]);
    assert_string_equal(hosts, "node-1");
    assert_string_equal(jobs, "4711_1");
    assert_string_equal(jobs + KO_CUBE_MIN_LABEL_LENGTH, "");
    assert_int_equal(strlen(hosts + KO_CUBE_MIN_LABEL_LENGTH), KO_CUBE_MIN_LABEL_LENGTH - 1);
    assert_string_equal(log, "level=info one\nlevel=info two\n");
    free(log);
    free(jobs);
    free(hosts);
    free(start);
    free(ranks);
    free(path);
    test_folder_remove(folder);
}

static void a_full_table_and_a_full_log_fail_no_run(void **state)
{
    char *folder = test_folder_make(), *path = create(folder);
    size_t n = KO_CUBE_LOG_BYTES - 5;
    char *long_log = malloc(n + 1);
    (void)state;

    assert_non_null(long_log);
    memset(long_log, 'x', n);
    long_log[n] = '\0';
    log_run(path, 1, "host", long_log);
    for (int32_t i = 2; i <= KO_CUBE_RUNS + 2; i++) {
        log_run(path, i, "host", i == 2 ? "1234567890" : NULL);
    }
    int32_t *ranks = read_all(path, "run_ranks", H5T_NATIVE_INT32, KO_CUBE_RUNS * sizeof *ranks);
    char *log = read_all(path, "run_log", H5T_NATIVE_UINT8, KO_CUBE_LOG_BYTES);
    assert_int_equal(ranks[KO_CUBE_RUNS - 2], KO_CUBE_RUNS - 1);
    assert_int_equal(ranks[KO_CUBE_RUNS - 1], KO_CUBE_RUNS + 2); /* the latest run, not the 256th */
    assert_memory_equal(log + n, "12345", 5);
    free(log);
    free(ranks);
    free(long_log);
    free(path);
    test_folder_remove(folder);
}

/* A child that has the cube open until `until` is closed; `ready` tells when it has. */
static pid_t start_reader(const char *path, int ready[2], int until[2])
{
    char byte = 0;

    assert_int_equal(pipe(ready) | pipe(until), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ko_cube_view *view = NULL;
        (void)close(until[1]);
        byte = ko_cube_view_open(path, &view, &err) == KO_OK;
        bool told = write(ready[1], &byte, 1) == 1 && read(until[0], &byte, 1) == 0;
        ko_cube_view_close(view);
        _exit(told ? 0 : 1);
    }
    (void)close(until[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    return child;
}

static void a_reader_does_not_fail_a_run_and_nothing_else_changes(void **state)
{
    char *folder = test_folder_make(), *path = create(folder);
    size_t n = 0, n_after = 0, changed = 0;
    int ready[2], until[2], status = -1;
    char *before = test_read(path, &n);
    (void)state;

    pid_t child = start_reader(path, ready, until);
    log_run(path, 3, "host", "one line\n");
    (void)close(until[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
    char *after = test_read(path, &n_after);
    assert_int_equal(n, n_after);
    for (size_t i = 0; i < n; i++) {
        changed += before[i] != after[i];
    }
    /* A row is 3 doubles, an int, host and job; then the log. */
    assert_in_range(changed, 1, 3 * 8 + 4 + 4 + 6 + 9);
    free(after);
    free(before);
    free(path);
    test_folder_remove(folder);
}

static void a_file_that_is_no_cube_is_refused(void **state)
{
    char *folder = test_folder_make(), *path = test_folder_path(folder, "cube.h5");
    const struct ko_cube_run run = {.host = "host"};
    (void)state;

    assert_int_equal(ko_cube_log_run(path, &run, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "cube.h5: cannot be opened for writing: "));
    test_folder_write_text(folder, "cube.h5", "no cube");
    assert_int_equal(ko_cube_log_run(path, &run, &err), KO_E_INPUT);
    assert_null(strchr(err.text, '\n'));
    free(path);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_fill_rows_and_the_log_grows),
        cmocka_unit_test(a_full_table_and_a_full_log_fail_no_run),
        cmocka_unit_test(a_reader_does_not_fail_a_run_and_nothing_else_changes),
        cmocka_unit_test(a_file_that_is_no_cube_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

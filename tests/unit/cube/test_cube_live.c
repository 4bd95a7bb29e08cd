/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "src/base/clock.h"
#include "src/cube/create/create.h"
#include "src/cube/read/read.h"
#include "src/cube/run/run_table.h"
#include "src/status/live.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;
static char *folder, *path;
static struct ko_plan *plan;

static int make(void **state)
{
    (void)state;
    folder = test_folder_make();
    path = test_folder_path(folder, "cube.h5");
    plan = small_plan_sweep(false);
    const struct ko_cube_content content = {.plan = plan};
    return ko_cube_create(path, &content, &err) == KO_OK ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    ko_plan_free(plan);
    free(path);
    test_folder_remove(folder);
    return 0;
}

static void good(enum ko_code code)
{
    if (code != KO_OK) {
        fail_msg("%s", err.text);
    }
}

static struct ko_live look(double now)
{
    struct ko_cube_view *view = NULL;
    struct ko_live live;

    good(ko_cube_view_look(path, &view, &err));
    good(ko_live_read(view, now, &live, &err));
    ko_cube_view_close(view);
    return live;
}

static void begin(double start)
{
    good(ko_cube_begin_run(path, start, "node-7", "4711", &err));
}

/* A commit round of no records, with this progress. */
static void commit(bool told, double cells, double share)
{
    struct ko_cube *cube = NULL;

    good(ko_cube_open(path, plan, MPI_COMM_SELF, &cube, &err));
    if (told) {
        ko_cube_set_progress(cube, cells, share);
    }
    good(ko_cube_commit(cube, NULL, 0, &err));
    good(ko_cube_close(cube, &err));
}

static const char *line(const struct ko_live *live)
{
    static char text[512];
    struct ko_text out = {0};

    ko_live_print(live, &out);
    (void)snprintf(text, sizeof text, "%s", ko_text_str(&out));
    ko_text_free(&out);
    return text;
}

static void a_new_cube_has_no_run(void **state)
{
    (void)state;
    const struct ko_live live = look(1e9);
    assert_false(live.under_way);
    assert_string_equal(line(&live), "no run is under way\n");
}

static void a_run_is_under_way_from_its_start_to_its_end(void **state)
{
    (void)state;
    begin(1e9);
    struct ko_live live = look(1e9 + 3);
    assert_true(live.under_way);
    assert_string_equal(live.row.host, "node-7");
    assert_string_equal(live.row.job, "4711");
    assert_true(isnan(live.seconds_left) && isnan(live.per_second));
    assert_string_equal(
        line(&live), "under way on node-7, job 4711: 0 cells in <1 s, ? left, as of 3.0 s ago\n");
    const struct ko_cube_run run = {.start_epoch = 1e9, .ranks = 1, .host = "node-7", .job = ""};
    good(ko_cube_log_run(path, &run, &err));
    live = look(1e9 + 4);
    assert_false(live.row.begun || live.under_way);
}

static void commits_tell_the_progress_and_the_time_left_goes_by_the_work(void **state)
{
    (void)state;
    begin(ko_wall_clock() - 100);
    commit(true, 5000, 0.25);
    const struct ko_live live = look(ko_wall_clock() + 10);
    assert_true(live.under_way);
    assert_true(live.row.cells == 5000 && live.row.work_share == 0.25);
    assert_true(live.seconds > 99 && live.seconds < 110);
    assert_true(live.age > 9.9 && live.age < 20);
    assert_true(fabs(live.per_second - 5000 / live.seconds) < 1e-9);
    assert_true(fabs(live.seconds_left - (3 * live.seconds - live.age)) < 1e-6);
    assert_non_null(strstr(line(&live), ": 5,000 cells in 1m 40s, "));
}

static void a_commit_that_was_told_nothing_writes_no_progress(void **state)
{
    (void)state;
    begin(1e9);
    commit(false, 0, 0);
    const struct ko_live live = look(1e9 + 1);
    assert_true(live.row.updated == 1e9 && live.row.cells == 0);
}

static void a_killed_run_is_not_under_way_and_the_next_takes_its_row(void **state)
{
    (void)state;
    begin(1e9);
    struct ko_live live = look(1e9 + KO_LIVE_SECONDS + 60);
    assert_false(live.under_way);
    assert_string_equal(line(&live), "no run is under way: the last one, on node-7, has sent no "
                                     "heartbeat for 3m 00s\n");
    begin(2e9);
    live = look(2e9 - 5); /* the run's clock is ahead */
    assert_true(live.under_way && live.age == 0 && live.row.started == 2e9);
}

static void looking_takes_no_lock_and_is_stopped_by_none(void **state)
{
    (void)state;
    begin(1e9);
    int file = open(path, O_RDWR);
    assert_true(file >= 0 && flock(file, LOCK_EX) == 0);
    assert_true(look(1e9).under_way);
    close(file);
    struct ko_cube_view *view = NULL;
    good(ko_cube_view_look(path, &view, &err));
    file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(flock(file, LOCK_EX | LOCK_NB), 0);
    close(file);
    ko_cube_view_close(view);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_cube_has_no_run, make, clear),
        cmocka_unit_test_setup_teardown(a_run_is_under_way_from_its_start_to_its_end, make, clear),
        cmocka_unit_test_setup_teardown(
            commits_tell_the_progress_and_the_time_left_goes_by_the_work, make, clear),
        cmocka_unit_test_setup_teardown(a_commit_that_was_told_nothing_writes_no_progress, make,
                                        clear),
        cmocka_unit_test_setup_teardown(a_killed_run_is_not_under_way_and_the_next_takes_its_row,
                                        make, clear),
        cmocka_unit_test_setup_teardown(looking_takes_no_lock_and_is_stopped_by_none, make, clear),
    };
    MPI_Init(&argc, &argv);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}

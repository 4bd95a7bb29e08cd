/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpi/lock/lock_file.h"
#include "src/base/clock.h"
#include "src/base/file.h"
#include "tests/support/folder.h"

struct fixture {
    char *folder, *cube, *file;
    struct ko_lock_owner self;
    struct ko_error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    f->folder = test_folder_make();
    f->cube = test_folder_path(f->folder, "cube.h5");
    f->file = test_folder_path(f->folder, "cube.lock");
    *state = f;
    return ko_lock_gather_alone(&f->self, &f->err) == KO_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    ko_lock_owner_free(&f->self);
    free(f->cube);
    free(f->file);
    test_folder_remove(f->folder);
    free(f);
    return 0;
}

/* A lock of this owner, as another run would have left it. */
static void leave(struct fixture *f, const struct ko_lock_owner *owner)
{
    struct ko_text text = {0};
    ko_lock_write_owner(owner, &text);
    test_folder_write_text(f->folder, "cube.lock", ko_text_str(&text));
    ko_text_free(&text);
}

/* Whether the lock can be taken within the time; it is released again. */
static bool free_within(struct fixture *f, double seconds)
{
    struct ko_lock *lock = NULL;
    const enum ko_code code = ko_lock_take(f->cube, &f->self, seconds, NULL, &lock, &f->err);
    ko_lock_release(lock);
    return code == KO_OK;
}

/* A process number that belongs to nobody any more. */
static int64_t gone(void)
{
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return child;
}

static void a_lock_is_held_once_and_names_its_holder(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    char pid[32];
    assert_int_equal(ko_lock_take(f->cube, &f->self, 0, NULL, &lock, &f->err), KO_OK);
    assert_true(ko_file_exists(f->file));
    assert_false(free_within(f, 0.2));
    assert_int_equal(f->err.code, KO_E_INPUT);
    snprintf(pid, sizeof pid, "process %lld", (long long)getpid());
    assert_non_null(strstr(f->err.text, "cube.h5: is in use by a run on "));
    assert_non_null(strstr(f->err.text, f->self.process[0].host));
    assert_non_null(strstr(f->err.text, pid));
    assert_non_null(strstr(f->err.text, ", begun "));
    ko_lock_release(lock);
    assert_false(ko_file_exists(f->file));
    assert_true(free_within(f, 0));
}

static void a_lock_whose_processes_are_gone_is_taken_over(void **state)
{
    struct fixture *f = *state;
    f->self.process[0].pid = gone();
    leave(f, &f->self);
    assert_true(free_within(f, 0));
    assert_false(ko_file_exists(f->file));
}

static void a_process_that_nobody_has_waited_for_is_gone(void **state)
{
    struct fixture *f = *state;
    struct ko_lock_owner other = f->self;
    struct ko_lock_process process = f->self.process[0];
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    ko_nap(0.2);
    process.pid = child;
    process.begin = 0;
    other.process = &process;
    leave(f, &other);
    const bool taken = free_within(f, 0);
    waitpid(child, NULL, 0);
    assert_true(taken);
}

static void a_number_that_another_process_has_now_is_gone(void **state)
{
    struct fixture *f = *state;
    struct ko_lock_process process = f->self.process[0];
    struct ko_lock_owner other = f->self;
    other.process = &process;
    assert_true(process.begin > 0);
    leave(f, &other);
    assert_false(free_within(f, 0));
    process.begin--;
    leave(f, &other);
    assert_true(free_within(f, 0));
}

static void processes_elsewhere_are_known_by_their_silence_alone(void **state)
{
    struct fixture *f = *state;
    struct ko_lock_process process = f->self.process[0];
    struct ko_lock_owner other = f->self;
    process.pid = gone();
    other.process = &process;
    snprintf(process.host, sizeof process.host, "elsewhere");
    leave(f, &other);
    assert_false(free_within(f, 0));
    assert_non_null(strstr(f->err.text, "a run on elsewhere, process "));
    for (int seconds = 110; seconds <= 130; seconds += 20) {
        const struct timespec times[2] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
        assert_int_equal(utimensat(AT_FDCWD, f->file, times, 0), 0);
        assert_int_equal(free_within(f, 0), seconds > 120);
    }
}

static void the_same_number_in_another_namespace_is_another_process(void **state)
{
    struct fixture *f = *state;
    struct ko_lock_process process = f->self.process[0];
    struct ko_lock_owner other = f->self;
    process.pid = gone();
    other.process = &process;
    snprintf(process.space, sizeof process.space, "pid:[1]");
    leave(f, &other);
    assert_false(free_within(f, 0));
}

static void an_earlier_start_of_the_same_job_is_over(void **state)
{
    struct fixture *f = *state;
    struct ko_lock_owner other = f->self;
    struct ko_lock_process process = f->self.process[0];
    snprintf(process.host, sizeof process.host, "elsewhere");
    other.process = &process;
    snprintf(other.job, sizeof other.job, "77");
    snprintf(f->self.job, sizeof f->self.job, "77");
    leave(f, &other);
    assert_false(free_within(f, 0));
    assert_non_null(strstr(f->err.text, "(Slurm job 77)"));
    f->self.restart = 1;
    snprintf(other.job, sizeof other.job, "78");
    leave(f, &other);
    assert_false(free_within(f, 0));
    snprintf(other.job, sizeof other.job, "77");
    leave(f, &other);
    assert_true(free_within(f, 0));
}

static void a_lock_that_cannot_be_read_is_somebodys(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{\"processes\": [1]}", "{}", "{\"processes\": [{\"host\": \"a\"}]}"};
    struct fixture *f = *state;
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        test_folder_write_text(f->folder, "cube.lock", texts[k]);
        assert_false(free_within(f, 0));
        assert_non_null(strstr(f->err.text, "cube.lock says that it is in use, but not by whom"));
    }
}

static void another_owners_lock_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    assert_int_equal(ko_lock_take(f->cube, &f->self, 0, NULL, &lock, &f->err), KO_OK);
    test_folder_write_text(f->folder, "cube.lock", "another one's");
    ko_lock_release(lock);
    assert_true(ko_file_exists(f->file));
}

static bool at_once(void)
{
    return true;
}

static void a_stop_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    leave(f, &f->self);
    assert_int_equal(ko_lock_take(f->cube, &f->self, 60, at_once, &lock, &f->err), KO_E_STOPPED);
    assert_null(lock);
}

static void a_held_lock_shows_signs_of_life(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    struct stat info;
    const struct timespec times[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(ko_lock_take(f->cube, &f->self, 0, NULL, &lock, &f->err), KO_OK);
    assert_int_equal(utimensat(AT_FDCWD, f->file, times, 0), 0);
    ko_nap(KO_LOCK_BEAT_SECONDS + 1);
    assert_int_equal(stat(f->file, &info), 0);
    ko_lock_release(lock);
    assert_true(info.st_mtim.tv_sec > 1000);
}

static void a_run_that_was_silent_finds_its_lock_lost(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    struct ko_lock_process process = f->self.process[0];
    struct ko_lock_owner other = f->self;
    assert_int_equal(ko_lock_take(f->cube, &f->self, 0, NULL, &lock, &f->err), KO_OK);
    assert_int_equal(ko_lock_check(lock, &f->err), KO_OK);
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(ko_lock_check(lock, &f->err), KO_E_FAILED);
    assert_non_null(strstr(f->err.text, "cube.lock is gone; was this run suspended?"));
    process.pid = 4321;
    snprintf(process.host, sizeof process.host, "node7");
    other.process = &process;
    leave(f, &other);
    assert_int_equal(ko_lock_check(lock, &f->err), KO_E_FAILED);
    assert_non_null(strstr(f->err.text, "cube.lock was taken over by process 4321 on node7;"));
    assert_non_null(strstr(f->err.text, f->cube));
    ko_lock_release(lock);
    assert_true(ko_file_exists(f->file)); /* the other's */
}

/* Whoever takes a live lock away by mistake gives it back: that is no loss. */
static void a_lock_that_is_away_for_a_moment_is_kept(void **state)
{
    struct fixture *f = *state;
    struct ko_lock *lock = NULL;
    char *away = test_folder_path(f->folder, "away");
    int status = -1;
    assert_int_equal(ko_lock_take(f->cube, &f->self, 0, NULL, &lock, &f->err), KO_OK);
    assert_int_equal(rename(f->file, away), 0);
    const pid_t child = fork();
    if (child == 0) {
        ko_nap(0.05);
        _exit(rename(away, f->file) == 0 ? 0 : 1);
    }
    assert_int_equal(ko_lock_check(lock, &f->err), KO_OK);
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    ko_lock_release(lock);
    free(away);
}

/* One of several that want the same lock at the same time: 0 where it had it, and alone. */
static int contend(struct fixture *f, const char *witness)
{
    struct ko_lock *lock = NULL;
    struct ko_lock_owner self;
    if (ko_lock_gather_alone(&self, &f->err) != KO_OK ||
        ko_lock_take(f->cube, &self, 30, NULL, &lock, &f->err) != KO_OK) {
        return 1;
    }
    const int file = open(witness, O_CREAT | O_EXCL | O_WRONLY, 0600);
    ko_nap(0.02);
    if (file >= 0) {
        (void)unlink(witness);
    }
    ko_lock_release(lock);
    return file >= 0 ? 0 : 2;
}

static void a_dead_lock_is_taken_over_by_one_at_a_time(void **state)
{
    enum { N = 8 };
    struct fixture *f = *state;
    char *witness = test_folder_path(f->folder, "witness");
    pid_t child[N];
    f->self.process[0].pid = gone();
    leave(f, &f->self);
    for (int k = 0; k < N; k++) {
        if ((child[k] = fork()) == 0) {
            _exit(contend(f, witness));
        }
    }
    for (int k = 0; k < N; k++) {
        int status = -1;
        waitpid(child[k], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_false(ko_file_exists(f->file));
    free(witness);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_lock_is_held_once_and_names_its_holder),
        TEST(a_lock_whose_processes_are_gone_is_taken_over),
        TEST(a_process_that_nobody_has_waited_for_is_gone),
        TEST(a_number_that_another_process_has_now_is_gone),
        TEST(processes_elsewhere_are_known_by_their_silence_alone),
        TEST(the_same_number_in_another_namespace_is_another_process),
        TEST(an_earlier_start_of_the_same_job_is_over),
        TEST(a_lock_that_cannot_be_read_is_somebodys),
        TEST(another_owners_lock_is_left_alone),
        TEST(a_stop_ends_the_wait),
        TEST(a_held_lock_shows_signs_of_life),
        TEST(a_run_that_was_silent_finds_its_lock_lost),
        TEST(a_lock_that_is_away_for_a_moment_is_kept),
        TEST(a_dead_lock_is_taken_over_by_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the process that reads a file first becomes one line. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/cube/read/guard.h"

static struct ko_error err;

/* What a damaged file makes a library do; by the file's name. */
static enum ko_code misbehave(const char *path, struct ko_error *error)
{
    if (strcmp(path, "crash.h5") == 0) {
        (void)raise(SIGSEGV);
    }
    if (strcmp(path, "abort.h5") == 0) {
        abort();
    }
    if (strcmp(path, "exit.h5") == 0) {
        _exit(9);
    }
    if (strcmp(path, "loop.h5") == 0) {
        for (volatile unsigned k = 0;; k++) {
            ;
        }
    }
    if (strcmp(path, "large.h5") == 0 && !malloc((size_t)1 << 40)) {
        return ko_fail(error, KO_E_INPUT, "%s: no room for a terabyte", path);
    }
    if (strcmp(path, "wrong.h5") == 0) {
        return ko_fail(error, KO_E_INPUT, "%s: is no cube", path);
    }
    return KO_OK;
}

static void start(int64_t seconds)
{
    const struct ko_cube_guard_limits limits = {.seconds = seconds};

    if (ko_cube_guard_start(misbehave, limits, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
}

static void every_end_of_a_reader_is_one_line(void **state)
{
    static const struct {
        const char *path, *text;
    } table[] = {
        {"crash.h5", "crash.h5: the HDF5 library crashed while reading it (signal 11): the file is "
                     "damaged, restore it or compute it again"},
        {"abort.h5", "abort.h5: the HDF5 library crashed while reading it (signal 6)"},
        {"exit.h5", "exit.h5: the HDF5 library crashed while reading it (status 9)"},
        {"wrong.h5", "wrong.h5: is no cube"},
        {"loop.h5", "loop.h5: the HDF5 library did not finish reading it in 1 s: the file is "
                    "damaged, restore it or compute it again"},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        {"large.h5", "large.h5: no room for a terabyte"},
#endif
    };
    (void)state;

    start(1);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(ko_cube_guard_ask(table[i].path, &err), KO_E_INPUT);
        if (!strstr(err.text, table[i].text) || strchr(err.text, '\n')) {
            fail_msg("'%s' does not say '%s'", err.text, table[i].text);
        }
        /* The guard outlives its readers. */
        assert_int_equal(ko_cube_guard_ask("good.h5", &err), KO_OK);
    }
    ko_cube_guard_stop();
}

static void without_a_guard_nothing_is_read_first(void **state)
{
    (void)state;

    assert_int_equal(ko_cube_guard_ask("crash.h5", &err), KO_OK);
    start(0);
    assert_int_equal(ko_cube_guard_ask("wrong.h5", &err), KO_E_INPUT);
    ko_cube_guard_stop();
    assert_int_equal(ko_cube_guard_ask("wrong.h5", &err), KO_OK);
    ko_cube_guard_stop();
}

/* A scheduler's warning reaches every process of a job; the guard ends with the program. */
static void signals_to_all_do_not_end_the_guard(void **state)
{
    int status = 0;
    (void)state;

    const pid_t group = fork();
    if (group == 0) {
        (void)setpgid(0, 0);
        start(0);
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGUSR1, SIG_IGN);
        (void)kill(0, SIGTERM);
        (void)kill(0, SIGUSR1);
        const bool stands = ko_cube_guard_ask("wrong.h5", &err) == KO_E_INPUT &&
                            strcmp(err.text, "wrong.h5: is no cube") == 0;
        ko_cube_guard_stop();
        _exit(stands ? 0 : 1);
    }
    assert_int_equal(waitpid(group, &status, 0), group);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_of_a_reader_is_one_line),
        cmocka_unit_test(without_a_guard_nothing_is_read_first),
        cmocka_unit_test(signals_to_all_do_not_end_the_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

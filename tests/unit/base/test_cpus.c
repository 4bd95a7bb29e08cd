/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a process takes, from its processors, its quota and what the user says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/machine/cpus.h"

/* Processors [first, first + n), a quota and the group that it is of. */
static struct ko_cpus cpus(int first, int n, double quota, uint64_t group)
{
    struct ko_cpus made = {.quota = {quota, group}};
    for (int k = first; k < first + n; k++) {
        made.mask[k / 64] |= UINT64_C(1) << k % 64;
    }
    return made;
}

static void the_quota_and_the_mask_both_bound_what_is_usable(void **state)
{
    static const struct {
        int n;
        double quota;
        int usable;
        const char *from;
    } row[] = {
        {2, INFINITY, 2, "affinity mask"},
        {64, 4, 4, "cgroup quota"},
        {64, 2.9, 2, "cgroup quota"},
        {64, 0.25, 1, "cgroup quota"},
        {1, 0.25, 1, "affinity mask"},
        {2, 8, 2, "affinity mask"},
        {5000, INFINITY, 5000, "affinity mask"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct ko_cpus made = cpus(3, row[i].n, row[i].quota, 7);
        const char *from = NULL;
        assert_int_equal(ko_cpus_usable(&made, &from), row[i].usable);
        assert_string_equal(from, row[i].from);
    }
}

static void workers_of_a_node_share_it(void **state)
{
    static const struct {
        const char *what;
        struct {
            int first, n;
            double quota;
            uint64_t group;
        } worker[3];
        int n, share[3];
        const char *from;
        int together;
    } row[] = {
        {"each bound to its cores",
         {{0, 4, INFINITY, 0}, {4, 2, INFINITY, 0}},
         2,
         {4, 2},
         "affinity mask",
         6},
        {"all see all",
         {{0, 8, INFINITY, 0}, {0, 8, INFINITY, 0}, {0, 8, INFINITY, 0}},
         3,
         {2, 2, 2},
         "equal share",
         8},
        {"more workers than processors",
         {{0, 2, INFINITY, 0}, {0, 2, INFINITY, 0}, {0, 2, INFINITY, 0}},
         3,
         {1, 1, 1},
         "equal share",
         2},
        {"one quota for both", {{0, 64, 6, 9}, {0, 64, 6, 9}}, 2, {3, 3}, "cgroup quota", 6},
        {"a quota each", {{0, 64, 6, 8}, {0, 64, 6, 9}}, 2, {6, 6}, "cgroup quota", 12},
        {"one quota for both, bound", {{0, 8, 5, 9}, {8, 8, 5, 9}}, 2, {2, 2}, "cgroup quota", 5},
        {"a quota that says nothing", {{0, 4, 32, 9}, {0, 4, 32, 9}}, 2, {2, 2}, "equal share", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct ko_cpus all[3];
        for (int w = 0; w < row[i].n; w++) {
            all[w] = cpus(row[i].worker[w].first, row[i].worker[w].n, row[i].worker[w].quota,
                          row[i].worker[w].group);
        }
        for (int w = 0; w < row[i].n; w++) {
            const char *from = NULL;
            const int share = ko_cpus_share(all, row[i].n, w, &from);
            if (share != row[i].share[w] || strcmp(from, row[i].from) != 0) {
                fail_msg("%s: worker %d has %d by %s", row[i].what, w, share, from);
            }
        }
        assert_int_equal(ko_cpus_together(all, row[i].n), row[i].together);
    }
}

static void the_first_that_is_given_is_taken(void **state)
{
    static const struct {
        int option;
        const char *number, *limit;
        int n;
        const char *from, *warning; /* NULL: none */
    } row[] = {
        {0, NULL, NULL, 2, "equal share", NULL},
        {0, "", "", 2, "equal share", NULL},
        {0, "3", NULL, 3, "OMP_NUM_THREADS", NULL},
        {0, "4,1", NULL, 4, "OMP_NUM_THREADS", NULL},
        {0, " 3 , 2\t,1 ", NULL, 3, "OMP_NUM_THREADS", NULL},
        {0, "4", NULL, 4, "OMP_NUM_THREADS", NULL},
        {0, "999", NULL, 4, "OMP_NUM_THREADS",
         "OMP_NUM_THREADS=999: this process may use 4 processors (affinity mask), so it takes 4 "
         "threads; --threads takes any number"},
        {0, "99999999999999999999,1", NULL, 4, "OMP_NUM_THREADS", "OMP_NUM_THREADS=9999"},
        {3, "999", NULL, 3, "--threads", NULL},
        {3, "nonsense", NULL, 3, "--threads", NULL},
        {7, NULL, NULL, 7, "--threads",
         "--threads 7: this process may use 4 processors (affinity mask); more threads than "
         "processors are slower"},
        {0, NULL, "1", 1, "OMP_THREAD_LIMIT", NULL},
        {0, "3", "2", 2, "OMP_THREAD_LIMIT",
         "OMP_THREAD_LIMIT=2 limits the 3 threads of OMP_NUM_THREADS"},
        {3, NULL, "2", 2, "OMP_THREAD_LIMIT",
         "OMP_THREAD_LIMIT=2 limits the 3 threads of --threads"},
        {3, NULL, "3", 3, "--threads", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct ko_thread_wish wish = {.option = row[i].option,
                                            .omp_num_threads = row[i].number,
                                            .omp_thread_limit = row[i].limit,
                                            .usable = 4,
                                            .usable_from = "affinity mask",
                                            .share = 2,
                                            .share_from = "equal share"};
        struct ko_threads threads = {0};
        struct ko_error err = {0};
        assert_int_equal(ko_threads_choose(&wish, &threads, &err), KO_OK);
        if (threads.n != row[i].n || strcmp(threads.from, row[i].from) != 0) {
            fail_msg("case %zu: %d threads from %s", i, threads.n, threads.from);
        }
        if (row[i].warning ? !strstr(threads.warning, row[i].warning)
                           : threads.warning[0] != '\0') {
            fail_msg("case %zu: the warning is '%s'", i, threads.warning);
        }
    }
}

static void what_openmp_would_not_take_is_refused(void **state)
{
    static const char *const bad[] = {"0",   "-1",  "two", "2,",   ",2", "4,0",
                                      "4,x", "4 1", "2.5", "4,,1", " ",  "+2"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[128];
        struct ko_thread_wish wish = {.omp_num_threads = bad[i], .usable = 4, .share = 2};
        struct ko_threads threads = {.n = 77};
        struct ko_error err = {0};
        wish.usable_from = wish.share_from = "affinity mask";
        assert_int_equal(ko_threads_choose(&wish, &threads, &err), KO_E_INPUT);
        snprintf(expected, sizeof expected,
                 "OMP_NUM_THREADS: expected a whole number from 1, or several with commas, got "
                 "'%s'",
                 bad[i]);
        assert_string_equal(err.text, expected);
        assert_int_equal(threads.n, 77);
        wish.omp_num_threads = NULL;
        wish.omp_thread_limit = bad[i];
        assert_int_equal(ko_threads_choose(&wish, &threads, &err), KO_E_INPUT);
        snprintf(expected, sizeof expected,
                 "OMP_THREAD_LIMIT: expected a whole number from 1, got '%s'", bad[i]);
        assert_string_equal(err.text, expected);
    }
    const struct ko_thread_wish list = {.omp_thread_limit = "4,1", .usable = 4, .share = 2};
    struct ko_threads threads = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_threads_choose(&list, &threads, &err), KO_E_INPUT);
}

static void this_process_has_processors(void **state)
{
    struct ko_cpus here;
    struct ko_threads threads = {0};
    struct ko_error err = {0};
    (void)state;
    unsetenv("OMP_NUM_THREADS");
    unsetenv("OMP_THREAD_LIMIT");
    assert_int_equal(ko_cpus_look(&here, &err), KO_OK);
    assert_true(ko_cpus_usable(&here, NULL) >= 1);
    assert_int_equal(ko_threads_here(0, &threads, &err), KO_OK);
    assert_int_equal(threads.n, ko_cpus_usable(&here, NULL));
    assert_string_equal(threads.warning, "");
    setenv("OMP_NUM_THREADS", "1,1", 1);
    assert_int_equal(ko_threads_here(0, &threads, &err), KO_OK);
    assert_int_equal(threads.n, 1);
    unsetenv("OMP_NUM_THREADS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quota_and_the_mask_both_bound_what_is_usable),
        cmocka_unit_test(workers_of_a_node_share_it),
        cmocka_unit_test(the_first_that_is_given_is_taken),
        cmocka_unit_test(what_openmp_would_not_take_is_refused),
        cmocka_unit_test(this_process_has_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

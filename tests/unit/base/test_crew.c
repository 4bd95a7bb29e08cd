/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "src/base/clock.h"
#include "src/base/crew.h"

enum { N = 300, MOST_THREADS = 8 };

static atomic_int times[N], busy[MOST_THREADS];
static atomic_bool lane_is_shared;

/* Items from `bad` on fail, the first of them last. */
struct failures {
    size_t bad;
    size_t endless; /* items from here on go on until they are over */
};

static enum ko_code do_item(void *context, const struct ko_crew *crew, int lane, size_t item,
                            struct ko_error *err)
{
    const struct failures *failures = context;
    if (atomic_fetch_add(&busy[lane], 1) != 0) {
        atomic_store(&lane_is_shared, true);
    }
    atomic_fetch_add(&times[item], 1);
    if (item >= failures->endless) {
        while (!ko_crew_is_over(crew, item)) {
            ko_nap(0.001);
        }
    }
    if (item == failures->bad) {
        ko_nap(0.02); /* others fail before */
    }
    atomic_fetch_sub(&busy[lane], 1);
    return item < failures->bad ? KO_OK : ko_fail(err, KO_E_INPUT, "item %zu", item);
}

static enum ko_code run(int n_threads, size_t n_items, struct failures *failures,
                        const struct ko_stop *stop, struct ko_error *err)
{
    const struct ko_crew_work work = {.n_items = n_items,
                                      .n_threads = n_threads,
                                      .item = do_item,
                                      .context = failures,
                                      .stop = stop,
                                      .what = "toy"};
    for (size_t k = 0; k < N; k++) {
        atomic_store(&times[k], 0);
    }
    return ko_crew_run(&work, err);
}

static void every_item_is_done_once(void **state)
{
    static const int threads[] = {0, 1, 2, 7, MOST_THREADS};
    static const size_t items[] = {0, 1, 5, N};
    struct failures none = {.bad = N, .endless = N};
    (void)state;
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        for (size_t n = 0; n < sizeof items / sizeof items[0]; n++) {
            struct ko_error err = {0};
            assert_int_equal(run(threads[t], items[n], &none, NULL, &err), KO_OK);
            for (size_t k = 0; k < N; k++) {
                assert_int_equal(atomic_load(&times[k]), k < items[n]);
            }
        }
    }
    assert_false(atomic_load(&lane_is_shared));
}

/* Whichever fails first in time. */
static void the_error_is_of_the_first_item_that_fails(void **state)
{
    (void)state;
    for (size_t bad = 0; bad < 40; bad += 13) {
        for (int n_threads = 1; n_threads <= MOST_THREADS; n_threads++) {
            struct failures failures = {.bad = bad, .endless = N};
            struct ko_error err = {0};
            char text[32];
            snprintf(text, sizeof text, "item %zu", bad);
            assert_int_equal(run(n_threads, N, &failures, NULL, &err), KO_E_INPUT);
            assert_int_equal(err.code, KO_E_INPUT);
            assert_string_equal(err.text, text);
            assert_int_equal(run(n_threads, N, &failures, NULL, NULL), KO_E_INPUT);
        }
    }
}

/* A later item ends early; the threads then take no more. */
static void a_failure_ends_later_items(void **state)
{
    struct failures failures = {.bad = 3, .endless = 4};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(run(4, N, &failures, NULL, &err), KO_E_INPUT);
    assert_string_equal(err.text, "item 3");
    assert_int_equal(atomic_load(&times[N - 1]), 0);
}

static bool second_question(void *context)
{
    int *questions = context;
    return ++*questions >= 2;
}

static void a_stop_ends_all(void **state)
{
    int questions = 0;
    const struct ko_stop stop = {.wanted = second_question, .context = &questions};
    struct failures all = {.bad = N, .endless = 0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(run(2, N, &all, &stop, &err), KO_E_STOPPED);
    assert_int_equal(questions, 2);
    assert_string_equal(err.text, "toy: stopped as requested");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once),
        cmocka_unit_test(the_error_is_of_the_first_item_that_fails),
        cmocka_unit_test(a_failure_ends_later_items),
        cmocka_unit_test(a_stop_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
